"""Conjecture 7: how many more dimensions do two languages share at a layer than without training?

Everything is across problems at one layer, with no time axis. States, every dimension divided by its standard
deviation, are reduced to leading principal components of the discovery items: as they are, the first
components are a few outlier dimensions. What dimensions as they are give stands beside the verdict.

*Dimension* is the number of canonical correlations between the confirmation items of both languages, by a
sequential test that moves whole scenarios (`measures.dimension`). It is a lower bound.

*Shared variance* is the sum of squared correlations on confirmation items, along directions fitted to the
discovery items, averaged over the inner layers. One dimension that both languages carry alike counts 1. This
number is judged: it needs no level of significance, and every control has it too.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...measures import bridges, dimension
from ...measures.canonical import canonical_axes
from ...measures.paired import group_codes
from ...measures.resampling import GroupDraws, Interval
from ...measures.subspaces import standardise
from ..bridges import bridging
from ..error_rates import Worlds, of_pairs
from ..language_pairs import PERMUTED, PLANTED, SHUFFLED, TRAINED, LanguagePair, Pair, spread, standardised
from ..rules import Evidence
from ..simulated_pairs import Simulation, plant_shared_coordinates
from ..study import RAW, Measured, Study, Values, baselines, draw, excesses, judge, require, seed_spread

CLAIM = "conjecture_7_dimension"
_MOST_COMPONENTS = 24


@dataclass(frozen=True)
class DimensionResult:
    """dim Z of every language and the anchor, layer by layer.

    curves : language, subject, layer, shared_variance (held out), dimension, first_correlation and first_null
        (its 95 % quantile under no association; both in the sample), and of the trained model the range low,
        high of the dimension over halves of the scenarios.
    n_components : p, to which both languages were reduced.
    evidence : of `CLAIM`, one per language.
    seed_spread : standard deviation of the shared variance over random-weight baselines.
    """

    curves: pd.DataFrame
    n_components: int
    evidence: list[Evidence]
    seed_spread: float


def dimension_by_layer(
    pairs: Mapping[str, LanguagePair],
    *,
    rng: np.random.Generator,
    n_permutations: int = 99,
    n_halves: int = 20,
) -> DimensionResult:
    """Curves and evidence of every language, of components as it allows; errors as `study.require`."""
    require(CLAIM, pairs)
    curves, measured, evidence = [], [], []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        drawing, judging, halving, planting = stream.spawn(4)
        judged = _judged(pair, judging, planting)
        evidence.append(judged.evidence)
        measured.append(judged.measured)
        tested = exchangeable(pair)
        options = {"groups": pair.scenario[tested], "n_permutations": n_permutations}
        streams = drawing.spawn(len(judged.subjects))
        for (name, both), one in zip(judged.subjects.items(), streams, strict=True):
            x, y = (s[:, tested] for s in both)
            found = dimension.dimension_profile(x, y, rng=one, **options)
            curves.append(_curve(pair.language, name, judged.held_out[name], found))
            if name == TRAINED:
                curves[-1] = curves[-1].assign(**_range(x, y, halving, n_halves, options))
    spread = seed_spread(measured, _number)
    return DimensionResult(pd.concat(curves, ignore_index=True), judged.n_components, evidence, spread)


def judge_pair(pair: LanguagePair, *, rng: np.random.Generator) -> Evidence:
    """The verdict's evidence of one language, without the curves that a notebook shows; errors as there."""
    require(CLAIM, {pair.language: pair})
    _, judging, _, planting = rng.spawn(4)
    return _judged(pair, judging, planting).evidence


@dataclass(frozen=True)
class _Judged:
    """Evidence of one language, and by subject what it rests on: scores, their moments and the values."""

    evidence: Evidence
    n_components: int
    subjects: dict[str, Pair]
    held_out: dict[str, "SharedVariance"]
    measured: dict[str, Values]


def _judged(pair: LanguagePair, judging: np.random.Generator, planting: np.random.Generator) -> _Judged:
    draws = draw(pair, rng=judging.spawn(1)[0])
    p = components_for(pair)
    looked_at = with_planted(pair, rng=planting)
    subjects, raw = (scores(one, p) for one in (standardised(looked_at), looked_at))
    held_out = {name: shared_variance(pair, *one) for name, one in subjects.items()}
    measured = {name: variance_values(one, draws) for name, one in held_out.items()}
    evidence = judge(STUDY, pair, measured, draws, {RAW: values_of(pair, raw, draws)})
    return _Judged(evidence, p, subjects, held_out, measured)


def with_planted(pair: LanguagePair, *, rng: np.random.Generator) -> LanguagePair:
    """The pair with the subjects that are judged here, and dimensions planted into its shuffled states."""
    names = (TRAINED, *pair.random_baselines, PERMUTED, SHUFFLED, *pair.re_rounded)
    states = {name: pair.subjects[name] for name in names if name in pair.subjects}
    if SHUFFLED in states:
        states[PLANTED] = plant_dimensions(states[SHUFFLED], pair.scenario, rng=rng)
    return replace(pair, subjects=states)


def scores(pair: LanguagePair, n_components: int) -> dict[str, Pair]:
    """`reduced` states of every subject."""
    return {name: reduced(pair, states, n_components) for name, states in pair.subjects.items()}


def values_of(pair: LanguagePair, subjects: Mapping[str, Pair], draws: GroupDraws) -> dict[str, Values]:
    """`variance_values` of every subject's scores."""
    return {name: variance_values(shared_variance(pair, *one), draws) for name, one in subjects.items()}


def dimension_table(curves: pd.DataFrame) -> pd.DataFrame:
    """Dimension of the trained model and its range over halves of the scenarios: one row per layer."""
    trained = curves[curves["subject"] == TRAINED]
    numbers = trained[["dimension", "low", "high"]].astype(int).astype(str)
    words = numbers["dimension"] + " [" + numbers["low"] + ", " + numbers["high"] + "]"
    table = trained[["layer", "language"]].assign(words=words)
    columns = list(dict.fromkeys(table["language"]))
    return table.pivot(index="layer", columns="language", values="words")[columns]


def components_for(pair: LanguagePair) -> int:
    """Components that a pair allows: four discovery items and four confirmation scenarios each.

    2 to 24, at most as many as the states have dimensions, and half as many as items in either half of those
    that the test takes; the dimension is at most as many. With fewer scenarios per component the sequential
    test finds too many dimensions where some are shared. Raises ParameterError below eight discovery items.
    """
    n_items = pair.n_different(pair.discovery)
    bridging.components_allowed(n_items)
    scenarios, tested = np.unique(pair.scenario[pair.confirmation]), exchangeable(pair)
    n_tested = len(np.unique(pair.scenario[tested]))
    half = n_tested // 2 * (tested.sum() // n_tested)
    by_scenario = max(2, len(scenarios) // 4)
    width = pair.subjects[TRAINED][0].shape[-1]
    return min(_MOST_COMPONENTS, width, n_items // bridging.ITEMS_A_COMPONENT, by_scenario, (half - 1) // 2)


def sizes(pairs: Mapping[str, LanguagePair]) -> pd.DataFrame:
    """Items and scenarios, how many of them are judged, and components they allow: one row per language."""
    rows = {
        language: {
            "items": len(pair.scenario),
            "scenarios": len(np.unique(pair.scenario)),
            "confirmation items": int(pair.confirmation.sum()),
            "confirmation scenarios": len(np.unique(pair.scenario[pair.confirmation])),
            "components": components_for(pair),
        }
        for language, pair in pairs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("language")


def exchangeable(pair: LanguagePair) -> np.ndarray:
    """(n,) bool, the confirmation items that the sequential test takes: equally many of every scenario."""
    tested = pair.confirmation.copy()
    tested[tested] = dimension.equal_groups(pair.scenario[tested])
    return tested


def reduced(pair: LanguagePair, states: Pair, n_components: int) -> Pair:
    """Scores (L+1, n, p) of both languages on the principal components of their discovery items."""
    return tuple(bridges.principal_components(s, pair.discovery, n_components) for s in states)


def shared_variance(pair: LanguagePair, x: np.ndarray, y: np.ndarray) -> "SharedVariance":
    """Moments, scenario by scenario, of the discovery items' canonical variates on confirmation items."""
    train, test = pair.discovery, pair.confirmation
    axes = canonical_axes(x[:, train], y[:, train])
    u, v = (s[:, test] @ a for s, a in zip((x, y), axes, strict=True))
    codes = group_codes(pair.scenario[test], int(test.sum()))
    members = np.eye(codes.max() + 1)[codes]
    moments = np.stack([np.ones_like(u), u, v, u * u, v * v, u * v])
    return SharedVariance(moments.swapaxes(-1, -2) @ members, codes)


@dataclass(frozen=True)
class SharedVariance:
    """Sums of 1, u, v, u^2, v^2, uv, (6, L+1, p, scenarios), and the scenario (n,) of each item."""

    sums: np.ndarray
    scenario: np.ndarray

    def by_layer(self, weights: np.ndarray) -> np.ndarray:
        """Shared variance (..., L+1) with scenarios weighted by `weights` (..., scenarios)."""
        n, u, v, uu, vv, uv = np.moveaxis(np.tensordot(weights, self.sums, (-1, -1)), -3, 0)
        r = (uv - u * v / n) / np.sqrt((uu - u * u / n) * (vv - v * v / n))
        return (np.clip(r, 0, None) ** 2).sum(-1)


def plant_dimensions(
    pair: Pair, scenario: np.ndarray, *, rng: np.random.Generator, n_shared: int = 3, strength: float = 1.0
) -> Pair:
    """Add to both languages the same coordinates in directions of their own, the same ones at every layer.

    A coordinate has half its variance between scenarios and half within, and is `strength` spreads of its
    layer long in each direction.
    """
    between, within, turning = rng.spawn(3)
    names, index = np.unique(scenario, return_inverse=True)
    coordinates = between.standard_normal((len(names), n_shared))[index]
    coordinates = np.sqrt(0.5) * (coordinates + within.standard_normal(coordinates.shape))
    planted = []
    for s, one in zip(pair, turning.spawn(2), strict=True):
        s = np.asarray(s, float)
        directions = np.linalg.qr(one.standard_normal((s.shape[-1], n_shared)))[0].T
        planted.append(s + strength * spread(s) * (coordinates @ directions))
    return tuple(planted)


def variance_values(found: SharedVariance, draws: GroupDraws) -> Values:
    """Shared variance, averaged over the inner layers."""
    one, many = (bridging.mean_inner(found.by_layer(w)) for w in (draws.everyone, draws.weights))
    return Values(np.array([one]), many[None], draws.n_groups)


def excess_statistics(measured: Mapping[str, Values], subject: str, draws: GroupDraws) -> dict[str, Interval]:
    """Excess of the shared variance over every kind of control."""
    over = baselines(measured, subject, (PERMUTED, SHUFFLED))
    return excesses(measured, subject, over, ("shared",))


STUDY = Study(CLAIM, excess_statistics)


def _measure(pair: LanguagePair, draws: GroupDraws, rng: np.random.Generator, raw: bool) -> list[Measured]:
    looked_at, p = with_planted(pair, rng=rng), components_for(pair)
    measures = [standardised(looked_at), looked_at] if raw else [standardised(looked_at)]
    return [values_of(pair, scores(one, p), draws) for one in measures]


def _number(found: Values) -> float:
    return float(found.estimate[0])


SIMULATION = Simulation(
    STUDY, plant_shared_coordinates, _measure, _number, ("random", PERMUTED, SHUFFLED), base=0.1
)


def worlds(pairs: Mapping[str, LanguagePair], result: DimensionResult) -> Worlds:
    """Simulated pairs like those of a run, with coordinates that the languages share more or less."""
    return of_pairs(SIMULATION, pairs, result.seed_spread)


def all_pairs(
    pairs: Mapping[str, LanguagePair], anchor: str, *, rng: np.random.Generator, n_permutations: int = 99
) -> pd.DataFrame:
    """All pairs of languages: first, second, dimension (mean over inner layers), most (at any layer)."""
    pair = next(iter(pairs.values()))
    states = bridging.by_language(pairs, anchor, TRAINED)
    p, tested = components_for(pair), exchangeable(pair)
    scaled = (standardise(s, pair.discovery) for s in states.values())
    reduced_states = [bridges.principal_components(s, pair.discovery, p)[:, tested] for s in scaled]
    options = {"groups": pair.scenario[tested], "n_permutations": n_permutations}
    found = dimension.pairwise_dimensions(reduced_states, rng=rng, **options)
    first, second = np.array(list(states))[found.pairs].T
    numbers = {"dimension": bridging.mean_inner(found.dimension), "most": found.dimension.max(1)}
    return pd.DataFrame({"first": first, "second": second, **numbers})


def by_components(pairs: Mapping[str, LanguagePair], counts: Sequence[int]) -> pd.DataFrame:
    """Shared variance, mean over inner layers, with more components: one row per language and count.

    Of the trained model, of a shuffled pairing if there is one, and of the trained model with dimensions as
    they are; NaN for more components than the discovery items can be fitted with.
    """
    rows = {}
    for language, pair in pairs.items():
        scaled = standardised(pair).subjects
        subjects = {name: scaled[name] for name in (TRAINED, SHUFFLED) if name in scaled}
        subjects[f"trained, {RAW}"] = pair.subjects[TRAINED]
        allowed = min((pair.n_different(pair.discovery) - 1) // 2, pair.subjects[TRAINED][0].shape[-1])
        for p in counts:
            if p > allowed:
                rows[language, p] = dict.fromkeys(subjects, np.nan)
                continue
            found = {name: shared_variance(pair, *reduced(pair, one, p)) for name, one in subjects.items()}
            rows[language, p] = {
                name: bridging.mean_inner(one.by_layer(np.ones(one.sums.shape[-1])))
                for name, one in found.items()
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["language", "components"])


def _curve(language: str, subject: str, held_out: SharedVariance, found) -> pd.DataFrame:
    columns = {
        "layer": np.arange(len(found.dimension)),
        "shared_variance": held_out.by_layer(np.ones(held_out.sums.shape[-1])),
        "dimension": found.dimension,
        "first_correlation": found.canonical_correlations[:, 0],
        "first_null": found.null_band[:, 0],
    }
    return pd.DataFrame({"language": language, "subject": subject, **columns})


def _range(x, y, rng: np.random.Generator, n_halves: int, options: dict) -> dict[str, list[int]]:
    with warnings.catch_warnings():
        # halves have few scenarios per component: said in the figure, where the range is read
        warnings.simplefilter("ignore", UserWarning)
        found = [
            dimension.subsample_dimensions(a, b, rng=stream, n_subsamples=n_halves, **options)
            for a, b, stream in zip(x, y, rng.spawn(len(x)), strict=True)
        ]
    return {side: [getattr(one, side) for one in found] for side in ("low", "high")}

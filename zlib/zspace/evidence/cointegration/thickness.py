"""Conjecture 7: can the speed at which languages "adjust" be measured at all?

The note reads a ratio of two speeds as how thick the wrapper of a language is, beside kappa of its bridge.
The two forward passes do not interact, so a nonzero speed is expected by construction. Only the *excess* of
the log ratio of two languages' speeds over that of shuffled pairs could be interpreted, and only where it is
the same on other problems: a measure that does not agree with itself says nothing of anything else. So this
is what the rule asks: do the excesses of one half of the scenarios correlate with those of the other, over
all pairs of languages?

An excess changes its sign with the order of a pair, so that the correlation is about zero: sum of products
over the root of the sums of squares. Its interval is the jackknife's over languages, as in prediction 6.
"""

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...measures.components import depth_components, shared_series
from ...measures.resampling import Interval
from ...series import cointegration
from ..bridges import bridging
from ..bridges.bridging import PERMUTED_LANGUAGES
from ..error_rates import Size, Worlds, correlations_in_words
from ..language_pairs import PLANTED, TRAINED, LanguagePair
from ..rules import Control, Evidence

CLAIM = "conjecture_7_thickness"
HALVES = ("log_ratio_excess", "log_ratio_excess_other")  # B and A
# of a half's excesses: what is added to them in the planted control, in units of their root mean square
_PLANTED_NOISE = 0.3
_WORLD_REPEATS = {"true": 0.95, "false": 0.1, "null": 0.5, "modest": 0.8}


@dataclass(frozen=True)
class ThicknessResult:
    """Speeds of all pairs of languages, from both halves of the scenarios.

    pairs : subject, first, second, log_ratio (of the first's speed to the second's), log_ratio_excess, low,
        high
        (its 95 % limits by scenario; infinite where a speed may be 0; all half B), log_ratio_excess_other
        (half A).
    repeats : subject, r, low, high: correlation of the excesses of both halves; empty with too few languages.
    beside_kappa : language, ratio (of its speed to the anchor's), ratio_excess (beyond shuffled pairs) and
        kappa of
        the bridge from the anchor (NaN without further languages), trained model.
    evidence : of `CLAIM`.
    """

    pairs: pd.DataFrame
    repeats: pd.DataFrame
    beside_kappa: pd.DataFrame
    evidence: Evidence


def adjustment_speeds(
    pairs: Mapping[str, LanguagePair],
    anchor: str,
    *,
    rng: np.random.Generator,
    subjects=(TRAINED,),
    n_components: int = 1,
    n_shuffles: int = 99,
) -> ThicknessResult:
    """Speeds over all pairs of languages, for the model and further subjects, where they are there.

    With fewer than `bridging.MIN_LANGUAGES` languages they are measured and the evidence is unavailable.
    Raises ParameterError with too few scenarios for four parts.
    """
    splitting, measuring, judging = rng.spawn(3)
    scenario = next(iter(pairs.values())).scenario
    parts = bridging.quarters(scenario, splitting)
    there = [name for name in subjects if all(name in pair.subjects for pair in pairs.values())]
    states = {name: bridging.by_language(pairs, anchor, name) for name in there}
    options = {"n_components": n_components, "n_shuffles": n_shuffles}
    streams = measuring.spawn(len(states))
    tables = {
        name: measure_pairs(one, parts, scenario, rng=stream, **options)
        for (name, one), stream in zip(states.items(), streams, strict=True)
    }
    table = pd.concat([table.assign(subject=name) for name, table in tables.items()], ignore_index=True)
    beside = _beside_kappa(tables[TRAINED], states[TRAINED], anchor, parts)
    languages = tuple(states[TRAINED])
    if reason := bridging.too_few(len(languages)):
        unavailable = Evidence(unavailable=reason, n_items=len(scenario))
        return ThicknessResult(table, repeat_table({}), beside, unavailable)
    found = repeats(tables, languages, judging)
    return ThicknessResult(table, repeat_table(found), beside, repeat_evidence(found, len(scenario)))


def repeats(
    tables: Mapping[str, pd.DataFrame], languages: tuple[str, ...], rng: np.random.Generator
) -> dict[str, Interval]:
    """How far the excesses of both halves agree, by subject and for the controls.

    Controls are made of the trained model's half B: the same with noise, which must agree with it (there are
    languages enough to tell), and half A with every language's name moved on by one, which must not.
    """
    planting, *streams = rng.spawn(len(tables) + 3)
    halves = {name: [_antisymmetric(t, languages, column) for column in HALVES] for name, t in tables.items()}
    b, a = halves[TRAINED]
    noise = np.triu(planting.standard_normal(b.shape), 1)
    halves[PLANTED] = [b, b + _PLANTED_NOISE * _size(b) * (noise - noise.T)]
    halves[PERMUTED_LANGUAGES] = [b, np.roll(a, 1, axis=(0, 1))]
    return {
        name: _agreement(*two, stream) for (name, two), stream in zip(halves.items(), streams, strict=True)
    }


def repeat_table(found: Mapping[str, Interval]) -> pd.DataFrame:
    """`ThicknessResult.repeats`."""
    rows = [(name, one.estimate, one.low, one.high) for name, one in found.items()]
    return pd.DataFrame(rows, columns=["subject", "r", "low", "high"])


def repeat_evidence(found: Mapping[str, Interval], n_items: int | None = None) -> Evidence:
    """Evidence from the agreement of the model's halves and of the controls'."""
    kinds = {PLANTED: "positive", PERMUTED_LANGUAGES: "negative"}
    controls = tuple(Control(name, kind, {"speeds_repeat": found[name]}) for name, kind in kinds.items())
    return Evidence(statistics={"speeds_repeat": found[TRAINED]}, controls=controls, n_items=n_items)


def measure_pairs(
    states: Mapping[str, np.ndarray],
    parts: tuple[np.ndarray, ...],
    scenario: np.ndarray,
    *,
    rng: np.random.Generator,
    **options,
) -> pd.DataFrame:
    """Speeds on both halves, one row per pair; columns as in `ThicknessResult.pairs`.

    The larger quarters come first and are half B. Components of a half are fitted to the other.

    states : language -> (L+1, n, d).  parts : four (n,) masks over whole scenarios, disjoint.
    """
    b, a = parts[0] | parts[1], parts[2] | parts[3]
    speeds, others = (
        adjustment_table(states, two, scenario, rng=stream, **options)
        for two, stream in zip(((a, b), (b, a)), rng.spawn(2), strict=True)
    )
    return speeds.assign(log_ratio_excess_other=others["log_ratio_excess"])


def adjustment_table(
    states: Mapping[str, np.ndarray],
    parts: tuple[np.ndarray, np.ndarray],
    scenario: np.ndarray,
    *,
    rng: np.random.Generator,
    n_components: int = 1,
    n_shuffles: int = 99,
) -> pd.DataFrame:
    """Ratio of the speeds of every two languages: first, second, log_ratio, log_ratio_excess, low, high.

    Components are fitted to the first of two parts and speeds measured on the second.

    states : language -> (L+1, n, d).  parts : two (n,) masks over whole scenarios, disjoint.
    """
    train, test = parts
    n_axes = bridging.components_allowed(int(train.sum()))
    scores = {k: depth_components(s, train, n_axes) for k, s in states.items()}
    couples = list(itertools.combinations(states, 2))
    rows = []
    for couple, stream in zip(couples, rng.spawn(len(couples)), strict=True):
        h1, h2 = shared_series(*(scores[k] for k in couple), train, n_components)
        with warnings.catch_warnings():
            # of few groups, which the interval says as well
            warnings.simplefilter("ignore", UserWarning)
            found = cointegration.shuffled_adjustment(
                h1[test], h2[test], groups=scenario[test], rng=stream, n_shuffles=n_shuffles
            )
        rows.append((*couple, np.log(found.ratio), found.log_ratio_excess, found.low, found.high))
    columns = ["first", "second", "log_ratio", "log_ratio_excess", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def worlds(size: Size) -> Worlds:
    """Excesses of as many languages whose halves agree as `_WORLD_REPEATS` says.

    What is true of a pair, and the error of a half, are each half a difference of two languages and half the
    pair's own. The numbers of scenarios enter by the agreement that they allow, which is what is judged.
    """
    names = tuple(f"language {i}" for i in range(size.n_languages))

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        if reason := bridging.too_few(size.n_languages):
            return Evidence("simulated", unavailable=reason)
        drawing, judging = rng.spawn(2)
        table = simulated_table(_WORLD_REPEATS[world], names, drawing)
        return repeat_evidence(repeats({TRAINED: table}, names, judging))

    effects = correlations_in_words("r", _WORLD_REPEATS.get)
    return Worlds(CLAIM, lambda rng: simulate, {"n_languages": size.n_languages}, effects)


def simulated_table(agreement: float, names: tuple[str, ...], rng: np.random.Generator) -> pd.DataFrame:
    """Pairs of names with the excesses of two halves that correlate by `agreement`."""
    n = len(names)
    first, second = np.triu_indices(n, 1)
    true, *errors = (
        (one[first] - one[second]) / np.sqrt(2) + of_pair[first, second]
        for one, of_pair in (
            (stream.standard_normal(n), stream.standard_normal((n, n))) for stream in rng.spawn(3)
        )
    )
    halves = (np.sqrt(agreement) * true + np.sqrt(1 - agreement) * error for error in errors)
    table = pd.DataFrame(itertools.combinations(names, 2), columns=["first", "second"])
    return table.assign(**dict(zip(HALVES, halves, strict=True)))


def _agreement(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> Interval:
    """Correlation about zero of two antisymmetric matrices (K, K), jackknife over languages."""
    found = bridging.jackknife(lambda a, b: float(a @ b / np.sqrt((a @ a) * (b @ b))), (a, b), rng)
    # within what correlations can be
    return replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))


def _antisymmetric(table: pd.DataFrame, languages: tuple[str, ...], column: str) -> np.ndarray:
    """(K, K) of a column whose sign changes with the order of a pair."""
    first, second = (pd.Index(languages).get_indexer(table[side]) for side in ("first", "second"))
    matrix = np.zeros((len(languages), len(languages)))
    matrix[first, second], matrix[second, first] = table[column], -table[column]
    return matrix


def _size(matrix: np.ndarray) -> float:
    """Root mean square over pairs."""
    return float(np.sqrt((matrix[np.triu_indices(len(matrix), 1)] ** 2).mean()))


def _beside_kappa(
    speeds: pd.DataFrame, states: Mapping[str, np.ndarray], anchor: str, parts: tuple[np.ndarray, ...]
) -> pd.DataFrame:
    """`ThicknessResult.beside_kappa`; speeds of half B, kappa over both halves."""
    rows = speeds[speeds["first"] == anchor].set_index("second")
    table = pd.DataFrame(
        {"ratio": np.exp(-rows["log_ratio"]), "ratio_excess": np.exp(-rows["log_ratio_excess"])}
    )
    table["kappa"] = np.nan
    if len(states) > 2:
        bridged = bridging.pair_table([*states], *bridging.both_halves(states, parts))
        of_anchor = bridged[bridged["first"] == anchor].set_index("second")
        table["kappa"] = np.exp(of_anchor[["log_kappa", "log_kappa_other"]].mean(axis=1))
    return table.rename_axis("language").reset_index()

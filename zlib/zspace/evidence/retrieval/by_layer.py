"""Prediction 1: does the nearest neighbour in the other language come from the same scenario?

Accuracy by layer of every subject, its excess over every kind of control ("aligned at all?") and over the
subject's own layer 0 and embeddings ("do the blocks add to it?"). Layers and pairs of layers are
chosen on the discovery third; intervals come from the confirmation items, resampled by scenario.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ...errors import MeasureError
from ...measures import alignment
from ...measures.resampling import GroupDraws, Interval, holm, permutation_max, stratified_permutations
from ...measures.text_baselines import lexical_outcomes, ngram_outcomes
from ...sources.models import kind_of
from .. import language_pairs
from ..error_rates import Worlds, of_pairs
from ..language_pairs import PERMUTED, RANDOM_BLOCKS, TRAINED, LanguagePair, standardised
from ..rules import Evidence
from ..simulated_pairs import Simulation, plant_content
from ..study import (
    RAW,
    STANDARDISED,
    Measured,
    Study,
    baselines,
    compare_choices,
    draw,
    excess_of_means,
    judge,
    present,
    seed_spread,
)

ALIGNED, RISES = "prediction_1_aligned", "prediction_1_rises"
SURFACE, SPELLING = "surface overlap", "shared spelling"
FIRST = "layer 0"  # of the subject itself
CKA = "linear CKA, debiased, at its best layer"
CKA_NULL = "the same with scenarios permuted, 95 % level"


@dataclass(frozen=True)
class RetrievalResult:
    """Retrieval by layer, of all subjects and languages.

    curves : language, subject, layer, accuracy, low, high (confirmation items; 95 %, by scenario).
    peaks : language, subject, layer (chosen on discovery), accuracy, chance (confirmation items).
    shuffles : language, layer, accuracy, null_high (95 % of stratified shuffles), p_max (max-T over
        layers), p_holm (the smallest of them, Holm over languages); all items, trained model.
    evidence : claim id -> one Evidence per language.
    seed_spread : standard deviation of accuracy at the peak over random-weight baselines.
    """

    curves: pd.DataFrame
    peaks: pd.DataFrame
    shuffles: pd.DataFrame
    evidence: Mapping[str, list[Evidence]]
    seed_spread: float


def retrieval_by_layer(
    pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator, n_shuffles: int = 499
) -> RetrievalResult:
    """Prediction 1: between-scenario retrieval of every subject, with its evidence.

    The measure is the cosine of centred states whose dimensions are standardised; as they are, a few
    dimensions decide alone (`language_pairs.standardised`): that measure stands beside the verdict.
    """
    curves, peaks, shuffles, numbers = [], [], [], []
    evidence: dict[str, list[Evidence]] = {study.claim: [] for study in STUDIES}
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        intervals, permuted, deciding = stream.spawn(3)
        pair, plain = standardised(pair), pair
        outcomes = retrieval_outcomes(pair)
        draws = draw(pair, rng=deciding)
        curves.append(_curves(pair, outcomes, intervals))
        peaks.append(_peaks(pair, outcomes))
        shuffles.append(stratified_shuffles(pair, permuted, n_shuffles))
        measured, raw = (at_peaks(pair, by) for by in (outcomes, retrieval_outcomes(plain)))
        numbers.append(measured)
        for study in STUDIES:
            evidence[study.claim].append(judge(study, pair, measured, draws, {RAW: raw}))
    table = pd.concat(shuffles, ignore_index=True)
    smallest = table.groupby("language", sort=False)["p_max"].min()
    adjusted = dict(zip(smallest.index, holm(smallest.to_numpy()), strict=True)) if len(smallest) else {}
    table["p_holm"] = table["language"].map(adjusted)
    curves, peaks = (pd.concat(t, ignore_index=True) for t in (curves, peaks))
    return RetrievalResult(curves, peaks, table, evidence, seed_spread(numbers, accuracy_of))


def accuracy_curves(pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator) -> pd.DataFrame:
    """`RetrievalResult.curves` alone, for a look without a verdict."""
    streams = zip(pairs.values(), rng.spawn(len(pairs)), strict=True)
    curves = [_curves(pair, retrieval_outcomes(standardised(pair)), stream) for pair, stream in streams]
    return pd.concat(curves, ignore_index=True)


def retrieval_outcomes(pair: LanguagePair, **options) -> dict[str, np.ndarray]:
    """Subject -> (L+1, 2, n) outcomes on the full pool, centred by the means of the discovery items.

    The baselines from the texts (surface overlap, spelling) have one layer. `options` go to
    `alignment.retrieval_outcomes`.
    """
    options = {"level": "between", "groups": pair.scenario, **options}
    centred = options.pop("center", True)
    found = {
        name: alignment.retrieval_outcomes(x, y, center=pair.means(name) if centred else False, **options)
        for name, (x, y) in pair.subjects.items()
    }
    level = {"groups": options["groups"], "level": options["level"]}
    if pair.tokens is not None:
        found[SURFACE] = lexical_outcomes(*pair.tokens, **level)[None]
    if pair.texts is not None:
        found[SPELLING] = ngram_outcomes(*pair.texts, **level)[None]
    return found


@dataclass(frozen=True)
class PeakAccuracy:
    """Outcomes of the confirmation items, both directions averaged, at layers chosen on the discovery items.

    peak (n,) at the layer of the highest accuracy; first (n,) at layer 0; drop (n,) from the higher to the
    lower of the two layers up to the peak between which accuracy falls most, zero where the peak is layer 0.
    """

    peak: np.ndarray
    first: np.ndarray
    drop: np.ndarray


def accuracy_at_peak(pair: LanguagePair, outcomes: np.ndarray) -> PeakAccuracy:
    """What predictions 1 judge of a subject's outcomes (L+1, 2, n)."""
    layer = peak_layer(pair, outcomes)
    accuracy = outcomes[..., pair.discovery].mean((1, 2))[: layer + 1]
    drops = np.triu(accuracy[:, None] - accuracy[None], 1)
    high, low = np.unravel_index(np.argmax(drops), drops.shape) if layer > 1 else (0, layer)
    confirmed = outcomes.mean(1)[:, pair.confirmation]
    return PeakAccuracy(confirmed[layer], confirmed[0], confirmed[high] - confirmed[low])


def at_peaks(pair: LanguagePair, outcomes: Mapping[str, np.ndarray]) -> dict[str, PeakAccuracy]:
    """`accuracy_at_peak` of every subject."""
    return {name: accuracy_at_peak(pair, found) for name, found in outcomes.items()}


def accuracy_of(found: PeakAccuracy) -> float:
    """Accuracy at the peak."""
    return float(found.peak.mean())


def aligned_statistics(
    measured: Mapping[str, PeakAccuracy], subject: str, draws: GroupDraws
) -> dict[str, Interval]:
    """Retrieval at the peak beyond every kind of control: random weights, permuted embeddings, texts alone.

    A baseline is compared with the other ones and the texts.
    """
    permuted = () if kind_of(subject) in ("random", "random-blocks") else (PERMUTED,)
    others = baselines(measured, subject, (*permuted, SURFACE, SPELLING))
    peaks = {name: measured[name].peak for name in (subject, *others)}
    return {"aligned_excess": excess_of_means(peaks, subject, others, draws, bounds=(-1, 1))}


def aligned_excess(
    pair: LanguagePair, outcomes: Mapping[str, np.ndarray], subject: str, *, rng: np.random.Generator
) -> Interval:
    """`aligned_statistics` of one subject, from the outcomes of all."""
    return aligned_statistics(at_peaks(pair, outcomes), subject, draw(pair, rng=rng))["aligned_excess"]


def rises_statistics(
    measured: Mapping[str, PeakAccuracy], subject: str, draws: GroupDraws
) -> dict[str, Interval]:
    """Retrieval at the peak beyond layer 0 and beyond the embeddings' control, and the drop before it.

    That control is trained embeddings under random blocks for the trained model, and the (other)
    random-weight baselines for subjects whose embeddings or pairing are not the trained ones.
    """
    others = [RANDOM_BLOCKS] if subject == TRAINED else baselines(measured, subject)
    values = {name: measured[name].peak for name in (subject, *others)}
    values[FIRST] = measured[subject].first
    excess = excess_of_means(values, subject, [FIRST, *others], draws, bounds=(-1, 1))
    return {"rise_excess": excess, "largest_drop": draws.mean(measured[subject].drop)}


_UNJUDGED = (RANDOM_BLOCKS, SURFACE, SPELLING)
STUDIES = (
    Study(ALIGNED, aligned_statistics, unjudged=_UNJUDGED),
    Study(RISES, rises_statistics, unjudged=_UNJUDGED, needs=(RANDOM_BLOCKS,)),
)


def _measure(pair: LanguagePair, draws: GroupDraws, rng: np.random.Generator, raw: bool) -> list[Measured]:
    measures = [standardised(pair), pair] if raw else [standardised(pair)]
    return [at_peaks(pair, retrieval_outcomes(one)) for one in measures]


_OVER = {ALIGNED: ("random", PERMUTED), RISES: (RANDOM_BLOCKS,)}
SIMULATIONS = {
    study.claim: Simulation(study, plant_content, _measure, accuracy_of, _OVER[study.claim])
    for study in STUDIES
}


def worlds(claim: str, pairs: Mapping[str, LanguagePair], result: RetrievalResult) -> Worlds:
    """Simulated pairs like those of a run, in which a share of the scenarios is aligned."""
    return of_pairs(SIMULATIONS[claim], pairs, result.seed_spread)


def peak_layer(pair: LanguagePair, outcomes: np.ndarray) -> int:
    """Layer of the highest accuracy on the discovery items."""
    return int(np.argmax(outcomes[..., pair.discovery].mean((1, 2))))


def sensitivity(
    primary: Mapping[str, LanguagePair],
    last: Mapping[str, LanguagePair],
    other: Mapping[str, LanguagePair],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Accuracy of the trained model and of its best control under choices other than the primary one.

    `primary` holds mean-pooled pairs of the primary version, `last` the same pooled at the last token,
    `other` those of the corpus's other version (digits). One row per choice, empty where the corpus does not
    allow it; columns are (language, "trained" or "best control") and the level of chance. Every layer is
    chosen anew on discovery items and scored on the others.

    The last rows have another measure: debiased linear CKA, and its 95 % level for the trained model where
    whole scenarios are permuted (`alignment.cka_by_layer`; drawn from `rng`), which lies above zero.
    """
    raw = primary
    primary, last, other = (
        {language: standardised(pair) for language, pair in pairs.items()} for pairs in (primary, last, other)
    )
    choices = {
        f"primary: mean pooling, centred cosine, between, {STANDARDISED}": (primary, {}),
        RAW: (raw, {}),
        "neither centred nor standardised": (raw, {"center": False}),
        "CSLS, k = 10": (primary, {"score": "csls"}),
        "own translation among all items": (primary, {"level": "item"}),
        "own translation within its scenario": (primary, {"level": "within"}),
        "last token": (last, {}),
        "other version of the numbers": (other, {}),
        "other version, within its scenario": (other, {"level": "within"}),
        "AUC against other scenarios": (primary, None),
    }
    measures = {n: (pairs, partial(_scores, options=options)) for n, (pairs, options) in choices.items()}
    measures |= {CKA: (primary, _cka), CKA_NULL: (primary, partial(_cka_null, rng=rng))}
    table, first = compare_choices(measures, "best control"), next(iter(primary.values()))
    measured = table.notna().any(axis=1)[: len(choices)]
    chance = [
        _chance(first, options) if there else np.nan
        for (_, options), there in zip(choices.values(), measured, strict=True)
    ]
    table.insert(0, ("all", "chance"), [*chance, np.nan, np.nan])
    return table


def _scores(pair: LanguagePair, options: Mapping | None) -> dict[str, float]:
    """Accuracy (AUC without options) at the own peak, of the trained model and of every control."""
    if not pair.has_scenarios and (options or {}).get("level") == "within":
        raise MeasureError("each row is its own scenario.")
    if options is None:
        found = {n: _auc(pair, n) for n in (TRAINED, *pair.random_baselines, *present(pair, PERMUTED))}
    else:
        groups = pair.group if options.get("level") == "within" else pair.scenario
        found = retrieval_outcomes(pair, groups=groups, **options)
    names = [n for n in (TRAINED, *pair.random_baselines, PERMUTED, SURFACE, SPELLING) if n in found]
    return {n: found[n][peak_layer(pair, found[n])][:, pair.confirmation].mean() for n in names}


def _auc(pair: LanguagePair, subject: str) -> np.ndarray:
    x, y = pair.subjects[subject]
    return alignment.retrieval_auc(x, y, center=pair.means(subject), groups=pair.scenario, level="between")


def _cka(pair: LanguagePair) -> dict[str, float]:
    """Debiased CKA of the confirmation items, of the trained model and of every control."""
    names = (TRAINED, *pair.random_baselines, *present(pair, PERMUTED))
    return {name: float(alignment.linear_cka(*_at_highest_cka(pair, name))[0]) for name in names}


def _cka_null(pair: LanguagePair, rng: np.random.Generator) -> dict[str, float]:
    """Level that the trained model's debiased CKA stays below in 95 % of permutations of whole scenarios."""
    x, y = _at_highest_cka(pair, TRAINED)
    groups = pair.scenario[pair.confirmation]
    found = alignment.cka_by_layer(x, y, groups=groups, rng=rng.spawn(1)[0])
    return {TRAINED: float(np.quantile(found.null, 0.95))}


def _at_highest_cka(pair: LanguagePair, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Confirmation items (1, n, d) of both languages at the layer whose CKA is highest on discovery."""
    states = pair.subjects[subject]
    layer = int(np.argmax(alignment.linear_cka(*(s[:, pair.discovery] for s in states))))
    return tuple(s[layer : layer + 1, pair.confirmation] for s in states)


def _chance(pair: LanguagePair, options: Mapping | None) -> float:
    if options is None:
        return 0.5
    level = options.get("level", "between")
    return alignment.chance_level(pair.group if level == "within" else pair.scenario, level)


def _curves(pair: LanguagePair, outcomes: Mapping[str, np.ndarray], rng: np.random.Generator) -> pd.DataFrame:
    tables = []
    for (name, found), stream in zip(outcomes.items(), rng.spawn(len(outcomes)), strict=True):
        interval = draw(pair, rng=stream).mean(found.mean(1)[:, pair.confirmation], bounds=(0, 1))
        columns = {"layer": np.arange(len(found)), "accuracy": interval.estimate}
        columns |= {"low": interval.low, "high": interval.high}
        tables.append(pd.DataFrame({"language": pair.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _peaks(pair: LanguagePair, outcomes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    chance = alignment.chance_level(pair.scenario, "between")
    rows = []
    for name, found in outcomes.items():
        layer = peak_layer(pair, found)
        rows.append((pair.language, name, layer, found[layer][:, pair.confirmation].mean(), chance))
    return pd.DataFrame(rows, columns=["language", "subject", "layer", "accuracy", "chance"])


def stratified_shuffles(pair: LanguagePair, rng: np.random.Generator, n_shuffles: int = 499) -> pd.DataFrame:
    """Max-T over layers against shuffles within strata of length and overlap, on all items.

    Columns as `RetrievalResult.shuffles` (without p_holm); no rows without token ids.
    """
    if pair.tokens is None:
        return pd.DataFrame(columns=["language", "layer", "accuracy", "null_high", "p_max"])
    x, y = pair.subjects[TRAINED]
    strata = language_pairs.length_overlap_strata(pair)
    permutations = stratified_permutations(strata, n_shuffles=n_shuffles, rng=rng)
    options = {"groups": pair.scenario, "level": "between"}
    null = alignment.shuffled_accuracy(x, y, permutations, **options)
    observed = alignment.retrieval_accuracy(x, y, **options)
    columns = {
        "layer": np.arange(len(x)),
        "accuracy": observed,
        "null_high": np.quantile(null, 0.95, axis=0),
        "p_max": permutation_max(observed, null).adjusted,
    }
    return pd.DataFrame({"language": pair.language, **columns})

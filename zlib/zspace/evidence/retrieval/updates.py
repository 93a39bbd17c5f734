"""Prediction 2: are a layer's updates f_k more language-agnostic than the states h_k they are added to?

Measured by the AUC of an item's own translation against the items of other scenarios, so that no
layer has to be chosen; what a random-weight baseline gains in the same way is subtracted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...measures import alignment, subspaces
from ...measures.resampling import GroupDraws, Interval
from ..error_rates import Worlds, of_pairs
from ..language_pairs import PERMUTED, PLANTED, SHUFFLED, TRAINED, LanguagePair, plant_updates
from ..rules import Evidence
from ..simulated_pairs import Simulation, plant_content_of_updates
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
    seed_spread,
)

CLAIM = "prediction_2_update_agnosticism"


@dataclass(frozen=True)
class UpdateResult:
    """AUC of states and updates by layer, and what updates gain.

    curves : language, subject, layer, kind ("state" or "update"), auc (confirmation items).
    gains : language, subject, gain, low, high (mean over inner layers of AUC(f_k) - AUC(h_k)).
    evidence : claim id -> one Evidence per language.
    seed_spread : standard deviation of the gain over random-weight baselines.
    """

    curves: pd.DataFrame
    gains: pd.DataFrame
    evidence: Mapping[str, list[Evidence]]
    seed_spread: float


def update_agnosticism(pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator) -> UpdateResult:
    """Prediction 2: are updates f_k more language-agnostic than states h_k? AUC, between scenarios."""
    curves, gains, evidence, numbers = [], [], [], []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        planting, deciding = stream.spawn(2)
        subjects = update_subjects(pair, planting)
        measured, plain = (auc_of(pair, subjects, standardise=scale) for scale in (True, False))
        found, raw = (gains_of(pair, by) for by in (measured, plain))
        numbers.append(found)
        draws = draw(pair, rng=deciding)
        curves.append(_auc_curves(pair, measured))
        for name, gain in found.items():
            interval = draws.mean(gain)
            gains.append((pair.language, name, interval.estimate, interval.low, interval.high))
        evidence.append(judge(STUDY, pair, found, draws, {RAW: raw}))
    table = pd.DataFrame(gains, columns=["language", "subject", "gain", "low", "high"])
    spread = seed_spread(numbers, np.mean)
    return UpdateResult(pd.concat(curves, ignore_index=True), table, {CLAIM: evidence}, spread)


def auc_of(pair: LanguagePair, subjects: Mapping[str, tuple], *, standardise: bool) -> dict[str, tuple]:
    """`update_auc` of every subject."""
    return {name: update_auc(pair, states, standardise=standardise) for name, states in subjects.items()}


def gains_of(pair: LanguagePair, measured: Mapping[str, tuple]) -> dict[str, np.ndarray]:
    """`update_gain` of every subject on the confirmation items."""
    return {name: update_gain(auc)[pair.confirmation] for name, auc in measured.items()}


def update_subjects(pair: LanguagePair, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Subjects of prediction 2: as the pair's, with a signal planted in the updates instead."""
    names = (TRAINED, *pair.random_baselines, PERMUTED, SHUFFLED, *pair.re_rounded)
    subjects = {name: pair.subjects[name] for name in names if name in pair.subjects}
    if SHUFFLED in subjects:
        subjects[PLANTED] = plant_updates(subjects[SHUFFLED], rng=rng)
    return subjects


def update_auc(
    pair: LanguagePair, states: tuple, *, center: bool = True, standardise: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """AUC per layer and item of states h_k, k = 0..L, and updates f_k, k = 0..L-1, both directions averaged.

    Own translation against the items of other scenarios, centred by the discovery items; each dimension of
    states, and of updates, is divided by its standard deviation unless `standardise` is False.
    """
    measured = []
    for both in (states, tuple(np.diff(np.asarray(s, float), axis=0) for s in states)):
        if standardise:
            both = tuple(subspaces.standardise(s, pair.discovery) for s in both)
        means = tuple(s[:, pair.discovery].mean(1, keepdims=True, dtype=float) for s in both)
        options = {"center": means if center else False, "groups": pair.scenario, "level": "between"}
        measured.append(alignment.retrieval_auc(*both, **options).mean(1))
    return tuple(measured)


def update_gain(auc: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(n,) mean over the inner layers k = 1..L-2 of AUC(f_k) - AUC(h_k) (all layers where L < 4)."""
    states, updates = auc
    return _mean_inner(updates - states[:-1])


def _mean_inner(by_layer: np.ndarray) -> np.ndarray:
    """Mean of L layers (L, n) over the inner ones, over all where L < 4."""
    return (by_layer[1:-1] if len(by_layer) >= 4 else by_layer).mean(0)


def gain_statistics(
    measured: Mapping[str, np.ndarray], subject: str, draws: GroupDraws
) -> dict[str, Interval]:
    """Gain of the updates and its excess over the random-weight baselines."""
    excess = excess_of_means(measured, subject, baselines(measured, subject), draws)
    return {"update_gain": draws.mean(measured[subject]), "update_gain_excess": excess}


STUDY = Study(CLAIM, gain_statistics)


def _measure(pair: LanguagePair, draws: GroupDraws, rng: np.random.Generator, raw: bool) -> list[Measured]:
    subjects = update_subjects(pair, rng)
    return [
        gains_of(pair, auc_of(pair, subjects, standardise=one)) for one in ([True, False] if raw else [True])
    ]


SIMULATION = Simulation(
    STUDY, plant_content_of_updates, _measure, lambda gains: float(gains.mean()), ("random",), base=0.05
)


def worlds(pairs: Mapping[str, LanguagePair], result: UpdateResult) -> Worlds:
    """Simulated pairs like those of a run, whose updates agree in a share of the scenarios."""
    return of_pairs(SIMULATION, pairs, result.seed_spread)


def sensitivity(primary: Mapping[str, LanguagePair], last: Mapping[str, LanguagePair]) -> pd.DataFrame:
    """Gain of the trained model and of its best random-weight baseline under other choices.

    `primary` holds mean-pooled pairs, `last` the same pooled at the last token; confirmation items. Columns
    are (language, "trained" or "best baseline").
    """

    def gain_by(summary, **options) -> Callable[[LanguagePair], dict[str, float]]:
        return lambda pair: {
            name: summary(update_auc(pair, pair.subjects[name], **options))[pair.confirmation].mean()
            for name in (TRAINED, *pair.random_baselines)
        }

    choices = {
        f"primary: mean pooling, inner layers, centred, {STANDARDISED}": (primary, gain_by(update_gain)),
        RAW: (primary, gain_by(update_gain, standardise=False)),
        "neither centred nor standardised": (
            primary,
            gain_by(update_gain, center=False, standardise=False),
        ),
        "AUC of the states themselves, inner layers": (
            primary,
            gain_by(lambda auc: _mean_inner(auc[0][:-1])),
        ),
        "all layers": (primary, gain_by(lambda auc: (auc[1] - auc[0][:-1]).mean(0))),
        "last token, from layer 1": (last, gain_by(update_gain)),
    }
    return compare_choices(choices, "best baseline")


def _auc_curves(pair: LanguagePair, measured: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    tables = []
    for name, both in measured.items():
        for kind, auc in zip(("state", "update"), both, strict=True):
            columns = {"layer": np.arange(len(auc)), "kind": kind, "auc": auc[:, pair.confirmation].mean(1)}
            tables.append(pd.DataFrame({"language": pair.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)

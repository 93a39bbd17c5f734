"""Prediction 2: are a layer's updates f_k more language-agnostic than the states h_k they are added to?

Measured by the AUC of an item's own translation against the items of other scenarios, so that no
layer has to be chosen; what a random-weight twin gains in the same way is subtracted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...measures import alignment, subspaces
from ..language_pairs import PERMUTED, PLANTED, SHUFFLED, TRAINED, Panel, plant_updates
from ..rules import Evidence
from ..study import STANDARDISED, as_evidence, confirmed_interval, judged, present, remarked

CLAIM = "prediction_2_update_agnosticism"


@dataclass(frozen=True)
class UpdateResult:
    """AUC of states and updates by layer, and what updates gain.

    curves : language, subject, layer, kind ("state" or "update"), auc (confirmation items).
    gains : language, subject, gain, low, high (mean over inner layers of AUC(f_k) - AUC(h_k)).
    evidence : claim id -> one Evidence per language.
    """

    curves: pd.DataFrame
    gains: pd.DataFrame
    evidence: Mapping[str, list[Evidence]]


def update_agnosticism(panels: Mapping[str, Panel], *, rng: np.random.Generator) -> UpdateResult:
    """Prediction 2: are updates f_k more language-agnostic than states h_k? AUC, between scenarios."""
    curves, gains, evidence = [], [], []
    for panel, stream in zip(panels.values(), rng.spawn(len(panels)), strict=True):
        planting, deciding, resampling = stream.spawn(3)
        subjects = update_subjects(panel, planting)
        measured, scaled = (
            {name: update_auc(panel, pair, standardise=scale) for name, pair in subjects.items()}
            for scale in (False, True)
        )

        def make(subject: str, rng: np.random.Generator, panel=panel, by=(measured, scaled)) -> Evidence:
            one, other = (
                update_evidence(panel, {**auc, TRAINED: auc[subject]}, rng=r)
                for auc, r in zip(by, rng.spawn(2), strict=True)
            )
            return remarked(CLAIM, one, other, STANDARDISED)

        curves.append(_auc_curves(panel, measured))
        gains.append(_gains(panel, measured, resampling))
        evidence.append(judged(CLAIM, panel, make, rng=deciding))
    tables = (pd.concat(t, ignore_index=True) for t in (curves, gains))
    return UpdateResult(*tables, {CLAIM: evidence})


def update_subjects(panel: Panel, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Subjects of prediction 2: as the panel's, with a signal planted in the updates instead."""
    names = [TRAINED, *panel.twins, *present(panel, PERMUTED), *present(panel, SHUFFLED), *panel.re_rounded]
    subjects = {name: panel.subjects[name] for name in names}
    if SHUFFLED in subjects:
        subjects[PLANTED] = plant_updates(subjects[SHUFFLED], rng=rng)
    return subjects


def update_auc(
    panel: Panel, pair: tuple[np.ndarray, np.ndarray], *, center: bool = True, standardise: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """AUC per layer and item of states h_k, k = 0..L, and updates f_k, k = 0..L-1, both directions averaged.

    Own translation against the items of other scenarios, centred by the discovery items; with `standardise`
    each dimension of states, and of updates, is divided by its standard deviation.
    """
    measured = []
    for x, y in (pair, tuple(np.diff(np.asarray(s, float), axis=0) for s in pair)):
        if standardise:
            x, y = (subspaces.standardise(s, panel.discovery) for s in (x, y))
        means = tuple(s[:, panel.discovery].mean(1, keepdims=True, dtype=float) for s in (x, y))
        auc = alignment.retrieval_auc(
            x, y, center=means if center else False, groups=panel.scenario, level="between"
        )
        measured.append(auc.mean(1))
    return tuple(measured)


def update_gain(auc: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(n,) mean over the inner layers k = 1..L-2 of AUC(f_k) - AUC(h_k) (all layers where L < 4)."""
    states, updates = auc
    inner = slice(1, -1) if len(updates) >= 4 else slice(None)
    return (updates - states[:-1])[inner].mean(0)


def update_evidence(
    panel: Panel, measured: Mapping[str, tuple[np.ndarray, np.ndarray]], *, rng: np.random.Generator
) -> Evidence:
    """Gain of the updates and its excess over the best twin, for the trained model and each control."""
    judging = {name: auc for name, auc in measured.items() if name not in panel.re_rounded}
    gains = {name: update_gain(auc)[panel.confirmation] for name, auc in judging.items()}
    statistics = {}
    for subject, stream in zip(gains, rng.spawn(len(gains)), strict=True):
        best = max((t for t in panel.twins if t != subject), key=lambda t: gains[t].mean())
        first, second = stream.spawn(2)
        excess = confirmed_interval(panel, gains[subject] - gains[best], second)
        statistics[subject] = {
            "update_gain": confirmed_interval(panel, gains[subject], first),
            "update_gain_excess": replace(excess, low_over=best, high_over=best),
        }
    return as_evidence(panel, statistics)


def sensitivity(primary: Mapping[str, Panel], last: Mapping[str, Panel]) -> pd.DataFrame:
    """Gain of the trained model and of its best random twin under other choices, confirmation items.

    `primary` holds mean-pooled panels, `last` the same pooled at the last token. Columns are
    (language, "trained" or "best twin").
    """
    choices = {
        "primary: mean pooling, inner layers, centred": (primary, {}, update_gain),
        "raw vectors": (primary, {"center": False}, update_gain),
        STANDARDISED: (primary, {"standardise": True}, update_gain),
        "AUC of the states themselves, inner layers": (primary, {}, lambda auc: auc[0][1:-2].mean(0)),
        "all layers": (primary, {}, lambda auc: (auc[1] - auc[0][:-1]).mean(0)),
        "last token, from layer 1": (last, {}, update_gain),
    }
    rows = {}
    for name, (panels, options, gain) in choices.items():
        if not panels:
            continue
        rows[name] = {}
        for language, panel in panels.items():
            gains = {
                s: gain(update_auc(panel, panel.subjects[s], **options)) for s in (TRAINED, *panel.twins)
            }
            scores = {s: g[panel.confirmation].mean() for s, g in gains.items()}
            rows[name][language, "trained"] = scores.pop(TRAINED)
            rows[name][language, "best twin"] = max(scores.values(), default=np.nan)
    return pd.DataFrame.from_dict(rows, orient="index")


def _auc_curves(panel: Panel, measured: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    tables = []
    for name, pair in measured.items():
        for kind, auc in zip(("state", "update"), pair, strict=True):
            columns = {"layer": np.arange(len(auc)), "kind": kind, "auc": auc[:, panel.confirmation].mean(1)}
            tables.append(pd.DataFrame({"language": panel.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _gains(panel: Panel, measured: Mapping, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for (name, auc), stream in zip(measured.items(), rng.spawn(len(measured)), strict=True):
        interval = confirmed_interval(panel, update_gain(auc)[panel.confirmation], stream)
        rows.append((panel.language, name, interval.estimate, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["language", "subject", "gain", "low", "high"])

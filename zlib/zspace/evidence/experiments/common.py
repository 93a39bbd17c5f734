"""What every experiment does with a panel: intervals on the confirmation items, controls as evidence."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...measures.resampling import Interval, bootstrap
from ..panels import PLANTED, TRAINED, Panel
from ..rules import Control, Evidence

N_RESAMPLES = 2000


def as_evidence(panel: Panel, statistics: Mapping[str, Mapping[str, Interval]]) -> Evidence:
    """Evidence of one language: statistics of the trained model, and of every other subject as a control."""
    controls = tuple(
        Control(name, "positive" if name == PLANTED else "negative", found)
        for name, found in statistics.items()
        if name != TRAINED
    )
    rows = panel.confirmation
    return Evidence(
        language=panel.language,
        statistics=statistics[TRAINED],
        controls=controls,
        n_items=int(rows.sum()),
        n_scenarios=len(np.unique(panel.scenario[rows])),
    )


def confirmed_interval(panel: Panel, values: np.ndarray, rng: np.random.Generator, bounds=None) -> Interval:
    """Interval of the mean of `values` (..., n over the confirmation items), resampled by scenario."""
    scenario = panel.scenario[panel.confirmation]
    return bootstrap(values, scenario, n_resamples=N_RESAMPLES, rng=rng, bounds=bounds)


def shifted(interval: Interval, control: float) -> Interval:
    """The interval of the excess over a control whose value is fixed."""
    moved = {k: getattr(interval, k) - control for k in ("estimate", "low", "high", "replicates")}
    return replace(interval, **moved)


def present(panel: Panel, name: str) -> list[str]:
    """The name in a list, or an empty list where the panel has no such subject."""
    return [name] if name in panel.subjects else []

"""Conjecture 6, its second half: is a change of regime of a layer's activity an "aha moment"?

The logarithm of what position, token class and surprisal leave of ||f_l||^2 is read as two switching regimes
(`series.regimes`). Whether there are two at all is tested against one autoregression by parametric bootstrap.

Change points are where the more probable regime changes and stays. Their distance to events of the text (the
end of a line, a digit, a sign of arithmetic) is compared with that of circular shifts. The same is done where
the same tokens are copied: an event that draws changes there too is one of the text, not of a thought.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import ConvergenceError
from ...series import regimes
from ...states.generation.recordings import Recordings
from ...states.generation.transcripts import CLASSES
from .solutions import COPYING, adjusted

EVENTS = ("newline", "digit", "operator")


@dataclass(frozen=True)
class TurnsResult:
    """Regimes of the first series of each language, in reasoning and in copying.

    number : condition -> series read, share with two regimes rather than one (p <= .05), share of fits that
        degenerate or do not converge, change points per series.
    events : condition, event, share of change points near one, p.
    """

    number: pd.DataFrame
    events: pd.DataFrame


@dataclass(frozen=True)
class OneTrace:
    """One solution with its regimes: tokens as `pieces` (T,), log y (T,), probability (T,) of the upper
    regime given all steps so far, `volatility` (T,) the filtered log-level of a stochastic volatility,
    `changes` (c,).
    """

    pieces: list[str]
    log_y: np.ndarray
    probability: np.ndarray
    volatility: np.ndarray
    changes: np.ndarray
    label: str


def changes_of_regime(
    recordings: Recordings, layer: int, *, rng: np.random.Generator, n_series: int = 6, n_bootstrap: int = 99
) -> TurnsResult:
    """Number of regimes, and whether their changes lie near events; `n_series` of each language."""
    counts, events = {}, []
    languages = recordings.series["language"].unique()
    left = {language: adjusted(recordings, language, layer) for language in languages}
    for condition, stream in zip(("reasoning", COPYING), rng.spawn(2), strict=True):
        series = [pair for language in languages for pair in left[language][condition][:n_series]]
        streams = stream.spawn(len(series))
        found = [_regimes(np.log(y), n_bootstrap, r) for (_, y), r in zip(series, streams, strict=True)]
        fitted = [
            (classes, changes)
            for (classes, _), (_, changes) in zip(series, found, strict=True)
            if changes is not None
        ]
        counts[condition] = {
            "series": len(series),
            "two regimes": np.mean([p <= 0.05 for p, _ in found]),
            "no sound fit": 1 - len(fitted) / len(series),
            "changes a series": np.mean([changes.size for _, changes in fitted]) if fitted else np.nan,
        }
        for event in EVENTS:
            near = _near(fitted, event, stream.spawn(1)[0])
            events.append({"condition": condition, "event": event, **near})
    return TurnsResult(pd.DataFrame.from_dict(counts, orient="index"), pd.DataFrame(events))


def one_trace(
    recordings: Recordings, layer: int, *, rng: np.random.Generator, language: str, number: int = 0
) -> OneTrace:
    """A solution of one language, `number` in the order of the table, with its filtered regimes.

    Raises ConvergenceError where no fit of two regimes converges.
    """
    fitting, filtering = rng.spawn(2)
    series = recordings.series
    rows = series[(series["language"] == language) & (series["condition"] == "reasoning")]
    tokens = recordings.tokens[recordings.steps(rows.index[number])]
    log_y = np.log(adjusted(recordings, language, layer)["reasoning"][number][1])
    fit = regimes.fit_switching(log_y, rng=fitting)
    model = regimes.fit_stochastic_volatility(log_y).model
    smoothed = regimes.smoothed_probabilities(log_y, fit.params).probabilities[:, 1]
    return OneTrace(
        pieces=[recordings.pieces.get(int(token), "?") for token in tokens],
        log_y=log_y,
        probability=regimes.filtered_probabilities(log_y, fit.params).probabilities[:, 1],
        volatility=regimes.particle_filter(log_y, model, n_particles=2000, rng=filtering).means,
        changes=regimes.change_points(smoothed),
        label=f"{language}, {rows['item'].iloc[number]}",
    )


def _regimes(log_y: np.ndarray, n_bootstrap: int, rng: np.random.Generator):
    """p of two regimes against one, and change points, None where the fit of two is not sound."""
    testing, fitting = rng.spawn(2)
    p = regimes.number_of_regimes(log_y, n_bootstrap=n_bootstrap, rng=testing).pvalue
    try:
        fit = regimes.fit_switching(log_y, n_starts=4, rng=fitting)
    except ConvergenceError:
        fit = None
    if fit is None or fit.degenerate is not None:
        return p, None
    smoothed = regimes.smoothed_probabilities(log_y, fit.params).probabilities[:, 1]
    return p, regimes.change_points(smoothed)


def _near(fitted: list[tuple], event: str, rng: np.random.Generator) -> dict[str, float]:
    changes = [changes for _, changes in fitted]
    happened = [classes == CLASSES.index(event) for classes, _ in fitted]
    if not sum(c.size for c in changes) or not any(e.any() for e in happened):
        return {"share near": np.nan, "p": np.nan}
    test = regimes.event_test(changes, happened, rng=rng)
    return {"share near": test.statistic, "p": test.pvalue}

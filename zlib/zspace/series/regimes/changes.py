r"""Change points: where the more probable regime changes and stays, and whether events are near.

Symbols: `probabilities` (T,) of the upper of two regimes at each generation step; `changes` (c,) int, the
first steps of a new regime; `events` (T,) bool, steps whose token is an event (an answer, a digit, a
newline).

That a regime change is an "aha moment" is a claim about events; here it is a test. Source of the null,
shifts of one of two point patterns around a torus: Lotwick & Silverman (1982), "Methods for Analysing Spatial
Processes of Several Types of Points", Journal of the Royal Statistical Society B 44.
"""

import numpy as np

from ...errors import MeasureError
from ...measures.results import TestResult


def change_points(probabilities, *, minimum_run: int = 8) -> np.ndarray:
    """Steps where the more probable regime changes and stays: (c,) int, the first step of each new regime.

    Runs of one regime (probability above or not above one half) shorter than `minimum_run` steps are passed
    over; so is one that the end of the series cuts short. Two long runs of the same regime with a short one
    between them are one.

    Parameters
    ----------
    probabilities : (T,) of the upper regime, best smoothed; the filter is late.

    Raises
    ------
    MeasureError : wrong shape, values outside [0, 1], or minimum_run below 1.

    Examples
    --------
    >>> change_points([0, 0, 0, 1, 0, 0, 1, 1, 1], minimum_run=2).tolist()
    [6]
    """
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 1 or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise MeasureError(
            f"probabilities have shape {probabilities.shape}; expected (T,) in [0, 1], those of one regime."
        )
    if minimum_run < 1:
        raise MeasureError(f"minimum_run is {minimum_run}; expected at least one step.")
    upper = probabilities > 0.5
    starts = np.flatnonzero(np.r_[True, upper[1:] != upper[:-1]][: upper.size])
    kept = starts[np.diff(np.r_[starts, upper.size]) >= minimum_run]
    return kept[1:][upper[kept[1:]] != upper[kept[:-1]]]


def event_test(
    changes, events, *, window: int = 4, n_shifts: int = 1999, rng: np.random.Generator
) -> TestResult:
    r"""Share of change points within `window` steps of an event, against circular shifts; one-sided.

    Null hypothesis: within a problem, where the sequence of change points begins is independent of the
    events. All change points of a problem are shifted together around the circle of its steps, which keeps
    how either sequence clusters; problems shift independently and are pooled by counting change points.

    The test is exact where change points are stationary. Where both sequences pile up at the same place of
    every problem (answers stand at the end), a shift takes that for coincidence: leave out the last steps,
    or compare with a class of events that has the same profile. One problem of T steps has no p below 1/T.

    Parameters
    ----------
    changes : (c,) int steps, or a list with one such array per problem.
    events : (T,) bool, or a list of the same length.
    window : largest distance, in steps and in both directions, at which an event is near.

    Returns
    -------
    TestResult whose statistic is the share in [0, 1].

    Raises
    ------
    MeasureError : shapes or lengths differ, steps outside the series, no change point or no event at all.
    """
    changes, events = _problems(changes, events, window)
    shares = np.zeros(1 + n_shifts)
    total = sum(c.size for c in changes)
    for steps, happened in zip(changes, events, strict=True):
        hits = _hits_by_shift(steps, happened, window)
        shares[0] += hits[0]
        shares[1:] += hits[rng.integers(happened.size, size=n_shifts)]
    shares /= total
    extreme = int((shares[1:] >= shares[0] - 1e-12).sum())
    return TestResult(
        statistic=float(shares[0]),
        pvalue=(1 + extreme) / (1 + n_shifts),
        null="within a problem, where the sequence of change points begins is independent of the events",
        n_resamples=n_shifts,
    )


def _problems(changes, events, window: int):
    """Lists of int change points and bool events, one per problem, that fit together."""
    if not isinstance(events, (list, tuple)) or np.ndim(events[0]) == 0:
        changes, events = [changes], [events]
    if len(changes) != len(events):
        raise MeasureError(
            f"{len(changes)} lists of change points for {len(events)} of events; expected one each."
        )
    changes = [np.asarray(c) for c in changes]
    events = [np.asarray(e) for e in events]
    for number, (steps, happened) in enumerate(zip(changes, events, strict=True)):
        if happened.ndim != 1 or happened.dtype != bool or happened.size < 2 * window + 2:
            raise MeasureError(
                f"events of problem {number} are {happened.dtype} of shape {happened.shape}; expected bool "
                f"(T,) with T > {2 * window + 1}, the width of the window."
            )
        whole = steps.size == 0 or np.issubdtype(steps.dtype, np.integer)
        if steps.ndim != 1 or not whole or ((steps < 0) | (steps >= happened.size)).any():
            raise MeasureError(
                f"change points of problem {number} must be integer steps in [0, {happened.size}), one "
                f"dimension; found {steps.tolist()}."
            )
    if window < 0 or not sum(c.size for c in changes) or not any(e.any() for e in events):
        raise MeasureError(
            f"window {window} must be at least 0, and there must be a change point and an event to compare; "
            f"found {sum(c.size for c in changes)} and {sum(int(e.sum()) for e in events)}."
        )
    return [c.astype(int) for c in changes], events


def _hits_by_shift(steps: np.ndarray, happened: np.ndarray, window: int) -> np.ndarray:
    """Number of change points near an event after each of the T circular shifts, shift 0 first: (T,)."""
    near = np.zeros_like(happened)
    for lag in range(-window, window + 1):
        near |= np.roll(happened, lag)
    places = np.arange(happened.size)[:, None] + steps
    return near[places % happened.size].sum(1)

r"""Profiles of update energies: what position, token class and surprisal explain, divided out of each series.

A profile that all problems share (updates that shrink along an answer) makes any single series look
clustered. Symbols: `series` list of N arrays y_i (T_i,) > 0, squared norms of the updates of N problems, in
any unit, of unequal lengths; a_i the level of problem i; p_t the profile at position t. All results have mean
1 in each problem.

Sources: Engle & Rangel (2008), "The Spline-GARCH Model", Review of Financial Studies 21 (a multiplicative
deterministic part beside the stochastic one); Santos Silva & Tenreyro (2006), "The Log of Gravity", Review of
Economics and Statistics 88 (first-order conditions of a multiplicative model with two effects).
"""

from collections.abc import Sequence

import numpy as np
import statsmodels.api as sm

from ...errors import ConvergenceError, MeasureError
from .mem import require_series

MIN_PROBLEMS = 10


def remove_position_profile(series: Sequence) -> list[np.ndarray]:
    r"""The series divided by the cross-problem position profile and by their own level: list of (T_i,).

    The conditional mean is :math:`a_i p_t`, by the exponential quasi-likelihood, the one of the MEM: at its
    maximum :math:`u_{it} = y_{it} / (a_i p_t)` has mean 1 in every problem and at every position. A level
    for each problem is needed because only long problems reach the last positions: without it their scale
    would be taken for position. The profile is not smoothed, since a smooth estimate would put its own
    autocorrelated error into all series alike; positions that fewer than ten problems reach share one value
    with the positions after them, until it rests on ten numbers. Clustering that all problems have at the
    same positions is removed too: that is the profile.

    Raises
    ------
    MeasureError : fewer than ten series; one is not positive, or fails `mem.require_series`.
    ConvergenceError : levels and profile do not settle in 1000 rounds.
    """
    series = _require_positive(series)
    lengths = np.array([y.size for y in series])
    y, problem = np.concatenate(series), np.repeat(np.arange(lengths.size), lengths)
    position = _position_bins(lengths)[np.concatenate([np.arange(n) for n in lengths])]
    n_problem, n_position = lengths, np.bincount(position)
    profile = np.ones(n_position.size)
    for _ in range(1000):
        level = np.bincount(problem, y / profile[position]) / n_problem
        step = np.bincount(position, y / (level[problem] * profile[position])) / n_position
        profile = profile * step
        if np.abs(step - 1).max() < 1e-10:
            break
    else:
        raise ConvergenceError(
            f"the profile over {n_position.size} positions of {lengths.size} problems still moves by "
            f"{np.abs(step - 1).max():.1e} after 1000 rounds; leave out problems of extreme length."
        )
    level = np.bincount(problem, y / profile[position]) / n_problem
    return np.split(y / (level[problem] * profile[position]), np.cumsum(lengths)[:-1])


def residualise(series: Sequence, classes: Sequence, surprisal: Sequence) -> list[np.ndarray]:
    """What token class, surprisal and position leave of the series, on their scale: list of (T_i,), mean 1.

    Least squares of log y over the steps of all problems on an intercept per problem, the token's class, its
    surprisal, its position and the logarithm of that; then exp of the residuals over their mean in the
    problem. The coefficients are shared by all problems.

    Parameters
    ----------
    classes : list of (T_i,) labels. surprisal : list of (T_i,), -log probability of each token (nats).

    Raises
    ------
    MeasureError : as `remove_position_profile`; classes or surprisal do not fit the series or are not finite.
    """
    series = _require_positive(series)
    lengths = [y.size for y in series]
    labels, surprise = _joined("classes", classes, lengths), _joined("surprisal", surprisal, lengths)
    surprise = surprise.astype(np.float64)
    if not np.isfinite(surprise).all():
        raise MeasureError("surprisal holds NaN or infinite values; every generated token has a probability.")
    position = np.concatenate([np.arange(1.0, n + 1) for n in lengths])
    dummies = np.unique(labels, return_inverse=True)[1][:, None] == np.arange(1, np.unique(labels).size)
    design = np.column_stack([dummies, surprise, position, np.log(position)])
    # within each problem, all columns about their mean: the same as an intercept per problem (Frisch-Waugh)
    table, ends = np.column_stack([np.log(np.concatenate(series)), design]), np.cumsum(lengths)[:-1]
    about_mean = np.vstack([block - block.mean(0) for block in np.split(table, ends)])
    left = np.exp(sm.OLS(about_mean[:, 0], about_mean[:, 1:]).fit().resid)
    return [block / block.mean() for block in np.split(left, ends)]


def _position_bins(lengths: np.ndarray) -> np.ndarray:
    """Number of the value that each position has in the profile: (max T_i,), from 0 without gaps."""
    reached = (lengths[:, None] > np.arange(lengths.max())).sum(0)
    bins, current, filled = np.empty(reached.size, int), 0, 0
    for t, count in enumerate(reached):
        bins[t] = current
        filled += count
        if filled >= MIN_PROBLEMS:
            current, filled = current + 1, 0
    if filled:  # too little left at the end for a value of its own
        bins[bins == current] = current - 1
    return bins


def _require_positive(series: Sequence) -> list[np.ndarray]:
    if len(series) < MIN_PROBLEMS:
        raise MeasureError(
            f"found {len(series)} series; a profile over problems needs at least {MIN_PROBLEMS}, or it is "
            "the series themselves."
        )
    series = [require_series(y, f"series {i}") for i, y in enumerate(series)]
    for i, y in enumerate(series):
        if not y.all():
            step = int(np.argmin(y))
            raise MeasureError(f"series {i} is 0 at step {step}; a multiplicative profile needs y > 0.")
    return series


def _joined(name: str, lists: Sequence, lengths: list[int]) -> np.ndarray:
    found = [np.shape(x) for x in lists]
    if found != [(n,) for n in lengths]:
        differ = [i for i, (f, n) in enumerate(zip(found, lengths, strict=False)) if f != (n,)]
        where = f"; series {differ[0]} has {lengths[differ[0]]} steps, {found[differ[0]]}" if differ else ""
        raise MeasureError(
            f"{name} has {len(found)} lists for {len(lengths)} series{where}: give one value per step."
        )
    return np.concatenate([np.asarray(x) for x in lists])

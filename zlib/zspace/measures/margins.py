"""Margins: by how much an item's own translation beats the best wrong one, and what difficulty does to it.

Symbols: `margins` (..., n), own minus best wrong score, mean of both directions; the *area* of an item is its
mean margin over layers: large where the item is aligned early and well. Unlike the layer at which an item is
retrieved for the first time, which has as many outcomes as there are layers and is censored for most items,
it is a number for every item, and can be a response.

Source: Bates, Mächler, Bolker & Walker (2015), Journal of Statistical Software 67(1), for mixed models with a
random intercept; statsmodels' `MixedLM` fits them.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..errors import ConvergenceError
from .resampling import stratified_permutations
from .results import TestResult


@dataclass(frozen=True)
class Slope:
    """Change of the area a level of difficulty.

    Attributes
    ----------
    estimate, low, high : slope and its 95 % limits, in standard deviations of an item's area within its
        scenario.
    standard_error : of the slope, same units.  n_groups : number of scenarios.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    n_groups: int


def item_margins(scores, groups) -> np.ndarray:
    """Own score minus the best score among items of other groups, mean of both directions: (..., n).

    Parameters
    ----------
    scores : (..., n, n) as from `alignment.similarity`, rows items of one language, columns of the other.
    groups : (n,) scenario of each item; items of one's own scenario are no wrong candidates.

    Raises
    ------
    ValueError : shapes do not fit, or there is one group only.
    """
    scores, groups = np.asarray(scores, float), np.asarray(groups)
    n = groups.size
    if scores.shape[-2:] != (n, n):
        raise ValueError(f"scores has shape {scores.shape}, expected (..., {n}, {n}): one group an item.")
    other = groups[:, None] != groups
    if not other.any(1).all():
        raise ValueError("all items are of one group: there is no wrong candidate to compare with.")
    own = np.diagonal(scores, axis1=-2, axis2=-1)
    wrong = np.where(other, scores, -np.inf)
    return own - (wrong.max(-1) + wrong.max(-2)) / 2


def difficulty_slope(area, level, groups, *, covariates=None) -> Slope:
    """Slope of the area on difficulty: a linear mixed model with a random intercept a scenario.

    Parameters
    ----------
    area : (n,) mean margin of each item over layers.
    level : (n,) difficulty, a number.
    groups : (n,) scenario.
    covariates : (n,) or (n, p) further fixed effects, such as length; None for none.

    Raises
    ------
    ValueError : shapes, values that are not finite, fewer than 3 scenarios, one level only, covariates that
        repeat the level or each other, or areas that do not vary within scenarios.
    ConvergenceError : the likelihood has no maximum that the optimiser reaches.
    """
    area, level, groups, fixed = _checked(area, level, groups, covariates)
    unit = _within(area, groups).std() * np.sqrt(len(area) / (len(area) - len(np.unique(groups))))
    if not unit > 1e-12 * max(np.abs(area).max(), 1e-300):
        raise ValueError(
            "areas do not vary within scenarios: there is nothing that difficulty could explain."
        )
    from statsmodels.regression.mixed_linear_model import MixedLM
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    design = np.column_stack([np.ones(len(area)), level - level.mean(), *fixed.T])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError("covariates repeat the level or each other; leave out what says the same twice.")
    with warnings.catch_warnings():
        # a variance of scenarios that is estimated as zero is a fit like others: its slope is least squares'
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        found = MixedLM(area / unit, design, groups).fit(reml=True, method=["bfgs", "lbfgs", "powell", "nm"])
    slope, error = float(found.params[1]), float(found.bse[1])
    if not (found.converged and np.isfinite([slope, error]).all() and error > 0):
        raise ConvergenceError(
            f"the mixed model of {len(area)} items in {len(np.unique(groups))} scenarios did not converge "
            f"(slope {slope:.3g}, standard error {error:.3g}); leave out covariates that hardly vary."
        )
    n_groups = len(np.unique(groups))
    half = stats.t.isf(0.025, n_groups - 1) * error
    return Slope(slope, slope - half, slope + half, error, n_groups)


def difficulty_permutation(
    area, level, strata, *, n_shuffles: int = 1999, rng: np.random.Generator
) -> TestResult:
    """Two-sided permutation test of the slope: difficulty exchanged within strata, such as scenarios.

    The statistic is the covariance of area and level within strata.

    Raises
    ------
    ValueError : as `difficulty_slope`; every stratum holds one item.
    """
    area, level, strata, _ = _checked(area, level, strata, None)
    centred = _within(area, strata)
    permutations = stratified_permutations(strata, n_shuffles=n_shuffles, rng=rng)
    null = np.abs(level[permutations] @ centred) / len(area)
    observed = float(level @ centred) / len(area)
    # permutations that give the same covariance differ from it by rounding only
    extreme = int((null >= abs(observed) * (1 - 1e-9)).sum())
    return TestResult(
        statistic=observed,
        pvalue=(1 + extreme) / (1 + n_shuffles),
        null="within strata, difficulty is exchangeable between items",
        n_resamples=n_shuffles,
    )


def _checked(area, level, groups, covariates):
    area, level, groups = np.asarray(area, float), np.asarray(level, float), np.asarray(groups)
    n = area.size
    fixed = np.empty((n, 0)) if covariates is None else np.asarray(covariates, float).reshape(n, -1)
    if area.ndim != 1 or level.shape != (n,) or groups.shape != (n,):
        raise ValueError(
            f"area, level, groups have shapes {area.shape}, {level.shape}, {groups.shape}; expected (n,)."
        )
    if not (np.isfinite(area).all() and np.isfinite(level).all() and np.isfinite(fixed).all()):
        raise ValueError("area, level and covariates must be finite.")
    if len(np.unique(groups)) < 3 or len(np.unique(level)) < 2:
        raise ValueError(
            f"{len(np.unique(groups))} scenarios and {len(np.unique(level))} levels; at least 3 and 2 needed."
        )
    return area, level, groups, fixed


def _within(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values minus the mean of their group."""
    codes = np.unique(groups, return_inverse=True)[1]
    return values - (np.bincount(codes, values) / np.bincount(codes))[codes]

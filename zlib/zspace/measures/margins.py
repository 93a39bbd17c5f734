r"""Margins: by how much an item beats its best wrong candidate, and whether harder items do so later.

Symbols: `scores` (..., n, n) similarities, rows items of one language, columns of the other; margin of an
item, its own score minus the best wrong one, mean of both directions; `area` (n,) the margin averaged over
layers, one number per item that grows the earlier and the more clearly it is aligned (the depth of a single
item has no usable interval: its outcomes are few and bounded); `level` (n,) difficulty; `groups` (n,)
scenario, S groups.

Sources: Laird & Ware (1982), "Random-Effects Models for Longitudinal Data", Biometrics 38; Wooldridge (2010),
"Econometric Analysis of Cross Section and Panel Data", section 10.4 (a random intercept removed by
subtracting part of the group means).
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from ..errors import ConvergenceError, MeasureError
from .alignment import Level, level_codes, wrong_candidates
from .paired import finite, group_codes
from .resampling import TestResult, permutation_max, stratified_permutations


@dataclass(frozen=True)
class DifficultySlope:
    """Change of the margin area per level of difficulty, in a mixed model with an intercept per scenario.

    Attributes
    ----------
    slope, se : standard deviations per level, with standard error; negative where harder items align later.
    interval : (low, high) of 95 %, from Student's t with S - 2 degrees of freedom.
    pvalue : two-sided, of slope 0.
    n_items, n_groups : numbers behind it.
    unit : the standard deviation in the units of the area, pooled within scenarios.
    group_share : estimated share of the scenarios in the variance not explained; 0 is the boundary, where
        the model is least squares without scenarios.
    """

    slope: float
    se: float
    interval: tuple[float, float]
    pvalue: float
    n_items: int
    n_groups: int
    unit: float
    group_share: float


def margins(scores, *, groups=None, level: Level = "item") -> np.ndarray:
    """Own score minus the best wrong one, mean of both directions: (..., n), in the units of the scores.

    Positive means that the item is retrieved, in the mean of both directions. The own score is that with
    the item's translation, at every level; wrong are all other items ("item"), the items of other groups
    ("between"), or the others of the own group ("within").

    Parameters
    ----------
    scores : (..., n, n) as from `alignment.similarity`.
    groups : (n,) labels; needed by the levels "between" and "within".

    Raises
    ------
    MeasureError : scores are not square or not finite, groups do not fit, or an item has no wrong candidate.

    Examples
    --------
    >>> margins([[0.9, 0.5], [0.1, 0.3]]).round(2).tolist()
    [0.6, 0.0]
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim < 2 or scores.shape[-1] != scores.shape[-2] or not np.isfinite(scores).all():
        raise MeasureError(f"scores have shape {scores.shape}; expected finite values (..., n, n).")
    wrong = wrong_candidates(level_codes(groups, level, scores.shape[-1]), level)
    if not wrong.any(1).all():
        raise MeasureError(
            f'item {int((~wrong.any(1)).argmax())} has no wrong candidate at level "{level}"; leave it out, '
            "or use another level."
        )
    others = np.where(wrong, scores, -np.inf)
    own = np.diagonal(scores, axis1=-2, axis2=-1)
    return own - (others.max(-1) + others.max(-2)) / 2


def difficulty_slope(area, level, groups, *, covariates=None) -> DifficultySlope:
    """Slope of the margin area on difficulty, with a random intercept per scenario (REML).

    Null hypothesis of the p-value: given scenario and covariates, the expected area does not depend
    linearly on the level. The unit is the standard deviation of the areas *within* scenarios, pooled, with
    the part that difficulty causes included: how different the scenarios are does not change the slope. The
    model takes the slope as equal in all scenarios; where it varies, the interval is too short.

    Parameters
    ----------
    area : (n,) mean of `margins` over layers. level : (n,) difficulty. groups : (n,) scenario of each item.
    covariates : (n,) or (n, k) further fixed effects (token length, number of quantities), or None.

    Raises
    ------
    MeasureError : shapes differ, values are not finite, the level is constant, fewer than 3 groups, or areas
        that do not vary within groups.
    ConvergenceError : the design is singular, or the optimiser fails or reaches no maximum.
    """
    area, level, codes, covariates = _items(area, level, groups, covariates)
    unit = _spread_within(area, codes)
    design = np.column_stack([np.ones(area.size), level - level.mean(), covariates])
    fit = _fit_mixed_model((area - area.mean()) / unit, design, codes)
    slope, se = float(fit.fe_params[1]), float(fit.bse_fe[1])
    n_groups = int(codes.max()) + 1
    half = float(stats.t.isf((1 - 0.95) / 2, n_groups - 2)) * se
    between = float(fit.cov_re[0, 0])
    return DifficultySlope(
        slope=slope,
        se=se,
        interval=(slope - half, slope + half),
        pvalue=float(2 * stats.t.sf(abs(slope) / se, n_groups - 2)),
        n_items=area.size,
        n_groups=n_groups,
        unit=unit,
        group_share=between / (between + float(fit.scale)),
    )


def difficulty_permutation(
    area, level, groups, strata, *, covariates=None, n_shuffles: int = 1999, rng: np.random.Generator
) -> TestResult:
    """Permutation test of the difficulty slope: the levels are shuffled within strata, two-sided.

    Null hypothesis: within a stratum, the levels are exchangeable between items. The statistic is the
    generalised least-squares slope, with the variance of the scenarios estimated *without* the level, so
    that it is the same for every shuffle and the test is exact; distances are taken from the mean of the
    shuffles, which is not 0 where strata differ in both level and area.

    Parameters
    ----------
    area, level, groups, covariates : as in `difficulty_slope`.
    strata : (n,) labels within which levels may be exchanged, such as classes of length x numbers.
    n_shuffles : number of permutations.

    Returns
    -------
    TestResult whose statistic is the slope, in the unit of `difficulty_slope`.

    Raises
    ------
    MeasureError, ConvergenceError : as in `difficulty_slope` and `resampling.stratified_permutations`; also a
        level that does not vary within any stratum.
    """
    area, level, codes, covariates = _items(area, level, groups, covariates)
    strata = np.asarray(strata)
    if strata.shape != area.shape:
        raise MeasureError(f"strata has shape {strata.shape}, expected {area.shape}: one label per item.")
    outcome = (area - area.mean()) / _spread_within(area, codes)
    fixed = np.column_stack([np.ones(area.size), covariates])
    null_fit = _fit_mixed_model(outcome, fixed, codes)
    ratio = float(null_fit.cov_re[0, 0]) / float(null_fit.scale)
    basis = np.linalg.qr(_whiten(fixed.T, codes, ratio).T)[0]
    left = _whiten(outcome, codes, ratio)
    left = left - basis @ (basis.T @ left)
    permutations = stratified_permutations(strata, n_shuffles=n_shuffles, rng=rng)
    rows = np.vstack([level, level[permutations]])
    if (rows == level).all():
        raise MeasureError("the level is the same for all items of a stratum; use coarser strata.")
    rows = _whiten(rows - level.mean(), codes, ratio)
    rows = rows - (rows @ basis) @ basis.T
    slopes = (rows @ left) / (rows**2).sum(1)
    words = "within strata, the levels of difficulty are exchangeable between items"
    result = permutation_max(slopes[:1], slopes[1:, None], alternative="two-sided", hypothesis=words)
    return replace(result, statistic=float(slopes[0]))


def _items(area, level, groups, covariates):
    """Finite float arrays, group codes, and standardised covariates (n, k)."""
    area, level = np.asarray(area, np.float64), np.asarray(level, np.float64)
    if area.ndim != 1 or level.shape != area.shape:
        raise MeasureError(f"area and level have shapes {area.shape} and {level.shape}; expected twice (n,).")
    table = np.empty((area.size, 0)) if covariates is None else np.asarray(covariates, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != area.size:
        raise MeasureError(
            f"covariates have shape {table.shape}, expected ({area.size},) or ({area.size}, k)."
        )
    for name, values in (("area", area), ("level", level), ("covariates", table)):
        finite(name, values)
    codes = group_codes(groups, area.size)
    if level.size == 0 or np.ptp(level) == 0 or codes.max() < 2:
        raise MeasureError(
            f"found {np.unique(level).size} levels and {np.unique(codes).size} groups; a slope with an "
            "intercept per group needs at least 2 levels and 3 groups."
        )
    spread = table.std(0)
    return area, level, codes, (table - table.mean(0)) / np.where(spread > 0, spread, 1)


def _spread_within(area: np.ndarray, codes: np.ndarray) -> float:
    counts = np.bincount(codes)
    left = area - (np.bincount(codes, area) / counts)[codes]
    squares = float(left @ left)
    if counts.size == area.size or squares <= 1e-24 * float(area @ area):
        raise MeasureError(
            f"the areas of {area.size} items in {counts.size} groups do not vary within groups, so that they "
            "have no unit; pass several items per scenario."
        )
    return float(np.sqrt(squares / (area.size - counts.size)))


def _fit_mixed_model(outcome: np.ndarray, design: np.ndarray, codes: np.ndarray):
    """REML fit with a random intercept per group, or a ConvergenceError that says why there is none."""
    from statsmodels.regression.mixed_linear_model import MixedLM
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    rank = np.linalg.matrix_rank(design)
    if rank < design.shape[1]:
        raise ConvergenceError(
            f"the design is singular: {design.shape[1]} columns (intercept, level, covariates) of rank "
            f"{rank}. Leave out covariates that are constant or determine the level."
        )
    with warnings.catch_warnings():
        # they report attempts; whether the last one succeeded is asked of the result below
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            # one parameter, so a line search: gradient steps stop short of the maximum near its boundary
            fit = MixedLM(outcome, design, groups=codes).fit(reml=True, method="powell")
        except (np.linalg.LinAlgError, ValueError) as error:
            raise ConvergenceError(
                f"the mixed model cannot be fitted: {error}. Check the covariates."
            ) from error
    finite = np.isfinite(fit.bse_fe).all() and fit.scale > 0
    if not fit.converged or not finite:
        why = "the optimiser did not converge" if finite else "the information matrix is singular"
        raise ConvergenceError(
            f"the mixed model of {outcome.size} items in {codes.max() + 1} groups has no usable fit: {why}. "
            "Use fewer covariates or more scenarios."
        )
    return fit


def _whiten(rows: np.ndarray, codes: np.ndarray, ratio: float) -> np.ndarray:
    """Rows (..., n) with part of each group's mean taken off, so that a random intercept is white noise."""
    counts = np.bincount(codes)
    members = np.eye(counts.size)[codes]
    part = 1 - 1 / np.sqrt(1 + counts * ratio)
    return rows - (((rows @ members) / counts) * part) @ members.T

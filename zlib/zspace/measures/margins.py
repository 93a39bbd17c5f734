r"""Margins: by how much an item beats its best wrong candidate, and whether harder items do so later.

Symbols: `scores` (..., n, n) similarities, rows items of one language, columns of the other; margin of an
item, its own score minus the best wrong one, mean of both directions; `area` (n,) the margin averaged over
layers, one number per item that grows the earlier and the more clearly it is aligned (the depth of a single
item has no usable interval: its outcomes are few and bounded); `level` (n,) difficulty; `groups` (n,)
scenario, S groups.

Sources: Frisch & Waugh (1933), Econometrica 1 (covariates and the means of scenarios taken out beforehand);
Ibragimov & Müller (2010), "t-Statistic Based Correlation and Heterogeneity Robust Inference", Journal of
Business & Economic Statistics 28 (a t-test on one estimate per group).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from ..errors import MeasureError
from .alignment import Level, level_codes, wrong_candidates
from .paired import finite, group_codes
from .resampling import TestResult, permutation_max, stratified_permutations


@dataclass(frozen=True)
class DifficultySlope:
    """Change of the margin area per level of difficulty: the mean of the slopes within scenarios.

    Attributes
    ----------
    slope, se : standard deviations per level, with standard error; negative where harder items align later.
    interval : (low, high) of 95 %, from Student's t with S - 1 degrees of freedom.
    pvalue : two-sided, of slope 0.
    n_items, n_groups : items, and scenarios S in which the level varies.
    unit : the standard deviation in the units of the area, pooled within scenarios.
    """

    slope: float
    se: float
    interval: tuple[float, float]
    pvalue: float
    n_items: int
    n_groups: int
    unit: float


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
    r"""Slope of the margin area on difficulty within scenarios, by a t-test on the scenarios' own slopes.

    .. math:: b = \sum_s w_s b_s / \sum_s w_s,\quad
        \mathrm{se}^2 = \tfrac{S}{S-1} \sum_s w_s^2 (b_s - b)^2 / (\sum_s w_s)^2

    with w_s the sum of squares of the level in scenario s; covariates are taken out of both first. Null
    hypothesis of the p-value: scenarios have a mean slope of 0, whatever their own slopes and areas are. The
    unit is the standard deviation of the areas *within* scenarios, pooled, with the part that difficulty
    causes included: how different the scenarios are does not change the slope.

    Parameters
    ----------
    area : (n,) mean of `margins` over layers. level : (n,) difficulty. groups : (n,) scenario of each item.
    covariates : (n,) or (n, k) further fixed effects (token length, number of quantities), or None.

    Raises
    ------
    MeasureError : shapes differ, values are not finite, the level is constant, it varies within fewer than 3
        groups, areas that do not vary within groups, or covariates that determine the level.
    """
    area, level, codes, covariates = _items(area, level, groups, covariates)
    unit = _spread_within(area, codes)
    rest, steps = (_left_over(one, codes, covariates) for one in (area / unit, level))
    weights = np.bincount(codes, steps**2)
    varies = weights > 1e-9 * weights.max()
    n_groups = int(varies.sum())
    if n_groups < 3 or weights.max() <= 1e-9 * level @ level:
        raise MeasureError(
            f"the level varies within {n_groups} groups beyond what covariates determine; a mean of slopes "
            "needs 3 groups. Leave out covariates, or take more scenarios."
        )
    slopes = np.bincount(codes, steps * rest)[varies] / weights[varies]
    share = weights[varies] / weights[varies].sum()
    slope = float(share @ slopes)
    se = float(np.sqrt(n_groups / (n_groups - 1) * (share**2 @ (slopes - slope) ** 2)))
    half = float(stats.t.isf((1 - 0.95) / 2, n_groups - 1)) * se
    return DifficultySlope(
        slope=slope,
        se=se,
        interval=(slope - half, slope + half),
        pvalue=float(2 * stats.t.sf(abs(slope) / se, n_groups - 1)) if se > 0 else float(slope == 0),
        n_items=area.size,
        n_groups=n_groups,
        unit=unit,
    )


def difficulty_permutation(
    area, level, groups, strata, *, covariates=None, n_shuffles: int = 1999, rng: np.random.Generator
) -> TestResult:
    """Permutation test of the difficulty slope: the levels are shuffled within strata, two-sided.

    Null hypothesis: within a stratum, the levels are exchangeable between items. The statistic is the slope
    of `difficulty_slope`, so that the test is exact; distances are taken from the mean of the shuffles, which
    is not 0 where strata differ in both level and area.

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
    MeasureError : as in `difficulty_slope` and `resampling.stratified_permutations`; also a
        level that does not vary within any stratum.
    """
    area, level, codes, covariates = _items(area, level, groups, covariates)
    strata = np.asarray(strata)
    if strata.shape != area.shape:
        raise MeasureError(f"strata has shape {strata.shape}, expected {area.shape}: one label per item.")
    rest = _left_over(area / _spread_within(area, codes), codes, covariates)
    permutations = stratified_permutations(strata, n_shuffles=n_shuffles, rng=rng)
    rows = np.vstack([level, level[permutations]])
    if (rows == level).all():
        raise MeasureError("the level is the same for all items of a stratum; use coarser strata.")
    rows = np.stack([_left_over(row, codes, covariates) for row in rows])
    squares = (rows**2).sum(1)
    slopes = np.divide(rows @ rest, squares, out=np.zeros(len(rows)), where=squares > 0)
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


def _left_over(values: np.ndarray, codes: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Values (n,) without the means of their groups and what covariates (n, k) explain within groups."""
    counts = np.bincount(codes)

    def within(one: np.ndarray) -> np.ndarray:
        return one - (np.bincount(codes, one) / counts)[codes]

    if not covariates.shape[1]:
        return within(values)
    table, left = np.apply_along_axis(within, 0, covariates), within(values)
    return left - table @ np.linalg.lstsq(table, left, rcond=None)[0]

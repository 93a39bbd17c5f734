"""Intervals and tests by resampling whole groups of items.

Symbols: `values` (..., n) one number per item (an outcome, an AUC, a difference of two outcomes),
`groups` (n,) the scenario or near-duplicate group of each item, S groups, B resamples. Items of a
group are never independent, so a group is drawn whole or not at all. An outcome is computed once,
on the full pool, and resampled afterwards: running a retrieval again on a resample meets every
query's own duplicate among the wrong candidates, which lowers the accuracy.

Sources: Davison & Hinkley (1997), "Bootstrap Methods and their Application", sections 2.4 and 4.4;
Hesterberg (2015), The American Statistician 69(4), for the widened percentile interval;
Westfall & Young (1993), "Resampling-Based Multiple Testing", for max-T;
Holm (1979), Scandinavian Journal of Statistics 6, for the step-down adjustment.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import optimize, special, stats
from statsmodels.stats.multitest import multipletests

from ..errors import MeasureError
from .association import mantel as mantel
from .paired import finite, group_codes
from .results import Count as Count
from .results import TestResult as TestResult

_MIN_ARRANGEMENTS = 20  # of the groups in a permutation test
_PART = 1000  # items that an assignment pairs at once: its time grows as their cube


@dataclass(frozen=True)
class Interval:
    """An estimate with its grouped-bootstrap interval; arrays have the shape of the estimate.

    Attributes
    ----------
    estimate, low, high : (...) in the units of the values; low <= estimate <= high.
    replicates : (B, ...) the plain bootstrap replicates, for simultaneous bands and differences.
    confidence : nominal two-sided coverage.
    n_groups : number of groups that were resampled.
    low_over, high_over : of an excess over controls, the control that each limit is over ("" otherwise).
        Where they differ, both limits together are no one interval of coverage `confidence`.
    margin : half the width that more groups would not take away (see `with_error`).
    unit : what a group is, in words.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    replicates: np.ndarray
    confidence: float
    n_groups: int
    low_over: str = ""
    high_over: str = ""
    margin: float = 0.0
    unit: str = "scenarios"


@dataclass(frozen=True)
class GroupDraws:
    """Resamples of whole groups, drawn once: statistics that share them are compared resample by resample.

    Attributes
    ----------
    codes : (n,) group of each item, 0 to S - 1.
    weights : (B, S) how often each group is drawn.
    padded : (B, S + 2) the same with a pseudo-group at either bound, for values with `bounds`.
    """

    codes: np.ndarray
    weights: np.ndarray
    padded: np.ndarray

    @property
    def n_groups(self) -> int:
        """S."""
        return self.weights.shape[1]

    @property
    def everyone(self) -> np.ndarray:
        """(S,) ones: weights under which a statistic is its estimate."""
        return np.ones(self.n_groups)

    def mean(
        self, values, *, bounds: tuple[float, float] | None = None, confidence: float = 0.95
    ) -> Interval:
        """Interval of the mean of `values` (..., n); see `bootstrap` for the method and for `bounds`."""
        values = finite("values", values)
        if bounds is not None and not (values.min() >= bounds[0] and values.max() <= bounds[1]):
            raise MeasureError(
                f"values span [{values.min():.4g}, {values.max():.4g}], outside bounds {bounds}; "
                "differences of outcomes need (-1, 1), unbounded values None."
            )
        if not 0 < confidence < 1:
            raise MeasureError(f"confidence {confidence} must lie in (0, 1).")
        sums, counts = group_sums(values, self.codes)
        estimate = sums.sum(-1) / counts.sum()
        replicates = _ratio(self.weights, sums, counts)
        centre, spread = estimate, replicates
        if bounds is not None:
            sums, counts = _with_pseudo_groups(sums, counts, bounds)
            centre, spread = sums.sum(-1) / counts.sum(), _ratio(self.padded, sums, counts)
        low, high = _widened_percentiles(centre, spread, confidence, self.n_groups)
        if bounds is not None:
            low, high = np.maximum(low, bounds[0]), np.minimum(high, bounds[1])
        low, high = np.minimum(low, estimate), np.maximum(high, estimate)
        return Interval(estimate, low, high, replicates, confidence, self.n_groups)


def draw_groups(groups, n_resamples: int, *, rng: np.random.Generator) -> GroupDraws:
    """Draw whole groups (n,) with replacement. Errors as in `group_weights`."""
    weights = group_weights(groups, n_resamples, rng=rng)
    codes = group_codes(groups, len(groups))
    return GroupDraws(codes, weights, _multinomial(weights.shape[1] + 2, n_resamples, rng))


def bootstrap(
    values,
    groups,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    rng: np.random.Generator,
    bounds: tuple[float, float] | Literal["auto"] | None = "auto",
) -> Interval:
    r"""Interval of the mean over items, by drawing whole groups with replacement.

    The percentile interval of the resampled ratio :math:`\sum w_s v_s / \sum w_s n_s` (sums and
    counts of group s, multinomial weights w) is widened about its centre by
    :math:`t_{S-1}/z \cdot \sqrt{S/(S-1)}`, without which it is too short for few groups. Bounded
    values get two pseudo-groups of half the mean size, one at either bound, so that outcomes which
    are all 0 or all 1 keep an honest width (the idea of Jeffreys' and of Agresti & Min's intervals).

    Simulated coverage of the nominal 95 % interval with 8, 12 and 20 groups, intraclass correlation
    .1 and .4, equal and unequal groups (500 runs each): outcomes of mean .3 to .99, >= .944; paired
    differences of outcomes, >= .960; all-or-nothing groups, >= .916. Without bounds: .91 to .96 for
    means of .3 and .5, down to .22 at a mean of .99 (hence the pseudo-groups).

    Parameters
    ----------
    values : (..., n) one value per item.
    groups : (n,) labels; None takes every item as its own group.
    n_resamples, confidence : size B and nominal two-sided coverage.
    bounds : smallest and largest possible value, (0, 1) for outcomes, (-1, 1) for their
        differences, None for values that do not pile up at a bound (an AUC, say). "auto" is (0, 1)
        for booleans, else None.

    Raises
    ------
    MeasureError : shapes differ, values are not finite or out of bounds, fewer than 2 groups or resamples.
    """
    values = np.asarray(values)
    if isinstance(bounds, str):
        bounds = (0.0, 1.0) if values.dtype == bool else None
    draws = draw_groups(group_codes(groups, values.shape[-1]), n_resamples, rng=rng)
    return draws.mean(values, bounds=bounds, confidence=confidence)


def interval_of(estimate, replicates, n_groups: int, *, confidence: float = 0.95) -> Interval:
    """The widened percentile interval of `bootstrap` for replicates made elsewhere.

    Replicates in which the statistic is undefined (NaN) are left out; where they are more than one in
    twenty the limits are NaN, because the interval would describe another population.

    Parameters
    ----------
    estimate : float. replicates : (B,) from resampling `n_groups` groups.
    """
    replicates = np.asarray(replicates, np.float64)
    estimate, nan = np.float64(estimate), np.float64("nan")
    defined = replicates[np.isfinite(replicates)]
    if not np.isfinite(estimate) or defined.size < 0.95 * replicates.size:
        return Interval(estimate, nan, nan, replicates, confidence, n_groups)
    low, high = _widened_percentiles(estimate, defined, confidence, n_groups)
    return Interval(estimate, min(low, estimate), max(high, estimate), defined, confidence, n_groups)


def with_error(interval: Interval, error: float, df: float) -> Interval:
    r"""The interval of the same scalar estimate with one more error, independent of the groups resampled.

    A limit at distance w from the estimate moves out to :math:`\sqrt{w^2 + (t_{df}\,e)^2}`, e the standard
    error and df its degrees of freedom: recovery of variance estimates, Zou & Donner (2008), "Construction
    of confidence limits about effect measures", Statistics in Medicine 27. Replicates are spread alike.
    """
    if not error > 0:
        return interval
    half = float(stats.t.isf((1 - interval.confidence) / 2, df) * error)
    below, above = interval.estimate - interval.low, interval.high - interval.estimate
    wide_below, wide_above = np.hypot(below, half), np.hypot(above, half)
    off = interval.replicates - interval.estimate
    wider = np.where(off < 0, _times(wide_below, below), _times(wide_above, above))
    return replace(
        interval,
        low=interval.estimate - wide_below,
        high=interval.estimate + wide_above,
        replicates=interval.estimate + wider * off,
        margin=float(np.hypot(interval.margin, half)),
    )


def _times(wide: np.ndarray, narrow: np.ndarray) -> np.ndarray:
    """By how much a distance grew; one where there was none."""
    return wide / narrow if narrow > 0 else np.float64(1.0)


def group_weights(groups, n_resamples: int, *, rng: np.random.Generator) -> np.ndarray:
    """How often each group is drawn in each resample: (B, S) float64 in sorted order of the labels.

    A resample of one group only says nothing about pairs of groups and is drawn again.

    Raises
    ------
    MeasureError : fewer than 2 groups or resamples.
    """
    codes = group_codes(groups, len(groups), least=2)
    if n_resamples < 2:
        raise MeasureError(f"n_resamples {n_resamples} must be >= 2.")
    return _multinomial(int(codes.max()) + 1, n_resamples, rng)


def group_sums(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums (..., S) of values (..., n) over each group, and the sizes (S,) of the groups."""
    members = np.eye(codes.max() + 1)[codes]
    return values @ members, members.sum(0)


def stratified_permutations(strata, *, n_shuffles: int, rng: np.random.Generator) -> np.ndarray:
    """Random permutations of n items that only exchange items of the same stratum.

    Null hypothesis they serve: within a stratum, items are exchangeable.

    Parameters
    ----------
    strata : (n,) labels, such as the scenario, or a class of length x token overlap.

    Returns
    -------
    (n_shuffles, n) int; row b is a permutation p with strata[p] == strata. The identity may occur.

    Warns
    -----
    UserWarning : some strata hold one item, which stays where it is (their share is given).

    Raises
    ------
    MeasureError : every stratum holds one item, so that nothing is shuffled.
    """
    codes = group_codes(strata, len(strata))
    counts = np.bincount(codes)
    alone = int((counts == 1).sum())
    if alone == counts.size:
        raise MeasureError(
            f"all {alone} strata hold a single item, so a shuffle within strata moves nothing. "
            "Use coarser strata."
        )
    if alone:
        warnings.warn(
            f"{alone} of {codes.size} items are alone in their stratum and stay where they are in every "
            "shuffle, which makes the test conservative; coarser strata would include them.",
            UserWarning,
            stacklevel=2,
        )
    places = np.argsort(codes, kind="stable")
    # codes are integers and the keys below 1, so sorting the sum sorts by stratum, then at random
    shuffled = np.argsort(codes + rng.random((n_shuffles, codes.size)), axis=1)
    permutations = np.empty_like(shuffled)
    permutations[:, places] = shuffled
    return permutations


def foreign_permutation(groups, strata, *, rng: np.random.Generator) -> np.ndarray:
    """A random permutation p (n,) that gives every item one of another group: groups[p[i]] != groups[i].

    Of those it takes one that leaves the strata as seldom as can be: an assignment with random costs, to
    which a pair of different strata adds more than all random costs together. Large n are cut into parts,
    which a pair never leaves; each has its share of every group in every stratum.

    Parameters
    ----------
    groups : (n,) labels, such as scenarios. strata : (n,) sortable labels, such as classes of length.

    Raises
    ------
    ValueError : a group holds more than half of the items (of a part), so that there is no such permutation.
    """
    codes, levels = group_codes(groups, len(groups)), group_codes(strata, len(groups))
    order = np.lexsort((rng.random(codes.size), codes, levels))
    permutation, n_parts = np.empty_like(order), -(-codes.size // _PART)
    for rows in (order[first::n_parts] for first in range(n_parts)):
        same, near = (np.equal.outer(one[rows], one[rows]) for one in (codes, levels))
        if same.sum(1).max() > rows.size / 2:
            raise ValueError(
                f"one group holds {same.sum(1).max()} of {rows.size} items; a pairing with items of other "
                "groups needs groups of half the items at most."
            )
        cost = rng.random(same.shape) + np.where(near, 0, rows.size) + np.where(same, rows.size**3, 0)
        permutation[rows] = rows[optimize.linear_sum_assignment(cost)[1]]
    return permutation


def whole_group_permutations(groups, *, n_shuffles: int, rng: np.random.Generator) -> np.ndarray:
    """Permutations (B, n) that move whole groups; the t-th item of a group takes the t-th place of another.

    Null hypothesis they serve: groups are exchangeable, whatever ties the items of a group together. Groups
    only change places with groups of their own size, without which items would change partners within them
    and the test would not be exact.

    Parameters
    ----------
    groups : (n,) labels; items of a group correspond in the order in which they appear.

    Raises
    ------
    MeasureError : the sizes leave fewer than 20 arrangements.
    """
    codes = group_codes(groups, len(groups))
    sizes = np.bincount(codes)
    same = np.unique(sizes, return_counts=True)[1]
    if special.gammaln(same + 1).sum() < np.log(_MIN_ARRANGEMENTS):
        raise MeasureError(
            f"{len(sizes)} groups of sizes {sizes.tolist()} have fewer than {_MIN_ARRANGEMENTS} arrangements "
            "that exchange groups of one size. Drop items of the larger groups until sizes agree."
        )
    with warnings.catch_warnings():  # it would speak of items where groups are meant
        warnings.simplefilter("ignore", UserWarning)
        orders = stratified_permutations(sizes, n_shuffles=n_shuffles, rng=rng)
    places, starts = np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes
    within = np.empty_like(codes)
    within[places] = np.arange(codes.size) - starts[codes[places]]
    return places[starts[orders[:, codes]] + within]


def permutation_max(
    observed,
    null,
    *,
    standardise: bool = True,
    alternative: Literal["greater", "two-sided"] = "greater",
    hypothesis: str = "the labels are exchangeable: no component exceeds its shuffled value",
) -> TestResult:
    r"""Max-T permutation test of m components at once.

    Null hypothesis: the observed row is exchangeable with the shuffled rows. Each component is put
    on the scale of its own mean and standard deviation over all 1 + B rows (the observed one
    included, which keeps the test exact), and compared with the largest component of each shuffle:
    :math:`p_j = (1 + \#\{b: \max_i T_{bi} \ge T_j\}) / (1 + B)`; the overall p-value is the smallest.

    Parameters
    ----------
    observed : (m,) statistics, larger is stronger.
    null : (B, m) the same statistics under shuffles.
    standardise : False compares the raw values, for components that share a scale.
    alternative : "greater", or "two-sided" for distance from the mean of the shuffles.
    hypothesis : the null hypothesis in the words of the application.

    Returns
    -------
    TestResult with `adjusted` (m,), controlling the family-wise error over the components.

    Raises
    ------
    MeasureError : shapes differ or values are not finite.
    """
    observed, null = np.atleast_1d(np.asarray(observed, np.float64)), np.asarray(null, np.float64)
    if null.ndim != 2 or null.shape[1:] != observed.shape or null.shape[0] < 1:
        raise MeasureError(
            f"observed has shape {observed.shape}, null {null.shape}; expected (m,) and (B, m)."
        )
    rows = finite("the observed row and those of the null", np.vstack([observed, null]))
    if standardise or alternative == "two-sided":
        rows = rows - rows.mean(0)
    if standardise:
        scale = rows.std(0)
        # a component that no shuffle changes is no evidence, whatever its rounding error
        constant = scale <= 1e-12 * np.abs(null).max(0, initial=0)
        rows = np.where(constant, 0.0, rows / np.where(constant, 1.0, scale))
    if alternative == "two-sided":
        rows = np.abs(rows)
    largest = rows[1:].max(1)
    exceed = (largest[:, None] >= rows[0] - 1e-12).sum(0)
    adjusted = (1 + exceed) / (1 + null.shape[0])
    return TestResult(float(rows[0].max()), float(adjusted.min()), hypothesis, adjusted, null.shape[0])


def holm(pvalues) -> np.ndarray:
    """Holm's step-down adjusted p-values, (m,) for (m,): family-wise error without independence.

    Raises
    ------
    MeasureError : a p-value is NaN or outside [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    pvalues = np.atleast_1d(np.asarray(pvalues, np.float64))
    if pvalues.size == 0:
        return pvalues
    if not ((pvalues >= 0) & (pvalues <= 1)).all():
        raise MeasureError(f"p-values must lie in [0, 1], found {pvalues.tolist()}; leave out untested ones.")
    return multipletests(pvalues, method="holm")[1]


def _multinomial(n_groups: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    weights = _counts(n_groups, n_resamples, rng)
    while (single := (weights > 0).sum(1) < 2).any():
        weights[single] = _counts(n_groups, int(single.sum()), rng)
    return weights.astype(np.float64)


def _counts(n_groups: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    # counting draws is some ten times faster than rng.multinomial for tens of groups
    draws = rng.integers(n_groups, size=(n_resamples, n_groups))
    cells = (draws + n_groups * np.arange(n_resamples)[:, None]).ravel()
    return np.bincount(cells, minlength=n_groups * n_resamples).reshape(n_resamples, n_groups)


def _with_pseudo_groups(sums, counts, bounds):
    size = counts.mean() / 2
    pseudo = np.broadcast_to(np.multiply(size, bounds), (*sums.shape[:-1], 2))
    return np.concatenate([sums, pseudo], -1), np.concatenate([counts, [size, size]])


def _ratio(weights: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(B, ...) ratio of weighted sums to weighted counts."""
    total = np.tensordot(weights, sums, axes=(1, sums.ndim - 1))
    return total / (weights @ counts).reshape(-1, *[1] * (sums.ndim - 1))


def _widened_percentiles(centre, spread, confidence: float, n_groups: int):
    tail = (1 - confidence) / 2
    wider = stats.t.isf(tail, n_groups - 1) / stats.norm.isf(tail) * np.sqrt(n_groups / (n_groups - 1))
    low, high = np.quantile(spread, [tail, 1 - tail], axis=0)
    return centre - wider * (centre - low), centre + wider * (high - centre)

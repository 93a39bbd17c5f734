r"""How fast each of two languages closes the gap between them, and how much of that is arithmetic.

Symbols: `h1`, `h2` (N, T, p) states of N problems at T layers in two languages, in a common basis; ec the
gap at a layer: h1 - h2, coordinate by coordinate (m = 1), or beta^T (h1, h2) (m columns);
:math:`\Delta h_l = A_l\,\mathrm{ec}_{-1} + \ldots`, :math:`M_l = \sum\Delta h_l\,\mathrm{ec}_{-1}^\top`
(p, m) and :math:`D = \sum\mathrm{ec}_{-1}\mathrm{ec}_{-1}^\top` summed over problems and layers before
anything is divided; :math:`A_l = M_l D^{-1}`; G groups of problems that depend on one another (scenarios).

The two forward passes do not interact, so a nonzero speed is expected by construction: a series that reverts
to anything moves against its part of any gap. The ratio of speeds under shuffled pairs of problems is this
*mechanical* value, near a ratio of variances; only the excess over it is about the pair.

Sources: Fieller (1954), J. Royal Statistical Society B 16 (set for a ratio of means); Engle & Granger (1987),
Econometrica 55 (error correction); Efron & Stein (1981), Annals of Statistics 9 (jackknife variance).
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...errors import MeasureError, ParameterError
from .pooled import require_pairs
from .reduced_rank import grouped

MIN_GROUPS = 6  # nominal 95 % intervals cover .91 to .98 with 6 to 8 groups of 4 (300 simulations each)
FEW_GROUPS = 20  # below, intervals from sums over groups are rough
_QUANTILE = 0.975  # of Student's t, for intervals of 95 %


@dataclass(frozen=True)
class Adjustment:
    """Speeds of two languages and their ratio.

    Attributes
    ----------
    speeds : (2,) a_1, a_2 per layer; signed for one gap (h1 closes it with a_1 < 0, h2 with a_2 > 0);
        Frobenius norms of A_l D^{1/2} over sqrt(rows), rms predicted steps, where `beta` is given.
    ratio : |speed 1| / |speed 2|, dimensionless.
    low, high : 95 % interval of the ratio. unbounded : no large ratio is excluded, since speed 2 may be 0;
        then high is inf and low the smallest ratio in Fieller's set (0 where the set is the whole line).
    coefficients : (2, p, m) A_1 and A_2; (2, 1, 1) for one gap.
    n_groups : groups, or problems where none are given.
    method : "fieller" or "jackknife".
    """

    speeds: np.ndarray
    ratio: float
    low: float
    high: float
    unbounded: bool
    coefficients: np.ndarray
    n_groups: int
    method: str


@dataclass(frozen=True)
class ShuffledAdjustment:
    """The ratio of speeds against its value under shuffled pairing.

    Attributes
    ----------
    ratio : of the true pairing. shuffled : (n_shuffles,) ratios with every group paired to another one.
    mechanical : exp of the mean log of `shuffled`.
    log_ratio_excess : log(ratio) - log(mechanical); 0 where the pair has nothing to do with the speeds.
    low, high : 95 % interval of `log_ratio_excess`, from leaving out one group at a time.
    unbounded : a speed of the pair or of the shuffled pairs may be 0: low = -inf, high = inf.
    n_groups : as in `Adjustment`.
    """

    ratio: float
    shuffled: np.ndarray
    mechanical: float
    log_ratio_excess: float
    low: float
    high: float
    unbounded: bool
    n_groups: int


@dataclass(frozen=True)
class _Sums:
    """Sums over the rows of groups g of h1 and h of h2: moments (2, G, G, p, m), gaps (G, G, m, m)."""

    moments: np.ndarray
    gaps: np.ndarray
    rows: int


def adjustment(h1, h2, *, beta=None, groups=None) -> Adjustment:
    r"""Pooled speeds of two languages and the interval of their ratio, less the mean over problems by layer.

    One gap (beta None): :math:`a_l = \sum\langle\Delta h_l, \mathrm{ec}\rangle / \sum\|\mathrm{ec}\|^2`, one
    speed for all coordinates, over all problems and layers: never a mean of ratios. The interval is
    Fieller's: the values theta at which the group sums of <dh_1, ec> - theta <dh_2, ec> have a total within
    t_{G-1} standard errors of 0, mapped to |theta|. Where speed 2 may be 0 that set is two rays or the line;
    `unbounded` says so. Where scales of problems differ by orders, divide them by `PooledRank.problem_scales`
    first, or the largest few are all there is.

    With `beta` (2p, m), such as that of a pooled rank: :math:`\|A_1 D^{1/2}\|_F / \|A_2 D^{1/2}\|_F`, which
    does not depend on the basis of the relations, with a jackknife over groups on the log ratio. Norms of
    noise are positive: with weak speeds this ratio is drawn to that of the noise, as is its shuffled value.

    Parameters
    ----------
    h1, h2 : (N, T, p). beta : (2p, m) or None. groups : (N,) labels; None takes problems as independent.

    Raises
    ------
    MeasureError : shapes, non-finite values, fewer than 6 groups, no gap.
    """
    y, codes, beta = _prepared(h1, h2, beta, groups)
    sums = _diagonal(y, codes, beta)
    total, gap = sums.moments.sum(1), sums.gaps.sum(0)
    n_groups = sums.moments.shape[1]
    coefficients = total @ np.linalg.pinv(gap)
    norms = _norms(total, gap)
    quantile = stats.t.ppf(_QUANTILE, n_groups - 1)
    if beta is None:
        low, high = _fieller(*sums.moments[:, :, 0, 0], quantile)
        speeds, method = coefficients[:, 0, 0], "fieller"
    else:
        left_out = _norms(total[:, None] - sums.moments, gap - sums.gaps)
        half = quantile * _jackknife(np.log(left_out[0] / left_out[1]))
        middle = np.log(norms[0] / norms[1])
        low, high = np.exp(middle - half), np.exp(middle + half)
        speeds, method = norms / np.sqrt(sums.rows), "jackknife"
    ratio, unbounded = float(norms[0] / norms[1]), bool(np.isinf(high))
    return Adjustment(speeds, ratio, float(low), float(high), unbounded, coefficients, n_groups, method)


def shuffled_adjustment(
    h1, h2, *, beta=None, groups=None, n_shuffles: int = 199, rng: np.random.Generator
) -> ShuffledAdjustment:
    r"""The ratio of speeds in excess of that between strangers.

    Null hypothesis: the log ratio is that of the same two sets of series with other partners. Every group of
    h1 is paired with another group of h2 by a random cycle, so that none keeps its own (a group shorter than
    the one of h1 is repeated, a longer one cut). The interval is a jackknife over groups of
    log ratio - log(ratio of the sums over all pairs of different groups), near which the shuffles lie, with
    t_{G-1}; infinite where one of the four sums behind it may be 0 (one gap only). Independent random walks
    are of this kind: nothing reverts, and all their speeds are 0.

    Parameters and errors as `adjustment`; n_shuffles >= 19.
    """
    if n_shuffles < 19:
        raise ParameterError(f"n_shuffles is {n_shuffles}; expected 19 or more.")
    y, codes, beta = _prepared(h1, h2, beta, groups)
    sums = _all_pairs(y, codes, beta)
    n_groups = sums.moments.shape[1]
    index = np.arange(n_groups)
    own = sums.moments[:, index, index], sums.gaps[index, index]
    ratio = _log_ratio(own[0].sum(1), own[1].sum(0))
    shuffled = np.empty(n_shuffles)
    for s in range(n_shuffles):
        partner = _cycle(n_groups, rng)
        shuffled[s] = _log_ratio(sums.moments[:, index, partner].sum(1), sums.gaps[index, partner].sum(0))
    excess = ratio - shuffled.mean()
    left_out, least = _left_out(sums, own)
    quantile = stats.t.ppf(_QUANTILE, n_groups - 1)
    unbounded = bool(beta is None and least < quantile)
    half = np.inf if unbounded else quantile * _jackknife(left_out)
    return ShuffledAdjustment(
        float(np.exp(ratio)),
        np.exp(shuffled),
        float(np.exp(shuffled.mean())),
        float(excess),
        float(excess - half),
        float(excess + half),
        unbounded,
        n_groups,
    )


def _prepared(h1, h2, beta, groups):
    """Stacked states, centred by layer, (N, T, 2p); group codes (N,); beta (2p, m) or None."""
    y, codes = require_pairs(h1, h2, groups)
    codes = np.arange(len(y)) if codes is None else codes
    n_groups = int(codes.max()) + 1
    if y.shape[1] < 2:
        raise MeasureError("found states of one layer; expected at least 2, between which speeds are.")
    if n_groups < MIN_GROUPS:
        raise MeasureError(
            f"found {n_groups} groups; expected at least {MIN_GROUPS}. An interval over groups needs groups; "
            "collect more."
        )
    if n_groups < FEW_GROUPS:
        warnings.warn(f"{n_groups} groups; below {FEW_GROUPS} the interval is rough.", stacklevel=3)
    if beta is not None:
        beta = np.asarray(beta, np.float64)
        if beta.ndim != 2 or len(beta) != y.shape[2] or beta.shape[1] < 1 or not np.isfinite(beta).all():
            raise MeasureError(
                f"beta has shape {beta.shape}, expected ({y.shape[2]}, m) finite with m >= 1. A rank of 0 "
                "has no speeds."
            )
    y = y - y.mean(0)
    p = y.shape[2] // 2
    gap = y[..., :p] - y[..., p:] if beta is None else y @ beta
    if not np.abs(gap).max() > 1e-12 * np.abs(y).max():
        where = "the languages do not differ" if beta is None else "the relations beta are 0"
        raise MeasureError(
            f"{where} at any layer, beyond what all problems share; expected a gap. Is one language there "
            "twice?"
        )
    return y, codes, beta


def _parts(y: np.ndarray, beta):
    """Steps (2, N, R, p') and the two parts of the gap (2, N, R, m), R rows per problem."""
    n, n_steps, p = len(y), y.shape[1] - 1, y.shape[2] // 2
    halves = np.stack([y[..., :p], y[..., p:]])
    steps, levels = np.diff(halves, axis=2), halves[:, :, :-1]
    if beta is None:  # one speed for all coordinates: each is a row
        gaps = levels * np.array([1.0, -1.0])[:, None, None, None]
        return steps.reshape(2, n, n_steps * p, 1), gaps.reshape(2, n, n_steps * p, 1)
    return steps, np.stack([levels[0] @ beta[:p], levels[1] @ beta[p:]])


def _diagonal(y, codes, beta) -> _Sums:
    """Sums of each group with itself: moments (2, G, p, m), gaps (G, m, m)."""
    steps, parts = _parts(y, beta)
    gap = parts.sum(0)
    moments = grouped(np.einsum("lira,irb->ilab", steps, gap), codes)
    gaps = grouped(np.einsum("ira,irb->iab", gap, gap), codes)
    return _Sums(moments.swapaxes(0, 1), gaps, steps.shape[1] * steps.shape[2])


def _all_pairs(y, codes, beta) -> _Sums:
    """Sums of each group of h1 with each group of h2."""
    steps, parts = _parts(y, beta)
    members = [np.flatnonzero(codes == g) for g in range(int(codes.max()) + 1)]
    size = max(map(len, members))
    n_groups = len(members)
    if all(len(m) == size for m in members):
        index = np.array(members)
        return _equal_pairs(steps[:, index], parts[:, index])
    p, m = steps.shape[3], parts.shape[3]
    moments, gaps = np.empty((2, n_groups, n_groups, p, m)), np.empty((n_groups, n_groups, m, m))
    for g, own in enumerate(members):
        for h, others in enumerate(members):
            other = np.resize(others, len(own))
            gap = parts[0, own] + parts[1, other]
            moments[0, g, h] = np.einsum("ira,irb->ab", steps[0, own], gap)
            moments[1, g, h] = np.einsum("ira,irb->ab", steps[1, other], gap)
            gaps[g, h] = np.einsum("ira,irb->ab", gap, gap)
    return _Sums(moments, gaps, steps.shape[1] * steps.shape[2])


def _equal_pairs(steps: np.ndarray, parts: np.ndarray) -> _Sums:
    """As `_all_pairs` for (2, G, size, R, .) groups of one size, crossed products by matmul."""
    (s1, s2), (g1, g2) = (x.reshape(*x.shape[:2], -1, x.shape[-1]) for x in (steps, parts))

    def product(a, b):  # (G, K, a), (H, K, b) -> (G, H, a, b)
        return np.tensordot(a, b, axes=(1, 1)).transpose(0, 2, 1, 3)

    def alone(a, b):
        return np.einsum("gka,gkb->gab", a, b)

    moments = np.stack(
        [alone(s1, g1)[:, None] + product(s1, g2), alone(s2, g2)[None] + product(g1, s2).swapaxes(2, 3)]
    )
    crossed = product(g1, g2)
    gaps = alone(g1, g1)[:, None] + alone(g2, g2)[None] + crossed + crossed.swapaxes(2, 3)
    return _Sums(moments, gaps, s1.shape[0] * s1.shape[1])


def _left_out(sums: _Sums, own) -> tuple[np.ndarray, float]:
    """Excess without each group (G,), and the smallest |t| of the four scalar sums behind it."""

    def without(x):  # (G, G, ...) -> (G, ...): the sum over pairs in which the group has no part
        inner = np.moveaxis(np.diagonal(x, axis1=0, axis2=1), -1, 0)
        return (x.sum((0, 1)) - inner.sum(0)) - (x.sum(0) + x.sum(1) - 2 * inner)

    crossed = np.stack([without(m) for m in sums.moments]), without(sums.gaps)
    paired = own[0].sum(1)[:, None] - own[0], own[1].sum(0) - own[1]
    excess = np.log(_norms(*paired)) - np.log(_norms(*crossed))
    n_groups = len(sums.gaps)
    scalars = np.stack([*paired[0][..., 0, 0] / (n_groups - 1), *crossed[0][..., 0, 0]])
    scalars[2:] /= (n_groups - 1) * (n_groups - 2)
    tvalues = [abs(x.mean()) / max(_jackknife(x), 1e-300) for x in scalars]
    return excess[0] - excess[1], float(min(tvalues))


def _norms(moments: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """||M D^{-1/2}||_F of moments (2, ..., p, m) and gaps (..., m, m): (2, ...)."""
    inverse = np.linalg.pinv(gaps, hermitian=True)
    return np.sqrt(np.maximum(np.einsum("...ab,...bc,...ac->...", moments, inverse, moments), 1e-300))


def _log_ratio(moments, gaps) -> float:
    norms = _norms(moments, gaps)
    return float(np.log(norms[0] / norms[1]))


def _fieller(first: np.ndarray, second: np.ndarray, quantile: float) -> tuple[float, float]:
    """The values |theta| at which the total of first - theta second is within `quantile` errors of 0."""
    covariance = np.cov(first, second) * len(first) * quantile**2
    x, y = first.sum(), second.sum()
    a, b, c = y**2 - covariance[1, 1], x * y - covariance[0, 1], x**2 - covariance[0, 0]
    discriminant = b**2 - a * c
    if a <= 0:
        if discriminant <= 0 or c <= 0:  # the line, or a set of two rays of which one holds 0
            return 0.0, np.inf
        roots = (b + np.array([-1, 1]) * np.sqrt(discriminant)) / a
        return float(np.abs(roots).min()), np.inf
    roots = np.sort((b + np.array([-1, 1]) * np.sqrt(max(discriminant, 0.0))) / a)
    low = 0.0 if c <= 0 else float(np.abs(roots).min())
    return low, float(np.abs(roots).max())


def _jackknife(left_out: np.ndarray) -> float:
    """Standard error from the values with one group left out each."""
    count = len(left_out)
    return float(np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()))


def _cycle(count: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation of one cycle, uniformly: no group keeps its partner."""
    order = rng.permutation(count)
    partner = np.empty(count, int)
    partner[order] = np.roll(order, 1)
    return partner

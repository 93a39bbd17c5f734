"""Association over languages: exact rank tests, partial correlation with families, matrices over pairs.

Ten languages are too few for a normal approximation. The 55 pairs of eleven languages are dependent, since
they share languages (dyads): only whole languages are exchangeable. Languages of one family resemble each
other, so that seventy of them count for less than seventy: `family_partial`.

Symbols: `x`, `y` (n,) one number per language, ties allowed, infinite for a depth that is never reached
(censored: deeper than all others, tied among each other); `a`, `b` (n, n) symmetric, one number per pair.

Sources: Kendall & Gibbons (1990), "Rank Correlation Methods", chapter 4, for exact permutation under ties;
Mantel (1967), Cancer Research 27, and Krackhardt (1988), Social Networks 10, for permuting rows and columns
together (QAP); Freedman & Lane (1983), Journal of Business & Economic Statistics 1, for permuting residuals;
Harville (1974), Biometrika 61, for restricted likelihood; Bonett & Wright (2000), Psychometrika 65, for the
standard error of a rank correlation.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm, rankdata

from ..errors import MeasureError
from .results import TestResult

EXACT_UP_TO = 10  # languages whose orders are enumerated, 3.6 million of them
_N_ORDERS = 9_999  # drawn where there are more
_RESEMBLANCE = np.arange(0, 0.91, 0.15)  # shares of the variance that one level of families may have
_AT_MOST = 0.9  # of all levels together
_QUANTILES = norm.ppf((np.arange(199) + 0.5) / 199)
_ROUNDING = 1e-9
Alternative = Literal["two-sided", "greater", "less"]


def spearman_null(x, y, *, rng: np.random.Generator | None = None) -> tuple[float, np.ndarray]:
    """Spearman's rank correlation, and its values under all orders of y: exact up to ten languages.

    Null hypothesis: the order of y is independent of that of x. Where all of x or of y are tied there is no
    order to compare: the statistic and all values are 0. P-values: `permutation_pvalue`.

    Parameters
    ----------
    x, y : (n,) numbers, n >= 4; +inf for censored.
    rng : draws 9 999 orders where n exceeds ten; not needed below.

    Raises
    ------
    MeasureError : shapes, NaN, fewer than 4 languages, more than ten without `rng`.
    """
    x, y = _numbers(x, y)
    ranks = [_standard(rankdata(v)) for v in (x, y)]
    exact = x.size <= EXACT_UP_TO
    if not exact and rng is None:
        raise MeasureError(f"{x.size} languages have too many orders to enumerate; pass rng to draw some.")
    if ranks[0] is None or ranks[1] is None:
        return 0.0, np.zeros(math.factorial(x.size) if exact else _N_ORDERS)
    # over all orders, only which ranks there are matters, not who has which
    if exact:
        null = _exact_null(*(tuple(np.sort(r)) for r in ranks))
    else:
        null = rng.permuted(np.tile(ranks[1], (_N_ORDERS, 1)), axis=1) @ ranks[0]
    return float(ranks[0] @ ranks[1]), null


def partial_spearman(x, y, covariates, *, n_permutations: int = 9999, rng: np.random.Generator) -> TestResult:
    """Spearman's correlation of what covariates leave of x and y, all in ranks; residuals are permuted.

    Null hypothesis: y is independent of x given the covariates. Two-sided.

    Parameters
    ----------
    covariates : (n,) or (n, p).

    Raises
    ------
    MeasureError : as `spearman_null`; fewer than p + 5 languages, which leave no three degrees of freedom.
    """
    x, y = _numbers(x, y)
    basis = np.linalg.qr(_ranked_design(x.size, covariates))[0]
    left = [r - basis @ (basis.T @ r) for r in (rankdata(x), rankdata(y))]
    if min(np.abs(v).max() for v in left) < 1e-9:
        return TestResult(0.0, 1.0, "nothing is left of x or y beside the covariates", n_resamples=0)
    orders = np.argsort(rng.random((n_permutations, x.size)), axis=1)
    permuted = left[1][orders]
    permuted -= permuted @ basis @ basis.T  # residuals of permuted residuals (Freedman and Lane)
    unit = left[0] / np.linalg.norm(left[0])
    null = permuted @ unit / np.linalg.norm(permuted, axis=1)
    statistic = float(unit @ left[1] / np.linalg.norm(left[1]))
    pvalue = permutation_pvalue(statistic, null, "two-sided", exact=False)
    return TestResult(
        statistic, pvalue, "y is independent of x given the covariates", n_resamples=n_permutations
    )


@dataclass(frozen=True)
class FamilyPartial:
    """A partial rank correlation of n languages of which those of one family resemble each other.

    Attributes
    ----------
    estimate, low, high : the correlation and its 95 % limits, in [-1, 1].
    replicates : (B,) draws of what it may be: their middle 95 % are the limits.
    resemblance : (m,) share of the variance of y that each level of families has (weighted mean).
    left : (2, n) ranks of x and y less what the covariates explain, at the likeliest resemblance.
    df : degrees of freedom, n less the covariates less 2.
    """

    estimate: float
    low: float
    high: float
    replicates: np.ndarray
    resemblance: np.ndarray
    left: np.ndarray
    df: int


def family_partial(x, y, covariates, families: Sequence) -> FamilyPartial:
    r"""Partial rank correlation given covariates, of languages that resemble those of their family.

    Ranks of y are taken as a linear function of those of x and of the covariates plus, for every level of
    families, a random intercept per family. For each way to divide the variance (shares of the levels on a
    grid), generalised least squares give the partial correlation r with
    :math:`\mathrm{se}(\operatorname{artanh} r) = \sqrt{(1 + r^2/2)/(df - 1)}`; these are averaged with the
    restricted likelihood of each way as its weight, so that not knowing how much relatives resemble each
    other is a part of the width.

    Null hypothesis of limits on one side of 0: y is independent of x given covariates and families.
    Simulated with the shares of text, distances, scripts and families of 69 languages, outcomes that follow
    the distance, fertility and overlap, a quarter of them censored, families and branches with 0 to 75 % of
    the remaining variance: limits below 0 in 3 to 4 % of data sets without an effect, and in 7 % where the
    effect differs from branch to branch (standard deviation .3).

    Parameters
    ----------
    x, y : (n,) numbers, n >= 4; +inf for censored. covariates : (n,) or (n, p), ranked as well.
    families : (m, n) labels, coarse to fine, such as families and their branches.

    Raises
    ------
    MeasureError : as `spearman_null`; NaN among the covariates; fewer than p + 5 languages.
    """
    x, y = _numbers(x, y)
    design = _ranked_design(x.size, covariates)
    df = x.size - design.shape[1] - 1
    ranks = rankdata(np.column_stack([x, y]), axis=0)
    ways, whiten, log_det = _ways(tuple(tuple(map(str, level)) for level in families))
    left, log_given = _whitened_residuals(whiten, design, ranks)
    xx, yy, xy = ((left[..., i] * left[..., j]).sum(-1) for i, j in ((0, 0), (1, 1), (0, 1)))
    if min(xx.max(), yy.max()) < 1e-9 or yy.min() < 1e-9 * yy.max():
        # nothing varies beside the covariates: the correlation may be anything
        empty = np.zeros((2, x.size))
        return FamilyPartial(0.0, -1.0, 1.0, np.linspace(-1, 1, 199), np.zeros(len(families)), empty, df)
    r = np.clip(xy / np.sqrt(xx * yy), -1 + 1e-12, 1 - 1e-12)
    likelihood = -0.5 * (log_det + log_given + np.log(xx) + df * np.log(yy * (1 - r**2)))
    weight = np.exp(likelihood - likelihood.max())
    weight /= weight.sum()
    error = np.sqrt((1 + r**2 / 2) / max(df - 1, 1))
    spread = np.tanh(np.arctanh(r)[:, None] + error[:, None] * _QUANTILES).ravel()
    order = np.argsort(spread)
    cumulated = np.cumsum(np.repeat(weight / len(_QUANTILES), len(_QUANTILES))[order])
    levels = np.concatenate([[0.025, 0.975], (np.arange(999) + 0.5) / 999])
    places = np.searchsorted(cumulated, levels).clip(max=len(order) - 1)
    low, high, *replicates = spread[order][places]
    best = int(weight.argmax())
    plain = np.linalg.solve(whiten[best], left[best])
    return FamilyPartial(float(weight @ r), low, high, np.array(replicates), weight @ ways, plain.T, df)


def partial_power(rho: float, n: int, n_covariates: int, *, level: float = 0.05) -> float:
    """Chance that n unrelated languages show a partial rank correlation rho: its limits leave out 0.

    By the standard error of `family_partial`, two-sided; relatives make it smaller.

    Examples
    --------
    >>> [round(partial_power(0.5, n, 5), 2) for n in (20, 40, 60)]
    [0.42, 0.83, 0.96]
    """
    df = n - n_covariates - 2
    if df < 2:
        return 0.0
    error = math.sqrt((1 + rho**2 / 2) / (df - 1))
    return float(norm.sf(norm.isf(level / 2) - math.atanh(abs(rho)) / error))


def mantel(
    a, b, *, n_permutations: int = 9999, alternative: Alternative = "two-sided", rng: np.random.Generator
) -> TestResult:
    """Correlation of two matrices over pairs of languages, by permuting languages (Mantel's test, QAP).

    Null hypothesis: which language is which in b does not matter for a. Exact where n! does not exceed
    `n_permutations`.

    Parameters
    ----------
    a, b : (n, n) symmetric, n >= 4; the diagonal is not read.

    Raises
    ------
    MeasureError : shapes, asymmetry, values off the diagonal that are not finite, or all alike.
    """
    statistic, null = mantel_null(a, b, n_permutations=n_permutations, rng=rng)
    exact = math.factorial(len(np.asarray(a))) <= n_permutations
    return TestResult(
        statistic,
        permutation_pvalue(statistic, null, alternative, exact=exact),
        "which language is which in b does not matter for a",
        n_resamples=len(null),
    )


def mantel_null(a, b, *, n_permutations: int = 9999, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Correlation of `mantel`, and its values under permuted languages."""
    a, b = (np.asarray(m, float) for m in (a, b))
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] != a.shape[1] or len(a) < 4:
        raise MeasureError(f"matrices have shapes {a.shape} and {b.shape}; expected two (n, n) with n >= 4.")
    upper = np.triu_indices(len(a), 1)
    for name, matrix in (("a", a), ("b", b)):
        if not np.isfinite(matrix[upper]).all() or not np.allclose(matrix[upper], matrix.T[upper]):
            raise MeasureError(
                f"{name} is not finite and symmetric; average both directions of a pair first."
            )
    standard = [_standard(m[upper]) for m in (a, b)]
    if standard[0] is None or standard[1] is None:
        raise MeasureError("all pairs of a or of b are alike: there is nothing to correlate.")
    everything = math.factorial(len(a)) <= n_permutations
    orders = _all_orders(len(a)) if everything else np.argsort(rng.random((n_permutations, len(a))), axis=1)
    full = np.zeros_like(b)
    full[upper] = standard[1]
    full += full.T
    null = np.zeros(len(orders))
    for value, i, j in zip(standard[0], *upper, strict=True):
        null += value * full[orders[:, i], orders[:, j]]
    return float(standard[0] @ standard[1]), null


def critical_value(null: np.ndarray, *, level: float = 0.05) -> float:
    """Smallest size that a statistic must reach for a two-sided p below `level`; inf where none does.

    Examples
    --------
    >>> round(critical_value(spearman_null(range(10), range(10))[1]), 3)
    0.648
    """
    sizes = np.sort(np.abs(null))[::-1]
    values, counts = np.unique(np.round(sizes, 9), return_counts=True)
    share = np.cumsum(counts[::-1])[::-1] / len(sizes)
    enough = values[share <= level]
    return float(enough[0]) if len(enough) else np.inf


def permutation_pvalue(statistic: float, null: np.ndarray, alternative: Alternative, *, exact: bool) -> float:
    """Share of permuted values at least as extreme; the observed one is counted in where it is not exact."""
    extreme = {
        "two-sided": np.abs(null) >= abs(statistic) - _ROUNDING,
        "greater": null >= statistic - _ROUNDING,
        "less": null <= statistic + _ROUNDING,
    }
    if alternative not in extreme:
        raise MeasureError(f"unknown alternative {alternative!r}; choose one of {', '.join(extreme)}.")
    count = int(extreme[alternative].sum())
    return count / len(null) if exact else (1 + count) / (1 + len(null))


def _ranked_design(n: int, covariates) -> np.ndarray:
    """(n, 1 + p) ones and the ranks of covariates (n,) or (n, p)."""
    given = np.asarray(covariates, float)
    given = given[:, None] if given.ndim == 1 else given
    p = given.shape[1]
    if np.isnan(given).any():
        raise MeasureError(f"{int(np.isnan(given).sum())} covariates are NaN; leave out those languages.")
    if n < p + 5:
        raise MeasureError(
            f"{n} languages and {p} covariates leave {n - p - 2} degrees of freedom; at least 3 are needed. "
            "Take fewer covariates."
        )
    # one that is the same for all languages would be a second constant
    varying = given[:, np.ptp(given, axis=0) > 0]
    return np.column_stack([np.ones(n), rankdata(varying, axis=0)])


@functools.lru_cache(maxsize=8)
def _ways(families: tuple[tuple[str, ...], ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares (g, m) of the levels of families, matrices (g, n, n) that whiten, log determinants (g,)."""
    grid = itertools.product(_RESEMBLANCE, repeat=len(families))
    ways = np.array([shares for shares in grid if sum(shares) <= _AT_MOST + _ROUNDING])
    levels = [np.array(level) for level in families]
    same = np.array([level[:, None] == level for level in levels], float)
    alone = (1 - ways.sum(1))[:, None, None] * np.eye(same.shape[-1])
    factors = np.linalg.cholesky(np.einsum("gm,mij->gij", ways, same) + alone)
    log_det = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
    return ways, np.linalg.inv(factors), log_det


def _whitened_residuals(whiten, design, ranks) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (g, n, k) of whitened columns (n, k) on the design, and log |X' V^-1 X| (g,) of that."""
    basis, triangle = np.linalg.qr(whiten @ design)
    columns = whiten @ ranks
    left = columns - basis @ (basis.transpose(0, 2, 1) @ columns)
    scale = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    return left, 2 * np.log(scale).sum(1)


def _numbers(x, y) -> tuple[np.ndarray, np.ndarray]:
    """One number per language, twice; infinite ones are ranks like any other."""
    x, y = (np.asarray(v, float) for v in (x, y))
    if x.ndim != 1 or x.shape != y.shape or x.size < 4 or np.isnan(x).any() or np.isnan(y).any():
        raise MeasureError(
            f"x and y have shapes {x.shape} and {y.shape}; expected two (n,) with n >= 4 and no NaN (give "
            "a censored depth as infinite)."
        )
    return x, y


def _standard(values: np.ndarray) -> np.ndarray | None:
    """Centred and of unit length; None where all are alike."""
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    return centred / length if length > 1e-12 * np.abs(values).max() else None


@functools.lru_cache(maxsize=4)
def _exact_null(x: tuple[float, ...], y: tuple[float, ...]) -> np.ndarray:
    """Correlations of standardised ranks under all orders of y."""
    orders = _all_orders(len(x))
    ranks, null = np.array(y), np.zeros(len(orders))
    for value, column in zip(x, orders.T, strict=True):
        null += value * ranks[column]
    return null


@functools.lru_cache(maxsize=2)
def _all_orders(n: int) -> np.ndarray:
    """(n!, n) all permutations of 0..n-1, built by putting the next number at every place."""
    orders = np.zeros((1, 1), np.int8)
    for k in range(1, n):
        places = [np.insert(orders, place, k, axis=1) for place in range(k + 1)]
        orders = np.concatenate(places)
    return orders

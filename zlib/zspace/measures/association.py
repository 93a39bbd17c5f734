"""Association over a handful of languages: exact rank tests, and matrices over pairs of languages.

Ten languages are too few for a normal approximation. The 55 pairs of eleven languages are dependent, since
they share languages (dyads): only whole languages are exchangeable.

Symbols: `x`, `y` (n,) one number per language, ties allowed, infinite for a depth that is never reached
(censored: deeper than all others, tied among each other); `a`, `b` (n, n) symmetric, one number per pair.

Sources: Kendall & Gibbons (1990), "Rank Correlation Methods", chapter 4, for exact permutation under ties;
Mantel (1967), Cancer Research 27, and Krackhardt (1988), Social Networks 10, for permuting rows and columns
together (QAP); Freedman & Lane (1983), Journal of Business & Economic Statistics 1, for permuting residuals.
"""

import functools
import math
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from ..errors import MeasureError
from .results import TestResult

EXACT_UP_TO = 10  # languages whose orders are enumerated, 3.6 million of them
_ROUNDING = 1e-9
Alternative = Literal["two-sided", "greater", "less"]


def spearman_null(x, y, *, rng: np.random.Generator | None = None) -> tuple[float, np.ndarray]:
    """Spearman's rank correlation, and its values under all orders of y: exact up to ten languages.

    Null hypothesis: the order of y is independent of that of x. Where all of x or of y are tied there is no
    order to compare: the statistic and all values are 0. P-values: `permutation_pvalue`.

    Parameters
    ----------
    x, y : (n,) numbers, n >= 4; +inf for censored.
    rng : draws 99 999 orders where n exceeds ten; not needed below.

    Raises
    ------
    MeasureError : shapes, NaN, fewer than 4 languages, more than ten without `rng`.
    """
    x, y = _numbers(x, y)
    ranks = [_standard(rankdata(v)) for v in (x, y)]
    if ranks[0] is None or ranks[1] is None:
        return 0.0, np.zeros(len(_orders(x.size, rng)))
    # over all orders, only which ranks there are matters, not who has which
    made = [tuple(np.sort(r)) for r in ranks]
    null = _exact_null(*made) if x.size <= EXACT_UP_TO else _null(*made, _orders(x.size, rng))
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
    given = np.asarray(covariates, float).reshape(x.size, -1)
    p = given.shape[1]
    if np.isnan(given).any():
        raise MeasureError(f"{int(np.isnan(given).sum())} covariates are NaN; leave out those languages.")
    if x.size < p + 5:
        raise MeasureError(
            f"{x.size} languages and {p} covariates leave {x.size - p - 2} degrees of freedom; at least 3 "
            "are needed. Take fewer covariates."
        )
    design = np.column_stack([np.ones(x.size), *(rankdata(c) for c in given.T)])
    basis = np.linalg.qr(design)[0]
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
    return _null(x, y, _all_orders(len(x)))


def _null(x: tuple[float, ...], y: tuple[float, ...], orders: np.ndarray) -> np.ndarray:
    """Correlations of standardised ranks under the given orders of y."""
    ranks, null = np.array(y), np.zeros(len(orders))
    for value, column in zip(x, orders.T, strict=True):
        null += value * ranks[column]
    return null


def _orders(n: int, rng: np.random.Generator | None) -> np.ndarray:
    if n <= EXACT_UP_TO:
        return _all_orders(n)
    if rng is None:
        raise MeasureError(f"{n} languages have too many orders to enumerate; pass rng to draw some.")
    return np.argsort(rng.random((99_999, n)), axis=1)


@functools.lru_cache(maxsize=2)
def _all_orders(n: int) -> np.ndarray:
    """(n!, n) all permutations of 0..n-1, built by putting the next number at every place."""
    orders = np.zeros((1, 1), np.int8)
    for k in range(1, n):
        places = [np.insert(orders, place, k, axis=1) for place in range(k + 1)]
        orders = np.concatenate(places)
    return orders

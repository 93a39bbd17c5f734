r"""Rank and constancy of a coefficient matrix that many rows share.

Symbols: `now` (N, S, n) responses and `level` (N, S, n) regressors of N problems at S layers, what lags
explain taken out; M = N S rows; :math:`S_{01} = M^{-1}\sum \mathrm{now}\,\mathrm{level}^\top`; canonical
correlations :math:`\sqrt{\lambda_i}`, descending; `codes` (N,) the group of each problem, 0 .. G-1.

Sources: Anderson (1951), Annals of Mathematical Statistics 22 (likelihood ratio for the rank of a regression
matrix); Kleibergen & Paap (2006), J. Econometrics 133, theorem 1 (rk statistic with a robust covariance).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...errors import MeasureError
from ...measures.results import TestResult


@dataclass(frozen=True)
class Rows:
    """Rows weighted and centred: now, level (N, S, n), lags (N, S, nk), free: rows less parameters."""

    now: np.ndarray
    level: np.ndarray
    lags: np.ndarray
    free: int
    problem_scales: np.ndarray
    layer_scales: np.ndarray


def canonical(now: np.ndarray, level: np.ndarray):
    """Canonical correlations (n,), left and right vectors (n, n) as columns, and S01 (n, n).

    Vectors are orthonormal under S00 and S11. MeasureError where either is singular to rounding.
    """
    n = now.shape[2]
    flat_now, flat_level = now.reshape(-1, n), level.reshape(-1, n)
    count = len(flat_now)
    s00, s11 = flat_now.T @ flat_now / count, flat_level.T @ flat_level / count
    s01 = flat_now.T @ flat_level / count
    for name, s in (("steps", s00), ("levels", s11)):
        unit = np.sqrt(np.maximum(np.diag(s), 1e-300))
        condition = np.linalg.cond(s / np.outer(unit, unit))
        if not condition <= 1e12:
            raise MeasureError(
                f"the {name} of the stacked states are nearly singular: condition number {condition:.1e}, "
                "expected <= 1e+12. Reduce to fewer principal components."
            )
    root0, root1 = np.linalg.cholesky(s00), np.linalg.cholesky(s11)
    inner = np.linalg.solve(root0, np.linalg.solve(root1, s01.T).T)
    u, correlations, vt = np.linalg.svd(inner)
    return correlations, np.linalg.solve(root0.T, u), np.linalg.solve(root1.T, vt.T), s01


def likelihood_ratios(correlations: np.ndarray, free: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Statistics and p-values (n,) of "rank <= r", r = 0 .. n-1, for independent rows with one covariance.

    :math:`-\nu\sum_{i>r}\log(1-\lambda_i) \sim \chi^2_{(n-r)^2}`, nu = `free` rows less parameters.
    """
    n = len(correlations)
    terms = -np.log1p(-np.minimum(correlations**2, 1 - 1e-15))
    statistics = free * terms[::-1].cumsum()[::-1]
    return statistics, stats.chi2.sf(statistics, (n - np.arange(n)) ** 2)


def robust_ranks(now: np.ndarray, level: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Statistics and p-values (n,) of "rank <= r", r = 0 .. n-1, for rows that depend within groups.

    The smallest canonical correlations as a matrix, :math:`\Lambda_r = L_{>r}^\top S_{01} R_{>r}`, against
    the covariance of its sums over cells, a group at a layer: Kleibergen and Paap's rk, with canonical
    vectors L, R as the orthogonal complements. Two departures for few cells. Residuals are those of rank r,
    for which :math:`L_{>r}^\top e = L_{>r}^\top \mathrm{now}` (unrestricted ones are smallest where levels
    are large, and reject too often). And Lambda_r is then C times a mean of C = G S vectors, whose Wald
    statistic W is Hotelling's: W (C-q)/(q(C-1)) is referred to F(q, C-q), q = (n-r)^2; NaN where q >= C - 1.
    """
    correlations, left, right, _ = canonical(now, level)
    e, x = now @ left, level @ right
    n, count = len(correlations), now.shape[0] * now.shape[1]
    scores = _summed(e, x, codes) / count
    statistics, pvalues = np.full(n, np.nan), np.full(n, np.nan)
    for r in range(n):
        block = np.diag(correlations[r:]).ravel()
        statistics[r], pvalues[r] = wald(block, scores[:, r:, r:].reshape(len(scores), -1))
    return statistics, pvalues


def wald(estimate: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Wald statistic of `estimate` (q,) = 0 and its p-value, from influences (C, q) of cells on it."""
    count, q = scores.shape
    if q >= count - 1:
        return np.nan, np.nan
    centred = scores - scores.mean(0)
    covariance = centred.T @ centred * count / (count - 1)
    statistic = float(estimate @ np.linalg.solve(covariance, estimate))
    scaled = statistic * (count - q) / (q * (count - 1))
    return statistic, float(stats.f.sf(scaled, q, count - q))


def constancy(rows: Rows, codes: np.ndarray | None) -> TestResult:
    """Test that Pi is the same in both halves of the layers.

    Null hypothesis: one Pi for all layers (Gamma may differ between the halves). Likelihood ratio with n^2
    degrees of freedom; with groups a Wald test as in `robust_ranks`, NaN with too few.
    """
    now, level = without_lags(rows, 2)
    n, n_steps = now.shape[2], now.shape[1]
    later = np.arange(n_steps) * 2 // n_steps == 1
    extra = residuals(level * later[:, None], level)
    common = residuals(now, level)
    free = residuals(common, extra)
    null = "Pi is the same in 2 parts of the layers"
    if codes is None:
        logdets = [np.linalg.slogdet(np.einsum("isa,isb->ab", e, e))[1] for e in (common, free)]
        statistic = (rows.free - n) * (logdets[0] - logdets[1])
        return TestResult(float(statistic), float(stats.chi2.sf(statistic, n**2)), null)
    inverse = np.linalg.inv(np.einsum("isa,isb->ab", extra, extra))
    estimate = inverse @ np.einsum("isa,isb->ab", extra, common)
    scores = inverse @ _summed(extra, common, codes)
    statistic, pvalue = wald(estimate.ravel(), scores.reshape(len(scores), -1))
    return TestResult(statistic, pvalue, null)


def drift(now: np.ndarray, level: np.ndarray, codes: np.ndarray | None) -> TestResult:
    r"""Test that a problem's errors add up as unpredictable ones do, with no drift of its own.

    Null hypothesis: :math:`R_i = S\|\bar u_i\|^2 / \overline{\|u_{it}\|^2}` is 1 in the mean, u the whitened
    residuals of problem i; the statistic is the t of mean R over problems (or groups), one-sided, since what
    drifts adds up to more. Conservative (size .02 at most where it was tried), since Pi has taken some of it.
    """
    n_steps = now.shape[1]
    e = residuals(now, level)
    u = e @ np.linalg.inv(np.linalg.cholesky(np.einsum("isa,isb->ab", e, e))).T
    ratios = n_steps * (u.mean(1) ** 2).sum(1) / (u**2).sum(2).mean(1)
    if codes is not None:
        ratios = grouped(ratios, codes) / np.bincount(codes)
    statistic = (ratios.mean() - 1) / (ratios.std(ddof=1) / np.sqrt(len(ratios)))
    pvalue = float(stats.t.sf(statistic, len(ratios) - 1))
    return TestResult(float(statistic), pvalue, "no problem has a drift of its own")


def _summed(a: np.ndarray, b: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Products a b^T summed over the problems of each group at each layer: (C, width of a, width of b)."""
    cells = grouped(np.einsum("isa,isb->isab", a, b), codes)
    return cells.reshape(-1, *cells.shape[2:])


def grouped(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Sums over the problems of each group: (N, ...) to (G, ...)."""
    sums = np.zeros((int(codes.max()) + 1, *values.shape[1:]))
    np.add.at(sums, codes, values)
    return sums


def residuals(response: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """Least-squares residuals over problems and layers, in the shape of the response."""
    x = regressors.reshape(-1, regressors.shape[-1])
    if x.shape[1] == 0:
        return response
    flat = response.reshape(-1, response.shape[-1])
    gram = x.T @ x
    return (flat - x @ np.linalg.lstsq(gram, x.T @ flat, rcond=None)[0]).reshape(response.shape)


def without_lags(rows: Rows, n_parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Responses and levels less what lags explain, with coefficients of the lags for each part."""
    part = np.arange(rows.now.shape[1]) * n_parts // rows.now.shape[1]
    lags = np.concatenate([rows.lags * (part == j)[:, None] for j in range(n_parts)], axis=2)
    both = residuals(np.concatenate([rows.now, rows.level], axis=2), lags)
    n = rows.now.shape[2]
    return both[..., :n], both[..., n:]

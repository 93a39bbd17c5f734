r"""Johansen's rank test of one series, and how often it is wrong at the length at hand.

Symbols: `y` (T, n) one series of n coordinates over T steps; k = `k_ar_diff` lagged differences; `det_order`
-1 no deterministic term, 0 a constant, 1 a linear trend (as in statsmodels);
:math:`\Delta y_t = \Pi y_{t-1} + \sum_j \Gamma_j \Delta y_{t-j} + e_t` with
:math:`\Pi = \alpha\beta^\top` of rank r, the number of stationary *relations*; n - r is the number of trends.

Sources: Johansen (1991), Econometrica 59 (equation 2.12 the trace statistic); MacKinnon, Haug & Michelis
(1999), J. Applied Econometrics 14 (critical values); Reinsel & Ahn (1992), J. Time Series Analysis 13
(small-sample factor); Cavaliere, Rahbek & Taylor (2012), Econometrica 80 (bootstrap, algorithm 1).
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from statsmodels.tsa.coint_tables import c_sjt
from statsmodels.tsa.vector_ar.vecm import coint_johansen

from ...errors import MeasureError, ParameterError
from ...measures.paired import finite

CORRECTIONS = ("none", "reinsel-ahn", "bootstrap")
WARN_SIZE, REFUSE_SIZE = 0.10, 0.20  # false rejections of a nominal 5 % test from which nobody is silent
_LEVEL, _COLUMN = 0.05, 1  # of all tests, and where the tables have it
_CONDITION = 1e8


@dataclass(frozen=True)
class JohansenRank:
    """Sequential trace test of one series at 5 %.

    Attributes
    ----------
    rank : number of stationary relations: the first r whose null "rank <= r" is not rejected.
    eigenvalues : (n,) squared canonical correlations, descending. vectors : (n, n) the relations as columns.
    trace : (n,) statistic of "rank <= r" for r = 0 .. n-1, as statsmodels has it, uncorrected.
    critical_values : (n,) for `trace`, the correction applied to them; NaN under the bootstrap.
    pvalues : (n,) bootstrap p-values; NaN without it, and beyond the first r that is not rejected.
    size : measured rejection rate of a nominal 5 % test of rank 0 for independent walks of this shape.
    """

    rank: int
    eigenvalues: np.ndarray
    vectors: np.ndarray
    trace: np.ndarray
    critical_values: np.ndarray
    pvalues: np.ndarray
    size: float


def johansen(
    y,
    *,
    k_ar_diff: int = 1,
    det_order: int = -1,
    correction: str = "none",
    rng: np.random.Generator | None = None,
    n_bootstrap: int = 199,
    allow_distorted: bool = False,
) -> JohansenRank:
    r"""Rank of one series by the trace test, refused where the test is known not to hold its level.

    Null hypotheses, in sequence: the rank is at most r, r = 0 .. n-1, with the statistic
    :math:`-S\sum_{i>r}\log(1-\lambda_i)` over S = T - 1 - k steps. `reinsel-ahn` multiplies it by
    (S - n(k+1))/S; here the critical value is divided instead, so that `trace` stays statsmodels' own.
    `bootstrap` compares it with series simulated from the fit of rank r.

    Parameters
    ----------
    y : (T, n), 2 <= n <= 12, in any units. rng, n_bootstrap : of the bootstrap.
    allow_distorted : go on, with a warning, where the measured size is above .20.

    Raises
    ------
    MeasureError : y is not finite, too short, (nearly) singular, or of a shape at which independent walks are
        called cointegrated in more than 20 % of the cases; the message has the rate that was measured.
    ParameterError : unknown correction or det_order; no generator for the bootstrap.
    """
    _require_options(k_ar_diff, det_order, correction, n_bootstrap)
    if correction == "bootstrap" and rng is None:
        raise ParameterError("correction='bootstrap' draws; give rng=np.random.default_rng(seed).")
    y = _require_steps(y, k_ar_diff, det_order)
    size = _guard(*y.shape, k_ar_diff, det_order, correction, allow_distorted)
    _require_regular(y)
    with warnings.catch_warnings():
        # eigenvalues are of complex type from NumPy 2.5 on; those of this problem are real
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        fit = coint_johansen(y, det_order, k_ar_diff)
    eigenvalues, relations = np.real(fit.eig), np.real(fit.evec)
    n, trace = y.shape[1], np.asarray(fit.lr1, np.float64)
    critical, pvalues = np.full(n, np.nan), np.full(n, np.nan)
    if correction == "bootstrap":
        rank = n
        for r in range(n):
            pvalues[r] = _bootstrap_pvalue(y, relations[:, :r], k_ar_diff, det_order, n_bootstrap, rng)
            if pvalues[r] > _LEVEL:
                rank = r
                break
    else:
        critical = fit.cvt[:, _COLUMN] / _factor(len(y), n, k_ar_diff, correction)
        kept = trace <= critical
        rank = int(np.argmax(kept)) if kept.any() else n
    return JohansenRank(rank, eigenvalues, relations, trace, critical, pvalues, size)


def size_distortion(
    n_steps: int,
    n_series: int,
    *,
    k_ar_diff: int = 1,
    det_order: int = -1,
    correction: str = "none",
    n_simulations: int = 1000,
    n_bootstrap: int = 99,
    rng: np.random.Generator,
) -> float:
    """How often a nominal 5 % trace test finds a relation between independent Gaussian random walks.

    The null hypothesis (rank 0) is true in every simulated series, so that .05 is the value of an exact
    test. Monte-Carlo standard error sqrt(s(1-s)/n_simulations).

    The walks have no drift. With a constant or a trend the tables are for series with a drift (a trend in
    the drift), so that such walks are rejected too often at any length: at T = 1000 one of them with a
    constant in 30 %, two with a trend in 22 %. Without deterministic terms the rate falls to 5 % as T grows.

    Errors: MeasureError and ParameterError for shapes and options as in `johansen`.
    """
    _require_options(k_ar_diff, det_order, correction, n_bootstrap)
    _require_shape(n_steps, n_series, k_ar_diff, det_order)
    walks = rng.standard_normal((n_simulations, n_steps, n_series)).cumsum(axis=1)
    if correction == "bootstrap":
        none = np.zeros((n_series, 0))  # relations
        pvalues = [_bootstrap_pvalue(w, none, k_ar_diff, det_order, n_bootstrap, rng) for w in walks]
        return float(np.mean(np.array(pvalues) <= _LEVEL))
    statistics = traces(walks, k_ar_diff=k_ar_diff, det_order=det_order)[:, 0]
    factor = _factor(n_steps, n_series, k_ar_diff, correction)
    return float((statistics * factor > c_sjt(n_series, det_order)[_COLUMN]).mean())


def traces(y: np.ndarray, *, k_ar_diff: int = 1, det_order: int = -1) -> np.ndarray:
    """Trace statistics (..., n) of many series (..., T, n) at once, as statsmodels has them one by one."""
    k = k_ar_diff
    y = _detrend(y, det_order)
    steps = np.diff(y, axis=-2)
    end = steps.shape[-2]
    now, level = steps[..., k:, :], y[..., k:-1, :]
    lags = [steps[..., k - j : end - j, :] for j in range(1, k + 1)]
    # the constant is taken out again: lagged rows lack the ends whose mean was removed
    order = min(det_order, 0)
    now, level, *lags = (_detrend(x, order) for x in (now, level, *lags))
    if lags:
        basis = np.linalg.qr(np.concatenate(lags, axis=-1))[0]
        now, level = (x - basis @ (basis.swapaxes(-1, -2) @ x) for x in (now, level))
    bases = (np.linalg.qr(x)[0] for x in (now, level))
    correlations = np.linalg.svd(next(bases).swapaxes(-1, -2) @ next(bases), compute_uv=False)
    terms = -np.log1p(-np.minimum(correlations**2, 1 - 1e-15))
    return now.shape[-2] * terms[..., ::-1].cumsum(-1)[..., ::-1]


def _bootstrap_pvalue(y, relations, k, det_order, n_bootstrap, rng) -> float:
    rank = relations.shape[1]
    draws = _simulated(y, relations, k, det_order, n_bootstrap, rng)
    observed = traces(y, k_ar_diff=k, det_order=det_order)[rank]
    drawn = traces(draws, k_ar_diff=k, det_order=det_order)[:, rank]
    return float((1 + (drawn >= observed).sum()) / (1 + n_bootstrap))


def _simulated(y, relations, k, det_order, n_draws, rng) -> np.ndarray:
    """Series (n_draws, T, n) of the fit restricted to the relations, started as y starts."""
    steps = np.diff(y, axis=0)
    rows = len(steps) - k
    parts = [y[k:-1] @ relations, *(steps[k - j : len(steps) - j] for j in range(1, k + 1))]
    parts.append(_deterministic(rows, det_order))
    design = np.hstack(parts)
    coefficients = np.linalg.lstsq(design, steps[k:], rcond=None)[0]
    residuals = steps[k:] - design @ coefficients
    residuals = residuals - residuals.mean(0)
    shocks = residuals[rng.integers(0, rows, (n_draws, rows))]
    drawn = np.empty((n_draws, *y.shape))
    drawn[:, : k + 1] = y[: k + 1]
    for t in range(rows):
        now = drawn[:, t + k]
        past = [drawn[:, t + k + 1 - j] - drawn[:, t + k - j] for j in range(1, k + 1)]
        terms = np.broadcast_to(parts[-1][t], (n_draws, parts[-1].shape[1]))
        drawn[:, t + k + 1] = now + np.hstack([now @ relations, *past, terms]) @ coefficients + shocks[:, t]
    return drawn


def _deterministic(rows: int, det_order: int) -> np.ndarray:
    return np.vander(np.linspace(-1, 1, rows), det_order + 1)


def _detrend(x: np.ndarray, order: int) -> np.ndarray:
    if order < 0:
        return x
    basis = np.linalg.qr(_deterministic(x.shape[-2], order))[0]
    return x - basis @ (basis.T @ x)


def _factor(n_steps: int, n: int, k: int, correction: str) -> float:
    rows = n_steps - 1 - k
    return 1.0 if correction == "none" else max((rows - n * (k + 1)) / rows, 1e-3)


def _guard(n_steps, n, k, det_order, correction, allow) -> float:
    size = _cached_size(n_steps, n, k, det_order, correction)
    if size <= WARN_SIZE:
        return size
    message = (
        f"found {n_steps} steps of {n} series (k_ar_diff={k}, det_order={det_order}, "
        f"correction={correction!r}); at this shape a nominal 5 % trace test of rank 0 rejects {size:.0%} of "
        "independent walks (simulated); expected about 5 %."
    )
    if det_order >= 0:
        without = _cached_size(n_steps, n, k, -1, correction)
        message += (
            f" Without deterministic terms (fixed effects) it is {without:.0%}: the tables with them are for "
            "series that drift."
        )
    if size > REFUSE_SIZE and not allow:
        raise MeasureError(
            f"{message} Take fewer series, more steps, correction='bootstrap', or many problems "
            "(pooled_johansen); allow_distorted=True goes on regardless."
        )
    warnings.warn(message, UserWarning, stacklevel=3)
    return size


@lru_cache(maxsize=256)
def _cached_size(n_steps, n, k, det_order, correction) -> float:
    """The rate for one shape, with a generator of its own, so that a message never changes."""
    return size_distortion(
        n_steps,
        n,
        k_ar_diff=k,
        det_order=det_order,
        correction=correction,
        n_simulations=200 if correction == "bootstrap" else 500,
        rng=np.random.default_rng([n_steps, n, k, det_order + 1]),
    )


def _require_options(k_ar_diff, det_order, correction, n_bootstrap):
    if correction not in CORRECTIONS:
        raise ParameterError(f"correction is {correction!r}; expected one of {CORRECTIONS}.")
    if det_order not in (-1, 0, 1) or k_ar_diff < 1:
        raise ParameterError(
            f"det_order is {det_order}, k_ar_diff is {k_ar_diff}; expected -1, 0 or 1, and at least 1 "
            "(without lags statsmodels pairs a step with the level after it, and finds relations too often)."
        )
    if correction == "bootstrap" and (n_bootstrap < 19 or det_order == 1):
        raise ParameterError(
            f"n_bootstrap is {n_bootstrap}, det_order is {det_order}; the bootstrap takes at least 19 draws "
            "and no linear trend. Take det_order -1 or 0."
        )


def _require_shape(n_steps, n, k, det_order):
    if not 2 <= n <= 12:
        raise MeasureError(
            f"found {n}; expected 2 to 12 series, for which there are critical values. Leave some out, or "
            "reduce them to principal components."
        )
    least = max(2 * n, n * (k + 1) + 1) + 1 + k + det_order + 1
    if n_steps < least:
        raise MeasureError(
            f"found {n_steps} steps of {n} series; expected, with k_ar_diff={k} and "
            f"det_order={det_order}, at least {least} steps: with fewer, canonical "
            "correlations are 1 by construction and the trace test rejects 100 % of independent walks. "
            "Reduce the series, or pool problems (pooled_johansen)."
        )


def _require_steps(y, k, det_order) -> np.ndarray:
    y = finite("y", y)
    if y.ndim != 2:
        raise MeasureError(
            f"y has shape {y.shape}, expected (T, n): one series. Pool many with pooled_johansen."
        )
    _require_shape(*y.shape, k, det_order)
    return y


def _require_regular(y: np.ndarray):
    centred = y - y.mean(0)
    spread = centred.std(0)
    flat = spread <= 1e-12 * np.maximum(np.abs(y).max(0), 1e-300)
    if flat.any():
        raise MeasureError(f"series {int(flat.argmax())} is constant; expected series that move. Drop it.")
    steps = np.diff(y, axis=0)
    straight = steps.std(0) <= 1e-12 * np.abs(y).max(0)
    if straight.any():
        raise MeasureError(
            f"series {int(straight.argmax())} is a straight line: all its steps are alike. Drop it."
        )
    units = ((centred, spread), (steps, np.maximum(steps.std(0), 1e-300)))
    condition = max(np.linalg.cond(moved / unit) for moved, unit in units)
    if not condition <= _CONDITION:
        raise MeasureError(
            f"the series are nearly singular: condition number {condition:.1e}, expected <= "
            f"{_CONDITION:.0e}. Some are copies or sums of others, or the same few steps hold nearly all of "
            "their variance; reduce to principal components first, or leave out such steps."
        )

r"""Regimes: two levels of log y in turn, fitted, and tested against one.

Symbols: `log_y` (T,) log of :math:`y_t = \|f_l\|^2` over the generation steps of one problem; k regimes
ordered by mean; LR, twice the log-likelihood ratio of two regimes over one; B bootstrap series.

Sources: Hamilton (1990), "Analysis of Time Series Subject to Changes in Regime", Journal of Econometrics 45
(EM); Hansen (1992), Journal of Applied Econometrics 7, and Garcia (1998), International Economic Review 39
(why the ratio is not chi-square: under one regime the transition is not identified); Hathaway (1985), Annals
of Statistics 13 (variances bounded away from 0, without which the likelihood has no maximum).
"""

import warnings
from dataclasses import dataclass

import numpy as np

from ...errors import ConvergenceError, MeasureError
from ...measures.results import TestResult
from .hamilton import SHORTEST, FilteredRegimes, RegimeParams, require_series, smoothed_probabilities

_FLAT = 1e-4  # largest slope of the log-likelihood per step, in standard units, that counts as a maximum
_LEAST_VARIANCE, _LEAST_STEPS = 1e-3, 5.0  # below them (share of the variance, steps) a regime is an artefact
_OUTLIER = 0.9  # share of all squared distances from the median that makes one step an outlier
_FLOOR = 0.01  # of a regime's variance, relative to the residual variance of one regime, in the test
_STAY = 1e-4  # transition probabilities in the test lie in [_STAY, 1 - _STAY]
# offsets of the two means and their variances, in residual standard units, the two probabilities to stay, and
# what part of the one-regime autoregression is kept: levels, levels without memory, variances, outliers
_STARTS = np.array(
    [
        (-0.7, 0.7, 0.5, 0.5, 0.95, 0.95, 0.0),
        (-0.7, 0.7, 0.5, 0.5, 0.95, 0.95, 1.0),
        (-0.7, 0.7, 0.5, 0.5, 0.5, 0.5, 1.0),
        (0.0, 0.0, 0.4, 1.8, 0.9, 0.9, 1.0),
        (0.0, 0.0, 0.8, 4.0, 0.95, 0.3, 1.0),
    ]
)


@dataclass(frozen=True)
class RegimeFit:
    """Two Markov regimes fitted by maximum likelihood.

    Attributes
    ----------
    params : RegimeParams, ordered by mean.
    loglik : log-likelihood of log y at them, natural logarithm.
    converged : whether the likelihood is flat there; False only for a degenerate fit, whose likelihood may
        rise without bound. Any other fit that is not raises `ConvergenceError`.
    degenerate : None, or in words why a regime is an artefact (variance near 0, hardly any step).
    shares : (2,) mean smoothed probability of each regime.
    """

    params: RegimeParams
    loglik: float
    converged: bool
    degenerate: str | None
    shares: np.ndarray


def fit_switching(
    log_y, *, switching_variance: bool = True, n_starts: int = 8, rng: np.random.Generator
) -> RegimeFit:
    """Gaussian Markov switching of two regimes by maximum likelihood (statsmodels), best of several starts.

    The series is standardised before and the result converted after, so that an affine change of log y
    changes the parameters accordingly and nothing else. The likelihood with switching variances is unbounded
    (a regime may collapse on a few equal steps); the best maximum that is not degenerate is taken, and only
    if there is none the best degenerate one, which says so.

    Parameters
    ----------
    log_y : (T,) with T >= 64.
    switching_variance : False takes one variance for both regimes.
    n_starts : the first is at quantiles of the series, the others are random.

    Raises
    ------
    MeasureError : a series too short, constant, not finite; fewer than 1 start.
    ConvergenceError : no start reaches a maximum, nor a collapsed regime that can be reported.
    """
    log_y = require_series(log_y, shortest=SHORTEST)
    if n_starts < 1:
        raise MeasureError(f"n_starts {n_starts} must be at least 1.")
    mean, scale = log_y.mean(), log_y.std()
    standard, fits = (log_y - mean) / scale, []
    for start in _random_starts(n_starts, standard, rng):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # they report attempts; the maximum is checked there
            params, settled = _maximise(standard, start, switching_variance)
        if params is not None:
            params = RegimeParams(mean + scale * params.means, scale**2 * params.variances, params.transition)
            smoothed = smoothed_probabilities(log_y, params)
            fits.append((params, smoothed, _degeneracy(params, smoothed, scale**2), settled))
    usable = [fit for fit in fits if fit[3] or fit[2] is not None]
    if not usable:
        raise ConvergenceError(
            f"none of {n_starts} starts of two regimes on {log_y.size} steps reached a maximum"
            f"{_why_unbounded(log_y)}."
        )
    params, smoothed, words, settled = max(usable, key=lambda fit: (fit[2] is None, fit[1].loglik))
    return RegimeFit(params, smoothed.loglik, settled, words, smoothed.probabilities.mean(0))


def number_of_regimes(
    log_y, *, lags: int = 1, n_bootstrap: int = 199, n_iterations: int = 30, rng: np.random.Generator
) -> TestResult:
    r"""Likelihood ratio of two regimes against one, with its p-value by parametric bootstrap.

    Null hypothesis: log y is one Gaussian autoregression (`lags=1`), or Gaussian white noise (`lags=0`).
    Alternative: :math:`\log y_t = c_{s_t} + \phi \log y_{t-1} + \sigma_{s_t} \epsilon_t` with two regimes
    s_t (phi = 0 without lags). Both likelihoods are given the first step where lags=1.

    Under the null the transition matrix is not identified, so that LR is not chi-square. With lags=0 the
    null distribution of LR is free of parameters and the p-value exact; but any dependence between steps
    then passes for regimes, so that a rejection says no more than "not white noise". With lags=1 first-order
    dependence is allowed for, at the price of power against regimes of a few steps; longer memory is not.

    The series and the bootstrap series are maximised by the same EM iterations from the same five starts,
    variances of regimes at least 1/100 of that of one regime; both sides are treated alike, so that p does
    not depend on whether the EM has converged. More iterations find more of the accidental maxima under one
    regime and cost power.

    Simulated with T=256, B=99, nominal 5 % (250 series each), lags=1: white noise .036; autoregressions with
    phi .3, .6, .9: .060, .056, .048; **one regime with two lags (.3, .3): .836**. With lags=0 an
    autoregression of .3 is rejected in 97 of 100 series, and white noise of Student's t with 5 degrees of
    freedom in .844. A rejection is evidence of regimes only where the residuals of one autoregression would
    be white and Gaussian.

    Parameters
    ----------
    log_y : (T,) with T >= 64.
    n_iterations : EM iterations, a third of them from every start, the rest from the best.

    Returns
    -------
    TestResult whose statistic is LR.

    Raises
    ------
    MeasureError : a series too short, constant, not finite; lags other than 0 or 1.
    """
    log_y = require_series(log_y, shortest=SHORTEST)
    if lags not in (0, 1):
        raise MeasureError(f"lags is {lags}; choose 0 (white noise) or 1 (autoregression) for one regime.")
    if n_bootstrap < 19 or n_iterations < 3:
        raise MeasureError(f"n_bootstrap {n_bootstrap} must be >= 19 and n_iterations {n_iterations} >= 3.")
    series, phi = (log_y - log_y.mean()) / log_y.std(), 0.0
    if lags:
        now, before = series[1:], series[:-1]
        phi = 2 * now @ before / (now @ now + before @ before)
    drawn = _autoregressions(phi, (series.size, n_bootstrap), rng)
    ratios = likelihood_ratios(np.column_stack([series, drawn]), lags=lags, n_iterations=n_iterations)
    extreme = int((ratios[1:] >= ratios[0]).sum())
    kind = "a Gaussian autoregression of order 1" if lags else "Gaussian white noise"
    return TestResult(
        statistic=float(ratios[0]),
        pvalue=(1 + extreme) / (1 + n_bootstrap),
        null=f"log y has one regime: it is {kind}",
        n_resamples=n_bootstrap,
    )


def likelihood_ratios(series: np.ndarray, *, lags: int, n_iterations: int) -> np.ndarray:
    """LR of two regimes over one for each column of `series` (T, B): (B,), as in `number_of_regimes`."""
    z = series[lags:] - series.mean(0)
    x = series[:-1] - series.mean(0) if lags else np.zeros_like(z)
    z, x = z[:, None], x[:, None]
    covariance = ((x - x.mean(0)) * (z - z.mean(0))).sum(0)
    slope = covariance / np.maximum(((x - x.mean(0)) ** 2).sum(0), np.finfo(float).tiny)
    variance = (z - slope * x).var(0)
    one = -0.5 * len(z) * (np.log(2 * np.pi * variance) + 1)
    least = _FLOOR * variance
    state, early = _expectation_maximisation(z, x, least, _start(z, x, slope), n_iterations // 3)
    best = early.argmax(0)
    chosen = tuple(np.take_along_axis(part, best[None], 0) for part in state)
    _, late = _expectation_maximisation(z, x, least, chosen, n_iterations - n_iterations // 3)
    return 2 * (np.maximum(late, early.max(0)) - one)[0]


def _start(z: np.ndarray, x: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, ...]:
    """Intercepts, variances, probabilities of regime 1 after regime 0 and 1, and slope: each (S, B)."""
    low, high, small, large, stay_low, stay_high, keep = _STARTS.T[..., None]
    slope = keep * slope
    left = z - slope * x
    centre, spread = left.mean(0), left.std(0)
    means, variances = (centre + low * spread, centre + high * spread), (small * spread**2, large * spread**2)
    values = (*means, *variances, 1 - stay_low, stay_high, slope)
    return tuple(np.broadcast_to(v, slope.shape).copy() for v in values)


def _expectation_maximisation(z, x, least, state, n_iterations: int):
    """The state after EM iterations, and the largest log-likelihood on the way, (S, B).

    The transition is updated as if the first regime were free of it, as in Hamilton (1990).
    """
    best = np.full(state[0].shape, -np.inf)
    for _ in range(n_iterations):
        loglik, q, moved, moved_from = _forward_backward(z, x, state)
        best = np.maximum(best, loglik)
        weights = (1 - q, q)
        sums = [
            [np.einsum("tsb,tsb->sb", w, np.broadcast_to(v, w.shape)) for v in (x, z, x * x, x * z, z * z)]
            for w in weights
        ]
        totals = [np.maximum(w.sum(0), 1e-9) for w in weights]
        cross, square = 0.0, np.finfo(float).tiny
        for total, (sx, sz, sxx, sxz, _), v in zip(totals, sums, state[2:4], strict=True):
            cross = cross + (sxz - sx * sz / total) / v
            square = square + (sxx - sx * sx / total) / v
        slope = cross / square
        intercepts, variances = [], []
        for total, (sx, sz, sxx, sxz, szz) in zip(totals, sums, strict=True):
            mean_x, mean_z = sx / total, sz / total
            centred = szz / total - mean_z**2 - 2 * slope * (sxz / total - mean_x * mean_z)
            centred += slope**2 * (sxx / total - mean_x**2)
            intercepts.append(mean_z - slope * mean_x)
            variances.append(np.maximum(centred, least))
        stays = [
            np.clip(m / np.maximum(f, 1e-9), _STAY, 1 - _STAY) for m, f in zip(moved, moved_from, strict=True)
        ]
        state = (*intercepts, *variances, *stays, slope)
    return state, best


def _forward_backward(z, x, state):
    """Log-likelihood (S, B), smoothed probability of regime 1 (T, S, B), expected moves to it, their chances.

    Probabilities of two regimes are one number; transitions are bounded away from 0, so that scaling by the
    larger density at each step is enough against underflow.
    """
    low, high, small, large, from_low, from_high, slope = state
    left = z - slope * x
    densities = [
        -0.5 * ((left - c) ** 2 / v + np.log(2 * np.pi * v)) for c, v in ((low, small), (high, large))
    ]
    top = np.maximum(*densities)
    zero, one = (np.exp(d - top) for d in densities)
    predicted, filtered, evidence = (np.empty_like(top) for _ in range(3))
    now = from_low / (from_low + 1 - from_high)
    gain = from_high - from_low
    for t in range(len(top)):
        predicted[t] = now
        joint = now * one[t]
        evidence[t] = joint + (1 - now) * zero[t]
        filtered[t] = joint / evidence[t]
        now = from_low + gain * filtered[t]
    smoothed = filtered.copy()
    # what the later steps say of regime 1 and of regime 0, relative to their prediction
    for t in range(len(top) - 2, -1, -1):
        up = smoothed[t + 1] / predicted[t + 1]
        down = (1 - smoothed[t + 1]) / (1 - predicted[t + 1])
        smoothed[t] *= down + from_high * (up - down)
    up = smoothed[1:] / predicted[1:]
    moved = (from_low * ((1 - filtered[:-1]) * up).sum(0), from_high * (filtered[:-1] * up).sum(0))
    inside = smoothed[:-1].sum(0)
    return (np.log(evidence) + top).sum(0), smoothed, moved, (len(top) - 1 - inside, inside)


def _autoregressions(phi: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Stationary Gaussian autoregressions of unit variance, one per column."""
    from scipy.signal import lfilter

    noise = rng.standard_normal(shape)
    noise[1:] *= np.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], noise, axis=0)


def _random_starts(n_starts: int, standard: np.ndarray, rng: np.random.Generator):
    """Starts in standard units: levels at quantiles first, then random levels, spreads and persistence."""
    levels, stay, variances = np.quantile(standard, (0.25, 0.75)), np.full(2, 0.9), np.full(2, 0.5)
    for _ in range(n_starts):
        yield RegimeParams(levels, variances, [[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]])
        levels = np.quantile(standard, np.sort(rng.uniform(0.02, 0.98, 2)))
        stay = rng.uniform(0.5, 0.98, 2)
        variances = np.exp(rng.uniform(np.log(0.1), 0, 2))


def _maximise(standard: np.ndarray, start: RegimeParams, switching_variance: bool):
    """Parameters in standard units, and whether the likelihood is flat there; (None, False) if it fails."""
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    model = MarkovRegression(standard, k_regimes=2, switching_variance=switching_variance)
    values = np.empty(model.k_params)
    for i in range(2):
        values[model.parameters[i, "regime_transition"]] = start.transition[i, :-1]
        values[model.parameters[i, "exog"]] = start.means[i]
    values[model.parameters["variance"]] = start.variances if switching_variance else start.variances.mean()
    try:
        fit = model.fit(values, em_iter=20, maxiter=500, cov_type="none")
    except (np.linalg.LinAlgError, RuntimeError, ValueError):  # a regime collapsed; others may not
        return None, False
    settled = fit.mle_retvals["converged"] or np.abs(fit.mle_retvals["gopt"]).max() < _FLAT
    means = np.array([fit.params[model.parameters[i, "exog"]][0] for i in range(2)])
    variances = np.broadcast_to(fit.params[model.parameters["variance"]], 2)
    if not np.isfinite(fit.llf) or not np.isfinite(fit.params).all() or not (variances > 0).all():
        return None, False
    order = np.argsort(means, kind="stable")
    # theirs is [to, from]; rows of ours are from
    transition = fit.regime_transition[:, :, 0].T.clip(0, 1)[np.ix_(order, order)]
    transition /= transition.sum(1, keepdims=True)
    try:
        return RegimeParams(means[order], variances[order], transition), bool(settled)
    except ValueError:  # a chain that falls into parts has no stationary start
        return None, False


def _why_unbounded(log_y: np.ndarray) -> str:
    """What a regime may have collapsed on, a step far from all others or equal ones, and what to do."""
    squares = (log_y - np.median(log_y)) ** 2
    step = int(squares.argmax())
    if (share := squares[step] / squares.sum()) > _OUTLIER:
        return (
            f": step {step} ({log_y[step]:.6g}) has {share:.1%} of the squared distances from the median, so "
            "that a regime collapses on it, or on all others; leave it out if it is an error"
        )
    values, counts = np.unique(log_y, return_counts=True)
    if (most := int(counts.max())) > 1:
        equal = f"{most} steps have the value {values[counts.argmax()]:.6g}"
        return f": {equal}, on which a regime collapses; leave out text that repeats itself"
    return "; take more starts or a longer series"


def _degeneracy(params: RegimeParams, smoothed: FilteredRegimes, variance: float) -> str | None:
    """Why a regime is an artefact, in words, or None."""
    share, steps = params.variances / variance, smoothed.probabilities.sum(0)
    if share.min() < _LEAST_VARIANCE:
        return f"regime {share.argmin()} has {share.min():.1e} of the variance of the series"
    if steps.min() < _LEAST_STEPS:
        return f"regime {steps.argmin()} holds {steps.min():.1f} of {len(smoothed.probabilities)} steps"
    return None

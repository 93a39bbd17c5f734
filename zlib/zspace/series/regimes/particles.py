r"""Particle filters: Feynman-Kac flows of a hidden state behind one series.

Symbols: `observations` (T,), one number per generation step; N particles with states `x` (N,) and weights; a
model is anything with `initial(n, rng)`, the states of the first step, `move(x, rng)`, those of the next
step, and `log_weight(x, observation)`, the log density of the observation given each state.

Sources: Gordon, Salmond & Smith (1993), IEE Proceedings F 140 (bootstrap filter); Del Moral (2004),
"Feynman-Kac Formulae"; Chopin & Papaspiliopoulos (2020), "An Introduction to Sequential Monte Carlo",
chapters 9 and 10 (systematic and adaptive resampling); Harvey, Ruiz & Shephard (1994), "Multivariate
Stochastic Variance Models", Review of Economic Studies 61 (quasi-likelihood).
"""

import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import optimize, special

from ...errors import ConvergenceError, MeasureError
from .hamilton import SHORTEST, RegimeParams, log_densities, require_series


class StateModel(Protocol):
    """A hidden Markov state and its observation; `n_regimes` besides where the state is a regime."""

    def initial(self, n: int, rng: np.random.Generator) -> np.ndarray: ...

    def move(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...

    def log_weight(self, x: np.ndarray, observation: float) -> np.ndarray: ...


@dataclass(frozen=True)
class RegimeModel:
    """The state is one of k regimes, the observation Gaussian: the model of `filtered_probabilities`."""

    params: RegimeParams

    @property
    def n_regimes(self) -> int:
        return self.params.n_regimes

    def initial(self, n, rng):
        return np.searchsorted(self.params.initial.cumsum()[:-1], rng.random(n), side="right")

    def move(self, x, rng):
        bounds = self.params.transition.cumsum(1)[:, :-1]
        return (rng.random(x.size)[:, None] >= bounds[x]).sum(1)

    def log_weight(self, x, observation):
        return log_densities(np.array([observation]), self.params)[0, x]


@dataclass(frozen=True)
class StochasticVolatility:
    r"""AR(1) log variance x_t behind :math:`y_t = e^{x_t} \chi^2_\nu / \nu`, observed as log y_t.

    Attributes
    ----------
    mean, phi, innovation_variance : of the state, as x_t = mean + phi (x_{t-1} - mean) + innovation.
    degrees : degrees of freedom nu > 0 of the noise: 1 the square of one Gaussian (log chi^2_1), 2
        exponential; a squared norm of many coordinates has more.

    Raises
    ------
    MeasureError : the mean is not finite, phi not in (-1, 1), or a variance or degrees not positive.
    """

    mean: float
    phi: float
    innovation_variance: float
    degrees: float = 1.0

    def __post_init__(self):
        positive = (self.innovation_variance, self.degrees)
        if not np.isfinite(self.mean) or not abs(self.phi) < 1 or not all(0 < v < np.inf for v in positive):
            raise MeasureError(
                f"mean {self.mean} must be finite, phi {self.phi} in (-1, 1), innovation_variance and "
                f"degrees {positive} positive."
            )

    def initial(self, n, rng):
        return rng.normal(self.mean, np.sqrt(self.innovation_variance / (1 - self.phi**2)), n)

    def move(self, x, rng):
        noise = rng.normal(0, np.sqrt(self.innovation_variance), x.size)
        return self.mean + self.phi * (x - self.mean) + noise

    def log_weight(self, x, observation):
        half, noise = self.degrees / 2, observation - x
        with np.errstate(over="ignore"):  # a state far below the observation has weight zero
            return half * np.log(half) - special.gammaln(half) + half * (noise - np.exp(noise))


@dataclass(frozen=True)
class ParticleFilter:
    """A hidden state given the past and present of a series, by Monte Carlo.

    Attributes
    ----------
    means, variances : (T,) of the state given the observations up to each step (of the index of the regime
        where states are regimes).
    probabilities : (T, k) of each regime, or None where the state is no regime.
    loglik : log of the unbiased estimate of the likelihood (the logarithm itself is biased downwards).
    effective_sample_size : (T,) in [1, N], after weighting and before resampling.
    """

    means: np.ndarray
    variances: np.ndarray
    probabilities: np.ndarray | None
    loglik: float
    effective_sample_size: np.ndarray


@dataclass(frozen=True)
class VolatilityFit:
    """A stochastic-volatility model fitted by quasi-maximum likelihood.

    Attributes
    ----------
    model : StochasticVolatility, ready for `particle_filter`.
    loglik : Gaussian quasi-log-likelihood of log y.
    state_share : share of the variance of log y that the state explains; near 0 phi means nothing.
    """

    model: StochasticVolatility
    loglik: float
    state_share: float


def particle_filter(
    observations, model: StateModel, *, n_particles: int = 10_000, rng: np.random.Generator
) -> ParticleFilter:
    r"""Bootstrap Feynman-Kac flow: move by the model, weight by the observation, resample when few count.

    Systematic resampling where the effective sample size :math:`1 / \sum W_i^2` falls below N/2. The
    product over steps of :math:`\sum_i W_{t-1}^i w_t^i` estimates the likelihood without bias.

    Raises
    ------
    MeasureError : wrong shape, values that are not finite, fewer than 2 particles, or an observation to which
        every particle gives weight zero.
    """
    observations = require_series(observations)
    if n_particles < 2:
        raise MeasureError(f"n_particles is {n_particles}; expected at least 2, and thousands for a result.")
    k = getattr(model, "n_regimes", None)
    means, variances, sizes = np.empty((3, observations.size))
    probabilities = None if k is None else np.empty((observations.size, k))
    weights, loglik = np.full(n_particles, 1 / n_particles), 0.0
    x = model.initial(n_particles, rng)
    for t, observation in enumerate(observations):
        if t:
            x = model.move(x, rng)
        log_weights = model.log_weight(x, observation)
        top = log_weights.max()
        if not np.isfinite(top):
            raise MeasureError(
                f"no particle explains step {t} ({observation:.6g}); check the units of the series and the "
                "model, or take more particles."
            )
        weights = weights * np.exp(log_weights - top)
        total = weights.sum()
        loglik += top + np.log(total)
        weights /= total
        means[t] = weights @ x
        variances[t] = weights @ (x - means[t]) ** 2
        sizes[t] = 1 / (weights @ weights)
        if probabilities is not None:
            probabilities[t] = np.bincount(x, weights, minlength=k)
        if sizes[t] < n_particles / 2:
            x, weights = x[_systematic(weights, rng)], np.full(n_particles, 1 / n_particles)
    return ParticleFilter(means, variances, probabilities, float(loglik), sizes)


def fit_stochastic_volatility(log_y, *, degrees: float | None = None) -> VolatilityFit:
    r"""Stochastic volatility by quasi-maximum likelihood: the Kalman filter on log y.

    :math:`\log y_t = x_t + \xi_t` with :math:`\xi = \log(\chi^2_\nu / \nu)` of mean
    :math:`\psi(\nu/2) - \log(\nu/2)` and variance :math:`\psi'(\nu/2)` is treated as if xi were Gaussian.
    Consistent, not efficient. Where the state has no memory (phi near 0), state and noise cannot be told
    apart unless `degrees` is given.

    Parameters
    ----------
    log_y : (T,) with T >= 64.
    degrees : of the noise; None estimates them from the variance of the noise.

    Raises
    ------
    MeasureError : a series too short, constant, not finite; degrees not positive.
    ConvergenceError : no start reaches a maximum, or the state or the noise has no variance left.
    """
    log_y = require_series(log_y, shortest=SHORTEST)
    if degrees is not None and not 0 < degrees < np.inf:
        raise MeasureError(f"degrees {degrees} must be positive.")
    noise = None if degrees is None else float(special.polygamma(1, degrees / 2))
    fit, (noise, innovation, phi) = _quasi_likelihood(log_y - log_y.mean(), noise)
    state = innovation / (1 - phi**2)
    if min(state, noise) < 1e-4 * (state + noise) or abs(phi) > 0.9999:
        raise ConvergenceError(
            f"of the variance of log y the state explains {state:.3g} and the noise {noise:.3g}, with phi "
            f"{phi:.4f}: the fit lies on the boundary and is no model to filter with. "
            + ("Leave degrees open." if degrees else "Give degrees, or take a longer series.")
        )
    if degrees is None:
        degrees = _degrees_of(noise)
    level = float(log_y.mean()) - float(special.digamma(degrees / 2) - np.log(degrees / 2))
    model = StochasticVolatility(level, float(phi), float(innovation), float(degrees))
    return VolatilityFit(model, float(fit.llf), float(state / (state + noise)))


def _systematic(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ancestors drawn with one uniform number, each particle N W times up to one."""
    bounds = weights.cumsum()
    points = (rng.random() + np.arange(weights.size)) / weights.size * bounds[-1]
    return np.minimum(np.searchsorted(bounds, points), weights.size - 1)


def _quasi_likelihood(centred: np.ndarray, noise: float | None):
    """Best converged fit of AR(1) plus noise, and its (noise variance, innovation variance, phi)."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    model = UnobservedComponents(centred, irregular=True, autoregressive=1)
    total, best = centred.var(), None
    for phi, share in ((0.95, 0.3), (0.7, 0.5), (0.3, 0.7)):
        start = [total * (1 - share), total * share * (1 - phi**2), phi]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether it converged is asked of the result
            if noise is None:
                fit = model.fit(start, disp=0, maxiter=500, cov_type="none")
            else:
                fixed = {"sigma2.irregular": noise}
                fit = model.fit_constrained(fixed, start_params=start[1:], disp=0, maxiter=500)
        if fit.mle_retvals["converged"] and (best is None or fit.llf > best.llf):
            best = fit
    if best is None:
        raise ConvergenceError(
            f"the quasi-likelihood of {centred.size} steps has no maximum that 3 starts could reach; take a "
            "longer series or give degrees."
        )
    return best, best.params


def _degrees_of(variance: float) -> float:
    """Degrees of freedom whose log chi-square has this variance (the trigamma function inverted)."""
    log_half = optimize.brentq(lambda u: np.log(special.polygamma(1, np.exp(u))) - np.log(variance), -30, 30)
    return 2 * float(np.exp(log_half))

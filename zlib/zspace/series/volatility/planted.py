r"""Planted truth for volatility clustering: simulated MEM series, and how often the tests reject.

Symbols as in `volatility`: y (T,) with conditional mean mu_t = omega + garch_alpha y_{t-1} + garch_beta
mu_{t-1} and innovations of mean 1.

Sources: Engle (2002), "New Frontiers for ARCH Models", J. Applied Econometrics 17 (the MEM); Andrews (2001),
Econometrica 69, on a parameter that the null hypothesis leaves unidentified.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from ...errors import ParameterError
from .mem import fit_mem, ljung_box_test, sup_score_test

_BURN_IN = 300
_T = 1.96  # where a t-statistic is called significant
Innovations = Literal["exponential", "chi2", "lognormal"]


@dataclass(frozen=True)
class PowerCurve:
    """Share of simulated series that are rejected, by length; each has standard error <= .5/sqrt(n).

    Attributes
    ----------
    lengths : (K,) steps per series.
    sup_score, ljung_box : (K,) rejection rates of `sup_score_test` and of `ljung_box_test` with ten lags.
    garch_alpha, garch_beta, n_simulations : what was simulated, and how often.
    """

    lengths: np.ndarray
    sup_score: np.ndarray
    ljung_box: np.ndarray
    garch_alpha: float
    garch_beta: float
    n_simulations: int


@dataclass(frozen=True)
class GarchSizes:
    """Shares of `n_simulations` series of squared normals, without order, in which there seems to be a GARCH.

    Attributes
    ----------
    beta : t of garch_beta above 1.96. both : those of garch_alpha and of garch_beta above 1.96.
    likelihood_ratio : against a constant variance, above the 5 % point of chi-squared with 2 degrees of
        freedom (conservative, since garch_alpha lies on its bound).
    """

    beta: float
    both: float
    likelihood_ratio: float
    n_simulations: int


def simulate_mem(
    shape: int | tuple[int, ...],
    *,
    omega: float,
    garch_alpha: float,
    garch_beta: float,
    rng: np.random.Generator,
    innovations: Innovations = "exponential",
) -> np.ndarray:
    """Series from a stationary MEM(1,1), after 300 steps of burn-in: the given shape, steps last.

    Parameters
    ----------
    shape : T, or (..., T) for many series at once.
    omega : > 0; the mean of y is omega / (1 - garch_alpha - garch_beta).
    innovations : with mean 1: "exponential"; "chi2" with one degree of freedom (y is then the square of a
        Gaussian GARCH); "lognormal" with unit log-variance (heavy tails).

    Raises
    ------
    ParameterError : omega <= 0, a negative coefficient, a sum of 1 or more, unknown innovations.
    """
    if not (omega > 0 and garch_alpha >= 0 and garch_beta >= 0 and garch_alpha + garch_beta < 1):
        raise ParameterError(
            f"omega {omega}, garch_alpha {garch_alpha}, garch_beta {garch_beta}: a stationary MEM needs "
            "omega > 0, coefficients >= 0 and their sum below 1."
        )
    *many, steps = np.atleast_1d(shape)
    noise = _draw(innovations, (*many, steps + _BURN_IN), rng)
    y, mean = np.empty_like(noise), np.full(tuple(many), omega / (1 - garch_alpha - garch_beta))
    for t in range(noise.shape[-1]):
        y[..., t] = mean * noise[..., t]
        mean = omega + garch_alpha * y[..., t] + garch_beta * mean
    return y[..., _BURN_IN:]


def power_curve(
    lengths: Sequence[int],
    *,
    garch_alpha: float,
    garch_beta: float,
    innovations: Innovations = "exponential",
    n_simulations: int = 200,
    n_shuffles: int = 199,
    rng: np.random.Generator,
) -> PowerCurve:
    """Rejection rates at 5 % of the sup-score and the Ljung-Box test in simulated MEM series, by length.

    With garch_alpha = 0 they are sizes. Each length has a random stream of its own. Errors as `simulate_mem`.
    """
    rates = np.zeros((len(lengths), 2))
    world = {"omega": 1 - garch_alpha - garch_beta, "garch_alpha": garch_alpha, "garch_beta": garch_beta}
    for row, steps, stream in zip(rates, lengths, rng.spawn(len(lengths)), strict=True):
        for y in simulate_mem((n_simulations, steps), **world, innovations=innovations, rng=stream):
            tests = sup_score_test(y, n_shuffles=n_shuffles, rng=stream), ljung_box_test(y)
            row += [test.pvalue <= 0.05 for test in tests]
    return PowerCurve(np.asarray(lengths), *rates.T / n_simulations, garch_alpha, garch_beta, n_simulations)


def garch_sizes(
    steps: int = 256, *, n_simulations: int = 60, n_starts: int = 1, rng: np.random.Generator
) -> GarchSizes:
    """How often three readings of a GARCH(1,1) see clustering in series *without any order*.

    With garch_alpha = 0 the conditional mean is constant whatever garch_beta is, so that the data do not
    determine it and its standard error means nothing: a "significant beta" is never evidence of clustering.
    The two other readings keep their level. Errors as `fit_mem`.
    """
    found = []
    for y in _draw("chi2", (n_simulations, steps), rng):
        fit = fit_mem(y, n_starts=n_starts)
        none = -steps / 2 * (np.log(2 * np.pi * y.mean()) + 1)  # constant variance, at its maximum
        ratio = 2 * (fit.loglik - none) > stats.chi2.isf(0.05, 2)
        found.append((fit.beta_tstat > _T, min(fit.alpha_tstat, fit.beta_tstat) > _T, ratio))
    return GarchSizes(*np.mean(found, axis=0).tolist(), n_simulations)


def _draw(innovations: Innovations, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    match innovations:
        case "exponential":
            return rng.exponential(size=shape)
        case "chi2":
            return rng.chisquare(1, shape)
        case "lognormal":
            return rng.lognormal(-0.5, 1.0, shape)
    raise ParameterError(f'innovations {innovations!r}; expected "exponential", "chi2" or "lognormal".')

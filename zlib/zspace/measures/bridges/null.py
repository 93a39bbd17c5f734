r"""Null distribution of the gap and of kappa: the truth is a scaled rotation.

Symbols: x, y (..., n, p) training and (..., m, p) held-out states of two languages, p principal components;
gap = held-out R² of ridge minus that of scaled Procrustes; kappa the condition number of the affine map.
Both differ from 0 and 1 by noise alone: kappa grows with p / n and with noise, and ridge may shrink where a
rotation may not. The null data have the same size, the observed association and the observed noise, but y is
a rotated and scaled x. The excess is the observed value minus the mean of the simulated ones.

The strength of the association is cross-fitted, a rotation fitted on one half of the items being scored on
the other: in sample even unrelated states look associated, by the nuclear norm of their noise. What the
rotation of a half misses is counted as noise, so that the excess errs downwards where the association is
weak. Simulated rotations of 8 dimensions and 80 + 80 items have a mean gap excess of .000 where the rotation
explains a share .75 of the variance of y, -.009 at .18 and -.018 at .07.

Source: Efron & Tibshirani (1993), "An Introduction to the Bootstrap", section 16.4, for tests against data
simulated under the null hypothesis.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import stats

from ...errors import MeasureError
from ..paired import finite, paired
from .fitting import best_rotation, centred_states, energy, fit

Noise = Literal["target", "both"]
Statistic = Literal["gap", "log_kappa"]


@dataclass(frozen=True)
class OrthogonalNull:
    """Observed gap and kappa beside those of simulated rotations.

    Attributes
    ----------
    gap : (...) held-out R² of ridge minus that of scaled Procrustes, dimensionless.
    log_kappa : (...) natural logarithm of the affine map's condition number.
    null_gap, null_log_kappa : (..., B) the same of the simulations.
    association : (...) share c in [0, 1] of the fitted scale that holds on other items.
    """

    gap: np.ndarray
    log_kappa: np.ndarray
    null_gap: np.ndarray
    null_log_kappa: np.ndarray
    association: np.ndarray

    @property
    def gap_excess(self) -> np.ndarray:
        """Gap minus its mean under the null hypothesis, (...)."""
        return self.gap - self.null_gap.mean(-1)

    @property
    def kappa_excess(self) -> np.ndarray:
        """Logarithm of kappa minus its mean under the null hypothesis, (...)."""
        return self.log_kappa - self.null_log_kappa.mean(-1)

    def interval(self, statistic: Statistic, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Low and high of the excess, (...) each: it covers 0 where the truth is a scaled rotation.

        The prediction interval of one more simulation, excess ± t_(B-1) sd sqrt(1 + 1/B). It carries the
        spread of the null hypothesis, so it is no confidence interval of an excess that is far from 0.

        Raises
        ------
        MeasureError : an unknown statistic, or a confidence outside (0, 1).
        """
        if statistic not in get_args(Statistic) or not 0 < confidence < 1:
            raise MeasureError(
                f"found statistic {statistic!r} and confidence {confidence}; choose one of "
                f"{', '.join(map(repr, get_args(Statistic)))}, and a number between 0 and 1."
            )
        observed, null = getattr(self, statistic), getattr(self, f"null_{statistic}")
        size = null.shape[-1]
        reach = stats.t.isf((1 - confidence) / 2, size - 1) * null.std(-1, ddof=1) * np.sqrt(1 + 1 / size)
        return observed - null.mean(-1) - reach, observed - null.mean(-1) + reach


def orthogonal_null(
    x_train,
    y_train,
    x_test,
    y_test,
    *,
    noise: Noise = "target",
    n_simulations: int = 20,
    rng: np.random.Generator,
) -> OrthogonalNull:
    r"""Gap and kappa against data in which y is a scaled rotation of x.

    Null hypothesis: y is a scaled rotation of what x holds, plus Gaussian noise. With R the rotation and s
    the scale of scaled Procrustes on all items, and c the cross-fitted share of s:

    "target": y* = c s x R + e, the x observed and e with the covariance of y - c s x R. All noise is in y.
    "both": x* = z + e_1, y* R' / t = z + e_2 with t the ratio of the sizes of y and x. The covariance of z
    is c times S, the symmetric part of the cross-covariance of x and y R' / t; that of either noise is c
    times what S leaves of the mean covariance of the two, and 1 - c times the language's own covariance.

    Noise in x pulls an affine map down most where x varies least, so that kappa is above 1 although the
    spaces under the noise are turned copies; principal components that two languages order differently do
    the same. Of 300 rotations with equal noise in both (8 dimensions of standard deviations 3 to .5, noise
    .5, 80 + 80 items) the interval of "target" lay above 0 in 87 % for kappa and 74 % for the gap, that of
    "both" in at most 2 %: only with an x known to be free of noise is "target" evidence. "both" pays for it
    in power for kappa, not for the gap: under kappa 12 and noise .4 in y alone its gap was above 0 in all
    simulations, its kappa in 29 % (equal variances) or 7 %; where only y is noisy its excess errs downwards.

    Parameters
    ----------
    x_train, y_train : (..., n, p) states to fit on, n >= 2 p; leading axes (layers) are independent.
    x_test, y_test : (..., m, p) states to score, m > p. From `principal_components`, for states that vary
        in more dimensions than the items determine.
    noise : where the noise is, see above.
    n_simulations : B >= 2.

    Raises
    ------
    MeasureError : as `fit` of kind "affine"; p differs between the sides; m <= p; an unknown noise; fewer
        than 2 simulations.
    """
    halves = _checked(x_train, y_train, x_test, y_test, noise, n_simulations)
    gap, log_kappa = _statistics(halves)
    centred = [[centred_states("states", side)[0] for side in half] for half in halves]
    x, y = (np.concatenate([half[i] for half in centred], axis=-2) for i in range(2))
    n = halves[0][0].shape[-2]
    rotation, scale = best_rotation(x, y)
    association = _association(centred, scale)
    simulate = _noisy_target if noise == "target" else _noisy_both
    drawn = simulate(x, y, rotation, association, scale, n_simulations, rng)
    null = _statistics([[s[..., :n, :] for s in drawn], [s[..., n:, :] for s in drawn]])
    return OrthogonalNull(gap, log_kappa, *(np.moveaxis(values, 0, -1) for values in null), association)


def _statistics(halves) -> tuple[np.ndarray, np.ndarray]:
    """Gap and log kappa, (...) each, of training and held-out pairs of states."""
    train, test = halves
    r2 = {kind: fit(*train, kind=kind).r2(*test) for kind in ("ridge", "scaled_procrustes")}
    kappa = fit(*train, kind="affine").condition_number
    return np.asarray(r2["ridge"] - r2["scaled_procrustes"]), np.asarray(np.log(kappa))


def _association(halves, scale: np.ndarray) -> np.ndarray:
    """Cross-fitted share (...) of the scale that fits all items, between 0 and 1."""
    crossed = [_rotation_scale(*fitted, *scored) for fitted, scored in (halves, halves[::-1])]
    return np.clip(np.mean(crossed, axis=0) / scale, 0, 1)


def _rotation_scale(x, y, x_other, y_other) -> np.ndarray:
    """Best scale (...) on the other items of the rotation that fits these."""
    turned = x_other @ best_rotation(x, y)[0]
    return np.einsum("...np,...np->...", turned, y_other) / energy(x_other)


def _noisy_target(x, y, rotation, association, scale, n_simulations, rng):
    """Simulated x and y (B, ..., n + m, p), x the observed one."""
    turned = (association * scale)[..., None, None] * x @ rotation
    residual = y - turned
    n, p = x.shape[-2:]
    # a rotation and a scale have taken from the residual as many degrees of freedom
    left = 1 - (p * (p - 1) / 2 + 1) / (n * p)
    drawn = _normal(residual.mT @ residual / (n * left), n, n_simulations, rng)
    return np.broadcast_to(x, drawn.shape), turned + drawn


def _noisy_both(x, y, rotation, association, scale, n_simulations, rng):
    """Simulated x and y R' (B, ..., n + m, p): R itself changes neither gap nor kappa."""
    n = x.shape[-2]
    back = y @ rotation.mT * np.sqrt(energy(x) / energy(y))[..., None, None]
    c = association[..., None, None]
    cross, total_x, total_y = (a.mT @ b / n for a, b in ((x, back), (x, x), (back, back)))
    shared = (cross + cross.mT) / 2
    left = (total_x + total_y) / 2 - shared
    latent = _normal(c * shared, n, n_simulations, rng)
    own = (_normal(c * left + (1 - c) * total, n, n_simulations, rng) for total in (total_x, total_y))
    return tuple(latent + noise for noise in own)


def _normal(covariance: np.ndarray, n: int, n_simulations: int, rng) -> np.ndarray:
    """Rows (B, ..., n, p) with the covariance (..., p, p)."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    shape = (n_simulations, *covariance.shape[:-2], n, covariance.shape[-1])
    return rng.standard_normal(shape) @ root.mT


def _checked(x_train, y_train, x_test, y_test, noise: str, n_simulations: int):
    """Training and held-out pairs in float64."""
    halves = []
    for part, pair in (("train", (x_train, y_train)), ("test", (x_test, y_test))):
        names = (f"x_{part}", f"y_{part}")
        halves.append(paired(*map(finite, names, pair), "(..., n, p)", names=names))
    (train, _), (test, _) = halves
    if train.shape[:-2] != test.shape[:-2] or train.shape[-1] != test.shape[-1]:
        raise MeasureError(
            f"training states have shape {train.shape}, held-out states {test.shape}; expected (..., n, p) "
            "and (..., m, p) with the same layers and dimensions. Take as many components of both."
        )
    if test.shape[-2] <= test.shape[-1]:
        raise MeasureError(
            f"{test.shape[-2]} items to score in {test.shape[-1]} dimensions do not determine a rotation; "
            "score more items, or use fewer components."
        )
    if noise not in get_args(Noise) or n_simulations < 2:
        raise MeasureError(
            f"found noise {noise!r} and n_simulations {n_simulations}; choose one of "
            f"{', '.join(map(repr, get_args(Noise)))}, and at least 2."
        )
    return halves

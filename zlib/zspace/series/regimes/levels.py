r"""Two levels in turn, fitted to many series at once.

Symbols: `series` N arrays (T_i,) of log y; :math:`\log y_t \sim N(\mu_{s_t}, \sigma^2)` with one variance,
s_t in {0, 1} a Markov chain, :math:`\mu_0 < \mu_1`. One variance, since two can collapse on a few steps
(`switching`, which fits one series with care and tests the number of regimes).

Source: Hamilton (1990), Journal of Econometrics 45 (EM).
"""

from collections.abc import Sequence

import numpy as np

from .hamilton import SHORTEST, require_series

_STAY = 1e-3  # probabilities to change lie in [_STAY, 1 - _STAY]
_LEAST = 1e-3  # of the variance that the levels may leave


def two_levels(series: Sequence, *, n_iterations: int = 40) -> list[np.ndarray]:
    """Smoothed probability of the upper level at each step: list of (T_i,), after `n_iterations` of EM.

    Every series starts from levels .7 deviations above and below its mean that last 20 steps on average. An
    affine change of a series changes nothing but, where its sign is negative, which level is the upper one.

    Raises
    ------
    MeasureError : a series shorter than 64 steps, constant or not finite.
    """
    series = [require_series(y, shortest=SHORTEST) for y in series]
    lengths = np.array([y.size for y in series])
    there = np.arange(lengths.max())[:, None] < lengths
    z = np.zeros(there.shape)
    for i, y in enumerate(series):
        z[: y.size, i] = (y - y.mean()) / y.std()
    n = len(series)
    low, high, variance = np.full(n, -0.7), np.full(n, 0.7), np.full(n, 0.5)
    rise, stay = np.full(n, 0.05), np.full(n, 0.95)
    for _ in range(n_iterations):
        upper, rises, stays = _smoothed(z, there, low, high, variance, rise, stay)
        lower = np.where(there, 1 - upper, 0.0)
        upper = np.where(there, upper, 0.0)
        low, high = (lower * z).sum(0) / lower.sum(0).clip(1e-9), (upper * z).sum(0) / upper.sum(0).clip(1e-9)
        left = lower * (z - low) ** 2 + upper * (z - high) ** 2
        variance = np.maximum(left.sum(0) / lengths, _LEAST)
        before = there[1:]
        rise = (rises / (lower[:-1] * before).sum(0).clip(1e-9)).clip(_STAY, 1 - _STAY)
        stay = (stays / (upper[:-1] * before).sum(0).clip(1e-9)).clip(_STAY, 1 - _STAY)
    upper, _, _ = _smoothed(z, there, low, high, variance, rise, stay)
    upper = np.where(high >= low, upper, 1 - upper)
    return [upper[:k, i] for i, k in enumerate(lengths)]


def _smoothed(z, there, low, high, variance, rise, stay):
    """Probability of level 1 (T, N), expected moves to it from 0 and from 1 (N,)."""
    # steps that are not there say nothing
    odds = np.where(there, ((z - low) ** 2 - (z - high) ** 2) / (2 * variance), 0.0)
    ratio = np.exp(odds.clip(-50, 50))
    predicted, filtered = np.empty_like(z), np.empty_like(z)
    now = rise / (rise + 1 - stay)
    for t in range(len(z)):
        predicted[t] = now
        filtered[t] = now * ratio[t] / (now * ratio[t] + 1 - now)
        now = rise + (stay - rise) * filtered[t]
    smoothed = filtered.copy()
    for t in range(len(z) - 2, -1, -1):
        up, down = smoothed[t + 1] / predicted[t + 1], (1 - smoothed[t + 1]) / (1 - predicted[t + 1])
        smoothed[t] *= down + stay * (up - down)
    up = np.where(there[1:], smoothed[1:] / predicted[1:], 0.0)
    return smoothed, (rise * (1 - filtered[:-1]) * up).sum(0), (stay * filtered[:-1] * up).sum(0)

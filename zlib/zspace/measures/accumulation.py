"""Accumulation: how much of the fall of the snr comes from merely adding layers of equal quality q.

Symbols as in `residual`: a layer adds E|delta|^2 + C_s to D_same and sigma^2 + C_d to D_diff, snr =
D_same / D_diff and q = E|delta|^2 / sigma^2. Without cross-terms C_s and C_d the snr falls wherever
it stands above q, also if the languages share nothing: such a fall alone is no sign of alignment.
"""

from dataclasses import dataclass

import numpy as np

from .residual import SnrProfile

PARTS = ("accumulation", "change of q", "cross-terms")


@dataclass(frozen=True)
class AccumulationShares:
    """What the fall of log snr from first to last state is due to (leading axes as in the profile).

    q_k = E|delta_k|^2 / sigma_k^2 is what a layer alone would make of the snr. *Accumulation* is the
    fall that would remain had every layer the q of the first and no cross-terms; the rest is split
    between the change of q and the cross-terms by their Shapley values.

    Attributes
    ----------
    log_snr, frozen_q, without_cross, accumulation : (..., L+1) paths of log snr: actual, with
        q_k = q_0, with C_s = C_d = 0, with both. NaN where a distance would have to be negative,
        which only a frozen q beside actual cross-terms can ask for.
    fall : (...) log snr_0 - log snr_L.
    contributions : (..., 3) parts of the fall in the order of `PARTS`; they sum to it. NaN where the frozen
        path does not exist.
    shares : (..., 3) contributions / fall, NaN where snr does not fall.
    """

    log_snr: np.ndarray
    frozen_q: np.ndarray
    without_cross: np.ndarray
    accumulation: np.ndarray
    fall: np.ndarray
    contributions: np.ndarray
    shares: np.ndarray


def accumulation_shares(profile: SnrProfile) -> AccumulationShares:
    """The fall of log snr, split into accumulation, change of q and cross-terms.

    Counterfactual paths restart from the measured D_same and D_diff of state 0 and add the measured
    sigma_k^2 at every layer. Works on a profile with leading axes, such as bootstrap replicates.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        frozen_sq = (profile.delta_sq / profile.sigma_sq)[..., :1] * profile.sigma_sq
    signal = _log_path(profile.d_diff, profile.sigma_sq + profile.cross_diff)
    signal_alone = _log_path(profile.d_diff, profile.sigma_sq)
    actual = _log_path(profile.d_same, profile.delta_sq + profile.cross_same) - signal
    frozen = _log_path(profile.d_same, frozen_sq + profile.cross_same) - signal
    uncrossed = _log_path(profile.d_same, profile.delta_sq) - signal_alone
    neither = _log_path(profile.d_same, frozen_sq) - signal_alone
    fall, fall_frozen, fall_uncrossed, fall_neither = (
        path[..., 0] - path[..., -1] for path in (actual, frozen, uncrossed, neither)
    )
    changed = ((fall_uncrossed - fall_neither) + (fall - fall_frozen)) / 2
    crossed = ((fall_frozen - fall_neither) + (fall - fall_uncrossed)) / 2
    contributions = np.stack([fall_neither, changed, crossed], -1)
    contributions[np.isnan(contributions).any(-1)] = np.nan
    shares = contributions / np.where(fall > 0, fall, np.nan)[..., None]
    return AccumulationShares(actual, frozen, uncrossed, neither, fall, contributions, shares)


def _log_path(distance: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Log of the distances that start as `distance` and grow by `added`; NaN from a negative one on."""
    path = np.concatenate([distance[..., :1], distance[..., :1] + np.cumsum(added, -1)], -1)
    return np.log(np.where(np.minimum.accumulate(path, -1) > 0, path, np.nan))

"""Z and Z_perp of a pair of languages: which directions of a state say what the item is, not the language.

Theorem 1's general form with the item as latent: language l shows item i as the state x_l(i), so T_l = X_l' /
sqrt(n), S is the mean second moment of the two languages and M holds their mean state of every item.
Its agreement ratios are the share of a direction's variance that the languages' mean carries: 1 where
translations coincide, 1/2 in expectation where they are unrelated, 0 where they are opposite. As many
ratios as the states have dimensions cannot be told from noise with fewer items, so the states are first
reduced to their leading principal components.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import MeasureError
from ..theory import optimal_map
from .axes import leading_axes
from .paired import finite, paired


@dataclass(frozen=True)
class SharedDirections:
    """Directions of one state, most agreeing first.

    Attributes
    ----------
    agreement : (p,) agreement ratios on the items that the directions were fitted to, descending.
    readout : (d, p) columns; states minus their language's mean, times these, are uncorrelated and of
        unit variance (over both languages, on those items).
    """

    agreement: np.ndarray
    readout: np.ndarray


def shared_directions(x, y, n_components: int) -> SharedDirections:
    """Agreement spectrum of two languages' states after PCA.

    Parameters
    ----------
    x, y : (n, d) states of the same n items in two languages; each language's mean is subtracted.
    n_components : number of principal components of both languages together, p. Where p exceeds n - 1, the
        mean states and the differences cannot both fill the space: p - n + 1 ratios are 1 and as many are 0,
        whatever the states are.

    Raises
    ------
    MeasureError : shapes differ, values are not finite, or p exceeds what the states hold: at most d, at most
        2 (n - 1) (one less a language for its mean), and no more than they vary in.

    References
    ----------
    Dmochowski, Sajda, Dias & Parra (2012), Frontiers in Human Neuroscience 6:112, correlated components: one
    weight vector for both sets of states, unlike canonical correlation.
    """
    x, y = paired(finite("x", x), finite("y", y), "(n, d)")
    n, d = x.shape
    if not 1 <= n_components <= min(d, 2 * (n - 1)):
        raise MeasureError(
            f"n_components={n_components}; {n} items of {d} dimensions allow 1 to {min(d, 2 * (n - 1))}."
        )
    centred = np.stack([s - s.mean(0) for s in (x, y)])
    axes = _principal_axes(centred.reshape(2 * n, d), n_components)
    shown = np.swapaxes(centred @ axes, 1, 2) / np.sqrt(n)
    # theorem 1 has min(p, n) ratios: items of zeros, which change no moment, make that p
    shown = np.pad(shown, ((0, 0), (0, 0), (0, max(0, n_components - n))))
    found = optimal_map(shown, [0.5, 0.5])
    return SharedDirections(found.agreement, axes @ found.canonical)


@dataclass(frozen=True)
class SplitContributions:
    """What every layer adds inside Z and inside Z_perp, item by item: arrays (L, 2, n), index 0 for Z.

    h_k and f_k = h_(k+1) - h_k are read in the directions of state k, fitted to the discovery items; Z are
    the more agreeing half of them. Sums over the two languages and over the directions of a half.

    Attributes
    ----------
    state : sum of the squares of h_k, in units of a direction's variance on the discovery items (on others it
        is smaller where the fit has followed noise). distance : |Delta_k|^2.
    added : sum of the squares of f_k. difference : |delta_k|^2, sigma_k^2 being the mean of `added`.
    cross_same, cross_diff : 2 <Delta_k, delta_k> and 2 <h_k, f_k>, the items' cross-terms.
    agreement : (L, p) agreement ratios of state k on the discovery items.
    """

    state: np.ndarray
    distance: np.ndarray
    added: np.ndarray
    difference: np.ndarray
    cross_same: np.ndarray
    cross_diff: np.ndarray
    agreement: np.ndarray


def split_contributions(
    h1, h2, discovery, n_components: int, *, standardise: bool = True, contributions=None
) -> SplitContributions:
    """Contributions of every layer to Z and Z_perp.

    Parameters
    ----------
    h1, h2 : (L+1, n, d) states of the same items in two languages.
    discovery : (n,) True for the items that fit directions and means; all n are read.
    n_components : principal components of a state, even; see `shared_directions`.
    standardise : divide every dimension of h_k and f_k alike by the standard deviation of state k (discovery
        items, both languages), since a few outlier dimensions would fill the principal components.
    contributions : function of (state, added), both (2, n, d) and centred, whose result replaces `added`, for
        surrogates. None takes the contributions as they are.

    Raises
    ------
    MeasureError : as `shared_directions`; an odd number of components; shapes that do not fit.
    """
    h1, h2 = paired(h1, h2, "(L+1, n, d)", names=("h1", "h2"))
    discovery = np.asarray(discovery, bool)
    if len(h1) < 2 or discovery.shape != h1.shape[1:2]:
        raise MeasureError(
            f"discovery has shape {discovery.shape}, states {h1.shape}; expected (n,) and at least one layer."
        )
    if n_components % 2:
        raise MeasureError(f"n_components={n_components}; expected an even number, half of it for Z.")
    steps, agreement = [], []
    for k in range(len(h1) - 1):
        before, after = (np.stack([_centred(h[i], discovery) for h in (h1, h2)]) for i in (k, k + 1))
        if standardise:
            before, after = (s / _deviation(before[:, discovery]) for s in (before, after))
        added = after - before if contributions is None else contributions(before, after - before)
        fitted = shared_directions(*before[:, discovery], n_components)
        agreement.append(fitted.agreement)
        steps.append(_step(before @ fitted.readout, added @ fitted.readout))
    return SplitContributions(*np.stack(steps, axis=1), agreement=np.array(agreement))


def _principal_axes(centred: np.ndarray, n_components: int) -> np.ndarray:
    axes, squares = leading_axes(centred, n_components)
    # below this, squares are the rounding error of larger ones
    varies = squares > 1e-12 * squares[0]
    if not varies.all():
        raise MeasureError(
            f"n_components={n_components}, but the states vary in {varies.sum()} directions only (variances "
            "above 1e-12 of the largest). Take fewer components, or more items that differ."
        )
    return axes


def standardise(vectors, rows) -> np.ndarray:
    """Vectors (L, n, d), each dimension of each layer divided by its deviation over `rows` (n,) bool.

    Updates have to be standardised as such: the difference of two states that were each divided by their own
    deviation is no update.
    """
    deviation = vectors[:, rows].std(1, keepdims=True, dtype=float)
    return vectors / np.where(deviation > 0, deviation, 1.0)


def _deviation(centred: np.ndarray) -> np.ndarray:
    """(d,) standard deviation of centred states (2, n, d); 1 where nothing varies."""
    deviation = np.sqrt((centred**2).mean((0, 1)))
    return np.where(deviation > 0, deviation, 1.0)


def _centred(states: np.ndarray, discovery: np.ndarray) -> np.ndarray:
    return states - states[discovery].mean(0, dtype=float)


def _step(state: np.ndarray, added: np.ndarray) -> np.ndarray:
    """(6, 2, n) sums over languages and directions of one layer's coordinates (2, n, p)."""
    values = np.stack(
        [
            (state**2).sum(0),
            (state[0] - state[1]) ** 2,
            (added**2).sum(0),
            (added[0] - added[1]) ** 2,
            2 * (state[0] - state[1]) * (added[0] - added[1]),
            2 * (state * added).sum(0),
        ]
    )
    six, n, p = values.shape
    return values.reshape(six, n, 2, p // 2).sum(-1).swapaxes(1, 2)

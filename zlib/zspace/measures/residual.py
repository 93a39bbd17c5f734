"""Signal and noise along the residual stream, with exact accounting of what each layer adds.

Symbols: `h1`, `h2` (L+1, n, d) states of the same n items in two languages, f_k = h_{k+1} - h_k the
contribution of layer k, Delta_k = h_k(1) - h_k(2), delta_k = f_k(1) - f_k(2). D_same = E|Delta|^2 over
items, D_diff = E|h(x) - h(x')|^2 over pairs of distinct items of one language (mean of both
languages), D_cross the same over distinct items of different languages. snr = D_same / D_diff is
noise over signal: lower is better (the name is the note's). One layer obeys, exactly,

    D_same' = D_same + E|delta|^2 + C_s,    C_s = 2 E<Delta, delta>
    D_diff' = D_diff + sigma^2    + C_d,    C_d = 2 E<h(x) - h(x'), f(x) - f(x')>

so snr falls if and only if E|delta|^2 + C_s < snr (sigma^2 + C_d). All means over pairs are
U-statistics; with `groups`, a pair is distinct only across groups. All arithmetic is float64.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse

from ..errors import MeasureError
from .paired import finite, group_codes, paired

_AXES = "(..., L+1, n, d)"


@dataclass(frozen=True)
class SnrProfile:
    """Distances by state (..., L+1) and contributions by step (..., L), in squared units of the states.

    Attributes
    ----------
    d_same, d_diff, d_cross : (..., L+1) see the module; d_diff is the mean of `d_diff_each`.
    snr : (..., L+1) d_same / d_diff.
    snr_centered : (..., L+1) the same after each language's mean over the items is subtracted from
        its states; (n - 1)/n, near 1, for states that share nothing but an offset. Resamples of S
        groups lower it by up to 1/S: report the estimate without their interval.
    delta_sq, sigma_sq : (..., L) E|delta_k|^2, and E|f_k(x) - f_k(x')|^2 (mean of both languages).
    cross_same, cross_diff : (..., L) C_s and C_d (mean of both languages).
    norm_ratio : (..., L) mean over items and languages of |delta_k| / |f_k|. Unrelated contributions
        of mean zero and equal norm give sqrt(2), a common mean of 1 or 3 standard deviations 1.0 and
        .45: only `shuffled_norm_ratio` tells what to compare with. NaN where an f_k is zero.
    improves_exact : (..., L) bool, E|delta|^2 + C_s < snr (sigma^2 + C_d): snr falls.
    improves_orthogonal : (..., L) bool, E|delta|^2 < snr sigma^2: the criterion without cross-terms.
        Both criteria take sides that are equal up to rounding for no improvement.
    d_diff_each : (..., 2, L+1) D_diff of either language.
    """

    d_same: np.ndarray
    d_diff: np.ndarray
    d_cross: np.ndarray
    snr: np.ndarray
    snr_centered: np.ndarray
    delta_sq: np.ndarray
    sigma_sq: np.ndarray
    cross_same: np.ndarray
    cross_diff: np.ndarray
    norm_ratio: np.ndarray
    improves_exact: np.ndarray
    improves_orthogonal: np.ndarray
    d_diff_each: np.ndarray


@dataclass(frozen=True)
class SnrReplicates:
    """A profile and its grouped-bootstrap replicates.

    Attributes
    ----------
    estimate : profile of all items under the pairing rule of the replicates, arrays (L+1,) and (L,).
    replicates : the same with a leading axis of B resamples; NaN in those whose items share one state.
    n_groups : number of groups that were resampled.
    """

    estimate: SnrProfile
    replicates: SnrProfile
    n_groups: int


def snr_profile(h1, h2, *, groups=None) -> SnrProfile:
    """Distances, snr and the exact accounting of every layer.

    Parameters
    ----------
    h1, h2 : (..., L+1, n, d) states of matched items, arbitrary units; leading axes are independent.
    groups : (n,) labels; items of one group are never a distinct pair. None: only an item itself is.

    Raises
    ------
    MeasureError : shapes differ, non-finite states (the layer is named), fewer than 2 groups, or a
        state in which all items coincide, so that snr has no denominator.

    Examples
    --------
    >>> from zspace.theory import swap_counterexample
    >>> snr_profile(*swap_counterexample(0.5, 4)).snr.round(3).tolist()
    [0.75, 0.15]
    """
    h1, h2 = _states(h1, h2)
    order, starts = _sorted_groups(groups, h1.shape[-2])
    once, lead = np.ones((1, len(starts))), h1.shape[:-3]
    profiles = [_account(h1[i], h2[i], order, starts, once) for i in np.ndindex(lead)]
    arrays = {f.name: [getattr(p, f.name)[0] for p in profiles] for f in fields(SnrProfile)}
    return SnrProfile(**{name: np.reshape(a, (*lead, *a[0].shape)) for name, a in arrays.items()})


def snr_replicates(h1, h2, groups, weights) -> SnrReplicates:
    """Grouped bootstrap of the whole profile, with scenarios drawn beforehand.

    Pairs within a scenario are left out, also between two draws of the same one: a duplicate would be
    a pair of distinct items at distance zero. Costs a product of the scenarios' sums, not of items.

    Parameters
    ----------
    h1, h2 : (L+1, n, d) states of matched items.
    groups : (n,) scenario of each item; None takes every item as its own.
    weights : (B, S) how often each of the S scenarios is drawn (`resampling.group_weights`).

    Raises
    ------
    MeasureError : as `snr_profile`; weights of another number of scenarios.
    """
    h1, h2 = _states(h1, h2)
    if h1.ndim != 3:
        raise MeasureError(f"states have shape {h1.shape}; the bootstrap takes one pair, (L+1, n, d).")
    order, starts = _sorted_groups(groups, h1.shape[-2])
    if np.shape(weights)[1:] != (len(starts),):
        raise MeasureError(f"weights have shape {np.shape(weights)}; expected (B, {len(starts)} scenarios).")
    estimate = snr_profile(h1, h2, groups=groups)
    return SnrReplicates(estimate, _account(h1, h2, order, starts, weights), len(starts))


def mixing(profile: SnrProfile) -> tuple[np.ndarray, np.ndarray]:
    """q~ and w~ (..., L), with which every layer mixes: snr' = (1 - w~) snr + w~ q~, exactly.

    q~ = (E|delta|^2 + C_s) / (sigma^2 + C_d) is the quality of a layer with its cross-terms and w~ =
    (sigma^2 + C_d) / D_diff' its weight. Where all w~ are positive, snr is a mediant of snr_0 and the q~, so
    it cannot pass min(snr_0, min q~). A layer that shrinks D_diff has a negative weight.
    """
    added = profile.sigma_sq + profile.cross_diff
    with np.errstate(divide="ignore", invalid="ignore"):
        quality = (profile.delta_sq + profile.cross_same) / added
    return quality, added / profile.d_diff[..., 1:]


def shuffled_norm_ratio(h1, h2, permutations, *, center: bool = False) -> np.ndarray:
    """|delta|/|f| of every layer had item i been paired with row permutations[b, i]: (B, L).

    The null of `SnrProfile.norm_ratio`, and with the identity its value: contributions of unrelated
    items of the same layer. `center` subtracts each language's mean contribution first.

    Parameters
    ----------
    h1, h2 : (L+1, n, d) states.
    permutations : (B, n) as from `resampling.stratified_permutations`.
    """
    h1, h2 = _states(h1, h2)
    permutations = np.atleast_2d(np.asarray(permutations))
    items = np.arange(h1.shape[-2])
    ratios = np.empty((len(permutations), len(h1) - 1))
    for k in range(len(h1) - 1):
        f1, f2 = (h[k + 1].astype(np.float64) - h[k] for h in (h1, h2))
        if center:
            f1, f2 = f1 - f1.mean(0), f2 - f2.mean(0)
        size1, size2 = (np.einsum("nd,nd->n", f, f) for f in (f1, f2))
        distance = np.sqrt(np.maximum(size1[:, None] + size2 - 2 * f1 @ f2.T, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (distance / np.sqrt(size1)[:, None] + distance / np.sqrt(size2)) / 2
        ratios[:, k] = ratio[items, permutations].mean(1)
    return ratios


def _account(h1, h2, order, starts, weights) -> SnrProfile:
    """Profile with a leading axis of B weightings of the groups: `weights` (B, S)."""
    pairs = _Pairs(starts, len(order), weights)
    states, steps, before = [], [], None
    for k in range(len(h1)):
        now = [h[k, order].astype(np.float64) for h in (h1, h2)]
        states.append(_account_state(pairs, now, k))
        if before is not None:
            steps.append(_account_step(pairs, before, [h - b for h, b in zip(now, before, strict=True)]))
        before = now
    d_same, centred, d_cross, *each = np.moveaxis(np.array(states), 0, -1)
    if not steps:
        steps = np.empty((0, 5, len(weights)))
    delta_sq, sigma_sq, cross_same, cross_diff, norm_ratio = np.moveaxis(np.array(steps), 0, -1)
    d_diff = (each[0] + each[1]) / 2
    snr = d_same / d_diff
    return SnrProfile(
        d_same=d_same,
        d_diff=d_diff,
        d_cross=d_cross,
        snr=snr,
        snr_centered=centred / d_diff,
        delta_sq=delta_sq,
        sigma_sq=sigma_sq,
        cross_same=cross_same,
        cross_diff=cross_diff,
        norm_ratio=norm_ratio,
        improves_exact=_below(delta_sq + cross_same, snr[:, :-1] * (sigma_sq + cross_diff)),
        improves_orthogonal=_below(delta_sq, snr[:, :-1] * sigma_sq),
        d_diff_each=np.stack(each, 1),
    )


def _account_state(pairs, states, layer: int):
    """D_same, its centred form, D_cross and D_diff of either language, each (B,)."""
    difference = states[0] - states[1]
    middle = (states[0].mean(0) + states[1].mean(0)) / 2
    each = np.array([pairs.distance(centred, centred) for centred in (h - h.mean(0) for h in states)])
    # relative to the states' size: below it, distances are the rounding error of a constant
    constant = (each <= 1e-20 * np.mean([_dot(h, h).mean() for h in states])).any(0)
    each[:, constant] = np.nan  # of a resample
    if constant.all():
        raise MeasureError(
            f"all items share one state at layer {layer}, so D_diff is 0 and snr undefined (the last "
            "token's embedding often is the same for all items). Use mean pooling, or start later."
        )
    return [
        pairs.item_mean(_dot(difference, difference)),
        pairs.item_variance(difference),
        pairs.cross_distance(states[0] - middle, states[1] - middle),
        *each,
    ]


def _account_step(pairs, states, added):
    """E|delta|^2, sigma^2, C_s, C_d and |delta|/|f|, each (B,), of the contributions `added`."""
    delta, difference = added[0] - added[1], states[0] - states[1]
    centred, added_centred = ([a - a.mean(0) for a in arrays] for arrays in (states, added))
    size = np.linalg.norm(delta, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sum(size / np.linalg.norm(f, axis=1) for f in added) / 2
    return [
        pairs.item_mean(_dot(delta, delta)),
        sum(pairs.distance(f, f) for f in added_centred) / 2,
        2 * pairs.item_mean(_dot(difference, delta)),
        sum(pairs.distance(h, f) for h, f in zip(centred, added_centred, strict=True)),
        pairs.item_mean(ratio),
    ]


class _Pairs:
    """Means over items and over pairs of items of different groups, for B weightings of the groups.

    With group sums A_s, B_s and inner sums Q_s of two centred arrays, the sum over pairs across groups
    of w_s w_t <a_i - a_j, b_i - b_j> is 2 (w.n)(w.Q) - 2 <w.A, w.B> minus its terms with s = t.
    """

    def __init__(self, starts: np.ndarray, n: int, weights: np.ndarray):
        self.weights = weights
        # adding by a sparse product takes half the time of np.add.reduceat
        self.group = sparse.csr_array((np.ones(n), np.arange(n), np.append(starts, n)), (len(starts), n))
        self.sizes = np.diff(starts, append=n).astype(np.float64)
        self.items = weights @ self.sizes
        self.pairs = self.items**2 - weights**2 @ self.sizes**2

    def item_mean(self, values):
        return self.weights @ self._sums(values) / self.items

    def item_variance(self, vectors):
        centred = vectors - vectors.mean(0)
        sums = self._sums(centred)
        return self.item_mean(_dot(centred, centred)) - self._inner(sums, sums) / self.items**2

    def distance(self, a, b):
        inner, sum_a, sum_b = self._sums(_dot(a, b)), self._sums(a), self._sums(b)
        total = 2 * self.items * (self.weights @ inner) - 2 * self._inner(sum_a, sum_b)
        own = self.weights**2 @ (2 * self.sizes * inner - 2 * _dot(sum_a, sum_b))
        return (total - own) / self.pairs

    def cross_distance(self, a, b):
        inner, sum_a, sum_b = self._sums(_dot(a, a) + _dot(b, b)), self._sums(a), self._sums(b)
        total = self.items * (self.weights @ inner) - 2 * self._inner(sum_a, sum_b)
        own = self.weights**2 @ (self.sizes * inner - 2 * _dot(sum_a, sum_b))
        return (total - own) / self.pairs

    def _sums(self, values):
        return values if len(self.sizes) == self.group.shape[1] else self.group @ values

    def _inner(self, sum_a, sum_b):
        """<w.A, w.B> by weighting first, or by way of the (S, S) Gram where that is cheaper."""
        if len(self.weights) <= len(self.sizes):
            return _dot(self.weights @ sum_a, self.weights @ sum_b)
        return _dot(self.weights @ (sum_a @ sum_b.T), self.weights)


def _below(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return b - a > 1e-12 * np.maximum(np.abs(a), np.abs(b))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", a, b)


def _states(h1, h2) -> tuple[np.ndarray, np.ndarray]:
    names = ("h1", "h2")
    return paired(*(finite(*one, None) for one in zip(names, (h1, h2), strict=True)), _AXES, names=names)


def _sorted_groups(groups, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Order of the items by group, and where each group starts in it."""
    codes = group_codes(groups, n, least=2)
    order = np.argsort(codes, kind="stable")
    return order, np.flatnonzero(np.diff(codes[order], prepend=-1))

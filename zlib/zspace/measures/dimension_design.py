"""Whom a test of shared dimensions exchanges with whom, and what it measures of two languages.

Symbols: `codes` (n,) the group of each item; `states` (L, n, p) of one language; B permutations, the same for
all languages and layers; J languages compared with one. Bases and coordinates as in `canonical`.

Sources: Winkler, Renaud, Smith & Nichols (2020), NeuroImage 220:117065, algorithm 1; for moving whole groups,
Winkler, Webster, Vidaurre, Nichols & Smith (2015), NeuroImage 123.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from . import canonical
from .bridges.fitting import _finite, _t
from .bridges.pairs import _principal_axes
from .resampling import _group_codes, stratified_permutations

MIN_GROUPS = 8  # so that either half of them has 4! = 24 orders
_MIN_ARRANGEMENTS = 20


@dataclass(frozen=True)
class Design:
    """Who is exchanged with whom; `blocks` (n,) are whose means are subtracted, `codes` (n,) the groups."""

    codes: np.ndarray
    blocks: np.ndarray
    independent: bool
    within: bool
    level: float
    permutations: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    half_permutations: tuple[np.ndarray, np.ndarray]

    @property
    def n_groups(self) -> int:
        return int(self.codes.max()) + 1

    def freedom(self, items: np.ndarray) -> int:
        return len(items) - np.unique(self.blocks[items]).size

    def require_freedom(self, p: int, q: int, n_groups: int | None = None) -> None:
        """Both halves must hold more than p + q columns can span; warns where n_groups are few for that."""
        for half in self.halves:
            where = f"half of the items, {len(half)} of {len(self.codes)},"
            canonical.require_freedom(self.freedom(half), p, q, where)
        n_groups = n_groups or self.n_groups
        if not (self.independent or self.within) and n_groups < 2 * (p + q):
            warnings.warn(
                f"{n_groups} groups for {p} + {q} columns: where items of a group are much alike and any is "
                "shared, too many dimensions are found in up to one of seven sets of states. Set "
                f"n_components to at most {max(n_groups // 4, 1)}. The first p-value, of none shared at all, "
                "stays exact.",
                UserWarning,
                stacklevel=4,
            )


@dataclass(frozen=True)
class Side:
    """One language: its basis over all items (L, n, p), and over halves.

    fitted[h] (L, n_h, p) is the basis of half h, scored[h] the other half in its coordinates.
    """

    basis: np.ndarray
    fitted: tuple[np.ndarray, ...]
    scored: tuple[np.ndarray, ...]


def design_of(n: int, groups, within: bool, n_permutations: int, level: float, rng) -> Design:
    codes = _group_codes(groups, n)
    if within and groups is None:
        raise ValueError("within=True subtracts the means of groups, but groups is None; give the scenarios.")
    if codes.max() + 1 < MIN_GROUPS:
        raise ValueError(
            f"{codes.max() + 1} groups; at least {MIN_GROUPS} are needed to exchange them in both halves."
        )
    if not 0 < level < 1 or (n_permutations + 1) * level < 1 - 1e-9:
        raise ValueError(
            f"level={level} with n_permutations={n_permutations}; expected a level in (0, 1) and at least "
            "1 / level - 1 permutations, or no p-value can reach it."
        )
    if not within:
        _warn_of_unmovable(codes)
    halves = halves_of(codes, rng)
    blocks = codes if within else np.zeros(n, int)
    settled = Design(codes, blocks, groups is None, within, level, np.empty(0), halves, ())
    # items as they are come first
    shuffled = [
        np.vstack([np.arange(len(half)), permutations_of(settled, half, n_permutations, rng)])
        for half in halves
    ]
    everything = permutations_of(settled, np.arange(n), n_permutations, rng)
    return Design(codes, blocks, groups is None, within, level, everything, halves, tuple(shuffled))


def permutations_of(design: Design, items: np.ndarray, n_shuffles: int, rng) -> np.ndarray:
    """Permutations (B, m) of m of the items: of whole groups, or within groups."""
    if design.within:
        return stratified_permutations(design.codes[items], n_shuffles=n_shuffles, rng=rng)
    return whole_group_permutations(design.codes[items], n_shuffles=n_shuffles, rng=rng)


def side_of(name: str, states: np.ndarray, design: Design) -> Side:
    """Bases of one language's states (L, n, p)."""
    fitted, scored = [], []
    for half, other in (design.halves, design.halves[::-1]):
        q, weight = basis_of(f"half of {name}", states, half, design)
        fitted.append(q)
        scored.append(canonical.centred_by(states[:, other], design.blocks[other]) @ weight)
    return Side(basis_of(name, states, slice(None), design)[0], tuple(fitted), tuple(scored))


def reduced(states: np.ndarray, design: Design, n_components: int | None) -> np.ndarray:
    """States (L, n, p) on their principal axes, layer by layer: all at once would not fit."""
    states = _finite("states", states)
    if n_components is None:
        return states
    centred = (canonical.centred_by(layer, design.blocks) for layer in states)
    return np.stack([c @ _principal_axes("the states", c, n_components) for c in centred])


def basis_of(name: str, states: np.ndarray, items, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """`canonical.basis` of some items, their means subtracted."""
    return canonical.basis(name, states[..., items, :], design.blocks[items])


def associations(x: Side, ys: list[Side], design: Design) -> dict[str, np.ndarray]:
    """Arrays (J, L, ...) of one language with J others: r, pvalues, held_out and the bands of their nulls."""
    layers = []
    for k in range(len(x.basis)):
        found = in_sample(x.basis[k], np.stack([y.basis[k] for y in ys]), design.permutations)
        held_out = _held_out(x, ys, k, design.half_permutations)
        found["held_out"] = held_out[0]
        found["held_out_band"] = _band(held_out[1:], design.level)
        found["null_band"] = _band(found.pop("null"), design.level)
        layers.append(found)
    return {name: np.stack([layer[name] for layer in layers], axis=1) for name in layers[0]}


def in_sample(x: np.ndarray, ys: np.ndarray, permutations: np.ndarray) -> dict[str, np.ndarray]:
    """Correlations r (J, p), p-values (J, p) of the sequential permutation test, and null (B, J, p) of r.

    x (n, p) and ys (J, n, q) are bases. Canonical variates are orthonormal, and permuted ones still are, so
    that the tests of all k need one product a permutation.
    """
    u, r, vt = np.linalg.svd(x.T @ ys)
    r = np.clip(r, 0, 1)
    products = _t(u) @ canonical.permuted_products(x, ys, permutations) @ _t(vt)
    more = canonical.remaining(products) >= canonical.remaining_of(r) - 1e-9
    pvalues = (1 + more.sum(0)) / (1 + len(permutations))
    null = np.linalg.svd(products, compute_uv=False)
    return {"r": r, "pvalues": np.maximum.accumulate(pvalues, -1), "null": null}


def _band(null: np.ndarray, level: float) -> np.ndarray:
    """What an observed value exceeds with probability `level` if it is one more of the B values (B, ...)."""
    rank = int(np.ceil((1 - level) * (len(null) + 1) - 1e-9))
    return np.partition(null, rank - 1, axis=0)[rank - 1]


def _held_out(x: Side, ys: list[Side], layer: int, permutations) -> np.ndarray:
    """Correlations (1 + B, J, p) on each half of the directions of the other, averaged; as paired first.

    Fit and score share the permutation of a half: both ways use the same pairs, and their scores depend on
    each other, so that directions kept from the true pairs would make the band too narrow.
    """
    total = 0
    for h in (0, 1):
        fitted, scored = (np.stack([getattr(y, part)[h][layer] for y in ys]) for part in ("fitted", "scored"))
        products = canonical.permuted_products(x.fitted[h][layer], fitted, permutations[h])
        u, r, vt = np.linalg.svd(products)
        v = _t(vt)[..., : r.shape[-1]]
        mine = x.scored[h][layer]
        covariance = (u * (canonical.permuted_products(mine, scored, permutations[1 - h]) @ v)).sum(-2)
        # permuting items leaves their second moments as they are
        of_x = (u * ((mine.T @ mine) @ u)).sum(-2)
        of_y = (v * ((_t(scored) @ scored) @ v)).sum(-2)
        total = total + covariance / np.sqrt(of_x * of_y)
    return total / 2


def whole_group_permutations(groups, *, n_shuffles: int, rng: np.random.Generator) -> np.ndarray:
    """Permutations (B, n) that move whole groups; the t-th item of a group takes the t-th place of another.

    Null hypothesis they serve: groups are exchangeable, whatever ties the items of a group together. Groups
    only change places with groups of their own size, without which items would change partners within them
    and the test would not be exact.

    Parameters
    ----------
    groups : (n,) labels; items of a group correspond in the order in which they appear.

    Raises
    ------
    ValueError : the sizes leave fewer than 20 arrangements.
    """
    _, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    same = np.unique(sizes, return_counts=True)[1]
    if gammaln(same + 1).sum() < np.log(_MIN_ARRANGEMENTS):
        raise ValueError(
            f"{len(sizes)} groups of sizes {sizes.tolist()} have fewer than {_MIN_ARRANGEMENTS} arrangements "
            "that exchange groups of one size. Drop items of the larger groups until sizes agree."
        )
    with warnings.catch_warnings():  # it would speak of items where groups are meant
        warnings.simplefilter("ignore", UserWarning)
        orders = stratified_permutations(sizes, n_shuffles=n_shuffles, rng=rng)
    places, starts = np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes
    within = np.empty_like(codes)
    within[places] = np.arange(codes.size) - starts[codes[places]]
    return places[starts[orders[:, codes]] + within]


def equal_groups(groups) -> np.ndarray:
    """(n,) bool: the first s items of every group that has s, with s such that most items are kept.

    Groups of one size can all be exchanged. An s that leaves fewer than `MIN_GROUPS` groups is only taken
    where every s does.
    """
    _, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    counts = {int(s): int((sizes >= s).sum()) for s in sizes}
    size = max(counts, key=lambda s: (counts[s] >= MIN_GROUPS, s * counts[s]))
    order = np.argsort(codes, kind="stable")
    place = np.empty_like(codes)
    place[order] = np.arange(codes.size) - (np.cumsum(sizes) - sizes)[codes[order]]
    return (place < size) & (sizes[codes] >= size)


def halves_of(codes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Items (n_1,) and (n_2,) of a random half of the groups and of the other; sizes are spread evenly."""
    sizes = np.bincount(codes)
    by_size = np.argsort(sizes + rng.random(sizes.size))
    second = np.zeros(sizes.size, bool)
    # which side a pair of neighbours starts with is drawn, or the larger would always go to one half
    first = rng.integers(2, size=(sizes.size + 1) // 2)
    second[by_size] = np.column_stack([first, 1 - first]).ravel()[: sizes.size].astype(bool)
    return np.flatnonzero(~second[codes]), np.flatnonzero(second[codes])


def _warn_of_unmovable(codes: np.ndarray) -> None:
    same = np.unique(np.bincount(codes), return_counts=True)[1]
    if (same == 1).any():
        warnings.warn(
            f"{int((same == 1).sum())} of {same.sum()} groups are of a size that no other has and are never "
            "moved, which makes the test conservative; dropping items until sizes agree would include them.",
            UserWarning,
            stacklevel=4,
        )

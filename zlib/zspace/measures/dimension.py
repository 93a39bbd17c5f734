r"""dim Z of two languages: how many canonical correlations of their states of the same items are not zero.

Across items at one layer: no time axis, and no map between the languages is assumed but a linear one.
Symbols: `x`, `y` (n, p), (n, q) states of the same n items, reduced already or by `n_components`; `groups`
(n,) scenarios; L layers, B permutations; results (..., p) with p the smaller of both widths.

Permutation scheme. Items of a scenario resemble each other in any language, so that they are fewer
independent items than they are rows. Bartlett and Lawley's test counts rows and finds dimensions in unrelated
languages. With `groups` the primary test permutes whole groups of one language against those of the other.
What is shared *beyond* the scenario is asked for by `within`: means of scenarios are subtracted and items are
permuted within them, which is exact for items that are exchangeable within their scenario.

Sources: `canonical`; Horn (1965), Psychometrika 30, for `null_band`; Winkler, Renaud, Smith & Nichols
(2020), NeuroImage 220:117065, algorithm 1, for the sequential permutation test; Winkler, Webster, Vidaurre,
Nichols & Smith (2015), NeuroImage 123, for permuting whole groups.
"""

import warnings
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from ..errors import MeasureError
from . import canonical
from .bridges.pairs import principal_axes
from .paired import finite, group_codes, paired
from .resampling import stratified_permutations, whole_group_permutations

MIN_GROUPS = 8  # so that either half of them has 4! = 24 orders
_RANGE = ((1 - 0.95) / 2, (1 + 0.95) / 2)  # quantiles of the estimates on halves


@dataclass(frozen=True)
class SharedDimension:
    """Number of shared dimensions of one pair of languages at one layer: numbers, and arrays (p,).

    Attributes
    ----------
    dimension : the primary estimate: `bartlett` for independent items, `permutation` for groups. A lower
        confidence bound: P(dimension > dim Z) <= level, while weak shared dimensions may be missed.
    canonical_correlations : in the sample, descending; biased upwards.
    pvalues : of the primary sequential test; number k is of at most k dimensions; running maximum.
    bartlett : by Bartlett and Lawley's test; None for groups, where it is wrong.
    permutation : by the sequential permutation test.
    null_band : quantile 1 - level of the correlation of that rank under no association.
    held_out : correlations of the directions fitted to one half of the groups on the other half, both ways
        averaged; in the order of the fit, so not always descending, and may be negative.
    held_out_band : quantile 1 - level of `held_out` under no association.
    held_out_dimension : leading directions with `held_out` above its band.
    n_items, n_groups : n, and the number of groups (n where items are independent).
    """

    dimension: int | np.ndarray
    canonical_correlations: np.ndarray
    pvalues: np.ndarray
    bartlett: int | np.ndarray | None
    permutation: int | np.ndarray
    null_band: np.ndarray
    held_out: np.ndarray
    held_out_band: np.ndarray
    held_out_dimension: int | np.ndarray
    n_items: int
    n_groups: int


@dataclass(frozen=True)
class DimensionProfile(SharedDimension):
    """The same with leading axes (layers,) or (pairs, layers) on all numbers but `n_items` and `n_groups`.

    pairs : (pairs, 2) int, the languages of each row; None where there is one pair.
    """

    pairs: np.ndarray | None = None


@dataclass(frozen=True)
class SubsampledDimensions:
    """The primary estimate on random halves of the groups.

    Attributes
    ----------
    dimensions : (R,) int. low, high : their quantiles .025 and .975, int.
    n_groups : groups that were halved.
    """

    dimensions: np.ndarray
    low: int
    high: int
    n_groups: int


def shared_dimension(
    x,
    y,
    *,
    rng: np.random.Generator,
    groups=None,
    within: bool = False,
    n_components: int | None = None,
    level: float = 0.05,
    n_permutations: int = 199,
) -> SharedDimension:
    r"""Number of dimensions that two languages' states of the same items share.

    Null hypothesis k of the sequential test: at most k canonical correlations are not zero. The first k that
    is not rejected is the dimension, a lower confidence bound: P(dimension > dim Z) <= level. The permutation
    test removes the first k canonical variates of the sample, permutes those that remain, and compares their
    Wilks statistic (Winkler et al. 2020, algorithm 1). Unlike there, what is permuted is made orthogonal to
    the removed variates of y again. Exact at k = 0; above, as the chi-squared test, to first order.

    False rates measured at a level of .05 with p = q (300 to 600 runs each). Groups unrelated: .05 to .06 for
    12 and 20 groups of 8 and 40 of 4, intraclass correlation .3 to .8, p = 10, where Bartlett's test says .89
    to 1. Too many where 3 of correlation .8 are shared, intraclass correlation .8: .03 for p = 10 and 40
    groups, .04 for p = 5 and 20 groups, but .10 for p = 10 and 20 groups (.14 at a correlation of .9), hence
    the warning. `held_out_dimension` is no bound: it counts directions into which imprecise estimates spread
    what is shared, and said too much in .03 to .25 of the worlds in which there was any.

    Parameters
    ----------
    x, y : (n, d), (n, d_2) states; row i is the same item in both.
    groups : (n,) scenario of each item; None takes items as independent.
    within : count what is shared beyond the scenario; needs groups.
    n_components : principal components that each language is first reduced to, on these items. It sees no
        pairing and so leaves the tests as they are. None where states have few columns already.
    level : of every test. n_permutations : B, at least 1 / level - 1.

    Warns
    -----
    UserWarning : fewer groups than 2 (p + q), or some that never move (see the rates above).

    Raises
    ------
    MeasureError : shapes; values that are not finite; constant or collinear columns; fewer than p + q degrees
        of freedom in either half of the items (its items less one, or less its groups with `within`), where
        correlations are 1 whatever the states; fewer than 8 groups, or of sizes too unlike to be exchanged; a
        level out of (0, 1); too few permutations.
    """
    x, y = paired(finite("x", x), finite("y", y), "(n, d)", same_width=False)
    options = {"groups": groups, "within": within, "level": level, "n_permutations": n_permutations}
    profile = dimension_profile(x[None], y[None], rng=rng, n_components=n_components, **options)
    values = {f.name: getattr(profile, f.name) for f in fields(SharedDimension)}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            values[name] = int(value[0]) if value.ndim == 1 else value[0]
    return SharedDimension(**values)


def dimension_profile(x, y, *, n_components: int | None = None, **options) -> DimensionProfile:
    """`shared_dimension` of every layer of x (L, n, p) and y (L, n, q), with the same permutations in all.

    Options, errors and null hypotheses as in `shared_dimension`, which each layer equals, given a generator
    in the same state.
    """
    x, y = paired(finite("x", x), finite("y", y), "(layers, n, d)", same_width=False)
    design = _design_of(x.shape[1], **options)
    reductions = [_reduced(s, design, n_components) for s in (x, y)]
    design.require_freedom(*(s.shape[-1] for s in reductions))
    sides = [_side_of(name, s, design) for name, s in zip("xy", reductions, strict=True)]
    # the test counts the columns of the narrower side; which of both is moved does not matter
    narrow, wide = sorted(sides, key=lambda s: s.basis.shape[-1])
    found = {name: values[0] for name, values in _associations(narrow, [wide], design).items()}
    return _profile(found, design, wide.basis.shape[-1])


def pairwise_dimensions(states, *, n_components: int | None = None, **options) -> DimensionProfile:
    """`dimension_profile` of all pairs of K languages, states (K, L, n, p): leading axes (pairs, layers).

    Pairs are in the order (0, 1), (0, 2), ..., (K - 2, K - 1). One decomposition per language and layer, and
    the same permutations in all pairs and layers, whose comparison then has less noise. Each pair equals
    `dimension_profile` of it, given a generator in the same state. Options and errors as there.
    """
    stacks = [np.asarray(s) for s in states]
    if len(stacks) < 2 or stacks[0].ndim != 3 or len({s.shape for s in stacks}) > 1:
        raise MeasureError(
            f"states have shapes {[s.shape for s in stacks]}; expected at least two languages (layers, n, p)."
        )
    design = _design_of(stacks[0].shape[1], **options)
    reductions = [_reduced(s, design, n_components) for s in stacks]
    design.require_freedom(*(s.shape[-1] for s in reductions[:2]))
    sides = [_side_of(f"language {k}", s, design) for k, s in enumerate(reductions)]
    rows = [_associations(side, sides[i + 1 :], design) for i, side in enumerate(sides[:-1])]
    found = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return _profile(found, design, sides[0].basis.shape[-1], np.column_stack(np.triu_indices(len(stacks), 1)))


def subsample_dimensions(
    x,
    y,
    *,
    rng: np.random.Generator,
    n_components: int | None = None,
    n_permutations: int = 199,
    n_subsamples: int = 100,
    **options,
) -> SubsampledDimensions:
    """How far the dimension depends on which scenarios were asked: its range over halves of the groups.

    Halves are drawn without replacement. A bootstrap repeats items, and a repeated item agrees with its copy
    in both languages alike: correlations rise, and unrelated languages appear to share dimensions. A half has
    less power than the whole, so that the range extends further down where sharing is weak: with 20 groups of
    8 items, p = 5 and 3 shared dimensions, it held 3 in all 100 worlds for correlations of .8 and .9 (mean
    range 3.0 to 3.7), and in .91 for .5 (.6 to 3.2), where the whole sample says 3 in half.

    Options and errors as in `shared_dimension`; x, y (n, d). n_subsamples : R halves.
    """
    x, y = paired(finite("x", x), finite("y", y), "(n, d)", same_width=False)
    design = _design_of(len(x), rng=rng, n_permutations=n_permutations, **options)
    x, y = sorted((_reduced(s[None], design, n_components)[0] for s in (x, y)), key=lambda s: s.shape[-1])
    design.require_freedom(x.shape[-1], y.shape[-1], design.n_groups // 2)
    found = []
    for _ in range(n_subsamples):
        items = _halves_of(design.codes, rng)[0]
        qx, qy = (_basis_of("the states of a half", s, items, design)[0] for s in (x, y))
        tested = _in_sample(
            qx, qy[None], _permutations_of(design.codes[items], design.within, n_permutations, rng)
        )
        found.append(int(_primary(tested, design, design.freedom(items), qy.shape[-1])[0][0]))
    low, high = np.quantile(found, _RANGE, method="inverted_cdf")
    return SubsampledDimensions(np.array(found), int(low), int(high), design.n_groups)


def equal_groups(groups) -> np.ndarray:
    """(n,) bool: the first s items of every group that has s, with s such that most items are kept.

    Groups of one size can all be exchanged. An s that leaves fewer than `MIN_GROUPS` groups is only taken
    where every s does.
    """
    codes = group_codes(groups, len(groups))
    sizes = np.bincount(codes)
    counts = {int(s): int((sizes >= s).sum()) for s in sizes}
    size = max(counts, key=lambda s: (counts[s] >= MIN_GROUPS, s * counts[s]))
    place = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    return (place < size) & (sizes[codes] >= size)


@dataclass(frozen=True)
class _Design:
    """Permutation scheme: `codes` (n,) the groups, `blocks` (n,) those whose means are subtracted."""

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
class _Side:
    """One language: its basis over all items (L, n, p), and over halves.

    fitted[h] (L, n_h, p) is the basis of half h, scored[h] the other half in its coordinates.
    """

    basis: np.ndarray
    fitted: tuple[np.ndarray, ...]
    scored: tuple[np.ndarray, ...]


def _design_of(
    n: int, *, rng, groups=None, within: bool = False, level: float = 0.05, n_permutations: int = 199
) -> _Design:
    codes = group_codes(groups, n)
    if within and groups is None:
        raise MeasureError(
            "within=True subtracts the means of groups, but groups is None; give the scenarios."
        )
    if codes.max() + 1 < MIN_GROUPS:
        raise MeasureError(
            f"{codes.max() + 1} groups; at least {MIN_GROUPS} are needed to exchange them in both halves."
        )
    if not 0 < level < 1 or (n_permutations + 1) * level < 1 - 1e-9:
        raise MeasureError(
            f"level={level} with n_permutations={n_permutations}; expected a level in (0, 1) and at least "
            "1 / level - 1 permutations, or no p-value can reach it."
        )
    if not within:
        _warn_of_unmovable(codes)
    halves = _halves_of(codes, rng)
    blocks = codes if within else np.zeros(n, int)
    shuffled = [
        # items as they are come first
        np.vstack([np.arange(len(half)), _permutations_of(codes[half], within, n_permutations, rng)])
        for half in halves
    ]
    everything = _permutations_of(codes, within, n_permutations, rng)
    return _Design(codes, blocks, groups is None, within, level, everything, halves, tuple(shuffled))


def _permutations_of(codes: np.ndarray, within: bool, n_shuffles: int, rng) -> np.ndarray:
    """Permutations (B, n) of whole groups, or within groups, codes (n,)."""
    permute = stratified_permutations if within else whole_group_permutations
    return permute(codes, n_shuffles=n_shuffles, rng=rng)


def _side_of(name: str, states: np.ndarray, design: _Design) -> _Side:
    """Bases of one language's states (L, n, p)."""
    fitted, scored = [], []
    for half, other in (design.halves, design.halves[::-1]):
        q, weight = _basis_of(f"half of {name}", states, half, design)
        fitted.append(q)
        scored.append(canonical.centred_by(states[:, other], design.blocks[other]) @ weight)
    return _Side(_basis_of(name, states, slice(None), design)[0], tuple(fitted), tuple(scored))


def _reduced(states: np.ndarray, design: _Design, n_components: int | None) -> np.ndarray:
    """States (L, n, p) on their principal axes, layer by layer: all at once would not fit."""
    states = finite("states", states)
    if n_components is None:
        return states
    centred = (canonical.centred_by(layer, design.blocks) for layer in states)
    return np.stack([c @ principal_axes("the states", c, n_components) for c in centred])


def _basis_of(name: str, states: np.ndarray, items, design: _Design) -> tuple[np.ndarray, np.ndarray]:
    """`canonical.basis` of some items, their means subtracted."""
    return canonical.basis(name, states[..., items, :], design.blocks[items])


def _associations(x: _Side, ys: list[_Side], design: _Design) -> dict[str, np.ndarray]:
    """Arrays (J, L, ...) of one language with J others: r, pvalues, held_out and the bands of their nulls."""
    layers = []
    for k in range(len(x.basis)):
        found = _in_sample(x.basis[k], np.stack([y.basis[k] for y in ys]), design.permutations)
        held_out = _held_out(x, ys, k, design.half_permutations)
        found["held_out"] = held_out[0]
        found["held_out_band"] = _band(held_out[1:], design.level)
        found["null_band"] = _band(found.pop("null"), design.level)
        layers.append(found)
    return {name: np.stack([layer[name] for layer in layers], axis=1) for name in layers[0]}


def _in_sample(x: np.ndarray, ys: np.ndarray, permutations: np.ndarray) -> dict[str, np.ndarray]:
    """Correlations r (J, p), p-values (J, p) of the sequential permutation test, and null (B, J, p) of r.

    x (n, p) and ys (J, n, q) are bases. Canonical variates are orthonormal, and permuted ones still are, so
    that the tests of all k need one product per permutation.
    """
    u, r, vt = np.linalg.svd(x.T @ ys)
    r = np.clip(r, 0, 1)
    products = u.mT @ canonical.permuted_products(x, ys, permutations) @ vt.mT
    more = canonical.remaining(products) >= canonical.remaining_of(r) - 1e-9
    pvalues = (1 + more.sum(0)) / (1 + len(permutations))
    null = np.linalg.svd(products, compute_uv=False)
    return {"r": r, "pvalues": np.maximum.accumulate(pvalues, -1), "null": null}


def _band(null: np.ndarray, level: float) -> np.ndarray:
    """What an observed value exceeds with probability `level` if it is one more of the B values (B, ...)."""
    rank = int(np.ceil((1 - level) * (len(null) + 1) - 1e-9))
    return np.partition(null, rank - 1, axis=0)[rank - 1]


def _held_out(x: _Side, ys: list[_Side], layer: int, permutations) -> np.ndarray:
    """Correlations (1 + B, J, p) on each half of the directions of the other, averaged; as paired first.

    Fit and score share the permutation of a half: both ways use the same pairs, and their scores depend on
    each other, so that directions kept from the true pairs would make the band too narrow.
    """
    total = 0
    for h in (0, 1):
        fitted, scored = (np.stack([getattr(y, part)[h][layer] for y in ys]) for part in ("fitted", "scored"))
        products = canonical.permuted_products(x.fitted[h][layer], fitted, permutations[h])
        u, r, vt = np.linalg.svd(products)
        v = vt.mT[..., : r.shape[-1]]
        mine = x.scored[h][layer]
        covariance = (u * (canonical.permuted_products(mine, scored, permutations[1 - h]) @ v)).sum(-2)
        # permuting items leaves their second moments as they are
        of_x = (u * ((mine.T @ mine) @ u)).sum(-2)
        of_y = (v * ((scored.mT @ scored) @ v)).sum(-2)
        total = total + covariance / np.sqrt(of_x * of_y)
    return total / 2


def _primary(found: dict[str, np.ndarray], design: _Design, freedom: int, q: int):
    """(dimension, its p-values, by Bartlett's test or None, by permutation)."""
    by_permutation = _count(found["pvalues"] <= design.level + 1e-12)
    if not design.independent:
        # within scenarios of independent items it would hold, but nothing says that they are
        return by_permutation, found["pvalues"], None, by_permutation
    pvalues = np.maximum.accumulate(canonical.bartlett_lawley(found["r"], freedom, q), -1)
    bartlett = _count(pvalues <= design.level)
    return bartlett, pvalues, bartlett, by_permutation


def _profile(found: dict[str, np.ndarray], design: _Design, q: int, pairs=None) -> DimensionProfile:
    n = len(design.codes)
    dimension, pvalues, bartlett, permutation = _primary(found, design, design.freedom(np.arange(n)), q)
    held_out = found["held_out"]
    return DimensionProfile(
        dimension=dimension,
        canonical_correlations=found["r"],
        pvalues=pvalues,
        bartlett=bartlett,
        permutation=permutation,
        null_band=found["null_band"],
        held_out=held_out,
        held_out_band=found["held_out_band"],
        held_out_dimension=_count(held_out > found["held_out_band"]),
        n_items=n,
        n_groups=design.n_groups,
        pairs=pairs,
    )


def _count(passed: np.ndarray) -> np.ndarray:
    """Leading True along the last axis: (...) int."""
    return np.cumprod(passed, -1).sum(-1)


def _halves_of(codes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
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

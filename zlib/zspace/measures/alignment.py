"""Alignment: does an item's state in one language lie nearest to its own translation?

Symbols: `x`, `y` (..., n, d) states of n items in two languages, row i of both is the same item and
leading axes (layers) are independent; `groups` (n,) the scenario of each item. Direction 0 takes x
as queries and y as candidates, direction 1 the reverse. Three levels: "item", the nearest of all n
candidates is the own translation; "between", it belongs to the query's group; "within", candidates
are restricted to the query's group. All arithmetic is float64.

Sources: Conneau et al. (2018), "Word Translation Without Parallel Data", ICLR, equation 3 (CSLS);
Kornblith et al. (2019), "Similarity of Neural Network Representations Revisited", ICML (CKA);
Song et al. (2012), "Feature Selection via Dependence Maximization", JMLR 13 (unbiased HSIC).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import MeasureError
from .paired import finite, group_codes, paired
from .resampling import TestResult, permutation_max, whole_group_permutations

Level = Literal["item", "between", "within"]
Score = Literal["cosine", "csls"]
_TIE = 1e-12  # scores closer than this differ by rounding only


@dataclass(frozen=True)
class CkaProfile:
    """Debiased CKA of two languages by layer, beside its permutation null.

    Attributes
    ----------
    cka : (L,) dimensionless, at most 1; may be negative.
    null : (B, L) the same with the items of one language permuted.
    pvalues : (L,) one-sided, of each layer alone.
    test : max-T over the layers, `test.adjusted` (L,) its p-values.
    """

    cka: np.ndarray
    null: np.ndarray
    pvalues: np.ndarray
    test: TestResult


def retrieval_outcomes(
    x, y, *, score: Score = "cosine", center=True, groups=None, level: Level = "item", k=10
) -> np.ndarray:
    """Whether each query finds what it should: (..., 2, n) bool, per direction and item.

    A query counts only if its right candidate lies strictly above every wrong one: ties are failures,
    so states that do not distinguish the items score 0, not 1. At level "within" the only item of a
    group has no wrong candidate and succeeds, at its chance level of 1.

    Parameters
    ----------
    x, y : (..., n, d) states of matched items, arbitrary units.
    score : "cosine", or "csls": twice the cosine minus the mean cosine of either side to its k
        nearest neighbours in the other language, which discounts hubs.
    center : True subtracts each language's mean over the n items, a pair (mean_x, mean_y), each
        broadcastable to (..., 1, d), subtracts those (of a discovery split), False nothing.
    groups : (n,) labels; needed by the levels "between" and "within".
    k : number of neighbours of CSLS.

    Raises
    ------
    MeasureError : shapes differ; a state is NaN or infinite (the layer is named); an item has no
        direction (zero norm); the groups leave nothing to compare at this level.
    """
    return outcomes_of_scores(similarity(x, y, score=score, center=center, k=k), groups=groups, level=level)


def outcomes_of_scores(scores: np.ndarray, *, groups=None, level: Level = "item") -> np.ndarray:
    """`retrieval_outcomes` of any scores (..., n, n), rows items of x, columns of y: (..., 2, n) bool."""
    codes = level_codes(groups, level, scores.shape[-1])
    labels = codes if level == "between" else np.arange(len(codes))
    both = (scores, scores.swapaxes(-1, -2))
    return np.stack([_hits(_nearest(s, codes, level), labels, labels, s.shape[:-1]) for s in both], axis=-2)


def retrieval_accuracy(x, y, **options) -> np.ndarray:
    """Share of queries that find what they should, mean of both directions: (...), in [0, 1].

    Options and errors are those of `retrieval_outcomes`.
    """
    return retrieval_outcomes(x, y, **options).mean((-2, -1))


def shuffled_accuracy(x, y, permutations, *, groups=None, level: Level = "item", **options) -> np.ndarray:
    """Retrieval accuracy had item i of `x` been paired with row permutations[b, i] of `y`: (B, ...).

    Equals `retrieval_accuracy(x, y[..., permutations[b], :], ...)` for every b, from one product
    instead of B. Null hypothesis the shuffles serve: items are exchangeable within their strata.

    Parameters
    ----------
    x, y, groups, level, options : as in `retrieval_outcomes`.
    permutations : (B, n) as from `resampling.stratified_permutations`.

    Raises
    ------
    MeasureError : as `retrieval_outcomes`; also no permutations, or, at level "within", some that leave
        the groups.
    """
    scores = similarity(x, y, **options)
    n = scores.shape[-1]
    codes = level_codes(groups, level, n)
    permutations = np.asarray(permutations)
    if permutations.ndim != 2 or not (np.sort(permutations, 1) == np.arange(n)).all():
        raise MeasureError(f"permutations must have shape (B, {n}) and hold every item once a row.")
    if level == "within" and not (codes[permutations] == codes).all():
        raise MeasureError(
            'level "within" needs permutations within the groups: shuffle with them as strata.'
        )
    forward, backward = _nearest(scores, codes, level), _nearest(scores.swapaxes(-1, -2), codes, level)
    items, labels = np.arange(n), codes if level == "between" else np.arange(n)
    accuracies = np.empty((len(permutations), *scores.shape[:-2]))
    for b, permutation in enumerate(permutations):
        partner = np.empty_like(items)
        partner[permutation] = items
        hits = _hits(forward, labels, labels[partner], scores.shape[:-1])
        hits_back = _hits(backward, labels[partner], labels, scores.shape[:-1])
        accuracies[b] = (hits.mean(-1) + hits_back.mean(-1)) / 2
    return accuracies


def retrieval_auc(x, y, *, center=True, groups=None, level: Level = "item") -> np.ndarray:
    """Share of wrong candidates with a lower cosine than the own translation: (..., 2, n) in [0, 1].

    Ties count one half, so chance is 1/2 at every level. Wrong candidates are all other items
    ("item"), the items of other groups ("between") or the others of the own group ("within"; the
    only item of a group has none and gets 1/2). Other parameters and errors as in
    `retrieval_outcomes`.
    """
    scores = similarity(x, y, center=center)
    n = scores.shape[-1]
    codes = level_codes(groups, level, n)
    wrong = wrong_candidates(codes, level)
    count = wrong.sum(1)
    auc = np.empty((*scores.shape[:-2], 2, n))
    for index in np.ndindex(scores.shape[:-2]):
        for direction, layer in enumerate((scores[index], scores[index].T)):
            lead = np.diagonal(layer)[:, None] - layer
            # lower or tied, and lower: a tie counts one half
            below = sum(np.count_nonzero((lead > bound) & wrong, axis=1) for bound in (-_TIE, _TIE)) / 2
            auc[(*index, direction)] = np.where(count > 0, below / np.maximum(count, 1), 0.5)
    return auc


def chance_level(groups, level: Level, n: int | None = None) -> float:
    """Expected accuracy of a scorer that ranks the candidates at random, exact for unequal groups.

    Item: 1/n. Between: the mean over items of (size of its group)/n. Within: the mean of 1/size.
    `n` is the number of items, by default that of `groups`; level "item" needs no groups.

    Examples
    --------
    >>> chance_level(["a", "a", "b", "b", "b", "b"], "within", 6)
    0.3333333333333333
    """
    n = len(groups) if n is None else n
    codes = level_codes(groups, level, n)
    sizes = np.bincount(codes)[codes]
    return float({"item": 1 / n, "between": np.mean(sizes / n), "within": np.mean(1 / sizes)}[level])


def chance_corrected(accuracy, chance):
    """Accuracy on the scale where chance is 0 and perfection 1 (negative below chance).

    Raises
    ------
    MeasureError : chance is 1, so that nothing could be found out.
    """
    if np.any(np.asarray(chance) >= 1):
        raise MeasureError("the chance level is 1: every query has a single candidate, nothing is retrieved.")
    return (np.asarray(accuracy) - chance) / (1 - np.asarray(chance))


def linear_cka(x, y, *, unbiased: bool = True):
    r"""Linear centred kernel alignment of two matched representations.

    .. math:: \mathrm{HSIC}(x, y) / \sqrt{\mathrm{HSIC}(x, x)\,\mathrm{HSIC}(y, y)}

    Parameters
    ----------
    x : (..., n, d_x) activations, arbitrary units; row i of `x` and `y` is the same item.
    y : (..., n, d_y)
    unbiased : take Song's unbiased HSIC, whose expectation is 0 for unrelated representations; the
        biased one grows with d/n.

    Returns
    -------
    (...) float64, dimensionless, at most 1; unbiased values may be negative. Invariant to rotation,
    translation and isotropic scale, not to general linear maps.

    Raises
    ------
    MeasureError : item counts differ, fewer than 4 items, a constant or non-finite input.

    Examples
    --------
    >>> states = np.random.default_rng(0).standard_normal((20, 5))
    >>> float(linear_cka(states, 3 * states[:, ::-1]).round(9))
    1.0
    """
    x, y = paired(x, y, same_width=False)
    values = np.empty(x.shape[:-2])
    for index in np.ndindex(values.shape):
        values[index] = cka_matrix([x[index], y[index]], unbiased=unbiased)[0, 1]
    return values[()]


def cka_matrix(states: Sequence, *, unbiased: bool = True) -> np.ndarray:
    """Linear CKA of all pairs of K representations (n, d_i): (K, K), symmetric with unit diagonal.

    One centred Gram per representation and one product for all pairs. Definition, invariances and
    errors as in `linear_cka`.
    """
    # one block for all: fresh memory for every Gram took more than a quarter of the time
    grams = np.empty((len(states), len(states[0]), len(states[0])))
    for i, gram in enumerate(grams):
        _centre_gram(np.asarray(states[i], np.float64), unbiased, f"representation {i}", gram)
    grams = grams.reshape(len(states), -1)
    products = grams @ grams.T
    scale = np.sqrt(np.diag(products))
    return products / np.outer(scale, scale)


def cka_by_layer(x, y, *, groups=None, n_permutations: int = 199, rng: np.random.Generator) -> CkaProfile:
    r"""Debiased linear CKA at every layer, and a permutation test that it is above that of unrelated items.

    .. math:: \langle \tilde K, \tilde M \rangle / (\lVert \tilde K \rVert \lVert \tilde M \rVert),
              \qquad \text{null: } \tilde M \to P \tilde M P^\top

    with K, M the Grams of a layer in two languages, tildes U-centred as in the unbiased HSIC.
    Null hypothesis: which item of y translates an item of x is exchangeable, in whole groups where there are
    any. Permuting a Gram leaves its norm, so that a layer costs two Grams, whatever the number of
    permutations; all layers share the permutations.

    Parameters
    ----------
    x, y : (L, n, d_x) and (L, n, d_y) states of matched items, arbitrary units.
    groups : (n,) scenario of each item; groups change places with groups of their own size only.
    n_permutations : B.

    Raises
    ------
    MeasureError : as `linear_cka` and `resampling.whole_group_permutations`.

    References
    ----------
    Song et al. (2012), section 2.4 (unbiased HSIC); Gretton et al. (2008), "A Kernel Statistical Test of
    Independence", NeurIPS 20, section 3 (its permutation test).
    """
    x, y = paired(x, y, "(L, n, d)", same_width=False)
    n = x.shape[1]
    orders = whole_group_permutations(group_codes(groups, n), n_shuffles=n_permutations, rng=rng)
    rows = np.empty((1 + n_permutations, len(x)))
    gram_x, gram_y = np.empty((2, n, n))
    for layer, (own, other) in enumerate(zip(x, y, strict=True)):
        for name, states, gram in (("x", own, gram_x), ("y", other, gram_y)):
            _centre_gram(states.astype(np.float64), True, f"{name}{_at_layer([layer])}", gram)
        scale = np.linalg.norm(gram_x) * np.linalg.norm(gram_y)
        rows[0, layer] = np.vdot(gram_x, gram_y) / scale
        for b, order in enumerate(orders, start=1):
            rows[b, layer] = np.vdot(gram_x, gram_y.take(order, 0).take(order, 1)) / scale
    test = permutation_max(rows[0], rows[1:], hypothesis="items of the two languages are unrelated")
    pvalues = (rows >= rows[0] - _TIE).mean(0)
    return CkaProfile(rows[0], rows[1:], pvalues, test)


def similarity(x, y, *, score: Score = "cosine", center=True, k: int = 10) -> np.ndarray:
    """Scores of all pairs of items, (..., n, n): rows are items of x, columns items of y.

    Parameters and errors as in `retrieval_outcomes`.
    """
    if score not in ("cosine", "csls"):
        raise MeasureError(f'unknown score {score!r}; choose "cosine" or "csls".')
    x, y = paired(x, y)
    means = _means(x, y, center)
    if score == "csls" and not 1 <= k <= x.shape[-2]:
        raise MeasureError(f"CSLS with k={k} needs 1 <= k <= {x.shape[-2]} items; choose a smaller k.")
    scores = np.empty((*x.shape[:-1], x.shape[-2]))
    for index in np.ndindex(x.shape[:-2]):
        unit_x, unit_y = _units((x, y), means, index)
        np.matmul(unit_x, unit_y.T, out=scores[index])
        if score == "csls":
            hubs = _nearest_mean(scores[index], k)[:, None] + _nearest_mean(scores[index].T, k)
            scores[index] = 2 * scores[index] - hubs
    return scores


def _nearest_mean(cosine: np.ndarray, k: int) -> np.ndarray:
    return np.partition(cosine, -k, axis=1)[:, -k:].mean(1)


def _nearest(scores: np.ndarray, codes: np.ndarray, level: Level):
    """Query and candidate of every nearest pair, ties included; queries count through all layers."""
    if level == "within":
        scores = np.where(codes[:, None] == codes, scores, -np.inf)
    tied = scores >= scores.max(-1, keepdims=True) - _TIE
    return np.divmod(np.flatnonzero(tied), scores.shape[-1])


def _hits(nearest, query_labels: np.ndarray, candidate_labels: np.ndarray, shape) -> np.ndarray:
    """Queries whose nearest candidates, all of those tied, carry their own label: bool of `shape`."""
    queries, candidates = nearest
    wrong = query_labels[queries % shape[-1]] != candidate_labels[candidates]
    hits = np.ones(int(np.prod(shape)), dtype=bool)
    hits[queries[wrong]] = False
    return hits.reshape(shape)


def wrong_candidates(codes: np.ndarray, level: Level) -> np.ndarray:
    """Which candidates a query must not find, (n, n) bool, at a level with `level_codes` (n,)."""
    same = codes[:, None] == codes
    return same & ~np.eye(len(codes), dtype=bool) if level == "within" else ~same


def level_codes(groups, level: Level, n: int) -> np.ndarray:
    """Group of each item (n,) int, each item its own at level "item"; errors as in `retrieval_outcomes`."""
    if level not in ("item", "between", "within"):
        raise MeasureError(f'unknown level {level!r}; choose "item", "between" or "within".')
    if level == "item":
        return np.arange(n)
    if groups is None:
        raise MeasureError(f'level "{level}" compares groups of items; pass groups, one label per item.')
    codes = group_codes(groups, n, least=2 if level == "between" else 1)
    if level == "within" and codes.max() == n - 1:
        raise MeasureError('level "within" needs groups of at least 2 items, all hold 1; use level "item".')
    return codes


def _means(x: np.ndarray, y: np.ndarray, center) -> list[np.ndarray]:
    shape = (*x.shape[:-2], 1, x.shape[-1])
    if isinstance(center, bool | np.bool_):
        if center:
            return [s.mean(-2, keepdims=True, dtype=np.float64) for s in (x, y)]
        return [np.zeros(shape)] * 2
    try:
        mean_x, mean_y = (np.broadcast_to(np.asarray(m, np.float64), shape) for m in center)
    except (TypeError, ValueError) as error:
        raise MeasureError(f"center must be True, False or two means that broadcast to {shape}.") from error
    return [mean_x, mean_y]


def _units(pair, means, index: tuple[int, ...]) -> list[np.ndarray]:
    """Centred states of one layer in both languages, each scaled to norm 1."""
    units = []
    for name, states, mean in zip("xy", pair, means, strict=True):
        unit = np.subtract(states[index], mean[index], dtype=np.float64)
        norms = np.sqrt(np.vecdot(unit, unit))
        if not np.isfinite(norms).all():
            raise MeasureError(
                f"{name} holds NaN or infinite values{_at_layer(index)}; float16 overflows on some models: "
                "capture in float32 or bfloat16, or leave the layer out."
            )
        # what centring leaves of a constant is its rounding error, which has a direction but no meaning
        empty = norms <= 1e-13 * np.linalg.norm(mean[index])
        if empty.any():
            raise MeasureError(
                f"{int(empty.sum())} of {len(norms)} items have no direction{_at_layer(index)}, first item "
                f"{int(empty.argmax())} of {name}: their state is zero or equals the mean that was "
                "subtracted. Leave out the layer (the last token's embedding is often the same for all "
                "items), or use mean pooling."
            )
        unit *= (1 / norms)[:, None]
        units.append(unit)
    return units


def _at_layer(index) -> str:
    return f" at layer {', '.join(str(int(i)) for i in index)}" if len(index) else ""


def _centre_gram(states: np.ndarray, unbiased: bool, name: str, gram: np.ndarray) -> None:
    """Writes the centred Gram, whose inner products are proportional to HSIC, into `gram` (n, n)."""
    if states.ndim != 2 or len(states) < 4 or len(states) != len(gram):
        expected = f"(n, d) with n >= 4, and n = {len(gram)} as in the first"
        raise MeasureError(f"{name} has shape {states.shape}; CKA needs {expected}.")
    centred = states - states.mean(0)
    size, spread = np.linalg.norm(states), np.linalg.norm(centred)
    if not np.isfinite(size):
        finite(name, states)
    np.matmul(centred, centred.T, out=gram)
    scale = np.linalg.norm(gram)
    if unbiased:
        n = len(gram)
        np.fill_diagonal(gram, 0.0)
        rows = gram.sum(1) / (n - 2)
        gram += rows.sum() / (n - 1) - rows[:, None] - rows
        np.fill_diagonal(gram, 0.0)
    if spread <= 1e-12 * size or np.linalg.norm(gram) <= 1e-12 * scale:
        raise MeasureError(
            f"{name} is constant, or its items are all equally far apart: CKA compares "
            "distances between items and is undefined without any difference. Leave it out."
        )

"""Speed of retrieval against scikit-learn, and of CKA between all pairs against one pair after another.

Sizes are those of a small model and the built-in corpus: 11 languages, d = 640, 240 items (30 scenarios of 8
draws). CKA is timed with 160 items too: both sides need Grams of n^2 d operations, the baseline also products
of n^3, so that with 160 items it has only 19 times as many operations to do and cannot take 20 times as long.
scikit-learn's leanest way to the same neighbours, `cosine_similarity`, does two products where one is enough
and scales every vector twice: about that factor, and the cost of its checks, is there to be had.
Baselines give the same numbers from the same states: each row checks that before it is timed.
"""

import importlib.util
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from harness import Row, Skipped, compare, sizes
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors
from zspace.measures import alignment

LANGUAGES, LAYERS, DIM = 11, 4, 640


def rows(pairs: int) -> Iterator[Row | Skipped]:
    """All comparisons of this file."""
    states = random_states(160)
    yield retrieval_against_neighbors(states[:2], pairs)
    yield retrieval_against_cosine_similarity(states[:2], pairs)
    yield cka_against_matrices(states, pairs, at_least=15)
    larger = random_states(240)
    yield cka_against_matrices(larger, pairs, at_least=20)
    yield cka_against_ckatorch(larger, pairs)


def random_states(n_items: int, seed: int = 0) -> np.ndarray:
    """States (K, layers, items, d): common items with noise, so that retrieval is neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((LAYERS, n_items, DIM)) * np.arange(1, DIM + 1) ** -0.5
    return items + 0.3 * rng.standard_normal((LANGUAGES, LAYERS, n_items, DIM)) + 1


def retrieval_against_neighbors(states: np.ndarray, pairs: int) -> Row:
    x, y = states

    def candidate():
        return alignment.retrieval_accuracy(x, y)

    def nearest_neighbors():
        accuracy = np.zeros(len(x))
        for layer in range(len(x)):
            sides = [s[layer] - s[layer].mean(0) for s in (x, y)]
            for queries, candidates in (sides, sides[::-1]):
                index = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute").fit(candidates)
                found = index.kneighbors(queries, return_distance=False)[:, 0]
                accuracy[layer] += (found == np.arange(len(queries))).mean() / 2
        return accuracy

    np.testing.assert_allclose(candidate(), nearest_neighbors())
    what = "scikit-learn's NearestNeighbors a layer and direction / retrieval accuracy, both directions"
    return compare(what, candidate, nearest_neighbors, at_least=3.5, pairs=pairs, notes=sizes(states))


def retrieval_against_cosine_similarity(states: np.ndarray, pairs: int) -> Row:
    x, y = states

    def candidate():
        return alignment.retrieval_accuracy(x, y)

    def cosines():
        accuracy = np.zeros(len(x))
        for layer in range(len(x)):
            sides = [s[layer] - s[layer].mean(0) for s in (x, y)]
            for queries, candidates in (sides, sides[::-1]):
                found = cosine_similarity(queries, candidates).argmax(1)
                accuracy[layer] += (found == np.arange(len(queries))).mean() / 2
        return accuracy

    np.testing.assert_allclose(candidate(), cosines())
    what = "scikit-learn's cosine_similarity a layer and direction / retrieval accuracy, both directions"
    return compare(what, candidate, cosines, at_least=2.5, pairs=pairs, notes=sizes(states))


def cka_against_matrices(states: np.ndarray, pairs: int, *, at_least: float) -> Row:
    def candidate():
        return np.array([alignment.cka_matrix(layer, unbiased=False) for layer in states.swapaxes(0, 1)])

    def centring_matrices():
        n = states.shape[2]
        centring = np.eye(n) - 1 / n
        found = np.ones((states.shape[1], len(states), len(states)))
        for layer in range(states.shape[1]):
            for i, j in combinations(range(len(states)), 2):
                x, y = (centring @ (s @ s.T) @ centring for s in (states[i, layer], states[j, layer]))
                value = np.trace(x @ y) / np.sqrt(np.trace(x @ x) * np.trace(y @ y))
                found[layer, i, j] = found[layer, j, i] = value
        return found

    np.testing.assert_allclose(candidate(), centring_matrices(), atol=1e-10)
    what = f"CKA of each pair by n x n products / CKA of all pairs, {states.shape[2]} items"
    return compare(what, candidate, centring_matrices, at_least=at_least, pairs=pairs, notes=sizes(states))


def cka_against_ckatorch(states: np.ndarray, pairs: int) -> Row | Skipped:
    what = f"ckatorch's cka_base a pair / CKA of all pairs, {states.shape[2]} items"
    if importlib.util.find_spec("ckatorch") is None:
        return Skipped(what, "ckatorch is not installed here, and no requirement of this project")
    import torch
    from ckatorch.core import cka_base

    tensors = torch.from_numpy(states)

    def candidate():
        return np.array([alignment.cka_matrix(layer) for layer in states.swapaxes(0, 1)])

    def ckatorch():
        found = np.ones((states.shape[1], len(states), len(states)))
        for layer in range(states.shape[1]):
            for i, j in combinations(range(len(states)), 2):
                value = float(cka_base(tensors[i, layer], tensors[j, layer], unbiased=True))
                found[layer, i, j] = found[layer, j, i] = value
        return found

    np.testing.assert_allclose(candidate(), ckatorch(), atol=1e-10)
    return compare(what, candidate, ckatorch, at_least=8, pairs=pairs, notes=sizes(states))

"""Speed of the bridges of all pairs of languages: against one pair after another in scikit-learn and scipy.

Sizes are those of a small model's layer: states of d = 640, 160 items of which 80 are fitted on. Rows check
that both sides give the same numbers before they are timed, but for held-out Procrustes: what the items
leave undetermined scipy turns in some arbitrary way, and a bridge predicts to be zero.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from harness import Row, compare, sizes
from scipy import linalg
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from zspace.measures import bridges

ITEMS, DIM = 160, 640
TRAIN = np.arange(ITEMS) % 2 == 0


def rows(pairs: int) -> Iterator[Row]:
    """All comparisons of this file."""
    yield against_ridge_cv(random_languages(11, 1), pairs)
    yield against_orthogonal_procrustes(random_languages(5, 1), pairs)
    yield one_bridge_against_orthogonal_procrustes(random_languages(2, 4), pairs)


def random_languages(n_languages: int, n_layers: int, seed: int = 0) -> np.ndarray:
    """States (K, layers, items, d) that turn common items, of falling variance, with noise of their own."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((n_layers, ITEMS, DIM)) * np.arange(1, DIM + 1) ** -0.5
    turns = np.linalg.qr(rng.standard_normal((n_languages, 1, DIM, DIM)))[0]
    states = items @ turns
    return states + 0.05 * rng.standard_normal(states.shape) + 1


def against_ridge_cv(states: np.ndarray, pairs: int) -> Row:
    n_languages, n_layers = states.shape[:2]

    def candidate():
        return bridges.all_pairs(states, TRAIN, kinds=("ridge",)).r2["ridge"]

    def ridge_cv():
        r2 = np.full((n_layers, n_languages, n_languages), np.nan)
        for layer in range(n_layers):
            for i, j in permutations(range(n_languages), 2):
                x, y = states[i, layer], states[j, layer]
                energy = ((x[TRAIN] - x[TRAIN].mean(0)) ** 2).sum()
                grid = bridges.RELATIVE_PENALTIES * energy / (TRAIN.sum() - 1)
                predicted = RidgeCV(grid).fit(x[TRAIN], y[TRAIN]).predict(x[~TRAIN])
                r2[layer, i, j] = r2_score(y[~TRAIN], predicted, multioutput="variance_weighted")
        return r2

    np.testing.assert_allclose(candidate(), ridge_cv(), atol=1e-8)
    what = "RidgeCV (leave-one-out) a pair / held-out ridge of all pairs, same penalties"
    return compare(what, candidate, ridge_cv, at_least=6, pairs=pairs, notes=notes(states))


def against_orthogonal_procrustes(states: np.ndarray, pairs: int) -> Row:
    n_languages, n_layers = states.shape[:2]

    def candidate():
        return bridges.all_pairs(states, TRAIN, kinds=("procrustes",)).r2["procrustes"]

    def orthogonal_procrustes():
        fitted = np.zeros((n_layers, n_languages, n_languages))
        for layer in range(n_layers):
            for i in range(n_languages):
                for j in range(i + 1, n_languages):
                    x, y = (states[k, layer] - states[k, layer][TRAIN].mean(0) for k in (i, j))
                    rotation, _ = linalg.orthogonal_procrustes(x[TRAIN], y[TRAIN])
                    fitted[layer, i, j] = ((y[~TRAIN] - x[~TRAIN] @ rotation) ** 2).sum()
        return fitted

    what = "scipy's orthogonal_procrustes a pair, d x d / held-out Procrustes of all pairs, n < d"
    return compare(what, candidate, orthogonal_procrustes, at_least=4, pairs=pairs, notes=notes(states))


def one_bridge_against_orthogonal_procrustes(states: np.ndarray, pairs: int) -> Row:
    x, y = states[:, :, TRAIN] - states[:, :, TRAIN].mean(-2, keepdims=True)

    def candidate():
        return bridges.fit(x, y).predict(x)

    def orthogonal_procrustes():
        return np.array([a @ linalg.orthogonal_procrustes(a, b)[0] for a, b in zip(x, y, strict=True)])

    # what lies in the span of the items is turned alike; outside of it scipy's rotation is arbitrary
    np.testing.assert_allclose(candidate(), orthogonal_procrustes(), atol=1e-8)
    what = "scipy's orthogonal_procrustes, d x d / one Procrustes bridge, nothing shared, n < d"
    return compare(what, candidate, orthogonal_procrustes, at_least=4, pairs=pairs, notes=notes(states))


def notes(states: np.ndarray) -> dict[str, int]:
    """Sizes of a row."""
    return {**sizes(states), "training items": int(TRAIN.sum())}

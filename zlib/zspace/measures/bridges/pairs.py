r"""Held-out R² of the maps between all pairs of languages, from one decomposition per language.

Symbols: K languages; A (n, r) training states and B (m, r) held-out states in a basis of r dimensions, means
of the training items subtracted. With n <= d items the basis spans the n - 1 dimensions in which a
language's training items vary, which is all that a bridge reads or writes; what a held-out state has outside
of it is an error of every map alike. r is d where n > d. Results [..., i, j] are of the map from language i
to language j.

Source of the leave-one-out error: as in `fitting`. With M the residual-making matrix of one penalty and
w_i = 1 / (1 - H_ii)², it is the inner product of M diag(w) M, which only x decides, with the Gram of y.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import MeasureError
from ..axes import leading_axes
from ..paired import finite
from .fitting import RELATIVE_PENALTIES, Kind, centred_states, energy, leave_one_out, span_of

KINDS = ("procrustes", "scaled_procrustes", "ridge")
_SMALLEST_VARIANCE = 1e-6  # of the largest; above it `leading_axes` are exact to ten digits


@dataclass(frozen=True)
class PairScores:
    """How well each kind of map carries each language to each other; diagonals are NaN.

    Attributes
    ----------
    languages : K names, the order of the last two axes.
    r2 : by kind, (..., K, K) held-out R² of the map from language i to language j, as `Bridge.r2`.
    """

    languages: tuple[str, ...]
    r2: dict[str, np.ndarray]


def all_pairs(
    states: Mapping[str, np.ndarray] | Sequence, train, *, kinds: Sequence[Kind] = KINDS
) -> PairScores:
    r"""Held-out R² of every kind of map between all pairs of K languages, layer by layer.

    Equal to `fit(x[train], y[train], kind=kind).r2(x[~train], y[~train])` pair by pair, but what belongs to
    one language is computed once.

    Parameters
    ----------
    states : language -> (..., n, d), or K arrays (..., n, d) of one shape, arbitrary units; row i is the
        same item in all. Leading axes (layers) are independent.
    train : (n,) bool, the items to fit on; the others are scored.
    kinds : of `KINDS`, as in `fit`.

    Raises
    ------
    MeasureError : shapes differ; values are not finite; fewer than 2 items to fit on or to score; states of a
        language that are constant; an unknown kind.
    """
    languages, stacks = _named(states)
    train = _split(train, stacks[0].shape[-2])
    if unknown := set(kinds) - set(KINDS):
        raise MeasureError(f"unknown kinds {sorted(unknown)}; choose of {', '.join(KINDS)}.")
    leading, k = stacks[0].shape[:-2], len(languages)
    r2 = {kind: np.full((*leading, k, k), np.nan) for kind in kinds}
    others = ~np.eye(k, dtype=bool)
    for index in np.ndindex(leading):
        where = f" at layer {', '.join(map(str, index))}" if index else ""
        layer = {f"{name}{where}": s[index] for name, s in zip(languages, stacks, strict=True)}
        sides = [_side(name, finite(name, s), train) for name, s in layer.items()]
        for kind, scores in _scores(sides, kinds).items():
            r2[kind][index][others] = scores[others]
    return PairScores(languages, r2)


def principal_components(states, train, n_components: int) -> np.ndarray:
    """States (..., n, p) of all items on the leading principal axes of the training items.

    Parameters
    ----------
    states : (..., n, d) states of one language. train : (n,) bool, whose mean is subtracted from all items.
    n_components : p, at most n_train - 1 and d.

    Raises
    ------
    MeasureError : as in `all_pairs`.
    """
    states = finite("states", states)
    if states.ndim < 2:
        raise MeasureError(f"states have shape {states.shape}; expected (..., n, d).")
    train = _split(train, states.shape[-2])
    centred, mean = centred_states("states", states[..., train, :])
    return (states - mean[..., None, :]) @ principal_axes("states", centred, n_components)


def principal_axes(name: str, centred: np.ndarray, n_components: int) -> np.ndarray:
    """Leading axes (..., d, p) of centred states (..., n, d)."""
    n, d = centred.shape[-2:]
    if not 1 <= n_components <= min(n - 1, d):
        raise MeasureError(
            f"n_components={n_components} of {name}; {n} training items of {d} dimensions allow 1 to "
            f"{min(n - 1, d)}."
        )
    leading = centred.shape[:-2]
    axes = [_leading_axes(centred[index], n_components) for index in np.ndindex(leading)]
    return np.reshape(axes, (*leading, d, n_components))


def _leading_axes(centred: np.ndarray, n_components: int) -> np.ndarray:
    """Leading axes (d, p) of (n, d), those that vary too little for `leading_axes` by a decomposition."""
    axes, squares = leading_axes(centred, n_components)
    if squares[-1] > _SMALLEST_VARIANCE * squares[0]:
        return axes
    return np.linalg.svd(centred, full_matrices=False)[2][:n_components].T


@dataclass(frozen=True)
class _Side:
    """One language of one layer: A, B, what B leaves out, and the variation that is to be predicted."""

    train: np.ndarray
    test: np.ndarray
    outside: float
    variation: float


def _side(name: str, states: np.ndarray, train: np.ndarray) -> _Side:
    centred, mean = centred_states(name, states[train])
    held_out = states[~train] - mean
    variation = energy(centred_states(name, held_out)[0])
    if centred.shape[0] > centred.shape[1]:
        return _Side(centred, held_out, 0.0, variation)
    basis, coordinates = span_of(centred)
    inside = held_out @ basis
    return _Side(coordinates, inside, energy(held_out) - energy(inside), variation)


def _scores(sides: list[_Side], kinds: Sequence[Kind]) -> dict[str, np.ndarray]:
    """R² (K, K) by kind."""
    errors = _rotation_errors(sides, [kind for kind in kinds if kind != "ridge"])
    if "ridge" in kinds:
        errors["ridge"] = np.array([_ridge_errors(i, sides) for i in range(len(sides))])
    outside, variation = (np.array([getattr(s, name) for s in sides]) for name in ("outside", "variation"))
    return {kind: 1 - (inside + outside) / variation for kind, inside in errors.items()}


def _rotation_errors(sides: list[_Side], kinds: list[str]) -> dict[str, np.ndarray]:
    """Squared held-out errors (K, K) by kind; both directions of a pair from one decomposition."""
    if not kinds:
        return {}
    train, test = (np.array([getattr(s, name) for s in sides]) for name in ("train", "test"))
    fitted, scored = energy(train), energy(test)
    # along a rotation R, back along R': what A R has in common with the other A, and B R with the other B
    nuclear, common = np.zeros((2, len(sides), len(sides)))
    for i in range(len(sides) - 1):
        u, s, vt = np.linalg.svd(train[i].T @ train[i + 1 :])
        nuclear[i, i + 1 :] = s.sum(-1)
        common[i, i + 1 :] = np.einsum("kij,kij->k", test[i].T @ test[i + 1 :], u @ vt)
    nuclear, common = nuclear + nuclear.T, common + common.T
    scales = {"procrustes": 1.0, "scaled_procrustes": nuclear / fitted[:, None]}
    return {k: scored - 2 * scales[k] * common + scales[k] ** 2 * scored[:, None] for k in kinds}


def _ridge_errors(i: int, sides: list[_Side]) -> np.ndarray:
    """Squared held-out errors (K,) of ridge from language i, each with its own penalty."""
    x, y = sides[i].train, np.array([s.train for s in sides])
    n, width = x.shape
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    penalties = (s**2).sum() / min(n - 1, width) * RELATIVE_PENALTIES
    projected = u.T @ y
    if width == n - 1:
        errors = _leave_one_out_of_gram(projected @ projected.mT, u, s, penalties)
    else:
        errors = leave_one_out(y, u, s, penalties[:, None])
    penalty = penalties[np.argmin(errors, axis=0)]
    shrunk = s / (s**2 + penalty[:, None])
    predicted = (sides[i].test @ vt.T) @ (shrunk[..., None] * projected)
    return energy(np.array([s.test for s in sides]) - predicted)


def _leave_one_out_of_gram(grams: np.ndarray, u: np.ndarray, s: np.ndarray, penalties: np.ndarray):
    """`leave_one_out` (p, K) of K targets with Grams (K, r, r) in the basis u (n, r) of centred items."""
    errors = np.empty((len(penalties), len(grams)))
    for row, penalty in zip(errors, penalties, strict=True):
        kept = penalty / (s**2 + penalty)
        own = u**2 @ kept
        weighted = u * kept / own[:, None]
        row[:] = grams.reshape(len(grams), -1) @ (weighted.T @ weighted).ravel()
    return errors


def _named(states) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Names and arrays of the languages, of one shape."""
    if not isinstance(states, Mapping):
        states = {f"language {i}": s for i, s in enumerate(states)}
    stacks = [np.asarray(s) for s in states.values()]
    shapes = {s.shape for s in stacks}
    if len(stacks) < 2 or len(shapes) > 1 or stacks[0].ndim < 2 or not stacks[0].size:
        raise MeasureError(
            f"states of {len(stacks)} languages have shapes {sorted(shapes)}; expected at least two "
            "languages with the same (..., n, d), row i being the same item in all."
        )
    return tuple(map(str, states)), stacks


def _split(train, n: int) -> np.ndarray:
    """Training items (n,) bool."""
    train = np.asarray(train)
    if train.shape != (n,) or train.dtype != bool or not 2 <= train.sum() <= n - 2:
        raise MeasureError(
            f"train has shape {train.shape} and dtype {train.dtype}; expected bool of shape ({n},) with at "
            "least 2 items to fit on and 2 to score."
        )
    return train

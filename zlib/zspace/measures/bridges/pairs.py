r"""Held-out R² of the maps between all pairs of languages, from one decomposition per language.

Symbols: K languages; A (n, r) training states and B (m, r) held-out states in a basis of r dimensions, means
of the training items subtracted. With n <= d items the basis spans the n - 1 dimensions in which a
language's training items vary, which is all that a bridge reads or writes; what a held-out state has outside
of it is an error of every map alike. r is d where n > d, and p after PCA. Results [..., i, j] are of the map
from language i to language j.

Source of the leave-one-out error: as in `fitting`. With M the residual-making matrix of one penalty and
w_i = 1 / (1 - H_ii)², it is the inner product of M diag(w) M, which only x decides, with the Gram of y.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..paired import finite
from .fitting import (
    RELATIVE_PENALTIES,
    Kind,
    centred_states,
    energy,
    least_squares,
    leave_one_out,
    require_kind,
    span_of,
)


@dataclass(frozen=True)
class PairScores:
    """How well each kind of map carries each language to each other; diagonals are NaN.

    Attributes
    ----------
    languages : K names, the order of the last two axes.
    r2 : by kind, (..., K, K) held-out R² of the map from language i to language j, as `Bridge.r2`; mean over
        the folds.
    condition_number : (..., K, K) kappa of the affine maps, geometric mean over the folds; None without
        kind "affine".
    n_train : training items of the smallest fold.
    n_components : principal components that all languages were reduced to, or None.
    """

    languages: tuple[str, ...]
    r2: dict[str, np.ndarray]
    condition_number: np.ndarray | None
    n_train: int
    n_components: int | None

    @property
    def gap(self) -> np.ndarray:
        """R² of ridge minus R² of scaled Procrustes, (..., K, K).

        Raises
        ------
        ValueError : one of the two kinds was not scored.
        """
        if missing := {"ridge", "scaled_procrustes"} - set(self.r2):
            raise ValueError(f"the gap needs kind {sorted(missing)} too; add it to `kinds`.")
        return self.r2["ridge"] - self.r2["scaled_procrustes"]


def all_pairs(
    states: Mapping[str, np.ndarray] | Sequence,
    train,
    *,
    kinds: Sequence[Kind] = ("procrustes", "scaled_procrustes", "ridge"),
    n_components: int | None = None,
    cross_fit: bool = False,
) -> PairScores:
    r"""Held-out R² of every kind of map between all pairs of K languages, layer by layer.

    Equal to `fit(x[train], y[train], kind=kind).r2(x[~train], y[~train])` pair by pair, but what belongs to
    one language is computed once. Kinds differ in what they may do only in the same space: with
    `n_components` all languages are first reduced to that many principal components of their own training
    items (`principal_components`), which also allows "affine" and its condition number.

    Parameters
    ----------
    states : language -> (..., n, d), or K arrays (..., n, d) of one shape, arbitrary units; row i is the
        same item in all. Leading axes (layers) are independent.
    train : (n,) bool, the items to fit on; the others are scored. Several folds: (F, n), results averaged.
    kinds : as in `fit`.
    n_components : p, at most n_train - 1 and d; None compares states in all their dimensions.
    cross_fit : score each fold with training and held-out items exchanged as well, and average.

    Raises
    ------
    ValueError : shapes differ; values are not finite; fewer than 2 items on either side of a fold; states
        of a language that are constant; more components than the items or dimensions allow; "affine" with
        fewer training items than twice the dimensions.
    """
    languages, stacks = _named(states)
    folds = _folds(train, stacks[0].shape[-2], cross_fit)
    n_train = int(folds.sum(1).min())
    for kind in kinds:
        require_kind(kind)
    _require_items(kinds, n_train, n_components, stacks[0].shape[-1])
    leading, k = stacks[0].shape[:-2], len(languages)
    r2 = {kind: np.zeros((*leading, k, k)) for kind in kinds}
    log_kappa = np.zeros((*leading, k, k))
    for index in np.ndindex(leading):
        where = f" at layer {', '.join(map(str, index))}" if index else ""
        layer = [finite(f"{name}{where}", s[index]) for name, s in zip(languages, stacks, strict=True)]
        for fold in folds:
            sides = [
                _side(name + where, s[fold], s[~fold], n_components)
                for name, s in zip(languages, layer, strict=True)
            ]
            for kind, scores in _scores(sides, kinds, log_kappa[index]).items():
                r2[kind][index] += scores / len(folds)
    kappa = np.exp(log_kappa / len(folds)) if "affine" in kinds else None
    for table in (*r2.values(), *([] if kappa is None else [kappa])):
        table[..., np.arange(k), np.arange(k)] = np.nan
    return PairScores(languages, r2, kappa, n_train, n_components)


def principal_components(states, train, n_components: int) -> np.ndarray:
    """States (..., n, p) of all items on the leading principal axes of the training items.

    Parameters
    ----------
    states : (..., n, d) states of one language. train : (n,) bool, whose mean is subtracted from all items.
    n_components : p, at most n_train - 1 and d.

    Raises
    ------
    ValueError : as in `all_pairs`.
    """
    states = finite("states", states)
    if states.ndim < 2:
        raise ValueError(f"states have shape {states.shape}; expected (..., n, d).")
    (train,) = _folds(train, states.shape[-2], False)
    centred, mean = centred_states("states", states[..., train, :])
    return (states - mean[..., None, :]) @ principal_axes("states", centred, n_components)


def principal_axes(name: str, centred: np.ndarray, n_components: int) -> np.ndarray:
    """Leading axes (..., d, p) of centred states (..., n, d)."""
    n, d = centred.shape[-2:]
    if not 1 <= n_components <= min(n - 1, d):
        raise ValueError(
            f"n_components={n_components} of {name}; {n} training items of {d} dimensions allow 1 to "
            f"{min(n - 1, d)}."
        )
    return np.linalg.svd(centred, full_matrices=False)[2][..., :n_components, :].mT


@dataclass(frozen=True)
class _Side:
    """One language of one layer: A, B, what B leaves out, and the variation that is to be predicted."""

    train: np.ndarray
    test: np.ndarray
    outside: float
    variation: float


def _side(name: str, train: np.ndarray, test: np.ndarray, n_components: int | None) -> _Side:
    centred, mean = centred_states(name, train)
    held_out = test - mean
    if n_components is not None:
        axes = principal_axes(name, centred, n_components)
        centred, held_out = centred @ axes, held_out @ axes
    variation = energy(centred_states(name, held_out)[0])
    if centred.shape[0] > centred.shape[1]:
        return _Side(centred, held_out, 0.0, variation)
    basis, coordinates = span_of(centred)
    inside = held_out @ basis
    return _Side(coordinates, inside, energy(held_out) - energy(inside), variation)


def _scores(sides: list[_Side], kinds: Sequence[Kind], log_kappa: np.ndarray) -> dict[str, np.ndarray]:
    """R² (K, K) by kind; adds the logarithms of kappa to `log_kappa` (K, K)."""
    scores = _rotation_scores(sides, [kind for kind in kinds if "procrustes" in kind])
    if "ridge" in kinds:
        scores["ridge"] = np.array([_from_one(i, sides, _ridge_errors(i, sides)) for i in range(len(sides))])
    if "affine" in kinds:
        rows = [_affine(i, sides) for i in range(len(sides))]
        scores["affine"] = np.array([_from_one(i, sides, error) for i, (error, _) in enumerate(rows)])
        log_kappa += np.log([kappa for _, kappa in rows])
    return scores


def _from_one(i: int, sides: list[_Side], errors: np.ndarray) -> np.ndarray:
    """R² (K,) of the maps from language i, given their squared errors (K,) inside the spans."""
    outside, variation = (np.array([getattr(s, name) for s in sides]) for name in ("outside", "variation"))
    return 1 - (errors + outside) / variation


def _rotation_scores(sides: list[_Side], kinds: list[str]) -> dict[str, np.ndarray]:
    """Both directions of a pair from one decomposition: the rotation back is the transpose."""
    scores = {kind: np.zeros((len(sides), len(sides))) for kind in kinds}
    if not kinds:
        return scores
    train, test = (np.array([getattr(s, name) for s in sides]) for name in ("train", "test"))
    fitted, scored = energy(train), energy(test)
    # along a rotation R: what A R has in common with the other A, and B R with the other B
    nuclear, common = np.zeros((2, len(sides), len(sides)))
    for i in range(len(sides) - 1):
        u, s, vt = np.linalg.svd(train[i].T @ train[i + 1 :])
        nuclear[i, i + 1 :] = s.sum(-1)
        common[i, i + 1 :] = np.einsum("kij,kij->k", test[i].T @ test[i + 1 :], u @ vt)
    nuclear, common = nuclear + nuclear.T, common + common.T
    for kind in kinds:
        scale = nuclear / fitted[:, None] if kind == "scaled_procrustes" else 1.0
        errors = scored[None, :] - 2 * scale * common + scale**2 * scored[:, None]
        scores[kind] = np.array([_from_one(i, sides, error) for i, error in enumerate(errors)])
    return scores


def _affine(i: int, sides: list[_Side]) -> tuple[np.ndarray, np.ndarray]:
    """Squared held-out errors (K,) and kappa (K,) of least squares from language i."""
    weight = least_squares(sides[i].train, np.array([s.train for s in sides]))
    errors = energy(np.array([s.test for s in sides]) - sides[i].test @ weight)
    return errors, np.linalg.cond(weight)


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
        raise ValueError(
            f"states of {len(stacks)} languages have shapes {sorted(shapes)}; expected at least two "
            "languages with the same (..., n, d), row i being the same item in all."
        )
    return tuple(map(str, states)), stacks


def _folds(train, n: int, cross_fit: bool) -> np.ndarray:
    """Training items of all folds, (F, n) bool."""
    folds = np.atleast_2d(np.asarray(train))
    sizes = folds.sum(1) if folds.dtype == bool else np.zeros(1)
    if folds.shape[1:] != (n,) or folds.dtype != bool or not ((sizes >= 2) & (n - sizes >= 2)).all():
        raise ValueError(
            f"train has shape {np.shape(train)} and dtype {folds.dtype}; expected bool of shape ({n},), or "
            f"(folds, {n}), with at least 2 items to fit on and 2 to score in each fold."
        )
    return np.concatenate([folds, ~folds]) if cross_fit else folds


def _require_items(kinds: Sequence[str], n_train: int, n_components: int | None, d: int) -> None:
    width = d if n_components is None else n_components
    if "affine" in kinds and n_train < 2 * width:
        raise ValueError(
            f"affine maps and their condition number in {width} dimensions need at least {2 * width} "
            f"training items, found {n_train}, or they follow the noise. Set n_components to at most "
            f'{n_train // 2}, or leave "affine" out of kinds.'
        )

r"""From the width of a model to a few components that two languages share, the same ones at every layer.

Symbols: states (L+1, n, d) of one language, row i the same item in all; axes (d, q) of one language; m <= q
components. A layer only adds to the residual stream, so that a series through depth is one in coordinates
that do not change from layer to layer: every map here is linear, fixed over layers, and fitted to the
training items alone. Only the mean over training items is subtracted layer by layer.

Source: Hotelling (1936), "Relations Between Two Sets of Variates", Biometrika 28.
"""

import numpy as np

from ..errors import MeasureError
from . import canonical
from .paired import finite, paired

_SINGULAR = 1e-9  # of the largest variance, below which an axis carries nothing


def depth_components(states, train, n_axes: int) -> np.ndarray:
    """Scores (L+1, n, q) of all items on the principal axes of one language that all its layers share.

    The residual stream grows through depth, and a few dimensions may hold most of it: to find the axes, each
    dimension is divided by its root mean square over all layers, then each layer by its own. Scores have
    variance 1 over training items and layers that are divided so.

    Parameters
    ----------
    states : (L+1, n, d), arbitrary units. train : (n,) bool, the items that axes and means come from.
    n_axes : q, at most d and one less than the training items.

    Raises
    ------
    MeasureError : shapes, values that are not finite, too many axes, or states that vary in fewer dimensions.
    """
    states, train = _checked(states, train)
    n_train, d = int(train.sum()), states.shape[2]
    if not 1 <= n_axes <= min(n_train - 1, d):
        raise MeasureError(
            f"n_axes={n_axes}; {n_train} training items of {d} dimensions allow 1 to {min(n_train - 1, d)}."
        )
    centred = states - states[:, train].mean(1, keepdims=True)
    spread = np.sqrt((centred[:, train] ** 2).mean((0, 1)))
    scale = 1 / np.where(spread > _SINGULAR * spread.max(initial=0.0), spread, np.inf)
    fitted = centred[:, train] * scale
    sizes = np.sqrt((fitted**2).mean((1, 2), keepdims=True))
    fitted = (fitted / np.where(sizes > 0, sizes, 1.0)).reshape(-1, d)
    values, vectors = np.linalg.eigh(fitted.T @ fitted / len(fitted))
    if not values[-n_axes] > _SINGULAR * values[-1] > 0:
        found = int((values > _SINGULAR * max(values[-1], 0)).sum()) if values[-1] > 0 else 0
        raise MeasureError(
            f"the states vary in {found} dimensions (variances above {_SINGULAR:g} of the largest); expected "
            f"at least n_axes={n_axes}. Take fewer axes, or more items that differ."
        )
    axes = vectors[:, : -n_axes - 1 : -1] / np.sqrt(values[: -n_axes - 1 : -1])
    return centred @ (scale[:, None] * axes)


def shared_series(x, y, train, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Two languages on their leading canonical pairs over training items of all layers: two (n, L+1, m).

    Invariant to invertible linear maps of either language. Correlations are fitted, so that what two
    languages share has to be judged on items that are not in `train`.

    Parameters
    ----------
    x, y : (L+1, n, q), as `depth_components` gives them. train : (n,) bool.
    n_components : m, at most q.

    Raises
    ------
    MeasureError : shapes differ, values are not finite, more components than axes, or singular scores.
    """
    x, y = paired(x, y, "(L+1, n, q)")
    (x, train), (y, _) = _checked(x, train), _checked(y, train)
    if not 1 <= n_components <= x.shape[2]:
        raise MeasureError(
            f"n_components={n_components}; expected 1 to {x.shape[2]}, the axes of a language."
        )
    fitted = []
    for scores in (x, y):
        inside = scores[:, train]
        sizes = np.sqrt((inside**2).mean((1, 2), keepdims=True))
        fitted.append((inside / np.where(sizes > 0, sizes, 1.0)).reshape(-1, x.shape[2]))
    # unit variance of what was fitted, whose rows are centred layer by layer
    axes = [a[:, :n_components] * np.sqrt(len(fitted[0])) for a in canonical.canonical_axes(*fitted)]
    return tuple(np.swapaxes(scores @ a, 0, 1) for scores, a in zip((x, y), axes, strict=True))


def _checked(states, train) -> tuple[np.ndarray, np.ndarray]:
    states, train = finite("states", states), np.asarray(train)
    if states.ndim != 3 or train.shape != states.shape[1:2] or train.dtype != bool or train.sum() < 2:
        raise MeasureError(
            f"states have shape {states.shape}, train {train.shape} of {train.dtype}; expected (L+1, n, d) "
            "and (n,) bool with at least 2 items."
        )
    return states, train

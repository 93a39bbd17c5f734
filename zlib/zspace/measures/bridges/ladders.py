r"""Held-out R^2 of a rotation, a scaled rotation and ridge regression between two languages, item by item.

The *gap* is the held-out R^2 of ridge minus that of a scaled rotation. Noise of a language's own makes one
too: `bridges.missed_by_rotation` says what remains without it.

Symbols: `x`, `y` (..., n, p) states of the same n items, leading axes (layers) independent; p components.
"""

from dataclasses import dataclass

import numpy as np

from .. import bridges

LADDER = ("procrustes", "scaled_procrustes", "ridge")


@dataclass(frozen=True)
class Ladder:
    """Bridges fitted to training items and scored on others; arrays carry the leading axes.

    Attributes
    ----------
    r2 : kind -> (...) held-out R^2 of "procrustes", "scaled_procrustes" and "ridge".
    gap : (...) R^2 of ridge minus that of scaled Procrustes.
    log_kappa : (...) log of the condition number of the affine map; NaN where n < 2 p forbids it.
    errors : (2, ..., m) squared errors of every scored item by scaled Procrustes and by ridge.
    spread : (..., m) squared distances of the scored items from their mean: gap is the sum of errors[0] -
        errors[1] over the sum of spread.
    """

    r2: dict[str, np.ndarray]
    gap: np.ndarray
    log_kappa: np.ndarray
    errors: np.ndarray
    spread: np.ndarray


def compare_maps(x_train, y_train, x_test, y_test) -> Ladder:
    """Held-out scores of every kind of map, fitted to the same training items.

    Parameters
    ----------
    x_train, y_train : (..., n, p).  x_test, y_test : (..., m, p).

    Raises
    ------
    MeasureError : as `bridges.fit`.
    """
    fitted = {kind: bridges.fit(x_train, y_train, kind=kind) for kind in LADDER}
    off = [((y_test - fitted[kind].predict(x_test)) ** 2).sum(-1) for kind in LADDER]
    spread = ((y_test - y_test.mean(-2, keepdims=True)) ** 2).sum(-1)
    total = spread.sum(-1)
    r2 = {kind: 1 - errors.sum(-1) / total for kind, errors in zip(LADDER, off, strict=True)}
    n, p = x_train.shape[-2:]
    log_kappa = np.full(total.shape, np.nan)
    if n >= 2 * p:
        log_kappa = np.log(bridges.fit(x_train, y_train, kind="affine").condition_number)
    return Ladder(r2, r2["ridge"] - r2["scaled_procrustes"], np.asarray(log_kappa), np.stack(off[1:]), spread)

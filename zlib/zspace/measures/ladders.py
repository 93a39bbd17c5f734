r"""The ladder of bridges between two languages: rotation, scaled rotation, ridge, affine.

How much better an affine map does than a scaled rotation on held-out items (the *gap*), and the condition
number kappa of the affine map, are both positive for noisy copies of one space: an affine map fits noise, and
kappa grows with noise and d/n alone. `orthogonal_null` says by how much: it draws y anew as the best scaled
rotation of x plus noise with the covariance of what that map leaves, and fits the same ladder.

Symbols: `x`, `y` (..., n, d) states of the same n items, leading axes (layers) independent; p components.
"""

from dataclasses import dataclass

import numpy as np

from . import bridges

N_SIMULATIONS = 20
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


def principal_components(states, train, n_components: int) -> np.ndarray:
    """Scores (..., n, p) of all items on the leading components of the training items, about their mean.

    Parameters
    ----------
    states : (..., n, d).  train : (n,) bool.

    Raises
    ------
    ValueError : more components than the training items can have.
    """
    states, train = np.asarray(states, float), np.asarray(train, bool)
    most = min(int(train.sum()) - 1, states.shape[-1])
    if not 1 <= n_components <= most:
        raise ValueError(
            f"n_components={n_components}; {int(train.sum())} training items of {states.shape[-1]} "
            f"dimensions allow 1 to {most}."
        )
    centred = states - states[..., train, :].mean(-2, keepdims=True)
    fitted = centred[..., train, :]
    # the n x n product has the same components and is the smaller one; its SVD would find all d directions
    values, vectors = np.linalg.eigh(fitted @ fitted.swapaxes(-1, -2))
    values, vectors = values[..., -n_components:], vectors[..., -n_components:]
    if not (values[..., :1] > 1e-12 * values[..., -1:]).all():
        raise ValueError(f"the training items vary in fewer than {n_components} directions; ask for fewer.")
    axes = fitted.swapaxes(-1, -2) @ (vectors / np.sqrt(values)[..., None, :])
    return (centred @ axes)[..., ::-1]


def climb(x_train, y_train, x_test, y_test) -> Ladder:
    """Fit every rung to the training items and score it on the others.

    Parameters
    ----------
    x_train, y_train : (..., n, p).  x_test, y_test : (..., m, p).

    Raises
    ------
    ValueError : as `bridges.fit`.
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


def orthogonal_null(
    x_train, y_train, x_test, y_test, *, n_simulations: int = N_SIMULATIONS, rng: np.random.Generator
) -> Ladder:
    """The ladder where y is a scaled rotation of x plus noise: arrays with a leading axis of simulations.

    The rotation is fitted to the training items; its scale and the covariance of the noise are those of the
    others, so that a rotation which does not hold there, as between unrelated languages, is no signal.
    """
    rotation = bridges.fit(x_train, y_train, kind="procrustes")
    turned = rotation.predict(x_test) - rotation.mean_y[..., None, :]
    centred = turned - turned.mean(-2, keepdims=True)
    left = y_test - y_test.mean(-2, keepdims=True)
    agreement = (left * centred).sum((-2, -1)) / (centred**2).sum((-2, -1))
    scale = np.maximum(agreement, 0)[..., None, None]
    left = left - scale * centred
    x = np.concatenate([x_train, x_test], axis=-2)
    drawn = scale * (rotation.predict(x) - rotation.mean_y[..., None, :])
    drawn = drawn + _noise_like(left, x.shape[-2], n_simulations, rng)
    n = x_train.shape[-2]
    repeated = np.broadcast_to(x, drawn.shape[:-1] + x.shape[-1:])
    return climb(repeated[..., :n, :], drawn[..., :n, :], repeated[..., n:, :], drawn[..., n:, :])


def log_kappa_excess(
    x_train, y_train, x_test, y_test, *, n_simulations: int = N_SIMULATIONS, rng: np.random.Generator
) -> np.ndarray:
    """Log condition number (...) of the training items' affine map, minus its mean under `orthogonal_null`.

    Raises
    ------
    ValueError : as `bridges.fit`, above all for fewer than 2 p training items.
    """
    found = np.log(bridges.fit(x_train, y_train, kind="affine").condition_number)
    options = {"n_simulations": n_simulations, "rng": rng}
    return found - orthogonal_null(x_train, y_train, x_test, y_test, **options).log_kappa.mean(0)


def _noise_like(left: np.ndarray, n: int, n_simulations: int, rng: np.random.Generator) -> np.ndarray:
    """(n_simulations, ..., n, p) normal noise with the covariance of residuals (..., m, p) of any rank."""
    m = left.shape[-2]
    return rng.standard_normal((n_simulations, *left.shape[:-2], n, m)) @ left / np.sqrt(m - 1)

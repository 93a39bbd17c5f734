r"""Bridges: the linear map that carries the states of one language to those of another, fitted on some items
and scored on others.

Symbols: `x` (..., n, d_x), `y` (..., n, d_y) states of n items in two languages, row i of both is the same
item and leading axes (layers, languages) are independent; X and Y are the states minus their training means.
A bridge predicts (x - mean_x) W + mean_y. How much better an affine W does than a rotation, and the ratio
kappa of its singular values, say how far one space is from being a turned copy of the other. Fit on discovery
items, score on confirmation items; kappa grows with noise and d/n alone, so read it beside that of shuffled
pairs.

Sources: Schönemann (1966), "A Generalized Solution of the Orthogonal Procrustes Problem", Psychometrika 31;
Golub, Heath & Wahba (1979), "Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter",
Technometrics 21 (section 2, the leave-one-out error in closed form).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ...errors import MeasureError
from ..paired import finite, paired

Kind = Literal["procrustes", "scaled_procrustes", "ridge", "affine"]
RELATIVE_PENALTIES = np.logspace(-8, 4, 25)
"""Grid of ridge penalties in units of the mean squared singular value of X, |X|² / min(n - 1, d_x)."""


@dataclass(frozen=True)
class Bridge:
    """A fitted map from one language's states to another's; arrays carry the leading axes of the fit.

    Attributes
    ----------
    kind : what was fitted, see `fit`.
    weight : (..., d_x, d_y) W, units of y over units of x; the scale of scaled Procrustes is in it.
    mean_x, mean_y : (..., d_x) and (..., d_y) means of the training items.
    penalty : (...) chosen ridge penalty, units of x squared; NaN where the kind is not ridge.
    n_train : number of items it was fitted to.
    """

    kind: Kind
    weight: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    penalty: float | np.ndarray
    n_train: int

    def predict(self, x) -> np.ndarray:
        """States (..., m, d_y) in the other language of the items whose states here are x (..., m, d_x).

        Raises
        ------
        MeasureError : x has other dimensions or leading axes than the training states, or is not finite.
        """
        x = finite("x", x)
        self._check_shape("x", x, self.mean_x)
        return (x - self.mean_x[..., None, :]) @ self.weight + self.mean_y[..., None, :]

    def r2(self, x, y) -> float | np.ndarray:
        r"""Share of the variance of y that the bridge predicts: float, or (...) with leading axes.

        .. math:: R^2 = 1 - \lVert y - \hat y(x) \rVert^2 / \lVert y - \bar y \rVert^2

        Squares are summed over items and dimensions; y-bar is the mean of the y given here, not of the
        training items (scikit-learn's `r2_score` with `multioutput="variance_weighted"`). At most 1; negative
        where the bridge does worse than that mean, as a map between unrelated states does on held-out items.

        On the training items, with \|.\|_* the sum of singular values, Procrustes has
        R² = (2 \|X'Y\|_* - \|X\|²) / \|Y\|², negative wherever X is long enough beside Y, however well the
        shapes match; scaled Procrustes has \|X'Y\|_*² / (\|X\|² \|Y\|²), which is not.

        Parameters
        ----------
        x, y : (..., m, d_x) and (..., m, d_y) states of m >= 2 items, held out from the fit.

        Raises
        ------
        MeasureError : shapes do not fit the bridge or each other, values are not finite, or y is constant.
        """
        y = finite("y", y)
        self._check_shape("y", y, self.mean_y)
        predicted = self.predict(x)
        if predicted.shape != y.shape:
            raise MeasureError(
                f"x gives predictions of shape {predicted.shape}, y has {y.shape}; row i of both must be the "
                "same item."
            )
        return _plain(1 - energy(y - predicted) / energy(centred_states("y", y)[0]))

    @property
    def condition_number(self) -> float | np.ndarray:
        """Largest over smallest singular value of W, kappa >= 1: float, or (...) with leading axes.

        W has min(d_x, d_y) singular values; infinite where the smallest is zero. A rotation has 1 (on the
        span it maps), scaled or not. Invariant to rotations of x and of y.

        Raises
        ------
        MeasureError : ridge on n < 2 d_x items, where the spectrum of W is that of the penalty and the noise.
        """
        if self.kind in ("procrustes", "scaled_procrustes"):
            return _plain(np.ones(self.weight.shape[:-2]))
        width = self.weight.shape[-2]
        if self.n_train < 2 * width:
            raise MeasureError(
                f"the condition number of a map fitted to {self.n_train} items of {width} dimensions is not "
                f"that of the languages; at least {2 * width} items are needed. Fit on more items, or reduce "
                f"x to at most {self.n_train // 2} principal components first."
            )
        return _plain(np.linalg.cond(self.weight))

    def _check_shape(self, name: str, states: np.ndarray, mean: np.ndarray) -> None:
        leading, width = mean.shape[:-1], mean.shape[-1]
        if states.ndim < 2 or states.shape[-1] != width or (leading and states.shape[:-2] != leading):
            expected = ", ".join([*(map(str, leading) if leading else ["..."]), "m", str(width)])
            raise MeasureError(
                f"{name} has shape {states.shape}; the bridge was fitted to states like ({expected}): pass "
                "the same layers and dimensions."
            )


def fit(x_train, y_train, *, kind: Kind = "procrustes") -> Bridge:
    r"""The map of one kind from x to y with the least squared error on the training items.

    "procrustes": W orthogonal, U V' where X'Y = U S V'. The rotation is determined on the span of the data
    only. With n <= d the n - 1 dimensions that X spans are turned into those that Y spans, and W is zero
    elsewhere: what a held-out state has outside the span is predicted to be zero, not turned somewhere by
    chance. With n > d, W is orthogonal; where X'Y has not full rank, its null space is turned in one of
    many ways that fit as well. "scaled_procrustes": s U V', with the best scale s = \|X'Y\|_* / \|X\|².
    "affine": least squares without constraint. "ridge": (X'X + penalty I)^-1 X'Y, with the penalty of
    `RELATIVE_PENALTIES` that has the least leave-one-out error, means refitted.

    Parameters
    ----------
    x_train, y_train : (..., n, d_x) and (..., n, d_y) states of the same n >= 2 items, arbitrary units.
        Leading axes are fitted independently, each with its own penalty.

    Raises
    ------
    MeasureError : an unknown kind; items or leading axes that do not match; states that are constant or not
        finite; Procrustes with d_x != d_y; affine with n < 2 d_x or states varying in fewer dimensions.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> bridge = fit(x[:40], 2 * x[:40, ::-1] + 5, kind="scaled_procrustes")
    >>> round(bridge.r2(x[40:], 2 * x[40:, ::-1] + 5), 9)
    1.0
    """
    x, y = _require_fit(x_train, y_train, kind)
    (x, mean_x), (y, mean_y) = centred_states("x_train", x), centred_states("y_train", y)
    penalty = np.full(x.shape[:-2], np.nan)
    if kind == "affine":
        weight = least_squares(x, y)
    elif kind == "ridge":
        weight, penalty = _ridge(x, y)
    else:
        weight, scale = best_rotation(x, y)
        weight = weight * scale[..., None, None] if kind == "scaled_procrustes" else weight
    return Bridge(kind, weight, mean_x, mean_y, _plain(penalty), x.shape[-2])


def best_rotation(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (..., d, d) of centred x into y, and the best scale (...) that goes with it."""
    n, d = x.shape[-2:]
    if n > d:
        u, s, vt = np.linalg.svd(x.mT @ y)
        return u @ vt, s.sum(-1) / energy(x)
    # an SVD of n x n instead of d x d; centred rows sum to zero, so the first n - 1 span them all
    (basis_x, x), (basis_y, y) = (span_of(states) for states in (x, y))
    u, s, vt = np.linalg.svd(x.mT @ y)
    return basis_x @ (u @ vt) @ basis_y.mT, s.sum(-1) / energy(x)


def span_of(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis (..., d, n-1) of the rows of centred (..., n, d), and their coordinates in it."""
    basis, coordinates = np.linalg.qr(centred.mT)
    rank = centred.shape[-2] - 1
    return basis[..., :rank], coordinates[..., :rank, :].mT


def least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unconstrained W (..., d_x, d_y)."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    rank = (s > max(x.shape[-2:]) * np.finfo(float).eps * s[..., :1]).sum(-1).min()
    if rank < x.shape[-1]:
        raise MeasureError(
            f"x_train varies in {rank} of its {x.shape[-1]} dimensions: no affine map is determined in the "
            f'others. Reduce x to at most {rank} principal components first, or use kind="ridge".'
        )
    return (vt / s[..., None]).mT @ (u.mT @ y)


def _ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W (..., d_x, d_y) and the penalty (...) of the least leave-one-out error, from one decomposition."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    unit = (s**2).sum(-1) / min(x.shape[-2] - 1, x.shape[-1])
    penalties = unit * RELATIVE_PENALTIES.reshape(-1, *(1,) * unit.ndim)
    best = np.argmin(leave_one_out(y, u, s, penalties), axis=0)
    penalty = np.take_along_axis(penalties, best[None], axis=0)[0]
    shrunk = s / (s**2 + penalty[..., None])
    return vt.mT @ (shrunk[..., None] * (u.mT @ y)), penalty


def leave_one_out(y: np.ndarray, u: np.ndarray, s: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    r"""Squared leave-one-out errors (p, ...) under p penalties (p, ...), X being u diag(s) V'.

    Sum over items of \|y_i - \hat y_i\|² / (1 - H_ii)², H the hat matrix with the mean's 1/n in it: exact.
    """
    n = y.shape[-2]
    if y.shape[-1] > n:
        # lengths are all that counts: n coordinates in the span of y have the same as d_y dimensions
        y = np.linalg.qr(y.mT, mode="r").mT
    projected, leverage = u.mT @ y, u**2
    outside, free = y - u @ projected, 1 - 1 / n - leverage.sum(-1)
    errors = []
    for penalty in penalties[..., None]:
        kept = penalty / (s**2 + penalty)
        residual = outside + u @ (kept[..., None] * projected)
        # 1 - H_ii: what an item does not say about its own prediction, 1/n of it through the mean
        own = free + (leverage @ kept[..., None])[..., 0]
        errors.append((np.einsum("...nd,...nd->...n", residual, residual) / own**2).sum(-1))
    return np.array(errors)


def energy(states: np.ndarray) -> np.ndarray:
    """Sum of squares (...) over items and dimensions."""
    return np.einsum("...nd,...nd->...", states, states)


def _plain(values: np.ndarray) -> float | np.ndarray:
    """A float where there are no leading axes."""
    return values if np.ndim(values) else float(values)


def _require_fit(x, y, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, of shapes that the kind can be fitted to."""
    if kind not in get_args(Kind):
        raise MeasureError(f"unknown kind {kind!r}; choose one of {', '.join(map(repr, get_args(Kind)))}.")
    names = ("x_train", "y_train")
    x, y = paired(*map(finite, names, (x, y)), names=names, same_width=False)
    n, width = x.shape[-2:]
    if "procrustes" in kind and width != y.shape[-1]:
        raise MeasureError(
            f"a rotation needs as many dimensions on both sides, found {width} and {y.shape[-1]}; reduce "
            'both to the same number of principal components, or use kind="ridge" or "affine".'
        )
    if kind == "affine" and n < 2 * width:
        raise MeasureError(
            f"affine map from {width} dimensions with {n} items: at least {2 * width} items are needed, or "
            f"it fits noise. Use more items, reduce x to at most {n // 2} principal components first, or use "
            'kind="ridge".'
        )
    return x, y


def centred_states(name: str, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States minus their mean over items, and that mean (..., d)."""
    mean = states.mean(-2)
    centred = states - mean[..., None, :]
    # what centring leaves of a constant is its rounding error
    constant = energy(centred) <= 1e-24 * energy(states)
    if constant.any():
        where = [int(i) for i in np.argwhere(constant)[0]]
        at = f" at leading index {tuple(where)}" if where else ""
        raise MeasureError(
            f"{name} is the same for all its {states.shape[-2]} items{at}: there is nothing to map. Leave "
            "out the layer (the last token's embedding is often constant), or use mean pooling."
        )
    return centred, mean

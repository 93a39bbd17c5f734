"""Canonical correlations of two languages' states, and tests of how many of them are not zero.

Symbols: `x` (..., n, p), `y` (..., n, q) states of the same n items, p <= q inside; r_1 >= ... >= r_p their
canonical correlations; Q_x, Q_y orthonormal bases of the centred columns, whose product Q_x' Q_y has the r as
singular values; f degrees of freedom, n - 1, or n less the number of groups whose means are subtracted.

Sources: Hotelling (1936), Biometrika 28; Bartlett (1947), JRSS Supplement 9, and Lawley (1959), Biometrika
46, for the sequential chi-squared test; Winkler, Renaud, Smith & Nichols (2020), NeuroImage 220:117065, for
permuting what the variates already found leave.
"""

import numpy as np
from scipy.stats import chi2

from ..errors import MeasureError
from .paired import finite, paired

_SINGULAR = 1e-8  # least singular value of unit columns, relative to the largest
_RIDGE = 1e-12  # keeps the logarithms of perfect correlations finite


def canonical_correlations(x, y) -> np.ndarray:
    """Canonical correlations (..., min(p, q)) of states (..., n, p) and (..., n, q), descending.

    Unchanged by any invertible linear map, and by any shift, of either side.

    Raises
    ------
    MeasureError : shapes differ, values are not finite, columns are constant or collinear, or n <= p + q,
        where some correlations are 1 whatever the states.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 2))
    >>> canonical_correlations(x, x @ [[1, 2], [0, 3]] + 5).round(6).tolist()
    [1.0, 1.0]
    """
    x, y = paired(finite("x", x), finite("y", y), same_width=False)
    codes = np.zeros(x.shape[-2], int)
    require_freedom(x.shape[-2] - 1, x.shape[-1], y.shape[-1], "the sample")
    qx, qy = (basis(name, s, codes)[0] for name, s in (("x", x), ("y", y)))
    return np.clip(np.linalg.svd(qx.mT @ qy, compute_uv=False), 0, 1)


def canonical_axes(x, y) -> tuple[np.ndarray, np.ndarray]:
    """Axes (..., p, r) and (..., q, r) of both sides, r the smaller of p and q, in descending correlation.

    Variates, the centred states times their axes, have norm 1. Errors as in `canonical_correlations`.
    """
    x, y = paired(finite("x", x), finite("y", y), same_width=False)
    codes = np.zeros(x.shape[-2], int)
    require_freedom(x.shape[-2] - 1, x.shape[-1], y.shape[-1], "the sample")
    (qx, wx), (qy, wy) = (basis(name, s, codes) for name, s in (("x", x), ("y", y)))
    left, _, right = np.linalg.svd(qx.mT @ qy, full_matrices=False)
    return wx @ left, wy @ right.mT


def bartlett_lawley(correlations, freedom: int, q: int) -> np.ndarray:
    r"""P-values (..., p) of the sequential test; number k (from 0) of at most k non-zero correlations.

    Null hypothesis k: r_{k+1} = ... = r_p = 0. The statistic
    :math:`-[f - k - (p + q + 1)/2 + \sum_{i \le k} r_i^{-2}] \sum_{i > k} \log(1 - r_i^2)` is referred to
    :math:`\chi^2_{(p-k)(q-k)}` (Bartlett 1947, with the sum of Lawley 1959). It takes items as independent.

    Parameters
    ----------
    correlations : (..., p) descending. freedom : f, n - 1 where one mean is subtracted.
    q : columns of the wider side.
    """
    squares = np.clip(np.asarray(correlations, float) ** 2, 1e-300, 1)
    p = squares.shape[-1]
    k = np.arange(p)
    before = np.cumsum(1 / squares, -1) - 1 / squares
    factor = freedom - k - (p + q + 1) / 2 + before
    return chi2.sf(factor * remaining_of(correlations), (p - k) * (q - k))


def remaining_of(correlations) -> np.ndarray:
    """-sum of log(1 - r_i^2) over i > k, (..., p) for k = 0 to p - 1: minus the log of Wilks' lambda."""
    logs = -np.log((1 + _RIDGE) ** 2 - np.minimum(correlations, 1) ** 2)
    return np.cumsum(logs[..., ::-1], -1)[..., ::-1]


def remaining(products: np.ndarray) -> np.ndarray:
    """What permuted variates k, ..., p - 1 have in common, as `remaining_of`, for k = 0 to p - 1: (..., p).

    R (..., p, q), p <= q, holds the products of variates of x (rows) and of y; k of either are removed.
    Permuted variates of x are no longer orthogonal to the k removed of y. They are made so: otherwise they
    have k degrees of freedom more than the observed ones, and the test finds too much shared. Minus log of
    det(I - R[k:] R[k:]') / det(I - R[k:, :k] R[k:, :k]').
    """
    p = products.shape[-2]
    # from last row to first, all the numerators are leading minors: one Cholesky factor holds them
    last_first = products[..., ::-1, :]
    factor = np.linalg.cholesky(_complement(last_first @ last_first.mT))
    found = -2 * np.cumsum(np.log(np.diagonal(factor, axis1=-2, axis2=-1)), -1)[..., ::-1]
    for k in range(1, p):
        removed = products[..., k:, :k]
        smaller = removed if p - k <= k else removed.mT
        found[..., k] += np.linalg.slogdet(_complement(smaller @ smaller.mT))[1]
    return found


def permuted_products(x: np.ndarray, ys: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    """x[permutation]' y for every permutation and y: (B, J, p, q) of x (n, p) and ys (J, n, q)."""
    n, p = x.shape
    moved = np.ascontiguousarray(x.T)[:, permutations].reshape(-1, n)
    flat = moved @ np.moveaxis(ys, 0, 1).reshape(n, -1)
    return flat.reshape(p, len(permutations), len(ys), -1).transpose(1, 2, 0, 3)


def centred_by(states: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """States (..., n, p) minus the mean of their group, codes (n,)."""
    members = np.eye(codes.max() + 1)[:, codes]
    members = members[members.any(1)]
    means = (members / members.sum(1, keepdims=True)) @ states
    return states - members.T @ means


def basis(name: str, states: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal Q (..., n, p) of states minus the means of groups, and W (..., p, p): Q = centred W.

    Raises
    ------
    MeasureError : columns are constant or collinear.
    """
    centred = centred_by(states, codes)
    norms = np.linalg.norm(centred, axis=-2, keepdims=True)
    # what centring leaves of a constant is its rounding error
    constant = norms <= 1e-12 * np.linalg.norm(states, axis=-2, keepdims=True)
    centred, scale = np.where(constant, 0, centred), np.where(constant, 1, norms)
    q, r = np.linalg.qr(centred / scale)
    values = np.linalg.svd(r, compute_uv=False)
    if (flat := values[..., -1] <= _SINGULAR * values[..., 0]).any():
        where = tuple(int(i) for i in np.argwhere(flat)[0])
        rank = int((values[where] > _SINGULAR * values[where][0]).sum()) if values[where][0] else 0
        at = f" at leading index {where}" if where else ""
        raise MeasureError(
            f"{name}{at} varies in {rank} of its {states.shape[-1]} columns, the others being constant or "
            f"collinear. Drop them, or set n_components to at most {rank}."
        )
    return q, np.linalg.inv(r) / scale.mT


def require_freedom(freedom: int, p: int, q: int, where: str) -> None:
    """Refuses where the spans of both sides must meet, which makes correlations of 1 out of nothing."""
    if freedom < p + q:
        raise MeasureError(
            f"{where} has {freedom} degrees of freedom for {p} + {q} columns; with fewer than {p + q} some "
            f"correlations are 1 whatever the states. Set n_components to at most {max(freedom // 2, 0)}, or "
            "take more items."
        )


def _complement(product: np.ndarray) -> np.ndarray:
    return (1 + _RIDGE) ** 2 * np.eye(product.shape[-1]) - product

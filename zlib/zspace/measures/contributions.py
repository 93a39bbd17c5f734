"""Cosines between the contributions of layers, and the null of unrelated items.

Symbols: `h` (L+1, n, d) states, f_k = h_{k+1} - h_k, Delta_k and delta_k the differences of states and of
contributions between two languages. A Gram matrix of cosines is small for any vectors in many dimensions: two
unrelated ones of covariances A and B have E|cos| = sqrt(2 / (pi p)) for large p = tr A tr B / tr AB, the
participation ratio of the spectrum where A = B. Contributions of *other items* are the exact null.

Source: Vershynin (2018), "High-Dimensional Probability", section 3.3.3 (almost orthogonal random vectors).
"""

from dataclasses import dataclass

import numpy as np

from ..errors import MeasureError


@dataclass(frozen=True)
class Gram:
    """Cosines between the contributions of the layers of one language, all (L, L).

    cosine : mean over items of cos(f_j, f_k).  size : mean of |cos(f_j, f_k)|.
    unrelated : the same mean of |cos| had f_k been that of another item.
    spread : its approximation by sqrt(2 / (pi p)), p the joint participation ratio of both layers.
    """

    cosine: np.ndarray
    size: np.ndarray
    unrelated: np.ndarray
    spread: np.ndarray


def gram(h, *, rng: np.random.Generator, center: bool = True) -> Gram:
    """Cosines between the contributions of layers to the same item, and what unrelated ones have.

    Parameters
    ----------
    h : (L+1, n, d) states of n items in one language, L >= 2.
    center : subtract each layer's mean contribution first: a common offset has a cosine of its own.

    Raises
    ------
    MeasureError : fewer than two layers or three items, or a contribution that is zero.
    """
    h = np.asarray(h, float)
    if h.ndim != 3 or len(h) < 3 or h.shape[1] < 3:
        raise MeasureError(f"states have shape {h.shape}; expected (L+1, n, d) with L >= 2 and n >= 3.")
    added = np.diff(h, axis=0)
    if center:
        added = added - added.mean(1, keepdims=True)
    norms = np.linalg.norm(added, axis=-1, keepdims=True)
    if (norms == 0).any():
        layer = int(np.argwhere(norms == 0)[0][0])
        raise MeasureError(f"layer {layer} adds nothing to some item, so that its cosines are undefined.")
    unit = added / norms
    cosines = np.einsum("jnd,knd->jkn", unit, unit)
    # a cyclic shift of a random order pairs no item with itself
    order = rng.permutation(h.shape[1])
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)
    others = np.einsum("jnd,knd->jkn", unit, unit[:, partner])
    covariance = np.einsum("jna,jnb->jab", added, added)
    trace = np.trace(covariance, axis1=1, axis2=2)
    participation = trace[:, None] * trace / np.einsum("jab,kab->jk", covariance, covariance)
    spread = np.sqrt(2 / (np.pi * participation))
    return Gram(cosines.mean(-1), np.abs(cosines).mean(-1), np.abs(others).mean(-1), spread)


def cross_term_share(h1, h2) -> float:
    """(|Delta_L|^2 - |Delta_0|^2 - sum |delta_k|^2) / |Delta_L|^2, means over items: 0 if orthogonal.

    Negative where layers take back what others have added.
    """
    difference = np.asarray(h1, float) - np.asarray(h2, float)
    steps = np.diff(difference, axis=0)
    first, last = ((difference[k] ** 2).sum(-1).mean() for k in (0, -1))
    return float((last - first - (steps**2).sum(-1).mean(-1).sum()) / last)


def off_diagonal(matrix) -> np.ndarray:
    """The entries above the diagonal of a symmetric (L, L) matrix: (L (L - 1) / 2,)."""
    matrix = np.asarray(matrix)
    return matrix[np.triu_indices(len(matrix), 1)]

"""Leading principal axes of rows, where a few of many are asked for."""

import numpy as np
from scipy import linalg


def leading_axes(centred: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading right singular vectors (d, p) of (m, d) rows, and the rows' sums of squares (p,) along them.

    From the smaller of the two product matrices, for an SVD would find all of them where a few are asked for.
    A product holds a sum of squares to 1e-16 of the largest: what lies near that has no axis.
    """
    wide = centred.shape[0] < centred.shape[1]
    product = centred @ centred.T if wide else centred.T @ centred
    last = len(product) - 1
    squares, vectors = linalg.eigh(product, subset_by_index=[last - n_components + 1, last])
    with np.errstate(divide="ignore", invalid="ignore"):
        axes = centred.T @ vectors / np.sqrt(squares) if wide else vectors
    return axes[:, ::-1], squares[::-1]

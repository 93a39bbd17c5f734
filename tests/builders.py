"""Small random objects that several test files draw."""

import numpy as np


def rotation(rng, d):
    """An orthogonal matrix (d, d)."""
    return np.linalg.qr(rng.standard_normal((d, d)))[0]

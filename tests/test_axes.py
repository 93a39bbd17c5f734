"""Leading axes are those of a decomposition, by either product."""

import numpy as np
import pytest
from zspace.measures.axes import leading_axes


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (12, 12)])
def test_leading_axes_are_the_first_singular_vectors(rng, shape):
    rows = rng.standard_normal(shape) * np.geomspace(1, 100, shape[1])
    axes, squares = leading_axes(rows, 3)
    values, vectors = np.linalg.svd(rows, full_matrices=False)[1:]
    assert squares == pytest.approx(values[:3] ** 2)
    assert np.abs((axes * vectors[:3].T).sum(0)) == pytest.approx(np.ones(3))
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)


def test_what_does_not_vary_has_no_square(rng):
    rows = np.outer(rng.standard_normal(9), rng.standard_normal(20))
    squares = leading_axes(rows, 2)[1]
    assert abs(squares[1]) < 1e-12 * squares[0]

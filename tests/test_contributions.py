"""Cosines between contributions and cross-terms: against closed forms, planted truth, and invariances."""

import numpy as np
import pytest
from builders import rotation
from zspace.measures import contributions


def stack(added, rng):
    """States whose contributions are `added` (L, n, d)."""
    start = rng.standard_normal(added.shape[1:])
    return np.concatenate([start[None], start + np.cumsum(added, axis=0)])


@pytest.mark.parametrize("dim", [32, 128])
def test_gram_of_unrelated_contributions_is_that_of_random_vectors(rng, dim):
    found = contributions.gram(stack(rng.standard_normal((4, 500, dim)), rng), rng=rng)
    expected = np.sqrt(2 / (np.pi * dim))
    for matrix in (found.size, found.unrelated, found.spread):
        np.testing.assert_allclose(contributions.off_diagonal(matrix), expected, rtol=0.08)
    assert np.abs(contributions.off_diagonal(found.cosine)).max() < 0.03


def test_gram_of_parallel_contributions_is_one_where_unrelated_ones_stay_small(rng):
    added = np.tile(rng.standard_normal((1, 300, 64)), (3, 1, 1))
    found = contributions.gram(stack(added, rng), rng=rng)
    np.testing.assert_allclose(found.cosine, 1, atol=1e-9)
    assert contributions.off_diagonal(found.unrelated).max() < 0.15


def test_gram_spread_follows_the_joint_participation_ratio(rng):
    scale = np.zeros(64)
    scale[:5] = 1
    narrow = rng.standard_normal((2, 2000, 64)) * scale
    found = contributions.gram(stack(narrow, rng), rng=rng)
    np.testing.assert_allclose(found.spread[0, 1], np.sqrt(2 / (np.pi * 5)), rtol=0.02)
    assert found.unrelated[0, 1] > 0.3  # control: 64 dimensions would give .1


def test_gram_is_invariant_to_rotation_and_scale_and_not_to_anisotropic_scaling(rng):
    h = stack(rng.standard_normal((3, 60, 12)), rng)
    changed = (h, 3 * h @ rotation(rng, 12), h * np.arange(1, 13))
    one, turned, stretched = (contributions.gram(s, rng=np.random.default_rng(1)) for s in changed)
    for name in ("cosine", "size", "unrelated", "spread"):
        np.testing.assert_allclose(getattr(one, name), getattr(turned, name), atol=1e-10)
    assert np.abs(one.size - stretched.size).max() > 0.01


def test_gram_refuses_what_it_cannot_judge(rng):
    with pytest.raises(ValueError, match="expected \\(L\\+1, n, d\\)"):
        contributions.gram(rng.standard_normal((2, 10, 4)), rng=rng)
    h = np.tile(rng.standard_normal((1, 10, 4)), (3, 1, 1))
    with pytest.raises(ValueError, match="layer 0 adds nothing"):
        contributions.gram(h, rng=rng, center=False)


def test_cross_term_share_is_zero_for_orthogonal_differences():
    """Every layer adds a difference in a direction of its own."""
    steps = np.stack([np.tile(row, (5, 1)) for row in np.eye(4)])
    h1 = np.cumsum(steps, axis=0)
    assert contributions.cross_term_share(h1, np.zeros_like(h1)) == pytest.approx(0, abs=1e-12)


def test_cross_term_share_is_negative_where_a_layer_takes_back():
    first = np.ones((1, 5, 3))
    h1 = np.concatenate([first, first / 2, first / 4])
    # 1/16 - 1 - (1/4 + 1/16) over 1/16
    assert contributions.cross_term_share(h1, np.zeros_like(h1)) == pytest.approx(-20)


def test_off_diagonal_takes_each_pair_once():
    assert contributions.off_diagonal(np.arange(9).reshape(3, 3)).tolist() == [1, 2, 5]

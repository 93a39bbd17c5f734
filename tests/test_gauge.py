"""Corollary 1: Hessians against finite differences, gauges by count, orbits, overlaps."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from zspace import theory

D, R = 6, 2


def one_language(rng, scale=None):
    turn = ortho_group.rvs(D, random_state=rng)
    return theory.moments((turn if scale is None else turn * scale)[None], [1.0])


def two_languages(ratios):
    pair = np.stack([np.diag(row) for row in theory.whitened_pair(ratios)])
    return theory.moments(pair, [0.5, 0.5])


SPREAD = [0.95, 0.8, 0.5, 0.3, 0.15, 0.05]
TIED = [0.95, 0.5, 0.5, 0.3, 0.15, 0.05]


def flat(problem, rank=R):
    return theory.nullity(theory.bottleneck_hessian(*theory.bottleneck_optimum(problem, rank), problem))


def test_flat_directions_fall_from_12_to_4_with_a_second_language(rng):
    assert flat(one_language(rng)) == 12
    assert flat(two_languages(SPREAD)) == 4


def test_flat_directions_stay_36_without_a_bottleneck(rng):
    assert flat(one_language(rng), D) == 36
    assert flat(two_languages(SPREAD), D) == 36


def test_anisotropic_target_breaks_the_symmetry_and_anisotropic_transform_does_not(rng):
    sizes = np.linspace(2, 0.5, D)
    assert flat(one_language(rng, sizes)) == 12
    turn = ortho_group.rvs(D, random_state=rng)[None]
    assert flat(theory.moments(turn, [1.0], covariance=np.diag(sizes))) == 4


def test_a_tie_at_the_edge_restores_a_flat_direction():
    assert flat(two_languages(TIED)) == 5
    assert flat(two_languages(TIED), 3) == 9  # a tie inside the bottleneck is none


@pytest.mark.parametrize("seed", range(3))
def test_bottleneck_hessian_equals_finite_differences_away_from_the_optimum(seed):
    rng = np.random.default_rng(seed)
    problem = theory.moments(rng.standard_normal((2, 4, 4)), [0.3, 0.7])
    left, right = rng.standard_normal((4, 2)), rng.standard_normal((2, 4))
    hessian = theory.bottleneck_hessian(left, right, problem)
    start, h = np.r_[left.ravel(), right.ravel()], 1e-3

    def loss(v):
        return float(theory.bottleneck_loss(v[:8].reshape(4, 2), v[8:].reshape(2, 4), problem))

    def second_difference(a, b):
        up, down = start + a, start - a
        return (loss(up + b) - loss(up - b) - loss(down + b) + loss(down - b)) / (4 * h * h)

    steps = h * np.eye(16)
    numeric = np.array([[second_difference(a, b) for b in steps] for a in steps])
    np.testing.assert_allclose(hessian, numeric, atol=1e-4 * np.abs(numeric).max())
    assert np.linalg.eigvalsh(hessian)[0] < 0  # no optimum: the curvature is of both signs


def test_loss_on_the_orbit_is_flat_for_one_language_only(rng):
    spans = ortho_group.rvs(D, size=200, random_state=rng)[:, :, :R]
    one, two = (theory.orbit_losses(p, spans) for p in (one_language(rng), two_languages(SPREAD)))
    np.testing.assert_allclose(one, D - R, atol=1e-12)
    assert one.std() < 1e-12
    assert two.std() > 0.1
    assert two.min() >= D - sum(SPREAD[:R]) - 1e-12


def test_bottleneck_optimum_has_the_loss_of_the_leading_ratios(rng):
    for problem in (two_languages(SPREAD), theory.moments(rng.standard_normal((3, D, D)), [0.2, 0.3, 0.5])):
        rho = theory.optimum_of(problem).agreement
        for rank in range(1, D + 1):
            loss = theory.bottleneck_loss(*theory.bottleneck_optimum(problem, rank), problem)
            assert loss == pytest.approx(problem.energy - rho[:rank].sum(), abs=1e-10)


def test_internal_gauge_leaves_the_loss(rng):
    problem = two_languages(SPREAD)
    left, right = rng.standard_normal((D, R)), rng.standard_normal((R, D))
    g = rng.standard_normal((R, R))
    turned = theory.bottleneck_loss(left @ np.linalg.inv(g), g @ right, problem)
    assert turned == pytest.approx(float(theory.bottleneck_loss(left, right, problem)), rel=1e-9)
    assert theory.bottleneck_loss(left @ g, g @ right, problem) != pytest.approx(float(turned), rel=1e-3)


def test_subspace_overlap_is_one_for_equal_spans_and_r_over_d_for_random_ones(rng):
    basis = rng.standard_normal((D, R))
    same = np.stack([basis, basis @ rng.standard_normal((R, R))])
    np.testing.assert_allclose(theory.subspace_overlap(same), 1, atol=1e-12)
    random = theory.subspace_overlap(rng.standard_normal((80, D, R)))
    assert len(random) == 80 * 79 / 2
    assert random.mean() == pytest.approx(R / D, abs=0.02)


def test_nullity_counts_relative_to_the_largest_eigenvalue():
    assert theory.nullity(np.diag([1e6, 1.0, 1e-5, 0.0])) == 2
    assert theory.nullity(np.diag([1e6, 1.0, 1e-5, 0.0]), tolerance=1e-12) == 1


def test_bottleneck_optimum_refuses_a_rank_that_is_none():
    for rank in (0, 7):
        with pytest.raises(ValueError, match="expected 1 to 6"):
            theory.bottleneck_optimum(two_languages(SPREAD), rank)


def test_gauge_breaking_is_proved_symbolically():
    assert theory.prove_gauge_breaking() == {"span": 0, "orbit": 0, "internal": 0}

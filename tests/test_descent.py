"""Theorem 2: the acceptance numbers of its corrected statement, and what breaks the note's."""

import numpy as np
import pytest
from zspace import theory
from zspace.measures import accumulation, alignment, residual

SEEDS = (0, 1, 2)


@pytest.fixture(params=SEEDS)
def rng(request):
    return np.random.default_rng(request.param)


@pytest.mark.parametrize(("n_states", "n", "d"), [(2, 40, 5), (7, 6, 50), (4, 33, 33)])
@pytest.mark.parametrize("groups", [None, 3])
def test_theorem_2_identities_hold_to_1e_9(rng, n_states, n, d, groups):
    shared, own = rng.standard_normal((n_states, n, d)), rng.standard_normal((2, n_states, n, d))
    h1, h2 = np.cumsum(shared + own, axis=1) + 5 * rng.standard_normal((2, 1, 1, d))
    labels = None if groups is None else np.arange(n) % groups
    p = residual.snr_profile(h1.astype(np.float32), h2.astype(np.float32), groups=labels)
    same, diff = p.d_same[:-1] + p.delta_sq + p.cross_same, p.d_diff[:-1] + p.sigma_sq + p.cross_diff
    np.testing.assert_allclose(p.d_same[1:], same, rtol=1e-9)
    np.testing.assert_allclose(p.d_diff[1:], diff, rtol=1e-9)
    assert (np.abs(p.cross_same) > 1e-3 * p.d_same[1:]).any()  # the cross-terms are not zero here


def test_theorem_2_criteria_agree_where_layers_are_orthogonal(rng):
    """Negative control of the ensemble: without cross-terms the note's criterion is the exact one."""
    profile = residual.snr_profile(*theory.orthogonal_layers(30, rng=rng, n_layers=20))
    np.testing.assert_array_equal(profile.improves_orthogonal, profile.improves_exact)
    assert 0 < profile.improves_exact.sum() < 20


@pytest.mark.parametrize("c", [0.1, 0.5, 1.0, 2.0, -0.7])
@pytest.mark.parametrize("n", [2, 4, 10, 64])
def test_swap_counterexample_has_its_closed_form(c, n):
    h1, h2 = theory.swap_counterexample(c, n)
    p = residual.snr_profile(h1, h2)
    before, after = theory.swap_counterexample_snr(c, n)
    assert p.delta_sq[0] / p.sigma_sq[0] == pytest.approx(p.snr[0], abs=1e-12)
    np.testing.assert_allclose(p.snr, [before, after], atol=1e-12)
    assert after == pytest.approx((1 - c) ** 2 / (1 + c**2) * (n - 1) / n, abs=1e-12)
    assert abs(after - before) > 0.09  # although the criterion without cross-terms predicts no change
    assert not p.improves_orthogonal[0]
    assert p.improves_exact[0] == (after < before)
    for h in (h1, h2):  # contributions to one input are orthogonal
        np.testing.assert_allclose(np.einsum("nd,nd->n", h[0], h[1] - h[0]), 0, atol=1e-12)


def test_swap_counterexample_refuses_signs_that_do_not_balance():
    for n in (0, 7):
        with pytest.raises(ValueError, match="even"):
            theory.swap_counterexample(0.5, n)


def test_orthogonal_layers_never_lower_d_same_nor_pass_the_floor(rng):
    for _ in range(20):
        p = residual.snr_profile(*theory.orthogonal_layers(20, rng=rng))
        np.testing.assert_allclose(p.cross_same, 0, atol=1e-12)
        np.testing.assert_allclose(p.cross_diff, 0, atol=1e-10)
        assert (np.diff(p.d_same) >= 0).all()
        floor = theory.snr_floor(p.snr[0], p.delta_sq / p.sigma_sq)
        assert (p.snr >= floor - 1e-9).all()


def test_snr_after_a_layer_is_a_mediant(rng):
    profile = residual.snr_profile(*theory.random_layer_ensemble(300, rng=rng))
    quality, weight = (values[:, 0] for values in residual.mixing(profile))
    before, after = profile.snr[:, 0], profile.snr[:, 1]
    np.testing.assert_allclose(after, (1 - weight) * before + weight * quality, rtol=1e-9)
    between = (np.minimum(before, quality) <= after) & (after <= np.maximum(before, quality))
    assert between[weight > 0].all()
    assert not between[weight < 0].all()  # control: a layer that shrinks D_diff is no mean of the two
    assert (weight < 0).any()


def test_mixing_equals_the_quality_of_orthogonal_layers(rng):
    profile = residual.snr_profile(*theory.orthogonal_layers(20, rng=rng))
    quality, weight = residual.mixing(profile)
    np.testing.assert_allclose(quality, profile.delta_sq / profile.sigma_sq, rtol=1e-9)
    assert ((weight > 0) & (weight < 1)).all()


def test_accumulation_null_lowers_snr_at_every_layer_without_any_alignment(rng):
    h1, h2 = theory.accumulation_null(240, rng=rng)
    p = residual.snr_profile(h1, h2)
    assert h1.shape == (7, 240, 256)
    assert (np.diff(p.snr) < 0).all()
    expected = 1 + 1.15**2 / (2 * (1 + 0.45**2 * np.arange(7)))
    np.testing.assert_allclose(p.snr, expected, atol=0.04)
    np.testing.assert_allclose(p.d_same / p.d_cross, 1, atol=0.01)
    np.testing.assert_allclose(p.snr_centered, 1, atol=0.02)
    np.testing.assert_allclose(p.norm_ratio, np.sqrt(2), atol=0.01)
    assert (alignment.retrieval_accuracy(h1, h2) < 0.03).all()


def test_accumulation_null_falls_by_accumulation_alone(rng):
    profile = residual.snr_profile(*theory.accumulation_null(240, rng=rng))
    shares = accumulation.accumulation_shares(profile)
    assert shares.shares[0] > 0.9
    assert np.abs(shares.shares[1:]).max() < 0.1


def test_a_planted_alignment_is_told_from_the_accumulation_null(rng):
    """Positive control: the same noise, with something shared added by every layer."""
    h1, h2 = theory.accumulation_null(240, rng=rng)
    shared = np.cumsum(0.3 * rng.standard_normal((7, 240, 256)), axis=0)
    p = residual.snr_profile(h1 + shared, h2 + shared)
    assert p.snr_centered[-1] < 0.85
    assert ((p.d_cross - p.d_same) / p.d_diff)[-1] > 0.15
    assert (p.d_same / p.d_cross)[-1] < 0.95


def test_norm_ratio_of_unrelated_contributions_falls_with_a_common_mean(rng):
    """1.42, 1.01 and .45 for 0, 1 and 3 standard deviations; 32 dimensions, the mean of item ratios.

    The finite dimension lifts the first two above their limits sqrt(2 / (1 + mean^2)).
    """
    for mean, published in ((0.0, 1.42), (1.0, 1.01), (3.0, 0.45)):
        states = theory.accumulation_null(4000, rng=rng, dim=32, n_layers=1, common_mean=mean)
        ratio = residual.snr_profile(*states).norm_ratio[0]
        assert ratio == pytest.approx(published, abs=0.01)
        assert ratio == pytest.approx(np.sqrt(2 / (1 + mean**2)), abs=0.015)


def test_shuffled_pairing_is_the_null_of_the_norm_ratio_whatever_the_common_mean(rng):
    h1, h2 = theory.accumulation_null(200, rng=rng, dim=64, n_layers=2, common_mean=1.0)
    own = residual.snr_profile(h1, h2).norm_ratio
    shuffles = np.array([rng.permutation(200) for _ in range(50)])
    raw = residual.shuffled_norm_ratio(h1, h2, shuffles)
    assert (np.abs(own - raw.mean(0)) < 4 * raw.std(0)).all()
    centred = residual.shuffled_norm_ratio(h1, h2, shuffles, center=True)
    np.testing.assert_allclose(centred.mean(0), np.sqrt(2), atol=0.02)
    shared = np.cumsum(np.ones((3, 1, 1)), axis=0) * rng.standard_normal((200, 64))  # same for both languages
    related = residual.snr_profile(h1 + shared, h2 + shared).norm_ratio
    null = residual.shuffled_norm_ratio(h1 + shared, h2 + shared, shuffles)
    assert (related < null.min(0) - 0.1).all()


def test_prove_snr_criterion_leaves_no_residue_and_a_wrong_sign_would():
    sympy = pytest.importorskip("sympy", reason="the extra `notebooks` is not installed")
    assert theory.prove_snr_criterion() == {"distance": 0, "criterion": 0, "mediant": 0}
    same, diff, noise, signal = sympy.symbols("D_same D_diff a b")
    change = (same + noise) / (diff + signal) - same / diff
    assert sympy.simplify(change * (diff + signal) - (noise + same / diff * signal)) != 0


def test_generators_repeat_with_their_seed_and_differ_with_another():
    for make in (theory.accumulation_null, theory.random_layer_ensemble, theory.orthogonal_layers):
        first, again, other = (make(5, rng=np.random.default_rng(s))[0] for s in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

"""Theorem 1: acceptance numbers, independent oracles, invariances, and what breaks the note's form."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.multivariate.cancorr import CanCorr
from zspace import theory
from zspace.errors import UndefinedAgreementWarning
from zspace.states import networks

Z = ((1, 1, 2, 0.1, 1, 1), (1, -1, 2, 0.1, 3, 0))
HALF = [0.5, 0.5]
ENTRIES = st.floats(-5, 5).filter(lambda v: abs(v) > 1e-3)


@st.composite
def problems(draw):
    """Coordinates z (K, d) away from zero, and shares (K,)."""
    k, d = draw(st.integers(1, 7)), draw(st.integers(1, 6))
    z = draw(hnp.arrays(float, (k, d), elements=ENTRIES))
    return z, draw(hnp.arrays(float, k, elements=st.floats(0.01, 10)))


@st.composite
def general_problems(draw):
    """Gaussian transforms (K, d, d) with K >= 2, and shares."""
    k, d, seed = draw(st.integers(2, 7)), draw(st.integers(1, 6)), draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).standard_normal((k, d, d)), draw(
        hnp.arrays(float, k, elements=st.floats(0.05, 5))
    )


def diagonal(z):
    return np.stack([np.diag(np.asarray(row, float)) for row in z])


def least_squares(transforms, share):
    """The best map and its loss from the weighted stack of equations, without any moment."""
    d = transforms.shape[-1]
    rows = np.concatenate([np.sqrt(a) * t.T for a, t in zip(share, transforms, strict=True)])
    wanted = np.concatenate([np.sqrt(a) * np.eye(d) for a in share])
    found = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return found.T, ((rows @ found - wanted) ** 2).sum()


def test_agreement_ratio_and_coefficients_of_the_acceptance_problem():
    """Agreement is perfect in directions 2 and 3, coefficients are twenty times apart: not as sqrt(rho)."""
    np.testing.assert_allclose(theory.agreement_ratio(Z, HALF), [1, 0, 1, 1, 0.8, 0.5], atol=1e-12)
    np.testing.assert_allclose(theory.optimal_coefficients(Z, HALF), [1, 0, 0.5, 10, 0.4, 1], atol=1e-12)
    assert theory.optimal_map(diagonal(Z), HALF).loss == pytest.approx(1.7, abs=1e-12)


def test_shares_that_do_not_sum_to_one_scale_agreement_but_not_the_map():
    large, small = (theory.optimal_map(diagonal(Z), share) for share in ([1, 3], [0.25, 0.75]))
    np.testing.assert_allclose(large.weight, small.weight, atol=1e-12)
    np.testing.assert_allclose(large.agreement, 4 * small.agreement, atol=1e-12)
    large, small = (theory.agreement_ratio(Z, share) for share in ([1, 3], [0.25, 0.75]))
    np.testing.assert_allclose(large, 4 * small, atol=1e-12)


def test_low_agreement_is_conflict_under_the_given_shares():
    assert theory.agreement_ratio([[1], [-1]], [0.9, 0.1])[0] == pytest.approx(0.64, abs=1e-12)
    for share in (0.1, 0.5, 0.8):
        assert theory.agreement_ratio([[1], [0]], [share, 1 - share])[0] == pytest.approx(share, abs=1e-12)


@given(problems())
def test_agreement_ratio_lies_between_zero_and_the_sum_of_shares(problem):
    z, share = problem
    rho = theory.agreement_ratio(z, share)
    assert (rho >= 0).all()
    assert (rho <= share.sum() * (1 + 1e-12)).all()


@given(problems(), st.floats(-100, 100).filter(lambda c: abs(c) > 1e-3))
def test_agreement_ratio_ignores_the_scale_of_a_direction_and_coefficients_do_not(problem, scale):
    z, share = problem
    close = {"rtol": 1e-9, "atol": 1e-12}
    rho, scaled = (theory.agreement_ratio(x, share) for x in (z, scale * z))
    np.testing.assert_allclose(scaled, rho, **close)
    w, scaled = (theory.optimal_coefficients(x, share) for x in (z, scale * z))
    np.testing.assert_allclose(scale * scaled, w, **close)


@given(problems())
def test_agreement_is_complete_exactly_where_the_languages_agree(problem):
    z, share = problem
    same = np.tile(z[:1], (len(z), 1))
    np.testing.assert_allclose(theory.agreement_ratio(same, share), share.sum(), rtol=1e-9)
    if len(z) > 1:
        turned = same * np.r_[-1, np.ones(len(z) - 1)][:, None]
        assert (theory.agreement_ratio(turned, share) < share.sum() * (1 - 1e-6)).all()


@given(problems())
def test_optimal_map_of_diagonal_transforms_is_the_scalar_formula(problem):
    z, share = problem
    found = theory.optimal_map(diagonal(z), share)
    coefficients, rho = theory.optimal_coefficients(z, share), np.sort(theory.agreement_ratio(z, share))
    np.testing.assert_allclose(np.diag(found.weight), coefficients, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.agreement, rho[::-1], rtol=1e-7, atol=1e-9)


@settings(deadline=None)
@given(general_problems())
def test_optimal_map_is_the_least_squares_solution_for_any_transforms(problem):
    transforms, share = problem
    found, (solved, loss) = theory.optimal_map(transforms, share), least_squares(transforms, share)
    condition = np.linalg.cond(theory.moments(transforms, share).second)
    np.testing.assert_allclose(found.weight, solved, atol=1e-14 * condition + 1e-12)
    assert found.loss == pytest.approx(loss, abs=1e-10)
    assert theory.map_loss(found.weight, theory.moments(transforms, share)) == pytest.approx(loss, abs=1e-10)


def test_weighted_map_has_singular_values_sqrt_rho_and_the_raw_map_has_not(rng):
    transforms = rng.standard_normal((3, 5, 5))
    share = [0.5, 0.3, 0.2]
    found = theory.optimal_map(transforms, share)
    values, vectors = np.linalg.eigh(theory.moments(transforms, share).second)
    root = vectors * np.sqrt(values) @ vectors.T
    sizes = np.linalg.svd(found.weight @ root, compute_uv=False)
    np.testing.assert_allclose(sizes, np.sqrt(found.agreement), atol=1e-12)
    raw = np.linalg.svd(found.weight, compute_uv=False)
    assert np.ptp(raw / np.sqrt(found.agreement)) > 0.05


def test_agreement_is_the_squared_canonical_correlation(rng):
    """Latents +-e_i, repeated in proportion to the shares: their moments are exact."""
    d = 4
    transforms = rng.standard_normal((3, d, d))
    latents = np.concatenate([np.eye(d), -np.eye(d)])
    copies = (5, 3, 2)
    shown = np.concatenate([np.tile(latents @ t.T, (m, 1)) for t, m in zip(transforms, copies, strict=True)])
    oracle = CanCorr(np.tile(latents, (10, 1)), shown).cancorr ** 2
    found = theory.optimal_map(transforms, np.array(copies) / 10)
    np.testing.assert_allclose(found.agreement, oracle, atol=1e-10)


def test_canonical_columns_read_the_directions_with_unit_variance(rng):
    transforms, share = rng.standard_normal((2, 5, 5)), np.array([0.7, 0.3])
    found, exact = theory.optimal_map(transforms, share), theory.moments(transforms, share)
    np.testing.assert_allclose(found.canonical.T @ exact.second @ found.canonical, np.eye(5), atol=1e-9)
    cross = found.canonical.T @ exact.cross @ found.directions
    np.testing.assert_allclose(cross, np.diag(np.sqrt(found.agreement)), atol=1e-9)


def test_gradient_descent_ends_at_the_closed_form(rng):
    exact = theory.moments(diagonal(Z), HALF)
    net = networks.train_linear(exact, (6, 6), rng=rng, step=0.9, gradient_norm=1e-11)
    np.testing.assert_allclose(net.product[0], theory.optimal_map(diagonal(Z), HALF).weight, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_sampled_data_find_the_spectrum(seed):
    rng = np.random.default_rng(seed)
    transforms, share, n = rng.standard_normal((2, 5, 5)), np.array([0.6, 0.4]), 10_000
    latents, language = rng.standard_normal((n, 5)), rng.choice(2, n, p=share)
    shown = np.einsum("nij,nj->ni", transforms[language], latents)
    found = CanCorr(latents, shown).cancorr ** 2
    assert np.abs(found - theory.optimal_map(transforms, share).agreement).max() <= 0.05
    assert np.abs(found - theory.optimal_map(transforms, [0.1, 0.9]).agreement).max() > 0.05  # control


def test_z_turns_with_the_shares_for_general_transforms_only(rng):
    general = np.eye(4) + 0.5 * rng.standard_normal((2, 4, 4))
    for transforms, turns in ((general, True), (diagonal(rng.uniform(0.5, 1, (2, 4))), False)):
        first, second = (theory.optimal_map(transforms, share) for share in ([0.9, 0.1], [0.1, 0.9]))
        overlaps = np.abs(first.directions.T @ second.directions)
        assert (overlaps.max(0) < 0.999).any() == turns


def test_items_as_latents_give_the_variance_that_languages_share(rng):
    """T_l = X_l'/sqrt(n): the ratio of a direction is Var(language mean) / mean variance."""
    shared, own = rng.standard_normal((40, 1)), rng.standard_normal((2, 40, 1))
    states = shared + own
    states -= states.mean(1, keepdims=True)
    found = theory.optimal_map(np.swapaxes(states, 1, 2) / np.sqrt(40), HALF)
    expected = states.mean(0).var() / states.var(1).mean()
    np.testing.assert_allclose(found.agreement, [expected], atol=1e-12)


def test_covariance_of_the_latent_and_target_enter_the_optimum(rng):
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    sizes = np.array([3.0, 1.0, 0.2])
    one = theory.optimum_of(theory.moments(rng.standard_normal((1, 3, 3)), [1.0], covariance=np.diag(sizes)))
    np.testing.assert_allclose(one.agreement, sizes, atol=1e-9)
    assert one.loss == pytest.approx(0, abs=1e-9)
    plain, turned = (
        theory.optimum_of(theory.moments(diagonal(Z), HALF, target=t)) for t in (None, np.eye(6)[:2])
    )
    np.testing.assert_allclose(turned.weight, plain.weight[:2], atol=1e-12)
    assert theory.moments(turn[None], [1.0], covariance=np.diag(sizes)).energy == pytest.approx(4.2)


def test_whitened_pair_has_white_inputs_and_the_asked_agreement():
    rho = np.array([1.0, 0.7, 0.3, 0.0])
    z = theory.whitened_pair(rho)
    np.testing.assert_allclose((z**2).mean(0), 1, atol=1e-12)
    np.testing.assert_allclose(theory.agreement_ratio(z, HALF), rho, atol=1e-12)
    np.testing.assert_allclose((z[0] - z[1]) ** 2, 4 * (1 - rho), atol=1e-12)
    with pytest.raises(ValueError, match="between 0 and 1"):
        theory.whitened_pair([1.2])


def test_direction_of_no_language_is_undefined_never_zero_or_one():
    for function in (theory.agreement_ratio, theory.optimal_coefficients):
        with pytest.warns(UndefinedAgreementWarning, match="direction 1"):
            found = function([[1, 0], [1, 0]], HALF)
        assert np.isfinite(found[0])
        assert np.isnan(found[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert theory.agreement_ratio([[1e-200, 1e200], [1e-200, -1e200]], HALF).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("z", "share", "match"),
    [
        ([1, 2], HALF, "expected finite numbers"),
        ([[1, 2], [1, np.nan]], HALF, "expected finite numbers"),
        ([[1, 2], [1, 2]], [0.5, 0.3, 0.2], r"expected \(2,\)"),
        ([[1, 2], [1, 2]], [1.0, 0.0], "must be positive"),
        ([[1, 2], [1, 2]], [1.5, -0.5], "must be positive"),
    ],
)
def test_agreement_ratio_refuses_bad_input(z, share, match):
    for function in (theory.agreement_ratio, theory.optimal_coefficients):
        with pytest.raises(ValueError, match=match):
            function(z, share)


def test_map_loss_refuses_a_map_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"expected \(..., 6, 6\)"):
        theory.map_loss(np.eye(5), theory.moments(diagonal(Z), HALF))


@pytest.mark.parametrize(
    ("transforms", "options", "match"),
    [
        (np.ones((2, 2, 2)), {}, "rank 1 of 2"),
        (np.zeros((2, 2, 2)), {}, "rank 0 of 2"),
        (np.eye(2), {}, "K, d_x, d"),
        (np.tile(np.eye(2), (2, 1, 1)), {"covariance": [[1, 0.5], [0, 1]]}, "symmetric"),
        (np.tile(np.eye(2), (2, 1, 1)), {"covariance": [[1, np.nan], [np.nan, 1]]}, "symmetric"),
        (np.tile(np.eye(2), (2, 1, 1)), {"covariance": [[1, 2], [2, 1]]}, "negative eigenvalue"),
        (np.tile(np.eye(2), (2, 1, 1)), {"target": np.eye(3)}, "2 columns"),
    ],
)
def test_optimum_refuses_bad_input(transforms, options, match):
    with pytest.raises(ValueError, match=match):
        theory.optimum_of(theory.moments(transforms, HALF, **options))


def test_agreement_spectrum_is_proved_symbolically():
    names = ("square", "bounds", "spectrum", "matrix", "matrix bounds")
    assert theory.prove_agreement_spectrum() == dict.fromkeys(names, 0)

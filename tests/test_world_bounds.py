"""Bayes bounds: recorded accuracies, brute force in few dimensions, and predictors that do not beat them."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from zspace.sources.worlds import World, bayes_language_accuracy, bayes_predictions, bayes_task_r2, bounds
from zspace.sources.worlds.bounds import language_posterior

SEEDS = (0, 1, 2)
SHARES = (0.40, 0.30, 0.08, 0.07, 0.06, 0.05, 0.04)
THREE = (0.5, 0.3, 0.2)


def normalised(joint):
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def linear_task_r2(world):
    """Bound of the linear target behind blind rotations of Gaussian problems, in closed form."""
    mean = np.einsum("l,lij->ij", world.share, world.parts.transforms)
    return (mean**2).sum() / (world.dim * (1 + world.noise**2))


def r2_of(predictions, targets):
    """R^2 with the global mean as the baseline, and its standard error by the delta method."""
    errors = ((targets - predictions) ** 2).sum(1)
    spread = ((targets - targets.mean(0)) ** 2).sum(1)
    ratio = errors.mean() / spread.mean()
    return 1 - ratio, ((errors - ratio * spread) / spread.mean()).std() / np.sqrt(len(errors))


# Languages.


@pytest.mark.parametrize(
    ("dim", "share", "kappa", "accuracy"),
    [
        (16, SHARES, 1.2, 0.425),
        (16, SHARES, 3, 0.744),
        (16, SHARES, 6, 0.925),
        (32, SHARES, 12, 0.999),
        (32, (1,) * 7, 5, 0.975),
    ],
)
def test_bayes_language_accuracy_equals_the_recorded_one(rng, dim, share, kappa, accuracy):
    kind = {"transform": "invertible", "condition_number": kappa}
    worlds = [World(dim, share, **kind, seed=seed) for seed in range(5)]
    found = [bayes_language_accuracy(world, rng=rng, n=4000) for world in worlds]
    assert np.mean(found) == pytest.approx(accuracy, abs=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_posterior_behind_blind_rotations_is_the_share(rng, seed):
    world = World(16, SHARES, seed=seed)
    posterior = language_posterior(world, world.sample_mixture(300, rng=rng).inputs)
    np.testing.assert_allclose(posterior, np.broadcast_to(SHARES, (300, 7)), atol=1e-12, rtol=0)
    assert bayes_language_accuracy(world, rng=rng, n=300) == pytest.approx(0.4, abs=1e-12)
    stretched = World(16, SHARES, transform="invertible", condition_number=1.2, seed=seed)
    other = language_posterior(stretched, stretched.sample_mixture(300, rng=rng).inputs)
    assert np.abs(other - SHARES).max() > 0.05


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")
@pytest.mark.parametrize("seed", SEEDS)
def test_fitted_classifiers_are_at_chance_behind_blind_rotations_and_nowhere_else(rng, seed):
    """Neither means nor covariances nor anything a network finds: the accuracy is the largest share."""
    blind = World(16, SHARES, seed=seed)
    probes = {
        "linear": RidgeClassifier(),
        "quadratic": QuadraticDiscriminantAnalysis(priors=SHARES),
        "network": MLPClassifier((64,), max_iter=4, random_state=0, tol=0),
    }
    for world, at_chance in ((blind, True), (replace(blind, centroid=True), False)):
        fit, held_out = (world.sample_mixture(n, rng=rng) for n in (20_000, 8000))
        for name, probe in probes.items():
            score = probe.fit(fit.inputs, fit.language).score(held_out.inputs, held_out.language)
            if at_chance:  # in 8000 items .4 has a standard error of .0055
                assert score < 0.4 + 4 * 0.0055, name
            else:
                assert score > 0.7, name


def test_linear_probe_is_near_chance_where_a_quadratic_one_reaches_the_bound(rng):
    """Covariances tell languages apart, means do not: a linear probe sees nothing of what is there."""
    linear, quadratic, bound = [], [], []
    for seed in SEEDS:
        world = World(32, (1,) * 7, transform="invertible", condition_number=5, seed=seed)
        fit, held_out = (world.sample_mixture(n, rng=rng) for n in (30_000, 8000))
        for probe, scores in ((RidgeClassifier(), linear), (QuadraticDiscriminantAnalysis(), quadratic)):
            scores.append(probe.fit(fit.inputs, fit.language).score(held_out.inputs, held_out.language))
        bound.append(language_posterior(world, held_out.inputs).max(1).mean())
    assert np.mean(linear) == pytest.approx(0.20, abs=0.02)
    for found, most in zip(quadratic, bound, strict=True):
        noise = np.sqrt(most * (1 - most) / 8000)
        assert most - 0.02 < found < most + 3 * noise


@pytest.mark.parametrize("target", ["shared", "private"])
def test_flag_tells_the_language_without_error(rng, target):
    world = World(8, SHARES, flag=True, target=target)
    found = world.sample_mixture(200, rng=rng)
    np.testing.assert_array_equal(language_posterior(world, found.inputs), np.eye(7)[found.language])
    assert bayes_language_accuracy(world, rng=rng, n=200) == 1
    assert bayes_language_accuracy(replace(world, flag=0), rng=rng, n=200) < 0.41


@pytest.mark.parametrize("transform", ["orthogonal", "invertible", "near_identity"])
@pytest.mark.parametrize("seed", SEEDS)
def test_gaussian_posterior_equals_that_of_multivariate_normals(rng, transform, seed):
    kappa = 1 if transform == "orthogonal" else 4
    world = World(3, THREE, transform=transform, condition_number=kappa, centroid=0.5, noise=0.3, seed=seed)
    inputs = 2 * rng.standard_normal((50, 3))
    joint = [
        multivariate_normal(c, t @ t.T + 0.09 * np.eye(3)).logpdf(inputs) + np.log(p)
        for p, t, c in zip(THREE, world.parts.transforms, world.parts.centroids, strict=True)
    ]
    np.testing.assert_allclose(language_posterior(world, inputs), normalised(np.transpose(joint)), atol=1e-12)


def laplace_convolved(u, noise):
    """Log density of a Laplace number of unit variance plus Gaussian noise, by quadrature."""

    def integrand(z):
        return np.exp(-np.sqrt(2) * abs(z) - (u - z) ** 2 / (2 * noise**2))

    edges = sorted({u - 12 * noise, u, 0.0, u + 12 * noise})
    parts = [quad(integrand, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in pairwise(edges)]
    return np.log(sum(parts) / (np.sqrt(2) * np.sqrt(2 * np.pi) * noise))


@pytest.mark.parametrize("noise", [0.1, 0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_laplace_posterior_behind_rotations_equals_quadrature(rng, noise, seed):
    world = World(2, THREE, latent="laplace", centroid=0.3, noise=noise, seed=seed)
    inputs = 1.5 * rng.standard_normal((12, 2))
    joint = np.empty((12, 3))
    for k in range(3):
        turned = (inputs - world.parts.centroids[k]) @ world.parts.transforms[k]
        joint[:, k] = [sum(laplace_convolved(u, noise) for u in row) + np.log(THREE[k]) for row in turned]
    np.testing.assert_allclose(language_posterior(world, inputs), normalised(joint), atol=1e-8)


def test_laplace_density_is_finite_and_exact_far_from_the_centre():
    far = bounds._laplace_shape(np.array([[30.0], [1000.0], [-1000.0]]), 0.1)
    # behind the kink the noise only multiplies the density, by exp(rate^2 noise^2 / 2), a constant left out
    np.testing.assert_allclose(far, -np.sqrt(2) * np.array([30, 1000, 1000]), rtol=1e-12)


@pytest.mark.parametrize(("transform", "kappa"), [("orthogonal", 1), ("invertible", 3), ("near_identity", 3)])
@pytest.mark.parametrize("dim", [1, 3, 4])
def test_sign_posterior_equals_the_sum_over_all_corners(rng, transform, kappa, dim):
    kind = {"transform": transform, "condition_number": kappa, "centroid": 0.3, "noise": 0.4}
    for seed in SEEDS:
        world = World(dim, THREE, latent="sign", **kind, seed=seed)
        inputs = world.sample_mixture(40, rng=rng).inputs
        joint = np.empty((40, 3))
        for k in range(3):
            corners = [world.parts.transforms[k] @ s for s in product((-1, 1), repeat=dim)]
            shifted = inputs - world.parts.centroids[k]
            away = [-((shifted - c) ** 2).sum(1) / (2 * 0.4**2) for c in corners]
            joint[:, k] = logsumexp(away, axis=0) + np.log(THREE[k])
        np.testing.assert_allclose(language_posterior(world, inputs), normalised(joint), atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_laplace_density_behind_invertible_maps_equals_integration_on_a_grid(rng, seed):
    kind = {"transform": "invertible", "condition_number": 3, "centroid": 0.3, "noise": 0.3}
    world = World(2, THREE, latent="laplace", **kind, seed=seed)
    inputs = world.sample_mixture(6, rng=rng).inputs
    axis = np.arange(-12, 12, 0.04)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    weight = -np.sqrt(2) * np.abs(grid).sum(1)
    for k in range(3):
        shown = grid @ world.parts.transforms[k].T + world.parts.centroids[k]
        away = [-((x - shown) ** 2).sum(1) / (2 * 0.3**2) for x in inputs]
        cell = 0.04**2 / (2 * np.pi * 0.3**2)
        expected = cell * np.exp(np.array(away) + weight).sum(1)
        found = np.exp([bounds._log_density(world, inputs, k, rng) for _ in range(60)])
        error = found.std(0, ddof=1) / np.sqrt(60)
        assert (np.abs(found.mean(0) - expected) < 4 * error + 2e-3 * expected).all()
        assert (error < 0.05 * expected).all()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"centroid": True, "transform": "orthogonal", "condition_number": 1},
        {"latent": "laplace", "transform": "orthogonal", "condition_number": 1},
        {"latent": "sign"},
        {"latent": "laplace", "transform": "near_identity"},
    ],
)
def test_posterior_is_calibrated_and_that_of_other_shares_is_not(rng, change):
    """E[pi_l of the true l | x] is the sum of pi^2, in the world that pi is of and in no other."""
    kind = {"transform": "invertible", "condition_number": 3, "noise": 0.4}
    world = World(**{"dim": 4, "share": THREE, **kind} | change)
    found = world.sample_mixture(6000, rng=rng)

    def excess(assumed):
        posterior = language_posterior(assumed, found.inputs, rng=rng)
        off = posterior[np.arange(6000), found.language] - (posterior**2).sum(1)
        return off.mean() / (off.std() / np.sqrt(6000))

    assert abs(excess(world)) < 4
    # the same languages with each other's shares
    assert excess(replace(world, share=THREE[::-1])) < -4


@pytest.mark.parametrize("seed", SEEDS)
def test_rotations_of_problems_that_are_not_gaussian_give_the_language_away(rng, seed):
    accuracy = {
        latent: bayes_language_accuracy(World(16, SHARES, latent=latent, seed=seed), rng=rng, n=1000)
        for latent in ("gaussian", "laplace", "sign")
    }
    assert accuracy["sign"] > 0.999
    assert 0.5 < accuracy["laplace"] < accuracy["sign"]
    assert accuracy["gaussian"] == pytest.approx(0.4, abs=1e-12)


def test_signs_without_noise_are_told_apart_by_where_they_can_be(rng):
    world = World(5, THREE, latent="sign", transform="invertible", condition_number=3, noise=0)
    found = world.sample_mixture(300, rng=rng)
    np.testing.assert_allclose(language_posterior(world, found.inputs), np.eye(3)[found.language])


# Targets.


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_bayes_task_r2_equals_the_closed_form_and_least_squares(rng, noise, seed):
    world = World(8, SHARES, target="linear", noise=noise, seed=seed)
    found = linear_task_r2(world)
    bound = bayes_task_r2(world, rng=rng, n=5000)
    assert abs(bound.r2 - found) < 4 * bound.standard_error
    assert bound.standard_error < 0.02
    fit, held_out = (world.sample_mixture(n, rng=rng) for n in (20_000, 20_000))
    fitted = LinearRegression().fit(fit.inputs, fit.targets)
    score, error = r2_of(fitted.predict(held_out.inputs), held_out.targets)
    assert score == pytest.approx(found, abs=4 * error + 0.002)
    # what language a row is in is worth the rest
    flagged = bayes_task_r2(replace(world, flag=1), rng=rng, n=2000)
    assert flagged.r2 == pytest.approx(1 / (1 + noise**2), abs=0.02)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("target", ["linear", "shared", "private"])
def test_bayes_prediction_without_noise_mixes_the_answers_of_all_languages(rng, target, seed):
    world = World(6, THREE, target=target, noise=0, seed=seed)
    inputs = world.sample_mixture(40, rng=rng).inputs
    latents = [np.linalg.solve(transform, inputs.T).T for transform in world.parts.transforms]
    expected = sum(share * world.solve(z, k) for k, (share, z) in enumerate(zip(THREE, latents, strict=True)))
    for found in bayes_predictions(world, inputs, rng=rng, n_draws=2):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    flagged = replace(world, flag=1.0)
    known = flagged.sample_mixture(40, rng=rng)
    for found in bayes_predictions(flagged, known.inputs, rng=rng, n_draws=2):
        np.testing.assert_allclose(found, known.targets, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_bayes_prediction_equals_the_mean_target_near_the_input(rng, seed):
    """In two dimensions: the mean of g over many draws, weighted by the density of x given them."""
    kind = {"transform": "invertible", "condition_number": 3, "centroid": 0.5, "noise": 0.5}
    world = World(2, (0.6, 0.4), **kind, target="private", seed=seed)
    inputs = world.sample_mixture(5, rng=rng).inputs
    found = np.mean(bayes_predictions(world, inputs, rng=rng, n_draws=4000), axis=0)
    latents = rng.standard_normal((300_000, 2))
    shown = latents @ world.parts.transforms.mT + world.parts.centroids[:, None]
    answers = np.concatenate([world.solve(latents, k) for k in range(2)])
    for x, m in zip(inputs, found, strict=True):
        weights = np.array(world.share)[:, None] * np.exp(-((x - shown) ** 2).sum(-1) / (2 * 0.5**2))
        expected = np.average(answers, axis=0, weights=weights.ravel())
        np.testing.assert_allclose(m, expected, atol=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_estimates_are_independent_and_their_product_is_unbiased(rng, seed):
    world = World(4, THREE, noise=0.8, seed=seed)
    found = world.sample_mixture(12_000, rng=rng)
    one, other = bayes_predictions(world, found.inputs, rng=rng, n_draws=2)
    exact = np.mean(bayes_predictions(world, found.inputs, rng=rng, n_draws=64), axis=0)

    def z_score(sample):
        return sample.mean() / (sample.std() / np.sqrt(len(sample)))

    def errors(a, b):
        return ((found.targets - a) * (found.targets - b)).sum(1)

    assert abs(z_score(((one - exact) * (other - exact)).sum(1))) < 4
    assert abs(z_score(errors(one, other) - errors(exact, exact))) < 4
    assert z_score(errors(one, one) - errors(exact, exact)) > 4  # a square would be biased


def test_bound_does_not_depend_on_how_many_draws_are_behind_it():
    """The same items with 2 draws of z and with 32, so that the difference shows a bias of .002."""
    world = World(3, (0.7, 0.3), noise=0.8)

    def bounds_with(n_draws):
        streams = map(np.random.default_rng, range(60))
        return np.array([bayes_task_r2(world, rng=rng, n=1000, n_draws=n_draws).r2 for rng in streams])

    few, many = bounds_with(2), bounds_with(32)
    error = (few - many).std(ddof=1) / np.sqrt(60)
    assert error < 1e-3
    assert abs((few - many).mean()) < 4 * error


def test_standard_error_of_a_bound_is_the_spread_of_repetitions(rng):
    world = World(4, THREE, centroid=0.5, noise=0.3)
    found = [bayes_task_r2(world, rng=rng, n=300, n_draws=4) for _ in range(100)]
    spread = np.std([b.r2 for b in found], ddof=1)
    assert np.mean([b.standard_error for b in found]) == pytest.approx(spread, rel=0.3)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"transform": "invertible", "condition_number": 3, "noise": 0.3},
        {"centroid": True, "target": "private"},
        {"latent": "laplace"},
    ],
)
def test_no_fitted_predictor_beats_the_bound(rng, change):
    world = World(**{"dim": 3, "share": THREE} | change)
    bound = bayes_task_r2(world, rng=rng)
    fit, held_out = (world.sample_mixture(n, rng=rng) for n in (6000, 20_000))
    net = MLPRegressor(hidden_layer_sizes=(48,), learning_rate_init=5e-3, max_iter=25, random_state=0, tol=0)
    scores = {}
    for name, model in (("linear", LinearRegression()), ("net", net)):
        predicted = model.fit(fit.inputs, fit.targets).predict(held_out.inputs)
        scores[name], error = r2_of(predicted, held_out.targets)
        assert scores[name] <= bound.r2 + 3 * np.hypot(bound.standard_error, error)
    assert scores["net"] > bound.r2 - 0.1  # and the bound is no empty one
    # with a flag, which is another world, the same net does beat it
    flagged = replace(world, flag=True)
    fit, held_out = (flagged.sample_mixture(n, rng=rng) for n in (6000, 20_000))
    score, error = r2_of(net.fit(fit.inputs, fit.targets).predict(held_out.inputs), held_out.targets)
    assert score > bound.r2 + 3 * np.hypot(bound.standard_error, error)


def test_linear_optimum_serves_the_biggest_language_above_the_share_weighted_bound():
    """Over Haar rotations its R^2 in language l has mean 2 share_l - sum share^2; only the mean is that."""
    per_language, weighted = [], []
    for seed in range(150):
        world = World(8, SHARES, target="linear", noise=0, seed=seed)
        turns = world.parts.transforms
        best = np.einsum("l,lij->ji", SHARES, turns)
        per_language.append(1 - ((np.eye(8) - best @ turns) ** 2).sum((1, 2)) / 8)
        weighted.append(linear_task_r2(world))
    per_language = np.array(per_language)
    np.testing.assert_allclose(per_language @ SHARES, weighted, atol=1e-12)
    expected = 2 * np.array(SHARES) - (np.array(SHARES) ** 2).sum()
    error = per_language.std(0, ddof=1) / np.sqrt(150)
    assert (np.abs(per_language.mean(0) - expected) < 4 * error).all()
    assert (per_language[:, 0] > weighted).all()
    assert (per_language.std(0) > 0.01).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_bound_of_problems_that_are_not_gaussian_is_the_noiseless_one(rng, seed):
    linear = World(3, THREE, latent="laplace", target="linear", noise=0.5, seed=seed)
    found = linear.sample_mixture(20_000, rng=rng)
    clean = replace(linear, noise=0).sample_mixture(20_000, rng=rng)
    back = np.einsum("lij,ni->lnj", linear.parts.transforms, clean.inputs)  # Q' x
    joint = np.log(THREE) - np.sqrt(2) * np.abs(back).sum(-1).T
    mean = np.einsum("nl,lnj->nj", normalised(joint), back)
    score, error = r2_of(mean, clean.targets)
    bound = bayes_task_r2(linear, rng=rng)
    assert abs(bound.r2 - score) < 4 * np.hypot(bound.standard_error, error)
    gaussian = replace(linear, latent="gaussian", noise=0)
    assert bound.r2 > linear_task_r2(gaussian) + 4 * bound.standard_error
    net = LinearRegression().fit(found.inputs, found.targets)
    assert r2_of(net.predict(found.inputs), found.targets)[0] < bound.r2


def test_signs_give_their_language_and_with_it_the_target_away(rng):
    assert bayes_task_r2(World(16, SHARES, latent="sign"), rng=rng, n=500).r2 == pytest.approx(1, abs=1e-9)
    assert bayes_task_r2(World(16, SHARES), rng=rng, n=500).r2 < 0.5


CORNERS = World(17, (0.5, 0.5), latent="sign", transform="invertible", condition_number=2)
SMALL = World(3, (0.5, 0.5))


@pytest.mark.parametrize(
    ("function", "world", "shape", "message"),
    [
        (language_posterior, SMALL, (5, 4), r"inputs have shape \(5, 4\); this world's are \(n, 3\)"),
        (language_posterior, SMALL, (3,), r"inputs have shape \(3,\)"),
        (bayes_predictions, replace(SMALL, flag=True), (5, 3), r"shape \(5, 3\); this world's are \(n, 5\)"),
        (
            bayes_predictions,
            replace(SMALL, latent="sign"),
            (5, 3),
            "latent='sign'; z given x .* 'gaussian' only",
        ),
        (language_posterior, CORNERS, (5, 17), r"2\^17 corners; at most 16 dimensions"),
        (language_posterior, replace(CORNERS, latent="laplace"), (5, 17), "need an rng"),
    ],
)
def test_bounds_refuse_what_they_cannot_tell(function, world, shape, message):
    options = {"rng": np.random.default_rng(0)} if function is bayes_predictions else {}
    with pytest.raises(ValueError, match=message):
        function(world, np.zeros(shape), **options)


def test_bounds_need_draws_in_pairs_and_no_corners_without_noise(rng):
    with pytest.raises(ValueError, match="n_draws=1; draws come in pairs"):
        bayes_task_r2(SMALL, rng=rng, n=10, n_draws=1)
    assert language_posterior(replace(CORNERS, noise=0), np.ones((5, 17))).shape == (5, 2)

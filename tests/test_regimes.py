"""Regimes: exact filter against enumeration and statsmodels, particles against both, sizes and powers."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders import compatible, three_seeds
from scipy import signal, special, stats
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression
from statsmodels.tsa.statespace.structural import UnobservedComponents
from zspace.errors import ConvergenceError, MeasureError
from zspace.series.regimes import RegimeModel, RegimeParams, StochasticVolatility, switching
from zspace.series.regimes.changes import change_points, event_test
from zspace.series.regimes.hamilton import (
    filtered_probabilities,
    require_series,
    simulate_regimes,
    smoothed_probabilities,
)
from zspace.series.regimes.particles import fit_stochastic_volatility, particle_filter
from zspace.series.regimes.switching import fit_switching, number_of_regimes

ORACLE = yaml.safe_load((Path(__file__).parent / "oracles" / "regimes.yaml").read_text())["fedfunds"]
FEDFUNDS = np.array(ORACLE["series"])
STAYS = np.array([ORACLE["stay_low"], ORACLE["leave_high"]])
PUBLISHED = RegimeParams(
    [ORACLE["low"], ORACLE["high"]], [ORACLE["sigma"] ** 2] * 2, np.column_stack([STAYS, 1 - STAYS])
)
PLANTED = RegimeParams([1.0, 3.0], [0.3, 1.2], [[0.95, 0.05], [0.1, 0.9]])
SWITCH = [[0.97, 0.03], [0.05, 0.95]]
NARROW, UNIT = RegimeParams([0.0, 1.0], [1e-300, 1e-300], SWITCH), StochasticVolatility(0.0, 0.5, 1.0)
THREE = RegimeParams(
    [-1.0, 0.5, 4.0],
    [0.5, 1.0, 2.0],
    [[0.8, 0.15, 0.05], [0.3, 0.6, 0.1], [0.0, 0.4, 0.6]],
    initial=[0.2, 0.5, 0.3],
)


def autoregression(n, phi, rng):
    """A stationary Gaussian series of unit variance."""
    noise = rng.standard_normal(n)
    noise[1:] *= np.sqrt(1 - phi**2)
    return signal.lfilter([1], [1, -phi], noise)


def enumerated(log_y, params):
    """Filtered and smoothed probabilities and the log-likelihood, by the sum over all paths."""
    n, k = len(log_y), params.n_regimes
    paths = np.array(list(itertools.product(range(k), repeat=n)))
    chain = params.initial[paths[:, 0]] * params.transition[paths[:, :-1], paths[:, 1:]].prod(1)
    density = stats.norm.pdf(np.asarray(log_y)[:, None], params.means, np.sqrt(params.variances))
    seen = density[np.arange(n), paths]
    filtered = np.empty((n, k))
    for t in range(n):
        weight = chain * seen[:, : t + 1].prod(1)
        filtered[t] = [weight[paths[:, t] == j].sum() for j in range(k)]
    joint = chain * seen.prod(1)
    smoothed = np.array([[joint[paths[:, t] == j].sum() for j in range(k)] for t in range(n)])
    return filtered / filtered.sum(1, keepdims=True), smoothed / joint.sum(), np.log(joint.sum())


def statsmodels_of(log_y, params):
    """statsmodels' filter and smoother at given parameters: theirs move to the row from the column."""
    model = MarkovRegression(log_y, k_regimes=params.n_regimes, switching_variance=True)
    values = np.empty(model.k_params)
    for i in range(params.n_regimes):
        values[model.parameters[i, "regime_transition"]] = params.transition[i, :-1]
        values[model.parameters[i, "exog"]] = params.means[i]
        values[model.parameters[i, "variance"]] = params.variances[i]
    return model.smooth(values)


# Exact filter and smoother


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("params", [PLANTED, THREE], ids=["two", "three"])
def test_filter_and_smoother_equal_the_sum_over_all_paths(n, params, rng):
    log_y, _ = simulate_regimes(n, params, rng=rng)
    filtered, smoothed, loglik = enumerated(log_y, params)
    found = filtered_probabilities(log_y, params)
    np.testing.assert_allclose(found.probabilities, filtered, atol=1e-13)
    assert found.loglik == pytest.approx(loglik, abs=1e-12)
    again = smoothed_probabilities(log_y, params)
    np.testing.assert_allclose(again.probabilities, smoothed, atol=1e-13)
    assert again.loglik == found.loglik


@pytest.mark.parametrize("params", [PUBLISHED, PLANTED, replace(THREE, initial=None)])
def test_filter_and_smoother_equal_statsmodels(params, rng):
    log_y = FEDFUNDS if params is PUBLISHED else simulate_regimes(400, params, rng=rng)[0]
    theirs, ours = statsmodels_of(log_y, params), filtered_probabilities(log_y, params)
    np.testing.assert_allclose(ours.probabilities, theirs.filtered_marginal_probabilities, atol=1e-10)
    assert ours.loglik == pytest.approx(theirs.llf, abs=1e-10 * abs(theirs.llf))
    smoothed = smoothed_probabilities(log_y, params).probabilities
    np.testing.assert_allclose(smoothed, theirs.smoothed_marginal_probabilities, atol=1e-10)
    # negative control: the transposed transition, statsmodels' convention taken for ours, is another model
    wrong = params.transition.T / params.transition.T.sum(1, keepdims=True)
    other = filtered_probabilities(log_y, RegimeParams(params.means, params.variances, wrong))
    assert np.abs(other.probabilities - ours.probabilities).max() > 1e-3


def test_filter_reproduces_the_published_likelihood():
    found = filtered_probabilities(FEDFUNDS, PUBLISHED)
    assert found.loglik == pytest.approx(ORACLE["loglik"], abs=5e-6)


def test_filter_survives_what_underflows():
    """A regime ruled out by 5000 nats comes back when later steps speak for it by more."""
    stuck = RegimeParams([0.0, 100.0], [1.0, 1.0], np.eye(2), initial=[0.5, 0.5])
    found = filtered_probabilities([0.0, 100.0, 100.0], stuck)
    np.testing.assert_array_equal(found.probabilities[:, 1].round(12), [0, 0.5, 1])
    assert found.loglik == pytest.approx(np.log(0.5) - 5000 - 1.5 * np.log(2 * np.pi))
    assert filtered_probabilities([1e3] * 3, PLANTED).probabilities[:, 1].tolist() == [1, 1, 1]


def test_params_take_the_stationary_start_and_rows_from_columns_to():
    assert PLANTED.initial == pytest.approx([2 / 3, 1 / 3])
    assert PLANTED.initial @ PLANTED.transition == pytest.approx(PLANTED.initial)
    one_way = RegimeParams([0.0, 9.0], [1.0, 1.0], [[0.0, 1.0], [0.0, 1.0]], initial=[1.0, 0.0])
    log_y, truth = simulate_regimes(50, one_way, rng=np.random.default_rng(0))
    assert truth.tolist() == [0] + [1] * 49
    assert filtered_probabilities(log_y, one_way).probabilities.argmax(1).tolist() == truth.tolist()


def test_simulated_regimes_have_the_planted_moments(rng):
    log_y, truth = simulate_regimes(40_000, THREE, rng=rng)
    counts = np.zeros((3, 3))
    np.add.at(counts, (truth[:-1], truth[1:]), 1)
    np.testing.assert_allclose(counts / counts.sum(1, keepdims=True), THREE.transition, atol=0.02)
    for j in range(3):
        assert log_y[truth == j].mean() == pytest.approx(THREE.means[j], abs=0.05)
        assert log_y[truth == j].var() == pytest.approx(THREE.variances[j], rel=0.05)


# Fit


def test_fit_reproduces_the_published_federal_funds_rate():
    found = fit_switching(FEDFUNDS, switching_variance=False, rng=np.random.default_rng(0))
    assert found.loglik == pytest.approx(ORACLE["loglik"], abs=5e-6)
    assert found.params.means == pytest.approx(PUBLISHED.means, abs=1e-4)
    assert np.sqrt(found.params.variances) == pytest.approx(np.sqrt(PUBLISHED.variances), abs=1e-4)
    assert found.params.transition == pytest.approx(PUBLISHED.transition, abs=1e-4)
    assert (found.converged, found.degenerate) == (True, None)
    assert found.shares.sum() == pytest.approx(1)
    # two variances cannot fit worse
    assert fit_switching(FEDFUNDS, n_starts=2, rng=np.random.default_rng(0)).loglik > found.loglik + 5


@three_seeds
def test_fit_recovers_planted_parameters_ordered_by_mean(rng):
    log_y, truth = simulate_regimes(1500, PLANTED, rng=rng)
    found = fit_switching(log_y, n_starts=3, rng=rng)
    assert found.params.means == pytest.approx(PLANTED.means, abs=0.25)
    assert found.params.variances == pytest.approx(PLANTED.variances, rel=0.3)
    assert found.params.transition == pytest.approx(PLANTED.transition, abs=0.06)
    assert found.loglik > filtered_probabilities(log_y, PLANTED).loglik
    smoothed = smoothed_probabilities(log_y, found.params).probabilities
    assert (smoothed.argmax(1) == truth).mean() > 0.93


@pytest.fixture(scope="module")
def fitted():
    """A series and its fit."""
    log_y, _ = simulate_regimes(200, PLANTED, rng=np.random.default_rng(4))
    return log_y, fit_switching(log_y, n_starts=2, rng=np.random.default_rng(0))


@pytest.mark.parametrize("slope", [0.01, 30.0, -2.0])
def test_fit_moves_with_an_affine_change_of_log_y(fitted, slope):
    log_y, plain = fitted
    moved = fit_switching(5 + slope * log_y, n_starts=2, rng=np.random.default_rng(0))
    order = slice(None, None, int(np.sign(slope)))
    assert moved.params.means == pytest.approx(5 + slope * plain.params.means[order], rel=1e-3)
    assert moved.params.variances == pytest.approx(slope**2 * plain.params.variances[order], rel=2e-3)
    assert moved.params.transition == pytest.approx(plain.params.transition[order, order], abs=1e-3)
    assert moved.loglik == pytest.approx(plain.loglik - 200 * np.log(abs(slope)), abs=1e-4)


def test_fit_does_not_move_with_another_change_of_log_y(fitted):
    log_y, plain = fitted
    bent = fit_switching(np.exp(log_y), n_starts=2, rng=np.random.default_rng(0))
    assert bent.loglik != pytest.approx(plain.loglik - log_y.sum(), abs=1)


def test_fit_says_that_a_collapsed_regime_is_an_artefact(rng):
    spikes = rng.standard_normal(100)
    spikes[[20, 60, 61]] = [38, 40, 43]
    found = fit_switching(spikes, n_starts=4, rng=rng)
    assert found.degenerate == "regime 1 holds 3.0 of 100 steps"
    assert found.converged
    equal = np.r_[rng.standard_normal(80), np.full(20, 7.0) + 1e-6 * rng.standard_normal(20)]
    found = fit_switching(equal, n_starts=3, rng=rng)
    assert "of the variance" in found.degenerate
    spikes[[20, 60, 61]] = 40
    with pytest.raises(ConvergenceError, match="3 steps have the value 40"):
        fit_switching(spikes, n_starts=2, rng=rng)


def test_fit_names_the_step_that_no_regime_survives(rng):
    """One step far from all others is not called equal values."""
    series = rng.standard_normal(100)
    series[70] = 1e4
    with pytest.raises(ConvergenceError, match=r"step 70 \(10000\) has 100.0%") as refused:
        fit_switching(series, n_starts=2, rng=rng)
    assert "value" not in str(refused.value)


@pytest.mark.parametrize("unit", [1e-15, 1.0, 1e15])
def test_series_are_constant_whatever_their_unit(rng, unit):
    series = rng.standard_normal(100)
    assert np.array_equal(require_series(unit * series, shortest=64), unit * series)
    with pytest.raises(MeasureError, match="constant to rounding"):
        require_series(unit * (3 + 1e-14 * series), shortest=64)


@pytest.mark.parametrize("broken", [False, True])
def test_fit_that_reaches_no_maximum_is_an_error(monkeypatch, rng, broken):
    plain = MarkovRegression.fit

    def stopped(self, *args, **options):
        if broken:
            raise np.linalg.LinAlgError("SVD did not converge")
        return plain(self, *args, **(options | {"maxiter": 1, "em_iter": 0}))

    monkeypatch.setattr(MarkovRegression, "fit", stopped)
    with pytest.raises(ConvergenceError, match="none of 2 starts of two regimes on 100 steps"):
        fit_switching(simulate_regimes(100, PLANTED, rng=rng)[0], n_starts=2, rng=rng)


# Particles


@three_seeds
def test_particles_agree_with_the_exact_filter(rng):
    log_y, _ = simulate_regimes(256, PLANTED, rng=rng)
    exact = filtered_probabilities(log_y, PLANTED)
    found = particle_filter(log_y, RegimeModel(PLANTED), n_particles=10_000, rng=rng)
    assert np.sqrt(np.mean((found.probabilities - exact.probabilities) ** 2)) < 0.005
    assert found.loglik == pytest.approx(exact.loglik, abs=0.5)
    np.testing.assert_allclose(found.means, found.probabilities[:, 1], atol=1e-12)
    assert ((found.effective_sample_size >= 1) & (found.effective_sample_size <= 10_000 + 1e-6)).all()
    # negative control: particles of a model with the regimes' levels closer
    near = RegimeParams([1.0, 2.5], PLANTED.variances, PLANTED.transition)
    other = particle_filter(log_y, RegimeModel(near), n_particles=10_000, rng=rng)
    assert np.sqrt(np.mean((other.probabilities - exact.probabilities) ** 2)) > 0.02


def test_particles_of_three_regimes_start_as_told(rng):
    found = particle_filter([0.0, 1.0], RegimeModel(THREE), n_particles=40_000, rng=rng)
    exact = filtered_probabilities([0.0, 1.0], THREE)
    np.testing.assert_allclose(found.probabilities, exact.probabilities, atol=0.015)


class LinearGaussian(StochasticVolatility):
    """The same state observed with Gaussian noise of variance .5: the Kalman filter knows it exactly."""

    def log_weight(self, x, observation):
        return -((observation - x) ** 2) - np.log(np.pi) / 2


@pytest.mark.parametrize("phi", [0.5, 0.95])
def test_particles_agree_with_the_kalman_filter(phi, rng):
    model = LinearGaussian(2.0, phi, 0.3)
    state = autoregression(200, phi, rng) * np.sqrt(0.3 / (1 - phi**2)) + 2
    seen = state + rng.normal(0, np.sqrt(0.5), 200)
    kalman = UnobservedComponents(seen - 2, irregular=True, autoregressive=1).filter([0.5, 0.3, phi])
    found = [particle_filter(seen, model, n_particles=2000, rng=rng) for _ in range(20)]
    # squared distance in standard errors of 20 runs: a squared t, whose mean is 19/17
    assert np.mean(stats.ttest_1samp([f.means for f in found], kalman.filtered_state[0] + 2)[0] ** 2) < 1.5
    exact = kalman.filtered_state_cov[0, 0]
    spread = np.mean([f.variances for f in found], axis=0) / exact
    assert np.sqrt(np.mean((spread - 1) ** 2)) < 0.03
    assert abs(stats.ttest_1samp([np.exp(f.loglik - kalman.llf) for f in found], 1).statistic) < 3
    assert found[0].probabilities is None
    # negative control: a memory that is off by a tenth
    off = LinearGaussian(2.0, phi - 0.1, 0.3)
    other = [particle_filter(seen, off, n_particles=2000, rng=rng).means for _ in range(20)]
    assert np.mean(stats.ttest_1samp(other, kalman.filtered_state[0] + 2)[0] ** 2) > 3


@pytest.mark.parametrize("n", [200, pytest.param(2000, marks=pytest.mark.full)])
def test_particles_estimate_the_likelihood_without_bias(n, rng):
    log_y, _ = simulate_regimes(30, PLANTED, rng=rng)
    exact = filtered_probabilities(log_y, PLANTED).loglik
    found = [particle_filter(log_y, RegimeModel(PLANTED), n_particles=50, rng=rng).loglik for _ in range(n)]
    ratios = np.exp(np.array(found) - exact)
    assert abs(stats.ttest_1samp(ratios, 1).statistic) < 3
    assert np.log(ratios).mean() < -0.01  # the logarithm is biased, so the check above can fail


@pytest.mark.parametrize("degrees", [1.0, 2.0, 30.0])
def test_volatility_noise_is_the_log_of_a_chi_square(degrees, rng):
    model = StochasticVolatility(0.0, 0.9, 0.1, degrees)
    noise = np.log(rng.chisquare(degrees, 2000) / degrees)
    theirs = stats.chi2.logpdf(np.exp(noise) * degrees, degrees) + noise + np.log(degrees)
    np.testing.assert_allclose([model.log_weight(np.zeros(1), v)[0] for v in noise], theirs, rtol=1e-9)
    if degrees == 2:
        np.testing.assert_allclose(theirs, noise - np.exp(noise), atol=1e-9)  # log of an exponential


@pytest.mark.parametrize("degrees", [1.0, 40.0])
def test_volatility_fit_recovers_and_its_filter_tracks_the_state(degrees, rng):
    truth = StochasticVolatility(5.0, 0.95, 0.1, degrees)
    state = 5 + autoregression(3000, 0.95, rng) * np.sqrt(0.1 / (1 - 0.95**2))
    log_y = state + np.log(rng.chisquare(degrees, 3000) / degrees)
    found = fit_stochastic_volatility(log_y)
    assert found.model.phi == pytest.approx(0.95, abs=0.04)
    assert found.model.mean == pytest.approx(5, abs=0.5)
    assert found.model.innovation_variance == pytest.approx(0.1, rel=0.6)
    assert found.model.degrees == pytest.approx(degrees, rel=0.35)
    share = 0.1 / (1 - 0.95**2) / (0.1 / (1 - 0.95**2) + special.polygamma(1, degrees / 2))
    assert found.state_share == pytest.approx(share, abs=0.1)
    short = log_y[:300]
    filtered = particle_filter(short, found.model, n_particles=1000, rng=rng)
    error = np.mean((filtered.means - state[:300]) ** 2)
    raw = short - special.digamma(degrees / 2) + np.log(degrees / 2)
    assert error < 0.9 * min(np.mean((raw - state[:300]) ** 2), state[:300].var())
    best = particle_filter(short, truth, n_particles=1000, rng=rng)
    assert error < 1.3 * np.mean((best.means - state[:300]) ** 2)
    given = fit_stochastic_volatility(log_y, degrees=degrees)
    assert given.model.degrees == degrees
    assert given.loglik <= found.loglik + 1e-3


def test_volatility_fit_refuses_a_boundary(rng):
    # white noise of less variance than the given noise has room for no state
    with pytest.raises(ConvergenceError, match="boundary"):
        fit_stochastic_volatility(0.3 * rng.standard_normal(256), degrees=1.0)


# Number of regimes


@pytest.mark.parametrize("lags", [0, 1])
def test_likelihood_ratio_is_that_of_statsmodels(lags, rng):
    series = FEDFUNDS if lags == 0 else simulate_regimes(256, PLANTED, rng=rng)[0]
    ours = switching.likelihood_ratios(series[:, None], lags=lags, n_iterations=300)[0]
    if lags == 0:
        theirs = fit_switching(series, n_starts=4, rng=rng).loglik
        one = stats.norm.logpdf(series, series.mean(), series.std()).sum()
    else:
        z, x = series[1:], series[:-1]
        model = MarkovRegression(z, k_regimes=2, exog=x, switching_exog=False, switching_variance=True)
        start = [0.9, 0.1, 1.0, 2.5, 0.05, 0.4, 1.2]
        theirs = model.fit(start, em_iter=0, maxiter=500, cov_type="none").llf
        slope, intercept = np.polyfit(x, z, 1)
        left = z - intercept - slope * x
        one = stats.norm.logpdf(left, 0, left.std()).sum()
    # EM takes the first regime as free of the transition, which costs a little
    assert ours == pytest.approx(2 * (theirs - one), abs=0.15)
    assert ours <= 2 * (theirs - one) + 1e-6


def test_likelihood_of_the_fast_recursion_is_exact(rng):
    log_y, _ = simulate_regimes(120, PLANTED, rng=rng)
    values = (*PLANTED.means, *PLANTED.variances, 0.05, 0.9, 0.0)
    state = tuple(np.full((1, 1), v) for v in values)
    z = log_y[:, None, None]
    loglik, smoothed, moved, chances = switching._forward_backward(z, np.zeros_like(z), state)
    assert loglik[0, 0] == pytest.approx(filtered_probabilities(log_y, PLANTED).loglik, abs=1e-9)
    exact = smoothed_probabilities(log_y, PLANTED).probabilities
    np.testing.assert_allclose(smoothed[:, 0, 0], exact[:, 1], atol=1e-12)
    assert sum(m[0, 0] for m in moved) == pytest.approx(exact[1:, 1].sum())
    assert [c[0, 0] for c in chances] == pytest.approx(exact[:-1].sum(0))


def test_number_of_regimes_depends_on_shape_and_seed_alone():
    log_y, _ = simulate_regimes(100, RegimeParams([0, 1], [1, 1], SWITCH), rng=np.random.default_rng(0))
    tests = [
        number_of_regimes(series, n_bootstrap=39, n_iterations=30, rng=np.random.default_rng(seed))
        for series, seed in ((log_y, 1), (log_y, 1), (3 - 40 * log_y, 1), (log_y, 2))
    ]
    assert tests[0].pvalue == tests[1].pvalue
    assert tests[2].statistic == pytest.approx(tests[0].statistic, abs=0.5)
    assert tests[3].statistic == tests[0].statistic
    assert "autoregression of order 1" in tests[0].null
    assert tests[0].n_resamples == 39


WORLDS = {
    "white": lambda rng: rng.standard_normal(128),
    "autoregression": lambda rng: autoregression(128, 0.6, rng),
    "levels": lambda rng: simulate_regimes(128, RegimeParams([0, 2], [1, 1], SWITCH), rng=rng)[0],
    "variances": lambda rng: simulate_regimes(128, RegimeParams([0, 0], [1, 9], SWITCH), rng=rng)[0],
}


def rejections(world, lags, n, rng):
    tests = (number_of_regimes(WORLDS[world](rng), lags=lags, n_bootstrap=99, rng=rng) for _ in range(n))
    return sum(test.pvalue <= 0.05 for test in tests)


@pytest.mark.parametrize(("world", "lags"), [("white", 0), ("white", 1), ("autoregression", 1)])
@pytest.mark.parametrize("n", [20, pytest.param(1000, marks=pytest.mark.full)])
def test_number_of_regimes_holds_its_size(world, lags, n, rng):
    count = rejections(world, lags, n, rng)
    assert compatible(count, n, 0.05, "greater")
    if n == 1000:
        assert 0.02 <= count / n <= 0.08


@pytest.mark.parametrize("world", ["levels", "variances"])
@pytest.mark.parametrize("n", [10, pytest.param(300, marks=pytest.mark.full)])
def test_number_of_regimes_finds_planted_regimes(world, n, rng):
    assert rejections(world, 1, n, rng) >= 0.75 * n


def test_number_of_regimes_takes_dependence_for_regimes_without_lags(rng):
    """Negative control: one regime that is an autoregression, tested against white noise."""
    assert compatible(rejections("autoregression", 0, 8, rng), 8, 0.97)


def test_number_of_regimes_takes_longer_memory_for_regimes(rng):
    """The limit that the docstring states: one regime with two lags."""
    noise = rng.standard_normal((10, 456))
    series = signal.lfilter([1], [1, -0.3, -0.3], noise, axis=1)[:, 200:]
    found = [number_of_regimes(y, n_bootstrap=39, rng=rng).pvalue <= 0.05 for y in series]
    assert not compatible(sum(found), 10, 0.05, "greater")


@pytest.mark.parametrize("lags", [0, 1])
def test_ratio_is_not_chi_square(lags, rng):
    """Two regimes have four parameters more than one; a chi-square with four degrees rejects too often."""
    ratios = switching.likelihood_ratios(rng.standard_normal((128, 300)), lags=lags, n_iterations=100)
    assert not compatible((stats.chi2.sf(ratios, 4) <= 0.05).sum(), 300, 0.05, "greater")


# Change points and events


def test_change_points_are_where_the_regime_changes_and_stays():
    path = np.r_[np.zeros(20), np.ones(15), np.zeros(3), np.ones(12), np.zeros(30), np.ones(4)]
    assert change_points(path, minimum_run=8).tolist() == [20, 50]
    assert change_points(path, minimum_run=3).tolist() == [20, 35, 38, 50, 80]
    assert change_points(1 - path, minimum_run=8).tolist() == [20, 50]
    assert change_points(path[::-1], minimum_run=8).tolist() == [34, 64]
    assert change_points(np.r_[np.ones(3), path], minimum_run=8).tolist() == [23, 53]
    assert change_points(np.full(30, 0.5)).tolist() == []
    assert change_points([], minimum_run=1).tolist() == []


def test_change_points_of_a_planted_series_are_near_the_truth(rng):
    slow = RegimeParams([0.0, 3.0], [1.0, 1.0], [[0.99, 0.01], [0.01, 0.99]])
    log_y, truth = simulate_regimes(1000, slow, rng=rng)
    planted = change_points(truth.astype(float))
    smoothed = smoothed_probabilities(log_y, slow).probabilities[:, 1]
    found = change_points(smoothed)
    assert planted.size >= 4
    assert np.mean([np.abs(found - c).min() <= 2 for c in planted]) >= 0.9
    assert np.mean([np.abs(planted - c).min() <= 2 for c in found]) >= 0.9


def problems(rng, n, *, clustered, planted=0.0, steps=200):
    """Change points and events of n problems; a share of the change points stands 2 steps after an event."""
    changes, events = [], []
    for _ in range(n):
        if clustered:
            events.append(np.roll(np.arange(steps) < 60, rng.integers(steps)) & (rng.random(steps) < 0.3))
            changes.append(np.unique((rng.integers(steps) + rng.integers(0, 30, 5)) % steps))
        else:
            events.append(rng.random(steps) < 0.05)
            changes.append(rng.choice(steps, 3, replace=False))
        near = (np.flatnonzero(events[-1]) + 2) % steps
        if near.size:
            moved = rng.random(changes[-1].size) < planted
            changes[-1] = np.where(moved, rng.choice(near, changes[-1].size), changes[-1])
    return changes, events


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("n", [100, pytest.param(2000, marks=pytest.mark.full)])
def test_event_test_holds_its_size(clustered, n, rng):
    drawn = (problems(rng, 10, clustered=clustered) for _ in range(n))
    found = sum(event_test(*one, n_shifts=199, rng=rng).pvalue <= 0.05 for one in drawn)
    # a count of few change points has ties, which only make the test conservative
    assert compatible(found, n, 0.05, "greater")
    assert found >= 0.02 * n or n < 2000


def test_event_test_of_clusters_is_fooled_if_change_points_move_singly(rng):
    """Negative control of the null: change points that are shuffled one by one reject far too often."""
    false = 0
    for _ in range(80):
        steps, events = problems(rng, 10, clustered=True)
        singly = [np.array([c]) for problem in steps for c in problem]
        theirs = [e for problem, e in zip(steps, events, strict=True) for _ in problem]
        false += event_test(singly, theirs, n_shifts=199, rng=rng).pvalue <= 0.05
    assert not compatible(false, 80, 0.05, "greater")


def test_event_test_takes_a_common_place_for_coincidence(rng):
    """The limit that the docstring states: both pile up, independently, in the last fifth of problems."""
    steps = [rng.integers(160, 200, 3) for _ in range(20)]
    events = [np.isin(np.arange(200), rng.integers(160, 200, 4)) for _ in range(20)]
    assert event_test(steps, events, n_shifts=199, rng=rng).pvalue <= 0.01


@pytest.mark.parametrize("clustered", [False, True])
def test_event_test_has_power(clustered, rng):
    drawn = (problems(rng, 20, clustered=clustered, planted=0.5) for _ in range(60))
    assert np.mean([event_test(*one, n_shifts=199, rng=rng).pvalue <= 0.05 for one in drawn]) >= 0.8


def test_event_test_counts_and_enumerates():
    events = np.zeros(50, bool)
    events[[10, 49]] = True
    found = event_test(np.array([6, 15, 2, 30]), events, window=4, rng=np.random.default_rng(0))
    assert found.statistic == 0.5  # 6 is four before 10; 2 is three after 49, around the circle
    # one change point beside the one event of fifty steps: 9 of the 50 shifts do as well
    alone, one, none = np.arange(50) == 10, np.array([12]), np.array([], int)
    for changes, pvalue in (([one], 9 / 50), ([one, one], (9 / 50) ** 2), ([one, none], 9 / 50)):
        many = [alone] * len(changes)
        found = event_test(changes, many, window=4, n_shifts=20_000, rng=np.random.default_rng(0))
        assert found.pvalue == pytest.approx(pvalue, abs=0.01 if pvalue > 0.1 else 0.005)


# Refusals


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": [0.0]}, "shapes"),
        ({"variances": [1.0, 1.0, 1.0]}, "shapes"),
        ({"means": [0.0, np.nan]}, "must be finite"),
        ({"variances": [1.0, 0.0]}, "positive"),
        ({"variances": [1.0, np.inf]}, "positive"),
        ({"transition": [[0.9, 0.2], [0.1, 0.9]]}, "row 0 of transition"),
        ({"transition": [[0.9, 0.1], [1.1, -0.1]]}, "row 1 of transition"),
        ({"transition": np.eye(2)}, "no unique stationary"),
        ({"initial": [1.0]}, "initial has shape"),
        ({"initial": [0.5, 0.6]}, "initial is"),
    ],
)
def test_params_say_what_is_wrong(change, words):
    good = {"means": [0.0, 1.0], "variances": [1.0, 1.0], "transition": SWITCH}
    with pytest.raises(ValueError, match=words):
        RegimeParams(**(good | change))


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (np.zeros(63) + np.arange(63), "63 steps; at least 64"),
        (np.full(100, 3.0), "constant"),
        (np.r_[np.arange(99.0), np.nan], "1 NaN or infinite values, first at index .99"),
        (np.zeros((100, 2)), r"shape \(100, 2\)"),
    ],
)
@pytest.mark.parametrize(
    ("estimate", "options"),
    [(fit_switching, {"rng": 0}), (number_of_regimes, {"rng": 0}), (fit_stochastic_volatility, {})],
)
def test_estimates_refuse_a_series_that_cannot_carry_them(series, words, estimate, options):
    with pytest.raises(ValueError, match=words):
        estimate(series, **options)


SERIES, EVENTS, RNG = np.sin(np.arange(100.0) ** 2), np.arange(20) == 3, np.random.default_rng(0)


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("NaN or infinite", lambda: filtered_probabilities([0.0, np.nan], PLANTED)),
        ("expected .T,", lambda: filtered_probabilities([], PLANTED)),
        ("density zero under every regime", lambda: filtered_probabilities([1e10], NARROW)),
        ("at least one step", lambda: simulate_regimes(0, PLANTED, rng=RNG)),
        ("n_starts 0", lambda: fit_switching(SERIES, n_starts=0, rng=RNG)),
        ("lags is 2", lambda: number_of_regimes(SERIES, lags=2, rng=RNG)),
        ("n_bootstrap 5", lambda: number_of_regimes(SERIES, n_bootstrap=5, rng=RNG)),
        ("n_particles is 1", lambda: particle_filter(SERIES, RegimeModel(PLANTED), n_particles=1, rng=RNG)),
        ("no particle explains step 1", lambda: particle_filter([0.0, 1e9], UNIT, n_particles=10, rng=RNG)),
        ("phi 1.0", lambda: StochasticVolatility(0.0, 1.0, 1.0)),
        (r"degrees \(1.0, -1.0\)", lambda: StochasticVolatility(0.0, 0.5, 1.0, -1.0)),
        ("degrees 0", lambda: fit_stochastic_volatility(SERIES, degrees=0)),
        ("those of one regime", lambda: change_points(np.full((9, 2), 0.5))),
        ("minimum_run is 0", lambda: change_points([0.5], minimum_run=0)),
        ("expected bool", lambda: event_test(np.array([1]), np.arange(20), rng=RNG)),
        ("width of the window", lambda: event_test(np.array([1]), EVENTS, window=10, rng=RNG)),
        ("integer steps", lambda: event_test(np.array([20]), EVENTS, rng=RNG)),
        ("found 0 and 1", lambda: event_test(np.array([], int), EVENTS, rng=RNG)),
        ("1 lists of change points for 2", lambda: event_test([np.array([1])], [EVENTS] * 2, rng=RNG)),
    ],
)
def test_other_functions_say_what_is_wrong(words, call):
    with pytest.raises(ValueError, match=words):
        call()

"""What is divided out before clustering is tested: planted profiles, ragged lengths, refusals."""

import numpy as np
import pytest
import statsmodels.api as sm
from builders import compatible, three_seeds
from zspace.series import volatility
from zspace.series.volatility import planted, profiles


def problems(rng, n=20, *, profile=lambda t: 1.0, draw=None):
    """n problems of unequal length and scale that share a position profile."""
    draw = draw or (lambda steps: rng.exponential(size=steps))
    lengths = rng.integers(70, 200, n)
    return [rng.lognormal(0, 1) * profile(np.arange(steps)) * draw(int(steps)) for steps in lengths]


def decline(t):
    return 1 + 4 * np.exp(-t / 30)


def mem(rng):
    return lambda n: planted.simulate_mem(n, omega=0.1, garch_alpha=0.1, garch_beta=0.8, rng=rng)


def rejections(rng, n_runs, treat, **options):
    """How many of the runs are rejected, before and after a treatment."""
    found = np.zeros(2)
    for _ in range(n_runs):
        series = problems(rng, **options)
        found += [
            volatility.pooled_test(given, n_shuffles=99, rng=rng).pvalue <= 0.05
            for given in (series, treat(series))
        ]
    return found


def test_shared_profile_looks_like_clustering_before_removal_and_not_after(rng):
    before, after = rejections(rng, 40, profiles.remove_position_profile, profile=decline)
    assert before == 40
    assert compatible(after, 40, 0.05)


def test_removal_keeps_the_size_where_there_is_no_profile_and_the_power_where_there_is_clustering(rng):
    before, after = rejections(rng, 40, profiles.remove_position_profile)
    for rejected in (before, after):
        assert compatible(rejected, 40, 0.05)
    _, after = rejections(rng, 15, profiles.remove_position_profile, profile=decline, draw=mem(rng))
    assert after >= 14


@pytest.mark.full
def test_removal_keeps_the_size_in_long_simulations(rng):
    for n in (10, 30):
        found = rejections(rng, 400, profiles.remove_position_profile, profile=decline, n=n)
        assert found[1] / 400 == pytest.approx(0.05, abs=0.03)


@three_seeds
def test_removal_leaves_mean_one_in_each_problem_and_at_each_position(rng):
    series = problems(rng, profile=decline)
    left = profiles.remove_position_profile(series)
    assert [u.size for u in left] == [y.size for y in series]
    np.testing.assert_allclose([u.mean() for u in left], 1)
    reached = min(u.size for u in left)
    np.testing.assert_allclose(np.mean([u[:reached] for u in left], axis=0), 1, atol=1e-8)


@three_seeds
def test_removal_recovers_noise_without_scale_and_profile(rng):
    """Noise that has mean 1 in every problem and position by construction comes back as it was."""
    noise = rng.exponential(size=(24, 100))
    for _ in range(500):
        noise /= noise.mean(0)
        noise /= noise.mean(1, keepdims=True)
    series = [rng.lognormal(0, 2) * decline(np.arange(100)) * row for row in noise]
    np.testing.assert_allclose(profiles.remove_position_profile(series), noise, rtol=1e-6)


def test_lengths_that_follow_the_scale_are_not_taken_for_a_profile(rng):
    """Long problems of large scale: a plain mean over problems would rise where the short ones end."""
    many = [(1.0, 80)] * 15 + [(50.0, 160)] * 15
    series = [scale * rng.exponential(size=steps) for scale, steps in many]
    left = profiles.remove_position_profile(series)
    ratio = [u[:80].mean() / u[80:].mean() for u in left[15:]]
    assert np.mean(ratio) == pytest.approx(1, abs=0.15)
    naive = [y[:80].mean() / 25.5 / (y[80:].mean() / 50) for y in series[15:]]
    assert np.mean(naive) > 1.5  # negative control


def test_positions_that_few_problems_reach_share_a_value(rng):
    series = [rng.exponential(size=80) for _ in range(12)] + [rng.exponential(size=115)]
    left = profiles.remove_position_profile(series)
    tail = left[-1][80:]
    assert tail.std() > 0.3  # alone at its positions, each would have become exactly 1
    assert tail[:10].mean() == pytest.approx(1)
    assert profiles._position_bins(np.array([3] * 10 + [16])).tolist() == [0, 1, 2] + [3] * 13
    assert profiles._position_bins(np.array([2] * 10 + [12, 12])).tolist() == [0, 1] + [2] * 5 + [3] * 5


def explained(rng, n=20):
    """Log energies that class and surprisal explain, and clustering in neither."""
    series, classes, surprisal = [], [], []
    for steps in rng.integers(80, 160, n):
        label = np.array(["digit", "word", "symbol"])[(np.arange(steps) // 12) % 3]
        surprise = 2 + np.sin(np.arange(steps) / 9) + 0.3 * rng.standard_normal(steps)
        log_mean = 0.8 * (label == "digit") + 0.6 * surprise - 0.004 * np.arange(steps)
        series.append(rng.lognormal(0, 1) * np.exp(log_mean) * rng.exponential(size=steps))
        classes.append(label)
        surprisal.append(surprise)
    return series, classes, surprisal


def test_class_and_surprisal_look_like_clustering_before_residualising_and_not_after(rng):
    found = np.zeros(2)
    for _ in range(30):
        series, *causes = explained(rng)
        for k, given in enumerate((series, profiles.residualise(series, *causes))):
            found[k] += volatility.pooled_test(given, n_shuffles=99, rng=rng).pvalue <= 0.05
    assert found[0] == 30
    assert found[1] <= 5


@three_seeds
def test_residualise_equals_least_squares_with_a_column_for_each_problem(rng):
    series, classes, surprisal = explained(rng)
    problem = np.repeat(np.arange(20), [y.size for y in series])
    step = np.concatenate([np.arange(1, y.size + 1) for y in series])
    label = np.concatenate(classes)
    columns = [problem[:, None] == np.arange(20), label == "digit", label == "symbol"]
    columns += [np.concatenate(surprisal), step, np.log(step)]
    fit = sm.OLS(np.log(np.concatenate(series)), np.column_stack(columns).astype(float)).fit()
    left = profiles.residualise(series, classes, surprisal)
    np.testing.assert_allclose([u.mean() for u in left], 1)
    for i, u in enumerate(left):
        np.testing.assert_allclose(np.log(u) - np.log(u).mean(), fit.resid[problem == i], atol=1e-8)


def test_residualise_keeps_clustering(rng):
    series = problems(rng, draw=mem(rng))
    classes = [rng.choice(list("ab"), y.size) for y in series]
    surprisal = [rng.exponential(size=y.size) for y in series]
    left = profiles.residualise(series, classes, surprisal)
    assert volatility.pooled_test(left, n_shuffles=99, rng=rng).pvalue == 0.01


def test_what_does_not_fit_is_refused(rng):
    series, classes, surprisal = explained(rng, 12)
    cases = [
        (profiles.remove_position_profile, (series[:9],), "found 9 series"),
        (profiles.remove_position_profile, ([*series, series[0][:40]],), "series 12 has shape"),
        (profiles.remove_position_profile, ([*series, np.r_[0, series[0]]],), "series 12 is 0.0* ?at step 0"),
        (profiles.residualise, (series, classes[:-1], surprisal), "11 lists for 12"),
        (profiles.residualise, (series, classes, [*surprisal[:-1], surprisal[-1][:-1]]), "series 11 has"),
        (profiles.residualise, (series, classes, [s * np.nan for s in surprisal]), "NaN"),
    ]
    for function, given, words in cases:
        with pytest.raises(ValueError, match=words):
            function(*given)


def test_a_profile_that_does_not_settle_says_so(monkeypatch, rng):
    monkeypatch.setattr(profiles, "range", lambda n: range(1), raising=False)
    with pytest.raises(profiles.ConvergenceError, match="still moves by"):
        profiles.remove_position_profile(problems(rng, profile=decline))

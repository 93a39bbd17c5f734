"""MEM(1,1) and tests of clustering: arch and published estimates as oracles, size, power, wrong ways."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from arch import arch_model
from builders import compatible, three_seeds
from scipy import stats
from scipy.signal import lfilter
from statsmodels.regression.linear_model import OLS
from zspace.errors import ConvergenceError, MeasureError
from zspace.series import volatility
from zspace.series.volatility import mem, planted

ORACLES = yaml.safe_load((Path(__file__).parent / "oracles" / "volatility.yaml").read_text())
MARKETS = ["sp500", "nasdaq", "wti", "vix", "crude", "frenchdata", "core_cpi"]


def market(name):
    """Demeaned percentage changes of a series that arch ships."""
    table = importlib.import_module(f"arch.data.{name}").load()
    column = {"sp500": "Adj Close", "nasdaq": "Adj Close", "crude": "WTI", "frenchdata": "Mkt-RF"}.get(name)
    values = (table[column] if column else table.iloc[:, 0]).dropna().to_numpy(float)
    if name != "frenchdata":  # those are returns already
        values = 100 * np.diff(np.log(values[values > 0]))
    return values - values.mean()


def clustered(rng, shape=256, garch_alpha=0.1, garch_beta=0.8, **options):
    world = {"omega": 1 - garch_alpha - garch_beta, "garch_alpha": garch_alpha, "garch_beta": garch_beta}
    return planted.simulate_mem(shape, **world, **options, rng=rng)


def recursion(y, omega, garch_alpha, garch_beta):
    """mu_t in a plain loop, from the past that arch takes: an exponentially weighted mean of 75 steps."""
    weights = 0.94 ** np.arange(min(75, y.size))
    mean = [omega + (garch_alpha + garch_beta) * (weights @ y[: weights.size]) / weights.sum()]
    for value in y[:-1]:
        mean.append(omega + garch_alpha * value + garch_beta * mean[-1])
    return np.array(mean)


def rejected(test, many, **options):
    """How many of the series a test rejects at 5 %."""
    return sum(test(y, **options).pvalue <= 0.05 for y in many)


def parameters(fit):
    return np.array([fit.omega, fit.garch_alpha, fit.garch_beta])


@pytest.mark.parametrize("name", MARKETS)
def test_fit_mem_equals_arch_on_returns(name):
    returns = market(name)
    direct = arch_model(returns, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    direct = direct.fit(disp="off", options={"ftol": 1e-12})
    found, unit = volatility.fit_mem(returns**2), np.array([np.mean(returns**2), 1, 1])
    np.testing.assert_allclose(parameters(found) / unit, direct.params / unit, rtol=0, atol=1e-5)
    assert found.loglik == pytest.approx(direct.loglikelihood, rel=1e-8)
    assert found.loglik >= direct.loglikelihood - 1e-6
    np.testing.assert_allclose(found.conditional_mean, direct.conditional_volatility**2, rtol=1e-3)
    assert found.beta_tstat == pytest.approx(direct.tvalues["beta[1]"], rel=1e-2)
    # and the optimum is not that of a lucky start
    alone = volatility.fit_mem(returns**2, n_starts=1)
    np.testing.assert_allclose(parameters(alone)[1:], parameters(found)[1:], rtol=0, atol=3e-6)


@three_seeds
def test_gaussian_likelihood_is_half_the_exponential_one_and_a_constant(rng):
    y = clustered(rng, 500)
    fit = volatility.fit_mem(y)
    for values in (parameters(fit), (0.3, 0.2, 0.4), (0.05, 0.0, 0.9)):
        mean = recursion(y, *values)
        exponential = stats.expon.logpdf(y, scale=mean).sum()
        gaussian = stats.norm.logpdf(np.sqrt(y), scale=np.sqrt(mean)).sum()
        assert gaussian == pytest.approx(exponential / 2 - y.size / 2 * np.log(2 * np.pi), abs=1e-8)
        squares = stats.gamma.logpdf(y, 0.5, scale=2 * mean).sum()  # y = r^2 with r Gaussian
        assert gaussian - np.log(y).sum() / 2 == pytest.approx(squares, abs=1e-8)
        # no parameters have a higher likelihood than the fitted ones
        assert gaussian <= fit.loglik + 1e-6
    np.testing.assert_allclose(fit.conditional_mean, recursion(y, *parameters(fit)), rtol=1e-8)


@three_seeds
def test_fit_mem_is_at_the_maximum_of_a_brute_force_exponential_likelihood(rng):
    y = clustered(rng, 300, 0.2, 0.6)
    best = parameters(volatility.fit_mem(y))

    def loss(values):
        mean = recursion(y, *np.maximum(values, 0))
        return (np.log(mean) + y / mean).sum()

    directions = np.vstack([np.eye(3), np.random.default_rng(9).standard_normal((20, 3))])
    moved = [best + step * direction for direction in directions for step in (-1e-3, 1e-3)]
    assert min(map(loss, moved)) > loss(best) - 1e-9


@three_seeds
def test_fit_mem_does_not_depend_on_signs_or_units(rng):
    signs = rng.choice([-1.0, 1.0], 400)
    root = np.sqrt(clustered(rng, 400))
    plain, flipped = volatility.fit_mem(root**2), volatility.fit_mem((signs * root) ** 2)
    for name in ("omega", "garch_alpha", "garch_beta", "loglik", "beta_tstat"):
        assert getattr(plain, name) == pytest.approx(getattr(flipped, name), abs=1e-10)
    scaled = volatility.fit_mem(2.0**40 * root**2)
    assert scaled.omega == pytest.approx(2.0**40 * plain.omega, rel=1e-9)
    assert scaled.garch_alpha == pytest.approx(plain.garch_alpha, rel=1e-9)
    assert scaled.loglik == pytest.approx(plain.loglik - 200 * np.log(2.0**40), rel=1e-9)
    np.testing.assert_allclose(scaled.conditional_mean, 2.0**40 * plain.conditional_mean, rtol=1e-9)
    # negative control: the order of the steps does matter
    assert volatility.fit_mem(rng.permutation(root**2)).loglik != pytest.approx(plain.loglik, abs=1e-3)


def test_fit_mem_recovers_the_published_estimates_within_their_standard_errors(rng):
    oracle = ORACLES["dem_gbp"]
    names = ("omega", "garch_alpha", "garch_beta")
    truth, se = (np.array([oracle[n][k] for n in names]) for k in ("estimate", "se"))
    world = dict(zip(names, truth, strict=True))
    many = planted.simulate_mem((12, oracle["steps"]), **world, innovations="chi2", rng=rng)
    fits = np.array([parameters(fit) for fit in map(volatility.fit_mem, many)])
    assert (np.abs(fits.mean(0) - truth) < 3 * se / np.sqrt(12)).all()
    assert (fits.std(0, ddof=1) < 2 * se).all()
    assert (fits.std(0, ddof=1) > se / 2).all()


def test_fit_mem_keeps_the_best_start(rng):
    y = clustered(rng)
    assert volatility.fit_mem(y, n_starts=7).loglik >= volatility.fit_mem(y, n_starts=1).loglik


def test_fit_mem_says_when_no_start_converges(monkeypatch, rng):
    step = mem._step
    monkeypatch.setattr(mem, "_step", lambda model, start, **_: step(model, start, maxiter=1))
    with pytest.raises(ConvergenceError, match="5 of 5 fits of the MEM did not converge"):
        volatility.fit_mem(rng.exponential(size=256))


@pytest.mark.parametrize("innovations", ["exponential", "chi2", "lognormal"])
def test_simulate_mem_has_the_planted_mean_and_autocorrelations(innovations, rng):
    world = {"omega": 0.6, "garch_alpha": 0.1, "garch_beta": 0.6, "innovations": innovations}
    y = planted.simulate_mem((40, 5000), **world, rng=rng)
    assert y.shape == (40, 5000)
    assert y.mean() == pytest.approx(0.6 / 0.3, rel=0.02)
    e = y - y.mean()
    found = [(e[:, k:] * e[:, :-k]).mean() / e.var() for k in (1, 2, 5)]
    first = 0.1 * (1 - 0.6 * 0.7) / (1 - 2 * 0.1 * 0.6 - 0.6**2)  # ARMA(1,1) of the MEM
    assert found == pytest.approx([first, first * 0.7, first * 0.7**4], abs=0.03)
    assert planted.simulate_mem(70, omega=1, garch_alpha=0, garch_beta=0, rng=rng).shape == (70,)


def test_simulate_mem_is_stationary_from_its_first_step(rng):
    first = planted.simulate_mem((20_000, 1), omega=0.2, garch_alpha=0.3, garch_beta=0.5, rng=rng)[:, 0]
    # E mu^2 of a MEM with exponential innovations and mean 1; y then has E y^2 = 2 E mu^2
    mean_square = (0.2**2 + 2 * 0.2 * 0.8) / (1 - 2 * 0.3**2 - 2 * 0.3 * 0.5 - 0.5**2)
    assert first.var() == pytest.approx(2 * mean_square - 1, rel=0.15)  # 1.67, and 1 without burn-in


@three_seeds
def test_sup_score_equals_the_derivative_of_the_likelihood_at_no_clustering(rng):
    """The unstandardised score is the numerical derivative of the exponential likelihood in garch_alpha."""
    y = rng.exponential(size=100)
    unit, standardised = y.mean(), []
    for decay in mem.DECAYS:

        def loglik(garch_alpha, decay=decay):
            mean = [unit]
            for value in y[:-1]:  # the intercept that keeps the stationary mean where it is
                mean.append(unit * (1 - garch_alpha - decay) + garch_alpha * value + decay * mean[-1])
            return -(np.log(mean) + y / np.array(mean)).sum()

        derivative = (loglik(1e-6) - loglik(-1e-6)) / 2e-6
        spread = np.sqrt(sum((99 - k) * decay ** (2 * k) for k in range(99)))
        standardised.append(derivative / ((y / unit).var() * spread))
    found = volatility.sup_score_test(y, n_shuffles=19, rng=rng)
    assert found.statistic == pytest.approx(max(standardised), abs=1e-6)
    assert found.n_resamples == 19
    assert "exchangeable" in found.null


@pytest.mark.parametrize("innovations", ["exponential", "lognormal"])
def test_sup_score_test_has_its_size_without_order(innovations, rng):
    options = {"innovations": innovations, "n_simulations": 300, "n_shuffles": 99, "rng": rng}
    found = planted.power_curve([128], garch_alpha=0, garch_beta=0, **options)
    assert compatible(round(300 * found.sup_score[0]), 300, 0.05)


def test_sup_score_test_has_power_above_ljung_box():
    options = {"innovations": "chi2", "n_shuffles": 99, "rng": np.random.default_rng(4)}
    found = planted.power_curve([128, 256], garch_alpha=0.1, garch_beta=0.8, **options)
    assert found.sup_score[1] >= 0.65
    assert (found.sup_score > found.ljung_box).all()
    assert found.sup_score[1] > found.sup_score[0]
    assert found.lengths.tolist() == [128, 256]


@pytest.mark.full
@pytest.mark.parametrize("innovations", ["exponential", "chi2", "lognormal"])
def test_sup_score_test_size_and_power_in_long_simulations(innovations):
    options = {"innovations": innovations, "n_simulations": 1000, "n_shuffles": 199}
    options["rng"] = np.random.default_rng(5)
    size = planted.power_curve([64, 128, 256, 512], garch_alpha=0, garch_beta=0, **options)
    power = planted.power_curve([128, 256, 512], garch_alpha=0.1, garch_beta=0.8, **options)
    assert size.sup_score == pytest.approx(np.full(4, 0.05), abs=0.025)
    assert power.sup_score[1] >= 0.65
    assert (power.sup_score > power.ljung_box).all()


def classed(rng, steps=200):
    """No clustering, but two token classes of unequal means that come in runs."""
    classes = np.array(["digit", "word"])[(np.arange(steps) // rng.integers(8, 15)) % 2]
    return rng.exponential(size=steps) * np.where(classes == "digit", 4.0, 1.0), classes


def test_classes_that_come_in_runs_are_not_taken_for_clustering(rng):
    with_classes = without = 0
    for _ in range(100):
        y, classes = classed(rng)
        with_classes += volatility.sup_score_test(y, classes=classes, n_shuffles=99, rng=rng).pvalue <= 0.05
        without += volatility.sup_score_test(y, n_shuffles=99, rng=rng).pvalue <= 0.05
    assert compatible(with_classes, 100, 0.05)
    assert without > 67  # negative control


def test_classes_do_not_hide_clustering(rng):
    classes = rng.choice(list("abc"), 256)
    level = np.select([classes == "a", classes == "b"], [1.0, 5.0], 20.0)
    many = level * clustered(rng, (60, 256))
    assert rejected(volatility.sup_score_test, many, classes=classes, n_shuffles=99, rng=rng) >= 36


def test_sup_score_test_depends_on_the_seed_alone_and_not_on_units(rng):
    y, classes = classed(rng)
    first, again, other, scaled = (
        volatility.sup_score_test(c * y, classes=classes, n_shuffles=99, rng=np.random.default_rng(s))
        for s, c in ((1, 1), (1, 1), (2, 1), (1, 4096))
    )
    assert first == again
    assert first.pvalue == scaled.pvalue
    assert first.statistic == pytest.approx(scaled.statistic)
    assert first.statistic == other.statistic
    assert first.pvalue != other.pvalue


def iaaft(y, rng, rounds=30):
    """Surrogate with the values and, nearly, the spectrum of y."""
    amplitude, ordered, x = np.abs(np.fft.rfft(y)), np.sort(y), rng.permutation(y)
    for _ in range(rounds):
        x = np.fft.irfft(amplitude * np.exp(1j * np.angle(np.fft.rfft(x))), y.size)
        x = ordered[np.argsort(np.argsort(x))]
    return x


def test_surrogates_with_the_spectrum_of_y_have_the_clustering_that_is_tested(rng):
    found, means = np.zeros(2), np.zeros(3)
    for y in clustered(rng, (20, 256)):
        by_shuffle = volatility.sup_score_test(y, n_shuffles=99, rng=rng)
        rows = np.vstack([y, [iaaft(y, rng) for _ in range(39)], [rng.permutation(y) for _ in range(39)]])
        scores = mem._sup_scores(rows / y.mean() - 1)
        found += by_shuffle.pvalue <= 0.05, (1 + (scores[1:40] >= scores[0]).sum()) / 40 <= 0.05
        means += scores[0], scores[1:40].mean(), scores[40:].mean()
    assert compatible(found[0], 20, 0.7)
    assert not compatible(found[1], 20, 0.7)
    assert means[1] > 0.8 * means[0]
    assert means[2] < 0.4 * means[0]


def test_t_statistic_of_beta_is_significant_without_any_order(rng):
    found = planted.garch_sizes(256, n_simulations=30, rng=rng)
    assert compatible(round(30 * found.beta), 30, 0.65)  # nominal: .025
    # only the naive reading falls
    assert compatible(round(30 * found.both), 30, 0.02)
    assert compatible(round(30 * found.likelihood_ratio), 30, 0.02)


@pytest.mark.full
def test_t_statistic_of_beta_is_no_better_with_length_or_starts():
    for steps, starts in ((256, 1), (256, 5), (1024, 1)):
        rng = np.random.default_rng(8)
        found = planted.garch_sizes(steps, n_simulations=400, n_starts=starts, rng=rng)
        assert 0.5 < found.beta < 0.8
        assert found.both < 0.05
        assert found.likelihood_ratio < 0.05


def test_readings_that_are_not_naive_find_clustering(rng):
    """The negative control of both sizes: series that follow a GARCH."""
    world = {"omega": 0.1, "garch_alpha": 0.2, "garch_beta": 0.7, "innovations": "chi2"}
    fits = [volatility.fit_mem(y, n_starts=1) for y in planted.simulate_mem((12, 512), **world, rng=rng)]
    assert sum(min(fit.alpha_tstat, fit.beta_tstat) > 1.96 for fit in fits) >= 9


def levels_of_sentences(rng, steps=140):
    """Labels of sentences of 7 to 19 steps, and their log-levels."""
    lengths = rng.integers(7, 20, steps)
    sentences = np.repeat(np.arange(steps), lengths)[:steps]
    return sentences, rng.standard_normal(steps)[sentences]


def mean_momenta(series_of, rng, n=60):
    """Mean momentum, and that within sentences, of n series made by series_of(sentences, levels, noise)."""
    found = []
    for _ in range(n):
        sentences, levels = levels_of_sentences(rng)
        y = series_of(sentences, levels, rng.lognormal(-0.5, 1, sentences.size))
        options = {"classes": np.arange(y.size) % 9 == 0, "n_shuffles": 29, "rng": rng}
        found.append((volatility.momentum(y, **options), volatility.momentum_within(y, sentences, **options)))
    return np.mean(found, axis=0)


def test_momentum_within_sentences_is_blind_to_what_shifts_levels(rng):
    """Heavy tails give neither; levels of sentences, trends and one shift give momentum alone."""
    time = np.linspace(-1, 1, 140)
    nothing = {
        "levels": lambda s, levels, e: e * np.exp(levels),
        "trend": lambda s, levels, e: e * np.exp(time * levels[0]),
        "shift": lambda s, levels, e: e * np.where(time < 0.5 * np.tanh(levels[0]), 1, 3.3),
    }
    for name, series_of in nothing.items():
        plain, inside = mean_momenta(series_of, rng)
        assert plain > 0.1, name
        assert abs(inside) < 0.05, name
    tails = mean_momenta(lambda s, levels, e: np.exp(rng.standard_t(4, e.size)), rng)
    assert np.abs(tails).max() < 0.03


def test_momentum_within_sentences_finds_persistence_and_ignores_scale(rng):
    def persistent(s, levels, e):
        return e * np.exp(1.5 * lfilter([0.5], [1, -0.85], rng.standard_normal(e.size)))

    assert mean_momenta(persistent, rng, 30)[1] > 0.09
    y, (sentences, _) = clustered(rng)[:140], levels_of_sentences(rng)
    one, other = (
        volatility.momentum_within(scale * y, sentences, n_shuffles=39, rng=np.random.default_rng(0))
        for scale in (1.0, 50.0)
    )
    assert one == pytest.approx(other, abs=1e-12)
    with pytest.raises(MeasureError, match="sentences have shape"):
        volatility.momentum_within(y, sentences[1:], rng=rng)
    with pytest.raises(MeasureError, match="0 steps that can be exchanged"):
        volatility.momentum_within(y, np.arange(140), rng=rng)


def test_momentum_is_zero_without_order_and_positive_with_it(rng):
    for steps in (64, 256):
        none = [volatility.momentum(y, rng=rng) for y in rng.lognormal(0, 1, (60, steps))]
        assert abs(np.mean(none)) < 3 * np.std(none) / np.sqrt(60)
    short, long = (
        np.mean([volatility.momentum(y, rng=rng) for y in clustered(rng, (100, n))]) for n in (128, 512)
    )
    assert 0.1 < short < 0.2
    assert 0 <= long - short < 0.06  # what is left of the bias of short series
    y = clustered(rng)
    one, other = (volatility.momentum(y, rng=np.random.default_rng(s)) for s in (1, 2))
    assert one == volatility.momentum(64 * y, rng=np.random.default_rng(1))
    assert one == pytest.approx(other, abs=0.02)
    assert one != other


def test_momentum_within_classes_ignores_runs_of_classes(rng):
    within, without = [], []
    for y, classes in (classed(rng) for _ in range(80)):
        within.append(volatility.momentum(y, classes=classes, rng=rng))
        without.append(volatility.momentum(y, rng=rng))
    assert abs(np.mean(within)) < 3 * np.std(within) / np.sqrt(80)
    assert np.mean(without) > 0.1  # negative control


def ragged(rng, n, draw):
    """n problems of unequal lengths and very unequal scales."""
    return [rng.lognormal(0, 2) * draw(int(steps)) for steps in rng.integers(64, 140, n)]


def test_pooled_test_has_size_and_power_where_a_single_problem_has_little(rng):
    found = np.zeros(3)
    for _ in range(30):
        null = ragged(rng, 8, lambda steps: rng.lognormal(0, 1, steps))
        series = ragged(rng, 8, lambda steps: clustered(rng, steps))
        drawn = [volatility.pooled_test(many, n_shuffles=99, rng=rng) for many in (null, series, series[:1])]
        found += [test.pvalue <= 0.05 for test in drawn]
    assert compatible(found[0], 30, 0.05)
    assert found[1] >= 27 > found[2] + 6


def test_concatenated_problems_of_unequal_scale_always_look_clustered(rng):
    joined = (np.concatenate(ragged(rng, 8, lambda n: rng.exponential(size=n))) for _ in range(40))
    assert rejected(volatility.sup_score_test, joined, n_shuffles=99, rng=rng) == 40


def test_pooled_test_is_the_mean_over_problems_and_uses_their_classes(rng):
    many = [classed(rng) for _ in range(6)]
    series, classes = zip(*many, strict=True)
    found = volatility.pooled_test(series, classes=classes, n_shuffles=99, rng=rng)
    each = [volatility.sup_score_test(y, classes=c, n_shuffles=19, rng=rng).statistic for y, c in many]
    assert found.statistic == pytest.approx(np.mean(each))
    assert found.pvalue > 0.05
    assert volatility.pooled_test(series, n_shuffles=99, rng=rng).pvalue == 0.01


@three_seeds
def test_ljung_box_and_lm_statistics_equal_their_definitions(rng):
    y = clustered(rng, 200)
    e = y - y.mean()
    r = np.array([e[k:] @ e[:-k] for k in range(1, 11)]) / (e @ e)
    box = volatility.ljung_box_test(y)
    assert box.statistic == pytest.approx(200 * 202 * (r**2 / (200 - np.arange(1, 11))).sum())
    assert box.pvalue == pytest.approx(stats.chi2.sf(box.statistic, 10))
    lagged = np.column_stack([np.ones(195), *(y[5 - k : -k] for k in range(1, 6))])
    lm = volatility.arch_lm_test(y, lags=5)
    assert lm.statistic == pytest.approx(195 * OLS(y[5:], lagged).fit().rsquared)
    assert lm.pvalue == pytest.approx(stats.chi2.sf(lm.statistic, 5))


def test_ljung_box_and_lm_have_size_and_power(rng):
    null, many = rng.exponential(size=(400, 256)), clustered(rng, (60, 256), 0.2, 0.7)
    for test in (volatility.ljung_box_test, volatility.arch_lm_test):
        assert rejected(test, null) / 400 == pytest.approx(0.05, abs=0.03)
        assert rejected(test, many) > 0.7 * 60


GOOD = np.sin(np.arange(80.0)) + 2


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (GOOD[:63], "T >= 64"),
        (GOOD.reshape(2, 40), "shape"),
        (np.full(80, 3.0), "constant"),
        (3 + 1e-7 * GOOD, "constant to rounding"),
        (np.where(np.arange(80) == 7, np.nan, GOOD), "nan at step 7"),
        (np.where(np.arange(80) == 7, np.inf, GOOD), "inf at step 7"),
        (GOOD - 2, "finite and >= 0"),
        (np.where(np.arange(80) > 70, 0, GOOD), "ends in zeros"),
        (np.zeros(80), "ends in zeros"),
    ],
)
def test_what_is_no_series_is_refused_by_all(y, words, rng):
    for refuse in (
        volatility.fit_mem,
        volatility.ljung_box_test,
        volatility.arch_lm_test,
        lambda y: volatility.sup_score_test(y, rng=rng),
        lambda y: volatility.momentum(y, rng=rng),
        lambda y: volatility.pooled_test([GOOD, y], rng=rng),
    ):
        with pytest.raises(ValueError, match=words):
            refuse(y)


def test_zeros_inside_a_series_are_values(rng):
    y = clustered(rng)
    y[::40] = 0
    assert np.isfinite(volatility.fit_mem(y).loglik)
    assert 0 < volatility.sup_score_test(y, n_shuffles=19, rng=rng).pvalue <= 1
    classes = np.where(np.arange(256) % 40 == 0, "silent", "other")  # a class of zeros only
    assert 0 < volatility.sup_score_test(y, classes=classes, n_shuffles=19, rng=rng).pvalue <= 1


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (np.zeros(79), r"of series 0 have shape .* expected \(80,\)"),
        (np.arange(80), "series 0 has 0 steps that can be exchanged"),
        (np.arange(80) % 2, "0.0e\\+00"),  # a series that its classes explain whole
    ],
)
def test_classes_that_leave_nothing_to_exchange_are_refused(classes, words, rng):
    y = np.where(np.arange(80) % 2 == 0, 1.0, 2.0)
    with pytest.raises(ValueError, match=words):
        volatility.pooled_test([y], classes=[classes], rng=rng)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: volatility.fit_mem(GOOD, n_starts=0), "n_starts"),
        (lambda: volatility.fit_mem(GOOD, n_starts=8), "1 to 7"),
        (lambda: volatility.sup_score_test(GOOD, n_shuffles=18, rng=RNG), "n_shuffles"),
        (lambda: volatility.ljung_box_test(GOOD, lags=0), "lags"),
        (lambda: volatility.arch_lm_test(GOOD, lags=21), "1 to 20"),
        (lambda: clustered(RNG, 80, 0.3, 0.7), "below 1"),
        (lambda: clustered(RNG, 80, -0.1, 0.7), ">= 0"),
        (lambda: clustered(RNG, 80, innovations="normal"), "innovations"),
        (lambda: volatility.pooled_test([], rng=RNG), "at least one"),
        (lambda: volatility.pooled_test([GOOD], classes=[], rng=RNG), "at least one"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()

"""Rank tests and speeds: statsmodels and published numbers as oracles, sizes and recoveries by simulation."""

import itertools
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders import compatible, put, three_seeds
from scipy import stats
from statsmodels.datasets import interest_inflation
from statsmodels.tsa.coint_tables import c_sjt
from statsmodels.tsa.vector_ar.vecm import VECM, coint_johansen
from zspace.errors import ParameterError
from zspace.series import cointegration as c
from zspace.series.cointegration import pooled, reduced_rank, trace_test
from zspace.series.cointegration.trace_test import traces

ORACLES = yaml.safe_load((Path(__file__).parent / "oracles" / "cointegration.yaml").read_text())
MESSY = {"problem_scale": 1.0, "layer_growth": 10.0, "common": 1.0}
pytestmark = pytest.mark.filterwarnings(
    "ignore:rank \\d exceeds|Pi differs between layers|\\d+ groups; below|found 120 steps|problems drift"
)


def walks(rng, *shape):
    return rng.standard_normal(shape).cumsum(-2)


def reverting(rng, shape, coefficient, scale=1.0):
    """Stationary first-order series (problems, layers, p), each from its own law."""
    shocks = scale * rng.standard_normal(shape)
    h = np.empty_like(shocks)
    h[:, 0] = shocks[:, 0] / np.sqrt(1 - coefficient**2)
    for t in range(1, shape[1]):
        h[:, t] = coefficient * h[:, t - 1] + shocks[:, t]
    return h


def within(rate, low=0.02, high=0.09):
    return low <= rate <= high


# one series


@pytest.mark.parametrize("case", ORACLES["toolbox"], ids=["trend", "constant"])
def test_johansen_equals_the_spatial_econometrics_toolbox(case):
    path = files("statsmodels.tsa.vector_ar.tests") / "Matlab_results" / "test_coint.csv"
    y, options = np.loadtxt(str(path)), {"det_order": case["det_order"], "k_ar_diff": case["k_ar_diff"]}
    with pytest.raises(ValueError, match=r"rejects \d+% of independent walks"):
        c.johansen(y, **options)
    with pytest.warns(UserWarning, match="expected about 5 %"):
        found = c.johansen(y, allow_distorted=True, **options)
    np.testing.assert_allclose(found.trace, case["trace"], rtol=1e-7)
    np.testing.assert_allclose(found.critical_values, case["critical"], atol=1e-4)
    assert found.rank == case["rank"]
    assert found.size > 0.2


def test_relation_and_loadings_of_german_rates_equal_jmulti():
    y, oracle = interest_inflation.load_pandas().data[["Dp", "R"]].to_numpy(), ORACLES["e6"]
    found = c.johansen(y, k_ar_diff=oracle["k_ar_diff"])
    relation = found.vectors[:, 0] / found.vectors[0, 0]
    assert relation[1] == pytest.approx(oracle["relation"], abs=6e-4)
    model = VECM(y, k_ar_diff=oracle["k_ar_diff"], coint_rank=1, deterministic="n").fit()
    np.testing.assert_allclose(model.alpha[:, 0], oracle["loading"], atol=6e-4)
    np.testing.assert_allclose(model.beta[:, 0], relation, rtol=1e-6)


@pytest.mark.parametrize("det_order", [-1, 0, 1])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_trace_and_eigenvalues_equal_statsmodels(rng, monkeypatch, det_order, k):
    monkeypatch.setattr(trace_test, "_cached_size", lambda *shape: 0.05)  # a simulation of no interest here
    y = walks(rng, 3, 120, 3)
    for one, many in zip(y, traces(y, k_ar_diff=k, det_order=det_order), strict=True):
        theirs = coint_johansen(one, det_order, k)
        found = c.johansen(one, det_order=det_order, k_ar_diff=k)
        np.testing.assert_allclose(found.trace, theirs.lr1, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.eigenvalues, theirs.eig, rtol=0, atol=1e-8)
        np.testing.assert_allclose(many, theirs.lr1, rtol=0, atol=1e-8)


def test_without_lags_statsmodels_takes_the_level_after_the_step(rng):
    """Why k_ar_diff = 0 is refused: with it statsmodels finds relations in a fifth of all walks and more."""
    y = walks(rng, 300, 100, 2)
    fits = [coint_johansen(one, -1, 0) for one in y]
    assert np.mean([fit.lr1[0] > fit.cvt[0, 1] for fit in fits]) > 0.18
    assert within(np.mean(traces(y, k_ar_diff=0)[:, 0] > fits[0].cvt[0, 1]))
    np.testing.assert_array_equal(fits[0].rkt, y[0, 1:])
    with pytest.raises(ParameterError, match="without lags statsmodels"):
        c.johansen(y[0], k_ar_diff=0)


def test_tables_with_a_constant_are_for_series_that_drift(rng):
    """Length does not help walks without drift; a drift does. Without a constant the size is right."""
    y = walks(rng, 600, 400, 1)
    critical = c_sjt(1, 0)[1]
    assert critical == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-3)
    assert np.mean(traces(y, det_order=0)[:, 0] > critical) > 0.2
    drifting = y + np.arange(400)[:, None]
    assert within(np.mean(traces(drifting, det_order=0)[:, 0] > critical))
    assert within(np.mean(traces(y)[:, 0] > c_sjt(1, -1)[1]))


@pytest.mark.parametrize(("det_order", "low", "high"), [(-1, 0.90, 0.95), (0, 0.95, 0.985)])
def test_28_layers_of_six_series_are_refused_with_the_measured_size(rng, det_order, low, high):
    """97 % with a constant, 93 % without."""
    assert low < c.size_distortion(28, 6, det_order=det_order, rng=rng) < high
    with pytest.raises(ValueError, match=r"rejects 9[0-9]% of independent walks") as error:
        c.johansen(walks(rng, 28, 6), det_order=det_order)
    assert ("Without deterministic terms (fixed effects)" in str(error.value)) == (det_order == 0)
    with pytest.warns(UserWarning, match="28 steps of 6 series"):
        assert c.johansen(walks(rng, 28, 6), det_order=det_order, allow_distorted=True).size > 0.9


def test_moderate_distortion_warns_and_a_sane_shape_is_silent(rng):
    with pytest.warns(UserWarning, match=r"1[0-9]% of independent walks"):
        assert 0.1 < c.johansen(walks(rng, 28, 3)).size < 0.2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert c.johansen(walks(rng, 100, 2)).size < 0.1
        assert c.johansen(walks(rng, 28, 6), correction="reinsel-ahn").size < 0.05


def test_reinsel_ahn_factor_undoes_the_distortion(rng):
    for n in (2, 3):
        assert within(c.size_distortion(28, n, correction="reinsel-ahn", rng=rng))
    y = walks(rng, 60, 2)
    plain, corrected = c.johansen(y), c.johansen(y, correction="reinsel-ahn")
    np.testing.assert_allclose(corrected.critical_values, plain.critical_values * 58 / (58 - 4))
    np.testing.assert_array_equal(corrected.trace, plain.trace)


def bootstrap_ranks(rng, n):
    """Ranks of n series of three walks, of which two share a trend."""
    ranks = []
    for _ in range(n):
        y = walks(rng, 80, 3)
        y[:, 1] = y[:, 0] + rng.standard_normal(80)
        found = c.johansen(y, correction="bootstrap", n_bootstrap=99, rng=rng)
        assert np.isnan(found.critical_values).all()
        ranks.append(found.rank)
    return np.array(ranks)


@pytest.mark.parametrize(("n", "det_order"), [(2, 0), (3, -1)])
def test_bootstrap_keeps_its_size(rng, n, det_order):
    options = {"det_order": det_order, "correction": "bootstrap", "n_simulations": 200}
    assert compatible(200 * c.size_distortion(60, n, rng=rng, **options), 200, 0.05)


@pytest.mark.full
def test_bootstrap_keeps_its_size_and_finds_the_rank_over_many_series(rng):
    assert within(c.size_distortion(60, 2, correction="bootstrap", n_simulations=1000, rng=rng))
    ranks = bootstrap_ranks(rng, 400)
    assert within(np.mean(ranks > 1))
    assert np.mean(ranks == 1) > 0.85


def test_bootstrap_finds_a_planted_relation(rng):
    assert compatible(np.sum(bootstrap_ranks(rng, 30) == 1), 30, 0.9, "less")


def test_johansen_does_not_depend_on_the_basis_of_the_series(rng):
    y = walks(rng, 100, 3)
    turned = c.johansen(y @ rng.standard_normal((3, 3)), allow_distorted=True)
    np.testing.assert_allclose(turned.trace, c.johansen(y, allow_distorted=True).trace, rtol=1e-8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: np.hstack([y, y[:, :1]]), "nearly singular"),
        (lambda y: y * [1, 0] + 4, "series 1 is constant"),
        (lambda y: np.column_stack([y[:, 0], np.arange(len(y))]), "series 1 is a straight line"),
        (lambda y: put(y, 20, 1e12), "the same few steps hold nearly all"),
        (lambda y: put(y, (3, 1), np.nan), r"y holds 1 NaN or infinite values, first at index \(3, 1\)"),
        (lambda y: y[:, 0], "expected \\(T, n\\)"),
        (lambda y: y[:6], "rejects 100 %"),
        (lambda y: y[:, :1], "2 to 12 series"),
        (lambda y: y[:91].reshape(14, 13), "2 to 12 series"),
    ],
)
def test_series_without_an_answer_are_refused(rng, change, words):
    with pytest.raises(ValueError, match=words):
        c.johansen(change(walks(rng, 100, 2)), allow_distorted=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"correction": "bartlett"}, "correction"),
        ({"correction": "bootstrap"}, "default_rng"),
        ({"correction": "bootstrap", "det_order": 1}, "no linear trend"),
        ({"det_order": 2}, "det_order"),
    ],
)
def test_options_without_meaning_are_refused(rng, options, words):
    with pytest.raises(ParameterError, match=words):
        c.johansen(walks(rng, 100, 2), **options)


# many problems


def plain_rank(pair, **options):
    return pooled.pooled_rank(np.concatenate(pair, axis=2), **options)


def test_pooled_moments_of_one_series_are_those_of_statsmodels(rng):
    y = walks(rng, 1, 80, 4)
    for k in (1, 2):
        rows = pooled._rows(y, k, False, False, "none")
        correlations = reduced_rank.canonical(*reduced_rank.without_lags(rows, 1))[0]
        np.testing.assert_allclose(correlations**2, coint_johansen(y[0], -1, k).eig, atol=1e-10)


@three_seeds
def test_pooled_pi_is_the_least_squares_one_at_full_rank(rng):
    """A loop over problems and layers, with layer dummies, where nothing is scaled or weighted."""
    pair = [reverting(rng, (30, 12, 1), 0.5) + 3 * np.arange(12)[:, None] for _ in range(2)]
    found = c.pooled_johansen(*pair, scale_problems=False, weight_layers=False)
    y = np.concatenate(pair, axis=2)
    x, target = [], []
    for series, t in itertools.product(y, range(2, 12)):
        x.append([*series[t - 1], *(series[t - 1] - series[t - 2]), *(np.arange(2, 12) == t)])
        target.append(series[t] - series[t - 1])
    brute = np.linalg.lstsq(np.array(x), np.array(target))[0][:2].T
    assert found.rank == 2
    np.testing.assert_allclose(found.pi, brute, atol=1e-10)
    np.testing.assert_allclose(found.alpha @ found.beta.T, found.pi, atol=1e-12)


@pytest.mark.parametrize(("scene", "size"), [({}, 0.065), (MESSY, 0.065), ({"layer_growth": 100.0}, 0.09)])
def test_pooled_size_holds_under_heterogeneity(rng, scene, size):
    """Sizes of the full simulation; the last one where deviations grow tenfold over the layers."""
    drawn = (c.simulate_shared_trends(100, 28, 3, 0, rng=rng, **scene) for _ in range(150))
    found = [c.pooled_johansen(*pair) for pair in drawn]
    assert compatible(sum(f.rank > 0 for f in found), 150, size)
    assert compatible(sum(f.constancy.pvalue < 0.05 for f in found), 150, 0.065)


def test_each_correction_left_out_distorts(rng):
    table = {row["variant"]: row for row in c.recovery_table(n_simulations=40, rng=rng)}
    full = table.pop("all corrections")
    assert compatible(40 * full["size"], 40, 0.065, "greater")
    assert compatible(40 * full["recovery"], 40, 0.9, "less")
    for variant, row in table.items():
        assert row["size"] >= (0.15 if variant == "layers not weighted" else 0.9), variant
        assert row["recovery"] < full["recovery"], variant


@pytest.mark.parametrize(("specific", "m"), [("random_walk", 1), ("random_walk", 2), ("stationary", 1)])
@pytest.mark.parametrize("scene", [{}, {"mix": True, **MESSY}], ids=["homogeneous", "messy"])
def test_rank_is_m_with_specific_walks_and_2d_less_m_with_stationary_parts(rng, specific, m, scene):
    true = m if specific == "random_walk" else 6 - m
    world = {"specific": specific, "rng": rng, **scene}
    ranks = [plain_rank(c.simulate_shared_trends(100, 28, 3, m, **world)) for _ in range(60)]
    assert compatible(ranks.count(true), 60, 0.9, "less")


def test_a_rank_above_the_dimension_warns_that_specific_parts_are_stationary(rng):
    pair = c.simulate_shared_trends(100, 28, 3, 1, specific="stationary", rng=rng)
    with pytest.warns(UserWarning, match=r"rank 5 exceeds the 3 dimensions .* shared trends are the 1"):
        assert c.pooled_johansen(*pair, level=0.01).rank == 5


def test_relations_found_are_the_planted_differences(rng):
    h1, h2 = c.simulate_shared_trends(400, 28, 3, 1, rng=rng)
    found = c.pooled_johansen(h1, h2, level=0.001)
    assert found.rank == 1
    np.testing.assert_allclose(found.beta[:, 0] / found.beta[0, 0], [1, 0, 0, -1, 0, 0], atol=0.02)
    np.testing.assert_allclose(found.pi[0], [-0.2, 0, 0, 0.2, 0, 0], atol=0.02)
    np.testing.assert_allclose(found.pi[3], [0.3, 0, 0, -0.3, 0, 0], atol=0.02)


@three_seeds
def test_pooled_statistics_do_not_depend_on_units_problem_scales_or_common_steps(rng):
    pair = np.array(c.simulate_shared_trends(60, 20, 2, 1, rng=rng))
    plain = c.pooled_johansen(*pair)
    scales = np.exp(rng.standard_normal(60))[:, None, None]
    common = 5 * rng.standard_normal((2, 1, 20, 2))
    for moved in (1e3 * pair, pair + common):
        np.testing.assert_allclose(c.pooled_johansen(*moved).statistics, plain.statistics, rtol=1e-6)
    # without common steps scales are undone wholly
    centred = c.pooled_johansen(*pair, demean="none")
    scaled = c.pooled_johansen(*(scales * pair), demean="none")
    np.testing.assert_allclose(scaled.statistics, centred.statistics, rtol=1e-8)
    # and without scaling they are not
    raw = c.pooled_johansen(*(scales * pair), scale_problems=False)
    assert np.abs(raw.statistics / plain.statistics - 1).max() > 0.05


def broken_pair(rng):
    """A shared first dimension whose gap closes slowly in the first half of the layers and fast after it."""
    h = 3 * rng.standard_normal((100, 2)) + rng.standard_normal((2, 100, 2))
    path = [h]
    for t in range(1, 28):
        gap = (h[0] - h[1]) * [0.05 if t < 14 else 0.4, 0]
        h = h + rng.standard_normal((2, 100, 2)) + [-gap, gap]
        path.append(h)
    return np.stack(path, axis=2)


def test_constancy_is_rejected_where_speeds_change_with_depth(rng):
    rejected = {False: 0, True: 0}
    for _ in range(20):
        steady = c.simulate_shared_trends(100, 28, 2, 1, rng=rng)
        for changes, pair in ((True, broken_pair(rng)), (False, steady)):
            for groups in (None, np.arange(100)):
                found = c.pooled_johansen(*pair, groups=groups)
                rejected[changes] += found.constancy.pvalue < 0.05
                assert any("no meaning" in r for r in found.remarks) == (found.constancy.pvalue < 0.05)
    assert rejected[True] > 36
    assert compatible(rejected[False], 40, 0.065, "greater")


def test_drifts_of_problems_make_false_relations_and_are_said(rng):
    """What no mean over problems removes: the control for the rank, and the test that finds it."""
    slope = 0.3 * np.arange(28)[:, None]
    false, said, quiet = [], [], []
    for _ in range(30):
        pair = np.array(c.simulate_shared_trends(100, 28, 2, 0, rng=rng))
        quiet.append(c.pooled_johansen(*pair).drift.pvalue < 0.05)
        with pytest.warns(UserWarning, match="drift each their own way"):
            found = c.pooled_johansen(*(pair + slope * rng.standard_normal((2, 100, 1, 2))))
        false.append(found.rank > 0)
        said.append(found.drift.pvalue < 0.05)
    assert np.mean(false) > 0.95
    assert np.mean(said) == 1
    assert np.mean(quiet) <= 0.1


def test_fixed_effects_reject_walks_and_are_refused_with_the_rate(rng):
    pairs = [c.simulate_shared_trends(50, 28, 2, 0, rng=rng) for _ in range(40)]
    assert np.mean([plain_rank(p, demean="problem") > 0 for p in pairs]) > 0.9
    with pytest.raises(ValueError, match=r"rejects rank 0 for (9\d|100)% of independent walks"):
        c.pooled_johansen(*pairs[0], demean="problem")
    with pytest.warns(UserWarning, match="Nickell"):
        assert c.pooled_johansen(*pairs[0], demean="problem", allow_distorted=True).rank > 0


@pytest.mark.parametrize(("n_problems", "dim", "m"), [(100, 1, 0), (100, 2, 0), (200, 2, 1)])
@pytest.mark.parametrize("n", [60, pytest.param(200, marks=pytest.mark.full)])
def test_rank_and_constancy_hold_their_size_with_groups(rng, n_problems, dim, m, n):
    found, naive, groups = [], [], np.arange(n_problems) // 5
    for _ in range(n):
        pair = c.simulate_shared_trends(n_problems, 28, dim, m, group_size=5, rng=rng)
        found.append(c.pooled_johansen(*pair, groups=groups))
        naive.append(plain_rank(pair) > m)
    for rejected in ([f.rank > m for f in found], [f.constancy.pvalue < 0.05 for f in found]):
        assert compatible(sum(rejected), n, 0.06, "greater")
    assert compatible(sum(f.rank == m for f in found), n, 0.9, "less")
    # the negative control: problems of one scenario taken for independent ones
    assert np.mean(naive) > (0.12 if dim == 1 else 0.4)


def test_too_few_groups_are_refused_or_said(rng):
    pair = c.simulate_shared_trends(60, 20, 2, 1, group_size=5, rng=rng)
    with pytest.raises(ValueError, match="found 12 groups for the 16 numbers of Pi; expected 20"):
        c.pooled_johansen(*pair, groups=np.arange(60) // 5)
    with pytest.warns(UserWarning, match="12 groups"):
        found = c.pooled_johansen(*pair, groups=np.arange(60) // 5, allow_distorted=True)
    assert found.remarks[0].startswith("found 12 groups")


def test_groups_of_one_problem_agree_with_independent_problems(rng):
    pair = c.simulate_shared_trends(400, 28, 1, 1, rng=rng)
    plain = c.pooled_johansen(*pair)
    robust = c.pooled_johansen(*pair, groups=np.arange(400))
    assert robust.rank == plain.rank == 1
    assert robust.statistics[1] == pytest.approx(plain.statistics[1], rel=0.25, abs=0.1)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda h1, h2: (h1, h2[:, :-1]), {}, "twice"),
        (lambda h1, h2: (put(h1, (3, 4, 1), np.inf), h2), {}, r"h1 holds 1 NaN or inf.* \(3, 4, 1\)"),
        (lambda h1, h2: (h1, h1), {}, "nearly singular"),
        (lambda *pair: [put(h, 5, 0) for h in pair], {"demean": "none"}, r"problem 5 moves by 0.0e\+00"),
        (lambda h1, h2: (h1[:5], h2[:5]), {}, "5 problems .* at least 12"),
        (lambda h1, h2: (h1[:, :5], h2[:, :5]), {}, "5 layers; expected at least 6 .* a deeper model"),
        (lambda h1, h2: (put(h1, (7, 9), 1e15), h2), {"scale_problems": False}, "nearly singular"),
        (lambda h1, h2: (h1, h2), {"groups": np.zeros(3)}, "one label per item"),
    ],
)
def test_states_without_an_answer_are_refused(rng, change, options, words):
    with pytest.raises(ValueError, match=words):
        c.pooled_johansen(*change(*c.simulate_shared_trends(40, 20, 2, 1, rng=rng)), **options)


@pytest.mark.parametrize("options", [{"demean": "both"}, {"level": 0}, {"k_ar_diff": -1}])
def test_pooled_options_without_meaning_are_refused(rng, options):
    with pytest.raises(ParameterError, match="expected"):
        c.pooled_johansen(*c.simulate_shared_trends(40, 20, 2, 1, rng=rng), **options)


# planted worlds and tables


def test_planted_worlds_have_the_variances_and_groups_asked_for(rng):
    options = {"layer_growth": 16.0, "group_size": 4, "group_share": 0.3}
    h1, h2 = c.simulate_shared_trends(4000, 11, 2, 1, **options, rng=rng)
    steps = np.diff(h1[:, :, 1], axis=1)
    np.testing.assert_allclose(steps.var(0), 16 ** (np.arange(1, 11) / 10), rtol=0.1)
    by_group = steps.reshape(1000, 4, 10)
    shared = np.mean(by_group[:, 0] * by_group[:, 1]) / steps.var()
    assert shared == pytest.approx(0.3, abs=0.05)
    gap = h1[..., 0] - h2[..., 0]
    assert gap[:, 0].var() == pytest.approx(2 / (1 - 0.5**2), rel=0.1)


@pytest.mark.parametrize(
    "options", [{"n_shared": 3}, {"specific": "none"}, {"adjustment": (1.5, 0.5)}, {"group_size": 0}]
)
def test_planted_worlds_without_meaning_are_refused(rng, options):
    world = {"n_problems": 9, "n_steps": 9, "dim": 2, "n_shared": 1} | options
    with pytest.raises(ParameterError, match="expected"):
        c.simulate_shared_trends(**world, rng=rng)


# speeds


def brute_speeds(h1, h2):
    numerators, square = np.zeros(2), 0.0
    for i, t in itertools.product(range(len(h1)), range(1, h1.shape[1])):
        gap = h1[i, t - 1] - h2[i, t - 1]
        numerators += [(h[i, t] - h[i, t - 1]) @ gap for h in (h1, h2)]
        square += gap @ gap
    return numerators / square


@three_seeds
def test_speeds_are_those_of_a_plain_loop(rng):
    h = np.array(c.simulate_shared_trends(30, 10, 3, 3, rng=rng))
    found = c.adjustment(*h)
    np.testing.assert_allclose(found.speeds, brute_speeds(*(h - h.mean(1, keepdims=True))), atol=1e-12)
    assert found.ratio == pytest.approx(-found.speeds[0] / found.speeds[1])


def test_planted_speeds_are_recovered(rng):
    world = {"adjustment": (0.1, 0.4), "rng": rng}
    found = c.adjustment(*c.simulate_shared_trends(500, 28, 2, 2, **world))
    np.testing.assert_allclose(found.speeds, [-0.1, 0.4], atol=0.02)
    assert found.low < 0.25 < found.high < 0.4
    beta = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    by_norm = c.adjustment(*c.simulate_shared_trends(500, 28, 2, 2, **world), beta=beta)
    assert by_norm.low < 0.25 < by_norm.high < 0.4
    np.testing.assert_allclose(by_norm.coefficients[0], -0.1 * np.eye(2), atol=0.03)
    assert by_norm.method == "jackknife"


@pytest.mark.parametrize(
    ("n_problems", "n_steps", "options"),
    [(60, 20, {}), (100, 20, {"groups": np.arange(100) // 5}), (30, 10, {}), (60, 20, {"beta": [[1], [-1]]})],
    ids=["fieller", "groups", "short", "jackknife"],
)
def test_intervals_cover_the_planted_ratio(rng, n_problems, n_steps, options):
    world = {"adjustment": (0.2, 0.1), "group_size": 5 if "groups" in options else 1, "rng": rng}
    drawn = (c.simulate_shared_trends(n_problems, n_steps, 1, 1, **world) for _ in range(150))
    covered = sum(a.low <= 2 <= a.high for a in (c.adjustment(*pair, **options) for pair in drawn))
    assert compatible(covered, 150, 0.93, "less")


def test_a_speed_that_may_be_zero_leaves_the_ratio_unbounded(rng):
    world = {"adjustment": (0.3, 0.0), "rng": rng}
    found = [c.adjustment(*c.simulate_shared_trends(30, 10, 1, 1, **world)) for _ in range(50)]
    assert np.mean([a.unbounded for a in found]) > 0.8
    assert all(a.high == np.inf and 0 <= a.low <= a.ratio for a in found if a.unbounded)
    bounded = c.adjustment(*c.simulate_shared_trends(200, 28, 1, 1, rng=rng))
    assert not bounded.unbounded
    assert bounded.low < bounded.ratio < bounded.high < np.inf


@pytest.mark.parametrize("beta", [None, np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])], ids=["gap", "beta"])
def test_ratio_ignores_a_common_rotation_and_scale_but_not_the_scale_of_one_language(rng, beta):
    h1, h2 = c.simulate_shared_trends(80, 20, 2, 2, adjustment=(0.1, 0.4), rng=rng)
    turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    plain = c.adjustment(h1, h2, beta=beta)
    turned = None if beta is None else np.vstack([turn.T @ beta[:2], turn.T @ beta[2:]]) @ [[2.0, 1], [0, 1]]
    moved = c.adjustment(7 * h1 @ turn, 7 * h2 @ turn, beta=turned)
    for name in ("ratio", "low", "high"):
        assert getattr(moved, name) == pytest.approx(getattr(plain, name), rel=1e-8)
    assert abs(np.log(c.adjustment(3 * h1, h2, beta=beta).ratio / plain.ratio)) > 0.3


@pytest.mark.parametrize("sizes", [[1, 2] * 4, [3] * 8], ids=["unequal", "equal"])
def test_shuffled_pairs_equal_a_plain_loop_over_other_partners(rng, sizes):
    groups = np.repeat(np.arange(8), sizes)
    h1, h2 = (reverting(rng, (len(groups), 8, 2), 0.5) for _ in range(2))
    found = c.shuffled_adjustment(h1, h2, groups=groups, n_shuffles=25, rng=np.random.default_rng(4))
    h1, h2 = h1 - h1.mean(0), h2 - h2.mean(0)
    draws, ratios = np.random.default_rng(4), []
    for _ in range(25):
        order = draws.permutation(8)
        partner = dict(zip(order, np.roll(order, 1), strict=True))
        theirs = [np.resize(np.flatnonzero(groups == partner[g]), sizes[g]) for g in range(8)]
        speeds = brute_speeds(h1, h2[np.concatenate(theirs)])
        ratios.append(abs(speeds[0] / speeds[1]))
    np.testing.assert_allclose(found.shuffled, ratios, rtol=1e-10)
    assert found.mechanical == pytest.approx(np.exp(np.mean(np.log(ratios))))
    assert found.log_ratio_excess == pytest.approx(np.log(found.ratio / found.mechanical))


@pytest.mark.parametrize("groups", [None, np.arange(60) // 3], ids=["problems", "groups"])
def test_excess_of_strangers_covers_zero_where_the_mechanical_ratio_is_one_of_variances(rng, groups):
    found = []
    for _ in range(80):
        h1, h2 = (reverting(rng, (60, 20, 2), 0.7, scale=scale) for scale in (1.0, 2.0))
        found.append(c.shuffled_adjustment(h1, h2, groups=groups, n_shuffles=19, rng=rng))
    assert compatible(sum(s.low <= 0 <= s.high for s in found), 80, 0.95)
    assert np.median([s.mechanical for s in found]) == pytest.approx(0.25, rel=0.1)
    assert not any(s.unbounded for s in found)


def test_independent_walks_have_no_speeds_and_an_infinite_interval(rng):
    drawn = (walks(rng, 2, 60, 20, 1) for _ in range(50))
    found = [c.shuffled_adjustment(*pair, n_shuffles=19, rng=rng) for pair in drawn]
    assert np.mean([s.unbounded for s in found]) > 0.9
    assert np.mean([s.low <= 0 <= s.high for s in found]) >= 0.95


def test_excess_of_a_pair_that_adjusts_unequally_is_found(rng):
    """Both revert alike to their own means; beyond it only the second closes the gap to the first."""
    shape, found = (80, 24, 2), []
    for _ in range(20):
        h1, h2 = reverting(rng, shape, 0.8), rng.standard_normal(shape)
        for t in range(1, shape[1]):
            h2[:, t] += 0.5 * (h1[:, t - 1] + h2[:, t - 1])
        found.append(c.shuffled_adjustment(h1, h2, n_shuffles=39, rng=rng))
    assert np.mean([s.high < 0 for s in found]) > 0.9


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda h1, h2: (h1, h1), {}, "do not differ"),
        (lambda h1, h2: (h1[:5], h2[:5]), {}, "found 5 groups"),
        (lambda h1, h2: (h1, h2), {"groups": np.arange(30) // 6}, "found 5 groups"),
        (lambda h1, h2: (h1, h2), {"beta": np.zeros((4, 0))}, "rank of 0"),
    ],
)
def test_pairs_without_speeds_are_refused(rng, change, options, words):
    pair = change(*c.simulate_shared_trends(30, 10, 2, 1, rng=rng))
    with pytest.raises(ValueError, match=words):
        c.adjustment(*pair, **options)
    with pytest.raises(ValueError, match=words):
        c.shuffled_adjustment(*pair, rng=rng, **options)


def test_too_few_shuffles_are_refused(rng):
    with pytest.raises(ParameterError, match="n_shuffles"):
        c.shuffled_adjustment(*c.simulate_shared_trends(30, 10, 2, 1, rng=rng), n_shuffles=5, rng=rng)


@pytest.mark.full
@pytest.mark.parametrize("scene", [{}, {"problem_scale": 1.0}, {"layer_growth": 10.0}, MESSY])
def test_pooled_size_over_many_worlds(rng, scene):
    ranks = [plain_rank(c.simulate_shared_trends(100, 28, 3, 0, rng=rng, **scene)) for _ in range(3000)]
    assert compatible(np.sum(np.array(ranks) > 0), 3000, 0.065, "greater")
    assert within(np.mean(np.array(ranks) > 0))

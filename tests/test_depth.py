"""Alignment depth: planted truth, errors at the boundary, and definitions that fail where it does not."""

import itertools

import numpy as np
import pytest
from builders import compatible, three_seeds
from scipy import stats
from zspace.measures import depth
from zspace.measures.resampling import Interval

L = 28
RAMP = np.r_[np.full(10, 0.05), np.linspace(0.1, 0.9, 8), np.full(7, 0.9), 0.4, 0.1, 0.05]
STEP = np.r_[np.full(12, 0.05), np.full(16, 0.95)]
INVALID = "comparison only"


def labels(n_groups, size=4):
    return np.repeat(np.arange(n_groups), size)


def planted(rng, accuracy, n_groups, *, size=4, within=0.7, between_layers=0.95):
    """Outcomes (L, n) of the given accuracies; latent normals, correlated within groups and along layers."""
    steps = np.sqrt(within) * np.repeat(rng.standard_normal((len(accuracy), n_groups)), size, axis=1)
    steps += np.sqrt(1 - within) * rng.standard_normal(steps.shape)
    latent = steps.copy()
    for layer in range(1, len(accuracy)):
        latent[layer] = between_layers * latent[layer - 1]
        latent[layer] += np.sqrt(1 - between_layers**2) * steps[layer]
    return (latent < stats.norm.ppf(accuracy)[:, None]).astype(float)


def measured(rng, accuracy, n_groups, *, threshold=0.5, chance=0.02, size=4, **options):
    correct = planted(rng, accuracy, n_groups, size=size, **options)
    options = {"groups": labels(n_groups, size), "n_resamples": 400, "rng": rng}
    return depth.alignment_depth(correct, threshold=threshold, chance=chance, **options)


def inside(value, limits):
    low, high, value = (L if v is None else v for v in (*limits, value))
    return low <= value <= high


def brute_force_runs(above, run):
    starts = [i for i in range(len(above) - run + 1) if all(above[i : i + run])]
    return (starts[0], starts[-1] + run) if starts else (None, None)


def test_runs_equal_brute_force_over_all_patterns():
    for run in (1, 2, 3):
        for above in itertools.product([False, True], repeat=7):
            first, end = brute_force_runs(above, run)
            assert depth.first_run(above, run) == first
            assert depth.last_run_end(above, run) == (None if end == len(above) else end)


@three_seeds
def test_alignment_depth_finds_a_clear_step_and_a_clear_fall(rng):
    step = measured(rng, STEP, 30, within=0.3)
    assert (step.layer, step.interval, step.exit_layer) == (12, (12, 12), None)
    fall = measured(rng, np.r_[np.full(8, 0.03), np.full(12, 0.97), np.full(8, 0.03)], 30, within=0.3)
    assert (fall.layer, fall.exit_layer) == (8, 20)
    assert not fall.censored
    assert fall.reason is None
    assert (fall.lower_band <= fall.accuracy).all()
    assert (fall.accuracy <= fall.upper_band).all()


def test_alignment_depth_needs_a_run_not_a_peak():
    correct = np.zeros((10, 80))
    correct[3:5] = 1
    found = depth.alignment_depth(correct, threshold=0.5, rng=np.random.default_rng(0))
    assert found.censored
    shorter = depth.alignment_depth(correct, threshold=0.5, run=2, rng=np.random.default_rng(0))
    assert (shorter.layer, shorter.exit_layer) == (3, 5)


@pytest.mark.parametrize("n_groups", [20, 30])
def test_alignment_depth_covers_the_planted_integer_depth(rng, n_groups):
    truth, leave = brute_force_runs(RAMP > 0.5, 3)
    found = [measured(rng, RAMP, n_groups) for _ in range(100)]
    assert np.mean([inside(truth, d.interval) for d in found]) >= 0.9
    aligned = [d for d in found if not d.censored]
    assert len(aligned) >= 95
    # conservative: hardly ever before the truth, and soon after it
    assert compatible(sum(d.layer < truth for d in aligned), len(aligned), 0.05, "greater")
    falls = [d.exit_layer for d in aligned if d.exit_layer is not None]
    assert compatible(sum(fall < leave for fall in falls), len(falls), 0.05, "greater")
    assert np.median([d.layer for d in aligned]) <= truth + 2


def test_alignment_depth_covers_at_a_shallow_step_where_the_layer_is_uncertain(rng):
    close = np.r_[np.full(12, 0.44), np.full(16, 0.6)]
    found = [measured(rng, close, 30, size=8, within=0.2) for _ in range(100)]
    assert np.mean([inside(12, d.interval) for d in found]) >= 0.9
    assert 0.05 < np.mean([d.censored for d in found]) < 0.95
    assert np.mean([d.layer == 12 for d in found]) < 0.9  # negative control: the point alone would not do


@pytest.mark.parametrize(("profile", "n_groups"), [("ramp", 20), ("ramp", 30), ("step", 30)])
def test_restricted_mean_interval_covers_the_planted_value(rng, profile, n_groups):
    accuracy = {"ramp": RAMP, "step": STEP}[profile]
    truth, inside = np.mean(1 - (accuracy - 0.02) / 0.98), 0
    options = {"chance": 0.02, "groups": labels(n_groups), "n_resamples": 400, "rng": rng}
    for _ in range(150):
        interval = depth.restricted_mean_interval(planted(rng, accuracy, n_groups), **options)
        inside += interval.low <= truth <= interval.high
    assert compatible(inside, 150, 0.95)


def test_restricted_mean_interval_ignoring_scenarios_is_too_short(rng):
    """Negative control: the coverage above can see a fault."""
    truth, inside = np.mean(1 - (RAMP - 0.02) / 0.98), 0
    for _ in range(100):
        correct = planted(rng, RAMP, 30)
        interval = depth.restricted_mean_interval(correct, chance=0.02, n_resamples=200, rng=rng)
        inside += interval.low <= truth <= interval.high
    assert not compatible(inside, 100, 0.95, "less")


@pytest.mark.parametrize("n_groups", [20, 30])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_alignment_depth_is_not_found_where_the_accuracy_equals_the_threshold(rng, n_groups, threshold):
    flat, n = np.full(L, threshold), 120
    found = sum(not measured(rng, flat, n_groups, threshold=threshold, within=0.9).censored for _ in range(n))
    assert compatible(found, n, 0.05, "greater"), found / n


@pytest.mark.full
@pytest.mark.parametrize("n_groups", [10, 20, 30])
@pytest.mark.parametrize("within", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("size", [4, 20])
def test_alignment_depth_keeps_its_error_over_a_grid_of_designs(rng, n_groups, within, size):
    for threshold, layers in itertools.product((0.1, 0.3, 0.5, 0.7, 0.9), (0.95, 0.99)):
        options = {"threshold": threshold, "within": within, "size": size, "between_layers": layers}
        many = (measured(rng, np.full(L, threshold), n_groups, **options) for _ in range(400))
        found = sum(not one.censored for one in many)
        assert compatible(found, 400, 0.05, "greater"), (threshold, layers, found / 400)


def false_depths(rng, n, n_groups, *, size=4, **options):
    """Share of runs in which each definition finds a depth, the accuracy being .5 = threshold everywhere."""
    found, given = [], {"threshold": 0.5, "groups": labels(n_groups, size), "n_resamples": 200, "rng": rng}
    for _ in range(n):
        correct = planted(rng, np.full(L, 0.5), n_groups, size=size, **options)
        table = depth.definitions(correct, **given)
        found.append(~table.set_index("definition")["censored"])
    return sum(f.astype(float) for f in found) / n


def test_definitions_that_are_invalid_find_depths_where_there_are_none():
    """Negative control of the error rate: the simulation sees the faults of other definitions."""
    rate = false_depths(np.random.default_rng(1), 100, 30, within=0.5)
    assert compatible(100 * rate["half the own peak excess, simultaneous band"], 100, 0.05, "greater")
    assert rate["first crossing of the estimate"] > 0.85
    assert compatible(100 * rate["Wilson limit of single items"], 100, 0.28)
    unrelated = false_depths(np.random.default_rng(2), 40, 30, size=1, between_layers=0.0)
    assert unrelated["first crossing of the estimate"] == 1


def test_alignment_depth_has_power_with_a_gap_of_two_tenths(rng):
    above = np.r_[np.full(8, 0.1), np.full(20, 0.7)]
    found = [measured(rng, above, 30, size=8, within=0.3) for _ in range(100)]
    assert np.mean([not d.censored for d in found]) >= 0.9


def test_lower_band_holds_at_all_layers_together_and_a_pointwise_one_does_not(rng):
    accuracy, held, alone = np.full(L, 0.5), 0, 0
    for _ in range(200):
        correct = planted(rng, accuracy, 30, between_layers=0.5)
        options = {"groups": labels(30), "n_resamples": 300, "rng": rng}
        held += (depth.lower_band(correct, **options) <= accuracy).all()
        alone += (depth.lower_band(correct, simultaneous=False, **options) <= accuracy).all()
    assert held / 200 >= 0.93
    assert alone / 200 < 0.85


def test_lower_band_keeps_an_honest_width_where_every_item_succeeds():
    for n_groups in (5, 20, 80):
        correct = np.ones((L, 4 * n_groups))
        low = depth.lower_band(correct, groups=labels(n_groups), rng=np.random.default_rng(0))
        exact = stats.beta.ppf(0.05, n_groups, 1)  # Clopper-Pearson with groups that are all or nothing
        assert exact - 0.08 < low[0] < exact + 0.02
    # and none fail: nothing is claimed from below, and the upper limit mirrors it
    zero = depth.alignment_depth(1 - correct, threshold=0.5, groups=labels(80), rng=np.random.default_rng(0))
    assert (zero.lower_band == 0).all()
    np.testing.assert_allclose(zero.upper_band, 1 - low, atol=0.01)


def test_lower_band_of_independent_items_is_near_the_exact_limit():
    correct = np.repeat([np.arange(200) < 120], 3, axis=0)
    low = depth.lower_band(correct, rng=np.random.default_rng(0), n_resamples=20_000)
    assert low[0] == pytest.approx(stats.beta.ppf(0.05, 120, 81), abs=0.004)


def test_alignment_depth_is_blind_to_order_and_names_of_groups_and_follows_the_seed(rng):
    correct, groups = planted(rng, RAMP, 20), labels(20)
    order = rng.permutation(80)

    def bands(correct, groups, seed=1):
        found = depth.alignment_depth(correct, threshold=0.5, groups=groups, rng=np.random.default_rng(seed))
        return np.r_[found.lower_band, found.upper_band, found.restricted_mean_interval.low]

    plain = bands(correct, groups)
    np.testing.assert_allclose(bands(correct[:, order], groups[order]), plain, atol=1e-12)
    np.testing.assert_allclose(bands(correct, [f"s{g:02d}" for g in groups]), plain, atol=1e-12)
    assert (bands(correct, groups, seed=2) != plain).any()
    # negative control: items that do not belong together
    assert np.abs(bands(correct, rng.permutation(groups)) - plain).max() > 0.01


def test_a_flat_profile_at_chance_is_censored_and_not_the_shallowest():
    chance, rng = 0.1, np.random.default_rng(0)
    flat, aligned = planted(rng, np.full(L, chance), 30), planted(rng, STEP, 30)
    rows = {}
    for name, correct in (("flat", flat), ("aligned", aligned)):
        threshold = depth.half_peak_threshold(correct, chance)
        table = depth.definitions(correct, threshold=threshold, chance=chance, groups=labels(30), rng=rng)
        rows[name] = table.set_index("definition")
    flat, aligned = rows["flat"]["depth"], rows["aligned"]["depth"]
    assert np.isnan(flat.iloc[0])
    assert aligned.iloc[0] == 12
    assert flat["restricted mean"] > 0.9 > aligned["restricted mean"]
    forbidden = "mean of 1 - A / max A"
    assert flat[forbidden] < aligned[forbidden]
    assert rows["flat"].loc[forbidden, "use"] == INVALID


def test_definitions_label_what_may_not_be_reported():
    correct = planted(np.random.default_rng(0), STEP, 20)
    table = depth.definitions(correct, threshold=0.5, groups=labels(20), rng=np.random.default_rng(1))
    assert table["use"].tolist() == ["primary", *["sensitivity"] * 4, *[INVALID] * 4]
    assert (table["valid"] == (table["use"] != INVALID)).all()
    assert ((table["why_not"] == "") == table["valid"]).all()
    shares = table.set_index("definition")["depth"]
    accuracy = correct.mean(1)
    assert shares["mean of 1 - A / max A"] == pytest.approx(np.mean(1 - accuracy / accuracy.max()))
    assert shares["restricted mean"] == pytest.approx(np.mean(1 - accuracy))
    assert shares["first crossing of the estimate"] == np.flatnonzero(accuracy > 0.5)[0]


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [(0.0, "no item finds"), (0.25, "nowhere exceeds"), (0.55, "more groups would tell")],
)
def test_censored_is_a_value_with_a_reason(accuracy, words):
    correct = np.repeat([np.arange(80) < 80 * accuracy], 6, axis=0)
    found = depth.alignment_depth(correct, threshold=0.5, chance=0.1, rng=np.random.default_rng(0))
    assert found.layer is found.exit_layer is None
    assert found.censored
    assert words in found.reason
    assert found.interval[0] == (0 if accuracy > 0.5 else None)
    assert isinstance(found.restricted_mean_interval, Interval)
    assert found.restricted_mean == pytest.approx(1 - max(accuracy - 0.1, 0) / 0.9)


def test_half_peak_threshold_by_hand():
    correct = np.array([[0, 0, 0, 0], [1, 1, 1, 0.5], [1, 0, 0, 0]])
    assert depth.half_peak_threshold(correct, 0.125) == pytest.approx(0.5)
    assert depth.half_peak_threshold(correct, [0.0, 0.125]) == pytest.approx(0.5)
    # a language at its control is held to half of the smallest excess that counts
    assert depth.half_peak_threshold(np.full((3, 4), 0.2), 0.2) == pytest.approx(0.25)
    for control, options in ((0.97, {}), (1.2, {}), (np.nan, {}), (0.1, {"minimal_excess": -1})):
        with pytest.raises(ValueError, match="control"):
            depth.half_peak_threshold(correct, control, **options)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"correct": np.zeros((5, 2, 8))}, "average the two directions"),
        ({"correct": np.zeros((5, 0))}, "layers, items"),
        ({"correct": np.full((5, 8), np.nan)}, "layer 0, item 0"),
        ({"correct": np.full((5, 8), 1.5)}, "outcomes, not scores"),
        ({"groups": np.zeros(7)}, "one label per item"),
        ({"groups": np.zeros(8)}, "expected at least 2"),
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": 0.05}, "threshold"),
        ({"threshold": np.nan}, "threshold"),
        ({"chance": 1.0}, "chance"),
        ({"run": 6}, "5 layers"),
        ({"run": 0}, "run is 0"),
        ({"run": 2.5}, "whole number"),
        ({"confidence": 0.4}, "confidence"),
        ({"n_resamples": 1}, "n_resamples"),
    ],
)
def test_alignment_depth_says_what_is_wrong(change, words):
    arguments = {"correct": np.zeros((5, 8)), "threshold": 0.5, "chance": 0.1} | change
    with pytest.raises(ValueError, match=words):
        depth.alignment_depth(**arguments, rng=np.random.default_rng(0))

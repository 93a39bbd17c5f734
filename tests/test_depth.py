"""Alignment depth: planted truth, errors on the boundary, and definitions that must not be used."""

import numpy as np
import pytest
from scipy import stats
from zspace.measures import depth

N_LAYERS, N_SCENARIOS, N_DRAWS = 19, 24, 4
GROUPS = np.repeat(np.arange(N_SCENARIOS), N_DRAWS)


def outcomes(accuracy, rng, *, n_scenarios=N_SCENARIOS, within=0.5, layers=0.95) -> np.ndarray:
    """(L+1, n) outcomes of the given accuracy by layer, alike within scenarios and between layers.

    A latent normal of every item has a part of its scenario (share `within`), and both parts follow an
    autoregression over layers (coefficient `layers`).
    """
    accuracy = np.asarray(accuracy, float)
    shape = (len(accuracy), n_scenarios * N_DRAWS)
    fresh = np.sqrt(within) * np.repeat(rng.standard_normal((len(accuracy), n_scenarios)), N_DRAWS, axis=1)
    fresh = fresh + np.sqrt(1 - within) * rng.standard_normal(shape)
    latent = [fresh[0]]
    for new in fresh[1:]:
        latent.append(layers * latent[-1] + np.sqrt(1 - layers**2) * new)
    return (np.stack(latent) < stats.norm.ppf(accuracy)[:, None]).astype(float)


def rising(start: int, low=0.1, high=0.9) -> np.ndarray:
    return np.where(np.arange(N_LAYERS) < start, low, high)


@pytest.mark.parametrize("start", [0, 3, 11])
def test_a_clear_rise_is_found_where_it_is(start, rng):
    found = depth.alignment_depth(outcomes(rising(start), rng), threshold=0.5, groups=GROUPS, rng=rng)
    assert (found.layer, found.censored, found.earliest, found.exit_layer) == (start, False, start, None)
    assert (found.lower_band < found.accuracy).all()
    assert (found.accuracy < found.upper_band).all()


def test_the_integer_depth_is_covered(rng):
    # a slow rise through the threshold: the layer is uncertain
    accuracy = np.clip(np.linspace(0.1, 0.95, N_LAYERS), 0, 1)
    truth = int(np.argmax(accuracy > 0.5))
    covered = 0
    for stream in rng.spawn(200):
        found = depth.alignment_depth(outcomes(accuracy, stream), threshold=0.5, groups=GROUPS, rng=stream)
        covered += found.earliest <= truth <= (np.inf if found.censored else found.layer)
    assert covered >= 180


def test_the_restricted_mean_is_covered(rng):
    accuracy = np.linspace(0.2, 0.8, N_LAYERS)
    truth = (1 - (accuracy - 0.1) / 0.9).mean()
    covered = 0
    for stream in rng.spawn(300):
        one = depth.alignment_depth(
            outcomes(accuracy, stream), threshold=0.5, chance=0.1, groups=GROUPS, rng=stream
        ).restricted_mean
        covered += one.low <= truth <= one.high
    assert 0.90 <= covered / 300 <= 0.98


def first_crossing(correct, n):
    return (correct.mean(1) > 0.5).any()


def wilson_run(correct, n):
    table = depth.definitions(correct, threshold=0.5, groups=np.repeat(np.arange(n), N_DRAWS), rng=NOISE)
    return bool(np.isfinite(table.loc["Wilson limit, run of 3", "depth"]))


NOISE = np.random.default_rng(7)


@pytest.mark.parametrize("n_scenarios", [20, 30])
def test_depth_on_the_boundary_is_rarely_found_and_naive_definitions_often_find_one(n_scenarios, rng):
    groups, n_runs = np.repeat(np.arange(n_scenarios), N_DRAWS), 300
    false = {"band": 0, "first": 0, "wilson": 0}
    for stream in rng.spawn(n_runs):
        correct = outcomes(np.full(N_LAYERS, 0.5), stream, n_scenarios=n_scenarios, within=0.6, layers=0.97)
        found = depth.alignment_depth(correct, threshold=0.5, groups=groups, rng=stream)
        false["band"] += not found.censored
        false["first"] += first_crossing(correct, n_scenarios)
        false["wilson"] += wilson_run(correct, n_scenarios) if n_scenarios == 20 else 0
    # 5 %, with room for the error of 300 runs
    assert stats.binomtest(false["band"], n_runs, 0.05, alternative="greater").pvalue > 0.01
    assert false["first"] > 0.6 * n_runs
    if n_scenarios == 20:
        assert 0.12 * n_runs < false["wilson"] < 0.45 * n_runs


def test_a_flat_profile_at_chance_is_censored_and_not_the_shallowest(rng):
    correct = outcomes(np.full(N_LAYERS, 0.1), rng)
    found = depth.alignment_depth(correct, threshold=0.4, chance=0.1, groups=GROUPS, rng=rng)
    assert found.censored
    assert found.layer is None
    assert found.restricted_mean.estimate > 0.9
    table = depth.definitions(correct, threshold=0.4, chance=0.1, groups=GROUPS, rng=rng)
    assert table.loc["sum of 1 - A/max A", "depth"] < 0.6  # as if it were fairly shallow
    assert not table.loc["sum of 1 - A/max A", "valid"]
    assert table["valid"].sum() == 4


def test_items_that_all_fail_are_censored_and_all_that_succeed_have_width(rng):
    none = depth.alignment_depth(np.zeros((5, 40)), threshold=0.2, rng=rng)
    assert (none.layer, none.earliest, none.restricted_mean.estimate) == (None, None, 1.0)
    everything = depth.alignment_depth(np.ones((5, 40)), threshold=0.5, rng=rng)
    assert everything.layer == 0
    assert (everything.lower_band < 0.99).all()
    few = depth.alignment_depth(np.ones((5, 3)), threshold=0.9, rng=rng)
    assert few.censored  # three items cannot say so much


def test_a_late_fall_is_an_exit_and_no_change_of_depth(rng):
    accuracy = np.where((np.arange(N_LAYERS) >= 4) & (np.arange(N_LAYERS) < 15), 0.95, 0.05)
    found = depth.alignment_depth(outcomes(accuracy, rng), threshold=0.5, groups=GROUPS, rng=rng)
    assert (found.layer, found.exit_layer) == (4, 15)


def test_a_spike_is_no_run(rng):
    accuracy = np.where(np.arange(N_LAYERS) == 6, 0.97, 0.05)
    found = depth.alignment_depth(outcomes(accuracy, rng), threshold=0.5, groups=GROUPS, rng=rng)
    assert found.censored
    assert (
        depth.alignment_depth(outcomes(accuracy, rng), threshold=0.5, groups=GROUPS, run=1, rng=rng).layer
        == 6
    )


def test_depth_does_not_depend_on_the_order_of_items(rng):
    correct = outcomes(np.linspace(0.1, 0.95, N_LAYERS), rng)
    order = rng.permutation(correct.shape[1])
    one, other = (
        depth.alignment_depth(c, threshold=0.5, groups=g, rng=np.random.default_rng(1))
        for c, g in ((correct, GROUPS), (correct[:, order], GROUPS[order]))
    )
    np.testing.assert_allclose(one.lower_band, other.lower_band, atol=1e-12)
    # negative control: other groups give another band
    shuffled = depth.alignment_depth(
        correct, threshold=0.5, groups=GROUPS[order], rng=np.random.default_rng(1)
    )
    assert np.abs(one.lower_band - shuffled.lower_band).max() > 0.01


def test_half_peak_lies_half_way_above_the_control():
    assert depth.half_peak([0.1, 0.7, 0.5], 0.3) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"correct": np.full((4, 10), 1.2)}, "between 0 and 1"),
        ({"correct": np.zeros(10)}, "shape"),
        ({"groups": np.arange(3)}, "one label per item"),
        ({"run": 5}, "a run of 5 layers among 4"),
        ({"chance": 1.0}, "chance=1.0"),
        ({"threshold": np.nan}, "threshold=nan"),
        ({"groups": np.zeros(10)}, "at least 2 groups"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_refused(wrong, message, rng):
    values = {"correct": np.zeros((4, 10)), "threshold": 0.5, "rng": rng} | wrong
    with pytest.raises(ValueError, match=message):
        depth.alignment_depth(values.pop("correct"), **values)

"""The battery: each rule in worlds with something in them that must decide nothing (`evidence.null_battery`).

The suite takes a seeded subset of few worlds, in which only gross errors show; `zspace verify --full` takes
200 of each, and a table of the rates is printed at its end.
"""

import json
from functools import partial

import null_battery_table
import numpy as np
import pytest
from scipy import stats
from zspace.evidence import error_rates, null_battery, simulated_pairs, study
from zspace.evidence.double_suppression import models
from zspace.evidence.language_pairs import TRAINED, simulated_pair
from zspace.evidence.retrieval import by_layer, updates
from zspace.evidence.shared_subspace import shared_dimension
from zspace.evidence.simulated_pairs import DISTURBANCES, NO_MORE, shape_of_size
from zspace.evidence.snr_descent import accumulation, descent
from zspace.measures import residual
from zspace.measures.subspaces import standardise

SHAPE = {"n_scenarios": 30, "n_draws": 2}
EVERY = [(claim, world) for claim, worlds in null_battery.WORLDS.items() for world in worlds]
UNDISTURBED = [(claim, "independent") for claim in null_battery.WORLDS]


def wrong(claim, world, effects, rng, record_property, *, n_worlds, **options):
    """Rates of a world, recorded for the table at the end of the run."""
    found = null_battery.rates(
        claim, world, effects, shape_of_size(**SHAPE, **options), rng=rng, n_worlds=n_worlds
    )
    record_property("battery", found.to_dict("records"))
    return found


def assert_at_most_one_of_twenty(found):
    """On average over effects, and at none of them by more than chance gives once in a hundred."""
    assert found["wrong"].mean() <= 0.05, found
    for row in found.itertuples():
        count = round(row.wrong * row.worlds)
        assert stats.binomtest(count, row.worlds, 0.05, "greater").pvalue > 0.01, found


@pytest.mark.parametrize("claim", null_battery.WORLDS)
def test_a_rule_decides_nothing_by_what_disturbs_it_in_few_worlds(claim, rng, record_property, monkeypatch):
    """One disturbance of each claim, by turns: a rule with a rate of .05 is wrong in 4 of 12 once in 500."""
    monkeypatch.setattr(simulated_pairs, "_N_CALIBRATION", 3)
    worlds = list(null_battery.WORLDS[claim])
    world = worlds[list(null_battery.WORLDS).index(claim) % len(worlds)]
    found = wrong(claim, world, [NO_MORE, 2.0], rng, record_property, n_worlds=12)
    assert (found["wrong"] <= 3 / 12).all()


@pytest.mark.full
@pytest.mark.parametrize(("claim", "world"), EVERY)
def test_a_rule_is_wrong_in_at_most_one_of_twenty_worlds(claim, world, rng, record_property):
    found = wrong(claim, world, [NO_MORE, 1.0, 2.0], rng, record_property, n_worlds=200)
    assert_at_most_one_of_twenty(found)


@pytest.mark.full
@pytest.mark.parametrize(("claim", "world"), UNDISTURBED)
def test_a_rule_with_many_baselines_is_wrong_as_seldom_and_finds_more(claim, world, rng, record_property):
    few, many = (
        wrong(claim, world, [*null_battery.FORBIDDEN], rng, record_property, n_worlds=200, n_baselines=k)
        for k in (3, 20)
    )
    assert_at_most_one_of_twenty(many)
    decided = [one["supported"].iloc[3:].sum() + one["refuted"].iloc[:2].sum() for one in (few, many)]
    assert decided[1] > decided[0] - 0.1
    power = many["supported"].to_numpy()
    assert power[4] >= power[3] >= power[2]


def test_wrong_are_the_verdicts_that_are_forbidden_at_an_effect(monkeypatch, rng):
    """At the bound neither verdict is right, at twice the bound only "supported"."""
    said = {NO_MORE: "refuted", 1.0: "refuted", 2.0: "refuted", 4.0: "supported"}
    monkeypatch.setitem(
        null_battery.WORLDS, "made", {"plain": lambda shape, rng: lambda effect, rng: said[effect]}
    )
    monkeypatch.setattr(null_battery.claims, "evaluate", lambda claim, verdict: _Verdict(verdict))
    found = null_battery.rates("made", "plain", [*said], shape_of_size(**SHAPE), rng=rng, n_worlds=20)
    assert found["wrong"].tolist() == [0, 1, 1, 0]
    assert found["refuted"].tolist() == [1, 1, 1, 0]
    assert found["at most"].iloc[0] == pytest.approx(1 - 0.05 ** (1 / 20))
    assert null_battery.in_words(found).count("\n") == 5


class _Verdict:
    def __init__(self, verdict):
        self.as_corrected = verdict


# Simulated pairs


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbance_is_there_and_brings_translations_no_nearer(name, rng):
    """Matched items are as far apart as others, whatever is added. Control: content brings them nearer."""
    shape, disturbance = shape_of_size(400, 1, n_layers=2), DISTURBANCES[name]
    nearness, seed = [], int(rng.integers(2**32))
    for effect in (0.0, 0.5):
        making, adding = np.random.default_rng(seed).spawn(2)
        pair = simulated_pairs.plant_content(shape, effect, making)
        disturbed = simulated_pairs.disturbed(pair, disturbance, rng=adding)
        everyone = np.ones(shape.n_items, bool)
        scaled = (standardise(s - s.mean(1, keepdims=True), everyone) for s in disturbed)
        found = residual.snr_profile(*scaled)
        nearness.append(1 - found.d_same[1:] / found.d_cross[1:])
    assert np.abs(nearness[0]).max() < 0.1
    assert (nearness[1] > nearness[0] + 0.05).all()


def test_disturbances_are_what_they_are_called(rng):
    shape = shape_of_size(300, 1, n_layers=2)
    pair = simulated_pairs.unrelated(shape, rng=rng)
    made = {n: simulated_pairs.disturbed(pair, one, rng=rng) for n, one in DISTURBANCES.items()}
    for states, bare in zip(made["independent"], pair, strict=True):
        np.testing.assert_array_equal(states, bare)
    for states in made["outlier dimension"]:
        variance = states.var(1)
        assert (variance[:, 0] / variance.sum(1)).tolist() == pytest.approx([0.9] * 3, abs=0.03)
    x, y = made["unlike noise"]
    slopes = [stats.spearmanr(np.arange(shape.dim), s[-1].var(0)).statistic for s in (x, y)]
    assert slopes[0] < -0.5 < 0.5 < slopes[1]
    x, y = made["offset"]
    assert np.linalg.norm(x.mean(1) - y.mean(1), axis=-1).min() > 5 * np.sqrt(shape.dim)
    x, y = (s.mean(1) for s in made["drift"])
    moved = [m[-1] - m[0] for m in (x, y)]
    assert moved[0] @ moved[1] / np.prod([np.linalg.norm(m) for m in moved]) > 0.9


@pytest.mark.full
@pytest.mark.parametrize("claim", ["prediction_1_aligned", "theorem_2_every_layer"])
def test_true_excess_is_the_multiple_of_the_bound_that_was_asked(claim, rng):
    simulation = by_layer.SIMULATIONS.get(claim, descent.SIMULATION)
    making, drawing = rng.spawn(2)
    simulate = simulated_pairs.worlds_of(simulation, shape_of_size(60, 2), rng=making)
    primary = "aligned_excess" if claim in by_layer.SIMULATIONS else "matched_excess"
    for multiple in (0.5, 3.0):
        found = [simulate(multiple, one).statistics[primary].estimate for one in drawing.spawn(24)]
        error = np.std(found) / np.sqrt(len(found))
        # the estimate is that over the kind that comes closest, so that it lies below rather than above
        assert -4 * error - 0.3 * simulation.bound < np.mean(found) - multiple * simulation.bound < 3 * error


def test_shape_of_a_run_is_that_of_its_states(rng):
    """Size, split and number of baselines are the run's; width and clustering are found again."""
    for clustering, dim in ((0.0, 10), (0.6, 16)):
        shape = shape_of_size(60, 4, n_layers=6, dim=dim, clustering=clustering, n_baselines=5)
        pair = simulated_pairs.simulated(
            descent.SIMULATION, shape, DISTURBANCES["independent"], 0.0, np.zeros(5), rng=rng
        )
        found = simulated_pairs.shape_of({"zh": pair})
        same = [np.equal.outer(one.scenario, one.scenario) for one in (found, shape)]
        np.testing.assert_array_equal(*same)
        np.testing.assert_array_equal(found.discovery, shape.discovery)
        assert (found.n_layers, found.n_baselines) == (4, 5)
        assert found.clustering == pytest.approx(clustering, abs=0.12)
        assert 0.6 * dim <= found.dim <= dim


@pytest.mark.full
def test_baselines_differ_by_the_spread_that_the_run_found(rng):
    """More spread from seed to seed widens what is said of the model, and `seed_spread` finds it again."""
    shape = shape_of_size(60, 2, n_baselines=8)
    widths, found = [], []
    for spread in (0.001, 0.1):
        simulate = simulated_pairs.worlds_of(descent.SIMULATION, shape, rng=rng, seed_spread=spread)
        evidence = [simulate(1.0, one) for one in rng.spawn(6)]
        interval = [one.statistics["matched_excess"] for one in evidence]
        widths.append(np.mean([one.high - one.low for one in interval]))
        own = [
            [c.statistics["matched_excess"].estimate for c in one.controls if "random" in c.name]
            for one in evidence
        ]
        # each over the mean of the others, so that it varies by k / (k - 1) as much
        found.append(np.median(np.std(own, axis=1, ddof=1)) * 7 / 8)
    assert widths[1] > 1.1 * widths[0]
    assert found[0] < 0.06
    assert found[1] == pytest.approx(0.1, rel=0.4)


RUNS = {
    "prediction_1_aligned": (by_layer.retrieval_by_layer, partial(by_layer.worlds, by_layer.ALIGNED)),
    updates.CLAIM: (updates.update_agnosticism, updates.worlds),
    descent.EVERY: (descent.snr_descent, descent.worlds),
    accumulation.CLAIM: (descent.snr_descent, lambda pairs, result: accumulation.worlds(pairs)),
    models.CLAIM: (models.double_suppression, models.worlds),
    shared_dimension.CLAIM: (
        partial(shared_dimension.dimension_by_layer, n_halves=2),
        shared_dimension.worlds,
    ),
}


@pytest.mark.parametrize("claim", RUNS)
def test_worlds_of_a_run_are_judged_on_as_many_scenarios_as_the_run(claim, rng, monkeypatch):
    monkeypatch.setattr(simulated_pairs, "_N_CALIBRATION", 2)
    monkeypatch.setattr(descent, "_N_SHARES", 200)
    measure, worlds_of = RUNS[claim]
    pairs = {"zh": simulated_pair("scenarios", 0.5, rng=rng, n_scenarios=30, n_draws=2, n_layers=3, dim=24)}
    worlds = worlds_of(pairs, measure(pairs, rng=rng))
    simulate = worlds.make(rng)
    for world in error_rates.WORLDS:
        found = simulate(world, rng)
        assert (found.n_scenarios, found.n_items) == (20, 40)
        assert found.unavailable is None
    assert set(worlds.effects) == set(error_rates.WORLDS)


def test_seed_spread_is_the_median_over_languages_of_baselines_alone():
    measured = [
        {TRAINED: 9.0, "random-0": 0.0, "random-1": s, "random-blocks-0": 7.0} for s in (1.0, 3.0, 50.0)
    ]
    assert study.seed_spread(measured, float) == pytest.approx(3 / np.sqrt(2))
    assert np.isnan(study.seed_spread([{TRAINED: 1.0, "random-0": 2.0}], float))


def test_worlds_of_pairs_without_a_control_say_so(rng):
    pair = simulated_pairs.simulated(
        descent.SIMULATION, shape_of_size(12, 2), DISTURBANCES["independent"], 0.0, np.zeros(2), rng=rng
    )
    worlds = error_rates.of_pairs(descent.SIMULATION, {"zh": pair}, 0.1)
    assert worlds.make(rng)("true", rng).unavailable == "controls missing: random-2"


def test_spread_of_own_baselines_keeps_its_level_and_one_pooled_over_languages_does_not(rng):
    """Why each language's interval has its own baselines' spread, though three of them are few.

    Seeds serve all languages alike, and languages differ in spread by a factor of three: pooled, the language
    of largest spread is covered too seldom, even with degrees of freedom that know how the languages
    correlate.
    """
    k, n_languages, n = 3, 10, 4000
    for correlation in (0.0, 0.5, 0.9):
        common, own = rng.standard_normal((n, 1, k)), rng.standard_normal((n, n_languages, k))
        scale = np.geomspace(1, 3, n_languages)[:, None]
        drawn = scale * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
        variance, error = drawn.var(-1, ddof=1), np.abs(drawn.mean(-1))
        covered = error <= stats.t.isf(0.025, k - 1) * np.sqrt(variance / k)
        effective = n_languages / (1 + (n_languages - 1) * correlation**2)
        limit = stats.t.isf(0.025, effective * (k - 1)) * np.sqrt(variance.mean(1, keepdims=True) / k)
        assert covered.mean(0).min() > 0.935
        assert (error <= limit).mean(0).min() < 0.92


def test_more_baselines_narrow_an_excess_over_their_mean_and_not_one_over_the_highest(rng):
    """Limits over the highest, to support, and over the lowest, to refute, part as baselines are added."""
    widths = {}
    for k in (3, 20, 60):
        values = rng.standard_normal((2000, k))
        mean = 2 * stats.t.isf(0.025, k - 1) * values.std(1, ddof=1) / np.sqrt(k)
        widths[k] = (mean.mean(), (values.max(1) - values.min(1)).mean())
    means, extremes = zip(*widths.values(), strict=True)
    assert means[0] > 3 * means[1] > 3 * means[2]
    assert extremes[0] < extremes[1] < extremes[2]


def test_page_has_a_row_for_every_rate_that_was_recorded(tmp_path, monkeypatch):
    row = dict.fromkeys(null_battery.COLUMNS, 0.25) | {"claim": "one", "worlds": 200}
    found = null_battery_table.rows([("kills", 3), ("battery", [row, row]), ("battery", [row])])
    assert len(found) == 3
    recorded, page = tmp_path / "rates.json", tmp_path / "page.md"
    recorded.write_text(json.dumps(found))
    monkeypatch.setattr(null_battery_table, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["null_battery_table.py", str(recorded)])
    null_battery_table.main()
    assert page.read_text().startswith(null_battery_table.HEAD)
    assert page.read_text().count("| one | .250 |") == 3

"""Conjecture 5: slopes a level on planted stacks, the closed form's checks, and the rule's errors."""

from dataclasses import replace

import numpy as np
import pytest
from zspace.errors import ParameterError
from zspace.evidence import claims, study
from zspace.evidence.alignment_depth import activity
from zspace.evidence.alignment_depth.levels import PERMUTED_LEVELS, simulated_levels, slope_per_level
from zspace.evidence.language_pairs import PLANTED, TRAINED, simulated_pair

N_SCENARIOS, N_LEVELS = 24, 3


@pytest.fixture(scope="module")
def pair():
    draws = {"n_scenarios": N_SCENARIOS, "n_draws": N_LEVELS}
    return simulated_pair("scenarios", 1.0, rng=np.random.default_rng(1), **draws)


@pytest.fixture(scope="module")
def levels():
    return np.tile(np.arange(1, N_LEVELS + 1), N_SCENARIOS)


@pytest.fixture(scope="module")
def told():
    return simulated_levels(rng=np.random.default_rng(1), n_scenarios=N_SCENARIOS, n_levels=N_LEVELS)


@pytest.fixture(scope="module")
def result(told):
    pair, levels = told
    return activity.activity_by_difficulty({"simulated": pair}, levels, rng=np.random.default_rng(2))


def test_checks_of_the_closed_form_hold_and_the_conjecture_falls(rng):
    evidence, table = activity.pace_evidence(rng=rng)
    assert table["closed form"].tolist()[:3] == [17, 8, 5]
    assert (table["closed form"] - table["sampled stack"]).abs().max() <= 2
    verdict = claims.evaluate(activity.IN_THEORY, evidence)
    # the note leaves the sign open, which no sign refutes
    assert (verdict.as_stated, verdict.as_corrected) == ("not testable", "proved")


def test_planted_slopes_are_found(pair, levels, rng):
    states = activity.plant_difficulty(pair, levels, rng=rng, gain=0.2, noise=0.0)
    draws = study.draw(pair, rng=rng)
    (gained, conflict, _), many, n = activity.level_slopes(pair, states, levels, draws)
    assert n == len(np.unique(pair.scenario[pair.confirmation]))
    assert many.shape == (3, 2000)
    # contributions scaled by exp(.2 level): log sigma^2 rises by .4, up to the sampling of items
    assert gained == pytest.approx(0.4, abs=0.1)
    assert abs(conflict) < 0.06  # 16 scenarios: its sampling error is about .03
    states = activity.plant_difficulty(pair, levels, rng=rng, gain=0.0, noise=0.35)
    (gained, conflict, snr), *_ = activity.level_slopes(pair, states, levels, draws)
    assert 0 < gained < 0.3  # noise is energy that one language of the two adds
    assert conflict > 0.1
    assert snr > 0.1


def test_slope_is_the_least_squares_slope(rng):
    values = rng.standard_normal((5, 4))
    expected = [np.polyfit(np.arange(4), row, 1)[0] for row in values]
    np.testing.assert_allclose(slope_per_level(values), expected, atol=1e-12)


def test_nothing_but_the_planted_signal_is_supported(result):
    (evidence,) = result.evidence
    verdict = claims.evaluate(activity.IN_MODELS, evidence)
    assert verdict.as_corrected in ("refuted", "inconclusive")
    names = {PLANTED, activity.ACTIVITY_ALONE, PERMUTED_LEVELS}
    assert {c["name"] for c in verdict.controls} >= names
    assert all(c["passed"] for c in verdict.controls)


def test_activity_alone_is_activity_without_conflict(result):
    slopes = result.slopes.set_index("subject")
    assert slopes.loc[activity.ACTIVITY_ALONE, "activity"] > 0.1
    assert abs(slopes.loc[activity.ACTIVITY_ALONE, "conflict"]) < 0.05
    assert abs(slopes.loc[PERMUTED_LEVELS, "activity"]) < 0.1


def test_activity_alone_is_found_as_stated_and_no_conflict(told, rng):
    """What the note states is activity; what its sign comes from is conflict."""
    pair, levels = told
    busy = activity.plant_difficulty(pair, levels, noise=0.0, rng=rng)
    busier = replace(pair, subjects={**pair.subjects, TRAINED: busy})
    evidence, _ = activity.judge_levels(busier, levels, rng=rng, n_resamples=200)
    verdict = claims.evaluate(activity.IN_MODELS, evidence)
    assert (verdict.as_stated, verdict.as_corrected) == ("supported", "refuted")


def test_tables_have_every_level_and_layer(result, told):
    pair, _ = told
    n_layers = len(pair.subjects[TRAINED][0]) - 1
    counts = result.levels.groupby(["subject", "level"]).size()
    assert (counts == n_layers).all()
    assert set(result.levels["level"]) == {1, 2, 3}
    # the mixing is exact: r' = (1 - w~) r + w~ q~
    rows = result.levels[result.levels["subject"] == TRAINED]
    for _, one in rows.groupby("level"):
        after = (1 - one["w~"]) * one["snr"] + one["w~"] * one["q~"]
        np.testing.assert_allclose(after.iloc[:-1], one["snr"].iloc[1:], rtol=1e-9)


@pytest.mark.parametrize("wrong", ["one level", "level missing"])
def test_levels_that_do_not_cross_scenarios_are_refused(pair, levels, wrong, rng):
    bad = np.ones_like(levels) if wrong == "one level" else np.where(pair.scenario == "3", 1, levels)
    with pytest.raises(ParameterError, match="every scenario at each"):
        activity.activity_by_difficulty({"simulated": pair}, bad, rng=rng)


def test_slopes_between_shorter_and_longer_solutions_find_planted_difficulty(rng):
    pair = simulated_pair("scenarios", 1.0, rng=rng, n_scenarios=24, n_draws=3)
    order = np.tile([0, 1, 2], 24)
    planted = activity.plant_difficulty(pair, order, rng=rng)
    harder = replace(pair, subjects={**pair.subjects, TRAINED: planted})
    lengths = 60.0 + 10 * order
    lengths[order == 1] = np.nan
    found = activity.by_generation_length({"de": (harder, lengths)}, rng=rng)
    assert found.index.tolist() == [("de", slope) for slope in activity.SLOPES]
    # two levels lie between the shortest and the longest
    assert found.loc[("de", "activity"), "low"] > 0.3
    assert found.loc[("de", "conflict"), "low"] > 0
    assert (found["scenarios"] == pair.confirmation.sum() / 3).all()
    same = activity.by_generation_length({"de": (harder, np.full(len(order), 60.0))}, rng=rng)
    assert same.empty
    back = activity.by_generation_length({"de": (harder, 100 - lengths)}, rng=rng)
    assert back.loc[("de", "activity"), "high"] < -0.3

"""Prediction 4 on simulated pairs: planted losses are found, nothing is found where nothing is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from planted_recordings import planted_recordings
from zspace.errors import ParameterError
from zspace.evidence import claims
from zspace.evidence.alignment_depth import problem_depth
from zspace.evidence.alignment_depth.levels import PERMUTED_LEVELS, simulated_levels
from zspace.evidence.language_pairs import PLANTED, TRAINED
from zspace.measures import margins
from zspace.states.generation import recordings

N_SCENARIOS, N_LEVELS = 24, 3


@pytest.fixture(scope="module")
def pair():
    draws = {"n_scenarios": N_SCENARIOS, "n_levels": N_LEVELS}
    return simulated_levels(rng=np.random.default_rng(1), **draws)[0]


@pytest.fixture(scope="module")
def items(pair):
    n = len(pair.scenario)
    category = np.where(pair.scenario.astype(int) < 12, "a", "b")
    levels = np.tile([1, 2, 3], N_SCENARIOS)
    return pd.DataFrame({"item": np.arange(n).astype(str), "category": category, "difficulty": levels})


@pytest.fixture(scope="module")
def result(pair, items):
    return problem_depth.problem_depth({"simulated": pair}, items, rng=np.random.default_rng(2))


def test_only_the_planted_loss_is_supported(result):
    verdict = claims.evaluate(problem_depth.CLAIM, result.evidence[0])
    assert verdict.as_corrected in ("refuted", "inconclusive")
    assert all(c["passed"] for c in verdict.controls)
    slopes = result.slopes.set_index("subject")
    assert slopes.loc[PLANTED, "high"] < -0.5
    assert slopes.loc[PERMUTED_LEVELS, "low"] < 0 < slopes.loc[PERMUTED_LEVELS, "high"]


def test_a_model_that_loses_is_supported_and_one_that_gains_refuted(pair, items, rng):
    levels = items["difficulty"].to_numpy()
    for order, verdict in ((levels, "supported"), (4 - levels, "refuted")):
        blurred = problem_depth.subjects_of(pair, order, rng)[PLANTED]
        changed = {**pair.subjects, TRAINED: blurred}
        other = replace(pair, subjects=changed)
        found = problem_depth.problem_depth({"simulated": other}, items, rng=rng)
        assert claims.evaluate(problem_depth.CLAIM, found.evidence[0]).as_corrected == verdict


def test_margins_are_among_the_items_of_a_level(pair, items, rng):
    """What is said at another level changes nothing; it would, were all items candidates."""
    levels = items["difficulty"].to_numpy()
    states = pair.subjects[TRAINED]
    other = tuple(np.where((levels == 3)[:, None], rng.standard_normal(s.shape), s) for s in states)
    rows = pair.confirmation & (levels != 3)
    for of_level, same in ((levels, True), (np.zeros_like(levels), False)):
        found, changed = (problem_depth.item_margins(pair, one, of_level)[:, rows] for one in (states, other))
        assert np.allclose(found, changed, atol=1e-12) == same
    # discovery items are what the others are centred by
    of_all = problem_depth.item_margins(pair, states, levels)
    np.testing.assert_array_equal(np.isnan(of_all).any(0), pair.discovery)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_unit_of_the_slope_is_the_spread_between_items_of_a_level(seed):
    """Where one story is told at every level, areas within a scenario differ by nothing but the level."""
    rng = np.random.default_rng(seed)
    scenario, level = np.repeat(np.arange(40), 3), np.tile([1, 2, 3], 40)
    between = rng.standard_normal(40)
    between = (between - between.mean()) / between.std(ddof=1)
    area = 0.2 * between[scenario] - 0.01 * level + 1e-4 * rng.standard_normal(120)
    found = problem_depth.slope_interval(area, level, scenario, rng=rng)
    assert found.estimate == pytest.approx(-0.05, rel=0.02)
    assert found.low < found.estimate < found.high
    # control: in standard deviations within scenarios, the level is all there is
    assert margins.difficulty_slope(area, level, scenario).slope < -0.7


def test_tables_cover_items_levels_and_layers(result, pair):
    n_twins = len(pair.random_baselines)
    assert len(result.areas) == (1 + n_twins) * pair.confirmation.sum()
    assert len(result.margins) == (1 + n_twins) * N_LEVELS * len(pair.subjects[TRAINED][0])
    trained = result.areas[result.areas["subject"] == TRAINED]
    by_layer = result.margins[result.margins["subject"] == TRAINED].groupby("level")["margin"].mean()
    np.testing.assert_allclose(trained.groupby("level")["area"].mean(), by_layer, atol=1e-12)


def test_sensitivity_has_a_row_per_choice_and_category(pair, items):
    table = problem_depth.sensitivity({"simulated": pair}, items, {"simulated": pair})
    assert table.index.get_level_values("choice").tolist()[-2:] == ["category a", "category b"]
    primary, same = (table.loc[c, "simulated"] for c in (table.index[0][0], problem_depth.OTHER_CHOICE))
    pd.testing.assert_series_equal(primary, same, check_names=False)
    assert (table["low"] < table["high"]).all()


def test_one_level_is_refused(pair, items, rng):
    with pytest.raises(ParameterError, match="every scenario at each"):
        problem_depth.problem_depth({"simulated": pair}, items.assign(difficulty=1), rng=rng)


def test_slope_on_generation_length_is_found_where_it_is_planted(pair, items, tmp_path, monkeypatch, rng):
    levels = items["difficulty"].to_numpy()
    blurred = problem_depth.subjects_of(pair, levels, rng)[PLANTED]
    harder = replace(pair, subjects={**pair.subjects, TRAINED: blurred})
    texts = SimpleNamespace(items=items)
    monkeypatch.setattr(problem_depth.corpora, "load", lambda *_, **__: texts)
    solved = {"condition": "reasoning", "language": "de", "sample": 0, "correct": True, "looping": False}
    n_steps = np.round(40 * 1.3**levels).astype(int)
    written = items.assign(**solved, scenario=pair.scenario, stopped="text", n_steps=n_steps)
    made = planted_recordings(rng, n_scenarios=4)
    about = {"model": {"model": "m"}, "n_draws": 1, "difficulty": 5, "seed": 0}
    path = tmp_path / "r.npz"

    def found(pairs, outcomes):
        monkeypatch.setattr(problem_depth, "open_pairs", lambda *_, **__: {"de": pairs})
        recordings.save(replace(made, outcomes=outcomes, about=about), path)
        return problem_depth.by_generation_length("m", str(path), ["de"], rng=rng).loc["de"]

    lost = found(harder, written)
    assert lost["high"] < -0.5
    assert lost["stories"] == harder.confirmation.sum()
    # lengths that say nothing about a story
    shuffled = written.assign(n_steps=rng.permutation(written["n_steps"]))
    none = found(harder, shuffled)
    assert none["low"] < 0 < none["high"]
    # what loops, or ends at the limit, has no length
    half = written.assign(looping=levels == 1, stopped=np.where(levels == 2, "length", "text"))
    few = found(harder, half)
    assert few["stories"] == (harder.confirmation & (levels == 3)).sum()
    assert np.isnan(few["slope"])
    assert problem_depth.by_generation_length("other", str(path), ["de"], rng=rng).empty
    assert problem_depth.by_generation_length("m", "", ["de"], rng=rng).empty

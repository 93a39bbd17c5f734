"""Prediction 4 on simulated panels: planted losses are found, nothing is found where nothing is."""

import numpy as np
import pandas as pd
import pytest
from zspace.errors import ParameterError
from zspace.evidence import claims
from zspace.evidence.experiments import problem_depth
from zspace.evidence.experiments.activity import PERMUTED_LEVELS
from zspace.evidence.panels import PLANTED, TRAINED, simulated_panel

N_SCENARIOS, N_LEVELS = 24, 3


@pytest.fixture(scope="module")
def panel():
    draws = {"n_scenarios": N_SCENARIOS, "n_draws": N_LEVELS}
    return simulated_panel("scenarios", 1.0, rng=np.random.default_rng(1), **draws)


@pytest.fixture(scope="module")
def items(panel):
    n = len(panel.scenario)
    columns = {
        "item": np.arange(n).astype(str),
        "category": np.where(panel.scenario.astype(int) < 12, "a", "b"),
    }
    return pd.DataFrame({**columns, "difficulty": np.tile([1, 2, 3], N_SCENARIOS)})


@pytest.fixture(scope="module")
def result(panel, items):
    return problem_depth.problem_depth({"simulated": panel}, items, rng=np.random.default_rng(2))


def test_only_the_planted_loss_is_supported(result):
    verdict = claims.evaluate(problem_depth.CLAIM, result.evidence[0])
    assert verdict.as_corrected in ("refuted", "inconclusive")
    assert all(c["passed"] for c in verdict.controls)
    slopes = result.slopes.set_index("subject")
    assert slopes.loc[PLANTED, "high"] < -0.5
    assert slopes.loc[PERMUTED_LEVELS, "low"] < 0 < slopes.loc[PERMUTED_LEVELS, "high"]


def test_a_model_that_loses_is_supported_and_one_that_gains_refuted(panel, items, rng):
    levels = items["difficulty"].to_numpy()
    planted = problem_depth.subjects_of(panel, levels, rng)[PLANTED]
    for order, verdict in ((levels, "supported"), (4 - levels, "refuted")):
        blurred = problem_depth.subjects_of(panel, order, rng)[PLANTED]
        changed = {**panel.subjects, TRAINED: blurred}
        other = type(panel)(**{**vars(panel), "subjects": changed})
        found = problem_depth.problem_depth({"simulated": other}, items, rng=rng)
        assert claims.evaluate(problem_depth.CLAIM, found.evidence[0]).as_corrected == verdict
    assert planted[0].shape == planted[1].shape


def test_tables_cover_items_levels_and_layers(result, panel):
    n_twins = len(panel.twins)
    assert len(result.areas) == (1 + n_twins) * panel.confirmation.sum()
    assert len(result.margins) == (1 + n_twins) * N_LEVELS * len(panel.subjects[TRAINED][0])
    trained = result.areas[result.areas["subject"] == TRAINED]
    by_layer = result.margins[result.margins["subject"] == TRAINED].groupby("level")["margin"].mean()
    np.testing.assert_allclose(trained.groupby("level")["area"].mean(), by_layer, atol=1e-12)


def test_sensitivity_has_a_row_a_choice_and_category(panel, items, rng):
    table = problem_depth.sensitivity({"simulated": panel}, items, {"simulated": panel}, rng=rng)
    assert table.index.get_level_values("choice").tolist()[-2:] == ["category a", "category b"]
    primary, same = (
        table.loc[c, "simulated"] for c in ("primary: mean over all layers", "padded with sentences")
    )
    pd.testing.assert_series_equal(primary, same, check_names=False)
    assert (table["low"] < table["high"]).all()


def test_one_level_is_refused(panel, items, rng):
    with pytest.raises(ParameterError, match="every scenario at each"):
        problem_depth.problem_depth({"simulated": panel}, items.assign(difficulty=1), rng=rng)

"""Figures of conjecture 7 show their tables, and each title is the finding of its table."""

import numpy as np
import pandas as pd
import pytest
from builders import title
from zspace.evidence.cointegration import figures
from zspace.evidence.language_pairs import PLANTED, TRAINED
from zspace.evidence.rules import INCONCLUSIVE, SUPPORTED
from zspace.evidence.shared_subspace import figures as subspace_figures


def subtitle(figure):
    return figure.layout.title.subtitle.text


def test_size_curves_name_the_worst_case():
    columns = {"n_steps": [28, 100] * 2, "n_series": [2, 2, 6, 6], "none": [0.1, 0.06, 0.93, 0.2]}
    sizes = pd.DataFrame(columns | {"reinsel-ahn": 0.04})
    figure = figures.size_curves(sizes)
    said = "With 28 layers and 6 series, one problem shows relations of nothing in 93% of cases"
    assert title(figure) == said
    by_name = {trace.name: list(trace.y) for trace in figure.data}
    assert by_name["6 series, as tabulated"] == [0.93, 0.2]
    assert len(by_name) == 4


def test_recovery_bars_show_both_worlds_and_the_worst_omission():
    variants = ["all corrections", "problems not scaled"]
    rows = {"variant": variants * 2, "size": [0.05, 1.0] * 2, "mean_rank": 1.0}
    kinds = {"specific": np.repeat(["random_walk", "stationary"], 2), "true_rank": [1, 1, 5, 5]}
    figure = figures.recovery_bars(pd.DataFrame({**rows, **kinds, "recovery": [0.95, 0.0, 0.97, 0.4]}))
    said = "All corrections find the rank in 95%; with one left out, up to 100% false relations"
    assert title(figure) == said
    names = ["specific parts wander: rank 1", "specific parts stationary: rank 5"]
    assert [t.name for t in figure.data[1:]] == names
    assert list(figure.data[0].y) == variants[::-1]
    assert list(figure.data[0].x) == [1.0, 0.05]


@pytest.fixture
def curves():
    layer = np.arange(3)
    rows = [
        pd.DataFrame({"language": k, "subject": s, "layer": layer, "shared_variance": v + layer})
        for k in ("zh", "sw")
        for s, v in ((TRAINED, 1.0), ("random-0", 0.1), ("random-1", 0.2), (PLANTED, 3.0))
    ]
    return pd.concat(rows, ignore_index=True)


def test_dimension_curves_state_the_verdicts(curves):
    figure = subspace_figures.dimension_curves(curves, {"zh": SUPPORTED, "sw": INCONCLUSIVE})
    assert title(figure) == "Half a dimension more than any control, supported: zh; inconclusive: sw"
    shown = [t for t in figure.data if t.name == "shared variance" and t.x[0] is not None]
    assert [list(t.y) for t in shown] == [[1.0, 2.0, 3.0]] * 2
    assert sum(t.fill == "toself" for t in figure.data) == 2


def test_network_dimensions_give_the_range_over_layers():
    columns = {"seed": [1, 1, 2, 2], "layer": [0, 1] * 2, "dimension": [4, 5, 4, 4]}
    table = pd.DataFrame({"shared": 4, "subject": "trained", **columns})
    figure = subspace_figures.network_dimensions(table)
    said = "Dimensions found over all layers of trained networks: 4.0 to 4.5 where 4 are shared"
    assert title(figure) == said
    assert list(figure.data[0].y) == [4.0, 4.5]


@pytest.fixture
def pairs():
    return pd.DataFrame(
        {
            "subject": TRAINED,
            "first": ["en", "en", "zh"],
            "second": ["zh", "sw", "sw"],
            "log_ratio": [0.5, -0.2, 0.1],
            "log_ratio_excess": [0.4, -0.1, 0.2],
            "low": [0.1, -np.inf, -1.0],
            "high": [0.7, np.inf, 1.0],
        }
    )


def test_adjustment_speeds_mark_what_has_no_interval(pairs):
    figure = figures.adjustment_speeds(pairs, "en")
    assert title(figure).endswith("in 1 of 1 languages")
    assert subtitle(figure).endswith("(1)")
    excess = figure.data[1]
    assert list(excess.marker.symbol) == ["circle", "x"]
    np.testing.assert_allclose(excess.error_y.array, [0.3, 0.0])
    apart = figures.adjustment_speeds(pairs.assign(low=-1.0, high=1.0), "en")
    assert title(apart).endswith("in 0 of 2 languages")
    none = figures.adjustment_speeds(pairs.assign(low=-np.inf, high=np.inf), "en")
    assert title(none) == "No ratio of speeds has an interval (of 2 languages)"


def test_speed_scatter_states_how_well_speeds_repeat(pairs):
    found = pd.DataFrame({"subject": [TRAINED], "r": [0.2], "low": [-0.1], "high": [0.5]})
    figure = figures.speed_scatter(pairs.assign(log_ratio_excess_other=[0.3, 0.1, 0.0]), found)
    assert title(figure) == "Speeds of 3 pairs agree with themselves by r = 0.20"
    assert subtitle(figure) == "95 % interval by language -0.10 to 0.50"
    assert list(figure.data[0].text) == ["en–zh", "en–sw", "zh–sw"]


def test_map_curves_give_the_range_of_medians():
    table = pd.DataFrame(
        {"language": ["zh"] * 3 + ["sw"] * 3, "subject": TRAINED, "layer": [2, 3, 4] * 2}
        | {"r2_own": [0.1, 0.2, 0.3, -5.0, 0.0, 0.1], "r2_common": [0.0, 0.1, 0.1, 0.0, 0.0, 0.0]}
    )
    figure = figures.map_curves(table)
    assert title(figure) == "Median R² over layers: own maps 0.00 to 0.20, one map 0.00 to 0.10"
    assert min(min(t.y) for t in figure.data if t.y[0] is not None) == -0.5

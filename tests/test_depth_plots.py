"""Figures of depth and of bridges show their tables, and each title is the finding of its table."""

import numpy as np
import pandas as pd
import pytest
from builders import title
from zspace.evidence.alignment_depth import activity, figures
from zspace.evidence.bridges import figures as bridge_figures
from zspace.evidence.language_pairs import TRAINED
from zspace.evidence.rules import REFUTED, SUPPORTED


@pytest.fixture
def depths():
    known = {"language": ["zh", "sw"], "log_mc4_tokens": [1.6, 0.0], "log_web_pages": [8.1, 5.5]}
    known |= {"family": ["Sino-Tibetan", "Niger–Congo"]}
    return pd.DataFrame(
        {**known, "subject": TRAINED, "layer": [2.0, np.nan], "aligned": [True, False], "conflict": [0.7, 1]}
    )


@pytest.fixture
def curves():
    layer = np.tile(np.arange(4), 2)
    accuracy = np.array([0.1, 0.4, 0.8, 0.9, 0.1, 0.1, 0.2, 0.1])
    bands = {"lower_band": accuracy - 0.1, "upper_band": accuracy + 0.1, "threshold": 0.5}
    return pd.DataFrame(
        {"language": np.repeat(["zh", "sw"], 4), "layer": layer, "accuracy": accuracy, **bands}
    )


def test_depth_curves_name_depths_and_mark_what_is_censored(curves, depths):
    figure = figures.depth_curves(curves, depths)
    assert title(figure) == "Depth: zh 2"
    assert "censored: not aligned" in {a.text for a in figure.layout.annotations}
    nowhere = depths.assign(layer=np.nan, aligned=True)
    figure = figures.depth_curves(curves, nowhere)
    assert title(figure) == "Depth: censored in every language"
    assert [a.text for a in figure.layout.annotations].count("censored") == 2


def test_accuracy_map_orders_languages_by_text_and_counts_both_hurdles(curves, depths):
    figure = figures.accuracy_map(curves, depths)
    assert title(figure) == "1 of 2 languages are aligned, 1 of them at a layer for sure"
    heat, crosses = figure.data
    assert [list(part) for part in heat.y] == [["Niger–Congo", "Sino-Tibetan"], ["sw", "zh"]]
    np.testing.assert_allclose(heat.z[1], [0.1, 0.4, 0.8, 0.9])
    assert (list(crosses.x), list(crosses.y[1])) == ([2.0], ["zh"])


def test_by_share_states_both_correlations_and_leaves_censored_points_open(depths):
    rows = [("depth", "mc4_tokens", TRAINED, -0.5, 0.04), ("depth", "web_pages", TRAINED, 0.25, 0.3)]
    table = pd.DataFrame(rows, columns=["outcome", "proxy", "subject", "rho", "p"])
    figure = figures.by_share(depths, table, "depth", "layer", "depth, layer")
    assert title(figure) == "Against the share of text alone: ρ = -0.50 (p = .040), ρ = +0.25 (p = .300)"
    symbols = {trace.text[0]: trace.marker.symbol[0] for trace in figure.data}
    assert symbols == {"zh": "circle", "sw": "circle-open"}
    heights = {trace.text[0]: trace.y[0] for trace in figure.data}
    assert heights["sw"] > heights["zh"]


@pytest.mark.parametrize(
    ("value", "words"), [("snr", "is higher, as conflict is, in"), ("margin", "is smaller in")]
)
def test_curves_by_level_say_where_the_verdict_holds(value, words):
    layer, level = (a.ravel() for a in np.meshgrid(np.arange(3), [1, 2], indexing="ij"))
    one = pd.DataFrame({"layer": layer, "level": level, value: 1.0 + level, "subject": TRAINED})
    table = pd.concat([one.assign(language=k) for k in ("zh", "sw")])
    table = pd.concat([table, table.assign(subject="random-0")], ignore_index=True)
    draw = {"snr": figures.snr_by_level, "margin": figures.margin_by_level}[value]
    figure = draw(table, {"zh": SUPPORTED, "sw": REFUTED})
    refuted = {"snr": "is not higher by more conflict", "margin": "is not smaller"}[value]
    assert f"{words} zh; {refuted} in sw" in title(figure)
    assert "cannot be told" in title(draw(table, {}))
    named = {trace.name for trace in figure.data}
    assert {"level 1", "level 2", "random-weight baselines"} <= named


def test_pace_curves_give_the_depths_of_the_table():
    figure = figures.pace_curves(pd.DataFrame({"closed form": [17, 8, 5, 20]}))
    assert title(figure) == "Contributions × 2: depth 5 instead of 17"
    assert len(figure.data) == len(activity.GAINS) + 1
    below = [int(np.argmax(np.array(trace.y) < activity.THRESHOLD)) for trace in figure.data]
    assert below == [17, 8, 5, 20]


def test_ladder_curves_name_the_mean_of_both_maps_and_cut_the_axis():
    columns = {"r2 ridge": [-4.0, 0.2, 0.31], "r2 scaled_procrustes": [-5.0, 0.1, 0.3]}
    columns |= {"gap": [1.0, 0.1, 0.01], "gap, null": [0.0, 0.05, 0.0], "layer": range(3)}
    table = pd.DataFrame({"language": "zh", "subject": TRAINED, **columns})
    figure = bridge_figures.ladder_curves(table)
    assert title(figure).endswith("of ridge and of a scaled rotation, mean over layers: zh -1.16 and -1.53")
    drawn = {trace.name: trace.y for trace in figure.data if len(trace.y) == 3}
    np.testing.assert_allclose(drawn["ridge"], [-1, 0.2, 0.31])
    np.testing.assert_allclose(drawn["excess of the gap"], [1, 0.05, 0.01])


def test_conditioning_scatter_has_a_point_a_pair_and_its_test():
    columns = {"log_kappa_excess": [0.1, 0.2, 0.3], "gap_excess": [0.0, 0.1, 0.2], "r2": [0.5, 0.6, 0.7]}
    pairs = pd.DataFrame({"subject": TRAINED, "first": list("aab"), "second": list("bcc"), **columns})
    found = pd.DataFrame({"subject": [TRAINED], "r": [0.9], "p": [0.0123], "critical": [0.8]})
    figure = bridge_figures.conditioning_scatter(pairs, found)
    assert title(figure) == "Conditioning and gap over 3 pairs: r = 0.90, p = 0.012 (QAP)"
    assert "|r| ≥ 0.80; mean held-out R² 0.60" in figure.layout.title.subtitle.text
    assert list(figure.data[0].text) == ["a–b", "a–c", "b–c"]

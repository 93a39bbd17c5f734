"""Figures say what their tables hold, keep languages' colours and stay small."""

import numpy as np
import pandas as pd
import pytest
from zspace.evidence import claims, panels, plots, tables
from zspace.evidence.experiments import descent, retrieval, updates

LANGUAGES = ("zh", "fr", "sw")


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    shares = {"zh": 1.0, "fr": 1.0, "sw": 0.0}
    return {
        language: panels.replace(panels.simulated_panel("scenarios", share, rng=rng), language=language)
        for language, share in shares.items()
    }


def kilobytes(figure):
    return len(figure.to_json()) / 1000


def test_languages_keep_distinct_colours():
    colours = plots.LANGUAGE_COLOURS
    assert len(set(colours.values())) == len(colours) == 11
    assert plots.language_colour("xx") not in colours.values()


def test_retrieval_curves_title_names_aligned_languages_only(pairs):
    result = retrieval.retrieval_by_layer(pairs, rng=np.random.default_rng(1), n_shuffles=50)
    verdicts = claims.evaluate_scope("prediction_1_aligned", result.evidence["prediction_1_aligned"])
    figure = plots.retrieval_curves(
        result.curves, result.peaks, {v.language: v.as_corrected for v in verdicts[1:]}
    )
    title = figure.layout.title.text.replace("<br>", " ")
    assert title.startswith("Story aligned beyond every control: zh, fr;")
    assert title.endswith(": sw")
    drawn = {trace.line.color for trace in figure.data}
    assert {plots.language_colour(x) for x in LANGUAGES} <= drawn
    assert kilobytes(figure) < 100


def test_shuffles_reject_where_something_is_shared_and_not_elsewhere(pairs):
    result = retrieval.retrieval_by_layer(pairs, rng=np.random.default_rng(1), n_shuffles=199)
    p = result.shuffles.groupby("language")["p_holm"].first()
    assert p["zh"] < 0.05
    assert p["fr"] < 0.05
    assert p["sw"] > 0.05


def test_sensitivity_has_a_row_per_choice_and_finds_the_signal_in_each(pairs):
    table = retrieval.sensitivity(pairs, pairs, pairs)
    assert table.index[0].startswith("primary")
    between = table.loc[[i for i in table.index if "within" not in i and "own translation" not in i]]
    assert (between["zh", "trained"] > between["zh", "best control"]).all()
    # within a scenario nothing was planted: the trained model is no better than chance allows
    within = table.loc["own translation within its scenario"]
    assert within["all", "chance"] == pytest.approx(0.25)
    assert abs(within["zh", "trained"] - 0.25) < 0.15


def test_descent_figures_say_what_falls(pairs):
    result = descent.snr_descent(pairs, rng=np.random.default_rng(2))
    assert "random twins" in plots.descent_title(result.criteria)
    assert "zh " in plots.accumulation_title(result.shares)
    figure = plots.snr_curves(result.curves, "a title")
    assert figure.layout.title.text == "a title"
    assert kilobytes(figure) < 100
    assert kilobytes(plots.descent_paths(result.paths, "a title")) < 100


def test_update_figures_hold_every_subject(pairs):
    result = updates.update_agnosticism(pairs, rng=np.random.default_rng(3))
    gains = result.gains.rename(columns={"gain": "estimate"})
    figure = plots.excess_by_subject(gains, 0.02, plots.gain_title(result.gains), "gain")
    assert {t.name for t in figure.data} == set(LANGUAGES)
    assert set(figure.layout.yaxis.ticktext) == set(result.gains["subject"])
    verdicts = dict.fromkeys(LANGUAGES, "inconclusive")
    title = plots.update_curves(result.curves, verdicts).layout.title.text.replace("<br>", " ")
    assert "no language; inconclusive: zh, fr, sw" in title
    table = updates.sensitivity(pairs, pairs)
    assert list(table.columns.levels[1]) == ["best twin", "trained"]


def test_verdict_map_shows_every_verdict():
    rows = [("a", "*", "proved"), ("a", "zh", "supported"), ("b", "zh", "not testable")]
    ledger = pd.DataFrame(rows, columns=["claim", "language", "as_corrected"])
    figure = plots.verdict_map(ledger)
    assert set(figure.data[0].text.ravel()) == {"proved", "supported", "not testable", ""}
    assert figure.layout.title.text.endswith("1 proved, 1 supported, 1 not testable")


def test_tables_state_rules_and_controls(pairs):
    rules = tables.rules(["prediction_1_rises", "theorem_2_snr_descent"])
    stated = rules.loc[("prediction_1_rises", "as stated"), "supported when"]
    assert "rise excess above 0.1" in stated
    assert "largest drop below 0.1, refuted above 0.02" in stated
    evidence = updates.update_agnosticism(pairs, rng=np.random.default_rng(4)).evidence
    verdicts = claims.evaluate_scope(*next(iter(evidence.items())))
    found = tables.controls(verdicts)
    assert set(found.loc["zh"].index) == {
        "random-0",
        "random-1",
        "random-2",
        panels.PERMUTED,
        panels.SHUFFLED,
        panels.PLANTED,
    }
    assert list(tables.verdicts(verdicts).index) == ["*", *LANGUAGES]

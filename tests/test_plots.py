"""Figures say what their tables hold, keep languages' colours and stay small."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builders import title
from zspace.evidence import claims, summary_figures, tables, theme
from zspace.evidence.language_pairs import PERMUTED, PLANTED, SHUFFLED, TRAINED, simulated_pair
from zspace.evidence.retrieval import by_layer, updates
from zspace.evidence.retrieval import figures as retrieval_figures
from zspace.evidence.snr_descent import descent
from zspace.evidence.snr_descent import figures as snr_descent_figures
from zspace.evidence.theme import LANGUAGE_COLOURS, VERDICT_COLOURS
from zspace.files import params

LANGUAGES = ("zh", "fr", "sw")


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    shares = {"zh": 1.0, "fr": 1.0, "sw": 0.0}
    return {k: replace(simulated_pair("scenarios", v, rng=rng), language=k) for k, v in shares.items()}


@pytest.fixture(scope="module")
def retrieved(pairs):
    return by_layer.retrieval_by_layer(pairs, rng=np.random.default_rng(1), n_shuffles=199)


@pytest.fixture(scope="module")
def updated(pairs):
    return updates.update_agnosticism(pairs, rng=np.random.default_rng(3))


def kilobytes(figure):
    return len(figure.to_json()) / 1000


def test_retrieval_curves_title_names_aligned_languages_only(retrieved):
    verdicts = claims.evaluate_scope("prediction_1_aligned", retrieved.evidence["prediction_1_aligned"])
    by_language = {v.language: v.as_corrected for v in verdicts[1:]}
    figure = retrieval_figures.retrieval_curves(retrieved.curves, retrieved.peaks, by_language)
    assert title(figure).startswith("Story aligned beyond every control: zh, fr;")
    assert title(figure).endswith(": sw")
    drawn = {trace.line.color for trace in figure.data}
    assert {theme.language_colour(x) for x in LANGUAGES} <= drawn
    assert kilobytes(figure) < 100


def test_shuffles_reject_where_something_is_shared_and_not_elsewhere(retrieved):
    p = retrieved.shuffles.groupby("language")["p_holm"].first()
    assert max(p["zh"], p["fr"]) < 0.05 < p["sw"]


def test_sensitivity_has_a_row_per_choice_and_finds_the_signal_in_each(pairs):
    table = by_layer.sensitivity(pairs, pairs, pairs, rng=np.random.default_rng(4))
    assert table.index[0].startswith("primary")
    others = ("within", "own translation", "permuted")
    between = table.loc[[i for i in table.index if not any(word in i for word in others)]]
    assert (between["zh", "trained"] > between["zh", "best control"]).all()
    # within a scenario nothing was planted: the trained model is no better than chance allows
    within = table.loc["own translation within its scenario"]
    assert within["all", "chance"] == pytest.approx(0.25)
    assert abs(within["zh", "trained"] - 0.25) < 0.15
    cka, null = table.loc[by_layer.CKA], table.loc[by_layer.CKA_NULL]
    assert cka["zh", "trained"] > null["zh", "trained"] + 0.1
    assert cka["sw", "trained"] < null["sw", "trained"] + 0.1  # nothing is planted there
    assert null["zh", "trained"] > 0.3  # items of a scenario are alike in both languages, whichever it is


def test_descent_figures_say_what_falls(pairs, monkeypatch):
    monkeypatch.setattr(descent, "_N_SHARES", 500)
    result = descent.snr_descent(pairs, rng=np.random.default_rng(2))
    assert "random-weight baselines" in snr_descent_figures.descent_title(result.criteria)
    assert "zh " in snr_descent_figures.accumulation_title(result.shares)
    figure = snr_descent_figures.snr_curves(result.curves, "a title")
    assert title(figure) == "a title"
    assert kilobytes(figure) < 100
    assert kilobytes(snr_descent_figures.descent_paths(result.paths, "a title")) < 100


def test_update_figures_hold_every_subject(pairs, updated):
    gains = updated.gains.rename(columns={"gain": "estimate"})
    said = retrieval_figures.gain_title(updated.gains)
    figure = retrieval_figures.excess_by_subject(gains, 0.02, said, "gain")
    assert {t.name for t in figure.data} == set(LANGUAGES)
    assert set(figure.layout.yaxis.ticktext) == set(gains["subject"])
    verdicts = dict.fromkeys(LANGUAGES, "inconclusive")
    figure = retrieval_figures.update_curves(updated.curves, verdicts)
    assert "no language; inconclusive: zh, fr, sw" in title(figure)
    table = updates.sensitivity(pairs, pairs)
    assert list(table.columns.levels[1]) == ["best baseline", "trained"]


def test_accuracy_lines_show_the_model_over_its_first_twin():
    rows = [
        (code, subject, layer, round(peak * layer / 3, 3))
        for code, peak in (("sw", 0.3), ("zh", 0.9))
        for subject, peak in ((TRAINED, peak), ("random-0", 0.1), ("surface overlap", 0.2))
        for layer in range(4)
    ]
    curves = pd.DataFrame(rows, columns=["language", "subject", "layer", "accuracy"])
    figure = retrieval_figures.accuracy_lines(curves)
    assert {t.name: list(t.y) for t in figure.data} == {
        f"{code}, {subject}": of_subject["accuracy"].tolist()
        for (code, subject), of_subject in curves.groupby(["language", "subject"])
        if subject != "surface overlap"
    }
    colours = {t.name: t.line.color for t in figure.data if t.showlegend}
    assert colours == {f"{code}, trained": LANGUAGE_COLOURS[code] for code in ("sw", "zh")}
    assert title(figure) == "Best accuracy from 0.30 (sw) to 0.90 (zh)"
    curves.loc[curves["subject"] == TRAINED, "accuracy"] /= 2
    figure = retrieval_figures.accuracy_lines(curves)
    assert title(figure) == "Best accuracy from 0.15 (sw) to 0.45 (zh)"
    alone = retrieval_figures.accuracy_lines(curves[curves["subject"] == TRAINED])
    assert len([t for t in alone.data if t.x is not None and len(t.x)]) == 2


@pytest.fixture
def ledger():
    """Two models, one of them on two corpora, and a theorem that is about none."""
    rows = [
        ("theorem_x", "any", "any", "*", "refuted", "proved"),
        ("claim_a", "m1", "c/v", "*", "refuted", "supported"),
        ("claim_a", "m1", "c/v", "zh", "refuted", "supported"),
        ("claim_a", "m1", "c/v", "sw", "inconclusive", "inconclusive"),
        ("claim_a", "m1", "d/v", "zh", "refuted", "refuted"),
        ("claim_a", "m2", "c/v", "zh", "not testable", "not testable"),
        ("claim_b", "m2", "c/v", "zh", "supported", "supported"),
    ]
    columns = ["claim", "model", "corpus", "language", "as_stated", "as_corrected"]
    return pd.DataFrame(rows, columns=columns)


def shown_colour(heat, code):
    """What a heat map paints a number with, from its colour scale of steps."""
    at = (code - heat.zmin) / (heat.zmax - heat.zmin)
    return [colour for place, colour in heat.colorscale if place <= at][-1]


@pytest.mark.parametrize("reading", ["as_corrected", "as_stated"])
def test_verdict_map_has_a_row_per_claim_model_and_corpus_and_hides_none(ledger, reading):
    figure = summary_figures.verdict_map(ledger, reading)
    (heat,) = figure.data
    assert list(heat.y)[::-1] == [
        "theorem x",
        "claim a <i>m1, c/v</i>",
        "claim a <i>m1, d/v</i>",
        "claim a <i>m2</i>",
        "claim b <i>m2</i>",
    ]
    assert list(heat.x) == ["all", "sw", "zh"]
    table = pd.DataFrame(heat.customdata, index=heat.y, columns=heat.x)
    for row in ledger.itertuples():
        place = {"any": "", "m1": f" <i>m1, {row.corpus}</i>", "m2": " <i>m2</i>"}[row.model]
        cell = table.loc[row.claim.replace("_", " ") + place, {"*": "all"}.get(row.language, row.language)]
        assert cell == getattr(row, reading)
    assert (table != "").to_numpy().sum() == len(ledger)


def test_verdict_map_of_one_model_names_it_once(ledger):
    figure = summary_figures.verdict_map(ledger[ledger["model"] == "m1"])
    assert list(figure.data[0].y)[::-1] == ["claim a <i>c/v</i>", "claim a <i>d/v</i>"]
    assert figure.layout.title.text.startswith("m1 as corrected: 2 supported")


def test_verdict_map_writes_and_paints_each_verdict_in_its_own_way(ledger):
    figure = summary_figures.verdict_map(ledger)
    (heat,) = figure.data
    key = figure.layout.title.subtitle.text.partition("; ")[2]
    words = dict(entry.split(" ", 1) for entry in key.split(", "))
    for code, symbol, word in zip(heat.z.ravel(), heat.text.ravel(), heat.customdata.ravel(), strict=True):
        assert words.get(symbol, "") == word
        assert np.isnan(code) if not word else shown_colour(heat, code) == VERDICT_COLOURS[word]


def test_verdict_map_title_counts_the_ledgers_rows(ledger):
    counts = "1 proved, 3 supported, 1 refuted, 1 inconclusive, 1 not testable"
    assert title(summary_figures.verdict_map(ledger)) == f"Verdicts as corrected: {counts}"
    stated = "1 supported, 4 refuted, 1 inconclusive, 1 not testable"
    assert title(summary_figures.verdict_map(ledger, "as_stated")) == f"Verdicts as stated: {stated}"
    ledger.loc[2, "as_corrected"] = "refuted"
    assert "2 supported, 2 refuted" in title(summary_figures.verdict_map(ledger))


def test_other_corpora_have_a_table_of_their_own():
    corpora = ("number-stories/digits", "flores/masked", "worked number-stories/digits")
    rows = [("a", "any", "any"), *zip("bcd", "mmm", corpora, strict=True)]
    rows.append(("b", "k", "number-stories-padded-numbers/spelled-out"))
    found = tables.by_model(pd.DataFrame(rows, columns=["claim", "model", "corpus"]))
    assert [one["claim"].tolist() for one in found] == [["b", "d"], ["c"], ["b"]]


def test_table_without_model_has_the_claims_about_none(ledger):
    ledger.loc[len(ledger)] = ("theorem_x", "any", "any", "zh", "refuted", "proved")
    found = tables.without_model(ledger)
    assert found.index.tolist() == ["theorem x"]
    assert found.to_dict("records") == [{"as stated": "refuted", "as corrected": "proved"}]


def test_tables_state_rules_and_controls(updated):
    words = tables.rules(["prediction_1_rises", "theorem_2_snr_descent", "conjecture_7_rank_in_models",
                          "prediction_6_bridge_conditioning"]).loc[:, "as stated", :]  # fmt: skip
    for claim, column, expected in (
        ("prediction_1_rises", "supported when", "95 % limits of rise excess above 0.1"),
        ("prediction_1_rises", "supported when", "largest drop below 0.1, refuted above 0.02"),
        ("prediction_1_rises", "required controls", "random-2, permuted-embeddings-0"),
        ("theorem_2_snr_descent", "supported when", "counterexample: swap counterexample"),
        ("conjecture_7_rank_in_models", "supported when", "rank error equals 0"),
        (
            "conjecture_7_rank_in_models",
            "testable when",
            "95 % limits of drift below 1; last dimension at least 1",
        ),
        (
            "prediction_6_bridge_conditioning",
            "supported when",
            "p of mantel r below 0.05 with mantel r above 0",
        ),
    ):
        assert expected in words.loc[claim, column]
    verdicts = claims.evaluate_scope(*next(iter(updated.evidence.items())))
    found = tables.controls(verdicts)
    twins = {"random-0", "random-1", "random-2"}
    assert set(found.loc["zh"].index) == {*twins, PERMUTED, SHUFFLED, PLANTED}
    shown = tables.verdicts(verdicts)
    assert list(shown.index) == ["in general", *LANGUAGES]
    assert {"low", "high", "lower limit against", "upper limit against"} <= set(shown)
    assert not {"p", "n", "least", "most", "range over"} & set(shown)
    assert set(shown["lower limit against"].dropna()) == {"the mean of 3 random"}


def test_error_rates_are_shown_beside_the_true_effect_of_each_world():
    rates = {
        "true": {"supported": 0.9, "inconclusive": 0.1},
        "modest": {"supported": 0.5, "not testable": 0.5},
        "null": {"supported": 0.1, "refuted": 0.2, "inconclusive": 0.7},
        "false": {"refuted": 1.0},
    }
    effects = {"false": "ρ = 0.9", "true": "ρ = -0.98", "modest": "ρ = -0.8", "null": "ρ = 0"}
    found = claims.OperatingCharacteristic(0.1, 0.3, 0.2, 0.9, 0.5, 1.0, 10, rates, effects)
    table = tables.operating({"c": found}).loc["c"]
    assert list(table.index) == ["ρ = -0.98", "ρ = -0.8", "ρ = 0", "ρ = 0.9"]
    assert table["supported"].tolist() == [0.9, 0.5, 0.1, 0]
    assert table["refuted"].tolist() == [0, 0, 0.2, 1]
    np.testing.assert_allclose(table["undecided"], [0.1, 0.5, 0.7, 0])
    assert table["at most (95 %)"].dropna().to_dict() == {"ρ = 0": 0.3}


def test_controls_show_the_verdict_on_the_claim_as_stated_where_it_is_another():
    control = {
        "name": "planted",
        "kind": "positive",
        "estimate": 1.0,
        "verdict": "supported",
        "passed": False,
    }
    for stated, shown in (("refuted", True), ("supported", False), (None, False)):
        verdict = claims.Verdict("c", "zh", "x", "y", controls=({**control, "verdict_as_stated": stated},))
        table = tables.controls([verdict])
        assert ("verdict as stated" in table) == shown
        assert not table.loc[("zh", "planted"), "as it should be"]


def test_a_test_is_shown_with_its_p_and_a_count_with_its_range():
    verdict = claims.Verdict("c", "zh", "refuted", "supported", statistic="rho", estimate=-0.6)
    one = replace(verdict, statistic_kind="test", pvalue=0.03, n=10)
    row = tables.verdicts([one]).loc["zh"]
    assert (row["estimate"], row["p"], row["n"], "low" in row) == (-0.6, 0.03, 10, False)
    counted = replace(verdict, statistic_kind="count", range_low=0, range_high=1, range_of="subsets")
    row = tables.verdicts([counted]).loc["zh"]
    assert (row["least"], row["most"], row["range over"], "p" in row) == (0, 1, "subsets", False)


def test_a_statement_says_all_that_the_claims_file_says():
    """In Markdown with its formulas, and in plain text that nothing random enters."""
    for claim, entry in params("claims").items():
        found = tables.statement([claim])
        for text in (*entry["statement"].values(), entry["title"], entry["null_hypothesis"], entry["scope"]):
            assert text in found.markdown
            assert " ".join(text.split()) in " ".join(repr(found).split())
        assert all(r["changed"] in found._repr_markdown_() for r in entry.get("revised", ()))
        assert "**" not in repr(found)


@pytest.mark.parametrize(
    ("cell", "chromium", "renderer"),
    [
        ("some-cell", True, "plotly_mimetype"),
        (None, True, "plotly_mimetype+png"),
        (None, False, "plotly_mimetype"),
    ],
)
def test_prepare_notebook_draws_pictures_where_it_can_and_shows_nothing_of_it(
    monkeypatch, cell, chromium, renderer
):
    monkeypatch.setattr(theme.shutil, "which", lambda name: f"/usr/bin/{name}" if chromium else None)
    monkeypatch.setattr(theme.pio.renderers, "default", "json")  # restored afterwards
    monkeypatch.delenv("ZSPACE_CELL", raising=False)
    if cell:
        monkeypatch.setenv("ZSPACE_CELL", cell)
    # its cell must look the same on every machine
    assert theme.prepare_notebook() is None
    assert theme.pio.renderers.default == renderer


def test_measured_and_unmeasured_part_the_models(ledger):
    absent = ledger.iloc[:1].assign(
        model="far", estimate=np.nan, as_corrected_reason="weights unavailable: x"
    )
    present = ledger.assign(estimate=np.where(ledger["model"] == "any", np.nan, 0.5))
    both = pd.concat([present, absent], ignore_index=True)
    assert list(tables.measured(both)["model"]) == list(ledger["model"])
    assert tables.unmeasured(both)["reason"].to_dict() == {"far": "weights unavailable: x"}
    counted = tables.counts(both).loc["ledger"]
    assert counted["verdicts"] == len(both)
    assert counted["models"] == len(set(both["model"]) - {"any"})


def test_residues_name_each_identity_of_a_proof():
    shown = tables.residues({"spectrum": 0, "matrix_bounds": "x - 1"})
    assert shown["residue"].to_dict() == {"spectrum": "0", "matrix bounds": "x - 1"}


def test_decided_counts_verdicts_on_all_languages_about_models_by_corpus():
    columns = ["claim", "model", "corpus", "language", "as_corrected"]
    rows = [
        ("a", "m", "stories", "*", "supported"),
        ("a", "m", "stories", "zh", "inconclusive"),
        ("b", "m", "stories", "*", "mixed"),
        ("c", "m", "stories", "*", "inconclusive (depends on the measure)"),
        ("a", "m", "names", "*", "premise refuted"),
        ("d", "any", "any", "*", "proved"),
    ]
    found = tables.decided(pd.DataFrame(rows, columns=columns))
    assert found["verdicts"].to_dict() == {"stories": 3, "names": 1, "all corpora": 4}
    assert found["decided"].tolist() == [2, 1, 3]
    assert found["share"].tolist() == pytest.approx([2 / 3, 1, 0.75])

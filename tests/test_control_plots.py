"""Figures of the controls show their tables, and each title is the finding of the table it stands above."""

import numpy as np
import pandas as pd
import pytest
from builders import title
from zspace.evidence import theme
from zspace.evidence.language_pairs import TRAINED
from zspace.evidence.retrieval import control_figures

LAYERS = 4


def shown(figure):
    """The map of a figure as a table, and the texts in its cells."""
    (found,) = figure.data
    return pd.DataFrame(found.z, index=found.y, columns=found.x), np.array(found.text)


def curves(values, languages, column):
    """Rows of language, `column` and layer, with what `values(language, entry of column, layer)` gives."""
    rows = [
        {"language": code, column: name, "layer": k, **values(code, name, k)}
        for code, names in languages.items()
        for name in names
        for k in range(LAYERS)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def overlap():
    codes = ["en", "fr", "es"]
    table = pd.DataFrame(np.nan, index=codes, columns=codes)
    for one, other, value in (("en", "fr", 0.12), ("en", "es", -0.01), ("fr", "es", 0.31)):
        table.loc[one, other] = table.loc[other, one] = value
    return table


def test_overlap_map_shows_the_table_and_names_the_largest(overlap):
    figure = control_figures.overlap_map(overlap)
    table, text = shown(figure)
    pd.testing.assert_frame_equal(table, overlap, check_names=False)
    assert text.tolist() == [["", "0.12", "-0.01"], ["0.12", "", "0.31"], ["-0.01", "0.31", ""]]
    assert title(figure) == "Translations share most tokens in fr and es: 0.31 beyond unrelated items"
    overlap.loc["en", "fr"] = overlap.loc["fr", "en"] = 0.47
    again = control_figures.overlap_map(overlap)
    assert title(again) == "Translations share most tokens in en and fr: 0.47 beyond unrelated items"
    assert again.data[0].zmax == 0.47  # no value beyond the end of the scale


def test_overlap_map_says_so_where_nothing_is_known(overlap):
    figure = control_figures.overlap_map(overlap * np.nan)
    assert "unknown" in title(figure)
    assert set(shown(figure)[1].ravel()) == {""}
    overlap.loc["es"] = overlap["es"] = np.nan  # one language without token ids
    assert "in en and fr: 0.12" in title(control_figures.overlap_map(overlap))


@pytest.fixture
def subjects():
    rows = [
        ("zh", TRAINED, 0.9), ("zh", "random-0", 0.1), ("zh", "surface overlap", 0.3),
        ("fr", TRAINED, 0.4), ("fr", "random-0", 0.2), ("fr", "surface overlap", 0.5),
        ("sw", TRAINED, 0.2), ("sw", "random-0", 0.2),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["language", "subject", "estimate"])


def test_subject_map_shows_every_estimate_the_model_on_top(subjects):
    table, text = shown(control_figures.subject_map(subjects))
    assert list(table.columns) == ["zh", "fr", "sw"]
    assert list(table.index) == ["surface overlap", "random-0", TRAINED]  # a map's first row is the lowest
    for row in subjects.itertuples():
        assert table.loc[row.subject, row.language] == row.estimate
    assert np.isnan(table.loc["surface overlap", "sw"])
    assert text[0].tolist() == ["0.30", "0.50", ""]


def test_subject_map_title_names_the_languages_above_each_control(subjects):
    found = title(control_figures.subject_map(subjects))
    assert found == "The trained model is above each of its controls in zh"  # neither below nor equal to one
    subjects.loc[3, "estimate"] = 0.51
    assert title(control_figures.subject_map(subjects)).endswith("controls in zh, fr")
    subjects.loc[[0, 3], "estimate"] = 0.0
    assert title(control_figures.subject_map(subjects)).endswith("controls in no language")
    alone = title(control_figures.subject_map(subjects[subjects["subject"] == TRAINED]))
    assert alone == "The trained model without any control beside it"


def identity(lowest):
    """A probe that tells at least `lowest` at its worst layer, in sw."""

    def values(code, subject, k):
        probe = 1 - 0.01 * k if code == "zh" or subject != TRAINED else 1 - (1 - lowest) * (k == 2)
        return {"probe": probe, "probe_centred": 0.5 + 0.01 * k, "retrieval": 0.1 * k}

    names = [TRAINED, "random-0", "random-1"]
    return curves(values, {"zh": names, "sw": names}, "subject")


def test_identity_curves_draw_every_line_in_its_languages_colour():
    table = identity(0.9)
    figure = control_figures.identity_curves(table)
    for code in ("zh", "sw"):
        rows = table[(table["language"] == code) & (table["subject"] == TRAINED)]
        drawn = [t for t in figure.data if t.line.color == theme.language_colour(code)]
        assert [list(t.y) for t in drawn] == [
            rows[value].tolist() for value in ("probe", "probe_centred", "retrieval")
        ]
        assert len({t.line.dash for t in drawn}) == 3
    bands = [t for t in figure.data if t.fill == "toself"]
    assert [t.name for t in bands] == ["probe, random-weight baselines"] * 2


@pytest.mark.parametrize(
    ("lowest", "said"),
    [
        (0.9, "can be told at every layer: probe at least 0.90 (sw)"),
        (0.5, "cannot be told at every layer: probe at least 0.50 (sw)"),
        (1.0, "can be told at every layer: probe at least 0.97 (zh)"),
    ],
)
def test_identity_curves_title_says_whether_the_language_can_be_told(lowest, said):
    assert title(control_figures.identity_curves(identity(lowest))) == f"The language {said}"


def sinks(moved, poolings=("mean", "median", "trimmed")):
    """Peaks of .8, of which the median takes `moved` away in sw and the trimmed mean .05 in zh."""

    def values(code, pooling, k):
        loss = {("sw", "median"): moved, ("zh", "trimmed"): 0.05}.get((code, pooling), 0)
        return {"retrieval": (0.8 - loss) * (k + 1) / LAYERS}

    return curves(values, {"zh": poolings, "sw": poolings}, "pooling")


def test_sink_curves_draw_every_pooling():
    table = sinks(0.3)
    figure = control_figures.sink_curves(table)
    drawn = [t for t in figure.data if t.x[0] is not None]
    expected = {key: rows["retrieval"].tolist() for key, rows in table.groupby(["language", "pooling"])}
    colours = {theme.language_colour(code): code for code in ("zh", "sw")}
    assert {(colours[t.line.color], t.name): list(t.y) for t in drawn} == expected
    assert len({t.line.dash for t in drawn}) == 3
    assert [t.name for t in figure.data if t.showlegend is not False] == ["mean", "median", "trimmed"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (sinks(0.2), "Best accuracy moves by at most 0.20 (sw, median)"),
        (sinks(-0.2), "Best accuracy moves by at most 0.20 (sw, median)"),
        (sinks(0.01), "Best accuracy moves by at most 0.05 (zh, trimmed)"),
        (sinks(0.3, ["mean"]), "Other poolings were not captured in this run"),
    ],
    ids=["down", "up", "little", "no other pooling"],
)
def test_sink_curves_title_names_the_largest_move_up_or_down(table, said):
    assert title(control_figures.sink_curves(table)) == said


def test_colours_stay_with_their_language_whatever_is_drawn_beside_it():
    table = sinks(0.3)
    tables = table.iloc[::-1], table[table["language"] == "sw"]
    both, alone = (control_figures.sink_curves(t) for t in tables)
    for figure in (both, alone):
        assert {t.line.color for t in figure.data} >= {theme.LANGUAGE_COLOURS["sw"]}
    assert theme.LANGUAGE_COLOURS["zh"] not in {t.line.color for t in alone.data}

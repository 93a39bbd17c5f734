"""The theme: colours that stay with their language and can be told apart, titles and legends of figures."""

from itertools import combinations

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest
from zspace.evidence import theme
from zspace.evidence.language_pairs import TRAINED
from zspace.evidence.rules import VERDICTS
from zspace.sources import stories

# Linear RGB as seen without green or red cones: Machado, Oliveira and Fernandes (2009), severity 1.0.
SIGHT = {
    "all cones": np.eye(3),
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}
# linear RGB to XYZ: IEC 61966-2-1
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
JUST_NOTICED = 2.3  # CIE76 distance; lines that are not side by side need several times that


def lab(colour, sight):
    """CIE L*a*b* (D65) of a hexadecimal colour as it is seen."""
    coded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    ratio = TO_XYZ @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def table(languages=("zh", "fr"), subjects=(TRAINED,)):
    """Three layers of every subject in every language; the values tell rows apart."""
    rows = [(code, name, k) for code in languages for name in subjects for k in range(3)]
    made = pd.DataFrame(rows, columns=["language", "subject", "layer"])
    return made.assign(value=np.arange(len(made)) / 100)


@pytest.mark.parametrize("sight", SIGHT)
def test_language_colours_can_be_told_apart(sight):
    seen = {code: lab(colour, sight) for code, colour in theme.LANGUAGE_COLOURS.items()}
    seen["none"] = lab(theme.language_colour("xx"), sight)
    for one, other in combinations(seen, 2):
        distance = np.linalg.norm(seen[one] - seen[other])
        assert distance > 5 * JUST_NOTICED, f"{one} and {other} are {distance:.1f} apart"


def test_language_colour_is_each_languages_own():
    colours = [theme.language_colour(code) for code in stories.languages()]
    assert len(set(colours)) == len(colours) == 11
    assert theme.language_colour("xx") == theme.language_colour("yy") not in colours


def test_verdict_colours_are_one_a_verdict():
    assert tuple(theme.VERDICT_COLOURS) == VERDICTS
    assert len(set(theme.VERDICT_COLOURS.values())) == len(VERDICTS)


def test_theme_is_the_default_of_all_figures():
    assert pio.templates.default == "zspace"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_small_multiples_have_a_panel_a_language_two_in_a_row(n):
    figure = theme.small_multiples([f"l{i}" for i in range(n)], "layer", "accuracy")
    assert [a.text for a in figure.layout.annotations] == [*(f"l{i}" for i in range(n)), "layer", "accuracy"]
    places = [tuple(theme.panel_place(i).values()) for i in range(n)]
    assert places == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)][:n]
    for row, col in places:
        assert figure.get_subplot(row, col) is not None


def test_small_multiples_share_the_axis_unless_told_otherwise():
    shared, apart = (theme.small_multiples(["a", "b"], "x", "y", shared=choice) for choice in (True, False))
    assert shared.layout.yaxis2.matches == "y"
    assert apart.layout.yaxis2.matches is None


def test_twin_band_spans_the_random_twins_alone():
    rows = table(["zh"], [TRAINED, "random-0", "random-1", "random-2", "random-blocks-0"])
    figure = theme.small_multiples(["zh"], "layer", "value")
    theme.twin_band(figure, rows, "value", theme.panel_place(0), legend=True)
    (band,) = figure.data
    assert list(band.x) == [0, 1, 2, 2, 1, 0]
    assert list(band.y) == pytest.approx([0.09, 0.10, 0.11, 0.05, 0.04, 0.03])
    theme.twin_band(figure, rows[rows["subject"] == TRAINED], "value", theme.panel_place(0), legend=True)
    assert len(figure.data) == 1  # nothing to span


def test_interval_band_runs_from_low_to_high_in_the_languages_colour():
    rows = table(["fr"]).assign(low=[0.1, 0.2, 0.3], high=[0.4, 0.6, 0.8])
    figure = theme.small_multiples(["fr"], "layer", "value")
    theme.interval_band(figure, rows, "fr", theme.panel_place(0))
    (band,) = figure.data
    assert list(band.y) == [0.4, 0.6, 0.8, 0.3, 0.2, 0.1]
    parts = [int(theme.LANGUAGE_COLOURS["fr"][i : i + 2], 16) for i in (1, 3, 5)]
    assert band.fillcolor == "rgba({},{},{},0.15)".format(*parts)


def test_line_shows_its_values_and_one_legend_entry_in_no_languages_colour():
    figure = theme.small_multiples(["zh", "fr"], "layer", "value")
    rows = table()
    for i, code in enumerate(("zh", "fr")):
        style = {"colour": theme.language_colour(code), "legend": i == 0, "name": "probe"}
        theme.line(figure, rows[rows["language"] == code], "value", theme.panel_place(i), **style)
    drawn = [t for t in figure.data if t.x[0] is not None]
    assert [list(t.y) for t in drawn] == [[0.0, 0.01, 0.02], [0.03, 0.04, 0.05]]
    assert [t.line.color for t in drawn] == [theme.language_colour(code) for code in ("zh", "fr")]
    (entry,) = [t for t in figure.data if t.showlegend is not False]
    assert entry.name == "probe"
    assert entry.line.color == theme.INK
    theme.line(figure, rows[rows["language"] == "sw"], "value", theme.panel_place(0), legend=True)
    assert len(figure.data) == 3  # no rows, no line


def test_titled_wraps_and_makes_room():
    words = " ".join(["retrieval"] * 20)
    figure = theme.titled(theme.small_multiples(["zh"], "x", "y"), words, "below")
    lines = figure.layout.title.text.split("<br>")
    assert " ".join(lines) == words
    assert len(lines) > 1
    assert max(map(len, lines)) <= 72
    short = theme.titled(theme.small_multiples(["zh"], "x", "y"), "retrieval", "below")
    assert figure.layout.margin.t > short.layout.margin.t
    assert figure.layout.title.subtitle.text == "below"

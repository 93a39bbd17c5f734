"""The one Plotly theme, and the parts that figures are built of.

Languages keep their colour in all notebooks (the Okabe-Ito set and neighbours, distinguishable without
red-green vision); nulls are grey bands or grey lines; a title states the finding, computed from the table
that the figure shows; uncertainty is always drawn.
"""

import os
import shutil
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

from ..sources import languages
from .language_pairs import PERMUTED, RANDOM_BLOCKS, SHUFFLED, of_kind
from .rules import (
    DEPENDS,
    INCONCLUSIVE,
    MIXED,
    NOT_TESTABLE,
    PREMISE_REFUTED,
    PROVED,
    REFUTED,
    SUPPORTED,
    VERIFIED,
)

LANGUAGE_COLOURS = {
    "en": "#000000", "zh": "#D55E00", "fr": "#0072B2", "es": "#E69F00", "sw": "#009E73", "de": "#56B4E9",
    "ru": "#CC79A7", "ja": "#7F3C8D", "th": "#6B3E00", "bn": "#2222DD", "te": "#80BA5A",
}  # fmt: skip
VERDICT_COLOURS = {
    PROVED: "#1B6CA8", VERIFIED: "#2E8BC0", SUPPORTED: "#56B4E9", MIXED: "#CC79A7",
    REFUTED: "#D55E00", PREMISE_REFUTED: "#E8A07A", DEPENDS: "#F7F0A1", INCONCLUSIVE: "#F0E442",
    NOT_TESTABLE: "#D9D9D9",
}  # fmt: skip
NULL_FILL, NULL_LINE, INK = "rgba(120,120,120,0.22)", "#7A7A7A", "#222222"
DOTTED = {"color": NULL_LINE, "width": 1, "dash": "dot"}  # a level to compare with
DASHES = {RANDOM_BLOCKS: "dash", PERMUTED: "dot", SHUFFLED: "dashdot"}

pio.templates["zspace"] = go.layout.Template(
    layout={
        "font": {"family": "Helvetica, Arial, sans-serif", "size": 13, "color": INK},
        "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 16}}
        | {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 20}},
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "xaxis": {"showgrid": False, "zeroline": False, "linecolor": "#999", "ticks": "outside"},
        "yaxis": {"gridcolor": "#EEE", "zeroline": False, "linecolor": "#999", "ticks": "outside"},
        "legend": {"orientation": "h", "x": 0, "yref": "container", "y": 0.01, "yanchor": "bottom"},
        "margin": {"l": 70, "r": 30, "t": 90, "b": 110},
        "hovermode": "closest",
    }
)
pio.templates.default = "zspace"


def prepare_notebook() -> None:
    """Whole words in tables, and figures as interactive JSON, with a PNG where a Chromium can draw one.

    A batch, whose pages draw the JSON, makes no PNG: each would take its seconds. Nothing is returned: a cell
    would show it, and a machine without Chromium another word.
    """
    pd.set_option("display.max_colwidth", None, "display.max_columns", None, "display.width", 200)
    pd.set_option("display.max_rows", 200)  # all controls of all languages
    pd.set_option("display.html.use_mathjax", False)  # a dollar in a text or name begins no formula
    browsers = ("chromium", "chromium-browser", "google-chrome", "chrome")
    has_chromium = "ZSPACE_CELL" not in os.environ and any(map(shutil.which, browsers))
    pio.renderers["png"].width = 620
    pio.renderers.default = "plotly_mimetype+png" if has_chromium else "plotly_mimetype"


def language_colour(language: str) -> str:
    """Hexadecimal colour of a language, the same in every figure; grey for languages without one."""
    return LANGUAGE_COLOURS.get(languages.find(language, LANGUAGE_COLOURS), "#666666")


def small_multiples(languages: Sequence[str], x: str, y: str, shared: bool = True) -> go.Figure:
    """An empty figure with one panel per language, two in a row."""
    n_rows = -(-len(languages) // 2)
    figure = make_subplots(
        rows=n_rows,
        cols=min(2, len(languages)),
        subplot_titles=[*languages],
        shared_yaxes="all" if shared else False,
        shared_xaxes="all",
        x_title=x,
        y_title=y,
        horizontal_spacing=0.06 if shared else 0.1,
        vertical_spacing=0.24 / n_rows,
    )
    figure.update_xaxes(showticklabels=True)
    # room for a legend of two rows on a narrow page
    return figure.update_layout(height=220 + 230 * n_rows, margin={"b": 130})


def panel_place(i: int) -> dict:
    """Row and column of the i-th small panel."""
    return {"row": i // 2 + 1, "col": i % 2 + 1}


def twin_band(
    figure: go.Figure,
    rows: pd.DataFrame,
    value: str,
    place: dict,
    *,
    legend: bool,
    name: str = "random-weight baselines",
) -> None:
    """The range of the random-weight baselines' `value` by layer, as a grey band."""
    twins = rows[rows["subject"].isin(of_kind("random", rows["subject"].unique()))]
    if twins.empty:
        return
    span = twins.groupby("layer")[value].agg(["min", "max"])
    style = {"fillcolor": NULL_FILL, "line": {"color": NULL_LINE, "width": 0.8}, "name": name}
    _band(figure, span.index, span["min"], span["max"], showlegend=legend, **style, **place)


def interval_band(figure: go.Figure, rows: pd.DataFrame, language: str, place: dict) -> None:
    """The 95 % interval (columns low, high) by layer in a light tint of the language's colour."""
    red, green, blue = (int(language_colour(language)[i : i + 2], 16) for i in (1, 3, 5))
    style = {"fillcolor": f"rgba({red},{green},{blue},0.15)", "line": {"width": 0}, "showlegend": False}
    _band(figure, rows["layer"], rows["low"], rows["high"], **style, **place)


def line(
    figure: go.Figure,
    rows: pd.DataFrame,
    value: str,
    place: dict,
    *,
    colour: str = NULL_LINE,
    dash: str = "solid",
    legend: bool = False,
    name: str | None = None,
) -> None:
    """One line of `value` by layer; in the legend, which serves all panels, in no language's colour."""
    if rows.empty:
        return
    name = name or rows["subject"].iloc[0]
    pen = {"color": colour, "dash": dash, "width": 2.4 if colour != NULL_LINE else 1.3}
    both = {"mode": "lines", "name": name, "legendgroup": name, **place}
    figure.add_scatter(x=rows["layer"], y=rows[value], line=pen, showlegend=False, **both)
    if legend:
        ink = pen | {"color": NULL_LINE if colour == NULL_LINE else INK}
        figure.add_scatter(x=[None], y=[None], line=ink, **both)


def titled(figure: go.Figure, title: str, subtitle: str) -> go.Figure:
    """The figure with a title that states the finding, wrapped, and what one has to know below it."""
    lines = textwrap.wrap(title, 72)
    figure.update_layout(
        title={"text": "<br>".join(lines), "subtitle": {"text": subtitle, "font": {"size": 12}}},
        margin={"t": 76 + 22 * len(lines)},
    )
    return figure


def _band(figure: go.Figure, x: pd.Series, low: pd.Series, high: pd.Series, **style) -> None:
    """The area between two curves over x."""
    around = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([high, low[::-1]])}
    figure.add_scatter(**around, mode="lines", fill="toself", hoverinfo="skip", **style)

"""Figures of the controls: what surface, baselines, language identity and pooling tell, by language."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..language_pairs import TRAINED
from ..theme import DOTTED, language_colour, line, panel_place, small_multiples, titled, twin_band

_POOLING_DASHES = {"mean": "solid", "median": "dash", "trimmed": "dot"}
_TOLD = 0.75  # accuracy of the probe half-way from chance to certainty
_SCALE = [[0.0, "#FFFFFF"], [1.0, "#0072B2"]]


def overlap_map(table: pd.DataFrame) -> go.Figure:
    """Token overlap of all pairs of languages beyond that of unrelated items (a square table)."""
    upper = table.where(np.triu(np.ones(table.shape, bool), 1)).stack().dropna()
    title = "No token ids came with these states, so their overlap is unknown"
    if len(upper):
        (one, other), most = upper.idxmax(), upper.max()
        title = f"Translations share most tokens in {one} and {other}: {most:.2f} beyond unrelated items"
    figure = _heat_map(table, zmax=max([0.1, *upper]))
    return titled(figure, title, "cosine of IDF-weighted token counts, translations minus unrelated items")


def subject_map(table: pd.DataFrame) -> go.Figure:
    """Retrieval of the model and of each control (columns language, subject, estimate) as a map."""
    subjects = list(dict.fromkeys(table["subject"]))
    wide = table.pivot(index="subject", columns="language", values="estimate")
    wide = wide.loc[subjects[::-1], list(dict.fromkeys(table["language"]))]
    best = wide.drop(index=TRAINED).max()
    above = [c for c in wide.columns if wide.loc[TRAINED, c] > best[c]]
    title = f"The trained model is above each of its controls in {', '.join(above) or 'no language'}"
    title = title if len(wide) > 1 else "The trained model without any control beside it"
    figure = _heat_map(wide, zmax=1.0)
    figure.update_layout(margin={"l": 180})
    return titled(figure, title, "between-scenario retrieval on confirmation items, each at its own layer")


def identity_curves(table: pd.DataFrame) -> go.Figure:
    """Probes' accuracy for the language beside retrieval, by layer."""
    figure = small_multiples(table["language"].unique(), "layer", "accuracy")
    for i, (language, rows) in enumerate(table.groupby("language", sort=False)):
        place = panel_place(i)
        twin_band(figure, rows, "probe", place, legend=i == 0, name="probe, random-weight baselines")
        trained = rows[rows["subject"] == TRAINED]
        colour = language_colour(language)
        for value, dash, name in (
            ("probe", "solid", "probe"),
            ("probe_centred", "dash", "nonlinear probe, languages centred"),
            ("retrieval", "dot", "retrieval"),
        ):
            line(figure, trained, value, place, colour=colour, dash=dash, legend=i == 0, name=name)
        figure.add_hline(0.5, line=DOTTED, **place)
    figure.update_yaxes(range=[-0.02, 1.04])
    lowest = table[table["subject"] == TRAINED].groupby("language", sort=False)["probe"].min()
    told = "can be told" if lowest.min() > _TOLD else "cannot be told"
    title = f"The language {told} at every layer: probe at least {lowest.min():.2f} ({lowest.idxmin()})"
    return titled(figure, title, "held-out items; dotted horizontal line: chance of the probe")


def sink_curves(table: pd.DataFrame) -> go.Figure:
    """Retrieval by layer under poolings with and without the tokens of largest norm (`controls.sinks`)."""
    figure = small_multiples(table["language"].unique(), "layer", "between-scenario accuracy")
    for i, (language, own) in enumerate(table.groupby("language", sort=False)):
        for pooling, rows in own.groupby("pooling", sort=False):
            dash = _POOLING_DASHES.get(pooling, "dashdot")
            style = {"colour": language_colour(language), "dash": dash, "legend": i == 0, "name": pooling}
            line(figure, rows, "retrieval", panel_place(i), **style)
    figure.update_yaxes(range=[-0.02, 1.04])
    peaks = table.groupby(["language", "pooling"])["retrieval"].max().unstack()
    gaps = peaks.drop(columns="mean").sub(peaks["mean"], axis=0).stack().abs()
    title = "Other poolings were not captured in this run"
    if len(gaps):
        title = f"Best accuracy moves by at most {gaps.max():.2f} ({', '.join(gaps.idxmax())})"
    return titled(figure, title, "confirmation items; trimmed: no first token, no top norms")


def _heat_map(table: pd.DataFrame, *, zmax: float) -> go.Figure:
    values = table.to_numpy(float)
    text = [["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in values]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=table.columns.map(str).tolist(),
            y=table.index.map(str).tolist(),
            text=text,
            texttemplate="%{text}",
            zmin=0,
            zmax=zmax,
            colorscale=_SCALE,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(side="bottom", type="category")
    figure.update_yaxes(type="category")
    return figure.update_layout(height=130 + 34 * len(table), margin={"b": 40})

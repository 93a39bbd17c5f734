"""Figures of depth: by layer and language, against the share of text, by difficulty; what sets the pace."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ... import theory
from .. import theme
from ..language_pairs import TRAINED
from ..rules import REFUTED, SUPPORTED
from .activity import GAINS, N_LAYERS, THRESHOLD, WORLD, WORSE_Q

_GAIN_COLOURS = ("#56B4E9", "#0072B2", "#000000")
_LEVEL_DASHES = ("dot", "dash", "solid", "dashdot", "longdash")


def pace_curves(depths: pd.DataFrame) -> go.Figure:
    """The snr by layer for several gains, in closed form; `depths` as `activity.pace_evidence` gives them."""
    figure = go.Figure()
    shown = [(gain, WORLD["q"], colour, "solid") for gain, colour in zip(GAINS, _GAIN_COLOURS, strict=True)]
    for gain, q, colour, dash in [*shown, (GAINS[1], WORSE_Q, "#D55E00", "dash")]:
        snr = theory.pace_snr(WORLD["r_0"], q, WORLD["step"], N_LAYERS, gain=gain)
        figure.add_scatter(
            x=list(range(N_LAYERS + 1)),
            y=snr.round(4).tolist(),
            mode="lines",
            line={"color": colour, "width": 2.2, "dash": dash},
            name=f"contributions × {gain:g}, q {q:g}",
        )
    figure.add_hline(THRESHOLD, line=theme.DOTTED)
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="snr r (lower is better)")
    figure.update_layout(height=430, margin={"b": 130})
    found = depths["closed form"].iloc[: len(GAINS)]
    return theme.titled(
        figure,
        f"Contributions × {GAINS[-1]:g}: depth {found.iloc[-1]} instead of {found.iloc[0]}",
        f"dotted: the threshold {THRESHOLD:g}; dashed: contributions that agree less are slower",
    )


def snr_by_level(levels: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """The snr by layer and level, one small panel per language; grey band: random-weight baselines."""
    figure = _level_curves(levels, "snr", "snr r, centred (lower is better)")
    said = _said(verdicts, "is higher, as conflict is, in", "is not higher by more conflict in")
    slope = np.log(levels["snr"]).groupby([levels["subject"], levels["level"]]).mean()[TRAINED]
    return theme.titled(
        figure,
        f"The snr of harder problems {said or 'cannot be told from that of easier ones'}",
        f"mean log snr by level: {', '.join(f'{v:+.2f}' for v in slope)}; grey: random-weight baselines",
    )


def margin_by_level(levels: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """The mean margin by layer and level, one small panel per language; grey band: baselines."""
    figure = _level_curves(levels, "margin", "margin of the own translation, cosine")
    said = _said(verdicts, "is smaller in", "is not smaller in")
    mean = levels[levels["subject"] == TRAINED].groupby("level")["margin"].mean()
    return theme.titled(
        figure,
        f"The margin of harder problems {said or 'cannot be told from that of easier ones'}",
        f"mean margin by level: {', '.join(f'{v:+.3f}' for v in mean)}; grey: random-weight baselines",
    )


def depth_curves(curves: pd.DataFrame, depths: pd.DataFrame) -> go.Figure:
    """Accuracy by layer with its simultaneous band, the threshold and the depth: one panel per language."""
    languages = curves["language"].unique()
    figure = theme.small_multiples(languages, "layer", "retrieval accuracy, between scenarios")
    trained = depths[depths["subject"] == TRAINED].set_index("language")
    for i, (language, rows) in enumerate(curves.groupby("language", sort=False)):
        place = theme.panel_place(i)
        banded = rows.rename(columns={"lower_band": "low", "upper_band": "high"})
        theme.interval_band(figure, banded, language, place)
        colour = theme.language_colour(language)
        theme.line(figure, rows, "accuracy", place, colour=colour, legend=i == 0, name="accuracy")
        figure.add_hline(rows["threshold"].iloc[0], line=theme.DOTTED, **place)
        layer = trained.loc[language, "layer"]
        if np.isfinite(layer):
            figure.add_vline(layer, line={"color": colour, "width": 1.4, "dash": "dash"}, **place)
        else:
            words = "censored" if trained.loc[language, "aligned"] else "censored: not aligned"
            figure.add_annotation(x=0, y=1.06, text=words, showarrow=False, xanchor="left", **place)
    figure.update_yaxes(range=[-0.05, 1.15])
    found = trained["layer"].dropna().astype(int)
    return theme.titled(
        figure,
        "Depth: " + (", ".join(f"{k} {v}" for k, v in found.items()) or "censored in every language"),
        "band: simultaneous, 95 % to either side; dotted: half-way from the best control to the own peak",
    )


def accuracy_map(curves: pd.DataFrame, depths: pd.DataFrame) -> go.Figure:
    """Accuracy of every language at every layer, languages with most text on top; crosses mark depths."""
    trained = depths[depths["subject"] == TRAINED].set_index("language")
    order = trained["log_web_pages"].sort_values().index.tolist()
    wide = curves.pivot(index="language", columns="layer", values="accuracy").loc[order]
    figure = go.Figure()
    figure.add_heatmap(
        x=wide.columns.tolist(),
        y=order,
        z=wide.round(3).to_numpy().tolist(),
        zmin=0,
        zmax=1,
        colorscale="Cividis",
        colorbar={"title": "accuracy", "thickness": 14},
    )
    found = trained.loc[order, "layer"].dropna()
    figure.add_scatter(
        x=found.tolist(),
        y=found.index.tolist(),
        mode="markers",
        marker={"symbol": "x", "size": 10, "color": "white"},
        showlegend=False,
    )
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="less text ← language → more text")
    figure.update_layout(height=180 + 30 * len(order), margin={"b": 70})
    return theme.titled(
        figure,
        f"{int(trained['aligned'].sum())} of {len(trained)} languages are aligned, "
        f"{len(found)} of them at a layer for sure",
        "cross: depth; rows without one are censored",
    )


def by_share(depths: pd.DataFrame, associations: pd.DataFrame, outcome: str, words: str) -> go.Figure:
    """An outcome against both proxies of the share of training text; open: censored, deeper than others."""
    trained = depths[depths["subject"] == TRAINED]
    titles = {"mc4_tokens": "log₁₀ of billion tokens in mC4", "web_pages": "log₁₀ of pages in a crawl"}
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    top = trained[outcome].max(skipna=True)
    ceiling = 1.0 if not np.isfinite(top) else top * 1.15 + 0.5 * (outcome == "layer")
    for i, proxy in enumerate(titles):
        # names of neighbours above and below, or they cover each other
        for j, row in enumerate(trained.sort_values(f"log_{proxy}").itertuples()):
            value = getattr(row, outcome)
            seen = np.isfinite(value)
            symbol = "circle" if seen else "circle-open"
            figure.add_scatter(
                x=[getattr(row, f"log_{proxy}")],
                y=[value if seen else ceiling],
                text=[row.language],
                mode="markers+text",
                textposition=("top center", "bottom center")[j % 2],
                marker={"color": theme.language_colour(row.language), "size": 9, "symbol": symbol},
                showlegend=False,
                row=1,
                col=i + 1,
            )
        figure.update_xaxes(title=titles[proxy], row=1, col=i + 1)
    figure.update_yaxes(title=words, row=1, col=1)
    figure.update_layout(height=420, margin={"b": 70})
    rows = associations[(associations["subject"] == TRAINED) & (associations["outcome"] == outcome)]
    said = ", ".join(f"ρ = {row.rho:+.2f} (p = {row.p:.3f})" for row in rows.itertuples())
    return theme.titled(
        figure, f"Against the share of text: {said}", "exact permutation of languages; open: censored"
    )


def _level_curves(levels: pd.DataFrame, value: str, axis: str) -> go.Figure:
    figure = theme.small_multiples(levels["language"].unique(), "layer", axis)
    for i, (language, rows) in enumerate(levels.groupby("language", sort=False)):
        place = theme.panel_place(i)
        theme.twin_band(figure, rows, value, place, legend=i == 0)
        trained = rows[rows["subject"] == TRAINED]
        for (level, one), dash in zip(trained.groupby("level"), _LEVEL_DASHES, strict=False):
            options = {"colour": theme.language_colour(language), "dash": dash, "legend": i == 0}
            theme.line(figure, one, value, place, name=f"level {level}", **options)
    return figure


def _said(verdicts: Mapping[str, str], supported: str, refuted: str) -> str:
    """Which languages a verdict holds in, in words."""
    words = {SUPPORTED: supported, REFUTED: refuted}
    found = {v: [language for language, one in verdicts.items() if one == v] for v in words}
    return "; ".join(f"{words[v]} {', '.join(found[v])}" for v in words if found[v])

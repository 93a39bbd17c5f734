"""Figures of depth: how activity sets the pace, what difficulty does by layer.

As in `plots`, a title states the finding, computed from the table that the figure shows.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .. import theory
from .experiments.activity import GAINS, N_LAYERS, THRESHOLD, WORLD, WORSE_Q
from .panels import TRAINED
from .rules import REFUTED, SUPPORTED
from .theme import NULL_LINE, language_colour, line, panel_place, small_multiples, titled, twin_band

_GAIN_COLOURS = ("#56B4E9", "#0072B2", "#000000")
_LEVEL_DASHES = ("dot", "dash", "solid", "dashdot", "longdash")


def pace_curves(depths: pd.DataFrame) -> go.Figure:
    """The snr by layer for several gains, in closed form.

    `depths` : the table of `activity.pace_evidence`.
    """
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
    figure.add_hline(THRESHOLD, line={"color": NULL_LINE, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="snr r (lower is better)")
    figure.update_layout(height=430, margin={"b": 130})
    found = depths["closed form"].iloc[: len(GAINS)]
    return titled(
        figure,
        f"Contributions × {GAINS[-1]:g}: depth {found.iloc[-1]} instead of {found.iloc[0]}",
        f"dotted: the threshold {THRESHOLD:g}; dashed: contributions that agree less are slower",
    )


def snr_by_level(levels: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """The snr by layer and level of difficulty, one small panel a language, over the band of the twins."""
    figure = _level_curves(levels, "snr", "snr r, centred (lower is better)")
    said = _said(verdicts, "stays higher in", "does not stay higher in")
    slope = np.log(levels["snr"]).groupby([levels["subject"], levels["level"]]).mean()[TRAINED]
    return titled(
        figure,
        f"The snr of harder problems {said or 'cannot be told from that of easier ones'}",
        f"mean log snr by level: {', '.join(f'{v:+.2f}' for v in slope)}; grey: twins without training",
    )


def margin_by_level(levels: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """The mean margin by layer and level, one small panel a language, over the band of the twins."""
    figure = _level_curves(levels, "margin", "margin of the own translation, cosine")
    said = _said(verdicts, "is smaller in", "is not smaller in")
    mean = levels[levels["subject"] == TRAINED].groupby("level")["margin"].mean()
    return titled(
        figure,
        f"The margin of harder problems {said or 'cannot be told from that of easier ones'}",
        f"mean margin by level: {', '.join(f'{v:+.3f}' for v in mean)}; grey: twins without training",
    )


def _level_curves(levels: pd.DataFrame, value: str, axis: str) -> go.Figure:
    languages = list(dict.fromkeys(levels["language"]))
    figure = small_multiples(languages, "layer", axis)
    for i, language in enumerate(languages):
        place, rows = panel_place(i), levels[levels["language"] == language]
        twin_band(figure, rows, value, place, legend=i == 0)
        trained = rows[rows["subject"] == TRAINED]
        for (level, one), dash in zip(trained.groupby("level"), _LEVEL_DASHES, strict=False):
            options = {"colour": language_colour(language), "dash": dash, "legend": i == 0}
            line(figure, one, value, place, name=f"level {level}", **options)
    return figure


def _said(verdicts: Mapping[str, str], supported: str, refuted: str) -> str:
    """Which languages a verdict holds in, in words."""
    words = {SUPPORTED: supported, REFUTED: refuted}
    found = {v: [language for language, one in verdicts.items() if one == v] for v in words}
    return "; ".join(f"{words[v]} {', '.join(found[v])}" for v in words if found[v])

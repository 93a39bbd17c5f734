"""Figures of depth: how activity sets the pace, curves by difficulty.

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


def level_curves(levels: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """The snr by layer and level of difficulty, one small panel a language, over the band of the twins."""
    languages = list(dict.fromkeys(levels["language"]))
    figure = small_multiples(languages, "layer", "snr r, centred (lower is better)")
    for i, language in enumerate(languages):
        place, rows = panel_place(i), levels[levels["language"] == language]
        twin_band(figure, rows, "snr", place, legend=i == 0)
        trained = rows[rows["subject"] == TRAINED]
        for (level, one), dash in zip(trained.groupby("level"), _LEVEL_DASHES, strict=False):
            options = {"colour": language_colour(language), "dash": dash, "legend": i == 0}
            line(figure, one, "snr", place, name=f"level {level}", **options)
    words = {SUPPORTED: "stays higher in", REFUTED: "does not stay higher in"}
    said = [
        f"{word} {', '.join(found)}"
        for verdict, word in words.items()
        if (found := [language for language, v in verdicts.items() if v == verdict])
    ]
    slope = np.log(levels["snr"]).groupby([levels["subject"], levels["level"]]).mean()[TRAINED]
    return titled(
        figure,
        f"The snr of harder problems {'; '.join(said) or 'cannot be told from that of easier ones'}",
        f"mean log snr by level: {', '.join(f'{v:+.2f}' for v in slope)}; grey: twins without training",
    )

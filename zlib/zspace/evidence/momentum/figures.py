"""Figures of generation steps: one trace with its regimes, momentum by layer, power by length."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ...series.volatility.planted import PowerCurve
from ..theme import (
    NULL_LINE,
    interval_band,
    language_colour,
    line,
    panel_place,
    small_multiples,
    titled,
    twin_band,
)
from .solutions import COPYING, PLAIN
from .turns import OneTrace

_TICK = 6  # generated tokens between two that are written below the axis


def one_trace(trace: OneTrace) -> go.Figure:
    """Log activity and the filtered probability of its upper regime; hovering shows the token."""
    shown = [piece.replace("\n", "⏎").replace("<", "‹") for piece in trace.pieces]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.66, 0.34], vertical_spacing=0.06)
    series = (
        ("log ‖f‖², adjusted", trace.log_y, 1, {"color": "#0072B2", "width": 1.2}),
        (
            "filtered level (particles)",
            trace.volatility,
            1,
            {"color": "#D55E00", "width": 1.8, "dash": "dot"},
        ),
        ("P(upper regime), filtered", trace.probability, 2, {"color": "#009E73", "width": 1.2}),
    )
    for name, values, row, style in series:
        figure.add_scatter(
            y=values.round(3).tolist(),
            customdata=shown,
            hovertemplate="%{x}: %{customdata}<br>%{y:.2f}<extra></extra>",
            mode="lines",
            line=style,
            fill="tozeroy" if row == 2 else None,
            name=name,
            row=row,
            col=1,
        )
    for change in trace.changes.tolist():
        figure.add_vline(change, line={"color": NULL_LINE, "width": 1, "dash": "dot"})
    figure.update_yaxes(title="log units", row=1)
    figure.update_yaxes(title="probability", range=[0, 1.02], row=2)
    ticks = {"tickvals": list(range(0, len(shown), _TICK)), "ticktext": shown[::_TICK], "tickangle": -90}
    figure.update_xaxes(title="generated token (every sixth)", tickfont={"size": 9}, row=2, **ticks)
    figure.update_layout(height=520, margin={"b": 150})
    lasting = f"{len(trace.changes)} lasting changes" if len(trace.changes) else "No lasting change"
    title = f"{lasting} of regime in {trace.label}"
    return titled(figure, title, "dotted: where the more probable regime changes and stays")


def momentum_by_layer(profile: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """Mean momentum by layer, in reasoning (interval: that of the excess over copying) and in every
    control.

    `profile` : as `solutions.layer_profile` gives it; `verdicts` : language -> verdict.
    """
    languages = list(dict.fromkeys(profile["language"]))
    figure = small_multiples(languages, "block", "momentum (correlation)")
    for i, language in enumerate(languages):
        place, rows = (
            panel_place(i),
            profile[profile["language"] == language].rename(columns={"condition": "subject"}),
        )
        twin_band(figure, rows, "momentum", place, legend=i == 0)
        copied = rows[rows["subject"] == COPYING]
        reasoned = rows[rows["subject"] == "reasoning"]
        base = copied["momentum"].to_numpy()
        around = reasoned.assign(low=reasoned["low"] + base, high=reasoned["high"] + base)
        interval_band(figure, around, language, place)
        line(figure, reasoned, "momentum", place, colour=language_colour(language), legend=i == 0)
        line(figure, copied, "momentum", place, dash="dash", legend=i == 0, name="copying the same tokens")
        line(
            figure,
            rows[rows["subject"] == PLAIN],
            "momentum",
            place,
            dash="dot",
            legend=i == 0,
            name="plain text",
        )
    found = pd.Series({language: verdicts[language] for language in languages})
    words = "; ".join(f"{verdict}: {' '.join(found.index[found == verdict])}" for verdict in found.unique())
    return titled(
        figure,
        f"More momentum in reasoning than in copying, {words}",
        "grey: random weights on the same tokens",
    )


def power_by_length(curves: Mapping[str, PowerCurve]) -> go.Figure:
    """How often both tests reject simulated series, by length; name of a world -> its curve."""
    figure = go.Figure()
    colours = ("#0072B2", "#D55E00", "#7A7A7A", "#009E73")
    for (name, curve), colour in zip(curves.items(), colours, strict=False):
        for values, test, dash in (
            (curve.sup_score, "sup-score", "solid"),
            (curve.ljung_box, "Ljung-Box", "dash"),
        ):
            figure.add_scatter(
                x=curve.lengths.tolist(),
                y=np.round(values, 3).tolist(),
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                name=f"{name}, {test}",
            )
    figure.add_hline(0.05, line={"color": NULL_LINE, "width": 1, "dash": "dot"})
    figure.update_xaxes(
        title="steps of a series", type="log", tickvals=[int(n) for n in next(iter(curves.values())).lengths]
    )
    figure.update_yaxes(title="share rejected", range=[0, 1.02])
    figure.update_layout(height=430)
    first = next(iter(curves.values()))
    return titled(
        figure,
        f"{first.lengths[0]} steps show clustering in {first.sup_score[0]:.0%} of series, "
        f"{first.lengths[-1]} in {first.sup_score[-1]:.0%}",
        f"{first.n_simulations} simulations a point; dotted: the level of the test",
    )

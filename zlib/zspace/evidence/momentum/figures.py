"""Figures of generation steps: one trace with its regimes, momentum by layer, power by length."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ...series.volatility.planted import PowerCurve
from .. import theme
from ..claims import Verdict
from ..rules import OVERALL
from .regime_changes import OneTrace
from .solutions import COPYING, PLAIN, TWINS

_TICK = 6  # generated tokens between two that are written below the axis


def one_trace(trace: OneTrace) -> go.Figure:
    """Log activity and the filtered probability of its upper regime; hovering shows the token."""
    shown = [piece.replace("\n", "⏎").replace("<", "‹") for piece in trace.pieces]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.66, 0.34], vertical_spacing=0.06)
    dotted = {"color": "#D55E00", "width": 1.8, "dash": "dot"}
    series = (
        ("log ‖f‖², adjusted", trace.log_y, 1, {"color": "#0072B2", "width": 1.2}),
        ("filtered level (particles)", trace.volatility, 1, dotted),
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
        figure.add_vline(change, line=theme.DOTTED)
    figure.update_yaxes(title="log units", row=1)
    figure.update_yaxes(title="probability", range=[0, 1.02], row=2)
    ticks = {"tickvals": list(range(0, len(shown), _TICK)), "ticktext": shown[::_TICK], "tickangle": -90}
    figure.update_xaxes(title="generated token (every sixth)", tickfont={"size": 9}, row=2, **ticks)
    figure.update_layout(height=520, margin={"b": 150})
    lasting = f"{len(trace.changes)} lasting changes" if len(trace.changes) else "No lasting change"
    title = f"{lasting} of regime in {trace.label}"
    return theme.titled(figure, title, "dotted: where the more probable regime changes and stays")


def momentum_by_layer(profile: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """Mean momentum by layer in reasoning, with the interval of its excess over copying, and in controls.

    `profile` : as `solutions.layer_profile` gives it; `verdicts` : language -> verdict.
    """
    languages = profile["language"].unique()
    figure = theme.small_multiples(languages, "block", "momentum (correlation)")
    by_subject = profile.rename(columns={"condition": "subject"})
    for i, (language, rows) in enumerate(by_subject.groupby("language", sort=False)):
        place, legend = theme.panel_place(i), i == 0
        theme.twin_band(figure, rows, "momentum", place, legend=legend)
        reasoned, copied, plain = (rows[rows["subject"] == name] for name in ("reasoning", COPYING, PLAIN))
        base = copied["momentum"].to_numpy()
        around = reasoned.assign(low=reasoned["low"] + base, high=reasoned["high"] + base)
        theme.interval_band(figure, around, language, place)
        theme.line(figure, reasoned, "momentum", place, colour=theme.language_colour(language), legend=legend)
        for table, dash, name in ((copied, "dash", "copying the same tokens"), (plain, "dot", "plain text")):
            theme.line(figure, table, "momentum", place, dash=dash, legend=legend, name=name)
    found = pd.Series({language: verdicts[language] for language in languages})
    words = "; ".join(f"{verdict}: {' '.join(found.index[found == verdict])}" for verdict in found.unique())
    return theme.titled(
        figure,
        f"More momentum in reasoning than in copying and plain reading, {words}",
        "grey: random weights on the same tokens",
    )


def momentum_bars(means: pd.DataFrame, verdict: Verdict) -> go.Figure:
    """Momentum in reasoning, in copying and in plain reading, of all languages together and of each.

    `means` : as `solutions.means` gives it; `verdict` : the general one, whose corrected reading the title
    states. Left whole series, right within sentences; the grey band spans the random-weight baselines.
    """
    languages = means["language"].unique()
    names = ["all" if language == OVERALL else language for language in languages]
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        subplot_titles=("whole series", "within sentences"),
        horizontal_spacing=0.04,
    )
    bars = (("reasoning", "#0072B2"), (COPYING, "#E69F00"), (PLAIN, "#009E73"))
    for col, rows in enumerate((means[~means["within"]], means[means["within"]]), 1):
        twins = rows[rows["condition"].isin(TWINS)]["momentum"]
        figure.add_hrect(twins.min(), twins.max(), fillcolor=theme.NULL_FILL, line_width=0, row=1, col=col)
        for condition, colour in bars:
            own = rows[rows["condition"] == condition].set_index("language").loc[languages]
            off = own["high"] - own["momentum"], own["momentum"] - own["low"]
            figure.add_bar(
                x=names,
                y=own["momentum"].round(3).tolist(),
                error_y={"array": off[0].round(3).tolist(), "arrayminus": off[1].round(3).tolist()},
                marker_color=colour,
                name={PLAIN: "plain reading"}.get(condition, condition),
                showlegend=col == 1,
                row=1,
                col=col,
            )
    figure.update_yaxes(title="momentum (correlation)", col=1)
    figure.update_layout(barmode="group", height=430)
    return theme.titled(
        figure,
        f"That reasoning has momentum beyond copying and plain reading: {verdict.as_corrected}",
        "95 % limits over scenarios; grey: random weights on the same tokens",
    )


def condition_bars(table: pd.DataFrame, column: str, verdict: Verdict) -> go.Figure:
    """A number of every condition, as the tables of `answers` and `across_languages` have it; 0 is chance."""
    shown = table.loc[[name for name in ("reasoning", COPYING, PLAIN, *TWINS) if name in table.index], column]
    figure = go.Figure()
    colours = ["#0072B2", *[theme.NULL_LINE] * (len(shown) - 1)]
    figure.add_bar(x=shown.index.tolist(), y=shown.round(3).tolist(), marker_color=colours)
    figure.add_hline(0, line=theme.DOTTED)
    figure.update_yaxes(title=column)
    figure.update_layout(height=360, showlegend=False)
    title = f"That {column} is higher while the model solves: {verdict.as_corrected}"
    return theme.titled(figure, title, "0 is what chance gives")


def power_by_length(curves: Mapping[str, PowerCurve]) -> go.Figure:
    """How often both tests reject simulated series, by length; name of a world -> its curve."""
    figure = go.Figure()
    colours = ("#0072B2", "#D55E00", "#7A7A7A", "#009E73")
    for (name, curve), colour in zip(curves.items(), colours, strict=False):
        tests = (curve.sup_score, "sup-score", "solid"), (curve.ljung_box, "Ljung-Box", "dash")
        for values, test, dash in tests:
            figure.add_scatter(
                x=curve.lengths.tolist(),
                y=np.round(values, 3).tolist(),
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                name=f"{name}, {test}",
            )
    figure.add_hline(0.05, line=theme.DOTTED)
    first = next(iter(curves.values()))
    figure.update_xaxes(title="steps of a series", type="log", tickvals=first.lengths.tolist())
    figure.update_yaxes(title="share rejected", range=[0, 1.02])
    figure.update_layout(height=430)
    return theme.titled(
        figure,
        f"{first.lengths[0]} steps show clustering in {first.sup_score[0]:.0%} of series, "
        f"{first.lengths[-1]} in {first.sup_score[-1]:.0%}",
        f"{first.n_simulations} simulations a point; dotted: the level of the test",
    )

"""Figures of conjecture 7: sizes and recoveries of the rank test, maps of layers, speeds of adjustment."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..bridges.figures import pair_scatter
from ..language_pairs import TRAINED
from ..theme import DOTTED, INK, NULL_LINE, language_colour, line, panel_place, small_multiples, titled

_FLOOR = -0.5  # of the axis: R^2 of a map that does not hold has no lower end
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_CORRECTIONS = {"none": ("solid", "as tabulated"), "reinsel-ahn": ("dash", "Reinsel–Ahn")}


def size_curves(sizes: pd.DataFrame) -> go.Figure:
    """Share of independent walks in which one problem's trace test finds a relation, by length.

    sizes : n_steps, n_series and one column per correction, as in `rank_meaning.RankMeaning`.
    """
    figure = go.Figure()
    for colour, (n, rows) in zip(_COLOURS, sizes.groupby("n_series"), strict=False):
        for correction, (dash, words) in _CORRECTIONS.items():
            figure.add_scatter(
                x=rows["n_steps"].tolist(),
                y=rows[correction].round(3).tolist(),
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                name=f"{n} series, {words}",
            )
    figure.add_hline(0.05, line=DOTTED)
    steps = sorted(sizes["n_steps"].unique())
    figure.update_xaxes(title="layers", type="log", tickvals=steps, ticktext=[str(t) for t in steps])
    figure.update_yaxes(title="share rejected", range=[0, 1.02])
    figure.update_layout(height=470, margin={"b": 150})
    worst = sizes.loc[sizes["none"].idxmax()]
    title = (
        f"With {worst['n_steps']:.0f} layers and {worst['n_series']:.0f} series, one problem shows relations "
        f"of nothing in {worst['none']:.0%} of cases"
    )
    return titled(figure, title, "independent random walks, nominal 5 % trace test of rank 0 (dotted)")


def recovery_bars(recovery: pd.DataFrame) -> go.Figure:
    """Pooled test: false relations, and how often the true rank is found, with each correction left out.

    recovery : variant, specific, size, recovery, true_rank, as in `rank_meaning.RankMeaning`.
    """
    variants = list(dict.fromkeys(recovery["variant"]))[::-1]
    figure = make_subplots(
        cols=2, subplot_titles=["relations of nothing", "true rank found"], shared_yaxes=True
    )
    walking = recovery[recovery["specific"] == "random_walk"].set_index("variant").loc[variants]
    bar = {"orientation": "h", "y": variants}
    figure.add_bar(x=walking["size"].round(3), marker_color=NULL_LINE, showlegend=False, row=1, col=1, **bar)
    words = {"random_walk": "specific parts wander", "stationary": "specific parts stationary"}
    for colour, (specific, rows) in zip(_COLOURS, recovery.groupby("specific", sort=False), strict=False):
        rows = rows.set_index("variant").loc[variants]
        name = f"{words[specific]}: rank {rows['true_rank'].iloc[0]}"
        figure.add_bar(x=rows["recovery"].round(3), marker_color=colour, name=name, row=1, col=2, **bar)
    figure.add_vline(0.05, line={"color": INK, "width": 1, "dash": "dot"}, row=1, col=1)
    figure.update_xaxes(range=[0, 1.02], title="share of simulations")
    figure.update_layout(height=420, margin={"l": 170})
    full = recovery[recovery["variant"] == "all corrections"]
    worst = walking.drop(index="all corrections")["size"]
    title = (
        f"All corrections find the rank in {full['recovery'].min():.0%}; with one left out, up to "
        f"{worst.max():.0%} false relations"
    )
    return titled(figure, title, "problems and layers of unequal scale; dotted: the level of the test")


def adjustment_speeds(pairs: pd.DataFrame, anchor: str) -> go.Figure:
    """Log ratio of the anchor's speed to each language's, as it is and beyond shuffled pairings."""
    rows = pairs[(pairs["subject"] == TRAINED) & (pairs["first"] == anchor)]
    figure = go.Figure()
    figure.add_scatter(
        x=rows["second"].tolist(),
        y=rows["log_ratio"].round(3).tolist(),
        mode="markers",
        marker={"symbol": "circle-open", "size": 9, "color": NULL_LINE},
        name="log ratio as it is",
    )
    bounded = np.isfinite(rows["low"])
    figure.add_scatter(
        x=rows["second"].tolist(),
        y=rows["log_ratio_excess"].round(3).tolist(),
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (rows["high"] - rows["log_ratio_excess"]).where(bounded, 0).round(3).tolist(),
            "arrayminus": (rows["log_ratio_excess"] - rows["low"]).where(bounded, 0).round(3).tolist(),
            "thickness": 1.5,
            "width": 0,
        },
        mode="markers",
        marker={
            "size": 9,
            "color": [language_colour(k) for k in rows["second"]],
            "symbol": ["circle" if b else "x" for b in bounded],
        },
        name="beyond shuffled pairings",
    )
    figure.add_hline(0, line=DOTTED)
    figure.update_yaxes(title=f"log ratio, {anchor} to language")
    figure.update_layout(height=430)
    apart = rows[bounded & ((rows["low"] > 0) | (rows["high"] < 0))]["second"].tolist()
    title = (
        f"The ratio of speeds is not that of shuffled pairings in {len(apart)} of {bounded.sum()} languages"
        if bounded.any()
        else f"No ratio of speeds has an interval (of {len(rows)} languages)"
    )
    known = f"bars: 95 % interval by scenario; crosses: no interval, a speed may be 0 ({(~bounded).sum()})"
    return titled(figure, title, known)


def speed_scatter(pairs: pd.DataFrame, repeats: pd.DataFrame) -> go.Figure:
    """Excess log ratio of speeds on one half of the scenarios against the other, one point per pair."""
    rows = pairs[pairs["subject"] == TRAINED]
    figure = pair_scatter(rows, "log_ratio_excess", "log_ratio_excess_other")
    figure.update_xaxes(title="excess log ratio of speeds, one half of the scenarios")
    figure.update_yaxes(title="the same on the other half")
    if repeats.empty:
        return titled(figure, f"Speeds of {len(rows)} pairs on both halves", "too few languages to judge")
    one = repeats.set_index("subject").loc[TRAINED]
    title = f"Speeds of {len(rows)} pairs agree with themselves by r = {one['r']:.2f}"
    return titled(figure, title, f"95 % interval by language {one['low']:.2f} to {one['high']:.2f}")


def map_curves(by_layer: pd.DataFrame) -> go.Figure:
    """Held-out R^2 of what layers add, by one map for all layers and by maps of their own, trained model."""
    figure = small_multiples(by_layer["language"].unique(), "layer that adds", "held-out R²")
    trained = by_layer[by_layer["subject"] == TRAINED]
    for i, (language, rows) in enumerate(trained.groupby("language", sort=False)):
        place = panel_place(i)
        rows = rows.assign(**{k: rows[k].clip(lower=_FLOOR) for k in ("r2_own", "r2_common")})
        colour = language_colour(language)
        line(figure, rows, "r2_own", place, colour=colour, legend=i == 0, name="a map of its own")
        line(figure, rows, "r2_common", place, legend=i == 0, name="one map for all layers")
        figure.add_hline(0, line=DOTTED, **place)
    # jagged lines make large pictures
    figure.update_layout(height=round(0.9 * figure.layout.height))
    means = trained.groupby("language", sort=False)[["r2_own", "r2_common"]].median()
    low, high = np.round(means.min(), 2), np.round(means.max(), 2)
    title = (
        f"Median R² over layers: own maps {low['r2_own']:.2f} to {high['r2_own']:.2f}, one map "
        f"{low['r2_common']:.2f} to {high['r2_common']:.2f}"
    )
    return titled(figure, title, f"problems that no map was fitted to; cut at {_FLOOR:g}")

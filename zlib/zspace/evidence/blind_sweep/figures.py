"""Figures of the synthetic experiments: profiles by layer, table of configurations, clouds of languages."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..theme import NULL_FILL, NULL_LINE, language_colour, titled
from .sweep import KEY, LAST_BLOCK, OUTPUT, PRIVATE, RESIDUAL, TRAINED, UNTRAINED, rows_of

_STYLES = {"raw_nn": ("solid", "raw"), "procrustes_nn": ("dash", "after Procrustes")}
PROFILED = {"affine_r2": "Affine R²", "procrustes_r2": "Procrustes R²", "snr": "SNR", "kappa": "κ"}


def layer_profiles(layers: pd.DataFrame, configurations, language: str = "zh") -> go.Figure:
    """Nearest-neighbour accuracy by layer, mean and range over seeds; grey: networks with private targets."""
    titles = [", ".join(c) for c in configurations]
    n_rows = -(-len(titles) // 2)
    figure = make_subplots(
        rows=n_rows,
        cols=2,
        subplot_titles=titles,
        shared_yaxes="all",
        vertical_spacing=0.36 / n_rows,
        x_title="layer (5: output)",
    )
    mine = layers[layers["language"] == language]
    for i, configuration in enumerate(configurations):
        place = {"row": i // 2 + 1, "col": i % 2 + 1}
        rows = rows_of(mine, configuration)
        for subject, colour in ((PRIVATE, NULL_LINE), (TRAINED, language_colour(language))):
            for measure, (dash, words) in _STYLES.items():
                here, name = rows[rows["subject"] == subject], f"{words}, {subject}"
                _profile(figure, here, measure, place, colour, dash, name, i == 0)
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=[-0.03, 1.05])
    figure.update_layout(height=210 + 135 * n_rows, margin={"b": 130})
    last = mine[(mine["layer"] == LAST_BLOCK) & (mine["skip"] == RESIDUAL) & (mine["subject"] == PRIVATE)]
    return titled(
        figure,
        f"Procrustes accuracy of the last residual block is {last['procrustes_nn'].mean():.2f} with nothing "
        "shared; raw accuracy tells",
        f"{language}: nearest neighbours among 256 items; bands: range over seeds; grey: private targets",
    )


def measure_profiles(layers: pd.DataFrame, configurations, measures, language: str = "zh") -> go.Figure:
    """Some of `PROFILED` by layer, one row each: mean and range over seeds, beside both nulls.

    The title is about the first of them in the last configuration.
    """
    figure = make_subplots(
        rows=len(measures),
        cols=len(configurations),
        column_titles=[",<br>".join(c) for c in configurations],
        shared_yaxes=True,
        shared_xaxes=True,
        x_title="layer (5: output)",
        vertical_spacing=0.07,
        horizontal_spacing=0.02,
    )
    mine = layers[layers["language"] == language]
    colours = {UNTRAINED: "#0072B2", PRIVATE: NULL_LINE, TRAINED: language_colour(language)}
    for i, measure in enumerate(measures):
        for j, configuration in enumerate(configurations):
            place = {"row": i + 1, "col": j + 1}
            rows = rows_of(mine, configuration)
            for subject, colour in colours.items():
                here = rows[rows["subject"] == subject]
                _profile(figure, here, measure, place, colour, "solid", subject, i == j == 0)
        figure.update_yaxes(title={"text": PROFILED[measure], "font_size": 12}, row=i + 1, col=1)
        if measure == "kappa":
            figure.update_yaxes(type="log", dtick=1, row=i + 1)
    figure.update_xaxes(dtick=1)
    configuration, name = configurations[-1], PROFILED[measures[0]]
    last = rows_of(mine, configuration, LAST_BLOCK).groupby("subject")[measures[0]].mean()
    figure = titled(
        figure,
        f"{name} of the last block is {last[TRAINED]:.2f} in trained networks, {last[PRIVATE]:.2f} with "
        f"nothing shared, {last[UNTRAINED]:.2f} in untrained ones ({', '.join(configuration)})",
        f"{language}; on held-out items; bands: range over seeds; grey: private targets",
    )
    # room for the names of the columns, three lines each
    figure.update_annotations(font_size=12)
    return figure.update_layout(height=250 + 100 * len(measures), margin={"t": 150, "b": 100})


def _profile(figure, rows, measure, place, colour, dash, name, legend) -> None:
    by = rows.groupby("layer")[measure]
    x, low, high = by.mean().index, by.min(), by.max()
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    fill = NULL_FILL if colour == NULL_LINE else f"rgba({red},{green},{blue},0.15)"
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=np.concatenate([high, low[::-1]]).round(3).tolist(),
        mode="lines",
        fill="toself",
        fillcolor=fill,
        line={"width": 0},
        showlegend=False,
        hoverinfo="skip",
        **place,
    )
    line = {"color": colour, "dash": dash, "width": 2}
    figure.add_scatter(
        x=list(x),
        y=by.mean().round(3).tolist(),
        mode="lines",
        line=line,
        name=name,
        showlegend=legend,
        **place,
    )


def configuration_map(layers: pd.DataFrame) -> go.Figure:
    """Mean raw nearest-neighbour accuracy of every configuration and language, last block beside output."""
    trained = layers[layers["subject"] == TRAINED]
    titles = {LAST_BLOCK: "states of the last block", OUTPUT: "outputs"}
    figure = make_subplots(cols=2, subplot_titles=list(titles.values()), shared_yaxes=True)
    for i, layer in enumerate(titles):
        rows = trained[trained["layer"] == layer]
        labels = rows[KEY].agg(", ".join, axis=1)
        table = rows.assign(label=labels).pivot_table("raw_nn", "label", "language", sort=False)
        figure.add_heatmap(
            x=list(table.columns),
            y=list(table.index),
            z=table.to_numpy().round(3).tolist(),
            zmin=0,
            zmax=1,
            colorscale="Cividis",
            text=[[f"{v:.1f}".lstrip("0") for v in row] for row in table.to_numpy()],
            texttemplate="%{text}",
            textfont={"size": 10},
            showscale=False,
            row=1,
            col=i + 1,
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=400, margin={"l": 210, "b": 40})
    blocks = trained[(trained["layer"] == LAST_BLOCK) & (trained["skip"] == RESIDUAL)]["raw_nn"]
    outputs = trained[trained["layer"] == OUTPUT].groupby([*KEY, "language"])["raw_nn"].mean()
    figure = titled(
        figure,
        f"{(outputs >= 0.9).sum()} of {len(outputs)} outputs come to an accuracy of .9; states of residual "
        f"blocks have at most {blocks.max():.2f} in any network",
        "raw nearest-neighbour accuracy with the anchor, mean over seeds; chance 1/256",
    )
    # the labels of the rows need the margin that titles start at elsewhere
    return figure.update_layout(title={"xref": "container", "x": 0.02})


def clouds(points: pd.DataFrame) -> go.Figure:
    """Items in two principal components (columns panel, language, item, x, y); lines join translations."""
    panels = list(dict.fromkeys(points["panel"]))
    figure = make_subplots(rows=-(-len(panels) // 2), cols=2, subplot_titles=panels, vertical_spacing=0.12)
    for i, panel in enumerate(panels):
        place = {"row": i // 2 + 1, "col": i % 2 + 1}
        rows = points[points["panel"] == panel]
        ordered = rows.sort_values(["item", "language"])
        # a gap after every item
        joined = ordered.groupby("item")[["x", "y"]].apply(lambda g: pd.concat([g, g.iloc[:1] * np.nan]))
        line = {"color": "#BBB", "width": 0.6}
        figure.add_scatter(
            x=joined["x"].tolist(),
            y=joined["y"].tolist(),
            mode="lines",
            line=line,
            showlegend=False,
            hoverinfo="skip",
            **place,
        )
        for language, mine in rows.groupby("language", sort=False):
            figure.add_scatter(
                x=mine["x"].tolist(),
                y=mine["y"].tolist(),
                mode="markers",
                marker={"color": language_colour(language), "size": 5},
                name=language,
                showlegend=i == 0,
                **place,
            )
    figure.update_xaxes(showticklabels=False, ticks="")
    figure.update_yaxes(showticklabels=False, ticks="", showgrid=False)
    figure.update_layout(height=220 + 170 * (-(-len(panels) // 2)), margin={"b": 60})
    ratios = {panel: _spread_of_translations(points[points["panel"] == panel]) for panel in panels}
    shares = "; ".join(f"{panel} {ratio:.0%}" for panel, ratio in ratios.items())
    title = f"Variance that translations do not share, in the plane shown: {shares}"
    return titled(figure, title, "two leading principal components; grey lines join translations")


def _spread_of_translations(rows: pd.DataFrame) -> float:
    """Share of the variance in the plane that lies between the translations of an item."""
    at, mean = rows[["x", "y"]], rows.groupby("item")[["x", "y"]].transform("mean")
    return float(((at - mean) ** 2).to_numpy().sum() / ((at - at.mean()) ** 2).to_numpy().sum())


def orthogonality_profiles(layers: pd.DataFrame, note: tuple[float, ...]) -> go.Figure:
    """SNR by layer, and |delta|/|f| beside that of unrelated items: mean and range over seeds."""
    figure = make_subplots(
        cols=2, subplot_titles=["SNR", "|δ|/|f|"], horizontal_spacing=0.12, x_title="layer"
    )
    colours = {TRAINED: "#0072B2", PRIVATE: "#D55E00", UNTRAINED: NULL_LINE}
    for i, value in enumerate(("snr", "norm_ratio")):
        place = {"row": 1, "col": i + 1}
        for subject, colour in colours.items():
            rows = layers[(layers["subject"] == subject) & layers[value].notna()]
            means = rows.groupby(["layer", "seed"])[value].mean().reset_index()
            _profile(figure, means, value, place, colour, "solid", subject, i == 0)
    unrelated = layers[layers["subject"] == TRAINED].groupby("layer")["shuffled_ratio"].mean().dropna()
    dashed = {"mode": "lines", "line": {"color": "#222222", "dash": "dash", "width": 1.3}, "row": 1}
    figure.add_scatter(x=unrelated.index, y=unrelated.round(3), name="unrelated items", col=2, **dashed)
    figure.add_scatter(x=np.arange(len(note)), y=note, name="the note", col=1, **dashed)
    figure.update_layout(height=400, margin={"b": 130})
    ends = layers[layers["layer"].isin((0, layers["layer"].max()))]
    ends = ends.groupby(["subject", "layer"])["snr"].mean()
    paths = {s: f"{ends[s].iloc[0]:.2f} to {ends[s].iloc[1]:.2f}" for s in (TRAINED, UNTRAINED)}
    return titled(
        figure,
        f"SNR goes from {paths[TRAINED]} in trained networks, {paths[UNTRAINED]} in untrained ones, "
        f"{note[0]:.2f} to {note[-1]:.2f} in the note",
        "mean over languages, bands: range over seeds",
    )

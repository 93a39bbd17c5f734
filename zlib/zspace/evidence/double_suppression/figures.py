"""Figures of conjecture 3: spectra of linear nets, and what layers add inside and outside of Z."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ... import theory
from .. import theme
from ..language_pairs import TRAINED
from ..rules import SUPPORTED

FIRST, SECOND = "#0072B2", "#009E73"


def layer_spectra(spectra: pd.DataFrame) -> go.Figure:
    """Sizes of trained layers against agreement, plain and residual, over the closed forms."""
    titles = ["plain: singular value of a layer", "residual: size of the contribution"]
    figure = make_subplots(cols=2, subplot_titles=titles, horizontal_spacing=0.12)
    rho = np.linspace(0.005, 1, 80)
    dashed = {"color": theme.NULL_LINE, "dash": "dash"}
    for i, net in enumerate(("plain, balanced", "residual")):
        place = {"row": 1, "col": i + 1, "showlegend": i == 0}
        by_depth = spectra[spectra["net"] == net].groupby("layers")
        for (n_layers, rows), colour in zip(by_depth, (FIRST, SECOND), strict=True):
            curve = theory.layer_spectrum(rho, n_layers)
            figure.add_scatter(
                x=rho,
                y=curve if i == 0 else 1 - curve,
                mode="lines",
                line={"color": colour, "width": 1.6},
                name=f"closed form, L = {n_layers}",
                **place,
            )
            seen = rows.drop_duplicates(["layer", "direction"])
            figure.add_scatter(
                x=seen["rho"],
                y=seen["size"],
                mode="markers",
                marker={"color": colour, "size": 8, "symbol": "circle-open"},
                name=f"trained, L = {n_layers}",
                **place,
            )
        figure.add_scatter(
            x=rho, y=np.sqrt(rho), mode="lines", line=dashed, name="as conjectured, √ρ", **place
        )
    figure.update_xaxes(title="agreement ρ")
    figure.update_layout(height=430, margin={"b": 150})
    return theme.titled(
        figure,
        "Plain layers share √ρ among them; residual layers add most where languages conflict",
        "all layers of one net coincide, so that their points lie on each other",
    )


def rotation_curve(rotations: pd.DataFrame) -> go.Figure:
    """Rank correlation of agreement and gain against the angle between target and stream."""
    figure = go.Figure()
    figure.add_scatter(
        x=rotations["angle"],
        y=rotations["spearman"],
        mode="lines+markers",
        line={"color": FIRST},
        showlegend=False,
    )
    figure.add_hline(0, line=theme.DOTTED)
    figure.update_xaxes(title="turn of the target in the four most agreeing directions, degrees", dtick=15)
    figure.update_yaxes(title="Spearman of ρ and gain", range=[-1.1, 1.1])
    figure.update_layout(height=380)
    ends = rotations.sort_values("angle")["spearman"]
    return theme.titled(
        figure,
        f"The order is a matter of the target: from {ends.iloc[0]:+.2f} to {ends.iloc[-1]:+.2f} as it turns",
        "residual net of two layers, started at zero contributions",
    )


def quality_curves(curves: pd.DataFrame) -> go.Figure:
    """q~ of every layer within Z and within Z_perp, one small panel per language; 1 if unrelated."""
    trained = curves[curves["subject"] == TRAINED]
    languages = trained["language"].unique()
    figure = theme.small_multiples(languages, "layer", "q̃, noise over signal of what a layer adds")
    for i, (language, rows) in enumerate(trained.groupby("language", sort=False)):
        place = theme.panel_place(i)
        for value, dash, name in (("q~ Z", "solid", "in Z"), ("q~ perp", "dash", "in Z⊥")):
            colour = theme.language_colour(language)
            theme.line(figure, rows, value, place, colour=colour, dash=dash, legend=i == 0, name=name)
        figure.add_hline(1, line=theme.DOTTED, **place)
    figure.update_yaxes(range=[-0.5, 2.5])
    lower = (trained["q~ Z"] < trained["q~ perp"]).groupby(trained["language"], sort=False).mean()
    return theme.titled(
        figure,
        "Layers whose q̃ is lower in Z: " + ", ".join(f"{k} {share:.0%}" for k, share in lower.items()),
        "cross-terms included; dotted: unrelated languages; beyond the axis: D_diff hardly changes",
    )


def split_curves(curves: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """Gain gap and agreement gap by layer, one small panel per language; grey band: baselines."""
    figure = theme.small_multiples(curves["language"].unique(), "layer", "gap between Z and Z⊥")
    for i, (language, rows) in enumerate(curves.groupby("language", sort=False)):
        place = theme.panel_place(i)
        band = {"legend": i == 0, "name": "gain gap of random-weight baselines"}
        theme.twin_band(figure, rows, "gain_gap", place, **band)
        trained = rows[rows["subject"] == TRAINED]
        theme.interval_band(figure, trained, language, place)
        for value, dash in (("gain_gap", "solid"), ("agreement_gap", "dash")):
            colour = theme.language_colour(language)
            style = {"colour": colour, "dash": dash, "legend": i == 0, "name": value.replace("_", " ")}
            theme.line(figure, trained, value, place, **style)
        figure.add_hline(0, line=theme.DOTTED, **place)
    held = [language for language, verdict in verdicts.items() if verdict == SUPPORTED]
    return theme.titled(
        figure,
        f"Contributions suppressed twice beyond every control: {', '.join(held) or 'no language'}",
        "above zero: in Z more is added (gain), and it differs less between languages (agreement)",
    )

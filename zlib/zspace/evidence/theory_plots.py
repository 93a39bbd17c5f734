"""Figures of the mathematical claims: agreement spectrum, gauge, layers of linear nets, splits of a model.

As in `plots`, a title states the finding, computed from the table that the figure shows.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .. import theory
from .panels import TRAINED
from .rules import SUPPORTED
from .theme import (
    NULL_LINE,
    interval_band,
    language_colour,
    line,
    panel_place,
    small_multiples,
    titled,
    twin_band,
)

FIRST, SECOND, THIRD = "#0072B2", "#D55E00", "#009E73"


def agreement_explorer(n: int = 26, shares: tuple[float, ...] = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)):
    """Agreement ratio and |w| over (z_1, z_2), with a slider for the share of language 1.

    `n` is even, so that z = 0 in both languages, which has no ratio, is left out.
    """
    axis = np.linspace(-2, 2, n)
    z = np.stack([a.ravel() for a in np.meshgrid(axis, axis)])
    steps = []
    for share in shares:
        weights = [share, 1 - share]
        found = theory.agreement_ratio(z, weights), np.abs(theory.optimal_coefficients(z, weights))
        # plain lists: arrays in the steps of a slider are written out at full length
        values = [f.reshape(n, n).round(3).tolist() for f in found]
        steps.append({"method": "restyle", "label": f"{share:g}", "args": [{"z": values}, [0, 1]]})
    start = len(shares) // 2
    titles = ["agreement ratio ρ", "raw coefficient |w|, up to 3"]
    figure = make_subplots(cols=2, subplot_titles=titles, horizontal_spacing=0.2)
    for i, (values, top) in enumerate(zip(steps[start]["args"][0]["z"], (1.0, 3.0), strict=True)):
        figure.add_contour(
            x=axis.round(3),
            y=axis.round(3),
            z=values,
            contours={"start": 0, "end": top, "size": top / 10},
            line={"width": 0.3},
            colorscale="Cividis",
            colorbar={"x": 0.41 + 0.6 * i, "thickness": 12, "len": 0.9},
            hovertemplate="z₁ %{x:.2f}, z₂ %{y:.2f}: %{z:.3f}<extra></extra>",
            row=1,
            col=i + 1,
        )
    figure.update_xaxes(title="z₁, size in language 1")
    figure.update_yaxes(title="z₂, size in language 2", title_standoff=2)
    slider = {
        "active": start,
        "steps": steps,
        "currentvalue": {"prefix": "share of language 1: "},
        "y": -0.25,
    }
    figure.update_layout(sliders=[slider], height=470, margin={"b": 120})
    return titled(
        figure,
        "Agreement knows the sign and the balance of the languages, the coefficient their size as well",
        "along the diagonal ρ = 1 everywhere, while |w| = 1/z takes any value",
    )


def sampled_errors(sampled: pd.DataFrame) -> go.Figure:
    """Error of the sampled agreement spectrum by sample size, a point a seed, with the slope of -1/2."""
    mean = sampled.groupby("n")["error"].mean()
    slope = np.polyfit(np.log(mean.index), np.log(mean), 1)[0]
    figure = go.Figure()
    figure.add_scatter(
        x=sampled["n"],
        y=sampled["error"],
        mode="markers",
        marker={"color": FIRST, "size": 9, "opacity": 0.7},
        name="one seed",
    )
    figure.add_scatter(
        x=mean.index,
        y=mean.iloc[0] * np.sqrt(mean.index[0] / mean.index),
        mode="lines",
        line={"color": NULL_LINE, "dash": "dash"},
        name="one over the square root of n",
    )
    figure.update_xaxes(title="sampled pairs (x, c)", type="log", dtick=1)
    figure.update_yaxes(title="largest error of ρ", type="log", dtick="D2")
    figure.update_layout(height=400)
    return titled(
        figure,
        f"Samples find the spectrum: the error falls with n to the power {slope:.2f}",
        "canonical correlations of sampled inputs and latents against the closed form",
    )


def turning_curves(turning: pd.DataFrame) -> go.Figure:
    """Angle between Z and its place at equal shares, for diagonal and for general transforms."""
    figure = go.Figure()
    styles = {"diagonal": (NULL_LINE, "dash"), "general": (FIRST, "solid")}
    for kind, rows in turning.groupby("kind", sort=False):
        colour, dash = styles[kind]
        figure.add_scatter(
            x=rows["share"],
            y=rows["angle"],
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            name=f"{kind} transforms",
        )
    figure.update_xaxes(title="share of language 1")
    figure.update_yaxes(title="largest principal angle, degrees")
    figure.update_layout(height=400)
    most = turning[turning["kind"] == "general"].loc[lambda t: t["angle"].idxmax()]
    return titled(
        figure,
        f"Z turns with the shares, by {most['angle']:.0f} degrees at a share of {most['share']:.2f}, unless "
        "all transforms are diagonal",
        "angle to the Z of equal shares",
    )


def orbit_and_overlap(orbit: pd.DataFrame, overlaps: pd.DataFrame) -> go.Figure:
    """Excess loss of randomly turned spans, and overlap of the spans that different seeds find."""
    problems = list(dict.fromkeys(orbit["problem"]))
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        subplot_titles=["turned spans: loss above minimum", "overlap of two seeds' spans"],
        horizontal_spacing=0.1,
    )
    for i, (table, value) in enumerate(((orbit, "excess"), (overlaps, "overlap"))):
        for problem in problems:
            values = table.loc[table["problem"] == problem, value]
            fixed = overlaps.loc[overlaps["problem"] == problem, "overlap"].mean() > 0.999
            figure.add_box(
                x=values,
                name=problem,
                orientation="h",
                boxpoints=False,
                line={"color": FIRST if fixed else SECOND, "width": 1.6},
                showlegend=False,
                row=1,
                col=i + 1,
            )
    figure.update_yaxes(autorange="reversed", ticks="")
    figure.update_xaxes(rangemode="tozero")
    figure.update_layout(height=210 + 40 * len(problems), margin={"l": 215, "b": 40})
    figure.update_annotations(font_size=13)
    mean = overlaps.groupby("problem", sort=False)["overlap"].mean()
    titled(
        figure,
        f"Seeds agree on the span with two languages (overlap {mean['two languages']:.3f}), not with one "
        f"({mean['one language, isotropic']:.2f})",
        "blue: all seeds find one span; orange: the span is free; boxes: quartiles of pairs or turned spans",
    )
    # the names of the problems leave the plot too narrow for its title
    return figure.update_layout(title={"x": 0.02, "xref": "container"})


def layer_spectra(spectra: pd.DataFrame) -> go.Figure:
    """Sizes of trained layers against agreement, plain and residual, over the closed forms."""
    titles = ["plain: singular value of a layer", "residual: size of the contribution"]
    figure = make_subplots(cols=2, subplot_titles=titles, horizontal_spacing=0.12)
    rho = np.linspace(0.005, 1, 80)
    dashed = {"mode": "lines", "line": {"color": NULL_LINE, "dash": "dash"}, "name": "as conjectured, √ρ"}
    for i, net in enumerate(("plain, balanced", "residual")):
        place = {"row": 1, "col": i + 1, "showlegend": i == 0}
        by_depth = spectra[spectra["net"] == net].groupby("layers")
        for (n_layers, rows), colour in zip(by_depth, (FIRST, THIRD), strict=True):
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
        figure.add_scatter(x=rho, y=np.sqrt(rho), **dashed, **place)
    figure.update_xaxes(title="agreement ρ")
    figure.update_layout(height=430, margin={"b": 150})
    return titled(
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
    figure.add_hline(0, line={"color": NULL_LINE, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="turn of the target in the four most agreeing directions, degrees", dtick=15)
    figure.update_yaxes(title="Spearman of ρ and gain", range=[-1.1, 1.1])
    figure.update_layout(height=380)
    ends = rotations.sort_values("angle")["spearman"]
    return titled(
        figure,
        f"The order is a matter of the target: from {ends.iloc[0]:+.2f} to {ends.iloc[-1]:+.2f} as it turns",
        "residual net of two layers, started at zero contributions",
    )


def quality_curves(curves: pd.DataFrame) -> go.Figure:
    """q~ of every layer within Z and within Z_perp, one small panel a language; 1 for unrelated languages."""
    languages = list(dict.fromkeys(curves["language"]))
    figure = small_multiples(languages, "layer", "q̃, noise over signal of what a layer adds")
    trained = curves[curves["subject"] == TRAINED]
    for i, language in enumerate(languages):
        place, rows = panel_place(i), trained[trained["language"] == language]
        for value, dash, name in (("q~ Z", "solid", "in Z"), ("q~ perp", "dash", "in Z⊥")):
            colour = language_colour(language)
            line(figure, rows, value, place, colour=colour, dash=dash, legend=i == 0, name=name)
        figure.add_hline(1, line={"color": NULL_LINE, "width": 1, "dash": "dot"}, **place)
    figure.update_yaxes(range=[-0.5, 2.5])
    lower = (trained["q~ Z"] < trained["q~ perp"]).groupby(trained["language"], sort=False).mean()
    return titled(
        figure,
        "Layers whose q̃ is lower in Z: " + ", ".join(f"{k} {share:.0%}" for k, share in lower.items()),
        "cross-terms included; dotted: unrelated languages; beyond the axis: D_diff hardly changes",
    )


def split_curves(curves: pd.DataFrame, verdicts: Mapping[str, str], title: str = "") -> go.Figure:
    """Gain gap and agreement gap by layer, one small panel a language, over the band of the twins.

    Without a title, it names the languages whose verdict is `supported`.
    """
    languages = list(dict.fromkeys(curves["language"]))
    figure = small_multiples(languages, "layer", "gap between Z and Z⊥")
    for i, language in enumerate(languages):
        place = panel_place(i)
        rows = curves[curves["language"] == language]
        twin_band(figure, rows, "gain_gap", place, legend=i == 0, name="gain gap of random twins")
        trained = rows[rows["subject"] == TRAINED]
        interval_band(figure, trained, language, place)
        for value, dash, name in (
            ("gain_gap", "solid", "gain gap"),
            ("agreement_gap", "dash", "agreement gap"),
        ):
            colour = language_colour(language)
            line(figure, trained, value, place, colour=colour, dash=dash, legend=i == 0, name=name)
        figure.add_hline(0, line={"color": NULL_LINE, "width": 1, "dash": "dot"}, **place)
    held = [language for language, verdict in verdicts.items() if verdict == SUPPORTED]
    return titled(
        figure,
        title or f"Contributions suppressed twice beyond every control: {', '.join(held) or 'no language'}",
        "above zero: in Z more is added (gain), and it differs less between languages (agreement)",
    )

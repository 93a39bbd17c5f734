"""Figures of theorem 1 and corollary 1: the agreement spectrum, its sampling error, and the gauge."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ... import theory
from ..theme import NULL_LINE, titled

FIRST, SECOND = "#0072B2", "#D55E00"


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
    """Error of the sampled agreement spectrum by sample size, one point per seed, beside the slope -1/2."""
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

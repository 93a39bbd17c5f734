"""Figures of bridges: the ladder of maps by layer, and conditioning against the gap over pairs."""

import pandas as pd
import plotly.graph_objects as go

from ..language_pairs import TRAINED
from ..theme import DOTTED, INK, language_colour, line, panel_place, small_multiples, titled

_FLOOR = -1.0  # of the axis: R^2 of a map that does not hold has no lower end


def ladder_curves(curves: pd.DataFrame) -> go.Figure:
    """Held-out R^2 of ridge and of a scaled rotation by layer, and the gap beyond a true scaled rotation.

    One small panel per language, trained model; `curves` as in `bridging.BridgeResult`.
    """
    figure = small_multiples(curves["language"].unique(), "layer", "held-out R²; excess of the gap")
    trained = curves[curves["subject"] == TRAINED].eval("excess = gap - `gap, null`")
    shown = (
        ("r2 ridge", "solid", "ridge"),
        ("r2 scaled_procrustes", "dash", "scaled rotation"),
        ("excess", "dot", "excess of the gap"),
    )
    for i, (language, rows) in enumerate(trained.groupby("language", sort=False)):
        place = panel_place(i)
        cut = rows.assign(**{value: rows[value].clip(lower=_FLOOR) for value, *_ in shown})
        for value, dash, name in shown:
            options = {"colour": language_colour(language), "dash": dash, "legend": i == 0, "name": name}
            line(figure, cut, value, place, **options)
        figure.add_hline(0, line=DOTTED, **place)
    figure.update_yaxes(range=[_FLOOR - 0.05, 1.05])
    mean = trained.groupby("language", sort=False)[["r2 ridge", "r2 scaled_procrustes"]].mean()
    by_language = (f"{k} {ridge:.2f} and {rotation:.2f}" for k, ridge, rotation in mean.itertuples())
    return titled(
        figure,
        "Held-out R² of ridge and of a scaled rotation, mean over layers: " + ", ".join(by_language),
        f"below zero: worse than the mean of the held-out items; drawn at {_FLOOR:g} where it is less",
    )


def conditioning_scatter(pairs: pd.DataFrame, correlations: pd.DataFrame) -> go.Figure:
    """Excess of the gap against that of log kappa, one point per pair of languages, trained model."""
    rows = pairs[pairs["subject"] == TRAINED]
    figure = pair_scatter(rows, "log_kappa_excess", "gap_excess")
    for add in (figure.add_hline, figure.add_vline):
        add(0, line=DOTTED)
    figure.update_xaxes(title="excess of log κ, one half of the scenarios")
    figure.update_yaxes(title="excess of the gap, the other half")
    found = correlations.set_index("subject").loc[TRAINED]
    return titled(
        figure,
        f"Conditioning and gap over {len(rows)} pairs: r = {found['r']:.2f}, p = {found['p']:.3f} (QAP)",
        f"p < .05 would take |r| ≥ {found['critical']:.2f}; mean held-out R² {rows['r2'].mean():.2f}",
    )


def pair_scatter(rows: pd.DataFrame, x: str, y: str) -> go.Figure:
    """One point per pair of languages (columns first, second), whose names show when hovering."""
    figure = go.Figure()
    figure.add_scatter(
        x=rows[x].round(3).tolist(),
        y=rows[y].round(3).tolist(),
        text=(rows["first"] + "–" + rows["second"]).tolist(),
        mode="markers",
        marker={"color": INK, "size": 8},
        showlegend=False,
    )
    return figure.update_layout(height=460)

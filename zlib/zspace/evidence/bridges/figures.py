"""Figures of bridges: the ladder of maps by layer, singular spectra, and conditioning against the gap."""

import pandas as pd
import plotly.graph_objects as go

from ..language_pairs import TRAINED
from ..theme import DOTTED, INK, language_colour, line, panel_place, small_multiples, titled

_FLOOR = -1.0  # of the axis: R^2 of a map that does not hold has no lower end


def ladder_curves(curves: pd.DataFrame) -> go.Figure:
    """Held-out R^2 of ridge and of a scaled rotation by layer, and the gap without noise.

    One small panel per language, trained model; `curves` as in `bridging.BridgeResult`.
    """
    figure = small_multiples(curves["language"].unique(), "layer", "held-out R²; noise-free gap")
    trained = curves[curves["subject"] == TRAINED]
    shown = (
        ("r2 ridge", "solid", "ridge"),
        ("r2 scaled_procrustes", "dash", "scaled rotation"),
        ("noise_free_gap", "dot", "noise-free gap"),
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


def singular_spectra(spectra: pd.DataFrame) -> go.Figure:
    """Singular values of the regularised maps from the first language, kappa beside the name.

    `spectra` as in `bridging.ConditioningResult`; a scaled rotation would be a flat line.
    """
    figure = go.Figure()
    kappas = spectra.groupby("language", sort=False)["kappa"].first()
    for language, rows in spectra.groupby("language", sort=False):
        figure.add_scatter(
            x=rows["component"].tolist(),
            y=rows["value"].round(3).tolist(),
            mode="lines+markers",
            line={"color": language_colour(language)},
            name=f"{language}, κ {kappas[language]:.1f}",
        )
    figure.add_hline(1, line=DOTTED)
    figure.update_yaxes(title="singular value, geometric mean 1", type="log")
    figure.update_xaxes(title="component", dtick=1)
    figure.update_layout(height=460)
    if kappas.empty:
        return titled(figure, "No bridge has a spectrum", "")
    low, high = kappas.idxmin(), kappas.idxmax()
    title = f"Condition numbers run from {kappas[low]:.1f} ({low}) to {kappas[high]:.1f} ({high})"
    return titled(figure, title, "regularised map from the first language; dotted: a scaled rotation")


def repeat_scatter(pairs: pd.DataFrame, repeats: pd.DataFrame) -> go.Figure:
    """log kappa on one half of the scenarios against the other, one point per pair, trained model."""
    rows = pairs[pairs["subject"] == TRAINED]
    figure = pair_scatter(rows, "log_kappa", "log_kappa_other")
    figure.update_xaxes(title="log κ, one half of the scenarios")
    figure.update_yaxes(title="log κ, the other half")
    found = repeats.set_index("subject").loc[TRAINED]
    title = f"Condition numbers of {len(rows)} pairs agree with themselves by r = {found['log_kappa']:.2f}"
    return titled(figure, title, f"gaps by r = {found['gap']:.2f}")


def conditioning_scatter(pairs: pd.DataFrame, correlations: pd.DataFrame) -> go.Figure:
    """The noise-free gap against log kappa, one point per pair of languages, trained model."""
    rows = pairs[pairs["subject"] == TRAINED]
    figure = pair_scatter(rows, "log_kappa", "gap")
    figure.add_hline(0, line=DOTTED)
    figure.update_xaxes(title="log κ, one half of the scenarios")
    figure.update_yaxes(title="noise-free gap, the other half")
    found = correlations.set_index("subject").loc[TRAINED]
    return titled(
        figure,
        f"Conditioning and gap over {len(rows)} pairs: r = {found['r']:.2f}, p = {found['p']:.3f} (QAP)",
        f"p < .05 would take |r| ≥ {found['critical']:.2f}; shared variance {rows['shared'].mean():.2f}",
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

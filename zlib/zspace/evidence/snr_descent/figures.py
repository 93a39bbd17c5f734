"""Figures of theorem 2 and observation A: the SNR by layer, and what its fall consists of."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ...sources.models import kind_of
from ..language_pairs import SHUFFLED, TRAINED
from ..theme import DASHES, NULL_LINE, language_colour, line, panel_place, small_multiples, titled, twin_band


def descent_title(criteria: pd.DataFrame) -> str:
    """At how many layers the SNR falls, in the model and in its random-weight baselines."""
    trained = criteria[criteria["subject"] == TRAINED]
    counts = [f"{r.language} {r.falls}/{r.layers}" for r in trained.itertuples()]
    twins = criteria[criteria["subject"].map(kind_of) == "random"]
    random = f"{twins['falls'].min()} to {twins['falls'].max()}" if len(twins) else "unknown"
    return f"Layers at which the SNR falls: {', '.join(counts)}; random-weight baselines {random}"


def accumulation_title(shares: pd.DataFrame) -> str:
    """Share of the fall of log r that accumulation explains, by language."""
    rows = shares[shares["part"] == "accumulation"]
    found = [
        f"{r.language} {r.share:.2f}" if np.isfinite(r.share) else f"{r.language} no fall"
        for r in rows.itertuples()
    ]
    return f"Share of the fall that accumulation explains: {', '.join(found)}"


def snr_curves(curves: pd.DataFrame, title: str) -> go.Figure:
    """SNR (lower is better) by layer, one small panel per language; grey band: baselines."""
    languages = curves["language"].unique()
    figure = small_multiples(languages, "layer", "D_same / D_diff (lower is better)", shared=False)
    for i, (language, rows) in enumerate(curves.groupby("language", sort=False)):
        place = panel_place(i)
        twin_band(figure, rows, "snr", place, legend=i == 0)
        shuffled, trained = (rows[rows["subject"] == name] for name in (SHUFFLED, TRAINED))
        line(figure, shuffled, "snr", place, dash=DASHES[SHUFFLED], legend=i == 0)
        colour = language_colour(language)
        line(figure, trained, "snr", place, colour=colour, legend=i == 0)
        centred = {"colour": colour, "dash": "dash", "name": "trained, centred"}
        line(figure, trained, "snr_centered", place, legend=i == 0, **centred)
    figure.update_yaxes(type="log", dtick="D2")
    return titled(figure, title, "raw unless marked; logarithmic axes, one for each panel")


def descent_paths(paths: pd.DataFrame, title: str) -> go.Figure:
    """log r by layer as measured and under the counterfactuals (columns language, path, layer, log_r)."""
    styles = {
        "measured": (None, "solid"),
        "quality frozen": (None, "dash"),
        "no cross-terms": (NULL_LINE, "dash"),
        "accumulation only": (NULL_LINE, "solid"),
    }
    figure = small_multiples(paths["language"].unique(), "layer", "log r", shared=False)
    for i, (language, rows) in enumerate(paths.groupby("language", sort=False)):
        for name, (colour, dash) in styles.items():
            colour = colour or language_colour(language)
            table = rows[rows["path"] == name]
            line(figure, table, "log_r", panel_place(i), colour=colour, dash=dash, legend=i == 0, name=name)
    return titled(figure, title, "confirmation items; each panel has its own axis")

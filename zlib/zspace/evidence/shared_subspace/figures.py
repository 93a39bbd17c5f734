"""Figures of dim Z: shared dimensions by layer in a model, and in networks that share a known number."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from ..blind_sweep.sweep import TRAINED as TRAINED_NETWORK
from ..language_pairs import PLANTED, TRAINED
from ..theme import language_colour, line, panel_place, small_multiples, titled, twin_band

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def dimension_curves(curves: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """Shared variance by layer, one small panel per language; grey band: random-weight baselines.

    curves : as in `shared_dimension.DimensionResult`; `verdicts` : language -> verdict.
    """
    languages = curves["language"].unique()
    figure = small_multiples(languages, "layer", "shared variance (dimensions)")
    for i, (language, rows) in enumerate(curves.groupby("language", sort=False)):
        place = panel_place(i)
        trained, planted = (rows[rows["subject"] == name] for name in (TRAINED, PLANTED))
        twin_band(figure, rows, "shared_variance", place, legend=i == 0, name="random-weight baselines")
        colour = language_colour(language)
        line(figure, trained, "shared_variance", place, colour=colour, legend=i == 0, name="shared variance")
        line(figure, planted, "shared_variance", place, dash="dash", legend=i == 0, name="planted")
    figure.update_yaxes(rangemode="tozero")
    found = pd.Series({language: verdicts[language] for language in languages})
    words = "; ".join(f"{verdict}: {' '.join(found.index[found == verdict])}" for verdict in found.unique())
    title = f"Half a dimension more than any control, {words}"
    return titled(figure, title, "of directions fitted to other scenarios; grey, dashed: planted dimensions")


def network_dimensions(table: pd.DataFrame) -> go.Figure:
    """Dimension by layer of networks on worlds with known shared coordinates, means over seeds.

    table : as `known_dimension.network_dimensions` gives it.
    """
    means = table.groupby(["shared", "subject", "layer"], sort=False)["dimension"].mean().reset_index()
    figure = go.Figure()
    for colour, (m, rows) in zip(_COLOURS, means.groupby("shared"), strict=False):
        for subject, one in rows.groupby("subject", sort=False):
            figure.add_scatter(
                x=one["layer"].tolist(),
                y=one["dimension"].round(2).tolist(),
                mode="lines+markers",
                line={"color": colour, "dash": "solid" if subject == TRAINED_NETWORK else "dot", "width": 2},
                name=f"{m} shared, {subject}",
            )
        figure.add_hline(m, line={"color": colour, "width": 1, "dash": "dash"})
    figure.update_xaxes(title="layer", dtick=1)
    figure.update_yaxes(title="dimension", rangemode="tozero")
    figure.update_layout(height=460, margin={"b": 150})
    trained = means[means["subject"] == TRAINED_NETWORK].groupby("shared")["dimension"]
    title = "Dimensions found over all layers of trained networks: " + ", ".join(
        f"{one.min():.1f} to {one.max():.1f} where {m} are shared" for m, one in trained
    )
    return titled(
        figure, title, "dashed: coordinates that the world's two languages share; means over networks"
    )

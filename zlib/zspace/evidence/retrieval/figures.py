"""Figures of predictions 1 and 2: retrieval by layer, and states beside updates."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .. import theme
from ..language_pairs import TRAINED
from ..rules import SUPPORTED


def retrieval_curves(curves: pd.DataFrame, peaks: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """Accuracy by layer, one small panel per language; grey band: its controls."""
    figure = theme.small_multiples(curves["language"].unique(), "layer", "between-scenario accuracy")
    for i, (language, rows) in enumerate(curves.groupby("language", sort=False)):
        place = theme.panel_place(i)
        theme.twin_band(figure, rows, "accuracy", place, legend=i == 0)
        for name, dash in theme.DASHES.items():
            theme.line(figure, rows[rows["subject"] == name], "accuracy", place, dash=dash, legend=i == 0)
        trained = rows[rows["subject"] == TRAINED]
        theme.interval_band(figure, trained, language, place)
        theme.line(figure, trained, "accuracy", place, colour=theme.language_colour(language), legend=i == 0)
        peak = peaks[(peaks["language"] == language) & (peaks["subject"] == TRAINED)].iloc[0]
        figure.add_hline(peak["chance"], line=theme.DOTTED, **place)
        figure.add_vline(peak["layer"], line={"color": theme.language_colour(language), "width": 1}, **place)
    figure.update_yaxes(range=[-0.02, 1.04])
    return theme.titled(
        figure,
        _finding(verdicts, "story aligned beyond every control"),
        "thin vertical line: layer chosen on discovery scenarios; dotted horizontal line: chance",
    )


def accuracy_lines(curves: pd.DataFrame) -> go.Figure:
    """Accuracy by layer of all languages in one panel; grey lines: their random-weight baselines."""
    figure = go.Figure()
    for language, rows in curves.groupby("language", sort=False):
        for subject, colour in (("random-0", theme.NULL_LINE), (TRAINED, theme.language_colour(language))):
            found = rows[rows["subject"] == subject]
            figure.add_scatter(
                x=found["layer"],
                y=found["accuracy"],
                mode="lines",
                line={"color": colour, "width": 2.4 if subject == TRAINED else 1},
                name=f"{language}, {subject}",
                showlegend=subject == TRAINED,
            )
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="between-scenario accuracy", range=[-0.02, 1.04])
    trained = curves[curves["subject"] == TRAINED]
    best = trained.groupby("language", sort=False)["accuracy"].max()
    title = f"Best accuracy from {best.min():.2f} ({best.idxmin()}) to {best.max():.2f} ({best.idxmax()})"
    return theme.titled(figure, title, "confirmation items; grey: the same architecture with random weights")


def excess_by_subject(table: pd.DataFrame, minimal_effect: float, title: str, axis: str) -> go.Figure:
    """Estimate and 95 % interval of every subject (columns language, subject, estimate, low, high)."""
    subjects = list(dict.fromkeys(table["subject"]))
    figure = go.Figure()
    languages = list(dict.fromkeys(table["language"]))
    for i, language in enumerate(languages):
        rows = table[table["language"] == language].set_index("subject").loc[subjects]
        offset = (i - (len(languages) - 1) / 2) * 0.7 / max(1, len(languages))
        figure.add_scatter(
            x=rows["estimate"],
            y=np.arange(len(subjects))[::-1] - offset,
            error_x={
                "type": "data",
                "array": rows["high"] - rows["estimate"],
                "arrayminus": rows["estimate"] - rows["low"],
                "thickness": 1.5,
                "width": 0,
            },
            mode="markers",
            marker={"color": theme.language_colour(language), "size": 8},
            name=language,
        )
    figure.add_vline(minimal_effect, line={"color": theme.NULL_LINE, "dash": "dash", "width": 1})
    figure.add_vline(0, line={"color": "#CCC", "width": 1})
    figure.update_yaxes(tickvals=np.arange(len(subjects))[::-1], ticktext=subjects, showgrid=True)
    figure.update_xaxes(title=axis)
    figure.update_layout(height=200 + 46 * len(subjects), margin={"l": 170})
    known = "bars: 95 % interval by scenario; dashed line: minimal effect of the rule"
    return theme.titled(figure, title, known)


def update_curves(curves: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """AUC of states and updates by layer, one small panel per language; grey band: updates of baselines."""
    languages = curves["language"].unique()
    figure = theme.small_multiples(languages, "layer", "AUC, own translation against other scenarios")
    for i, (language, rows) in enumerate(curves.groupby("language", sort=False)):
        place = theme.panel_place(i)
        updates, states = (rows[rows["kind"] == kind] for kind in ("update", "state"))
        band = {"legend": i == 0, "name": "updates of random-weight baselines"}
        theme.twin_band(figure, updates, "auc", place, **band)
        colour = theme.language_colour(language)
        for table, dash, name in ((states, "solid", "states"), (updates, "dash", "updates")):
            trained = table[table["subject"] == TRAINED]
            theme.line(figure, trained, "auc", place, colour=colour, dash=dash, legend=i == 0, name=name)
        figure.add_hline(0.5, line=theme.DOTTED, **place)
    title = _finding(verdicts, "updates more language-agnostic than states")
    return theme.titled(figure, title, "dotted horizontal line: chance")


def gain_title(gains: pd.DataFrame) -> str:
    """Range of the trained model's gain over languages (columns of `UpdateResult.gains`)."""
    rows = gains[gains["subject"] == TRAINED].sort_values("gain")[["language", "gain"]].to_numpy()
    (first, low), (last, high) = rows[0], rows[-1]
    return f"Gain of updates over states: {low:+.3f} ({first}) to {high:+.3f} ({last})"


def _finding(verdicts: Mapping[str, str], predicate: str) -> str:
    """ "zh, fr: <predicate>; sw: refuted" from the verdict of each language."""
    by_verdict: dict[str, list[str]] = {}
    for language, verdict in verdicts.items():
        by_verdict.setdefault(verdict, []).append(language)
    parts = [f"{predicate}: {', '.join(by_verdict.pop(SUPPORTED, [])) or 'no language'}"]
    parts += [f"{verdict}: {', '.join(languages)}" for verdict, languages in by_verdict.items()]
    text = "; ".join(parts)
    return text[0].upper() + text[1:]

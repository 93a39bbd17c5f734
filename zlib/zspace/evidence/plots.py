"""One function per figure of a claim.

A figure's title states the finding, computed from the table it shows; uncertainty is always drawn. The theme
and the parts that figures share are in `theme`.
"""

import os
import shutil
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio

from .panels import SHUFFLED, TRAINED
from .rules import INCONCLUSIVE, NOT_TESTABLE, OVERALL, PROVED, REFUTED, SUPPORTED
from .theme import (
    DASHES,
    NULL_LINE,
    VERDICT_COLOURS,
    interval_band,
    language_colour,
    line,
    panel_place,
    small_multiples,
    titled,
    twin_band,
)

_SHORT = {PROVED: "◆", SUPPORTED: "✓", REFUTED: "✕", INCONCLUSIVE: "?", NOT_TESTABLE: "–"}
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


def prepare_notebook() -> None:
    """Whole words in tables, and figures as interactive JSON, with a PNG where a Chromium can draw one.

    A batch, whose pages draw the JSON, makes no PNG: each would take its seconds. Nothing is returned: a cell
    would show it, and a machine without Chromium another word.
    """
    pd.set_option("display.max_colwidth", None, "display.max_columns", None, "display.width", 200)
    pd.set_option("display.max_rows", 200)  # all controls of all languages
    has_chromium = "ZSPACE_CELL" not in os.environ and any(shutil.which(name) for name in _CHROMIUM)
    pio.renderers["png"].width = 620
    pio.renderers.default = "plotly_mimetype+png" if has_chromium else "plotly_mimetype"


def retrieval_curves(curves: pd.DataFrame, peaks: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """Accuracy by layer, one small panel a language: the trained model over the band of its controls."""
    languages = list(dict.fromkeys(curves["language"]))
    figure = small_multiples(languages, "layer", "between-scenario accuracy")
    for i, language in enumerate(languages):
        place = panel_place(i)
        rows = curves[curves["language"] == language]
        twin_band(figure, rows, "accuracy", place, legend=i == 0)
        for name, dash in DASHES.items():
            line(figure, rows[rows["subject"] == name], "accuracy", place, dash=dash, legend=i == 0)
        trained = rows[rows["subject"] == TRAINED]
        interval_band(figure, trained, language, place)
        line(figure, trained, "accuracy", place, colour=language_colour(language), legend=i == 0)
        peak = peaks[(peaks["language"] == language) & (peaks["subject"] == TRAINED)].iloc[0]
        figure.add_hline(peak["chance"], line={"color": NULL_LINE, "width": 1, "dash": "dot"}, **place)
        figure.add_vline(peak["layer"], line={"color": language_colour(language), "width": 1}, **place)
    figure.update_yaxes(range=[-0.02, 1.04])
    return titled(
        figure,
        _finding(verdicts, "story aligned beyond every control"),
        "thin vertical line: layer chosen on discovery scenarios; dotted horizontal line: chance",
    )


def accuracy_lines(curves: pd.DataFrame) -> go.Figure:
    """Accuracy by layer of all languages in one panel, over the grey lines of their random twins."""
    figure = go.Figure()
    for language, rows in curves.groupby("language", sort=False):
        for subject, colour in (("random-0", NULL_LINE), (TRAINED, language_colour(language))):
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
    best = _of(curves, TRAINED).groupby("language", sort=False)["accuracy"].max()
    title = f"Best accuracy from {best.min():.2f} ({best.idxmin()}) to {best.max():.2f} ({best.idxmax()})"
    return titled(figure, title, "confirmation items; grey: the same architecture with random weights")


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
            marker={"color": language_colour(language), "size": 8},
            name=language,
        )
    figure.add_vline(minimal_effect, line={"color": NULL_LINE, "dash": "dash", "width": 1})
    figure.add_vline(0, line={"color": "#CCC", "width": 1})
    figure.update_yaxes(tickvals=np.arange(len(subjects))[::-1], ticktext=subjects, showgrid=True)
    figure.update_xaxes(title=axis)
    figure.update_layout(height=200 + 46 * len(subjects), margin={"l": 170})
    return titled(figure, title, "bars: 95 % interval by scenario; dashed line: minimal effect of the rule")


def update_curves(curves: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """AUC of states and updates by layer, one small panel a language, over the band of the twins' updates."""
    languages = list(dict.fromkeys(curves["language"]))
    figure = small_multiples(languages, "layer", "AUC, own translation against other scenarios")
    for i, language in enumerate(languages):
        place = panel_place(i)
        rows = curves[curves["language"] == language]
        updates, states = (rows[rows["kind"] == kind] for kind in ("update", "state"))
        twin_band(figure, updates, "auc", place, legend=i == 0, name="updates of random twins")
        colour = language_colour(language)
        for table, dash, name in ((states, "solid", "states"), (updates, "dash", "updates")):
            trained = table[table["subject"] == TRAINED]
            line(figure, trained, "auc", place, colour=colour, dash=dash, legend=i == 0, name=name)
        figure.add_hline(0.5, line={"color": NULL_LINE, "width": 1, "dash": "dot"}, **place)
    return titled(
        figure,
        _finding(verdicts, "updates more language-agnostic than states"),
        "dotted horizontal line: chance",
    )


def gain_title(gains: pd.DataFrame) -> str:
    """Range of the trained model's gain over languages (columns of `UpdateResult.gains`)."""
    rows = gains[gains["subject"] == TRAINED].sort_values("gain")[["language", "gain"]].to_numpy()
    (first, low), (last, high) = rows[0], rows[-1]
    return f"Gain of updates over states: {low:+.3f} ({first}) to {high:+.3f} ({last})"


def descent_title(criteria: pd.DataFrame) -> str:
    """At how many layers the SNR falls, in the model and in its random twins."""
    counts = [f"{r.language} {r.falls}/{r.layers}" for r in _of(criteria, TRAINED).itertuples()]
    twins = criteria[criteria["subject"].str.match(r"random-\d+$")]
    random = f"{twins['falls'].min()} to {twins['falls'].max()}" if len(twins) else "unknown"
    return f"Layers at which the SNR falls: {', '.join(counts)}; random twins {random}"


def accumulation_title(shares: pd.DataFrame) -> str:
    """Share of the fall of log r that accumulation explains, by language."""
    rows = shares[shares["part"] == "accumulation"]
    found = [
        f"{r.language} {r.share:.2f}" if np.isfinite(r.share) else f"{r.language} no fall"
        for r in rows.itertuples()
    ]
    return f"Share of the fall that accumulation explains: {', '.join(found)}"


def snr_curves(curves: pd.DataFrame, title: str) -> go.Figure:
    """SNR (noise over signal, lower is better) by layer, one small panel a language, twins as a band."""
    languages = list(dict.fromkeys(curves["language"]))
    figure = small_multiples(languages, "layer", "D_same / D_diff (lower is better)", shared=False)
    for i, language in enumerate(languages):
        place = panel_place(i)
        rows = curves[curves["language"] == language]
        twin_band(figure, rows, "snr", place, legend=i == 0)
        shuffled = rows[rows["subject"] == SHUFFLED]
        line(figure, shuffled, "snr", place, dash=DASHES[SHUFFLED], legend=i == 0)
        trained = rows[rows["subject"] == TRAINED]
        colour = language_colour(language)
        line(figure, trained, "snr", place, colour=colour, legend=i == 0)
        centred = {"colour": colour, "dash": "dash", "name": "trained, centred"}
        line(figure, trained, "snr_centered", place, legend=i == 0, **centred)
    figure.update_yaxes(type="log", dtick="D2")
    return titled(figure, title, "raw unless marked; logarithmic axes, one for each panel")


def descent_paths(paths: pd.DataFrame, title: str) -> go.Figure:
    """log r by layer as measured and under the counterfactuals (columns language, path, layer, log_r)."""
    languages = list(dict.fromkeys(paths["language"]))
    styles = {
        "measured": (None, "solid"),
        "quality frozen": (None, "dash"),
        "no cross-terms": (NULL_LINE, "dash"),
        "accumulation only": (NULL_LINE, "solid"),
    }
    figure = small_multiples(languages, "layer", "log r", shared=False)
    for i, language in enumerate(languages):
        rows = paths[paths["language"] == language]
        for name, (colour, dash) in styles.items():
            colour = colour or language_colour(language)
            table = rows[rows["path"] == name]
            line(figure, table, "log_r", panel_place(i), colour=colour, dash=dash, legend=i == 0, name=name)
    return titled(figure, title, "confirmation items; each panel has its own axis")


def verdict_map(ledger: pd.DataFrame, reading: str = "as_corrected") -> go.Figure:
    """Verdicts of all claims on each model and corpus (rows) in all languages (columns) of one ledger."""
    languages = sorted(dict.fromkeys(ledger["language"]), key=lambda x: (x != OVERALL, x))
    words = list(VERDICT_COLOURS)
    labelled = ledger.assign(row=_row_labels(ledger))
    table = labelled.pivot(index="row", columns="language", values=reading)
    table = table.reindex(index=list(dict.fromkeys(labelled["row"]))[::-1], columns=languages)
    codes = table.apply(lambda column: column.map({w: i for i, w in enumerate(words)}))
    scale = [[(i + j) / len(words), VERDICT_COLOURS[w]] for i, w in enumerate(words) for j in (0, 1)]
    figure = go.Figure(
        go.Heatmap(
            z=codes.to_numpy(float),
            x=["all" if x == OVERALL else x for x in languages],
            y=list(table.index),
            text=table.fillna("").map(lambda word: _SHORT.get(word, word)).to_numpy(str),
            customdata=table.fillna("").to_numpy(str),
            texttemplate="%{text}",
            zmin=-0.5,
            zmax=len(words) - 0.5,
            colorscale=scale,
            showscale=False,
            xgap=3,
            ygap=3,
            hovertemplate="%{y}, %{x}: %{customdata}<extra></extra>",
        )
    )
    figure.update_layout(
        height=170 + 24 * len(table), margin={"l": 30 + 5 * table.index.str.len().max(), "b": 40}
    )
    figure.update_yaxes(tickfont={"size": 10})
    counts = ledger[reading].value_counts()
    finding = ", ".join(f"{counts[w]} {w}" for w in words if w in counts)
    key = ", ".join(f"{short} {word}" for word, short in _SHORT.items())
    about = ledger["model"].iloc[0] if ledger["model"].nunique() == 1 else "Verdicts"
    if ledger["corpus"].nunique() == 1 < ledger["claim"].nunique():
        about = f"{about} on {ledger['corpus'].iloc[0]}"
    title = f"{about} {reading.replace('_', ' ')}: {finding}"
    titled(figure, title, f"all: every language together; {key}")
    # the names of models and corpora leave the plot too narrow for its title
    return figure.update_layout(title={"x": 0.02, "xref": "container"})


def _row_labels(ledger: pd.DataFrame) -> pd.Series:
    """Claim, the model it was judged on where there are several, the corpus where that model has several."""
    claims, models = ledger["claim"].str.replace("_", " "), ledger["model"]
    several = ledger.groupby(["claim", "model"])["corpus"].transform("nunique") > 1
    named = models.where((models != "any") & (models.nunique() > 1), "")
    places = named + ledger["corpus"].where(several, "").map(lambda c: f", {c}" if c else "")
    return claims + places.map(lambda p: f" <i>{p.removeprefix(', ')}</i>" if p else "")


def _of(table: pd.DataFrame, subject: str) -> pd.DataFrame:
    return table[table["subject"] == subject]


def _finding(verdicts: Mapping[str, str], predicate: str) -> str:
    """ "zh, fr: <predicate>; sw: refuted" from the verdict of each language."""
    by_verdict: dict[str, list[str]] = {}
    for language, verdict in verdicts.items():
        by_verdict.setdefault(verdict, []).append(language)
    parts = [f"{predicate}: {', '.join(by_verdict.pop(SUPPORTED, [])) or 'no language'}"]
    parts += [f"{verdict}: {', '.join(languages)}" for verdict, languages in by_verdict.items()]
    text = "; ".join(parts)
    return text[0].upper() + text[1:]

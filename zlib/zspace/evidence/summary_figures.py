"""The map of all verdicts."""

import html

import pandas as pd
import plotly.graph_objects as go

from .rules import (
    DEPENDS,
    INCONCLUSIVE,
    MIXED,
    NOT_TESTABLE,
    OVERALL,
    PREMISE_REFUTED,
    PROVED,
    REFUTED,
    SUPPORTED,
    VERIFIED,
)
from .theme import VERDICT_COLOURS, titled

_SHORT = {
    PROVED: "◆", VERIFIED: "◇", SUPPORTED: "✓", MIXED: "◐", REFUTED: "✕", PREMISE_REFUTED: "∅",
    DEPENDS: "±", INCONCLUSIVE: "?", NOT_TESTABLE: "–",
}  # fmt: skip


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
    title = f"{html.escape(about)} {reading.replace('_', ' ')}: {finding}"
    titled(figure, title, f"all: every language together; {key}")
    # the names of models and corpora leave the plot too narrow for its title
    return figure.update_layout(title={"x": 0.02, "xref": "container"})


def _row_labels(ledger: pd.DataFrame) -> pd.Series:
    """Claim, the model it was judged on where there are several, the corpus where that model has several.

    Plotly reads a little HTML in texts: names are escaped.
    """
    ledger = ledger.assign(**{k: ledger[k].map(html.escape) for k in ("model", "corpus")})
    claims, models = ledger["claim"].str.replace("_", " "), ledger["model"]
    several = ledger.groupby(["claim", "model"])["corpus"].transform("nunique") > 1
    named = models.where((models != "any") & (models.nunique() > 1), "")
    places = named + ledger["corpus"].where(several, "").map(lambda c: f", {c}" if c else "")
    return claims + places.map(lambda p: f" <i>{p.removeprefix(', ')}</i>" if p else "")

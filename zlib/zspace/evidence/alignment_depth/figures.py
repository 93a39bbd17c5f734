"""Figures of depth: by layer and language, against the share of text, by difficulty; what sets the pace."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ... import theory
from .. import theme
from ..language_pairs import TRAINED
from ..rules import REFUTED, SUPPORTED
from ..statistics import p_words
from .activity import GAINS, N_LAYERS, THRESHOLD, WORLD, WORSE_Q

_GAIN_COLOURS = ("#56B4E9", "#0072B2", "#000000")
_LEVEL_DASHES = ("dot", "dash", "solid", "dashdot", "longdash")
_FEW = 12  # languages, up to which each has a panel, a large label and its own colour
_FAMILY_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_PROXY_TITLES = {"mc4_tokens": "log₁₀ of billion tokens in mC4", "web_pages": "log₁₀ of pages in a crawl"}


def pace_curves(depths: pd.DataFrame) -> go.Figure:
    """The snr by layer for several gains, in closed form; `depths` as `activity.pace_evidence` gives them."""
    figure = go.Figure()
    shown = [(gain, WORLD["q"], colour, "solid") for gain, colour in zip(GAINS, _GAIN_COLOURS, strict=True)]
    for gain, q, colour, dash in [*shown, (GAINS[1], WORSE_Q, "#D55E00", "dash")]:
        snr = theory.pace_snr(WORLD["r_0"], q, WORLD["step"], N_LAYERS, gain=gain)
        figure.add_scatter(
            x=list(range(N_LAYERS + 1)),
            y=snr.round(4).tolist(),
            mode="lines",
            line={"color": colour, "width": 2.2, "dash": dash},
            name=f"contributions × {gain:g}, q {q:g}",
        )
    figure.add_hline(THRESHOLD, line=theme.DOTTED)
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="snr r (lower is better)")
    figure.update_layout(height=430, margin={"b": 130})
    found = depths["closed form"].iloc[: len(GAINS)]
    return theme.titled(
        figure,
        f"Contributions × {GAINS[-1]:g}: depth {found.iloc[-1]} instead of {found.iloc[0]}",
        f"dotted: the threshold {THRESHOLD:g}; dashed: contributions that agree less are slower",
    )


def snr_by_level(levels: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """The snr by layer and level, one small panel per language; grey band: random-weight baselines."""
    figure = _level_curves(levels, "snr", "snr r, centred (lower is better)")
    said = _said(verdicts, "is higher, as conflict is, in", "is not higher by more conflict in")
    slope = np.log(levels["snr"]).groupby([levels["subject"], levels["level"]]).mean()[TRAINED]
    return theme.titled(
        figure,
        f"The snr of harder problems {said or 'cannot be told from that of easier ones'}",
        f"mean log snr by level: {', '.join(f'{v:+.2f}' for v in slope)}; grey: random-weight baselines",
    )


def margin_by_level(levels: pd.DataFrame, verdicts: Mapping[str, str]) -> go.Figure:
    """The mean margin by layer and level, one small panel per language; grey band: baselines."""
    figure = _level_curves(levels, "margin", "margin of the own translation, cosine")
    said = _said(verdicts, "is smaller in", "is not smaller in")
    mean = levels[levels["subject"] == TRAINED].groupby("level")["margin"].mean()
    return theme.titled(
        figure,
        f"The margin of harder problems {said or 'cannot be told from that of easier ones'}",
        f"mean margin by level: {', '.join(f'{v:+.3f}' for v in mean)}; grey: random-weight baselines",
    )


def depth_curves(curves: pd.DataFrame, depths: pd.DataFrame) -> go.Figure:
    """Accuracy by layer with its simultaneous band, the threshold and the depth: one panel per language.

    Of many languages a dozen is shown, evenly from the shallowest to the deepest by restricted mean.
    """
    trained = depths[depths["subject"] == TRAINED].set_index("language")
    shown = curves["language"].unique()
    if len(shown) > _FEW:
        order = trained["restricted_mean"].sort_values().index
        shown = order[np.linspace(0, len(order) - 1, _FEW).round().astype(int)]
    figure = theme.small_multiples(shown, "layer", "retrieval accuracy, between scenarios")
    for i, language in enumerate(shown):
        rows, place = curves[curves["language"] == language], theme.panel_place(i)
        banded = rows.rename(columns={"lower_band": "low", "upper_band": "high"})
        theme.interval_band(figure, banded, language, place)
        colour = theme.language_colour(language)
        theme.line(figure, rows, "accuracy", place, colour=colour, legend=i == 0, name="accuracy")
        figure.add_hline(rows["threshold"].iloc[0], line=theme.DOTTED, **place)
        layer = trained.loc[language, "layer"]
        if np.isfinite(layer):
            figure.add_vline(layer, line={"color": colour, "width": 1.4, "dash": "dash"}, **place)
        else:
            words = "censored" if trained.loc[language, "aligned"] else "censored: not aligned"
            figure.add_annotation(x=0, y=1.06, text=words, showarrow=False, xanchor="left", **place)
    figure.update_yaxes(range=[-0.05, 1.15])
    found = trained["layer"].dropna().astype(int)
    each = ", ".join(f"{k} {v}" for k, v in found.items()) or "censored in every language"
    many = f"{len(found)} of {len(trained)} languages have one" + (
        f", from layer {found.min()} to {found.max()}" if len(found) else ""
    )
    return theme.titled(
        figure,
        "Depth: " + (each if len(trained) <= _FEW else many),
        "band: simultaneous, 95 % to either side; dotted: half-way from the best control to the own peak",
    )


def accuracy_map(curves: pd.DataFrame, depths: pd.DataFrame) -> go.Figure:
    """Accuracy of every language at every layer; crosses mark depths.

    Relatives stand together, families with most text on top, and in a family the languages with most text.
    """
    trained = depths[depths["subject"] == TRAINED].set_index("language")
    share = trained["log_web_pages"].fillna(trained["log_web_pages"].min())
    most = share.groupby(trained["family"]).transform("max")
    keys = pd.DataFrame({"most": most, "family": trained["family"], "share": share})
    order = keys.sort_values(["most", "family", "share"]).index.tolist()
    wide = curves.pivot(index="language", columns="layer", values="accuracy").loc[order]
    rows = [trained.loc[order, "family"].tolist(), order]
    figure = go.Figure()
    figure.add_heatmap(
        x=wide.columns.tolist(),
        y=rows,
        z=wide.round(3).to_numpy().tolist(),
        zmin=0,
        zmax=1,
        colorscale="Cividis",
        colorbar={"title": "accuracy", "thickness": 14},
    )
    found = trained.loc[order, "layer"].dropna()
    few = len(order) <= _FEW
    figure.add_scatter(
        x=found.tolist(),
        y=[trained.loc[found.index, "family"].tolist(), found.index.tolist()],
        mode="markers",
        marker={"symbol": "x", "size": 10 if few else 6, "color": "white"},
        showlegend=False,
    )
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="less text ← family, language → more text", dtick=1)
    figure.update_layout(height=180 + (30 if few else 15) * len(order), margin={"b": 70, "l": 190})
    return theme.titled(
        figure,
        f"{int(trained['aligned'].sum())} of {len(trained)} languages are aligned, "
        f"{len(found)} of them at a layer for sure",
        "cross: depth; rows without one are censored",
    )


def by_share(
    depths: pd.DataFrame, associations: pd.DataFrame, outcome: str, column: str, words: str
) -> go.Figure:
    """An outcome against both proxies of the share of training text; open: censored, deeper than others.

    `outcome` names it in the associations, `column` in the depths, `words` on the axis.
    """
    trained = depths[depths["subject"] == TRAINED].dropna(subset=[f"log_{p}" for p in _PROXY_TITLES])
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    top = trained[column].max(skipna=True)
    ceiling = 1.0 if not np.isfinite(top) else top * 1.15 + 0.5 * (column == "layer")
    shown = trained.assign(
        shown=trained[column].fillna(ceiling),
        symbol=np.where(trained[column].notna(), "circle", "circle-open"),
    )
    for i, proxy in enumerate(_PROXY_TITLES):
        _points(figure, shown, f"log_{proxy}", "shown", i)
        figure.update_xaxes(title=_PROXY_TITLES[proxy], row=1, col=i + 1)
    figure.update_yaxes(title=words, row=1, col=1)
    figure.update_layout(height=520, margin={"b": 150})
    rows = associations[(associations["subject"] == TRAINED) & (associations["outcome"] == outcome)]
    said = ", ".join(f"ρ = {row.rho:+.2f} ({p_words(row.p)})" for row in rows.itertuples())
    return theme.titled(
        figure,
        f"Against the share of text alone: {said}",
        "an association, confounded with distance; permutations of languages; open: censored",
    )


def beside_covariates(
    left: pd.DataFrame, partial: pd.DataFrame, depths: pd.DataFrame, outcome: str
) -> go.Figure:
    """What all covariates leave of an outcome against what they leave of the share, in ranks, by proxy."""
    facts = depths[depths["subject"] == TRAINED][["language", "family"]]
    shown = left[left["outcome"] == outcome].merge(facts, on="language").assign(symbol="circle")
    if shown.empty:
        figure = go.Figure().update_layout(height=120, xaxis_visible=False, yaxis_visible=False)
        return theme.titled(figure, "Too few languages for what all covariates leave", "")
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    rows = partial[(partial["outcome"] == outcome) & (partial["given"] == "all of them")]
    rows = rows[rows["measure"] == rows["measure"].iloc[0]].set_index("proxy")
    for i, proxy in enumerate(_PROXY_TITLES):
        _points(figure, shown[shown["proxy"] == proxy], "share", "value", i)
        figure.update_xaxes(title=f"rank of {proxy.replace('_', ' ')}, left", row=1, col=i + 1)
    figure.add_hline(0, line=theme.DOTTED)
    figure.update_yaxes(title=f"rank of {outcome}, left", row=1, col=1)
    figure.update_layout(height=520, margin={"b": 150})
    each = (f"{p.replace('_', ' ')} {r.rho:+.2f} [{r.low:+.2f}, {r.high:+.2f}]" for p, r in rows.iterrows())
    return theme.titled(
        figure,
        f"Partial rank correlation given all covariates: {', '.join(each)}",
        f"{int(rows['n'].iloc[0])} languages, families as groups; both axes: ranks less what the covariates "
        "explain",
    )


def _points(figure: go.Figure, rows: pd.DataFrame, x: str, y: str, column: int) -> None:
    """One named point per language: coloured by language where they are few, else by family."""
    few = rows["language"].nunique() <= _FEW
    # names of neighbours above and below, or they cover each other
    rows = rows.sort_values(x).assign(place=[("top", "bottom")[j % 2] + " center" for j in range(len(rows))])
    largest = rows["family"].value_counts().index[: len(_FAMILY_COLOURS)]
    colours = dict(zip(largest, _FAMILY_COLOURS, strict=False))
    group = rows["language"] if few else rows["family"].where(rows["family"].isin(largest), "other families")
    for name, one in rows.groupby(group, sort=False):
        colour = theme.language_colour(name) if few else colours.get(name, "#666666")
        figure.add_scatter(
            x=one[x].tolist(),
            y=one[y].tolist(),
            text=one["language"].tolist(),
            mode="markers+text",
            textposition=one["place"].tolist(),
            textfont={"size": 12 if few else 9},
            marker={"color": colour, "size": 9 if few else 6, "symbol": one["symbol"].tolist()},
            name=name,
            legendgroup=name,
            showlegend=not few and column == 0,
            row=1,
            col=column + 1,
        )


def _level_curves(levels: pd.DataFrame, value: str, axis: str) -> go.Figure:
    figure = theme.small_multiples(levels["language"].unique(), "layer", axis)
    for i, (language, rows) in enumerate(levels.groupby("language", sort=False)):
        place = theme.panel_place(i)
        theme.twin_band(figure, rows, value, place, legend=i == 0)
        trained = rows[rows["subject"] == TRAINED]
        for (level, one), dash in zip(trained.groupby("level"), _LEVEL_DASHES, strict=False):
            options = {"colour": theme.language_colour(language), "dash": dash, "legend": i == 0}
            theme.line(figure, one, value, place, name=f"level {level}", **options)
    return figure


def _said(verdicts: Mapping[str, str], supported: str, refuted: str) -> str:
    """Which languages a verdict holds in, in words."""
    words = {SUPPORTED: supported, REFUTED: refuted}
    found = {v: [language for language, one in verdicts.items() if one == v] for v in words}
    return "; ".join(f"{words[v]} {', '.join(found[v])}" for v in words if found[v])

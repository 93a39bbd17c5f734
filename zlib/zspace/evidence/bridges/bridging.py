"""Predictions 5 and 6: what kind of map carries one language's states to another's, and does kappa tell?

Both languages of a pair are reduced to as many leading principal components, fitted like the maps to the
training items. Dimensions are left as they are: divided by its own deviation each, a turned copy of a space
would not be one any more. The *gap* is held-out R^2 of ridge minus that of scaled Procrustes; its excess,
and that of log kappa of the affine map, is over what the same maps give where a scaled rotation with noise
in both languages is true (`bridges.orthogonal_null`). Prediction 6 correlates two matrices over all pairs
of languages, whose entries come from different halves of the scenarios, by permuting languages (QAP). Where
no map predicts held-out items there is nothing to compare.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import ParameterError
from ...measures import association, bridges
from ...measures.bridges import ladders
from ...measures.resampling import Interval, TestResult, group_weights, interval_of
from ..language_pairs import PLANTED, SHUFFLED, TRAINED, Panel
from ..rules import Control, Evidence
from ..statistics import Statistic
from ..study import N_RESAMPLES, again, as_evidence, judged, present

AFFINE, CONDITIONING = "prediction_5_affine_vs_procrustes", "prediction_6_bridge_conditioning"
ROTATION, PERMUTED_LANGUAGES = "rotation planted", "languages permuted"
MOST_COMPONENTS, ITEMS_A_COMPONENT = 8, 4
MIN_LANGUAGES = 4
_PLANTED_KAPPA, _PLANTED_NOISE = 12.0, 0.3


@dataclass(frozen=True)
class BridgeResult:
    """Prediction 5: the ladder by layer.

    curves : language, subject, layer, R^2 of every rung ("r2 procrustes", ...), gap, log_kappa and their
        means under orthogonal truth ("gap, null", "log_kappa, null").
    evidence : of `AFFINE`, one a language.
    """

    curves: pd.DataFrame
    evidence: list[Evidence]


@dataclass(frozen=True)
class ConditioningResult:
    """Prediction 6: two matrices over languages.

    pairs : subject, first, second, log_kappa_excess (half A), gap_excess (half B) and r2 (ridge, held out,
        half B), means over inner layers and both directions.
    correlations : subject, r, p (two-sided, QAP), critical (smallest |r| with p below .05).
    evidence : of `CONDITIONING`.
    """

    pairs: pd.DataFrame
    correlations: pd.DataFrame
    evidence: Evidence


def n_components(n_items: int) -> int:
    """Components for a fit to so many items: four items each, 2 to 8.

    Raises ParameterError below eight items.
    """
    if n_items < 2 * ITEMS_A_COMPONENT:
        raise ParameterError(
            f"{n_items} items to fit a bridge to; at least {2 * ITEMS_A_COMPONENT} are needed. Take more "
            "scenarios or more draws of each."
        )
    return min(MOST_COMPONENTS, n_items // ITEMS_A_COMPONENT)


def too_few(n_languages: int) -> str | None:
    """Why so many languages cannot be permuted; None where they can."""
    words = f"{n_languages} languages; at least {MIN_LANGUAGES} are needed to permute them."
    return words if n_languages < MIN_LANGUAGES else None


def affine_vs_procrustes(panels: Mapping[str, Panel], *, rng: np.random.Generator) -> BridgeResult:
    """Prediction 5 on every language paired with the anchor."""
    curves, evidence = [], []
    for panel, stream in zip(panels.values(), rng.spawn(len(panels)), strict=True):
        making, fitting, judging = stream.spawn(3)
        subjects = bridge_subjects(panel, making)
        measured = {
            name: _ladder(panel, pair, one)
            for (name, pair), one in zip(subjects.items(), fitting.spawn(len(subjects)), strict=True)
        }

        def make(subject: str, rng: np.random.Generator, panel=panel, by=measured) -> Evidence:
            return gap_evidence(panel, {**by, TRAINED: by[subject]}, rng=rng)

        evidence.append(judged(AFFINE, panel, make, rng=judging))
        curves += [_curve(panel.language, name, *one) for name, one in measured.items()]
    return BridgeResult(pd.concat(curves, ignore_index=True), evidence)


def bridge_subjects(panel: Panel, rng: np.random.Generator) -> dict[str, tuple]:
    """The panel's subjects, and two made from the trained anchor: turned, and behind ever worse maps."""
    names = (TRAINED, *panel.twins, *present(panel, SHUFFLED), *panel.re_rounded)
    subjects = {name: panel.subjects[name] for name in names}
    first, second = rng.spawn(2)
    anchor, train = panel.subjects[TRAINED][0], panel.discovery
    growing = np.geomspace(1, _PLANTED_KAPPA, len(anchor))
    subjects[PLANTED] = (anchor, plant_map(anchor, train, growing, rng=first))
    subjects[ROTATION] = (anchor, plant_map(anchor, train, np.ones(len(anchor)), rng=second))
    return subjects


def plant_map(
    states, train, kappas, *, rng: np.random.Generator, noise: float = _PLANTED_NOISE
) -> np.ndarray:
    """States (L+1, n, d) that another language would have behind a map of the given condition numbers (L+1,).

    The components that bridges see are turned at random, stretched, turned again and blurred by `noise` of
    their root mean square.
    """
    states = np.asarray(states, float)
    width = n_components(int(np.sum(train)))
    scores = bridges.principal_components(states, train, width)
    found = []
    for layer, kappa in zip(scores, kappas, strict=True):
        turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
        stretched = layer @ turn * np.geomspace(1, kappa, width)
        readout = np.linalg.qr(rng.standard_normal((states.shape[2], width)))[0].T
        blur = noise * np.sqrt((stretched**2).mean()) * rng.standard_normal(stretched.shape)
        found.append((stretched + blur) @ readout)
    return np.stack(found)


def gap_evidence(panel: Panel, measured: Mapping[str, tuple], *, rng: np.random.Generator) -> Evidence:
    """Gap beyond orthogonal truth, and its growth from the first to the last third of the layers.

    The trained model, the shuffled pairing and what was planted are judged. Twins are not: their languages
    have no reason to be rotations of each other.
    """
    names = (TRAINED, *present(panel, SHUFFLED), ROTATION, PLANTED)
    statistics = {name: _gap_statistics(panel, *measured[name], again(rng)) for name in names}
    return as_evidence(panel, statistics)


def bridge_conditioning(
    panels: Mapping[str, Panel], anchor: str, *, subjects=(TRAINED,), rng: np.random.Generator
) -> ConditioningResult:
    """Prediction 6 over all pairs of languages, for the model, further subjects and what is planted.

    Raises ParameterError with fewer than four languages, or fewer than eight items in a quarter of the
    scenarios.
    """
    if reason := too_few(len(panels) + 1):
        raise ParameterError(reason)
    splitting, planting, measuring, judging = rng.spawn(4)
    scenario = next(iter(panels.values())).scenario
    parts = quarters(scenario, splitting)
    states = {name: by_language(panels, anchor, name) for name in subjects}
    states[PLANTED] = planted_languages(states[TRAINED], anchor, parts[0], planting)
    tables = {name: pair_table(one, parts, rng=again(measuring)) for name, one in states.items()}
    languages = tuple(states[TRAINED])
    found = {name: correlation(table, languages, rng=again(judging)) for name, table in tables.items()}
    moved = dict(zip(languages, np.roll(languages, 1).tolist(), strict=True))
    found[PERMUTED_LANGUAGES] = correlation(tables[TRAINED], languages, rng=again(judging), renamed=moved)
    kinds = {PLANTED: "positive", PERMUTED_LANGUAGES: "negative"}
    evidence = Evidence(
        statistics=found[TRAINED][0],
        controls=tuple(Control(name, kind, found[name][0]) for name, kind in kinds.items()),
        n_items=len(scenario),
    )
    rows = [
        (name, one["mantel_r"].statistic, one["mantel_r"].pvalue, critical)
        for name, (one, critical) in found.items()
    ]
    pairs = pd.concat([table.assign(subject=name) for name, table in tables.items()], ignore_index=True)
    return ConditioningResult(pairs, pd.DataFrame(rows, columns=["subject", "r", "p", "critical"]), evidence)


def pair_table(
    states: Mapping[str, np.ndarray], parts: tuple[np.ndarray, ...], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Excess of log kappa on the first two quarters and of the gap on the last two, a row a pair.

    Columns first, second, log_kappa_excess, gap_excess and r2 (held out, of ridge on the last two quarters).

    states : language -> (L+1, n, d).  parts : four (n,) masks, disjoint.
    """
    p = n_components(int(min(part.sum() for part in parts)))
    folds = [(parts[a], parts[b]) for a, b in ((0, 1), (1, 0), (2, 3), (3, 2))]
    scores = [{k: bridges.principal_components(s, train, p) for k, s in states.items()} for train, _ in folds]
    rows = []
    couples = list(itertools.combinations(states, 2))
    for couple, stream in zip(couples, rng.spawn(len(couples)), strict=True):
        kappas, gaps, r2 = [], [], []
        for (x, y), one in zip((couple, couple[::-1]), stream.spawn(2), strict=True):
            for k, ((train, test), by, drawing) in enumerate(zip(folds, scores, one.spawn(4), strict=True)):
                split = (by[x][:, train], by[y][:, train], by[x][:, test], by[y][:, test])
                null = bridges.orthogonal_null(*split, noise="both", rng=drawing)
                if k < 2:
                    kappas.append(inner(null.kappa_excess))
                    continue
                gaps.append(inner(null.gap_excess))
                r2.append(inner(bridges.fit(*split[:2], kind="ridge").r2(*split[2:])))
        rows.append((*couple, np.mean(kappas), np.mean(gaps), np.mean(r2)))
    return pd.DataFrame(rows, columns=["first", "second", "log_kappa_excess", "gap_excess", "r2"])


def planted_languages(
    states: Mapping[str, np.ndarray], anchor: str, train: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """As many languages, each behind a map of the anchor's states whose condition number is its own."""
    others = [k for k in states if k != anchor]
    n_states = len(states[anchor])
    kappas = np.geomspace(1, _PLANTED_KAPPA, len(others))
    made = {
        k: plant_map(states[anchor], train, np.full(n_states, kappa), rng=one)
        for k, kappa, one in zip(others, kappas, rng.spawn(len(others)), strict=True)
    }
    return {k: made.get(k, np.asarray(states[anchor], float)) for k in states}


def correlation(
    table: pd.DataFrame,
    languages: tuple[str, ...],
    *,
    rng: np.random.Generator,
    renamed: Mapping[str, str] | None = None,
    columns: tuple[str, str] = ("log_kappa_excess", "gap_excess"),
) -> tuple[dict[str, Statistic], float]:
    """Statistics of prediction 6 from two columns, and the smallest |r| with p <= .05.

    mantel_r : correlation and its two-sided p by permuting languages (QAP).  mantel_size : the same
        correlation with the jackknife's interval over languages.  held_out_r2 : mean over pairs, jackknife
        over languages.
    """
    kappa, gap, r2 = (_matrix(table, languages, v) for v in (*columns, "r2"))
    if renamed is not None:
        order = [languages.index(renamed[k]) for k in languages]
        gap = gap[np.ix_(order, order)]
    r, null = association.mantel_null(kappa, gap, rng=rng)
    p = association.permutation_pvalue(r, null, "two-sided", exact=len(null) < 9999)
    words = "which language is which does not matter"
    statistics = {
        "mantel_r": TestResult(r, p, words, n_resamples=len(null), n=len(languages)),
        "mantel_size": _within(_jackknife(lambda k: _pearson(kappa, gap, k), len(languages), rng)),
        "held_out_r2": _jackknife(
            lambda k: r2[np.ix_(k, k)][np.triu_indices(len(k), 1)].mean(), len(languages), rng
        ),
    }
    return statistics, association.critical_value(null)


def _within(interval: Interval) -> Interval:
    """The interval of a correlation, within what correlations can be."""
    return replace(interval, low=max(interval.low, -1.0), high=min(interval.high, 1.0))


def _jackknife(statistic, n: int, rng: np.random.Generator) -> Interval:
    """Interval of a statistic of language indices by leaving out one language at a time, with t(n - 1)."""
    everyone = np.arange(n)
    estimate = statistic(everyone)
    left = np.array([statistic(np.delete(everyone, k)) for k in everyone])
    error = np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    half = stats.t.isf(0.025, n - 1) * error
    drawn = estimate + error * rng.standard_t(n - 1, N_RESAMPLES)
    return Interval(estimate, estimate - half, estimate + half, drawn, 0.95, n)


def _pearson(a: np.ndarray, b: np.ndarray, kept: np.ndarray) -> float:
    upper = np.triu_indices(len(kept), 1)
    one, other = (m[np.ix_(kept, kept)][upper] for m in (a, b))
    return float(np.corrcoef(one, other)[0, 1])


def _ladder(
    panel: Panel, pair: tuple, rng: np.random.Generator
) -> tuple[ladders.Ladder, bridges.OrthogonalNull]:
    """The ladder from the first to the second language, and under orthogonal truth."""
    train, test = panel.discovery, panel.confirmation
    p = n_components(int(train.sum()))
    x, y = (bridges.principal_components(s, train, p) for s in pair)
    parts = (x[:, train], y[:, train], x[:, test], y[:, test])
    return ladders.climb(*parts), bridges.orthogonal_null(*parts, noise="both", rng=rng)


def _gap_statistics(
    panel: Panel, found: ladders.Ladder, null: bridges.OrthogonalNull, rng
) -> dict[str, Interval]:
    scenario = panel.scenario[panel.confirmation]
    codes = np.unique(scenario, return_inverse=True)[1]
    members = np.eye(codes.max() + 1)[codes]
    weights = group_weights(codes, N_RESAMPLES, rng=rng)
    better, spread = (found.errors[0] - found.errors[1]) @ members, found.spread @ members
    # the mean of the simulations is an estimate too
    simulated = np.moveaxis(null.null_gap, -1, 0)
    drawn = simulated[rng.integers(0, len(simulated), (N_RESAMPLES, len(simulated)))].mean(1)
    replicates = (weights @ better.T) / (weights @ spread.T) - drawn
    excess = null.gap_excess
    explained = 1 - (weights @ (found.errors[1] @ members).T) / (weights @ spread.T)
    return {
        "held_out_r2": interval_of(inner(found.r2["ridge"]), inner(explained), weights.shape[1]),
        "gap_excess": interval_of(inner(excess), inner(replicates), weights.shape[1]),
        "gap_growth": interval_of(_growth(excess), _growth(replicates), weights.shape[1]),
    }


def inner(values: np.ndarray) -> np.ndarray:
    """Mean over the inner layers (all where there are fewer than five states)."""
    return (values[..., 1:-1] if values.shape[-1] >= 5 else values).mean(-1)


def _growth(values: np.ndarray) -> np.ndarray:
    """Mean over the last third of the layers minus that over the first."""
    third = max(1, values.shape[-1] // 3)
    return values[..., -third:].mean(-1) - values[..., :third].mean(-1)


def quarters(scenario: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Four disjoint masks over whole scenarios."""
    names = rng.permutation(np.unique(scenario))
    return tuple(np.isin(scenario, part) for part in np.array_split(names, 4))


def by_language(panels: Mapping[str, Panel], anchor: str, subject: str) -> dict[str, np.ndarray]:
    """language -> (L+1, n, d) of a subject, the anchor first."""
    first = next(iter(panels.values()))
    return {anchor: first.subjects[subject][0], **{k: p.subjects[subject][1] for k, p in panels.items()}}


def _matrix(table: pd.DataFrame, languages: tuple[str, ...], value: str) -> np.ndarray:
    place = {k: i for i, k in enumerate(languages)}
    matrix = np.zeros((len(languages), len(languages)))
    for row in table.itertuples():
        i, j = place[row.first], place[row.second]
        matrix[i, j] = matrix[j, i] = getattr(row, value)
    return matrix


def _curve(language: str, subject: str, found: ladders.Ladder, null: bridges.OrthogonalNull) -> pd.DataFrame:
    columns = {f"r2 {kind}": values for kind, values in found.r2.items()}
    columns |= {"gap": found.gap, "gap, null": null.null_gap.mean(-1)}
    columns |= {"log_kappa": found.log_kappa, "log_kappa, null": null.null_log_kappa.mean(-1)}
    return pd.DataFrame(
        {"language": language, "subject": subject, "layer": np.arange(len(found.gap)), **columns}
    )

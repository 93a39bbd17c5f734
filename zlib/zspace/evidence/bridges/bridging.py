"""Predictions 5 and 6: what kind of map carries one language's states to another's, and does kappa tell?

Both languages of a pair are reduced to as many leading principal components, fitted like the maps to the
training items. Dimensions are not standardised: that would destroy an orthogonal relation. The *gap* is
held-out R^2 of ridge minus that of scaled Procrustes. Its excess, and that of log kappa of the affine map, is
over what a scaled rotation with noise in both languages gives (`bridges.orthogonal_null`).

Prediction 6 correlates two matrices over all pairs of languages by permuting languages (QAP). Their entries
come from different halves of the scenarios. Where no map predicts held-out items there is nothing to compare.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import ParameterError
from ...measures import association, bridges
from ...measures.bridges import ladders
from ...measures.resampling import GroupDraws, Interval, TestResult, interval_of
from ..error_rates import Size, Worlds, correlations_in_words, from_errors, strength_of
from ..language_pairs import PLANTED, SHUFFLED, TRAINED, LanguagePair
from ..rules import Control, Evidence
from ..statistics import Statistic
from ..study import N_RESAMPLES, Study, Values, draw, judge, present, require, standard_errors

AFFINE, CONDITIONING = "prediction_5_affine_vs_procrustes", "prediction_6_bridge_conditioning"
ROTATION, PERMUTED_LANGUAGES = "rotation planted", "languages permuted"
MOST_COMPONENTS, ITEMS_A_COMPONENT = 8, 4
MIN_LANGUAGES = 4
_PLANTED_KAPPA, _PLANTED_NOISE = 12.0, 0.3

# statistics of prediction 6 by name, and the smallest |r| with p <= .05
Correlation = tuple[dict[str, Statistic], float]


@dataclass(frozen=True)
class BridgeResult:
    """Prediction 5: the ladder by layer.

    curves : language, subject, layer, R^2 of every rung ("r2 procrustes", ...), gap, log_kappa and their
        means under orthogonal truth ("gap, null", "log_kappa, null").
    evidence : of `AFFINE`, one per language.
    errors : subject -> standard errors of its three statistics, from replicates (median over languages).
    """

    curves: pd.DataFrame
    evidence: list[Evidence]
    errors: Mapping[str, np.ndarray]


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


def components_allowed(n_items: int) -> int:
    """Components for a fit to so many items: four items each, 2 to 8.

    Raises ParameterError below eight items.
    """
    if n_items < (least := 2 * ITEMS_A_COMPONENT):
        wanted = f"at least {least} are needed. Take more scenarios or more draws of each."
        raise ParameterError(f"{n_items} items to fit a bridge to; {wanted}")
    return min(MOST_COMPONENTS, n_items // ITEMS_A_COMPONENT)


def components_of(pair: LanguagePair) -> int:
    """`components_allowed` of the discovery items of a pair, equal texts counted once."""
    return components_allowed(pair.n_different(pair.discovery))


def fit_sizes(n_items: int, n_fitted: int) -> pd.DataFrame:
    """Items of a corpus, how many of them one bridge is fitted to, and the components that allows."""
    row = {
        "items": n_items,
        "items a bridge is fitted to": n_fitted,
        "components": components_allowed(n_fitted),
    }
    return pd.DataFrame([row])


def too_few(n_languages: int) -> str | None:
    """Why so many languages cannot be permuted; None where they can."""
    words = f"{n_languages} languages; at least {MIN_LANGUAGES} are needed to permute them."
    return words if n_languages < MIN_LANGUAGES else None


def affine_vs_procrustes(pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator) -> BridgeResult:
    """Prediction 5 on every language paired with the anchor; errors as `study.require`."""
    require(AFFINE, pairs)
    curves, measured, evidence = [], [], []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        making, fitting, judging = stream.spawn(3)
        subjects = bridge_subjects(pair, making)
        fitted = {
            name: _ladder(pair, states, one)
            for (name, states), one in zip(subjects.items(), fitting.spawn(len(subjects)), strict=True)
        }
        drawing, simulating = judging.spawn(2)
        draws = draw(pair, rng=drawing)
        # random-weight baselines are not judged: their languages have no reason to be rotations of each other
        names = [name for name in fitted if name not in pair.random_baselines]
        measured.append({name: gap_values(*fitted[name], draws, rng=simulating) for name in names})
        evidence.append(judge(STUDY, pair, measured[-1], draws))
        curves += [_curve(pair.language, name, *one) for name, one in fitted.items()]
    return BridgeResult(pd.concat(curves, ignore_index=True), evidence, standard_errors(measured))


def excess_by_third(curves: pd.DataFrame) -> pd.DataFrame:
    """Excess of the trained model's gap, mean over each third of the layers: one row per language."""
    trained = curves[curves["subject"] == TRAINED].eval("excess = gap - `gap, null`")
    excess = trained.pivot(index="language", columns="layer", values="excess").loc[
        trained["language"].unique()
    ]
    names, parts = ("first third", "middle third", "last third"), _thirds(excess.shape[1])
    table = {name: excess.iloc[:, part].mean(axis=1) for name, part in zip(names, parts, strict=True)}
    return pd.DataFrame(table).rename_axis(columns="layers")


def bridge_subjects(pair: LanguagePair, rng: np.random.Generator) -> dict[str, tuple]:
    """The pair's subjects, and two made of the trained anchor: rotated, and mapped ever worse with depth."""
    names = (TRAINED, *pair.random_baselines, *present(pair, SHUFFLED), *pair.re_rounded)
    subjects = {name: pair.subjects[name] for name in names}
    first, second = rng.spawn(2)
    anchor, train, width = pair.subjects[TRAINED][0], pair.discovery, components_of(pair)
    growing = np.geomspace(1, _PLANTED_KAPPA, len(anchor))
    subjects[PLANTED] = (anchor, plant_map(anchor, train, growing, rng=first, width=width))
    subjects[ROTATION] = (anchor, plant_map(anchor, train, np.ones(len(anchor)), rng=second, width=width))
    return subjects


def plant_map(
    states,
    train,
    kappas,
    *,
    rng: np.random.Generator,
    noise: float = _PLANTED_NOISE,
    width: int | None = None,
) -> np.ndarray:
    """States (L+1, n, d) that another language would have behind a map of the given condition numbers (L+1,).

    The components that bridges see (`width`, by default as many as the training items allow) are turned at
    random, stretched, turned again and blurred by `noise` of their root mean square.
    """
    states = np.asarray(states, float)
    width = width or components_allowed(int(np.sum(train)))
    scores = bridges.principal_components(states, train, width)
    found = []
    for layer, kappa in zip(scores, kappas, strict=True):
        turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
        stretched = layer @ turn * np.geomspace(1, kappa, width)
        readout = np.linalg.qr(rng.standard_normal((states.shape[2], width)))[0].T
        blur = noise * np.sqrt((stretched**2).mean()) * rng.standard_normal(stretched.shape)
        found.append((stretched + blur) @ readout)
    return np.stack(found)


def gap_values(
    found: ladders.Ladder, null: bridges.OrthogonalNull, draws: GroupDraws, *, rng: np.random.Generator
) -> Values:
    """`_STATISTICS` of a subject: means over layers; the gap is beyond orthogonal truth.

    Its growth is from the first to the last third of the layers. `rng` resamples the simulations of the null,
    whose mean is an estimate too.
    """
    members = np.eye(draws.n_groups)[draws.codes]
    better, spread = (found.errors[0] - found.errors[1]) @ members, found.spread @ members
    simulated = np.moveaxis(null.null_gap, -1, 0)
    picked = simulated[rng.integers(0, len(simulated), (len(draws.weights), len(simulated)))].mean(1)
    replicates = (draws.weights @ better.T) / (draws.weights @ spread.T) - picked
    explained = 1 - (draws.weights @ (found.errors[1] @ members).T) / (draws.weights @ spread.T)
    one = (mean_inner(found.r2["ridge"]), mean_inner(null.gap_excess), growth(null.gap_excess))
    many = (mean_inner(explained), mean_inner(replicates), growth(replicates))
    return Values(np.array(one), np.stack(many), draws.n_groups)


_STATISTICS = ("held_out_r2", "gap_excess", "gap_growth")


def gap_statistics(measured: Mapping[str, Values], subject: str, draws: GroupDraws) -> dict[str, Interval]:
    """Held-out R^2, the gap beyond orthogonal truth, and its growth."""
    one, many, n = measured[subject]
    return {name: interval_of(one[i], many[i], n) for i, name in enumerate(_STATISTICS)}


STUDY = Study(AFFINE, gap_statistics)


def gap_worlds(result: BridgeResult) -> Worlds:
    """Gaps with the standard errors of a run."""
    return from_errors(STUDY, result.errors, _STATISTICS, result.evidence)


def bridge_conditioning(
    pairs: Mapping[str, LanguagePair], anchor: str, *, subjects=(TRAINED,), rng: np.random.Generator
) -> ConditioningResult:
    """Prediction 6 over all pairs of languages, for the model, further subjects and what is planted.

    Raises ParameterError as `study.require`, or where there are fewer than eight items in a quarter.
    """
    require(CONDITIONING, pairs)
    splitting, planting, measuring, judging = rng.spawn(4)
    scenario = next(iter(pairs.values())).scenario
    parts = quarters(scenario, splitting)
    states = {name: by_language(pairs, anchor, name) for name in subjects}
    states[PLANTED] = planted_languages(states[TRAINED], anchor, parts[0], planting)
    streams = measuring.spawn(len(states))
    tables = {
        name: pair_table(one, parts, rng=stream)
        for (name, one), stream in zip(states.items(), streams, strict=True)
    }
    found = correlations(tables, tuple(states[TRAINED]), rng=judging)
    table = pd.concat([table.assign(subject=name) for name, table in tables.items()], ignore_index=True)
    return ConditioningResult(table, correlation_table(found), conditioning_evidence(found, len(scenario)))


def correlation_table(found: Mapping[str, Correlation]) -> pd.DataFrame:
    """Correlation of every subject and its p: columns subject, r, p, critical."""
    tests = {name: (one["mantel_r"], critical) for name, (one, critical) in found.items()}
    rows = [(name, test.statistic, test.pvalue, critical) for name, (test, critical) in tests.items()]
    return pd.DataFrame(rows, columns=["subject", "r", "p", "critical"])


def correlations(
    tables: Mapping[str, pd.DataFrame], languages: tuple[str, ...], *, rng: np.random.Generator
) -> dict[str, Correlation]:
    """`correlation` of every subject's table, and of the trained model's with languages moved on by one."""
    *streams, moving = rng.spawn(len(tables) + 1)
    found = {
        name: correlation(table, languages, rng=stream)
        for (name, table), stream in zip(tables.items(), streams, strict=True)
    }
    found[PERMUTED_LANGUAGES] = correlation(tables[TRAINED], languages, rng=moving, moved=True)
    return found


def conditioning_evidence(
    found: Mapping[str, Correlation], n_items: int | None = None, positive: Sequence[str] = (PLANTED,)
) -> Evidence:
    """Evidence from the correlations of the model, of positive controls and of permuted languages."""
    kinds = {**dict.fromkeys(positive, "positive"), PERMUTED_LANGUAGES: "negative"}
    controls = tuple(Control(name, kind, found[name][0]) for name, kind in kinds.items())
    return Evidence(statistics=found[TRAINED][0], controls=controls, n_items=n_items)


def conditioning_worlds(size: Size) -> Worlds:
    """Two matrices over as many languages that correlate by `error_rates.ASSOCIATION`."""
    n = size.n_languages

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        if reason := too_few(n):
            return Evidence("simulated", unavailable=reason)
        names = tuple(f"language {i}" for i in range(n))
        strengths = {TRAINED: strength_of(world), PLANTED: 0.98}
        measures = ("log_kappa_excess", "gap_excess")
        tables, upper = {}, np.triu_indices(n, 1)
        for subject, strength in strengths.items():
            table, *matrices = related_matrices(names, strength, rng)
            tables[subject] = table.assign(**{k: m[upper] for k, m in zip(measures, matrices, strict=True)})
        return conditioning_evidence(correlations(tables, names, rng=rng))

    effects = correlations_in_words("r", strength_of)
    return Worlds(CONDITIONING, lambda rng: simulate, {"n_languages": n}, effects)


def related_matrices(
    names: Sequence[str], strength: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """All pairs of names (columns first, second, r2), and matrices (K, K) that correlate by `strength`."""
    kappa, other = (one + one.T for one in rng.standard_normal((2, len(names), len(names))))
    table = pd.DataFrame(itertools.combinations(names, 2), columns=["first", "second"]).assign(r2=0.5)
    return table, kappa, strength * kappa + np.sqrt(1 - strength**2) * other


def pair_table(
    states: Mapping[str, np.ndarray], parts: tuple[np.ndarray, ...], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Excess of log kappa on the first two quarters and of the gap on the last two: one row per pair.

    Columns first, second, log_kappa_excess, gap_excess and r2 (held out, of ridge on the last two quarters).

    states : language -> (L+1, n, d).  parts : four (n,) masks, disjoint.
    """
    p = components_allowed(int(min(part.sum() for part in parts)))
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
                    kappas.append(mean_inner(null.kappa_excess))
                    continue
                gaps.append(mean_inner(null.gap_excess))
                r2.append(mean_inner(bridges.fit(*split[:2], kind="ridge").r2(*split[2:])))
        rows.append((*couple, np.mean(kappas), np.mean(gaps), np.mean(r2)))
    return pd.DataFrame(rows, columns=["first", "second", "log_kappa_excess", "gap_excess", "r2"])


def planted_languages(
    states: Mapping[str, np.ndarray], anchor: str, train: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """As many languages, each behind a map of the anchor's states whose condition number is its own."""
    made = {anchor: np.asarray(states[anchor], float)}
    others = [k for k in states if k != anchor]
    kappas = np.geomspace(1, _PLANTED_KAPPA, len(others))
    for k, kappa, one in zip(others, kappas, rng.spawn(len(others)), strict=True):
        made[k] = plant_map(made[anchor], train, np.full(len(made[anchor]), kappa), rng=one)
    return {k: made[k] for k in states}


def correlation(
    table: pd.DataFrame,
    languages: tuple[str, ...],
    *,
    rng: np.random.Generator,
    moved: bool = False,
    columns: tuple[str, str] = ("log_kappa_excess", "gap_excess"),
) -> Correlation:
    """Statistics of prediction 6 from two columns, and the smallest |r| with p <= .05.

    With `moved`, every language has the name of the one before it in the second column.

    mantel_r : correlation and its two-sided p by permuting languages (QAP).  mantel_size : the same
        correlation with the jackknife's interval over languages.  held_out_r2 : mean over pairs, jackknife
        over languages.
    """
    kappa, gap, r2 = (_matrix(table, languages, v) for v in (*columns, "r2"))
    if moved:
        gap = np.roll(gap, 1, axis=(0, 1))
    r, null = association.mantel_null(kappa, gap, rng=rng)
    p = association.permutation_pvalue(r, null, "two-sided", exact=len(null) < 9999)
    words = "which language is which does not matter"
    size = _jackknife(lambda *ab: float(np.corrcoef(*ab)[0, 1]), (kappa, gap), rng)
    statistics = {
        "mantel_r": TestResult(r, p, words, n_resamples=len(null), n=len(languages)),
        # within what correlations can be
        "mantel_size": replace(size, low=max(size.low, -1.0), high=min(size.high, 1.0)),
        "held_out_r2": _jackknife(np.mean, (r2,), rng),
    }
    return statistics, association.critical_value(null)


def _jackknife(statistic: Callable, matrices: Sequence[np.ndarray], rng: np.random.Generator) -> Interval:
    """Interval of a statistic of all pairs in matrices (K, K), by leaving out one language, with t(K - 1)."""
    n = len(matrices[0])

    def of(kept: np.ndarray) -> float:
        return statistic(*(m[np.ix_(kept, kept)][np.triu_indices(len(kept), 1)] for m in matrices))

    everyone = np.arange(n)
    estimate = of(everyone)
    left = np.array([of(np.delete(everyone, k)) for k in everyone])
    error = np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    half = stats.t.isf(0.025, n - 1) * error
    drawn = estimate + error * rng.standard_t(n - 1, N_RESAMPLES)
    return Interval(estimate, estimate - half, estimate + half, drawn, 0.95, n)


def _ladder(
    pair: LanguagePair, states: tuple, rng: np.random.Generator
) -> tuple[ladders.Ladder, bridges.OrthogonalNull]:
    """The ladder from the first to the second language, and under orthogonal truth."""
    train, test = pair.discovery, pair.confirmation
    p = components_of(pair)
    x, y = (bridges.principal_components(s, train, p) for s in states)
    parts = (x[:, train], y[:, train], x[:, test], y[:, test])
    return ladders.compare_maps(*parts), bridges.orthogonal_null(*parts, noise="both", rng=rng)


def mean_inner(values: np.ndarray) -> np.ndarray:
    """Mean over the inner layers (all where there are fewer than five states)."""
    return (values[..., 1:-1] if values.shape[-1] >= 5 else values).mean(-1)


def growth(values: np.ndarray) -> np.ndarray:
    """Mean over the last third of the layers minus that over the first."""
    first, _, last = _thirds(values.shape[-1])
    return values[..., last].mean(-1) - values[..., first].mean(-1)


def _thirds(n_layers: int) -> tuple[slice, slice, slice]:
    """First, middle and last third of the layers; the middle one takes what is left over."""
    third = max(1, n_layers // 3)
    return slice(0, third), slice(third, n_layers - third), slice(n_layers - third, n_layers)


def quarters(scenario: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Four disjoint masks over whole scenarios."""
    names = rng.permutation(np.unique(scenario))
    return tuple(np.isin(scenario, part) for part in np.array_split(names, 4))


def by_language(pairs: Mapping[str, LanguagePair], anchor: str, subject: str) -> dict[str, np.ndarray]:
    """language -> (L+1, n, d) of a subject, the anchor first."""
    first = next(iter(pairs.values()))
    return {anchor: first.subjects[subject][0], **{k: p.subjects[subject][1] for k, p in pairs.items()}}


def _matrix(table: pd.DataFrame, languages: tuple[str, ...], value: str) -> np.ndarray:
    """(K, K) symmetric, zero on the diagonal."""
    first, second = (pd.Index(languages).get_indexer(table[side]) for side in ("first", "second"))
    matrix = np.zeros((len(languages), len(languages)))
    matrix[first, second] = matrix[second, first] = table[value]
    return matrix


def _curve(language: str, subject: str, found: ladders.Ladder, null: bridges.OrthogonalNull) -> pd.DataFrame:
    columns = {f"r2 {kind}": values for kind, values in found.r2.items()}
    columns |= {"gap": found.gap, "gap, null": null.null_gap.mean(-1)}
    columns |= {"log_kappa": found.log_kappa, "log_kappa, null": null.null_log_kappa.mean(-1)}
    return pd.DataFrame(
        {"language": language, "subject": subject, "layer": np.arange(len(found.gap)), **columns}
    )

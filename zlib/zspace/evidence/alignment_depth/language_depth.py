"""Prediction 3 and conjecture 4 on a fixed model: are languages with less training text aligned later?

As stated, the depth of a language is the first layer of a run whose simultaneous lower band exceeds half of
its own peak excess (`measures.depth`), languages that are not aligned by the rule of prediction 1 are
censored (deeper than all others, and tied), and depth is correlated by ranks with a language's share of
training text. That is an association, and confounded: languages with less text are further from the anchor.

As corrected, depth is the restricted mean, which every language has, and the correlation is the partial one
given all of `COVARIATES`, with families and their branches as groups (`association.family_partial`). It
takes `AT_LEAST` languages. The share has two proxies; limits are the widest of both, so that both have to
agree. A language of which a proxy or a covariate is not known is left out and named.

Conjecture 4 says that contributions of rare languages conflict more. Its number is E|delta_k|^2 over that of
pairs shuffled between scenarios, mean over inner layers. (E|delta_k|^2 / sigma_k^2 over that of shuffled
pairs is the same: sigma_k^2 knows no pairing.)
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ... import files
from ...errors import ParameterError
from ...measures import alignment, association, depth, text_baselines
from ...measures.resampling import GroupDraws, Interval, TestResult, foreign_permutation
from ...measures.subspaces import standardise
from ...sources import languages
from ..claims import rule
from ..error_rates import Size, Worlds, correlations_in_words
from ..language_pairs import (
    PERMUTED,
    SHUFFLED,
    TRAINED,
    LanguagePair,
    length_overlap_strata,
    of_kind,
    standardised,
)
from ..retrieval import by_layer
from ..rules import Control, Evidence, bound_of
from ..statistics import Statistic
from ..study import RAW, STANDARDISED, draw, present

DEPTH, MECHANISM = "prediction_3_language_depth", "conjecture_4_share_and_depth"
SORTED, RANDOM = "depths sorted by share", "random weights"
ERROR = 0.5  # decimal log units, of a proxy
AT_LEAST = 60  # languages of which everything is known, for the partial correlation
# name in the rules -> column as stated, column as corrected
OUTCOMES = {"depth": ("layer", "restricted_mean"), "conflict": ("conflict", "conflict")}
TEXTS_ALONE = "texts_alone"
# beside which the share is judged: what is known or seen of texts and tokens, and what they alone give
COVARIATES = ("distance", "fertility", "other_script", "overlap", TEXTS_ALONE)
_KNOWN = COVARIATES[:-1]
_N_DRAWS = 500
_N_SHUFFLES = 8
# partial correlations that a simulated world has: the mildest that supports is the one that must not refute
PARTIAL = {"true": -0.5, "false": 0.3, "null": 0.0, "modest": -0.3}


@dataclass(frozen=True)
class LanguageDepth:
    """Depth of every language, and its association with the share of training text.

    depths : language, subject, aligned_excess, low (its lower limit), aligned, threshold, layer (NaN:
        censored), earliest, exit_layer, restricted_mean with mean_low and mean_high, conflict (mean over
        inner layers of E|delta|^2 over that of shuffled pairs), family, branch, the proxies (log_...), and
        the covariates: distance (typological, from the anchor), fertility, other_script (1 where it is not
        the anchor's), overlap; NaN where something is not known. Dimensions are standardised.
    raw : the same with dimensions as they are.
    curves : language, layer, accuracy, lower_band, upper_band, threshold (trained).
    associations : outcome, proxy, subject, rho, p, critical, and share_significant (of draws with an error of
        the proxy).
    partial : outcome, measure, proxy, given, rho, low, high, n (trained), families as groups.
    left : outcome, proxy, language, share, value: ranks less what the covariates explain (trained).
    left_out : what is not known -> languages that are left out for it.
    evidence : claim id -> Evidence.
    """

    depths: pd.DataFrame
    raw: pd.DataFrame
    curves: pd.DataFrame
    associations: pd.DataFrame
    partial: pd.DataFrame
    left: pd.DataFrame
    left_out: Mapping[str, Sequence[str]]
    evidence: Mapping[str, Evidence]


def language_depth(
    pairs: Mapping[str, LanguagePair], anchor: str, *, rng: np.random.Generator
) -> LanguageDepth:
    """Depths, associations and evidence of both claims; pairs are measured one after another.

    Raises MeasureError where the share of text is known of fewer than four languages beside the anchor.
    """
    measuring, testing = rng.spawn(2)
    streams = zip(pairs.values(), measuring.spawn(len(pairs)), strict=True)
    return compare([measure_pair(pair, anchor, rng=stream) for pair, stream in streams], rng=testing)


@dataclass(frozen=True)
class Measured:
    """What is compared of one language: depths by measure, the curve, what is known of it, and n items."""

    depths: pd.DataFrame
    raw: pd.DataFrame
    curves: pd.DataFrame
    known: pd.DataFrame
    n_items: int


def measure_pair(pair: LanguagePair, anchor: str, *, rng: np.random.Generator) -> Measured:
    """Depth, aligned excess and conflict of one language and its controls, which any other could be."""
    return Measured(*_depths(pair, rng), _known_of(pair, anchor), int(pair.confirmation.sum()))


def compare(languages: Sequence[Measured], *, rng: np.random.Generator) -> LanguageDepth:
    """Associations and evidence of languages, each by `measure_pair`; errors as `language_depth`."""
    depths, raw, curves = (
        pd.concat([getattr(one, name) for one in languages], ignore_index=True)
        for name in ("depths", "raw", "curves")
    )
    facts, n_items = pd.concat([one.known for one in languages]), languages[-1].n_items
    depths, raw = (one.merge(facts, left_on="language", right_index=True) for one in (depths, raw))
    left_out = _left_out(facts)
    remark = " ".join(f"Left out, {why}: {', '.join(codes)}." for why, codes in left_out.items())
    found, (deciding, drawing) = {}, rng.spawn(2)
    for measure, table in ((STANDARDISED, depths), (RAW, raw)):
        statistics, missing = statistics_of(table, rng=deciding.spawn(1)[0])
        found[measure] = _evidence(statistics, missing, n_items=n_items, remark=remark)
    evidence = replace(found[STANDARDISED], other_measures={RAW: found[RAW]})
    partial, left = partials({STANDARDISED: depths, RAW: raw})
    associated = associations(depths, rng=drawing)
    return LanguageDepth(
        depths, raw, curves, associated, partial, left, left_out, dict.fromkeys((DEPTH, MECHANISM), evidence)
    )


def statistics_of(
    table: pd.DataFrame, *, rng: np.random.Generator
) -> tuple[dict[str, dict[str, Statistic]], dict[str, str]]:
    """Subject -> statistics of both rules, and statistic -> why there is none.

    `table` is one of depths. Random-weight baselines are judged each beside the others; the control is the
    one in the middle, because of twenty some would be supported by chance.
    """
    complete = _complete(table)
    n = complete["language"].nunique()
    statistics: dict[str, dict[str, Statistic]] = {}
    for subject in [*dict.fromkeys(table["subject"]), SORTED]:
        found = statistics.setdefault(subject, {})
        for name, (stated, corrected) in OUTCOMES.items():
            found |= {f"{name}_{k}": v for k, v in plain(table, subject, stated, rng=rng).items()}
            if n >= AT_LEAST:
                found[f"{name}_partial_rho"] = partial_rho(complete, subject, corrected)
    baselines = [statistics.pop(name) for name in of_kind("random", [*statistics])]
    if baselines:
        statistics[RANDOM] = {name: _middle([one[name] for one in baselines]) for name in baselines[0]}
    missing = {} if n >= AT_LEAST else {f"{name}_partial_rho": _too_few(n) for name in OUTCOMES}
    return statistics, missing


def plain(
    table: pd.DataFrame, subject: str, outcome: str, *, rng: np.random.Generator
) -> dict[str, TestResult]:
    """Rank correlation of an outcome with each proxy, in the languages of which both are known."""
    one, y = _values(table.dropna(subset=_proxies()), subject, outcome)
    found = {}
    for proxy in languages.PROXIES:
        x = one[f"log_{proxy}"].to_numpy()
        # what the same depths would give if they followed the share
        values = np.sort(y)[np.argsort(np.argsort(-x))] if subject == SORTED else y
        found[f"rho_{proxy}"] = rank_test(x, values, rng=rng)[0]
    return found


def partial_rho(table: pd.DataFrame, subject: str, outcome: str) -> Interval:
    """Partial rank correlation of an outcome with the share, given `COVARIATES` and families.

    The estimate is the mean of both proxies', the limits are the widest of both.
    """
    one, y = _values(table, subject, outcome)
    x = one[_proxies()].to_numpy().T
    if subject == SORTED:
        share = np.argsort(np.argsort(x, axis=1), axis=1).sum(0)
        y = np.sort(y)[np.argsort(np.argsort(-share))]
    given = one[[*_KNOWN]].assign(alone=_texts_alone(table, subject, outcome)).dropna(axis=1).to_numpy()
    return _widest(x, y, given, one[["family", "branch"]].to_numpy().T)


def _widest(x: np.ndarray, y: np.ndarray, given: np.ndarray, families: np.ndarray) -> Interval:
    """The interval of both proxies x (2, n) together; replicates are those of the one nearer to none."""
    found = [association.family_partial(one, y, given, families) for one in x]
    nearer = max(found, key=lambda one: one.high)
    return Interval(
        estimate=np.mean([one.estimate for one in found]),
        low=min(one.low for one in found),
        high=nearer.high,
        replicates=nearer.replicates,
        confidence=0.95,
        n_groups=len(y),
        unit="languages",
    )


def associations(depths: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Plain rank correlation of both outcomes with every proxy, by subject."""
    rows, table = [], depths.dropna(subset=_proxies())
    subjects = [*dict.fromkeys(table["subject"])]
    for (name, (outcome, _)), proxy, subject in itertools.product(
        OUTCOMES.items(), languages.PROXIES, subjects
    ):
        one, y = _values(table, subject, outcome)
        x = one[f"log_{proxy}"].to_numpy()
        test, critical = rank_test(x, y, rng=rng)
        moved = _with_error(x, y, critical, rng)
        rows.append((name, proxy, subject, test.statistic, test.pvalue, critical, moved))
    columns = ["outcome", "proxy", "subject", "rho", "p", "critical", "share_significant"]
    return pd.DataFrame(rows, columns=columns)


def rank_test(x, y, *, rng: np.random.Generator) -> tuple[TestResult, float]:
    """Spearman's rho of (n,) and (n,) with its two-sided permutation p, and the smallest |rho| with p <= .05.

    Null hypothesis: the order of y is independent of that of x.
    """
    rho, null = association.spearman_null(x, y, rng=rng)
    p = association.permutation_pvalue(rho, null, "two-sided", exact=len(x) <= association.EXACT_UP_TO)
    words = "the order of y is independent of the order of x"
    return TestResult(rho, p, words, n_resamples=len(null), n=len(x)), association.critical_value(null)


def partials(tables: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`LanguageDepth.partial` and `.left` from the depths by each measure.

    Given nothing but families, each covariate alone, and all. There are no rows for which the languages are
    too few.
    """
    rows, left = [], []
    for (measure, table), (name, (_, outcome)) in itertools.product(tables.items(), OUTCOMES.items()):
        one, y = _values(_complete(table), TRAINED, outcome)
        known = one[[*_KNOWN]].assign(**{TEXTS_ALONE: _texts_alone(_complete(table), TRAINED, outcome)})
        known = known.dropna(axis=1)
        chosen = {"families alone": [], **{c: [c] for c in known}, "all of them": [*known]}
        families = one[["family", "branch"]].to_numpy().T
        for (given, columns), proxy in itertools.product(chosen.items(), languages.PROXIES):
            if len(one) < len(columns) + 5:
                continue
            x = one[f"log_{proxy}"].to_numpy()
            found = association.family_partial(x, y, known[columns].to_numpy(), families)
            row = (name, measure, proxy, given, found.estimate, found.low, found.high, len(one))
            rows.append(row)
            if columns == [*known] and measure == STANDARDISED:
                share, value = found.left
                about = {"outcome": name, "proxy": proxy, "language": one["language"].to_numpy()}
                left.append(pd.DataFrame({**about, "share": share, "value": value}))
    columns = ["outcome", "measure", "proxy", "given", "rho", "low", "high", "n"]
    empty = pd.DataFrame(columns=["outcome", "proxy", "language", "share", "value"])
    return pd.DataFrame(rows, columns=columns), pd.concat(left, ignore_index=True) if left else empty


def outcome_table(depths: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """An outcome of every language: trained, mean and range of the random baselines, the other controls."""
    wide = depths.pivot(index="language", columns="subject", values=outcome)
    wide = wide.loc[list(dict.fromkeys(depths["language"]))]
    seeds = list(of_kind("random", wide.columns))
    if seeds:
        drawn = wide[seeds]
        summary = {f"{RANDOM}, {how}": getattr(drawn, how)(axis=1) for how in ("mean", "min", "max")}
        wide = wide.drop(columns=seeds).assign(**summary)
    return wide[[TRAINED, *(c for c in wide if c != TRAINED)]]


def definitions_of(pair: LanguagePair, *, rng: np.random.Generator) -> pd.DataFrame:
    """Depth of the trained model by several definitions, side by side (`depth.definitions`)."""
    pair = standardised(pair)
    outcomes = by_layer.retrieval_outcomes(pair)
    measured = {name: by_layer.accuracy_at_peak(pair, found) for name, found in outcomes.items()}
    first, second, third = rng.spawn(3)
    draws = draw(pair, rng=first)
    _, found = depth_of(pair, outcomes[TRAINED], measured, TRAINED, draws, rng=second)
    return depth.definitions(
        outcomes[TRAINED].mean(1)[:, pair.confirmation],
        threshold=found.threshold,
        chance=alignment.chance_level(pair.scenario, "between"),
        groups=pair.scenario[pair.confirmation],
        rng=third,
    )


def depth_of(
    pair: LanguagePair,
    outcomes: np.ndarray,
    measured: Mapping[str, by_layer.PeakAccuracy],
    subject: str,
    draws: GroupDraws,
    *,
    rng: np.random.Generator,
) -> tuple[Interval, depth.Depth]:
    """Excess over the controls, and depth at half of it, of one subject with outcomes (L+1, 2, n).

    `measured` are the accuracies at the peak of all subjects.
    """
    excess = by_layer.aligned_statistics(measured, subject, draws)["aligned_excess"]
    chance = alignment.chance_level(pair.scenario, "between")
    accuracy = outcomes.mean(1)
    discovery = accuracy[:, pair.discovery]
    # what has to be exceeded: the nearest control, as far as the peak lies above it
    control = max(chance, discovery.mean(1).max() - max(float(excess.estimate), 0.0))
    found = depth.alignment_depth(
        accuracy[:, pair.confirmation],
        threshold=depth.half_peak_threshold(discovery, min(control, 0.9)),
        chance=chance,
        groups=pair.scenario[pair.confirmation],
        rng=rng,
    )
    return excess, found


def _depths(pair: LanguagePair, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Depths with dimensions standardised and as they are, and the curve of the standardised ones."""
    drawing, shuffling, *measuring = rng.spawn(4)
    draws = draw(pair, rng=drawing)
    shuffles = _foreign_shuffles(pair, shuffling)
    from_texts = by_layer.retrieval_outcomes(replace(pair, subjects={}))
    tables, curves = [], []
    for measure, stream in zip((STANDARDISED, RAW), measuring, strict=True):
        table, curve = _by_measure(pair, measure, from_texts, draws, shuffles, stream)
        tables.append(table)
        curves.append(curve)
    return *tables, curves[0]


def _by_measure(
    pair: LanguagePair,
    measure: str,
    from_texts: Mapping[str, np.ndarray],
    draws: GroupDraws,
    shuffles: np.ndarray,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    subjects = [TRAINED, *pair.random_baselines, *present(pair, PERMUTED), *present(pair, SHUFFLED)]
    # products of matrices, most of them outside Python: twenty baselines take as long as one on as many cores
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda name: _from_states(pair, name, measure, shuffles), subjects)
        from_states = dict(zip(subjects, found, strict=True))
    outcomes = {**{name: found for name, (found, _) in from_states.items()}, **from_texts}
    measured = {name: by_layer.accuracy_at_peak(pair, found) for name, found in outcomes.items()}
    _, bound, _ = bound_of(rule(by_layer.ALIGNED)["rules"]["as_corrected"]["aligned_excess"])
    rows, curve = [], None
    for subject, stream in zip(subjects, rng.spawn(len(subjects)), strict=True):
        excess, found = depth_of(pair, outcomes[subject], measured, subject, draws, rng=stream)
        aligned = bool(excess.low > bound)
        rows.append(
            {
                "language": pair.language,
                "subject": subject,
                "aligned_excess": float(excess.estimate),
                "low": float(excess.low),
                "aligned": aligned,
                "threshold": found.threshold,
                "layer": np.nan if found.censored or not aligned else found.layer,
                "earliest": np.nan if found.interval[0] is None else found.interval[0],
                "exit_layer": np.nan if found.exit_layer is None or not aligned else found.exit_layer,
                "restricted_mean": found.restricted_mean,
                "mean_low": float(found.restricted_mean_interval.low),
                "mean_high": float(found.restricted_mean_interval.high),
                "conflict": from_states[subject][1],
            }
        )
        if subject == TRAINED:
            columns = {"language": pair.language, "layer": np.arange(len(found.accuracy))}
            bands = {k: getattr(found, k) for k in ("accuracy", "lower_band", "upper_band", "threshold")}
            curve = pd.DataFrame({**columns, **bands})
    return pd.DataFrame(rows), curve


def _from_states(
    pair: LanguagePair, subject: str, measure: str, shuffles: np.ndarray
) -> tuple[np.ndarray, float]:
    """Retrieval outcomes (L+1, 2, n) and conflict of one subject, whose states alone are standardised."""
    one = replace(pair, subjects={subject: pair.subjects[subject]}, tokens=None, texts=None)
    conflict = _conflict(one, subject, measure, shuffles)
    measured = standardised(one) if measure == STANDARDISED else one
    return by_layer.retrieval_outcomes(measured)[subject], conflict


def _foreign_shuffles(pair: LanguagePair, rng: np.random.Generator) -> np.ndarray:
    """Permutations (B, m) of the confirmation items that give each the translation of another scenario's.

    They stay within strata of length and token overlap wherever that can be, so that what these alone share,
    more in some languages than in others, is no part of a conflict. None where a scenario has half the items.
    """
    scenario = pair.scenario[pair.confirmation]
    if 2 * np.unique(scenario, return_counts=True)[1].max() > len(scenario):
        return np.zeros((0, len(scenario)), int)
    strata = np.zeros(len(pair.scenario)) if pair.tokens is None else length_overlap_strata(pair)
    strata = strata[pair.confirmation]
    return np.array([foreign_permutation(scenario, strata, rng=one) for one in rng.spawn(_N_SHUFFLES)])


def _conflict(pair: LanguagePair, subject: str, measure: str, shuffles: np.ndarray) -> float:
    """Mean over inner layers of E|delta|^2 over that of shuffled pairs, confirmation items; NaN without them.

    1 for translations that agree no more than texts of other scenarios. Updates are standardised as such.
    """
    if not len(shuffles):
        return np.nan
    states = pair.subjects[subject]
    ratios = []
    for k in range(len(states[0]) - 1):  # one layer at a time stays in the processor's cache
        updates = [np.asarray(s[k + 1], float) - s[k] for s in states]
        if measure == STANDARDISED:
            updates = [standardise(f[None], pair.discovery)[0] for f in updates]
        ratios.append(_own_over_shuffled(*(f[pair.confirmation] for f in updates), shuffles))
    return float(np.mean(ratios[1:-1] if len(ratios) >= 4 else ratios))


def _own_over_shuffled(x: np.ndarray, y: np.ndarray, shuffles: np.ndarray) -> float:
    """E|x - y|^2 of matched rows (m, d) over that of shuffled ones (B, m), without each language's mean."""
    x, y = (f - f.mean(0) for f in (x, y))
    products, items = x @ y.T, np.arange(len(x))
    alone = ((x**2).sum() + (y**2).sum()) / len(x)
    shuffled = alone - 2 * products[items, shuffles].mean()
    return (alone - 2 * np.trace(products) / len(x)) / shuffled if shuffled > 0 else np.nan


def _known_of(pair: LanguagePair, anchor: str) -> pd.DataFrame:
    """Proxies, family, and the covariates of one language, NaN where something is not known."""
    code = pair.language
    row = dict.fromkeys((*_proxies(), *_KNOWN), np.nan) | {"family": code, "branch": code}
    row |= languages.known(code)
    row["distance"] = _distance(anchor, code)
    scripts = [languages.script(one) for one in (anchor, code)]
    row["other_script"] = float(scripts[0] != scripts[1]) if all(scripts) else np.nan
    if pair.tokens is not None:
        first, own = pair.lengths()
        overlap = text_baselines.mean_token_overlap(*pair.tokens)
        row |= {"fertility": own.mean() / first.mean(), "overlap": overlap.matched}
    return pd.DataFrame([row], index=[code])


def _distance(anchor: str, code: str) -> float:
    """Typological distance of two languages, NaN where none is known."""
    try:
        return float(languages.distances([anchor, code])[0, 1])
    except ParameterError:
        return np.nan


def _proxies() -> list[str]:
    return [f"log_{proxy}" for proxy in languages.PROXIES]


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the languages of which everything is known that the partial correlation takes."""
    return table.dropna(subset=[*_proxies(), *_KNOWN])


def _values(table: pd.DataFrame, subject: str, outcome: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of a subject (the trained model's for its sorted depths), and its outcomes; censored: infinite."""
    one = table[table["subject"] == (TRAINED if subject == SORTED else subject)]
    return one, np.where(one[outcome].isna(), np.inf, one[outcome])


def _texts_alone(table: pd.DataFrame, subject: str, outcome: str) -> np.ndarray:
    """(n,) mean outcome under random-weight baselines other than the subject; NaN without one."""
    wide = table.pivot(index="language", columns="subject", values=outcome)
    others = [name for name in of_kind("random", wide.columns) if name != subject]
    codes, _ = _values(table, subject, outcome)
    return wide[others].mean(axis=1).reindex(codes["language"]).to_numpy()


def _middle(found: Sequence[Statistic]) -> Statistic:
    """The statistic in the middle of several by its estimate."""
    sizes = [one.statistic if isinstance(one, TestResult) else one.estimate for one in found]
    return found[np.argsort(sizes, kind="stable")[len(found) // 2]]


def _left_out(facts: pd.DataFrame) -> dict[str, list[str]]:
    """Why languages are left out of a correlation -> which."""
    unknown = facts[_proxies()].isna().any(axis=1)
    why = {"as a proxy of their share of text is not known": unknown}
    words = {
        "distance": "their distance from the anchor is not known",
        "other_script": "their script is not known",
        "fertility": "there are no token ids",
    }
    for column, reason in words.items():
        why[f"from the partial correlation, as {reason}"] = facts[column].isna() & ~unknown
    return {reason: facts.index[rows].tolist() for reason, rows in why.items() if rows.any()}


def _too_few(n: int) -> str:
    """Why so few languages decide nothing, with what they would find."""
    mild, strong = PARTIAL["modest"], PARTIAL["true"]

    def power(rho: float, k: int) -> str:
        return f"{association.partial_power(rho, k, len(COVARIATES)):.0%}"

    return (
        f"{n} languages of which everything is known, {AT_LEAST} needed: a partial correlation of {mild:g} "
        f"would be found in {power(mild, n)} of data sets and one of {strong:g} in {power(strong, n)}; with "
        f"{AT_LEAST} languages, in {power(mild, AT_LEAST)} and {power(strong, AT_LEAST)}"
    )


def _with_error(x: np.ndarray, y: np.ndarray, critical: float, rng: np.random.Generator) -> float:
    """Share of draws, with a normal error of `ERROR` on the proxy, in which |rho| is significant."""
    ranks = pd.Series(y).rank().to_numpy()
    if np.ptp(ranks) == 0 or not np.isfinite(critical):
        return 0.0
    moved = x + ERROR * rng.standard_normal((_N_DRAWS, len(x)))
    order = np.argsort(np.argsort(moved, axis=1), axis=1)
    a, b = order - order.mean(1, keepdims=True), ranks - ranks.mean()
    rho = a @ b / np.sqrt((a**2).sum(1) * (b**2).sum())
    return float(np.mean(np.abs(rho) >= critical - 1e-9))


def _evidence(
    statistics: Mapping[str, Mapping[str, Statistic]], missing: Mapping[str, str], **about
) -> Evidence:
    controls = tuple(
        Control(name, "positive" if name == SORTED else "negative", found)
        for name, found in statistics.items()
        if name != TRAINED
    )
    return Evidence(statistics=statistics[TRAINED], controls=controls, missing=missing, **about)


@dataclass(frozen=True)
class SimulatedLanguages:
    """Real shares, families, distances and scripts of n languages, with drawn fertility and overlap.

    x (2, n) log proxies; given (n, 4) covariates; families (2, n) labels; effect (n,) the share less what the
    covariates explain, by ranks, of unit variance.
    """

    x: np.ndarray
    given: np.ndarray
    families: np.ndarray
    effect: np.ndarray

    @classmethod
    def drawn(cls, n: int, rng: np.random.Generator) -> "SimulatedLanguages":
        """The first n languages of params/languages.yaml beside English of which all proxies are known."""
        facts = {code: languages.known(code) for code in files.params("languages") if code != "en"}
        table = pd.DataFrame.from_dict(facts, orient="index").dropna().iloc[:n]
        x = table[_proxies()].to_numpy(float).T
        share = _standardised(x.T).mean(1)
        distance = languages.distances(["en", *table.index])[0, 1:]
        other = np.array([float(languages.script(code) != languages.script("en")) for code in table.index])
        fertility = 0.8 * other - 0.5 * share + rng.standard_normal(len(table))
        overlap = -1.2 * other + 0.6 * rng.standard_normal(len(table))
        given = np.column_stack([distance, fertility, other, overlap])
        ranks = pd.DataFrame(np.column_stack([np.ones(len(given)), given])).rank().to_numpy()
        share = pd.Series(share).rank().to_numpy()
        effect = share - ranks @ np.linalg.lstsq(ranks, share, rcond=None)[0]
        return cls(x, given, table[["family", "branch"]].to_numpy().T, _standardised(effect))

    def outcome(self, rho: float, rng: np.random.Generator, *, families: float = 0.25) -> np.ndarray:
        """(n,) outcomes with that partial correlation, that follow the covariates as well.

        Families and their branches have the share `families` each of what neither explains. The deepest
        quarter is censored: equal but for a little noise, as restricted means of languages at chance are.
        """
        distance, fertility, _, overlap = _standardised(self.given).T
        own = np.sqrt(1 - 2 * families) * rng.standard_normal(self.effect.size)
        for labels in self.families:
            names, place = np.unique(labels, return_inverse=True)
            own += np.sqrt(families) * rng.standard_normal(names.size)[place]
        y = distance + 0.4 * fertility - 0.3 * overlap + rho * self.effect + np.sqrt(1 - rho**2) * own
        top = np.quantile(y, 0.75)
        return np.where(y > top, top + 0.02 * rng.standard_normal(y.size), y)

    def interval(self, y: np.ndarray) -> Interval:
        """`partial_rho` of an outcome (n,)."""
        return _widest(self.x, y, self.given, self.families)


def worlds(claim: str, size: Size) -> Worlds:
    """Outcomes of as many real languages as there are, at least `AT_LEAST`, with the partial correlations
    `PARTIAL`: families and branches resemble each other, distance confounds, a quarter is censored.
    """
    n, primary = max(size.n_languages - 1, AT_LEAST), rule(claim)["primary"]
    stated = dict.fromkeys(rule(claim)["rules"]["as_stated"], "not simulated")

    def make(rng: np.random.Generator):
        these = SimulatedLanguages.drawn(n, rng)

        def simulate(world: str, rng: np.random.Generator) -> Evidence:
            trained = these.outcome(PARTIAL[world], rng)
            made = {TRAINED: trained, RANDOM: rng.standard_normal(trained.size)}
            made[SORTED] = np.sort(trained)[np.argsort(np.argsort(-these.x.sum(0)))]
            return _evidence({k: {primary: these.interval(y)} for k, y in made.items()}, stated)

        return simulate

    effects = correlations_in_words(f"{n} languages, partial ρ", PARTIAL.__getitem__)
    return Worlds(claim, make, {"n": n}, effects)


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1."""
    return (columns - columns.mean(0)) / columns.std(0)

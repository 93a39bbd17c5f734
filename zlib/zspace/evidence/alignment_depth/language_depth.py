"""Prediction 3 and conjecture 4 on a fixed model: are languages with less training text aligned later?

A language first has to be aligned at all, by the rule of prediction 1. Its depth is then the first layer of a
run whose simultaneous lower band exceeds half of its own peak excess (`measures.depth`). Languages that are
not aligned are censored: deeper than all others, and tied.

Depth is correlated by ranks, with exact permutation p-values, with two proxies of a language's share of
training text. Both have to agree. Conjecture 4 says that contributions of rare languages conflict more. Its
number is q = E|delta_k|^2 / sigma_k^2 over that of shuffled pairs, mean over inner layers.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import ParameterError
from ...measures import alignment, association, depth, residual, text_baselines
from ...measures.resampling import GroupDraws, Interval, TestResult, stratified_permutations
from ...sources import languages
from ..claims import rule
from ..error_rates import ASSOCIATION, Size, Worlds, correlations_in_words
from ..language_pairs import PERMUTED, SEEDS, SHUFFLED, TRAINED, LanguagePair, length_overlap_strata
from ..retrieval import by_layer
from ..rules import Control, Evidence, bound_of
from ..study import draw, present

DEPTH, MECHANISM = "prediction_3_language_depth", "conjecture_4_share_and_depth"
SORTED = "depths sorted by share"
ERROR = 0.5  # decimal log units, of a proxy
OUTCOMES = {"depth": "layer", "conflict": "conflict"}
_N_DRAWS = 500
_N_SHUFFLES = 8


@dataclass(frozen=True)
class LanguageDepth:
    """Depth of every language, and its association with the share of training text.

    depths : language, subject, aligned_excess, low (its lower limit), aligned, threshold, layer (NaN:
        censored), earliest, exit_layer, restricted_mean with mean_low and mean_high, conflict (mean over
        inner layers of q over that of shuffled pairs), the proxies, fertility, overlap and distance
        (typological, from the anchor).
    curves : language, layer, accuracy, lower_band, upper_band, threshold (trained).
    associations : outcome, proxy, subject, rho, p, critical, and share_significant (of draws with an error of
        the proxy).
    partial : outcome, proxy, covariate, rho, p (trained).
    evidence : claim id -> Evidence.
    """

    depths: pd.DataFrame
    curves: pd.DataFrame
    associations: pd.DataFrame
    partial: pd.DataFrame
    evidence: Mapping[str, Evidence]


def language_depth(
    pairs: Mapping[str, LanguagePair], anchor: str, *, rng: np.random.Generator
) -> LanguageDepth:
    """Depths, associations and evidence of both claims.

    Raises ParameterError for a language without a known share of text, MeasureError with fewer than four
    languages beside the anchor.
    """
    covariates = _covariates(pairs, anchor)
    measuring, testing = rng.spawn(2)
    streams = measuring.spawn(len(pairs))
    measured = [_depths(pair, stream) for pair, stream in zip(pairs.values(), streams, strict=True)]
    depths, curves = (pd.concat(t, ignore_index=True) for t in zip(*measured, strict=True))
    depths = depths.merge(covariates, left_on="language", right_index=True)
    tables, partial, statistics = [], [], {}
    for (name, outcome), stream in zip(OUTCOMES.items(), testing.spawn(len(OUTCOMES)), strict=True):
        associated, found = associations(depths, outcome, rng=stream)
        tables.append(associated)
        partial.append(partials(depths, outcome, rng=stream.spawn(1)[0]))
        for subject, tests in found.items():
            kept = statistics.setdefault(subject, {})
            kept |= {f"{name}_{k}": v for k, v in tests.items()}
    n_items = int(next(iter(pairs.values())).confirmation.sum())
    evidence = {claim: _evidence(statistics, n_items) for claim in (DEPTH, MECHANISM)}
    joined = (pd.concat(t, ignore_index=True) for t in (tables, partial))
    return LanguageDepth(depths, curves, *joined, evidence)


def associations(
    depths: pd.DataFrame, outcome: str, *, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, dict[str, TestResult]]]:
    """Rank correlation of an outcome with every proxy, by subject: a table, and the tests of the rule."""
    rows, statistics = [], {}
    subjects = list(dict.fromkeys(depths["subject"]))
    for subject in [*subjects, SORTED]:
        one = depths[depths["subject"] == (TRAINED if subject == SORTED else subject)]
        y = np.where(one[outcome].isna(), np.inf, one[outcome])
        found = {}
        for proxy in languages.PROXIES:
            x = one[f"log_{proxy}"].to_numpy()
            # what the same depths would give if they followed the share
            values = np.sort(y)[np.argsort(np.argsort(-x))] if subject == SORTED else y
            test, critical = rank_test(x, values, rng=rng)
            found[f"rho_{proxy}"] = test
            moved = _with_error(x, values, critical, rng)
            rows.append((outcome, proxy, subject, test.statistic, test.pvalue, critical, moved))
        statistics[subject] = found
    columns = ["outcome", "proxy", "subject", "rho", "p", "critical", "share_significant"]
    return pd.DataFrame(rows, columns=columns), statistics


def rank_test(x, y, *, rng: np.random.Generator) -> tuple[TestResult, float]:
    """Spearman's rho of (n,) and (n,) with its two-sided permutation p, and the smallest |rho| with p <= .05.

    Null hypothesis: the order of y is independent of that of x.
    """
    rho, null = association.spearman_null(x, y, rng=rng)
    p = association.permutation_pvalue(rho, null, "two-sided", exact=len(x) <= association.EXACT_UP_TO)
    words = "the order of y is independent of the order of x"
    return TestResult(rho, p, words, n_resamples=len(null), n=len(x)), association.critical_value(null)


def partials(depths: pd.DataFrame, outcome: str, *, rng: np.random.Generator) -> pd.DataFrame:
    """Partial rank correlations of the trained model, one covariate at a time (none below six languages)."""
    one = depths[depths["subject"] == TRAINED]
    y = np.where(one[outcome].isna(), np.inf, one[outcome])
    known = [c for c in ("fertility", "overlap", "distance") if len(one) >= 6 and one[c].notna().all()]
    rows = []
    for proxy, covariate in itertools.product(languages.PROXIES, known):
        x, given = one[f"log_{proxy}"].to_numpy(), one[covariate].to_numpy()
        found = association.partial_spearman(x, y, given, rng=rng)
        rows.append((outcome, proxy, covariate, found.statistic, found.pvalue))
    return pd.DataFrame(rows, columns=["outcome", "proxy", "covariate", "rho", "p"])


def definitions_of(pair: LanguagePair, *, rng: np.random.Generator) -> pd.DataFrame:
    """Depth of the trained model by several definitions, side by side (`depth.definitions`)."""
    outcomes = by_layer.retrieval_outcomes(pair)
    first, second, third = rng.spawn(3)
    _, found = depth_of(pair, outcomes, TRAINED, draw(pair, rng=first), rng=second)
    return depth.definitions(
        outcomes[TRAINED].mean(1)[:, pair.confirmation],
        threshold=found.threshold,
        chance=alignment.chance_level(pair.scenario, "between"),
        groups=pair.scenario[pair.confirmation],
        rng=third,
    )


def depth_of(
    pair: LanguagePair,
    outcomes: Mapping[str, np.ndarray],
    subject: str,
    draws: GroupDraws,
    *,
    rng: np.random.Generator,
) -> tuple[Interval, depth.Depth]:
    """Excess over the best control, and depth at half of it, of one subject."""
    measured = {name: by_layer.accuracy_at_peak(pair, found) for name, found in outcomes.items()}
    excess = by_layer.aligned_statistics(measured, subject, draws)["aligned_excess"]
    chance = alignment.chance_level(pair.scenario, "between")
    accuracy = outcomes[subject].mean(1)
    discovery = accuracy[:, pair.discovery]
    # what has to be exceeded: the best control, as far as the peak lies above it
    control = max(chance, discovery.mean(1).max() - max(float(excess.estimate), 0.0))
    found = depth.alignment_depth(
        accuracy[:, pair.confirmation],
        threshold=depth.half_peak_threshold(discovery, min(control, 0.9)),
        chance=chance,
        groups=pair.scenario[pair.confirmation],
        rng=rng,
    )
    return excess, found


def _depths(pair: LanguagePair, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    outcomes = by_layer.retrieval_outcomes(pair)
    subjects = [TRAINED, *pair.random_baselines, *present(pair, PERMUTED), *present(pair, SHUFFLED)]
    condition = rule(by_layer.ALIGNED)["rules"]["as_corrected"]["aligned_excess"]
    _, bound, _ = bound_of(condition)
    # within strata of length and overlap, where there are tokens
    strata = np.zeros(len(pair.scenario)) if pair.tokens is None else length_overlap_strata(pair)
    shuffles = stratified_permutations(strata[pair.confirmation], n_shuffles=_N_SHUFFLES, rng=rng.spawn(1)[0])
    rows, curve = [], None
    draws = draw(pair, rng=rng.spawn(1)[0])
    for subject, stream in zip(subjects, rng.spawn(len(subjects)), strict=True):
        excess, found = depth_of(pair, outcomes, subject, draws, rng=stream)
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
                "conflict": _conflict(pair, subject, shuffles),
            }
        )
        if subject == TRAINED:
            columns = {"language": pair.language, "layer": np.arange(len(found.accuracy))}
            bands = {k: getattr(found, k) for k in ("accuracy", "lower_band", "upper_band", "threshold")}
            curve = pd.DataFrame({**columns, **bands})
    return pd.DataFrame(rows), curve


def _conflict(pair: LanguagePair, subject: str, permutations: np.ndarray) -> float:
    """Mean over inner layers of q = E|delta|^2 / sigma^2 over that of shuffled pairs, confirmation items.

    Pairs are shuffled within strata of length and token overlap, so that what these alone share, more in some
    languages than in others, is no part of it: 1 for translations that agree no more than that.
    """
    rows = pair.confirmation
    x, y = (s[:, rows] - s[:, rows].mean(1, keepdims=True, dtype=float) for s in pair.subjects[subject])

    def quality(other: np.ndarray) -> np.ndarray:
        profile = residual.snr_profile(x, other, groups=pair.scenario[rows])
        return profile.delta_sq / profile.sigma_sq

    q = quality(y) / np.mean([quality(y[:, one]) for one in permutations], axis=0)
    return float((q[1:-1] if len(q) >= 4 else q).mean())


def _covariates(pairs: Mapping[str, LanguagePair], anchor: str) -> pd.DataFrame:
    """Proxies, tokens beside the anchor's (fertility), own token overlap and typological distance."""
    codes = list(pairs)
    known = languages.table(codes)
    apart = [_distance(anchor, code) for code in codes]
    rows = {}
    for (code, pair), distance in zip(pairs.items(), apart, strict=True):
        rows[code] = {"fertility": np.nan, "overlap": np.nan, "distance": distance}
        if pair.tokens is not None:
            first, own = pair.lengths()
            overlap = text_baselines.mean_token_overlap(*pair.tokens)
            rows[code] |= {"fertility": own.mean() / first.mean(), "overlap": overlap.matched}
    return known[[f"log_{p}" for p in languages.PROXIES]].join(pd.DataFrame.from_dict(rows, orient="index"))


def _distance(anchor: str, code: str) -> float:
    """Typological distance of two languages, NaN where none is known: a covariate that is then left out."""
    try:
        return float(languages.distances([anchor, code])[0, 1])
    except ParameterError:
        return np.nan


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


def _evidence(statistics: Mapping[str, Mapping[str, TestResult]], n_items: int | None = None) -> Evidence:
    controls = tuple(
        Control(name, "positive" if name == SORTED else "negative", found)
        for name, found in statistics.items()
        if name != TRAINED
    )
    return Evidence(statistics=statistics[TRAINED], controls=controls, n_items=n_items)


def worlds(claim: str, size: Size) -> Worlds:
    """Outcomes of as many languages that correlate with the share by `error_rates.ASSOCIATION`.

    At most eight languages, because all orders of more are too many to count.
    """
    n = min(size.n_languages - 1, 8)

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        share, rho = rng.standard_normal(n), ASSOCIATION[world]
        proxies = {p: share + 0.2 * rng.standard_normal(n) for p in languages.PROXIES}
        outcome = {TRAINED: rho * share + np.sqrt(1 - rho**2) * rng.standard_normal(n)}
        outcome |= {f"random-{seed}": rng.standard_normal(n) for seed in SEEDS}
        statistics = {}
        for subject in (*outcome, SORTED):
            found = statistics.setdefault(subject, {})
            for proxy, x in proxies.items():
                test, _ = rank_test(x, -x if subject == SORTED else outcome[subject], rng=rng)
                found |= {f"{name}_rho_{proxy}": test for name in OUTCOMES}
        return _evidence(statistics)

    effects = correlations_in_words("ρ", ASSOCIATION.__getitem__)
    return Worlds(claim, lambda rng: simulate, {"n": n}, effects)

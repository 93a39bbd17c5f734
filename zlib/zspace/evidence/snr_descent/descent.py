"""Theorem 2: the checks that prove or break it, and the descent of the SNR through a model.

snr = D_same / D_diff is noise over signal (lower is better). On a model, three questions: does the
SNR fall at every layer, do matched items lie nearer than shuffled pairs by more than in any control
(the fall alone cannot tell), and is the fall accumulation (observation A)?
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import theory
from ...measures import residual
from ...measures.accumulation import PARTS, accumulation_shares
from ...measures.resampling import GroupDraws, Interval, interval_of
from ...sources.models import kind_of
from ..error_rates import Worlds, of_pairs
from ..language_pairs import (
    PERMUTED,
    PLANTED,
    SHUFFLED,
    TRAINED,
    LanguagePair,
    Pair,
    standardised,
)
from ..rules import Evidence
from ..simulated_pairs import Simulation, plant_content
from ..study import RAW, Measured, Study, Values, baselines, draw, excess_over, judge, present, seed_spread
from . import accumulation

PATHS = {
    "measured": "log_snr",
    "quality frozen": "frozen_q",
    "no cross-terms": "without_cross",
    "accumulation only": "accumulation",
}
EVERY = "theorem_2_every_layer"
_PROVED = ("distance", "criterion", "mediant")
_N_SHARES = 20_000  # resamples of a share: a quotient, whose limits need more of them to settle
_TOLERANCE = 1e-9  # relative error of an identity in float64


@dataclass(frozen=True)
class DescentResult:
    """Descent of the SNR of all subjects and languages.

    curves : language, subject, layer, snr, snr_centered, matched (1 - D_same/D_cross, centred).
    criteria : language, subject, layers, and how many of them fall, satisfy the criterion as stated,
        satisfy the exact one, and are judged rightly by each; largest |C_s| over D_same; snr at the end and
        the floor that it could not pass if cross-terms vanished.
    norm_ratios : language, layer, ratio (|delta|/|f|), shuffled and shuffled_centred (its nulls).
    paths : language, path, layer, log_r (measured and counterfactual, confirmation items).
    shares : language, part, share, low, high (of the fall of log r, confirmation items).
    evidence : claim id -> one Evidence per language.
    seed_spread : standard deviation of `Matched.nearness` over random-weight baselines.
    """

    curves: pd.DataFrame
    criteria: pd.DataFrame
    norm_ratios: pd.DataFrame
    paths: pd.DataFrame
    shares: pd.DataFrame
    evidence: Mapping[str, list[Evidence]]
    seed_spread: float


def theorem_evidence(*, rng: np.random.Generator, n_layers: int = 1000) -> tuple[Evidence, pd.DataFrame]:
    """Checks of theorem 2 as stated and as corrected, and a table of their numbers."""
    ensemble, stacks = rng.spawn(2)
    states = theory.random_layer_ensemble(n_layers, rng=ensemble)
    profile = residual.snr_profile(*states)
    falls = profile.snr[:, 1] < profile.snr[:, 0]
    right = profile.improves_orthogonal[:, 0] == falls
    as_stated, exact = right.mean(), (profile.improves_exact[:, 0] == falls).mean()
    near = float(right[_nearly_orthogonal(states)].mean())
    error = max(identity_errors(profile))
    swap = residual.snr_profile(*theory.swap_counterexample(0.5, 40))
    predicted = theory.swap_counterexample_snr(0.5, 40)
    missed = bool(np.isclose(swap.delta_sq / swap.sigma_sq, swap.snr[0])[0] and swap.snr[1] < swap.snr[0])
    floors = _floors([residual.snr_profile(*theory.orthogonal_layers(24, rng=r)) for r in stacks.spawn(20)])
    (passed,) = _floors([swap])
    checks = {
        "swap_counterexample": missed and bool(np.allclose(swap.snr, predicted, rtol=_TOLERANCE)),
        "misclassified_ensemble": bool(as_stated < 0.8),
        "symbolic_identity": theory.prove_snr_criterion() == dict.fromkeys(_PROVED, 0),
        "numeric_identity": bool(error < _TOLERANCE),
        "criterion_on_ensemble": bool(exact == 1.0),
        "criterion_on_counterexample": bool(swap.improves_exact[0] and not swap.improves_orthogonal[0]),
        "mediant_bound": bool(floors.min() >= -_TOLERANCE and passed < 0 and _is_mediant(profile)),
    }
    numbers = {
        f"layers judged rightly by the criterion as stated, of {n_layers}": as_stated,
        "the same among layers that meet its premise (|cos| of f_0 and f_1 below .05)": near,
        "layers judged rightly by the exact criterion": exact,
        "largest relative error of the accounting identities": error,
        "counterexample (c = 1/2, 40 items): snr before": swap.snr[0],
        "its ratio by the criterion as stated": (swap.delta_sq / swap.sigma_sq)[0],
        "its snr after": swap.snr[1],
        "snr after by the closed form": predicted[1],
        "its snr after, above the floor of layers without cross-terms": passed,
        "stacks without cross-terms: smallest snr above that floor": floors.min(),
    }
    return Evidence(checks=checks), pd.DataFrame({"value": numbers})


def _floors(profiles: list[residual.SnrProfile]) -> np.ndarray:
    """Smallest snr of each stack minus the floor that it could not pass if cross-terms vanished."""
    return np.array([p.snr.min() - theory.snr_floor(p.snr[0], p.delta_sq / p.sigma_sq) for p in profiles])


def _is_mediant(profile: residual.SnrProfile) -> bool:
    """Whether snr' is the mean of snr and q~ with weight w~, hence between them where w~ is positive."""
    quality, weight = (values[:, 0] for values in residual.mixing(profile))
    before, after = profile.snr[:, 0], profile.snr[:, 1]
    mixed = np.allclose(after, (1 - weight) * before + weight * quality, rtol=_TOLERANCE)
    low, high = np.minimum(before, quality), np.maximum(before, quality)
    inside = (after >= low * (1 - _TOLERANCE)) & (after <= high * (1 + _TOLERANCE))
    return bool(mixed and inside[weight > 0].all())


def _nearly_orthogonal(states: Pair) -> np.ndarray:
    """Layers whose contributions to one input are nearly orthogonal in both languages."""
    angles = []
    for h in states:
        before, added = h[:, 0], h[:, 1] - h[:, 0]
        norms = np.linalg.norm(before, axis=-1) * np.linalg.norm(added, axis=-1)
        angles.append(((before * added).sum(-1) / norms).mean(-1))
    return np.abs(angles).max(0) < 0.05


def identity_errors(profile: residual.SnrProfile) -> tuple[float, float]:
    """Largest relative errors of the accounting of D_same and of D_diff over all layers."""
    errors = []
    for distance, added, cross in (
        (profile.d_same, profile.delta_sq, profile.cross_same),
        (profile.d_diff, profile.sigma_sq, profile.cross_diff),
    ):
        predicted, found = distance[..., :-1] + added + cross, distance[..., 1:]
        # equal states are no distance apart, and have no cross-terms
        errors.append(float(np.max(np.abs(predicted - found) / np.where(found > 0, found, 1.0))))
    return tuple(errors)


def snr_descent(pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator) -> DescentResult:
    """Theorem 2 on a model: SNR by layer, criteria, counterfactual paths and their evidence."""
    tables = {name: [] for name in ("curves", "criteria", "norm_ratios", "paths", "shares")}
    evidence: dict[str, list[Evidence]] = {EVERY: [], accumulation.CLAIM: []}
    numbers = []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        judged = judge_pair(pair, rng=stream)
        for claim, one in judged.evidence.items():
            evidence[claim].append(one)
        numbers.append(judged.measured)
        profiles = {name: residual.snr_profile(*states) for name, states in pair.subjects.items()}
        tables["curves"].append(_curves(pair, profiles))
        tables["criteria"].append(_criteria(pair, profiles))
        tables["norm_ratios"].append(_norm_ratios(pair, stream.spawn(1)[0]))
        tables["paths"].append(_paths(pair, judged.resampled))
        tables["shares"].append(_shares(pair, judged.resampled))
    joined = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return DescentResult(**joined, evidence=evidence, seed_spread=seed_spread(numbers, _number))


@dataclass(frozen=True)
class Judged:
    """Evidence of one language by claim, what every subject measured, and the trained model's profile."""

    evidence: dict[str, Evidence]
    measured: dict[str, "Matched"]
    resampled: residual.SnrReplicates


def judge_pair(pair: LanguagePair, *, rng: np.random.Generator) -> Judged:
    """The verdicts' evidence alone, without the tables that a notebook shows."""
    deciding, resampling, planting = rng.spawn(3)
    making, drawing = deciding.spawn(2)
    draws = draw(pair, rng=drawing)
    stacks = geometric_controls(pair, draws, rng=making)
    found, raw = (matched(one, draws) for one in (standardised(pair), pair))
    nearer = judge(STUDY, pair, found | stacks, draws, {RAW: raw | stacks})

    many = draw(pair, rng=resampling, n_resamples=_N_SHARES)
    resampled = {name: _replicates(pair, pair.subjects[name], many) for name in (TRAINED, *pair.re_rounded)}
    planted = accumulation.planted_stacks(pair.scenario[pair.confirmation], many, rng=planting)
    paths = judge(accumulation.STUDY, pair, resampled | planted, many)
    return Judged({EVERY: nearer, accumulation.CLAIM: paths}, found, resampled[TRAINED])


@dataclass(frozen=True)
class Matched:
    """Of a subject: 1 - D_same / D_cross at its best layer, and the interval of the largest rise of log r."""

    nearness: Values | None
    rise: Interval | None


def matched(pair: LanguagePair, draws: GroupDraws) -> dict[str, Matched]:
    """What every subject is judged by; the rise, which the claim as stated is about, of the model alone."""
    models = (TRAINED, *pair.re_rounded)
    measured = {}
    for name in (*models, *pair.random_baselines, *present(pair, PERMUTED, SHUFFLED, PLANTED)):
        states = pair.subjects[name]
        rise = _largest_rise(pair, states, draws) if name in models else None
        measured[name] = Matched(_nearness(pair, states, draws), rise)
    return measured


def matched_statistics(
    measured: Mapping[str, Matched], subject: str, draws: GroupDraws
) -> dict[str, Interval]:
    """Excess of matched over shuffled distances beyond every kind of control, and the largest rise."""
    own, found = measured[subject], {}
    if own.nearness is not None:
        permuted = () if kind_of(subject) in ("random", "random-blocks") else (PERMUTED,)
        others = baselines(measured, subject, permuted)
        values = {name: measured[name].nearness for name in (subject, *others)}
        found["matched_excess"] = excess_over(values, subject, others, 0)
    return found if own.rise is None else {**found, "largest_rise": own.rise}


FALLING, RISING = "null model, falls throughout", "null model with an offset half-way"
STUDY = Study(EVERY, matched_statistics, positive={PLANTED: (), FALLING: ()})


def geometric_controls(
    pair: LanguagePair, draws: GroupDraws, *, rng: np.random.Generator
) -> dict[str, Matched]:
    """A stack whose SNR falls throughout by construction, and the same with an offset half-way."""
    h1, h2 = theory.accumulation_null(len(pair.scenario), rng=rng.spawn(1)[0], dim=1024)
    raised = h2.copy()
    raised[len(h1) // 2 :] += (h2 - h1).mean(1, keepdims=True)[:1]
    stacks = {FALLING: h2, RISING: raised}
    return {name: Matched(None, _largest_rise(pair, (h1, other), draws)) for name, other in stacks.items()}


def _measure(pair: LanguagePair, draws: GroupDraws, rng: np.random.Generator, raw: bool) -> list[Measured]:
    return [matched(one, draws) for one in ([standardised(pair), pair] if raw else [standardised(pair)])]


def _number(found: Matched) -> float:
    return float(found.nearness.estimate[0])


SIMULATION = Simulation(STUDY, plant_content, _measure, _number, ("random", PERMUTED))


def worlds(pairs: Mapping[str, LanguagePair], result: DescentResult) -> Worlds:
    """Simulated pairs like those of a run, in which a share of the scenarios is aligned."""
    return of_pairs(SIMULATION, pairs, result.seed_spread)


def _centred(pair: LanguagePair, states: Pair) -> Pair:
    """States minus their language's mean over the discovery items, layer by layer."""
    return tuple(s - s[:, pair.discovery].mean(1, keepdims=True, dtype=float) for s in states)


def _replicates(pair: LanguagePair, states: Pair, draws: GroupDraws) -> residual.SnrReplicates:
    rows = pair.confirmation
    return residual.snr_replicates(*(s[:, rows] for s in states), pair.scenario[rows], draws.weights)


def _nearness(pair: LanguagePair, states: Pair, draws: GroupDraws) -> Values:
    """1 - D_same / D_cross of centred states at the layer where it is largest on discovery."""
    states, rows = _centred(pair, states), pair.discovery
    chosen = residual.snr_profile(*(s[:, rows] for s in states), groups=pair.scenario[rows])
    with np.errstate(divide="ignore", invalid="ignore"):  # of two items that are opposite in both languages
        nearness = 1 - chosen.d_same / chosen.d_cross
        layer = int(np.argmax(np.where(np.isnan(nearness), -np.inf, nearness)))
        found = _replicates(pair, tuple(s[layer : layer + 1] for s in states), draws)
        estimate, replicates = (1 - p.d_same / p.d_cross for p in (found.estimate, found.replicates))
    return Values(estimate[:1], replicates[:, 0][None], found.n_groups)


def _largest_rise(pair: LanguagePair, states: Pair, draws: GroupDraws) -> Interval:
    """Rise of log r at the layer where it is largest on discovery items."""
    chosen = residual.snr_profile(*(s[:, pair.discovery] for s in states))
    with np.errstate(divide="ignore", invalid="ignore"):  # of languages that do not differ
        layer = int(np.argmax(np.diff(np.log(chosen.snr))))
        found = _replicates(pair, tuple(s[layer : layer + 2] for s in states), draws)
        estimate, replicates = (np.diff(np.log(p.snr)) for p in (found.estimate, found.replicates))
    return interval_of(estimate[0], replicates[:, 0], found.n_groups)


def _curves(pair: LanguagePair, profiles: Mapping[str, residual.SnrProfile]) -> pd.DataFrame:
    tables = []
    for name, profile in profiles.items():
        centred = residual.snr_profile(*_centred(pair, pair.subjects[name]))
        columns = {
            "layer": np.arange(len(profile.snr)),
            "snr": profile.snr,
            "snr_centered": profile.snr_centered,
            "matched": 1 - centred.d_same / centred.d_cross,
        }
        tables.append(pd.DataFrame({"language": pair.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _criteria(pair: LanguagePair, profiles: Mapping[str, residual.SnrProfile]) -> pd.DataFrame:
    rows = []
    for name, p in profiles.items():
        falls = np.diff(p.snr) < 0
        rows.append(
            {
                "language": pair.language,
                "subject": name,
                "layers": len(falls),
                "falls": falls.sum(),
                "as stated": p.improves_orthogonal.sum(),
                "exact": p.improves_exact.sum(),
                "as stated right": (p.improves_orthogonal == falls).sum(),
                "exact right": (p.improves_exact == falls).sum(),
                "largest |C_s|/D_same": _largest_share(p.cross_same, p.d_same[:-1]),
                "identity error": max(identity_errors(p)),
                "snr at the end": p.snr[-1],
                "floor without cross-terms": theory.snr_floor(p.snr[0], p.delta_sq / p.sigma_sq),
            }
        )
    return pd.DataFrame(rows)


def _largest_share(cross: np.ndarray, distance: np.ndarray) -> float:
    """Largest |cross-term| relative to a distance; NaN where two languages have the same states."""
    return float(np.max(np.abs(cross / distance))) if (distance > 0).all() else np.nan


def _norm_ratios(pair: LanguagePair, rng: np.random.Generator, n_shuffles: int = 50) -> pd.DataFrame:
    x, y = pair.subjects[TRAINED]
    shuffles = np.argsort(rng.random((n_shuffles, x.shape[1])), axis=1)
    columns = {
        "layer": np.arange(len(x) - 1),
        "ratio": residual.snr_profile(x, y).norm_ratio,
        "shuffled": residual.shuffled_norm_ratio(x, y, shuffles).mean(0),
        "shuffled, centred": residual.shuffled_norm_ratio(x, y, shuffles, center=True).mean(0),
    }
    return pd.DataFrame({"language": pair.language, **columns})


def _paths(pair: LanguagePair, found: residual.SnrReplicates) -> pd.DataFrame:
    shares = accumulation_shares(found.estimate)
    paths = {name: getattr(shares, attribute) for name, attribute in PATHS.items()}
    rows = [(pair.language, name, k, value) for name, path in paths.items() for k, value in enumerate(path)]
    return pd.DataFrame(rows, columns=["language", "path", "layer", "log_r"])


def _shares(pair: LanguagePair, found: residual.SnrReplicates) -> pd.DataFrame:
    estimate, replicates = (accumulation_shares(p) for p in (found.estimate, found.replicates))
    rows = []
    for i, part in enumerate(PARTS):
        interval = interval_of(estimate.shares[i], replicates.shares[:, i], found.n_groups)
        rows.append((pair.language, part, float(interval.estimate), interval.low, interval.high))
    return pd.DataFrame(rows, columns=["language", "part", "share", "low", "high"])

"""Conjecture 5: are the layers busier with harder problems, and does the snr fall more slowly for it?

Theorem 2 reads r' - r = w~ (q~ - r). In the closed form of `theory.pace`, more activity alone moves r
*faster* towards q. Only contributions that agree less (a larger q) keep it high.

On a model there are three slopes per level of difficulty, each averaged over layers: *activity*, of log
sigma_k^2; *conflict*, of q_k = E|delta_k|^2 / sigma_k^2; *snr*, of log r_k from layer 1 on. Each language's
mean over the discovery items of a level is subtracted first: what separates languages is no part of a
problem. Where a level changes how much of a text is the item's own, all three follow: the levels have to be
comparable (`levels.content_change`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from ... import theory
from ...measures import residual
from ...measures.resampling import GroupDraws, Interval, draw_groups, interval_of
from .. import study
from ..error_rates import Size, Worlds
from ..language_pairs import PERMUTED, PLANTED, SHUFFLED, TRAINED, LanguagePair, Pair, spread, standardised
from ..rules import Evidence
from ..study import N_RESAMPLES, RAW, Study, Values, draw, present
from .levels import (
    CONTENT,
    PERMUTED_LEVELS,
    content_change,
    permuted_levels,
    simulated_worlds,
    slope_per_level,
)

IN_THEORY, IN_MODELS = "conjecture_5_pace", "conjecture_5_in_models"
SLOPES = ("activity", "conflict", "snr")
ACTIVITY_ALONE = "activity alone planted"
GAINS = (1.0, 1.5, 2.0)
WORLD = {"r_0": 1.6, "q": 0.8, "step": 0.2}
THRESHOLD, N_LAYERS, WORSE_Q = 0.99, 24, 0.92
_N_ITEMS, _FEWEST = 400, 6


@dataclass(frozen=True)
class ActivityResult:
    """Activity, conflict and snr by level of difficulty, confirmation items, every dimension of equal weight.

    levels : language, subject, level, layer, snr, activity (sigma^2), q, and q~, w~ of the mixing.
    slopes : language, subject, and the slopes per level of `SLOPES`.
    evidence : of `IN_MODELS`, one per language.
    """

    levels: pd.DataFrame
    slopes: pd.DataFrame
    evidence: list[Evidence]


def pace_evidence(*, rng: np.random.Generator) -> tuple[Evidence, pd.DataFrame]:
    """Checks of conjecture 5 in closed form, and a table of depths, in closed form and in sampled stacks."""
    rows = {}
    for gain, stream in zip(GAINS, rng.spawn(len(GAINS)), strict=True):
        rows[f"gain {gain:g}"] = _depths(gain, WORLD["q"], stream)
    rows[f"gain 1.5, q {WORSE_Q:g}"] = _depths(1.5, WORSE_Q, rng.spawn(1)[0])
    table = pd.DataFrame.from_dict(rows, orient="index")
    alone = table.iloc[: len(GAINS)]
    checks = {
        "symbolic_pace": theory.prove_pace() == dict.fromkeys(("step", "activity", "quality", "depth"), 0),
        "activity_alone_is_faster": bool((np.diff(alone["closed form"]) < 0).all()),
        "stacks_follow": bool((table["largest error of the snr"] < 0.05).all()),
        "worse_quality_is_slower": bool(table["closed form"].iloc[-1] > table["closed form"].iloc[0]),
    }
    return Evidence(checks=checks), table


def activity_by_difficulty(
    pairs: Mapping[str, LanguagePair], levels: np.ndarray, *, rng: np.random.Generator
) -> ActivityResult:
    """Conjecture 5 on a model; `levels` (n,) is the difficulty of each item.

    Raises ParameterError as `study.require`: fewer than two levels, or a scenario that lacks one of them.
    """
    levels = np.asarray(levels)
    study.require(IN_MODELS, pairs, levels=levels)
    by_level, slopes, evidence = [], [], []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        found, slopes_of = judge_levels(pair, levels, rng=stream)
        evidence.append(found)
        by_level.append(_levels(standardised(pair), levels))
        slopes += [(pair.language, name, *values.estimate) for name, values in slopes_of.items()]
    table = pd.DataFrame(slopes, columns=["language", "subject", *SLOPES])
    return ActivityResult(pd.concat(by_level, ignore_index=True), table, evidence)


def judge_levels(
    pair: LanguagePair,
    levels: np.ndarray,
    *,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
    beside: bool = True,
) -> tuple[Evidence, dict[str, Values]]:
    """Evidence of one pair, and the slopes of its subjects with every dimension of equal weight.

    `beside` puts what dimensions as they are give beside the verdict.
    """
    making, permuting, drawing = rng.spawn(3)
    draws = draw(pair, rng=drawing, n_resamples=n_resamples)
    whole = replace(pair, subjects=subjects_of(pair, levels, making))
    permuted = permuted_levels(pair.scenario, levels, permuting)
    found = []
    for one in (standardised(whole), whole)[: 1 + beside]:
        slopes = {name: level_slopes(one, states, levels, draws) for name, states in one.subjects.items()}
        slopes[PERMUTED_LEVELS] = level_slopes(one, one.subjects[TRAINED], permuted, draws)
        content = {CONTENT: content_change(one, levels, draws)} if one.random_baselines else {}
        found.append((slopes, {**slopes, **content}))
    (slopes, measured), *others = found
    raw = {RAW: others[0][1]} if beside else {}
    return study.judge(STUDY, pair, measured, draws, raw), slopes


def sensitivity(
    pairs: Mapping[str, LanguagePair], other: Mapping[str, LanguagePair], levels: np.ndarray
) -> pd.DataFrame:
    """Slopes of the trained model and its highest random-weight baseline under other choices.

    `other` holds pairs of the same items pooled over all tokens; nothing where they are not there. Columns
    are (language, "trained" or "highest baseline").
    """
    choices = {
        "primary: all layers": (pairs, slice(None)),
        "first half of the layers": (pairs, 0),
        "second half of the layers": (pairs, 1),
        "mean over all tokens": (other, slice(None)),
    }

    def slope(which: int, half: int | slice, pair: LanguagePair) -> dict[str, float]:
        pair = standardised(pair)
        names = (TRAINED, *pair.random_baselines)
        by_layer = {name: _layer_slopes(pair, pair.subjects[name], levels)[which] for name in names}
        parts = {n: [v] if isinstance(half, slice) else np.array_split(v, 2) for n, v in by_layer.items()}
        return {name: part[0 if isinstance(half, slice) else half].mean() for name, part in parts.items()}

    rows = {
        (name, words): (chosen, partial(slope, i, half))
        for name, (chosen, half) in choices.items()
        for i, words in enumerate(SLOPES)
    }
    return study.compare_choices(rows, "highest baseline")


def by_generation_length(
    read: Mapping[str, tuple[LanguagePair, np.ndarray]], *, rng: np.random.Generator
) -> pd.DataFrame:
    """The three slopes between a scenario's story that is solved in fewer tokens and the one that takes more.

    `read` : language -> pair and (n,) tokens of the solutions of each item, NaN where there is none, as
    `problem_depth.read_generation_lengths` gives them. Of every scenario the shortest and the longest count,
    where they differ. Rows (language, slope) with estimate, low, high and the number of confirmation
    scenarios; no language with fewer than `_FEWEST` of them.
    """
    rows, columns = {}, ["estimate", "low", "high", "scenarios"]
    for language, (pair, lengths) in read.items():
        ranks = _ranks(lengths, pair.scenario)
        chosen = pair.confirmation & (ranks == 0)
        if chosen.sum() < _FEWEST or not (pair.discovery & (ranks == 0)).any():
            continue
        draws = draw_groups(pair.scenario[chosen], study.N_RESAMPLES, rng=rng.spawn(1)[0])
        equal = standardised(pair)
        found = [_replicates(equal, equal.subjects[TRAINED], ranks == rank, draws) for rank in (0, 1)]
        one, many = (
            np.subtract(*(_by_layer(getattr(f, kind)).mean(-1) for f in found[::-1]))
            for kind in ("estimate", "replicates")
        )
        for i, name in enumerate(SLOPES):
            interval = interval_of(one[i], many[i], found[0].n_groups)
            numbers = (interval.estimate, interval.low, interval.high, int(chosen.sum()))
            rows[language, name] = dict(zip(columns, numbers, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _ranks(lengths: np.ndarray, scenario: np.ndarray) -> np.ndarray:
    """(n,) 0 for the shortest item of a scenario, 1 for the longest, -1 for all others."""
    ranks = np.full(len(lengths), -1)
    for name in np.unique(scenario):
        rows = np.flatnonzero((scenario == name) & np.isfinite(lengths))
        if len(rows) and np.ptp(lengths[rows]) > 0:
            ranks[rows[np.argmin(lengths[rows])]], ranks[rows[np.argmax(lengths[rows])]] = 0, 1
    return ranks


def slope_statistics(measured: Mapping[str, Values], subject: str, draws: GroupDraws) -> dict[str, Interval]:
    """Slopes beyond those of random-weight baselines and of permuted embeddings, and the change of content.

    That is one of the texts, the same whatever subject is judged.
    """
    over = study.baselines(measured, subject, (PERMUTED,))
    excess = study.excesses(measured, subject, over, SLOPES)
    return {**excess, "content_change": measured[CONTENT]}


STUDY = Study(
    IN_MODELS,
    slope_statistics,
    positive={PLANTED: (), ACTIVITY_ALONE: ("activity_excess",)},
    unjudged=(CONTENT,),
)


def worlds(size: Size, n_levels: int) -> Worlds:
    """Pairs of such a size, in which each further question adds noise of a language's own."""
    return simulated_worlds(IN_MODELS, judge_levels, size, n_levels)


def subjects_of(pair: LanguagePair, levels: np.ndarray, rng: np.random.Generator) -> dict[str, tuple]:
    """The pair's subjects, and pairs with a known dependence on the level made from its trained anchor."""
    names = (TRAINED, *pair.random_baselines, *present(pair, PERMUTED), *pair.re_rounded)
    subjects = {name: pair.subjects[name] for name in names}
    if SHUFFLED in pair.subjects:
        first, second = rng.spawn(2)
        subjects[PLANTED] = plant_difficulty(pair, levels, rng=first)
        subjects[ACTIVITY_ALONE] = plant_difficulty(pair, levels, noise=0.0, rng=second)
    return subjects


def plant_difficulty(
    pair: LanguagePair,
    levels: np.ndarray,
    *,
    rng: np.random.Generator,
    gain: float = 0.15,
    noise: float = 0.6,
) -> tuple[np.ndarray, np.ndarray]:
    """The trained anchor twice, the second time with noise of its own, so that the level decides both.

    All contributions are scaled by exp(gain x level), and each layer adds noise of standard deviation (1/2 +
    noise x level) in units of its contributions' spread to the second language.
    """
    anchor = np.asarray(pair.subjects[TRAINED][0], float)
    rank = np.unique(levels, return_inverse=True)[1][:, None]
    steps = np.diff(anchor, axis=0) * np.exp(gain * rank)
    own = rng.standard_normal(steps.shape) / np.sqrt(steps.shape[-1]) * spread(steps) * (0.5 + noise * rank)
    return tuple(np.concatenate([anchor[:1], added]).cumsum(0) for added in (steps, steps + own))


def _depths(gain: float, q: float, rng: np.random.Generator) -> dict[str, float]:
    exact = theory.pace_snr(WORLD["r_0"], q, WORLD["step"], N_LAYERS, gain=gain)
    stack = theory.pace_stack(_N_ITEMS, rng=rng, gain=gain, n_layers=N_LAYERS, **{**WORLD, "q": q})
    profile = residual.snr_profile(*stack)
    return {
        "closed form": int(theory.first_below(exact, THRESHOLD)),
        "sampled stack": int(theory.first_below(profile.snr, THRESHOLD)),
        "largest error of the snr": float(np.abs(profile.snr - exact).max()),
    }


def level_slopes(pair: LanguagePair, states: Pair, levels: np.ndarray, draws: GroupDraws) -> Values:
    """The three slopes of a subject; all levels draw the same scenarios."""
    found = [_replicates(pair, states, levels == level, draws) for level in np.unique(levels)]
    one, many = (
        slope_per_level(np.stack([_by_layer(getattr(f, kind)).mean(-1) for f in found], axis=-1))
        for kind in ("estimate", "replicates")
    )
    return Values(one, many, draws.n_groups)


def _replicates(
    pair: LanguagePair, states: Pair, rows: np.ndarray, draws: GroupDraws
) -> residual.SnrReplicates:
    scenario = pair.scenario[rows & pair.confirmation]
    return residual.snr_replicates(*_centred(pair, states, rows), scenario, draws.weights)


def _profile(pair: LanguagePair, states: Pair, rows: np.ndarray) -> residual.SnrProfile:
    """Profile of the confirmation items of a level."""
    return residual.snr_profile(*_centred(pair, states, rows), groups=pair.scenario[rows & pair.confirmation])


def _centred(pair: LanguagePair, states: Pair, rows: np.ndarray) -> Pair:
    """Confirmation items of a level, minus their language's mean over that level's discovery items."""
    mean, read = rows & pair.discovery, rows & pair.confirmation
    return tuple(s[:, read] - s[:, mean].mean(1, keepdims=True, dtype=float) for s in states)


def _by_layer(profile: residual.SnrProfile) -> np.ndarray:
    """(3, ..., L) log activity and q of every layer, and log snr of the state after it."""
    conflict = profile.delta_sq / profile.sigma_sq
    return np.stack([np.log(profile.sigma_sq), conflict, np.log(profile.snr[..., 1:])])


def _layer_slopes(pair: LanguagePair, states: Pair, levels: np.ndarray) -> np.ndarray:
    """(3, L) slopes per level, of every layer."""
    found = [_by_layer(_profile(pair, states, levels == level)) for level in np.unique(levels)]
    return slope_per_level(np.stack(found, axis=-1))


def _levels(pair: LanguagePair, levels: np.ndarray) -> pd.DataFrame:
    tables = []
    for name in (TRAINED, *pair.random_baselines):
        for level in np.unique(levels):
            profile = _profile(pair, pair.subjects[name], levels == level)
            quality, weight = residual.mixing(profile)
            columns = {"layer": np.arange(len(weight)), "snr": profile.snr[:-1], "q~": quality, "w~": weight}
            columns |= {"activity": profile.sigma_sq, "q": profile.delta_sq / profile.sigma_sq}
            place = {"language": pair.language, "subject": name, "level": int(level)}
            tables.append(pd.DataFrame({**place, **columns}))
    return pd.concat(tables, ignore_index=True)

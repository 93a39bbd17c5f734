"""Prediction 4: do harder problems align later?

An item's *area* is its margin (own minus best wrong cosine, centred) averaged over layers; wrong are the
items of other scenarios at the same level, since those of another level may tell the same story. An item that
aligns later, or less well, has a smaller one. The slope of the area per level of difficulty is the mean of
the slopes within scenarios (`measures.margins`), in standard deviations between the items of one level. The
wording of a question moves the area of random-weight baselines too: the loss has to exceed theirs. Where a
level changes how much of a text is the item's own, margins change with it: `levels.content_change` has to be
next to nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...errors import MeasureError
from ...measures import alignment, margins
from ...measures.resampling import GroupDraws, Interval
from ...sources import corpora
from ...states.generation import recordings
from ..error_rates import Size, Worlds
from ..language_pairs import (
    PERMUTED,
    PLANTED,
    SHUFFLED,
    TRAINED,
    VARIANTS,
    LanguagePair,
    open_pairs,
    spread,
    standardised,
)
from ..rules import Evidence
from ..study import N_RESAMPLES, RAW, Study, Values, baselines, draw, excesses, judge, present, require
from .levels import CONTENT, PERMUTED_LEVELS, content_change, permuted_levels, simulated_worlds

CLAIM = "prediction_4_problem_depth"
OTHER_CHOICE = "mean over all tokens"
_N_DRAWS = 2000
# noise that is planted a level, in units of the states' spread
_PLANTED_NOISE = 0.8
_FEWEST = 12


@dataclass(frozen=True)
class ProblemDepth:
    """Areas and their slope on difficulty, every dimension of equal weight.

    areas : language, subject, item, scenario, category, level, area, tokens (of both texts); confirmation
        items.
    slopes : language, subject, estimate, low, high (standard deviations of a level's areas per level), p
        (trained: permutation of levels within scenarios).
    margins : language, subject, level, layer, margin (mean).
    evidence : of `CLAIM`, one per language.
    """

    areas: pd.DataFrame
    slopes: pd.DataFrame
    margins: pd.DataFrame
    evidence: list[Evidence]


def problem_depth(
    pairs: Mapping[str, LanguagePair], items: pd.DataFrame, *, rng: np.random.Generator
) -> ProblemDepth:
    """Prediction 4 on a model; `items` is the corpus's table, with columns item, category and difficulty.

    Raises ParameterError as `study.require`, MeasureError as `margins.difficulty_slope`.
    """
    levels = items["difficulty"].to_numpy()
    require(CLAIM, pairs, levels=levels)
    tables, slopes, curves, evidence = [], [], [], []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        judging, permuting = stream.spawn(2)
        found, measured, slopes_of = judge_levels(pair, levels, rng=judging)
        rows = pair.confirmation
        area, strata = measured[TRAINED].mean(0)[rows], pair.scenario[rows]
        test = margins.difficulty_permutation(area, levels[rows], strata, strata, rng=permuting)
        evidence.append(found)
        tables += [_areas(pair, items, name, measured[name]) for name in (TRAINED, *pair.random_baselines)]
        curves += [_curve(pair, levels, name, measured[name]) for name in (TRAINED, *pair.random_baselines)]
        slopes += [
            (pair.language, n, s.estimate, s.low, s.high, test.pvalue if n == TRAINED else np.nan)
            for n, s in slopes_of.items()
        ]
    areas, by_layer = (pd.concat(t, ignore_index=True) for t in (tables, curves))
    table = pd.DataFrame(slopes, columns=["language", "subject", "estimate", "low", "high", "p"])
    return ProblemDepth(areas, table, by_layer, evidence)


def judge_levels(
    pair: LanguagePair,
    levels: np.ndarray,
    *,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
    beside: bool = True,
) -> tuple[Evidence, dict[str, np.ndarray], dict[str, Interval]]:
    """Evidence of one pair; by subject, with every dimension of equal weight, margins (L+1, n) and slopes.

    `beside` puts what dimensions as they are give beside the verdict.
    """
    making, permuting, drawing, *judging = rng.spawn(5)
    whole = replace(pair, subjects=subjects_of(pair, levels, making))
    permuted = permuted_levels(pair.scenario, levels, permuting)
    draws = draw(pair, rng=drawing, n_resamples=n_resamples)
    found = []
    for one, stream in zip((standardised(whole), whole)[: 1 + beside], judging, strict=False):
        measured = {name: item_margins(one, states, levels) for name, states in one.subjects.items()}
        slopes = level_slopes(one, measured, levels, permuted, rng=stream)
        losses = {name: area_loss(slope) for name, slope in slopes.items()}
        if one.random_baselines:
            losses[CONTENT] = content_change(one, levels, draws)
        found.append((losses, measured, slopes))
    (losses, measured, slopes), *others = found
    raw = {RAW: others[0][0]} if beside else {}
    return judge(STUDY, pair, losses, draws, raw), measured, slopes


def subjects_of(pair: LanguagePair, levels: np.ndarray, rng: np.random.Generator) -> dict[str, tuple]:
    """The pair's subjects, and a planted one: the trained anchor, blurred in proportion to the level."""
    names = (TRAINED, *pair.random_baselines, *present(pair, PERMUTED, SHUFFLED), *pair.re_rounded)
    subjects = {name: pair.subjects[name] for name in names}
    anchor = np.asarray(pair.subjects[TRAINED][0], float)
    rank = np.unique(levels, return_inverse=True)[1][:, None]
    blur = rng.standard_normal(anchor.shape) / np.sqrt(anchor.shape[-1]) * spread(anchor)
    subjects[PLANTED] = (anchor, anchor + (0.5 + _PLANTED_NOISE * rank) * blur)
    return subjects


def item_margins(pair: LanguagePair, states: tuple[np.ndarray, np.ndarray], levels: np.ndarray) -> np.ndarray:
    """(L+1, n) margins of confirmation items among those of their level; NaN for discovery items.

    States are centred by the discovery items of the level. Where every level asks about one story, the same
    story at another level is no wrong candidate, and what a question adds to all items of a level is not
    theirs.
    """
    found = np.full((len(states[0]), len(levels)), np.nan)
    for level in np.unique(levels):
        rows, mean = pair.confirmation & (levels == level), pair.discovery & (levels == level)
        means = tuple(s[:, mean].mean(1, keepdims=True, dtype=float) for s in states)
        layers = zip(*(s[:, rows] for s in states), *means, strict=True)
        scores = np.stack([alignment.similarity(x, y, center=(a, b)) for x, y, a, b in layers])
        found[:, rows] = margins.margins(scores, groups=pair.scenario[rows], level="between")
    return found


def level_slopes(
    pair: LanguagePair,
    measured: Mapping[str, np.ndarray],
    levels: np.ndarray,
    permuted: np.ndarray,
    *,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """Slope of every subject on the confirmation items, and of the trained one on `permuted` levels (n,)."""
    rows = pair.confirmation
    read = {name: (m, levels) for name, m in measured.items()}
    read[PERMUTED_LEVELS] = (measured[TRAINED], permuted)
    return {
        name: slope_interval(m.mean(0)[rows], of_item[rows], pair.scenario[rows], rng=stream)
        for (name, (m, of_item)), stream in zip(read.items(), rng.spawn(len(read)), strict=True)
    }


def slope_interval(area, level, scenario, *, rng: np.random.Generator) -> Interval:
    """The slope within scenarios as an interval; its replicates are draws from its sampling distribution.

    The unit is the standard deviation of the areas of one level, pooled over levels: where one story is told
    at every level, areas within a scenario differ by nothing but the level.
    """
    found = margins.difficulty_slope(area, level, scenario)
    scale = found.unit / _spread_at_a_level(area, level)
    drawn = found.slope + found.se * rng.standard_t(found.n_groups - 1, _N_DRAWS)
    low, high = (scale * limit for limit in found.interval)
    return Interval(scale * found.slope, low, high, scale * drawn, 0.95, found.n_groups)


def _spread_at_a_level(area: np.ndarray, level: np.ndarray) -> float:
    codes = np.unique(level, return_inverse=True)[1]
    counts = np.bincount(codes)
    left = area - (np.bincount(codes, area) / counts)[codes]
    return float(np.sqrt(left @ left / (len(area) - len(counts))))


def area_loss(slope: Interval) -> Values:
    """The area lost per level: the slope with its sign turned."""
    return Values(np.array([-slope.estimate]), -slope.replicates[None], slope.n_groups)


def loss_statistics(measured: Mapping[str, Values], subject: str, draws: GroupDraws) -> dict[str, Interval]:
    """The area lost per level beyond what random-weight baselines and permuted embeddings lose, and content.

    The change of content is that of the texts, the same whatever subject is judged.
    """
    excess = excesses(measured, subject, baselines(measured, subject, (PERMUTED,)), ("area_loss",))
    return {**excess, "content_change": measured[CONTENT]}


STUDY = Study(CLAIM, loss_statistics, unjudged=(CONTENT,))


def worlds(size: Size, n_levels: int) -> Worlds:
    """Pairs of such a size, in which each further question adds noise of a language's own."""
    return simulated_worlds(CLAIM, judge_levels, size, n_levels)


def sensitivity(
    pairs: Mapping[str, LanguagePair], items: pd.DataFrame, other: Mapping[str, LanguagePair]
) -> pd.DataFrame:
    """Slope of the trained model under other choices: one row per choice and language, NaN without a fit.

    `other` holds pairs of the same items pooled over all tokens.
    """
    levels = items["difficulty"].to_numpy()
    rows = {}
    for language, pair in pairs.items():
        chosen = pair.confirmation
        equal = standardised(pair)
        found = item_margins(equal, equal.subjects[TRAINED], levels)
        half = len(found) // 2
        choices = {
            "primary: mean over all layers": (found.mean(0), None),
            "first half of the layers": (found[:half].mean(0), None),
            "second half of the layers": (found[half:].mean(0), None),
        }
        if pair.tokens is not None and np.ptp(length := np.add(*pair.lengths())[chosen]) > 0:
            choices["length as a covariate"] = (found.mean(0), length)
        if language in other:
            mean = standardised(other[language])
            choices[OTHER_CHOICE] = (item_margins(mean, mean.subjects[TRAINED], levels).mean(0), None)
        for name, (area, covariates) in choices.items():
            data = tuple(one[chosen] for one in (area, levels, pair.scenario))
            unit = _spread_at_a_level(*data[:2])
            rows[name, language] = _limits_of(*data, covariates=covariates, unit=unit)
        for category, kept in items[chosen].groupby("category").groups.items():
            data = tuple(one[kept] for one in (found.mean(0), levels, pair.scenario))
            if len(np.unique(data[-1])) >= 3:
                unit = _spread_at_a_level(*data[:2])
                rows[f"category {category}", language] = _limits_of(*data, unit=unit)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["choice", "language"])
    return table


def by_generation_length(
    model: str, path: str, languages: Sequence[str], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Slope of the area on how long the model writes to solve a story: one row per language.

    Arguments and stories as in `read_generation_lengths`; length is its logarithm, in standard deviations;
    so is the area, within scenarios. Stories of all lengths are candidates.
    Columns slope, low, high, stories; no slope where fewer than `_FEWEST` confirmation items have a solution,
    or no scenario has two.
    """
    columns = ["slope", "low", "high", "stories"]
    read = read_generation_lengths(model, path, languages, rng=rng)
    rows = {}
    for language, (pair, length) in read.items():
        known = pair.confirmation & np.isfinite(length)
        rows[language] = {"slope": np.nan, "low": np.nan, "high": np.nan, "stories": int(known.sum())}
        if known.sum() < _FEWEST or pd.Series(pair.scenario[known]).value_counts().max() < 2:
            continue
        equal, all_alike = standardised(pair), np.zeros(len(length))
        area = item_margins(equal, equal.subjects[TRAINED], all_alike).mean(0)[known]
        scaled = np.log(length[known])
        rows[language] |= _limits_of(area, scaled / scaled.std(), pair.scenario[known])
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("language")


def read_generation_lengths(
    model: str, path: str, languages: Sequence[str], *, rng: np.random.Generator
) -> dict[str, tuple[LanguagePair, np.ndarray]]:
    """Pairs of the stories of recordings, in words, and (n,) mean tokens of their solutions, NaN without one.

    `path` is a file of recordings; without one, or where it is of another model, there is no pair. Solutions
    that loop or run into the limit have no length.
    """
    traces = recordings.load(path) if path else None
    if traces is None or traces.about["model"]["model"] != model:
        return {}
    told = {name: traces.about[name] for name in ("n_draws", "difficulty", "seed")}
    texts = corpora.load("number-stories", ["en", *languages], version="spelled-out", **told)
    pairs = open_pairs(model, texts, rng=rng, variants=VARIANTS[:1], progress=False)
    written = traces.outcomes[~traces.outcomes["looping"] & (traces.outcomes["stopped"] != "length")]
    found = {}
    for language, pair in pairs.items():
        lengths = written[written["language"] == language].groupby("item")["n_steps"].mean()
        found[language] = pair, texts.items["item"].map(lengths).to_numpy(float)
    return found


def _limits_of(*data, covariates=None, unit: float | None = None) -> dict[str, float]:
    """Slope and its limits, NaN where the items do not determine them: rows beside the one that is judged.

    `unit`, in units of the area, takes the place of the standard deviation within scenarios.
    """
    try:
        found = margins.difficulty_slope(*data, covariates=covariates)
    except MeasureError:
        return dict.fromkeys(("slope", "low", "high"), np.nan)
    scale = found.unit / unit if unit else 1.0
    limits = (found.slope, *found.interval)
    return {name: scale * x for name, x in zip(("slope", "low", "high"), limits, strict=True)}


def _areas(pair: LanguagePair, items: pd.DataFrame, subject: str, found: np.ndarray) -> pd.DataFrame:
    rows = pair.confirmation
    columns = {
        "language": pair.language,
        "subject": subject,
        "item": items["item"].to_numpy()[rows],
        "scenario": pair.scenario[rows],
        "category": items["category"].to_numpy()[rows],
        "level": items["difficulty"].to_numpy()[rows],
        "area": found.mean(0)[rows],
    }
    if pair.tokens is not None:
        columns["tokens"] = np.add(*pair.lengths())[rows]
    return pd.DataFrame(columns)


def _curve(pair: LanguagePair, levels: np.ndarray, subject: str, found: np.ndarray) -> pd.DataFrame:
    tables = []
    for level in np.unique(levels):
        rows = pair.confirmation & (levels == level)
        columns = {"layer": np.arange(len(found)), "margin": found[:, rows].mean(1)}
        place = {"language": pair.language, "subject": subject, "level": int(level)}
        tables.append(pd.DataFrame({**place, **columns}))
    return pd.concat(tables, ignore_index=True)

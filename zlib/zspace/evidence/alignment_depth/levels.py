"""Levels of difficulty: what makes them comparable, and simulated corpora in which they are, or are not.

Symbols: `levels` (n,) the difficulty of each item; c_k the share of a text of level k that is the item's own,
the rest being what all items of that level say. Where c_k rises with the level and noise does not, margins
grow, the snr falls and activity rises although every level is equally well aligned: *dilution*. A network
with random weights reads the same texts and understands none of them, so that the distance between its items
of one level measures c_k^2 (`content_change`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ...measures.resampling import GroupDraws, Interval, interval_of, stratified_permutations
from ..claims import rule
from ..error_rates import Simulate, Size, Worlds
from ..language_pairs import TRAINED, VARIANTS, LanguagePair, with_controls
from ..rules import Evidence, bound_of
from ..study import excess_by_kind

PERMUTED_LEVELS = "levels permuted"
CONTENT = "content by level"
# of a simulated state, in units of the story's: a language's own part, and what the question adds to a model
# and to a network with random weights (one story asked at all levels: a share of 10^-3 of its distances)
_NOISE, _ASKED, _WORDING = 0.7, 0.3, 0.03
# growths of noise that are tried, simulations of each, and what those and error rates are simulated with
_GROWTHS, _N_CALIBRATION = (0.0, 0.05, 0.1, 0.2, 0.4), 8
_SMALL, _N_RESAMPLES = {"n_layers": 2, "dim": 24}, 200


def permuted_levels(scenario: np.ndarray, levels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Levels (n,) permuted within scenarios: a control in which difficulty means nothing."""
    return levels[stratified_permutations(scenario, n_shuffles=1, rng=rng)[0]]


def slope_per_level(values: np.ndarray) -> np.ndarray:
    """Least-squares slope over the last axis, levels one apart."""
    level = np.arange(values.shape[-1]) - (values.shape[-1] - 1) / 2
    return values @ level / (level**2).sum()


def content_change(pair: LanguagePair, levels: np.ndarray, draws: GroupDraws) -> Interval:
    """How much what items have of their own changes per level, in random-weight baselines; >= 0.

    The size of the slope of log D_diff, the mean squared distance between confirmation items of different
    scenarios at one level, mean over layers, in the language where it is larger; mean over baselines, whose
    spread counts as an error. With c_k the share of a text that is an item's own, it is that of log c_k^2.
    """
    names = pair.random_baselines
    found = [
        {n: _spread_slope(pair, pair.subjects[n][side], levels, draws) for n in names} for side in (0, 1)
    ]

    def of_language(slopes: Mapping[str, tuple[float, np.ndarray]]) -> Interval:
        def mean_of(names) -> Interval:
            one, many = (np.mean([slopes[name][i] for name in names], axis=0) for i in (0, 1))
            return interval_of(one, many, draws.n_groups)

        return _size(excess_by_kind("", names, mean_of, lambda name: slopes[name][0]))

    return max(map(of_language, found), key=lambda interval: interval.estimate)


def content_table(evidence: Sequence[Evidence]) -> pd.DataFrame:
    """`content_change` with its limits, one row per language; empty where nothing was measured."""
    found = {one.language: one.statistics["content_change"] for one in evidence if one.unavailable is None}
    rows = {name: {"estimate": i.estimate, "low": i.low, "high": i.high} for name, i in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "low", "high"])


def lengths_by_level(pairs: Mapping[str, LanguagePair], levels: np.ndarray) -> pd.DataFrame:
    """Mean number of tokens by level, of the anchor and of every language; empty without token ids."""
    columns = {}
    for language, pair in pairs.items():
        if pair.tokens is not None:
            anchor, own = pair.lengths()
            columns |= {"anchor": anchor, language: own}
    return pd.DataFrame(columns).groupby(levels).mean().rename_axis("level") if columns else pd.DataFrame()


def simulated_levels(
    growth: float = 0.0,
    dilution: float = 0.0,
    *,
    rng: np.random.Generator,
    n_scenarios: int = 30,
    n_draws: int = 1,
    n_levels: int = 5,
    n_layers: int = 6,
    dim: int = 32,
) -> tuple[LanguagePair, np.ndarray]:
    """A pair of languages that read one story at every level, and the level (n,) of each item.

    The trained model shares the story across languages, and each language adds noise of its own; `growth` is
    how much more noise the question of each further level adds, in units of the story. All subjects are
    walks over layers with an offset per language and level; only the trained one shares anything. With
    `dilution`, the content of a level, in all subjects, is exp(`dilution`) times that of the level before,
    which is what filling up easier stories gives.
    """
    splitting, tokens, controls, *streams = rng.spawn(3 + len(VARIANTS))
    index = np.indices((n_scenarios, n_draws, n_levels)).reshape(3, -1)
    share = np.exp(dilution * (index[2] - n_levels + 1))[:, None]
    made = {
        one.name: _read(index, share, growth, stream, n_layers, dim, shares=one.name == TRAINED)
        for one, stream in zip(VARIANTS, streams, strict=True)
    }
    scenario = index[0].astype(str)
    pair = LanguagePair(
        language="simulated",
        subjects=made,
        scenario=scenario,
        group=scenario,
        discovery=np.isin(index[0], splitting.permutation(n_scenarios)[: n_scenarios // 3]),
        tokens=tuple(tokens.integers(0, 5000, (len(scenario), 12)) for _ in range(2)),
    )
    return with_controls(pair, rng=controls), index[2] + 1


def simulated_worlds(claim: str, judge_levels: Callable, size: Size, n_levels: int) -> Worlds:
    """Worlds of `simulated_levels` with as many scenarios, levels and items in each as a corpus has.

    The growth of noise at which the primary statistic lies on its bound, or at twice that, is interpolated
    between the means of a few simulations; `judge_levels(pair, levels, rng=...)` gives evidence first.
    """
    n_draws = max(1, size.n_draws // n_levels)
    shape = {"n_scenarios": size.n_scenarios, "n_draws": n_draws, "n_levels": n_levels}
    rules = rule(claim)
    _, bound, _ = bound_of(rules["rules"]["as_corrected"][rules["primary"]])

    def evidence(growth: float, rng: np.random.Generator) -> Evidence:
        simulating, judging = rng.spawn(2)
        pair, levels = simulated_levels(growth, rng=simulating, **shape, **_SMALL)
        return judge_levels(pair, levels, rng=judging, n_resamples=_N_RESAMPLES, beside=False)[0]

    def make(rng: np.random.Generator) -> Simulate:
        means = []
        for growth in _GROWTHS:
            found = (evidence(growth, r).statistics[rules["primary"]] for r in rng.spawn(_N_CALIBRATION))
            means.append(np.mean([one.estimate for one in found]))
        rising = np.maximum.accumulate(np.subtract(means, means[0]))
        null, modest = np.interp((bound, 2 * bound), rising, _GROWTHS)
        growths = {"true": _GROWTHS[-1], "false": 0.0, "null": null, "modest": modest}
        return lambda world, rng: evidence(growths[world], rng)

    return Worlds(claim, make, shape)


def _read(index, share, growth, rng, n_layers, dim, *, shares: bool):
    """States (L+1, n, d) of both languages; `index` (3, n) holds scenario, draw and level."""
    scenario, draw, level = index
    story = scenario * (draw.max() + 1) + draw

    def walk(rows: np.ndarray) -> np.ndarray:
        """One walk for each different row label, (L+1, n, d)."""
        return rng.standard_normal((n_layers + 1, rows.max() + 1, dim)).cumsum(0)[:, rows]

    item = np.arange(len(level))
    content = None
    both = []
    for _ in range(2):
        if content is None or not shares:
            asked = _ASKED if shares else _WORDING
            content = walk(scenario) + _ASKED * walk(story) + asked * walk(item)
        added = (_ASKED + growth * level)[:, None] * walk(item)
        own = _NOISE * (walk(scenario) + added) if shares else 0.0
        both.append(share * content + own + walk(level) + 3 * rng.standard_normal(dim))
    return tuple(both)


def _spread_slope(
    pair: LanguagePair, states: np.ndarray, levels: np.ndarray, draws: GroupDraws
) -> tuple[float, np.ndarray]:
    """Slope of log D_diff of states (L+1, n, d) per level, and its replicates (B,)."""
    weights = np.vstack([draws.everyone, draws.weights])
    found = []
    for level in np.unique(levels):
        rows = pair.confirmation & (levels == level)
        found.append(np.log(_distances(states[:, rows], pair.scenario[rows], weights)).mean(0))
    one, *many = slope_per_level(np.stack(found, axis=-1))
    return float(one), np.array(many)


def _distances(states: np.ndarray, scenario: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(L+1, B) mean squared distance of items (L+1, n, d) of different scenarios, drawn by weights (B, S)."""
    codes = np.unique(scenario, return_inverse=True)[1]
    member = (codes == np.arange(weights.shape[1])[:, None]).astype(float)
    apart = 1 - np.eye(len(member))
    centred = states - states.mean(1, keepdims=True, dtype=float)
    size = (centred**2).sum(-1)
    squared = size[:, :, None] + size[:, None] - 2 * centred @ centred.swapaxes(-1, -2)
    between = apart * (member @ squared @ member.T)
    pairs = apart * np.outer(member.sum(1), member.sum(1))
    return ((weights @ between) * weights).sum(-1) / ((weights @ pairs) * weights).sum(-1)


def _size(interval: Interval) -> Interval:
    """The interval of the size |x| of a signed number x."""
    limits = sorted((abs(interval.low), abs(interval.high)))
    low = 0.0 if interval.low <= 0 <= interval.high else limits[0]
    sizes = {"estimate": abs(interval.estimate), "low": low, "high": limits[1]}
    return replace(interval, replicates=np.abs(interval.replicates), **sizes)

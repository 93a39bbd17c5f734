"""Conjecture 7: may layers be read as time, and is the rank of two languages' positions then dim Z?

A vector error correction model has one map for all steps. It explains what a layer adds by the positions of
both languages and by what the layer before added, in components that both share. Layer-specific maps may
explain more. *Own R^2* is what they explain held out. *Common share* is what one map explains as a share of
that, *own gain* the difference. Both are read off the midpoint of R^2 in the sample and held out
(`measures.layer_maps`), because layer-specific maps cost more data.

The *rank* of a pooled Johansen test has a meaning only where one map holds and no problem drifts on its own.
It is then compared with the number of dimensions that the last layer shares (`measures.dimension`); the
difference is the *rank error*. Both premises are bounds on estimates, not tests that fail to reject. They
bound own gain, and the squared *drift* per step as a share of the one at which the rank test finds relations
between walks in 5 % of worlds of the same size. Weak data leave them undecided.

Controls are series of the same size that follow one map, or maps that alternate from layer to layer, and for
the rank systems of the same size with known trends.
"""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from ...measures import dimension, layer_maps
from ...measures.components import depth_components, shared_series
from ...measures.dimension import equal_groups
from ...measures.resampling import Count, GroupDraws, Interval, draw_groups, interval_of
from ...series import cointegration
from .. import claims
from ..bridges import bridging
from ..error_rates import UNITS_OF_THE_BOUND, Size, Worlds
from ..language_pairs import SHUFFLED, TRAINED, LanguagePair, Pair
from ..rules import INCONCLUSIVE, REFUTED, SUPPORTED, Control, Evidence, bound_of, control_verdict
from ..statistics import Statistic
from ..study import N_RESAMPLES, Study, Values, assemble, draw, judge, present, require

TIME, RANK = "conjecture_7_layers_as_time", "conjecture_7_rank_in_models"
ONE_MAP, OWN_MAPS = "one map planted", "maps of each layer planted"
SHARED_TRENDS, NO_TRENDS = "shared trends planted", "no trends planted"
N_SUBSETS, _KEPT = 20, 0.8  # subsets of the scenarios, and the share that each of them keeps
MIN_SCENARIOS = 10
_LEVEL = 0.01  # of the rank test, whose error a control would share


@dataclass(frozen=True)
class TimeResult:
    """Layers as time, for every language and the anchor.

    maps : language, subject, r2_common and r2_own (of what layers add, held out), common_share (midpoint),
        constancy (p-value of one map for both halves of depth), drift (share of what is tolerated), rank,
        also with three lags (NaN below seven layers), dimension (of the same components at the last).
    by_layer : language, subject, layer (that adds), r2_common, r2_own.
    evidence : claim (`TIME`, `RANK`) -> one per language.
    n_layers : positions of a state that the series follow, the embeddings among them.
    """

    maps: pd.DataFrame
    by_layer: pd.DataFrame
    evidence: dict[str, list[Evidence]]
    n_layers: int


def layers_as_time(
    pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator, n_components: int = 1
) -> TimeResult:
    """Maps, ranks and evidence of every language; `n_components` of each language enter the system.

    Raises ParameterError as `study.require`: of layers, scenarios and items to fit components to.
    """
    require(TIME, pairs)
    maps, by_layer = [], []
    evidence: dict[str, list[Evidence]] = {TIME: [], RANK: []}
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        fitting, judging, ranking = stream.spawn(3)
        names = (TRAINED, *pair.random_baselines, *present(pair, SHUFFLED), *pair.re_rounded)
        series = {name: pair_series(pair, pair.subjects[name], n_components) for name in names}
        confirmed = {name: tuple(s[pair.confirmation] for s in one) for name, one in series.items()}
        scenario = pair.scenario[pair.confirmation]

        planting, drawing = judging.spawn(2)
        draws = draw(pair, rng=drawing)
        models = {name: confirmed[name] for name in (TRAINED, *pair.re_rounded)}
        timed = {**models, **planted_maps(confirmed[TRAINED][0].shape, rng=planting)}
        measured = {name: map_values(one, scenario, draws) for name, one in timed.items()}
        evidence[TIME].append(judge(TIME_STUDY, pair, measured, draws))
        ranked = measure_ranks(models, scenario, rng=ranking)
        evidence[RANK].append(judge(RANK_STUDY, pair, ranked, draws))
        for (name, one), own in zip(confirmed.items(), fitting.spawn(len(confirmed)), strict=True):
            columns = {"language": pair.language, "subject": name}
            maps.append({**columns, **_map_row(one, scenario, own)})
            scores = layer_maps.score_maps(one, scenario)
            by_layer.append(pd.DataFrame(scores.by_layer()).assign(**columns))
    tables = pd.DataFrame(maps), pd.concat(by_layer, ignore_index=True)
    return TimeResult(*tables, evidence, confirmed[TRAINED][0].shape[1])


def pair_ranks(pairs: Mapping[str, LanguagePair], anchor: str, *, n_components: int = 1) -> pd.DataFrame:
    """Pooled rank of every two languages, trained model: first, second, rank, own_gain, drift.

    Own gain is an estimate, drift one as a share of what is tolerated.
    """
    pair = next(iter(pairs.values()))
    train, test = pair.discovery, pair.confirmation
    n_axes = bridging.components_of(pair)
    states = bridging.by_language(pairs, anchor, TRAINED)
    scores = {k: depth_components(s, train, n_axes) for k, s in states.items()}
    rows = []
    for couple in itertools.combinations(states, 2):
        both = tuple(s[test] for s in shared_series(*(scores[k] for k in couple), train, n_components))
        scenario = pair.scenario[test]
        common, own = _scores(both, scenario)[1].r2(np.ones(len(np.unique(scenario))))
        drift = drift_shares(*both, scenario).mean()
        rows.append((*couple, pooled_rank(*both, scenario).rank, own - common, drift))
    return pd.DataFrame(rows, columns=["first", "second", "rank", "own_gain", "drift"])


def gates(evidence: Sequence[Evidence]) -> pd.DataFrame:
    """Both premises of the rank claim with their 95 % limits, and what the rule says: language, premise."""
    rows = {}
    for one in (e for e in evidence if e.statistics):
        for name, words in PREMISES.items():
            found, said = one.statistics[name], _premise(name, one.statistics)
            limits = {k: float(getattr(found, k)) for k in ("estimate", "low", "high")}
            rows[one.language, words] = {
                **limits,
                "bound": bound_of(_PRECONDITIONS[name])[1],
                "verdict": said,
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["language", "premise"])


def gate_power(
    size: Size, n_layers: int, *, rng: np.random.Generator, n_simulations: int = 40, n_components: int = 1
) -> pd.DataFrame:
    """How often each premise is met, refuted and undecided at the size of a corpus: world, premise.

    Worlds: the premises hold (trends that both languages follow), every layer has a map of its own, and
    problems drift by .3 steps.
    """
    shape = (size.n_confirmed * size.n_draws, n_layers, n_components)
    scenario = np.repeat(np.arange(size.n_confirmed), size.n_draws)

    def drifting(rng: np.random.Generator) -> Pair:
        walks = rng.standard_normal((2, *shape)).cumsum(2)
        return tuple(
            walks + 0.3 * rng.standard_normal((2, shape[0], 1, n_components)) * np.arange(n_layers)[:, None]
        )

    def following(rng: np.random.Generator) -> Pair:
        trends = {"adjustment": (0.4, 0.4), "group_size": size.n_draws}
        return cointegration.simulate_shared_trends(*shape, n_components, rng=rng, **trends)

    made = {
        "one map, no drift": following,
        "a map per layer": lambda rng: plant_series(shape, own=True, rng=rng),
        "a drift of .3 steps": drifting,
    }
    rows = {}
    for (world, series), stream in zip(made.items(), rng.spawn(len(made)), strict=True):
        said = {name: [] for name in PREMISES}
        for r in stream.spawn(n_simulations):
            found = _premises(*series(r), scenario, draw_groups(scenario, 400, rng=r))
            for name in PREMISES:
                said[name].append(_premise(name, found))
        for name, words in PREMISES.items():
            counts = {v: said[name].count(v) / n_simulations for v in ("met", "refuted", "undecided")}
            rows[world, words] = counts
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["world", "premise"])


def by_components(pairs: Mapping[str, LanguagePair], counts: Sequence[int]) -> pd.DataFrame:
    """Held-out R^2 of both kinds of maps, trained model, with more components: language, components, r2_*.

    NaN for counts beyond the axes that the discovery items allow.
    """
    rows = []
    for language, pair in pairs.items():
        for m in counts:
            if m > bridging.components_of(pair):
                rows.append((language, m, np.nan, np.nan))
                continue
            series = pair_series(pair, pair.subjects[TRAINED], m)
            kept = pair.confirmation
            scores = layer_maps.score_maps(tuple(s[kept] for s in series), pair.scenario[kept])
            rows.append((language, m, *scores.r2(np.ones(scores.none.shape[1]))))
    return pd.DataFrame(rows, columns=["language", "components", "r2_common", "r2_own"])


def pair_series(pair: LanguagePair, states: Pair, n_components: int) -> Pair:
    """Two (n, L+1, m) series on the components that both languages share on the discovery items."""
    n_axes = bridging.components_of(pair)
    scores = (depth_components(s, pair.discovery, n_axes) for s in states)
    return shared_series(*scores, pair.discovery, n_components)


def plant_series(shape: tuple[int, ...], *, own: bool, rng: np.random.Generator) -> Pair:
    """Two (n, T, m) series of unit steps: both close their gap, or (own) open it at every other layer.

    A fifth of the gap is left after a layer; where it opens, it grows by four fifths.
    """
    return _closing(shape, 0.8, rng) if own else _closing(shape, 0.0, rng)


def _closing(shape: tuple[int, ...], swing: float, rng: np.random.Generator) -> Pair:
    """Two (n, T, m) series of unit steps that move by .4 of their gap, less `swing` at every other layer."""
    now = rng.standard_normal((2, shape[0], shape[2]))
    made = [now]
    for layer in range(1, shape[1]):
        pull = 0.4 - swing * (layer % 2)
        gap = now[0] - now[1]
        now = now + pull * np.stack([-gap, gap]) + rng.standard_normal(now.shape)
        made.append(now)
    return tuple(np.moveaxis(np.array(made), 0, 2))


def planted_maps(shape: tuple[int, ...], *, rng: np.random.Generator) -> dict[str, Pair]:
    """Series that follow one map, and series whose map alternates from layer to layer."""
    first, second = rng.spawn(2)
    return {
        ONE_MAP: plant_series(shape, own=False, rng=first),
        OWN_MAPS: plant_series(shape, own=True, rng=second),
    }


def map_values(series: Pair, scenario: np.ndarray, draws: GroupDraws) -> Values:
    """`_TIME_STATISTICS` of series (n, T, m) of confirmation items."""
    held_out, middle = _scores(series, scenario)

    def numbers(weights: np.ndarray) -> np.ndarray:
        common, own = middle.r2(weights)
        return np.stack([held_out.r2(weights)[1], common / own, own - common])

    return Values(numbers(draws.everyone), numbers(draws.weights), draws.n_groups)


def map_statistics(measured: Mapping[str, Values], subject: str, draws: GroupDraws) -> dict[str, Interval]:
    """Held-out R^2 of own maps, and what one map explains of that; each planted series is for one reading."""
    one, many, n = measured[subject]
    return {name: interval_of(one[i], many[i], n) for i, name in enumerate(_TIME_STATISTICS)}


_TIME_STATISTICS = ("own_r2", "common_share", "own_gain")
TIME_STUDY = Study(
    TIME, map_statistics, positive={ONE_MAP: ("own_r2", "common_share"), OWN_MAPS: ("own_r2", "own_gain")}
)


def time_worlds(size: Size, n_layers: int, *, n_components: int = 1) -> Worlds:
    """Two languages that close their gap at a speed of each layer, with as many layers, scenarios and items.

    The speed alternates about .4: not at all in world "false", by .8 in "true", and by as much as puts the
    own gain of plentiful data on its bound, or twice there, in "null" and "modest".
    """
    scenario = np.repeat(np.arange(size.n_confirmed), size.n_draws)
    shape = (len(scenario), n_layers, n_components)
    bound = bound_of(claims.rule(TIME)["rules"]["as_corrected"]["own_gain"])[1]

    def make(rng: np.random.Generator):
        swings = _swings([bound, 2 * bound], n_layers, n_components, rng)
        swing = {"true": 0.8, "false": 0.0, "null": swings[0], "modest": swings[1]}

        def simulate(world: str, rng: np.random.Generator) -> Evidence:
            making, planting, drawing = rng.spawn(3)
            draws = draw_groups(scenario, N_RESAMPLES, rng=drawing)
            series = {TRAINED: _closing(shape, swing[world], making), **planted_maps(shape, rng=planting)}
            measured = {name: map_values(one, scenario, draws) for name, one in series.items()}
            return assemble(TIME_STUDY, measured, draws)

        return simulate

    about = {"size": asdict(size), "n_layers": n_layers, "n_components": n_components}
    return Worlds(TIME, make, about, {**UNITS_OF_THE_BOUND, "false": "one map for all layers"})


def _swings(gains: Sequence[float], n_layers: int, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """How far speeds have to alternate for layer-specific maps to gain so much: by plentiful data."""
    tried, scenario, many = np.linspace(0, 0.8, 9), np.arange(1000), np.ones(1000)
    found = []
    for swing, stream in zip(tried, rng.spawn(len(tried)), strict=True):
        series = _closing((1000, n_layers, n_components), swing, stream)
        common, own = _scores(series, scenario)[1].r2(many)
        found.append(own - common)
    return np.interp(gains, np.maximum.accumulate(found), tried)


def measure_ranks(
    series: Mapping[str, Pair], scenario: np.ndarray, *, rng: np.random.Generator
) -> dict[str, dict[str, Statistic]]:
    """Statistics of the rank claim of every subject, and of systems of the same size with a known answer.

    Where all trends are shared, rank and dimension are m. Where nothing wanders and nothing is shared, the
    rank is 2m and the dimension 0.
    """
    planting, judging = rng.spawn(2)
    alike = equal_groups(scenario)
    kept = {name: tuple(s[alike] for s in one) for name, one in series.items()}
    labels = dict.fromkeys(kept, scenario[alike])
    ordered, shape = np.sort(scenario[alike]), kept[TRAINED][0].shape
    options = {"group_size": int((ordered == ordered[0]).sum()), "specific": "stationary"}
    known = {SHARED_TRENDS: shape[2], NO_TRENDS: 0}
    for (name, n_shared), stream in zip(known.items(), planting.spawn(2), strict=True):
        kept[name] = cointegration.simulate_shared_trends(*shape, n_shared, rng=stream, **options)
        labels[name] = ordered
    found = {
        name: rank_statistics(*one, labels[name], rng=stream)
        for (name, one), stream in zip(kept.items(), judging.spawn(len(kept)), strict=True)
    }
    return found | {name: {"rank_error": found[name]["rank_error"]} for name in known}


RANK_STUDY = Study(RANK, lambda measured, subject, draws: measured[subject], positive={SHARED_TRENDS: ()})


def rank_worlds(size: Size, n_layers: int) -> Worlds:
    """Two series that follow one trend, or none, of the size of a corpus and a model: `simulated_rank`."""
    effects = {
        "true": "one trend, followed closely",
        "modest": "one trend, followed loosely",
        "null": "no trend, slow reversion",
        "false": "no trend, fast reversion",
    }
    about = {"size": asdict(size), "n_layers": n_layers}
    return Worlds(
        RANK, lambda rng: lambda world, rng: simulated_rank(world, rng, size, n_layers), about, effects
    )


def simulated_rank(world: str, rng: np.random.Generator, size: Size, n_layers: int) -> Evidence:
    """Evidence on two series that follow one trend, closely ("true") or less so, or one without a trend.

    Without ("false", "null": reverting fast and slowly) both share a dimension, but the rank is 2.
    """
    if size.n_confirmed < MIN_SCENARIOS:
        return Evidence("simulated", unavailable=f"{size.n_confirmed} confirmation scenarios")
    drawing, judging = rng.spawn(2)
    shape = (size.n_confirmed * size.n_draws, n_layers, 1)
    scenario = np.repeat(np.arange(size.n_confirmed), size.n_draws)
    if world in ("true", "modest"):
        options = {"adjustment": (0.4, 0.4) if world == "true" else (0.15, 0.15), "group_size": size.n_draws}
        series = cointegration.simulate_shared_trends(*shape, 1, rng=drawing, **options)
    else:
        slowness = 0.5 if world == "false" else 0.8
        steps = drawing.standard_normal((shape[0], n_layers + 20, 1))
        path = lfilter([1.0], [1.0, -slowness], steps, axis=1)[:, 20:]
        series = tuple(path + 0.7 * drawing.standard_normal(path.shape) for _ in range(2))
    statistics = rank_statistics(*series, scenario, rng=judging, n_subsets=5)
    known = (SHARED_TRENDS, "positive", 0), (NO_TRENDS, "negative", 2)
    controls = tuple(Control(name, kind, {"rank_error": Count.once(error)}) for name, kind, error in known)
    return Evidence("simulated", statistics, controls, n_items=shape[0], n_scenarios=size.n_confirmed)


def _scores(series: Pair, scenario: np.ndarray) -> tuple[layer_maps.MapScores, layer_maps.MapScores]:
    """Scores of both maps held out, and midway between those and the scores in the sample."""
    held_out, fitted = (layer_maps.score_maps(series, scenario, held_out=h) for h in (True, False))
    return held_out, held_out.midpoint(fitted)


def rank_statistics(
    h1, h2, scenario: np.ndarray, *, rng: np.random.Generator, n_subsets: int = N_SUBSETS
) -> dict[str, Statistic]:
    """Both premises, dimension, and |rank - dimension| with its range over subsets of the scenarios.

    The scenarios are of one size (`equal_groups`).
    """
    drawing, counting, resampling = rng.spawn(3)

    def measure(kept: np.ndarray, stream: np.random.Generator) -> tuple[int, int]:
        found = last_dimension(h1[kept], h2[kept], scenario[kept], stream)
        return abs(pooled_rank(h1[kept], h2[kept], scenario[kept]).rank - found), found

    names = np.unique(scenario)
    first, *streams = counting.spawn(1 + n_subsets)
    error, shared = measure(np.full(len(scenario), True), first)
    size = max(round(_KEPT * len(names)), dimension.MIN_GROUPS)
    subsets = (np.isin(scenario, drawing.permutation(names)[:size]) for _ in streams)
    errors = [measure(kept, stream)[0] for kept, stream in zip(subsets, streams, strict=True)]
    return {
        **_premises(h1, h2, scenario, draw_groups(scenario, N_RESAMPLES, rng=resampling)),
        "rank_error": Count.over(error, errors, f"the middle 90 % of {n_subsets} subsets of scenarios"),
        "last_dimension": Count.once(shared),
    }


def drift_shares(h1, h2, scenario: np.ndarray) -> np.ndarray:
    """Squared drift per step of each problem (n,), as a share of what the rank test tolerates."""
    sizes = np.unique(scenario, return_counts=True)[1]
    size = (len(sizes), round(float(sizes.mean())), h1.shape[1], 2 * h1.shape[2])
    tolerated = cointegration.tolerated_drift(*size, level=_LEVEL)
    with np.errstate(divide="ignore"):  # nothing is tolerated: the premise cannot be met
        return cointegration.squared_drift(h1, h2) / np.float64(tolerated)


def _premises(h1, h2, scenario: np.ndarray, draws: GroupDraws) -> dict[str, Interval]:
    one, many, n = map_values((h1, h2), scenario, draws)
    drift = draws.mean(drift_shares(h1, h2, scenario), bounds=None)
    return {"own_gain": interval_of(one[2], many[2], n), "drift": drift}


PREMISES = {"own_gain": "one map holds for all layers", "drift": "no problem drifts on its own"}
_PRECONDITIONS = claims.rule(RANK)["rules"]["preconditions"]
_SAID = {SUPPORTED: "met", REFUTED: "refuted", INCONCLUSIVE: "undecided"}


def _premise(name: str, found: Mapping[str, Statistic]) -> str:
    """Whether a premise of the rank claim is met, refuted or undecided."""
    control = Control(name, "positive", {name: found[name]})
    return _SAID[control_verdict({name: _PRECONDITIONS[name]}, control)]


def pooled_rank(h1, h2, scenario: np.ndarray, *, k_ar_diff: int = 1) -> cointegration.PooledRank:
    """Pooled Johansen test of problems (n, T, m) by scenario; what it warns of is in the result."""
    options = {"groups": scenario, "level": _LEVEL, "k_ar_diff": k_ar_diff, "allow_distorted": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return cointegration.pooled_johansen(h1, h2, **options)


def last_dimension(h1, h2, scenario: np.ndarray, rng: np.random.Generator) -> int:
    """Dimensions that the last positions of two languages (n, T, m) share."""
    found = dimension.shared_dimension(h1[:, -1], h2[:, -1], groups=scenario, rng=rng, n_permutations=99)
    return found.dimension


def _map_row(series: Pair, scenario: np.ndarray, rng: np.random.Generator) -> dict:
    everyone = np.ones(len(np.unique(scenario)))
    (common, own), middle = (scores.r2(everyone) for scores in _scores(series, scenario))
    alike = equal_groups(scenario)
    h1, h2, scenario = (a[alike] for a in (*series, scenario))
    found = pooled_rank(h1, h2, scenario)
    long_enough = h1.shape[1] >= cointegration.LEAST_LAYERS + 3
    with_lags = pooled_rank(h1, h2, scenario, k_ar_diff=3).rank if long_enough else np.nan
    return {
        "r2_common": common,
        "r2_own": own,
        "common_share": middle[0] / middle[1],
        "constancy": found.constancy.pvalue,
        "drift": drift_shares(h1, h2, scenario).mean(),
        "rank": found.rank,
        "rank, three lags": with_lags,
        "dimension": last_dimension(h1, h2, scenario, rng),
    }

"""Language pairs whose answer is known: worlds in which the whole pipeline of a study runs.

A world has a trained model and exchangeable baselines. Each subject has an *effect* in [0, 1]: how much of
what the study looks for was planted into states that share nothing else. Effects of baselines vary from seed
to seed about `BASE`; in the world "one more baseline" the trained model is drawn like them. To everything a
`Disturbance` is added, which two unrelated languages have as well: it must decide nothing.

A `Simulation` says how one claim's states are planted and measured. `worlds_of` finds which effect puts the
trained model on the claim's bound, or on a multiple of it, and gives `simulate(multiple, rng)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ..measures.resampling import GroupDraws
from ..sources.models import Subject
from . import claims, study
from .language_pairs import (
    PERMUTED,
    RANDOM_BLOCKS,
    TRAINED,
    LanguagePair,
    Pair,
    plant_updates,
    spread,
    with_controls,
)
from .rules import Evidence, bound_of
from .study import Measured, Study

BASE = 0.2  # effect of a baseline of mean seed
SEED_SPREAD = 0.3  # of the baselines' numbers from seed to seed, in units of the bound
_GRID = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9)  # effects between which the number is interpolated
_N_CALIBRATION = 16  # simulated pairs for it, the same for every effect
_N_TOKENS = 12
NO_MORE = "one more baseline"  # world in which the trained model is drawn like the baselines

# effect planted, in [0, 1], of states of a shape
Plant = Callable[["Shape", float, np.random.Generator], Pair]


@dataclass(frozen=True)
class Shape:
    """What a simulated pair has in common with those of a run.

    scenario, discovery : (n,) whole number and bool of each item. n_layers, dim : blocks and dimensions,
    fewer than a model's. clustering : share of the noise's variance that items of a scenario have in common
    in one language. n_baselines : random-weight baselines.
    """

    scenario: np.ndarray
    discovery: np.ndarray
    n_layers: int = 4
    dim: int = 24
    clustering: float = 0.3
    n_baselines: int = 3

    @property
    def n_items(self) -> int:
        """n."""
        return len(self.scenario)


@dataclass(frozen=True)
class Disturbance:
    """What two languages have that share nothing; lengths in spreads of an item about its layer's mean.

    offset : from either language's mean to where it would be without. drift : of all items of both languages
    along one direction, by layer, which items follow at speeds of their own. outlier : share of the variance
    that one coordinate holds, unrelated in the two languages. unlike : whether noise is added whose variance
    runs through the dimensions in opposite orders in the two languages.
    """

    offset: float = 0.0
    drift: float = 0.0
    outlier: float = 0.0
    unlike: bool = False


DISTURBANCES: Mapping[str, Disturbance] = MappingProxyType(
    {
        "independent": Disturbance(),
        "offset": Disturbance(offset=10.0),
        "drift": Disturbance(drift=2.0),
        "outlier dimension": Disturbance(offset=1.0, outlier=0.9),
        "unlike noise": Disturbance(unlike=True),
    }
)


@dataclass(frozen=True)
class Simulation:
    """How one claim's states are simulated and measured.

    study : the claim's. plant : see `Plant`. measure : (pair, draws, rng, raw) -> what was measured of every
    subject by the primary measure, and beside it, if `raw`, of dimensions as they are. number : what was
    measured of a subject -> the number whose excess is judged. over : kinds of control that the excess is
    over, "random" for the baselines. baseline : as `plant`, for baselines where they are made otherwise; base
    : their mean effect.
    """

    study: Study
    plant: Plant
    measure: Callable[[LanguagePair, GroupDraws, np.random.Generator, bool], Sequence[Measured]]
    number: Callable[[object], float]
    over: tuple[str, ...]
    baseline: Plant | None = None
    base: float = BASE

    @property
    def bound(self) -> float:
        """The bound of the claim's primary statistic."""
        entry = claims.rule(self.study.claim)
        return bound_of(entry["rules"]["as_corrected"][entry["primary"]])[1]


# simulate(multiple of the bound or NO_MORE, rng) -> evidence
Simulate = Callable[[float | str, np.random.Generator], Evidence]


def shape_of_size(n_scenarios: int, n_draws: int, **options) -> Shape:
    """Shape of a corpus of scenarios of one size, the first third of them for discovery."""
    scenario = np.repeat(np.arange(n_scenarios), n_draws)
    return Shape(scenario, scenario < n_scenarios // 3, **options)


def shape_of(pairs: Mapping[str, LanguagePair], *, n_layers: int = 4, most_dimensions: int = 24) -> Shape:
    """Shape of a run's pairs: their items and split, and two numbers of trained states half-way up.

    They are the effective dimension (participation ratio of the discovery items' covariance, every dimension
    standardised; 8 to `most_dimensions`) and the clustering (share of that variance between scenarios, by the
    one-way analysis of variance; 0 to .8), medians over all languages.
    """
    first = next(iter(pairs.values()))
    scenario = np.unique(first.scenario, return_inverse=True)[1]
    middle = [s[len(s) // 2].astype(float) for pair in pairs.values() for s in pair.subjects[TRAINED]]
    dims, clusters = np.median([_spread_of(s, scenario, first.discovery) for s in middle], axis=0)
    return Shape(
        scenario,
        np.asarray(first.discovery),
        n_layers=min(n_layers, len(first.subjects[TRAINED][0]) - 1),
        dim=int(np.clip(round(dims), 8, most_dimensions)),
        clustering=float(np.clip(clusters, 0, 0.8).round(2)),
        n_baselines=len(first.random_baselines),
    )


def worlds_of(
    simulation: Simulation,
    shape: Shape,
    *,
    rng: np.random.Generator,
    disturbance: Disturbance = DISTURBANCES["independent"],
    seed_spread: float | None = None,
    raw: bool = False,
) -> Simulate:
    """`simulate(multiple, rng)`: evidence of a world whose true excess is that multiple of the bound.

    The true excess is that of the mean number of the trained model over the mean number of each kind of
    control, over simulations; which effect has it is interpolated. `seed_spread` is the standard deviation of
    the baselines' numbers, by default `SEED_SPREAD` bounds. With `raw` the measure of dimensions as they are
    stands beside the verdict, as in a run.
    """
    excess = _excess_by_effect(simulation, shape, disturbance, rng)
    own = excess - np.interp(simulation.base, _GRID, excess)
    deviation = SEED_SPREAD * simulation.bound if seed_spread is None else seed_spread

    def simulate(multiple: float | str, stream: np.random.Generator) -> Evidence:
        drawing, making = stream.spawn(2)
        drawn = np.interp(deviation * drawing.standard_normal(shape.n_baselines + 1), own, _GRID)
        more = multiple == NO_MORE
        effect = drawn[-1] if more else np.interp(multiple * simulation.bound, excess, _GRID)
        return evidence(simulation, shape, disturbance, float(effect), drawn[:-1], rng=making, raw=raw)

    return simulate


def evidence(
    simulation: Simulation,
    shape: Shape,
    disturbance: Disturbance,
    effect: float,
    baselines: Sequence[float],
    *,
    rng: np.random.Generator,
    raw: bool = False,
) -> Evidence:
    """Evidence of one simulated pair: the trained model's effect, and those of its baselines."""
    making, drawing, measuring = rng.spawn(3)
    pair = simulated(simulation, shape, disturbance, effect, baselines, rng=making)
    draws = study.draw(pair, rng=drawing)
    measured, *others = simulation.measure(pair, draws, measuring, raw)
    return study.judge(simulation.study, pair, measured, draws, dict(zip([study.RAW], others, strict=False)))


def simulated(
    simulation: Simulation,
    shape: Shape,
    disturbance: Disturbance,
    effect: float,
    baselines: Sequence[float],
    *,
    rng: np.random.Generator,
) -> LanguagePair:
    """A language pair of that shape with all controls that a run has; one of its kind has the mean effect."""
    making, tokens, controls = rng.spawn(3)
    names = [Subject("random", i).name for i in range(len(baselines))]
    planted = {
        name: (simulation.baseline or simulation.plant, e) for name, e in zip(names, baselines, strict=True)
    }
    planted |= dict.fromkeys(
        (PERMUTED, RANDOM_BLOCKS), (simulation.baseline or simulation.plant, simulation.base)
    )
    planted = {TRAINED: (simulation.plant, effect), **planted}
    subjects = {}
    for (name, (plant, own)), stream in zip(planted.items(), making.spawn(len(planted)), strict=True):
        first, second = stream.spawn(2)
        subjects[name] = disturbed(plant(shape, own, first), disturbance, rng=second)
    pair = LanguagePair(
        language="simulated",
        subjects=subjects,
        scenario=shape.scenario.astype(str),
        group=shape.scenario.astype(str),
        discovery=shape.discovery,
        tokens=tuple(tokens.integers(0, 5000, (shape.n_items, _N_TOKENS)) for _ in range(2)),
    )
    return with_controls(pair, rng=controls)


def disturbed(pair: Pair, disturbance: Disturbance, *, rng: np.random.Generator) -> Pair:
    """States with a disturbance added, independently in the two languages but for the direction of drift."""
    common, *own = rng.spawn(3)
    d = pair[0].shape[-1]
    along = _unit(common.standard_normal(d))
    orders = (np.arange(d), np.arange(d)[::-1])
    streams = zip(pair, own, orders, strict=True)
    return tuple(_disturbed(s, disturbance, along, order, stream) for s, stream, order in streams)


def unrelated(shape: Shape, *, rng: np.random.Generator) -> Pair:
    """Walks of unit steps, independent in the two languages; a part is common to a scenario's items."""
    return tuple(np.cumsum(_noise(shape, stream), 0) for stream in rng.spawn(2))


def plant_content(shape: Shape, effect: float, rng: np.random.Generator) -> Pair:
    """Walks that share content, a share `effect` of the variance of every layer but the first.

    Content is a vector per item, the same at every layer, of which scenarios have `clustering` in common.
    """
    walking, planting = rng.spawn(2)
    content = _noise(replace(shape, n_layers=0), planting)[0] / np.sqrt(shape.dim)
    size = np.where(np.arange(shape.n_layers + 1) > 0, _strength(effect), 0.0)[:, None, None]
    return tuple(s + size * spread(s) * content for s in unrelated(shape, rng=walking))


def plant_content_of_updates(shape: Shape, effect: float, rng: np.random.Generator) -> Pair:
    """Walks whose updates share content, a share `effect` of their variance, while states hardly do."""
    walking, planting = rng.spawn(2)
    return plant_updates(unrelated(shape, rng=walking), rng=planting, strength=_strength(effect))


def plant_shared_coordinates(
    shape: Shape, effect: float, rng: np.random.Generator, *, n_shared: int = 3, strength: float = 2.0
) -> Pair:
    """Unrelated walks and coordinates whose squared correlation across languages is `effect`.

    Together they are `strength` spreads of their layer long, in directions of each language's own that do
    not change from layer to layer.
    """
    walking, coordinates, turning = rng.spawn(3)
    first, second = _noise(replace(shape, n_layers=1, dim=n_shared), coordinates)
    both = (first, np.sqrt(effect) * first + np.sqrt(1 - effect) * second)
    planted = []
    for s, one, stream in zip(unrelated(shape, rng=walking), both, turning.spawn(2), strict=True):
        directions = np.linalg.qr(stream.standard_normal((shape.dim, n_shared)))[0].T
        planted.append(s + strength / np.sqrt(n_shared) * spread(s) * (one @ directions))
    return tuple(planted)


def _strength(effect: float) -> float:
    """Length of what is added, in spreads of what is there, to make it a share `effect` of the variance."""
    return float(np.sqrt(effect / (1 - effect)))


def _excess_by_effect(
    simulation: Simulation, shape: Shape, disturbance: Disturbance, rng: np.random.Generator
) -> np.ndarray:
    """True excess over the kind of control that comes closest at the effects of `_GRID`, made to rise.

    It is that of means over pairs whose one baseline has the mean effect; all effects share their random
    numbers. Where baselines are made as the trained model is, its own number at their effect is theirs.
    """
    seeds = rng.integers(2**32, size=_N_CALIBRATION)
    numbers = np.array(
        [
            np.mean([_numbers(simulation, shape, disturbance, effect, int(one)) for one in seeds], axis=0)
            for effect in _GRID
        ]
    )
    own = numbers[:, 0]
    others = numbers[:, 1:].max(1) if simulation.baseline else np.interp(simulation.base, _GRID, own)
    return np.maximum.accumulate(own - others)


def _numbers(
    simulation: Simulation, shape: Shape, disturbance: Disturbance, effect: float, seed: int
) -> list[float]:
    """The number of the trained model in one pair; of controls made otherwise, the mean one of each kind."""
    making, drawing, measuring = np.random.default_rng(seed).spawn(3)
    pair = simulated(simulation, shape, disturbance, effect, [simulation.base], rng=making)
    if not simulation.baseline:
        pair = replace(pair, subjects={TRAINED: pair.subjects[TRAINED]})
    draws = study.draw(pair, rng=drawing, n_resamples=2)
    (measured,) = simulation.measure(pair, draws, measuring, False)
    own = simulation.number(measured[TRAINED])
    if not simulation.baseline:
        return [own]
    kinds = [study.baselines(measured, TRAINED) if kind == "random" else [kind] for kind in simulation.over]
    others = [np.mean([simulation.number(measured[name]) for name in names]) for names in kinds]
    return [own, *map(float, others)]


def _noise(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Steps (L+1, n, d) of unit variance, a share of which the items of a scenario have in common."""
    size = (shape.n_layers + 1, shape.scenario.max() + 1, shape.dim)
    common = rng.standard_normal(size)[:, shape.scenario]
    own = rng.standard_normal((size[0], shape.n_items, shape.dim))
    return np.sqrt(shape.clustering) * common + np.sqrt(1 - shape.clustering) * own


def _disturbed(
    states: np.ndarray,
    disturbance: Disturbance,
    along: np.ndarray,
    order: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """States (L+1, n, d) of one language with a disturbance added."""
    n_states, n, d = states.shape
    size, made = spread(states), np.asarray(states, float)
    if disturbance.offset:
        made = made + disturbance.offset * size[:1] * _unit(rng.standard_normal(d))
    if disturbance.drift:
        speed = disturbance.drift * (3 + rng.standard_normal((n, 1)))
        made = made + size * np.linspace(0, 1, n_states)[:, None, None] * speed * along
    if disturbance.outlier:
        share = disturbance.outlier
        made[..., 0] += size[..., 0] * np.sqrt(share / (1 - share)) * rng.standard_normal(n)
    if disturbance.unlike:
        variance = 0.7 ** order.astype(float)
        walk = (
            np.cumsum(rng.standard_normal(states.shape), 0)
            / np.sqrt(np.arange(1, n_states + 1))[:, None, None]
        )
        made = made + size * walk * np.sqrt(variance / variance.sum())
    return made


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _spread_of(states: np.ndarray, scenario: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Participation ratio, and share of variance between scenarios, of states (n, d) scaled over rows."""
    scaled = (states - states[rows].mean(0)) / np.where((one := states[rows].std(0)) > 0, one, 1.0)
    product = scaled[rows] @ scaled[rows].T
    dimension = np.trace(product) ** 2 / (product**2).sum()
    sizes = np.bincount(scenario)
    means = np.stack([np.bincount(scenario, column) for column in scaled.T], 1) / sizes[:, None]
    n, k = len(scaled), len(sizes)
    within = ((scaled - means[scenario]) ** 2).sum() / max(n - k, 1)
    between = (sizes[:, None] * (means - scaled.mean(0)) ** 2).sum() / (k - 1)
    unit = (n - (sizes**2).sum() / n) / (k - 1)
    variance = max((between - within) / unit, 0.0)
    return float(dimension), float(variance / (variance + within)) if n > k else 0.0

"""Conjecture 3 on a language model: is what its layers add suppressed twice, by agreement and by size?

Z and Z_perp of every state are fitted to the discovery items (`measures.subspaces`). Three numbers come from
the other items, averaged over the inner layers:

- *agreement gap*: how much less the languages' contributions differ inside Z than inside Z_perp (difference
  of q = E|delta|^2 / sigma^2);
- *gain gap*: how much more strongly a layer writes into Z than into Z_perp, relative to what is there (log of
  a ratio of energies);
- *held-out agreement*: that of the states in Z minus that in Z_perp. Where it is small the split is noise,
  and the gaps mean nothing.

Estimated directions leak. Contributions that know nothing of Z have a gain gap below zero, because noise
leaks more into Z_perp. Such contributions on the model's own states (*surrogates*) are therefore controls,
beside random-weight baselines. An excess is over the kind of control that comes closest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ... import theory
from ...measures.resampling import GroupDraws, Interval, interval_of
from ...measures.subspaces import SplitContributions, split_contributions
from .. import study
from ..error_rates import Worlds, of_pairs
from ..language_pairs import PERMUTED, SHUFFLED, TRAINED, LanguagePair, Pair
from ..rules import Evidence
from ..simulated_pairs import Shape, Simulation
from ..study import (
    STANDARDISED,
    Measured,
    Study,
    Values,
    baselines,
    compare_choices,
    draw,
    excesses,
    judge,
    seed_spread,
)

CLAIM = "conjecture_3_in_models"
GAPS, HELD_OUT = ("agreement_gap", "gain_gap"), "held_out_agreement"
ISOTROPIC, LIKE_STATE = "surrogate: all directions alike", "surrogate: like another item's state"
PLANTED, REVERSED = "suppression planted", "suppression reversed"
N_COMPONENTS = 8
_AS_THEY_ARE = "dimensions as they are"
# of the shared space and of the languages' own
_PLANTED_GAINS = {PLANTED: (2.0, 0.02), REVERSED: (0.02, 2.0)}
_PARTS = ("state", "distance", "added", "difference", "cross_same", "cross_diff")


@dataclass(frozen=True)
class ProjectionResult:
    """Contributions to Z and Z_perp of all subjects and languages, confirmation items.

    curves : language, subject, layer, and for Z and Z_perp each (suffix "Z" or "perp") q, q~ and gain
        (energy added over energy there); gain_gap, its 95 % limits low and high (trained), agreement_gap.
    gaps : language, subject, both gaps, held_out_agreement, the mean agreement ratio of Z and of Z_perp on
        discovery items, and held_out_variance (of the directions, 1 on discovery items).
    evidence : claim id -> one Evidence per language.
    seed_spread : standard deviation of the gain gap over random-weight baselines.
    """

    curves: pd.DataFrame
    gaps: pd.DataFrame
    evidence: Mapping[str, list[Evidence]]
    seed_spread: float


def double_suppression(
    pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator, n_components: int = N_COMPONENTS
) -> ProjectionResult:
    """Conjecture 3 on a model: curves, gaps and evidence of every language; errors as `study.require`."""
    study.require(CLAIM, pairs)
    curves, gaps, evidence, numbers = [], [], [], []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        deciding, making = stream.spawn(3)[::2]
        made = made_contributions(pair, rng=making)
        measured, raw = (
            contributions(pair, made, n_components=n_components, standardise=scale) for scale in (True, False)
        )
        draws = draw(pair, rng=deciding.spawn(1)[0])
        found, other = (values_of(pair, by, draws) for by in (measured, raw))
        numbers.append(found)
        curves.append(_curves(pair, measured, draws))
        gaps.append(_gap_table(pair, measured))
        evidence.append(judge(STUDY, pair, found, draws, {_AS_THEY_ARE: other}))
    tables = (pd.concat(t, ignore_index=True) for t in (curves, gaps))
    return ProjectionResult(*tables, {CLAIM: evidence}, seed_spread(numbers, gain_gap))


def values_of(
    pair: LanguagePair, measured: Mapping[str, SplitContributions], draws: GroupDraws
) -> dict[str, Values]:
    """`gap_values` of every subject."""
    return {name: gap_values(pair, one, draws) for name, one in measured.items()}


def gain_gap(found: Values) -> float:
    """The gain gap of `gap_values`."""
    return float(found.estimate[1])


@dataclass(frozen=True)
class MadeContributions:
    """What a pair's controls add: planted pairs of states by name, and the seed of the surrogates' noise."""

    planted: Mapping[str, Pair]
    seed: np.random.SeedSequence


def made_contributions(pair: LanguagePair, *, rng: np.random.Generator) -> MadeContributions:
    """Contributions that know nothing of Z, and (where there is a shuffled pairing) planted ones."""
    surrogates, planting = rng.spawn(2)
    planted = {
        name: plant_contributions(pair, *gains, rng=stream)
        for (name, gains), stream in zip(_PLANTED_GAINS.items(), planting.spawn(2), strict=True)
        if SHUFFLED in pair.subjects
    }
    return MadeContributions(planted, surrogates.bit_generator.seed_seq)


def contributions(
    pair: LanguagePair,
    made: MadeContributions,
    *,
    n_components: int = N_COMPONENTS,
    standardise: bool = True,
) -> dict[str, SplitContributions]:
    """Split contributions of the model, its baselines, shuffled pairs, surrogates and planted ones."""
    options = {"n_components": n_components, "standardise": standardise}
    names = (TRAINED, *pair.random_baselines, PERMUTED, SHUFFLED, *pair.re_rounded)
    subjects = {name: pair.subjects[name] for name in names if name in pair.subjects} | made.planted
    found = {name: split_contributions(*s, pair.discovery, **options) for name, s in subjects.items()}
    for name, make in _surrogates(made.seed).items():
        trained = pair.subjects[TRAINED]
        found[name] = split_contributions(*trained, pair.discovery, contributions=make, **options)
    return found


def plant_contributions(
    pair: LanguagePair,
    gain_shared: float,
    gain_own: float,
    *,
    rng: np.random.Generator,
    width: int = 4,
    strength: float = 0.7,
) -> tuple[np.ndarray, np.ndarray]:
    """The shuffled states with two spaces added, into which every layer writes with known gains.

    One space is shared, the other of each language's own; in every dimension either has `strength`^2 of the
    variance there. Its `width` coordinates keep their variance from layer to layer while a part of them is
    replaced by new ones: what is added has the gain (0 to 2) times their own energy.
    """
    shuffled = [np.asarray(s, float) for s in pair.subjects[SHUFFLED]]
    size = strength * np.sqrt(sum(s.var(1) for s in shuffled) / 2)[:, None]
    n_states, n, d = shuffled[0].shape
    streams = rng.spawn(3)
    shared = _coordinates(gain_shared, (n_states, n, width), streams[0])
    own = [_coordinates(gain_own, (n_states, n, width), stream) for stream in streams[1:]]
    read_shared, read_own = rng.standard_normal((2, width, d)) / np.sqrt(width)
    return tuple(
        s + size * (shared @ read_shared + mine @ read_own) for s, mine in zip(shuffled, own, strict=True)
    )


def gap_values(pair: LanguagePair, found: SplitContributions, draws: GroupDraws) -> Values:
    """Agreement gap, gain gap and held-out agreement, averaged over the inner layers."""
    drawn = draws.mean(_sums(pair, found))
    return Values(*(_layer_gaps(s).mean(-1) for s in (drawn.estimate, drawn.replicates)), draws.n_groups)


def gap_statistics(measured: Mapping[str, Values], subject: str, draws: GroupDraws) -> dict[str, Interval]:
    """Both gaps' excess over the baselines and surrogates, and held-out agreement."""
    over = baselines(measured, subject, (PERMUTED, "private targets", ISOTROPIC, LIKE_STATE))
    held_out = interval_of(*(v[2] for v in measured[subject][:2]), draws.n_groups)
    return {**excesses(measured, subject, over, GAPS), HELD_OUT: held_out}


STUDY = Study(CLAIM, gap_statistics, positive={PLANTED: ()})


def _measure(pair: LanguagePair, draws: GroupDraws, rng: np.random.Generator, raw: bool) -> list[Measured]:
    made = made_contributions(pair, rng=rng)
    measures = [contributions(pair, made, standardise=scale) for scale in ([True, False] if raw else [True])]
    return [values_of(pair, by, draws) for by in measures]


def _stack(shape: Shape, effect: float, rng: np.random.Generator) -> Pair:
    """A stack of two layers, with twice `effect` as the log ratio of its gains.

    Noise in many dimensions makes Z about as hard to find as it is in language models.
    """
    options = {"scenario": shape.scenario, "n_layers": 2, "noise": 0.65}
    return theory.suppression_stack(shape.n_items, log_gain_ratio=2 * effect, rng=rng, **options)


def _shuffled_stack(shape: Shape, effect: float, rng: np.random.Generator) -> Pair:
    """The same, paired with other items: a baseline has no Z."""
    x, y = _stack(shape, effect, rng)
    return x, y[:, rng.permutation(shape.n_items)]


_OVER = ("random", PERMUTED, ISOTROPIC, LIKE_STATE)
SIMULATION = Simulation(STUDY, _stack, _measure, gain_gap, _OVER, baseline=_shuffled_stack, base=0.0)


def worlds(pairs: Mapping[str, LanguagePair], result: ProjectionResult) -> Worlds:
    """Stacks of the size of a run's pairs with known gains; shuffled ones for baselines."""
    return of_pairs(SIMULATION, pairs, result.seed_spread)


def sensitivity(pairs: Mapping[str, LanguagePair]) -> pd.DataFrame:
    """Both gaps of the trained model and of its best random-weight baseline under other choices.

    Columns are (language, "trained" or "best baseline").
    """
    choices = {
        f"primary: {N_COMPONENTS} components, {STANDARDISED}": (N_COMPONENTS, True),
        "4 components": (4, True),
        "16 components": (16, True),
        _AS_THEY_ARE: (N_COMPONENTS, False),
    }

    def gap(which: int, n_components: int, scale: bool, pair: LanguagePair) -> dict[str, float]:
        options = {"n_components": n_components, "standardise": scale}
        found = {
            name: split_contributions(*pair.subjects[name], pair.discovery, **options)
            for name in (TRAINED, *pair.random_baselines)
        }
        return {name: mean_gaps(pair, one)[which] for name, one in found.items()}

    rows = {
        (name, words.replace("_", " ")): (pairs, partial(gap, i, n_components, scale))
        for name, (n_components, scale) in choices.items()
        for i, words in enumerate(GAPS)
    }
    return compare_choices(rows, "best baseline")


def _coordinates(gain: float, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """A stationary walk (L+1, n, width) of unit variance whose steps have `gain` times that."""
    kept, fresh = 1 - gain / 2, rng.standard_normal(shape)
    walk = [fresh[0]]
    for new in fresh[1:]:
        walk.append(kept * walk[-1] + np.sqrt(1 - kept**2) * new)
    return np.stack(walk)


def _surrogates(seed: np.random.SeedSequence) -> dict[str, Callable]:
    """Contributions that know nothing of Z: of the same energy in all directions, or as states have it.

    They are a function of the seed: every measure reads the same ones, layer by layer.
    """
    stream = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    noise, order = np.random.default_rng(stream).spawn(2)
    return {
        ISOTROPIC: lambda state, added: noise.standard_normal(added.shape),
        LIKE_STATE: lambda state, added: np.stack([s[order.permutation(s.shape[0])] for s in state]),
    }


def _confirmed(pair: LanguagePair, found: SplitContributions) -> np.ndarray:
    """(6, L, 2, n) `_PARTS` of the confirmation items."""
    return np.stack([getattr(found, part) for part in _PARTS])[..., pair.confirmation]


def _sums(pair: LanguagePair, found: SplitContributions) -> np.ndarray:
    """`_confirmed` of the inner layers only (all where L < 4), over which gaps are averaged."""
    values = _confirmed(pair, found)
    return values[:, 1:-1] if values.shape[1] >= 4 else values


def _layer_gaps(sums: np.ndarray) -> np.ndarray:
    """(3, ..., L) agreement gap, gain gap and held-out agreement by layer, of mean sums (..., 6, L, 2)."""
    state, distance, added, difference = np.moveaxis(sums[..., :4, :, :], -3, 0)
    found = (-difference / added, np.log(added / state), -distance / state)
    return np.stack([a[..., 0] - a[..., 1] for a in found])


def mean_gaps(pair: LanguagePair, found: SplitContributions) -> tuple[float, ...]:
    """Agreement gap, gain gap and held-out agreement, averaged over the inner layers."""
    return tuple(map(float, _layer_gaps(_sums(pair, found).mean(-1)).mean(-1)))


def layer_gaps(pair: LanguagePair, found: SplitContributions) -> np.ndarray:
    """(3, L) agreement gap, gain gap and held-out agreement of every layer."""
    return _layer_gaps(_confirmed(pair, found).mean(-1))


def _curves(
    pair: LanguagePair, measured: Mapping[str, SplitContributions], draws: GroupDraws
) -> pd.DataFrame:
    tables = []
    for name, found in measured.items():
        values = _confirmed(pair, found)
        state, _, added, difference, same, diff = values.mean(-1)
        columns = {"layer": np.arange(len(state))}
        for i, space in enumerate(("Z", "perp")):
            columns[f"q {space}"] = difference[:, i] / added[:, i]
            columns[f"q~ {space}"] = (difference + same)[:, i] / (added + diff)[:, i]
            columns[f"gain {space}"] = added[:, i] / state[:, i]
        columns["agreement_gap"], columns["gain_gap"], _ = _layer_gaps(values.mean(-1))
        if name == TRAINED:
            replicates = _layer_gaps(draws.mean(values).replicates)[1]
            by_layer = zip(columns["gain_gap"], replicates.T, strict=True)
            limits = [interval_of(one, many, draws.n_groups) for one, many in by_layer]
            columns |= {side: [getattr(one, side) for one in limits] for side in ("low", "high")}
        tables.append(pd.DataFrame({"language": pair.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _gap_table(pair: LanguagePair, measured: Mapping[str, SplitContributions]) -> pd.DataFrame:
    rows = []
    for name, found in measured.items():
        half = found.agreement.shape[1] // 2
        inside, outside = found.agreement[:, :half].mean(), found.agreement[:, half:].mean()
        # both languages and half of the directions are summed
        variance = _sums(pair, found)[0].mean() / (2 * half)
        rows.append((pair.language, name, *mean_gaps(pair, found), inside, outside, variance))
    numbers = (*GAPS, HELD_OUT, "agreement Z", "agreement perp", "held_out_variance")
    return pd.DataFrame(rows, columns=["language", "subject", *numbers])

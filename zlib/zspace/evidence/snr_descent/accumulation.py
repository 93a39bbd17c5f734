"""Observation A of theorem 2: is the fall of the SNR accumulation, a dilution of what languages start with?

The number is the share of the fall of log r that accumulation at the first layer's quality explains. It is
known in stacks of `theory.accumulation_null`, whose language offset may also shrink (a cross-term).
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from ... import theory
from ...measures import accumulation, residual
from ...measures.resampling import GroupDraws, Interval, draw_groups, interval_of
from ..error_rates import Simulate, Worlds
from ..language_pairs import TRAINED, LanguagePair
from ..rules import Evidence
from ..simulated_pairs import NO_MORE, Disturbance, Shape, disturbed
from ..study import N_RESAMPLES, Study, assemble

CLAIM = "theorem_2_accumulation"
ACCUMULATION, CROSS_TERMS = "accumulation planted", "cross-terms planted"


def share_statistics(
    measured: Mapping[str, residual.SnrReplicates], subject: str, draws: GroupDraws
) -> dict[str, Interval]:
    """Fall of log r, and the share of it that accumulation explains."""
    found = measured[subject]
    estimate, replicates = (accumulation.accumulation_shares(p) for p in (found.estimate, found.replicates))
    return {
        "fall": interval_of(estimate.fall, replicates.fall, found.n_groups),
        "accumulation_share": interval_of(estimate.shares[0], replicates.shares[:, 0], found.n_groups),
    }


STUDY = Study(CLAIM, share_statistics, positive={ACCUMULATION: ()})


def planted_stacks(
    scenario: np.ndarray, draws: GroupDraws, *, rng: np.random.Generator
) -> dict[str, residual.SnrReplicates]:
    """Stacks of the size of the items whose SNR falls by accumulation alone, and by cross-terms alone."""
    first, second = rng.spawn(2)
    return {
        ACCUMULATION: _stack_of("true", scenario, draws, first),
        CROSS_TERMS: _stack_of("false", scenario, draws, second),
    }


def worlds(pairs: Mapping[str, LanguagePair]) -> Worlds:
    """Stacks whose SNR falls by accumulation alone ("true"), by cross-terms alone ("false"), half by each
    ("null"), or three quarters by the former ("modest"), of the size of a run's confirmation items.
    """
    pair = next(iter(pairs.values()))
    scenario = np.unique(pair.scenario[pair.confirmation], return_inverse=True)[1]

    def make(rng: np.random.Generator) -> Simulate:
        making, drawing = rng.spawn(2)
        draws = draw_groups(scenario, N_RESAMPLES, rng=drawing)
        controls = planted_stacks(scenario, draws, rng=making)

        def simulate(world: str, rng: np.random.Generator) -> Evidence:
            stack = _stack_of(world, scenario, draws, rng, dim=256)
            return assemble(STUDY, {TRAINED: stack, **controls}, draws)

        return simulate

    shares = {"true": "all", "modest": "three quarters", "null": "half", "false": "none"}
    effects = {world: f"{share} of the fall by accumulation" for world, share in shares.items()}
    return Worlds(CLAIM, make, {"scenario": scenario.tolist()}, effects)


def disturbed_worlds(disturbance: Disturbance, shape: Shape, rng: np.random.Generator) -> Callable:
    """`simulate(multiple, rng)`: stacks of which accumulation explains that multiple of the bound, a half.

    A disturbance has accumulation and cross-terms of its own; the shrinkage of the offset makes up for them,
    as a large stack shows. A share cannot pass one: three quarters stand for all multiples from 1.5 on, and a
    tenth for one more baseline, which this claim has not.
    """
    making, drawing, measuring = rng.spawn(3)
    scenario = np.unique(shape.scenario[~shape.discovery], return_inverse=True)[1]
    draws = draw_groups(scenario, N_RESAMPLES, rng=drawing)
    controls = planted_stacks(scenario, draws, rng=making)
    seed = int(measuring.integers(2**32))
    shrinkage = functools.cache(functools.partial(_disturbed_shrinkage, disturbance=disturbance, seed=seed))

    def simulate(multiple: float | str, rng: np.random.Generator) -> Evidence:
        share = 0.1 if multiple == NO_MORE else min(0.5 * multiple, 0.75)
        stack = _disturbed_stack(len(scenario), shrinkage(share), disturbance, rng)
        found = residual.snr_replicates(*stack, scenario, draws.weights)
        return assemble(STUDY, {TRAINED: found, **controls}, draws)

    return simulate


def _stack_of(
    world: str, scenario: np.ndarray, draws: GroupDraws, rng: np.random.Generator, dim: int = 1024
) -> residual.SnrReplicates:
    shrink = {"true": 0.0, "false": 0.12, "null": _shrinkage(0.5), "modest": _shrinkage(0.75)}[world]
    h1, h2 = _shrinking_stack(len(scenario), shrink, rng=rng, dim=dim, quiet=world == "false")
    return residual.snr_replicates(h1, h2, scenario, draws.weights[:N_RESAMPLES])


def _shrinking_stack(
    n: int, shrink: float, *, rng: np.random.Generator, dim: int, quiet: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """`theory.accumulation_null` whose language offset also shrinks by a constant factor (a cross-term)."""
    h1, h2 = theory.accumulation_null(n, rng=rng, dim=dim, n_layers=6, step=0.02 if quiet else 0.45)
    half = (h1 - h2).mean(1, keepdims=True)[:1] / 2
    kept = ((1 - shrink) ** np.arange(len(h1)) - 1)[:, None, None]
    return h1 + kept * half, h2 - kept * half


@functools.cache
def _shrinkage(share: float) -> float:
    """Shrinkage at which accumulation explains `share` of the fall, from the stack's expected distances."""
    n_layers, offset, step = 6, 1.15, 0.45
    k, ones = np.arange(n_layers + 1), np.ones(n_layers)
    noise = 1 + k * step**2

    def excess(shrink: float) -> float:
        square = (offset * (1 - shrink) ** k) ** 2
        profile = residual.snr_profile(*theory.swap_counterexample(0.5, 4))
        expected = replace(
            profile,
            d_same=square + 2 * noise,
            d_diff=2 * noise,
            delta_sq=shrink**2 * square[:-1] + 2 * step**2,
            sigma_sq=2 * step**2 * ones,
            cross_same=-2 * shrink * square[:-1],
            cross_diff=0 * ones,
        )
        return float(accumulation.accumulation_shares(expected).shares[0]) - share

    return float(brentq(excess, 1e-6, 0.5))


def _disturbed_stack(
    n: int, shrink: float, disturbance: Disturbance, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    making, adding = rng.spawn(2)
    return disturbed(_shrinking_stack(n, shrink, rng=making, dim=64), disturbance, rng=adding)


def _disturbed_shrinkage(share: float, *, disturbance: Disturbance, seed: int) -> float:
    """Shrinkage at which accumulation explains `share` of the fall in a stack of 2000 items."""

    def excess(shrink: float) -> float:
        rng = np.random.default_rng(seed)
        profile = residual.snr_profile(*_disturbed_stack(2000, shrink, disturbance, rng))
        return float(accumulation.accumulation_shares(profile).shares[0]) - share

    return float(brentq(excess, -0.05, 0.6, xtol=1e-4))

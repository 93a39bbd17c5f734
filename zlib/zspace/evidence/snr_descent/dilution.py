"""Observation A of theorem 2: is the fall of the SNR accumulation, a dilution of what languages start with?

Share of the fall of log r that accumulation at the first layer's quality explains, and stacks whose
share is known: `theory.accumulation_null`, whose language offset may also shrink (a cross-term).
"""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from ... import theory
from ...measures import accumulation, residual
from ...measures.resampling import Interval, interval_of
from ..language_pairs import TRAINED, Panel
from ..rules import Control, Evidence
from ..study import N_RESAMPLES, as_evidence


def accumulation_evidence(
    panel: Panel, found: residual.SnrReplicates, *, rng: np.random.Generator
) -> Evidence:
    """Fall of log r and the share of it that accumulation explains, with two stacks of known answer."""
    built = as_evidence(panel, {TRAINED: _accumulation_statistics(found)})
    return replace(built, controls=_accumulation_controls(panel.scenario[panel.confirmation], rng))


def accumulation_worlds(
    scenario: np.ndarray, *, rng: np.random.Generator
) -> Callable[[str, np.random.Generator], Evidence]:
    """simulate(world, rng) for observation A: stacks whose SNR falls by accumulation alone ("true"), by
    cross-terms alone ("false"), half by each ("null"), or three quarters by the former ("modest").
    `scenario` (n,) gives size and grouping.
    """
    controls = _accumulation_controls(scenario, rng)
    size = {"n_items": len(scenario), "n_scenarios": len(np.unique(scenario))}

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        measured = _accumulation_world(world, scenario, rng, dim=256)
        return Evidence("simulated", statistics=measured, controls=controls, **size)

    return simulate


def _accumulation_controls(scenario: np.ndarray, rng: np.random.Generator) -> tuple[Control, ...]:
    positive, negative = rng.spawn(2)
    return (
        Control("accumulation planted", "positive", _accumulation_world("true", scenario, positive)),
        Control("cross-terms planted", "negative", _accumulation_world("false", scenario, negative)),
    )


def _accumulation_world(
    world: str, scenario: np.ndarray, rng: np.random.Generator, dim: int = 1024
) -> dict[str, Interval]:
    shrink = {"true": 0.0, "false": 0.12, "null": _shrinkage(0.5), "modest": _shrinkage(0.75)}[world]
    stack, resamples = rng.spawn(2)
    h1, h2 = _shrinking_stack(len(scenario), shrink, rng=stack, dim=dim, quiet=world == "false")
    found = residual.snr_replicates(h1, h2, scenario, n_resamples=N_RESAMPLES, rng=resamples)
    return _accumulation_statistics(found)


def _shrinking_stack(
    n: int,
    shrink: float,
    *,
    rng: np.random.Generator,
    quiet: bool = False,
    n_layers: int = 6,
    dim: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """`theory.accumulation_null` whose language offset also shrinks by a factor a layer (a cross-term)."""
    step = 0.02 if quiet else 0.45
    h1, h2 = theory.accumulation_null(n, rng=rng, dim=dim, n_layers=n_layers, step=step)
    half = (h1 - h2).mean(1, keepdims=True)[:1] / 2
    kept = ((1 - shrink) ** np.arange(n_layers + 1) - 1)[:, None, None]
    return h1 + kept * half, h2 - kept * half


@functools.cache
def _shrinkage(share: float, n_layers: int = 6, offset: float = 1.15, step: float = 0.45) -> float:
    """Shrinkage at which accumulation explains `share` of the fall, from the stack's expected distances."""
    k = np.arange(n_layers + 1)
    noise = 1 + k * step**2

    def excess(shrink: float) -> float:
        square = (offset * (1 - shrink) ** k) ** 2
        ones = np.ones(n_layers)
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


def _accumulation_statistics(found: residual.SnrReplicates) -> dict[str, Interval]:
    estimate, replicates = (accumulation.accumulation_shares(p) for p in (found.estimate, found.replicates))
    return {
        "fall": interval_of(estimate.fall, replicates.fall, found.n_groups),
        "accumulation_share": interval_of(estimate.shares[0], replicates.shares[:, 0], found.n_groups),
    }

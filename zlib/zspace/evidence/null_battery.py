"""The battery: rules in worlds whose truth is known, each with something in it that must decide nothing.

A *world* simulates evidence of one claim whose true effect is a multiple of its bound, or nothing beyond one
more baseline, under a disturbance (`simulated_pairs.DISTURBANCES`). `WORLDS` holds them by claim and name;
claims about difficulty, series and bridges have theirs in the folders of their questions, and join by adding
to it. `rates` counts verdicts. A verdict is *wrong* if it is forbidden at that effect: "supported" at the
bound and below, "refuted" at the bound and above.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from . import claims, simulated_pairs
from .double_suppression import models
from .retrieval import by_layer, updates
from .rules import REFUTED, SUPPORTED
from .shared_subspace import shared_dimension
from .simulated_pairs import DISTURBANCES, NO_MORE, Disturbance, Shape, Simulation
from .snr_descent import accumulation, descent

# true effect, in units of the bound -> verdicts that are wrong there
FORBIDDEN: Mapping[float | str, tuple[str, ...]] = {
    NO_MORE: (SUPPORTED,),
    0.5: (SUPPORTED,),
    1.0: (SUPPORTED, REFUTED),
    2.0: (REFUTED,),
    4.0: (REFUTED,),
}
COLUMNS = ("claim", "world", "true effect", "baselines", "worlds", "supported", "refuted", "wrong", "at most")
_SIMULATIONS: Mapping[str, Simulation] = {
    **by_layer.SIMULATIONS,
    updates.CLAIM: updates.SIMULATION,
    descent.EVERY: descent.SIMULATION,
    models.CLAIM: models.SIMULATION,
    shared_dimension.CLAIM: shared_dimension.SIMULATION,
}

# an offset is what accumulation dilutes: it is no disturbance there
_OF_STACKS = {
    **{name: DISTURBANCES[name] for name in ("independent", "drift", "unlike noise")},
    "outlier dimension": Disturbance(outlier=0.5),
}

# make(shape, rng) -> simulate(multiple of the bound or NO_MORE, rng) -> evidence
Make = Callable[[Shape, np.random.Generator], Callable]


def _of_pairs(simulation: Simulation, name: str, shape: Shape, rng: np.random.Generator) -> Callable:
    return simulated_pairs.worlds_of(simulation, shape, rng=rng, disturbance=DISTURBANCES[name], raw=True)


WORLDS: Mapping[str, Mapping[str, Make]] = {
    **{
        claim: {name: partial(_of_pairs, simulation, name) for name in DISTURBANCES}
        for claim, simulation in _SIMULATIONS.items()
    },
    accumulation.CLAIM: {
        name: partial(accumulation.disturbed_worlds, one) for name, one in _OF_STACKS.items()
    },
}


def rates(
    claim: str,
    world: str,
    effects: Sequence[float | str],
    shape: Shape,
    *,
    rng: np.random.Generator,
    n_worlds: int = 200,
) -> pd.DataFrame:
    """How often each verdict falls in a world: one row per true effect, with `COLUMNS`.

    "wrong" is the largest rate of a verdict that is forbidden there, "at most" its upper exact limit
    (one-sided, 95 %).
    """
    making, drawing = rng.spawn(2)
    simulate = WORLDS[claim][world](shape, making)
    rows = []
    for effect, stream in zip(effects, drawing.spawn(len(effects)), strict=True):
        found = [claims.evaluate(claim, simulate(effect, one)).as_corrected for one in stream.spawn(n_worlds)]
        counts = {verdict: found.count(verdict) for verdict in (SUPPORTED, REFUTED)}
        wrong = max(counts[verdict] for verdict in FORBIDDEN[effect])
        _, high = proportion_confint(wrong, n_worlds, 0.1, "beta")
        shares = [count / n_worlds for count in (*counts.values(), wrong)]
        rows.append((claim, world, str(effect), shape.n_baselines, n_worlds, *shares, float(high)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def in_words(table: pd.DataFrame) -> str:
    """The battery as a table of Markdown: one row per claim, world, number of baselines and effect."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for row in table.itertuples(index=False):
        cells = [f"{cell:.3f}".lstrip("0") if isinstance(cell, float) else str(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)

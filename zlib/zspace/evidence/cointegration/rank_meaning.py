"""What a cointegration rank counts, and what it takes to find it: conjecture 7 without a model."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ... import theory
from ...series import cointegration
from ..rules import Evidence

CLAIM = "conjecture_7_rank"
# of the note: as many layers, and six series
STEPS, SERIES = 28, 6
LEFT_OUT = ["problems not scaled", "layers not weighted", "problem means removed"]
_SIZE = (0.02, 0.09)


@dataclass(frozen=True)
class RankMeaning:
    """Sizes and recoveries of rank tests where the truth is known.

    sizes : n_steps, n_series, and share of independent walks in which a relation is found, by correction.
    recovery : variant of the pooled test, specific (coordinates that wander or not), size, recovery,
        mean_rank, true_rank.
    evidence : of `CLAIM`.
    """

    sizes: pd.DataFrame
    recovery: pd.DataFrame
    evidence: Evidence


def rank_meaning(*, rng: np.random.Generator, n_simulations: int = 200) -> RankMeaning:
    """Checks of what a rank counts, and the tables they rest on."""
    sizing, *recovering = rng.spawn(3)
    lengths = {"steps": (STEPS, 50, 100, 200), "series": (2, 4, SERIES)}
    sizes = pd.DataFrame(cointegration.size_table(**lengths, rng=sizing, n_simulations=10 * n_simulations))
    system = {"n_steps": STEPS, "dim": 3, "n_shared": 1, "n_simulations": n_simulations}
    tables = []
    for kind, one in zip(("random_walk", "stationary"), recovering, strict=True):
        rows = cointegration.recovery_table(**system, specific=kind, rng=one)
        tables.append(pd.DataFrame(rows).assign(specific=kind))
    recovery = pd.concat(tables, ignore_index=True)
    by = recovery.set_index(["specific", "variant"])
    full = by.xs("all corrections", level="variant")
    naive = sizes.set_index(["n_steps", "n_series"])["none"]
    # a world of independent walks does not depend on what is specific: both tables simulate it
    corrected = full["size"].mean()
    checks = {
        "symbolic_proof": all(residue == 0 for residue in theory.prove_trends().values()),
        "stationary_remainder_changes_the_rank": bool(full.loc["stationary", "mean_rank"] > 4.5),
        "one_problem_finds_relations_of_nothing": bool(naive[STEPS, SERIES] > 0.5),
        "pooled_test_holds_its_level": bool(_SIZE[0] <= corrected <= _SIZE[1]),
        "pooled_test_finds_the_rank": bool((full["recovery"] >= 0.9).all()),
        "without_corrections_it_fails": bool(by.loc[("random_walk", LEFT_OUT), "size"].min() > 2 * _SIZE[1]),
    }
    return RankMeaning(sizes, recovery, Evidence(checks=checks))

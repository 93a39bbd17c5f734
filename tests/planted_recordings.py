"""Recordings without a model: series whose clustering is known."""

import numpy as np
import pandas as pd
from zspace.series.volatility.planted import simulate_mem
from zspace.states.generation.recordings import Recordings

CONDITIONS = ("reasoning", "copying", "random-0", "random-1", "random-2", "plain")
ORDER = {"omega": 0.1, "garch_alpha": 0.3, "garch_beta": 0.6}
NONE = {"omega": 1.0, "garch_alpha": 0.0, "garch_beta": 0.0}


def planted_recordings(
    rng: np.random.Generator,
    *,
    clustering: tuple[str, ...] = ("reasoning",),
    n_scenarios: int = 16,
    languages: tuple[str, ...] = ("de",),
    layers: tuple[int, ...] = (3,),
    correct: float = 1.0,
) -> Recordings:
    """One solution a scenario; the conditions in `clustering` follow a MEM, the others have no order."""
    rows, energies, classes = [], [], []
    for condition in CONDITIONS:
        lengths = np.random.default_rng(n_scenarios).integers(100, 150, n_scenarios)
        for language in languages:
            for i, steps in enumerate(lengths):
                about = (condition, language, f"s{i}", f"s{i}-5-000", 0, i < correct * n_scenarios)
                rows.append((*about, False, "text", steps))
                kind = ORDER if condition in clustering else NONE
                shape = (len(layers), int(steps))
                energy = simulate_mem(shape, rng=rng, innovations="lognormal", **kind)
                # a class of its own level every ninth step
                classes.append((np.arange(steps) % 9 == 0).astype(np.int8))
                energies.append(energy * np.where(classes[-1], 4.0, 1.0) * rng.lognormal())
    columns = ["condition", "language", "scenario", "item", "sample", "correct"]
    columns += ["looping", "stopped", "n_steps"]
    series = pd.DataFrame(rows, columns=columns)
    series["start"] = series["n_steps"].cumsum() - series["n_steps"]
    energy, of = np.concatenate(energies, axis=1), np.concatenate(classes)
    outcomes = series[series["condition"] == "reasoning"].drop(columns="start").reset_index(drop=True)
    surprisal = rng.exponential(size=of.size)
    tokens = rng.integers(0, 99, of.size)
    pieces = {token: "." if token < 8 else "word" for token in range(99)}  # a sentence has a dozen tokens
    return Recordings(
        series, outcomes, np.array(layers), energy, energy, -surprisal, surprisal, tokens, of, {}, pieces
    )

"""Worlds with known answers, at the size of the data, for the operating characteristic of each rule.

World "true" carries the signal in every scenario, "false" in none (or reversed), "null" in the share of
scenarios that puts the mean of the primary statistic on the bound of the rule, where the verdict `supported`
is wrong most easily, and "modest" in the share that puts it on twice the bound.
"""

import json
from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from .. import files
from ..sources.corpora import Corpus
from . import claims, error_rates_statistics
from .claims import rule
from .double_suppression import models
from .language_pairs import simulated_panel
from .retrieval import by_layer, updates
from .rules import Evidence, bound_of
from .snr_descent import descent, dilution

WORLDS = ("true", "false", "null", "modest")
_N_CALIBRATION = 30
_SIGNALS = {
    "prediction_1_aligned": "scenarios",
    "prediction_1_rises": "scenarios",
    "prediction_2_update_agnosticism": "updates",
    "theorem_2_every_layer": "scenarios",
}

# where no signal is not the opposite of the claim, world "false" has it reversed
_FALSE = {models.CLAIM: -1.0}


def size_of(corpus: Corpus) -> dict[str, int]:
    """Number of scenarios of a corpus, and of items in each (their rounded mean), for `simulation`."""
    n_scenarios = int(corpus.items["scenario"].nunique())
    return {"n_scenarios": n_scenarios, "n_draws": max(1, round(len(corpus) / n_scenarios))}


def operating_characteristic(
    claim_id: str, corpus: Corpus, *, rng: np.random.Generator, n_simulations: int = 200
) -> claims.OperatingCharacteristic:
    """`claims.operating_characteristic` of a claim at the size of a corpus, computed once in a runs folder.

    The rates depend on the claim's rule, that size, the stream of random numbers and the code alone, so that
    the notebooks of several models share them.
    """
    size, seed = size_of(corpus), rng.bit_generator.seed_seq
    if claim_id in error_rates_statistics.CLAIMS:
        size = {"n_scenarios": size["n_scenarios"], "n_languages": len(corpus.languages)}
    stream = [seed.entropy, list(seed.spawn_key), seed.n_children_spawned]
    code = files.source_fingerprint("theory", "measures", "series", "evidence")
    key = files.fingerprint([claim_id, rule(claim_id)["rules"], size, n_simulations, stream, code])
    path = files.runs_root() / "operating" / f"{key}.json"
    with files.lock(path):
        if path.is_file():
            return claims.OperatingCharacteristic(**json.loads(path.read_text("utf-8")))
        worlds, draws = rng.spawn(2)
        if claim_id in error_rates_statistics.CLAIMS:
            world = error_rates_statistics.worlds(claim_id, rule(claim_id)["rules"], **size)
        else:
            world = simulation(claim_id, **size, rng=worlds)
        found = claims.operating_characteristic(claim_id, world, rng=draws, n_simulations=n_simulations)
        with files.atomic_write(path) as stream:
            json.dump(asdict(found), stream)
    return found


def simulation(
    claim_id: str, *, n_scenarios: int, n_draws: int, rng: np.random.Generator
) -> Callable[[str, np.random.Generator], Evidence]:
    """simulate(world, rng) -> Evidence for `claims.operating_characteristic`.

    The share of world "null" is found by interpolating the mean of the primary statistic between
    no scenario and all of them (30 panels each): an item's outcome depends on its own scenario
    alone, so that the mean is linear in the share.
    """
    if claim_id == "theorem_2_accumulation":
        confirmed = n_scenarios - n_scenarios // 3  # a third of the scenarios is for discovery
        return dilution.accumulation_worlds(np.repeat(np.arange(confirmed), n_draws), rng=rng)
    primary = rule(claim_id)["primary"]
    _, bound, _ = bound_of(primary, rule(claim_id)["rules"]["as_corrected"][primary])

    def evidence(share: float, rng: np.random.Generator) -> Evidence:
        return _evidence(claim_id, share, rng, n_scenarios=n_scenarios, n_draws=n_draws)

    none, full = (
        np.mean([evidence(share, r).statistics[primary].estimate for r in rng.spawn(_N_CALIBRATION)])
        for share in (0.0, 1.0)
    )
    null, modest = (float(np.clip((m - none) / (full - none), 0, 1)) for m in (bound, 2 * bound))
    shares = {"true": 1.0, "false": _FALSE.get(claim_id, 0.0), "null": null, "modest": modest}
    return lambda world, rng: evidence(shares[world], rng)


def _evidence(claim_id: str, share: float, rng: np.random.Generator, **size: int) -> Evidence:
    if claim_id == models.CLAIM:
        return models.simulated_evidence(share, rng, **size)
    world, stream = rng.spawn(2)
    panel = simulated_panel(_SIGNALS[claim_id], share, rng=world, **size)
    if claim_id == "prediction_2_update_agnosticism":
        subjects = updates.update_subjects(panel, stream.spawn(1)[0])
        measured = {name: updates.update_auc(panel, pair) for name, pair in subjects.items()}
        return updates.update_evidence(panel, measured, rng=stream)
    if claim_id == "theorem_2_every_layer":
        return descent.matched_evidence(panel, rng=stream)
    outcomes = by_layer.retrieval_outcomes(panel)
    return by_layer.EVIDENCE[claim_id](panel, outcomes, rng=stream)

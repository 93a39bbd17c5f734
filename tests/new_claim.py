"""A claim on a model, whole: what a new one costs. Its measure, study, worlds, sensitivity and figure.

Scenarios that are far apart in one language are far apart in the other (representational similarity), at the
layer where that is clearest on discovery scenarios, judged on the others, beyond random-weight baselines.

Source: Kriegeskorte, Mur & Bandettini (2008), Frontiers in Systems Neuroscience 2:4.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from zspace.evidence import study
from zspace.evidence.error_rates import Worlds, of_pairs
from zspace.evidence.language_pairs import PERMUTED, SHUFFLED, TRAINED, standardised
from zspace.evidence.retrieval.figures import excess_by_subject
from zspace.evidence.rules import Evidence
from zspace.evidence.simulated_pairs import Simulation, plant_content
from zspace.evidence.study import RAW, Study, Values, draw
from zspace.measures.resampling import GroupDraws, Interval

CLAIM = "similar_distances"
ENTRY = {  # what params/claims.yaml would hold
    "title": "Two languages order scenarios alike",
    "notebook": "similar_distances",
    "kind": "prediction",
    "statement": {
        "as_stated": "Scenarios that are far apart in one language are far apart in the other.",
        "as_corrected": "They are by .10 more than in random-weight models, at a layer chosen on discovery.",
    },
    "null_hypothesis": "the same correlation of distances in random-weight baselines",
    "multiplicity": "Holm over languages",
    "scope": "one model, one corpus, one language pair, confirmation scenarios",
    "rules": {
        "required": ["random-0", "random-1", "random-2", "shuffled pairing", "planted signal"],
        "as_stated": {"not_testable": "no level is named that chance would have to stay below"},
        "as_corrected": {"similarity_excess": {"above": 0.10}},
    },
    "primary": "similarity_excess",
}


def similarity(pair, states: tuple, draws: GroupDraws) -> Values:
    """Correlation of the two languages' distances between scenario means, at the chosen layer."""

    def distances(rows: np.ndarray) -> np.ndarray:
        names = np.unique(pair.scenario[rows])
        means = [[s[:, rows & (pair.scenario == name)].mean(1) for name in names] for s in states]
        means = np.swapaxes(np.array(means), 1, 2)  # (2, L+1, S, d)
        return np.linalg.norm(means[:, :, :, None] - means[:, :, None], axis=-1)

    def correlation(found: np.ndarray, weights: np.ndarray) -> np.ndarray:
        first, second = np.triu_indices(found.shape[-1], 1)
        w = weights[..., first] * weights[..., second]  # a pair of one scenario with itself says nothing
        w = w / w.sum(-1, keepdims=True)
        x, y = (one[..., first, second] for one in found)
        x, y = (one - (w * one).sum(-1, keepdims=True) for one in (x, y))
        return (w * x * y).sum(-1) / np.sqrt((w * x**2).sum(-1) * (w * y**2).sum(-1))

    chosen = distances(pair.discovery)
    layer = int(np.argmax(correlation(chosen, np.ones(chosen.shape[-1]))))
    found = distances(pair.confirmation)[:, layer]
    one, many = (correlation(found, weights) for weights in (draws.everyone, draws.weights))
    return Values(np.array([one]), many[None], draws.n_groups)


def statistics(measured: Mapping[str, Values], subject: str, draws: GroupDraws) -> dict[str, Interval]:
    """Similarity beyond that of every baseline."""
    over = study.baselines(measured, subject, (PERMUTED, SHUFFLED))
    return study.excesses(measured, subject, over, ("similarity",))


def measure(pair, draws: GroupDraws, rng: np.random.Generator, raw: bool) -> list[dict[str, Values]]:
    """Similarity of every subject, dimensions standardised, and as they are where that is asked for."""
    measures = [standardised(pair), pair] if raw else [standardised(pair)]
    return [{n: similarity(one, states, draws) for n, states in one.subjects.items()} for one in measures]


def number(found: Values) -> float:
    """The similarity of one subject."""
    return float(found.estimate[0])


STUDY = Study(CLAIM, statistics)
SIMULATION = Simulation(STUDY, plant_content, measure, number, ("random", PERMUTED, SHUFFLED))


def similar_distances(pairs: Mapping, *, rng: np.random.Generator) -> tuple[list[Evidence], Worlds]:
    """Evidence of every language, and simulated pairs like this run's for the error rates of the rule."""
    evidence, measured = [], []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        draws = draw(pair, rng=stream)
        scaled, raw = measure(pair, draws, stream, True)
        measured.append(scaled)
        evidence.append(study.judge(STUDY, pair, scaled, draws, {RAW: raw}))
    return evidence, of_pairs(SIMULATION, pairs, study.seed_spread(measured, number))


def sensitivity(pairs: Mapping) -> pd.DataFrame:
    """Similarity under other choices, of the model and of its highest control."""

    def numbers(pair) -> dict[str, float]:
        draws = draw(pair, rng=np.random.default_rng(0), n_resamples=2)
        return {name: float(similarity(pair, s, draws).estimate[0]) for name, s in pair.subjects.items()}

    scaled = {language: standardised(pair) for language, pair in pairs.items()}
    choices = {"primary": (scaled, numbers), RAW: (pairs, numbers)}
    return study.compare_choices(choices, "highest control")


def figure(evidence: list[Evidence]):
    """Similarity beyond the baselines, of the model and of every control."""
    rows = []
    for one in evidence:
        shown = {TRAINED: one.statistics, **{c.name: c.statistics for c in one.controls}}
        found = {name: numbers["similarity_excess"] for name, numbers in shown.items()}
        rows += [(one.language, name, v.estimate, v.low, v.high) for name, v in found.items()]
    table = pd.DataFrame(rows, columns=["language", "subject", "estimate", "low", "high"])
    best = table[table["subject"] == TRAINED]["estimate"].max()
    return excess_by_subject(table, 0.10, f"Similarity of distances: at most {best:.2f} above", "excess")

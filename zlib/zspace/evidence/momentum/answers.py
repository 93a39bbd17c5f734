"""Conjecture 6, its second half: do changes of regime fall on answers (the "aha moment")?

The logarithm of what position, token class and surprisal leave of ||f_l||^2 is read as two levels in turn
(`series.regimes.levels`); a *change* is where the more probable level changes and stays. An *answer* is a
digit of the result of a step of a worked solution. The share of changes within four steps of an answer,
beyond what the same changes would have at any other place (the mean over all circular shifts), as a share of
what is left to one, is the *coincidence*: 0 by chance, 1 where all changes fall on answers.

Rivals: the same tokens copied, and plain reading, in which nothing is answered: there ends of sentences take
the place of answers, since a text changes where a sentence ends, whatever is computed. Controls are
random-weight baselines on the same tokens, series shifted around the circle of their steps (shuffled steps
have hardly any change of regime), and levels that change at every answer.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...series import regimes
from ...series.regimes.levels import two_levels
from ...states.generation.recordings import Recordings
from ...states.generation.transcripts import answer_steps, sentence_numbers
from .. import claims
from ..error_rates import Worlds
from ..language_pairs import PLANTED
from ..rules import OVERALL, Evidence, bound_of
from .ratios import Parts, ratio_evidence
from .solutions import COPYING, PLAIN, TWINS, adjusted, evaluate

CLAIM = "conjecture_6_regime_changes"
SHIFTED = "series shifted"
WINDOW = 4  # steps at which an event is near
_BOUND = bound_of(claims.rule(CLAIM)["rules"]["as_corrected"]["excess_over_copying"])[1]
_JUMP = 1.2  # of log y, up or down, where a change is planted
_RUN = 12.0  # steps, at least 8, that a simulated level lasts on average beyond that


@dataclass(frozen=True)
class AnswersResult:
    """Changes of regime and answers.

    table : condition -> changes per series, share of them near an event, the share expected, coincidence.
    evidence : of all languages together (language "*"), then one per language.
    """

    table: pd.DataFrame
    evidence: list[Evidence]

    def verdicts(self) -> list[claims.Verdict]:
        """Over all languages together, then of each, Holm-adjusted over the languages."""
        return evaluate(CLAIM, self.evidence)


def changes_at_answers(recordings: Recordings, layer: int, *, rng: np.random.Generator) -> AnswersResult:
    """Whether changes of regime fall on answers at one layer, in all solutions kept.

    Raises ParameterError for a layer that was not kept.
    """
    making, judging = rng.spawn(2)
    parts, counts = coincidences(recordings, layer, rng=making)
    kept = _solutions(recordings)
    languages = [OVERALL, *kept["language"].unique()]
    evidence = []
    for language, stream in zip(languages, judging.spawn(len(languages)), strict=True):
        own = np.full(len(kept), True) if language == OVERALL else (kept["language"] == language).to_numpy()
        chosen = {name: part[own] for name, part in parts.items()}
        evidence.append(_evidence(language, chosen, kept["scenario"][own], stream))
    return AnswersResult(counts, evidence)


def coincidences(
    recordings: Recordings, layer: int, *, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Parts (n, 2) of every condition, one row per solution, and the table of `AnswersResult`.

    The numerator is hits less those expected, the denominator changes less those expected.
    """
    series, events = {}, {}
    for language in recordings.series["language"].unique():
        left, rows = adjusted(recordings, language, layer), recordings.series["language"] == language
        for condition, of in recordings.series[rows].groupby("condition", sort=False).groups.items():
            series.setdefault(condition, []).extend(np.log(y) for _, y in left[condition])
            events.setdefault(condition, []).extend(_events(recordings, row, condition) for row in of)
    at = events["reasoning"]
    shifting, planting = rng.spawn(2)
    series[SHIFTED] = [
        np.roll(y, shifting.integers(2 * WINDOW, y.size - 2 * WINDOW)) for y in series["reasoning"]
    ]
    # up and down in turn, one level from an answer to the next
    series[PLANTED] = [
        planting.permutation(y) + _JUMP * (-1.0) ** np.cumsum(_first(e)) * max(1.0, y.std())
        for y, e in zip(series["reasoning"], at, strict=True)
    ]
    lengths = [len(many) for many in series.values()]
    probabilities = two_levels([y for many in series.values() for y in many])
    ends = np.cumsum([0, *lengths])
    parts, rows = {}, {}
    for (condition, start), end in zip(zip(series, ends, strict=False), ends[1:], strict=True):
        found = [regimes.change_points(p) for p in probabilities[start:end]]
        counts = np.array(
            [_counts(c, e) for c, e in zip(found, events.get(condition, at), strict=True)], float
        )
        changes, hits, expected = counts.T
        parts[condition] = np.stack([hits - expected, changes - expected], 1)
        total = changes.sum()
        rows[condition] = {
            "changes a series": changes.mean(),
            "share near": hits.sum() / total if total else np.nan,
            "expected": expected.sum() / total if total else np.nan,
            "coincidence": parts[condition][:, 0].sum() / parts[condition][:, 1].sum() if total else np.nan,
        }
    return parts, pd.DataFrame.from_dict(rows, orient="index")


def worlds(recordings: Recordings, layer: int) -> Worlds:
    """Worlds with as many and as long solutions as the recordings have, all languages together.

    Series are simulated and go through `coincidences`; levels change at random in every condition, and in a
    share of solutions, in reasoning, at answers: all of them in world "true", none in "false", and as many as
    put the excess on its bound, or twice there, in "null" and "modest".
    """
    kept = _solutions(recordings)
    shares = {"true": 1.0, "false": 0.0}

    def make(rng: np.random.Generator):
        signal, none = (
            coincidences(_simulated(recordings, at, r), layer, rng=r)[0]
            for at, r in zip((True, False), rng.spawn(2), strict=True)
        )
        pool = np.vstack([none["reasoning"], none[COPYING]])
        base = max(np.divide(*part.sum(0)) for part in (pool, none[PLAIN]))

        def share_at(excess: float) -> float:
            """Share of solutions with changes at answers at which the coincidence has that excess."""
            more, less = (p.mean(0) @ (1.0, -base - excess) for p in (signal["reasoning"], pool))
            return float(np.clip(-less / (more - less), 0, 1))

        shares.update(null=share_at(_BOUND), modest=share_at(2 * _BOUND))

        def simulate(world: str, rng: np.random.Generator) -> Evidence:
            n = len(kept)
            parts = {name: part[rng.integers(len(part), size=n)] for name, part in none.items()}
            parts |= {name: pool[rng.integers(len(pool), size=n)] for name in ("reasoning", COPYING)}
            has = rng.random(n) < shares[world]
            parts["reasoning"][has] = signal["reasoning"][rng.integers(n, size=n)][has]
            return _evidence("simulated", parts, kept["scenario"], rng)

        return simulate

    about = {"lengths": recordings.series["n_steps"].tolist(), "scenarios": kept["scenario"].tolist()}
    effects = {"true": "all changes at answers", "false": "none", "null": "on the bound"}
    return Worlds(CLAIM, make, about, {**effects, "modest": "twice the bound"})


def _evidence(language: str, parts: Parts, scenarios, rng: np.random.Generator) -> Evidence:
    controls = {PLANTED: "positive", SHIFTED: "negative", **dict.fromkeys(TWINS, "negative")}
    return ratio_evidence(
        language,
        parts,
        scenarios,
        name="coincidence",
        rivals={"copying": [COPYING], "plain": [PLAIN]},
        controls={name: kind for name, kind in controls.items() if name in parts},
        # a text whose levels change at its answers does so whoever reads it
        corrected_only=[name for name in TWINS if name in parts],
        rng=rng,
    )


def _solutions(recordings: Recordings) -> pd.DataFrame:
    """Rows of the solutions kept, language by language, as `coincidences` has them."""
    kept = recordings.series[recordings.series["condition"] == "reasoning"]
    return pd.concat([own for _, own in kept.groupby("language", sort=False)])


def _events(recordings: Recordings, row: int, condition: str) -> np.ndarray:
    """Answers (T,) bool, or in plain reading the ends of sentences."""
    pieces = recordings.spelled(row)
    return np.diff(sentence_numbers([*pieces, ""])) > 0 if condition == PLAIN else answer_steps(pieces)


def _first(events: np.ndarray) -> np.ndarray:
    """The first step of each run of events."""
    return events & ~np.r_[False, events[:-1]]


def _counts(changes: np.ndarray, events: np.ndarray) -> tuple[int, int, float]:
    """Changes, those near an event, and those expected to be by chance: the mean over all circular shifts."""
    near = np.convolve(events, np.ones(2 * WINDOW + 1), mode="same") > 0
    return changes.size, int(near[changes].sum()), float(near.mean() * changes.size)


def _simulated(recordings: Recordings, at_answers: bool, rng: np.random.Generator) -> Recordings:
    """Recordings whose levels change at random, in reasoning at answers where asked for."""
    energy = np.empty_like(recordings.update_energy)
    conditions = recordings.series["condition"].tolist()
    for row, (condition, stream) in enumerate(zip(conditions, rng.spawn(len(conditions)), strict=True)):
        steps = recordings.steps(row)
        starts = np.cumsum(8 + stream.geometric(1 / _RUN, steps.stop - steps.start))
        turns = np.isin(np.arange(steps.stop - steps.start), starts)
        if at_answers and condition == "reasoning":
            turns = _first(_events(recordings, row, condition))
        noise = 0.7 * stream.standard_normal(turns.size)
        energy[:, steps] = np.exp(noise + _JUMP * (-1.0) ** np.cumsum(turns))
    return replace(recordings, update_energy=energy, step_energy=energy)

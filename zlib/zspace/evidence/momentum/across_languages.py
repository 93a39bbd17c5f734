"""Conjecture 6, its other reading: does the difference between two languages' updates cluster over steps?

Two free generations have no common time, and recordings hold sizes of updates. But two solutions of one
problem have steps in common: line j of both tells and computes the same. d_j is the difference of the mean
log ||f_l||^2 over the tokens of that line (less what position, token class and surprisal explain), less the
mean over problems of the same two languages at line j; |d_j| is the *gap*.

*Gap momentum* is the correlation of the gap with that of the step before within a problem, beyond its mean
over all orders of the steps: with a_j the gaps of n steps about their mean, sum a_j a_{j+1} has the mean
-sum a_j^2 / n over orders. The sums over problems enter one ratio. A level that a problem has throughout
gives none of it. In plain reading, sentences in their order take the place of lines.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...states.generation.recordings import Recordings
from ...states.generation.transcripts import line_numbers, sentence_numbers
from .. import claims
from ..error_rates import Worlds
from ..language_pairs import PLANTED
from ..rules import OVERALL, Evidence, bound_of
from .ratios import ratio_evidence
from .solutions import COPYING, PLAIN, SHUFFLED_STEPS, TWINS, adjusted

CLAIM = "conjecture_6_across_languages"
MIN_LINES = 3  # of both solutions, below which a problem is left out
_BOUND = bound_of(claims.rule(CLAIM)["rules"]["as_corrected"]["gap_momentum"])[1]

# condition -> one array (lines,) of differences for each problem in two languages
Differences = dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class GapsResult:
    """Gaps between languages.

    table : condition -> problems, mean gap, gap momentum. evidence : that of all pairs of languages.
    """

    table: pd.DataFrame
    evidence: Evidence

    def verdicts(self) -> list[claims.Verdict]:
        """The verdict over all pairs of languages."""
        return [claims.evaluate(CLAIM, self.evidence)]


def language_gaps(recordings: Recordings, layer: int, *, rng: np.random.Generator) -> GapsResult:
    """Whether the gap between two languages clusters over the steps of solutions of the same problems.

    Raises ParameterError for a layer that was not kept.
    """
    making, judging = rng.spawn(2)
    found, scenarios = differences(recordings, layer)
    if not scenarios:
        few = Evidence(unavailable=f"no problem was solved in two languages with {MIN_LINES} lines each")
        return GapsResult(pd.DataFrame(columns=["problems", "mean gap", "gap momentum"]), few)
    gaps = _with_made(found, making)
    parts = {name: gap_parts(many) for name, many in gaps.items()}
    rows = {
        name: {
            "problems": len(many),
            "mean gap": np.concatenate(many).mean(),
            "gap momentum": np.divide(*parts[name].sum(0)),
        }
        for name, many in gaps.items()
    }
    return GapsResult(pd.DataFrame.from_dict(rows, orient="index"), _evidence(parts, scenarios, judging))


def differences(recordings: Recordings, layer: int) -> tuple[Differences, list[str]]:
    """Differences at the lines that both solutions of a problem have, and the scenario of each problem.

    A problem is an item, a sample and two languages; both solutions have at least three lines.
    """
    means: dict[tuple, np.ndarray] = {}
    for language in recordings.series["language"].unique():
        left, own = adjusted(recordings, language, layer), recordings.series["language"] == language
        for condition, rows in recordings.series[own].groupby("condition", sort=False).groups.items():
            for row, (_, y) in zip(rows, left[condition], strict=True):
                one, pieces = recordings.series.loc[row], recordings.spelled(row)
                of = sentence_numbers(pieces) if condition == PLAIN else line_numbers(pieces)
                key = (condition, language, one["scenario"], one["item"], one["sample"])
                means[key] = np.bincount(of, np.log(y)) / np.bincount(of)
    conditions = dict.fromkeys(key[0] for key in means)
    problems, found = [], {condition: [] for condition in conditions}
    solved = [key[1:] for key in means if key[0] == "reasoning"]
    for (first, *one), (second, *other) in itertools.combinations(solved, 2):
        places = [(condition, k, *one) for condition in conditions for k in (first, second)]
        if one != other or any(p not in means or len(means[p]) < MIN_LINES for p in places):
            continue
        problems.append(((first, second), one[0]))
        for condition in conditions:
            a, b = (means[condition, k, *one] for k in (first, second))
            n = min(len(a), len(b))
            found[condition].append(a[:n] - b[:n])
    couples = [couple for couple, _ in problems]
    return {k: _about_common(many, couples) for k, many in found.items()}, [s for _, s in problems]


def gap_parts(gaps: Sequence[np.ndarray]) -> np.ndarray:
    """Numerator and denominator (n, 2) of gap momentum of each problem, from its gaps (lines,).

    Over all orders of the steps the numerator has mean zero; of a problem of n steps whose gaps are alike on
    both sides of every step the ratio would be 1.
    """
    rows = []
    for gap in gaps:
        a, n = gap - gap.mean(), gap.size
        rows.append((a[:-1] @ a[1:] + a @ a / n, a @ a * (n - 1) / n))
    return np.array(rows)


def worlds(recordings: Recordings, layer: int) -> Worlds:
    """Worlds with as many problems and lines as the recordings have.

    Differences are normal. In a share of the problems, in reasoning, gaps grow or shrink from line to line:
    in all ("true"), in none ("false"), and in as many as put gap momentum on its bound, or twice there
    ("null", "modest").
    """
    found, scenarios = differences(recordings, layer)
    lengths = [d.size for d in found.get("reasoning", [])]
    about = {"lengths": lengths, "scenarios": scenarios}
    effects = {"true": "far beyond the bound", "false": "none", "null": "on the bound"}
    effects |= {"modest": "twice the bound"}
    if not lengths:
        few = Evidence(unavailable="no problem was solved in two languages")
        return Worlds(CLAIM, lambda rng: lambda world, rng: few, about, effects)

    def drawn(rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
        return {name: [rng.standard_normal(d.size) for d in many] for name, many in found.items()}

    def make(rng: np.random.Generator):
        many = [planted_gaps(n, r) for n, r in zip(lengths * 20, rng.spawn(20 * len(lengths)), strict=True)]
        more = gap_parts(many).mean(0)
        less = gap_parts([np.abs(rng.standard_normal(n)) for n in lengths * 20]).mean(0)
        shares = {"true": 1.0, "false": 0.0}
        for world, excess in (("null", _BOUND), ("modest", 2 * _BOUND)):
            up, down = more @ (1.0, -excess), less @ (1.0, -excess)
            shares[world] = float(np.clip(-down / (up - down), 0, 1))

        def simulate(world: str, rng: np.random.Generator) -> Evidence:
            making, choosing, planting, judging = rng.spawn(4)
            gaps = _with_made(drawn(making), making)
            for i in np.flatnonzero(choosing.random(len(lengths)) < shares[world]):
                gaps["reasoning"][i] = planted_gaps(lengths[i], planting)
            return _evidence({k: gap_parts(v) for k, v in gaps.items()}, scenarios, judging)

        return simulate

    return Worlds(CLAIM, make, about, effects)


def planted_gaps(n: int, rng: np.random.Generator) -> np.ndarray:
    """Gaps (n,) that grow or shrink from step to step, with little noise beside."""
    slope = rng.choice([-0.8, 0.8]) * np.linspace(-1, 1, n)
    return 1 + slope + 0.1 * rng.standard_normal(n)


def _with_made(found: Mapping[str, Sequence[np.ndarray]], rng: np.random.Generator) -> Differences:
    """Gaps of all conditions, of reasoning in another order of steps, and planted ones."""
    shuffling, planting = rng.spawn(2)
    gaps = {name: [np.abs(d) for d in many] for name, many in found.items()}
    gaps[SHUFFLED_STEPS] = [shuffling.permutation(gap) for gap in gaps["reasoning"]]
    gaps[PLANTED] = [planted_gaps(gap.size, planting) for gap in gaps["reasoning"]]
    return gaps


def _about_common(many: Sequence[np.ndarray], couples: Sequence[tuple]) -> list[np.ndarray]:
    """Differences less their mean over the problems of the same two languages at the same line."""
    rows = [
        (couple, i, j, value)
        for i, (couple, one) in enumerate(zip(couples, many, strict=True))
        for j, value in enumerate(one)
    ]
    table = pd.DataFrame(rows, columns=["couple", "problem", "line", "difference"])
    table["difference"] -= table.groupby(["couple", "line"])["difference"].transform("mean")
    return [own["difference"].to_numpy() for _, own in table.groupby("problem")]


def _evidence(
    parts: Mapping[str, np.ndarray], scenarios: Sequence[str], rng: np.random.Generator
) -> Evidence:
    made = {PLANTED: "positive", SHUFFLED_STEPS: "negative"}
    twins = [name for name in TWINS if name in parts]
    return ratio_evidence(
        OVERALL,
        parts,
        scenarios,
        name="gap_momentum",
        rivals={"copying": [COPYING], "plain": [PLAIN]},
        controls={**made, **dict.fromkeys(twins, "negative")},
        rng=rng,
    )

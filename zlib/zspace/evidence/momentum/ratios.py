"""Statistics of generation steps that are ratios of sums over solutions, in all conditions alike.

A *part* is (n, 2), the numerator and denominator of each of n solutions (or pairs of them); its statistic is
the ratio of the sums, resampled by scenario. Conditions share the resamples.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ...measures.resampling import GroupDraws, draw_groups, group_sums, interval_of
from ..rules import Control, Evidence
from ..statistics import Statistic
from ..study import N_RESAMPLES, Values, excess_over
from .solutions import MIN_SCENARIOS

Parts = Mapping[str, np.ndarray]


def ratio_evidence(
    language: str,
    parts: Parts,
    scenarios: Sequence,
    *,
    name: str,
    rivals: Mapping[str, Sequence[str]],
    controls: Mapping[str, str],
    corrected_only: Sequence[str] = (),
    rng: np.random.Generator,
) -> Evidence:
    """Evidence on the ratio called `name` in reasoning, and on what it is beyond that of every rival.

    rivals : word -> conditions whose mean the statistic "excess_over_<word>" is over. controls : condition ->
    "positive" or "negative"; those in `corrected_only` carry excesses alone. Where fewer than eight scenarios
    have anything to count in reasoning and every rival, the evidence says so.
    """
    scenarios = np.asarray(scenarios)
    needed = ["reasoning", *(one for names in rivals.values() for one in names)]
    if absent := [one for one in needed if one not in parts]:
        return Evidence(language, unavailable=f"controls missing: {', '.join(absent)}")
    counted = min(len(np.unique(scenarios[parts[one][:, 1] > 0])) for one in needed)
    if counted < MIN_SCENARIOS:
        return Evidence(
            language, unavailable=f"something to count in {counted} scenarios, expected {MIN_SCENARIOS}"
        )
    draws = draw_groups(scenarios, N_RESAMPLES, rng=rng)
    values = {one: _ratio(part, draws) for one, part in parts.items()}
    found = {one: _statistics(values, one, name, rivals) for one in ("reasoning", *controls)}
    for one in corrected_only:
        del found[one][name]
    return Evidence(
        language,
        found["reasoning"],
        tuple(Control(one, kind, found[one]) for one, kind in controls.items()),
        n_items=len(scenarios),
        n_scenarios=draws.n_groups,
    )


def _ratio(part: np.ndarray, draws: GroupDraws) -> Values:
    (over, under), _ = group_sums(part.T, draws.codes)
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may count nothing
        many = (draws.weights @ over) / (draws.weights @ under)
    return Values(np.array([over.sum() / under.sum()]), many[None], draws.n_groups)


def _statistics(
    values: Mapping[str, Values], one: str, name: str, rivals: Mapping[str, Sequence[str]]
) -> dict[str, Statistic]:
    (estimate,), (many,), n = values[one]
    over = {word: [rival for rival in names if rival != one] for word, names in rivals.items()}
    excesses = {f"excess_over_{word}": excess_over(values, one, names, 0) for word, names in over.items()}
    return {name: interval_of(estimate, many, n), **excesses}

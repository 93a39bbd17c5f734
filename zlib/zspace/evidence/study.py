"""What every experiment does with a panel: intervals on the confirmation items, controls as evidence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..errors import ParameterError
from ..measures.resampling import Interval, bootstrap, interval_of
from . import claims
from .language_pairs import PLANTED, SHUFFLED, TRAINED, VARIANTS, Panel
from .rules import Control, Evidence

N_RESAMPLES = 2000
STANDARDISED = "each dimension divided by its standard deviation"

Drawn = Mapping[str, tuple[np.ndarray, np.ndarray, int]]


def as_evidence(panel: Panel, statistics: Mapping[str, Mapping[str, Interval]]) -> Evidence:
    """Evidence of one language: statistics of the trained model, and of every other subject as a control."""
    controls = tuple(
        Control(name, "positive" if name == PLANTED else "negative", found)
        for name, found in statistics.items()
        if name != TRAINED
    )
    rows = panel.confirmation
    return Evidence(
        language=panel.language,
        statistics=statistics[TRAINED],
        controls=controls,
        n_items=int(rows.sum()),
        n_scenarios=len(np.unique(panel.scenario[rows])),
    )


def judged(
    claim: str,
    panel: Panel,
    make: Callable[[str, np.random.Generator], Evidence],
    *,
    rng: np.random.Generator,
    also: Sequence[str] = (),
) -> Evidence:
    """What `make(subject, rng)` finds with the trained model as subject, and with each re-rounding of it.

    Where the panel lacks a control that the claim's rule requires (or one of `also`), as imported states
    may, nothing is measured: the evidence says which are missing.
    """
    if absent := missing_controls(claim, panel, also):
        return Evidence(panel.language, unavailable=f"controls missing: {', '.join(absent)}")
    first, *others = rng.spawn(1 + len(panel.re_rounded))
    again = (make(name, stream) for name, stream in zip(panel.re_rounded, others, strict=True))
    return replace(make(TRAINED, first), re_rounded=tuple(again))


def missing_controls(claim: str, panel: Panel, also: Sequence[str] = ()) -> list[str]:
    """Subjects that a claim's rule requires and the panel does not have."""
    from_states = {SHUFFLED, PLANTED, *(one.name for one in VARIANTS)}
    wanted = [name for name in claims.rule(claim)["rules"].get("required", ()) if name in from_states]
    absent = [name for name in (*wanted, *also) if name not in panel.subjects]
    return [*absent, "token ids"] if panel.tokens is None and absent else absent


def require_scenarios(panel: Panel, least: int, why: str) -> None:
    """Raises ParameterError where a panel has fewer confirmation scenarios than a test needs."""
    found = len(np.unique(panel.scenario[panel.confirmation]))
    if found < least:
        raise ParameterError(
            f"{found} confirmation scenarios; at least {least} are needed {why}. Take more scenarios, or of "
            "another corpus more items or smaller blocks."
        )


def confirmed_interval(panel: Panel, values: np.ndarray, rng: np.random.Generator, bounds=None) -> Interval:
    """Interval of the mean of `values` (..., n over the confirmation items), resampled by scenario."""
    scenario = panel.scenario[panel.confirmation]
    return bootstrap(values, scenario, n_resamples=N_RESAMPLES, rng=rng, bounds=bounds)


def shifted(interval: Interval, control: float, typical: float | None = None) -> Interval:
    """The interval of the excess over a control whose value is fixed.

    The largest of several noisy controls is biased upwards, which makes `supported` harder and `refuted`
    easier. Where `typical` (their mean) is given, the upper limit is the excess over that instead, so
    that chance among the controls refutes nothing.
    """
    moved = {k: getattr(interval, k) - control for k in ("estimate", "low", "replicates")}
    return replace(interval, **moved, high=interval.high - (control if typical is None else typical))


def excess_over(drawn: Drawn, name: str, others: Sequence[str], statistic: int) -> Interval:
    """Excess of a statistic over the highest of the others; the upper limit is that over the lowest.

    `drawn` : subject -> statistics (s,), their replicates (s, B), number of groups drawn; all subjects are
    drawn alike, so that the interval of an excess holds the noise of the control as well.
    """
    one, many, n_groups = drawn[name]
    ordered = sorted(others, key=lambda null: drawn[null][0][statistic])
    high, low = (
        interval_of(
            one[statistic] - drawn[null][0][statistic], many[statistic] - drawn[null][1][statistic], n_groups
        )
        for null in (ordered[0], ordered[-1])
    )
    return replace(low, high=high.high)


def again(rng: np.random.Generator) -> np.random.Generator:
    """A generator that starts where this one was made, whatever was drawn or made from it since."""
    seed = rng.bit_generator.seed_seq
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key))


def remarked(claim: str, evidence: Evidence, other: Evidence, measure: str) -> Evidence:
    """The evidence with a remark where the rule would decide otherwise on another measure."""
    if evidence.unavailable:
        return evidence
    first, second = claims.evaluate(claim, evidence), claims.evaluate(claim, other)
    differs = [
        f"{reading.replace('_', ' ')} {getattr(second, reading)}"
        for reading in claims.READINGS
        if getattr(first, reading) != getattr(second, reading)
    ]
    return replace(
        evidence, remark=f"Depends on the measure: {measure}, {', '.join(differs)}" if differs else ""
    )


def present(panel: Panel, name: str) -> list[str]:
    """The name in a list, or an empty list where the panel has no such subject."""
    return [name] if name in panel.subjects else []

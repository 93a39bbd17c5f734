"""The grammar of decision rules: bounds on statistics, controls that gate them, three-valued logic.

A *statistic* is an interval: estimate, 95 % limits and bootstrap replicates. A *rule* is a mapping
of statistics to bounds (`{above: b}` or `{below: b}`), read as a conjunction, or a list of checks
that prove (`proof`) or break (`counterexample`) a statement; `params/claims.yaml` holds them all.
The *gate*: each positive control must be `supported` by the very same rule and each negative
control must not be, else the verdict is `not testable`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import ClaimError
from ..measures.resampling import Interval

PROVED, SUPPORTED, REFUTED = "proved", "supported", "refuted"
INCONCLUSIVE, NOT_TESTABLE = "inconclusive", "not testable"
OVERALL = "*"


@dataclass(frozen=True)
class Control:
    """Something whose answer is known, judged by the rule that judges the model.

    `kind` is "positive" (a planted signal: must be `supported`) or "negative" (must not be). A
    control speaks only on rules all of whose statistics it carries.
    """

    name: str
    kind: str
    statistics: Mapping[str, Interval]


@dataclass(frozen=True)
class Evidence:
    """What was measured for one language (or, language "*", for a mathematical claim).

    `statistics` maps the names used in the rule to intervals, `checks` names of proofs and
    counterexamples to whether they hold; `n_items` and `n_scenarios` count what the intervals rest on.
    `unavailable` holds the reason where nothing could be measured. `remark` is added to the reasons: what
    a reader must know that the rule does not judge, such as a measure under which the verdict differs.
    `re_rounded` is the same evidence with the model's quantised weights re-rounded, once an element.
    """

    language: str = OVERALL
    statistics: Mapping[str, Interval] = field(default_factory=dict)
    controls: tuple[Control, ...] = ()
    checks: Mapping[str, bool] = field(default_factory=dict)
    n_items: int | None = None
    n_scenarios: int | None = None
    unavailable: str | None = None
    remark: str = ""
    re_rounded: tuple["Evidence", ...] = ()


def judge(claim_id: str, rules: Mapping, reading: str, evidence: Evidence) -> tuple[str, str]:
    """Verdict and reason in words by the rule of one reading ("as_stated" or "as_corrected").

    A verdict that is another one when the weights are re-rounded is `inconclusive`. Raises ClaimError where
    the evidence lacks a statistic or a check that the rule needs.
    """
    verdict, reason = _judge_once(claim_id, rules, reading, evidence)
    others = [_judge_once(claim_id, rules, reading, one)[0] for one in evidence.re_rounded]
    flips = [other for other in others if other != verdict]
    if not flips or verdict == NOT_TESTABLE:
        return verdict, reason
    words = ", ".join(dict.fromkeys(flips))
    share = f"{len(flips)} of {len(others)} re-roundings"
    return INCONCLUSIVE, f"{verdict} as the weights are, but {words} in {share} of them: {reason}"


def _judge_once(claim_id: str, rules: Mapping, reading: str, evidence: Evidence) -> tuple[str, str]:
    conditions = rules[reading]
    if evidence.unavailable:
        return NOT_TESTABLE, evidence.unavailable
    if "not_testable" in conditions:
        return NOT_TESTABLE, conditions["not_testable"]
    if "proof" in conditions or "counterexample" in conditions:
        return _judge_checks(claim_id, conditions, evidence)
    missing = [s for s in conditions if s not in evidence.statistics]
    if missing:
        raise ClaimError(
            f"{claim_id} ({evidence.language}): the rule needs the statistics {', '.join(missing)}; the "
            f"evidence has {', '.join(evidence.statistics) or 'none'}."
        )
    absent = _absent_controls(conditions, rules.get("required", ()), evidence.controls)
    if absent:
        return NOT_TESTABLE, f"controls missing: {', '.join(absent)}"
    failed = _failed_controls(conditions, evidence.controls)
    verdict, reason = _judge(conditions, evidence.statistics, evidence.n_scenarios)
    if failed:
        return NOT_TESTABLE, f"instrument failed: {'; '.join(failed)}. Ungated: {verdict}, {reason}"
    given = rules.get("given")
    if given:
        met, why = _judge(given, evidence.statistics, evidence.n_scenarios)
        if met != SUPPORTED:
            return NOT_TESTABLE, f"nothing to explain: {why}"
    return verdict, reason


def rule_pvalue(conditions: Mapping, evidence: Evidence) -> float | None:
    """Largest one-sided bootstrap p over the bounds of a conjunction (intersection-union test)."""
    values = []
    for name, bound in conditions.items():
        interval = evidence.statistics.get(name)
        if interval is None or not isinstance(bound, Mapping) or not _defined(interval):
            return None
        side, limit, _ = bound_of(name, bound)
        wrong = interval.replicates <= limit if side == "above" else interval.replicates >= limit
        values.append((1 + np.count_nonzero(wrong)) / (1 + len(interval.replicates)))
    return float(max(values)) if values and not evidence.unavailable else None


def control_verdict(conditions: Mapping, control: Control) -> str | None:
    """What the rule says of a control; None where the control does not carry its statistics."""
    if {"not_testable", "proof", "counterexample"} & set(conditions):
        return None
    if control.kind not in ("positive", "negative"):
        raise ClaimError(f"control {control.name!r} is {control.kind!r}; expected positive or negative.")
    if any(s not in control.statistics for s in conditions):
        return None
    return _judge(conditions, control.statistics, None)[0]


def passed(control: Control, verdict: str) -> bool:
    """Positive controls pass when they are supported, negative ones when they are not."""
    return (verdict == SUPPORTED) == (control.kind == "positive")


def bound_of(name: str, bound: Mapping) -> tuple[str, float, float]:
    """Side ("above" or "below"), the limit that supports and the limit that refutes (mostly the same)."""
    sides = [s for s in ("above", "below") if s in bound]
    unknown = set(bound) - {"above", "below", "refuted_above", "refuted_below", "effect"}
    if len(sides) != 1 or unknown:
        raise ClaimError(
            f"the bound of {name} is {dict(bound)}; expected `above` or `below`, with optional "
            "`refuted_below`, `refuted_above` and `effect`."
        )
    (side,) = sides
    other = "refuted_below" if side == "above" else "refuted_above"
    return side, float(bound[side]), float(bound.get(other, bound[side]))


def items_to_decide(interval: Interval, bound: float, n: int) -> int | None:
    """Units (scenarios) at which the interval would clear the bound if the estimate stayed.

    Its half-width shrinks as one over the square root of the number of units. None where the
    estimate lies on the bound.
    """
    distance = abs(interval.estimate - bound)
    if not distance > 0:
        return None
    half = (interval.high - interval.low) / 2
    return max(n + 1, math.ceil(n * (half / distance) ** 2 - 1e-9))


def _judge_checks(claim_id: str, conditions: Mapping, evidence: Evidence) -> tuple[str, str]:
    names = conditions.get("proof") or conditions["counterexample"]
    missing = [n for n in names if n not in evidence.checks]
    if missing:
        raise ClaimError(f"{claim_id}: the evidence lacks the checks {', '.join(missing)}.")
    held = [n for n in names if evidence.checks[n]]
    if "proof" in conditions:
        failed = [n for n in names if n not in held]
        if failed:
            return NOT_TESTABLE, f"instrument failed: {', '.join(failed)} did not hold"
        return PROVED, f"every check holds: {', '.join(n.replace('_', ' ') for n in names)}"
    if held:
        return REFUTED, f"by counterexample: {', '.join(n.replace('_', ' ') for n in held)}"
    return INCONCLUSIVE, "no counterexample held"


def _judge(conditions: Mapping, statistics: Mapping[str, Interval], n: int | None) -> tuple[str, str]:
    """Three-valued conjunction over the bounds of a rule, with the reason in words."""
    parts = {s: _judge_bound(s, bound, statistics[s], n) for s, bound in conditions.items()}
    verdicts = [v for v, _ in parts.values()]
    verdict = REFUTED if REFUTED in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else SUPPORTED
    return verdict, "; ".join(reason for _, reason in parts.values())


def _judge_bound(name: str, bound: Mapping, interval: Interval, n: int | None) -> tuple[str, str]:
    side, limit, refuting = bound_of(name, bound)
    words = (
        f"{name.replace('_', ' ')} {interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}] "
        f"against {limit:g}"
    )
    if not _defined(interval):
        return INCONCLUSIVE, f"{name.replace('_', ' ')} is undefined"
    if interval.high < refuting if side == "above" else interval.low > refuting:
        none = bound.get("effect", True) and -limit < interval.low <= 0 <= interval.high < limit
        return REFUTED, f"{words}: equivalent to none" if none else words
    if interval.low > limit if side == "above" else interval.high < limit:
        return SUPPORTED, words
    more = items_to_decide(interval, limit, n) if n else None
    return INCONCLUSIVE, words + (f" (about {more} scenarios would decide)" if more else "")


def _defined(interval: Interval) -> bool:
    return all(map(math.isfinite, (interval.estimate, interval.low, interval.high)))


def _absent_controls(conditions: Mapping, required: Sequence[str], controls: Sequence[Control]) -> list[str]:
    """Required controls that are not there, and the kinds of which none speaks on this rule."""
    spoken = [c for c in controls if control_verdict(conditions, c) is not None]
    kinds = [f"no {k} control" for k in ("positive", "negative") if k not in {c.kind for c in spoken}]
    return kinds + [name for name in required if name not in {c.name for c in controls}]


def _failed_controls(conditions: Mapping, controls: Sequence[Control]) -> list[str]:
    failed = []
    for control in controls:
        verdict = control_verdict(conditions, control)
        if verdict is None:
            continue
        if not all(_defined(control.statistics[s]) for s in conditions):
            failed.append(f"{control.kind} control {control.name!r} is undefined")
        elif not passed(control, verdict):
            failed.append(f"{control.kind} control {control.name!r} is {verdict}")
    return failed

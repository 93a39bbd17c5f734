"""The grammar of decision rules: conditions on statistics, controls that gate them, three-valued logic.

A *statistic* is an interval, a test or a count (`statistics`); a *condition* is of the same kind:

- interval: `{above: b}` or `{below: b}`, with optional `refuted_below`, `refuted_above` and `effect: false`;
- test: `{p_below: a}` or `{p_above: a}`, with `p_below` optionally the side of the statistic (`{below: 0,
  p_below: 0.05}`: significant on that side supports, on the other refutes);
- count: `{equals: k}`, `{at_least: k}` or `{at_most: k}`, over its whole range where it has one.

A *rule* is a mapping of statistics to conditions, read as a conjunction, or a list of checks that prove
(`proof`) or break (`counterexample`) a statement; `params/claims.yaml` holds them all. The *gate*: each
positive control must be `supported` by the very same rule and each negative control must not be, else the
verdict is `not testable`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import ClaimError
from ..measures.resampling import Count, Interval, TestResult
from . import statistics
from .statistics import COUNT, INTERVAL, TEST, Statistic, is_defined

PROVED, SUPPORTED, REFUTED = "proved", "supported", "refuted"
INCONCLUSIVE, NOT_TESTABLE = "inconclusive", "not testable"
OVERALL = "*"
_FIELDS = ("title", "notebook", "kind", "statement", "null_hypothesis", "multiplicity", "scope", "rules")
_CHECKS = ("not_testable", "proof", "counterexample")
_KEYS = {
    INTERVAL: {"above", "below", "refuted_above", "refuted_below", "effect"},
    TEST: {"above", "below", "p_below", "p_above"},
    COUNT: {"equals", "at_least", "at_most"},
}
_TYPES = {INTERVAL: Interval, TEST: TestResult, COUNT: Count}


@dataclass(frozen=True)
class Control:
    """Something whose answer is known, judged by the rule that judges the model.

    `kind` is "positive" (a planted signal: must be `supported`) or "negative" (must not be). A
    control speaks only on rules all of whose statistics it carries.
    """

    name: str
    kind: str
    statistics: Mapping[str, Statistic]


@dataclass(frozen=True)
class Evidence:
    """What was measured for one language (or, language "*", for a mathematical claim).

    `statistics` maps the names used in the rule to intervals, tests and counts, `checks` names of proofs and
    counterexamples to whether they hold; `n_items` and `n_scenarios` count what the statistics rest on.
    `unavailable` holds the reason where nothing could be measured. `remark` is added to the reasons: what a
    reader must know that the rule does not judge, such as a measure under which the verdict differs.
    `re_rounded` is the same evidence with the model's quantised weights re-rounded: one element per
    re-rounding.
    """

    language: str = OVERALL
    statistics: Mapping[str, Statistic] = field(default_factory=dict)
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
    the evidence lacks a statistic or a check that the rule needs, or has a statistic of another kind.
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
    preconditions = rules.get("preconditions", {})
    for name, condition in {**preconditions, **conditions}.items():
        _require_kind(claim_id, evidence, name, condition)
    absent = _absent_controls(conditions, rules.get("required", ()), evidence.controls)
    if absent:
        return NOT_TESTABLE, f"controls missing: {', '.join(absent)}"
    failed = _failed_controls(conditions, evidence.controls)
    verdict, reason = _judge(conditions, evidence.statistics, evidence.n_scenarios)
    if failed:
        return NOT_TESTABLE, f"instrument failed: {'; '.join(failed)}. Ungated: {verdict}, {reason}"
    if preconditions:
        met, why = _judge(preconditions, evidence.statistics, evidence.n_scenarios)
        if met != SUPPORTED:
            return NOT_TESTABLE, f"precondition not met: {why}"
    return verdict, reason


def rule_pvalue(conditions: Mapping, evidence: Evidence) -> float | None:
    """Largest p over the conditions of a conjunction (intersection-union test); None where none has one.

    An interval's is the one-sided bootstrap p against its bound, a test's its own (1 on the side that the
    claim denies). A count has none.
    """
    values = []
    for name, condition in conditions.items():
        statistic = evidence.statistics.get(name)
        if statistic is None or not isinstance(condition, Mapping) or not is_defined(statistic):
            return None
        if isinstance(statistic, Interval):
            side, limit, _ = bound_of(name, condition)
            wrong = statistic.replicates <= limit if side == "above" else statistic.replicates >= limit
            values.append((1 + np.count_nonzero(wrong)) / (1 + len(statistic.replicates)))
        elif isinstance(statistic, TestResult) and "p_below" in condition:
            values.append(statistic.pvalue if _on_side(condition, statistic.statistic) else 1.0)
    return float(max(values)) if values and not evidence.unavailable else None


def control_verdict(conditions: Mapping, control: Control) -> str | None:
    """What the rule says of a control; None where the control does not carry its statistics."""
    if set(_CHECKS) & set(conditions):
        return None
    if control.kind not in ("positive", "negative"):
        raise ClaimError(f"control {control.name!r} is {control.kind!r}; expected positive or negative.")
    if any(s not in control.statistics for s in conditions):
        return None
    return _judge(conditions, control.statistics, None)[0]


def passed(control: Control, verdict: str) -> bool:
    """Positive controls pass when they are supported, negative ones when they are not."""
    return (verdict == SUPPORTED) == (control.kind == "positive")


def validate(claim_id: str, entry: Mapping) -> None:
    """Raises ClaimError where an entry of `params/claims.yaml` lacks a field or its rules are malformed."""
    missing = [field for field in _FIELDS if field not in entry]
    if missing:
        raise ClaimError(f"params/claims.yaml, {claim_id}: it lacks {', '.join(missing)}.")
    rules = entry["rules"]
    unknown = set(rules) - {"required", "preconditions", "as_stated", "as_corrected"}
    if unknown or not {"as_stated", "as_corrected"} <= set(rules):
        raise ClaimError(
            f"params/claims.yaml, {claim_id}: its rules are {', '.join(rules)}; expected as_stated and "
            "as_corrected, with optional `required` and `preconditions`."
        )
    for part in ("preconditions", "as_stated", "as_corrected"):
        conditions = rules.get(part, {})
        if set(_CHECKS) & set(conditions):
            if len(conditions) > 1:
                raise ClaimError(
                    f"params/claims.yaml, {claim_id}: {part} has {', '.join(conditions)}; expected one of "
                    f"{', '.join(_CHECKS)} alone, or conditions on statistics."
                )
            continue
        for name, condition in conditions.items():
            try:
                condition_kind(name, condition)
            except ClaimError as error:
                raise ClaimError(f"params/claims.yaml, {claim_id}, {part}: {error}") from None
    primary = entry.get("primary")
    if primary is not None and primary not in rules["as_corrected"]:
        raise ClaimError(
            f"params/claims.yaml, {claim_id}: no condition in as_corrected is on its primary, {primary}."
        )


def condition_kind(name: str, condition: Mapping) -> str:
    """Kind of statistic that a condition judges; raises ClaimError where it is malformed."""
    keys = set(condition) if isinstance(condition, Mapping) else set()
    kind = TEST if keys & {"p_below", "p_above"} else COUNT if keys & _KEYS[COUNT] else INTERVAL
    if kind == INTERVAL:
        bound_of(name, condition)
        return kind
    values = list(condition.values())
    if kind == TEST:
        (level, *others) = [condition[k] for k in ("p_below", "p_above") if k in keys]
        sides = keys & {"above", "below"}
        fits = not others and 0 < level < 1 and len(sides) <= ("p_below" in keys)
    else:
        fits = len(keys) == 1 and all(isinstance(v, int) and v >= 0 for v in values)
    if keys - _KEYS[kind] or not fits:
        expected = {
            TEST: "one of `p_below` and `p_above` in (0, 1), with `p_below` optionally `above` or `below`",
            COUNT: "one of `equals`, `at_least` and `at_most` with a whole number",
        }
        raise ClaimError(f"the condition on {name} is {dict(condition)}; expected {expected[kind]}.")
    return kind


def bound_of(name: str, bound: Mapping) -> tuple[str, float, float]:
    """Side ("above" or "below"), limit that supports and limit that refutes (mostly equal) an interval."""
    keys = set(bound) if isinstance(bound, Mapping) else set()
    sides = [s for s in ("above", "below") if s in keys]
    if len(sides) != 1 or keys - _KEYS[INTERVAL]:
        shown = dict(bound) if isinstance(bound, Mapping) else bound
        raise ClaimError(
            f"the bound of {name} is {shown}; expected `above` or `below`, with optional "
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


def _judge(conditions: Mapping, found: Mapping[str, Statistic], n: int | None) -> tuple[str, str]:
    """Three-valued conjunction over the conditions of a rule, with the reason in words."""
    parts = [_judge_one(name, condition, found[name], n) for name, condition in conditions.items()]
    verdicts = [v for v, _ in parts]
    verdict = REFUTED if REFUTED in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else SUPPORTED
    return verdict, "; ".join(reason for _, reason in parts)


def _judge_one(name: str, condition: Mapping, statistic: Statistic, n: int | None) -> tuple[str, str]:
    called = name.replace("_", " ")
    if not is_defined(statistic):
        return INCONCLUSIVE, f"{called} is undefined"
    words = f"{called} {statistics.words(statistics.numbers(statistic))} against {condition_words(condition)}"
    if isinstance(statistic, TestResult):
        return _judge_test(condition, statistic), words
    if isinstance(statistic, Count):
        return _judge_count(condition, statistic), words
    return _judge_interval(name, condition, statistic, n, words)


def _judge_interval(
    name: str, bound: Mapping, interval: Interval, n: int | None, words: str
) -> tuple[str, str]:
    side, limit, refuting = bound_of(name, bound)
    if interval.high < refuting if side == "above" else interval.low > refuting:
        none = bound.get("effect", True) and -limit < interval.low <= 0 <= interval.high < limit
        return REFUTED, f"{words}: equivalent to none" if none else words
    if interval.low > limit if side == "above" else interval.high < limit:
        return SUPPORTED, words
    more = items_to_decide(interval, limit, n) if n else None
    return INCONCLUSIVE, words + (f" (about {more} scenarios would decide)" if more else "")


def _judge_test(condition: Mapping, test: TestResult) -> str:
    if "p_above" in condition:
        level = condition["p_above"]
        return SUPPORTED if test.pvalue > level else REFUTED if test.pvalue < level else INCONCLUSIVE
    if not test.pvalue < condition["p_below"]:
        return INCONCLUSIVE
    return SUPPORTED if _on_side(condition, test.statistic) else REFUTED


def _on_side(condition: Mapping, value: float) -> bool:
    """Whether a test's statistic lies on the side that the condition names (either, where it names none)."""
    return value > condition.get("above", -math.inf) and value < condition.get("below", math.inf)


def _judge_count(condition: Mapping, count: Count) -> str:
    ((side, k),) = condition.items()
    least = k if side in ("equals", "at_least") else -math.inf
    most = k if side in ("equals", "at_most") else math.inf
    if count.low >= least and count.high <= most:
        return SUPPORTED
    return REFUTED if count.high < least or count.low > most else INCONCLUSIVE


def condition_words(condition: Mapping) -> str:
    """A condition as it stands behind "against": the bound, the level and side of a test, the count.

    >>> condition_words({"below": 0, "p_below": 0.05})
    'p below 0.05 and a statistic below 0'
    """
    if "p_below" in condition or "p_above" in condition:
        level = "; ".join(f"p {k[2:]} {condition[k]:g}" for k in ("p_below", "p_above") if k in condition)
        sides = [f" and a statistic {k} {condition[k]:g}" for k in ("above", "below") if k in condition]
        return level + "".join(sides)
    if set(condition) & _KEYS[COUNT]:
        return ", ".join(
            f"{'' if k == 'equals' else k.replace('_', ' ') + ' '}{v}" for k, v in condition.items()
        )
    return f"{condition.get('above', condition.get('below')):g}"


def _require_kind(claim_id: str, evidence: Evidence, name: str, condition: Mapping) -> None:
    """Raises ClaimError where the evidence or a control has no statistic of the condition's kind."""
    if name not in evidence.statistics:
        raise ClaimError(
            f"{claim_id} ({evidence.language}): the rule needs the statistics {name}; the "
            f"evidence has {', '.join(evidence.statistics) or 'none'}."
        )
    kind = condition_kind(name, condition)
    holders = [
        ("the evidence", evidence.statistics),
        *((f"control {c.name!r}", c.statistics) for c in evidence.controls),
    ]
    for holder, found in holders:
        if name in found and not isinstance(found[name], _TYPES[kind]):
            raise ClaimError(
                f"{claim_id} ({evidence.language}): {name} of {holder} is {type(found[name]).__name__}; the "
                f"condition {dict(condition)} judges {statistics.NAMES[kind]} ({_TYPES[kind].__name__})."
            )


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
        if not all(is_defined(control.statistics[s]) for s in conditions):
            failed.append(f"{control.kind} control {control.name!r} is undefined")
        elif not passed(control, verdict):
            failed.append(f"{control.kind} control {control.name!r} is {verdict}")
    return failed

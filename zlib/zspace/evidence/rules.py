"""The grammar of decision rules: conditions on statistics, controls that gate them, three-valued logic.

A *statistic* is an interval, a test or a count (`statistics`); a *condition* is of the same kind:

- interval: `{above: b}` or `{below: b}`, with optional `refuted_below`, `refuted_above` and `effect: false`;
- test: `{p_below: a}` or `{p_above: a}`, with `p_below` optionally the side of the statistic (`{below: 0,
  p_below: 0.05}`: significant on that side supports, on the other refutes);
- count: `{equals: k}`, `{at_least: k}` or `{at_most: k}`, over its whole range where it has one.

A *rule* is a mapping of statistics to conditions, read as a conjunction, or a list of checks that prove
(`proof`), verify by rates of simulations (`simulation`) or break (`counterexample`) a statement;
`params/claims.yaml` holds them all. The *gate*: each positive control must be `supported` by the very same
rule and each negative control must not be, else the verdict is `not testable`. A *precondition* is a
condition on what the claim presupposes: refuted, the verdict is `premise refuted`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import ClaimError
from ..measures.resampling import Count, Interval, TestResult
from . import needs, statistics
from .statistics import COUNT, INTERVAL, TEST, Statistic, is_defined

PROVED, VERIFIED, SUPPORTED, REFUTED = "proved", "verified by simulation", "supported", "refuted"
PREMISE_REFUTED, INCONCLUSIVE, NOT_TESTABLE = "premise refuted", "inconclusive", "not testable"
MIXED = "mixed"  # of all languages together: most are decided, some one way and some the other
DEPENDS = "inconclusive (depends on the measure)"
DECIDED = (PROVED, VERIFIED, SUPPORTED, MIXED, REFUTED, PREMISE_REFUTED)
VERDICTS = (*DECIDED, DEPENDS, INCONCLUSIVE, NOT_TESTABLE)
OVERALL = "*"
_FIELDS = ("title", "notebook", "kind", "statement", "null_hypothesis", "multiplicity", "scope", "rules")
_CHECKS = ("not_testable", "proof", "simulation", "counterexample")
_REACH = 10  # times as many groups as there are: more are out of reach of a corpus
_TYPES = {INTERVAL: Interval, TEST: TestResult, COUNT: Count}
_KEYS = {
    INTERVAL: {"above", "below", "refuted_above", "refuted_below", "effect"},
    TEST: {"above", "below", "p_below", "p_above"},
    COUNT: {"equals", "at_least", "at_most"},
}
_EXPECTED = {
    INTERVAL: "`above` or `below`, with optional `refuted_below`, `refuted_above` and `effect`",
    TEST: "one of `p_below` and `p_above` in (0, 1), with `p_below` optionally `above` or `below`",
    COUNT: "one of `equals`, `at_least` and `at_most` with a whole number",
}


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
    `unavailable` holds the reason where nothing could be measured, `missing` those why single statistics
    could not: a rule that needs one of them is not testable. `remark` is added to the reasons: what a
    reader must know that the rule does not judge, such as a measure under which the verdict differs.
    `re_rounded` is the same evidence with the model's quantised weights re-rounded: one element per
    re-rounding. `other_measures` is the same evidence by further measures, in words: where one of them
    reverses the verdict, it depends on the measure.
    """

    language: str = OVERALL
    statistics: Mapping[str, Statistic] = field(default_factory=dict)
    controls: tuple[Control, ...] = ()
    checks: Mapping[str, bool] = field(default_factory=dict)
    n_items: int | None = None
    n_scenarios: int | None = None
    unavailable: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    re_rounded: tuple["Evidence", ...] = ()
    other_measures: Mapping[str, "Evidence"] = field(default_factory=dict)


def judge(claim_id: str, rules: Mapping, reading: str, evidence: Evidence) -> tuple[str, str]:
    """Verdict and reason in words by the rule of one reading ("as_stated" or "as_corrected").

    A verdict that is another one when the weights are re-rounded is `inconclusive`; one that another measure
    reverses depends on the measure. Raises ClaimError where the evidence lacks a statistic or a check that
    the rule needs, or has a statistic of another kind.
    """
    verdict, reason = _judge_once(claim_id, rules, reading, evidence)
    if verdict != NOT_TESTABLE and (flips := _flips(claim_id, rules, reading, evidence, verdict)):
        return INCONCLUSIVE, f"{verdict} as the weights are, but {flips}: {reason}"
    beside = {
        words: _judge_once(claim_id, rules, reading, other)[0]
        for words, other in evidence.other_measures.items()
    }
    beside = {words: other for words, other in beside.items() if other != verdict}
    if not beside:
        return verdict, reason
    told = f"{reason}. By other measures: {', '.join(f'{w} {other}' for w, other in beside.items())}"
    reversed_ = any({verdict, other} == {SUPPORTED, REFUTED} for other in beside.values())
    return (DEPENDS, f"{verdict} by the primary measure: {told}") if reversed_ else (verdict, told)


def _flips(claim_id: str, rules: Mapping, reading: str, evidence: Evidence, verdict: str) -> str:
    """What re-rounding the weights changes a verdict into, in words; "" where it changes none."""
    others = [_judge_once(claim_id, rules, reading, one)[0] for one in evidence.re_rounded]
    flips = [other for other in others if other != verdict]
    if not flips:
        return ""
    return f"{', '.join(dict.fromkeys(flips))} in {len(flips)} of {len(others)} re-roundings of them"


def _judge_once(claim_id: str, rules: Mapping, reading: str, evidence: Evidence) -> tuple[str, str]:
    conditions, preconditions = rules[reading], rules.get("preconditions", {})
    if evidence.unavailable:
        return NOT_TESTABLE, evidence.unavailable
    if "not_testable" in conditions:
        return NOT_TESTABLE, conditions["not_testable"]
    if set(_CHECKS) & set(conditions):
        return _judge_checks(claim_id, conditions, evidence)
    if lacking := [evidence.missing[n] for n in (*preconditions, *conditions) if n in evidence.missing]:
        return NOT_TESTABLE, "; ".join(dict.fromkeys(lacking))
    _require_kinds(claim_id, evidence, {**preconditions, **conditions})
    spoken = [(c, v) for c in evidence.controls if (v := control_verdict(conditions, c)) is not None]
    absent = [f"no {k} control" for k in ("positive", "negative") if k not in {c.kind for c, _ in spoken}]
    named = {c.name for c in evidence.controls}
    if absent := absent + [name for name in rules.get("required", ()) if name not in named]:
        return NOT_TESTABLE, f"controls missing: {', '.join(absent)}"
    verdict, reason = _judge(conditions, evidence.statistics, evidence.n_items)
    if failed := [words for control, said in spoken if (words := _failure(conditions, control, said))]:
        return NOT_TESTABLE, f"instrument failed: {'; '.join(failed)}. Ungated: {verdict}, {reason}"
    met, why = _judge(preconditions, evidence.statistics, evidence.n_items)
    if met == REFUTED:
        return PREMISE_REFUTED, f"what the claim presupposes does not hold: {why}"
    return (verdict, reason) if met == SUPPORTED else (NOT_TESTABLE, f"precondition undecided: {why}")


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
            side, limit, _ = bound_of(condition)
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
    where = f"params/claims.yaml, {claim_id}"
    if missing := [field for field in _FIELDS if field not in entry]:
        raise ClaimError(f"{where}: it lacks {', '.join(missing)}.")
    needs.check_declared(where, entry.get("needs", {}))
    rules, readings = entry["rules"], {"as_stated", "as_corrected"}
    if not readings <= set(rules) <= readings | {"required", "preconditions"}:
        raise ClaimError(
            f"{where}: its rules are {', '.join(rules)}; expected as_stated and as_corrected, with optional "
            "`required` and `preconditions`."
        )
    for part, conditions in rules.items():
        if part == "required":
            continue
        if len(conditions) > 1 and set(_CHECKS) & set(conditions):
            raise ClaimError(
                f"{where}: {part} has {', '.join(conditions)}; expected one of {', '.join(_CHECKS)} alone, "
                "or conditions on statistics."
            )
        try:
            for name in (n for n in conditions if n not in _CHECKS):
                condition_kind(name, conditions[name])
        except ClaimError as error:
            raise ClaimError(f"{where}, {part}: {error}") from None
    if entry.get("primary") not in (None, *rules["as_corrected"]):
        raise ClaimError(f"{where}: no condition in as_corrected is on its primary, {entry['primary']}.")


def condition_kind(name: str, condition: Mapping) -> str:
    """Kind of statistic that a condition judges; raises ClaimError where it is malformed."""
    keys = set(condition) if isinstance(condition, Mapping) else set()
    sides, levels = keys & {"above", "below"}, keys & {"p_below", "p_above"}
    kind = TEST if levels else COUNT if keys & _KEYS[COUNT] else INTERVAL
    if kind == INTERVAL:
        fits = len(sides) == 1
    elif kind == TEST:
        one_level = len(levels) == 1 and all(0 < condition[k] < 1 for k in levels)
        fits = one_level and len(sides) <= ("p_below" in keys)
    else:
        fits = len(keys) == 1 and all(isinstance(v, int) and v >= 0 for v in condition.values())
    if keys - _KEYS[kind] or not fits:
        raise ClaimError(f"the condition on {name} is {condition}; expected {_EXPECTED[kind]}.")
    return kind


def bound_of(condition: Mapping) -> tuple[str, float, float]:
    """Side ("above" or "below"), limit that supports and limit that refutes (mostly equal) an interval."""
    side, other = ("above", "refuted_below") if "above" in condition else ("below", "refuted_above")
    return side, float(condition[side]), float(condition.get(other, condition[side]))


def _judge_checks(claim_id: str, conditions: Mapping, evidence: Evidence) -> tuple[str, str]:
    ((how, names),) = conditions.items()
    missing = [n for n in names if n not in evidence.checks]
    if missing:
        raise ClaimError(f"{claim_id}: the evidence lacks the checks {', '.join(missing)}.")
    held = [n for n in names if evidence.checks[n]]
    if how != "counterexample":
        if failed := [n for n in names if n not in held]:
            return NOT_TESTABLE, f"instrument failed: {', '.join(failed)} did not hold"
        return (
            PROVED if how == "proof" else VERIFIED,
            f"every check holds: {', '.join(n.replace('_', ' ') for n in names)}",
        )
    words = ", ".join(held).replace("_", " ")
    return (REFUTED, f"by counterexample: {words}") if held else (INCONCLUSIVE, "no counterexample held")


def _failure(conditions: Mapping, control: Control, verdict: str) -> str:
    """How a control fails a rule that says `verdict` of it; "" where it passes."""
    if not all(is_defined(control.statistics[s]) for s in conditions):
        verdict = "undefined"
    elif passed(control, verdict):
        return ""
    return f"{control.kind} control {control.name!r} is {verdict}"


def _judge(conditions: Mapping, found: Mapping[str, Statistic], n_items: int | None) -> tuple[str, str]:
    """Three-valued conjunction over the conditions of a rule, with the reason in words."""
    parts = [_judge_one(name, condition, found[name], n_items) for name, condition in conditions.items()]
    verdicts = [v for v, _ in parts]
    verdict = REFUTED if REFUTED in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else SUPPORTED
    return verdict, "; ".join(reason for _, reason in parts)


def _judge_one(name: str, condition: Mapping, statistic: Statistic, n_items: int | None) -> tuple[str, str]:
    called = name.replace("_", " ")
    if not is_defined(statistic):
        return INCONCLUSIVE, f"{called} is undefined"
    words = f"{called} {statistics.words(statistics.numbers(statistic))} against {condition_words(condition)}"
    fits, breaks = _fits_or_breaks(condition, statistic)
    verdict = REFUTED if breaks else SUPPORTED if fits else INCONCLUSIVE
    if isinstance(statistic, Interval):
        words += _aside(verdict, condition, statistic, n_items)
    return verdict, words


def _fits_or_breaks(condition: Mapping, found: Statistic) -> tuple[bool, bool]:
    """Whether a statistic meets a condition, and whether it contradicts it."""
    if isinstance(found, TestResult):
        if "p_above" in condition:
            return found.pvalue > condition["p_above"], found.pvalue < condition["p_above"]
        significant, claimed = found.pvalue < condition["p_below"], _on_side(condition, found.statistic)
        return significant and claimed, significant and not claimed
    if isinstance(found, Count):
        ((side, k),) = condition.items()
        least = k if side in ("equals", "at_least") else -math.inf
        most = k if side in ("equals", "at_most") else math.inf
        return least <= found.low and found.high <= most, found.high < least or found.low > most
    side, limit, refuting = bound_of(condition)
    if side == "above":
        return found.low > limit, found.high < refuting
    return found.high < limit, found.low > refuting


def _aside(verdict: str, condition: Mapping, interval: Interval, n_items: int | None) -> str:
    """What the limits say beyond the verdict: equivalent to none, or what would decide."""
    limit = bound_of(condition)[1]
    if verdict == REFUTED:
        none = condition.get("effect", True) and -limit < interval.low <= 0 <= interval.high < limit
        return ": equivalent to none" if none else ""
    if verdict == SUPPORTED or not n_items:
        return ""
    return f" ({_what_would_decide(interval, _way_to_decide(condition, interval), n_items)})"


def _way_to_decide(condition: Mapping, interval: Interval) -> float:
    """Distance of the estimate from the bound that it is beyond: of two, from the one further away."""
    side, supports, refutes = bound_of(condition)
    sign = 1 if side == "above" else -1
    return max(sign * (interval.estimate - supports), sign * (refutes - interval.estimate), 0.0)


def _what_would_decide(interval: Interval, distance: float, n_items: int) -> str:
    """How many rows, the estimate staying, would part the limits from a bound at that distance.

    The groups' part of half the width shrinks as one over the square root of their number; the margin, which
    comes from the baselines, does not. A corpus has half as many rows again as verdicts rest on.
    """
    half = float(interval.high - interval.low) / 2
    if distance <= interval.margin:
        return "more baselines would decide, not more rows" if interval.margin else "it lies on the bound"
    ratio = (half**2 - interval.margin**2) / (distance**2 - interval.margin**2)
    if ratio > _REACH:
        return "not reachable with this corpus: the estimate is too near the bound"
    if interval.unit != "scenarios":
        needed = max(interval.n_groups + 1, math.ceil(interval.n_groups * ratio - 1e-9))
        return f"about {needed} {interval.unit} would decide"
    rows = 1.5 * n_items
    return f"about {max(math.floor(rows) + 1, math.ceil(rows * ratio - 1e-9))} rows in all would decide"


def _on_side(condition: Mapping, value: float) -> bool:
    """Whether a test's statistic lies on the side that the condition names (either, where it names none)."""
    return value > condition.get("above", -math.inf) and value < condition.get("below", math.inf)


def condition_words(condition: Mapping) -> str:
    """A condition as it stands behind "against": the bound, the level and side of a test, the count.

    >>> condition_words({"below": 0, "p_below": 0.05})
    'p below 0.05 and a statistic below 0'
    >>> condition_words({"below": 0, "refuted_above": -0.3})
    '0 (refuted above -0.3)'
    """
    levels = [f"p {k[2:]} {v:g}" for k, v in condition.items() if k.startswith("p_")]
    if levels:
        sides = [f" and a statistic {k} {v:g}" for k, v in condition.items() if k in ("above", "below")]
        return "".join(levels + sides)
    if set(condition) & _KEYS[COUNT]:
        ((side, k),) = condition.items()
        return f"{side.replace('_', ' ')} {k}".removeprefix("equals ")
    side, supports, refutes = bound_of(condition)
    refuting = f" (refuted {'below' if side == 'above' else 'above'} {refutes:g})"
    return f"{supports:g}{refuting if refutes != supports else ''}"


def _require_kinds(claim_id: str, evidence: Evidence, conditions: Mapping) -> None:
    """Raises ClaimError where the evidence lacks a statistic, or it or a control has one of another kind."""
    holders = [("the evidence", evidence.statistics)]
    holders += [(f"control {c.name!r}", c.statistics) for c in evidence.controls]
    where = f"{claim_id} ({evidence.language})"
    for name, condition in conditions.items():
        if name not in evidence.statistics:
            known = ", ".join(evidence.statistics) or "none"
            raise ClaimError(f"{where}: the rule needs the statistics {name}; the evidence has {known}.")
        kind = condition_kind(name, condition)
        for holder, found in holders:
            if name in found and not isinstance(found[name], _TYPES[kind]):
                raise ClaimError(
                    f"{where}: {name} of {holder} is {type(found[name]).__name__}; the condition "
                    f"{condition} judges {kind}s ({_TYPES[kind].__name__})."
                )

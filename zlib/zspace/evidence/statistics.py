"""The three kinds of statistic that a rule judges, in numbers for the ledger and in words for a reader.

An *interval* is an estimate with 95 % limits (`Interval`), a *test* a statistic with its p-value
(`TestResult`), a *count* a whole number, with its range over subsets where it has one (`Count`). An *excess*
is an interval whose limits may be over different controls: it names both. Nothing but an interval has 95 %
limits.
"""

import math
from collections.abc import Callable, Mapping

from ..measures.resampling import Interval
from ..measures.results import Count, TestResult

INTERVAL, EXCESS, TEST, COUNT = "interval", "excess", "test", "count"
Statistic = Interval | TestResult | Count


def kind_of(statistic: Statistic) -> str:
    """Interval, excess, test or count; raises TypeError for anything else."""
    if isinstance(statistic, Interval):
        return EXCESS if statistic.low_over else INTERVAL
    if isinstance(statistic, TestResult | Count):
        return TEST if isinstance(statistic, TestResult) else COUNT
    raise TypeError(f"{type(statistic).__name__} is no statistic; expected Interval, TestResult or Count.")


def is_defined(statistic: Statistic) -> bool:
    """Whether every number that a rule reads is finite."""
    if isinstance(statistic, Interval):
        return all(map(math.isfinite, (statistic.estimate, statistic.low, statistic.high)))
    if isinstance(statistic, TestResult):
        return math.isfinite(statistic.statistic) and math.isfinite(statistic.pvalue)
    return True


def numbers(statistic: Statistic) -> dict:
    """What the ledger keeps: kind, estimate, and what belongs to the kind.

    low, high : 95 % limits (intervals alone); low_over, high_over : the controls that each is an excess over.
    pvalue, n : of a test.  range_low, range_high, range_of : of a count, over subsets.
    """
    kind = kind_of(statistic)
    if kind == TEST:
        kept = {"estimate": float(statistic.statistic), "pvalue": float(statistic.pvalue), "n": statistic.n}
    elif kind == COUNT:
        kept = {"estimate": float(statistic.value)}
        if statistic.range_of:
            kept |= {"range_low": statistic.low, "range_high": statistic.high, "range_of": statistic.range_of}
    else:
        kept = {k: float(getattr(statistic, k)) for k in ("estimate", "low", "high")}
        if kind == EXCESS:
            kept |= {"low_over": statistic.low_over, "high_over": statistic.high_over}
    return {"statistic_kind": kind, **kept}


def words(found: Mapping, number: Callable[[float], str] = "{:.3f}".format) -> str:
    """`numbers` as a reader sees them; "" where there is no estimate.

    >>> words({"statistic_kind": "test", "estimate": -0.62, "pvalue": 0.03, "n": 10})
    '-0.620, p = .030 (n = 10)'
    >>> words({"statistic_kind": "count", "estimate": 3, "range_low": 2, "range_high": 3,
    ...        "range_of": "subsets"})
    '3 (2 to 3, range over subsets)'
    >>> words({"statistic_kind": "excess", "estimate": 0.35, "low": 0.2, "high": 0.41,
    ...        "low_over": "random-2", "high_over": "the mean"}, "{:.2f}".format)
    '0.35 [0.20 over random-2, 0.41 over the mean]'
    """
    estimate, kind = found.get("estimate"), found.get("statistic_kind")
    if not is_number(estimate):
        return ""
    if kind == COUNT:
        if not found.get("range_of"):
            return f"{estimate:g}"
        low, high, what = (found[k] for k in ("range_low", "range_high", "range_of"))
        return f"{estimate:g} ({low:g} to {high:g}, range over {what})"
    if kind == TEST:
        n = f" (n = {found['n']:g})" if is_number(found.get("n")) else ""
        return f"{number(estimate)}, {p_words(found.get('pvalue')) or 'p not recorded'}{n}"
    low, high, *over = (found.get(k) for k in ("low", "high", "low_over", "high_over"))
    if not (is_number(low) and is_number(high)):
        return number(estimate)
    low_over, high_over = (f" over {name}" if name else "" for name in over)
    if low_over == high_over:
        return f"{number(estimate)} [{number(low)}, {number(high)}]{low_over}"
    return f"{number(estimate)} [{number(low)}{low_over}, {number(high)}{high_over}]"


def p_words(pvalue: float | None) -> str:
    """A p-value to three decimals; "" where there is none."""
    if not is_number(pvalue):
        return ""
    return "p < .001" if pvalue < 0.001 else f"p = {pvalue:.3f}".replace("0.", ".", 1)


def is_number(value: object) -> bool:
    """Whether a value of the ledger is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)

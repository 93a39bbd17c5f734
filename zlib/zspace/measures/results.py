"""What a test and a count return."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TestResult:
    """A statistic against its null hypothesis.

    Attributes
    ----------
    statistic : observed value (of the largest component where several are tested together).
    pvalue : probability of a value at least as extreme under `null`.
    null : the null hypothesis, in words.
    adjusted : (m,) p-values adjusted for testing m components together, or None.
    n_resamples : size of the reference distribution, or None where it is analytic.
    n : number of units that the statistic rests on (languages, problems), or None.
    """

    __test__ = False  # the name is the field's own; pytest need not collect it

    statistic: float
    pvalue: float
    null: str
    adjusted: np.ndarray | None = None
    n_resamples: int | None = None
    n: int | None = None


@dataclass(frozen=True)
class Count:
    """A whole number: dimensions, errors.

    Attributes
    ----------
    value : the count, >= 0.
    low, high : its range over subsets of the data, which holds the value; the value where it was counted
        once.
    range_of : what that range is over, in words; "" where it was counted once.
    """

    value: int
    low: int
    high: int
    range_of: str = ""

    @classmethod
    def once(cls, value: int) -> "Count":
        """A count without a range."""
        return cls(int(value), int(value), int(value))

    @classmethod
    def over(cls, value: int, values, what: str, *, share: float = 0.9) -> "Count":
        """A count with the range of the middle `share` of `values`, its value under other subsets."""
        tail = (1 - share) / 2
        low, high = np.quantile(np.asarray(values, int), [tail, 1 - tail], method="nearest")
        return cls(int(value), min(int(low), int(value)), max(int(high), int(value)), what)

"""What a test returns."""

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
    """

    __test__ = False  # the name is the field's own; pytest need not collect it

    statistic: float
    pvalue: float
    null: str
    adjusted: np.ndarray | None = None
    n_resamples: int | None = None

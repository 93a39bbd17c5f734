"""Paired timing: ratios of CPU time between two pieces of code that do the same work.

Baseline and candidate run in turn, in alternating order, on one thread; the time is the process's CPU
time, so that other work on the machine moves it little, and a slow spell meets both (work on a GPU brings
a clock of its own). A row states a bound on the median ratio and misses it only where the whole interval
of the median lies on the wrong side.
"""

import ctypes
import functools
import gc
import inspect
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

COVERAGE = 0.93  # of the interval of the median: with five pairs their whole range, 1 - 2 / 2**5


@dataclass(frozen=True)
class Row:
    """One comparison and its outcome.

    what : what is compared, in words.
    bound, sense : the median of `ratios` must be "at most" or "at least" `bound`.
    ratios : one per pair; candidate over baseline for "at most", baseline over candidate for "at least".
    interval : of the median, from order statistics, with at least COVERAGE.
    baseline_code : source of the function compared with.
    notes : further numbers by name, not judged.
    """

    what: str
    sense: str
    bound: float
    ratios: tuple[float, ...]
    interval: tuple[float, float]
    baseline_code: str
    notes: dict[str, object]

    @property
    def median(self) -> float:
        return float(np.median(self.ratios))

    @property
    def misses(self) -> bool:
        """Whether the bound is missed by more than the noise of the pairs."""
        low, high = self.interval
        return low > self.bound if self.sense == "at most" else high < self.bound


@dataclass(frozen=True)
class Skipped:
    """Comparisons that cannot be made here, and why."""

    what: str
    reason: str


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of the process that `work` takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def compare(
    what: str,
    candidate: Callable[[], object],
    baseline: Callable[[], object],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    pairs: int = 5,
    notes: dict | None = None,
    clock: Callable[[Callable[[], object]], float] = cpu_seconds,
    unit: str = "CPU-s",
) -> Row:
    """Time `candidate` against `baseline`, after one untimed run of each.

    Give exactly one bound: `at_most` on candidate / baseline (overhead), or `at_least` on
    baseline / candidate (speed-up). `clock` gives the time of one piece of work, in `unit`.
    """
    if (at_most is None) == (at_least is None):
        raise ValueError("give exactly one of at_most and at_least")
    baseline(), candidate()
    seconds = np.array([_one_pair(baseline, candidate, clock, bool(i % 2)) for i in range(pairs)])
    ratios = seconds[:, 1] / seconds[:, 0] if at_least is None else seconds[:, 0] / seconds[:, 1]
    medians = np.median(seconds, axis=0)
    return Row(
        what=what,
        sense="at most" if at_least is None else "at least",
        bound=at_most if at_least is None else at_least,
        ratios=tuple(float(r) for r in ratios),
        interval=median_interval(ratios),
        baseline_code=textwrap.dedent(inspect.getsource(baseline)),
        notes={
            f"baseline {unit}": float(medians[0]),
            f"candidate {unit}": float(medians[1]),
            **(notes or {}),
        },
    )


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Shortest interval of order statistics that covers the median with at least COVERAGE.

    The whole range where fewer than five values allow no such interval.
    """
    ordered = np.sort(values)
    rank = 0
    while rank + 1 < len(ordered) / 2 and 1 - 2 * stats.binom.cdf(rank + 1, len(ordered), 0.5) >= COVERAGE:
        rank += 1
    return float(ordered[rank]), float(ordered[-1 - rank])


def extra_memory(**works: Callable[[], object]) -> dict[str, float]:
    """Peak resident memory of each work above that before it, in megabytes, by "extra MB, <name>".

    Each has run once before it is measured. Empty where /proc or glibc's malloc_trim is absent.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "malloc_trim"):
        return {}
    result = {}
    for name, work in works.items():
        work()
        gc.collect()
        # Pages that the allocator keeps from earlier work would hide what this one needs.
        libc.malloc_trim(0)
        result[f"extra MB, {name}"] = _peak_above_start(work)
    return result


def sizes(states: np.ndarray) -> dict[str, int]:
    """Of states (K, layers, items, d), by name."""
    return dict(zip(("languages", "layers", "items", "dimensions"), states.shape, strict=True))


def padded(tokens: Sequence, budget: int | None = None) -> list:
    """Ids and mask (B, T) of the batches that capture forms of tokenised texts; without a budget, of one."""
    import torch
    from zspace.states import capture

    plan = capture.batches([len(ids) for ids, _ in tokens], budget) if budget else [range(len(tokens))]
    pad = functools.partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
    texts = [[torch.from_numpy(tokens[row][0]) for row in rows] for rows in plan]
    return [(pad(batch), pad([torch.ones_like(ids) for ids in batch])) for batch in texts]


def _peak_above_start(work: Callable[[], object]) -> float:
    statm = Path("/proc/self/statm")

    def resident() -> float:
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before = peak = resident()
    done = threading.Event()

    def sample():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        work()
    finally:
        done.set()
        sampler.join()
    return peak - before


def _one_pair(
    baseline: Callable, candidate: Callable, clock: Callable, candidate_first: bool
) -> tuple[float, float]:
    if candidate_first:
        second = clock(candidate)
        return clock(baseline), second
    return clock(baseline), clock(candidate)

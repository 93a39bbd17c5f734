"""What the test suite and the notebooks under nbval share: one runs folder, one thread, numeric comparison.

It lies in the root so that it also holds for `pytest --nbval notebooks`: the kernels inherit the
environment set here, and nbval compares outputs with `tests/nbval_numeric.py`.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent

# Before NumPy or torch is imported anywhere: workers run side by side, each on one thread.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
# One place for the whole suite, so that states are captured once and a user's own runs stay untouched.
os.environ.setdefault("ZSPACE_RUNS", str(ROOT / "runs" / "suite"))

# As in a batch, notebooks draw no PNG of a figure beside its JSON: nobody compares pictures.
os.environ.setdefault("ZSPACE_CELL", "suite")

sys.path.insert(0, str(ROOT / "tests"))

import nbval_numeric  # noqa: E402  (the path above leads to it)

nbval_numeric.install()

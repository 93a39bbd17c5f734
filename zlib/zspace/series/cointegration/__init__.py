r"""Cointegration through depth: rank tests, speeds of adjustment, and worlds in which both are known.

What is public, in the order of use: `johansen` (one series, guarded) and `size_distortion`;
`pooled_johansen` (many problems, one Pi), with `squared_drift` and the drift that it
tolerates, `tolerated_drift`; `adjustment` and `shuffled_adjustment` (speeds, and what of their
ratio is mechanical); `simulate_shared_trends`, `size_table` and `recovery_table` (planted truth). States are
(problems, layers, p) a language; symbols and sources stand in each module.
"""

# ruff: noqa: F401
from .pooled import LEAST_LAYERS, PooledRank, pooled_johansen, squared_drift, tolerated_drift
from .recovery import recovery_table, simulate_shared_trends, size_table
from .speeds import Adjustment, ShuffledAdjustment, adjustment, shuffled_adjustment
from .trace_test import JohansenRank, johansen, size_distortion

"""Bridges between the states of languages: one map (`fitting`), all pairs of languages (`pairs`), every kind
of map side by side (`ladders`), and what further languages say of a map that noise hides (`instrumented`).
"""

# ruff: noqa: F401
from .fitting import RELATIVE_PENALTIES, Bridge, Kind, fit
from .instrumented import (
    MissedByRotation,
    PairsOfLanguages,
    instrument,
    instrumented_pairs,
    missed_by_rotation,
    readers,
    rotation_gap,
    spectrum,
)
from .pairs import PairScores, all_pairs, principal_axes, principal_components

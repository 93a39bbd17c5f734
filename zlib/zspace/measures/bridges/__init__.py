"""Bridges between the states of languages: one map (`fitting`), all pairs of languages (`pairs`), every kind
of map side by side (`ladders`), and the null of kappa and of the gap (`null`): a rotation is the truth.
"""

# ruff: noqa: F401
from .fitting import RELATIVE_PENALTIES, Bridge, Kind, fit
from .null import OrthogonalNull, orthogonal_null
from .pairs import PairScores, all_pairs, principal_components

"""Bridges between the states of languages: one map (`fitting`), those of all pairs (`pairs`), and what kappa
and the gap of an affine map over a rotation come to where a rotation is the truth (`null`).
"""

from .fitting import RELATIVE_PENALTIES, Bridge, Kind, fit
from .null import OrthogonalNull, orthogonal_null, orthogonal_nulls
from .pairs import PairScores, all_pairs, principal_components

__all__ = [
    "RELATIVE_PENALTIES",
    "Bridge",
    "Kind",
    "OrthogonalNull",
    "PairScores",
    "all_pairs",
    "fit",
    "orthogonal_null",
    "orthogonal_nulls",
    "principal_components",
]

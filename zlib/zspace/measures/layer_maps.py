r"""Linear maps from positions to what layers add: one shared map for all layers, or one map per layer.

Symbols: series, two (n, T, m) of n problems at T layers, one per language; a row of regressors holds the
positions of both languages and what the layer before added, 4m numbers; S groups of dependent problems
(scenarios). Layers are centred over all problems given and weigh alike.

Held-out R^2 underestimates what a map of unlimited data would explain; R^2 in the sample overestimates it.
Both errors are the number of coefficients over that of problems, T - 2 times larger for one map per layer.
They cancel in the *midpoint* to first order, also for dependent problems if whole groups are held out.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import MeasureError
from .paired import group_codes

_FOLDS = 10  # of cross-fitting

Series = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class MapScores:
    """Squared errors (T - 2, S) by layer and group, in units of the layer's scale.

    common : of the shared map. own : of one map per layer. none : of predicting nothing.
    """

    common: np.ndarray
    own: np.ndarray
    none: np.ndarray

    def r2(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """R^2 of one map and of own maps (...,), groups weighted by `weights` (..., S)."""
        none = weights @ self.none.sum(0)
        return tuple(1 - weights @ one.sum(0) / none for one in (self.common, self.own))

    def by_layer(self) -> dict[str, np.ndarray]:
        none = self.none.sum(1)
        scores = {f"r2_{n}": 1 - getattr(self, n).sum(1) / none for n in ("common", "own")}
        return {"layer": np.arange(2, 2 + len(none)), **scores}

    def midpoint(self, other: "MapScores") -> "MapScores":
        """Mean of both errors: held out and in the sample."""
        return MapScores((self.common + other.common) / 2, (self.own + other.own) / 2, self.none)


def score_maps(series: Series, groups: np.ndarray, *, held_out: bool = True) -> MapScores:
    """Errors of both kinds of map, fitted to nine tenths of the groups, or to all where not held out.

    Raises MeasureError where a layer adds the same to every problem.
    """
    x, y = _regression(series)
    codes = group_codes(groups, x.shape[1])
    n_groups = int(codes.max()) + 1
    scale = np.sqrt((y**2).mean((1, 2)))[:, None]
    if not scale.min() > 0:
        raise MeasureError(
            f"layer {2 + int(scale.argmin())} adds the same to every problem; expected layers that tell "
            "problems apart. Leave it out."
        )
    sums = np.zeros((3, len(y), n_groups))
    whole = [np.arange(n_groups)]
    for part in np.array_split(whole[0], min(_FOLDS, n_groups)) if held_out else whole:
        scored = np.isin(codes, part)
        common, own = fit_maps(x, y, ~scored if held_out else scored)
        members = np.eye(n_groups)[codes[scored]]
        a, b = x[:, scored], y[:, scored]
        for total, predicted in zip(sums, (a @ common, a @ own, 0.0), strict=True):
            total += (((b - predicted) / scale[..., None]) ** 2).sum(2) @ members
    return MapScores(*sums)


def fit_maps(x: np.ndarray, y: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One map (4m, 2m) for all layers and one (T - 2, 4m, 2m) of each, by least squares on `train` (n,) bool.

    x : (T - 2, n, 4m).  y : (T - 2, n, 2m), what layers add.
    """
    x, y = x[:, train], y[:, train]
    scale = np.sqrt((y**2).mean((1, 2)))
    scaled = [(s / scale[:, None, None]).reshape(-1, s.shape[2]) for s in (x, y)]
    own = np.stack([np.linalg.lstsq(a, b)[0] for a, b in zip(x, y, strict=True)])
    return np.linalg.lstsq(*scaled)[0], own


def _regression(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Regressors (T - 2, n, 4m) and what layers add (T - 2, n, 2m), centred layer by layer."""
    stacked = np.swapaxes(np.concatenate(series, -1), 0, 1)
    stacked = stacked - stacked.mean(1, keepdims=True)
    steps = np.diff(stacked, axis=0)
    return np.concatenate([stacked[1:-1], steps[:-1]], -1), steps[1:]

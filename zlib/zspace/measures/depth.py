r"""Alignment depth: from which layer on is a language, or an item, aligned?

Symbols: `correct` (L+1, n) outcome of every item at every layer, in [0, 1] (the mean of both directions of
retrieval, say); `groups` (n,) the scenario of each item, S groups; A_l the accuracy of layer l. Layer 0 is
the embedding output, layer L the last block's.

A layer counts as aligned where a *simultaneous* lower band of A_l lies above the threshold: neighbouring
layers share their items, so that the first of many layers to cross by luck is no rare event. With 20
scenarios of 4 items and true accuracy on the threshold everywhere, the first crossing of the estimate is
found in most cases, a run of three Wilson intervals that take items as independent in about a quarter; the
tests measure both. Never aligned is a value (censored), not an error.

Sources: Westfall & Young (1993), "Resampling-Based Multiple Testing", for max-t; Agresti & Coull (1998), The
American Statistician 52(2), for pseudo-observations; Royston & Parmar (2013), BMC Medical Research
Methodology 13:152, for the restricted mean as a summary that needs no crossing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from .alignment import chance_corrected
from .resampling import Interval, group_weights, interval_of

N_RESAMPLES = 2000


@dataclass(frozen=True)
class Depth:
    """Alignment depth of one language.

    Attributes
    ----------
    layer : first layer of the first run of aligned layers, by the lower band; None where censored.
    censored : True where no run of layers lies above the threshold for sure.
    earliest : first layer of such a run by the upper band; None where even that has none. The true depth lies
        from `earliest` to `layer` (or beyond, where censored) with a confidence of at least 2c - 1, c being
        that of a band.
    exit_layer : first layer from which on the upper band lies below the threshold up to the last layer: the
        fall after alignment. None where censored or where accuracy does not fall for sure.
    restricted_mean : mean over all layers of 1 - clip(A~_l, 0, 1), A~ chance-corrected: 0 aligned throughout,
        1 never; an Interval. Needs neither a threshold nor a crossing.
    accuracy, lower_band, upper_band : (L+1,) estimate and simultaneous one-sided limits.
    threshold : what accuracy was compared with.
    """

    layer: int | None
    censored: bool
    earliest: int | None
    exit_layer: int | None
    restricted_mean: Interval
    accuracy: np.ndarray
    lower_band: np.ndarray
    upper_band: np.ndarray
    threshold: float


def alignment_depth(
    correct,
    *,
    threshold: float,
    chance: float = 0.0,
    groups=None,
    confidence: float = 0.95,
    run: int = 3,
    rng: np.random.Generator,
) -> Depth:
    """First layer of a run whose simultaneous lower band exceeds the threshold.

    Parameters
    ----------
    correct : (L+1, n) outcomes in [0, 1].
    threshold : accuracy to exceed, in the units of `correct`; see `half_peak`.
    chance : accuracy of a scorer that ranks at random, for the restricted mean.
    groups : (n,) labels of what is resampled as a whole; None takes every item by itself.
    confidence : one-sided, of each band over all layers together.
    run : consecutive layers that have to lie above.

    Raises
    ------
    ValueError : shapes, values outside [0, 1], a run longer than there are layers, chance outside [0, 1), a
        threshold that is not finite, fewer than 2 groups.

    Examples
    --------
    >>> correct = np.repeat([[0.0], [0.1], [1.0], [1.0], [1.0], [1.0]], 40, axis=1)
    >>> alignment_depth(correct, threshold=0.5, rng=np.random.default_rng(0)).layer
    2
    """
    correct, codes = _checked(correct, groups, run, threshold, chance)
    weights = group_weights(codes, N_RESAMPLES, rng=rng)
    lower, upper = _bands(correct, codes, confidence, rng)
    found, earliest = (_first_run(band > threshold, run) for band in (lower, upper))
    below = upper < threshold
    # the layers after the last one that may lie above
    falls = len(below) - int(np.argmin(below[::-1])) if not below.all() else 0
    leaves = found is not None and found < falls < len(below)
    sums, counts = _group_sums(correct, codes)
    replicates = (weights @ sums.T) / (weights @ counts)[:, None]
    accuracy = sums.sum(1) / counts.sum()
    mean = interval_of(_restricted(accuracy, chance), _restricted(replicates, chance), len(counts))
    return Depth(
        layer=found,
        censored=found is None,
        earliest=earliest,
        exit_layer=falls if leaves else None,
        restricted_mean=mean,
        accuracy=accuracy,
        lower_band=lower,
        upper_band=upper,
        threshold=float(threshold),
    )


def half_peak(accuracy, control: float) -> float:
    """The threshold half-way from a control's accuracy to the largest of `accuracy` (L+1,).

    Both from discovery items: a threshold taken from the items that are judged moves with their noise.
    """
    return float(control + (np.max(accuracy) - control) / 2)


def definitions(
    correct,
    *,
    threshold: float,
    chance: float = 0.0,
    groups=None,
    fixed=(0.3, 0.5),
    run: int = 3,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Depth by several definitions of the same outcomes, so that one sees how much the definition decides.

    Columns: depth (layer; for the two sums a share of the layers), valid, and why not. Definitions that are
    not valid are shown for comparison only. Parameters as `alignment_depth`; `fixed` are further thresholds.
    """
    options = {"chance": chance, "groups": groups, "rng": rng}
    own = alignment_depth(correct, threshold=threshold, run=run, **options)
    rows = {"own threshold, simultaneous band": (_layer(own.layer), True, "")}
    for level in fixed:
        one = alignment_depth(correct, threshold=level, run=run, **options)
        rows[f"threshold {level:g}, simultaneous band"] = (_layer(one.layer), True, "")
    rows["restricted mean"] = (float(own.restricted_mean.estimate), True, "")
    naive = "crosses by luck at one of many layers"
    first = _first_run(own.accuracy > threshold, 1)
    rows["first crossing of the estimate"] = (_layer(first), False, naive)
    n = np.asarray(correct).shape[1]
    wilson, _ = proportion_confint(own.accuracy * n, n, 0.1, "wilson")
    rows[f"Wilson limit, run of {run}"] = (
        _layer(_first_run(wilson > threshold, run)), False, "items of a scenario are not independent",
    )  # fmt: skip
    peak = own.accuracy.max()
    flat = (1 - own.accuracy / peak).mean() if peak > 0 else np.nan
    rows["sum of 1 - A/max A"] = (float(flat), False, "a flat profile at chance scores 0, the shallowest")
    return pd.DataFrame.from_dict(rows, orient="index", columns=["depth", "valid", "why not"])


def _checked(correct, groups, run: int, threshold: float, chance: float) -> tuple[np.ndarray, np.ndarray]:
    correct = np.asarray(correct, float)
    if correct.ndim != 2 or not correct.size or not ((correct >= 0) & (correct <= 1)).all():
        raise ValueError(
            f"correct has shape {correct.shape}; expected (layers, items) of outcomes between 0 and 1."
        )
    n_layers, n = correct.shape
    labels = np.arange(n) if groups is None else np.asarray(groups)
    if labels.shape != (n,):
        raise ValueError(f"groups has shape {labels.shape}, expected ({n},): one label per item.")
    if not 1 <= run <= n_layers:
        raise ValueError(f"a run of {run} layers among {n_layers}; expected between 1 and {n_layers}.")
    if not np.isfinite(threshold) or not 0 <= chance < 1:
        raise ValueError(
            f"threshold={threshold}, chance={chance}; expected a finite threshold, and a chance in [0, 1)."
        )
    return correct, np.unique(labels, return_inverse=True)[1]


def _group_sums(correct: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums (L+1, S) and sizes (S,) of the groups."""
    members = np.eye(codes.max() + 1)[codes]
    return correct @ members, members.sum(0)


def _bands(correct: np.ndarray, codes: np.ndarray, confidence: float, rng: np.random.Generator):
    """Simultaneous one-sided limits (L+1,) below and above the accuracy.

    Two pseudo-groups of half the mean size, one all wrong and one all right, keep the width of a layer
    whose outcomes are all alike; t with S - 1 degrees of freedom widens what few groups make too short.
    """
    sums, counts = _group_sums(correct, codes)
    n_groups, size = len(counts), counts.mean() / 2
    pseudo = np.broadcast_to([0.0, size], (len(sums), 2))
    sums, counts = np.concatenate([sums, pseudo], 1), np.concatenate([counts, [size, size]])
    weights = group_weights(np.arange(len(counts)), N_RESAMPLES, rng=rng)
    replicates = (weights @ sums.T) / (weights @ counts)[:, None]
    centre = sums.sum(1) / counts.sum()
    deviation = replicates.std(0)
    scaled = (replicates - centre) / deviation
    tail = 1 - confidence
    wider = stats.t.isf(tail, n_groups - 1) / stats.norm.isf(tail) * np.sqrt(n_groups / (n_groups - 1))
    below, above = (np.quantile(side.max(1), confidence) for side in (scaled, -scaled))
    return centre - wider * below * deviation, centre + wider * above * deviation


def _first_run(above: np.ndarray, run: int) -> int | None:
    """First index of `run` consecutive True, or None."""
    runs = np.convolve(above, np.ones(run), mode="valid") == run
    return int(runs.argmax()) if runs.any() else None


def _restricted(accuracy: np.ndarray, chance: float) -> np.ndarray:
    return (1 - np.clip(chance_corrected(accuracy, chance), 0, 1)).mean(-1)


def _layer(layer: int | None) -> float:
    """NaN for censored, so that a column of depths is one of numbers."""
    return np.nan if layer is None else float(layer)

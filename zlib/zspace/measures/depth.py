r"""Alignment depth: the layer from which a language's items find their translations, or never do.

Symbols: `correct` (L, n) retrieval outcomes of n items at L layers (row 0 the embeddings), each the mean
of both directions, hence 0, 1/2 or 1; `groups` (n,) the scenario of each item, S groups; A_l the accuracy
at layer l, :math:`\tilde A = (A - c)/(1 - c)` its chance-corrected value, c the chance level. Depth is a
hurdle: first whether a language is aligned at all, then where. A language that never is aligned is
*censored*, which is a value. Thresholds and peaks come from discovery items, depth from confirmation items.
`definitions` sets this depth beside others in use, which are marked where they may not be reported.

Sources: Chernozhukov, Chetverikov & Kato (2013), "Gaussian approximations and multiplier bootstrap for
maxima of sums of high-dimensional random vectors", Annals of Statistics 41 (max-t by Gaussian
multipliers); Clopper & Pearson (1934), Biometrika 26 (the adverse outcome added at either end);
Royston & Parmar (2013), BMC Medical Research Methodology 13 (restricted mean); Wilson (1927), JASA 22.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from ..errors import MeasureError
from .alignment import chance_corrected
from .paired import group_codes
from .resampling import Interval, group_sums, group_weights, interval_of

RUN = 3  # consecutive layers that must pass
COMPARISON = "comparison only"
WHY_NOT = {
    "pointwise": "each limit holds at a layer chosen beforehand, but the earliest of all layers is taken",
    "crossing": "the highest of many noisy layers passes: false in most runs where no layer is above",
    "wilson": "takes the items of a group as independent: too narrow, false in about a quarter of such runs",
    "share of peak": "divides by the own peak: a flat profile at chance scores 0, the shallowest of all",
}


@dataclass(frozen=True)
class Depth:
    """Where the accuracy of one language passes a threshold; layers count from 0, the embeddings.

    Attributes
    ----------
    layer : first layer of the first run of layers whose lower band exceeds the threshold; None if none.
    censored : True where `layer` is None: alignment was not shown at any depth.
    restricted_mean : mean over layers of 1 - clip(corrected accuracy, 0, 1), that is its sum over L + 1
        states divided by L + 1: the share of the depth spent unaligned. 0 is perfect from the embeddings
        on, 1 at chance or below throughout. Defined for every language, aligned or not.
    lower_band, upper_band : (layers,) simultaneous one-sided limits of the accuracy.
    accuracy : (layers,) mean over items.
    interval : (earliest, latest) layers at which the true accuracy may first enter such a run; None stands
        for never. `latest` is `layer`. Covers with probability at least 2 x confidence - 1.
    restricted_mean_interval : grouped-bootstrap interval of the restricted mean, two-sided.
    exit_layer : first layer after the last run of layers whose *upper* band exceeds the threshold, so that
        the accuracy is shown to be at or below it from there on; None if it is never shown to fall for
        good, or is censored.
    threshold : that asked for.
    reason : why it is censored, in words; None where it is not.
    """

    layer: int | None
    censored: bool
    restricted_mean: float
    lower_band: np.ndarray
    upper_band: np.ndarray
    accuracy: np.ndarray
    interval: tuple[int | None, int | None]
    restricted_mean_interval: Interval
    exit_layer: int | None
    threshold: float
    reason: str | None


def alignment_depth(
    correct,
    *,
    threshold: float,
    chance: float = 0.0,
    groups=None,
    confidence: float = 0.95,
    run: int = RUN,
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> Depth:
    """The first layer of a run of layers at which the accuracy is shown to exceed a threshold.

    Null hypothesis that `layer` rejects: at no layer does the true accuracy exceed the threshold. The
    bands hold at all layers together, whatever their correlation (see `lower_band`), so that every
    run of a band is evidence; the run only keeps single layers from counting as a depth. Simulated
    with a true accuracy equal to the threshold at all of 28 layers (10 to 30 groups of 4 to
    40 items, thresholds .1 to .9, correlation .95 between layers, .1 to .99 within groups): a false depth
    in at most 4 % of the runs.

    Parameters
    ----------
    correct : (layers, items) values in [0, 1], computed once on the full pool of confirmation items.
    threshold : accuracy to exceed, in [chance, 1); see `half_peak_threshold`.
    chance : expected accuracy of a random ranking (`alignment.chance_level`), for the restricted mean.
    groups : (items,) labels; None takes every item as its own group.
    confidence : one-sided confidence of each band, two-sided of the restricted mean's interval.
    run : number of consecutive layers that must pass.
    n_resamples : draws of the multipliers, and resamples of the groups.

    Raises
    ------
    MeasureError : shapes, values, threshold, chance, confidence or run out of range; fewer layers than
        `run`; fewer than 2 groups.
    """
    correct = _outcomes(correct)
    _require_rule(correct, threshold, chance, run)
    options = {"groups": groups, "confidence": confidence, "n_resamples": n_resamples, "rng": rng}
    lower = lower_band(correct, **options)
    upper = 1 - lower_band(1 - correct, **options)
    accuracy = correct.mean(1)
    layer = first_run(lower > threshold, run)
    spread = restricted_mean_interval(correct, chance=chance, **options)
    return Depth(
        layer=layer,
        censored=layer is None,
        restricted_mean=float(spread.estimate),
        lower_band=lower,
        upper_band=upper,
        accuracy=accuracy,
        interval=(first_run(upper > threshold, run), layer),
        restricted_mean_interval=spread,
        exit_layer=None if layer is None else last_run_end(upper > threshold, run),
        threshold=float(threshold),
        reason=_reason(accuracy, lower, threshold, run) if layer is None else None,
    )


def half_peak_threshold(correct_discovery, control, *, minimal_excess: float = 0.1) -> float:
    """Accuracy halfway between the control and the language's own peak, both from discovery items.

    control + max(peak - control, minimal_excess) / 2, the peak being the highest accuracy of any layer.
    The highest of many layers lies above its expectation, which raises the threshold: compute it from
    other items than those whose depth is measured. A language that exceeds its control by less than
    `minimal_excess` is not aligned; its threshold stays half of that above the control, so that it is
    not crossed by chance.

    Parameters
    ----------
    correct_discovery : (layers, items) outcomes in [0, 1].
    control : the accuracy that alignment must exceed: the chance level, or the accuracies of the controls
        at any number of layers, of which the highest counts.
    minimal_excess : smallest difference that counts as aligned, in accuracy.

    Raises
    ------
    MeasureError : outcomes or control outside [0, 1], or a control too high to be exceeded by this much.

    Examples
    --------
    >>> half_peak_threshold([[0, 0, 0, 1], [1, 1, 1, 0]], 0.25)
    0.5
    """
    peak = _outcomes(correct_discovery).mean(1).max()
    control = np.asarray(control, np.float64)
    if control.size == 0 or not ((control >= 0) & (control <= 1)).all():
        raise MeasureError(f"control must hold accuracies in [0, 1], found {control.tolist()}.")
    floor = control.max()
    threshold = floor + max(peak - floor, minimal_excess) / 2
    if minimal_excess < 0 or threshold >= 1:
        raise MeasureError(
            f"a control of {floor:.4g} and a minimal excess of {minimal_excess:.4g} give the threshold "
            f"{threshold:.4g}, which no accuracy can exceed; use a harder level of retrieval."
        )
    return float(threshold)


def lower_band(
    correct, *, groups=None, confidence=0.95, simultaneous=True, n_resamples=2000, rng: np.random.Generator
) -> np.ndarray:
    r"""One-sided lower limits of the accuracy at every layer, holding at all layers together: (layers,).

    .. math:: \hat A_l - t_{S-1}\left(\Phi(-q)\right) \mathrm{se}_l, \qquad
              q = \text{quantile of } \max_l \sum_s \xi_s z_{sl} / \lVert z_l \rVert

    with z_sl the deviation of group s from the ratio of sums to counts, xi standard normal, and se_l the
    cluster-robust error. The pointwise level that the normal maximum asks for is taken from Student's t,
    for few groups. One group of mean size that fails at every layer is added before, as one failure is in
    Clopper and Pearson's lower limit: without it a layer at which every item succeeds has no width, and the
    limit is passed too often near 1 († up to 15 % for 5 % at a threshold of .9). Multipliers, not
    resampled groups: resampled groups that all agree would give a maximum, and so a width, of zero.
    Upper limits are 1 - lower_band(1 - correct).

    Parameters
    ----------
    correct, groups, confidence, n_resamples : as in `alignment_depth`.
    simultaneous : False gives limits that hold at one layer chosen beforehand.

    Raises
    ------
    MeasureError : as `alignment_depth`.
    """
    sums, counts = _sums(correct, groups)
    if not 0.5 < confidence < 1 or n_resamples < 2:
        raise MeasureError(f"confidence {confidence} must lie in (.5, 1), n_resamples {n_resamples} be >= 2.")
    n_groups = counts.size
    sums, counts = np.pad(sums, ((0, 0), (0, 1))), np.append(counts, counts.mean())
    centre = sums.sum(1) / counts.sum()
    deviation = sums - centre[:, None] * counts
    norm = np.sqrt((deviation**2).sum(1))
    error = np.sqrt(counts.size / n_groups) * norm / counts.sum()
    critical = stats.norm.isf(1 - confidence)
    if simultaneous:
        unit = deviation / np.where(norm > 0, norm, 1.0)[:, None]
        largest = (rng.standard_normal((n_resamples, counts.size)) @ unit.T).max(1)
        critical = max(critical, float(np.quantile(largest, confidence)))
    return np.maximum(centre - stats.t.isf(stats.norm.sf(critical), n_groups - 1) * error, 0.0)


def restricted_mean(accuracy, *, chance: float = 0.0):
    """Mean over layers (last axis) of 1 - clip(chance-corrected accuracy, 0, 1): (...) for (..., layers).

    Examples
    --------
    >>> float(restricted_mean([0.25, 0.25, 1.0, 1.0], chance=0.25))
    0.5
    """
    return (1 - np.clip(chance_corrected(accuracy, chance), 0, 1)).mean(-1)


def restricted_mean_interval(
    correct, *, chance=0.0, groups=None, confidence=0.95, n_resamples=2000, rng: np.random.Generator
) -> Interval:
    """Grouped-bootstrap interval of the restricted mean, with the widening of `resampling.bootstrap`.

    It spans the interval of the sample and that of the sample with two pseudo-groups of half the mean size,
    one with the estimated accuracies and one with their mirror image 1 - A_l, which keep an honest width
    where outcomes agree. Simulated coverage of 95 % with 12 to 30 groups of 4 or 8 items, ramps, steps, flat
    profiles of .05 to .8 (300 runs each): .94 to .99; at accuracies of .95 and .99 throughout, .99 to 1. The
    sample alone covers .70 of the time at .95, and .29 at .99.

    Parameters and errors as in `alignment_depth`.
    """
    sums, counts = _sums(correct, groups)

    def replicates(sums, counts):
        weights = group_weights(np.arange(counts.size), n_resamples, rng=rng)
        return restricted_mean((weights @ sums.T) / (weights @ counts)[:, None], chance=chance)

    n_groups, half = counts.size, counts.mean() / 2
    accuracy = sums.sum(1) / counts.sum()
    mirrored = np.hstack([sums, half * np.stack([accuracy, 1 - accuracy], 1)])
    with_mirror = np.append(counts, [half, half])
    centre = restricted_mean(mirrored.sum(1) / with_mirror.sum(), chance=chance)
    estimate = restricted_mean(accuracy, chance=chance)
    wide = interval_of(centre, replicates(mirrored, with_mirror), n_groups, confidence=confidence)
    plain = interval_of(estimate, replicates(sums, counts), n_groups, confidence=confidence)
    low, high = np.clip([min(wide.low, plain.low), max(wide.high, plain.high)], 0, 1)
    return replace(plain, low=low, high=high)


def first_run(above, run: int) -> int | None:
    """First layer of the first `run` consecutive True of (layers,); None if there is none."""
    starts = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(np.asarray(above), run).all(-1))
    return int(starts[0]) if starts.size else None


def last_run_end(above, run: int) -> int | None:
    """Layer after the last `run` consecutive True of (layers,); None if they reach the end, or are none."""
    above = np.asarray(above)
    from_end = first_run(above[::-1], run)
    return above.size - from_end if from_end else None


def definitions(
    correct,
    *,
    threshold: float,
    chance: float = 0.0,
    groups=None,
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Depth of one language by valid and by invalid definitions: one row per definition.

    Parameters
    ----------
    threshold : the language's own, half its peak excess (`half_peak_threshold`).
    Others, and errors, as in `alignment_depth`.

    Returns
    -------
    DataFrame with the columns definition; threshold (accuracy, NaN where there is none); depth (NaN where
    censored); unit, "layer" (from 0, the embeddings) or "share of layers"; censored; valid; use, "primary",
    "sensitivity" or "comparison only"; why_not, the reason where it is not valid.
    """
    common = {"groups": groups, "n_resamples": n_resamples, "rng": rng}
    own = alignment_depth(correct, threshold=threshold, chance=chance, **common)
    rows = [_row("half the own peak excess, simultaneous band", own.layer, threshold, "primary")]
    for level in (0.25, 0.5, 0.75):
        accuracy = chance + level * (1 - chance)
        layer = first_run(own.lower_band > accuracy, RUN)
        name = f"{level:g} of the way from chance to 1, simultaneous band"
        rows.append(_row(name, layer, accuracy, "sensitivity"))
    share = {"unit": "share of layers"}
    rows.append(_row("restricted mean", own.restricted_mean, np.nan, "sensitivity", **share))

    pointwise = first_run(lower_band(correct, simultaneous=False, **common) > threshold, RUN)
    crossing = first_run(own.accuracy > threshold, 1)
    n = np.shape(correct)[1]
    # a two-sided interval that leaves 5 % on either side
    limit = proportion_confint(own.accuracy * n, n, alpha=2 * (1 - 0.95), method="wilson")[0]
    wilson = first_run(limit > threshold, RUN)
    peak = own.accuracy.max()
    of_peak = (1 - own.accuracy / peak).mean() if peak > 0 else None
    rows += [
        _row("pointwise band", pointwise, threshold, why_not=WHY_NOT["pointwise"]),
        _row("first crossing of the estimate", crossing, threshold, why_not=WHY_NOT["crossing"]),
        _row("Wilson limit of single items", wilson, threshold, why_not=WHY_NOT["wilson"]),
        _row("mean of 1 - A / max A", of_peak, np.nan, why_not=WHY_NOT["share of peak"], **share),
    ]
    return pd.DataFrame(rows)


def _outcomes(correct) -> np.ndarray:
    correct = np.asarray(correct, np.float64)
    if correct.ndim != 2 or 0 in correct.shape:
        raise MeasureError(
            f"correct has shape {correct.shape}, expected (layers, items); average the two directions of "
            "retrieval_outcomes first, outcomes.mean(-2)."
        )
    if not ((correct >= 0) & (correct <= 1)).all():
        layer, item = (int(i) for i in np.argwhere(~((correct >= 0) & (correct <= 1)))[0])
        raise MeasureError(
            f"correct must lie in [0, 1], found {correct[layer, item]} at layer {layer}, item {item}; pass "
            "outcomes, not scores, and leave out items without one."
        )
    return correct


def _sums(correct, groups) -> tuple[np.ndarray, np.ndarray]:
    """Sums (layers, S) and counts (S,) of each group."""
    correct = _outcomes(correct)
    return group_sums(correct, group_codes(groups, correct.shape[1], least=2))


def _require_rule(correct, threshold, chance, run):
    if not 0 <= chance < 1 or not chance <= threshold < 1:
        raise MeasureError(
            f"threshold {threshold} and chance {chance} must satisfy 0 <= chance <= threshold < 1: an "
            "accuracy at chance is no alignment, and none exceeds 1."
        )
    if not isinstance(run, int | np.integer) or not 1 <= run <= len(correct):
        raise MeasureError(
            f"run is {run}, correct has {len(correct)} layers; run must be a whole number from 1 to that."
        )


def _reason(accuracy: np.ndarray, lower: np.ndarray, threshold: float, run: int) -> str:
    best, sure = int(accuracy.argmax()), int(lower.argmax())
    if accuracy[best] == 0:
        return "no item finds its translation at any layer."
    if accuracy[best] <= threshold:
        return (
            f"the accuracy nowhere exceeds the threshold {threshold:.3f}: at most {accuracy[best]:.3f}, at "
            f"layer {best}."
        )
    return (
        f"the accuracy exceeds the threshold {threshold:.3f} at {int((accuracy > threshold).sum())} layers, "
        f"its lower band in no run of {run}: at most {lower[sure]:.3f}, at layer {sure}; more groups would "
        "tell."
    )


def _row(definition, depth, threshold, use=COMPARISON, *, unit="layer", why_not=""):
    return {
        "definition": definition,
        "threshold": float(threshold),
        "depth": np.nan if depth is None else float(depth),
        "unit": unit,
        "censored": depth is None,
        "valid": use != COMPARISON,
        "use": use,
        "why_not": why_not,
    }

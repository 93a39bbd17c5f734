"""Definitions of alignment depth side by side, to see how much the definition decides.

Symbols as in `depth`: `correct` (L, n) outcomes, `groups` (n,), A_l the accuracy at layer l. The table holds
definitions that may be reported and, labelled as such, some that may not: they are in use, they give
another depth for the same data, and a reader should see by how much.

Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from .depth import alignment_depth, first_run, lower_band

COMPARISON = "comparison only"
WHY_NOT = {
    "pointwise": "each limit holds at a layer chosen beforehand, but the earliest of all layers is taken",
    "crossing": "the highest of many noisy layers passes: false in most runs where no layer is above",
    "wilson": "takes the items of a group as independent: too narrow, false in about a quarter of such runs",
    "share of peak": "divides by the own peak: a flat profile at chance scores 0, the shallowest of all",
}


def definitions(
    correct,
    *,
    threshold: float,
    chance: float = 0.0,
    groups=None,
    fixed: Sequence[float] = (0.25, 0.5, 0.75),
    confidence: float = 0.95,
    run: int = 3,
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Depth of one language by valid and by invalid definitions: one row a definition.

    Parameters
    ----------
    threshold : the language's own, half its peak excess (`depth.half_peak_threshold`).
    fixed : further thresholds, as chance-corrected accuracies in (0, 1).
    Others, and errors, as in `depth.alignment_depth`.

    Returns
    -------
    DataFrame with the columns definition; threshold (accuracy, NaN where there is none); depth (NaN where
    censored); unit, "layer" (from 0, the embeddings) or "share of layers"; censored; valid; use, "primary",
    "sensitivity" or "comparison only"; why_not, the reason where it is not valid.
    """
    common = {"groups": groups, "confidence": confidence, "n_resamples": n_resamples, "rng": rng}
    own = alignment_depth(correct, threshold=threshold, chance=chance, run=run, **common)
    rows = [_row("half the own peak excess, simultaneous band", own.layer, threshold, "primary")]
    for level in fixed:
        if not 0 < level < 1:
            raise ValueError(f"fixed thresholds are chance-corrected, in (0, 1); found {level}.")
        accuracy = chance + level * (1 - chance)
        layer = first_run(own.lower_band > accuracy, run)
        name = f"{level:g} of the way from chance to 1, simultaneous band"
        rows.append(_row(name, layer, accuracy, "sensitivity"))
    share = {"unit": "share of layers"}
    rows.append(_row("restricted mean", own.restricted_mean, np.nan, "sensitivity", **share))

    pointwise = first_run(lower_band(correct, simultaneous=False, **common) > threshold, run)
    crossing = first_run(own.accuracy > threshold, 1)
    wilson = first_run(_wilson_limit(own.accuracy, np.shape(correct)[1], confidence) > threshold, run)
    peak = own.accuracy.max()
    of_peak = (1 - own.accuracy / peak).mean() if peak > 0 else None
    rows += [
        _row("pointwise band", pointwise, threshold, why_not=WHY_NOT["pointwise"]),
        _row("first crossing of the estimate", crossing, threshold, why_not=WHY_NOT["crossing"]),
        _row("Wilson limit of single items", wilson, threshold, why_not=WHY_NOT["wilson"]),
        _row("mean of 1 - A / max A", of_peak, np.nan, why_not=WHY_NOT["share of peak"], **share),
    ]
    return pd.DataFrame(rows)


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


def _wilson_limit(accuracy: np.ndarray, n: int, confidence: float) -> np.ndarray:
    # a two-sided interval that leaves 1 - confidence on either side
    return proportion_confint(accuracy * n, n, alpha=2 * (1 - confidence), method="wilson")[0]

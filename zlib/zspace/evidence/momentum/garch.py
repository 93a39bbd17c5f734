"""What a GARCH of generation steps is, and why a significant beta of its own shows nothing.

Readings of conjecture 6 that need no model (`garch_evidence`), and the literal one on a model's series. Only
the naive reading falls, a t-statistic of garch_beta alone: alpha and beta significant together, or the
likelihood ratio of the GARCH against a constant variance, keep their level in series without order.
"""

import numpy as np
import pandas as pd
from scipy import optimize

from ... import theory
from ...series import volatility
from ...series.volatility import planted
from ...states.generation.recordings import Recordings
from ..rules import Evidence
from .solutions import COPYING

CLAIM = "conjecture_6_garch"


def garch_evidence(*, rng: np.random.Generator, n_simulations: int = 60) -> tuple[Evidence, pd.Series]:
    """Checks of what a GARCH of generation steps can show, and the numbers they rest on."""
    fitting, testing, joining = rng.spawn(3)
    y = planted.simulate_mem(600, omega=0.1, garch_alpha=0.1, garch_beta=0.8, rng=fitting)
    fit = volatility.fit_mem(y)
    parameters = np.array([fit.omega, fit.garch_alpha, fit.garch_beta])
    difference = np.abs(_exponential_fit(y) - parameters).max()
    sizes = planted.garch_sizes(256, n_simulations=n_simulations, rng=testing)
    concatenated = _concatenated_size(joining, n_simulations // 3)
    found = {
        "largest difference of MEM and GARCH parameters": difference,
        "share of iid series with t of garch_beta above 1.96": sizes.beta,
        "share of iid series with t of garch_alpha and garch_beta above 1.96": sizes.both,
        "share of iid series with a likelihood ratio above its 5 % point": sizes.likelihood_ratio,
        "share of iid problems rejected when concatenated": concatenated,
    }
    checks = {
        "symbolic_identity": all(residue == 0 for residue in theory.prove_mem().values()),
        "same_estimates": bool(difference < 1e-3),
        "beta_is_significant_without_order": bool(sizes.beta > 0.2),
        "alpha_and_beta_together_keep_the_level": bool(sizes.both <= 0.1),
        "likelihood_ratio_keeps_the_level": bool(sizes.likelihood_ratio <= 0.1),
        "concatenation_rejects_without_order": bool(concatenated > 0.5),
    }
    return Evidence(checks=checks), pd.Series(found)


def power_curves(*, rng: np.random.Generator) -> dict[str, planted.PowerCurve]:
    """How often both tests reject series that cluster, and series without order: name of a world -> curve."""
    worlds = {"MEM (.1, .8)": (0.1, 0.8), "no order": (0.0, 0.0)}
    return {
        name: planted.power_curve(
            [64, 128, 256], garch_alpha=a, garch_beta=b, n_simulations=100, n_shuffles=99, rng=stream
        )
        for (name, (a, b)), stream in zip(worlds.items(), rng.spawn(len(worlds)), strict=True)
    }


def literal_garch(
    recordings: Recordings, layer: int, *, rng: np.random.Generator, n_series: int = 8
) -> pd.DataFrame:
    """Reading C: a GARCH(1,1) of demeaned series, `n_series` of each language, and of the same shuffled.

    Share of series whose t of garch_beta exceeds 1.96, and mean estimates, by condition; what stands beside
    "shuffled" has no order.
    """
    energy = recordings.update_energy[list(recordings.layers).index(layer)]
    rows = recordings.series.groupby(["condition", "language"]).head(n_series).groupby("condition").groups
    series = {name: [energy[recordings.steps(row)] for row in rows[name]] for name in (COPYING, "reasoning")}
    series["reasoning, shuffled"] = [rng.permutation(y) for y in series["reasoning"]]
    rows = {}
    for condition, many in series.items():
        fits = [volatility.fit_mem((y - y.mean()) ** 2, n_starts=1) for y in many]
        rows[condition] = {
            "series": len(fits),
            "garch_beta significant": np.mean([fit.beta_tstat > 1.96 for fit in fits]),
            **{name: np.mean([getattr(fit, name) for fit in fits]) for name in ("garch_alpha", "garch_beta")},
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _exponential_fit(y: np.ndarray) -> np.ndarray:
    """The exponential quasi-likelihood of a MEM maximised as it stands, without any GARCH."""
    # the same start as arch takes: a weighted mean of the first 75 steps
    weights = 0.94 ** np.arange(75)
    first = float((weights / weights.sum()) @ y[:75])

    def loss(parameters: np.ndarray) -> float:
        omega, alpha, beta = parameters
        mean, total = omega + (alpha + beta) * first, 0.0
        for value in y:
            total += np.log(mean) + value / mean
            mean = omega + alpha * value + beta * mean
        return total

    bounds = [(1e-6, None), (0, 1), (0, 1)]
    options = {"method": "L-BFGS-B", "bounds": bounds, "options": {"ftol": 1e-13}}
    return optimize.minimize(loss, (0.1, 0.1, 0.8), **options).x


def _concatenated_size(rng: np.random.Generator, n_simulations: int) -> float:
    """Share of simulations in which iid problems of unequal scale, end to end, are taken for clustering."""
    rejected = 0
    for stream in rng.spawn(n_simulations):
        scales = stream.lognormal(0, 1, 8)
        joined = np.concatenate([scale * stream.exponential(size=100) for scale in scales])
        rejected += volatility.sup_score_test(joined, n_shuffles=99, rng=stream).pvalue <= 0.05
    return rejected / n_simulations

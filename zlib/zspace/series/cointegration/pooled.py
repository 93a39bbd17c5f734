r"""Johansen's rank test of many short series with one common Pi: problems by layers, two languages stacked.

Symbols: `h1`, `h2` (N, T, p) states of N problems at T layers in two languages, in a common reduced basis;
n = 2p; y = (h1, h2); S = T - 1 - k rows per problem with k = `k_ar_diff`; for problem i
:math:`\Delta y^i_t = c_t + \Pi y^i_{t-1} + \sum_j \Gamma_j \Delta y^i_{t-j} + e^i_t`, with
:math:`\mathrm{Cov}(e^i_t) = s_i^2 \sigma_t^2 \Sigma`. The number of layers is fixed and small, N grows: the
regression of N S rows is an ordinary one, so that its canonical correlations have chi-squared laws and not
those of Brownian motions. The rank counts stationary *relations*; n - rank trends remain.

Sources: Anderson (1951), Annals of Mathematical Statistics 22 (rank of a regression matrix); Johansen
(1991), Econometrica 59; Kleibergen & Paap (2006), J. Econometrics 133 (equation 21, theorem 1, robust rank);
Nickell (1981), Econometrica 49 (why no mean per problem is removed).
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...errors import MeasureError, ParameterError
from ...measures.paired import finite, group_codes, paired
from ...measures.results import TestResult
from . import reduced_rank

DEMEAN = ("layer", "problem", "none")
LEAST_LAYERS = 5  # beside the lags
_APART = 2  # layers beyond which two steps are taken to share nothing but a drift
_FALSE_RELATIONS, _N_WORLDS = 0.05, 200


@dataclass(frozen=True)
class PooledRank:
    """Sequential rank test over problems.

    Attributes
    ----------
    rank : number of stationary relations; 0 .. n. Without meaning where `constancy` is rejected.
    eigenvalues : (n,) squared canonical correlations of steps and levels, descending.
    statistics : (n,) of "rank <= r", r = 0 .. n-1. pvalues : (n,) of each on its own.
    beta : (n, rank) relations, orthonormal under the weighted covariance of the levels.
    alpha : (n, rank) answers of the steps to them. pi : (n, n) alpha beta^T.
    constancy : of Pi over layers; `constancy.pvalue` below the level says that there is no one rank.
    drift : of problems; `drift.pvalue` below the level says that some drift each their own way, or keep a
        distance of their own between the languages, which is no cointegration but passes for it.
    problem_scales : (N,) rms of the steps, 1 where not asked for. layer_scales : (S,) likewise, mean 1.
    remarks : what a reader of the rank has to know.
    """

    rank: int
    eigenvalues: np.ndarray
    statistics: np.ndarray
    pvalues: np.ndarray
    beta: np.ndarray
    alpha: np.ndarray
    pi: np.ndarray
    constancy: TestResult
    drift: TestResult
    problem_scales: np.ndarray
    layer_scales: np.ndarray
    remarks: tuple[str, ...]


def pooled_johansen(
    h1,
    h2,
    *,
    k_ar_diff: int = 1,
    groups=None,
    scale_problems: bool = True,
    weight_layers: bool = True,
    demean: str = "layer",
    level: float = 0.05,
    allow_distorted: bool = False,
) -> PooledRank:
    r"""Rank of the common Pi of two languages over many problems.

    Null hypotheses, in sequence: rank Pi <= r. Independent problems: :math:`-\nu\sum_{i>r}\log(1-\lambda_i)`
    with nu effective rows, chi-squared with (n-r)^2 degrees of freedom. With `groups` (problems of one
    scenario depend on one another, which that statistic takes for information: 5 to a scenario with half of
    the variance in common make its size .90): Kleibergen and Paap's rk, its covariance from sums over a group
    at one layer, in an F law (`reduced_rank.robust_ranks`). G S such cells stand against (n-r)^2 numbers: e
    is unpredictable from the layers before, as the test without groups also asks. Measured sizes at 28
    layers, n = 2, 4, 6: .06 to .09 with G = 5n groups, fewer than which are refused; up to .12 with 4n and
    .16 with 2n. `groups=np.arange(N)` asks for robustness where Cov(e) is not of the form above: where scales
    differ between problems in one language more than in the other (log sd .7) the size is .12 without and .09
    with it.

    Not corrected: a drift of each problem's own (slope .3 of a step's deviation: every walk is rejected;
    `drift` tests for it) and errors that a lag does not catch (moving average of .5: size .14 to .17 at
    k = 1, .06 at k = 3).

    Three corrections, each necessary (`recovery_table` shows what is wrong without): the mean over problems
    is removed at each layer, as the generalised least-squares mean with weights 1/s_i^2; each problem is
    divided by s_i, the rms of its steps; each layer by the scale of its residuals from a first pass.

    Parameters
    ----------
    h1, h2 : (N, T, p). groups : (N,) labels.
    demean : "layer"; "none"; "problem" also removes each problem's own mean, which makes false relations
        out of short walks (Nickell's bias), and is refused with the measured rate of it.
    allow_distorted : go on, with a warning, under demean="problem" or with fewer groups than 5n.

    Raises
    ------
    MeasureError : shapes differ, values are not finite, a problem does not move, layers or problems are too
        few, states are nearly singular, or what `allow_distorted` allows. ParameterError : unknown options.
    """
    y, codes = require_pairs(h1, h2, groups)
    _require_options(y, k_ar_diff, demean, level)
    remarks = _remarks(y, codes, k_ar_diff, demean, allow_distorted)
    rows = _rows(y, k_ar_diff, scale_problems, weight_layers, demean)
    now, levels = reduced_rank.without_lags(rows, 1)
    correlations, _, right, moments = reduced_rank.canonical(now, levels)
    if codes is None:
        statistics, pvalues = reduced_rank.likelihood_ratios(correlations, rows.free)
    else:
        statistics, pvalues = reduced_rank.robust_ranks(now, levels, codes)
    rank = _first_kept(pvalues, level)
    beta = right[:, :rank]
    alpha = moments @ beta
    steady, drifting = reduced_rank.constancy(rows, codes), reduced_rank.drift(now, levels, codes)
    remarks += _doubts(rank, y.shape[2] // 2, steady.pvalue < level, drifting.pvalue < level)
    for remark in remarks:
        warnings.warn(remark, UserWarning, stacklevel=2)
    found = (rank, correlations**2, statistics, pvalues, beta, alpha, alpha @ beta.T, steady, drifting)
    return PooledRank(*found, rows.problem_scales, rows.layer_scales, tuple(remarks))


def pooled_rank(
    y: np.ndarray, *, k_ar_diff=1, scale_problems=True, weight_layers=True, demean="layer"
) -> int:
    """The rank alone, of stacked states (N, T, n) at 5 %, unguarded: what simulations repeat."""
    rows = _rows(y, k_ar_diff, scale_problems, weight_layers, demean)
    correlations = reduced_rank.canonical(*reduced_rank.without_lags(rows, 1))[0]
    return _first_kept(reduced_rank.likelihood_ratios(correlations, rows.free)[1], 0.05)


def squared_drift(h1, h2) -> np.ndarray:
    r"""Squared drift per step of each problem, in units of its mean squared step: (N,), unbiased.

    A problem whose steps are :math:`\Delta y_t = \delta + u_t` has products of two steps that lie apart of
    mean :math:`\delta^2`, whatever the law of u, as long as its memory is short. The estimate is their mean
    over all pairs of steps more than two layers apart, over the problem's mean squared step; what all
    problems do alike at a layer is taken out. It may be negative. No Pi is fitted before, which would take
    the drift for relations, as it does in the test of drift in `PooledRank`.

    Parameters and errors as `pooled_johansen`.
    """
    y, _ = require_pairs(h1, h2, None)
    n_problems, n_steps, n = y.shape[0], y.shape[1] - 1, y.shape[2]
    if n_steps < _APART + 2 or n_problems < 2:
        raise MeasureError(f"found {n_problems} problems of {n_steps} steps; no two lie {_APART} apart.")
    steps = np.diff(y, axis=1)
    scales = _problem_scales(steps, "layer")
    steps = steps / scales[:, None, None]
    steps = steps - _common(steps, 1 / scales)
    apart = np.subtract.outer(np.arange(n_steps), np.arange(n_steps)) > _APART
    products = np.einsum("isa,ita->ist", steps, steps)[:, apart].mean(1) / n
    return products / (steps**2).mean((1, 2))


@lru_cache(maxsize=64)
def tolerated_drift(
    n_groups: int, group_size: int, n_layers: int, n: int, *, k_ar_diff: int = 1, level: float = 0.05
) -> float:
    """The squared drift per step at which 5 % of pooled tests (at `level`) find a relation that is not there.

    By simulation: walks of n coordinates in `n_groups` groups of `group_size` problems, each with a normal
    drift of its own, in units of a step's variance. 200 worlds, the same at every drift; interpolated. Where
    the test finds relations in more than 5 % of walks without drift, 0.
    """
    rng = np.random.default_rng([n_groups, group_size, n_layers, n, k_ar_diff])
    codes = np.repeat(np.arange(n_groups), group_size)
    walks = rng.standard_normal((_N_WORLDS, len(codes), n_layers, n)).cumsum(2)
    own = rng.standard_normal((_N_WORLDS, len(codes), 1, n)) * np.arange(n_layers)[:, None]

    def finds_a_relation(y: np.ndarray) -> bool:
        rows = _rows(y, k_ar_diff, True, True, "layer")
        pvalues = reduced_rank.robust_ranks(*reduced_rank.without_lags(rows, 1), codes)[1]
        return _first_kept(pvalues, level) > 0

    below = square = 0.0
    for drift in (0.0, *np.geomspace(0.03, 0.4, 7)):
        rate = float(np.mean([finds_a_relation(y + drift * d) for y, d in zip(walks, own, strict=True)]))
        if rate > _FALSE_RELATIONS:
            share = (_FALSE_RELATIONS - below) / (rate - below) if drift else 0.0
            return float(square + share * (drift**2 - square))
        below, square = max(below, rate), drift**2
    return float(square)


def require_pairs(h1, h2, groups) -> tuple[np.ndarray, np.ndarray | None]:
    """Stacked states (N, T, 2p) in float64 and group codes (N,), None without groups; errors as `paired`."""
    names = ("h1", "h2")
    pair = paired(*map(finite, names, (h1, h2)), "(problems, T, p)", names=names)
    y = np.concatenate(pair, axis=2)
    return y, None if groups is None else group_codes(groups, len(y))


def _rows(y, k, scale_problems, weight_layers, demean) -> reduced_rank.Rows:
    steps = np.diff(y, axis=1)
    end = steps.shape[1]
    n = y.shape[2]
    table = [steps[:, k:], y[:, k:-1], *(steps[:, k - j : end - j] for j in range(1, k + 1))]
    table = np.concatenate(table, axis=2)
    scales = _problem_scales(steps, demean) if scale_problems else np.ones(len(y))
    table = table / scales[:, None, None]
    free = table.shape[0] * table.shape[1]
    if demean != "none":  # what is common to problems enters their scaled rows with weight 1/s_i
        table = table - _common(table, 1 / scales)
        free -= table.shape[1]
    if demean == "problem":
        table = table - table.mean(1, keepdims=True)
        free -= len(y)
    layers = np.ones(table.shape[1])
    if weight_layers:
        for _ in range(2):
            weighted = table / layers[:, None]
            left = reduced_rank.residuals(weighted[..., :n], weighted[..., n:]) * layers[:, None]
            layers = np.sqrt((left**2).mean((0, 2)))
        table = table / layers[:, None]
    now, level, lags = np.split(table, [n, 2 * n], axis=2)
    return reduced_rank.Rows(now, level, lags, free - n * k, scales, layers / layers.mean())


def _problem_scales(steps: np.ndarray, demean: str) -> np.ndarray:
    """Rms of each problem's steps around the common ones, (N,), as the weights of the common ones ask."""
    scales = np.ones(len(steps))
    for _ in range(3):  # a plain mean would carry the noise of the largest problems into the smallest
        scaled = steps / scales[:, None, None]
        own = scaled if demean == "none" else scaled - _common(scaled, 1 / scales)
        scales = scales * np.sqrt((own**2).mean((1, 2)))
        if not scales.min() > 1e-12 * scales.max():
            least, most = int(scales.argmin()), int(scales.argmax())
            raise MeasureError(
                f"problem {least} moves by {scales[least]:.1e} beyond what all do, problem {most} by "
                f"{scales[most]:.1e}; expected steps of like size. Leave out the one that stands still, or "
                "the one that is an outlier."
            )
    return scales


def _common(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    means = np.einsum("i,itj->tj", weights, table) / (weights @ weights)
    return weights[:, None, None] * means


def _first_kept(pvalues: np.ndarray, level: float) -> int:
    kept = pvalues > level
    return int(np.argmax(kept)) if kept.any() else len(pvalues)


def _remarks(y, codes, k, demean, allow) -> list[str]:
    """What is doubtful about the question itself; refused unless allowed."""
    n_problems, n_steps, n = y.shape
    remarks = []
    if demean == "problem":
        rate = _fixed_effects_size(min(n_problems, 100), n_steps, n, k)
        remarks.append(
            f"demean='problem' removes each problem's mean over {n_steps} layers: a nominal 5 % test then "
            f"rejects rank 0 for {rate:.0%} of independent walks (simulated, {min(n_problems, 100)} "
            "problems; Nickell's bias), expected 5 %. Take demean='layer'."
        )
    if codes is not None and codes.max() + 1 < 5 * n:
        remarks.append(
            f"found {codes.max() + 1} groups for the {n**2} numbers of Pi; expected {5 * n} or more, or the "
            "covariance over groups is too rough (false rejections of 12 to 16 % at a nominal 5 %). Reduce "
            "the dimensions, or split groups that are independent."
        )
    if remarks and not allow:
        raise MeasureError(" ".join(remarks) + " allow_distorted=True goes on regardless.")
    return remarks


def _doubts(rank: int, p: int, changes: bool, drifts: bool) -> list[str]:
    """What is doubtful about the answer."""
    remarks = []
    if rank > p:
        remarks.append(
            f"rank {rank} exceeds the {p} dimensions of one language: specific parts are stationary, and the "
            f"shared trends are the {2 * p - rank} that remain."
        )
    if drifts:
        remarks.append("problems drift each their own way, which makes false relations: the rank is suspect.")
    if changes:
        remarks.append("Pi differs between layers: the rank has no meaning.")
    return remarks


@lru_cache(maxsize=64)
def _fixed_effects_size(n_problems: int, n_steps: int, n: int, k: int) -> float:
    rng = np.random.default_rng([n_problems, n_steps, n, k])
    walks = rng.standard_normal((50, n_problems, n_steps, n)).cumsum(axis=2)
    return float(np.mean([pooled_rank(w, k_ar_diff=k, demean="problem") > 0 for w in walks]))


def _require_options(y, k, demean, level):
    if demean not in DEMEAN or k < 0 or not 0 < level < 1:
        raise ParameterError(
            f"demean is {demean!r}, k_ar_diff {k}, level {level}; expected one of {DEMEAN}, k_ar_diff >= 0 "
            "and level in (0, 1)."
        )
    n_problems, n_steps, n = y.shape
    if n_steps < k + LEAST_LAYERS:
        raise MeasureError(
            f"found {n_steps} layers; expected at least {k + LEAST_LAYERS} with k_ar_diff={k}. Take fewer "
            "lags, or a deeper model."
        )
    if n_problems < max(10, n * (k + 2)):
        raise MeasureError(
            f"found {n_problems} problems in 2 x {n // 2} dimensions with k_ar_diff={k}; expected at least "
            f"{max(10, n * (k + 2))}. Take more problems, or reduce the dimensions."
        )

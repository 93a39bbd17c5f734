r"""What the rank tests find where the truth is known: planted trends, sizes and recoveries as tables.

Symbols: N problems, T layers, d dimensions a language, m of them shared: :math:`h_l = Q_l (z_l, u_l)` with
z_1, z_2 (m,) around common trends, :math:`\Delta z_1 = -a_1(z_1 - z_2)_{-1} + e`,
:math:`\Delta z_2 = a_2(z_1 - z_2)_{-1} + e'`, and u_l (d-m,) specific to the language. The stacked rank is m
where the specific parts are random walks, and 2d - m where they are stationary.

Source: Johansen (1991), Econometrica 59 (Granger's representation: n - rank common trends).
"""

import numpy as np

from ...errors import ParameterError
from .pooled import pooled_rank
from .trace_test import size_distortion

SPECIFIC = ("random_walk", "stationary")
_BURN = 20  # steps before the first layer: levels spread, transients at their stationary law
_VARIANTS = {
    "all corrections": {},
    "problems not scaled": {"scale_problems": False},
    "layers not weighted": {"weight_layers": False},
    "no mean removed": {"demean": "none"},
    "problem means removed": {"demean": "problem"},
}


def simulate_shared_trends(
    n_problems: int,
    n_steps: int,
    dim: int,
    n_shared: int,
    *,
    specific: str = "random_walk",
    adjustment: tuple[float, float] = (0.2, 0.3),
    problem_scale: float = 0.0,
    layer_growth: float = 1.0,
    common: float = 0.0,
    group_size: int = 1,
    group_share: float = 0.5,
    mix: bool = False,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Two languages whose first `n_shared` dimensions follow common trends: twice (problems, T, dim).

    Parameters
    ----------
    specific : "random_walk" or "stationary" (first-order, coefficient .5), the other dimensions.
    adjustment : speeds (a_1, a_2) >= 0 with a sum in (0, 2).
    problem_scale : standard deviation of the log scale of a problem. layer_growth : variance of the
        innovations at the last layer over that at the first. common : standard deviation of steps that all
        problems share, layer by layer.
    group_size : problems in a row that share `group_share` of the variance of their innovations.
    mix : rotate each language by an orthogonal matrix of its own.

    Raises
    ------
    ParameterError : a count or an option that means nothing.
    """
    _require_world(n_problems, n_steps, dim, n_shared, specific, adjustment, group_size)
    length = n_steps + _BURN
    shape = (length, 2, dim)
    n_groups = -(-n_problems // group_size)
    shocks = rng.standard_normal((n_problems, *shape))
    if group_size > 1:
        shared = rng.standard_normal((n_groups, *shape)).repeat(group_size, axis=0)[:n_problems]
        shocks = np.sqrt(group_share) * shared + np.sqrt(1 - group_share) * shocks
    time = np.maximum(np.arange(length) - _BURN, 0) / max(n_steps - 1, 1)
    shocks *= layer_growth ** (time / 2)[:, None, None]
    shocks *= np.exp(problem_scale * rng.standard_normal(n_problems))[:, None, None, None]
    h = _follow(shocks, n_shared, specific, np.asarray(adjustment, np.float64))[:, _BURN:]
    if common:
        h = h + common * rng.standard_normal((n_steps, 2, dim)).cumsum(0)
    if mix:
        turns = np.linalg.qr(rng.standard_normal((2, dim, dim)))[0]
        h = np.einsum("itla,lba->itlb", h, turns)
    return h[:, :, 0].copy(), h[:, :, 1].copy()


def size_table(*, steps, series, n_simulations: int = 1000, rng: np.random.Generator) -> list[dict]:
    """False rejections of a nominal 5 % trace test of rank 0 on single series: one row per shape.

    Rows: `n_steps`, `n_series`, and the rates `none` and `reinsel-ahn` without and with that correction.
    """
    options = {"n_simulations": n_simulations, "rng": rng}
    return [
        {"n_steps": t, "n_series": n}
        | {c: size_distortion(t, n, correction=c, **options) for c in ("none", "reinsel-ahn")}
        for t in steps
        for n in series
    ]


def recovery_table(
    *,
    n_steps: int = 28,
    dim: int = 3,
    n_shared: int = 1,
    specific: str = "random_walk",
    n_simulations: int = 100,
    rng: np.random.Generator,
) -> list[dict]:
    """The pooled test with all corrections and with each left out, on the same planted worlds.

    Rows: `variant`; `size`, the rate of rank > 0 where nothing is shared (random walks); `recovery`, the rate
    of the true rank; `mean_rank`; `true_rank`. Both worlds have 100 problems, log scales of problems of
    deviation 1, variances that grow tenfold over the layers, and common steps of deviation 1.
    """
    true_rank = n_shared if specific == "random_walk" else 2 * dim - n_shared
    scene = {"problem_scale": 1.0, "layer_growth": 10.0, "common": 1.0, "rng": rng}
    ranks = {name: ([], []) for name in _VARIANTS}
    for _ in range(n_simulations):
        for which, (m, kind) in enumerate(((0, "random_walk"), (n_shared, specific))):
            pair = simulate_shared_trends(100, n_steps, dim, m, specific=kind, **scene)
            y = np.concatenate(pair, axis=2)
            for name, options in _VARIANTS.items():
                ranks[name][which].append(pooled_rank(y, **options))
    return [
        {
            "variant": name,
            "size": float(np.mean(np.array(nothing) > 0)),
            "recovery": float(np.mean(np.array(found) == true_rank)),
            "mean_rank": float(np.mean(found)),
            "true_rank": true_rank,
        }
        for name, (nothing, found) in ranks.items()
    ]


def _follow(shocks: np.ndarray, m: int, specific: str, speeds: np.ndarray) -> np.ndarray:
    h = np.empty_like(shocks)
    now = np.zeros_like(shocks[:, 0])
    pull = np.array([-1.0, 1.0])[:, None] * speeds[:, None]
    for t in range(shocks.shape[1]):
        step = shocks[:, t].copy()
        step[:, :, :m] += pull * (now[:, :1, :m] - now[:, 1:, :m])
        if specific == "stationary":
            step[:, :, m:] -= 0.5 * now[:, :, m:]
        now = now + step
        h[:, t] = now
    return h


def _require_world(n_problems, n_steps, dim, n_shared, specific, adjustment, group_size):
    if min(n_problems, n_steps, dim, group_size) < 1 or not 0 <= n_shared <= dim:
        raise ParameterError(
            f"{n_problems} problems, {n_steps} steps, {dim} dimensions, {n_shared} shared, groups of "
            f"{group_size}; expected positive counts and 0 to {dim} shared."
        )
    if specific not in SPECIFIC:
        raise ParameterError(f"specific is {specific!r}; expected one of {SPECIFIC}.")
    if min(adjustment) < 0 or not 0 < sum(adjustment) < 2:
        raise ParameterError(f"adjustment is {adjustment}; expected speeds >= 0 with a sum in (0, 2).")

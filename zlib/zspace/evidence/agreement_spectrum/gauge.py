"""Corollary 1: what a bottleneck leaves free, for one language and two, by closed form and by training."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ortho_group

from ... import theory
from ...states import networks
from .. import claims
from ..rules import Evidence

CLAIM = "corollary_1_gauge_breaking"
DIM, RANK = 6, 2
_PROVED = ("span", "orbit", "internal")
ONE, TWO = "one language, isotropic", "two languages"
TRANSFORM, TARGET = "one language, anisotropic T", "one language, anisotropic target"
TIE, FULL_ONE, FULL_TWO = "two languages, tied agreement", "one language, r = d", "two languages, r = d"


@dataclass(frozen=True)
class GaugeResult:
    """Corollary 1 in numbers.

    table : one row per problem: rank, gap (rho_r - rho_(r+1)), flat directions by count, in the Hessian at
        the closed form and at a trained net, overlap of seeds (mean of tr(P_i P_j) / r), sd of the loss on
        the orbit of Haar-rotated spans, excess of the trained loss over the minimum.
    orbit : problem, excess (loss of the best map through a random span, minus the minimum).
    overlaps : problem, overlap (every two seeds).
    full_map : numbers of the claim as stated, for one unrestricted map of one language.
    wrong : a gauge that is counted wrongly, whether each check passed, verdict.
    """

    table: pd.DataFrame
    orbit: pd.DataFrame
    overlaps: pd.DataFrame
    full_map: pd.DataFrame
    wrong: pd.DataFrame
    evidence: Evidence


def gauge_breaking(*, rng: np.random.Generator, n_seeds: int = 12, n_orbit: int = 400) -> GaugeResult:
    """All of corollary 1: Hessians, orbits and trained nets of every problem, and the claim as stated."""
    make, *streams = rng.spawn(1 + 7)
    rows, orbits, overlaps = {}, [], []
    for (name, (problem, rank)), stream in zip(_problems(make).items(), streams, strict=True):
        row, orbit, overlap = _measure(problem, rank, n_seeds, n_orbit, stream)
        rows[name] = row
        orbits.append(pd.DataFrame({"problem": name, "excess": orbit}))
        overlaps.append(pd.DataFrame({"problem": name, "overlap": overlap}))
    table = pd.DataFrame.from_dict(rows, orient="index")
    full_map, unique = _full_map(make)
    proved = theory.prove_gauge_breaking() == dict.fromkeys(_PROVED, 0)
    checks = {"symbolic_proof": proved, "unrestricted_map_is_unique": unique, **gauge_checks(table)}
    return GaugeResult(
        table=table,
        orbit=pd.concat(orbits, ignore_index=True),
        overlaps=pd.concat(overlaps, ignore_index=True),
        full_map=full_map,
        wrong=_miscounted(table, checks),
        evidence=Evidence(checks=checks),
    )


def closing_gap(*, rng: np.random.Generator, n_seeds: int = 6) -> pd.DataFrame:
    """Two languages whose ratios at the edge of the bottleneck approach each other: one row per gap.

    Columns: overlap of seeds, sd of the loss over randomly turned spans, steps of training.
    """
    rows = {}
    for gap, stream in zip((0.3, 0.1, 0.03, 0.01, 0.0), rng.spawn(5), strict=True):
        train, draw = stream.spawn(2)
        ratios = [0.95, 0.5 + gap / 2, 0.5 - gap / 2, 0.3, 0.15, 0.05]
        problem = theory.moments(_diagonal(ratios), [0.5, 0.5])
        nets = networks.train_linear(
            problem, (DIM, RANK, DIM), rng=train, n_nets=n_seeds, step=0.2, gradient_norm=1e-7
        )
        spans = ortho_group.rvs(DIM, size=100, random_state=draw)[:, :, :RANK]
        rows[gap] = {
            "overlap of seeds": float(theory.subspace_overlap(nets.layers[1]).mean()),
            "sd on the orbit": float(theory.orbit_losses(problem, spans).std()),
            "steps": nets.n_steps,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("gap")


def flat_directions(agreement: np.ndarray, rank: int, *, tolerance: float = 1e-9) -> int:
    """Flat directions of a bottleneck by count: r^2 of the internal gauge, and j (t - j) of the spans.

    t is the multiplicity of rho_r and j of its directions fit into the bottleneck.
    """
    tied = np.abs(agreement - agreement[rank - 1]) <= tolerance * agreement[0]
    inside = int(tied[:rank].sum())
    return rank**2 + inside * (int(tied.sum()) - inside)


def gauge_checks(table: pd.DataFrame) -> dict[str, bool]:
    """Whether the numbers of `GaugeResult.table` are those of the corrected corollary."""
    counted = table["flat, counted"]
    seeds, orbit = table["overlap of seeds"], table["sd on the orbit"]
    return {
        "hessian_at_closed_form": bool((table["flat, closed form"] == counted).all()),
        "hessian_of_trained_nets": bool((table["flat, trained"] == counted).all()),
        "trained_nets_reach_the_minimum": bool((table["excess of trained"].abs() < 1e-10).all()),
        "one_language_leaves_the_span_free": bool(
            (seeds[[ONE, TRANSFORM]] < 0.6).all() and (orbit[[ONE, TRANSFORM]] < 1e-12).all()
        ),
        "two_languages_fix_the_span": bool(seeds[TWO] > 0.999 and orbit[TWO] > 0.1),
        "anisotropic_target_fixes_it_too": bool(seeds[TARGET] > 0.999 and orbit[TARGET] > 0.1),
        "a_tie_frees_it": bool(seeds[TIE] < 0.99 and counted[TIE] > counted[TWO]),
        "internal_gauge_is_never_broken": bool((table["flat, closed form"] >= table["rank"] ** 2).all()),
    }


def _problems(rng: np.random.Generator) -> dict[str, tuple[theory.Moments, int]]:
    """Problems in six dimensions; `rank` is the width of the bottleneck."""
    turn = ortho_group.rvs(DIM, random_state=rng)[None]
    stretched = turn * np.linspace(2, 0.5, DIM)
    pair, tied = _diagonal([0.95, 0.8, 0.5, 0.3, 0.15, 0.05]), _diagonal([0.95, 0.5, 0.5, 0.3, 0.15, 0.05])
    one = theory.moments(turn, [1.0])
    two = theory.moments(pair @ ortho_group.rvs(DIM, random_state=rng), [0.5, 0.5])
    return {
        ONE: (one, RANK),
        TWO: (two, RANK),
        TRANSFORM: (theory.moments(stretched, [1.0]), RANK),
        TARGET: (theory.moments(turn, [1.0], covariance=np.diag(np.linspace(2, 0.5, DIM))), RANK),
        TIE: (theory.moments(tied, [0.5, 0.5]), RANK),
        FULL_ONE: (one, DIM),
        FULL_TWO: (two, DIM),
    }


def _measure(problem: theory.Moments, rank: int, n_seeds: int, n_orbit: int, rng: np.random.Generator):
    """One row of the table, excess losses on the orbit, overlaps of the trained nets' spans."""
    draw, train = rng.spawn(2)
    optimum = theory.optimum_of(problem)
    agreement = optimum.agreement
    left, right = theory.bottleneck_optimum(problem, rank)
    minimum = float(theory.bottleneck_loss(left, right, problem))
    spans = ortho_group.rvs(DIM, size=n_orbit, random_state=draw)[:, :, :rank]
    orbit = theory.orbit_losses(problem, spans) - minimum
    nets = networks.train_linear(
        problem, (DIM, rank, DIM), rng=train, n_nets=n_seeds, step=0.2, gradient_norm=1e-9
    )
    inner, outer = nets.layers
    overlap = theory.subspace_overlap(outer)
    trained = {
        theory.nullity(theory.bottleneck_hessian(a, b, problem), tolerance=1e-6)
        for a, b in zip(outer[:3], inner[:3], strict=True)
    }
    row = {
        "rank": rank,
        "gap": agreement[rank - 1] - agreement[rank] if rank < len(agreement) else np.nan,
        "flat, counted": flat_directions(agreement, rank),
        "flat, closed form": theory.nullity(theory.bottleneck_hessian(left, right, problem)),
        "flat, trained": trained.pop() if len(trained) == 1 else -1,
        "overlap of seeds": float(overlap.mean()),
        "sd on the orbit": float(orbit.std()),
        "excess of trained": float(np.abs(nets.loss - minimum).max()),
    }
    return row, orbit, overlap


def _full_map(rng: np.random.Generator) -> tuple[pd.DataFrame, bool]:
    """The claim as stated: one language, W unrestricted, every rotation of the best W."""
    transform = ortho_group.rvs(DIM, random_state=rng)[None]
    problem = theory.moments(transform, [1.0])
    best = theory.optimum_of(problem).weight
    least = theory.map_loss(best, problem)
    excess = theory.map_loss(ortho_group.rvs(DIM, size=200, random_state=rng) @ best, problem) - least
    # the Hessian of the loss in W is 2 S for every row of W
    curvature = float(2 * np.linalg.eigvalsh(problem.second)[0])
    numbers = {
        "smallest curvature of the loss in W": curvature,
        "loss of the best W": float(least),
        "loss of a rotated W, smallest of 200": float(excess.min()),
        "loss of a rotated W, mean of 200": float(excess.mean()),
    }
    return pd.DataFrame({"value": numbers}), bool(curvature > 0 and excess.min() > 0.1)


def _miscounted(table: pd.DataFrame, checks: dict[str, bool]) -> pd.DataFrame:
    """Wrong accounts of the gauge, judged by the rule of the corollary: none may be proved."""
    internal = table["rank"] ** 2
    accounts = {
        "the corollary": table,
        "internal gauge forgotten": table.assign(**{"flat, counted": table["flat, counted"] - internal}),
        "spans never free": table.assign(**{"flat, counted": internal}),
        "anisotropic target taken for isotropic": table.rename(index={ONE: TARGET, TARGET: ONE}),
        "one and two languages swapped": table.rename(index={ONE: TWO, TWO: ONE}),
    }
    rows = {}
    for name, account in accounts.items():
        tried = {**checks, **gauge_checks(account)}
        verdict = claims.evaluate(CLAIM, Evidence(checks=tried)).as_corrected
        failed = ", ".join(k.replace("_", " ") for k, held in tried.items() if not held)
        rows[name] = {"checks that fail": failed or "none", "verdict": verdict}
    return pd.DataFrame.from_dict(rows, orient="index")


def _diagonal(ratios: list[float]) -> np.ndarray:
    return np.stack([np.diag(row) for row in theory.whitened_pair(ratios)])

"""The note's table of synthetic experiments, judged: what converges, in how many worlds, and what nulls give.

A language *converges* at a layer where its raw nearest-neighbour accuracy is at least .9 and its snr below 1,
both beyond every network of the configuration with private targets. The unit is the network with its world (a
seed). A statement holds in k of n of them; its interval is Jeffreys' (Brown, Cai & DasGupta 2001,
Statistical Science 16(2)).
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import ortho_group
from statsmodels.stats.proportion import proportion_confint

from ...measures.resampling import Interval
from ...sources import worlds as synthetic
from .. import claims
from ..error_rates import Worlds
from ..rules import Control, Evidence
from . import sweep
from .sweep import KEY, LAST_BLOCK, NOTE_ROWS, OUTPUT, PRIVATE, TRAINED, UNTRAINED, Configuration, rows_of
from .views import identification_table

PLANTED, N_DRAWS = "planted convergence", 2000
ONE_HOT, CENTROIDS, CENTROIDS_RESIDUAL = "sweep_one_hot", "sweep_centroids_plain", "sweep_centroids_residual"
CLAIMS = (ONE_HOT, "sweep_blind_orthogonal", "sweep_blind_invertible", CENTROIDS, CENTROIDS_RESIDUAL)
_WITHIN = 0.05  # of a number of the note: "reproduces"
_TRUE_SHARE = {"true": 0.98, "false": 0.02, "null": 0.5, "modest": 0.75}


@dataclass(frozen=True)
class BlindResult:
    """The note's table judged.

    Attributes
    ----------
    convergence : one row per configuration, layer and language: k of n seeds converge; mean raw_nn and snr
        of trained networks and of those with private targets.
    comparison : one row per number of the note: its value, ours (mean, least, largest over seeds), in how
        many seeds it holds for trained, private-target and untrained networks, and a word.
    identification : the accuracy of the best classifier of the language, by world.
    evidence : claim -> Evidence.
    """

    convergence: pd.DataFrame
    comparison: pd.DataFrame
    identification: pd.DataFrame
    evidence: Mapping[str, Evidence]


def blind_sweep(measured: sweep.Measured, *, rng: np.random.Generator) -> BlindResult:
    """Convergence, comparison with the note and evidence of all five rows, from measured networks.

    Raises ValueError where a configuration or a subject is absent, and ClaimError where a share-weighted
    R^2 lies more than 3 standard errors above its Bayes bound: then the networks, the bound or the items
    are wrong, and nothing may be concluded.
    """
    sweep.require_bounds(measured.tasks)
    _require_rows(measured.layers)
    identify, plant, draw = rng.spawn(3)
    identification = identification_table(rng=identify)
    layers = pd.concat([measured.layers, _planted(measured.layers, plant)], ignore_index=True)
    converged = sweep.converged(layers)
    holds = {subject: _statements(layers, converged, subject) for subject in layers["subject"].unique()}
    checks = _counterexamples(identification, holds[TRAINED])
    return BlindResult(
        convergence=_convergence_table(converged),
        comparison=_comparison(layers, holds),
        identification=identification,
        evidence={c: _evidence(c, holds, checks, draw) for c in CLAIMS},
    )


def worlds(claim: str, n_seeds: int) -> Worlds:
    """Worlds in which each of a claim's statements holds, network by network, with a known probability."""
    rules = claims.rule(claim)["rules"]
    names = [n for n in (*rules["as_corrected"], *rules["as_stated"]) if n != "counterexample"]
    checks = dict.fromkeys(rules["as_stated"].get("counterexample", ()), False)

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        counts = {name: int(rng.binomial(n_seeds, _TRUE_SHARE[world])) for name in names}
        controls = (
            Control("negative", "negative", {n: share_interval(0, n_seeds, rng=rng) for n in names}),
            Control("positive", "positive", {n: share_interval(n_seeds, n_seeds, rng=rng) for n in names}),
        )
        statistics = {n: share_interval(k, n_seeds, rng=rng) for n, k in counts.items()}
        named = [Control(n, "negative", {}) for n in rules["required"]]
        return Evidence(
            statistics=statistics, controls=(*controls, *named), checks=checks, n_scenarios=n_seeds
        )

    effects = {world: f"holds in {share:.0%} of networks" for world, share in _TRUE_SHARE.items()}
    return Worlds(claim, lambda rng: simulate, {"n_seeds": n_seeds, "holds": _TRUE_SHARE}, effects)


def share_interval(k: int, n: int, *, rng: np.random.Generator) -> Interval:
    """Jeffreys' 95 % interval of a share, k of n seen; its replicates are draws of the posterior."""
    low, high = _jeffreys(k, n)
    return Interval(
        estimate=k / n,
        low=0.0 if k == 0 else float(low),
        high=1.0 if k == n else float(high),
        replicates=rng.beta(k + 0.5, n - k + 0.5, N_DRAWS),
        confidence=0.95,
        n_groups=n,
    )


def word(k: int, n: int) -> str:
    """What k of n seeds say of a number of the note, by Jeffreys' interval against one half."""
    low, high = _jeffreys(k, n)
    return "reproduces" if low > 0.5 else "does not" if high < 0.5 else "not identifiable"


@functools.cache
def _jeffreys(k: int, n: int) -> tuple[float, float]:
    return proportion_confint(k, n, method="jeffreys")


def _require_rows(layers: pd.DataFrame) -> None:
    """All that the statements are about is there: an absent network would count as a failure."""
    for subject in (TRAINED, PRIVATE, UNTRAINED):
        mine = layers[layers["subject"] == subject]
        absent = [", ".join(row) for row in sweep.JUDGED if rows_of(mine, row).empty]
        if absent:
            raise ValueError(f"no {subject} networks of {'; '.join(absent)}; measure all rows of the table.")


def _planted(layers: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of stacks that do what the note says: turned copies come out layer by layer, outputs coincide.

    Outputs coincide in zh alone, with a flag in all languages.
    """
    world, tables = synthetic.World(16, sweep.SHARE), []
    for configuration in dict.fromkeys(layers[KEY].itertuples(index=False, name=None)):
        alike = [configuration[0] == sweep.ONE_HOT or name in ("en", "zh") for name in sweep.LANGUAGES]
        for seed in layers["seed"].unique():
            columns = dict(zip(KEY, configuration, strict=True)) | {"subject": PLANTED, "seed": seed}
            found = [sweep.layer_table(s, k, world) for k, s in enumerate(_planted_states(alike, rng))]
            tables.append(pd.concat(found, ignore_index=True).assign(**columns))
    return pd.concat(tables, ignore_index=True)


def _planted_states(alike: list[bool], rng: np.random.Generator) -> list[np.ndarray]:
    """Six states (K, n, 16)."""
    n, dim = sweep.N_FIT + sweep.N_SCORED, 16
    shared, own = rng.standard_normal((1, n, dim)), rng.standard_normal((len(alike), n, dim))
    turned = shared @ np.stack([ortho_group.rvs(dim, random_state=rng) for _ in alike])
    blocks = [gain * turned + own for gain in (0.5, 0.8, 1.3, 2.5, 10.0)]
    return [*blocks, np.where(np.array(alike)[:, None, None], shared + 0.3 * own, own)]


def _statements(layers: pd.DataFrame, converged: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Whether each statement holds: one row per seed, one column per statement."""
    mine = converged[converged["subject"] == subject]

    def counts(configuration: Configuration, layer: int) -> pd.DataFrame:
        table = rows_of(mine, configuration, layer)
        return table.pivot(index="seed", columns="language", values="converged")

    one_hot, one_hot_residual = NOTE_ROWS[0], sweep.JUDGED[-1]
    outputs = [counts(row, OUTPUT).all(axis=1) for row in (one_hot, one_hot_residual)]
    plain, residual = (counts(row, OUTPUT) for row in NOTE_ROWS[3:])
    rising = _profile(mine, NOTE_ROWS[4]).drop(columns=OUTPUT).diff(axis=1)
    found = {
        "all_converge": outputs[0],
        "all_converge_plain_and_residual": outputs[0] & outputs[1],
        "residual_states_stay_apart": ~counts(one_hot_residual, LAST_BLOCK).any(axis=1),
        "none_converges_behind_rotations": ~counts(NOTE_ROWS[1], OUTPUT).any(axis=1),
        "none_converges_behind_invertible": ~counts(NOTE_ROWS[2], OUTPUT).any(axis=1),
        "zh_converges_plain": plain["zh"],
        "zh_alone_plain": plain["zh"] & ~plain.drop(columns="zh").any(axis=1),
        "zh_converges_residual": residual["zh"],
        "zh_residual_states_stay_apart": ~counts(NOTE_ROWS[4], LAST_BLOCK)["zh"],
        "procrustes_peak_at_layer_4": _profile(mine, NOTE_ROWS[3]).idxmax(axis=1) == LAST_BLOCK,
        "procrustes_rises": (rising.iloc[:, 1:] >= 0).all(axis=1),
    }
    return pd.DataFrame(found)


def _profile(table: pd.DataFrame, row: Configuration, measure: str = "procrustes_nn") -> pd.DataFrame:
    """A measure of zh: one row per seed, one column per layer."""
    found = rows_of(table, row)
    return found[found["language"] == "zh"].pivot(index="seed", columns="layer", values=measure)


def _counterexamples(identification: pd.DataFrame, holds: pd.DataFrame) -> dict[str, bool]:
    beyond = identification["least"] - identification["shares alone"]
    return {
        "centroids_do_without_a_flag": bool(holds["zh_converges_plain"].mean() > 0.5),
        "shape_tells_the_language": bool(min(beyond["rotations, signs"], beyond["rotations, Laplace"]) > 0.1),
        "covariance_tells_the_language": bool(beyond["kappa 12, d = 32"] > 0.1),
    }


def _evidence(
    claim: str, holds: Mapping[str, pd.DataFrame], checks: dict, rng: np.random.Generator
) -> Evidence:
    rules = claims.rule(claim)["rules"]
    names = [n for r in claims.READINGS for n in rules[r] if n != "counterexample"]

    def intervals(subject: str) -> dict[str, Interval]:
        table = holds[subject]
        return {n: share_interval(int(table[n].sum()), len(table), rng=rng) for n in dict.fromkeys(names)}

    # "none converges" is true of networks that share nothing and false of planted convergence
    absence = all(n.startswith("none") for n in names)
    kinds = {PRIVATE: absence, UNTRAINED: absence, PLANTED: not absence}
    controls = tuple(
        Control(name, "positive" if positive else "negative", intervals(name))
        for name, positive in kinds.items()
    )
    n_seeds = len(holds[TRAINED])
    return Evidence(statistics=intervals(TRAINED), controls=controls, checks=checks, n_scenarios=n_seeds)


def _convergence_table(converged: pd.DataFrame) -> pd.DataFrame:
    kept = converged[converged["layer"] >= LAST_BLOCK]
    trained, private = (
        kept[kept["subject"] == subject].groupby([*KEY, "layer", "language"], sort=False)
        for subject in (TRAINED, PRIVATE)
    )
    columns = {"converge": trained["converged"].sum(), "seeds": trained.size()}
    columns |= {"raw nn": trained["raw_nn"].mean(), "snr": trained["snr"].mean()}
    columns |= {"raw nn, private": private["raw_nn"].mean(), "snr, private": private["snr"].mean()}
    return pd.DataFrame(columns)


def _comparison(layers: pd.DataFrame, holds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every number of the note's table beside ours."""
    subjects = (TRAINED, PRIVATE, UNTRAINED)
    statements = {
        "one-hot: all languages converge": "all_converge",
        "blind, rotations: none converges": "none_converges_behind_rotations",
        "blind, invertible: none converges": "none_converges_behind_invertible",
        "centroids, plain: zh converges": "zh_converges_plain",
        "centroids, plain: Procrustes accuracy of zh peaks at layer 4": "procrustes_peak_at_layer_4",
        "centroids, residual: zh converges": "zh_converges_residual",
        "centroids, residual: Procrustes accuracy of zh rises at every block": "procrustes_rises",
    }
    rows = {}
    for name, column in statements.items():
        rows[name] = _compared("yes", {s: holds[s][column] for s in subjects})
    for name, (value, measure) in _numbers().items():
        found = {s: measure(layers[layers["subject"] == s]) for s in subjects}
        near = {s: (f - value).abs() <= _WITHIN for s, f in found.items()}
        rows[name] = _compared(value, near, found[TRAINED])
    return pd.DataFrame.from_dict(rows, orient="index")


def _numbers() -> dict[str, tuple[float, Callable[[pd.DataFrame], pd.Series]]]:
    """The note's numbers by our reading of its layers, and how a table gives each: one value per seed."""
    plain, residual = NOTE_ROWS[3:]

    def gain(row: Configuration) -> Callable[[pd.DataFrame], pd.Series]:
        affine, turned = (partial(_profile, row=row, measure=m) for m in ("affine_r2", "procrustes_r2"))
        return lambda table: affine(table)[LAST_BLOCK] - turned(table)[LAST_BLOCK]

    def accuracy(layer: int) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda table: _profile(table, residual)[layer]

    def swahili(table: pd.DataFrame) -> pd.Series:
        rows = rows_of(table, plain, OUTPUT)
        return rows[rows["language"] == "sw"].set_index("seed")["rigid_r2"]

    return {
        "centroids, plain: affine minus Procrustes R2 of zh, layer 4": (0.174, gain(plain)),
        "centroids, residual: affine minus Procrustes R2 of zh, layer 4": (0.146, gain(residual)),
        "centroids, residual: Procrustes accuracy of zh, layer 0": (0.787, accuracy(0)),
        "centroids, residual: Procrustes accuracy of zh, layer 4": (0.980, accuracy(4)),
        "centroids, plain: unscaled Procrustes R2 of sw, layer 5": (-0.218, swahili),
    }


def _compared(note: object, near: Mapping[str, pd.Series], values: pd.Series | None = None) -> dict:
    """A row: the note's number, ours by seed, and how many seeds of each subject are near it."""
    counts = {s: (int(one.sum()), len(one)) for s, one in near.items()}
    ours = (np.nan,) * 3 if values is None else (values.mean(), values.min(), values.max())
    row = {"note": note, **dict(zip(("mean", "least", "most"), ours, strict=True))}
    return row | {s: f"{k}/{n}" for s, (k, n) in counts.items()} | {"word": word(*counts[TRAINED])}

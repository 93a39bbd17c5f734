"""The blind sweep: networks on synthetic worlds, by what tells them the language, and what layers share.

Configurations are identification (one-hot, centroids, none) x transforms (orthogonal, invertible) x skip
connections (plain, residual). A network has six states: h_0 to h_4 and its output, called layer 5. Everything
is measured on items that no bridge was fitted to, between the first language (the anchor) and each other one.
"""

import itertools
import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from ...errors import ClaimError
from ...measures import alignment, bridges, residual
from ...sources import worlds as synthetic
from ...sources.worlds import World
from ...states import networks

LANGUAGES = ("en", "zh", "es", "fr", "de", "ja", "sw")
SHARE = (0.40, 0.30, 0.08, 0.07, 0.06, 0.05, 0.04)
ONE_HOT, CENTROIDS, BLIND = "one-hot", "centroids", "blind"
ORTHOGONAL, INVERTIBLE = "orthogonal", "invertible"
PLAIN, RESIDUAL = "plain", "residual"
TRAINED, UNTRAINED, PRIVATE = "trained", "untrained", "private targets"
N_FIT, N_SCORED, N_TASK = 256, 256, 4000
MEASURES = ("raw_nn", "centred_nn", "snr", "procrustes_nn", "procrustes_r2", "rigid_r2", "affine_r2", "kappa")
LAST_BLOCK, OUTPUT = 4, 5
RETRIEVED = 0.9  # raw accuracy of a language that converges
KEY = ["identification", "transform", "skip"]
# the rows of the note's table, in its order
NOTE_ROWS = (
    (ONE_HOT, ORTHOGONAL, PLAIN),
    (BLIND, ORTHOGONAL, PLAIN),
    (BLIND, INVERTIBLE, PLAIN),
    (CENTROIDS, INVERTIBLE, PLAIN),
    (CENTROIDS, INVERTIBLE, RESIDUAL),
)
# what verdicts are about: those rows, and the first with skip connections
JUDGED = (*NOTE_ROWS, (ONE_HOT, ORTHOGONAL, RESIDUAL))
FACTORIAL = tuple(itertools.product((ONE_HOT, CENTROIDS, BLIND), (ORTHOGONAL, INVERTIBLE), (PLAIN, RESIDUAL)))

Configuration = tuple[str, str, str]


@dataclass(frozen=True)
class Size:
    """Dimension of the worlds, condition number of their invertible transforms, and the networks' recipe."""

    dim: int
    condition_number: float
    recipe: networks.Recipe


SIZES = {"fast": Size(16, 6.0, networks.Recipe(width=64)), "main": Size(32, 12.0, networks.Recipe(width=96))}


@dataclass(frozen=True)
class Measured:
    """What was measured on some networks; columns identification, transform, skip, subject and seed in both.

    Attributes
    ----------
    layers : language, share, layer (5 is the output) and `MEASURES`: raw_nn and centred_nn, accuracy of
        nearest neighbours by cosine among 256 items; snr; procrustes_nn, the same after scaled Procrustes;
        held-out R^2 of scaled (procrustes_r2) and unscaled (rigid_r2) Procrustes and of ridge regression
        (affine_r2); kappa, condition number of the affine map between the leading principal components, as
        many as the world has dimensions.
    tasks : r2 (share-weighted, on 4000 new items), bound (its Bayes bound on those items), excess (r2 minus
        bound) and its standard error `excess_se`, and r2 of every language alone ("r2 en", ...).
    """

    layers: pd.DataFrame
    tasks: pd.DataFrame


def world_of(configuration: Configuration, size: Size, **changes) -> World:
    """The world of a configuration; `changes` replace parameters of it."""
    identification, transform, _ = configuration
    kappa = size.condition_number if transform == INVERTIBLE else 1.0
    world = World(
        size.dim,
        SHARE,
        transform=transform,
        condition_number=kappa,
        centroid=identification == CENTROIDS,
        flag=identification == ONE_HOT,
    )
    return replace(world, **changes)


def train(
    configurations: Sequence[Configuration],
    size: Size,
    seeds: Sequence[int],
    *,
    keep: bool = True,
    device: str = "cpu",
    progress: bool = False,
    **changes,
) -> networks.TrainedBatch:
    """One stack of networks for all configurations and seeds, read where it is kept (if `keep`)."""
    make = networks.ensure if keep else networks.train
    return make(
        [world_of(c, size, **changes) for c in configurations],
        seeds,
        residual=[skip == RESIDUAL for *_, skip in configurations],
        recipe=size.recipe,
        device=device,
        progress=progress,
    )


def measure(
    batch: networks.TrainedBatch,
    configurations: Sequence[Configuration],
    *,
    rng: np.random.Generator,
    subject: str = TRAINED,
    progress: bool = False,
    workers: int = 1,
) -> Measured:
    """All measures of every network of a stack; `UNTRAINED` reads the weights before training.

    The items of a network come from a stream of its own, the same whichever subject is measured.
    """
    entropy = rng.bit_generator.seed_seq.generate_state(1)[0]
    names = [configurations[i] for i in batch.world_index]
    jobs = [(batch.select([i]), names[i], subject, int(entropy)) for i in range(len(batch))]
    bar = {"total": len(jobs), "disable": not progress, "desc": "measuring", "unit": "network"}
    if workers == 1:
        found = list(tqdm(map(_measure_one, jobs), **bar))
    else:
        # a process that has used a GPU or threads cannot be forked safely
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
            found = list(tqdm(pool.map(_measure_one, jobs), **bar))
    layers, tasks = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
    return Measured(layers, tasks)


def joined(parts: Iterable[Measured]) -> Measured:
    """Several measured stacks as one."""
    tables = zip(*((part.layers, part.tasks) for part in parts), strict=True)
    return Measured(*(pd.concat(several, ignore_index=True) for several in tables))


def rows_of(table: pd.DataFrame, configuration: Configuration, layer: int | None = None) -> pd.DataFrame:
    """The rows of one configuration, at one layer or at all."""
    here = (table[KEY] == list(configuration)).all(axis=1)
    return table[here if layer is None else here & (table["layer"] == layer)]


def bound_violations(tasks: pd.DataFrame) -> pd.DataFrame:
    """Rows whose share-weighted R^2 is more than 3 standard errors above its Bayes bound, or no number."""
    return tasks[~(tasks["excess"] <= 3 * tasks["excess_se"])]


def require_bounds(tasks: pd.DataFrame) -> None:
    """Raise ClaimError where there are such rows: the networks, the bound or the items are wrong."""
    violations = bound_violations(tasks)
    if len(violations):
        raise ClaimError(f"R^2 above its Bayes bound by more than 3 s.e. in\n{violations.to_string()}")


def converged(layers: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `converged`: raw_nn of .9 or more, snr below 1, both beyond private targets.

    That is, beyond all networks with private targets of the same configuration, layer and language; a table
    without any is left empty.
    """
    group = [*KEY, "layer", "language"]
    twins = layers[layers["subject"] == PRIVATE].groupby(group)
    limits = pd.DataFrame({"private_nn": twins["raw_nn"].max(), "private_snr": twins["snr"].min()})
    found = layers.merge(limits, left_on=group, right_index=True)
    own = (found["raw_nn"] >= RETRIEVED) & (found["snr"] < 1)
    beyond = (found["raw_nn"] > found["private_nn"]) & (found["snr"] < found["private_snr"])
    # networks with private targets themselves are judged without being beyond themselves
    return found.assign(converged=own & (beyond | (found["subject"] == PRIVATE)))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _measure_one(job) -> tuple[pd.DataFrame, pd.DataFrame]:
    batch, configuration, subject, entropy = job
    (world,), initial = batch.worlds, subject == UNTRAINED
    items, task, inner = np.random.default_rng([entropy, world.seed]).spawn(3)
    shown = world.sample(N_FIT + N_SCORED, rng=items)
    states = networks.states(batch, shown.inputs[None], initial=initial)[0]
    output = networks.outputs(batch, shown.inputs[None], initial=initial)[0]
    columns = dict(zip(KEY, configuration, strict=True))
    columns |= {"subject": subject, "seed": int(batch.seeds[0])}
    tables = [layer_table(s.astype(float), k, world) for k, s in enumerate((*states, output))]
    layers = pd.concat(tables, ignore_index=True)
    found = pd.DataFrame([_task(batch, world, initial, task, inner)])
    return layers.assign(**columns), found.assign(**columns)


def layer_table(states: np.ndarray, layer: int, world: World) -> pd.DataFrame:
    """Measures of one layer (K, n, w): one row per language but the anchor."""
    both = np.broadcast_to(states[:1], states[1:].shape), states[1:]
    (x, y), (fit_x, fit_y) = ([s[:, part] for s in both] for part in (slice(N_FIT, None), slice(N_FIT)))
    kinds = ("scaled_procrustes", "procrustes", "ridge")
    scaled, rigid, ridge = (bridges.fit(fit_x, fit_y, kind=kind) for kind in kinds)
    centre_x, centre = (s.mean(1, keepdims=True) for s in (fit_x, fit_y))
    columns = {
        "raw_nn": alignment.retrieval_accuracy(x, y, center=False),
        "centred_nn": alignment.retrieval_accuracy(x, y, center=(centre_x, centre)),
        "snr": residual.snr_profile(x[:, None], y[:, None]).snr[:, 0],
        "procrustes_nn": alignment.retrieval_accuracy(scaled.predict(x), y, center=(centre, centre)),
        "procrustes_r2": scaled.r2(x, y),
        "rigid_r2": rigid.r2(x, y),
        "affine_r2": ridge.r2(x, y),
        "kappa": _kappa(fit_x, fit_y, world.dim),
    }
    languages = {"language": LANGUAGES[1 : len(states)], "share": world.share[1:], "layer": layer}
    return pd.DataFrame({**languages, **columns})


def _kappa(x: np.ndarray, y: np.ndarray, n_components: int) -> np.ndarray:
    """Condition number (K - 1,) of the affine map between the leading principal components."""
    reduced = []
    for states in (x, y):
        centred = states - states.mean(1, keepdims=True)
        axes = np.linalg.svd(centred, full_matrices=False)[2][:, :n_components]
        reduced.append(centred @ axes.mT)
    return bridges.fit(*reduced, kind="affine").condition_number


def _task(batch, world: World, initial: bool, draw: np.random.Generator, inner: np.random.Generator) -> dict:
    """Share-weighted R^2, its Bayes bound on the same items, and their paired difference."""
    found = world.sample_mixture(N_TASK, rng=draw)
    output = networks.outputs(batch, found.inputs[None], initial=initial)[0].astype(float)
    error = ((found.targets - output) ** 2).sum(1)
    spread = ((found.targets - found.targets.mean(0)) ** 2).sum(1)
    by_language = {
        f"r2 {LANGUAGES[k]}": 1 - error[found.language == k].mean() / spread[found.language == k].mean()
        for k in range(world.n_languages)
    }
    numbers = {"r2": 1 - error.mean() / spread.mean(), **_against_bound(world, found, error, spread, inner)}
    return {**numbers, **by_language}


def _against_bound(world: World, found, error, spread, rng: np.random.Generator) -> dict[str, float]:
    """Bound, and how far the network's R^2 lies above it, item by item where the best prediction is known."""
    if world.latent != "gaussian":
        bound, left = synthetic.bayes_task_r2(world, rng=rng), error.mean() / spread.mean()
        own = (error - left * spread) / spread.mean()
        excess = 1 - left - bound.r2
        return {"bound": bound.r2, "excess": excess, "excess_se": np.hypot(_se(own), bound.standard_error)}
    one, other = synthetic.bayes_predictions(world, found.inputs, rng=rng)
    best = ((found.targets - one) * (found.targets - other)).sum(1)
    gain = (best - error) / spread.mean()
    return {"bound": 1 - best.mean() / spread.mean(), "excess": gain.mean(), "excess_se": _se(gain)}


def _se(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))

"""dim Z where it is known: synthetic worlds with some shared coordinates, and networks trained on them.

A world shows every problem in two languages; `shared_dim` of its coordinates are the same in both. States
of the networks are reduced to as many principal components as the world has dimensions. The dimension is
that of linear subspaces: what a nonlinear layer makes of a shared coordinate is shared too, and is counted.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...measures import dimension
from ...measures.components import depth_components, shared_series
from ...sources.worlds import World, replicate
from ...states import networks
from ..blind_sweep.sweep import TRAINED, UNTRAINED
from ..cointegration.layer_time import pooled_rank

DIM = 16
SHARED = (4, 8, 12)
SEEDS = range(400, 403)  # apart from the seeds of every other experiment
_N_ITEMS = 400
_N_SERIES = 2


def world_with(n_shared: int) -> World:
    """Two languages behind ill-conditioned maps with centroids, of whose 16 coordinates some are shared."""
    options = {"transform": "invertible", "condition_number": 6.0, "centroid": True}
    return World(DIM, (0.5, 0.5), shared_dim=n_shared, **options)


def recovered(
    shared: Sequence[int] = SHARED, *, rng: np.random.Generator, n_worlds: int = 40, n_items: int = 250
) -> pd.DataFrame:
    """How often the dimension of inputs is the planted one: one row per number of shared coordinates.

    Columns exact (share of worlds with dimension = shared), above (share with more), mean, and exact by
    permutation instead of Bartlett and Lawley's test.
    """
    rows = {}
    for m, stream in zip(shared, rng.spawn(len(shared)), strict=True):
        found = []
        for k, one in enumerate(stream.spawn(n_worlds)):
            x, y = replicate(world_with(m), k).sample(n_items, rng=one).inputs
            result = dimension.shared_dimension(x, y, rng=one, n_permutations=99)
            found.append((result.dimension, result.permutation))
        primary, permuted = np.array(found).T
        rows[m] = {
            "exact": np.mean(primary == m),
            "above": np.mean(primary > m),
            "mean": primary.mean(),
            "exact by permutation": np.mean(permuted == m),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("shared coordinates")


def network_dimensions(
    *,
    rng: np.random.Generator,
    shared: Sequence[int] = SHARED,
    seeds: Sequence[int] = SEEDS,
    recipe: networks.Recipe | None = None,
) -> pd.DataFrame:
    """Dimension by layer of residual networks, and the rank of their positions through depth.

    Columns shared, seed, subject (trained or untrained), layer, dimension, and rank and constancy (p-value of
    one map for all layers) of the two leading shared components.
    """
    recipe = recipe or networks.Recipe(depth=6)
    batch = networks.ensure([world_with(m) for m in shared], seeds, residual=True, recipe=recipe)
    streams = rng.spawn(len(batch))
    items = [w.sample(_N_ITEMS, rng=stream).inputs for w, stream in zip(batch.worlds, streams, strict=True)]
    rows = []
    for subject in (TRAINED, UNTRAINED):
        states = networks.states(batch, np.stack(items), initial=subject == UNTRAINED)
        for k, stream in enumerate(streams):
            x, y = np.moveaxis(states[k], 1, 0)
            columns = {"shared": batch.worlds[k].shared_dim, "seed": int(batch.seeds[k]), "subject": subject}
            rows.append(_profile(x, y, stream.spawn(1)[0]).assign(**columns))
    return pd.concat(rows, ignore_index=True)


def mean_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Rank and constancy of `network_dimensions`, means over networks: one row per shared and subject."""
    once = table.drop_duplicates(["shared", "seed", "subject"])
    return once.groupby(["shared", "subject"])[["rank", "constancy"]].mean()


def _profile(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    found = dimension.dimension_profile(x, y, rng=rng, n_components=DIM, n_permutations=99)
    train = np.arange(x.shape[1]) < x.shape[1] // 2
    h1, h2 = shared_series(*(depth_components(s, train, DIM) for s in (x, y)), train, _N_SERIES)
    pooled = pooled_rank(h1[~train], h2[~train], np.arange((~train).sum()))
    layers = {"layer": np.arange(len(found.dimension)), "dimension": found.dimension}
    return pd.DataFrame({**layers, "rank": pooled.rank, "constancy": pooled.constancy.pvalue})

"""Views of the sweep for a notebook: who can tell the language, what is reproduced, what varies, clouds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...sources import worlds as synthetic
from ...states import networks
from . import sweep, sweep_grid
from .sweep import KEY, LAST_BLOCK, OUTPUT, TRAINED, rows_of


def identification_table(*, rng: np.random.Generator, n_worlds: int = 5, n: int = 4000) -> pd.DataFrame:
    """Accuracy of the best classifier of the language of one input: mean and range over worlds."""
    equal = (1.0,) * len(sweep.SHARE)
    kinds = {
        "rotations, Gaussian": {"dim": 16},
        "rotations, Laplace": {"dim": 16, "latent": "laplace"},
        "rotations, signs": {"dim": 16, "latent": "sign"},
        "kappa 1.2": {"dim": 16, "transform": "invertible", "condition_number": 1.2},
        "kappa 3": {"dim": 16, "transform": "invertible", "condition_number": 3.0},
        "kappa 6": {"dim": 16, "transform": "invertible", "condition_number": 6.0},
        "kappa 12, d = 32": {"dim": 32, "transform": "invertible", "condition_number": 12.0},
        "kappa 5, d = 32, equal shares": {
            "dim": 32, "transform": "invertible", "condition_number": 5.0, "share": equal,
        },
        "rotations, centroids": {"dim": 16, "centroid": True},
    }  # fmt: skip
    rows = {}
    for (name, options), stream in zip(kinds.items(), rng.spawn(len(kinds)), strict=True):
        found = [
            synthetic.bayes_language_accuracy(
                synthetic.World(**{"share": sweep.SHARE, **options}, seed=seed), rng=one, n=n
            )
            for seed, one in enumerate(stream.spawn(n_worlds))
        ]
        prior = max(options.get("share", sweep.SHARE)) / sum(options.get("share", sweep.SHARE))
        rows[name] = {
            "shares alone": prior,
            "accuracy": np.mean(found),
            "least": min(found),
            "most": max(found),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def reproduced(
    live: sweep.Measured, kept: sweep.Measured, measures=("raw_nn", "procrustes_nn")
) -> pd.DataFrame:
    """Largest difference of live and kept means over seeds at the last block and the output."""
    rows = {}
    for configuration in dict.fromkeys(live.layers[KEY].itertuples(index=False, name=None)):
        for subject in live.layers["subject"].unique():
            means = []
            for table in (live.layers, kept.layers):
                here = rows_of(table[table["subject"] == subject], configuration)
                shared = here[here["seed"].isin(live.layers["seed"]) & (here["layer"] >= LAST_BLOCK)]
                means.append(shared.groupby(["layer", "language"])[list(measures)].mean())
            if len(means[1]):
                rows[(", ".join(configuration), subject)] = (means[0] - means[1]).abs().max()
    return pd.DataFrame(rows).T


def sensitivity_table() -> pd.DataFrame:
    """Raw accuracy of zh and sw at the output and share-weighted R^2, for every committed variation."""
    tables = []
    for part in sweep_grid.PARTS:
        kept = sweep_grid.read(part)
        outputs = kept.layers[(kept.layers["layer"] == OUTPUT) & (kept.layers["subject"] == TRAINED)]
        group = ["setting", *KEY]
        wide = outputs.pivot_table("raw_nn", group, "language", sort=False)[["zh", "sw"]]
        trained = kept.tasks[kept.tasks["subject"] == TRAINED]
        tasks = trained.groupby(group, sort=False)[["r2", "bound"]].mean()
        found = wide.add_prefix("raw nn ").join(tasks).reset_index()
        found["worst excess in s.e."] = float((kept.tasks["excess"] / kept.tasks["excess_se"]).max())
        tables.append(found.assign(part=part))
    return pd.concat(tables).set_index(["part", "setting", *KEY])


def cloud_points(batch, panels: Mapping[str, tuple[int, int]], *, rng: np.random.Generator, n: int = 24):
    """Items of three languages in the two leading components of a layer: panel -> (network, layer)."""
    tables = []
    for (name, (network, layer)), stream in zip(panels.items(), rng.spawn(len(panels)), strict=True):
        one = batch.select([network])
        inputs = one.worlds[0].sample(n, rng=stream).inputs[None]
        state = (
            networks.outputs(one, inputs)[0] if layer == OUTPUT else networks.states(one, inputs)[0, layer]
        )
        shown = state[:3].astype(float)
        centred = shown.reshape(-1, shown.shape[-1]) - shown.mean((0, 1))
        axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
        x, y = (centred @ axes.T).T.round(3)
        language = np.repeat(sweep.LANGUAGES[:3], n)
        columns = {"panel": name, "language": language, "item": np.tile(np.arange(n), 3), "x": x, "y": y}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)

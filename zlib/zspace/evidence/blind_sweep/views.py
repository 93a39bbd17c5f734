"""Views of the sweep for a notebook: who can tell the language, R^2, depth, what varies, clouds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...sources import worlds as synthetic
from ...states import networks
from . import grid, sweep
from .sweep import KEY, LANGUAGES, LAST_BLOCK, OUTPUT, TRAINED, rows_of


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
    for (name, changes), stream in zip(kinds.items(), rng.spawn(len(kinds)), strict=True):
        options = {"share": sweep.SHARE, **changes}
        found = [
            synthetic.bayes_language_accuracy(synthetic.World(**options, seed=seed), rng=one, n=n)
            for seed, one in enumerate(stream.spawn(n_worlds))
        ]
        prior = max(options["share"]) / sum(options["share"])
        rows[name] = (prior, np.mean(found), min(found), max(found))
    columns = ["shares alone", "accuracy", "least", "most"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def task_table(tasks: pd.DataFrame) -> pd.DataFrame:
    """Means over trained networks of R^2 and its bound, the largest excess, and R^2 by language.

    `excess_in_se`, in standard errors, is what the run is gated on. The languages' own R^2 are only shown:
    the bound is of their weighted mean, and one of them may lie above it.
    """
    trained = tasks[tasks["subject"] == TRAINED].eval("excess_in_se = excess / excess_se")
    by = trained.groupby(KEY, sort=False)
    own = [f"r2 {name}" for name in LANGUAGES]
    return pd.concat([by[["r2", "bound"]].mean(), by["excess_in_se"].max(), by[own].mean()], axis=1)


def depth_table(layers: pd.DataFrame) -> pd.DataFrame:
    """Whether a language converges, and how deep: "k/n from m", one row per configuration.

    In k of n trained networks the output converges. Depth is the first layer from which on all converge, m
    its median over those k; networks whose output does not converge have none.
    """
    found = sweep.converged(layers).query("subject == @TRAINED").sort_values("layer", ascending=False)
    # 1 as long as no deeper layer fails
    lasting = found.assign(lasts=found.groupby([*KEY, "language", "seed"])["converged"].cummin().astype(int))
    depth = OUTPUT + 1 - lasting.groupby([*KEY, "language", "seed"])["lasts"].sum()
    by = depth.where(depth <= OUTPUT).groupby([*KEY, "language"])
    shown = by.agg(lambda d: f"{d.count()}/{len(d)}" + (f" from {d.median():g}" if d.count() else ""))
    order = pd.MultiIndex.from_frame(layers[KEY].drop_duplicates())
    return shown.unstack("language").loc[order, list(dict.fromkeys(layers["language"]))]


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
    """Raw accuracy at the output, what converges, and share-weighted R^2, for every committed variation.

    "raw nn frequent" is of the language with the largest share after the anchor, or the mean of several.
    "converge" counts networks by language, where there are networks with private targets to go beyond.
    """
    tables = []
    for part in grid.PARTS:
        kept = grid.read(part)
        outputs = kept.layers[(kept.layers["layer"] == OUTPUT) & (kept.layers["subject"] == TRAINED)]
        group = ["setting", *KEY]
        wide = outputs.pivot_table("raw_nn", group, "language", sort=False)[["zh", "sw"]]
        largest = outputs["share"] == outputs.groupby(group)["share"].transform("max")
        frequent = outputs[largest].groupby(group, sort=False)["raw_nn"].mean().rename("raw nn frequent")
        trained = kept.tasks[kept.tasks["subject"] == TRAINED]
        tasks = trained.groupby(group, sort=False)[["r2", "bound"]].mean()
        found = wide.add_prefix("raw nn ").join([frequent, _converging(kept.layers), tasks])
        found = found.fillna({"converge": "no private targets"}).reset_index()
        found["worst excess in s.e."] = float((kept.tasks["excess"] / kept.tasks["excess_se"]).max())
        tables.append(found.assign(part=part))
    return pd.concat(tables).set_index(["part", "setting", *KEY])


def _converging(layers: pd.DataFrame) -> pd.Series:
    """How many networks converge at the output, in words: "zh 5/5, es 2/5"; empty without private targets."""
    words = {}
    for setting, part in layers.groupby("setting", sort=False):
        found = sweep.converged(part).query("subject == @TRAINED and layer == @OUTPUT")
        for key, rows in found.groupby(KEY, sort=False):
            n, k = rows["seed"].nunique(), rows.groupby("language", sort=False)["converged"].sum()
            some = ", ".join(f"{name} {count}/{n}" for name, count in k[k > 0].items())
            words[(setting, *key)] = f"all {n}/{n}" if (k == n).all() else some or f"none of {n}"
    index = pd.MultiIndex.from_tuples(words or [("",) * 4], names=["setting", *KEY])
    return pd.Series(list(words.values()) or ["no private targets"], index, name="converge")


def cloud_points(batch, panels: Mapping[str, tuple[int, int]], *, rng: np.random.Generator, n: int = 24):
    """Items of three languages in the two leading components of a layer: panel -> (network, layer)."""
    tables = []
    for (name, (network, layer)), stream in zip(panels.items(), rng.spawn(len(panels)), strict=True):
        one = batch.select([network])
        inputs = one.worlds[0].sample(n, rng=stream).inputs[None]
        state = networks.outputs(one, inputs) if layer == OUTPUT else networks.states(one, inputs)[:, layer]
        shown = state[0, :3].astype(float)
        centred = shown.reshape(-1, shown.shape[-1]) - shown.mean((0, 1))
        axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
        x, y = (centred @ axes.T).T.round(3)
        language = np.repeat(sweep.LANGUAGES[:3], n)
        columns = {"panel": name, "language": language, "item": np.tile(np.arange(n), 3), "x": x, "y": y}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)

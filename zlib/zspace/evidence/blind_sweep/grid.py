"""The sweep beyond what a notebook trains live, computed by `zspace sweep` and kept in notebooks/data.

Every part is a set of configurations in variations (column setting of the tables): the full factorial at main
size, with each network also trained to private targets, equal shares, shares rotated over the transforms,
four times the steps, one variation at a time of noise, condition number, dimension and latent distribution,
and the networks that verdicts are of, at seeds apart from all others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ... import files
from ...errors import ClaimError
from . import sweep
from .sweep import (
    FACTORIAL,
    JUDGED,
    NOTE_ROWS,
    PRIVATE,
    SHARE,
    SIZES,
    TRAINED,
    UNTRAINED,
    Configuration,
    Measured,
    Size,
)

FOLDER = files.PROJECT / "notebooks" / "data" / "sweep"
_DIGITS = 4
_BLIND_ORTHOGONAL = tuple(c for c in FACTORIAL if c[:2] == (sweep.BLIND, sweep.ORTHOGONAL))
_INVERTIBLE_ROWS = NOTE_ROWS[2:]
_TWINS = (TRAINED, PRIVATE)


@dataclass(frozen=True)
class Part:
    """Configurations in variations.

    seeds : one network of each configuration and variation for each.
    variations : setting -> changes of the world's parameters and, under "steps", of the recipe.
    subjects : of `TRAINED`, `UNTRAINED` and `PRIVATE`.
    """

    configurations: tuple[Configuration, ...]
    size: str
    seeds: Sequence[int]
    variations: Mapping[str, Mapping] = field(default_factory=lambda: {"": {}})
    subjects: tuple[str, ...] = (TRAINED,)


def _rotations() -> dict[str, dict]:
    """Shares of all but the anchor moved on by r places: the transforms stay where they are."""
    rest = SHARE[1:]
    return {str(r): {"share": (SHARE[0], *np.roll(rest, r).tolist())} for r in range(1, len(rest))}


PARTS = {
    "factorial": Part(FACTORIAL, "main", range(10), subjects=(TRAINED, UNTRAINED, PRIVATE)),
    "equal shares": Part(FACTORIAL, "main", range(5), {"equal": {"share": (1.0,) * len(SHARE)}}, _TWINS),
    "rotated shares": Part(NOTE_ROWS[3:], "main", range(5), _rotations(), _TWINS),
    "four times the steps": Part(FACTORIAL, "main", range(5), {"8000": {"steps": 8000}}, _TWINS),
    "noise": Part(NOTE_ROWS, "fast", range(5), {f"{e:g}": {"noise": e} for e in (0.02, 0.05, 0.1, 0.2, 0.4)}),
    "condition number": Part(
        _INVERTIBLE_ROWS,
        "fast",
        range(5),
        {f"{k:g}": {"condition_number": k} for k in (1.5, 3.0, 6.0, 12.0, 24.0)},
    ),
    "dimension": Part(NOTE_ROWS, "fast", range(5), {f"{d}": {"dim": d} for d in (8, 16, 32)}),
    "latents": Part(
        _BLIND_ORTHOGONAL,
        "fast",
        range(5),
        {name: {"latent": name} for name in ("gaussian", "laplace", "sign")},
    ),
    # worlds and networks that no rule has seen: verdicts are of these
    "confirmation": Part(JUDGED, "main", range(100, 110), subjects=(TRAINED, UNTRAINED, PRIVATE)),
}


def run(name: str, *, seed: int = 0, folder: Path | None = None, **options) -> None:
    """Compute one part from its own stream of the root seed and keep it; options are those of `evaluate`."""
    stream = np.random.default_rng(seed).spawn(len(PARTS))[list(PARTS).index(name)]
    write(name, compute(PARTS[name], rng=stream, **options), folder)


def compute(part: Part, *, rng: np.random.Generator, **options) -> Measured:
    """One part trained and measured, with a column `setting`; options are those of `evaluate`."""
    found = []
    for (setting, changes), stream in zip(
        part.variations.items(), rng.spawn(len(part.variations)), strict=True
    ):
        size, world = _varied(SIZES[part.size], changes)
        measured = evaluate(
            part.configurations, size, part.seeds, rng=stream, subjects=part.subjects, **options, **world
        )
        found.append(
            Measured(measured.layers.assign(setting=setting), measured.tasks.assign(setting=setting))
        )
    return sweep.joined(found)


def evaluate(
    configurations: Sequence[Configuration],
    size: Size,
    seeds: Sequence[int],
    *,
    rng: np.random.Generator,
    subjects: Sequence[str] = (TRAINED, UNTRAINED, PRIVATE),
    keep: bool = True,
    device: str = "cpu",
    workers: int = 1,
    progress: bool = False,
    **changes,
) -> Measured:
    """Networks of some configurations, before training, after it, and trained to private targets, measured.

    All subjects of one configuration and seed read the same items. Raises ClaimError where a share-weighted
    R^2 lies more than 3 standard errors above its Bayes bound.
    """
    found, batch = [], None
    for subject in subjects:
        target = {"target": "private"} if subject == PRIVATE else {}
        if subject != UNTRAINED or batch is None:
            options = {"keep": keep, "device": device, "progress": progress}
            batch = sweep.train(configurations, size, seeds, **options, **changes, **target)
        options = {"subject": subject, "progress": progress, "workers": workers}
        found.append(sweep.measure(batch, configurations, rng=rng, **options))
    measured = sweep.joined(found)
    sweep.require_bounds(measured.tasks)
    return measured


def write(name: str, measured: Measured, folder: Path | None = None) -> None:
    """Keep one part: two tables and their provenance."""
    folder = Path(folder or FOLDER)
    stem = name.replace(" ", "_")
    for kind in ("layers", "tasks"):
        table = getattr(measured, kind).round(_DIGITS)
        with files.atomic_write(folder / f"{stem}_{kind}.csv.gz", "wb") as stream:
            table.to_csv(stream, index=False, compression={"method": "gzip", "mtime": 0})
    with files.atomic_write(folder / f"{stem}.json") as stream:
        json.dump({"part": name, "provenance": files.provenance(), **_device()}, stream, indent=1)
        stream.write("\n")


def read(name: str, folder: Path | None = None) -> Measured:
    """The tables that `write` kept; raises ClaimError where there are none."""
    folder, stem = Path(folder or FOLDER), name.replace(" ", "_")
    if not (folder / f"{stem}.json").is_file():
        raise ClaimError(f"no results of part {name!r} in {folder}; run `zspace sweep`.")
    tables = [
        pd.read_csv(folder / f"{stem}_{kind}.csv.gz", dtype={"setting": str}) for kind in ("layers", "tasks")
    ]
    return Measured(*(table.fillna({"setting": ""}) for table in tables))


def _varied(size: Size, changes: Mapping) -> tuple[Size, dict]:
    world = dict(changes)
    if "steps" in world:
        size = replace(size, recipe=replace(size.recipe, steps=world.pop("steps")))
    if "condition_number" in world:
        size = replace(size, condition_number=world.pop("condition_number"))
    return size, world


def _device() -> dict[str, str]:
    import torch

    return {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"}

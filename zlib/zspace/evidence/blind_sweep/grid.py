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
from .sweep import FACTORIAL, NOTE_ROWS, PRIVATE, SHARE, TRAINED, UNTRAINED, Configuration, Measured, Size

FOLDER = files.PROJECT / "notebooks" / "data" / "sweep"
_BLIND_ORTHOGONAL = tuple(c for c in FACTORIAL if c[:2] == (sweep.BLIND, sweep.ORTHOGONAL))
_BOTH, _SUBJECTS = (TRAINED, PRIVATE), (TRAINED, UNTRAINED, PRIVATE)


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


def _varying(name: str, values: Sequence) -> dict[str, dict]:
    """Setting -> one value of one parameter."""
    return {str(value) if isinstance(value, str) else f"{value:g}": {name: value} for value in values}


# shares of all but the anchor moved on by r places: the transforms stay where they are
_ROTATIONS = {
    str(r): {"share": (SHARE[0], *np.roll(SHARE[1:], r).tolist())} for r in range(1, len(SHARE) - 1)
}
PARTS = {
    "factorial": Part(FACTORIAL, "main", range(10), subjects=_SUBJECTS),
    "equal shares": Part(FACTORIAL, "main", range(5), {"equal": {"share": (1.0,) * len(SHARE)}}, _BOTH),
    "rotated shares": Part(NOTE_ROWS[3:], "main", range(5), _ROTATIONS, _BOTH),
    "four times the steps": Part(FACTORIAL, "main", range(5), {"8000": {"steps": 8000}}, _BOTH),
    "noise": Part(NOTE_ROWS, "fast", range(5), _varying("noise", (0.02, 0.05, 0.1, 0.2, 0.4))),
    "condition number": Part(
        NOTE_ROWS[2:], "fast", range(5), _varying("condition_number", (1.5, 3.0, 6.0, 12.0, 24.0))
    ),
    "dimension": Part(NOTE_ROWS, "fast", range(5), _varying("dim", (8, 16, 32))),
    "latents": Part(_BLIND_ORTHOGONAL, "fast", range(5), _varying("latent", ("gaussian", "laplace", "sign"))),
    # worlds and networks that no rule has seen: verdicts are of these
    "confirmation": Part(sweep.JUDGED, "main", range(100, 110), subjects=_SUBJECTS),
}


def run(name: str, *, seed: int = 0, folder: Path | None = None, **options) -> None:
    """Compute one part from its own stream of the root seed and keep it; options are those of `evaluate`."""
    stream = np.random.default_rng(seed).spawn(len(PARTS))[list(PARTS).index(name)]
    write(name, compute(PARTS[name], rng=stream, **options), folder)


def compute(part: Part, *, rng: np.random.Generator, **options) -> Measured:
    """One part trained and measured, with a column `setting`; options are those of `evaluate`."""
    found, streams = [], rng.spawn(len(part.variations))
    for (setting, changes), stream in zip(part.variations.items(), streams, strict=True):
        size, world = _varied(sweep.SIZES[part.size], changes)
        more = {"rng": stream, "subjects": part.subjects, **options, **world}
        measured = evaluate(part.configurations, size, part.seeds, **more)
        tables = (table.assign(setting=setting) for table in (measured.layers, measured.tasks))
        found.append(Measured(*tables))
    return sweep.joined(found)


def evaluate(
    configurations: Sequence[Configuration],
    size: Size,
    seeds: Sequence[int],
    *,
    rng: np.random.Generator,
    subjects: Sequence[str] = _SUBJECTS,
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
    import torch

    folder = Path(folder or FOLDER)
    stem = name.replace(" ", "_")
    for kind in ("layers", "tasks"):
        table = getattr(measured, kind).round(4)
        with files.atomic_write(folder / f"{stem}_{kind}.csv.gz", "wb") as stream:
            table.to_csv(stream, index=False, compression={"method": "gzip", "mtime": 0})
    with files.atomic_write(folder / f"{stem}.json") as stream:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        json.dump({"part": name, "provenance": files.provenance(), "device": device}, stream, indent=1)
        stream.write("\n")


def read(name: str, folder: Path | None = None) -> Measured:
    """The tables that `write` kept; raises ClaimError where there are none."""
    folder, stem = Path(folder or FOLDER), name.replace(" ", "_")
    if not (folder / f"{stem}.json").is_file():
        raise ClaimError(f"no results of part {name!r} in {folder}; run `zspace sweep`.")
    paths = (folder / f"{stem}_{kind}.csv.gz" for kind in ("layers", "tasks"))
    return Measured(*(pd.read_csv(path, dtype={"setting": str}).fillna({"setting": ""}) for path in paths))


def _varied(size: Size, changes: Mapping) -> tuple[Size, dict]:
    world = dict(changes)
    if "steps" in world:
        size = replace(size, recipe=replace(size.recipe, steps=world.pop("steps")))
    if "condition_number" in world:
        size = replace(size, condition_number=world.pop("condition_number"))
    return size, world

"""Trained stacks on disk, so that `states` can show any layer of any network later.

In runs/networks/<key>, where <key> is a hash of worlds, seeds, recipe and code:

    networks.json         the world drawn for each network, its seed, the recipe
    weights.safetensors   parameters after ("trained/...") and before ("untrained/...") training; loss

`ensure` trains what is not there; an interrupted training goes on from its last checkpoint.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ... import files
from ...errors import StoreError
from ...sources.worlds import World
from .stacked import Recipe, TrainedBatch, train

_CODE = ("sources/worlds", "states/networks")


def ensure(
    worlds: Sequence[World],
    seeds: Sequence[int],
    *,
    residual: bool | Sequence[bool] = False,
    recipe: Recipe | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> TrainedBatch:
    """The networks of `train` with the same arguments, read where they are kept, else trained and kept."""
    recipe = recipe or Recipe()
    description = {
        "worlds": [asdict(w) for w in worlds],
        "seeds": [int(s) for s in seeds],
        "residual": np.asarray(residual).tolist(),
        "recipe": asdict(recipe),
        "code": files.source_fingerprint(*_CODE),
    }
    folder = files.runs_root() / "networks" / files.fingerprint(description)
    checkpoint = folder.with_suffix(".checkpoint")
    with files.lock(folder):
        if not (folder / "networks.json").is_file():
            options = {"residual": residual, "recipe": recipe, "device": device}
            batch = train(worlds, seeds, **options, checkpoint=checkpoint, progress=progress)
            save(batch, folder)
            checkpoint.unlink(missing_ok=True)
        return load(folder)


def save(batch: TrainedBatch, folder: Path | str) -> None:
    """Write a stack to a folder."""
    from safetensors.numpy import save as to_bytes

    parameters = {"trained": batch.weights, "untrained": batch.initial}
    arrays = {f"{when}/{name}": a for when, found in parameters.items() for name, a in found.items()}
    with files.atomic_folder(folder) as path:
        content = {
            "worlds": [asdict(w) for w in batch.worlds],
            "recipe": asdict(batch.recipe),
            **{name: getattr(batch, name).tolist() for name in ("world_index", "seeds", "residual")},
        }
        (path / "weights.safetensors").write_bytes(to_bytes({**arrays, "loss": batch.loss}))
        (path / "networks.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def load(folder: Path | str) -> TrainedBatch:
    """The stack that `save` wrote; raises StoreError where there is none."""
    from safetensors.numpy import load_file

    folder = Path(folder)
    if not (folder / "networks.json").is_file():
        raise StoreError(f"no trained networks in {folder}; expected networks.json and weights.safetensors.")
    content = json.loads((folder / "networks.json").read_text(encoding="utf-8"))
    arrays = load_file(folder / "weights.safetensors")
    parameters = {
        when: {n.removeprefix(f"{when}/"): a for n, a in arrays.items() if n.startswith(f"{when}/")}
        for when in ("trained", "untrained")
    }
    return TrainedBatch(
        worlds=tuple(World(**w) for w in content["worlds"]),
        **{name: np.array(content[name]) for name in ("world_index", "seeds", "residual")},
        weights=parameters["trained"],
        initial=parameters["untrained"],
        loss=arrays["loss"],
        recipe=Recipe(**content["recipe"]),
    )

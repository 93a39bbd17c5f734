"""Trained stacks on disk, so that `states` can show any layer of any network later.

In runs/networks/<key>, where <key> is a hash of worlds, seeds, recipe and code:

    networks.json         the world drawn for each network, its seed, the recipe; hashes of both files
    weights.safetensors   parameters after ("trained/...") and before ("untrained/...") training; loss

`ensure` trains what is not there; an interrupted training goes on from its last checkpoint.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ... import files
from ...errors import StoreError
from ...sources.worlds import World, replicate
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
        batch = load(folder)
    drawn = tuple(replicate(world, int(seed)) for world in worlds for seed in seeds)
    skips = np.repeat(np.broadcast_to(residual, len(worlds)), len(seeds))
    if (batch.worlds, batch.recipe) != (drawn, recipe) or not np.array_equal(batch.residual, skips):
        raise _damaged(folder / "networks.json", "these are other networks than the folder's name says")
    return batch


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
        weights = to_bytes({**arrays, "loss": batch.loss})
        (path / "weights.safetensors").write_bytes(weights)
        content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        content["seal"] = files.fingerprint(content)
        (path / "networks.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def load(folder: Path | str) -> TrainedBatch:
    """The stack that `save` wrote; raises StoreError where there is none, or it was changed since."""
    from safetensors.numpy import load as from_bytes

    folder = Path(folder)
    if not (folder / "networks.json").is_file():
        raise StoreError(f"no trained networks in {folder}; expected networks.json and weights.safetensors.")
    content = _sealed(folder / "networks.json")
    weights = _read(folder / "weights.safetensors")
    if hashlib.sha256(weights).hexdigest() != content["weights_sha256"]:
        raise _damaged(folder / "weights.safetensors", "its bytes are not those that were written")
    arrays = from_bytes(weights)
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


def _sealed(path: Path) -> dict:
    """Content of networks.json, if it is what `save` wrote."""
    try:
        content = json.loads(_read(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    seal = content.pop("seal", None) if isinstance(content, dict) else None
    if seal is None or seal != files.fingerprint(content):
        raise _damaged(path, "it was changed after it was written, or by an older version of zspace")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is damaged or foreign: {why}. Delete the folder {path.parent} and train the networks again."
    )

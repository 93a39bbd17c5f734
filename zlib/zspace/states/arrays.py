"""Arrays by name out of files: .npz, .npy, .safetensors, .pt, or a YAML mapping to such files.

A list or tuple of tensors of one shape, such as transformers' `hidden_states`, counts as one array: they are
stacked. A file that holds one array without a name is named by its own. Nothing is unpickled: an .npz of
objects and a .pt of anything but tensors are refused.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from ..errors import StoreError

SUFFIXES = (".npz", ".npy", ".safetensors", ".pt")


def read(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, or of the files that a YAML mapping names, by their names."""
    if not os.path.isfile(path):  # pathlib raises for a name that no file system takes
        raise StoreError(
            f"no file {path}; expected one of {', '.join(SUFFIXES)}, or a .yaml mapping to such."
        )
    if path.suffix in (".yaml", ".yml"):
        return _mapped(path)
    if path.suffix not in SUFFIXES:
        raise StoreError(f"{path.name} ends in {path.suffix or 'no suffix'}; expected {', '.join(SUFFIXES)}.")
    try:
        return _READERS[path.suffix](path)
    except StoreError:
        raise
    except Exception as error:  # each format's reader raises its own, unpickling errors among them
        cause = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise StoreError(
            f"{path.name} cannot be read as {path.suffix} ({cause}). Save plain arrays or tensors; "
            "pickled objects are refused."
        ) from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _read_npy(path: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path, allow_pickle=False)}


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.torch import load_file  # NumPy alone knows no bfloat16

    return {name: _array(f"{path.name}: {name}", tensor) for name, tensor in load_file(path).items()}


def _read_pt(path: Path) -> dict[str, np.ndarray]:
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    content = content if isinstance(content, Mapping) else {path.stem: content}
    return {name: _array(f"{path.name}: {name}", value) for name, value in _flat(content).items()}


_READERS = {".npz": _read_npz, ".npy": _read_npy, ".safetensors": _read_safetensors, ".pt": _read_pt}


def _array(what: str, tensor) -> np.ndarray:
    """The array of a tensor, or of tensors of one shape, stacked."""
    if isinstance(tensor, Sequence) and not isinstance(tensor, str):
        parts = [_array(f"{what}[{i}]", one) for i, one in enumerate(tensor)]
        if not parts or len({(part.shape, part.dtype) for part in parts}) > 1:
            shapes = ", ".join(dict.fromkeys(str(part.shape) for part in parts)) or "none"
            raise StoreError(
                f"{what} is a list of tensors of the shapes {shapes}; expected one shape and type."
            )
        return np.stack(parts)
    if not hasattr(tensor, "detach"):
        raise StoreError(f"{what} is a {type(tensor).__name__}; expected a tensor, or a list of tensors.")
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _mapped(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a YAML mapping, name -> "file" or "file:array" beside the mapping; nesting joins names."""
    try:
        # every scalar as a string: YAML would read the language `no` as false
        content = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise StoreError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path.name} is no mapping; expected lines like `en: english.npz`.")
    opened: dict[str, dict] = {}
    found = {}
    for name, place in _flat(content).items():
        file, _, key = str(place).partition(":")
        if Path(file).suffix not in SUFFIXES:
            raise StoreError(
                f"{path.name}: {name} names {place!r}; expected FILE or FILE:ARRAY, with a FILE ending in "
                f"{', '.join(SUFFIXES)}."
            )
        if file not in opened:
            opened[file] = read(path.parent / file)
        arrays = opened[file]
        if not key and len(arrays) != 1:
            raise StoreError(
                f"{path.name}: {name} names {file}, which holds {', '.join(arrays) or 'nothing'}; say "
                "FILE:ARRAY."
            )
        if key and key not in arrays:
            raise StoreError(f"{path.name}: {file} has no array {key!r}; it holds {', '.join(arrays)}.")
        found[name] = arrays[key or next(iter(arrays))]
    return found


def _flat(tree: Mapping, above: str = "") -> dict:
    """Nested names joined by slashes."""
    flat = {}
    for key, value in tree.items():
        name = f"{above}/{key}" if above else str(key)
        flat |= _flat(value, name) if isinstance(value, Mapping) else {name: value}
    return flat

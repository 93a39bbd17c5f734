"""Models tuned here on worked stories: the record that lies beside their files, and what follows from it.

A tuned model is an ordinary folder with a file `tuning.json` in it. The record names the model it was tuned
from, the recipe, and the scenarios it never saw: whoever lets it solve stories asks for those alone.
"""

import json
import os
from pathlib import Path

from ...errors import ModelError
from . import weights

RECORD = "tuning.json"
MARK = "tuned"  # part of the name of every such model, and so of all that is named after it


def record_of(name_or_path: str | os.PathLike) -> dict | None:
    """The tuning record of a model, or None where the model has none; no torch.

    Raises ModelError where the record cannot be read, names no scenarios, or the model's name does not say
    that it was tuned.
    """
    source = weights.find(name_or_path)
    path = Path(source.location) / RECORD
    if source.kind != "folder" or not path.is_file():
        return None
    record = read(path)
    if MARK not in source.name:
        raise ModelError(
            f"{source.name} was tuned ({path}), but its name does not say so. Rename its folder so that the "
            f"name holds {MARK!r}: verdicts are listed under it."
        )
    return record


def read(path: Path) -> dict:
    """A tuning record, checked as far as others rely on it; raises ModelError where it is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        held_out, base = record["split"]["held_out"], record["base"]["model"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} is no record of a tuning ({type(error).__name__}: {error}). Tune the model again."
        ) from error
    if not (isinstance(base, str) and isinstance(held_out, list) and held_out):
        raise ModelError(f"{path} names no scenarios that were held out. Tune the model again.")
    return record

"""What files hold: their digests, computed once and remembered while a file stays as it is.

Weights are gigabytes and are asked for by every notebook, so a digest is kept under `files.cache_root()` with
the size, inode and both times of the file. The time of its last change of status (ctime) cannot be set back,
so that an edit shows even where the modification time was restored. One made through a memory map may not:
operating systems update times late then, or not at all.
"""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from ... import files
from ...errors import ModelError, StoreError

_SMALL = 1 << 20  # bytes; what is smaller is quicker to read than to look up
# A file changed this recently may change again without another time stamp (seconds; coarse file systems).
_UNSETTLED = 2.0


def digest(path: Path, form: str = "sha256") -> str:
    """Hexadecimal digest of a file: "sha256", or "git", the SHA-1 by which git names its content.

    Raises ModelError where the file cannot be read or is being written.
    """
    try:
        before = _state(path)
        if before["size"] < _SMALL:
            return _computed(path, form)
        kept = _remembered(path, form, before)
        return kept or _computed_and_kept(path, form, before)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error


def _computed_and_kept(path: Path, form: str, before: dict) -> str:
    found = _computed(path, form)
    if _state(path) != before:
        raise ModelError(f"{path} changed while it was read. Wait until it is written, then try again.")
    if time.time() - max(before["modified"], before["changed"]) / 1e9 > _UNSETTLED:
        # a digest that cannot be kept costs time, not numbers
        with contextlib.suppress(StoreError), files.atomic_write(_record(path, form)) as stream:
            json.dump({**before, "digest": found}, stream)
    return found


def _remembered(path: Path, form: str, state: dict) -> str | None:
    """The digest kept for a file in this state; None where there is none, or the record is damaged."""
    try:
        kept = json.loads(_record(path, form).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(kept, dict) or {name: kept.get(name) for name in state} != state:
        return None
    found = kept.get("digest")
    length = hashlib.new(_ALGORITHM[form]).digest_size * 2
    return found if isinstance(found, str) and len(found) == length else None


def _record(path: Path, form: str) -> Path:
    return files.cache_root() / "digests" / f"{files.fingerprint([os.path.abspath(path), form], 32)}.json"


def _state(path: Path) -> dict:
    """What changes when a file's content does."""
    found = os.stat(path)
    return {
        "path": os.path.abspath(path),
        "size": found.st_size,
        "modified": found.st_mtime_ns,
        "changed": found.st_ctime_ns,
        "inode": [found.st_dev, found.st_ino],
    }


_ALGORITHM = {"sha256": "sha256", "git": "sha1"}


def _computed(path: Path, form: str) -> str:
    found = hashlib.new(_ALGORITHM[form])
    with path.open("rb") as stream:
        if form == "git":
            found.update(f"blob {os.fstat(stream.fileno()).st_size}\0".encode())
        while chunk := stream.read(1 << 22):
            found.update(chunk)
    return found.hexdigest()

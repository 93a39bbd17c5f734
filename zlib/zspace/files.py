"""Where things lie, and how they are written so that nothing half-written is ever read.

`runs_root()` is `runs/` in the checkout, or the folder that ZSPACE_RUNS names. All outputs are
written beside their destination and renamed (`atomic_write`, `atomic_folder`); work that two
processes could start at once runs under `lock`.
"""

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import filelock
import yaml

from . import __version__
from .errors import ParameterError, StoreError

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parents[1]


def runs_root() -> Path:
    """Folder of everything that is computed: ZSPACE_RUNS, or `runs/` in the checkout."""
    return Path(os.environ.get("ZSPACE_RUNS") or PROJECT / "runs").expanduser().resolve()


def cache_root() -> Path:
    """Folder of converted model weights: ZSPACE_CACHE, or `zspace` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zspace"
    return Path(os.environ.get("ZSPACE_CACHE") or default).expanduser().resolve()


def params(name: str) -> dict:
    """Content of `params/<name>.yaml`; raises ParameterError where there is none."""
    path = PROJECT / "params" / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ParameterError(
            f"no parameter file {name!r} (found: {', '.join(known) or 'none'}). zspace reads its "
            "parameters from its checkout; install it there with `pip install -e .`."
        )
    # the C loader reads the claims ten times as fast; yaml is built without it on some platforms
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def fingerprint(description: object, length: int = 16) -> str:
    """Hexadecimal SHA-256 of a JSON-serialisable description, independent of key order."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def source_fingerprint(*folders: str) -> str:
    """Hash of the library's sources (of the named folders or files of the package, or of all).

    Identifies the code that made a result where there is no git history to name a commit.
    """
    roots = [PACKAGE / f for f in folders] or [PACKAGE]
    found = sorted(
        p for r in roots for p in ([r] if r.is_file() else r.rglob("*")) if p.suffix in (".py", ".yaml")
    )
    return fingerprint([[p.relative_to(PACKAGE).as_posix(), p.read_text("utf-8")] for p in found], 12)


def provenance() -> dict[str, str]:
    """Versions, commit and code fingerprint that made a result; survives a tree without git."""
    packages = ("numpy", "scipy", "pandas", "torch", "transformers")
    installed = {d.metadata["Name"].lower() for d in importlib.metadata.distributions()}
    return {
        "date": datetime.date.today().isoformat(),
        "zspace": __version__,
        "code": source_fingerprint(),
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages if name in installed},
    }


@contextlib.contextmanager
def atomic_write(path: Path | str, mode: str = "w") -> Iterator:
    """Open a file beside `path` for writing and rename it there once the block has succeeded.

    Raises StoreError where the disk is full or the folder cannot be written; whatever stood at
    `path` before is then untouched.
    """
    with _beside(Path(path)) as temporary:
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Fill a folder beside `path` and rename it there once the block has succeeded.

    An existing folder at `path` is replaced. Raises StoreError like `atomic_write`.
    """
    with _beside(Path(path)) as temporary:
        temporary.mkdir()
        yield temporary
        if Path(path).exists():
            shutil.rmtree(path)
        os.replace(temporary, path)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A path of the same name in a temporary folder beside `path`, removed with all that is left in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder) / path.name
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}. Nothing was replaced. Free some space or "
            "point ZSPACE_RUNS to a folder that can be written, then run the same command again: "
            "finished parts are kept."
        ) from error


@contextlib.contextmanager
def lock(path: Path | str) -> Iterator[None]:
    """Hold an inter-process lock on `path`; the operating system frees it if the process dies."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock"):
        yield


def is_locked(path: Path | str) -> bool:
    """Whether another process holds the lock on `path` at this moment."""
    path = Path(path)
    if not path.with_name(f"{path.name}.lock").is_file():
        return False
    try:
        with filelock.FileLock(f"{path}.lock", blocking=False):
            return False
    except filelock.Timeout:
        return True


def _commit() -> str:
    command = ["git", "-C", str(PROJECT), "rev-parse", "--short=12", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown (no git)"
    return found.stdout.strip() if found.returncode == 0 else "unknown (no git history)"

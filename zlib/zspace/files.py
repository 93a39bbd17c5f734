"""Where things lie, and how they are written so that nothing half-written is ever read.

`runs_root()` is `runs/` in the checkout, or the folder that ZSPACE_RUNS names. All outputs are
written beside their destination and renamed (`atomic_write`, `atomic_folder`); work that two
processes could start at once runs under `lock`.
"""

import ast
import contextlib
import datetime
import errno
import functools
import hashlib
import importlib.metadata
import io
import itertools
import json
import os
import platform
import re
import subprocess
import tempfile
import tokenize
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import filelock
import yaml

from . import __version__
from .errors import ParameterError, StoreError

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parents[1]
_LONGEST_PREFIX = 200  # bytes of the name of a temporary folder


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
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"{path} is not YAML that can be read: {error}.") from error
    if not isinstance(found, dict):
        raise ParameterError(f"{path} holds {type(found).__name__}; expected names with values.")
    return found


def fingerprint(description: object, length: int = 16) -> str:
    """Hexadecimal SHA-256 of a JSON-serialisable description, independent of key order."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    # half a surrogate pair is a text in JSON and in Python
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def slug(text: str, longest: int = 40) -> str:
    """Text as part of a file's name: ASCII letters, digits, `_`, `.` and `-`, at most so many of them.

    Of a path the last part. Other texts may have the same slug, and one without any such sign has none: it
    is for people, beside a hash that tells files apart.
    """
    name = Path(text).name if os.path.isabs(text) else text
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.]+", "-", plain).strip("-.")[:longest].rstrip("-.")


def content_hash(path: Path | str) -> str:
    """SHA-256 of a file, or of names and contents of the files of a folder and of its folders.

    Neither times nor places count. Hidden files do not either: editors and file managers leave them.
    """
    path = Path(path)
    if path.is_dir():
        there = sorted(p for p in path.iterdir() if not p.name.startswith("."))
        kept = [p for p in there if p.is_file() or (p.is_dir() and not p.is_symlink())]
        return fingerprint([[p.name, content_hash(p)] for p in kept], 64)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source_fingerprint(*folders: str) -> str:
    """Hash of the library's sources (of the named folders or files of the package, or of all).

    Identifies the code that made a result where there is no git history to name a commit.
    """
    return fingerprint([[name, text] for name, text in _sources(folders)], 12)


def code_fingerprint(*folders: str) -> str:
    """Hash of what the named sources (folders or files of the package) do: comments, docstrings and blank
    lines do not count. The same under every version of Python.

    Part of the key of whatever these sources compute, so that an edit of the code never serves old numbers.
    """
    found = [[name, code_of(text) if name.endswith(".py") else text] for name, text in _sources(folders)]
    if absent := [folder for folder in folders if not (PACKAGE / folder).exists()]:
        raise ParameterError(f"the package has no {', '.join(absent)}.")
    return fingerprint(found, 12)


@functools.cache
def code_of(source: str) -> str:
    """Python source without its comments, docstrings and blank lines; all else stays as it is written."""
    # cut by position: neither the tokens of an f-string nor `ast.dump` are the same in all versions
    lines = [line.encode() for line in io.StringIO(source)]
    dropped: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1].decode()[:column].rstrip().encode() + b"\n"
        if token.type == tokenize.NL and not lines[row - 1].strip():
            dropped.add(row)
    for node in ast.walk(ast.parse(source)):
        named = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if named and ast.get_docstring(node, clean=False) is not None:
            dropped |= _cut(lines, node.body[0])
    return b"".join(line for row, line in enumerate(lines, start=1) if row not in dropped).decode()


def _cut(lines: list[bytes], node: ast.stmt) -> set[int]:
    """Take a statement out of the lines; numbers (from 1) of the lines that hold nothing else."""
    first, last = node.lineno - 1, node.end_lineno - 1
    before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    lines[first] = before + after.lstrip(b" ")
    lines[first + 1 : last + 1] = [b""] * (last - first)
    return set(range(first + 1 if not lines[first].strip() else first + 2, last + 2))


def _sources(folders: tuple[str, ...]) -> list[tuple[str, str]]:
    """Name and text of the sources in the named folders and files of the package, or in all of it."""
    roots = [PACKAGE / f for f in folders] or [PACKAGE]
    found = sorted(
        p for r in roots for p in ([r] if r.is_file() else r.rglob("*")) if p.suffix in (".py", ".yaml")
    )
    return [(p.relative_to(PACKAGE).as_posix(), p.read_text("utf-8")) for p in found]


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
        for attempt in itertools.count():
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, temporary.with_name(f"old-{attempt}"))
            try:
                os.replace(temporary, path)
                break
            except OSError as error:
                # another process put its own folder there in between: the last one stays
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A path of the same name in a temporary folder beside `path`, removed with all that is left in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # a name may take all 255 bytes that file systems give it: that of its folder must not be longer
        prefix = f".{path.name}." if len(os.fsencode(path.name)) <= _LONGEST_PREFIX else "."
        with tempfile.TemporaryDirectory(
            prefix=prefix, dir=path.parent, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder) / path.name
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write {path}: {error.strerror or error}. Nothing was replaced. {_advice(error)}, then "
        "run the same command again: finished parts are kept."
    )


def _advice(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "Point ZSPACE_RUNS to a folder with a shorter path"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{'Free some space or p' if full else 'P'}oint ZSPACE_RUNS to a folder that can be written"


@contextlib.contextmanager
def lock(path: Path | str) -> Iterator[None]:
    """Hold an inter-process lock on `path`; the operating system frees it if the process dies.

    Raises StoreError like `atomic_write`.
    """
    path = Path(path)
    held = filelock.FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield
    finally:
        held.release()


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

#!/usr/bin/env python3
"""Set-up and work in one command; needs Python 3.11 or newer and nothing else.

    python3 run.py report    the quick grid: captures, notebooks, verdicts; prints the path of the page
    python3 run.py test      tests and re-execution of the committed notebooks (further words go to pytest)
    python3 run.py lab       JupyterLab on the notebooks
    python3 run.py setup     only make .venv and install the project into it
    python3 run.py ...       any other words go to the `zspace` command

The first call makes .venv and installs the versions of constraints.txt; later calls find it complete.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
SCRIPTS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
STAMP = ENVIRONMENT / "zspace-installed"
LOG = ROOT / ".venv-install.log"


def main(words: list[str]) -> int:
    """Set up what is missing, then do the task; returns the exit status."""
    if words[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the user
        return _say(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]} ({sys.executable}).")
    task, rest = (words[0], words[1:]) if words else ("report", [])
    status = set_up()
    if status or task == "setup":
        return status
    return subprocess.call(command(task, rest), cwd=ROOT, env=environment(task))


def command(task: str, words: list[str]) -> list[str]:
    """Command line of a task."""
    python = [str(PYTHON), "-m"]
    if task == "test":
        return [*python, *pytest(words)]
    if task == "lab":
        return [*python, "jupyterlab", "--notebook-dir=notebooks", *words]
    return [*python, "zspace.pages.cli", task, *words]


def pytest(words: list[str]) -> list[str]:
    """The suite: tests, and every committed notebook executed anew and compared with its stored outputs."""
    full = "--full" in words
    words = [w for w in words if w != "--full"]
    notebooks = sorted(f"notebooks/{p.name}" for p in (ROOT / "notebooks").glob("*.ipynb"))
    chosen = [w for w in words if not w.startswith("-") and (ROOT / w.split("::")[0]).exists()]
    options = ["-q", "-n", "2", "--dist", "loadfile", "--nbval", "--nbval-current-env"]
    options += [] if full else ["-m", "not full"]
    return ["pytest", *options, *words, *([] if chosen else ["tests", *notebooks])]


def environment(task: str) -> dict[str, str]:
    """Environment of a task: the scripts of .venv come first; tests keep to one thread and their own runs."""
    found = {**os.environ, "VIRTUAL_ENV": str(ENVIRONMENT)}
    found["PATH"] = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", "")])
    if task == "test":
        found["OMP_NUM_THREADS"] = "1"
        found.setdefault("ZSPACE_RUNS", str(ROOT / "runs" / "suite"))
    return found


def set_up() -> int:
    """Make .venv as pyproject.toml and constraints.txt ask; returns an exit status.

    The stamp is written last: an installation that broke off is repeated. Of two calls one waits.
    """
    if _is_complete():
        return 0
    with _alone():
        if _is_complete():
            return 0
        with contextlib.suppress(ImportError):
            import ensurepip  # noqa: F401 - only asked whether it is there
            import venv

            STAMP.unlink(missing_ok=True)
            if not _works():
                venv.create(ENVIRONMENT, with_pip=True, clear=True)
            return _install()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _say(
        f"{sys.executable} cannot make virtual environments (its module venv or ensurepip is missing).\n"
        f"On Debian or Ubuntu: apt install python{version}-venv   (or python3-venv). "
        "Then run the same command again."
    )


def _install() -> int:
    """Install the project with everything it can use, showing the seconds that pass."""
    words = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    words += ["-c", "constraints.txt", "-e", ".[all]"]
    start = time.monotonic()
    with LOG.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                _progress(f"installing into .venv (about 2 minutes): {time.monotonic() - start:.0f} s")
                time.sleep(1 if sys.stderr.isatty() else 15)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        tail = "\n".join(LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        return _say(f"\nthe installation failed; pip's whole output is in {LOG}. Its last lines:\n{tail}")
    _progress(f"installed into .venv in {time.monotonic() - start:.0f} s", end="\n")
    LOG.unlink()
    partial = STAMP.with_suffix(".partial")
    partial.write_text(_key())
    partial.replace(STAMP)
    return 0


def _key() -> str:
    """What an installation depends on: the two files that name versions."""
    text = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    return hashlib.sha256(text).hexdigest()


def _is_complete() -> bool:
    return STAMP.is_file() and STAMP.read_text() == _key() and PYTHON.exists()


def _works() -> bool:
    """Whether .venv holds a Python with pip that starts (it may be of an interrupted or moved set-up)."""
    if not PYTHON.exists():
        return False
    return subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0


@contextlib.contextmanager
def _alone():
    """Hold a lock beside .venv that the system frees when this process dies, however it dies."""
    with (ROOT / ".venv.lock").open("a+") as stream:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _progress("another call is installing: waiting for it", end="\n")
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _progress(text: str, end: str = "") -> None:
    if sys.stderr.isatty():
        print(f"\r{text}", end=end, file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def _say(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)

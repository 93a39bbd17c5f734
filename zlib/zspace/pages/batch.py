"""A plan of captures and notebook executions, as command lines and as Snakemake's run over them.

The Snakefile and the command line both build their commands here. Folders below `files.runs_root()`:
`states/` captured arrays, `notebooks/` executed notebooks, `failed/` executions that are running or broke
off, `logs/` their text output, `code/` one small file per part of the library and `read/` one per model and
corpus, rewritten only when the content of what they stand for changes: Snakemake compares their times.
"""

import contextlib
import importlib.metadata
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import filelock

from .. import files
from ..errors import ModelError, UnmetNeedsError, WeightsUnavailableError
from ..evidence.executions import PLACES, file_name, located
from ..sources import corpora, hosted, models, pictures
from ..sources.models import fetching, weights
from . import grids, parameters
from .grids import Capture, Cell, Plan

BATCH_LOG = "logs/batch.txt"
CONFIG = "batch.json"  # what the running batch was asked for
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
_REGISTRATION = ("registration.yaml", "registered.yaml")
_HEARTBEAT = 30  # seconds between two lines of a running job, each with what its command said last
_LOST_BATCH_CHECK = 0.5  # seconds between two looks at whether the batch that started a job still lives


def capture_command(capture: Capture) -> list[str]:
    """Command line of `zspace capture` that does one capture."""
    options = {**capture.corpus, "variants": ",".join(capture.variants)}
    if capture.poolings:
        options["poolings"] = capture.poolings
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return _zspace("capture", capture.model, *words)


def notebook_command(cell: Cell, executed: Path | str, *, folder: Path | None = None) -> list[str]:
    """Command line of papermill that executes one cell into the file `executed`."""
    folder = folder or files.PROJECT / "notebooks"
    papermill = [sys.executable, "-m", "papermill", "--no-progress-bar", "--log-level=WARNING"]
    given = ["-y", json.dumps(cell.parameters, ensure_ascii=False)] if cell.parameters else []
    # papermill takes both paths for templates, with parameters in braces
    paths = str(folder / f"{cell.notebook}.ipynb"), str(executed)
    escaped = [path.replace("{", "{{").replace("}", "}}") for path in paths]
    return [*papermill, f"--cwd={folder}", *escaped, *given]


def page_command() -> list[str]:
    """Command line of `zspace page`."""
    return _zspace("page")


def job_command(key: str, log: Path | str, command: Sequence[str], *paths: Path | str) -> str:
    """Shell line that runs `command` under `job`; `paths`: what it writes, and where that goes when done."""
    return shlex.join([sys.executable, "-m", __name__, key, str(log), *map(str, paths), "--", *command])


def job(
    key: str,
    log: Path | str,
    command: Sequence[str],
    unfinished: Path | str | None = None,
    finished: Path | str | None = None,
) -> int:
    """Run a command of the batch, its output in `log`, and say in one line how it went.

    What it writes at `unfinished` is moved to `finished` once it has succeeded. Of two jobs of one key the
    second waits for the first. The command is ended when the batch that started it was interrupted or killed
    (see `_running_batch`): else it would go on beside the batch that is started next.

    Returns its exit status.
    """
    log = Path(log)
    for path in (Path(p) for p in (log, unfinished, finished) if p):
        path.parent.mkdir(parents=True, exist_ok=True)
    alone = log.with_name(f".{log.stem}")
    if files.is_locked(alone):
        print(f"  {key}: is running elsewhere, waiting for it", flush=True)
    with files.lock(alone):
        if _batch_is_lost():
            return INTERRUPTED
        status = _run(key, log, command)
        if status == 0 and unfinished and finished:
            Path(unfinished).replace(finished)
    return status


def _run(key: str, log: Path, command: Sequence[str]) -> int:
    start = time.monotonic()
    print(f"  {key}: running", flush=True)
    with log.open("w", encoding="utf-8") as stream:
        streams = {"stdin": subprocess.DEVNULL, "stdout": stream, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, **streams, env={**os.environ, "ZSPACE_CELL": key})
        try:
            said = start
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOST_BATCH_CHECK)
                if (now := time.monotonic()) - said > _HEARTBEAT:
                    said = now
                    print(f"  {key}: {now - start:.0f} s, {_last_line(log)}", flush=True)
                if _batch_is_lost():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            return INTERRUPTED
    ending = "done" if process.returncode == 0 else f"failed (see {log.resolve()})"
    print(f"  {key}: {ending}, {time.monotonic() - start:.0f} s", flush=True)
    if process.returncode:
        print(f"    {_last_line(log)}", flush=True)
    return process.returncode


def executing(cell: Cell, *, folder: Path | None = None, runs: Path = Path()) -> tuple:
    """What `job` and `job_command` take to execute a cell; paths are those in the runs folder `runs`."""
    failed, executed = (runs / name / f"{cell.key}.ipynb" for name in ("failed", "notebooks"))
    log = runs / "logs" / f"{cell.key}.txt"
    return cell.key, log, notebook_command(cell, failed, folder=folder), failed, executed


def execute(cell: Cell, *, folder: Path | None = None) -> int:
    """Execute one cell now; returns papermill's exit status. The executed copy goes where a batch puts it."""
    # a batch that comes later has to see what this execution read
    _read_stamps([cell.values], folder or files.PROJECT / "notebooks")
    return job(*executing(cell, folder=folder, runs=files.runs_root()))


def check(cells: Sequence[Cell]) -> None:
    """Refuse executions that cannot succeed before the first one is started; see `preflight.check`."""
    from ..evidence import preflight

    for cell in cells:
        preflight.check(cell.notebook, cell.values)


def stamps(plan: Plan) -> dict[str, Path]:
    """Files that stand for the code a step depends on, by name: captures, evidence, pages, and each notebook.

    A file is rewritten only when the code it stands for has changed, so neither a fresh checkout nor an
    edited output triggers anything. Captures depend on `sources` and `states` alone: editing a figure
    recaptures nothing.
    """
    library = [p.name for p in files.PACKAGE.iterdir() if p.name not in ("pages", "__pycache__")]
    installed = [n for n in ("torch", "transformers") if any(importlib.metadata.distributions(name=n))]
    versions = [importlib.metadata.version(name) for name in installed]
    texts = _params("models.yaml", "languages.yaml", "typology.csv", "corpora.yaml", "language_codes.csv")
    content = {
        "captures": [files.source_fingerprint("sources", "states"), texts, versions],
        "evidence": [files.source_fingerprint(*sorted(library)), _params("claims.yaml"), texts, _data()],
        "pages": [files.source_fingerprint("pages", "evidence"), _params(*_REGISTRATION), _measured()],
        **{f"notebook-{n}": _sources(plan.folder / f"{n}.ipynb") for n in plan.notebooks},
    }
    return {name: _stamp(f"code/{name}", described) for name, described in content.items()}


def read_stamps(plan: Plan) -> dict[str, Path]:
    """Files that stand for what a plan reads, by the name or path of a model, corpus or recording.

    As `stamps`: a file is rewritten when the content of the model or of the files has changed, not when
    their times have. The built-in texts are code.
    """
    values = [{"model": one.model, **one.corpus} for one in plan.captures]
    return _read_stamps([*values, *(one.values for one in plan.cells)], plan.folder)


def _read_stamps(values: Sequence[Mapping[str, object]], folder: Path) -> dict[str, Path]:
    named = {name: {str(v[name]) for v in values if v.get(name)} for name in (*PLACES, "recorded")}
    found = {}
    for name in sorted(named["model"]):
        found[name] = _stamp(f"read/{file_name(['model', name], name)}", _identity(name))
    for name in sorted(named["corpus"] | named["recorded"]):
        if (content := _content(name, folder)) is not None:
            found[name] = _stamp(f"read/{file_name(['texts', name], name)}", content)
    return found


def _content(name: str, folder: Path) -> object:
    """What tells the content of a corpus or of recordings from another; None where that is code."""
    path = folder / name
    if name in corpora.BUILT_INS:
        return None
    if pictures.is_annotations(path):  # beside much that is no name of a picture
        return [files.content_hash(one) for one in pictures.folders(path)]
    if path.exists():
        return files.content_hash(path)
    on_hub = hosted.find(name)
    return {k: files.content_hash(one) for k, one in hosted.cached(on_hub).items()} if on_hub else None


def _identity(model: str) -> dict:
    try:
        return {**models.identity(model), "end tokens": _end_tokens(model)}
    except WeightsUnavailableError as error:
        return {"unavailable": str(error)}


def _end_tokens(model: str) -> object:
    """They decide where recordings stop. A configuration that is wrong fails what loads it, not the batch."""
    try:
        return models.end_tokens(model)
    except ModelError as error:
        return str(error)


def _stamp(name: str, described: object) -> Path:
    path, text = files.runs_root() / name, files.fingerprint(described) + "\n"
    if not path.is_file() or path.read_text("utf-8", errors="replace") != text:
        with files.atomic_write(path) as stream:
            stream.write(text)
    return path


def run(
    grid: str,
    *,
    models: Sequence[str] | None = None,
    targets: Sequence[str] = ("report",),
    cores: int | None = None,
    profile: str = "local",
) -> int:
    """Run Snakemake over a grid up to `targets` (captures, notebooks, report, or names of output files).

    Only what is missing, or older than what it depends on, is computed. Returns Snakemake's exit status, or
    INTERRUPTED after Ctrl-C; raises ZspaceError before anything is started. A second call on the same runs
    folder waits for the first. On SIGTERM running jobs are finished and no further ones are started.
    """
    models = [located(name, Path()) for name in models or ()]
    wanted = grids.plan(grid, models=models)
    models = reachable_models(wanted) if wanted.lenient else models
    cells = grids.plan(grid, models=models).cells if wanted.lenient else wanted.cells
    left_out = leave_out(cells)
    targets = [name for name in targets if Path(name).stem not in left_out]
    record_offered(wanted)
    asked = {"grid": str(Path(grid).resolve()) if Path(grid).is_file() else grid}
    asked |= {"models": models, "left_out": sorted(left_out)}
    from snakemake.cli import main as snakemake

    runs, log = files.runs_root(), files.runs_root() / BATCH_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    places = {"snakefile": files.PROJECT / "Snakefile", "profile": _profile(profile), "directory": runs}
    # Snakemake would read a path on its command line as YAML, and split it
    places["configfile"] = runs / CONFIG
    command = [f"--{name}={place}" for name, place in places.items()]
    command += ["--nolock", *([f"--cores={cores}"] if cores else [])]
    with _alone(), _running_batch(local=profile == "local") as interrupted:
        with files.atomic_write(places["configfile"]) as stream:
            json.dump(asked, stream)
        with log.open("w", encoding="utf-8") as stream, contextlib.redirect_stderr(stream):
            try:
                snakemake([*command, "--", *targets])
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
        return INTERRUPTED if interrupted else status


def reachable_models(plan: Plan) -> list[str]:
    """The plan's models whose weights are at hand or can be fetched (they then are).

    For each of the others the ledger gets `not testable` on every claim that its cells would have judged.
    """
    names = list(dict.fromkeys(c.model for c in plan.captures))
    reached = []
    for name in names:
        try:
            fetching.fetch(weights.find(name))
            reached.append(name)
        except WeightsUnavailableError as error:
            print(f"  {name}: left out, weights unavailable", flush=True)
            _record_unavailable(name, plan.cells, str(error))
    if names and not reached:
        raise WeightsUnavailableError(f"no model of grid {plan.grid} can be reached: {', '.join(names)}.")
    return reached


def leave_out(cells: Sequence[Cell]) -> set[str]:
    """Keys of executions that lack what their claims need; the ledger gets `not testable` on these claims.

    Raises UnmetNeedsError where that is all of them, and else what `check` raises.
    """
    lacking: dict[str, UnmetNeedsError] = {}
    for cell in cells:
        try:
            check([cell])
        except UnmetNeedsError as error:
            lacking[cell.key] = error
    if lacking and len(lacking) == len(cells):
        raise next(iter(lacking.values()))
    for cell in (one for one in cells if one.key in lacking):
        print(f"  {cell.key}: left out. {lacking[cell.key]}", flush=True)
        _record_not_testable([cell], str(lacking[cell.key]))
    return set(lacking)


def record_offered(plan: Plan) -> None:
    """Rows of models that the grid names but does not measure, each with the command that fills them."""
    for name in dict.fromkeys(str(c.parameters["model"]) for c in plan.offered if "model" in c.parameters):
        source = weights.find(name)
        why = "not asked for in this grid" if weights.is_at_hand(source) else f"{source.location} is not here"
        command = f"python3 run.py report --models {name}"
        _record_unavailable(
            name, plan.offered, f"{why}. `{command}` fetches what is missing and fills this row"
        )


def _record_unavailable(model: str, cells: Sequence[Cell], reason: str) -> None:
    """`not testable` on every claim that a model's cells would have judged, but for what was measured."""
    of_model = [one for one in cells if one.parameters.get("model") == model]
    _record_not_testable(of_model, f"weights unavailable: {reason}")


def _record_not_testable(cells: Sequence[Cell], reason: str) -> None:
    """`not testable` on every claim about a model that cells would have judged, but for what was measured."""
    from ..evidence import claims, rules

    for cell in cells:
        place = [str(cell.parameters.get(k, "")) for k in ("corpus", "version", "padding")]
        corpus = corpora.label(*place) if place[0] else "any"
        evidence = rules.Evidence(unavailable=reason)
        for claim, entry in claims.entries().items():
            # a claim without a measured statistic is about no model, and some others are not either
            about_none = "primary" not in entry or entry.get("model") == "any"
            if entry["notebook"] != cell.notebook or about_none:
                continue
            model = str(cell.parameters.get("model", "any"))
            about = {"model": model, "corpus": corpus, "parameters": cell.values}
            if not claims.is_measured(claim, **about):
                verdicts = claims.evaluate_scope(claim, [evidence])
                claims.record(claim, verdicts, **about, provenance=files.provenance())


@contextlib.contextmanager
def _running_batch(*, local: bool) -> Iterator[list]:
    """Let the jobs of this batch know that it runs; yields a list that Ctrl-C makes non-empty.

    ZSPACE_BATCH names a file that is locked, and there, as long as the batch runs. The system frees the lock
    of a killed process. Jobs on other machines are their scheduler's business.
    """
    for stale in files.runs_root().glob("batch.[0-9]*"):
        stale.unlink()
    sign = files.runs_root() / f"batch.{os.getpid()}"
    os.environ["ZSPACE_BATCH"] = str(sign) if local else ""
    interrupted = []

    def interrupt(*_: object) -> None:
        interrupted.append(True)
        sign.unlink(missing_ok=True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with filelock.FileLock(sign):
            yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
        sign.unlink(missing_ok=True)
        del os.environ["ZSPACE_BATCH"]


def _batch_is_lost() -> bool:
    """Whether this is a job of a batch that does not run any more."""
    sign = os.environ.get("ZSPACE_BATCH")
    if not sign:
        return False
    try:
        with filelock.FileLock(sign, timeout=0) if Path(sign).is_file() else contextlib.nullcontext():
            return True
    except filelock.Timeout:
        return False


def _sources(path: Path) -> list:
    """Cell types and sources of a notebook: what decides a result, without its stored outputs."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [[c["cell_type"], "".join(c["source"])] for c in cells]


def _data() -> list[str]:
    """What lies beside the notebooks for them to read: not the ledger, nor rows measured elsewhere."""
    from ..evidence import measured

    folder = files.PROJECT / "notebooks" / "data"
    there = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "ledger.json")
    there = [p for p in there if p.parent != files.PROJECT / measured.FOLDER]
    return [f"{p.relative_to(folder).as_posix()} {files.content_hash(p)}" for p in there]


def _measured() -> list[str]:
    from ..evidence import measured

    return [f"{p.name} {files.content_hash(p)}" for p in measured.paths()]


def _params(*names: str) -> list[str]:
    paths = [files.PROJECT / "params" / name for name in names]
    return [p.read_text("utf-8") for p in paths if p.is_file()]


def _profile(name: str) -> Path:
    folder = files.PROJECT / "params" / "profiles"
    parameters.known_names("profile", [name], sorted(p.name for p in folder.iterdir()), str(folder))
    return folder / name


def _zspace(*words: str) -> list[str]:
    return [sys.executable, "-m", "zspace.pages.cli", *words]


def _last_line(log: Path) -> str:
    """What a command said last: its progress bar, or the error itself, of `zspace` as of papermill."""
    # every kernel warns that its local ports are not encrypted: no news of the notebook
    text = log.read_text("utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and "[IPKernelApp]" not in line]
    return lines[-1].strip() if lines else "no output yet"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the runs folder's batch lock; say so when another batch has to be waited for."""
    path = files.runs_root() / "batch"
    try:
        with filelock.FileLock(f"{path}.lock", timeout=0):
            pass
    except filelock.Timeout:
        print(f"another batch runs in {path.parent}: waiting for it", file=sys.stderr, flush=True)
    with files.lock(path):
        yield


if __name__ == "__main__":
    about, words = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    sys.exit(job(*about[:2], words, *about[2:]))

"""The `zspace` command.

Every command imports what it needs when it is called, so that `zspace --help` answers at once. An error
is one line on stderr; `--debug` shows its traceback. The exit status is 2 for what the user can mend (errors
that zspace raises on purpose, words that it does not know, files and memory), 1 for a fault of zspace itself.
"""

import errno
import functools
import inspect
import itertools
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import files
from ..errors import ParameterError, ZspaceError

if TYPE_CHECKING:
    from ..sources import corpora

app = typer.Typer(
    name="zspace",
    help="Do language models think in one space across languages? Capture, run, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ledger = typer.Typer(help="The ledger of this runs folder.", no_args_is_help=True)
app.add_typer(ledger, name="ledger")

Grid = Annotated[str, typer.Option(help="Grid of params/grid.yaml, or a YAML file holding one.")]
Cores = Annotated[int | None, typer.Option(min=1, help="Processor cores to use; all by default.")]
Profile = Annotated[str, typer.Option(help="Folder of params/profiles: local or slurm.")]
Models = Annotated[str | None, typer.Option(help="Comma-separated models instead of the grid's own.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; by default ZSPACE_DEVICE or cpu.")]
TRACED = "gemma-3-270m"
TRACES = Path("notebooks/data/generation_traces.npz")


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command; `main` reads --debug itself."""


def _corpus(
    corpus: Annotated[str, typer.Option(help="Name, hub id, folder or file.")] = "number-stories",
    version: Annotated[str | None, typer.Option(help="spelled-out, digits, as-is, masked.")] = None,
    languages: Annotated[str | None, typer.Option(help="Comma-separated codes, the anchor first.")] = None,
    n_scenarios: Annotated[int | None, typer.Option(min=1)] = None,
    n_draws: Annotated[int | None, typer.Option(min=1)] = None,
    n_items: Annotated[int | None, typer.Option(min=1, help="First rows of a folder or file.")] = None,
    difficulty: Annotated[int | None, typer.Option(min=1, max=5)] = None,
    padding: Annotated[str | None, typer.Option(help="none, sentences, numbers, story.")] = None,
    block: Annotated[int | None, typer.Option(min=1, help="Neighbouring rows that belong together.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the corpus.")] = None,
) -> "corpora.Corpus":
    """The corpus that a command's options describe; an option that is not given keeps its default."""
    given = {k: v for k, v in locals().items() if k not in ("corpus", "languages") and v is not None}
    from ..sources import corpora

    return corpora.load(corpus, languages or None, **given)


def _reads_corpus(command: Callable) -> Callable:
    """The command with the options of `_corpus` after its own; its argument `texts` is that corpus."""
    own, added = (inspect.signature(one).parameters for one in (command, _corpus))

    @functools.wraps(command)
    def called(**given: object) -> None:
        texts = _corpus(**{name: given.pop(name) for name in added})
        command(texts=texts, **given)

    every = [p for name, p in (own | added).items() if name != "texts"]
    called.__signature__ = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in every])
    called.__annotations__ = {p.name: p.annotation for p in every}
    return called


@app.command()
@_reads_corpus
def capture(
    model: Annotated[str, typer.Argument(help="Name of models.yaml, hub id, folder or .gguf file.")],
    texts: "corpora.Corpus",
    poolings: Annotated[str, typer.Option(help="Some of mean, last, median, trimmed.")] = "mean,last",
    variants: Annotated[str, typer.Option(help="E.g. trained,random-0,random-blocks-0.")] = "trained",
    dtype: Annotated[str, typer.Option(help="float32 (reference) or bfloat16.")] = "float32",
    device: Device = None,
) -> None:
    """Record the hidden states of a model (and its baselines) on a corpus; what is there is not redone."""
    from ..sources.models import Subject
    from ..states import subjects

    wanted, names = [Subject.parse(name) for name in _names(variants)], _names(poolings)
    options = {"poolings": names, "together": names, "strict": True, "dtype": dtype, "device": device}
    options["lazily"] = True  # no more than is captured at a time has to be in memory
    for subject, states in subjects.open_states(model, texts, wanted, **options).items():
        sizes = ", ".join(f"{size} {dim}s" for dim, size in states.sizes.items() if dim != "position")
        typer.echo(f"{model} {subject.name}: {sizes}")


@app.command("import")
@_reads_corpus
def import_(
    path: Annotated[Path, typer.Argument(help=".npz, .safetensors, .pt, or a .yaml mapping to such.")],
    name: Annotated[str, typer.Option(help="What notebooks get as `model`.")],
    texts: "corpora.Corpus",
    pooling: Annotated[str, typer.Option(help="How tokens were averaged.")] = "mean",
    last_layer: Annotated[str, typer.Option(help="before-norm, or after-norm: left out.")] = "before-norm",
) -> None:
    """Bring saved states (one array of layer × item × hidden per language) into the store, checked."""
    from ..states import imported

    found = imported.add(path, name, texts, pooling=pooling, last_layer=last_layer)
    tokens = "with" if found.has_tokens else "without"
    typer.echo(f"{name}: {', '.join(found.variants)} in {', '.join(found.languages)}, {tokens} token ids")


@app.command()
def run(
    notebooks: Annotated[list[str], typer.Argument(help="Names of notebooks, without .ipynb.")],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="NAME VALUE (or NAME=VALUE).")
    ] = None,
    grid: Annotated[str | None, typer.Option(help="Run these notebooks' cells of a grid.")] = None,
    cores: Cores = None,
) -> None:
    """Execute notebooks with papermill: with `-p name value` for parameters, or over a grid."""
    from . import batch, grids, parameters

    if grid is not None:
        if parameter:
            raise ParameterError("give either --grid or -p: a grid sets all parameters itself.")
        cells = grids.plan(grid).cells
        known = dict.fromkeys(c.notebook for c in cells)
        parameters.known_names("notebook", notebooks, known, f"grid {grid}")
        targets = [f"notebooks/{c.key}.ipynb" for c in cells if c.notebook in notebooks]
        _finish(batch.run(grid, targets=targets, cores=cores), targets)
        return
    given = dict(_pair(text) for text in parameter or [])
    cells = [grids.cell(n, parameters.read_parameters(n, given)) for n in dict.fromkeys(notebooks)]
    batch.check(cells)
    _finish(max(batch.execute(one) for one in cells), [f"notebooks/{c.key}.ipynb" for c in cells])


@app.command()
def report(
    grid: Grid = "quick", models: Models = None, cores: Cores = None, profile: Profile = "local"
) -> None:
    """Capture, execute and judge what a grid asks for and is not there yet; prints the page's path."""
    from . import batch, parameters

    names = parameters.split_models(models) if models else None
    status = batch.run(grid, models=names, cores=cores, profile=profile)
    if status not in (0, batch.INTERRUPTED) and any((files.runs_root() / "ledger").glob("*.json")):
        typer.echo("some of it failed; the page shows the rest:", err=True)
        page()
    _finish(status, ["report/index.html"])


@app.command()
def page() -> None:
    """Make the pages from the ledger and the executed notebooks as they are; prints the index's path."""
    from ..evidence import measured
    from . import report as reporting

    runs = files.runs_root()
    folders = (runs / name for name in ("ledger", "notebooks", "report"))
    told = {"tell": lambda left_out: typer.echo(f"left out: {left_out}", err=True)}
    index = reporting.build(*folders, elsewhere=measured.paths(), **told)
    typer.echo(str(index))


@ledger.command()
def export(
    out: Annotated[Path, typer.Argument(help="JSON file to write; commit it in notebooks/data/measured.")],
    corpus: Annotated[list[str] | None, typer.Option(help="Only of this corpus (repeatable).")] = None,
    hardware: Annotated[str | None, typer.Option(help="Where they were measured; found by default.")] = None,
    commit: Annotated[str, typer.Option(help="Of the code, where it ran without its git history.")] = "",
) -> None:
    """Write this machine's verdicts about models as a file that shows them elsewhere, marked as such."""
    from ..evidence import measured

    there, made = files.runs_root() / "ledger", hardware or measured.this_machine()
    n = measured.export(there, out, made, corpora=corpus or (), commit=commit)
    typer.echo(f"{n} records: {out}")


@app.command()
def register() -> None:
    """Name the present commit as the one that fixed the rules; rows on data seen later can then confirm."""
    from ..evidence import claims, measured, registration

    runs, snapshot = files.runs_root() / "ledger", files.PROJECT / "notebooks" / "data" / "ledger.json"
    there = [p for p in (runs, runs / claims.SUPERSEDED, snapshot) if p.is_file() or any(p.glob("*.json"))]
    records = [one for place in there for one in claims.read_records(place)]
    typer.echo(str(registration.register([*records, *measured.read()])))


@app.command()
def survey(
    model: Annotated[str, typer.Argument(help="Name of models.yaml, hub id or folder.")],
    notebooks: Annotated[list[str] | None, typer.Argument(help="Whose claims; by default all.")] = None,
    corpus: Annotated[str, typer.Option(help="Name, hub id, folder or file.")] = "picture-names",
    version: Annotated[str, typer.Option(help="spelled-out, digits, as-is, masked.")] = "",
    languages: Annotated[str, typer.Option(help="Comma-separated codes, the anchor first; all.")] = "",
    n_items: Annotated[int, typer.Option(min=0, help="First rows of a corpus; 0 takes all.")] = 0,
    block: Annotated[int, typer.Option(min=1, help="Neighbouring rows that belong together.")] = 1,
    n_random: Annotated[int, typer.Option(min=1, help="Random-weight baselines.")] = 20,
    n_re_rounded: Annotated[int, typer.Option(min=0, help="Re-roundings of quantised weights.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Root seed.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default all cores.")] = None,
) -> None:
    """Judge claims on many languages, one process each, without notebooks; records verdicts."""
    from ..sources import corpora
    from . import parameters
    from . import survey as surveying

    given = {k: v for k, v in locals().items() if k in surveying.PARAMETERS}
    parameters.known_names("notebook", notebooks or (), surveying.NOTEBOOKS, "the survey")
    given["languages"] = languages or ",".join(corpora.load(corpus, None, n_items=1).languages)
    for claim, (head, *_) in surveying.survey(given, notebooks or None, workers=workers).items():
        typer.echo(f"{claim}: {head.as_corrected} ({head.as_corrected_reason})")


@app.command()
def states() -> None:
    """List the captured states."""
    from ..states import store

    found = store.listing()
    typer.echo(found.to_string(index=False) if len(found) else f"no states in {files.runs_root() / 'states'}")


@app.command()
def sweep(
    part: Annotated[list[str] | None, typer.Option(help="E.g. noise (repeatable); all by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes that measure.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Root seed of the items measured on.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder; by default that of the committed parts.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the trained networks, and read those kept.")] = False,
) -> None:
    """Train and measure the parts of the blind sweep that notebooks read instead of training them."""
    from ..evidence.blind_sweep import grid
    from .parameters import known_names

    known_names("part", part or (), grid.PARTS, "the sweep")
    for name in dict.fromkeys(part or grid.PARTS):
        options = {"keep": keep, "device": device, "workers": workers, "progress": True}
        grid.run(name, seed=seed, folder=out, **options)
        typer.echo(f"{name}: written to {out or grid.FOLDER}")


@app.command()
def tune(
    model: Annotated[str, typer.Argument(help="Name of models.yaml, hub id or folder.")],
    out: Annotated[Path, typer.Option(help="Folder to write; its name has to hold 'tuned'.")],
    languages: Annotated[str | None, typer.Option(help="Comma-separated codes; all by default.")] = None,
    n_solutions: Annotated[int, typer.Option(min=1, help="Worked stories per language.")] = 4000,
    n_held_out: Annotated[int, typer.Option(min=1, help="Scenarios that are never trained on.")] = 20,
    batch_size: Annotated[int, typer.Option(min=1, help="Stories per step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = 1e-4,
    n_scored: Annotated[
        int, typer.Option(min=1, help="Stories solved at the end, per language and kind.")
    ] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Root seed.")] = 0,
    device: Device = None,
) -> None:
    """Fine-tune a small decoder on worked stories, so that `zspace traces` finds solutions that are right."""
    from ..sources import languages as codes_of
    from ..states.generation import tuning

    chosen = {"languages": codes_of.parse(languages)} if languages else {}
    sizes = {"n_solutions": n_solutions, "n_held_out": n_held_out, "batch_size": batch_size}
    rates = {"learning_rate": learning_rate, "n_scored": n_scored, "seed": seed}
    record = tuning.tune(model, out, tuning.Recipe(**chosen, **sizes, **rates), device=device)
    for row in record["scores"]:
        right = f"{row['right']:.0%} fully right, {row['answer_right']:.0%} with the right answer"
        typer.echo(f"{row['language']}, {row['kind']}: {right} (of {row['n']})")
    typer.echo(str(out))


@app.command()
def traces(
    model: Annotated[str, typer.Argument(help="Name of models.yaml, hub id or folder.")] = TRACED,
    languages: Annotated[str, typer.Option(help="Comma-separated codes.")] = "de,fr,ru,sw,te",
    out: Annotated[Path | None, typer.Option(help="File to write; by default one named after MODEL.")] = None,
    layers: Annotated[str, typer.Option(help="Blocks that the file keeps, comma-separated.")] = "3,6,9,12,15",
    difficulty: Annotated[int, typer.Option(min=1, max=5, help="Steps of a story.")] = 5,
    n_draws: Annotated[int, typer.Option(min=1, help="Stories per scenario.")] = 2,
    n_samples: Annotated[int, typer.Option(min=1, help="Solutions per story.")] = 1,
    n_kept: Annotated[int, typer.Option(min=1, help="Solutions kept per language.")] = 36,
    n_steps: Annotated[int, typer.Option(min=64, help="Longest solution, in tokens.")] = 200,
    temperature: Annotated[float, typer.Option(help="Sampling temperature.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Root seed.")] = 0,
    device: Device = None,
) -> None:
    """Let a model write solutions of stories, and record every layer at every token, with controls."""
    from ..sources import languages as codes_of
    from ..states.generation import recordings, solving

    options = {"difficulty": difficulty, "n_draws": n_draws, "n_samples": n_samples, "n_kept": n_kept}
    options |= {"n_steps": n_steps, "temperature": temperature, "seed": seed, "device": device}
    found = solving.ensure(model, codes_of.parse(languages), **options)
    blocks = _blocks(layers, found.layers.tolist())
    out = out or _traces_of(found.about["model"]["model"])
    recordings.save(recordings.select(found, layers=blocks), out)
    kept = found.series[found.series["condition"] == "reasoning"]
    right = int(found.outcomes["correct"].sum())
    typer.echo(f"{len(found.outcomes)} solutions written, {right} correct, {len(kept)} kept: {out}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure speeds as ratios to plain code (tests/benchmarks/run.py; further words go to it)."""
    _forward([sys.executable, str(files.PROJECT / "tests" / "benchmarks" / "run.py"), *context.args])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def verify(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Long simulations and browser checks too.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fast tests only, without notebooks.")] = False,
) -> None:
    """Run the tests and execute the committed notebooks anew (further words go to pytest)."""
    if full and quick:
        raise ParameterError("give either --full or --quick.")
    runs = {"ZSPACE_RUNS": os.environ.get("ZSPACE_RUNS") or str(files.PROJECT / "runs" / "suite")}
    env = {"OMP_NUM_THREADS": "1", **os.environ, **runs}
    _forward(_pytest(context.args, full=full, quick=quick), env=env)


@app.command()
def publish() -> None:
    """Copy the ledger, compact, and chosen figures into the repository; rewrite README's table."""
    from . import publishing

    for path in publishing.publish():
        typer.echo(str(path))


def main() -> None:
    """Entry point: `zspace ...`."""
    words = [w for w in sys.argv[1:] if w != "--debug"]
    signal.signal(signal.SIGINT, _interrupted)
    try:
        sys.exit(app(_joined_parameters(words), prog_name="zspace", standalone_mode=False))
    except Exception as error:
        if len(words) < len(sys.argv) - 1:
            raise
        status, message = _said(error, words)
        if message:
            typer.echo(f"zspace: {_one_line(message)}", err=True)
        sys.exit(status)


def _said(error: Exception, words: list[str]) -> tuple[int, str]:
    """Exit status and message of an error; one that nobody foresaw is not made to look like a user's."""
    if isinstance(error, ZspaceError):
        return 2, str(error)
    if hasattr(error, "format_message"):  # of typer's parser, which has one `click` of its own
        found = f"found in `zspace {shlex.join(words)}`. `zspace --help` lists commands and options."
        return 2, f"{error.format_message().rstrip('.')}; {found}" if words else ""  # help was shown
    if isinstance(error, MemoryError):
        return 2, "out of memory. Ask for fewer items, languages or variants, or for a smaller model."
    if isinstance(error, OSError) and error.filename is not None:
        return 2, f"{os.fsdecode(error.filename)}: {error.strerror}. Correct the path or its permissions."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return 2, "no space left on the disk. Free some, or point ZSPACE_RUNS elsewhere."
    kind = type(error).__name__
    if isinstance(error, UnicodeError):
        return 2, f"text that is not valid Unicode ({kind}: {error}). Save the file or name as UTF-8."
    return 1, f"unexpected error {kind}: {error}. Run the same command with --debug and report what it shows."


def _one_line(text: str) -> str:
    """Text without line ends, and without signs that standard error cannot show."""
    shown = " ".join(text.split())
    return shown.encode(sys.stderr.encoding or "utf-8", "backslashreplace").decode(errors="replace")


def _interrupted(*_: object) -> None:
    raise SystemExit(130)  # as shells have it; typer would print a message of its own and end with 1


def _joined_parameters(words: list[str]) -> list[str]:
    """`run ... -p name value` as `-p name=value`: typer cannot repeat an option that takes two words."""
    if words[:1] != ["run"]:
        return words
    joined, rest = [], iter(words)
    for word in rest:
        joined.append(word)
        if word in ("-p", "--parameter"):
            pair = list(itertools.islice(rest, 1))
            if pair and "=" not in pair[0]:
                pair += itertools.islice(rest, 1)
            joined += ["=".join(pair)] if pair else []
    return joined


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ParameterError(f"-p {text} has no value; expected a name and a value: -p languages en,zh")
    return name, value


def _names(text: str | None) -> list[str]:
    return (text or "").replace(",", " ").split()


def _traces_of(model: str) -> Path:
    """Where recordings of a model lie for the notebooks: beside those of the default model."""
    return TRACES if model == TRACED else TRACES.with_name(f"{TRACES.stem}_{files.slug(model)}.npz")


def _blocks(text: str, there: list[int]) -> list[int]:
    try:
        blocks = [int(word) for word in text.split(",")]
    except ValueError:
        blocks = []
    if not blocks or any(block not in there for block in blocks):
        raise ParameterError(f"layers {text!r}; expected some of {', '.join(map(str, there))}, with commas.")
    return blocks


def _finish(status: int, written: list[str]) -> None:
    """Print where that is what was written; end with a non-zero status if not all of it was."""
    for path in (files.runs_root() / name for name in written if not status):
        if path.is_file():
            typer.echo(str(path))
    if status:
        from . import batch

        how = "interrupted" if status == batch.INTERRUPTED else "not finished"
        log = files.runs_root() / batch.BATCH_LOG
        words = f"zspace: {how}; the same command goes on from here. Snakemake's words are in {log}"
        typer.echo(words, err=True)
        raise typer.Exit(status)


def _pytest(words: list[str], *, full: bool, quick: bool) -> list[str]:
    """Command line of the suite: the tests, and every committed notebook compared with its stored outputs.

    The quick tier leaves out the notebooks, and the tests that tests/slow.txt lists. Words that are not
    options replace what is tested. Notebooks come first: they take longest, and both workers end together.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
    command += ["--no-loadscope-reorder"]
    command += [] if quick else ["--nbval", "--nbval-current-env"]
    command += [] if full else ["-m", "not full and not slow" if quick else "not full"]
    if any((files.PROJECT / word.split("::")[0]).exists() for word in words if not word.startswith("-")):
        return [*command, *words]
    notebooks = sorted(f"notebooks/{p.name}" for p in files.PROJECT.glob("notebooks/*.ipynb") if not quick)
    return [*command, *words, *notebooks, "tests"]


def _forward(command: list[str], *, env: dict[str, str] | None = None) -> None:
    """Become another command: signals and the exit status are then its own."""
    if not (files.PROJECT / "tests").is_dir():
        raise ParameterError(f"{files.PROJECT} has no tests; this works in a checkout of the repository.")
    os.chdir(files.PROJECT)
    sys.stdout.flush()
    os.execve(command[0], command, env or dict(os.environ))


if __name__ == "__main__":
    main()

"""Grids: which captures and which executions of notebooks a batch consists of.

`params/grid.yaml` (or a file of one's own) holds grids. `plan(grid)` checks one and expands it into captures
(model × corpus × version, with all variants of the model) and cells (one execution of one notebook each).
Everything that papermill would accept silently is refused here (`parameters`), before anything is started.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from .. import files
from ..errors import ParameterError
from ..evidence import executions
from ..evidence.executions import located, notebook_parameters
from ..sources import languages as codes_of
from ..sources.corpora import BUILT_IN, BUILT_INS
from ..sources.models import KINDS, Subject, possible, weights
from ..states.pooling import NAMES as POOLINGS
from .parameters import (
    check_parameters,
    expected,
    known_names,
    listed,
    notebook_file,
    split_models,
    yaml_hint,
)

_CORPUS_FIELDS = dict.fromkeys(("corpus", "version", "languages", "padding"), str)
_CORPUS_FIELDS |= dict.fromkeys(("n_items", "n_scenarios", "n_draws", "difficulty", "block", "seed"), int)
_CORPUS_OPTIONS = {"capture_only": False, "poolings": "", "only": [], "except": []}  # with their defaults
_GRID_FIELDS = {
    "folder": str, "models": list, "offered": list, "variants": dict, "corpora": list, "notebooks": dict,
    "summary": str,
}  # fmt: skip
_NOTEBOOK_FIELDS = ("parameters", "per_pair", "own_corpus", "only", "corpora")


@dataclass(frozen=True)
class Capture:
    """Hidden states of one model and its variants on one corpus.

    key : name of its marker and log. model : name, hub id or folder.
    corpus : corpus parameters, flat scalars. variants : ("trained", "random-0", ...). poolings : names joined
    by commas ("": the usual ones).
    """

    key: str
    model: str
    corpus: Mapping[str, object]
    variants: tuple[str, ...]
    poolings: str = ""


@dataclass(frozen=True)
class Cell:
    """One execution of one notebook.

    key : name of the executed copy, of no other execution. notebook : stem of the notebook. parameters : what
    papermill injects. capture : key of the capture it reads, or None. values : of all parameters, given or
    default, with model and corpus by absolute path.
    """

    key: str
    notebook: str
    parameters: Mapping[str, object]
    capture: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Everything a grid asks for.

    folder : where its notebooks lie. summary : executed after all cells. lenient : the grid asks for all
    models that there are, so one whose weights cannot be reached does not stop it. offered : cells of models
    that the page names as not measured yet, with the command that measures them.
    """

    grid: str
    folder: Path
    captures: tuple[Capture, ...]
    cells: tuple[Cell, ...]
    summary: Cell | None
    lenient: bool = False
    offered: tuple[Cell, ...] = ()

    @property
    def every(self) -> tuple[Cell, ...]:
        """All cells, and the summary where there is one."""
        return (*self.cells, self.summary) if self.summary else self.cells

    def cell(self, key: str) -> Cell:
        """The cell (or summary) of that key."""
        return next(c for c in self.every if c.key == key)

    @property
    def notebooks(self) -> tuple[str, ...]:
        """Stems of all notebooks that the plan executes."""
        return tuple(sorted({c.notebook for c in self.every}))


def plan(grid: str, *, models: str | Sequence[str] | None = None, left_out: Collection[str] = ()) -> Plan:
    """The plan of a grid, named in params/grid.yaml or lying in a YAML file of its own.

    `models` (names, or a text of them with commas) replaces the grid's own; `left_out` holds keys of
    executions that are not to be run. Raises ParameterError, naming
    what was found and what is known, for an unknown grid, field, corpus, pooling, notebook or notebook
    parameter, for values that are wrong and for two captures or executions that are the same; ModelError for
    an unknown model.
    """
    content, base = _grid(grid)
    folder = (base / content["folder"]).resolve() if "folder" in content else files.PROJECT / "notebooks"
    models = split_models(models) if isinstance(models, str) else models
    names = _models(models or content.get("models") or [], Path() if models else base)
    variants = _subjects(content.get("variants") or {"trained": []})
    corpora = [_corpus(entry, variants, base) for entry in content.get("corpora") or []]
    captures = tuple(_captures(names, corpora))
    notebooks = content.get("notebooks") or {}
    cells = tuple(_cells(folder, notebooks, names, corpora))
    for what, ones in {"captures": captures, "executions": cells}.items():
        if twice := [key for key, n in Counter(one.key for one in ones).items() if n > 1]:
            raise ParameterError(f"grid {grid} has two {what} of the same name: {', '.join(sorted(twice))}.")
    cells = tuple(one for one in cells if one.key not in left_out)
    summary = _summary(folder, content["summary"]) if "summary" in content else None
    lenient = content.get("models") == "all" and not models
    known = {cell.key for cell in cells}
    others = _models(content.get("offered") or [], base) if not models else []
    offered = tuple(one for one in _cells(folder, notebooks, others, corpora) if one.key not in known)
    _check_versions([*offered, *(cells if lenient else ())])
    return Plan(grid, folder, captures, cells, summary, lenient, offered)


def cell(notebook: str, parameters: Mapping[str, object], *, folder: Path | None = None) -> Cell:
    """One execution of a notebook with checked parameters (those not given keep the notebook's defaults).

    Raises ParameterError for an unknown notebook or parameter, or a value of another type than the default.
    """
    own = files.PROJECT / "notebooks"
    folder = folder or own
    checked = check_parameters(notebook, parameters, folder=folder)
    values = executions.effective(notebook_file(notebook, folder), checked)
    told = {name: str(values.get(name, "")) for name in ("model", "corpus", "version", "padding")}
    names = [word for name, word in told.items() if (name, word) != ("padding", "none")]
    pair = str(values.get("languages", ""))
    names += [pair] if pair.count(",") == 1 else []
    about = [notebook, values] if folder == own else [notebook, values, str(folder)]
    return Cell(executions.file_name([notebook, *names], about), notebook, checked, values=values)


def _grid(grid: str) -> tuple[dict, Path]:
    """Content of a grid and the folder that its `folder` is relative to."""
    path = Path(grid)
    if path.suffix in (".yaml", ".yml"):
        try:
            content, base = yaml.safe_load(path.read_text("utf-8")), path.resolve().parent
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise ParameterError(f"cannot read the grid file {grid}: {error}") from error
    else:
        known = files.params("grid")
        if grid not in known:
            raise ParameterError(
                f"unknown grid {grid!r}. Known: {listed(known)} of params/grid.yaml, or a .yaml file."
            )
        content, base = known[grid], files.PROJECT
    if not isinstance(content, dict):
        raise ParameterError(f"grid {grid} is no mapping; expected the fields {listed(_GRID_FIELDS)}.")
    known_names("field", content, _GRID_FIELDS, f"grid {grid}")
    for name, value in content.items():
        all_models = name == "models" and value == "all"
        if not (all_models or isinstance(value, _GRID_FIELDS[name])):
            raise ParameterError(
                f"field {name} of grid {grid} is {value!r}; params/grid.yaml shows its form."
            )
    return content, base


def _models(names: str | Sequence[str], base: Path) -> list[str]:
    """Names of models, each known to `weights.find`, which raises ModelError listing the known ones."""
    if names == "all":
        return [name for name, entry in files.params("models").items() if not entry.get("tuned")]
    for name in names:
        if not isinstance(name, str) or expected("model", name):
            hint = yaml_hint(name, "")
            raise ParameterError(f"{name!r} is no name of a model; expected {expected('model', '')}.{hint}")
        weights.find(located(name, base))
    return [located(name, base) for name in names]


def _corpus(entry: Mapping, variants: tuple[Subject, ...], base: Path) -> tuple[dict[str, object], dict]:
    """Parameters of a corpus in a grid, and how it is used: its variants, poolings and models."""
    if not isinstance(entry, Mapping) or "corpus" not in entry:
        raise ParameterError(f"a corpus of the grid has no field `corpus`: found {entry!r}.")
    types = _CORPUS_FIELDS | {name: type(default) for name, default in _CORPUS_OPTIONS.items()}
    types["variants"] = dict
    known_names("corpus field", entry, types, "a corpus of the grid")
    for name, value in entry.items():
        wanted = f"a value of type {types[name].__name__}" if type(value) is not types[name] else ""
        wanted = wanted or expected(name, value)
        if wanted:
            hint = yaml_hint(value, types[name]())
            raise ParameterError(f"corpus field {name} is {value!r}; expected {wanted}.{hint}")
    options = {name: entry.get(name, default) for name, default in _CORPUS_OPTIONS.items()}
    options |= {name: _models(options[name], base) for name in ("only", "except")}
    options["variants"] = _subjects(entry["variants"]) if entry.get("variants") else variants
    poolings = [name.strip() for name in options["poolings"].split(",") if name]
    known_names("pooling", poolings, POOLINGS, "a corpus of the grid")
    entry = {name: value for name, value in entry.items() if name in _CORPUS_FIELDS}
    found = located(entry["corpus"], base)
    hosted = files.params("corpora")
    on_hub = {*hosted, *(one["hub"] for one in hosted.values())}
    if found not in (*BUILT_INS, *on_hub) and not Path(found).is_absolute():
        raise ParameterError(
            f"unknown corpus {found!r} in the grid. Known: {listed((*BUILT_INS, *hosted))}, or a folder "
            f"or file (relative to {base.resolve()})."
        )
    return entry | {"corpus": found}, options


def _summary(folder: Path, notebook: str) -> Cell:
    """The notebook that reads all verdicts: of this runs root, not of the snapshot that is its default."""
    takes_ledger = "ledger" in notebook_parameters(notebook_file(notebook, folder))
    given = {"ledger": str(files.runs_root() / "ledger")} if takes_ledger else {}
    return cell(notebook, given, folder=folder)


def _is_for(model: str, options: Mapping) -> bool:
    """Whether a corpus of the grid is read by a model."""
    return (not options["only"] or model in options["only"]) and model not in options["except"]


def _captures(models: list, corpora: list) -> Iterator[Capture]:
    """Captures of every model; none of a corpus that is there for variants alone that the model lacks."""
    for model, (corpus, options) in itertools.product(models, corpora):
        if _is_for(model, options):
            kept = tuple(one.name for one in possible(model, options["variants"]))
            if kept or not options["capture_only"]:
                key = _capture_key(model, corpus, options)
                yield Capture(key, model, corpus, kept, options["poolings"])


def _check_versions(cells: Sequence[Cell]) -> None:
    """Ledger rows of models that cannot be measured need the version's name, without reading the texts."""
    for one in cells:
        corpus = one.parameters.get("corpus", BUILT_IN)
        if "model" in one.parameters and corpus != BUILT_IN and not one.parameters.get("version"):
            raise ParameterError(
                f"corpus {corpus} of the grid has no version; where models are `offered` or `all` are asked "
                "for, expected `version: masked` or `version: as-is`."
            )


def _cells(folder: Path, notebooks: Mapping, models: list, corpora: list) -> Iterator[Cell]:
    """Executions of every notebook over the models and the corpora that are evidence."""
    evidence = [(corpus, options) for corpus, options in corpora if not options["capture_only"]]
    for notebook, options in notebooks.items():
        for one in options if isinstance(options, list) else [options]:
            yield from _cells_of(folder, notebook, one or {}, models, evidence)


def _cells_of(folder: Path, notebook: str, options: Mapping, models: list, corpora: list) -> Iterator[Cell]:
    """Executions of one notebook: once per model × corpus (and pair) if it takes a model, else once.

    One with a corpus of its own is executed once per model, and captures what it reads.
    """
    where = f"notebook {notebook} of the grid"
    _is_a(Mapping, options, where)
    known_names("field", options, _NOTEBOOK_FIELDS, where)
    overrides = options.get("parameters") or {}
    _is_a(Mapping, overrides, f"parameters of {where}")
    for name in ("only", "corpora"):
        _is_a(list, options.get(name) or [], f"{name} of {where}")
    if "model" not in notebook_parameters(notebook_file(str(notebook), folder)):
        yield cell(notebook, overrides, folder=folder)
        return
    if only := options.get("only"):
        models = [model for model in models if model in only]
    if options.get("own_corpus"):
        yield from (cell(notebook, {"model": model, **overrides}, folder=folder) for model in models)
        return
    wanted = options.get("corpora")
    known_names("corpus", wanted or (), [corpus["corpus"] for corpus, _ in corpora], where)
    for model, (corpus, used) in itertools.product(models, corpora):
        if not _is_for(model, used) or (wanted and corpus["corpus"] not in wanted):
            continue
        parameters = {"model": model, **corpus, **overrides}
        languages = str(parameters.get("languages", ""))
        for chosen in _language_sets(languages, options.get("per_pair", False)):
            one = cell(notebook, {**parameters, **chosen}, folder=folder)
            yield replace(one, capture=_capture_key(model, corpus, used))


def _language_sets(languages: str, per_pair: bool | str) -> list[dict[str, str]]:
    """Parameters of a notebook's executions: all languages, each pair, or both."""
    names = codes_of.parse(languages) if languages else ()
    together = [{"languages": ",".join(names)} if names else {}]
    if per_pair not in (True, False, "also"):
        raise ParameterError(f"per_pair is {per_pair!r}; expected true, false or also.")
    if not per_pair:
        return together
    if len(names) < 2:
        raise ParameterError(f"per_pair needs at least two languages; the corpus has {listed(names)}.")
    anchor = codes_of.anchor(names)
    apart = [{"languages": f"{anchor},{name}"} for name in names if name != anchor]
    return [*(one for one in together if one not in apart), *apart] if per_pair == "also" else apart


def _subjects(variants: Mapping[str, Sequence[int]]) -> tuple[Subject, ...]:
    known_names("variant", variants, KINDS, "the grid")
    for kind, seeds in variants.items():
        _is_a(list, seeds or [], f"the seeds of variant {kind}")
        for seed in (one for one in seeds or [] if type(one) is not int or expected("seed", one)):
            wanted = expected("seed", -1)
            raise ParameterError(f"{seed!r} is among the seeds of variant {kind}; expected {wanted}.")
    return tuple(Subject(kind, seed) for kind, seeds in variants.items() for seed in (seeds or [None]))


def _capture_key(model: str, corpus: Mapping[str, object], options: Mapping) -> str:
    variants, poolings = [one.name for one in options["variants"]], options["poolings"]
    words = [model, corpus["corpus"], corpus.get("version", "default"), poolings]
    return executions.file_name(words, [model, dict(corpus), variants, poolings])


def _is_a(kind: type, value: object, what: str) -> None:
    if not isinstance(value, kind):
        wanted = "a list" if kind is list else "names with values"
        raise ParameterError(f"{what}: found {value!r}; expected {wanted}, as params/grid.yaml shows.")

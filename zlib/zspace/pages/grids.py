"""Grids: which captures and which executions of notebooks a batch consists of.

`params/grid.yaml` (or a file of one's own) holds grids. `plan(grid)` checks one and expands it into captures
(model × corpus × version, with all variants of the model) and cells (one execution of one notebook each).
Everything that papermill would accept silently (a parameter the notebook does not have, a number given as
text) is refused here, before anything is started.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from .. import files
from ..errors import ParameterError
from ..sources import weights

ANCHOR = "en"
BUILT_IN_CORPUS = "number-stories"
VARIANTS = ("trained", "random", "random-blocks", "permuted-embeddings")
_CORPUS_FIELDS = {
    "corpus": str,
    "version": str,
    "languages": str,
    "n_items": int,
    "n_scenarios": int,
    "n_draws": int,
    "difficulty": int,
    "seed": int,
}
_GRID_FIELDS = {
    "folder": str,
    "models": (list, str),
    "variants": dict,
    "corpora": list,
    "notebooks": dict,
    "summary": str,
}
_NOTEBOOK_FIELDS = ("parameters", "per_pair")


@dataclass(frozen=True)
class Capture:
    """Hidden states of one model and its twins on one corpus.

    key : name of its marker and log. model : name, hub id or folder.
    corpus : corpus parameters, flat scalars. variants : ("trained", "random-0", ...).
    """

    key: str
    model: str
    corpus: Mapping[str, object]
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One execution of one notebook.

    key : name of the executed copy. notebook : stem of the notebook. parameters : what papermill injects.
    capture : key of the capture it reads, or None.
    """

    key: str
    notebook: str
    parameters: Mapping[str, object]
    capture: str | None = None


@dataclass(frozen=True)
class Plan:
    """Everything a grid asks for.

    folder : where its notebooks lie. summary : executed after all cells. lenient : the grid asks for all
    models that there are, so one whose weights cannot be reached does not stop it.
    """

    grid: str
    folder: Path
    captures: tuple[Capture, ...]
    cells: tuple[Cell, ...]
    summary: Cell | None
    lenient: bool = False

    def cell(self, key: str) -> Cell:
        """The cell (or summary) of that key."""
        every = (*self.cells, self.summary) if self.summary else self.cells
        return next(c for c in every if c.key == key)

    @property
    def notebooks(self) -> tuple[str, ...]:
        """Stems of all notebooks that the plan executes."""
        every = (*self.cells, self.summary) if self.summary else self.cells
        return tuple(sorted({c.notebook for c in every}))


def plan(grid: str, *, models: str | None = None) -> Plan:
    """The plan of a grid, named in params/grid.yaml or lying in a YAML file of its own.

    `models` (comma-separated) replaces the grid's own. Raises ParameterError, naming what was found and what
    is known, for an unknown grid, field, corpus, notebook or notebook parameter and for values of the wrong
    type; ModelError for an unknown model.
    """
    content, base = _grid(grid)
    folder = (base / content["folder"]).resolve() if "folder" in content else files.PROJECT / "notebooks"
    names = _models(models.split(",") if models else content.get("models") or [], Path() if models else base)
    variants = _variant_names(content.get("variants") or {"trained": []})
    corpora = [_corpus(entry, variants, base) for entry in content.get("corpora") or []]
    captures = tuple(
        Capture(_capture_key(name, corpus), name, corpus, options["variants"])
        for name in names
        for corpus, options in corpora
    )
    evidence = [corpus for corpus, options in corpora if not options["capture_only"]]
    cells = tuple(
        cell
        for notebook, options in (content.get("notebooks") or {}).items()
        for cell in _cells(folder, notebook, options or {}, names, evidence)
    )
    twice = {c.key for c in cells if [d.key for d in cells].count(c.key) > 1}
    if twice:
        raise ParameterError(f"grid {grid} has two executions of the same name: {', '.join(sorted(twice))}.")
    summary = _summary(folder, content["summary"]) if "summary" in content else None
    lenient = content.get("models") == "all" and not models
    return Plan(grid, folder, captures, cells, summary, lenient)


def cell(notebook: str, parameters: Mapping[str, object], *, folder: Path | None = None) -> Cell:
    """One execution of a notebook with checked parameters (those not given keep the notebook's defaults).

    Raises ParameterError for an unknown notebook or parameter, or a value of another type than the default.
    """
    folder = folder or files.PROJECT / "notebooks"
    checked = check_parameters(notebook, parameters, folder=folder)
    known = notebook_parameters(folder / f"{notebook}.ipynb")
    shown = {name: checked.get(name, default) for name, default in known.items()}
    names = [str(shown[name]) for name in ("model", "corpus", "version") if name in shown]
    return Cell("--".join(_slug(n) for n in [notebook, *names]), notebook, checked)


def notebook_parameters(path: Path) -> dict[str, object]:
    """Names and defaults of the cell tagged `parameters`, in its order.

    Raises ParameterError where there is no such notebook, cell, or a default is not a plain literal.
    """
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.ipynb"))
        raise ParameterError(f"no notebook {path.stem!r} in {path.parent}. Known: {_listed(known)}.")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise ParameterError(
            f"{path.name} has {len(tagged)} cells tagged `parameters`; expected exactly one."
        )
    found = {}
    for line in ast.parse("".join(tagged[0]["source"])).body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        try:
            found[target.id] = ast.literal_eval(line.value)
        except (AttributeError, ValueError):
            raise ParameterError(
                f"the parameters cell of {path.name} holds `{ast.unparse(line)}`; "
                "expected only lines like `n_draws = 4`."
            ) from None
    return found


def read_parameters(
    notebook: str, words: Mapping[str, str], *, folder: Path | None = None
) -> dict[str, object]:
    """Parameters given as text on a command line, each read as the type of the notebook's default."""
    folder = folder or files.PROJECT / "notebooks"
    known = notebook_parameters(folder / f"{notebook}.ipynb")
    known_names("parameter", words, known, f"notebook {notebook}")
    read = {name: _from_text(word, known[name]) for name, word in words.items()}
    return read | {name: located(read[name], Path()) for name in ("model", "corpus") if name in read}


def check_parameters(notebook: str, parameters: Mapping[str, object], *, folder: Path) -> dict[str, object]:
    """Parameters for a notebook, refused where papermill would silently accept them."""
    known = notebook_parameters(folder / f"{notebook}.ipynb")
    known_names("parameter", parameters, known, f"notebook {notebook}")
    checked = {}
    for name, value in parameters.items():
        if not _same_type(value, known[name]):
            raise ParameterError(
                f"parameter {name} of notebook {notebook} is {value!r} ({type(value).__name__}); "
                f"expected {type(known[name]).__name__}, like its default {known[name]!r}."
            )
        checked[name] = value
    return checked


def _grid(grid: str) -> tuple[dict, Path]:
    """Content of a grid and the folder that its `folder` is relative to."""
    path = Path(grid)
    if path.suffix not in (".yaml", ".yml"):
        known = files.params("grid")
        known_names("grid", [grid], known, "params/grid.yaml")
        return _checked(known[grid], grid), files.PROJECT
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"cannot read the grid file {grid}: {error}") from error
    return _checked(content, grid), path.resolve().parent


def _checked(content: object, grid: str) -> dict:
    if not isinstance(content, dict):
        raise ParameterError(f"grid {grid} is no mapping; expected the fields {_listed(_GRID_FIELDS)}.")
    known_names("field", content, _GRID_FIELDS, f"grid {grid}")
    for name, value in content.items():
        if not isinstance(value, _GRID_FIELDS[name]) or (
            isinstance(value, str) and name == "models" and value != "all"
        ):
            raise ParameterError(
                f"field {name} of grid {grid} is {value!r}; params/grid.yaml shows its form."
            )
    return content


def _models(names: str | Sequence[str], base: Path) -> list[str]:
    """Names of models, each known to `weights.find`, which raises ModelError listing the known ones."""
    names = list(files.params("models")) if names == "all" else [located(name, base) for name in names]
    for name in names:
        weights.find(name)
    return names


def _corpus(entry: Mapping, variants: tuple[str, ...], base: Path) -> tuple[dict[str, object], dict]:
    """Parameters of a corpus in a grid, and how it is used: its variants, and whether it is captured only."""
    entry = dict(entry)
    own = entry.pop("variants", None)
    options = {
        "variants": _variant_names(own) if own else variants,
        "capture_only": entry.pop("capture_only", False),
    }
    known_names("corpus field", entry, _CORPUS_FIELDS, "a corpus of the grid")
    for name, value in entry.items():
        if type(value) is not _CORPUS_FIELDS[name]:
            expected = _CORPUS_FIELDS[name].__name__
            raise ParameterError(f"corpus field {name} is {value!r}; expected a value of type {expected}.")
    found = located(entry.get("corpus", ""), base)
    if found != BUILT_IN_CORPUS and not Path(found).is_absolute():
        raise ParameterError(
            f"unknown corpus {found!r} in the grid. Known: {BUILT_IN_CORPUS}, or a folder or file "
            f"(relative to {base.resolve()})."
        )
    return entry | {"corpus": found}, options


def _summary(folder: Path, notebook: str) -> Cell:
    """The notebook that reads all verdicts: of this runs root, not of the snapshot that is its default."""
    takes_ledger = "ledger" in notebook_parameters(folder / f"{notebook}.ipynb")
    given = {"ledger": str(files.runs_root() / "ledger")} if takes_ledger else {}
    return cell(notebook, given, folder=folder)


def _cells(folder: Path, notebook: str, options: Mapping, models: list, corpora: list) -> Iterator[Cell]:
    """Executions of one notebook: once per model × corpus (× pair) if it takes a model, else once."""
    known_names("field", options, _NOTEBOOK_FIELDS, f"notebook {notebook} of the grid")
    overrides = options.get("parameters") or {}
    if "model" not in notebook_parameters(folder / f"{notebook}.ipynb"):
        yield cell(notebook, overrides, folder=folder)
        return
    for model in models:
        for corpus in corpora:
            parameters = {"model": model, **corpus, **overrides}
            for languages in _language_sets(str(parameters.get("languages", "")), options.get("per_pair")):
                one = cell(notebook, {**parameters, **languages}, folder=folder)
                pair = "--" + _slug(languages["languages"]) if options.get("per_pair") else ""
                yield Cell(one.key + pair, notebook, one.parameters, _capture_key(model, corpus))


def _language_sets(languages: str, per_pair: bool | None) -> list[dict[str, str]]:
    names = [name.strip() for name in languages.split(",") if name.strip()]
    if per_pair:
        return [{"languages": f"{ANCHOR},{name}"} for name in names if name != ANCHOR]
    return [{"languages": ",".join(names)}] if names else [{}]


def _variant_names(variants: Mapping[str, Sequence[int]]) -> tuple[str, ...]:
    known_names("variant", variants, VARIANTS, "the grid")
    return tuple(f"{v}-{s}" if s != "" else v for v, seeds in variants.items() for s in (seeds or [""]))


def _capture_key(model: str, corpus: Mapping[str, object]) -> str:
    settings = {k: v for k, v in corpus.items() if k not in ("corpus", "version", "languages")}
    names = [model, str(corpus["corpus"]), str(corpus.get("version", "default"))]
    return "--".join([*(_slug(n) for n in names), files.fingerprint(settings, 6)])


def located(name: str, base: Path) -> str:
    """A model or corpus by its name, or by its absolute path where the name is one of a file or folder.

    Jobs and notebooks run in other folders than the one a relative path was meant for.
    """
    path = base / Path(name).expanduser()
    if name in ("", BUILT_IN_CORPUS) or name in files.params("models") or not path.exists():
        return name
    return str(path.resolve())


def known_names(kind: str, names: Sequence | Mapping, known: Sequence | Mapping, where: str) -> None:
    for name in names:
        if name not in known:
            raise ParameterError(f"unknown {kind} {name!r} in {where}. Known: {_listed(known)}.")


def _listed(names: Sequence | Mapping) -> str:
    return ", ".join(str(n) for n in names) or "none"


def _slug(name: str) -> str:
    """A name as part of a file name: the last part of a path, a hub id with dashes for its slash."""
    name = Path(name).name if Path(name).is_absolute() else name
    return re.sub(r"[^\w.]+", "-", name).strip("-.")


def _same_type(value: object, default: object) -> bool:
    if default is None:
        return True
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _from_text(word: str, default: object) -> object:
    """A word of a command line as the type of a default; the word itself where it is nothing of the kind."""
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(word.lower(), word)
    if isinstance(default, int | float):
        try:
            return type(default)(word)
        except ValueError:
            return word
    return word if isinstance(default, str) else yaml.safe_load(word)

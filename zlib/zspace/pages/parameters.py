"""Parameters of notebooks: what their cell tagged `parameters` declares, and values checked against it.

papermill accepts silently a parameter that the notebook does not have, or a number given as text; both are
refused here.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from .. import files
from ..errors import ParameterError
from ..sources.corpora import BUILT_IN


def notebook_parameters(path: Path) -> dict[str, object]:
    """Names and defaults of the cell tagged `parameters`, in its order.

    Raises ParameterError where there is no such notebook, cell, or a default is not a plain literal.
    """
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.ipynb"))
        raise ParameterError(f"no notebook {path.stem!r} in {path.parent}. Known: {listed(known)}.")
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
    for name, value in parameters.items():
        if not _same_type(value, known[name]):
            raise ParameterError(
                f"parameter {name} of notebook {notebook} is {value!r} ({type(value).__name__}); "
                f"expected {type(known[name]).__name__}, like its default {known[name]!r}."
            )
    return dict(parameters)


def located(name: str, base: Path) -> str:
    """A model or corpus by its name, or by its absolute path where the name is one of a file or folder.

    Jobs and notebooks run in other folders than the one a relative path was meant for.
    """
    path = base / Path(name).expanduser()
    if name in ("", BUILT_IN) or name in files.params("models") or not path.exists():
        return name
    return str(path.resolve())


def known_names(kind: str, names: Sequence | Mapping, known: Sequence | Mapping, where: str) -> None:
    for name in names:
        if name not in known:
            raise ParameterError(f"unknown {kind} {name!r} in {where}. Known: {listed(known)}.")


def listed(names: Sequence | Mapping) -> str:
    return ", ".join(str(n) for n in names) or "none"


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

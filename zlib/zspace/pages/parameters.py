"""Parameters of notebooks, checked before anything is started.

papermill accepts silently a parameter that the notebook does not have, or a number given as text; both are
refused here, as is every value that nothing can be computed from.
"""

import math
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from .. import files
from ..errors import CorpusError, ParameterError
from ..evidence.executions import PLACES, located, notebook_parameters
from ..sources import languages
from ..sources.stories import PADDINGS

_NEEDED = ("model", "corpus", "languages", "levels")  # empty text says nothing here
_CODES = ("languages", "other_languages", "written")
_NAMES = {"version": ("", "spelled-out", "digits", "masked", "as-is"), "padding": ("", *PADDINGS)}
_FROM_ZERO = ("seed", "n_items", "n_re_rounded", "n_live", "layer")  # other whole numbers begin at 1
_LEVELS = range(1, 6)  # operations of a number story


def read_parameters(
    notebook: str, words: Mapping[str, str], *, folder: Path | None = None
) -> dict[str, object]:
    """Parameters given as text on a command line, each read as the type of the notebook's default."""
    known = notebook_parameters(notebook_file(notebook, folder))
    known_names("parameter", words, known, f"notebook {notebook}")
    read = {name: _from_text(word, known[name]) for name, word in words.items()}
    return read | {name: located(read[name], Path()) for name in PLACES if name in read}


def notebook_file(notebook: str, folder: Path | None = None) -> Path:
    """The file of a notebook of the checkout, or of another folder; raises ParameterError where it is none.

    A notebook is a name, not a path: what it is called decides where its executed copy goes.
    """
    folder = folder or files.PROJECT / "notebooks"
    known = sorted(p.stem for p in folder.glob("*.ipynb"))
    if notebook not in known:
        raise ParameterError(f"no notebook {notebook!r} in {folder}. Known: {listed(known)}.")
    return folder / f"{notebook}.ipynb"


def check_parameters(notebook: str, parameters: Mapping[str, object], *, folder: Path) -> dict[str, object]:
    """Parameters for a notebook as they are to be given to it; raises ParameterError for any that is wrong.

    Languages are separated by single commas in what is returned, however they were.
    """
    known = notebook_parameters(notebook_file(notebook, folder))
    known_names("parameter", parameters, known, f"notebook {notebook}")
    for name, value in parameters.items():
        said = f"parameter {name} of notebook {notebook} is {value!r}"
        if not _same_type(value, known[name]):
            raise ParameterError(
                f"{said} ({type(value).__name__}); expected {type(known[name]).__name__}, like its default "
                f"{known[name]!r}.{yaml_hint(value, known[name])}"
            )
        if wanted := expected(name, value):
            raise ParameterError(f"{said}; expected {wanted}.")
    return {k: ",".join(_codes(v)) if k in _CODES else v for k, v in parameters.items()}


def expected(name: str, value: object) -> str:
    """What the value of a parameter should be, in words, where it is nothing of the kind; else empty."""
    if isinstance(value, str):
        return _expected_text(name, value)
    if isinstance(value, bool):
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if name == "difficulty" and value not in _LEVELS:
        return f"a whole number from {_LEVELS[0]} to {_LEVELS[-1]}"
    least = 0 if name in _FROM_ZERO else 1
    is_low = isinstance(value, int) and value < least
    return f"a whole number of at least {least}" if is_low else ""


def _expected_text(name: str, value: str) -> str:
    # control signs, halves of a pair and line ends would not reach the notebook as they are
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in value):
        return "text without control characters that is valid Unicode"
    if name in _NEEDED and not value.strip(" ,"):
        return "a name" if name in PLACES else "one or more, separated by commas"
    if name in _NAMES and value not in _NAMES[name]:
        return " or ".join(repr(one) for one in _NAMES[name])
    if name in _CODES and value.strip() and not _codes(value):
        return "different language codes of letters, digits, - and _, separated by commas"
    if name == "levels" and not all(c.strip() in map(str, _LEVELS) for c in value.split(",")):
        return f"whole numbers from {_LEVELS[0]} to {_LEVELS[-1]}, separated by commas"
    return ""


def yaml_hint(value: object, default: object) -> str:
    """What to do about a word that YAML takes for a truth value, as it does the code of Norwegian."""
    if isinstance(value, bool) and isinstance(default, str):
        return ' YAML reads a bare no, yes, on or off as a truth value: put it in quotes, as in "no".'
    return ""


def split_models(text: str) -> list[str]:
    """Names of models separated by commas; a path keeps the commas that are part of it."""
    parts, names = text.split(","), []
    while parts:
        ends = [n for n in range(len(parts), 1, -1) if os.path.exists(",".join(parts[:n]).strip())]
        n = ends[0] if ends else 1
        names.append(",".join(parts[:n]).strip())
        del parts[:n]
    return [name for name in names if name]


def known_names(kind: str, names: Sequence | Mapping, known: Sequence | Mapping, where: str) -> None:
    for name in names:
        if name not in known:
            raise ParameterError(f"unknown {kind} {name!r} in {where}. Known: {listed(known)}.")


def listed(names: Sequence | Mapping) -> str:
    return ", ".join(str(n) for n in names) or "none"


def _codes(text: str) -> tuple[str, ...]:
    """Different language codes that a text names; none where it is no such text."""
    try:
        codes = languages.parse(text)
    except CorpusError:
        return ()
    return codes if all(re.fullmatch(r"[\w-]+", code) for code in codes) else ()


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
    if isinstance(default, str):
        return word
    try:
        return yaml.safe_load(word)
    except (yaml.YAMLError, ValueError, RecursionError):
        return word

"""What one execution of a notebook is, and what keeps two of them apart on disk and on a page.

An execution is a notebook with a value for each of its parameters. Names are for people: a file's name begins
with words (`files.slug`) and ends with the hash of everything that makes the execution what it is, so that
equal words never make two files one. On a page words have to be enough: `told_apart` makes them so.
"""

import ast
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import files
from ..errors import ParameterError
from ..sources.corpora import BUILT_INS

PLACES = ("model", "corpus")  # parameters that may be the path of a file or folder
_HASH = 12  # hexadecimal digits that end a file's name
# signs of the words in a file's name: six, two hashes, `.capture--` and `.lock` stay below 255 in all
_LONGEST_FIRST, _LONGEST = 56, 28


def notebook_parameters(path: Path) -> dict[str, object]:
    """Names and defaults of a notebook's cell tagged `parameters`, in its order.

    Raises ParameterError where the notebook cannot be read, has no such cell, or a default is not a plain
    literal.
    """
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        tagged = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", ())]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ParameterError(
            f"{path} is not a notebook that can be read ({type(error).__name__}: {error}); expected an "
            ".ipynb file."
        ) from error
    if len(tagged) != 1:
        raise ParameterError(
            f"{path.name} has {len(tagged)} cells tagged `parameters`; expected exactly one."
        )
    return dict(_assignments(tagged[0], path.name))


def _assignments(source: str, where: str) -> list[tuple[str, object]]:
    try:
        lines = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: half a surrogate pair, a NUL
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ParameterError(f"the parameters cell of {where} is not Python: {said}.") from error
    found = []
    for line in lines:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        try:
            found.append((target.id, ast.literal_eval(line.value)))
        except (AttributeError, ValueError):
            raise ParameterError(
                f"the parameters cell of {where} holds `{ast.unparse(line)}`; "
                "expected only lines like `n_draws = 4`."
            ) from None
    return found


def located(name: str, base: Path) -> str:
    """A model or corpus by its name, or by its absolute path where the name is one of a file or folder.

    Jobs and notebooks run in other folders than the one a relative path was meant for. A known name is never
    a path.
    """
    # unlike those of pathlib these never raise, whatever the name
    path = os.path.join(base, os.path.expanduser(name))
    if name in ("", *BUILT_INS) or name in files.params("models") or not os.path.exists(path):
        return name
    return os.path.realpath(path)


def placed(parameters: Mapping[str, object], base: Path) -> dict[str, object]:
    """Parameters with model and corpus as `located` gives them; all others as they are."""
    return {k: located(v, base) if k in PLACES and isinstance(v, str) else v for k, v in parameters.items()}


def effective(path: Path, given: Mapping[str, object]) -> dict[str, object]:
    """All parameters of the notebook at `path` with the values it runs with: those given, else defaults."""
    return placed(notebook_parameters(path) | dict(given), path.parent)


def file_name(words: Sequence[object], *about: object) -> str:
    """A file's name without its ending: some words for people, then one hash of each description."""
    longest = [_LONGEST_FIRST] + [_LONGEST] * (len(words) - 1)
    spoken = filter(None, (files.slug(str(word), n) for word, n in zip(words, longest, strict=True)))
    return "--".join([*spoken, *(files.fingerprint(one, _HASH) for one in about)])


def told_apart(records: Sequence[Mapping]) -> list[tuple[str, str]]:
    """(model, corpus) of each ledger record as people read them: no two records of a claim are called alike.

    A model or corpus that is a path has the shortest ending that no other one of these records shares.
    Where records of one claim are of one model and corpus still, but not of the same languages, size or seed,
    every record of that model and corpus says which it is of.
    """
    models = _shortest({one["model"] for one in records})
    named = [(models[one["model"]], name) for one, name in zip(records, _corpora(records), strict=True)]
    together: dict[tuple, list[int]] = {}
    for i, name in enumerate(named):
        together.setdefault(name, []).append(i)
    for (model, corpus), rows in together.items():
        for i, words in zip(rows, _differences([records[i] for i in rows]), strict=True):
            named[i] = model, f"{corpus} ({words})" if words else corpus
    return named


def _corpora(records: Sequence[Mapping]) -> list[str]:
    """The corpus of each record: its label, with more of its path where another one has that label."""
    lying: dict[str, set[str]] = {}
    for one in records:
        lying.setdefault(one["corpus"], set()).add(_parameters(one).get("corpus", ""))
    shown = []
    for one in records:
        label, others = one["corpus"], lying[one["corpus"]] - {""}
        path = _parameters(one).get("corpus", "")
        if len(others) > 1 and path:
            _, slash, version = label.rpartition("/")
            label = f"{_shortest(others)[path]}{slash}{version}"
        shown.append(label)
    return shown


def _shortest(names: set[str]) -> dict[str, str]:
    """Each name, and for absolute paths the fewest last parts that tell them from all others."""
    paths = {name: Path(name).parts for name in names if os.path.isabs(name)}
    shown = {name: name for name in names}
    for name, parts in paths.items():
        taken = [other for other in names if other != name]
        endings = ["/".join(parts[-n:]) for n in range(1, len(parts))]
        free = (e for e in endings if not any(o == e or o.endswith(f"/{e}") for o in taken))
        shown[name] = next(free, name)
    return shown


def _differences(records: Sequence[Mapping]) -> list[str]:
    """Of each record the parameters in which records of one claim differ, in words; else their number."""
    by_claim: dict[str, list[Mapping]] = {}
    for one in records:
        by_claim.setdefault(one["claim"], []).append(_parameters(one))
    names = dict.fromkeys(n for same in by_claim.values() for one in same for n in one if n not in PLACES)
    differing = [
        n for n in names if any(len({repr(p.get(n)) for p in same}) > 1 for same in by_claim.values())
    ]
    said, found = Counter(), []
    for one in records:
        known = _parameters(one)
        words = ", ".join(f"{n.replace('_', ' ')} {known[n]}" for n in differing if n in known)
        said[one["claim"], words] += 1
        repeated = said[one["claim"], words]
        found.append(words if repeated == 1 else ", ".join(filter(None, (words, f"record {repeated}"))))
    return found


def _parameters(record: Mapping) -> Mapping:
    return record.get("execution", {}).get("parameters", {})

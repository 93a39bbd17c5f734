"""States that somebody saved already, brought into the store as if they had been captured here.

A file (.npz, .safetensors, or .pt of tensors) holds arrays named `language`, `variant/language` or
`variant/language/pooling`, each (L+1, n, d): layer, item, hidden; and token ids `token_ids/language`
(n, T), padded with -1. States of every token, (L+1, n, T, d), are pooled over those that have an id.
`variant` is "trained" (the default) or the name of a variant, such as "random-0".
Arrays that lie in several files are gathered by a small YAML mapping with the same names as keys. Rows are
the items of a corpus that `corpora.load` can load, in its order.

Imported states are known by a name, which notebooks take as `model`. Nothing is computed for them: a variant
that was not imported stays absent.
"""

import datetime
import hashlib
import itertools
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .. import files
from ..errors import AbsentStatesError, AmbiguousStatesWarning, ParameterError, StoreError
from ..sources.models import Subject
from . import arrays, pooling, store
from .pooling import NAMES as POOLINGS
from .store import NO_TOKEN

if TYPE_CHECKING:
    from ..sources.corpora import Corpus

TOKEN_IDS = "token_ids"
LAST_LAYERS = ("before-norm", "after-norm")
# In models, trained or random, layers differ in norm hundreds of times more than items do, and coordinates in
# mean six times more than items; where neither is so, or not clearly, the axes may be exchanged.
_CLEAR = 4.0
_VERSION = 1  # part of every imported key; raise when a change below changes what a file yields


@dataclass(frozen=True)
class Imported:
    """States imported under one name for one corpus.

    `digest` identifies the content of all arrays; `variants` are names of subjects ("trained", "random-0"),
    `languages` and `poolings` what each of them has; `has_tokens` whether token ids came along.
    """

    name: str
    corpus: str
    version: str
    digest: str
    variants: tuple[str, ...]
    languages: tuple[str, ...]
    poolings: tuple[str, ...]
    has_tokens: bool

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What the states are of."""
        return tuple(map(Subject.parse, self.variants))

    def identity(self, subject: Subject) -> dict:
        """What `models.identity` says of a captured model."""
        tokenizer = self.digest if self.has_tokens else "none"
        marks = {"kind": "imported", "revision": self.digest, "weights": self.digest, "tokenizer": tokenizer}
        variant = {"variant": subject.kind, "seed": subject.seed}
        return {"model": self.name, **marks, **variant, "dtype": "float32", "versions": {}}


def find(name: str, corpus: "Corpus") -> Imported | None:
    """States imported under a name for a corpus (its name and version); None for a name never imported.

    Raises AbsentStatesError where that name was imported for other corpora only.
    """
    known = _registry(name)
    if not known:
        return None
    for entry in known:
        if (entry["corpus"], entry["version"]) == (corpus.name, corpus.version):
            given = {k: entry[k] for k in Imported.__dataclass_fields__}
            return Imported(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    there = ", ".join(f"{entry['corpus']}/{entry['version']}" for entry in known)
    raise AbsentStatesError(
        f"the imported states of {name!r} belong to {there}, not to {corpus.name}/{corpus.version}. Load "
        "that corpus, or import states of this one under the same name."
    )


def open_states(found: Imported, corpus: "Corpus", subject: Subject, poolings: Sequence[str]) -> xr.Dataset:
    """Imported states of a subject in all languages of a corpus, as `store.open` describes them.

    Raises AbsentStatesError where the subject, a language, a pooling or these texts were not imported.
    """
    absent = [] if subject in found.subjects else [subject.name]
    absent += [code for code in corpus.languages if code not in found.languages]
    absent += [f"{name} pooling" for name in poolings if name not in found.poolings]
    described, marks = _description(found, corpus, subject), store.fingerprints(corpus)
    if absent or store.missing(described, marks):
        there = [", ".join(part) for part in (found.variants, found.languages, found.poolings)]
        raise AbsentStatesError(
            f"the imported states of {found.name!r} lack {', '.join(absent) or 'these texts and items'}; "
            f"they have {there[0]} in {there[1]} ({there[2]} pooling) for {corpus.name}/{corpus.version} as "
            "it was loaded then. Import what is missing, or ask for less."
        )
    return store.open(store.folder(described).name, marks)


def add(
    path: str | Path, name: str, corpus: "Corpus", *, pooling: str = "mean", last_layer: str = "before-norm"
) -> Imported:
    """Import a file of states, or a YAML mapping to several, under a name; an earlier import is replaced.

    Parameters
    ----------
    path : see above. name : what notebooks get as `model`; not a name of params/models.yaml.
    corpus : the texts that the states are of, with all languages of the file.
    pooling : how tokens were averaged where an array's name does not say it.
    last_layer : "before-norm", or "after-norm" where the last layer is normed already, as in what
        transformers returns for `output_hidden_states`: it is left out, because a norm cannot be undone.

    Raises
    ------
    StoreError : unreadable or unnamed arrays, a wrong shape or type, numbers that are not finite, a layer in
        which all items are alike, two items of different texts that are alike in all layers, one array given
        twice, axes that are exchanged, languages or variants that differ in layers or width.

    Warns AmbiguousStatesWarning where two axes are of one length and nothing tells which is which.
    """
    path = Path(path)
    _require_name(name)
    if pooling not in POOLINGS or last_layer not in LAST_LAYERS:
        raise StoreError(
            f"pooling={pooling!r}, last_layer={last_layer!r}; expected one of {', '.join(POOLINGS)} and one "
            f"of {', '.join(LAST_LAYERS)}."
        )
    states, tokens = _sorted(arrays.read(path), path, pooling, corpus)
    tokens = {code: _checked_tokens(code, ids, corpus) for code, ids in tokens.items()}
    states = {place: _pooled(place, a, tokens) for place, a in states.items()}
    states = {place: _checked(place, a, corpus, last_layer) for place, a in states.items()}
    _check_together(states, path)
    for place, array in states.items():
        _check_axes("/".join(place), array)
        _check_items("/".join(place), array, corpus.items["item"].tolist(), corpus.texts[place[1]])
    _check_given_once(states, tokens, corpus)
    without = sorted({code for _, code, _ in states} - set(tokens))
    if tokens and without:
        raise StoreError(
            f"{path.name} has token ids of {', '.join(tokens)}, but none of {', '.join(without)}; give those "
            "of every language, or of none."
        )
    found = _imported(name, corpus, states, tokens)
    for subject in found.subjects:
        _write(found, subject, corpus, states, tokens)
    _register(found, path)
    return found


def _require_name(name: str) -> None:
    is_name = name.isprintable() and not set("/\\: ") & set(name) and name.strip(".")
    if name in files.params("models") or not is_name:
        raise StoreError(
            f"states cannot be imported as {name!r}: take a name without spaces, slashes and colons that "
            "params/models.yaml does not use."
        )


def _sorted(found: dict, path: Path, pooling: str, corpus: "Corpus") -> tuple[dict, dict]:
    """Arrays by (variant, language, pooling), and token ids by language, from their names."""
    states, tokens = {}, {}
    for name, array in found.items():
        parts = name.split("/")
        if parts[0] == TOKEN_IDS and len(parts) == 2 and parts[1] in corpus.languages:
            tokens[parts[1]] = array
            continue
        parts = parts if len(parts) > 1 else ["trained", *parts]
        parts = parts if len(parts) > 2 else [*parts, pooling]
        if len(parts) != 3 or parts[1] not in corpus.languages or parts[2] not in POOLINGS:
            raise StoreError(
                f"{path.name}: array {name!r} is none of LANGUAGE, VARIANT/LANGUAGE, "
                f"VARIANT/LANGUAGE/POOLING or {TOKEN_IDS}/LANGUAGE, with a language of the corpus "
                f"({', '.join(corpus.languages)}) and a pooling ({', '.join(POOLINGS)})."
            )
        try:
            Subject.parse(parts[0])
        except ParameterError as error:
            raise StoreError(f"{path.name}: {error}") from error
        if tuple(parts) in states:
            raise StoreError(f"{path.name} holds {'/'.join(parts)} twice, under a short and a long name.")
        states[tuple(parts)] = array
    if not any(variant == "trained" for variant, _, _ in states):
        raise StoreError(
            f"{path.name} holds no states of the trained model; expected arrays named by language."
        )
    return states, tokens


def _pooled(place: tuple, array: np.ndarray, tokens: Mapping) -> np.ndarray:
    """States of every token pooled over the tokens that have an id; others as they are."""
    if array.ndim != 4 or not np.issubdtype(array.dtype, np.floating):
        return array
    _, code, name = place
    if code not in tokens or tokens[code].shape != array.shape[1:3]:
        raise StoreError(
            f"{'/'.join(place)} has shape {array.shape}, with an axis of tokens; give {TOKEN_IDS}/{code} of "
            f"shape {array.shape[1:3]}, {NO_TOKEN} at padding and special tokens, or pool over the tokens."
        )
    import torch

    content = torch.from_numpy(tokens[code] >= 0)
    (reduce,) = pooling.reducers(content, [name])
    layers = (torch.from_numpy(one.astype(np.float32)) for one in array)
    return np.stack([reduce(h.masked_fill(~content[..., None], 0)).numpy() for h in layers])


def _checked(place: tuple, array: np.ndarray, corpus: "Corpus", last_layer: str) -> np.ndarray:
    """States (L+1, n, d) as float32, or the reason why they cannot be."""
    what, n = "/".join(place), len(corpus)
    fewest = 3 if last_layer == "after-norm" else 2
    if array.ndim != 3 or array.shape[1] != n or array.shape[0] < fewest:
        hint = ""
        if array.ndim == 3 and n in array.shape and array.shape[1] != n:
            hint = f" The items seem to be on axis {array.shape.index(n)}: move that axis to the middle."
        raise StoreError(
            f"{what} has shape {array.shape}; expected (layers, items, hidden) with the {n} items of "
            f"{corpus.name}/{corpus.version} and at least {fewest} layers.{hint}"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise StoreError(f"{what} holds {array.dtype}; expected floating-point numbers.")
    states = array.astype(np.float32)
    for layer, one in enumerate(states):
        if not np.isfinite(one).all():
            raise StoreError(
                f"{what}: layer {layer} has numbers that are not finite in float32. float16 overflows in "
                "many models: save them as float32 or bfloat16."
            )
        # the last token's embedding may be one and the same for all items
        if (one == one[0]).all() and (layer or place[2] != "last"):
            raise StoreError(
                f"{what}: layer {layer} is the same for all items, so nothing can be told apart."
            )
    return states[:-1] if last_layer == "after-norm" else states


def _check_axes(what: str, states: np.ndarray) -> None:
    """Refuse axes of one length that are exchanged, by how norms and means differ along them."""
    n_layers, n, width = states.shape
    doubtful = []
    if n_layers == n:
        norms = np.log(np.linalg.norm(states.astype(np.float64), axis=2) + np.finfo(float).tiny)
        doubtful.append(("layers", "items", "norms", norms.mean(1).var(), norms.mean(0).var()))
    if width == n:
        by_item, by_coordinate = (states.mean(axis, dtype=np.float64).var(1).mean() for axis in (2, 1))
        doubtful.append(("items", "hidden", "means", by_coordinate, by_item))
    for first, second, measure, expected, other in doubtful:
        if _CLEAR * expected < other:
            raise StoreError(
                f"{what} has as many {first} as {second} ({n}), and by their {measure} these axes are "
                "exchanged; expected (layers, items, hidden)."
            )
        if expected < _CLEAR * other:
            told = f"as many {first} as {second} ({n}), and their {measure} do not tell which axis is which"
            _warn_of_axes(what, told)
    if n_layers > width:
        _warn_of_axes(what, f"more layers ({n_layers}) than coordinates ({width})")


def _warn_of_axes(what: str, found: str) -> None:
    words = f"{what} has {found}; make sure that its axes are (layers, items, hidden)."
    warnings.warn(words, AmbiguousStatesWarning, stacklevel=4)


def _check_items(what: str, states: np.ndarray, items: Sequence[str], texts: Sequence[str]) -> None:
    """Refuse two items that are alike in all layers, unless their texts are."""
    seen: dict[bytes, int] = {}
    for row in range(states.shape[1]):
        mark = hashlib.sha256(np.ascontiguousarray(states[:, row]).tobytes()).digest()
        first = seen.setdefault(mark, row)
        if texts[first] != texts[row]:
            raise StoreError(
                f"{what}: the items {items[first]!r} and {items[row]!r} have the same states in all layers, "
                "but other texts; each row is one item of the corpus."
            )


def _check_together(states: Mapping[tuple, np.ndarray], path: Path) -> None:
    """All arrays have the same layers and width, all variants the same languages and poolings."""
    shapes = {place: array.shape for place, array in states.items()}
    first = next(iter(shapes))
    for place, shape in shapes.items():
        if shape != shapes[first]:
            raise StoreError(
                f"{path.name}: {'/'.join(place)} has shape {shape}, {'/'.join(first)} has {shapes[first]}; "
                "all must have the same layers, items and hidden size."
            )
    wanted = sorted(place[1:] for place in states if place[0] == "trained")
    for variant in dict.fromkeys(place[0] for place in states):
        found = sorted(place[1:] for place in states if place[0] == variant)
        if found != wanted or len(found) != len({c for c, _ in found}) * len({p for _, p in found}):
            raise StoreError(
                f"{path.name}: {variant} has {['/'.join(f) for f in found]}, trained has "
                f"{['/'.join(w) for w in wanted]}; every variant needs each language in each pooling."
            )


def _check_given_once(states: Mapping[tuple, np.ndarray], tokens: Mapping, corpus: "Corpus") -> None:
    """Refuse one array given for two languages of different texts, or for two variants."""
    marks = {place: hashlib.sha256(np.ascontiguousarray(a)).digest() for place, a in states.items()}
    for one, other in itertools.combinations(states, 2):
        same_texts = corpus.texts[one[1]] == corpus.texts[other[1]]
        # texts of one token are alike in all poolings
        may_be_alike = same_texts if one[1] != other[1] else one[2] != other[2]
        if not may_be_alike and marks[one] == marks[other]:
            raise StoreError(
                f"{'/'.join(one)} and {'/'.join(other)} are the same numbers: one array was given twice."
            )
    for (one, first), (other, second) in itertools.combinations(tokens.items(), 2):
        if corpus.texts[one] != corpus.texts[other] and np.array_equal(first, second):
            raise StoreError(
                f"{TOKEN_IDS}/{one} and {TOKEN_IDS}/{other} are the same ids, but the texts are not."
            )


def _checked_tokens(code: str, ids: np.ndarray, corpus: "Corpus") -> np.ndarray:
    what = f"{TOKEN_IDS}/{code}"
    if ids.ndim != 2 or len(ids) != len(corpus) or not np.issubdtype(ids.dtype, np.integer):
        raise StoreError(
            f"{what} has shape {ids.shape} and type {ids.dtype}; expected ({len(corpus)}, longest text) "
            f"whole numbers, padded with {NO_TOKEN}."
        )
    if ids.min(initial=0) < NO_TOKEN or not (ids >= 0).any(1).all():
        row = int(np.argmin((ids >= 0).any(1)))
        raise StoreError(
            f"{what}: ids are below {NO_TOKEN}, or row {row} has no token; padding is {NO_TOKEN}, special "
            "tokens are left out, and each text has at least one token."
        )
    return ids.astype(np.int32)


def _imported(name: str, corpus: "Corpus", states: Mapping, tokens: Mapping) -> Imported:
    digest = hashlib.sha256()
    for place, array in sorted(states.items()):
        digest.update("/".join(place).encode() + np.ascontiguousarray(array).tobytes())
    for code, ids in sorted(tokens.items()):
        digest.update(code.encode() + np.ascontiguousarray(ids).tobytes())
    languages = tuple(c for c in corpus.languages if ("trained", c) in {p[:2] for p in states})
    return Imported(
        name=name,
        corpus=corpus.name,
        version=corpus.version,
        digest=digest.hexdigest()[:16],
        variants=tuple(dict.fromkeys(place[0] for place in states)),
        languages=languages,
        poolings=tuple(p for p in POOLINGS if p in {place[2] for place in states}),
        has_tokens=all(code in tokens for code in languages),
    )


def _write(found: Imported, subject: Subject, corpus: "Corpus", states: Mapping, tokens: Mapping) -> None:
    described, none = _description(found, corpus, subject), np.full((len(corpus), 1), NO_TOKEN)
    for code in found.languages:
        ids = [row[row >= 0] for row in tokens.get(code, none)]
        pooled = {pooling: states[subject.name, code, pooling] for pooling in found.poolings}
        mark = corpus.language_fingerprint(code)
        with files.lock(store.folder(described)):
            store.write(described, code, mark, pooled, ids, corpus.items)


def _description(found: Imported, corpus: "Corpus", subject: Subject) -> dict:
    """What the store knows a subject's states by."""
    return store.describe(found.identity(subject), corpus, found.poolings, imported=_VERSION)


def _register(found: Imported, path: Path) -> None:
    entry = {k: getattr(found, k) for k in Imported.__dataclass_fields__}
    entry |= {"file": path.name, "imported": datetime.date.today().isoformat()}
    place = (found.corpus, found.version)
    with files.lock(_registry_file(found.name)):
        kept = [e for e in _registry(found.name) if (e["corpus"], e["version"]) != place]
        with files.atomic_write(_registry_file(found.name)) as stream:
            json.dump([*kept, entry], stream, indent=1, ensure_ascii=False)


def _registry(name: str) -> Sequence[dict]:
    """What was imported under a name; raises StoreError where the record of it is damaged."""
    path = _registry_file(name)
    if not path.is_file():
        return []
    try:
        found = json.loads(path.read_text("utf-8"))
        types = Imported.__annotations__
        whole = all(name == entry["name"] and _is_entry(entry, types) for entry in found)
        cause = "fields are missing or of another type"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        whole, cause = False, str(error)
    if not whole:
        raise StoreError(
            f"{path}, the record of what was imported as {name!r}, is damaged ({cause}). Delete it and "
            "import the states again."
        )
    return found


def _is_entry(entry: Mapping, types: Mapping) -> bool:
    """Whether the fields of an entry have the types of Imported's, tuples being lists in JSON."""
    return all(
        isinstance(entry[field], kind if kind in (str, bool) else list)
        and (kind in (str, bool) or all(isinstance(one, str) for one in entry[field]))
        for field, kind in types.items()
    )


def _registry_file(name: str) -> Path:
    return files.runs_root() / "states" / "imported" / f"{files.fingerprint(str(name))}.json"

"""States that somebody saved already, brought into the store as if they had been captured here.

A file (.npz, .safetensors, or .pt of tensors) holds arrays named `language`, `variant/language` or
`variant/language/pooling`, each (L+1, n, d): layer, item, hidden; and token ids `token_ids/language`
(n, T), padded with -1. `variant` is "trained" (the default) or the name of a variant, such as "random-0".
Arrays that lie in several files are gathered by a small YAML mapping with the same names as keys. Rows are
the items of a corpus that `corpora.load` can load, in its order.

Imported states are known by a name, which notebooks take as `model`. Nothing is computed for them: a variant
that was not imported stays absent.
"""

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .. import files
from ..errors import AbsentStatesError, ParameterError, StoreError
from ..sources.models import Subject
from . import arrays, store
from .pooling import NAMES as POOLINGS
from .store import NO_TOKEN

if TYPE_CHECKING:
    from ..sources.corpora import Corpus

TOKEN_IDS = "token_ids"
LAST_LAYERS = ("before-norm", "after-norm")
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
        which all items are alike, languages or variants that differ in layers or width.
    """
    path = Path(path)
    if name in files.params("models") or not name or set("/\\: ") & set(name):
        raise StoreError(
            f"states cannot be imported as {name!r}: take a name without spaces, slashes and colons that "
            "params/models.yaml does not use."
        )
    if pooling not in POOLINGS or last_layer not in LAST_LAYERS:
        raise StoreError(
            f"pooling={pooling!r}, last_layer={last_layer!r}; expected one of {', '.join(POOLINGS)} and one "
            f"of {', '.join(LAST_LAYERS)}."
        )
    states, tokens = _sorted(arrays.read(path), path, pooling, corpus)
    states = {place: _checked(place, a, corpus, last_layer) for place, a in states.items()}
    _check_together(states, path)
    tokens = {code: _checked_tokens(code, ids, corpus) for code, ids in tokens.items()}
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
    kept = [e for e in _registry(found.name) if (e["corpus"], e["version"]) != (found.corpus, found.version)]
    entry = {k: getattr(found, k) for k in Imported.__dataclass_fields__}
    entry |= {"file": path.name, "imported": datetime.date.today().isoformat()}
    with files.atomic_write(_registry_file(found.name)) as stream:
        json.dump([*kept, entry], stream, indent=1, ensure_ascii=False)


def _registry(name: str) -> Sequence[dict]:
    path = _registry_file(name)
    return json.loads(path.read_text("utf-8")) if path.is_file() else []


def _registry_file(name: str) -> Path:
    return files.runs_root() / "states" / "imported" / f"{files.fingerprint(str(name))}.json"

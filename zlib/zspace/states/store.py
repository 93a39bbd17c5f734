"""Hidden states on disk: one folder per model, corpus and set of poolings, one zarr group per language.

    runs/states/<key>/manifest.json                            everything that the key is the hash of
    runs/states/<key>/<language>-<fingerprint>.zarr            written whole or not at all

A language's fingerprint is that of its texts and items alone, so adding a language, or asking for fewer,
leaves the others valid. `states` is (pooling, layer, item, hidden) float32, uncompressed, one chunk per
pooling and layer; layer 0 is the input of block 0, layer L the last block's output before the final norm.
Opened, languages are stacked in front: (language, pooling, layer, item, hidden), in the units of the
model's residual stream. A group's own metadata holds the CRC-32 of each of its files and a hash of itself:
what was changed, lost or exchanged after it was written is never read.
"""

import contextlib
import json
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing

from .. import files
from ..errors import CorpusError, StoreError

TEXT_COLUMNS = ("scenario", "category", "answer", "group")
ITEM_COLUMNS = ("difficulty", *TEXT_COLUMNS)
NO_TOKEN = -1
FORMAT = 2  # part of every key; raise when what a group holds changes, so that nothing older is read
LISTING_COLUMNS = (
    *("model", "revision", "variant", "seed", "dtype", "corpus", "version", "language"),
    *("items", "layers", "hidden", "poolings", "megabytes", "captured", "key", "fingerprint"),
)


def describe(identity: Mapping, corpus, poolings: Sequence[str], **options) -> dict:
    """All that decides the numbers of a capture except the texts, which each language's fingerprint covers.

    Parameters
    ----------
    identity : what `models.identity` says about weights, tokenizer, dtype, variant, seed and versions.
    corpus : a `sources.corpora.Corpus`; only its name and version are recorded here.
    poolings : names in the order of the pooling dimension.
    options : further JSON-serialisable settings that change numbers (device, version of the capture code).
    """
    description = {
        "model": dict(identity),
        "corpus": {"name": corpus.name, "version": corpus.version},
        "poolings": list(poolings),
        "format": FORMAT,
        **options,
    }
    return json.loads(json.dumps(description, sort_keys=True))


def fingerprints(corpus, languages: Sequence[str] | None = None) -> dict[str, str]:
    """Language -> fingerprint of its texts; of all languages by default.

    Raises CorpusError for a language that the corpus was loaded without.
    """
    languages = list(corpus.languages if languages is None else languages)
    if (unknown := [code for code in languages if code not in corpus.texts]) or not languages:
        raise CorpusError(
            f"corpus {corpus.name!r} was loaded without {', '.join(unknown) or 'any language'}; it has "
            f"{', '.join(corpus.languages)}. Name the languages in corpora.load."
        )
    return {code: corpus.language_fingerprint(code) for code in languages}


def folder(description: Mapping) -> Path:
    """Folder of the captures that `description` identifies, whether or not it exists yet."""
    return files.runs_root() / "states" / files.fingerprint(description)


def missing(description: Mapping, fingerprints: Mapping[str, str]) -> list[str]:
    """Languages of `fingerprints` (language -> fingerprint of its texts) that are not on disk yet."""
    root = folder(description)
    return [code for code, mark in fingerprints.items() if not (root / _group_name(code, mark)).is_dir()]


def sweep(description: Mapping) -> None:
    """Remove what killed captures left unfinished; call only while holding the lock of the folder."""
    for leftover in folder(description).glob(".*.zarr.*"):
        shutil.rmtree(leftover, ignore_errors=True)


def write(
    description: Mapping,
    language: str,
    fingerprint: str,
    states: Mapping[str, np.ndarray],
    tokens: Sequence[np.ndarray],
    items: pd.DataFrame,
) -> Path:
    """Save one language's states atomically and return the group's path.

    Parameters
    ----------
    states : pooling -> (L+1, n, d) float32, the poolings of `description`.
    tokens : n integer arrays, the content token ids (no special tokens) of each text.
    items : n rows, columns `item` and ITEM_COLUMNS.

    Raises
    ------
    StoreError : the disk is full or cannot be written; nothing half-written stays.
    """
    root = folder(description)
    dataset = _dataset(description, language, fingerprint, states, tokens, items)
    with files.atomic_write(root / "manifest.json") as stream:
        json.dump({"key": root.name, **description}, stream, indent=2, ensure_ascii=False)
    encoding = {name: {"compressors": None, "chunks": dataset[name].shape} for name in dataset.variables}
    encoding["states"]["chunks"] = (1, 1, *dataset["states"].shape[2:])
    path = root / _group_name(language, fingerprint)
    with files.atomic_folder(path) as temporary:
        dataset.to_zarr(
            temporary, mode="w", zarr_format=3, consolidated=False, encoding=encoding, write_empty_chunks=True
        )
        _seal(temporary)
    return path


def open(key: str, fingerprints: Mapping[str, str], *, lazily: bool = False) -> xr.Dataset:
    """Saved states of several languages as one Dataset, in memory unless `lazily`.

    A lazy Dataset reads, and checks, the states of a language, pooling and layer when they are asked for:
    40 languages need no more memory than the two that are compared.

    Parameters
    ----------
    key : name of the folder, `folder(description).name` or column `key` of `listing()`.
    fingerprints : language -> fingerprint, in the order of the language dimension.

    Returns
    -------
    Dataset with `states` (language, pooling, layer, item, hidden) float32 and `token_ids`
    (language, item, position) int32, padded with -1; coordinates item, scenario, category, difficulty,
    answer, group (item) and n_tokens (language, item), the number of content tokens. Attributes: key, model,
    revision, weights, tokenizer, variant, seed, dtype, versions, corpus, version, poolings, fingerprints.

    Raises
    ------
    StoreError : a language is missing, damaged, foreign, or holds other items than the first; the manifest
        is not what the key is the hash of. Of damaged states that are read lazily: when they are read.
    """
    root = files.runs_root() / "states" / key
    groups, checksums = [], {}
    for language, fingerprint in fingerprints.items():
        path = root / _group_name(language, fingerprint)
        group, checksums[path] = _open_group(path, key, language, fingerprint)
        if groups:
            _check_same_items(groups[0], group, path)
        shape = group["states"].shape
        groups.append(group.drop_vars("states").load())
    if not groups:
        raise StoreError("no language was asked for; name at least one.")
    states = indexing.LazilyIndexedArray(_StatesOnDisk(checksums, shape))
    found = _stack(groups, states, dict(fingerprints), _manifest(root))
    return found if lazily else found.load()


def listing() -> pd.DataFrame:
    """What has been captured: one row per key and language, sorted by model, variant, corpus, language.

    Columns are LISTING_COLUMNS: layers is L, hidden is d, captured is in UTC; key and fingerprint are what
    `open` takes.
    """
    rows = [_summary(path) for path in sorted((files.runs_root() / "states").glob("*/[!.]*.zarr"))]
    table = pd.DataFrame(rows, columns=LISTING_COLUMNS)
    return table.sort_values(["model", "variant", "corpus", "version", "language"], ignore_index=True)


def _group_name(language: str, fingerprint: str) -> str:
    # A corpus calls its languages as it likes; the fingerprint tells those apart whose names end up alike.
    shown = re.sub(r"[^\w-]+", "_", language)[:40]
    return f"{shown}-{fingerprint}.zarr"


def _dataset(description, language, fingerprint, states, tokens, items) -> xr.Dataset:
    poolings = description["poolings"]
    if list(states) != poolings or len(tokens) != len(items) or states[poolings[0]].shape[1] != len(items):
        raise StoreError(
            f"{language}: got poolings {list(states)}, {len(tokens)} token lists and states of "
            f"{[v.shape for v in states.values()]}; expected {poolings} with {len(items)} items each."
        )
    lengths = np.array([len(ids) for ids in tokens], np.int32)
    padded = np.full((len(tokens), lengths.max(initial=1)), NO_TOKEN, np.int32)
    for row, ids in zip(padded, tokens, strict=True):
        row[: len(ids)] = ids
    stacked = np.stack([np.asarray(states[name], np.float32) for name in poolings])
    texts = {name: ("item", items[name].astype(str).to_numpy(object)) for name in TEXT_COLUMNS}
    return xr.Dataset(
        {
            "states": (("pooling", "layer", "item", "hidden"), stacked),
            "token_ids": (("item", "position"), padded),
        },
        coords={
            "pooling": np.array(poolings, object),
            "layer": np.arange(stacked.shape[1]),
            "item": items["item"].astype(str).to_numpy(object),
            "difficulty": ("item", items["difficulty"].to_numpy(np.int64)),
            "n_tokens": ("item", lengths),
            **texts,
        },
        attrs={"key": files.fingerprint(description), "language": language, "fingerprint": fingerprint},
    )


def _open_group(path: Path, key: str, language: str, fingerprint: str) -> tuple[xr.Dataset, dict[str, int]]:
    """One language's group, opened lazily, and the checksums of its chunks of states, not read so far.

    All other files have been compared with theirs.
    """
    if not path.is_dir():
        raise StoreError(f"no states of language {language!r} at {path}; capture them with `zspace capture`.")
    found = _record(path)
    expected = {"key": key, "language": language, "fingerprint": fingerprint}
    if differing := [name for name in expected if found[name] != expected[name]]:
        raise StoreError(
            f"{path} is not what its name says: its record has "
            f"{', '.join(f'{name} {found[name]}' for name in differing)}, but expected was "
            f"{', '.join(expected[name] for name in differing)}. {_advice(path)}"
        )
    checksums = found["checksums"]
    if differing := sorted(checksums.keys() ^ _contents(path)):
        what = "is gone" if differing[0] in checksums else "does not belong there"
        raise StoreError(f"{path / differing[0]} {what}: the states are damaged. {_advice(path)}")
    chunks = {name: crc for name, crc in checksums.items() if name.startswith("states/c/")}
    for name in checksums.keys() - chunks.keys():
        with _reading(path, name):
            content = (path / name).read_bytes()
        _check(path, name, checksums[name], content)
    return xr.open_zarr(path, consolidated=False, chunks=None), chunks


class _StatesOnDisk(BackendArray):
    """(language, pooling, layer, item, hidden) states of several groups; reads the chunks that are indexed.

    `checksums` : path of each language's group -> those of its chunks; `shape` is that of one group.
    """

    def __init__(self, checksums: Mapping[Path, Mapping[str, int]], shape: tuple[int, ...]):
        self.checksums = checksums
        self.shape, self.dtype = (len(checksums), *shape), np.dtype("<f4")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        places = [np.arange(size)[one] for size, one in zip(self.shape, key, strict=True)]
        *chunks, rows, columns = (np.atleast_1d(one) for one in places)
        states, paths = np.empty((*map(len, chunks), *self.shape[3:]), self.dtype), [*self.checksums]
        for i, j, k in np.ndindex(states.shape[:3]):
            path, name = paths[chunks[0][i]], f"states/c/{chunks[1][j]}/{chunks[2][k]}/0/0"
            _read_chunk(path, name, self.checksums[path].get(name), states[i, j, k])
        if len(rows) < self.shape[3] or len(columns) < self.shape[4]:
            states = states[..., rows, :][..., columns]
        return states[tuple(slice(None) if np.ndim(one) else 0 for one in places)]


def _read_chunk(path: Path, name: str, checksum: int | None, states: np.ndarray) -> None:
    """Fill `states` (item, hidden) from a chunk of a group, which is checked while it is read."""
    chunk = memoryview(states).cast("B")
    with _reading(path, name), (path / name).open("rb", buffering=0) as stream:
        size = stream.readinto(chunk)
        rest = stream.read()
    _check(path, name, checksum, chunk[:size], rest)


@contextlib.contextmanager
def _reading(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path / name} cannot be read ({error.strerror or error}). {_advice(path)}"
        ) from error


def _check(path: Path, name: str, expected: int | None, *content: bytes | memoryview) -> None:
    found = 0
    for part in content:
        found = zlib.crc32(part, found)
    if found != expected:
        raise StoreError(
            f"{path / name} is damaged: its bytes are not those that were written (CRC-32 {found:08x}). "
            f"{_advice(path)}"
        )


def _seal(path: Path) -> None:
    """Record in the group's attributes the checksum of every file, and a hash of the record."""
    attributes = zarr.open_group(path, mode="r+").attrs
    attributes["checksums"] = {
        name: zlib.crc32((path / name).read_bytes()) for name in sorted(_contents(path))
    }
    attributes["seal"] = files.fingerprint(_metadata(path))


def _record(path: Path) -> dict:
    """Attributes of a group; raises StoreError where its metadata is not as `_seal` left it."""
    metadata = _metadata(path)
    attributes = metadata.get("attributes")
    seal = attributes.pop("seal", None) if isinstance(attributes, dict) else None
    if seal is None or seal != files.fingerprint(metadata):
        what = "holds no checksums" if seal is None else "was changed after it was written"
        raise StoreError(f"{path / 'zarr.json'} {what}: the states are damaged or foreign. {_advice(path)}")
    return attributes


def _metadata(path: Path) -> dict:
    return _read_json(path / "zarr.json", _advice(path))


def _read_json(path: Path, advice: str) -> dict:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read ({error}). {advice}") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} holds a {type(content).__name__}; expected a JSON object. {advice}")
    return content


def _contents(path: Path) -> set[str]:
    """Names of a group's files, but for the root metadata that records them."""
    # zarr reads a lost chunk as fill values, so that only this tells a damaged group from a whole one.
    found = (p for p in path.rglob("[!.]*") if not p.is_dir() and p != path / "zarr.json")
    return {p.relative_to(path).as_posix() for p in found}


def _advice(path: Path) -> str:
    return (
        f"Delete the folder {path} and run the same command again (or import the states again): only this "
        "language is captured anew."
    )


def _check_same_items(first: xr.Dataset, group: xr.Dataset, path: Path) -> None:
    for name in ("item", *ITEM_COLUMNS):
        if not np.array_equal(first[name].values, group[name].values):
            raise StoreError(
                f"{path} holds other items than the first language: its column {name!r} differs. "
                "Languages opened together must come from one corpus."
            )


def _stack(groups: list[xr.Dataset], states: np.ndarray, fingerprints: dict, manifest: dict) -> xr.Dataset:
    first = groups[0]
    width = max(group.sizes["position"] for group in groups)
    token_ids = np.full((len(groups), first.sizes["item"], width), NO_TOKEN, np.int32)
    for row, group in zip(token_ids, groups, strict=True):
        row[:, : group.sizes["position"]] = group["token_ids"].values
    texts = {name: ("item", _strings(first[name])) for name in TEXT_COLUMNS}
    return xr.Dataset(
        {
            "states": (("language", "pooling", "layer", "item", "hidden"), states),
            "token_ids": (("language", "item", "position"), token_ids),
        },
        coords={
            "language": list(fingerprints),
            "pooling": _strings(first["pooling"]),
            "layer": first["layer"].values,
            "item": _strings(first["item"]),
            "difficulty": ("item", first["difficulty"].values),
            "n_tokens": (("language", "item"), np.stack([group["n_tokens"].values for group in groups])),
            **texts,
        },
        attrs={
            **manifest,
            **manifest["model"],
            **{"corpus": manifest["corpus"]["name"], "version": manifest["corpus"]["version"]},
            "fingerprints": fingerprints,
        },
    )


def _strings(column: xr.DataArray) -> np.ndarray:
    # Fixed-width text: pandas and older code know no StringDType, which zarr reads.
    return np.array(column.values.tolist(), dtype=str)


def _manifest(root: Path) -> dict:
    advice = f"Delete the folder {root} and run the same command again."
    manifest = _read_json(root / "manifest.json", advice)
    described = {name: value for name, value in manifest.items() if name != "key"}
    if manifest.get("key") != root.name or files.fingerprint(described) != root.name:
        raise StoreError(
            f"{root / 'manifest.json'} was changed, or the folder renamed: its content does not have the key "
            f"{root.name}. {advice}"
        )
    return manifest


def _summary(path: Path) -> dict:
    """One row of `listing`, from metadata alone."""
    manifest, found = _manifest(path.parent), _metadata(path).get("attributes", {})
    shape = _read_json(path / "states" / "zarr.json", _advice(path)).get("shape")
    if not isinstance(shape, list) or len(shape) != 4 or "language" not in found:
        raise StoreError(f"{path} is not a group of states. {_advice(path)}")
    model = manifest["model"]
    return {
        **{name: model.get(name) for name in ("model", "revision", "variant", "seed", "dtype")},
        "corpus": manifest["corpus"]["name"],
        "version": manifest["corpus"]["version"],
        "language": found["language"],
        "items": shape[2],
        "layers": shape[1] - 1,
        "hidden": shape[3],
        "poolings": ", ".join(manifest["poolings"]),
        "megabytes": round(4e-6 * float(np.prod(shape)), 1),
        "captured": pd.Timestamp(path.stat().st_mtime, unit="s", tz="UTC").tz_localize(None).round("s"),
        "key": path.parent.name,
        "fingerprint": path.stem.rpartition("-")[2],
    }

"""Hidden states on disk: one folder per model, corpus and set of poolings, one zarr group per language.

    runs/states/<key>/manifest.json                            everything that the key is the hash of
    runs/states/<key>/<language>-<fingerprint>.zarr            written whole or not at all

A language's fingerprint is that of its texts and items alone, so adding a language, or asking for fewer,
leaves the others valid. `states` is (pooling, layer, item, hidden) float32, uncompressed, one chunk per
pooling and layer; layer 0 is the input of block 0, layer L the last block's output before the final norm.
Opened, languages are stacked in front: (language, pooling, layer, item, hidden), in the units of the
model's residual stream.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from .. import files
from ..errors import CorpusError, StoreError

TEXT_COLUMNS = ("scenario", "category", "answer", "group")
ITEM_COLUMNS = ("difficulty", *TEXT_COLUMNS)
NO_TOKEN = -1
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
        zarr.open_group(temporary, mode="r+").attrs["content"] = _content(temporary)
    return path


def open(key: str, fingerprints: Mapping[str, str]) -> xr.Dataset:
    """Saved states of several languages as one Dataset in memory.

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
    StoreError : a language is missing, incomplete, foreign, or holds other items than the first.
    """
    root = files.runs_root() / "states" / key
    groups, states = [], None
    for row, (language, fingerprint) in enumerate(fingerprints.items()):
        path = root / _group_name(language, fingerprint)
        group = _open_group(path, key, language, fingerprint)
        if groups:
            _check_same_items(groups[0], group, path)
        if states is None:
            states = np.empty((len(fingerprints), *group["states"].shape), np.float32)
        states[row] = group["states"].values
        groups.append(group.drop_vars("states").load())
    if not groups:
        raise StoreError("no language was asked for; name at least one.")
    return _stack(groups, states, dict(fingerprints), _manifest(root))


def listing() -> pd.DataFrame:
    """What has been captured: one row per key and language, sorted by model, variant, corpus, language.

    Columns are LISTING_COLUMNS: layers is L, hidden is d, captured is in UTC; key and fingerprint are what
    `open` takes.
    """
    rows = [_summary(path) for path in sorted((files.runs_root() / "states").glob("*/[!.]*.zarr"))]
    table = pd.DataFrame(rows, columns=LISTING_COLUMNS)
    return table.sort_values(["model", "variant", "corpus", "version", "language"], ignore_index=True)


def _group_name(language: str, fingerprint: str) -> str:
    return f"{language}-{fingerprint}.zarr"


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


def _open_group(path: Path, key: str, language: str, fingerprint: str) -> xr.Dataset:
    """One language's group, opened lazily, after a check that every file is there in full."""
    advice = f"Delete the folder {path} and run the same command again: only this language is captured anew."
    if not path.is_dir():
        raise StoreError(f"no states of language {language!r} at {path}; capture them with `zspace capture`.")
    try:
        group = xr.open_zarr(path, consolidated=False, chunks=None)
        found = {name: group.attrs[name] for name in ("key", "language", "fingerprint", "content")}
    except (OSError, KeyError, ValueError) as error:
        raise StoreError(f"{path} is incomplete ({error}). {advice}") from error
    expected = {"key": key, "language": language, "fingerprint": fingerprint, "content": _content(path)}
    differing = [name for name in expected if found[name] != expected[name]]
    if differing:
        raise StoreError(
            f"{path} is damaged or not what its name says: its record has "
            f"{', '.join(f'{name} {found[name]}' for name in differing)}, but there is "
            f"{', '.join(str(expected[name]) for name in differing)}. {advice}"
        )
    return group


def _content(path: Path) -> dict:
    """Number and size of the group's files, but for the root metadata that records them."""
    # zarr reads a lost chunk as fill values, so that only this tells a damaged group from a whole one.
    kept = [p for p in path.rglob("[!.]*") if p.is_file() and p != path / "zarr.json"]
    return {"files": len(kept), "bytes": sum(p.stat().st_size for p in kept)}


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
    try:
        return json.loads((root / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{root / 'manifest.json'} cannot be read ({error}). Delete the folder {root} and run the same "
            "command again."
        ) from error


def _summary(path: Path) -> dict:
    """One row of `listing`, from metadata alone."""
    manifest = _manifest(path.parent)
    language, _, fingerprint = path.stem.rpartition("-")
    try:
        shape = json.loads((path / "states" / "zarr.json").read_text("utf-8"))["shape"]
    except (OSError, ValueError, KeyError):
        shape = [0, 1, 0, 0]
    model = manifest["model"]
    return {
        **{name: model.get(name) for name in ("model", "revision", "variant", "seed", "dtype")},
        "corpus": manifest["corpus"]["name"],
        "version": manifest["corpus"]["version"],
        "language": language,
        "items": shape[2],
        "layers": shape[1] - 1,
        "hidden": shape[3],
        "poolings": ", ".join(manifest["poolings"]),
        "megabytes": round(4e-6 * float(np.prod(shape)), 1),
        "captured": pd.Timestamp(path.stat().st_mtime, unit="s", tz="UTC").tz_localize(None).round("s"),
        "key": path.parent.name,
        "fingerprint": fingerprint,
    }

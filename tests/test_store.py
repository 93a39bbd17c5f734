"""The store gives back what was written, and nothing that is half there or foreign."""

import errno
import json
import os
import re
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import zarr
from builders import three_seeds
from zspace.errors import StoreError
from zspace.states import store

LAYERS, ITEMS, HIDDEN = 3, 4, 5
IDENTITY = {"model": "tiny", "revision": "r1", "variant": "random", "seed": 0, "tokenizer": "letters"}
CORPUS = SimpleNamespace(name="number-stories", version="spelled-out")
MARKS = {"en": "e1", "zh-Hant": "z1"}
TABLE = pd.DataFrame(
    {
        "item": [f"café-{i}" for i in range(ITEMS)],
        "scenario": ["shop", "shop", "bus", "bus"],
        "category": "count",
        "difficulty": [1, 2, 1, 2],
        "answer": ["12", "", "7", "百"],
        "group": ["shop-1", "shop-2", "bus-1", "bus-2"],
    }
)


pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture
def description():
    return store.describe(IDENTITY, CORPUS, ("mean", "last"), device="cpu")


@pytest.fixture
def written(description, rng):
    """Two languages on disk: language -> (states by pooling, tokens, path)."""
    result = {}
    for language, mark in MARKS.items():
        mean, last = rng.normal(size=(2, LAYERS, ITEMS, HIDDEN)).astype(np.float32)
        states = {"mean": mean, "last": last}
        tokens = [rng.integers(0, 9, size=k) for k in ([1, 2, 3, 4] if language == "en" else [6, 1, 1, 2])]
        path = store.write(description, language, mark, states, tokens, TABLE)
        result[language] = states, tokens, path
    return result


def opened(description, marks=MARKS):
    return store.open(store.folder(description).name, marks)


def test_open_gives_back_states_tokens_and_items_as_written(description, written):
    dataset = opened(description)
    assert dataset["states"].dims == ("language", "pooling", "layer", "item", "hidden")
    assert dataset["states"].dtype == np.float32
    for language, (states, tokens, _) in written.items():
        for pooling, values in states.items():
            np.testing.assert_array_equal(dataset["states"].sel(language=language, pooling=pooling), values)
        ids = dataset["token_ids"].sel(language=language).values
        assert dataset["n_tokens"].sel(language=language).values.tolist() == [len(t) for t in tokens]
        for row, expected in zip(ids, tokens, strict=True):
            assert row[: len(expected)].tolist() == expected.tolist()
            assert (row[len(expected) :] == store.NO_TOKEN).all()
    for column in ("item", *store.ITEM_COLUMNS):
        assert dataset[column].values.tolist() == TABLE[column].tolist()
    assert {name: dataset.attrs[name] for name in IDENTITY} == IDENTITY
    assert (dataset.attrs["corpus"], dataset.attrs["version"]) == ("number-stories", "spelled-out")
    assert dataset.attrs["fingerprints"] == MARKS


@pytest.mark.parametrize(
    "part",
    [
        {"language": "zh-Hant", "pooling": "last"},
        {"language": ["zh-Hant", "en"], "layer": slice(1, None)},
        {"item": ["café-3", "café-0"], "pooling": "mean"},
        {"language": "en", "pooling": "mean", "layer": 2, "item": "café-1"},
        {},
    ],
)
def test_lazy_states_are_those_in_memory_whatever_part_is_read(description, written, part):
    lazily = store.open(store.folder(description).name, MARKS, lazily=True)
    whole = opened(description)
    assert lazily["states"].sel(part).identical(whole["states"].sel(part))
    assert lazily.drop_vars("states").identical(whole.drop_vars("states"))


def test_lazy_states_read_and_check_only_what_is_asked_for(description, written):
    chunk = written["en"][2] / "states/c/1/2/0/0"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    states = store.open(store.folder(description).name, MARKS, lazily=True)["states"]
    states.sel(language="zh-Hant").to_numpy()
    states.sel(language="en", pooling="mean").to_numpy()
    with pytest.raises(StoreError, match=r"states/c/1/2/0/0 is damaged"):
        states.sel(language="en", pooling="last").to_numpy()


def test_open_follows_the_order_of_languages_asked_for(description, written):
    dataset = opened(description, {"zh-Hant": "z1", "en": "e1"})
    assert dataset["language"].values.tolist() == ["zh-Hant", "en"]
    np.testing.assert_array_equal(dataset["states"][1, 0], written["en"][0]["mean"])


def test_states_are_uncompressed_with_one_chunk_per_pooling_and_layer(written):
    path = written["en"][2]
    array = zarr.open_group(path, mode="r")["states"]
    assert array.chunks == (1, 1, ITEMS, HIDDEN)
    assert array.compressors == ()
    raw = np.fromfile(path / "states" / "c" / "1" / "2" / "0" / "0", np.float32)
    np.testing.assert_array_equal(raw.reshape(ITEMS, HIDDEN), written["en"][0]["last"][2])


def test_states_of_zeros_are_written_in_full(description):
    """A store that leaves out chunks equal to the fill value could not tell them from lost ones."""
    zeros = {name: np.zeros((LAYERS, ITEMS, HIDDEN), np.float32) for name in ("mean", "last")}
    store.write(description, "en", "e1", zeros, [np.zeros(1, int)] * ITEMS, TABLE)
    assert (opened(description, {"en": "e1"})["states"] == 0).all()


def test_folder_depends_on_what_decides_the_numbers_and_not_on_the_languages(description):
    same = store.describe(dict(reversed(IDENTITY.items())), CORPUS, ["mean", "last"], device="cpu")
    assert store.folder(same) == store.folder(description)
    others = [
        store.describe({**IDENTITY, "seed": 1}, CORPUS, ("mean", "last"), device="cpu"),
        store.describe(IDENTITY, CORPUS, ("mean",), device="cpu"),
        store.describe(IDENTITY, CORPUS, ("mean", "last"), device="cuda"),
    ]
    assert len({store.folder(d) for d in [description, *others]}) == 4


def test_manifest_is_what_the_key_is_the_hash_of(description, written):
    folder = store.folder(description)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest.pop("key") == folder.name
    assert manifest == description
    assert store.folder(manifest) == folder


def test_missing_sees_languages_whose_texts_changed_and_no_others(description, written):
    assert store.missing(description, {"en": "e2", "zh-Hant": "z1", "sw": "s1"}) == ["en", "sw"]


def test_write_on_a_full_disk_leaves_no_language_behind(description, monkeypatch):
    states = {name: np.ones((LAYERS, ITEMS, HIDDEN), np.float32) for name in ("mean", "last")}
    tokens = [np.zeros(1, int)] * ITEMS

    def half_then_full(dataset, temporary, **_):
        (temporary / "states").mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.xr.Dataset, "to_zarr", half_then_full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.write(description, "en", "e1", states, tokens, TABLE)
    assert store.missing(description, {"en": "e1"}) == ["en"]
    assert os.listdir(store.folder(description)) == ["manifest.json"]


def test_sweep_removes_what_a_killed_capture_left_and_keeps_the_rest(description, written):
    folder = store.folder(description)
    leftover = folder / ".sw-s1.zarr.x7k2"
    (leftover / "states").mkdir(parents=True)
    assert store.missing(description, {"sw": "s1"}) == ["sw"]
    store.sweep(description)
    assert not leftover.exists()
    assert store.missing(description, MARKS) == []


def rename_language(path):
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["language"] = "fr"
    (path / "zarr.json").write_text(json.dumps(metadata))


DAMAGES = {
    "a chunk is gone": lambda path: (path / "states/c/0/1/0/0").unlink(),
    "a chunk is cut": lambda path: os.truncate(path / "states/c/1/0/0/0", 4),
    "a column is gone": lambda path: shutil.rmtree(path / "token_ids"),
    "a column has no chunks": lambda path: shutil.rmtree(path / "token_ids/c"),
    "no metadata": lambda path: (path / "zarr.json").unlink(),
    "garbled metadata": lambda path: (path / "states/zarr.json").write_text("{"),
    "another language": rename_language,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_open_refuses_a_damaged_language_and_says_which_folder_to_delete(description, written, damage):
    path = written["zh-Hant"][2]
    damage(path)
    with pytest.raises(StoreError, match=f"Delete the folder {path}"):
        opened(description)
    opened(description, {"en": "e1"})
    shutil.rmtree(path)
    assert store.missing(description, MARKS) == ["zh-Hant"]


def test_open_refuses_a_group_moved_from_another_key(description, written):
    other = store.describe({**IDENTITY, "seed": 1}, CORPUS, ("mean", "last"), device="cpu")
    shutil.copytree(store.folder(description), store.folder(other))
    with pytest.raises(StoreError, match="not what its name says: its record has key"):
        opened(other)


@three_seeds
def test_open_refuses_a_changed_byte_in_any_file_and_names_it(description, written, rng, record_property):
    """States, tokens, items and metadata; the control is the same group with its bytes put back."""
    group = written["zh-Hant"][2]
    kept = sorted(p for p in group.rglob("*") if p.is_file())
    for path in [*kept, store.folder(description) / "manifest.json"]:
        content = bytearray(path.read_bytes())
        at = int(rng.integers(len(content)))
        while chr(content[at]).isspace():  # between the names of a JSON file a space may be any other
            at = int(rng.integers(len(content)))
        content[at] ^= int(rng.integers(1, 256))
        whole = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(StoreError, match=f"^{re.escape(str(path))} .*Delete the folder"):
            opened(description)
        path.write_bytes(whole)
        opened(description)
    record_property("byte edits", len(kept) + 1)


def test_open_refuses_groups_that_were_exchanged(description, written):
    first, second = (path for _, _, path in written.values())
    first.rename(first.with_name("other"))
    second.rename(first)
    first.with_name("other").rename(second)
    with pytest.raises(StoreError, match="is not what its name says: its record has language zh-Hant"):
        opened(description)


def test_open_refuses_states_of_two_layers_that_were_exchanged(description, written):
    path = written["en"][2] / "states/c/0"
    (path / "1").rename(path / "x")
    (path / "2").rename(path / "1")
    (path / "x").rename(path / "2")
    with pytest.raises(StoreError, match=r"states/c/0/1/0/0 is damaged: its bytes are not those"):
        opened(description)


def test_open_refuses_a_manifest_of_other_settings(description, written):
    path = store.folder(description) / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    for read in (lambda: opened(description), store.listing):
        with pytest.raises(StoreError, match=r"manifest\.json was changed, or the folder renamed"):
            read()


def test_open_refuses_a_group_of_another_version_of_zarr(description, written):
    path = written["en"][2]
    shutil.rmtree(path)
    zarr.open_group(path, mode="w", zarr_format=2).attrs.update(language="en", fingerprint="e1")
    with pytest.raises(StoreError, match=rf"^{path}/zarr\.json cannot be read \(.*Delete the folder {path}"):
        opened(description)


@pytest.mark.parametrize("language", ["../../above", "a/b", "..", "x" * 300, "日本語" * 60, "nul\0byte"])
def test_any_name_of_a_language_stays_in_its_folder(description, written, language):
    states, tokens, _ = written["en"]
    path = store.write(description, language, "m1", states, tokens, TABLE)
    assert path.parent == store.folder(description)
    assert opened(description, {language: "m1"})["language"].values.tolist() == [language]
    assert language in store.listing()["language"].tolist()


def test_open_refuses_languages_with_other_items(description, written):
    states, tokens, _ = written["en"]
    store.write(description, "sw", "s1", states, tokens, TABLE.assign(item=list("abcd")))
    with pytest.raises(StoreError, match=r"other items than the first language: its column 'item'"):
        opened(description, {"en": "e1", "sw": "s1"})
    store.write(description, "sw", "s2", {k: v[:, :2] for k, v in states.items()}, tokens[:2], TABLE[:2])
    with pytest.raises(StoreError, match="other items"):
        opened(description, {"en": "e1", "sw": "s2"})


def test_open_names_what_is_missing(description, written):
    with pytest.raises(StoreError, match="no states of language 'sw'"):
        opened(description, {"en": "e1", "sw": "s1"})


def test_write_refuses_shapes_that_do_not_pair(description, written):
    states, tokens, _ = written["en"]
    with pytest.raises(StoreError, match="expected"):
        store.write(description, "en", "e3", states, tokens[:-1], TABLE)
    with pytest.raises(StoreError, match="expected"):
        store.write(description, "en", "e3", {"mean": states["mean"]}, tokens, TABLE)


def test_listing_has_a_row_per_key_and_language(description, written):
    table = store.listing()
    assert tuple(table.columns) == store.LISTING_COLUMNS
    assert table["language"].tolist() == ["en", "zh-Hant"]
    assert table["fingerprint"].tolist() == ["e1", "z1"]
    row = table.iloc[0]
    expected = {"model": "tiny", "variant": "random", "seed": 0, "layers": LAYERS - 1, "hidden": HIDDEN}
    assert row[list(expected)].to_dict() == expected
    assert row["items"] == ITEMS
    assert abs((row["captured"] - pd.Timestamp(time.time(), unit="s")).total_seconds()) < 60
    opened(description, {row["language"]: row["fingerprint"]})


def test_listing_of_an_empty_store_is_empty():
    assert len(store.listing()) == 0

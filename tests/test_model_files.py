"""What identifies a model: every byte of every file that decides a number, remembered and never stale."""

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `models` is not installed")

import tiny_gguf  # noqa: E402
from model_builders import CONFIGS, SMALL, random_network, sample_corpus  # noqa: E402
from zspace import files  # noqa: E402
from zspace.errors import ModelError  # noqa: E402
from zspace.sources import models  # noqa: E402
from zspace.sources.models import Subject, contents, conversion, fetching, weights  # noqa: E402
from zspace.sources.models import folders as model_folders  # noqa: E402
from zspace.states import capture  # noqa: E402
from zspace.states.generation import solving  # noqa: E402

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MIB = 1 << 20
NEVER_READ = (
    "README.md",
    "pytorch_model.bin",
    "modeling_own.py",
    "training.log",
    "LICENSE",
    ".gitattributes",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(folders, tmp_path) -> Path:
    """A tiny Llama, to be changed."""
    return Path(shutil.copytree(folders["llama"], tmp_path / "tiny"))


@pytest.fixture
def everything(folder) -> Path:
    """A folder with a file of each kind that transformers may read: two shards, vocabularies, an adapter."""
    content = safetensors_of(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(content)
    halves = {"model-1-of-2.safetensors": names[::2], "part/model-2-of-2.safetensors": names[1::2]}
    (folder / "part").mkdir()
    for name, half in halves.items():
        save({n: content[n] for n in half}, folder / name)
    placed = {n: name for name, half in halves.items() for n in half}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    for name in ("vocab.json", "added_tokens.json", "special_tokens_map.json", "adapter_config.json"):
        (folder / name).write_text('{"a": 1}')
    for name in (
        "merges.txt",
        "vocab.txt",
        "tokenizer.model",
        "spiece.model",
        "qwen.tiktoken",
        "adapter_model.bin",
    ):
        (folder / name).write_bytes(bytes(range(40)))
    return folder


def safetensors_of(path: Path) -> dict:
    from safetensors.torch import load_file

    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def save(content: dict, path: Path) -> None:
    from safetensors.torch import save_file

    save_file(content, path, metadata={"format": "pt"})


def mark(place) -> str:
    return files.fingerprint(models.identity(place))


def flip(path: Path, at: int, bit: int = 1) -> None:
    """Change one byte in place."""
    with path.open("r+b") as stream:
        stream.seek(at)
        (byte,) = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte ^ bit]))


def settle(path: Path) -> None:
    """Give a file the times of one that was written long ago, which only its ctime contradicts."""
    os.utime(path, ns=(10**18, 10**18))


# Every byte counts -----------------------------------------------------------------------------------------


def byte_edits(root: Path, rng: np.random.Generator, *, each: int) -> dict[str, int]:
    """Edit random bytes of every file, one at a time, and put them back: edits by name of the file.

    Fails where an edit leaves the identity as it was, or where taking it back does not restore it.
    """
    before, done = mark(root), {}
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.name.startswith(NEVER_READ)):
        name = path.relative_to(root).as_posix()
        if name in ("generation_config.json",):
            continue
        original = path.read_bytes()
        for at in rng.integers(0, len(original), each):
            # where a number stands among the tensors' names and files it may still be read as JSON
            flip(path, int(at), int(rng.choice([1, 2, 4, 8])))
            try:
                assert mark(root) != before, f"{name}: byte {at} does not count"
            except ModelError:
                assert name == "model.safetensors.index.json", name  # refused: broken, or another file named
            path.write_bytes(original)
            done[name] = done.get(name, 0) + 1
        assert mark(root) == before, name
    return done


def test_any_byte_of_any_file_changes_the_identity(everything, rng, record_property):
    done = byte_edits(everything, rng, each=2)
    assert {"config.json", "part/model-2-of-2.safetensors", "tokenizer.json", "adapter_config.json"} < set(
        done
    )
    assert len(done) == 16
    record_property("byte edits", sum(done.values()))


@pytest.mark.full
def test_any_of_many_bytes_changes_the_identity(everything, rng, record_property):
    record_property("byte edits", sum(byte_edits(everything, rng, each=250).values()))


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "tokenizer.json", "added_tokens.json"]
)
def test_json_that_stays_valid_counts_too(everything, name):
    before, path = mark(everything), everything / name
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "one more": True}))
    assert mark(everything) != before


def test_what_is_never_read_does_not_count(folder):
    before = mark(folder)
    for name in (*NEVER_READ, "chat_template.jinja"):
        (folder / name).write_text("not of the numbers")
    assert mark(folder) == before
    (folder / "vocab.txt").write_text("may be read")
    assert mark(folder) != before


def test_a_gguf_file_counts_from_end_to_end(tmp_path, rng):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(rng.bytes(3 * MIB))
    before = mark(path)
    for at in (0, MIB + 7, 2 * MIB - 1, 3 * MIB - 1):
        flip(path, at)
        assert mark(path) != before
        flip(path, at)
    assert mark(path) == before


# Digests are remembered ------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch) -> list[Path]:
    """The files that are really read."""
    read = []
    original = contents._computed
    monkeypatch.setattr(
        contents, "_computed", lambda path, form: (read.append(path), original(path, form))[1]
    )
    monkeypatch.setattr(contents, "_UNSETTLED", 0.05)
    return read


@pytest.fixture
def big(tmp_path, rng) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(rng.bytes(MIB + 1))
    time.sleep(0.06)
    return path


def test_a_digest_is_computed_once(big, counted):
    found = [contents.digest(big) for _ in range(3)]
    assert set(found) == {hashlib.sha256(big.read_bytes()).hexdigest()}
    assert counted == [big]
    git = b"blob %d\0" % big.stat().st_size + big.read_bytes()
    assert contents.digest(big, "git") == hashlib.sha1(git).hexdigest()
    assert contents.digest(big) == found[0]


@pytest.mark.parametrize("how", ["in place", "times set back", "moved here"])
def test_an_edit_is_seen_however_it_was_made(big, counted, how):
    settle(big)
    time.sleep(0.06)
    before = contents.digest(big)
    if how == "moved here":
        other = big.with_name("other")
        other.write_bytes(big.read_bytes())
        flip(other, MIB // 2)
        settle(other)
        other.replace(big)
    else:
        flip(big, MIB // 2)
        if how == "times set back":
            settle(big)
    assert contents.digest(big) != before


def test_a_file_that_has_just_changed_is_read_again(big, counted, monkeypatch):
    monkeypatch.setattr(contents, "_UNSETTLED", 60.0)
    assert contents.digest(big) == contents.digest(big)
    assert counted == [big, big]


@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", '{"digest": 1}', "\0\0"])
def test_a_damaged_memory_is_made_anew(big, counted, cache, damage):
    found = contents.digest(big)
    (record,) = (cache / "digests").iterdir()
    record.write_text(damage)
    assert contents.digest(big) == found == contents.digest(big)
    assert counted == [big, big]


def test_a_digest_that_many_ask_for_at_once_is_kept_whole(big, counted, cache):
    expected = hashlib.sha256(big.read_bytes()).hexdigest()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(contents.digest, [big] * 32)) == {expected}
    (record,) = (cache / "digests").iterdir()
    assert json.loads(record.read_text())["digest"] == expected


def test_a_shortened_digest_or_another_path_is_not_believed(big, counted, cache):
    found = contents.digest(big)
    (record,) = (cache / "digests").iterdir()
    kept = json.loads(record.read_text())
    for wrong in ({"digest": found[:-1]}, {"path": "elsewhere"}, {"inode": [0, 0]}):
        record.write_text(json.dumps({**kept, **wrong}))
        assert contents.digest(big) == found
    assert len(counted) == 4


def test_a_cache_that_cannot_be_written_costs_no_number(big, counted, cache):
    cache.write_text("a file where a folder should be")
    assert contents.digest(big) == hashlib.sha256(big.read_bytes()).hexdigest()


def test_a_file_that_is_being_written_is_refused(big, counted, monkeypatch):
    original = contents._computed

    def slow(path, form):
        flip(path, 0)
        return original(path, form)

    monkeypatch.setattr(contents, "_computed", slow)
    with pytest.raises(ModelError, match=r"big\.bin changed while it was read"):
        contents.digest(big)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.json cannot be read: No such file"):
        contents.digest(tmp_path / "nothing.json")


# Nothing old is served -------------------------------------------------------------------------------------


def test_states_are_captured_again_after_an_edit_in_place(folder, runs):
    corpus = sample_corpus(("en",))
    before = capture.ensure(str(folder), corpus, progress=False)
    name = "model.layers.1.mlp.down_proj.weight"
    content = safetensors_of(folder / "model.safetensors")
    content[name] += 1.0
    save(content, folder / "model.safetensors")
    after = capture.ensure(str(folder), corpus, progress=False)
    assert before.attrs["key"] != after.attrs["key"]
    own = capture.states(models.load(folder), corpus.texts["en"])
    for pooling, states in own.items():
        np.testing.assert_array_equal(after["states"].sel(language="en", pooling=pooling), states)
    assert not np.allclose(before["states"][:, :, 3], after["states"][:, :, 3])


def test_a_model_whose_files_changed_after_it_was_loaded_saves_nothing(folder, runs):
    model = models.load(folder)
    model.check_unchanged()
    size = (folder / "model.safetensors").stat().st_size
    flip(folder / "model.safetensors", size - 3)
    with pytest.raises(ModelError, match=r"the files of tiny .* changed since it was loaded"):
        model.check_unchanged()
    with pytest.raises(
        ModelError, match="the model at hand is not the one asked for: revision, weights differ"
    ):
        capture.ensure(str(folder), sample_corpus(("en",)), model=model, progress=False)
    assert not list(runs.rglob("*.zarr"))


def test_a_model_edited_while_states_are_captured_saves_nothing(folder, runs, monkeypatch):
    original = capture._pool

    def edited(*arguments):
        flip(folder / "tokenizer_config.json", 2)
        return original(*arguments)

    monkeypatch.setattr(capture, "_pool", edited)
    with pytest.raises(ModelError, match="changed since it was loaded"):
        capture.ensure(str(folder), sample_corpus(("en",)), progress=False)
    assert not list(runs.rglob("*.zarr"))


def test_code_that_makes_numbers_is_part_of_every_key(folder, runs, monkeypatch):
    corpus, settings = sample_corpus(("en",)), Subject("random", 0)

    def keys():
        request = capture._request(str(folder), corpus, None, ("mean",), settings, None)[0]
        return request["capture"], request["model"]["construction"], weights.conversion_code()

    before = keys()
    assert keys() == before
    original = files.code_fingerprint
    monkeypatch.setattr(files, "code_fingerprint", lambda *names: original(*names) + " edited")
    assert not set(keys()) & set(before)


# Kept traces -----------------------------------------------------------------------------------------------


def test_end_tokens_are_part_of_the_key_of_kept_traces(folder, runs, monkeypatch):
    places = []

    def stop(path):
        places.append(Path(path).name)
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "lock", stop)
    settings = folder / "generation_config.json"
    for content in ({"eos_token_id": 2}, {"eos_token_id": [2, 5]}, {"eos_token_id": 2, "temperature": 0.1}):
        settings.write_text(json.dumps(content))
        with pytest.raises(KeyboardInterrupt):
            solving.ensure(str(folder), ["en"])
    assert places[0] == places[2] != places[1]


@pytest.mark.parametrize("wrong", ['{"eos_token_id": "two"}', "{", "[]"])
def test_settings_for_generating_that_say_nothing_are_refused(folder, wrong):
    (folder / "generation_config.json").write_text(wrong)
    with pytest.raises(ModelError, match=r"eos_token_id is|generation_config\.json (?:is not valid|holds)"):
        models.load(folder)


# Conversions -----------------------------------------------------------------------------------------------


@pytest.fixture
def gguf_file(tmp_path) -> Path:
    config = transformers.Qwen2Config(
        **SMALL, hidden_size=16, num_hidden_layers=2, intermediate_size=24, num_key_value_heads=2
    )
    tiny_gguf.write(tmp_path / "tiny.gguf", random_network(config, noise=0.1))
    return tmp_path / "tiny.gguf"


def shortened(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def edited(folder: Path) -> None:
    flip(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 2)


def without_record(folder: Path) -> None:
    (folder / "converted.json").unlink()


def with_an_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize("damage", [shortened, edited, without_record, with_an_adapter, without_tokenizer])
def test_a_conversion_that_was_changed_is_made_again(gguf_file, damage, capsys):
    source = weights.find(gguf_file)
    converted = fetching.fetch(source)
    whole = {p.name: p.read_bytes() for p in converted.iterdir()}
    assert fetching.fetch(source) == converted
    assert capsys.readouterr().err.count("converting tiny") == 1
    damage(converted)
    assert fetching.fetch(source) == converted
    assert "is not what was converted; converting tiny" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in converted.iterdir()} == whole


def test_a_gguf_file_is_read_without_its_neighbours(gguf_file, monkeypatch):
    alone = models.load(gguf_file)
    for name in ("adapter_config.json", "config.json", "tokenizer.json", "tokenizer_config.json"):
        (gguf_file.parent / name).write_text("{ broken")
    monkeypatch.setattr(files, "cache_root", lambda: gguf_file.parent / "other")
    again = models.load(gguf_file)
    assert alone.tokenizer.get_vocab() == again.tokenizer.get_vocab()
    for a, b in zip(alone.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_gguf_file_that_lacks_a_tensor_is_refused(gguf_file, monkeypatch):
    original = tiny_gguf._tensors

    def without_one(name, values, names):
        return iter(()) if name.endswith("layers.1.mlp.up_proj.weight") else original(name, values, names)

    monkeypatch.setattr(tiny_gguf, "_tensors", without_one)
    tiny_gguf.write(
        gguf_file, random_network(conversion.read_network(gguf_file, gguf_file.parent).config, noise=0.1)
    )
    with pytest.raises(
        ModelError, match=r"tiny\.gguf: the files lack 1 weight \(model\.layers\.1\.mlp\.up_proj"
    ):
        models.load(gguf_file)


# The Hugging Face cache ------------------------------------------------------------------------------------


@pytest.fixture
def snapshot(folders, tmp_path, monkeypatch) -> Path:
    """A snapshot as the hub's client leaves it: links to blobs named by their content."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    home = tmp_path / "hub" / "models--owner--tiny"
    found = home / "snapshots" / COMMIT
    for part in (found, home / "blobs", home / "refs"):
        part.mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    for path in folders["llama"].iterdir():
        name = contents.digest(path, "sha256" if path.suffix == ".safetensors" else "git")
        shutil.copyfile(path, home / "blobs" / name)
        (found / path.name).symlink_to(Path("../../blobs") / name)
    return found


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_cached_snapshot_that_was_edited_is_noticed(snapshot, name):
    assert models.identity("owner/tiny")["weights"] == f"owner/tiny@{COMMIT}"
    assert models.load("owner/tiny").revision == COMMIT
    flip(snapshot / name, 40)
    for attempt in (models.identity, models.load):
        with pytest.raises(ModelError, match=rf"{name} of owner/tiny in the Hugging Face cache was changed"):
            attempt("owner/tiny")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_file_in_the_place_of_a_link_is_another_model(snapshot, name):
    """As a cache is copied with its links followed, or a file of it replaced: nothing names its digest."""
    linked = models.identity("owner/tiny")
    content = (snapshot / name).read_bytes()
    (snapshot / name).unlink()
    (snapshot / name).write_bytes(content)
    copied = models.identity("owner/tiny")
    assert models.identity("owner/tiny") == copied
    flip(snapshot / name, 40)
    edited = models.identity("owner/tiny")
    for part in ("weights", "tokenizer"):  # both name one commit, and so its files
        assert len({one[part] for one in (linked, copied, edited)}) == 3


def test_an_adapter_in_a_snapshot_is_refused(snapshot):
    (snapshot / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
    with pytest.raises(ModelError, match=r"holds an adapter \(adapter_config\.json, of owner/base\)"):
        models.load("owner/tiny")


def test_the_files_of_a_folder_are_of_the_weights_or_of_the_tokenizer(everything):
    of_weights, of_tokens = model_folders.weight_files(everything), model_folders.tokenizer_files(everything)
    assert not set(of_weights) & set(of_tokens)
    assert everything / "part" / "model-2-of-2.safetensors" in of_weights
    assert {p.name for p in of_tokens} >= {
        "tokenizer.json",
        "tokenizer_config.json",
        "merges.txt",
        "spiece.model",
    }


def test_every_kind_of_tiny_model_is_complete(folders):
    assert set(folders) == set(CONFIGS)
    for place in folders.values():
        assert models.load(place).has_head

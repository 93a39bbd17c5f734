"""Captured states are the model's own whatever the batching; a capture is made once and survives a kill."""

import errno
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model_builders import CONFIGS, assert_close, forbid_loading, pooled_by_hand, sample_corpus, torch, words
from zspace import files
from zspace.errors import CorpusError, ModelError, ParameterError, StoreError, ZspaceError
from zspace.sources import models
from zspace.sources.models import TRAINED, Subject
from zspace.states import capture, pooling, store


@pytest.fixture(scope="session", params=CONFIGS)
def model(request, folders):
    return models.load(folders[request.param])


def test_states_are_those_of_the_plain_model_pooled_by_hand(model, rng):
    texts = words(rng, 12)  # in batches by length, given back in their order
    states = capture.states(model, texts, poolings=pooling.NAMES, token_budget=64)
    expected = [pooled_by_hand(model, text) for text in texts]
    for name in pooling.NAMES:
        assert states[name].shape == (4, 12, 16)
        assert states[name].dtype == np.float32
        assert_close(states[name], np.stack([e[name] for e in expected], axis=1))


def test_states_leave_out_the_special_token(llama):
    """Control: pooling with <bos> gives something else, so the equality above is no accident."""
    ids, content = models.tokenize(llama, ["one two"])[0]
    assert content.tolist() == [False] + [True] * 7
    with torch.inference_mode():
        hidden = llama.network(input_ids=torch.tensor(ids)[None], output_hidden_states=True).hidden_states
    with_special = hidden[1][0].mean(0).numpy()
    assert np.abs(capture.states(llama, ["one two"])["mean"][1, 0] - with_special).max() > 1e-2


def test_states_do_not_depend_on_the_batch(model, rng):
    texts = words(rng, 15)
    alone = capture.states(model, texts, poolings=pooling.NAMES, token_budget=1)
    for budget in (40, 100000):
        together = capture.states(model, texts, poolings=pooling.NAMES, token_budget=budget)
        for name in pooling.NAMES:
            assert_close(together[name], alone[name])


def test_states_are_summed_in_float32_under_bfloat16(folders, rng):
    """A sum of hundreds of bfloat16 numbers in bfloat16 is off by percents."""
    model = models.load(folders["llama"], dtype="bfloat16")
    text = "".join(rng.choice(list("abcdef"), size=400))
    states = capture.states(model, [text])
    assert_close(states["mean"][:, 0], pooled_by_hand(model, text)["mean"], 1e-5)
    ids, content = models.tokenize(model, [text])[0]
    with torch.inference_mode():
        hidden = model.network(input_ids=torch.tensor(ids)[None], output_hidden_states=True).hidden_states
    running = torch.zeros(16, dtype=torch.bfloat16)
    for token in hidden[1][0, content]:
        running += token
    careless = (running / content.sum()).float().numpy()
    error = np.linalg.norm(careless - states["mean"][1, 0]) / np.linalg.norm(states["mean"][1, 0])
    assert error > 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_batches_hold_each_text_once_within_budget_and_padding_cap(seed):
    lengths = np.random.default_rng(seed).integers(1, 90, 200)
    plan = capture.batches(lengths, 256)
    assert sorted(np.concatenate(plan)) == list(range(200))
    for rows in plan:
        padded = len(rows) * lengths[rows].max()
        assert len(rows) == 1 or (padded <= 256 and padded - lengths[rows].sum() <= 0.1 * padded)
    assert [lengths[rows].max() for rows in plan] == sorted((lengths[r].max() for r in plan), reverse=True)
    assert len(plan) < 1.5 * lengths.sum() / 256
    assert capture.batches([], 256) == []
    assert [rows.tolist() for rows in capture.batches([5, 500, 5], 256)] == [[1], [0, 2]]


def test_trimmed_pooling_is_blind_to_a_first_token_and_an_outlier_that_move_the_mean(rng):
    h = torch.tensor(rng.normal(size=(1, 12, 8)), dtype=torch.float32)
    content = torch.ones(1, 12, dtype=torch.bool)
    moved = h.clone()
    moved[0, 0] += 50
    moved[0, 7] += 1000
    trimmed, mean, median = pooling.reducers(content, ("trimmed", "mean", "median"))
    kept = torch.cat([moved[0, 1:7], moved[0, 8:]])
    # Of eleven tokens after the first two are dropped: the outlier and the next in norm.
    kept = kept[kept.norm(dim=1).argsort()[:-1]].mean(0)
    torch.testing.assert_close(trimmed(moved)[0], kept)
    assert (mean(moved) - mean(h)).abs().min() > 50
    assert (median(moved) - median(h)).abs().max() < 2


@pytest.mark.parametrize("name", pooling.NAMES)
def test_pooling_of_a_single_token_is_that_token(name, rng):
    h = torch.tensor(rng.normal(size=(2, 5, 8)), dtype=torch.float32)
    content = torch.zeros(2, 5, dtype=torch.bool)
    content[0, 1] = content[1, 3] = True
    (reducer,) = pooling.reducers(content, (name,))
    torch.testing.assert_close(reducer(h), torch.stack([h[0, 1], h[1, 3]]))


class TightMemory:
    """A trunk that fails as an allocator would where a batch has more than `limit` padded tokens."""

    def __init__(self, trunk, limit: int, error: Exception):
        self.trunk, self.limit, self.error, self.sizes = trunk, limit, error, []

    def __call__(self, input_ids, **options):
        self.sizes.append(input_ids.numel())
        if input_ids.numel() > self.limit:
            raise self.error
        return self.trunk(input_ids=input_ids, **options)


FAILURES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    MemoryError(),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda e: type(e).__name__)
def test_states_halve_the_batch_until_it_fits_into_memory(llama, rng, error):
    texts = words(rng, 20)
    trunk = TightMemory(llama.trunk, 100, error)
    states = capture.states(replace(llama, trunk=trunk), texts, token_budget=512)
    expected = capture.states(llama, texts)
    for name in capture.POOLINGS:
        assert_close(states[name], expected[name])
    failed = [size for size in trunk.sizes if size > 100]
    assert 1 <= len(failed) <= 4
    assert trunk.sizes[: len(failed)] == failed, "once halved, the batches stay small"


def test_states_say_so_when_a_single_text_does_not_fit(llama):
    trunk = TightMemory(llama.trunk, 10, FAILURES[0])
    with pytest.raises(ZspaceError, match=r"memory on a single text of 31 tokens \(CUDA out"):
        capture.states(replace(llama, trunk=trunk), ["x" * 30, "y" * 30])


def test_states_name_the_layer_and_dtype_that_are_not_finite(folders):
    broken = models.load(folders["llama"])
    broken.blocks[1].mlp.down_proj.weight.data[0, 0] = torch.inf
    with pytest.raises(ModelError, match=r"states at layer 2 of 3 are not finite .* dtype float32"):
        capture.states(broken, ["one two"])


def test_states_refuse_unknown_poolings_and_empty_texts(llama):
    with pytest.raises(ParameterError, match="expected some of mean, last, median, trimmed"):
        capture.states(llama, ["one"], poolings=("max",))
    with pytest.raises(ModelError, match="row 1"):
        capture.states(llama, ["one", ""])


def test_states_show_progress_in_tokens_only_when_asked(llama, capsys):
    capture.states(llama, ["one two"])
    assert capsys.readouterr().err == ""
    capture.states(llama, ["one two"], progress=True)
    assert "8.00/8.00" in capsys.readouterr().err


def test_ensure_gives_the_states_of_each_language_with_its_tokens(llama, folders, runs):
    corpus = sample_corpus()
    dataset = capture.ensure(folders["llama"], corpus, ["sw", "en"], progress=False)
    assert dataset["language"].values.tolist() == ["sw", "en"]
    for language in ("sw", "en"):
        states = capture.states(llama, corpus.texts[language])
        for name in capture.POOLINGS:
            assert_close(dataset["states"].sel(language=language, pooling=name).values, states[name])
        ids = [i[content] for i, content in models.tokenize(llama, corpus.texts[language])]
        assert dataset["n_tokens"].sel(language=language).values.tolist() == [len(i) for i in ids]
        for row, expected in zip(dataset["token_ids"].sel(language=language).values, ids, strict=True):
            assert row[row != store.NO_TOKEN].tolist() == expected.tolist()
    assert dataset["scenario"].values.tolist() == corpus.items["scenario"].tolist()
    assert dataset.attrs["variant"] == "trained"


def inodes(runs: Path) -> dict[str, tuple[int, int]]:
    """Identity of every captured language: a group written again has another inode or time."""
    return {
        p.name.partition("-")[0]: (p.stat().st_ino, (p / "zarr.json").stat().st_mtime_ns)
        for p in runs.glob("states/*/[!.]*.zarr")
    }


def test_ensure_captures_only_the_languages_that_are_missing(llama, folders, runs, monkeypatch):
    name = folders["llama"]
    capture.ensure(name, sample_corpus(("en", "fr")), model=llama, progress=False)
    before = inodes(runs)
    capture.ensure(name, sample_corpus(), model=llama, progress=False)
    after = inodes(runs)
    assert after.keys() == {"en", "fr", "sw"}
    assert {k: after[k] for k in before} == before
    forbid_loading(monkeypatch)
    capture.ensure(name, sample_corpus(), ["fr"], progress=False)
    assert inodes(runs) == after


def test_ensure_captures_anew_the_language_whose_texts_changed(llama, folders, runs):
    capture.ensure(folders["llama"], sample_corpus(), model=llama, progress=False)
    before = {p.name for p in runs.glob("states/*/*.zarr")}
    changed = capture.ensure(folders["llama"], sample_corpus(change="fr"), model=llama, progress=False)
    new = {p.name for p in runs.glob("states/*/*.zarr")} - before
    assert [name.partition("-")[0] for name in new] == ["fr"]
    expected = capture.states(llama, sample_corpus(change="fr").texts["fr"])["mean"]
    assert_close(changed["states"].sel(language="fr", pooling="mean").values, expected)


def test_ensure_all_loads_the_weights_once_and_captures_every_variant(folders, runs, monkeypatch):
    name, loads, load = folders["llama"], [], models.load
    monkeypatch.setattr(models, "load", lambda *a, **k: loads.append(a) or load(*a, **k))
    wanted = [models.TRAINED, Subject("random", 0), Subject("random", 1), Subject("random-blocks", 0)]
    request = (name, sample_corpus(("en", "fr")), wanted)
    first = capture.ensure_all(*request, progress=False)
    assert len(loads) == 1
    assert list(first) == wanted
    mean = {one: dataset["states"].sel(pooling="mean").values for one, dataset in first.items()}
    trained, random, _, blocks = wanted
    np.testing.assert_array_equal(mean[trained][:, 0], mean[blocks][:, 0])
    for one, other in [(trained, random), (random, wanted[2]), (trained, blocks)]:
        assert np.abs(mean[one][:, 1:] - mean[other][:, 1:]).max() > 1e-3
    forbid_loading(monkeypatch)
    again = capture.ensure_all(*request, progress=False)
    for one, dataset in first.items():
        assert dataset.identical(again[one])


def test_ensure_refuses_a_model_that_is_not_the_one_asked_for(folders, llama, runs):
    with pytest.raises(ModelError, match="not the one asked for: model"):
        capture.ensure(folders["gpt2"], sample_corpus(), model=llama, progress=False)
    assert list(runs.glob("states/*/*.zarr")) == []


def test_ensure_names_what_is_unknown_and_the_language_of_a_bad_text(llama, folders, runs):
    corpus = sample_corpus()
    with pytest.raises(CorpusError, match="'letters' was loaded without xx; it has en, fr, sw"):
        capture.ensure(folders["llama"], corpus, ["en", "xx"])
    with pytest.raises(ModelError, match="no-such-model"):
        capture.ensure("no-such-model", corpus)
    corpus.texts["fr"] = ("", *corpus.texts["fr"][1:])
    with pytest.raises(ModelError, match="corpus 'letters', language fr: row 0"):
        capture.ensure(folders["llama"], corpus, model=llama, progress=False)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
def test_ensure_goes_on_after_an_interruption_or_a_full_disk(llama, folders, runs, monkeypatch, failure):
    to_zarr = store.xr.Dataset.to_zarr

    def fail_at_second(dataset, path, **options):
        if dataset.attrs["language"] == "fr":
            raise failure
        return to_zarr(dataset, path, **options)

    expected = StoreError if isinstance(failure, OSError) else KeyboardInterrupt
    monkeypatch.setattr(store.xr.Dataset, "to_zarr", fail_at_second)
    with pytest.raises(expected):
        capture.ensure(folders["llama"], sample_corpus(), model=llama, progress=False)
    before = inodes(runs)
    assert before.keys() == {"en"}
    monkeypatch.setattr(store.xr.Dataset, "to_zarr", to_zarr)
    capture.ensure(folders["llama"], sample_corpus(), model=llama, progress=False)
    assert inodes(runs).keys() == {"en", "fr", "sw"}
    assert inodes(runs)["en"] == before["en"]


FORK = multiprocessing.get_context("fork")  # a new process would import torch again


def capture_and_hang_at_second_language(folder: Path) -> None:
    to_zarr = store.xr.Dataset.to_zarr

    def write(dataset, path, **options):
        to_zarr(dataset, path, **options)
        if dataset.attrs["language"] == "fr":
            time.sleep(120)

    store.xr.Dataset.to_zarr = write
    capture.ensure(folder, sample_corpus(), progress=False)


def test_ensure_after_kill_keeps_whole_languages_and_captures_the_rest(llama, folders, runs):
    process = FORK.Process(target=capture_and_hang_at_second_language, args=(folders["llama"],))
    process.start()
    try:
        end = time.monotonic() + 60
        while not list(runs.glob("states/*/.fr-*.zarr.*/*/states/c/1")):
            assert time.monotonic() < end, "nothing was written within 60 s"
            assert process.is_alive(), "the process ended early"
            time.sleep(0.02)
    finally:
        process.kill()
        process.join()
    before = inodes(runs)
    assert before.keys() == {"en"}
    dataset = capture.ensure(folders["llama"], sample_corpus(), model=llama, progress=False)
    after = inodes(runs)
    assert after.keys() == {"en", "fr", "sw"}
    assert after["en"] == before["en"]
    assert list(runs.glob("states/*/.*.zarr.*")) == [], "the half-written group is swept away"
    for language in sample_corpus().languages:
        states = capture.states(llama, sample_corpus().texts[language])
        assert_close(dataset["states"].sel(language=language, pooling="mean").values, states["mean"])


def capture_beside_another(folder: Path, start, found) -> None:
    write, written = store.write, []
    store.write = lambda *a: written.append(a[1]) or time.sleep(0.2) or write(*a)
    start.wait(60)
    dataset = capture.ensure(folder, sample_corpus(), progress=False)
    found.put((len(written), float(dataset["states"].sum())))


def test_ensure_in_two_processes_captures_once(folders, runs):
    start, found = FORK.Barrier(2), FORK.Queue()
    arguments = (folders["llama"], start, found)
    processes = [FORK.Process(target=capture_beside_another, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    (written, total), (also_written, other) = (found.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert sorted((written, also_written)) == [0, 3]
    assert total == other


def test_ensure_all_leaves_what_another_process_captures_to_the_end(folders, runs, monkeypatch):
    subjects = [TRAINED, Subject("random", 0), Subject("random", 1)]
    request = folders["llama"], sample_corpus()
    capture.ensure(*request, progress=False)
    (folder,) = (path for path in runs.glob("states/*") if path.is_dir())
    shutil.rmtree(folder)
    write, order = store.write, []
    held, done = threading.Event(), threading.Event()

    def capture_the_first_beside() -> None:
        with files.lock(folder):
            held.set()
            done.wait(60)

    def note(description, language, *rest) -> None:
        order.append((description["model"]["variant"], description["model"]["seed"]))
        if len(order) == 6:
            done.set()
        write(description, language, *rest)

    monkeypatch.setattr(store, "write", note)
    other = threading.Thread(target=capture_the_first_beside)
    other.start()
    assert held.wait(60)
    found = capture.ensure_all(*request, subjects, progress=False)
    other.join()
    expected = [(one.kind, one.seed) for one in (*subjects[1:], subjects[0])]
    assert list(dict.fromkeys(order)) == expected
    assert list(found) == subjects


def test_ensure_of_captured_states_loads_no_torch(llama, folders, runs):
    capture.ensure(folders["llama"], sample_corpus(), model=llama, progress=False)
    code = (
        "import sys, pickle; from zspace.states import capture; "
        "corpus = pickle.load(sys.stdin.buffer); "
        "dataset = capture.ensure(sys.argv[1], corpus, progress=False); "
        "print(dataset.sizes['language'], 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(folders["llama"])]
    corpus = pickle.dumps(sample_corpus())
    result = subprocess.run(command, input=corpus, capture_output=True, check=True)
    assert result.stdout.split() == [b"3", b"False", b"False"]

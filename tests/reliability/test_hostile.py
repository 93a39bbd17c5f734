"""Models, states and names that would run code, write elsewhere or hold no numbers are refused."""

import builtins
import contextlib
import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra `models` is not installed")

import faults
import torch
from model_builders import sample_corpus, save_tiny
from zspace.errors import ModelError, ZspaceError
from zspace.sources import models
from zspace.states import capture, generation, imported, store


@pytest.fixture
def folder(tmp_path) -> Path:
    """A tiny model of the test's own."""
    return save_tiny("llama", tmp_path / "model")


def test_code_beside_a_model_is_neither_run_nor_asked_about(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(builtins, "input", lambda *_: asked.append(True) or "y")
    sprung = folder / "sprung"
    (folder / "own.py").write_text(f"open({str(sprung)!r}, 'w').close()\nclass Own:\n    pass\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError):
        models.load(folder)
    assert not sprung.exists()
    assert not asked


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_pickled_weights_are_not_unpickled(folder, name):
    path = folder / name
    (folder / "model.safetensors").unlink()
    path.write_bytes(pickle.dumps({"x": faults.Trap(faults.trap_of(path))}))
    with pytest.raises(ZspaceError):
        models.load(folder)
    assert not faults.trap_of(path).exists()


@pytest.fixture
def broken(folder):
    """A model whose second block adds numbers that are not finite."""
    model = models.load(folder)
    with torch.no_grad():
        model.blocks[1].mlp.down_proj.weight[0, 0] = float("inf")
    return model


def test_states_and_traces_that_are_not_finite_are_refused_with_their_layer(broken):
    with pytest.raises(ModelError, match=r"states at layer 2 of 3 are not finite"):
        capture.states(broken, ["one apple"])
    with pytest.raises(ModelError, match=r"what block 1 adds is not finite"):
        generation.traces(broken, ["one apple"], rng=np.random.default_rng(0), n_steps=4)


def outside(root: Path, runs: Path) -> set[Path]:
    return {p for p in root.rglob("*") if runs not in (p, *p.parents)}


@pytest.mark.parametrize(
    "name", ["../up", "../../up", "/abs", "a/../../b", "%2e%2e", "~", "$HOME", "{x}", "a\nb"]
)
def test_names_never_lead_out_of_the_runs_folder(tmp_path, monkeypatch, name):
    runs = tmp_path / "deep" / "runs"
    runs.mkdir(parents=True)
    monkeypatch.setenv("ZSPACE_RUNS", str(runs))
    corpus = sample_corpus((name, "en"))
    rng = np.random.default_rng(0)
    path = tmp_path / "s.npz"
    np.savez(path, en=rng.standard_normal((3, 5, 4)))
    before = outside(tmp_path, runs)
    described = store.describe({"model": name}, corpus, ("mean",))
    states = {"mean": rng.standard_normal((3, 5, 4)).astype(np.float32)}
    for code, mark in store.fingerprints(corpus).items():
        store.write(described, code, mark, states, [np.arange(2)] * 5, corpus.items)
    with contextlib.suppress(ZspaceError):
        imported.add(path, name, sample_corpus(("en",)))
    assert outside(tmp_path, runs) == before
    assert any(runs.rglob("*.zarr"))


def _import(path: Path, name: str, corpora) -> None:
    for corpus in corpora:
        imported.add(path, name, corpus)


def test_two_imports_at_once_lose_nothing(tmp_path, monkeypatch):
    """Of one name for many corpora: each is found afterwards, by either process."""
    from dataclasses import replace

    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    rng, path = np.random.default_rng(0), tmp_path / "s.npz"
    np.savez(path, en=rng.standard_normal((3, 5, 4)))
    corpora = [replace(sample_corpus(("en",)), name=f"c{i}") for i in range(12)]
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_import, args=(path, "mine", corpora[i::2])) for i in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    assert all(imported.find("mine", corpus).corpus == corpus.name for corpus in corpora)

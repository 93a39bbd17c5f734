"""What others' files go through: a valid folder for each loader, the files in it to harm, and the loader.

A target's `make` fills a folder, `read` loads from it; `harm` lists the files (glob patterns) that are
damaged, and by which faults.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import faults
import numpy as np
import pandas as pd
import planted_recordings
import sample_report
import torch
import yaml
from model_builders import SIZES, SMALL, random_network, sample_corpus, save_tiny, transformers
from zspace.evidence import claims
from zspace.pages import grids, parameters
from zspace.sources import corpora, models
from zspace.sources.worlds import World
from zspace.states import imported, networks, store
from zspace.states.generation import recordings

LANGUAGES = ("en", "de")
TEXTS = {
    "en": ["one apple", "two pears fell", "a long walk home", "no 7 of 9", "the end"],
    "de": ["ein Apfel", "zwei Birnen fielen", "ein langer Heimweg", "Nr. 7 von 9", "das Ende"],
}
CORPUS = sample_corpus(LANGUAGES)
STACK = {"recipe": networks.Recipe(depth=1, width=4, steps=500, batch=4)}


@dataclass(frozen=True)
class Target:
    """A loader under test; `weight`: its share of cases; `words`: what a message may name beside files."""

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    harm: Mapping[str, Mapping[str, faults.Fault]]
    weight: float = 1.0
    words: tuple[str, ...] = field(default=())


def _make_model(folder: Path, *, sharded: bool = False) -> None:
    save_tiny("llama", folder / "m")
    sizes = SIZES | {"hidden_size": 8, "num_hidden_layers": 2}
    config = transformers.LlamaConfig(**sizes, intermediate_size=8, num_key_value_heads=1)
    network = random_network(config, noise=0.2)
    network.generation_config.temperature = 0.7
    network.generation_config.do_sample = True
    (folder / "m" / "model.safetensors").unlink()
    network.save_pretrained(folder / "m", max_shard_size="4KB" if sharded else "1GB")


def _read_model(folder: Path) -> object:
    return models.identity(str(folder / "m")), models.load(folder / "m")


def _make_gguf(folder: Path) -> None:
    import tiny_gguf

    config = transformers.LlamaConfig(**SMALL, hidden_size=32, intermediate_size=64, num_hidden_layers=2)
    tiny_gguf.write(folder / "m.gguf", random_network(config, noise=0.1))


def _make_folder(folder: Path) -> None:
    (folder / "c").mkdir()
    for code, rows in TEXTS.items():
        (folder / "c" / f"{code}.txt").write_text("\n".join(rows) + "\n")
    (folder / "c" / "rows.txt").write_text("\n".join("abcde") + "\n")
    (folder / "c" / "answers.txt").write_text("1\n2\n\n4\n5,000\n")
    (folder / "c" / "groups.txt").write_text("x\nx\ny\ny\nz\n")


def _frame() -> pd.DataFrame:
    sides = {"id": list("abcde"), "scenario": list("xxyyz"), "difficulty": [1, 2, 1, 2, 1]}
    return pd.DataFrame(TEXTS | sides | {"answer": ["1", "2", "", "4", "5,000"]})


def _make_csv(folder: Path) -> None:
    _frame().to_csv(folder / "c.csv", index=False)


def _make_tsv(folder: Path) -> None:
    _frame().to_csv(folder / "c.tsv", index=False, sep="\t")


def _make_jsonl(folder: Path) -> None:
    _frame().to_json(folder / "c.jsonl", orient="records", lines=True)


def _make_parquet(folder: Path) -> None:
    _frame().to_parquet(folder / "c.parquet")


def _make_mgsm(folder: Path) -> None:
    (folder / "c").mkdir()
    for code, rows in TEXTS.items():
        lines = [f"{text}\t{i}" for i, text in enumerate(rows)]
        (folder / "c" / f"mgsm_{code}.tsv").write_text("\n".join(lines) + "\n")


def _corpus(name: str) -> Callable[[Path], object]:
    return lambda folder: corpora.load(folder / name, LANGUAGES)


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {code: rng.standard_normal((3, 5, 4)).astype(np.float32) for code in LANGUAGES}
    return found | {f"token_ids/{code}": rng.integers(0, 9, (5, 3)) for code in LANGUAGES}


def _make_npz(folder: Path) -> None:
    np.savez(folder / "s.npz", **_arrays())


def _make_safetensors(folder: Path) -> None:
    from safetensors.numpy import save_file

    save_file(_arrays(), folder / "s.safetensors")


def _make_pt(folder: Path) -> None:
    torch.save({name: torch.tensor(a) for name, a in _arrays().items() if "/" not in name}, folder / "s.pt")


def _make_yaml(folder: Path) -> None:
    for code in LANGUAGES:
        np.save(folder / f"{code}.npy", _arrays()[code])
    (folder / "s.yaml").write_text(yaml.safe_dump({code: f"{code}.npy" for code in LANGUAGES}))


def _imports(name: str) -> Callable[[Path], object]:
    return lambda folder: imported.add(folder / name, "mine", CORPUS)


def _make_store(folder: Path) -> None:
    described, rng = _description(), np.random.default_rng(0)
    for code, mark in store.fingerprints(CORPUS).items():
        states = {"mean": rng.standard_normal((3, 5, 4)).astype(np.float32)}
        store.write(described, code, mark, states, [np.arange(2)] * 5, CORPUS.items)


def _description() -> dict:
    return store.describe({"model": "tiny", "variant": "trained", "seed": None}, CORPUS, ("mean",))


def _read_store(_folder: Path) -> object:
    key = store.folder(_description()).name
    return store.open(key, store.fingerprints(CORPUS)), store.listing()


def _make_registry(folder: Path) -> None:
    _make_npz(folder)
    imported.add(folder / "s.npz", "mine", CORPUS)


def _make_recordings(folder: Path) -> None:
    written = planted_recordings.planted_recordings(np.random.default_rng(0), n_scenarios=2)
    recordings.save(written, folder / "r.npz")


def _make_ledger(folder: Path) -> None:
    sample_report.write_ledger(folder / "ledger")
    for path in sorted((folder / "ledger").glob("*.json"))[2:]:
        path.unlink()


def _make_grid(folder: Path) -> None:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    cell = new_code_cell('model = "m"\ncorpus = "c"\nversion = ""\nlanguages = "en"\nn_items = 2\n')
    cell["metadata"]["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=[cell]), folder / "first.ipynb")
    corpus = {"corpus": "number-stories", "version": "digits", "languages": "en,zh", "n_items": 2}
    grid = {"folder": ".", "models": ["a/b"], "corpora": [corpus], "notebooks": {"first": {"per_pair": True}}}
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid | {"variants": {"trained": [], "random": [0, 1]}}))


def _make_words(folder: Path) -> None:
    _make_grid(folder)
    words = {"model": "m", "corpus": "number-stories", "languages": "en,zh", "n_items": "4"}
    (folder / "words.json").write_text(json.dumps(words))


def _read_words(folder: Path) -> object:
    """Values of a command line's words; whatever is no text there is written as one."""
    # what is nested too deeply for a parser stays the word that it is
    content = (folder / "words.json").read_text("utf-8", errors="surrogatepass")
    words = {"corpus": content} if content.count("[") + content.count("{") > 100 else json.loads(content)
    given = {
        str(name): value if isinstance(value, str) else json.dumps(value) for name, value in words.items()
    }
    read = parameters.read_parameters("first", given, folder=folder)
    return parameters.check_parameters("first", read, folder=folder)


def _make_networks(folder: Path) -> None:
    networks.save(networks.train([World(3, (0.6, 0.4))], [0], **STACK), folder / "nets")


def _make_checkpoint(folder: Path) -> None:
    from zspace.states.networks import stacked

    run = stacked._Run([World(3, (0.6, 0.4))], [0], False, STACK["recipe"], "cpu")
    for _ in range(500 // stacked.CHUNK):
        run.advance()
    run.write(folder / "kept.safetensors")


def _read_checkpoint(folder: Path) -> object:
    return networks.train([World(3, (0.6, 0.4))], [0], **STACK, checkpoint=folder / "kept.safetensors")


_TREES = faults.BYTES | faults.TREES
_TABLES = faults.BYTES | faults.TABLES
_ARRAYS = faults.BYTES | faults.ARRAYS
_WORDS = {name: fault for name, fault in faults.TREES.items() if name != "another root"}
_SMALL = {"m/config.json": _TREES, "m/generation_config.json": _TREES, "m/tokenizer_config.json": _TREES}
TARGETS: dict[str, Target] = {
    "model folder": Target(
        _make_model, _read_model, _SMALL | {"m/tokenizer.json": _TREES, "m/*.safetensors": faults.BYTES}, 0.3
    ),
    "sharded model": Target(
        lambda folder: _make_model(folder, sharded=True),
        _read_model,
        {"m/model.safetensors.index.json": _TREES, "m/model-*.safetensors": faults.BYTES},
        0.1,
    ),
    "GGUF": Target(_make_gguf, lambda folder: models.load(folder / "m.gguf"), {"m.gguf": faults.BYTES}, 0.1),
    "folder of texts": Target(_make_folder, _corpus("c"), {"c/*.txt": faults.BYTES | faults.TABLES}),
    "CSV": Target(_make_csv, _corpus("c.csv"), {"c.csv": _TABLES}),
    "TSV": Target(_make_tsv, _corpus("c.tsv"), {"c.tsv": _TABLES}),
    "JSON lines": Target(_make_jsonl, _corpus("c.jsonl"), {"c.jsonl": _TREES}),
    "Parquet": Target(_make_parquet, _corpus("c.parquet"), {"c.parquet": faults.BYTES}),
    "MGSM": Target(_make_mgsm, _corpus("c"), {"c/*.tsv": _TABLES}),
    "states in .npz": Target(
        _make_npz, _imports("s.npz"), {"s.npz": _ARRAYS}, words=("en/", "de/", "token_ids")
    ),
    "states in .safetensors": Target(
        _make_safetensors,
        _imports("s.safetensors"),
        {"*.safetensors": faults.BYTES},
        words=("en/", "de/", "token"),
    ),
    "states in .pt": Target(_make_pt, _imports("s.pt"), {"s.pt": faults.BYTES}, words=("en/", "de/")),
    "states by YAML": Target(
        _make_yaml, _imports("s.yaml"), {"s.yaml": _TREES, "*.npy": faults.BYTES}, words=("en/", "de/")
    ),
    "store": Target(
        _make_store, _read_store, {"**/*.zarr/**/*": faults.BYTES, "**/manifest.json": _TREES}, 0.5
    ),
    "store metadata": Target(_make_store, _read_store, {"**/zarr.json": _TREES}, 0.5),
    "record of imports": Target(
        _make_registry, lambda folder: imported.find("mine", CORPUS), {"states/imported/*.json": _TREES}, 0.5
    ),
    "recordings": Target(
        _make_recordings, lambda folder: recordings.load(folder / "r.npz"), {"r.npz": _ARRAYS}
    ),
    "ledger": Target(
        _make_ledger, lambda folder: claims.read_ledger(folder / "ledger"), {"ledger/*": _TREES}
    ),
    "grid": Target(
        _make_grid,
        lambda folder: grids.plan(str(folder / "grid.yaml")),
        {"grid.yaml": _TREES},
        words=("grid", "corpus", "notebook", "model", "variant", "pooling", "parameter", "per_pair"),
    ),
    "words of a command": Target(
        _make_words,
        _read_words,
        {"words.json": _WORDS},
        words=("parameter", "notebook", "model", "corpus"),
    ),
    "parameters cell": Target(
        _make_grid,
        lambda folder: parameters.notebook_parameters(folder / "first.ipynb"),
        {"first.ipynb": _TREES},
        words=("first",),
    ),
    "kept networks": Target(
        _make_networks,
        lambda folder: networks.load(folder / "nets"),
        {"nets/networks.json": _TREES, "nets/*.safetensors": faults.BYTES},
    ),
    "checkpoint": Target(_make_checkpoint, _read_checkpoint, {"kept.safetensors": faults.BYTES}, 0.5),
}

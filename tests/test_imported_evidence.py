"""Saved states are judged exactly as captured ones, and without their controls no claim is testable."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import jupytext
import numpy as np
import pandas as pd
import pytest
from zspace.evidence import claims, panels, plots
from zspace.evidence.experiments import descent, retrieval, simulated, updates
from zspace.sources import corpora
from zspace.states import capture, imports, store

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
pytest.importorskip("transformers", reason="the extra `models` is not installed")

from test_capture import save_tiny  # noqa: E402  (of the same extra)

SCRIPTS = Path(__file__).resolve().parents[1] / "notebooks" / "py"
SIZE = {"n_scenarios": 15, "n_draws": 2}
EXPERIMENTS = (retrieval.retrieval_by_layer, updates.update_agnosticism, descent.snr_descent)
ALIGNED, RISES = "prediction_1_aligned", "prediction_1_rises"
UPDATES, EVERY = "prediction_2_update_agnosticism", "theorem_2_every_layer"
CLAIMS = (ALIGNED, RISES, UPDATES, EVERY)  # those whose controls are subjects
SCOPES = {"as_stated", "as_corrected"}
OPERATING = claims.OperatingCharacteristic(0, 0, 0, 0, 0, 0, 1, {})


@pytest.fixture(scope="module")
def captured(tmp_path_factory) -> SimpleNamespace:
    """States of a tiny random model and all its twins, the model's own with a story planted in them.

    `pairs` are its panels, `datasets` what the store has of it, `found` the results of all experiments.
    """
    root = tmp_path_factory.mktemp("captured")
    model, corpus = (
        str(save_tiny("llama", root / "model")),
        corpora.load("number-stories", ("en", "sw"), **SIZE),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZSPACE_RUNS", str(root / "runs"))
        capture.ensure_all(model, corpus, variants=panels.VARIANTS, progress=False)
        plant_stories(root / "runs" / "states", corpus)
        datasets = capture.ensure_all(model, corpus, variants=panels.VARIANTS, progress=False)
        pairs, last = opened(model, corpus)
    found = [experiment(pairs, rng=np.random.default_rng(1)) for experiment in EXPERIMENTS]
    return SimpleNamespace(corpus=corpus, datasets=datasets, pairs=pairs, last=last, found=found)


def plant_stories(folder: Path, corpus: corpora.Corpus) -> None:
    """Add a direction of its scenario to each trained state in the store, in both languages, from layer 1 on."""
    names, scenario = np.unique(corpus.items["scenario"], return_inverse=True)
    direction = np.random.default_rng(7).standard_normal((len(names), 16))[scenario]
    for path in folder.glob("*/manifest.json"):
        description = json.loads(path.read_text())
        key = description.pop("key")
        if description["model"]["variant"] != "trained":
            continue
        for code in corpus.languages:
            mark = corpus.language_fingerprint(code)
            dataset = store.open(key, {code: mark})
            states = dataset["states"].values[0]
            states[:, 1:] += 1.6 * states[:, 1:].std(2, keepdims=True) * direction
            pooled = dict(zip(description["poolings"], states, strict=True))
            ids = [row[row >= 0] for row in dataset["token_ids"].values[0]]
            store.write(description, code, mark, pooled, ids, corpus.items)


def opened(model: str, corpus: corpora.Corpus) -> tuple[Mapping, Mapping]:
    """Panels of the mean and of the last token, as the notebooks open them."""
    options = {"rng": np.random.default_rng(0), "progress": False}
    return (
        panels.open_panels(model, corpus, **options),
        panels.open_if_there(model, corpus, pooling="last", first_layer=1, **options),
    )


def exported(captured: SimpleNamespace, *, twins=True, tokens=True, poolings=("mean", "last")) -> dict:
    """Plain arrays under the names that an import reads."""
    content = {}
    for label, dataset in captured.datasets.items():
        if label != "trained" and not (twins if isinstance(twins, bool) else label in twins):
            continue
        for code in ("en", "sw"):
            for pooling in poolings:
                states = dataset["states"].sel(language=code, pooling=pooling).to_numpy()
                content[f"{label}/{code}/{pooling}"] = states
    ids = captured.datasets["trained"]["token_ids"]
    return content | (
        {f"token_ids/{c}": ids.sel(language=c).to_numpy() for c in ("en", "sw")} if tokens else {}
    )


def save(content: Mapping, path: Path) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **content)
    else:
        torch.save({name: torch.from_numpy(array) for name, array in content.items()}, path)
    return path


@pytest.fixture
def imported(captured, tmp_path, monkeypatch):
    """imported(...) brings arrays of `exported` into an empty store as "colleague"; nothing can be captured."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(capture.models, "load", lambda *_, **__: pytest.fail("a model was loaded"))

    def bring(suffix: str = ".npz", **options) -> imports.Imported:
        path = save(exported(captured, **options), tmp_path / f"states{suffix}")
        return imports.add(path, "colleague", captured.corpus)

    return bring


def verdicts_of(results: list) -> dict[str, list[dict]]:
    """Claim -> verdicts of all languages together and of each, as plain numbers and words."""
    return {
        claim: [asdict(v) for v in claims.evaluate_scope(claim, evidence)]
        for result in results
        for claim, evidence in result.evidence.items()
    }


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_imported_states_have_exactly_the_verdicts_of_captured_ones(captured, imported, suffix):
    imported(suffix)
    pairs, last = opened("colleague", captured.corpus)
    found = [experiment(pairs, rng=np.random.default_rng(1)) for experiment in EXPERIMENTS]
    expected, verdicts = verdicts_of(captured.found), verdicts_of(found)
    assert json.dumps(verdicts) == json.dumps(expected)  # every estimate, interval, control and reason
    assert {c for c in CLAIMS if expected[c][1]["as_corrected"] == "supported"} == {ALIGNED, RISES, EVERY}
    for one, other in zip(captured.found, found, strict=True):
        tables = {name: t for name, t in vars(one).items() if isinstance(t, pd.DataFrame)}
        assert tables
        for name, table in tables.items():
            pd.testing.assert_frame_equal(getattr(other, name), table, check_exact=True)
    for module in (retrieval, updates):
        more = ({},) if module is retrieval else ()
        table = module.sensitivity(captured.pairs, captured.last, *more)
        assert any(row.startswith("last token") for row in table.index)
        pd.testing.assert_frame_equal(module.sensitivity(pairs, last, *more), table, check_exact=True)

"""Saved states are judged exactly as captured ones, and without their controls no claim is testable."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from zspace import files
from zspace.evidence import claims, error_rates, language_pairs, theme
from zspace.evidence.retrieval import by_layer, updates
from zspace.evidence.snr_descent import descent
from zspace.sources import corpora
from zspace.sources.models import TRAINED, Subject
from zspace.states import capture, imported, store

pytest.importorskip("torch", reason="the extra `models` is not installed")
pytest.importorskip("transformers", reason="the extra `models` is not installed")

from builders import run_script
from model_builders import forbid_loading, save_tiny

TWINS = tuple(subject.name for subject in language_pairs.VARIANTS[1:])
SIZE = {"n_scenarios": 15, "n_draws": 2}
by_layer_briefly = partial(by_layer.retrieval_by_layer, n_shuffles=49)
EXPERIMENTS = (by_layer_briefly, updates.update_agnosticism, descent.snr_descent)
ALIGNED, RISES = "prediction_1_aligned", "prediction_1_rises"
UPDATES, EVERY = "prediction_2_update_agnosticism", "theorem_2_every_layer"
CLAIMS = (ALIGNED, RISES, UPDATES, EVERY)  # those whose controls are subjects
RATES = {world: {} for world in error_rates.WORLDS}
OPERATING = claims.OperatingCharacteristic(0, 0, 0, 0, 0, 0, 1, RATES, error_rates.UNITS_OF_THE_BOUND)


@pytest.fixture(scope="module")
def captured(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """States of a tiny random model and all its twins, the model's own with a story planted in them.

    `pairs` and `last` are its pairs, `datasets` what the store has of it, `found` the results of all
    experiments, `verdicts` what follows.
    """
    root = tmp_path_factory.mktemp("captured")
    model = str(save_tiny("llama", root / "model"))
    corpus = corpora.load("number-stories", ("en", "sw"), **SIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZSPACE_RUNS", str(root / "runs"))
        capture.ensure_all(model, corpus, language_pairs.VARIANTS, progress=False)
        plant_stories(root / "runs" / "states", corpus)
        datasets = capture.ensure_all(model, corpus, language_pairs.VARIANTS, progress=False)
        pairs, last = opened(model, corpus)
    content = {"corpus": corpus, "datasets": datasets, "pairs": pairs, "last": last}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "_N_SHARES", 1000)  # in this module: captured and imported states alike
        found = measured(pairs)
        yield SimpleNamespace(**content, found=found, verdicts=verdicts_of(found))


def plant_stories(folder: Path, corpus: corpora.Corpus) -> None:
    """Add a direction per scenario to the trained states in the store: both languages, from layer 1 on."""
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
            states[:, 1:] += 2 * states[:, 1:].std(2, keepdims=True) * direction
            pooled = dict(zip(description["poolings"], states, strict=True))
            ids = [row[row >= 0] for row in dataset["token_ids"].values[0]]
            store.write(description, code, mark, pooled, ids, corpus.items)


def opened(model: str, corpus: corpora.Corpus) -> tuple[Mapping, Mapping]:
    """Pairs of the mean and of the last token, as the notebooks open them."""
    options = {"rng": np.random.default_rng(0), "progress": False}
    return (
        language_pairs.open_pairs(model, corpus, **options),
        language_pairs.open_if_there(model, corpus, pooling="last", first_layer=1, **options),
    )


def exported(captured: SimpleNamespace, *, twins=TWINS, tokens=True, poolings=("mean", "last")) -> dict:
    """Plain arrays under the names that an import reads."""
    content = {
        f"{label}/{code}/{pooling}": captured.datasets[Subject.parse(label)]["states"].sel(
            language=code, pooling=pooling
        )
        for label in ("trained", *twins)
        for code in ("en", "sw")
        for pooling in poolings
    }
    ids = captured.datasets[TRAINED]["token_ids"]
    content |= {f"{imported.TOKEN_IDS}/{code}": ids.sel(language=code) for code in ("en", "sw") if tokens}
    return {name: array.to_numpy() for name, array in content.items()}


@pytest.fixture
def bring_in(captured, tmp_path, monkeypatch):
    """bring_in(...) brings `exported` arrays into an empty store as "colleague"; nothing can be captured."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    forbid_loading(monkeypatch)

    def bring(change=lambda content: None, **options) -> imported.Imported:
        content = exported(captured, **options)
        change(content)
        np.savez(tmp_path / "states.npz", **content)
        return imported.add(tmp_path / "states.npz", "colleague", captured.corpus)

    return bring


def measured(pairs: Mapping[str, language_pairs.LanguagePair]) -> list:
    """Results of all experiments, with the same random numbers each time."""
    return [experiment(pairs, rng=np.random.default_rng(1)) for experiment in EXPERIMENTS]


def verdicts_of(results: Sequence) -> dict[str, list[dict]]:
    """Claim -> verdicts of all languages together and of each, as plain numbers and words."""
    return {
        claim: [asdict(v) for v in claims.evaluate_scope(claim, evidence)]
        for result in results
        for claim, evidence in result.evidence.items()
    }


def check_same_pairs(found: Mapping, expected: Mapping) -> None:
    assert list(found) == list(expected) == ["sw"]
    one, other = found["sw"], expected["sw"]
    assert list(one.subjects) == list(other.subjects)
    for name, pair in other.subjects.items():
        np.testing.assert_array_equal(one.subjects[name], pair)
    for name in ("tokens", "scenario", "group", "discovery", "texts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_states_saved_by_numpy_have_exactly_the_verdicts_of_captured_ones(captured, bring_in):
    bring_in()
    pairs, last = opened("colleague", captured.corpus)
    check_same_pairs(pairs, captured.pairs)
    check_same_pairs(last, captured.last)
    found = measured(pairs)
    expected, verdicts = captured.verdicts, verdicts_of(found)
    assert json.dumps(verdicts) == json.dumps(expected)  # every estimate, interval, control and reason
    assert {c for c in CLAIMS if expected[c][1]["as_corrected"] == "supported"} == {ALIGNED, RISES, EVERY}
    for one, other in zip(captured.found, found, strict=True):
        tables = {name: t for name, t in vars(one).items() if isinstance(t, pd.DataFrame)}
        assert tables
        for name, table in tables.items():
            pd.testing.assert_frame_equal(getattr(other, name), table, check_exact=True)


def test_imported_states_in_another_order_are_not_aligned(captured, bring_in):
    """Control: what makes the verdict is in the arrays."""

    def turn(content):
        for name, array in content.items():
            content[name] = np.roll(array, 2, axis=1) if name.startswith("trained/sw") else array

    bring_in(change=turn)
    pairs, _ = opened("colleague", captured.corpus)
    result = by_layer_briefly(pairs, rng=np.random.default_rng(1))
    assert claims.evaluate(ALIGNED, result.evidence[ALIGNED][0]).as_corrected in ("refuted", "inconclusive")


RANDOM = "random-0, random-1, random-2"
FROM_TOKENS = "shuffled pairing, planted signal"
ABSENT = {
    "no twins": (
        {"twins": ()},
        {
            ALIGNED: f"{RANDOM}, permuted-embeddings-0",
            RISES: f"{RANDOM}, permuted-embeddings-0, random-blocks-0",
            **dict.fromkeys((UPDATES, EVERY), RANDOM),
        },
    ),
    "no token ids": ({"tokens": False}, dict.fromkeys(CLAIMS, f"{FROM_TOKENS}, token ids")),
}


def check_untestable(verdicts: Iterable[Mapping], reason: str) -> None:
    """Neither of all languages together nor of the one there is anything said, but what is missing."""
    for verdict in verdicts:
        for reading in claims.READINGS:
            assert verdict[reading] == "not testable"
            assert verdict[f"{reading}_reason"] == f"controls missing: {reason}"
        assert verdict["estimate"] is None


SCRIPTS_OF = {
    "prediction_1_retrieval_by_layer": (ALIGNED, RISES),
    "prediction_2_update_agnosticism": (UPDATES,),
    "theorem_2_snr_descent": (EVERY,),
}


@pytest.fixture
def few_simulations(monkeypatch):
    """Leave out or shorten what a notebook does without seeing the states."""
    monkeypatch.setattr(theme, "prepare_notebook", lambda: None)
    monkeypatch.setattr(error_rates, "rates", lambda *_, **__: OPERATING)
    monkeypatch.setattr(files, "provenance", dict)
    evidence = descent.theorem_evidence
    monkeypatch.setattr(descent, "theorem_evidence", lambda *, rng: evidence(rng=rng, n_layers=400))


@pytest.mark.parametrize(("options", "absent"), ABSENT.values(), ids=ABSENT)
def test_notebooks_without_controls_show_what_there_is_and_say_what_is_missing(
    captured, bring_in, few_simulations, options, absent
):
    bring_in(poolings=("mean",), **options)
    for name, judged in SCRIPTS_OF.items():
        space = run_script(name, model="colleague", languages="en,sw", **SIZE)
        (pair,) = space["pairs"].values()
        assert (pair.tokens is None, pair.random_baselines == ()) == ("tokens" in options, "twins" in options)
        assert space.get("last", {}) == space.get("other", {}) == {}
        for table in (t for t in vars(space["result"]).values() if isinstance(t, pd.DataFrame)):
            assert "subject" not in table or "trained" in set(table["subject"])
        verdicts = space["verdicts"] if isinstance(space["verdicts"], dict) else {UPDATES: space["verdicts"]}
        ledger = claims.read_ledger().set_index(["claim", "language"])
        for claim in judged:
            check_untestable(map(asdict, verdicts[claim]), absent[claim])
            assert ledger.loc[(claim, "sw"), "as_corrected_reason"] == f"controls missing: {absent[claim]}"
    # observation A brings controls of its own
    expected = captured.verdicts["theorem_2_accumulation"][1]["as_corrected"]
    assert verdicts["theorem_2_accumulation"][1].as_corrected == expected == "supported"


@pytest.mark.parametrize("name", ["controls", "explore"])
@pytest.mark.parametrize("options", [options for options, _ in ABSENT.values()], ids=ABSENT)
def test_notebooks_without_verdicts_show_what_there_is(bring_in, few_simulations, options, name):
    bring_in(poolings=("mean",), **options)
    space = run_script(name, model="colleague", languages="en,sw", **SIZE)
    (pair,) = space["pairs"].values()
    assert (pair.language, len(pair.scenario)) == ("sw", 30)
    assert "trained" in pair.subjects

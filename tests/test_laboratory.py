"""A notebook's lab: streams by name that later names leave alone, and what a verdict is recorded about."""

from pathlib import Path

import pytest
from zspace import files
from zspace.evidence import claims, laboratory, needs
from zspace.evidence.rules import Evidence

CLAIM = "conjecture_6_garch"  # about no model
JUDGED = "prediction_1_aligned"


@pytest.fixture
def recorded(monkeypatch):
    """Calls of `claims.record`, which writes nothing."""
    kept = []
    monkeypatch.setattr(claims, "record", lambda claim, verdicts, **about: kept.append(about))
    return kept


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_open_lab_names_streams_that_a_later_name_leaves_as_they_are(seed):
    first, second = (
        laboratory.open_lab({"seed": seed}, streams=names) for names in (("a", "b"), ("a", "b", "c"))
    )
    assert first.rng["b"].integers(2**60) == second.rng["b"].integers(2**60)
    assert second.rng["c"].integers(2**60) != second.rng["a"].integers(2**60)


def test_record_is_about_no_model_unless_something_was_read(recorded):
    lab = laboratory.open_lab({"model": "m", "seed": 0, "rng": object()})
    verdicts = [claims.evaluate(CLAIM, Evidence(unavailable="none"))]
    shown, why = lab.record(CLAIM, verdicts)
    lab.record(CLAIM, verdicts, corpus="recordings", scope={"layer": 9})
    assert [one["model"] for one in recorded] == ["any", "m"]
    assert [one["corpus"] for one in recorded] == ["any", "recordings"]
    assert [one["scope"] for one in recorded] == [{}, {"layer": 9}]
    assert shown.index.tolist() == why.index.tolist() == ["in general"]
    assert shown.index.name == why.index.name == CLAIM


def test_a_record_and_its_tables_say_that_an_encoder_s_states_are_bidirectional(recorded, texts, monkeypatch):
    identity = {"attention": "bidirectional", "residual": False}
    lab = laboratory.open_lab(VALUES)
    verdicts = claims.evaluate_scope(JUDGED, [Evidence(unavailable="none")])
    names = []
    for found in (identity, {}):  # a decoder's identity says nothing of its attention
        monkeypatch.setattr(laboratory.models, "identity", lambda _, found=found: found)
        names += [table.index.name for table in lab.record(JUDGED, verdicts, texts=lab.load())]
    assert names == [f"{JUDGED} (bidirectional, post-norm states)"] * 2 + [JUDGED] * 2
    assert recorded[0]["scope"]["states"] == "bidirectional, post-norm"
    assert "states" not in recorded[1]["scope"]


SIZE = {"n_scenarios": 3, "n_draws": 1, "n_items": 0, "block": 1, "difficulty": 2, "padding": "none"}
VALUES = {
    "model": "m",
    "corpus": "c",
    "version": "",
    "languages": "en,sw",
    "seed": 0,
    "n_simulations": 4,
    **SIZE,
}
AROUND = {"claim": "left over from a loop", "_i3": "lab = ...", "CLAIM": CLAIM, "shown": 3}


@pytest.fixture
def texts(tmp_path, monkeypatch) -> Path:
    """A corpus folder below the current one, and a runs folder."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "provenance", dict)  # takes most of a record's time
    monkeypatch.setattr(needs, "of_texts", lambda corpus, model: {})  # there is no model "m"
    folder = tmp_path / "c"
    folder.mkdir()
    for code in ("en", "sw"):
        (folder / f"{code}.txt").write_text("".join(f"{code} row {i}\n" for i in "abcdef"))
    return folder


def kept(claim=JUDGED, *, about_none=False, **values) -> str:
    """Name of the record that a lab leaves of one claim."""
    lab = laboratory.open_lab(VALUES | values | AROUND)
    verdicts = claims.evaluate_scope(claim, [Evidence(unavailable="none")])
    before = {p.name for p in files.runs_root().glob("ledger/*.json")}
    lab.record(claim, verdicts, texts=None if about_none else lab.load())
    left = {p.name for p in files.runs_root().glob("ledger/*.json")}
    return (left - before or before).pop()


def test_a_record_is_known_by_what_its_notebook_was_given_and_read(texts):
    """Whatever else its kernel holds; a path is the same however it is written."""
    first = kept()
    assert [p.name for p in files.runs_root().glob("ledger/*.json")] == [first]
    assert kept(corpus=str(texts), claim_of="another variable") == first
    found = claims.read_records(files.runs_root() / "ledger" / first)[0]["execution"]
    assert found["parameters"]["corpus"] == str(texts)
    assert not found["parameters"].keys() & AROUND.keys()
    for other in ({"seed": 1}, {"n_items": 4}, {"languages": "en"}, {"n_simulations": 5}, {"model": "o/m"}):
        assert kept(**other) not in (first, None)
    assert len(list(files.runs_root().glob("ledger/*.json"))) == 6


def test_a_record_of_texts_that_changed_supersedes_the_older_one(texts):
    first = kept()
    (texts / "sw.txt").write_text("".join(f"other row {i}\n" for i in "abcdef"))
    second = kept()
    assert second.split("--")[:-1] == first.split("--")[:-1]
    assert [p.name for p in files.runs_root().glob("ledger/**/*.json")].count(first) == 1
    assert (files.runs_root() / "ledger" / claims.SUPERSEDED / first).is_file()


def test_a_record_about_no_model_is_one_whatever_its_notebook_reads_beside_it(texts):
    """Only what its worlds are drawn by counts."""
    first = kept(CLAIM, about_none=True)
    again = {"model": "o/m", "corpus": "number-stories", "languages": "en,zh", "n_items": 3}
    assert kept(CLAIM, about_none=True, **again) == first
    for other in ({"seed": 1}, {"n_simulations": 9}):
        assert kept(CLAIM, about_none=True, **other) != first

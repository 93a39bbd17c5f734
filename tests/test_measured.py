"""Rows measured elsewhere come back as they were judged, say so, and hold neither paths nor old rules."""

import json

import pytest
from zspace import files
from zspace.errors import ClaimError
from zspace.evidence import claims, measured, registration
from zspace.evidence.rules import Control, Evidence
from zspace.measures.resampling import interval_of
from zspace.pages import report

CLAIM = "prediction_5_affine_vs_procrustes"


@pytest.fixture
def ledger(runs, rng):
    """A ledger with one claim on 40 languages of a corpus that lies somewhere, and one about no model."""
    conditions = claims.rule(CLAIM)["rules"]
    names = {n for part in ("as_stated", "as_corrected", "preconditions") for n in conditions.get(part, {})}

    def subject(estimate):
        drawn = estimate + 0.01 * rng.standard_normal(200)
        return {name: interval_of(estimate, drawn, 20) for name in names}

    def of(language):
        controls = [Control("planted signal", "positive", subject(0.9))]
        controls += [Control(name, "negative", subject(-0.5)) for name in ("random-0", "languages shuffled")]
        controls += [Control(n, "negative", subject(-0.5)) for n in conditions.get("required", ())]
        return Evidence(language, subject(0.5), tuple(controls), n_items=300, n_scenarios=100)

    verdicts = claims.evaluate_scope(CLAIM, [of(f"l{i}") for i in range(40)])
    place = {"model": "/somewhere/model-x", "corpus": "/somewhere/else/texts.jsonl", "seed": 0}
    about = {"model": "/somewhere/model-x", "corpus": "texts/as-is", "parameters": place}
    claims.record(CLAIM, verdicts, **about, provenance=files.provenance(), read={"corpus": "0f"})
    claims.record("conjecture_5_pace", verdicts[:1], model="any", corpus="any", provenance={})
    return runs / "ledger"


def test_rows_come_back_as_they_were_judged(ledger, tmp_path):
    path = tmp_path / "many.json"
    assert measured.export(ledger, path, "one H200") == 1
    (before,) = [r for r in claims.read_records(ledger) if r["claim"] == CLAIM]
    (after,) = measured.read(path)
    assert len(after["rows"]) == 41
    for one, two in zip(before["rows"], after["rows"], strict=True):
        for name, value in one.items():
            if name in ("controls", "operating"):
                continue
            expected = pytest.approx(value, rel=1e-3) if isinstance(value, float) else value
            assert two.get(name) == expected, name
        passed = [sorted((c["name"], c["passed"]) for c in row["controls"]) for row in (one, two)]
        assert passed[0] == passed[1]
    assert after["provenance"] == before["provenance"]
    assert after["execution"]["read"] == before["execution"]["read"]
    assert "random-0" in after[measured.KEY]["baselines"]
    assert not registration.is_older(after)
    assert path.stat().st_size < 0.5 * len(json.dumps(before))


def test_what_is_exported_names_no_place(ledger, tmp_path):
    measured.export(ledger, tmp_path / "many.json", "one H200")
    assert "somewhere" not in (tmp_path / "many.json").read_text("utf-8")
    (after,) = measured.read(tmp_path / "many.json")
    assert (after["model"], after["execution"]["parameters"]["corpus"]) == ("model-x", "texts.jsonl")


def test_a_commit_is_named_where_the_records_name_none(ledger, tmp_path):
    path = tmp_path / "many.json"
    measured.export(ledger, path, "one H200", commit="abc")
    known = measured.read(path)[0]["provenance"]["commit"]
    assert known == files.provenance()["commit"] != "abc"
    for file in ledger.glob(f"{CLAIM}*.json"):
        content = json.loads(file.read_text("utf-8"))
        content["provenance"]["commit"] = "unknown (no git history)"
        file.write_text(json.dumps(content), "utf-8")
    measured.export(ledger, path, "one H200", commit="abc")
    assert measured.read(path)[0]["provenance"]["commit"] == "abc"


def test_one_table_holds_both(ledger, tmp_path):
    measured.export(ledger, tmp_path / "many.json", "one H200")
    elsewhere = measured.read(tmp_path / "many.json")
    own = [r for r in claims.read_records(ledger) if r["model"] == "any"]
    table = claims.table_of([*own, *elsewhere])
    assert len(table) == len(own[0]["rows"]) + 41
    assert table.query("language == 'l3'")["as_corrected"].tolist() == [
        elsewhere[0]["rows"][4]["as_corrected"]
    ]


def test_export_takes_the_corpora_asked_for_and_refuses_nothing_and_old_rules(ledger, tmp_path):
    path = tmp_path / "many.json"
    for name in ("texts", "texts/as-is"):
        assert measured.export(ledger, path, "one H200", corpora=[name]) == 1
    with pytest.raises(ClaimError, match="no record of a model on others: nothing to export"):
        measured.export(ledger, tmp_path / "no.json", "one H200", corpora=["others"])
    for file in ledger.glob(f"{CLAIM}*.json"):
        content = json.loads(file.read_text("utf-8"))
        content["rule"]["rules"]["as_stated"] = {"gap": {"above": 0.77}}
        file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ClaimError, match=f"1 records .* judged by an older rule .*: {CLAIM} × .*model-x"):
        measured.export(ledger, tmp_path / "no.json", "one H200")
    assert not (tmp_path / "no.json").exists()


def test_a_record_that_does_not_say_where_it_was_measured_is_refused(ledger):
    (file,) = ledger.glob(f"{CLAIM}*.json")
    with pytest.raises(ClaimError, match="does not say what its records were measured on"):
        measured.read(file)


def test_page_marks_rows_measured_elsewhere_and_keeps_their_languages_out_of_the_glance(ledger, tmp_path):
    path = tmp_path / "many.json"
    measured.export(ledger, path, "one H200")
    alone = tmp_path / "alone"
    alone.mkdir()
    (proof,) = ledger.glob("conjecture_5_pace*.json")
    proof.rename(alone / proof.name)
    (tmp_path / "notebooks").mkdir()
    index = report.build(alone, tmp_path / "notebooks", tmp_path / "out", elsewhere=[path])
    text = index.read_text("utf-8")
    assert "measured elsewhere: one H200; " in text
    assert text.count('<tr class="row"') == 1 + 41
    assert '<th class="language">l7</th>' not in text
    assert "judged by an older rule</span>" not in text
    assert ">explores</span>" in text
    content = json.loads(path.read_text("utf-8"))
    content[0]["rule"]["rules"]["as_stated"] = {"gap": {"above": 0.77}}
    path.write_text(json.dumps(content), "utf-8")
    again = report.build(alone, tmp_path / "notebooks", tmp_path / "out", elsewhere=[path])
    assert "judged by an older rule</span>" in again.read_text("utf-8")
    said = []
    path.write_text("{", "utf-8")
    report.build(alone, tmp_path / "notebooks", tmp_path / "out", elsewhere=[path], tell=said.append)
    assert len(said) == 1
    assert said[0].startswith("many.json: ")


def test_committed_files_are_whole_and_judged_by_the_rules_that_there_are():
    for path in measured.paths():
        assert path.stat().st_size < 3e6
        for record in measured.read(path):
            report.verdict_word(record["rows"][0]["as_corrected"])
            assert record[measured.KEY]["hardware"]
            assert record["provenance"]["commit"]

"""A row confirms only where its rule was registered before anybody looked at its corpus with its claim."""

import subprocess

import pytest
import yaml
from zspace import files
from zspace.errors import ParameterError
from zspace.evidence import claims, registration

CLAIM = "prediction_1_aligned"
OTHER = "prediction_1_rises"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A git checkout that holds the real parameters and no registration."""
    (tmp_path / "params").mkdir()
    for name in ("claims.yaml", "registration.yaml"):
        (tmp_path / "params" / name).write_text((files.PROJECT / "params" / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(files, "PROJECT", tmp_path)
    commit(tmp_path, "init", "-q")
    return tmp_path


def commit(folder, *first):
    who = ["-c", "user.name=n", "-c", "user.email=e@e"]
    for words in [list(first)] if first else []:
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "."], check=True)
    subprocess.run(["git", "-C", str(folder), *who, "commit", "-qm", "rules"], check=True)
    return files.provenance()["commit"]


def record(claim=CLAIM, model="gemma-3-270m", corpus="picture-names/as-is", date="2999-01-01", rules=None):
    rules = claims.rule(claim)["rules"] if rules is None else rules
    about = {"claim": claim, "model": model, "corpus": corpus, "rows": [{"language": "zh", "n_items": 40}]}
    return about | {"rule": {"rules": rules}, "provenance": {"date": date}}


def change_rules(monkeypatch, claim):
    """Other rules for one claim, as after an edit that was committed."""
    entries = {k: dict(v) for k, v in claims.entries().items()}
    entries[claim]["rules"] = {**entries[claim]["rules"], "required": ["something new"]}
    monkeypatch.setattr(claims, "entries", lambda: entries)


def test_nothing_confirms_before_the_rules_are_registered(project):
    assert registration.registered() == {}
    assert registration.standing(record()) == "explores"
    registration.register()
    assert registration.standing(record()) == "confirms"


def test_registration_names_the_commit_and_day(project):
    path = registration.register()
    found = yaml.safe_load(path.read_text("utf-8"))
    assert set(found) == set(claims.entries())
    assert {one["commit"] for one in found.values()} == {files.provenance()["commit"]}
    assert {one["date"] for one in found.values()} == {files.provenance()["date"]}
    assert registration.registered() == found


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({}, "confirms"),
        ({"corpus": "picture-names/masked"}, "confirms"),
        ({"corpus": "flores200_devtest_many/masked"}, "confirms"),
        ({"corpus": "flores200_devtest/masked"}, "explores"),
        ({"corpus": "number-stories/spelled-out"}, "explores"),
        ({"corpus": "a-folder-of-mine/as-is"}, "explores"),
        ({"date": "2001-01-01"}, "explores"),
        ({"rules": {"as_stated": {}, "as_corrected": {}}}, "explores"),
        ({"corpus": "worked number-stories/digits"}, "explores"),
        ({"corpus": "worked number-stories/digits", "model": "gemma-3-270m-tuned"}, "confirms"),
        ({"corpus": "worked number-stories/digits", "model": "/x/gemma-3-270m-tuned"}, "confirms"),
        # a folder above it makes no model a tuned one
        ({"corpus": "worked number-stories/digits", "model": "/x-tuned/gemma-3-270m"}, "explores"),
        ({"corpus": "number-stories/spelled-out", "model": "gemma-3-270m-tuned"}, "explores"),
        ({"model": "any", "corpus": "any"}, ""),
    ],
)
def test_rows_confirm_on_corpora_that_no_rule_has_seen(project, changes, standing):
    registration.register()
    assert registration.standing(record(**changes)) == standing


def test_a_rule_changed_after_a_look_confirms_nothing_there_any_more(project, monkeypatch):
    registration.register()
    looked = [record(corpus="picture-names/as-is"), record(corpus="number-stories/spelled-out")]
    change_rules(monkeypatch, CLAIM)
    (project / "note").write_text("another commit")
    later = commit(project)
    # judged by the rule of before: it neither confirms nor hides that it is old
    assert registration.is_older(looked[0])
    assert registration.standing(looked[0]) == "explores"
    registration.register(looked)
    found = registration.registered()
    assert found[CLAIM]["commit"] == later != found[OTHER]["commit"]
    assert found[CLAIM]["looked_at"] == ["picture-names"]
    assert registration.standing(record()) == "explores"
    assert registration.standing(record(corpus="flores200_devtest_many/as-is")) == "confirms"
    assert registration.standing(record(OTHER)) == "confirms"
    # registered once more it stays looked at
    registration.register()
    assert registration.standing(record()) == "explores"


def test_a_corpus_that_was_looked_at_before_the_first_registration_explores(project):
    registration.register([record()])
    assert registration.standing(record()) == "explores"
    assert registration.standing(record(OTHER)) == "confirms"


def test_a_row_without_numbers_is_no_look(project):
    registration.register([record() | {"rows": [{"language": "*", "n_items": None, "estimate": None}]}])
    assert registration.standing(record()) == "confirms"


def test_rules_that_are_not_committed_are_not_registered(project):
    path = project / "params" / "claims.yaml"
    path.write_text(path.read_text("utf-8") + "\n# a thought\n", "utf-8")
    with pytest.raises(ParameterError, match="it is not what was committed"):
        registration.register()
    assert not (project / "params" / "registered.yaml").exists()


def test_corpora_explore_or_confirm_and_never_both():
    found = files.params("registration")
    assert not set(found["exploratory"]) & set(found["confirmation"])
    assert {"number-stories", "worked number-stories"} <= set(found["exploratory"])


def test_what_is_registered_is_of_claims_that_there_are():
    for claim, one in registration.registered().items():
        assert claim in claims.entries()
        assert set(one) == {"rule", "commit", "date", "looked_at"}

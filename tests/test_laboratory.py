"""A notebook's lab: streams by name that later names leave alone, and what a verdict is recorded about."""

import pytest
from zspace.evidence import claims, laboratory
from zspace.evidence.rules import Evidence

CLAIM = "conjecture_6_garch"


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

"""Rules decide as written, controls gate them, and the ledger keeps what they said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from zspace.errors import ClaimError
from zspace.evidence import claims, rules
from zspace.evidence.rules import Control, Evidence
from zspace.files import params
from zspace.measures.resampling import Interval

CLAIM = "prediction_1_aligned"
BOUND = 0.10


def interval(low, high):
    middle = (low + high) / 2
    replicates = np.random.default_rng(0).normal(middle, (high - low) / 3.92, 2000)
    return Interval(middle, low, high, replicates, 0.95, 20)


def control(kind, low, high, name="a control"):
    return Control(name, kind, {"aligned_excess": interval(low, high)})


GOOD = (control("positive", 0.5, 0.9, "planted"), control("negative", -0.1, 0.05, "twin"))


def evidence(low, high, controls=GOOD, **fields):
    return Evidence("zh", {"aligned_excess": interval(low, high)}, controls, n_scenarios=20, **fields)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.11, 0.30, "supported"),
        (0.10, 0.30, "inconclusive"),
        (0.02, 0.30, "inconclusive"),
        (-0.20, 0.09, "refuted"),
        (-0.20, 0.10, "inconclusive"),
    ],
)
def test_evaluate_follows_the_interval(low, high, verdict):
    assert claims.evaluate(CLAIM, evidence(low, high)).as_corrected == verdict


def test_evaluate_says_equivalent_to_none_only_inside_the_minimal_effect():
    assert "equivalent to none" in claims.evaluate(CLAIM, evidence(-0.05, 0.05)).as_corrected_reason
    assert "equivalent" not in claims.evaluate(CLAIM, evidence(-0.3, 0.05)).as_corrected_reason


def test_evaluate_names_the_scenarios_that_would_decide():
    found = claims.evaluate(CLAIM, evidence(0.05, 0.25))
    # the half-width .10 must shrink to the distance .05 of the estimate from the bound: four times 20
    assert "about 80 scenarios would decide" in found.as_corrected_reason


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ((control("positive", 0.0, 0.2, "planted"), GOOD[1]), "positive control 'planted' is inconclusive"),
        ((GOOD[0], control("negative", 0.2, 0.4, "twin")), "negative control 'twin' is supported"),
        ((GOOD[0],), "controls missing: no negative control"),
        ((GOOD[1],), "controls missing: no positive control"),
        ((), "controls missing: no positive and no negative control"),
    ],
)
def test_evaluate_is_not_testable_when_the_instrument_fails(controls, words):
    found = claims.evaluate(CLAIM, evidence(0.5, 0.9, controls))
    assert found.as_corrected == "not testable"
    assert words in found.as_corrected_reason


def test_evaluate_lets_inconclusive_negative_controls_pass():
    controls = (GOOD[0], control("negative", 0.0, 0.3))
    assert claims.evaluate(CLAIM, evidence(0.5, 0.9, controls)).as_corrected == "supported"


def test_evaluate_judges_a_conjunction_by_its_weakest_part():
    def found(drop):
        both = {"rise_excess": interval(0.3, 0.5), "largest_drop": interval(*drop)}
        fine = {"rise_excess": interval(0.3, 0.5), "largest_drop": interval(-0.05, 0.01)}
        none = {"rise_excess": interval(-0.3, 0.0), "largest_drop": interval(-0.05, 0.01)}
        controls = (Control("planted", "positive", fine), Control("twin", "negative", none))
        return claims.evaluate("prediction_1_rises", Evidence("zh", both, controls))

    assert found((-0.05, 0.05)).as_stated == "supported"
    assert found((-0.05, 0.15)).as_stated == "inconclusive"
    assert found((0.03, 0.15)).as_stated == "refuted"
    assert {found(drop).as_corrected for drop in ((-0.05, 0.05), (0.03, 0.15))} == {"supported"}


def test_evaluate_needs_something_to_explain():
    def found(low, high):
        share = {"accumulation_share": interval(0.92, 0.99), "fall": interval(low, high)}
        poor = {"accumulation_share": interval(0.0, 0.1), "fall": interval(low, high)}
        controls = (Control("planted", "positive", share), Control("other", "negative", poor))
        return claims.evaluate("theorem_2_accumulation", Evidence("zh", share, controls))

    assert found(0.1, 0.2).as_stated == "supported"
    assert found(-0.1, 0.2).as_stated == "not testable"
    assert found(-0.1, 0.2).as_stated_reason.startswith("nothing to explain")


@pytest.mark.parametrize("failing", ["symbolic_identity", "numeric_identity", "criterion_on_ensemble"])
def test_evaluate_proves_only_when_every_check_holds(failing):
    names = params("claims")["theorem_2_snr_descent"]["rules"]
    checks = dict.fromkeys(names["as_corrected"]["proof"] + names["as_stated"]["counterexample"], True)
    assert claims.evaluate("theorem_2_snr_descent", Evidence(checks=checks)).as_corrected == "proved"
    assert claims.evaluate("theorem_2_snr_descent", Evidence(checks=checks)).as_stated == "refuted"
    broken = claims.evaluate("theorem_2_snr_descent", Evidence(checks={**checks, failing: False}))
    assert broken.as_corrected == "not testable"
    assert failing in broken.as_corrected_reason


def test_evaluate_refuses_incomplete_evidence():
    with pytest.raises(ClaimError, match="needs the statistics aligned_excess; the evidence has none"):
        claims.evaluate(CLAIM, Evidence("zh", controls=GOOD))
    with pytest.raises(ClaimError, match="unknown claim 'prediction_99'"):
        claims.evaluate("prediction_99", Evidence())
    with pytest.raises(ClaimError, match="lacks the checks"):
        claims.evaluate("theorem_2_snr_descent", Evidence())


def test_evaluate_keeps_the_reason_of_unavailable_evidence():
    found = claims.evaluate(CLAIM, Evidence("zh", unavailable="weights unavailable"))
    assert (found.as_stated, found.as_corrected) == ("not testable", "not testable")
    assert found.as_corrected_reason == "weights unavailable"


def test_evaluate_calls_an_undefined_statistic_inconclusive():
    nan = float("nan")
    undefined = Interval(nan, nan, nan, np.full(10, nan), 0.95, 20)
    found = claims.evaluate(CLAIM, Evidence("zh", {"aligned_excess": undefined}, GOOD))
    assert found.as_corrected == "inconclusive"


def test_evaluate_scope_counts_after_holm():
    strong = [Evidence(x, {"aligned_excess": interval(0.4, 0.6)}, GOOD) for x in ("zh", "fr")]
    weak = Evidence("sw", {"aligned_excess": interval(-0.2, 0.0)}, GOOD)
    overall, *rest = claims.evaluate_scope(CLAIM, [*strong, weak])
    assert overall.language == "*"
    assert overall.as_corrected == "supported"
    assert "zh, fr" in overall.as_corrected_reason
    assert "sw" in overall.as_corrected_reason
    assert all(v.p_holm >= v.pvalue for v in rest)
    mixed, *_ = claims.evaluate_scope(CLAIM, [strong[0], weak, replace(evidence(0.0, 0.3), language="es")])
    assert mixed.as_corrected == "inconclusive"
    assert mixed.as_corrected_reason.startswith("in some languages")


def test_every_rule_is_well_formed():
    for claim, entry in params("claims").items():
        for reading in claims.READINGS:
            conditions = entry["rules"][reading]
            if not {"proof", "counterexample", "not_testable"} & set(conditions):
                for name, bound in conditions.items():
                    rules.bound_of(name, bound)
        assert {"title", "notebook", "kind", "statement", "null_hypothesis", "multiplicity", "scope"} <= set(
            entry
        ), claim


def test_bound_of_refuses_what_it_cannot_read():
    with pytest.raises(ClaimError, match="expected `above` or `below`"):
        rules.bound_of("x", {"over": 0.1})
    with pytest.raises(ClaimError, match="expected `above` or `below`"):
        rules.bound_of("x", {"above": 0.1, "below": 0.2})


def test_ledger_round_trip(tmp_path):
    found = claims.evaluate_scope(CLAIM, [evidence(0.4, 0.6)])
    path = claims.record(CLAIM, found, model="a/b", corpus="c/d", provenance={"x": 1}, folder=tmp_path)
    assert path.parent == tmp_path
    table = claims.read_ledger(tmp_path)
    columns = ["claim", "model", "corpus", "language", "as_stated", "as_corrected", "estimate", "low", "high"]
    assert list(table.columns[:9]) == columns
    row = table[table["language"] == "zh"].iloc[0]
    assert (row["model"], row["as_corrected"], row["low"]) == ("a/b", "supported", 0.4)
    snapshot = tmp_path / "snapshot" / "all.json"
    snapshot.parent.mkdir()
    snapshot.write_text(json.dumps(claims.read_records(tmp_path)))
    assert claims.read_ledger(snapshot).equals(table)
    claims.record(CLAIM, found[:1], model="a/b", corpus="c/d", provenance={}, folder=tmp_path)
    assert len(claims.read_ledger(tmp_path)) == 1


def test_read_ledger_says_what_is_wrong(tmp_path):
    with pytest.raises(ClaimError, match="no ledger at"):
        claims.read_ledger(tmp_path)
    (tmp_path / "half.json").write_text('{"claim": ')
    with pytest.raises(ClaimError, match=r"half.json is not a ledger record"):
        claims.read_ledger(tmp_path)

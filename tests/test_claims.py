"""Rules decide as written, controls gate them, and the ledger keeps what they said."""

import concurrent.futures
import functools
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from zspace.errors import ClaimError
from zspace.evidence import claims, rules, study
from zspace.evidence.rules import Control, Evidence
from zspace.files import PROJECT
from zspace.measures.resampling import Count, Interval, TestResult

RULES = claims.entries()
CLAIM = "prediction_1_aligned"
BOUND = 0.10


def interval(low, high):
    middle = (low + high) / 2
    replicates = np.random.default_rng(0).normal(middle, (high - low) / 3.92, 2000)
    return Interval(middle, low, high, replicates, 0.95, 20)


def statistic(condition, verdict):
    """A statistic of the condition's kind that supports or refutes it."""
    supported, kind = verdict == "supported", rules.condition_kind("x", condition)
    if kind == "count":
        ((side, k),) = condition.items()
        return Count.once(k if supported else k + 1 if side != "at_least" else k - 1)
    if kind == "test":
        if "p_above" in condition:
            return TestResult(1.0, 0.5 if supported else 0.01, "none")
        return TestResult(-0.5 if supported == ("below" in condition) else 0.5, 0.01, "none", n=10)
    side, limit, _ = rules.bound_of(condition)
    beyond = supported == (side == "above")
    return interval(limit + 0.1, limit + 0.2) if beyond else interval(limit - 0.3, limit - 0.2)


def certain(p, low=0.4, high=0.6, limit=BOUND):
    """An interval beyond `limit` whose one-sided bootstrap p against it is p (a multiple of .001)."""
    replicates = np.full(999, (low + high) / 2)
    replicates[: round(1000 * p) - 1] = limit - 0.01
    return Interval((low + high) / 2, low, high, replicates, 0.95, 20)


def required(claim, positive, negative):
    """Every control that the rule of a claim requires, planted ones with the statistics `positive`."""
    return tuple(
        Control(name, "positive", positive)
        if "planted" in name and "cross" not in name
        # a twin, a shuffle, or what must not be taken for the effect
        else Control(name, "negative", negative)
        for name in RULES[claim]["rules"]["required"]
    )


GOOD = required(CLAIM, {"aligned_excess": interval(0.5, 0.9)}, {"aligned_excess": interval(-0.1, 0.05)})
PLANTED = next(c for c in GOOD if c.kind == "positive")
NEGATIVE = tuple(c for c in GOOD if c.kind == "negative")


def changed(name, low, high):
    """The good controls, one of which has another interval."""
    found = interval(low, high) if np.isfinite(low) else undefined()
    return tuple(replace(c, statistics={"aligned_excess": found}) if c.name == name else c for c in GOOD)


def undefined():
    return Interval(np.nan, np.nan, np.nan, np.full(10, np.nan), 0.95, 20)


def evidence(low, high, controls=GOOD, language="zh", **fields):
    statistics, sizes = {"aligned_excess": interval(low, high)}, {"n_items": 80, "n_scenarios": 20}
    return Evidence(language, statistics, controls, **sizes, **fields)


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.11, 0.30, "supported", r"\[0.110, 0.300\] against 0.1$"),
        (0.10, 0.30, "inconclusive", "about 121 rows in all would decide"),
        # the half-width .10 must shrink to the distance .05 of the estimate from the bound: four times the
        # 120 rows of which 80 are judged
        (0.05, 0.25, "inconclusive", "about 480 rows in all would decide"),
        (-0.20, 0.10, "inconclusive", "rows in all would decide"),
        (0.00, 0.24, "inconclusive", "not reachable with this corpus"),
        (-0.20, 0.09, "refuted", "against 0.1$"),  # some of it is no effect of less than the bound
        (-0.05, 0.05, "refuted", "against 0.1: equivalent to none"),
    ],
)
def test_evaluate_follows_the_interval(low, high, verdict, words):
    found = claims.evaluate(CLAIM, evidence(low, high))
    assert found.as_corrected == verdict
    assert re.search(words, found.as_corrected_reason)


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        (changed("planted signal", 0.0, 0.2), "positive control 'planted signal' is inconclusive"),
        (changed("random-1", 0.2, 0.4), "negative control 'random-1' is supported"),
        (changed("random-1", np.nan, np.nan), "negative control 'random-1' is undefined"),
        (changed("planted signal", np.nan, np.nan), "positive control 'planted signal' is undefined"),
        ((PLANTED,), "controls missing: no negative control, random-0"),
        (NEGATIVE, "controls missing: no positive control, planted signal"),
        ((), "controls missing: no positive control, no negative control, random-0"),
    ],
)
def test_evaluate_is_not_testable_when_the_instrument_fails(controls, words):
    found = claims.evaluate(CLAIM, evidence(0.5, 0.9, controls))
    assert found.as_corrected == "not testable"
    assert words in found.as_corrected_reason


def test_evaluate_lets_inconclusive_negative_controls_pass():
    controls = changed("random-0", 0.0, 0.3)
    assert claims.evaluate(CLAIM, evidence(0.5, 0.9, controls)).as_corrected == "supported"


@pytest.mark.parametrize(
    ("claim", "name"), [(c, name) for c, e in RULES.items() for name in e["rules"].get("required", ())]
)
def test_evaluate_is_not_testable_without_a_required_control(claim, name):
    conditions = RULES[claim]["rules"]
    judged = {**conditions["as_corrected"], **conditions.get("preconditions", {})}
    statistics, poor = ({s: statistic(c, v) for s, c in judged.items()} for v in ("supported", "refuted"))
    controls = required(claim, statistics, poor)
    # one more of either kind, so that no kind is missing
    spare = (Control("spare +", "positive", statistics), Control("spare -", "negative", poor))

    def found(controls):
        built = Evidence("zh", {**statistics, "largest_drop": interval(0, 0.1)}, (*controls, *spare))
        return rules.judge(claim, conditions, "as_corrected", built)

    assert found(controls)[0] == "supported"
    without = found(tuple(c for c in controls if c.name != name))
    assert without == ("not testable", f"controls missing: {name}")


def rises(*drops):
    """Verdict on a conjunction whose first part holds, by the limits of `largest_drop`, and re-roundings."""
    fine = {"rise_excess": interval(0.3, 0.5), "largest_drop": interval(-0.05, 0.01)}
    controls = required("prediction_1_rises", fine, {**fine, "rise_excess": interval(-0.3, 0.0)})
    first, *others = (Evidence("zh", {**fine, "largest_drop": interval(*d)}, controls) for d in drops)
    return claims.evaluate("prediction_1_rises", replace(first, re_rounded=tuple(others)))


def test_evaluate_judges_a_conjunction_by_its_weakest_part():
    for drop, verdict in (
        ((-0.05, 0.05), "supported"),
        ((-0.05, 0.15), "inconclusive"),
        ((0.03, 0.15), "refuted"),
    ):
        assert (rises(drop).as_stated, rises(drop).as_corrected) == (verdict, "supported")


def test_evaluate_asks_for_its_preconditions():
    def found(low, high):
        share = {"accumulation_share": interval(0.92, 0.99), "fall": interval(low, high)}
        poor = {"accumulation_share": interval(0.0, 0.1), "fall": interval(low, high)}
        controls = required("theorem_2_accumulation", share, poor)
        return claims.evaluate("theorem_2_accumulation", Evidence("zh", share, controls))

    assert found(0.1, 0.2).as_stated == "supported"
    assert found(-0.1, 0.2).as_stated == "not testable"
    assert found(-0.1, 0.2).as_stated_reason.startswith("precondition undecided: fall 0.050 [-0.100, 0.200]")
    void = found(-0.2, -0.1)
    assert void.as_stated == void.as_corrected == "premise refuted"
    assert void.as_stated_reason.startswith("what the claim presupposes does not hold: fall -0.150")


@pytest.mark.parametrize("failing", ["symbolic_identity", "numeric_identity", "criterion_on_ensemble"])
def test_evaluate_proves_only_when_every_check_holds(failing):
    names = RULES["theorem_2_snr_descent"]["rules"]
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
    assert found.as_stated == found.as_corrected == "not testable"
    assert found.as_corrected_reason == "weights unavailable"


def test_evaluate_calls_an_undefined_statistic_inconclusive_and_gives_it_no_p():
    found = claims.evaluate(CLAIM, Evidence("zh", {"aligned_excess": undefined()}, GOOD))
    assert found.as_corrected == "inconclusive"
    assert found.rule_pvalue is None
    assert found.estimate is None


def test_evaluate_appends_the_remark_to_both_reasons():
    found = claims.evaluate(CLAIM, evidence(0.4, 0.6, remark="Depends on the measure: another"))
    plain = claims.evaluate(CLAIM, evidence(0.4, 0.6))
    for reading in ("as_stated_reason", "as_corrected_reason"):
        assert getattr(found, reading) == f"{getattr(plain, reading)}. Depends on the measure: another"


def test_rule_pvalue_is_the_largest_of_a_conjunction():
    conditions = RULES["prediction_2_update_agnosticism"]["rules"]["as_corrected"]
    for ps in ((0.001, 0.03), (0.03, 0.001)):
        names = ("update_gain", "update_gain_excess")
        both = {name: certain(p, limit=0.02) for name, p in zip(names, ps, strict=True)}
        assert rules.rule_pvalue(conditions, Evidence("zh", both)) == pytest.approx(0.03)
        assert rules.rule_pvalue(conditions, Evidence("zh", {**both, "update_gain": undefined()})) is None


def languages(*kinds):
    """Evidence of languages: supported, refuted, open (inconclusive), barred (by the gate) or gone."""
    made = {
        "supported": evidence(0.4, 0.6),
        "refuted": evidence(-0.2, 0.0),
        "open": evidence(0.0, 0.3),
        "barred": evidence(0.4, 0.6, changed("random-1", 0.2, 0.4)),
        "gone": Evidence(unavailable="no states"),
    }
    return [replace(made[kind], language=f"l{i}") for i, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kind", "others", "words"),
    [
        ("supported", ("refuted",), "supported as the weights are, but refuted in 1 of 1"),
        (
            "supported",
            ("supported", "open", "open"),
            "supported as the weights are, but inconclusive in 2 of 3",
        ),
        ("supported", ("refuted", "barred"), "as the weights are, but refuted, not testable in 2 of 2"),
        ("refuted", ("refuted", "supported"), "refuted as the weights are, but supported in 1 of 2"),
        ("refuted", ("open",), "refuted as the weights are, but inconclusive in 1 of 1"),
        ("open", ("open", "supported"), "inconclusive as the weights are, but supported in 1 of 2"),
    ],
)
def test_evaluate_is_inconclusive_where_a_re_rounding_flips_the_verdict(kind, others, words):
    one = languages(kind)[0]
    plain = claims.evaluate(CLAIM, one)
    found = claims.evaluate(CLAIM, replace(one, re_rounded=tuple(languages(*others))))
    assert found.as_corrected == "inconclusive"
    assert found.as_corrected_reason.endswith(f"{words} re-roundings of them: {plain.as_corrected_reason}")
    # the numbers are those of the weights as they are
    assert (found.estimate, found.low, found.high) == (plain.estimate, plain.low, plain.high)


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        ("supported", ("supported", "supported")),
        ("refuted", ("refuted",)),
        ("open", ("open",)),
        # what cannot be tested stays so, whatever other weights would say
        ("barred", ("supported", "refuted")),
        ("gone", ("supported",)),
    ],
)
def test_evaluate_is_left_alone_by_re_roundings_that_agree(kind, others):
    one = languages(kind)[0]
    found = claims.evaluate(CLAIM, replace(one, re_rounded=tuple(languages(*others))))
    assert found == claims.evaluate(CLAIM, one)


def test_evaluate_judges_re_roundings_by_each_reading_on_its_own():
    flipped = rises((-0.05, 0.01), (0.03, 0.15))
    assert (flipped.as_stated, flipped.as_corrected) == ("inconclusive", "supported")
    assert "but refuted in 1 of 1 re-roundings" in flipped.as_stated_reason
    assert "re-rounding" not in flipped.as_corrected_reason
    assert rises((-0.05, 0.01), (-0.05, 0.02)).as_stated == "supported"


def test_evaluate_scope_counts_a_flipped_verdict_as_inconclusive():
    def scope(*flipping):
        flips = {"re_rounded": tuple(languages("refuted"))}
        made = enumerate(languages("supported", "supported", "supported"))
        return claims.evaluate_scope(CLAIM, [replace(e, **flips) if i in flipping else e for i, e in made])

    assert scope()[0].as_corrected == scope(1)[0].as_corrected == "supported"
    head, *rows = scope(0, 1)
    assert [v.as_corrected for v in (head, *rows)] == ["inconclusive"] * 3 + ["supported"]
    assert "supported in 1 of 3 (l2)" in head.as_corrected_reason
    assert all(v.p_holm < 0.05 for v in rows)


@pytest.mark.parametrize(
    ("kinds", "verdict", "words"),
    [
        (("supported", "supported", "refuted"), "supported", "in general: supported in 2 of 3 (l0, l1)"),
        (("refuted", "refuted", "supported"), "refuted", "refuted in 2 (l0, l1)"),
        (("supported", "open", "open"), "inconclusive", "in some languages"),
        (("refuted", "open", "open"), "inconclusive", "in no language"),
        # half of the languages are not "in general", but known to be half
        (("supported", "supported", "refuted", "refuted"), "mixed", "supported in 2 of 4"),
        (("supported", "refuted", "open"), "mixed", "it depends on the language"),
        (("supported", "supported", "refuted", "open", "open"), "inconclusive", "supported in 2 of 5"),
        (("refuted", "refuted", "open", "open"), "inconclusive", "in no language"),
        # two thirds of all, not of those that happen to be testable
        (("supported",) * 3 + ("open", "barred"), "inconclusive", "supported in 3 of 5"),
        (("refuted",) * 3 + ("open", "barred"), "inconclusive", "refuted in 3"),
        (("supported", "supported", "barred"), "supported", "supported in 2 of 3"),
        (("supported", "supported", "barred", "barred"), "not testable", "testable in 2 of 4 languages only"),
        (("supported", "barred", "barred"), "not testable", "testable in 1 of 3 languages only"),
    ],
)
def test_evaluate_scope_needs_two_thirds_of_all_languages(kinds, verdict, words):
    overall = claims.evaluate_scope(CLAIM, languages(*kinds))[0]
    assert (overall.language, overall.as_corrected) == ("*", verdict)
    assert words in overall.as_corrected_reason


def test_evaluate_scope_downgrades_what_does_not_survive_holm():
    def found(n, p):
        built = [Evidence(f"l{i}", {"aligned_excess": certain(p)}, GOOD) for i in range(n)]
        return claims.evaluate_scope(CLAIM, built)

    for passing in (found(1, 0.03), found(3, 0.01)):
        assert {v.as_corrected for v in passing} == {"supported"}
    overall, *rows = found(3, 0.03)  # three at .03 are .09 after Holm
    assert [v.as_corrected for v in (overall, *rows)] == ["inconclusive"] * 4
    assert rows[0].as_corrected_reason.startswith("does not survive Holm over the languages (p = 0.090)")
    assert "supported in 0 of 3" in overall.as_corrected_reason
    assert [v.p_holm for v in rows] == pytest.approx([0.09] * 3)


def test_evaluate_scope_leaves_undefined_statistics_out_of_holm():
    numbers = {"zh": certain(0.03), "fr": undefined()}
    built = [Evidence(code, {"aligned_excess": one}, GOOD) for code, one in numbers.items()]
    _, zh, fr = claims.evaluate_scope(CLAIM, built)
    assert (zh.as_corrected, fr.as_corrected) == ("supported", "inconclusive")
    assert (zh.p_holm, fr.p_holm) == (pytest.approx(0.03), None)


def test_operating_characteristic_reports_each_world_by_its_own_name(rng):
    worlds = {"true": (0.4, 0.6), "false": (-0.2, 0.0), "null": (0.0, 0.2), "modest": (0.15, 0.3)}
    turn = iter(range(10_000))

    def simulate(world, rng):
        if world == "modest" and next(turn) % 2:  # supported every other time
            return evidence(0.0, 0.2)
        return evidence(*worlds[world])

    found = claims.operating_characteristic(CLAIM, simulate, rng=rng, n_simulations=10)
    assert (found.power, found.power_modest, found.null_supported, found.false_refuted) == (1, 0.5, 0, 1)
    # Clopper-Pearson for none of ten: 1 - .025**(1/10)
    assert found.null_supported_high == pytest.approx(1 - 0.025**0.1)


SIDED = {"below": 0, "p_below": 0.05}


@pytest.mark.parametrize(
    ("condition", "found", "verdict"),
    [
        ({"p_below": 0.05}, TestResult(-2.0, 0.04, ""), "supported"),
        ({"p_below": 0.05}, TestResult(2.0, 0.05, ""), "inconclusive"),
        (SIDED, TestResult(-0.6, 0.03, ""), "supported"),
        (SIDED, TestResult(0.6, 0.03, ""), "refuted"),
        (SIDED, TestResult(-0.6, 0.05, ""), "inconclusive"),
        (SIDED, TestResult(0.6, 0.30, ""), "inconclusive"),
        (SIDED, TestResult(np.nan, np.nan, ""), "inconclusive"),
        ({"above": 0, "p_below": 0.05}, TestResult(0.6, 0.03, ""), "supported"),
        ({"p_above": 0.05}, TestResult(1.0, 0.06, ""), "supported"),
        ({"p_above": 0.05}, TestResult(1.0, 0.04, ""), "refuted"),
        ({"equals": 0}, Count.once(0), "supported"),
        ({"equals": 0}, Count(0, 0, 1, "subsets"), "inconclusive"),
        ({"equals": 0}, Count(2, 1, 2, "subsets"), "refuted"),
        ({"at_least": 1}, Count.once(1), "supported"),
        ({"at_least": 1}, Count.once(0), "refuted"),
        ({"at_most": 2}, Count(2, 1, 3, "subsets"), "inconclusive"),
        ({"at_most": 2}, Count(3, 3, 4, "subsets"), "refuted"),
    ],
)
def test_tests_and_counts_are_judged_as_what_they_are(condition, found, verdict):
    for entry in ({"x": condition}, {"x": condition, "y": {"above": 0.1}}):  # alone, and beside an interval
        both = {"x": found, "y": interval(0.2, 0.4)}
        assert rules._judge(entry, both, 20)[0] == verdict


@pytest.mark.parametrize("side", ["above", "below"])
def test_intervals_are_judged_by_their_limits_alone(rng, side):
    sign = 1 if side == "above" else -1
    for estimate, bound, down, up in rng.uniform([-1, -1, 0, 0], 1, (500, 4)):
        near, far = sorted(sign * (limit - bound) for limit in (estimate - down, estimate + up))
        expected = "supported" if near > 0 else "refuted" if far < 0 else "inconclusive"
        one = Interval(estimate, estimate - down, estimate + up, np.zeros(9), 0.95, 20)
        assert rules._judge({"x": {side: bound}}, {"x": one}, None)[0] == expected


def test_a_statistic_of_another_kind_is_refused():
    """Naming claim, statistic, what was found and what was expected; in a control as well."""
    kinds = {"Interval": interval(0.2, 0.4), "TestResult": TestResult(0.5, 0.01, ""), "Count": Count.once(3)}
    conditions = {"Interval": {"above": 0.1}, "TestResult": {"p_below": 0.05}, "Count": {"equals": 3}}
    for (wanted, condition), (name, found) in itertools.product(conditions.items(), kinds.items()):
        rule = {"as_corrected": {"x": condition}}
        built = Evidence("zh", {"x": kinds[wanted]}, (Control("shuffle", "negative", {"x": found}),))
        if name == wanted:
            rules.judge("claim_1", rule, "as_corrected", built)
            continue
        for holder, one in {"the evidence": Evidence("zh", {"x": found}), "control 'shuffle'": built}.items():
            with pytest.raises(ClaimError, match=rf"claim_1 \(zh\): x of {holder} is {name}; .*\({wanted}\)"):
                rules.judge("claim_1", rule, "as_corrected", one)


def test_rule_pvalue_of_a_test_is_its_own_and_a_count_has_none():
    def p(condition, found):
        return rules.rule_pvalue({"x": condition}, Evidence("zh", {"x": found}))

    assert p(SIDED, TestResult(-0.6, 0.03, "")) == 0.03
    assert p(SIDED, TestResult(0.6, 0.03, "")) == 1  # significant on the side that the claim denies
    assert p({"equals": 0}, Count.once(0)) is None
    both = {"x": {"equals": 0}, "y": {"above": BOUND}}
    found = Evidence("zh", {"x": Count.once(0), "y": certain(0.03)})
    assert rules.rule_pvalue(both, found) == pytest.approx(0.03)


def test_holm_and_re_rounding_reach_tests_as_well(monkeypatch):
    entry = {**RULES[CLAIM], "rules": {"as_stated": {"not_testable": "no"}, "as_corrected": {"x": SIDED}}}
    monkeypatch.setattr(claims, "entries", lambda: {CLAIM: {**entry, "primary": "x"}})

    def built(p, language, *others):
        found = [{"x": TestResult(-0.6, one, "", n=10)} for one in (p, *others)]
        gate = tuple(Control(k, k, {"x": statistic(SIDED, v)}) for k, v in
                     (("positive", "supported"), ("negative", "refuted")))  # fmt: skip
        first, *rest = (Evidence(language, one, gate) for one in found)
        return replace(first, re_rounded=tuple(rest))

    _, *rows = claims.evaluate_scope(CLAIM, [built(0.03, "zh"), built(0.03, "fr"), built(0.001, "de")])
    assert [v.as_corrected for v in rows] == ["inconclusive", "inconclusive", "supported"]
    assert [v.p_holm for v in rows] == pytest.approx([0.06, 0.06, 0.003])
    assert (rows[0].statistic_kind, rows[0].pvalue, rows[0].low, rows[0].n) == ("test", 0.03, None, 10)
    words = "x -0.600, p = .030 (n = 10) against p below 0.05 and a statistic below 0"
    assert words in rows[0].as_corrected_reason
    assert "in 1 of 1 re-roundings" in claims.evaluate(CLAIM, built(0.03, "zh", 0.2)).as_corrected_reason


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"over": 0.1}, "expected `above` or `below`"),
        ({"above": 0.1, "below": 0.2}, "expected `above` or `below`"),
        (0.1, "expected `above` or `below`"),
        ({"p_below": 5}, "in (0, 1)"),
        ({"p_below": 0.05, "p_above": 0.05}, "one of `p_below` and `p_above`"),
        ({"p_above": 0.05, "below": 0}, "with `p_below` optionally"),
        ({"p_below": 0.05, "effect": False}, "with `p_below` optionally"),
        ({"equals": 0.5}, "a whole number"),
        ({"equals": 1, "at_most": 2}, "one of `equals`"),
    ],
)
def test_validate_names_the_claim_and_the_condition_that_it_cannot_read(condition, words):
    entry = {
        **RULES[CLAIM],
        "rules": {**RULES[CLAIM]["rules"], "as_corrected": {"aligned_excess": condition}},
    }
    with pytest.raises(ClaimError, match=f"{CLAIM}, as_corrected: .*{re.escape(words)}"):
        rules.validate(CLAIM, entry)


@pytest.mark.parametrize("field", ["title", "null_hypothesis", "multiplicity", "scope", "statement", "rules"])
def test_validate_names_a_field_that_is_not_there(field):
    entry = {k: v for k, v in RULES[CLAIM].items() if k != field}
    with pytest.raises(ClaimError, match=f"{CLAIM}: it lacks {field}"):
        rules.validate(CLAIM, entry)


def test_ledger_round_trip(tmp_path, monkeypatch):
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))
    found = claims.evaluate_scope(CLAIM, [evidence(0.4, 0.6)])
    path = claims.record(CLAIM, found, model="a/b", corpus="c/d", provenance={"x": 1})
    assert path.parent == tmp_path / "ledger"
    table = claims.read_ledger()
    columns = ["claim", "model", "corpus", "language", "as_stated", "as_corrected", "estimate", "low", "high"]
    assert list(table.columns[:9]) == columns
    row = table[table["language"] == "zh"].iloc[0]
    assert (row["model"], row["as_corrected"], row["low"]) == ("a/b", "supported", 0.4)
    assert (row["statistic"], row["statistic_kind"]) == ("aligned_excess", "interval")
    assert row["shown"] == "0.500 [0.400, 0.600]"
    snapshot = tmp_path / "snapshot" / "all.json"
    snapshot.parent.mkdir()
    snapshot.write_text(json.dumps(claims.read_records(path.parent)))
    assert claims.read_ledger(snapshot).equals(table)
    claims.record(CLAIM, found[:1], model="a/b", corpus="c/d", provenance={})
    assert len(claims.read_ledger(path.parent)) == 1


PARAMETERS = {"model": "m", "corpus": "/a/dev", "languages": "en,zh", "n_items": 0, "seed": 0}


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Record a verdict of a run on `dev`: keep(seed=1, read={...}) -> the file."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))

    def kept(found=(0.4, 0.6), claim=CLAIM, read=None, **parameters) -> Path:
        values = PARAMETERS | parameters
        about = {"model": values["model"], "corpus": "dev/as-is", "provenance": {}}
        read = read or {"corpus": "1"}
        return claims.record(claim, verdicts_on(claim, found), parameters=values, read=read, **about)

    return kept


@functools.cache
def verdicts_on(claim, found):
    absent = Evidence(unavailable="weights unavailable: no network")
    return claims.evaluate_scope(claim, [evidence(*found) if found else absent])


OTHERS = [
    {"corpus": "/b/dev"}, {"model": "/r/m"}, {"languages": "en,fr"}, {"n_items": 30}, {"seed": 1},
    {"claim": "prediction_1_rises", "found": None},
]  # fmt: skip


def test_records_of_other_executions_stand_beside_each_other(keep, tmp_path):
    """And one of the same execution that read the same takes the place of its own."""
    paths = [keep(), *(keep(**one) for one in OTHERS)]
    assert len(set(paths)) == 1 + len(OTHERS) == len(list((tmp_path / "ledger").iterdir()))
    assert keep((0.8, 0.9)) == paths[0]
    table = claims.read_ledger()
    rows = table[table["language"] == "zh"]
    assert sorted(rows["low"]) == [0.4] * 5 + [0.8]
    assert not table.duplicated(["claim", "model", "corpus", "language"]).any()
    assert set(rows["seed"]) == {0, 1}


@pytest.mark.parametrize("read", [{"corpus": "2"}, {"corpus": "1", "model": {"weights": "other"}}])
def test_a_record_of_content_that_changed_is_kept_apart(keep, tmp_path, read):
    first, other = keep(), keep(seed=1)
    second = keep((0.8, 0.9), read=read)
    assert set((tmp_path / "ledger").glob("*.json")) == {second, other}
    superseded = tmp_path / "ledger" / claims.SUPERSEDED / first.name
    assert claims.read_records(superseded)[0]["rows"][1]["low"] == 0.4
    assert sorted(claims.read_ledger().query("language == 'zh'")["low"]) == [0.4, 0.8]
    # what it was before again: its record is back, the other one kept apart
    assert keep() == first
    assert (superseded.parent / second.name).is_file()


def test_a_record_of_unavailable_weights_goes_once_they_are_measured(keep, tmp_path):
    about = {"model": "m", "corpus": "dev/as-is", "parameters": PARAMETERS}
    keep(found=None)
    keep(found=None, corpus="/b/dev")
    assert not claims.is_measured(CLAIM, **about)
    keep(seed=5)  # of other parameters, yet of the same model and corpus
    assert claims.is_measured(CLAIM, **about)
    assert not claims.is_measured(CLAIM, **about | {"parameters": PARAMETERS | {"corpus": "/b/dev"}})
    reasons = claims.read_ledger().query("language == '*'")["as_corrected_reason"]
    assert sum(reason.startswith("weights unavailable") for reason in reasons) == 1


def test_a_record_of_an_older_zspace_is_kept_apart_once_it_is_measured_again(keep, tmp_path):
    old = tmp_path / "ledger" / f"{CLAIM}--m--dev+as-is.json"
    record = json.loads(keep().read_text("utf-8"))
    old.write_text(json.dumps({k: v for k, v in record.items() if k != "execution"}))
    keep()
    assert not old.exists()
    assert (old.parent / claims.SUPERSEDED / old.name).is_file()


def test_records_written_at_once_are_all_kept_whole(keep, tmp_path):
    """Eight runs at once, half of them the same execution."""
    runs = [{"seed": i} if i < 4 else {"seed": 9} for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: keep(**one), runs))
    assert set(claims.read_ledger()["seed"]) == {0, 1, 2, 3, 9}
    left = [path.name for path in (tmp_path / "ledger").iterdir()]
    assert len(left) == 5
    assert all(name.endswith(".json") for name in left)


@pytest.mark.parametrize("name", ["../../../x", "/etc/x", "a/../../b", "..", "x" * 400, "\n{x}$", "<b>"])
def test_records_stay_in_the_ledger_whatever_model_and_corpus_are_called(tmp_path, monkeypatch, name):
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))
    path = claims.record(CLAIM, verdicts_on(CLAIM, (0.4, 0.6)), model=name, corpus=name, provenance={})
    assert path.resolve().parent == tmp_path / "ledger"
    assert set(claims.read_ledger()["model"]) == {name}


@pytest.mark.parametrize(
    ("content", "words"),
    [("[3]", "holds int"), ('{"rows": []}', "lacks claim, model, corpus"), ("\xff", "invalid start byte"),
     ('{"claim": "a", "model": "m", "corpus": "c", "rows": [{}]}', "lacks rows"), ("[" * 10**5, "recursion")],
)  # fmt: skip
def test_read_records_names_a_file_that_holds_something_else(tmp_path, content, words):
    (tmp_path / "odd.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(
        ClaimError, match=rf"odd\.json is not a ledger record.*{words}|odd\.json is not a {words}"
    ):
        claims.read_records(tmp_path)


def test_read_ledger_says_what_is_wrong(tmp_path):
    with pytest.raises(ClaimError, match="no ledger at"):
        claims.read_ledger(tmp_path)
    (tmp_path / "half.json").write_text('{"claim": ')
    with pytest.raises(ClaimError, match=r"half\.json is not a ledger record"):
        claims.read_ledger(tmp_path)


def drawn(values, rng, n_groups=20, noise=0.05):
    """Values of several subjects whose replicates are independent."""
    return {
        name: study.Values(np.array([v]), v + noise * rng.standard_normal((1, 2000)), n_groups)
        for name, v in values.items()
    }


def test_an_excess_is_over_the_mean_of_exchangeable_baselines_and_names_them():
    values = {"trained": 0.6, "random-0": 0.2, "random-1": 0.1, "random-2": 0.3, "shuffled pairing": 0.15}
    found = drawn(values, np.random.default_rng(0))
    others = [name for name in values if name != "trained"]
    one = study.excess_over(found, "trained", others, 0)
    assert one.estimate == pytest.approx(0.4)
    assert one.low_over == "the mean of 3 random"
    # their spread is a part of the error: t of two degrees of freedom times .1 over the root of three
    assert one.margin == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    alone = study.excess_over(found, "trained", ["shuffled pairing"], 0)
    assert (alone.margin, alone.low_over) == (0, "shuffled pairing")
    assert one.low < alone.low
    judged = claims.evaluate(CLAIM, Evidence("zh", {"aligned_excess": one}, GOOD))
    assert (judged.statistic_kind, judged.low_over) == ("excess", one.low_over)


def test_an_excess_over_several_kinds_is_that_over_the_nearest():
    found = drawn(
        {"trained": 0.6, "random-0": 0.1, "random-1": 0.1, "shuffled pairing": 0.5}, np.random.default_rng(1)
    )
    both = study.excess_over(found, "trained", ["random-0", "random-1", "shuffled pairing"], 0)
    near = study.excess_over(found, "trained", ["shuffled pairing"], 0)
    assert (both.estimate, both.low, both.high) == (near.estimate, near.low, near.high)
    assert both.low_over == both.high_over == "shuffled pairing"


def test_a_baseline_is_one_more_draw_of_its_kind():
    found = drawn({"random-0": 0.2, "random-1": 0.1, "random-2": 0.3}, np.random.default_rng(2))
    one = study.excess_over(found, "random-0", ["random-1", "random-2"], 0)
    # two values .2 apart, each .1414 from their mean; its own draw and the mean of two: one degree of freedom
    assert one.margin == pytest.approx(12.706 * 0.1414 * np.sqrt(1.5), rel=1e-3)


@pytest.mark.parametrize("k", [3, 20])
def test_excess_over_exchangeable_baselines_has_its_level_and_more_of_them_decide(k):
    """A model no different from its baselines' mean; then one that is .3 above, bound .1."""
    rng = np.random.default_rng(k)

    def low(effect):
        values = {f"random-{i}": 0.1 * rng.standard_normal() for i in range(k)}
        values["trained"] = effect + 0.04 * rng.standard_normal()
        found = {name: study.Values(np.array([v]), v + np.zeros((1, 500)), 20) for name, v in values.items()}
        noise = 0.04 * rng.standard_normal((1, 500))
        found["trained"] = study.Values(found["trained"].estimate, values["trained"] + noise, 20)
        return study.excess_over(found, "trained", list(values)[:-1], 0).low

    # one-sided 2.5 %: of 600, at most 28 with probability .9995
    assert sum(low(0.0) > 0 for _ in range(600)) <= 28
    decided = np.mean([low(0.3) > 0.1 for _ in range(200)])
    assert decided > 0.9 if k == 20 else decided < 0.6


def test_a_rule_whose_statistic_is_missing_is_not_testable_and_says_why():
    strong = TestResult(-0.9, 0.001, "none", n=10)
    rho = {f"depth_rho_{proxy}": strong for proxy in ("mc4_tokens", "web_pages")}
    none = {name: replace(one, pvalue=0.9) for name, one in rho.items()}
    kinds = {"random weights": ("negative", none), "depths sorted by share": ("positive", rho)}
    controls = tuple(Control(name, *about) for name, about in kinds.items())
    few = Evidence(statistics=rho, controls=controls, missing={"depth_partial_rho": "too few"})
    found = claims.evaluate("prediction_3_language_depth", few)
    assert (found.as_stated, found.as_corrected) == ("supported", "not testable")
    assert found.as_corrected_reason == "too few"
    assert found.statistic is None
    # neither there nor missing
    with pytest.raises(ClaimError, match="needs the statistics depth_partial_rho"):
        claims.evaluate("prediction_3_language_depth", replace(few, missing={}))


def test_what_would_decide_between_two_bounds_is_the_way_to_the_farther_one():
    rule = {"as_corrected": {"rho": {"below": 0, "refuted_above": -0.3}}}

    def reason(estimate):
        found = replace(interval(estimate - 0.25, estimate + 0.25), unit="languages", n_groups=60)
        controls = [
            Control(kind, kind, {"rho": interval(low, low + 0.1)})
            for kind, low in (("positive", -0.9), ("negative", 0.1))
        ]
        evidence = Evidence(statistics={"rho": found}, controls=tuple(controls), n_items=300)
        return rules.judge("claim", rule, "as_corrected", evidence)[1]

    # to refute from -.1 it takes half a width of .2: (.25 / .2)^2 times 60 languages
    assert "against 0 (refuted above -0.3) (about 94 languages would decide)" in reason(-0.1)
    assert "about 94 languages would decide" in reason(-0.2)  # to support
    assert "about 66 languages would decide" in reason(-0.24 + 0.001)


def test_what_would_decide_knows_what_rows_cannot_change():
    wide = interval(0.05, 0.25)
    claim = {"aligned_excess": replace(wide, margin=0.08)}
    reason = claims.evaluate(CLAIM, Evidence("zh", claim, GOOD, n_items=80)).as_corrected_reason
    assert "more baselines would decide, not more rows" in reason
    fewer = {"aligned_excess": replace(wide, margin=0.03)}
    reason = claims.evaluate(CLAIM, Evidence("zh", fewer, GOOD, n_items=80)).as_corrected_reason
    # (.1^2 - .03^2) / (.05^2 - .03^2) = 5.69 times 120 rows
    assert "about 683 rows in all would decide" in reason
    nets = {"aligned_excess": replace(wide, unit="networks")}
    reason = claims.evaluate(CLAIM, Evidence("zh", nets, GOOD, n_items=80)).as_corrected_reason
    assert "about 80 networks would decide" in reason


def test_a_verdict_that_another_measure_reverses_depends_on_the_measure():
    high, low, open_ = (evidence(*limits) for limits in ((0.4, 0.6), (-0.2, 0.0), (0.0, 0.2)))
    for one, other, word in ((high, low, "supported"), (low, high, "refuted")):
        found = claims.evaluate(CLAIM, replace(one, other_measures={"raw": other}))
        assert found.as_corrected == rules.DEPENDS == "inconclusive (depends on the measure)"
        assert found.as_corrected_reason.startswith(f"{word} by the primary measure: ")
    # negative controls: the same verdict, and one that another measure merely leaves open
    assert claims.evaluate(CLAIM, replace(high, other_measures={"raw": high})) == claims.evaluate(CLAIM, high)
    left = claims.evaluate(CLAIM, replace(high, other_measures={"raw": open_}))
    assert left.as_corrected == "supported"
    assert left.as_corrected_reason.endswith("By other measures: raw inconclusive")


def test_rates_of_simulations_verify_and_do_not_prove():
    entry = RULES["conjecture_7_rank"]["rules"]
    checks = dict.fromkeys(entry["as_corrected"]["simulation"] + entry["as_stated"]["counterexample"], True)
    assert (
        claims.evaluate("conjecture_7_rank", Evidence(checks=checks)).as_corrected == "verified by simulation"
    )
    failed = {**checks, "pooled_test_holds_its_level": False}
    assert claims.evaluate("conjecture_7_rank", Evidence(checks=failed)).as_corrected == "not testable"


def test_the_claims_file_has_short_lines_and_every_claim_its_fields():
    lines = (PROJECT / "params" / "claims.yaml").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 110
    for claim, entry in RULES.items():
        rules.validate(claim, entry)
        assert set(entry["statement"]) == set(claims.READINGS)
        assert len(entry["title"]) <= 80
        assert not re.search(r"\btwins?\b|nothing to explain", json.dumps(entry))
        assert all(set(r) == {"date", "seen", "changed"} for r in entry.get("revised", ()))
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", r["date"]) for r in entry.get("revised", ()))

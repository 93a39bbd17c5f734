"""Experiments recover what was planted, and say nothing where nothing is."""

import numpy as np
import pytest
from zspace import theory
from zspace.evidence import claims, panels
from zspace.evidence.experiments import descent, dilution, retrieval, simulated, updates

EMPIRICAL = (
    "prediction_1_aligned",
    "prediction_1_rises",
    "prediction_2_update_agnosticism",
    "theorem_2_every_layer",
    "theorem_2_accumulation",
)
SEEDS = (0, 1, 2)


def retrieval_evidence(panel, rng, claim="prediction_1_aligned"):
    return retrieval.retrieval_evidence(panel, retrieval.retrieval_outcomes(panel), rng=rng)[claim]


@pytest.mark.parametrize("claim", EMPIRICAL)
def test_rule_tells_true_false_and_null_apart(claim, rng):
    worlds = simulated.simulation(claim, n_scenarios=30, n_draws=2, rng=rng)
    found = claims.operating_characteristic(claim, worlds, rng=rng, n_simulations=6)
    assert found.power >= 5 / 6
    assert found.rates["false"].get("supported", 0) == 0
    assert found.null_supported <= 1 / 6  # gross errors only; the full size stands below
    assert found.null_supported <= found.power_modest <= found.power


@pytest.mark.full
@pytest.mark.parametrize("claim", EMPIRICAL)
def test_rule_supports_the_null_in_at_most_one_of_twenty(claim, rng):
    worlds = simulated.simulation(claim, n_scenarios=30, n_draws=4, rng=rng)
    found = claims.operating_characteristic(claim, worlds, rng=rng, n_simulations=400)
    assert found.null_supported <= 0.05
    assert found.power >= 0.95
    assert found.power_modest > found.null_supported
    assert found.false_refuted > found.null_refuted


@pytest.mark.parametrize("seed", SEEDS)
def test_no_subject_without_training_is_ever_supported(seed):
    panel = panels.simulated_panel("scenarios", 0.0, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 10)
    for claim in ("prediction_1_aligned", "prediction_1_rises"):
        verdict = claims.evaluate(claim, retrieval_evidence(panel, rng, claim))
        assert verdict.as_corrected != "supported"
        assert all(c["verdict"] != "supported" for c in verdict.controls if c["kind"] == "negative")
        assert all(c["passed"] for c in verdict.controls if c["kind"] == "positive")


@pytest.mark.parametrize("seed", SEEDS)
def test_signal_planted_in_the_trained_model_is_supported(seed):
    panel = panels.simulated_panel("scenarios", 1.0, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 10)
    for claim in ("prediction_1_aligned", "prediction_1_rises"):
        assert claims.evaluate(claim, retrieval_evidence(panel, rng, claim)).as_corrected == "supported"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_signal_in_a_twin_too_is_not_supported(seed):
    """The control that matters: what a random model does as well is no evidence."""
    panel = panels.simulated_panel("scenarios", 1.0, rng=np.random.default_rng(seed))
    panel.subjects["random-1"] = panel.subjects[panels.TRAINED]
    verdict = claims.evaluate("prediction_1_aligned", retrieval_evidence(panel, np.random.default_rng(seed)))
    assert verdict.as_corrected == "not testable"
    assert "random-1" in verdict.as_corrected_reason
    assert "Ungated: inconclusive" in verdict.as_corrected_reason  # one good twin of three refutes nothing
    assert verdict.estimate == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_null_model_of_theorem_2_falls_and_is_never_aligned(seed):
    rng = np.random.default_rng(seed)
    panel = panels.simulated_panel("scenarios", 0.0, rng=rng)
    stacks = {
        name: theory.accumulation_null(len(panel.scenario), rng=rng)
        for name in (*panel.twins, panels.TRAINED, panels.PERMUTED, panels.RANDOM_BLOCKS)
    }
    null = panels.with_controls(panels.replace(panel, subjects=stacks), rng=rng)
    result = descent.snr_descent({"zh": null}, rng=rng)
    falls = result.criteria.set_index("subject")
    assert (falls.loc["trained", ["falls", "exact"]] == falls.loc["trained", "layers"]).all()
    verdicts = {c: claims.evaluate(c, e[0]) for c, e in result.evidence.items()}
    assert verdicts["theorem_2_every_layer"].as_stated == "supported"  # the SNR does fall throughout
    assert verdicts["theorem_2_every_layer"].as_corrected == "refuted"  # and nothing is shared
    assert verdicts["theorem_2_accumulation"].as_corrected == "supported"
    for claim in ("prediction_1_aligned", "prediction_1_rises"):
        assert claims.evaluate(claim, retrieval_evidence(null, rng, claim)).as_corrected != "supported"


def test_accumulation_tells_dilution_from_cross_terms(rng):
    scenario = np.repeat(np.arange(20), 4)
    worlds = dilution.accumulation_worlds(scenario, rng=rng)
    shares = {w: worlds(w, rng).statistics["accumulation_share"].estimate for w in simulated.WORLDS}
    assert shares["true"] == pytest.approx(1, abs=0.1)
    assert shares["null"] == pytest.approx(0.5, abs=0.07)
    assert shares["modest"] == pytest.approx(0.75, abs=0.07)
    assert shares["false"] == pytest.approx(0, abs=0.1)


def test_theorem_evidence_rests_on_numbers_that_could_fail(rng):
    evidence, numbers = descent.theorem_evidence(rng=rng)
    assert all(evidence.checks.values())
    values = numbers["value"]
    as_stated, near, exact, error = values.iloc[:4]
    assert max(as_stated, near) < 0.8  # not even where its premise holds
    assert exact == 1.0
    assert error < 1e-9
    assert values["its snr after"] < values["counterexample (c = 1/2, 40 items): snr before"]


def test_discovery_items_never_reach_the_verdict(rng):
    """Ruining the discovery outcomes may move the layer but not which items the interval counts."""
    panel = panels.simulated_panel("scenarios", 1.0, rng=rng)
    outcomes = retrieval.retrieval_outcomes(panel)
    first = retrieval.aligned_excess(panel, outcomes, panels.TRAINED, rng=np.random.default_rng(0))
    peak = retrieval.peak_layer(panel, outcomes[panels.TRAINED])
    ruined = {name: found.copy() for name, found in outcomes.items()}
    for found in ruined.values():
        found[:, :, panel.discovery] = False
    ruined[panels.TRAINED][peak][:, panel.discovery] = True
    second = retrieval.aligned_excess(panel, ruined, panels.TRAINED, rng=np.random.default_rng(0))
    controls = [retrieval.peak_layer(panel, outcomes[c]) for c in (*panel.twins, panels.PERMUTED)]
    assert second.estimate >= first.estimate - 0.1
    assert any(controls)  # the controls' layers do come from discovery
    flipped = {name: found.copy() for name, found in outcomes.items()}
    flipped[panels.TRAINED][:, :, panel.confirmation] = False
    third = retrieval.aligned_excess(panel, flipped, panels.TRAINED, rng=np.random.default_rng(0))
    assert third.estimate < 0


def test_layer_zero_peak_has_no_drop_and_no_rise(rng):
    panel = panels.simulated_panel("scenarios", 0.0, rng=rng)
    n = len(panel.scenario)
    outcomes = np.zeros((4, 2, n), bool)
    outcomes[0] = True
    drop = retrieval.largest_drop(panel, outcomes, rng=rng)
    assert (drop.estimate, drop.low, drop.high) == (0, 0, 0)


def test_largest_drop_finds_a_dip_before_the_peak(rng):
    panel = panels.simulated_panel("scenarios", 0.0, rng=rng)
    outcomes = np.zeros((5, 2, len(panel.scenario)), bool)
    for layer, share in enumerate((0.2, 0.6, 0.3, 0.9, 0.1)):
        outcomes[layer] = rng.random((2, len(panel.scenario))) < share
    drop = retrieval.largest_drop(panel, outcomes, rng=rng)
    assert drop.low > 0.02  # from .6 to .3; the fall after the peak does not count
    rising = np.sort(outcomes, axis=0)
    assert retrieval.largest_drop(panel, rising, rng=rng).high <= 0.02


def test_length_overlap_strata_hold_several_items_and_keep_ties_together(rng):
    panel = panels.simulated_panel("scenarios", 0.0, rng=rng)
    equal = panels.length_overlap_strata(panel)
    assert len(np.unique(equal)) <= 2  # all lengths are equal: only overlap may part items
    lengths = rng.integers(4, 13, len(panel.scenario))
    keep = np.arange(12) < lengths[:, None]
    ragged = panels.replace(panel, tokens=tuple(np.where(keep, t, -1) for t in panel.tokens))
    strata = panels.length_overlap_strata(ragged)
    assert np.unique(strata, return_counts=True)[1].min() >= 4
    longest = [lengths[strata // 2 == s].max() for s in np.unique(strata // 2)]
    shortest = [lengths[strata // 2 == s].min() for s in np.unique(strata // 2)]
    assert all(a < b for a, b in zip(longest[:-1], shortest[1:], strict=True))


def test_planted_updates_agree_where_states_hardly_do(rng):
    panel = panels.simulated_panel("updates", 1.0, rng=rng)
    states, found = updates.update_auc(panel, panel.subjects[panels.TRAINED])
    twin_states, twin = updates.update_auc(panel, panel.subjects["random-0"])
    assert found.mean() > states.mean() + 0.2
    assert abs(twin.mean() - twin_states.mean()) < 0.1
    assert updates.update_gain((states, found)).shape == panel.scenario.shape

"""Experiments recover what was planted, and say nothing where nothing is."""

import re
import types

import numpy as np
import pytest
from zspace import theory
from zspace.evidence import claims, error_rates, language_pairs, rules, study
from zspace.evidence.retrieval import by_layer, updates
from zspace.evidence.snr_descent import accumulation, descent
from zspace.measures import alignment, residual
from zspace.measures.resampling import Interval
from zspace.sources import corpora

EMPIRICAL = (
    "prediction_1_aligned",
    "prediction_1_rises",
    "prediction_2_update_agnosticism",
    "theorem_2_every_layer",
    "theorem_2_accumulation",
)
SEEDS = (0, 1, 2)


STUDIES = {
    **{one.claim: one for one in by_layer.STUDIES},
    updates.CLAIM: updates.STUDY,
    descent.EVERY: descent.STUDY,
    accumulation.CLAIM: accumulation.STUDY,
}


def worlds_of(claim, size):
    """Simulated worlds of a claim at a size."""
    if claim in (one.claim for one in by_layer.STUDIES):
        return by_layer.worlds(STUDIES[claim], size)
    return {updates.CLAIM: updates, descent.EVERY: descent, accumulation.CLAIM: accumulation}[claim].worlds(
        size
    )


def retrieval_evidence(panel, rng, claim="prediction_1_aligned", outcomes=None):
    outcomes = by_layer.retrieval_outcomes(panel) if outcomes is None else outcomes
    measured = {n: by_layer.accuracy_at_peak(panel, o) for n, o in outcomes.items()}
    return study.assemble(STUDIES[claim], measured, study.draw(panel, rng=rng), panel.language)


def rise_excess(panel, outcomes, subject, *, rng):
    measured = {n: by_layer.accuracy_at_peak(panel, o) for n, o in outcomes.items()}
    return by_layer.rises_statistics(measured, subject, study.draw(panel, rng=rng))["rise_excess"]


def largest_drop(panel, outcomes, *, rng):
    return study.draw(panel, rng=rng).mean(by_layer.accuracy_at_peak(panel, outcomes).drop)


def matched_evidence(panel, *, rng):
    draws = study.draw(panel, rng=rng)
    measured = descent.matched(panel, draws) | descent.geometric_controls(panel, draws, rng=rng)
    return study.assemble(descent.STUDY, measured, draws, panel.language)


def update_evidence(panel, measured, *, rng):
    gains = {name: updates.update_gain(auc)[panel.confirmation] for name, auc in measured.items()}
    return study.assemble(updates.STUDY, gains, study.draw(panel, rng=rng), panel.language)


@pytest.mark.parametrize("claim", EMPIRICAL)
def test_rule_tells_true_false_and_null_apart(claim, rng):
    simulate = worlds_of(claim, error_rates.Size(30, 2, 2)).make(rng)
    found = claims.operating_characteristic(claim, simulate, rng=rng, n_simulations=6)
    assert found.power >= 5 / 6
    assert found.rates["false"].get("supported", 0) == 0
    assert found.null_supported <= 1 / 6  # gross errors only; the full size stands below
    assert found.null_supported <= found.power_modest <= found.power


@pytest.mark.full
@pytest.mark.parametrize("claim", EMPIRICAL)
def test_rule_supports_the_null_in_at_most_one_of_twenty(claim, rng):
    simulate = worlds_of(claim, error_rates.Size(30, 4, 2)).make(rng)
    found = claims.operating_characteristic(claim, simulate, rng=rng, n_simulations=400)
    assert found.null_supported <= 0.05
    assert found.power >= 0.95
    assert found.power_modest >= found.null_supported
    if claim != "prediction_2_update_agnosticism":  # .02 of AUC is less than 20 scenarios can tell apart
        assert found.power_modest > found.null_supported
    assert found.false_refuted > found.null_refuted


@pytest.mark.parametrize("seed", SEEDS)
def test_no_subject_without_training_is_ever_supported(seed):
    panel = language_pairs.simulated_pair("scenarios", 0.0, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 10)
    for claim in ("prediction_1_aligned", "prediction_1_rises"):
        verdict = claims.evaluate(claim, retrieval_evidence(panel, rng, claim))
        assert verdict.as_corrected != "supported"
        assert all(c["verdict"] != "supported" for c in verdict.controls if c["kind"] == "negative")
        assert all(c["passed"] for c in verdict.controls if c["kind"] == "positive")


@pytest.mark.parametrize("seed", SEEDS)
def test_signal_planted_in_the_trained_model_is_supported(seed):
    panel = language_pairs.simulated_pair("scenarios", 1.0, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 10)
    for claim in ("prediction_1_aligned", "prediction_1_rises"):
        assert claims.evaluate(claim, retrieval_evidence(panel, rng, claim)).as_corrected == "supported"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_signal_in_a_twin_too_is_not_supported(seed):
    """The control that matters: what a random model does as well is no evidence."""
    panel = language_pairs.simulated_pair("scenarios", 1.0, rng=np.random.default_rng(seed))
    panel.subjects["random-1"] = panel.subjects[language_pairs.TRAINED]
    verdict = claims.evaluate("prediction_1_aligned", retrieval_evidence(panel, np.random.default_rng(seed)))
    assert verdict.as_corrected == "not testable"
    assert "random-1" in verdict.as_corrected_reason
    assert "Ungated: inconclusive" in verdict.as_corrected_reason  # one good twin of three refutes nothing
    assert verdict.estimate == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_null_model_of_theorem_2_falls_and_is_never_aligned(seed):
    rng = np.random.default_rng(seed)
    panel = language_pairs.simulated_pair("scenarios", 0.0, rng=rng)
    stacks = {
        name: theory.accumulation_null(len(panel.scenario), rng=rng)
        for name in (
            *panel.twins,
            language_pairs.TRAINED,
            language_pairs.PERMUTED,
            language_pairs.RANDOM_BLOCKS,
        )
    }
    null = language_pairs.with_controls(language_pairs.replace(panel, subjects=stacks), rng=rng)
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
    simulate = accumulation.worlds(error_rates.Size(30, 4, 2)).make(rng)
    shares = {w: simulate(w, rng).statistics["accumulation_share"].estimate for w in error_rates.WORLDS}
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
    panel = language_pairs.simulated_pair("scenarios", 1.0, rng=rng)
    outcomes = by_layer.retrieval_outcomes(panel)
    first = by_layer.aligned_excess(panel, outcomes, language_pairs.TRAINED, rng=np.random.default_rng(0))
    peak = by_layer.peak_layer(panel, outcomes[language_pairs.TRAINED])
    ruined = {name: found.copy() for name, found in outcomes.items()}
    for found in ruined.values():
        found[:, :, panel.discovery] = False
    ruined[language_pairs.TRAINED][peak][:, panel.discovery] = True
    second = by_layer.aligned_excess(panel, ruined, language_pairs.TRAINED, rng=np.random.default_rng(0))
    controls = [by_layer.peak_layer(panel, outcomes[c]) for c in (*panel.twins, language_pairs.PERMUTED)]
    assert second.estimate >= first.estimate - 0.1
    assert any(controls)  # the controls' layers do come from discovery
    flipped = {name: found.copy() for name, found in outcomes.items()}
    flipped[language_pairs.TRAINED][:, :, panel.confirmation] = False
    third = by_layer.aligned_excess(panel, flipped, language_pairs.TRAINED, rng=np.random.default_rng(0))
    assert third.estimate < 0


def test_layer_zero_peak_has_no_drop_and_no_rise(rng):
    panel = language_pairs.simulated_pair("scenarios", 0.0, rng=rng)
    n = len(panel.scenario)
    outcomes = np.zeros((4, 2, n), bool)
    outcomes[0] = True
    drop = largest_drop(panel, outcomes, rng=rng)
    assert (drop.estimate, drop.low, drop.high) == (0, 0, 0)


def test_largest_drop_finds_a_dip_before_the_peak(rng):
    panel = language_pairs.simulated_pair("scenarios", 0.0, rng=rng)
    outcomes = np.zeros((5, 2, len(panel.scenario)), bool)
    for layer, share in enumerate((0.2, 0.6, 0.3, 0.9, 0.1)):
        outcomes[layer] = rng.random((2, len(panel.scenario))) < share
    drop = largest_drop(panel, outcomes, rng=rng)
    assert drop.low > 0.02  # from .6 to .3; the fall after the peak does not count
    rising = np.sort(outcomes, axis=0)
    assert largest_drop(panel, rising, rng=rng).high <= 0.02


def test_length_overlap_strata_hold_several_items_and_keep_ties_together(rng):
    panel = language_pairs.simulated_pair("scenarios", 0.0, rng=rng)
    equal = language_pairs.length_overlap_strata(panel)
    assert len(np.unique(equal)) <= 2  # all lengths are equal: only overlap may part items
    lengths = rng.integers(4, 13, len(panel.scenario))
    keep = np.arange(12) < lengths[:, None]
    ragged = language_pairs.replace(panel, tokens=tuple(np.where(keep, t, -1) for t in panel.tokens))
    strata = language_pairs.length_overlap_strata(ragged)
    assert np.unique(strata, return_counts=True)[1].min() >= 4
    longest = [lengths[strata // 2 == s].max() for s in np.unique(strata // 2)]
    shortest = [lengths[strata // 2 == s].min() for s in np.unique(strata // 2)]
    assert all(a < b for a, b in zip(longest[:-1], shortest[1:], strict=True))


def test_planted_updates_agree_where_states_hardly_do(rng):
    panel = language_pairs.simulated_pair("updates", 1.0, rng=rng)
    states, found = updates.update_auc(panel, panel.subjects[language_pairs.TRAINED])
    twin_states, twin = updates.update_auc(panel, panel.subjects["random-0"])
    assert found.mean() > states.mean() + 0.2
    assert abs(twin.mean() - twin_states.mean()) < 0.1
    assert updates.update_gain((states, found)).shape == panel.scenario.shape


# Outcomes and states made by hand: discovery and confirmation items have different winners, so that a
# layer, a mean or a control taken from the wrong items gives another number.

TWINS = ("random-0", "random-1", "random-2")
LOW = ((0.1, 0.1),) * 4  # a subject that finds little at any layer
BOTH = ((0.2, 0.2), (0.8, 0.4), (0.2, 1.0), (0.2, 0.2))  # .4 by its discovery peak, 1.0 by any other choice


@pytest.fixture
def panel(rng):
    """Twelve scenarios of five items, four of them for discovery: 20 items and 40."""
    return language_pairs.simulated_pair(
        "scenarios", 0.0, rng=rng, n_scenarios=12, n_draws=5, n_layers=3, dim=8
    )


def outcomes_of(panel, layers):
    """(L+1, 2, n) outcomes with exactly these shares (discovery, confirmation) of each layer."""
    found = np.zeros((len(layers), 2, len(panel.scenario)), bool)
    for layer, shares in enumerate(layers):
        for share, rows in zip(shares, (panel.discovery, panel.confirmation), strict=True):
            chosen = np.flatnonzero(rows)
            found[layer][:, chosen[: round(share * len(chosen))]] = True
    return found


def made_outcomes(panel, **subjects):
    """Outcomes of every subject, low but for those given (names with _ for - and spaces)."""
    names = {n.replace("-", "_").replace(" ", "_"): n for n in panel.subjects}
    texts = {"surface_overlap": by_layer.SURFACE, "shared_spelling": by_layer.SPELLING}
    outcomes = {n: outcomes_of(panel, LOW) for n in names.values()}
    outcomes |= {n: outcomes_of(panel, LOW[:1]) for n in texts.values()}
    return outcomes | {(names | texts)[n]: outcomes_of(panel, layers) for n, layers in subjects.items()}


def test_peak_layer_is_chosen_on_discovery(panel):
    assert by_layer.peak_layer(panel, outcomes_of(panel, BOTH)) == 1


@pytest.mark.parametrize(
    "best",
    ["random_0", "random_1", "random_2", "permuted_embeddings_0", "surface_overlap", "shared_spelling"],
)
def test_aligned_excess_is_over_the_best_of_every_control(panel, rng, best):
    layers = ((0.6, 0.6),) if best in ("surface_overlap", "shared_spelling") else (*LOW[:1], (0.6, 0.6))
    outcomes = made_outcomes(panel, trained=(*LOW[:1], (0.9, 0.9)), **{best: layers})
    found = by_layer.aligned_excess(panel, outcomes, language_pairs.TRAINED, rng=rng)
    assert found.estimate == pytest.approx(0.9 - 0.6)
    evidence = retrieval_evidence(panel, rng, outcomes=outcomes)
    assert evidence.statistics["aligned_excess"].estimate == pytest.approx(0.9 - 0.6)


def test_aligned_excess_leaves_out_what_is_no_control_of_it(panel, rng):
    high = (*LOW[:1], (0.8, 0.8))
    outcomes = made_outcomes(
        panel, trained=high, random_blocks_0=high, shuffled_pairing=high, planted_signal=high
    )
    found = by_layer.aligned_excess(panel, outcomes, language_pairs.TRAINED, rng=rng)
    assert found.estimate == pytest.approx(0.8 - 0.1)
    twin = made_outcomes(panel, random_1=high)
    assert by_layer.aligned_excess(panel, twin, "random-1", rng=rng).estimate == pytest.approx(0.8 - 0.1)


def test_aligned_excess_chooses_every_layer_on_discovery(panel, rng):
    trained = made_outcomes(panel, trained=BOTH)
    found = by_layer.aligned_excess(panel, trained, language_pairs.TRAINED, rng=rng)
    assert found.estimate == pytest.approx(0.4 - 0.1)
    control = made_outcomes(panel, trained=((0.9, 0.9),), random_2=BOTH)
    found = by_layer.aligned_excess(panel, control, language_pairs.TRAINED, rng=rng)
    assert found.estimate == pytest.approx(0.9 - 0.4)


def test_aligned_excess_has_its_lower_limit_over_the_best_control_and_its_upper_over_the_mean(panel):
    outcomes = made_outcomes(panel, trained=((0.5, 0.5),), random_1=((0.7, 0.7),))
    found = by_layer.aligned_excess(panel, outcomes, language_pairs.TRAINED, rng=np.random.default_rng(0))
    values = outcomes[language_pairs.TRAINED][0].mean(0)[panel.confirmation]
    own = study.draw(panel, rng=np.random.default_rng(0)).mean(values, bounds=(0, 1))
    controls = [0.1, 0.7, 0.1, 0.1, 0.1, 0.1]  # three twins, permuted embeddings, two from the texts
    assert found.low == pytest.approx(own.low - 0.7)
    assert found.high == pytest.approx(own.high - np.mean(controls))
    assert found.replicates == pytest.approx(own.replicates - 0.7)


@pytest.mark.parametrize("best", ["trained", "random_blocks_0"])
def test_rise_excess_is_over_the_own_layer_zero_and_random_blocks(panel, rng, best):
    layers = {"trained": (*LOW[:1], (0.9, 0.9)), "random_blocks_0": LOW}
    layers[best] = ((0.6, 0.6), *layers[best][1:])
    found = rise_excess(panel, made_outcomes(panel, **layers), language_pairs.TRAINED, rng=rng)
    assert found.estimate == pytest.approx(0.9 - 0.6)
    # what the blocks add is compared with no other subject
    layers |= dict.fromkeys(("random_0", "permuted_embeddings_0", "surface_overlap"), ((0.8, 0.8),))
    same = rise_excess(panel, made_outcomes(panel, **layers), language_pairs.TRAINED, rng=rng)
    assert same.estimate == found.estimate


def test_rise_excess_chooses_every_layer_on_discovery(panel, rng):
    found = rise_excess(panel, made_outcomes(panel, trained=BOTH), language_pairs.TRAINED, rng=rng)
    assert found.estimate == pytest.approx(0.4 - 0.2)
    outcomes = made_outcomes(panel, trained=(*LOW[:1], (0.9, 0.9)), random_blocks_0=BOTH)
    found = rise_excess(panel, outcomes, language_pairs.TRAINED, rng=rng)
    assert found.estimate == pytest.approx(0.9 - 0.4)


def test_rise_excess_of_a_control_is_over_its_layer_zero_and_the_other_twins(panel, rng):
    peak = (*LOW[:1], (0.9, 0.9))
    outcomes = made_outcomes(
        panel, planted_signal=peak, random_2=((0.5, 0.5),), random_blocks_0=((0.8, 0.8),)
    )
    found = rise_excess(panel, outcomes, language_pairs.PLANTED, rng=rng)
    assert found.estimate == pytest.approx(0.9 - 0.5)
    own = rise_excess(panel, outcomes, "random-2", rng=rng)
    assert own.estimate == pytest.approx(0)  # its own layer 0, never itself as a control


def test_largest_drop_chooses_its_layers_on_discovery(panel, rng):
    # on discovery from layer 0 to 1, on the others (and over all) from 2 to 3; the peak is the last
    layers = ((0.7, 0.5), (0.2, 0.4), (0.3, 1.0), (0.3, 0.0), (0.9, 1.0))
    found = largest_drop(panel, outcomes_of(panel, layers), rng=rng)
    assert found.estimate == pytest.approx(0.5 - 0.4)


def test_retrieval_outcomes_hold_the_baselines_from_the_texts(panel):
    names = [c + d + e for c in "mnopq" for d in "rstu" for e in "vwx"]  # no trigram of `words`
    scenario = panel.scenario.astype(int)
    tokens = tuple(np.stack([100 + scenario, k + np.arange(60)], 1) for k in (200, 300))
    words = [" ".join(chr(97 + int(s)) * 4 for _ in range(3)) for s in scenario]
    readable = language_pairs.replace(panel, texts=(words, names), tokens=tokens)
    found = by_layer.retrieval_outcomes(readable)
    assert found[by_layer.SURFACE].shape == found[by_layer.SPELLING].shape == (1, 2, 60)
    assert found[by_layer.SURFACE].all()  # a token per scenario
    assert not found[by_layer.SPELLING].all()  # nothing in common
    same = by_layer.retrieval_outcomes(language_pairs.replace(readable, texts=(words, words)))
    assert same[by_layer.SPELLING].all()
    assert by_layer.SPELLING not in by_layer.retrieval_outcomes(panel)  # simulated: no texts
    few = {"zh": readable}
    table = by_layer.sensitivity(few, few, few, rng=np.random.default_rng(0))
    assert table.iloc[0]["zh", "best control"] == 1
    spelled = {"zh": language_pairs.replace(panel, texts=(words, words))}
    table = by_layer.sensitivity(spelled, spelled, spelled, rng=np.random.default_rng(0))
    assert table.iloc[0]["zh", "best control"] == 1


def moved(panel, distance=6.0):
    """The pair whose trained confirmation items lie elsewhere in one language than the discovery items."""
    x, y = (s.copy() for s in panel.subjects[language_pairs.TRAINED])
    y[:, panel.confirmation] += distance * np.eye(8)[0]
    return language_pairs.replace(panel, subjects={**panel.subjects, language_pairs.TRAINED: (x, y)})


def centred(panel, pair):
    """The oracle of centring: a mean over the discovery items, layer by layer and language by language."""
    return [s - np.stack([layer[panel.discovery].mean(0) for layer in s])[:, None] for s in pair]


def test_states_are_centred_by_the_discovery_items(panel, rng):
    panel = moved(panel)
    pair = panel.subjects[language_pairs.TRAINED]
    options = {"groups": panel.scenario, "level": "between"}
    expected = alignment.retrieval_outcomes(*centred(panel, pair), center=False, **options)
    assert (by_layer.retrieval_outcomes(panel)[language_pairs.TRAINED] == expected).all()
    assert (alignment.retrieval_outcomes(*pair, center=True, **options) != expected).any()
    steps = [np.diff(s, axis=0) for s in pair]
    for found, states in zip(updates.update_auc(panel, pair), (pair, steps), strict=True):
        auc = alignment.retrieval_auc(*centred(panel, states), center=False, **options).mean(1)
        assert found == pytest.approx(auc)


def test_standardised_updates_are_updates_of_the_states(panel):
    """Dividing states first would let a dimension that grows from layer to layer fake another update."""
    pair = panel.subjects[language_pairs.TRAINED]
    scale = np.geomspace(0.01, 100, pair[0].shape[-1])
    larger = [s * scale for s in pair]
    found, scaled = (updates.update_auc(panel, p, standardise=True) for p in (pair, larger))
    for one, other in zip(found, scaled, strict=True):
        assert one == pytest.approx(other)
    raw, other = (updates.update_auc(panel, p) for p in (pair, larger))
    assert np.abs(raw[1] - other[1]).max() > 0.01
    steps = [np.diff(s, axis=0) for s in pair]
    as_states = updates.update_auc(panel, steps, standardise=True)[0]
    assert found[1] == pytest.approx(as_states)


def test_updates_are_centred_by_the_discovery_items(panel):
    x, y = (s.copy() for s in panel.subjects[language_pairs.TRAINED])
    y[:, panel.confirmation] += 6 * np.arange(4)[:, None, None] * np.eye(8)[0]  # every update moves
    steps = [np.diff(s, axis=0) for s in (x, y)]
    options = {"groups": panel.scenario, "level": "between"}
    expected = alignment.retrieval_auc(*centred(panel, steps), center=False, **options).mean(1)
    assert updates.update_auc(panel, (x, y))[1] == pytest.approx(expected)
    wrong = alignment.retrieval_auc(*steps, center=True, **options).mean(1)
    assert np.abs(wrong - expected).max() > 0.05


def aligned_states(panel, rng, noise):
    """A pair whose layer k matches across languages up to `noise[k]` = (on discovery, on confirmation)."""
    item = rng.standard_normal((len(panel.scenario), 8))
    size = np.array([np.where(panel.discovery, *pair) for pair in noise])[..., None]
    return tuple(item + size * rng.standard_normal((len(noise), *item.shape)) for _ in range(2))


NOISE, CLEAR = (3.0, 3.0), (0.1, 0.1)


@pytest.mark.parametrize("best", [*TWINS, language_pairs.PERMUTED])
def test_matched_excess_is_over_the_best_of_every_control(panel, rng, best):
    subjects = dict.fromkeys(panel.subjects, aligned_states(panel, rng, (NOISE, NOISE)))
    subjects |= {name: aligned_states(panel, rng, (NOISE, CLEAR)) for name in (language_pairs.TRAINED, best)}
    found = matched_evidence(language_pairs.replace(panel, subjects=subjects), rng=rng)
    assert found.statistics["matched_excess"].estimate == pytest.approx(0, abs=0.02)
    subjects[best] = subjects[language_pairs.SHUFFLED]
    free = matched_evidence(language_pairs.replace(panel, subjects=subjects), rng=rng)
    assert free.statistics["matched_excess"].estimate > 0.7


def test_matched_excess_chooses_its_layer_on_discovery_and_centres_by_it(panel, rng):
    noise = ((1.0, 3.0), (3.0, 0.1), (3.0, 3.0))  # layer 0 matches on discovery, layer 1 on the others
    pair = aligned_states(panel, rng, noise)
    pair[1][:, panel.confirmation] += 2.0  # and the others lie apart from the discovery items
    states = {**panel.subjects, language_pairs.TRAINED: pair}
    states |= dict.fromkeys(
        (*TWINS, language_pairs.PERMUTED), aligned_states(panel, rng, (NOISE, NOISE, NOISE))
    )
    made = language_pairs.replace(panel, subjects=states)
    rows = panel.confirmation

    def matched(name, layer):
        x, y = (s[layer : layer + 1, rows] for s in centred(panel, states[name]))
        profile = residual.snr_profile(x, y, groups=panel.scenario[rows])
        return 1 - profile.d_same[0] / profile.d_cross[0]

    def chosen(name):
        x, y = (s[:, panel.discovery] for s in centred(panel, states[name]))
        profile = residual.snr_profile(x, y, groups=panel.scenario[panel.discovery])
        return matched(name, int(np.argmax(1 - profile.d_same / profile.d_cross)))

    found = matched_evidence(made, rng=rng).statistics["matched_excess"].estimate
    expected = matched(language_pairs.TRAINED, 0) - max(
        chosen(c) for c in ("random-0", language_pairs.PERMUTED)
    )
    assert found == pytest.approx(expected)
    assert matched(language_pairs.TRAINED, 1) > matched(language_pairs.TRAINED, 0) + 0.1


def test_largest_rise_chooses_its_layer_on_discovery(panel, rng):
    # log r rises most from layer 0 to 1 on discovery, from 1 to 2 on the others
    pair = aligned_states(panel, rng, ((0.1, 0.5), (0.8, 0.5), (0.8, 2.0)))
    made = language_pairs.replace(panel, subjects={**panel.subjects, language_pairs.TRAINED: pair})
    found = matched_evidence(made, rng=rng).statistics["largest_rise"]
    assert abs(found.estimate) < 0.5
    rises = np.diff(np.log(residual.snr_profile(*(s[:, panel.confirmation] for s in pair)).snr))
    assert rises[1] > 1


def made_auc(panel, gain, inner=None):
    """AUC of states (.5) and of five updates, which gain `gain` each (those but the ends `inner`)."""
    n = len(panel.scenario)
    added = np.full(5, gain) if inner is None else np.array([gain, inner, inner, inner, gain])
    return np.full((6, n), 0.5), 0.5 + np.repeat(added[:, None], n, 1)


def test_update_gain_is_the_mean_over_inner_layers(panel):
    found = updates.update_gain(made_auc(panel, 0.4, inner=0.1))
    assert found == pytest.approx(np.full(60, 0.1))


@pytest.mark.parametrize("best", TWINS)
def test_update_gain_excess_is_over_the_best_twin(panel, rng, best):
    measured = {name: made_auc(panel, 0.01) for name in updates.update_subjects(panel, rng)}
    measured |= {language_pairs.TRAINED: made_auc(panel, 0.3), best: made_auc(panel, 0.1)}
    found = update_evidence(panel, measured, rng=rng)
    assert found.statistics["update_gain"].estimate == pytest.approx(0.3)
    assert found.statistics["update_gain_excess"].estimate == pytest.approx(0.3 - 0.1)
    controls = {c.name: c.statistics["update_gain_excess"].estimate for c in found.controls}
    assert controls.pop(best) == pytest.approx(0.1 - 0.01)  # over the others, not over itself
    assert all(v == pytest.approx(0.01 - 0.1) for v in controls.values())


def test_updates_are_judged_beside_every_other_subject(panel, rng):
    found = set(updates.update_subjects(panel, rng))
    assert found == set(panel.subjects) - {language_pairs.RANDOM_BLOCKS}


def test_update_gain_excess_counts_confirmation_items_only(panel, rng):
    measured = {name: made_auc(panel, 0.0) for name in updates.update_subjects(panel, rng)}
    measured[language_pairs.TRAINED][1][:, panel.discovery] += 0.4
    for name, share in (("random-0", (0.3, 0.0)), ("random-1", (0.0, 0.1))):
        measured[name][1][:] += np.where(panel.discovery, *share)
    found = update_evidence(panel, measured, rng=rng)
    assert found.statistics["update_gain_excess"].estimate == pytest.approx(-0.1)


def test_every_claim_has_the_controls_that_its_rule_requires(panel, rng):
    found = {one.claim: retrieval_evidence(panel, rng, one.claim) for one in by_layer.STUDIES}
    measured = {n: updates.update_auc(panel, p) for n, p in updates.update_subjects(panel, rng).items()}
    found[updates.CLAIM] = update_evidence(panel, measured, rng=rng)
    found[descent.EVERY] = matched_evidence(panel, rng=rng)
    found[accumulation.CLAIM] = descent.snr_descent({"zh": panel}, rng=rng).evidence[accumulation.CLAIM][0]
    assert set(found) == set(EMPIRICAL)
    for claim, evidence in found.items():
        controls = {c.name: c for c in evidence.controls}
        required = [controls[name] for name in claims.rule(claim)["rules"]["required"]]
        assert {c.kind for c in controls.values()} == {"positive", "negative"}
        primary = claims.rule(claim)["primary"]
        assert (evidence.n_items, evidence.n_scenarios) == (40, 8)
        # resampled by scenario: 8 groups, not 40 items
        intervals = [*evidence.statistics.values(), *(c.statistics[primary] for c in required)]
        assert {v.n_groups for v in intervals} == {8}, claim


def test_draws_resample_scenarios(panel):
    """Outcomes that agree within a scenario are eight observations, not forty."""
    values = np.isin(panel.scenario, np.unique(panel.scenario[panel.confirmation])[:4])[panel.confirmation]
    found = study.draw(panel, rng=np.random.default_rng(0)).mean(values, bounds=(0, 1))
    deviation = found.replicates.std()
    assert deviation == pytest.approx(np.sqrt(0.25 / 8), rel=0.1)  # sqrt(.25 / 40) by item


@pytest.mark.parametrize("claim", [c for c in EMPIRICAL if c != "theorem_2_accumulation"])
def test_calibration_puts_null_on_the_bound_and_modest_on_twice_the_bound(claim, rng):
    primary = claims.rule(claim)["primary"]
    bound = claims.rule(claim)["rules"]["as_corrected"][primary]["above"]

    def linear(share, rng):
        estimate = -0.05 + 0.8 * share
        return rules.Evidence("zh", {primary: Interval(estimate, 0, 0, np.zeros(2), 0.95, 20)})

    simulate = error_rates.calibrated(claim, linear, error_rates.Size(30, 4, 2)).make(rng)
    found = {w: simulate(w, rng).statistics[primary].estimate for w in error_rates.WORLDS}
    assert found == pytest.approx({"true": 0.75, "false": -0.05, "null": bound, "modest": 2 * bound})


def test_a_remark_speaks_only_where_the_verdict_differs(panel, rng):
    high = made_outcomes(panel, trained=(*LOW[:1], (0.9, 0.9)), planted_signal=(*LOW[:1], (0.9, 0.9)))
    claim = "prediction_1_aligned"
    low = made_outcomes(panel, planted_signal=(*LOW[:1], (0.9, 0.9)))
    measured = [{n: by_layer.accuracy_at_peak(panel, o) for n, o in by.items()} for by in (high, low)]
    draws = study.draw(panel, rng=rng)
    assert study.judge(STUDIES[claim], panel, measured[0], draws, {"m": measured[0]}).remark == ""
    found = study.judge(STUDIES[claim], panel, measured[0], draws, {"m": measured[1]})
    assert found.remark.startswith("Depends on the measure: m, as corrected ")
    assert found.remark in claims.evaluate(claim, found).as_corrected_reason


def test_experiments_remark_on_a_verdict_that_standardising_changes(rng):
    """The signal lies in two large dimensions, which the others outvote once all weigh the same."""
    base = language_pairs.simulated_pair(
        "scenarios", 0.0, rng=rng, n_scenarios=30, n_draws=2, n_layers=3, dim=24
    )
    scenario = np.unique(base.scenario, return_inverse=True)[1]
    signal = 60.0 * rng.standard_normal((30, 2))[scenario]
    pair = tuple(s.copy() for s in base.subjects[language_pairs.TRAINED])
    for s in pair:
        s[1:, :, :2] += signal
    made = language_pairs.replace(base, subjects={**base.subjects, language_pairs.TRAINED: pair})
    result = by_layer.retrieval_by_layer({"zh": made}, rng=rng, n_shuffles=20)
    remark = result.evidence["prediction_1_aligned"][0].remark
    assert claims.evaluate(
        "prediction_1_aligned", result.evidence["prediction_1_aligned"][0]
    ).as_corrected == ("supported")
    assert remark.startswith("Depends on the measure: each dimension divided by its standard deviation")


def test_every_claim_on_a_model_is_judged_under_the_other_measure_too(panel, rng, monkeypatch):
    asked = {}

    def remember(judged, pair, measured, draws, others=()):
        asked[judged.claim] = tuple(others)
        return study.judge(judged, pair, measured, draws, others or {})

    for module in (by_layer, updates, descent):
        monkeypatch.setattr(module, "judge", remember)
    by_layer.retrieval_by_layer({"zh": panel}, rng=rng, n_shuffles=20)
    updates.update_agnosticism({"zh": panel}, rng=rng)
    descent.snr_descent({"zh": panel}, rng=rng)
    # observation A is about distances as they are, which no scale of dimensions leaves alone
    assert asked.pop(accumulation.CLAIM) == ()
    assert asked == dict.fromkeys(set(EMPIRICAL) - {accumulation.CLAIM}, (study.STANDARDISED,))


def without(panel, *names):
    """The pair without some subjects; "token ids" takes those."""
    subjects = {name: pair for name, pair in panel.subjects.items() if name not in names}
    return language_pairs.replace(
        panel, subjects=subjects, tokens=None if "token ids" in names else panel.tokens
    )


@pytest.mark.parametrize("claim", EMPIRICAL)
def test_missing_subjects_are_those_that_the_rule_and_the_study_need(panel, claim):
    one = STUDIES[claim]
    assert study.missing_subjects(one, panel) == []
    required = claims.rule(claim)["rules"]["required"]
    own = [name for name in required if name in panel.subjects]
    assert (own == []) == (claim == accumulation.CLAIM)  # whose controls are stacks made by itself
    for name in panel.subjects:
        expected = [name] if name in (*required, *one.needs) else []
        assert study.missing_subjects(one, without(panel, name)) == expected
    # without token ids neither the shuffled pairing nor the planted signal is made
    bare = without(panel, language_pairs.SHUFFLED, language_pairs.PLANTED, "random-2", "token ids")
    expected = [n for n in own if n in ("random-2", language_pairs.SHUFFLED, language_pairs.PLANTED)]
    assert study.missing_subjects(one, bare) == ([*expected, "token ids"] if own else [])


def with_roundings(panel, *pairs):
    again = {f"re-rounded-{i}": pair for i, pair in enumerate(pairs)}
    return language_pairs.replace(panel, subjects={**panel.subjects, **again})


MEANS = study.Study(
    "prediction_1_aligned", lambda measured, subject, draws: {"mean": draws.mean(measured[subject])}
)


def test_judge_takes_the_model_and_each_re_rounding_of_it(panel, monkeypatch, rng):
    monkeypatch.setattr(study, "_with_remark", lambda claim, evidence, others: evidence)
    draws, n = study.draw(panel, rng=rng), int(panel.confirmation.sum())
    noise = panel.subjects["random-0"]
    measured = {"trained": np.ones(n), "re-rounded-0": np.full(n, 2.0), "re-rounded-1": np.full(n, 3.0)}
    measured[language_pairs.PLANTED] = np.zeros(n)
    for k in range(3):
        made = with_roundings(panel, *[noise] * k)
        found = study.judge(
            MEANS, made, dict(list(measured.items())[: 1 + k]) | {"planted signal": np.zeros(n)}, draws
        )
        values = [e.statistics["mean"].estimate for e in (found, *found.re_rounded)]
        assert values == [1.0, 2.0, 3.0][: 1 + k]
        assert [(c.name, c.kind) for c in found.controls] == [(language_pairs.PLANTED, "positive")]


def test_judge_measures_nothing_where_a_control_is_missing(panel, rng):
    made = without(with_roundings(panel, panel.subjects["random-0"]), "random-1", language_pairs.PERMUTED)
    draws = study.draw(panel, rng=rng)
    found = study.judge(STUDIES["prediction_1_aligned"], made, {}, draws)
    assert (found.language, found.re_rounded, found.statistics) == ("simulated", (), {})
    assert found.unavailable == "controls missing: random-1, permuted-embeddings-0"
    bare = without(panel, language_pairs.RANDOM_BLOCKS)
    verdict = claims.evaluate(
        "prediction_1_rises", study.judge(STUDIES["prediction_1_rises"], bare, {}, draws)
    )
    assert verdict.as_stated_reason == "controls missing: random-blocks-0"


def test_planted_statistics_of_a_subject_are_positive_controls_and_its_others_negative(panel, rng):
    two = study.Study(
        "prediction_1_aligned",
        lambda measured, subject, draws: dict.fromkeys(("first", "second"), draws.mean(measured[subject])),
        positive={"half": ("first",), "whole": ()},
    )
    values = np.zeros(int(panel.confirmation.sum()))
    names = ("trained", "half", "whole", "none")
    found = study.assemble(two, dict.fromkeys(names, values), study.draw(panel, rng=rng))
    kinds = [(c.name, c.kind, tuple(c.statistics)) for c in found.controls]
    assert kinds == [
        ("half", "positive", ("first",)),
        ("half", "negative", ("second",)),
        ("whole", "positive", ("first", "second")),
        ("none", "negative", ("first", "second")),
    ]


EXPERIMENTS = {
    "prediction_1_aligned": ("scenarios", by_layer.retrieval_by_layer),
    "prediction_1_rises": ("scenarios", by_layer.retrieval_by_layer),
    "prediction_2_update_agnosticism": ("updates", updates.update_agnosticism),
    "theorem_2_every_layer": ("scenarios", descent.snr_descent),
}


@pytest.mark.parametrize("claim", EXPERIMENTS)
def test_a_signal_that_some_re_rounding_loses_is_inconclusive(claim, rng, monkeypatch):
    """From states to verdict: the model has the signal, and so have its re-roundings or not."""
    monkeypatch.setattr(accumulation, "planted_stacks", lambda *_, **__: {})  # not looked at here
    monkeypatch.setattr(descent, "_N_SHARES", 100)
    signal, experiment = EXPERIMENTS[claim]
    panel = language_pairs.simulated_pair(signal, 1.0, rng=rng, n_scenarios=30, n_draws=2)
    kept = tuple(s + 0.01 * rng.standard_normal(s.shape) for s in panel.subjects[language_pairs.TRAINED])
    lost = language_pairs.simulated_pair(signal, 0.0, rng=rng, n_scenarios=30, n_draws=2).subjects[
        language_pairs.TRAINED
    ]

    def judged(*pairs):
        result = experiment({"zh": with_roundings(panel, *pairs)}, rng=np.random.default_rng(0))
        return claims.evaluate_scope(claim, result.evidence[claim])[1]

    plain, same, flipped = judged(), judged(kept), judged(kept, lost)
    assert plain.as_corrected == same.as_corrected == "supported"
    assert same == plain
    assert flipped.as_corrected == "inconclusive"
    reason = flipped.as_corrected_reason
    assert re.match("supported as the weights are, but (refuted|inconclusive) in 1 of 2 re-roundings", reason)
    assert reason.endswith(plain.as_corrected_reason)
    assert (flipped.estimate, flipped.low, flipped.high) == (plain.estimate, plain.low, plain.high)
    assert not any(control["name"].startswith("re-rounded") for control in flipped.controls)


def test_accumulation_that_some_re_rounding_loses_is_inconclusive(rng, monkeypatch):
    monkeypatch.setattr(descent, "_N_SHARES", 2000)
    claim, stack = "theorem_2_accumulation", accumulation._shrinking_stack
    panel = language_pairs.simulated_pair("scenarios", 0.0, rng=rng)
    diluted, shrunk = (
        stack(len(panel.scenario), shrink, rng=rng, quiet=quiet, dim=256)
        for shrink, quiet in ((0.0, False), (0.12, True))
    )
    panel = language_pairs.replace(panel, subjects={language_pairs.TRAINED: diluted})
    for again, verdict in ((diluted, "supported"), (shrunk, "inconclusive")):
        result = descent.snr_descent({"zh": with_roundings(panel, again)}, rng=rng)
        found = claims.evaluate(claim, result.evidence[claim][0])
        assert found.as_corrected == verdict
    assert "but refuted in 1 of 1 re-roundings of them" in found.as_corrected_reason


@pytest.mark.parametrize(
    "residues", [{}, {"distance": 0}, {"distance": 0, "criterion": 1}, {"distance": 0, "other": 0}]
)
def test_symbolic_identity_needs_both_identities(rng, monkeypatch, residues):
    monkeypatch.setattr(theory, "prove_snr_criterion", lambda: residues)
    evidence, _ = descent.theorem_evidence(rng=rng, n_layers=200)
    assert not evidence.checks["symbolic_identity"]


def banded(panel, rng):
    """States that show an item's length, which three bands of scenarios share, and nothing else."""
    band = panel.scenario.astype(int) // 4
    keep = np.arange(12) < (4 * (band + 1))[:, None]
    tokens = tuple(np.where(keep, t, -1) for t in (np.arange(720).reshape(60, 12) + k for k in (0, 1000)))
    centre = 20 * np.eye(8)[band]
    pair = tuple(centre + rng.standard_normal((4, 60, 8)) for _ in range(2))
    return band, language_pairs.replace(
        panel, tokens=tokens, subjects={**panel.subjects, language_pairs.TRAINED: pair}
    )


def test_shuffles_stay_within_strata_of_length(panel, rng):
    """Length finds the band, and a shuffle that crossed bands would call that a shared story."""
    _, made = banded(panel, rng)
    found = by_layer.retrieval_by_layer({"zh": made}, rng=rng, n_shuffles=99).shuffles
    assert found["null_high"].min() > 0.22  # one scenario of four in the band; of twelve, by chance: .08
    assert found["p_holm"].iloc[0] > 0.05


def test_shuffled_pairing_stays_within_strata_of_length(panel, rng):
    band, made = banded(panel, rng)
    made = language_pairs.with_controls(made, rng=rng)
    x, y = made.subjects[language_pairs.SHUFFLED]
    trained = made.subjects[language_pairs.TRAINED]
    partner = np.array([np.flatnonzero((trained[1][0] == row).all(1))[0] for row in y[0]])
    assert (x == trained[0]).all()
    assert (y == trained[1][:, partner]).all()
    assert (band[partner] == band).all()
    assert (partner != np.arange(60)).mean() > 0.8


def test_rates_are_computed_once_and_for_nothing_else(tmp_path, monkeypatch):
    """The same question gives the same rates without a simulation; another stream or size asks anew."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))
    calls = []

    def counted(claim, simulate, *, rng, n_simulations):
        calls.append(claim)
        return claims.operating_characteristic(claim, simulate, rng=rng, n_simulations=n_simulations)

    stand_in = types.SimpleNamespace(rule=claims.rule, operating_characteristic=counted)
    monkeypatch.setattr(error_rates, "claims", stand_in)
    monkeypatch.setattr(error_rates, "_N_CALIBRATION", 2)
    texts = corpora.load("number-stories", ["en"], n_scenarios=12, n_draws=2)

    def ask(seed, corpus=texts, n_simulations=3):
        worlds = by_layer.worlds(STUDIES["prediction_1_aligned"], error_rates.size_of(corpus))
        stream = np.random.default_rng(seed).spawn(1)[0]
        return error_rates.rates(worlds, rng=stream, n_simulations=n_simulations)

    first = ask(0)
    assert ask(0) == first
    assert calls == ["prediction_1_aligned"]
    ask(1)
    ask(0, corpus=texts.select(np.arange(22)))
    assert ask(0, n_simulations=4).n_simulations == 4
    assert len(calls) == 4

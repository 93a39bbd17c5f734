"""Experiments recover what was planted, and say nothing where nothing is."""

import re
import types
from dataclasses import replace

import numpy as np
import pytest
from zspace import theory
from zspace.evidence import claims, error_rates, rules, simulated_pairs, study
from zspace.evidence.language_pairs import (
    PERMUTED,
    PLANTED,
    RANDOM_BLOCKS,
    SHUFFLED,
    TRAINED,
    length_overlap_strata,
    simulated_pair,
    with_controls,
)
from zspace.evidence.retrieval import by_layer, updates
from zspace.evidence.snr_descent import accumulation, descent
from zspace.measures import alignment, residual
from zspace.measures.resampling import with_error

STUDIES = {
    **{one.claim: one for one in by_layer.STUDIES},
    updates.CLAIM: updates.STUDY,
    descent.EVERY: descent.STUDY,
    accumulation.CLAIM: accumulation.STUDY,
}
EMPIRICAL = tuple(STUDIES)
RETRIEVAL = ("prediction_1_aligned", "prediction_1_rises")
SEEDS = (0, 1, 2)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Limits of shares from a tenth of their resamples: no test looks at their third digit."""
    monkeypatch.setattr(descent, "_N_SHARES", 2000)


def retrieval_evidence(pair, rng, claim="prediction_1_aligned"):
    measured = by_layer.at_peaks(pair, by_layer.retrieval_outcomes(pair))
    return study.assemble(STUDIES[claim], measured, study.draw(pair, rng=rng), pair.language)


def matched_evidence(pair, *, rng):
    draws = study.draw(pair, rng=rng)
    measured = descent.matched(pair, draws) | descent.geometric_controls(pair, draws, rng=rng)
    return study.assemble(descent.STUDY, measured, draws, pair.language)


def update_evidence(pair, measured, *, rng):
    gains = {name: updates.update_gain(auc)[pair.confirmation] for name, auc in measured.items()}
    return study.assemble(updates.STUDY, gains, study.draw(pair, rng=rng), pair.language)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_only_a_signal_planted_in_the_trained_model_is_supported(seed, share):
    pair = simulated_pair("scenarios", share, rng=np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 10)
    for claim in RETRIEVAL:
        verdict = claims.evaluate(claim, retrieval_evidence(pair, rng, claim))
        assert (verdict.as_corrected == "supported") == (share == 1)
        assert all(c["verdict"] != "supported" for c in verdict.controls if c["kind"] == "negative")
        assert all(c["passed"] for c in verdict.controls if c["kind"] == "positive")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_signal_in_a_twin_too_is_not_supported(seed):
    """The control that matters: what a random model does as well is no evidence."""
    pair = simulated_pair("scenarios", 1.0, rng=np.random.default_rng(seed))
    pair.subjects["random-1"] = pair.subjects[TRAINED]
    verdict = claims.evaluate("prediction_1_aligned", retrieval_evidence(pair, np.random.default_rng(seed)))
    assert verdict.as_corrected == "not testable"
    assert "random-1" in verdict.as_corrected_reason
    assert "Ungated: inconclusive" in verdict.as_corrected_reason  # one good twin of three refutes nothing
    assert 0 < verdict.estimate < 0.7  # over the mean of three of which one is as good


@pytest.mark.parametrize("seed", SEEDS)
def test_the_null_model_of_theorem_2_falls_and_is_never_aligned(seed):
    rng = np.random.default_rng(seed)
    pair = simulated_pair("scenarios", 0.0, rng=rng)
    stacks = {
        name: theory.accumulation_null(len(pair.scenario), rng=rng)
        for name in (*pair.random_baselines, TRAINED, PERMUTED, RANDOM_BLOCKS)
    }
    null = with_controls(replace(pair, subjects=stacks), rng=rng)
    result = descent.snr_descent({"zh": null}, rng=rng)
    falls = result.criteria.set_index("subject")
    assert (falls.loc["trained", ["falls", "exact"]] == falls.loc["trained", "layers"]).all()
    verdicts = {c: claims.evaluate(c, e[0]) for c, e in result.evidence.items()}
    assert verdicts["theorem_2_every_layer"].as_stated == "supported"  # the SNR does fall throughout
    assert verdicts["theorem_2_every_layer"].as_corrected == "refuted"  # and nothing is shared
    assert verdicts["theorem_2_accumulation"].as_corrected == "supported"
    for claim in RETRIEVAL:
        assert claims.evaluate(claim, retrieval_evidence(null, rng, claim)).as_corrected != "supported"


def test_accumulation_tells_dilution_from_cross_terms(rng):
    pair = simulated_pair("scenarios", 0.0, rng=rng, n_scenarios=30, n_draws=4, n_layers=2, dim=8)
    simulate = accumulation.worlds({"zh": pair}).make(rng)
    shares = {w: simulate(w, rng).statistics["accumulation_share"].estimate for w in error_rates.WORLDS}
    assert shares["true"] == pytest.approx(1, abs=0.1)
    assert shares["null"] == pytest.approx(0.5, abs=0.07)
    assert shares["modest"] == pytest.approx(0.75, abs=0.07)
    assert shares["false"] == pytest.approx(0, abs=0.1)


def test_theorem_evidence_rests_on_numbers_that_could_fail(rng):
    evidence, numbers = descent.theorem_evidence(rng=rng)
    assert all(evidence.checks.values())
    values = numbers["value"]
    as_stated, near = values.iloc[:2]
    assert max(as_stated, near) < 0.8  # not even where its premise holds
    assert values["its snr after"] < values["counterexample (c = 1/2, 40 items): snr before"]


def test_length_overlap_strata_hold_several_items_and_keep_ties_together(rng):
    pair = simulated_pair("scenarios", 0.0, rng=rng)
    equal = length_overlap_strata(pair)
    assert len(np.unique(equal)) <= 2  # all lengths are equal: only overlap may part items
    lengths = rng.integers(4, 13, len(pair.scenario))
    keep = np.arange(12) < lengths[:, None]
    ragged = replace(pair, tokens=tuple(np.where(keep, t, -1) for t in pair.tokens))
    strata = length_overlap_strata(ragged)
    assert np.unique(strata, return_counts=True)[1].min() >= 4
    longest = [lengths[strata // 2 == s].max() for s in np.unique(strata // 2)]
    shortest = [lengths[strata // 2 == s].min() for s in np.unique(strata // 2)]
    assert all(a < b for a, b in zip(longest[:-1], shortest[1:], strict=True))


def test_planted_updates_agree_where_states_hardly_do(rng):
    pair = simulated_pair("updates", 1.0, rng=rng)
    states, found = updates.update_auc(pair, pair.subjects[TRAINED])
    twin_states, twin = updates.update_auc(pair, pair.subjects["random-0"])
    assert found.mean() > states.mean() + 0.2
    assert abs(twin.mean() - twin_states.mean()) < 0.1
    assert updates.update_gain((states, found)).shape == pair.scenario.shape


# Outcomes and states made by hand: discovery and confirmation items have different winners, so that a
# layer, a mean or a control taken from the wrong items gives another number.

TWINS = ("random-0", "random-1", "random-2")
LOW = ((0.1, 0.1),) * 4  # a subject that finds little at any layer
BOTH = ((0.2, 0.2), (0.8, 0.4), (0.2, 1.0), (0.2, 0.2))  # .4 by its discovery peak, 1.0 by any other choice


@pytest.fixture
def pair(rng):
    """Twelve scenarios of five items, four of them for discovery: 20 items and 40."""
    return simulated_pair("scenarios", 0.0, rng=rng, n_scenarios=12, n_draws=5, n_layers=3, dim=8)


def outcomes_of(pair, layers):
    """(L+1, 2, n) outcomes with exactly these shares (discovery, confirmation) of each layer."""
    found = np.zeros((len(layers), 2, len(pair.scenario)), bool)
    for layer, shares in enumerate(layers):
        for share, rows in zip(shares, (pair.discovery, pair.confirmation), strict=True):
            chosen = np.flatnonzero(rows)
            found[layer][:, chosen[: round(share * len(chosen))]] = True
    return found


def made_outcomes(pair, subjects):
    """Outcomes of every subject, low but for those given (subject -> shares of each layer)."""
    low = dict.fromkeys(pair.subjects, LOW) | dict.fromkeys((by_layer.SURFACE, by_layer.SPELLING), LOW[:1])
    return {name: outcomes_of(pair, layers) for name, layers in (low | subjects).items()}


def peak(share):
    """A subject that finds little at layer 0 and a share at layer 1."""
    return (*LOW[:1], (share, share))


def flat(share):
    return ((share, share),)


@pytest.mark.parametrize(
    ("subject", "subjects", "expected"),
    [
        # baselines of one kind are averaged, the kind that comes closest is exceeded
        *((TRAINED, {TRAINED: peak(0.9), best: peak(0.7)}, 0.9 - (0.7 + 0.1 + 0.1) / 3) for best in TWINS),
        (TRAINED, {TRAINED: peak(0.9), **dict.fromkeys(TWINS, peak(0.6))}, 0.9 - 0.6),
        (TRAINED, {TRAINED: peak(0.9), PERMUTED: peak(0.6)}, 0.9 - 0.6),
        (TRAINED, {TRAINED: peak(0.9), by_layer.SURFACE: flat(0.6)}, 0.9 - 0.6),
        (TRAINED, {TRAINED: peak(0.9), by_layer.SPELLING: flat(0.6)}, 0.9 - 0.6),
        # what is no control of it, and a twin that is none of itself
        (TRAINED, dict.fromkeys((TRAINED, RANDOM_BLOCKS, SHUFFLED, PLANTED), peak(0.8)), 0.8 - 0.1),
        ("random-1", {"random-1": peak(0.8)}, 0.8 - 0.1),
        # every layer is chosen on discovery
        (TRAINED, {TRAINED: BOTH}, 0.4 - 0.1),
        (TRAINED, {TRAINED: flat(0.9), **dict.fromkeys(TWINS, BOTH)}, 0.9 - 0.4),
    ],
)
def test_aligned_excess_is_over_the_nearest_kind_of_control(pair, rng, subject, subjects, expected):
    found = by_layer.aligned_excess(pair, made_outcomes(pair, subjects), subject, rng=rng)
    assert found.estimate == pytest.approx(expected)


def test_limits_of_an_aligned_excess_are_over_every_kind_and_hold_the_spread_of_the_baselines(pair):
    outcomes = made_outcomes(pair, {TRAINED: flat(0.5), "random-1": flat(0.4)})
    found = by_layer.aligned_excess(pair, outcomes, TRAINED, rng=np.random.default_rng(0))
    values = {name: outcomes[name][0].mean(0)[pair.confirmation] for name in (TRAINED, PERMUTED, *TWINS)}

    def beyond(*names):
        difference = values[TRAINED] - np.mean([values[name] for name in names], axis=0)
        return study.draw(pair, rng=np.random.default_rng(0)).mean(difference, bounds=(-1, 1))

    error = np.std([0.1, 0.4, 0.1], ddof=1) / np.sqrt(3)
    kinds = [with_error(beyond(*TWINS), error, 2), beyond(PERMUTED)]
    assert found.estimate == pytest.approx(0.5 - 0.2)
    assert found.low == pytest.approx(min(one.low for one in kinds))
    assert found.high == pytest.approx(min(one.high for one in kinds))
    assert (found.low_over, found.high_over) == ("the mean of 3 random", PERMUTED)


# compared with no other subject than the own layer 0 and random blocks
STRANGERS = dict.fromkeys(("random-0", PERMUTED, by_layer.SURFACE), flat(0.8))
CONTROLLED = {PLANTED: peak(0.9), "random-2": flat(0.5), RANDOM_BLOCKS: flat(0.8)}


@pytest.mark.parametrize(
    ("subject", "subjects", "expected"),
    [
        (TRAINED, {TRAINED: ((0.6, 0.6), (0.9, 0.9)), **STRANGERS}, 0.9 - 0.6),
        (TRAINED, {TRAINED: peak(0.9), RANDOM_BLOCKS: ((0.6, 0.6), *LOW), **STRANGERS}, 0.9 - 0.6),
        (TRAINED, {TRAINED: BOTH}, 0.4 - 0.2),  # every layer is chosen on discovery
        (TRAINED, {TRAINED: peak(0.9), RANDOM_BLOCKS: BOTH}, 0.9 - 0.4),
        (PLANTED, CONTROLLED, 0.9 - (0.5 + 0.1 + 0.1) / 3),  # a control: over the twins
        ("random-2", CONTROLLED, 0),  # over its own layer 0, never itself as a control
    ],
)
def test_rise_excess_is_over_the_own_layer_zero_and_random_blocks(pair, rng, subject, subjects, expected):
    measured = by_layer.at_peaks(pair, made_outcomes(pair, subjects))
    found = by_layer.rises_statistics(measured, subject, study.draw(pair, rng=rng))["rise_excess"]
    assert found.estimate == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((1.0, 0.1, 0.1), 0),  # the peak is layer 0
        ((0.1, 0.2, 0.3, 0.6, 0.9), 0),
        ((0.2, 0.6, 0.3, 0.9, 0.1), 0.6 - 0.3),  # the fall after the peak does not count
        # on discovery from layer 0 to 1, on the others (and over all) from 2 to 3; the peak is the last
        (((0.7, 0.5), (0.2, 0.4), (0.3, 1.0), (0.3, 0.0), (0.9, 1.0)), 0.5 - 0.4),
    ],
)
def test_largest_drop_is_the_dip_before_the_peak_on_discovery(pair, rng, shares, expected):
    layers = [share if isinstance(share, tuple) else (share, share) for share in shares]
    values = by_layer.accuracy_at_peak(pair, outcomes_of(pair, layers)).drop
    drop = study.draw(pair, rng=rng).mean(values)
    assert drop.estimate == pytest.approx(expected)
    assert expected or (drop.low, drop.high) == (0, 0)


def test_retrieval_outcomes_hold_the_baselines_from_the_texts(pair):
    names = [c + d + e for c in "mnopq" for d in "rstu" for e in "vwx"]  # no trigram of `words`
    scenario = pair.scenario.astype(int)
    tokens = tuple(np.stack([100 + scenario, k + np.arange(60)], 1) for k in (200, 300))
    words = [" ".join(chr(97 + int(s)) * 4 for _ in range(3)) for s in scenario]
    readable = replace(pair, texts=(words, names), tokens=tokens)
    found = by_layer.retrieval_outcomes(readable)
    assert found[by_layer.SURFACE].shape == found[by_layer.SPELLING].shape == (1, 2, 60)
    assert found[by_layer.SURFACE].all()  # a token per scenario
    assert not found[by_layer.SPELLING].all()  # nothing in common
    same = by_layer.retrieval_outcomes(replace(readable, texts=(words, words)))
    assert same[by_layer.SPELLING].all()
    assert by_layer.SPELLING not in by_layer.retrieval_outcomes(pair)  # simulated: no texts
    for one in (
        readable,
        replace(pair, texts=(words, words)),
    ):  # tokens alone, spelling alone
        table = by_layer.sensitivity({"zh": one}, {}, {}, rng=np.random.default_rng(0))
        assert table.iloc[0]["zh", "best control"] == 1


def centred(pair, states):
    """The oracle of centring: a mean over the discovery items, layer by layer and language by language."""
    return [s - np.stack([layer[pair.discovery].mean(0) for layer in s])[:, None] for s in states]


def test_states_and_updates_are_centred_by_the_discovery_items(pair):
    """Confirmation items lie elsewhere in one language than the discovery items, ever farther."""
    x, y = (s.copy() for s in pair.subjects[TRAINED])
    y[:, pair.confirmation] += 6 * np.arange(1, 5)[:, None, None] * np.eye(8)[0]
    moved = replace(pair, subjects={**pair.subjects, TRAINED: (x, y)})
    options = {"groups": pair.scenario, "level": "between"}
    expected = alignment.retrieval_outcomes(*centred(pair, (x, y)), center=False, **options)
    assert (by_layer.retrieval_outcomes(moved)[TRAINED] == expected).all()
    assert (alignment.retrieval_outcomes(x, y, center=True, **options) != expected).any()
    steps = [np.diff(s, axis=0) for s in (x, y)]
    measured = updates.update_auc(moved, (x, y), standardise=False)
    for found, states in zip(measured, ((x, y), steps), strict=True):
        auc = alignment.retrieval_auc(*centred(pair, states), center=False, **options).mean(1)
        assert found == pytest.approx(auc)
        wrong = alignment.retrieval_auc(*states, center=True, **options).mean(1)
        assert np.abs(wrong - auc).max() > 0.05


def test_standardised_updates_are_updates_of_the_states(pair):
    """Dividing states first would let a dimension that grows from layer to layer fake another update."""
    states = pair.subjects[TRAINED]
    scale = np.geomspace(0.01, 100, states[0].shape[-1])
    larger = [s * scale for s in states]
    found, scaled = (updates.update_auc(pair, p, standardise=True) for p in (states, larger))
    for one, other in zip(found, scaled, strict=True):
        assert one == pytest.approx(other)
    raw, other = (updates.update_auc(pair, p, standardise=False) for p in (states, larger))
    assert np.abs(raw[1] - other[1]).max() > 0.01
    steps = [np.diff(s, axis=0) for s in states]
    as_states = updates.update_auc(pair, steps, standardise=True)[0]
    assert found[1] == pytest.approx(as_states)


def aligned_states(pair, rng, noise):
    """A states whose layer k matches across languages up to `noise[k]` = (on discovery, on confirmation)."""
    item = rng.standard_normal((len(pair.scenario), 8))
    size = np.array([np.where(pair.discovery, *states) for states in noise])[..., None]
    return tuple(item + size * rng.standard_normal((len(noise), *item.shape)) for _ in range(2))


NOISE, CLEAR = (3.0, 3.0), (0.1, 0.1)


@pytest.mark.parametrize("nearest", [TWINS, (PERMUTED,)])
def test_matched_excess_is_over_the_nearest_kind_of_control(pair, rng, nearest):
    subjects = dict.fromkeys(pair.subjects, aligned_states(pair, rng, (NOISE, NOISE)))
    subjects |= {name: aligned_states(pair, rng, (NOISE, CLEAR)) for name in (TRAINED, *nearest)}
    found = matched_evidence(replace(pair, subjects=subjects), rng=rng)
    assert found.statistics["matched_excess"].estimate == pytest.approx(0, abs=0.02)
    subjects |= dict.fromkeys(nearest, subjects[SHUFFLED])
    free = matched_evidence(replace(pair, subjects=subjects), rng=rng)
    assert free.statistics["matched_excess"].estimate > 0.7


def test_matched_excess_chooses_its_layer_on_discovery_and_centres_by_it(pair, rng):
    noise = ((1.0, 3.0), (3.0, 0.1), (3.0, 3.0))  # layer 0 matches on discovery, layer 1 on the others
    states = aligned_states(pair, rng, noise)
    states[1][:, pair.confirmation] += 2.0  # and the others lie apart from the discovery items
    subjects = {**pair.subjects, TRAINED: states}
    subjects |= dict.fromkeys((*TWINS, PERMUTED), aligned_states(pair, rng, (NOISE, NOISE, NOISE)))
    made = replace(pair, subjects=subjects)
    rows = pair.confirmation

    def matched(name, layer):
        x, y = (s[layer : layer + 1, rows] for s in centred(pair, subjects[name]))
        profile = residual.snr_profile(x, y, groups=pair.scenario[rows])
        return 1 - profile.d_same[0] / profile.d_cross[0]

    def chosen(name):
        x, y = (s[:, pair.discovery] for s in centred(pair, subjects[name]))
        profile = residual.snr_profile(x, y, groups=pair.scenario[pair.discovery])
        return matched(name, int(np.argmax(1 - profile.d_same / profile.d_cross)))

    found = matched_evidence(made, rng=rng).statistics["matched_excess"].estimate
    expected = matched(TRAINED, 0) - max(chosen(c) for c in ("random-0", PERMUTED))
    assert found == pytest.approx(expected)
    assert matched(TRAINED, 1) > matched(TRAINED, 0) + 0.1


def test_largest_rise_chooses_its_layer_on_discovery(pair, rng):
    # log r rises most from layer 0 to 1 on discovery, from 1 to 2 on the others
    states = aligned_states(pair, rng, ((0.1, 0.5), (0.8, 0.5), (0.8, 2.0)))
    made = replace(pair, subjects={**pair.subjects, TRAINED: states})
    found = matched_evidence(made, rng=rng).statistics["largest_rise"]
    assert abs(found.estimate) < 0.5
    rises = np.diff(np.log(residual.snr_profile(*(s[:, pair.confirmation] for s in states)).snr))
    assert rises[1] > 1


def made_auc(pair, gain, inner=None):
    """AUC of states (.5) and of five updates, which gain `gain` each (those but the ends `inner`)."""
    n = len(pair.scenario)
    added = np.full(5, gain) if inner is None else np.array([gain, inner, inner, inner, gain])
    return np.full((6, n), 0.5), 0.5 + np.repeat(added[:, None], n, 1)


def test_update_gain_is_the_mean_over_inner_layers(pair):
    found = updates.update_gain(made_auc(pair, 0.4, inner=0.1))
    assert found == pytest.approx(np.full(60, 0.1))


@pytest.mark.parametrize("best", TWINS)
def test_update_gain_excess_is_over_the_mean_of_the_twins(pair, rng, best):
    measured = {name: made_auc(pair, 0.01) for name in updates.update_subjects(pair, rng)}
    measured |= {TRAINED: made_auc(pair, 0.3), best: made_auc(pair, 0.1)}
    found = update_evidence(pair, measured, rng=rng)
    assert found.statistics["update_gain"].estimate == pytest.approx(0.3)
    assert found.statistics["update_gain_excess"].estimate == pytest.approx(0.3 - (0.1 + 0.01 + 0.01) / 3)
    controls = {c.name: c.statistics["update_gain_excess"].estimate for c in found.controls}
    assert controls.pop(best) == pytest.approx(0.1 - 0.01)  # over the others, not over itself
    others = {name: (0.1 + 0.01) / 2 if name in TWINS else 0.04 for name in controls}
    assert controls == pytest.approx({name: 0.01 - mean for name, mean in others.items()})


def test_update_gain_excess_counts_confirmation_items_only(pair, rng):
    measured = {name: made_auc(pair, 0.0) for name in updates.update_subjects(pair, rng)}
    measured[TRAINED][1][:, pair.discovery] += 0.4
    for name, share in (("random-0", (0.3, 0.0)), ("random-1", (0.0, 0.1))):
        measured[name][1][:] += np.where(pair.discovery, *share)
    found = update_evidence(pair, measured, rng=rng)
    assert found.statistics["update_gain_excess"].estimate == pytest.approx(-0.1 / 3)


def test_every_claim_has_the_controls_that_its_rule_requires(pair, rng):
    found = {one.claim: retrieval_evidence(pair, rng, one.claim) for one in by_layer.STUDIES}
    subjects = updates.update_subjects(pair, rng)
    assert set(subjects) == set(pair.subjects) - {RANDOM_BLOCKS}
    measured = {name: updates.update_auc(pair, states) for name, states in subjects.items()}
    found[updates.CLAIM] = update_evidence(pair, measured, rng=rng)
    found[descent.EVERY] = matched_evidence(pair, rng=rng)
    found[accumulation.CLAIM] = descent.snr_descent({"zh": pair}, rng=rng).evidence[accumulation.CLAIM][0]
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


def test_another_measure_stands_beside_the_verdict(pair, rng):
    claim, draws = "prediction_1_aligned", study.draw(pair, rng=rng)
    shown = {PLANTED: peak(1.0)}
    beaten = shown | dict.fromkeys(TWINS, flat(0.35)) | {TRAINED: flat(0.0)}
    high, low = (
        by_layer.at_peaks(pair, made_outcomes(pair, s)) for s in (shown | {TRAINED: peak(0.9)}, beaten)
    )
    alike = claims.evaluate(claim, study.judge(STUDIES[claim], pair, high, draws, {"m": high}))
    assert alike.as_corrected == "supported"
    assert "other measures" not in alike.as_corrected_reason
    apart = claims.evaluate(claim, study.judge(STUDIES[claim], pair, high, draws, {"m": low}))
    assert apart.as_corrected == rules.DEPENDS
    assert "m refuted" in apart.as_corrected_reason


def test_an_outlier_dimension_decides_nothing_alone(rng):
    """What is shared lies in two large dimensions alone: as they are, they outvote all others."""
    base = simulated_pair("scenarios", 0.0, rng=rng, n_scenarios=30, n_draws=2, n_layers=3, dim=24)
    scenario = np.unique(base.scenario, return_inverse=True)[1]
    signal = 60.0 * rng.standard_normal((30, 2))[scenario]
    states = tuple(s.copy() for s in base.subjects[TRAINED])
    for s in states:
        s[1:, :, :2] += signal
    made = replace(base, subjects={**base.subjects, TRAINED: states})
    result = by_layer.retrieval_by_layer({"zh": made}, rng=rng, n_shuffles=20)
    (evidence,) = result.evidence["prediction_1_aligned"]
    raw = evidence.other_measures[study.RAW]
    assert claims.evaluate("prediction_1_aligned", raw).as_corrected == "supported"
    assert claims.evaluate("prediction_1_aligned", evidence).as_corrected != "supported"


def test_every_claim_on_a_model_is_judged_under_the_other_measure_too(pair, rng, monkeypatch):
    asked = {}

    def remember(judged, states, measured, draws, others=()):
        asked[judged.claim] = tuple(others)
        return study.judge(judged, states, measured, draws, others or {})

    for module in (by_layer, updates, descent):
        monkeypatch.setattr(module, "judge", remember)
    by_layer.retrieval_by_layer({"zh": pair}, rng=rng, n_shuffles=20)
    updates.update_agnosticism({"zh": pair}, rng=rng)
    descent.snr_descent({"zh": pair}, rng=rng)
    # observation A is about distances as they are, which no scale of dimensions leaves alone
    assert asked.pop(accumulation.CLAIM) == ()
    assert asked == dict.fromkeys(set(EMPIRICAL) - {accumulation.CLAIM}, (study.RAW,))


def without(pair, *names):
    """The pair without some subjects; "token ids" takes those."""
    subjects = {name: states for name, states in pair.subjects.items() if name not in names}
    return replace(pair, subjects=subjects, tokens=None if "token ids" in names else pair.tokens)


@pytest.mark.parametrize("claim", EMPIRICAL)
def test_missing_subjects_are_those_that_the_rule_and_the_study_need(pair, claim):
    one = STUDIES[claim]
    assert study.missing_subjects(one, pair) == []
    required = claims.rule(claim)["rules"]["required"]
    own = [name for name in required if name in pair.subjects]
    assert (own == []) == (claim == accumulation.CLAIM)  # whose controls are stacks made by itself
    for name in pair.subjects:
        expected = [name] if name in (*required, *one.needs) else []
        assert study.missing_subjects(one, without(pair, name)) == expected
    # without token ids neither the shuffled pairing nor the planted signal is made
    bare = without(pair, SHUFFLED, PLANTED, "random-2", "token ids")
    expected = [n for n in own if n in ("random-2", SHUFFLED, PLANTED)]
    assert study.missing_subjects(one, bare) == ([*expected, "token ids"] if own else [])


def with_roundings(pair, *pairs):
    again = {f"re-rounded-{i}": states for i, states in enumerate(pairs)}
    return replace(pair, subjects={**pair.subjects, **again})


MEANS = study.Study(
    "prediction_1_aligned", lambda measured, subject, draws: {"mean": draws.mean(measured[subject])}
)


@pytest.mark.parametrize("n_rounded", range(3))
def test_judge_takes_the_model_and_each_re_rounding_of_it(pair, rng, n_rounded):
    n = int(pair.confirmation.sum())
    names = [TRAINED, *(f"re-rounded-{i}" for i in range(n_rounded))]
    measured = {name: np.full(n, 1.0 + i) for i, name in enumerate(names)} | {PLANTED: np.zeros(n)}
    made = with_roundings(pair, *[pair.subjects["random-0"]] * n_rounded)
    found = study.judge(MEANS, made, measured, study.draw(pair, rng=rng))
    values = [e.statistics["mean"].estimate for e in (found, *found.re_rounded)]
    assert values == [1.0, 2.0, 3.0][: 1 + n_rounded]
    assert [(c.name, c.kind) for c in found.controls] == [(PLANTED, "positive")]


def test_judge_measures_nothing_where_a_control_is_missing(pair, rng):
    made = without(with_roundings(pair, pair.subjects["random-0"]), "random-1", PERMUTED)
    draws = study.draw(pair, rng=rng)
    found = study.judge(STUDIES["prediction_1_aligned"], made, {}, draws)
    assert (found.language, found.re_rounded, found.statistics) == ("simulated", (), {})
    assert found.unavailable == "controls missing: random-1, permuted-embeddings-0"
    found = study.judge(STUDIES["prediction_1_rises"], without(pair, RANDOM_BLOCKS), {}, draws)
    verdict = claims.evaluate("prediction_1_rises", found)
    assert verdict.as_stated_reason == "controls missing: random-blocks-0"


def test_planted_statistics_of_a_subject_are_positive_controls_and_its_others_negative(pair, rng):
    two = study.Study(
        "prediction_1_aligned",
        lambda measured, subject, draws: dict.fromkeys(("first", "second"), draws.mean(measured[subject])),
        positive={"half": ("first",), "whole": ()},
    )
    values = np.zeros(int(pair.confirmation.sum()))
    names = ("trained", "half", "whole", "none")
    found = study.assemble(two, dict.fromkeys(names, values), study.draw(pair, rng=rng))
    kinds = [(c.name, c.kind, *c.statistics) for c in found.controls]
    half = [("half", "positive", "first"), ("half", "negative", "second")]
    whole = [("whole", "positive", "first", "second"), ("none", "negative", "first", "second")]
    assert kinds == half + whole


EXPERIMENTS = {
    by_layer.retrieval_by_layer: ("scenarios", RETRIEVAL, {"n_shuffles": 19}),
    updates.update_agnosticism: ("updates", (updates.CLAIM,), {}),
    descent.snr_descent: ("scenarios", (descent.EVERY,), {}),
}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_signal_that_some_re_rounding_loses_is_inconclusive(experiment, rng, monkeypatch):
    """From states to verdict: the model has the signal, and so have its re-roundings or not."""
    monkeypatch.setattr(accumulation, "planted_stacks", lambda *_, **__: {})  # not looked at here
    signal, judged, options = EXPERIMENTS[experiment]
    pair, without_signal = (
        simulated_pair(signal, share, rng=rng, n_scenarios=30, n_draws=2) for share in (1.0, 0.0)
    )
    lost = without_signal.subjects[TRAINED]
    kept = tuple(s + 0.01 * rng.standard_normal(s.shape) for s in pair.subjects[TRAINED])
    plain, same, flipped = (
        experiment({"zh": with_roundings(pair, *roundings)}, rng=np.random.default_rng(0), **options)
        for roundings in ((), (kept,), (kept, lost))
    )
    for claim in judged:
        verdicts = [claims.evaluate_scope(claim, one.evidence[claim])[1] for one in (plain, same, flipped)]
        found = verdicts.pop()
        assert verdicts[0] == verdicts[1]
        assert [v.as_corrected for v in (verdicts[0], found)] == ["supported", "inconclusive"]
        words = "supported as the weights are, but (refuted|inconclusive) in 1 of 2 re-roundings"
        assert re.match(words, found.as_corrected_reason)
        assert found.as_corrected_reason.endswith(verdicts[0].as_corrected_reason)
        numbers = [(v.estimate, v.low, v.high) for v in (verdicts[0], found)]
        assert numbers[0] == numbers[1]
        assert not any(control["name"].startswith("re-rounded") for control in found.controls)


def test_accumulation_that_some_re_rounding_loses_is_inconclusive(rng):
    claim, stack = "theorem_2_accumulation", accumulation._shrinking_stack
    pair = simulated_pair("scenarios", 0.0, rng=rng)
    diluted, shrunk = (
        stack(len(pair.scenario), shrink, rng=rng, quiet=quiet, dim=256)
        for shrink, quiet in ((0.0, False), (0.12, True))
    )
    pair = replace(pair, subjects={TRAINED: diluted})
    for again, verdict in ((diluted, "supported"), (shrunk, "inconclusive")):
        result = descent.snr_descent({"zh": with_roundings(pair, again)}, rng=rng)
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


def banded(pair, rng):
    """States that show an item's length, which three bands of scenarios share, and nothing else."""
    band = pair.scenario.astype(int) // 4
    keep = np.arange(12) < (4 * (band + 1))[:, None]
    tokens = tuple(np.where(keep, t, -1) for t in (np.arange(720).reshape(60, 12) + k for k in (0, 1000)))
    centre = 20 * np.eye(8)[band]
    states = tuple(centre + rng.standard_normal((4, 60, 8)) for _ in range(2))
    return band, replace(pair, tokens=tokens, subjects={**pair.subjects, TRAINED: states})


def test_shuffles_stay_within_strata_of_length(pair, rng):
    """Length finds the band, and a shuffle that crossed bands would call that a shared story."""
    _, made = banded(pair, rng)
    found = by_layer.retrieval_by_layer({"zh": made}, rng=rng, n_shuffles=99).shuffles
    assert found["null_high"].min() > 0.22  # one scenario of four in the band; of twelve, by chance: .08
    assert found["p_holm"].iloc[0] > 0.05


def test_shuffled_pairing_stays_within_strata_of_length(pair, rng):
    band, made = banded(pair, rng)
    made = with_controls(made, rng=rng)
    x, y = made.subjects[SHUFFLED]
    trained = made.subjects[TRAINED]
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
    monkeypatch.setattr(simulated_pairs, "_N_CALIBRATION", 2)
    pairs = {
        n: simulated_pair("scenarios", 0.0, rng=np.random.default_rng(n), n_scenarios=n) for n in (12, 11)
    }

    def ask(seed, n_scenarios=12, n_simulations=3):
        simulation = by_layer.SIMULATIONS["prediction_1_aligned"]
        worlds = error_rates.of_pairs(simulation, {"zh": pairs[n_scenarios]}, 0.02)
        stream = np.random.default_rng(seed).spawn(1)[0]
        return error_rates.rates(worlds, rng=stream, n_simulations=n_simulations)

    first = ask(0)
    assert ask(0) == first
    assert calls == ["prediction_1_aligned"]
    ask(1)
    ask(0, n_scenarios=11)
    assert ask(0, n_simulations=4).n_simulations == 4
    assert len(calls) == 4

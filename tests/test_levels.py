"""Levels of difficulty: one story at all of them is judged, dilution is not, and rules err rarely."""

from collections import Counter
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from zspace.evidence import claims, error_rates, rules, study
from zspace.evidence.alignment_depth import activity, levels, problem_depth

JUDGE = {problem_depth.CLAIM: problem_depth.judge_levels, activity.IN_MODELS: activity.judge_levels}
WORLDS = {problem_depth.CLAIM: problem_depth.worlds, activity.IN_MODELS: activity.worlds}
SMALL = {"n_layers": 2, "dim": 24}
DILUTION = 0.1  # content times 1.1 per level: E|x - x'|^2 rises by a fifth, ten times the bound
BOUND = claims.rule(activity.IN_MODELS)["rules"]["preconditions"]["content_change"]["below"]


def evidence(claim, seed, growth=0.0, dilution=0.0, **size):
    making, judging = np.random.default_rng(seed).spawn(2)
    pair, of_item = levels.simulated_levels(growth, dilution, rng=making, **{**SMALL, **size})
    return JUDGE[claim](pair, of_item, rng=judging, n_resamples=200)[0]


def count(claim, seeds, **world):
    """Verdicts of both readings over simulated worlds."""
    found = [claims.evaluate(claim, evidence(claim, seed, **world)) for seed in seeds]
    return Counter(v.as_stated for v in found), Counter(v.as_corrected for v in found)


def ungated(claim, found):
    """What the rule says where levels need not be comparable."""
    bare = {k: v for k, v in claims.rule(claim)["rules"].items() if k != "preconditions"}
    return rules.judge(claim, bare, "as_corrected", found)[0]


def change(pair, of_item, seed=0):
    draws = study.draw(pair, rng=np.random.default_rng(seed), n_resamples=200)
    return levels.content_change(pair, of_item, draws)


# --- how much content changes


@pytest.mark.parametrize("dilution", [0.0, 0.05, -0.05, 0.1])
def test_change_of_content_is_that_of_the_squared_share(dilution, rng):
    found = change(*levels.simulated_levels(0.0, dilution, rng=rng, **SMALL))
    assert found.estimate == pytest.approx(2 * abs(dilution), abs=0.004)
    assert found.low <= 2 * abs(dilution) + 0.002
    assert (found.high < BOUND) == (dilution == 0)


def test_change_of_content_is_the_slope_of_the_mean_distance_between_scenarios(rng):
    """Pair by pair."""
    pair, of_item = levels.simulated_levels(0.0, 0.05, rng=rng, n_scenarios=9, n_draws=2, n_levels=3, **SMALL)
    rows = {k: np.flatnonzero(pair.confirmation & (of_item == k)) for k in (1, 3)}
    slopes = []
    for side, name in product((0, 1), pair.random_baselines):
        logs = {}
        for level, own in rows.items():
            apart = [(i, j) for i, j in combinations(own, 2) if pair.scenario[i] != pair.scenario[j]]
            layers = pair.subjects[name][side]
            logs[level] = np.mean(
                [np.log(np.mean([((h[i] - h[j]) ** 2).sum() for i, j in apart])) for h in layers]
            )
        slopes.append((logs[3] - logs[1]) / 2)
    by_language = np.abs(np.reshape(slopes, (2, -1)).mean(1))
    assert change(pair, of_item).estimate == pytest.approx(by_language.max(), rel=1e-9)


def test_changes_of_two_languages_do_not_make_up_for_each_other(rng):
    (rising, of_item), (falling, _) = (
        levels.simulated_levels(0.0, sign * 0.05, rng=rng, **SMALL) for sign in (1, -1)
    )
    crossed = {n: (rising.subjects[n][0], falling.subjects[n][1]) for n in rising.subjects}
    assert change(replace(rising, subjects=crossed), of_item).low > 0.08


def test_change_of_content_has_the_spread_of_baselines_in_it(rng):
    """Three networks that disagree say less than three that agree."""
    pair, of_item = levels.simulated_levels(rng=rng, **SMALL)
    other, _ = levels.simulated_levels(0.0, 0.1, rng=rng, **SMALL)
    mixed = {**pair.subjects, "random-1": other.subjects["random-1"]}
    agreeing, disagreeing = change(pair, of_item), change(replace(pair, subjects=mixed), of_item)
    assert disagreeing.high > agreeing.high + 0.1
    assert disagreeing.low == 0


# --- dilution


@pytest.mark.parametrize("claim", JUDGE)
def test_dilution_alone_would_decide_and_does_not(claim):
    """Equal quality at every level, noise that does not grow with what a text says: the rule without its
    premise refutes or supports, by the sign of the dilution."""
    for dilution, verdict in ((DILUTION, "refuted"), (-DILUTION, "supported")):
        found = evidence(claim, 5, dilution=dilution)
        assert ungated(claim, found) == verdict
        assert claims.evaluate(claim, found).as_corrected == "premise refuted"


def test_dilution_raises_margins_and_activity_and_lowers_the_snr():
    loss = evidence(problem_depth.CLAIM, 7, dilution=DILUTION).statistics["area_loss_excess"]
    pair, of_item = levels.simulated_levels(0.0, DILUTION, rng=np.random.default_rng(7), **SMALL)
    draws = study.draw(pair, rng=np.random.default_rng(1), n_resamples=200)
    busier, _, snr = activity.level_slopes(pair, pair.subjects["trained"], of_item, draws).estimate
    assert loss.high < -0.2
    assert busier > 0.1
    assert snr < -0.05


def dilutions(claim, n):
    """Verdicts where content rises with the level in n worlds, and falls with it in n."""
    found = [count(claim, range(n), dilution=sign * DILUTION, n_levels=3) for sign in (1, -1)]
    return [sum(parts, Counter()) for parts in zip(*found, strict=True)]


@pytest.mark.parametrize("claim", JUDGE)
def test_dilution_is_neither_supported_nor_refuted(claim):
    for verdicts in dilutions(claim, 10):
        assert not {"supported", "refuted"} & set(verdicts)


@pytest.mark.full
@pytest.mark.parametrize("claim", JUDGE)
def test_dilution_is_neither_supported_nor_refuted_in_two_hundred_worlds(claim):
    for verdicts in dilutions(claim, 100):
        assert verdicts["supported"] <= 10
        assert verdicts["refuted"] <= 10


@pytest.mark.full
@pytest.mark.parametrize("claim", JUDGE)
def test_dilution_that_passes_the_premise_supports_nothing(claim):
    """A change of content of half the bound, to the side that lowers margins."""
    _, corrected = count(claim, range(200), dilution=-BOUND / 4, n_levels=3)
    assert corrected["premise refuted"] == 0
    # most of these worlds are judged
    assert corrected["not testable"] <= 40
    assert corrected["supported"] <= 10


# --- effects where levels are comparable


@pytest.mark.parametrize("claim", JUDGE)
def test_planted_loss_is_supported_and_none_is_not(claim):
    _, lost = count(claim, range(3), growth=0.4)
    _, none = count(claim, range(3))
    assert lost == {"supported": 3}
    assert set(none) <= {"refuted", "inconclusive"}


@pytest.mark.full
@pytest.mark.parametrize("claim", JUDGE)
def test_rates_of_the_rules_at_the_size_of_the_corpus(claim):
    """30 scenarios at five levels, one draw, 200 worlds of each kind."""
    size = error_rates.Size(30, 5, 4)
    making, drawing = np.random.default_rng(11).spawn(2)
    simulate = WORLDS[claim](size, 5).make(making)
    found = claims.operating_characteristic(claim, simulate, rng=drawing, n_simulations=200)
    assert found.null_supported <= 0.05
    assert found.power >= 0.9
    assert found.rates["false"].get("supported", 0) == 0
    assert found.false_refuted >= 0.5
    assert found.rates["true"].get("refuted", 0) == 0


def test_worlds_lie_on_the_bound_and_at_twice_the_bound():
    """Calibrated by simulation: the mean of the loss is what the world's name says."""
    simulate = problem_depth.worlds(error_rates.Size(30, 5, 4), 5).make(np.random.default_rng(3))
    means = {}
    for world in ("false", "null", "modest"):
        streams = np.random.default_rng(4).spawn(12)
        found = [simulate(world, rng).statistics["area_loss_excess"].estimate for rng in streams]
        means[world] = np.mean(found)
    assert means["false"] == pytest.approx(0, abs=0.05)
    assert means["null"] == pytest.approx(0.1, abs=0.05)
    assert means["modest"] == pytest.approx(0.2, abs=0.06)

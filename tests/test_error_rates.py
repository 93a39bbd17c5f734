"""Error rates of rules in worlds whose answer is known: every study's own worlds, by one driver."""

import numpy as np
import pytest
from zspace.evidence import claims, error_rates, study
from zspace.evidence.alignment_depth import activity, language_depth, problem_depth
from zspace.evidence.bridges import bridging
from zspace.evidence.cointegration import layer_time, thickness
from zspace.evidence.language_pairs import PERMUTED, PLANTED, SHUFFLED, TRAINED
from zspace.evidence.rules import Evidence
from zspace.evidence.shared_subspace import shared_dimension

RANDOM = ("random-0", "random-1", "random-2")
# standard errors like those of a model on twenty confirmation scenarios
FROM_ERRORS = [
    (problem_depth.STUDY, {"area_loss_excess": 0.15}, (*RANDOM, SHUFFLED, activity.PERMUTED_LEVELS)),
    (activity.STUDY, dict.fromkeys((f"{slope}_excess" for slope in activity.SLOPES), 0.02),
     (*RANDOM, activity.PERMUTED_LEVELS, activity.ACTIVITY_ALONE)),
    (bridging.STUDY, {"held_out_r2": 0.05, "gap_excess": 0.01, "gap_growth": 0.015},
     (SHUFFLED, bridging.ROTATION)),
    (shared_dimension.STUDY, {"shared_excess": 0.1}, (*RANDOM, PERMUTED, SHUFFLED)),
]  # fmt: skip
FROM_SIZE = {
    language_depth.DEPTH: lambda size: language_depth.worlds(language_depth.DEPTH, size),
    language_depth.MECHANISM: lambda size: language_depth.worlds(language_depth.MECHANISM, size),
    bridging.CONDITIONING: bridging.conditioning_worlds,
    thickness.CLAIM: thickness.worlds,
    layer_time.TIME: lambda size: layer_time.time_worlds(size, 14),
    layer_time.RANK: lambda size: layer_time.rank_worlds(size, 14),
}
CLAIMS = [*(one.claim for one, *_ in FROM_ERRORS), *FROM_SIZE]


def worlds_of(claim, n_scenarios, n_languages):
    """Worlds of a claim; standard errors shrink with the number of confirmation scenarios."""
    size = error_rates.Size(n_scenarios, 4, n_languages)
    if claim in FROM_SIZE:
        return FROM_SIZE[claim](size)
    one, numbers, controls = next(row for row in FROM_ERRORS if row[0].claim == claim)
    scale = np.array(list(numbers.values())) * np.sqrt(20 / size.n_confirmed)
    errors = dict.fromkeys((TRAINED, PLANTED, *controls), scale)
    found = Evidence("zh", n_scenarios=size.n_confirmed)
    return error_rates.from_errors(one, errors, list(numbers), [found])


def rates(claim, n_scenarios, n_languages, seed, n_simulations):
    rng = np.random.default_rng(seed)
    simulate = worlds_of(claim, n_scenarios, n_languages).make(rng)
    return claims.operating_characteristic(claim, simulate, rng=rng, n_simulations=n_simulations)


def modest_power(claim, n_scenarios, n_languages):
    """Share of 32 worlds at twice the bound that are supported."""
    rng = np.random.default_rng(5)
    simulate = worlds_of(claim, n_scenarios, n_languages).make(rng)
    found = [claims.evaluate(claim, simulate("modest", stream)).as_corrected for stream in rng.spawn(32)]
    return found.count("supported") / len(found)


@pytest.fixture(scope="module", params=CLAIMS)
def found(request):
    return rates(request.param, 30, 9, 3, 24)


def test_a_rule_rarely_supports_what_is_on_its_bound_or_not_there(found):
    assert found.null_supported <= 0.1
    assert found.rates["false"].get("supported", 0.0) == 0


def test_a_rule_finds_what_is_planted_and_refutes_its_absence_more_often_than_not(found):
    # an undecided premise leaves a world open, and decides nothing wrongly
    assert found.power > max(0.3, 0.5 * (1 - found.rates["true"].get("not testable", 0.0)))
    assert found.false_refuted >= 0.3 or found.rates["false"].get("inconclusive", 0) > 0


@pytest.mark.parametrize("claim", CLAIMS)
def test_effects_say_how_large_they_are_in_every_world(claim):
    assert set(worlds_of(claim, 30, 9).effects) == set(error_rates.WORLDS)


def test_effects_of_correlations_are_those_that_are_simulated():
    """The words and the matrices come from one number; in many languages the matrices show it."""
    effects = bridging.conditioning_worlds(error_rates.Size(30, 4, 60)).effects
    names = tuple(map(str, range(60)))
    for world, words in effects.items():
        rng = np.random.default_rng(0)
        _, x, y = bridging.related_matrices(names, error_rates.strength_of(world), rng)
        above = np.triu_indices(60, 1)
        assert float(words.removeprefix("r = ")) == pytest.approx(
            np.corrcoef(x[above], y[above])[0, 1], abs=0.1
        )


@pytest.mark.parametrize("claim", CLAIMS)
def test_fewer_scenarios_or_languages_have_no_more_power(claim):
    assert modest_power(claim, 9, 5) <= modest_power(claim, 90, 8)


def test_worlds_from_errors_have_the_spread_they_were_given(rng):
    """A rule's statistics vary as the run's replicates say, and no number of them is typed anywhere."""
    errors = {TRAINED: np.array([0.3]), "random-0": np.array([0.4]), "random-1": np.array([1e-9])}
    found = [Evidence("zh", n_scenarios=20)]
    simulate = error_rates.from_errors(shared_dimension.STUDY, errors, ["shared_excess"], found).make(rng)
    drawn = [simulate("false", rng).statistics["shared_excess"].replicates.std() for _ in range(40)]
    # over the higher of two baselines: sometimes the exact one, sometimes the noisy one
    assert 0.29 < min(drawn) < 0.32
    assert 0.47 < max(drawn) < 0.53


def test_standard_errors_are_the_median_over_languages_and_leave_out_re_roundings(rng):
    def values(spread):
        return study.Values(np.zeros(2), np.outer(spread, [-1.0, 1.0]), 5)

    measured = [{"trained": values([s, 2 * s]), "re-rounded-0": values([9, 9])} for s in (1.0, 2.0, 10.0)]
    found = study.standard_errors(measured)
    assert list(found) == ["trained"]
    np.testing.assert_allclose(found["trained"], [2.0, 4.0])


def test_worlds_of_a_run_that_measured_nothing_say_so(rng):
    missing = Evidence("zh", unavailable="controls missing: random-0")
    worlds = error_rates.from_errors(shared_dimension.STUDY, {}, ["shared_excess"], [missing])
    assert worlds.make(rng)("true", rng) is missing


@pytest.mark.parametrize("damage", ["", "{}", "[" * 5000, None])
def test_kept_rates_that_were_changed_are_computed_anew(monkeypatch, tmp_path, damage):
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))
    made = []

    def make(rng):
        made.append(1)
        return lambda world, rng: Evidence(unavailable="none")

    def rates():
        worlds = error_rates.Worlds(bridging.CONDITIONING, make)
        return error_rates.rates(worlds, rng=np.random.default_rng(0), n_simulations=2)

    first = rates()
    assert (rates(), len(made)) == (first, 1)
    (kept,) = (tmp_path / "operating").glob("*.json")
    whole = kept.read_text()
    kept.write_text(damage if damage is not None else whole.replace("2,", "3,", 1))
    assert kept.read_text() != whole
    assert (rates(), len(made)) == (first, 2)
    assert kept.read_text() == whole

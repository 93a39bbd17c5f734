"""Error rates of rules in worlds whose answer is known: every study's own worlds, by one driver."""

import numpy as np
import pytest
from zspace.evidence import claims, error_rates
from zspace.evidence.alignment_depth import language_depth
from zspace.evidence.bridges import bridging
from zspace.evidence.cointegration import layer_time, thickness
from zspace.evidence.rules import Evidence

FROM_SIZE = {
    language_depth.DEPTH: lambda size: language_depth.worlds(language_depth.DEPTH, size),
    language_depth.MECHANISM: lambda size: language_depth.worlds(language_depth.MECHANISM, size),
    thickness.CLAIM: thickness.worlds,
    layer_time.TIME: lambda size: layer_time.time_worlds(size, 14),
    layer_time.RANK: lambda size: layer_time.rank_worlds(size, 14),
}
CLAIMS = [*FROM_SIZE]


def worlds_of(claim, n_scenarios, n_languages):
    """Worlds of a claim for a corpus of that size."""
    return FROM_SIZE[claim](error_rates.Size(n_scenarios, 4, n_languages))


def rates(claim, n_scenarios, n_languages, seed, n_simulations):
    rng = np.random.default_rng(seed)
    simulate = worlds_of(claim, n_scenarios, n_languages).make(rng)
    return claims.operating_characteristic(claim, simulate, rng=rng, n_simulations=n_simulations)


def modest_power(claim, n_scenarios, n_languages):
    """Share of 32 worlds a little beyond the bound that are supported."""
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
    effects = thickness.worlds(error_rates.Size(30, 4, 60)).effects
    names = tuple(map(str, range(60)))
    for words in effects.values():
        r = float(words.removeprefix("r = "))
        table = thickness.simulated_table(r, names, np.random.default_rng(0))
        assert table["log_ratio_excess"].corr(table["log_ratio_excess_other"]) == pytest.approx(r, abs=0.1)


@pytest.mark.parametrize("claim", CLAIMS)
def test_fewer_scenarios_or_languages_have_no_more_power(claim):
    assert modest_power(claim, 9, 5) <= modest_power(claim, 90, 8)


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

"""Rules on depth and bridges in worlds whose answer is known."""

import numpy as np
import pytest
from zspace.evidence import claims, error_rates_statistics

N = 24


@pytest.fixture(scope="module", params=error_rates_statistics.CLAIMS)
def found(request):
    simulate = error_rates_statistics.worlds(
        request.param, claims.rule(request.param)["rules"], n_scenarios=30, n_languages=9
    )
    rng = np.random.default_rng(3)
    return claims.operating_characteristic(request.param, simulate, rng=rng, n_simulations=N)


def test_a_rule_rarely_supports_what_is_on_its_bound_or_not_there(found):
    assert found.null_supported <= 0.1
    assert found.rates["false"].get("supported", 0.0) == 0


def test_a_rule_finds_what_is_planted_and_refutes_its_absence_more_often_than_not(found):
    assert found.power > 0.5
    assert found.false_refuted >= 0.3 or found.rates["false"].get("inconclusive", 0) > 0


@pytest.mark.parametrize("claim", error_rates_statistics.CLAIMS)
def test_fewer_scenarios_or_languages_have_no_more_power(claim):
    rates = []
    for n_scenarios, n_languages in ((9, 5), (90, 8)):
        simulate = error_rates_statistics.worlds(
            claim, claims.rule(claim)["rules"], n_scenarios=n_scenarios, n_languages=n_languages
        )
        rng = np.random.default_rng(5)
        rates.append(claims.operating_characteristic(claim, simulate, rng=rng, n_simulations=12).power_modest)
    assert rates[0] <= rates[1]

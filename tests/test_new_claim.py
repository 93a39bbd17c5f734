"""A claim written as a user would write one: its cost in lines, and that the driver serves it whole."""

from pathlib import Path

import new_claim
import numpy as np
import pytest
from zspace.evidence import claims, simulated_pairs
from zspace.evidence.language_pairs import PLANTED, RANDOM_BLOCKS, simulated_pair
from zspace.evidence.rules import validate


@pytest.fixture(autouse=True)
def known(monkeypatch):
    validate(new_claim.CLAIM, new_claim.ENTRY)
    rules = {**claims.entries(), new_claim.CLAIM: new_claim.ENTRY}
    monkeypatch.setattr(claims, "entries", lambda: rules)


def pairs(share, seed):
    stream = np.random.default_rng(seed)
    return {"zh": simulated_pair("scenarios", share, rng=stream, n_scenarios=45, dim=8)}


def found(share, seed):
    return new_claim.similar_distances(pairs(share, seed), rng=np.random.default_rng(seed))


def test_a_claim_is_at_most_120_lines():
    assert len(Path(new_claim.__file__).read_text().splitlines()) <= 120


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_similarity_is_supported_and_none_is_not(seed):
    verdict = claims.evaluate(new_claim.CLAIM, found(1.0, seed)[0][0])
    assert verdict.as_corrected == "supported", verdict.as_corrected_reason
    assert {c["name"] for c in verdict.controls} >= {"random-0", PLANTED, RANDOM_BLOCKS}
    assert claims.evaluate(new_claim.CLAIM, found(0.0, seed)[0][0]).as_corrected != "supported"


def test_its_rule_has_error_rates_from_pairs_like_those_of_the_run(rng, monkeypatch):
    monkeypatch.setattr(simulated_pairs, "_N_CALIBRATION", 3)
    _, worlds = found(0.5, 0)
    simulate = worlds.make(rng)
    rates = claims.operating_characteristic(new_claim.CLAIM, simulate, rng=rng, n_simulations=6)
    assert rates.null_supported <= 2 / 6
    assert rates.rates["false"].get("supported", 0) == 0
    assert set(worlds.effects) == set(rates.rates)


def test_its_sensitivity_has_a_row_per_choice():
    table = new_claim.sensitivity(pairs(1.0, 0))
    assert (table["zh", "trained"] > 0.3).all()
    assert len(table) == 2


def test_its_figure_shows_every_control():
    drawn = new_claim.figure(found(1.0, 0)[0])
    assert PLANTED in drawn.layout.yaxis.ticktext

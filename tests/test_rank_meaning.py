"""What a rank means without a model, and dim Z where it is known."""

import numpy as np
import pytest
from zspace.evidence import claims
from zspace.evidence.blind_sweep.sweep import TRAINED, UNTRAINED
from zspace.evidence.cointegration import rank_meaning
from zspace.evidence.shared_subspace import known_dimension
from zspace.states.networks import Recipe


@pytest.fixture(scope="module")
def meaning():
    return rank_meaning.rank_meaning(rng=np.random.default_rng(2))


def test_the_rank_is_refuted_as_stated_and_verified_as_corrected(meaning):
    verdict = claims.evaluate(rank_meaning.CLAIM, meaning.evidence)
    assert (verdict.as_stated, verdict.as_corrected) == ("refuted", "verified by simulation")
    assert set(meaning.recovery["specific"]) == {"random_walk", "stationary"}
    assert set(meaning.sizes["n_steps"]) == {28, 50, 100, 200}


def test_long_series_and_corrections_need_no_refusal(meaning):
    sizes = meaning.sizes.set_index(["n_steps", "n_series"])
    assert sizes.loc[(28, 6), "none"] > 0.8
    assert sizes.loc[(200, 2), "none"] < 0.1
    assert (sizes["reinsel-ahn"] < 0.1).all()


def test_without_the_corrections_nothing_would_be_proved(meaning, monkeypatch):
    """A pooled test that scales nothing goes through the same checks."""
    full = rank_meaning.cointegration.recovery_table

    def broken(**options):
        rows = full(**{**options, "n_simulations": 20})
        worse = {row["variant"]: row for row in rows}["problems not scaled"]
        return [{**worse, "variant": row["variant"]} for row in rows]

    monkeypatch.setattr(rank_meaning.cointegration, "recovery_table", broken)
    found = rank_meaning.rank_meaning(rng=np.random.default_rng(2), n_simulations=20)
    assert claims.evaluate(rank_meaning.CLAIM, found.evidence).as_corrected == "not testable"


def test_dimension_of_worlds_is_the_planted_one(rng):
    table = known_dimension.recovered((0, 6, 16), rng=rng, n_worlds=25)
    assert (table["exact"] >= 0.84).all()  # .95 expected, 25 worlds
    assert (table["above"] <= 0.16).all()


@pytest.mark.full
def test_dimension_of_many_worlds_is_the_planted_one(rng):
    table = known_dimension.recovered((0, 4, 8, 12, 16), rng=rng, n_worlds=200)
    assert (table["exact"] >= 0.9).all()


def test_networks_keep_what_their_worlds_share(rng, tmp_path, monkeypatch):
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))
    recipe = Recipe(depth=5, width=40, steps=100)
    table = known_dimension.network_dimensions(rng=rng, shared=(0, 4, 12), seeds=(400,), recipe=recipe)
    assert set(table["subject"]) == {TRAINED, UNTRAINED}
    assert set(table["layer"]) == set(range(6))
    found = table[table["layer"] == 0].groupby("shared")["dimension"].mean()
    assert table.loc[table["shared"] == 0, "dimension"].mean() < 0.5  # the negative control
    assert abs(found[4] - 4) <= 1
    assert abs(found[12] - 12) <= 1
    assert table["constancy"].between(0, 1).all()

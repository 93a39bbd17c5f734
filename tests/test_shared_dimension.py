"""dim Z on simulated pairs: planted dimensions are found and counted, nothing is where nothing is shared."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from zspace.evidence import claims
from zspace.evidence.language_pairs import PLANTED, SHUFFLED, TRAINED, simulated_pair
from zspace.evidence.shared_subspace import known_dimension, shared_dimension


def pair_with(rng, n_shared=0, **size):
    """Independent walks, and `n_shared` coordinates added to both languages of the trained model."""
    one = simulated_pair("scenarios", 0.0, rng=rng, n_layers=5, **size)
    if n_shared:
        planted = shared_dimension.plant_dimensions(
            one.subjects[TRAINED], one.scenario, rng=rng, n_shared=n_shared, strength=2.0
        )
        one = replace(one, subjects={**one.subjects, TRAINED: planted})
    return one


def judged(one, rng):
    found = shared_dimension.dimension_by_layer({"simulated": one}, rng=rng, n_halves=4)
    return claims.evaluate(shared_dimension.CLAIM, found.evidence[0]), found


@pytest.fixture(scope="module")
def planted():
    """Verdict and result where two dimensions are shared."""
    rng = np.random.default_rng(7)
    return judged(pair_with(rng, n_shared=2), rng)


def test_planted_dimensions_are_supported_and_counted(planted):
    verdict, found = planted
    assert verdict.as_corrected == "supported", verdict.as_corrected_reason
    assert all(c["passed"] for c in verdict.controls)
    trained = found.curves[found.curves["subject"] == TRAINED]
    assert (trained["dimension"] == 2).mean() > 0.8
    assert trained["shared_variance"].between(1.2, 2.3).all()
    assert (trained["low"] <= trained["high"]).all()
    assert (trained["first_correlation"] > trained["first_null"]).all()


def test_nothing_is_found_where_nothing_is_shared(rng):
    found = [judged(pair_with(stream), stream) for stream in rng.spawn(4)]
    assert {verdict.as_corrected for verdict, _ in found} <= {"refuted", "inconclusive"}
    curves = pd.concat([one.curves for _, one in found])
    planted = curves["subject"] == PLANTED
    assert (curves.loc[~planted, "dimension"] > 0).mean() < 0.12
    assert curves.loc[planted, "dimension"].mean() > 2


def test_what_a_twin_shares_as_well_is_no_evidence(rng):
    one = pair_with(rng, n_shared=2)
    twin = replace(one, subjects={**one.subjects, "random-0": one.subjects[TRAINED]})
    verdict, _ = judged(twin, rng)
    assert verdict.as_corrected != "supported"


def test_shared_variance_is_that_of_the_brute_force(rng):
    one = pair_with(rng, n_shared=2)
    both = shared_dimension.reduced(one, one.subjects[TRAINED], 4)
    found = shared_dimension.shared_variance(one, *both)
    weights = np.bincount(rng.integers(0, found.sums.shape[-1], found.sums.shape[-1]))
    rows = np.repeat(np.flatnonzero(one.confirmation), weights[found.scenario])
    from sklearn.cross_decomposition import CCA

    for layer in (0, 3):
        x, y = (s[layer] for s in both)
        fit = CCA(4, scale=False, max_iter=5000, tol=1e-12).fit(x[one.discovery], y[one.discovery])
        u, v = fit.transform(x[rows], y[rows])
        r = [np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(4)]
        expected = (np.clip(r, 0, None) ** 2).sum()
        assert found.by_layer(weights.astype(float))[layer] == pytest.approx(expected, abs=0.02)


def test_all_pairs_are_those_of_the_single_pair(rng):
    one = pair_with(rng, n_shared=2)
    other = replace(pair_with(rng), language="other")
    other = replace(
        other,
        subjects={TRAINED: (one.subjects[TRAINED][0], other.subjects[TRAINED][1])},
        scenario=one.scenario,
        discovery=one.discovery,
    )
    table = shared_dimension.all_pairs({"a": one, "b": other}, "z", rng=rng)
    assert len(table) == 3
    by = table.set_index(["first", "second"])["dimension"]
    assert by["z", "a"] > 1.5
    assert max(by["z", "b"], by["a", "b"]) < 0.5


def test_sensitivity_takes_what_there_is(rng):
    """Without a shuffled pairing, and with too few items for five components."""
    one = pair_with(rng, n_scenarios=15, n_draws=2)
    bare = replace(one, subjects={k: v for k, v in one.subjects.items() if k not in (SHUFFLED, PLANTED)})
    table = shared_dimension.by_components({"simulated": bare}, (2, 3, 5))
    assert list(table.columns) == [TRAINED, "trained, dimensions as they are"]
    assert table.droplevel("language").notna().all(axis=1).to_dict() == {2: True, 3: True, 5: False}


def test_scenarios_of_unlike_sizes_are_tested_on_as_many_items_each(rng):
    one = pair_with(rng, n_shared=2, n_scenarios=24)
    sizes = np.resize([4, 6, 3, 2, 5], 24)
    sizes[-1] += len(one.scenario) - sizes.sum()
    scenario = np.repeat(np.arange(24), sizes).astype(str)
    unlike = replace(one, scenario=scenario, discovery=np.isin(scenario.astype(int), np.arange(0, 24, 3)))
    _, found = judged(unlike, rng)
    assert (found.curves.query("subject == @TRAINED")["dimension"] > 0).any()


def test_sizes_count_what_is_judged(rng):
    one = pair_with(rng)
    (row,) = shared_dimension.sizes({"fr": one}).to_dict("records")
    assert (row["items"], row["confirmation items"]) == (len(one.scenario), one.confirmation.sum())
    assert row["components"] == shared_dimension.components_for(one)


def test_mean_ranks_count_every_network_once():
    columns = {"shared": 4, "subject": "trained", "seed": [0, 0, 0, 1], "rank": [2, 2, 2, 4]}
    table = pd.DataFrame(columns).assign(constancy=0.0)
    assert known_dimension.mean_ranks(table)["rank"].tolist() == [3]


def test_table_states_dimension_and_range(planted):
    _, found = planted
    table = shared_dimension.dimension_table(found.curves)
    assert list(table.columns) == ["simulated"]
    first = found.curves.query("subject == @TRAINED and layer == 3").iloc[0]
    assert table.loc[3, "simulated"] == f"{first['dimension']} [{first['low']:.0f}, {first['high']:.0f}]"

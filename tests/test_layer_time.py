"""Layers as time and rank against dimension, on series that follow one map, many maps, or none."""

from dataclasses import replace

import numpy as np
import pytest
from zspace.errors import ParameterError
from zspace.evidence import claims
from zspace.evidence.experiments import layer_time
from zspace.evidence.panels import TRAINED, Panel
from zspace.series import cointegration

N_SCENARIOS, N_DRAWS, LAYERS, WIDTH = 36, 4, 14, 12
SCENARIO = np.repeat(np.arange(N_SCENARIOS), N_DRAWS)


def embed(series, rng, walks=False):
    """(n, T, k) coordinates as states (T, n, WIDTH) of a language, with noise or small walks beside."""
    n, t, k = series.shape
    other = 0.01 * rng.standard_normal((n, t, WIDTH - k))
    other = other.cumsum(1) if walks else other
    mixing = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    return np.swapaxes(np.concatenate([series, other], -1) @ mixing, 0, 1)


def panel(pair, rng, walks=False) -> Panel:
    x, y = (embed(s, rng, walks) for s in pair)
    return Panel(
        language="simulated",
        subjects={TRAINED: (x, y), "random-0": (x, embed(rng.standard_normal(pair[1].shape).cumsum(1), rng))},
        scenario=SCENARIO.astype(str),
        group=SCENARIO.astype(str),
        discovery=SCENARIO < N_SCENARIOS // 3,
        tokens=tuple(rng.integers(0, 99, (len(SCENARIO), 5)) for _ in range(2)),
    )


def one_map(rng):
    return cointegration.simulate_shared_trends(len(SCENARIO), LAYERS, 1, 1, adjustment=(0.5, 0.6), rng=rng)


def own_maps(rng):
    """A shared coordinate that every layer stretches or shrinks by a factor of its own, in no order."""
    h = [rng.standard_normal((len(SCENARIO), 1))]
    factors = rng.permutation(np.geomspace(0.4, 2.5, LAYERS - 1))
    for factor in factors:
        h.append(factor * h[-1] + 0.15 * rng.standard_normal(h[-1].shape))
    shared = np.stack(h, 1)
    return tuple(shared + 0.15 * rng.standard_normal(shared.shape) for _ in range(2))


def verdicts(one, rng):
    found = layer_time.layers_as_time({"simulated": one}, rng=rng)
    return found, *(claims.evaluate(k, found.evidence[k][0]) for k in (layer_time.TIME, layer_time.RANK))


def test_one_map_is_time_and_its_rank_is_the_dimension(rng):
    found, time, rank = verdicts(panel(one_map(rng), rng), rng)
    assert time.as_stated == "supported", time.as_stated_reason
    assert time.as_corrected == "refuted"
    assert rank.as_corrected == "supported", rank.as_corrected_reason
    trained = found.maps.set_index("subject").loc[TRAINED]
    assert (trained["rank"], trained["dimension"]) == (1, 1)
    assert trained["constancy"] > 0.01


def test_maps_of_each_layer_are_no_time_and_their_rank_is_not_tested(rng):
    found, time, rank = verdicts(panel(own_maps(rng), rng), rng)
    assert time.as_stated == "refuted", time.as_stated_reason
    assert time.as_corrected == "supported", time.as_corrected_reason
    assert rank.as_corrected == "not testable"
    assert "constancy" in rank.as_corrected_reason
    assert set(found.by_layer["layer"]) == set(range(2, LAYERS))


def test_walks_have_nothing_to_explain(rng):
    walks = tuple(rng.standard_normal((len(SCENARIO), LAYERS, 1)).cumsum(1) for _ in range(2))
    _, time, rank = verdicts(panel(walks, rng, walks=True), rng)
    assert time.as_corrected == "not testable"
    assert rank.as_corrected != "supported"


def test_controls_are_judged_as_what_they_are(rng):
    _, time, rank = verdicts(panel(one_map(rng), rng), rng)
    assert {c["name"] for c in time.controls} == {layer_time.ONE_MAP, layer_time.OWN_MAPS}
    assert {(c["name"], c["kind"]) for c in rank.controls} == {
        (layer_time.SHARED_TRENDS, "positive"),
        (layer_time.NO_TRENDS, "negative"),
    }
    assert all(c["passed"] for c in (*time.controls, *rank.controls))


def test_scores_are_those_of_the_brute_force(rng):
    """Least squares of each fold written out, problem by problem."""
    one = panel(own_maps(rng), rng)
    series = layer_time.panel_series(one, one.subjects[TRAINED], 1)
    scores = layer_time.score_maps(series, one)
    stacked = np.concatenate(series, -1)
    stacked = stacked - stacked.mean(0)
    test = np.flatnonzero(one.confirmation)
    names = np.unique(one.scenario[test])
    layer = 5
    errors, none = 0.0, 0.0
    for part in np.array_split(names, 10):
        held = test[np.isin(one.scenario[test], part)]
        kept = np.setdiff1d(test, held)

        def design(rows):
            return np.hstack([stacked[rows, layer - 1], stacked[rows, layer - 1] - stacked[rows, layer - 2]])

        added = stacked[:, layer] - stacked[:, layer - 1]
        weight = np.linalg.pinv(design(kept)) @ added[kept]
        errors += ((added[held] - design(held) @ weight) ** 2).sum()
        none += (added[held] ** 2).sum()
    by_layer = scores.by_layer()
    assert by_layer["r2_own"][list(by_layer["layer"]).index(layer)] == pytest.approx(
        1 - errors / none, abs=1e-9
    )


def test_few_scenarios_are_refused(rng):
    one = panel(one_map(rng), rng)
    few = replace(one, discovery=SCENARIO >= 9)
    with pytest.raises(ParameterError, match="9 confirmation scenarios; at least 10"):
        layer_time.layers_as_time({"simulated": few}, rng=rng)


def test_a_language_turned_in_its_space_changes_nothing(rng):
    one = panel(one_map(rng), rng)
    x, y = one.subjects[TRAINED]
    turned = replace(one, subjects={**one.subjects, TRAINED: (x * np.geomspace(1, 9, WIDTH), y)})
    a, b = (layer_time.panel_series(p, p.subjects[TRAINED], 1) for p in (one, turned))
    np.testing.assert_allclose(np.abs(a[0]), np.abs(b[0]), rtol=1e-6, atol=1e-8)

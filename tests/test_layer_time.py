"""Layers as time and rank against dimension, on series that follow one map, many maps, or none."""

from dataclasses import replace

import numpy as np
import pytest
from builders import compatible, language_pair
from zspace.errors import MeasureError, ParameterError
from zspace.evidence import claims, study
from zspace.evidence.cointegration import layer_time
from zspace.evidence.error_rates import Size
from zspace.evidence.language_pairs import TRAINED
from zspace.measures import layer_maps
from zspace.measures.resampling import draw_groups
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


def pair_of(both, rng, walks=False):
    x, y = (embed(s, rng, walks) for s in both)
    strangers = embed(rng.standard_normal(both[1].shape).cumsum(1), rng)
    tokens = tuple(rng.integers(0, 99, (len(SCENARIO), 5)) for _ in range(2))
    subjects = {TRAINED: (x, y), "random-0": (x, strangers)}
    return language_pair(subjects, SCENARIO, SCENARIO < N_SCENARIOS // 3, tokens=tokens)


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


def test_one_map_is_time_and_its_premises_are_never_refuted(rng):
    """The planted trends fail in one draw of twelve (2 of 24 systems of this size)."""
    for stream in rng.spawn(2):
        found, time, rank = verdicts(pair_of(one_map(stream), stream), stream)
        assert time.as_stated == "supported", time.as_stated_reason
        assert time.as_corrected == "refuted"
        trained = found.maps.set_index("subject").loc[TRAINED]
        assert (trained["rank"], trained["dimension"]) == (1, 1)
        assert trained["constancy"] > 0.01
        assert {c["name"] for c in time.controls} == {layer_time.ONE_MAP, layer_time.OWN_MAPS}
        assert all(c["passed"] for c in time.controls)
        kinds = {layer_time.SHARED_TRENDS: "positive", layer_time.NO_TRENDS: "negative"}
        assert {c["name"]: c["kind"] for c in rank.controls} == kinds
        assert rank.as_corrected in ("supported", "not testable"), rank.as_corrected_reason
        table = layer_time.gates(found.evidence[layer_time.RANK])
        assert "refuted" not in set(table["verdict"])
        assert (table["low"] < table["estimate"]).all()


def test_many_scenarios_meet_both_premises_and_their_rank_is_the_dimension(rng):
    size = Size(n_scenarios=90, n_draws=4, n_languages=2)
    verdicts = [
        claims.evaluate(layer_time.RANK, layer_time.simulated_rank("true", r, size, 12)).as_corrected
        for r in rng.spawn(4)
    ]
    assert verdicts.count("supported") >= 1
    assert "refuted" not in verdicts
    assert "premise refuted" not in verdicts


def test_maps_of_each_layer_are_no_time_and_their_rank_is_not_tested(rng):
    found, time, rank = verdicts(pair_of(own_maps(rng), rng), rng)
    assert time.as_stated == "refuted", time.as_stated_reason
    assert time.as_corrected == "supported", time.as_corrected_reason
    assert rank.as_corrected == "premise refuted"
    assert "own gain" in rank.as_corrected_reason
    assert set(found.by_layer["layer"]) == set(range(2, LAYERS))


def test_walks_have_nothing_to_explain(rng):
    walks = tuple(rng.standard_normal((len(SCENARIO), LAYERS, 1)).cumsum(1) for _ in range(2))
    _, time, rank = verdicts(pair_of(walks, rng, walks=True), rng)
    assert time.as_corrected in ("not testable", "premise refuted")
    assert rank.as_corrected != "supported"


def test_scores_are_those_of_the_brute_force(rng):
    """Least squares of each fold written out, problem by problem."""
    one = pair_of(own_maps(rng), rng)
    series = layer_time.pair_series(one, one.subjects[TRAINED], 1)
    test = np.flatnonzero(one.confirmation)
    scores = layer_maps.score_maps(tuple(s[test] for s in series), one.scenario[test])
    stacked = np.concatenate(series, -1)
    stacked = stacked - stacked[test].mean(0)
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
    found = by_layer["r2_own"][list(by_layer["layer"]).index(layer)]
    assert found == pytest.approx(1 - errors / none, abs=1e-9)


def gap_series(rng, speeds, n_scenarios, n_draws=4):
    """Two languages of which both close their gap at a speed of each layer: twice (n, T, 1)."""
    now = rng.standard_normal((2, n_scenarios * n_draws, 1))
    made = [now]
    for speed in speeds:
        gap = now[0] - now[1]
        now = now + speed * np.stack([-gap, gap]) + rng.standard_normal(now.shape)
        made.append(now)
    return tuple(np.moveaxis(np.array(made), 0, 2))


def bare(n_scenarios, n_draws=4):
    scenario = np.repeat(np.arange(n_scenarios), n_draws)
    return language_pair({}, scenario, scenario < n_scenarios // 3)


def time_evidence(one, series, rng):
    """Evidence on layers as time from series of all items."""
    making, drawing = rng.spawn(2)
    confirmed, scenario = tuple(s[one.confirmation] for s in series), one.scenario[one.confirmation]
    draws = study.draw(one, rng=drawing)
    subjects = {TRAINED: confirmed, **layer_time.planted_maps(confirmed[0].shape, rng=making)}
    measured = {name: layer_time.map_values(s, scenario, draws) for name, s in subjects.items()}
    return study.assemble(layer_time.TIME_STUDY, measured, draws)


def rank_evidence(one, series, rng):
    """Evidence on ranks from series of all items."""
    confirmed, scenario = tuple(s[one.confirmation] for s in series), one.scenario[one.confirmation]
    measured = layer_time.measure_ranks({TRAINED: confirmed}, scenario, rng=rng)
    return study.assemble(layer_time.RANK_STUDY, measured, study.draw(one, rng=rng))


def share_of(series, one, held_out=(True, False)):
    items = tuple(s[one.confirmation] for s in series), one.scenario[one.confirmation]
    first, second = (layer_maps.score_maps(*items, held_out=h) for h in held_out)
    common, own = first.midpoint(second).r2(np.ones(first.none.shape[1]))
    return common / own


def test_few_problems_do_not_hide_that_layers_differ(rng):
    """Own maps of ten scenarios are worse than their truth; the midpoint with the sample is not."""
    speeds = 0.3 + 0.15 * (-1) ** np.arange(18)
    true = share_of(gap_series(rng, speeds, 1500), bare(1500))
    assert 0.75 < true < 0.87
    few, held_out, supported = [], [], 0
    for stream in rng.spawn(12):
        series, one = gap_series(stream, speeds, 15), bare(15)
        few.append(share_of(series, one))
        held_out.append(share_of(series, one, held_out=(True, True)))
        evidence = time_evidence(one, series, stream)
        supported += claims.evaluate(layer_time.TIME, evidence).as_stated == "supported"
    assert np.mean(few) == pytest.approx(true, abs=0.08)
    assert np.mean(held_out) > true + 0.2
    assert supported <= 2


def test_maps_that_alternate_have_no_rank(rng):
    """Both halves of depth are alike, but no one map holds: a rank has no meaning."""
    series = gap_series(rng, np.where(np.arange(18) % 2, 0.45, -0.15), 30)
    verdict = claims.evaluate(layer_time.RANK, rank_evidence(bare(30), series, rng))
    assert verdict.as_corrected == "premise refuted"
    assert "own gain" in verdict.as_corrected_reason


def drifting(rng, drift, n_groups=40, per_group=4, layers=19, shared=False):
    """Walks of two languages with a drift of each problem's own, or of each group's; labels of the groups."""
    n = n_groups * per_group
    own = rng.standard_normal((n_groups if shared else n, 1, 2))
    own = np.repeat(own, per_group, axis=0) if shared else own
    walks = rng.standard_normal((n, layers, 2)).cumsum(1) + drift * own * np.arange(layers)[:, None]
    return walks[..., :1], walks[..., 1:], np.repeat(np.arange(n_groups), per_group)


def test_squared_drift_is_recovered_and_does_not_depend_on_scale(rng):
    for drift in (0.0, 0.2):
        found = [cointegration.squared_drift(*drifting(r, drift)[:2]).mean() for r in rng.spawn(20)]
        noise = np.std(found) / np.sqrt(20)
        assert abs(np.mean(found) - drift**2 / (1 + drift**2)) < 4 * noise
    h1, h2, _ = drifting(rng, 0.2)
    scale = rng.lognormal(0, 1, (len(h1), 1, 1))
    # without what all problems do alike, each problem has its own scale
    one, other = (cointegration.squared_drift(k * h1, k * h2) for k in (1.0, 3.0))
    np.testing.assert_allclose(one, other)
    assert cointegration.squared_drift(scale * h1, scale * h2).mean() == pytest.approx(one.mean(), rel=0.2)
    with pytest.raises(MeasureError, match="no two lie 2 apart"):
        cointegration.squared_drift(h1[:, :4], h2[:, :4])


def test_a_drift_that_makes_false_relations_is_never_let_through(rng):
    """The gate that was: a test of drift, which finds it in 2 % of such worlds."""
    false, accepted_before, said = 0, 0, []
    for stream in rng.spawn(8):
        h1, h2, groups = drifting(stream, 0.25)
        found = layer_time.pooled_rank(h1, h2, groups)
        false += found.rank > 0
        accepted_before += found.drift.pvalue > 0.05
        draws = draw_groups(groups, 400, rng=stream)
        said.append(draws.mean(layer_time.drift_shares(h1, h2, groups), bounds=None))
    assert false >= 7
    assert accepted_before >= 5
    assert all(interval.low > 1 for interval in said)


def test_weak_data_leave_a_premise_undecided(rng):
    table = layer_time.gate_power(Size(15, 1, 2), 9, rng=rng, n_simulations=6)
    np.testing.assert_allclose(table[["met", "refuted", "undecided"]].sum(axis=1), 1)
    assert table.loc[("one map, no drift", "one map holds for all layers"), "undecided"] >= 0.5
    assert table.loc[("one map, no drift", "no problem drifts on its own"), "refuted"] <= 0.2


@pytest.mark.full
@pytest.mark.parametrize(("n_groups", "per_group"), [(10, 4), (40, 4), (330, 1)])
def test_at_the_tolerated_drift_one_rank_in_twenty_is_false(n_groups, per_group):
    tolerated = np.sqrt(cointegration.tolerated_drift(n_groups, per_group, 19, 2, level=0.01))
    for shared in (False, True):
        false = 0
        for stream in np.random.default_rng(7).spawn(300):
            h1, h2, groups = drifting(stream, tolerated, n_groups, per_group, shared=shared)
            false += layer_time.pooled_rank(h1, h2, groups).rank > 0
        assert compatible(false, 300, 0.05) or false < 15


@pytest.mark.full
@pytest.mark.parametrize(("n_groups", "per_group"), [(10, 4), (40, 4), (330, 1)])
def test_at_the_bound_of_own_gain_one_rank_in_twenty_is_false(n_groups, per_group):
    """Maps of each layer that have nothing in common: their mean over layers is zero."""
    false, gains = 0, []
    for stream in np.random.default_rng(8).spawn(200):
        maps = stream.standard_normal((18, 2, 2))
        maps -= maps.mean(0)
        h = [stream.standard_normal((n_groups * per_group, 2))]
        for one in maps:
            step = 0.1 * h[-1] / h[-1].std() @ one.T
            h.append(h[-1] + step + stream.standard_normal(h[-1].shape))
        h1, h2 = np.split(np.stack(h, 1), 2, axis=2)
        groups = np.repeat(np.arange(n_groups), per_group)
        false += layer_time.pooled_rank(h1, h2, groups).rank > 0
        common, own = layer_time._scores((h1, h2), groups)[1].r2(np.ones(n_groups))
        gains.append(own - common)
    assert np.mean(gains) == pytest.approx(0.018, abs=0.012)
    assert compatible(false, 200, 0.05) or false < 10


def test_one_item_far_off_among_those_not_judged_changes_no_score(rng):
    one = bare(15)
    series = gap_series(rng, np.full(18, 0.3), 15)
    far = tuple(s.copy() for s in series)
    for s in far:
        s[7] *= 1000
    assert one.discovery[7]
    found = [time_evidence(one, s, np.random.default_rng(1)).statistics for s in (series, far)]
    assert {k: i.estimate for k, i in found[0].items()} == {k: i.estimate for k, i in found[1].items()}


def test_a_last_scenario_that_is_shorter_is_no_obstacle(rng):
    scenario = np.repeat(np.arange(16), 4)[:61]
    short = language_pair({}, scenario, scenario < 5)
    series = tuple(s[:61] for s in gap_series(rng, np.full(18, 0.3), 16))
    evidence = rank_evidence(short, series, rng)
    assert all(c.statistics for c in evidence.controls)
    assert evidence.n_scenarios == 11


def test_layers_that_add_nothing_are_refused(rng):
    series = tuple(np.repeat(s[:, :1], 6, 1) for s in gap_series(rng, [0.3], 15))
    with pytest.raises(ValueError, match="adds the same to every problem"):
        layer_maps.score_maps(series, bare(15).scenario)


def test_components_beyond_what_items_allow_are_empty_rows(rng):
    one = pair_of(one_map(rng), rng)
    few = replace(one, discovery=SCENARIO < 2)
    table = layer_time.by_components({"simulated": few}, (1, 2, 3)).set_index("components")
    assert table.notna().all(axis=1).to_dict() == {1: True, 2: True, 3: False}


def test_few_scenarios_are_refused(rng):
    one = pair_of(one_map(rng), rng)
    few = replace(one, discovery=SCENARIO >= 9)
    with pytest.raises(ParameterError, match=r"9 confirmation scenarios \(at least 10 needed\)"):
        layer_time.layers_as_time({"simulated": few}, rng=rng)


def test_a_language_turned_in_its_space_changes_nothing(rng):
    one = pair_of(one_map(rng), rng)
    x, y = one.subjects[TRAINED]
    turned = replace(one, subjects={**one.subjects, TRAINED: (x * np.geomspace(1, 9, WIDTH), y)})
    a, b = (layer_time.pair_series(p, p.subjects[TRAINED], 1) for p in (one, turned))
    np.testing.assert_allclose(np.abs(a[0]), np.abs(b[0]), rtol=1e-6, atol=1e-8)

"""Exact accounting of the snr: loop oracles, identities, invariances and the bootstrap."""

import dataclasses

import numpy as np
import pytest
from builders import SHAPES, related_languages, rotation, three_seeds
from zspace.measures import residual
from zspace.measures.resampling import group_weights

STATES = ("d_same", "d_diff", "d_cross", "snr", "snr_centered")
STEPS = ("delta_sq", "sigma_sq", "cross_same", "cross_diff", "norm_ratio")


@pytest.fixture(params=SHAPES, ids=lambda shape: f"seed{shape[0]}")
def states(request):
    return related_languages(*request.param)


def inner(a, b, pairs):
    """Mean of <a_i - a_j, b_i - b_j> over the pairs."""
    return np.mean([(a[i] - a[j]) @ (b[i] - b[j]) for i, j in pairs])


def by_loops(h1, h2, groups):
    """Every field of the profile from its definition, item by item."""
    n = h1.shape[1]
    pairs = [(i, j) for i in range(n) for j in range(n) if groups[i] != groups[j]]
    result = {name: [] for name in (*STATES, *STEPS, "each")}
    for a, b in zip(h1, h2, strict=True):
        same = np.mean([np.sum((a[i] - b[i]) ** 2) for i in range(n)])
        each = [inner(h, h, pairs) for h in (a, b)]
        apart = [np.sum((a[i] - a.mean(0) - b[i] + b.mean(0)) ** 2) for i in range(n)]
        result["d_same"].append(same)
        result["each"].append(each)
        result["d_diff"].append(np.mean(each))
        result["d_cross"].append(np.mean([np.sum((a[i] - b[j]) ** 2) for i, j in pairs]))
        result["snr"].append(same / np.mean(each))
        result["snr_centered"].append(np.mean(apart) / np.mean(each))
    for a, b, f, g in zip(h1, h2, np.diff(h1, axis=0), np.diff(h2, axis=0), strict=False):
        delta = [f[i] - g[i] for i in range(n)]
        result["delta_sq"].append(np.mean([x @ x for x in delta]))
        result["cross_same"].append(2 * np.mean([(a[i] - b[i]) @ delta[i] for i in range(n)]))
        result["sigma_sq"].append((inner(f, f, pairs) + inner(g, g, pairs)) / 2)
        result["cross_diff"].append(inner(a, f, pairs) + inner(b, g, pairs))
        ratios = [np.linalg.norm(delta[i]) / np.linalg.norm(u[i]) for i in range(n) for u in (f, g)]
        result["norm_ratio"].append(np.mean(ratios))
    return {name: np.array(values) for name, values in result.items()}


@pytest.mark.parametrize("grouped", [False, True])
def test_snr_profile_equals_loops_over_items_and_pairs(states, grouped):
    n = states[0].shape[1]
    groups = np.resize([2, 0, 1, 1, 0], n) if grouped else None
    found = residual.snr_profile(*states, groups=groups)
    expected = by_loops(*states, np.arange(n) if groups is None else groups)
    for name in (*STATES, *STEPS):
        np.testing.assert_allclose(getattr(found, name), expected[name], rtol=1e-10, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(found.d_diff_each, expected["each"].T, rtol=1e-10)


def test_snr_profile_of_stacked_pairs_is_that_of_each(states):
    stacked = [np.stack([h, 2 * h[::-1]]) for h in states]
    found = residual.snr_profile(*stacked)
    alone = residual.snr_profile(*(2 * h[::-1] for h in states))
    for field in dataclasses.fields(alone):
        np.testing.assert_allclose(getattr(found, field.name)[1], getattr(alone, field.name))


def test_snr_is_invariant_to_rotation_scale_and_a_common_shift(rng, states):
    d = states[0].shape[-1]
    q, shift = rotation(rng, d), rng.standard_normal(d)
    plain, moved = residual.snr_profile(*states), residual.snr_profile(*(5 * h @ q + shift for h in states))
    for name in ("snr", "snr_centered", "norm_ratio"):
        np.testing.assert_allclose(getattr(moved, name), getattr(plain, name), rtol=1e-9)
    np.testing.assert_array_equal(moved.improves_exact, plain.improves_exact)


def test_snr_is_not_invariant_to_a_shift_or_rotation_of_one_language(states):
    h1, h2 = states
    plain, shifted = residual.snr_profile(h1, h2), residual.snr_profile(h1 + 9, h2)
    assert (np.abs(shifted.snr / plain.snr - 1) > 0.1).all()
    np.testing.assert_allclose(shifted.snr_centered, plain.snr_centered, rtol=1e-9)
    q = rotation(np.random.default_rng(3), h1.shape[-1])
    assert (np.abs(residual.snr_profile(h1 @ q, h2).snr_centered / plain.snr_centered - 1) > 0.05).all()


def test_snr_profile_keeps_its_digits_beside_a_huge_offset(states):
    """Some residual streams carry coordinates of 4e4 that all items share."""
    plain, moved = residual.snr_profile(*states), residual.snr_profile(*(h + 4e4 for h in states))
    for name in (*STATES, *STEPS):
        one, other = getattr(moved, name), getattr(plain, name)
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6, err_msg=name)


def test_distances_are_unbiased_for_few_items(rng):
    h1, h2 = rng.standard_normal((2, 2000, 1, 3, 5))
    profile = residual.snr_profile(h1, h2)
    for name in ("d_same", "d_diff", "d_cross"):
        assert getattr(profile, name).mean() == pytest.approx(10, rel=0.03)


def test_a_layer_that_adds_nothing_has_no_norm_ratio(states):
    h1, h2 = (np.repeat(h[:1], 2, axis=0) for h in states)
    profile = residual.snr_profile(h1, h2)
    assert np.isnan(profile.norm_ratio).all()
    np.testing.assert_array_equal(profile.snr[0], profile.snr[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h[:, :-1], "expected twice"),
        (lambda h: h[0], "expected twice"),
        (lambda h: np.where(np.arange(len(h))[:, None, None] == 1, np.nan, h), r"index \(1, 0, 0\)"),
        (lambda h: np.where(np.arange(len(h))[:, None, None] == 1, 0.1, h), "one state at layer 1"),
    ],
)
def test_snr_profile_refuses_states_it_cannot_pair(states, change, message):
    with pytest.raises(ValueError, match=message):
        residual.snr_profile(states[0], change(states[1]))


def test_snr_profile_refuses_groups_without_pairs(states):
    for groups, message in (
        (np.zeros(states[0].shape[1]), "found 1 groups, expected"),
        ([0, 1], "one label per"),
    ):
        with pytest.raises(ValueError, match=message):
            residual.snr_profile(*states, groups=groups)


GROUPS = np.repeat(np.arange(6), [3, 5, 4, 2, 6, 4])


def grouped_states(rng, sharing=0.6, d=8, n_states=4):
    scenario = rng.standard_normal((n_states, 6, d))[:, GROUPS]
    item, own = rng.standard_normal((n_states, 24, d)), rng.standard_normal((2, n_states, 24, d))
    return tuple(np.cumsum(sharing * (scenario + item) + own, axis=1))


def drawn(groups, weights):
    """Items of a resample and the scenario each came from, duplicates included."""
    items = np.concatenate([np.repeat(np.flatnonzero(groups == g), int(w)) for g, w in enumerate(weights)])
    return items, groups[items]


@three_seeds
def test_snr_replicates_equal_the_profile_of_every_resample(rng):
    """The oracle repeats the drawn items and keeps the pairs that come from different scenarios."""
    h1, h2 = grouped_states(rng)
    shuffled = rng.permutation(24)  # groups need not be contiguous
    h1, h2, groups = h1[:, shuffled], h2[:, shuffled], GROUPS[shuffled]
    weights = group_weights(np.arange(6), 12, rng=np.random.default_rng(9))
    result = residual.snr_replicates(h1, h2, groups, weights)
    for b, row in enumerate(weights):
        items, origin = drawn(groups, row)
        expected = residual.snr_profile(h1[:, items], h2[:, items], groups=origin)
        for name in (*STATES, *STEPS, "d_diff_each", "improves_exact", "improves_orthogonal"):
            found = getattr(result.replicates, name)[b]
            np.testing.assert_allclose(found, getattr(expected, name), rtol=1e-9, atol=1e-9, err_msg=name)
    # fewer resamples than scenarios are summed another way
    few = residual.snr_replicates(h1, h2, groups, weights[:3])
    np.testing.assert_allclose(few.replicates.cross_diff, result.replicates.cross_diff[:3], atol=1e-9)
    assert result.n_groups == 6
    np.testing.assert_allclose(result.estimate.snr, residual.snr_profile(h1, h2, groups=groups).snr)


def test_duplicates_counted_as_distinct_would_lower_d_diff(rng):
    """Negative control: what leaving out pairs of one scenario avoids."""
    h1, h2 = (h[:, :8] for h in grouped_states(rng))
    alone = np.arange(8)
    result = residual.snr_replicates(h1, h2, alone, group_weights(alone, 1000, rng=rng))
    naive = []
    for row in group_weights(alone, 200, rng=rng):
        items, _ = drawn(alone, row)
        naive.append(residual.snr_profile(h1[:, items], h2[:, items]).d_diff)
    assert (np.mean(naive, 0) < 0.92 * result.estimate.d_diff).all()
    np.testing.assert_allclose(result.replicates.d_diff.mean(0), result.estimate.d_diff, rtol=0.03)


def test_snr_replicates_spread_like_fresh_samples(rng):
    groups = np.repeat(np.arange(20), 5)

    def sample():
        return 0.7 * rng.standard_normal((1, 20, 10))[:, groups] + rng.standard_normal((2, 1, 100, 10))

    fresh = np.array([residual.snr_profile(*sample(), groups=groups).snr[0] for _ in range(200)])
    spreads = [
        residual.snr_replicates(*sample(), groups, group_weights(groups, 200, rng=rng)).replicates.snr.std()
        for _ in range(20)
    ]
    assert 0.7 < np.mean(spreads) / fresh.std() < 1.3


def test_resampling_lowers_snr_centered(rng):
    groups = np.repeat(np.arange(10), 8)
    own = rng.standard_normal((2, 1, 10, 40))[:, :, groups]  # each language's own scenarios
    states = own + 0.1 * rng.standard_normal((2, 1, 80, 40))
    result = residual.snr_replicates(*states, groups, group_weights(groups, 2000, rng=rng))
    assert result.replicates.snr_centered.mean() < result.estimate.snr_centered - 0.05


def test_shuffled_norm_ratio_equals_the_profile_of_shuffled_items(states):
    h1, h2 = states
    rng = np.random.default_rng(0)
    n = h1.shape[1]
    shuffles = np.array([np.arange(n), *(rng.permutation(n) for _ in range(3))])
    raw = residual.shuffled_norm_ratio(h1, h2, shuffles)
    centred = residual.shuffled_norm_ratio(h1, h2, shuffles, center=True)
    for b, p in enumerate(shuffles):
        np.testing.assert_allclose(raw[b], residual.snr_profile(h1, h2[:, p]).norm_ratio, rtol=1e-9)
        means = [np.mean(h, axis=1, keepdims=True) for h in states]
        profile = residual.snr_profile(h1 - means[0], h2[:, p] - means[1])
        np.testing.assert_allclose(centred[b], profile.norm_ratio, rtol=1e-9)


def test_replicates_of_scenarios_that_share_one_state_are_undefined(rng):
    """Of three scenarios two hold one item: resamples of these alone have no distance between items."""
    h1, h2 = rng.standard_normal((2, 3, 9, 5))
    h1[:, :6], h2[:, :6] = h1[:, :1], h2[:, :1]
    scenario = np.repeat([0, 1, 2], 3)
    weights = np.array([[2.0, 1, 0], [1, 1, 1], [1, 0, 2]])
    found = residual.snr_replicates(h1, h2, scenario, weights).replicates
    assert np.isnan(found.snr[0]).all()
    assert np.isfinite(found.snr[1:]).all()
    h1[:, 6:], h2[:, 6:] = h1[:, :1], h2[:, :1]
    with pytest.raises(ValueError, match="all items share one state"):
        residual.snr_replicates(h1, h2, scenario, weights)

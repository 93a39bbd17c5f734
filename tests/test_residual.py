"""Exact accounting of the snr: loop oracles, identities, invariances and the bootstrap."""

import dataclasses

import numpy as np
import pytest
from zspace.measures import residual
from zspace.measures.resampling import group_weights

SHAPES = ((0, 5, 12, 7), (1, 2, 9, 30), (2, 7, 25, 3))  # seed, L+1, n, d
STATES = ("d_same", "d_diff", "d_cross", "snr", "snr_centered")
STEPS = ("delta_sq", "sigma_sq", "cross_same", "cross_diff", "norm_ratio")


@pytest.fixture(params=SHAPES, ids=lambda shape: f"seed{shape[0]}")
def states(request):
    seed, n_states, n, d = request.param
    rng = np.random.default_rng(seed)
    shared, own = rng.standard_normal((n_states, n, d)), rng.standard_normal((2, n_states, n, d))
    offsets = 3 * rng.standard_normal((2, 1, 1, d))
    h1, h2 = np.cumsum(shared + 0.7 * own, axis=1) + offsets
    return h1, h2


def inner(a, b, pairs):
    """Mean of <a_i - a_j, b_i - b_j> over the pairs."""
    return np.mean([(a[i] - a[j]) @ (b[i] - b[j]) for i, j in pairs])


def by_loops(h1, h2, groups):
    """Every field of the profile from its definition, item by item."""
    n = h1.shape[1]
    pairs = [(i, j) for i in range(n) for j in range(n) if groups[i] != groups[j]]
    result = {name: [] for name in (*STATES, *STEPS, "each")}
    for a, b in zip(h1, h2, strict=True):
        same, each = (
            np.mean([np.sum((a[i] - b[i]) ** 2) for i in range(n)]),
            [inner(h, h, pairs) for h in (a, b)],
        )
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


def test_snr_is_invariant_to_rotation_scale_and_a_common_shift(states):
    rng = np.random.default_rng(7)
    d = states[0].shape[-1]
    q, shift = np.linalg.qr(rng.standard_normal((d, d)))[0], rng.standard_normal(d)
    plain, moved = residual.snr_profile(*states), residual.snr_profile(*(5 * h @ q + shift for h in states))
    for name in ("snr", "snr_centered", "norm_ratio"):
        np.testing.assert_allclose(getattr(moved, name), getattr(plain, name), rtol=1e-9)
    np.testing.assert_array_equal(moved.improves_exact, plain.improves_exact)


def test_snr_is_not_invariant_to_a_shift_or_rotation_of_one_language(states):
    h1, h2 = states
    plain, shifted = residual.snr_profile(h1, h2), residual.snr_profile(h1 + 9, h2)
    assert (np.abs(shifted.snr / plain.snr - 1) > 0.1).all()
    np.testing.assert_allclose(shifted.snr_centered, plain.snr_centered, rtol=1e-9)
    q = np.linalg.qr(np.random.default_rng(3).standard_normal((h1.shape[-1],) * 2))[0]
    assert (np.abs(residual.snr_profile(h1 @ q, h2).snr_centered / plain.snr_centered - 1) > 0.05).all()


def test_snr_centered_is_the_snr_of_centred_states(states):
    plain = residual.snr_profile(*states)
    centred = residual.snr_profile(*(h - h.mean(1, keepdims=True) for h in states))
    np.testing.assert_allclose(plain.snr_centered, centred.snr, rtol=1e-9)


def test_snr_profile_keeps_its_digits_beside_a_huge_offset(states):
    """Some residual streams carry coordinates of 4e4 that all items share."""
    plain, moved = residual.snr_profile(*states), residual.snr_profile(*(h + 4e4 for h in states))
    for name in (*STATES, *STEPS):
        np.testing.assert_allclose(
            getattr(moved, name), getattr(plain, name), rtol=1e-6, atol=1e-6, err_msg=name
        )


def test_distances_are_unbiased_for_few_items():
    rng = np.random.default_rng(0)
    h1, h2 = rng.standard_normal((2, 2000, 1, 3, 5))
    profile = residual.snr_profile(h1, h2)
    for name in ("d_same", "d_diff", "d_cross"):
        assert getattr(profile, name).mean() == pytest.approx(10, rel=0.03)


def test_snr_profile_of_identical_languages_is_noiseless(states):
    profile = residual.snr_profile(states[0], states[0])
    np.testing.assert_array_equal(profile.snr, 0)
    assert not profile.improves_exact.any()


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
    ],
)
def test_snr_profile_refuses_states_it_cannot_pair(states, change, message):
    with pytest.raises(ValueError, match=message):
        residual.snr_profile(states[0], change(states[1]))


def test_snr_profile_refuses_states_without_spread_and_groups_without_pairs(states):
    h1, h2 = (h.copy() for h in states)
    h1[1] = 0.1 * np.arange(h1.shape[-1])
    with pytest.raises(ValueError, match="one state at layer 1"):
        residual.snr_profile(h1, h2)
    with pytest.raises(ValueError, match="found 1 groups, expected at least 2"):
        residual.snr_profile(*states, groups=np.zeros(h1.shape[1]))
    with pytest.raises(ValueError, match="one label per item"):
        residual.snr_profile(*states, groups=[0, 1])


GROUPS = np.repeat(np.arange(6), [3, 5, 4, 2, 6, 4])


def grouped_states(rng, sharing=0.6, d=8, n_states=4):
    scenario = rng.standard_normal((n_states, 6, d))[:, GROUPS]
    item, own = rng.standard_normal((n_states, 24, d)), rng.standard_normal((2, n_states, 24, d))
    h1, h2 = np.cumsum(sharing * (scenario + item) + own, axis=1)
    return h1, h2


def drawn(groups, weights):
    """Items of a resample and the scenario each came from, duplicates included."""
    items = np.concatenate([np.repeat(np.flatnonzero(groups == g), int(w)) for g, w in enumerate(weights)])
    return items, groups[items]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_snr_replicates_equal_the_profile_of_every_resample(seed):
    """The oracle repeats the drawn items and keeps the pairs that come from different scenarios."""
    rng = np.random.default_rng(seed)
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
    many = group_weights(np.arange(6), 3, rng=np.random.default_rng(9))
    few = residual.snr_replicates(h1, h2, groups, many)
    expected = residual.snr_profile(
        *(h[:, drawn(groups, many[0])[0]] for h in (h1, h2)), groups=drawn(groups, many[0])[1]
    )
    np.testing.assert_allclose(few.replicates.cross_diff[0], expected.cross_diff, atol=1e-9)
    assert result.n_groups == 6
    np.testing.assert_allclose(result.estimate.snr, residual.snr_profile(h1, h2, groups=groups).snr)


def test_duplicates_counted_as_distinct_would_lower_d_diff():
    """Negative control: what leaving out pairs of one scenario avoids."""
    rng = np.random.default_rng(0)
    h1, h2 = (h[:, :8] for h in grouped_states(rng))
    alone = np.arange(8)
    result = residual.snr_replicates(h1, h2, alone, group_weights(alone, 1000, rng=rng))
    naive = []
    for row in group_weights(alone, 200, rng=rng):
        items, _ = drawn(alone, row)
        naive.append(residual.snr_profile(h1[:, items], h2[:, items]).d_diff)
    assert (np.mean(naive, 0) < 0.92 * result.estimate.d_diff).all()
    np.testing.assert_allclose(result.replicates.d_diff.mean(0), result.estimate.d_diff, rtol=0.03)


def test_snr_replicates_spread_like_fresh_samples():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 5)

    def sample():
        scenario = np.repeat(rng.standard_normal((1, 20, 10)), 5, axis=1)
        h1, h2 = 0.7 * scenario + rng.standard_normal((2, 1, 100, 10))
        return h1, h2

    fresh = np.array([residual.snr_profile(*sample(), groups=groups).snr[0] for _ in range(200)])
    spreads = [
        residual.snr_replicates(*sample(), groups, group_weights(groups, 200, rng=rng)).replicates.snr.std()
        for _ in range(20)
    ]
    assert 0.7 < np.mean(spreads) / fresh.std() < 1.3


def test_resampling_lowers_snr_centered():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(10), 8)
    own = np.repeat(rng.standard_normal((2, 1, 10, 40)), 8, axis=2)  # each language's own scenarios
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

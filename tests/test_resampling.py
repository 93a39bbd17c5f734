"""Grouped bootstrap, stratified shuffles and multiple tests: exactness, size, coverage and power."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from zspace.measures import resampling


@pytest.fixture(params=(0, 1, 2))
def rng(request):
    return np.random.default_rng(request.param)


def clustered_outcomes(rng, n_groups, size, mean, correlation):
    """Beta-binomial outcomes: (n,) bool and their groups."""
    scale = (1 - correlation) / correlation
    chance = rng.beta(mean * scale, (1 - mean) * scale, n_groups)
    return rng.random(n_groups * size) < np.repeat(chance, size), np.repeat(np.arange(n_groups), size)


def coverage(n_simulations, n_groups, mean, correlation, seed=0, **options):
    rng = np.random.default_rng(seed)
    inside = 0
    for _ in range(n_simulations):
        outcomes, groups = clustered_outcomes(rng, n_groups, 8, mean, correlation)
        interval = resampling.bootstrap(outcomes, groups, n_resamples=400, rng=rng, **options)
        inside += interval.low <= mean <= interval.high
    return inside / n_simulations


def test_bootstrap_replicates_equal_a_loop_over_drawn_groups(rng):
    values, groups = rng.standard_normal((2, 3, 9)), np.array(list("bbaaaccdd"))
    interval = resampling.bootstrap(values, groups, n_resamples=50, rng=np.random.default_rng(5))
    weights = resampling.group_weights(groups, 50, rng=np.random.default_rng(5))
    for b, drawn in enumerate(weights):
        items = np.concatenate(
            [np.flatnonzero(groups == g) for g, w in zip("abcd", drawn, strict=True) for _ in range(int(w))]
        )
        np.testing.assert_allclose(interval.replicates[b], values[..., items].mean(-1), atol=1e-12)
    np.testing.assert_allclose(interval.estimate, values.mean(-1), atol=1e-12)
    assert (interval.low <= interval.estimate).all()
    assert (interval.estimate <= interval.high).all()
    assert interval.n_groups == 4
    again = resampling.interval_of(interval.estimate[0, 0], interval.replicates[:, 0, 0], 4)
    assert (again.low, again.high) == (interval.low[0, 0], interval.high[0, 0])


def test_bootstrap_depends_on_the_seed_and_on_nothing_else(rng):
    values, groups = rng.random(30) < 0.5, np.repeat(np.arange(10), 3)
    options = {"n_resamples": 300}
    low = [
        resampling.bootstrap(values, groups, rng=np.random.default_rng(s), **options).low for s in (1, 1, 2)
    ]
    assert low[0] == low[1] != low[2]


def test_bootstrap_is_equivariant_to_scale_and_blind_to_labels(rng):
    values, groups = rng.standard_normal(30), np.repeat(np.arange(10), 3)

    def interval(v, g):
        return resampling.bootstrap(v, g, n_resamples=300, rng=np.random.default_rng(1))

    plain, scaled = interval(values, groups), interval(5 * values + 2, groups)
    np.testing.assert_allclose(scaled.high, 5 * plain.high + 2)
    renamed = interval(values, np.array([f"story-{g}" for g in groups]))
    np.testing.assert_allclose(renamed.high, plain.high)


def test_bootstrap_covers_with_few_groups():
    assert coverage(200, 12, 0.5, 0.3) >= 0.92
    assert coverage(200, 10, 0.9, 0.3) >= 0.92


def test_bootstrap_keeps_an_honest_width_where_every_outcome_is_the_same():
    groups = np.repeat(np.arange(12), 8)
    for value, side in ((True, "low"), (False, "high")):
        interval = resampling.bootstrap(np.full(96, value), groups, rng=np.random.default_rng(0))
        exact = stats.beta.ppf(0.025, 12, 1)  # Clopper-Pearson with groups that are all or nothing
        distance = abs(getattr(interval, side) - float(value))
        assert 0.08 < distance < 1 - exact
        assert float(value) in (interval.low, interval.high)
    assert coverage(200, 12, 0.99, 0.3) >= 0.95


def test_bootstrap_without_bounds_is_degenerate_where_every_outcome_is_the_same():
    """Negative control: what the pseudo-groups are for."""
    values, groups = np.ones(96), np.repeat(np.arange(12), 8)
    interval = resampling.bootstrap(values, groups, rng=np.random.default_rng(0), bounds=None)
    assert interval.high == interval.low == 1
    assert coverage(60, 12, 0.99, 0.3, bounds=None) < 0.6


@pytest.mark.full
@pytest.mark.parametrize("n_groups", [8, 10, 15, 30])
@pytest.mark.parametrize("mean", [0.125, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("correlation", [0.1, 0.4])
def test_bootstrap_covers_over_the_grid(n_groups, mean, correlation):
    assert coverage(600, n_groups, mean, correlation) >= 0.93


def test_bootstrap_of_paired_differences_tells_effect_from_none():
    rng = np.random.default_rng(0)
    found, false = 0, 0
    for _ in range(100):
        trained, groups = clustered_outcomes(rng, 15, 8, 0.7, 0.2)
        control, other = (clustered_outcomes(rng, 15, 8, m, 0.2)[0] for m in (0.1, 0.7))
        options = {"n_resamples": 300, "rng": rng, "bounds": (-1, 1)}
        found += resampling.bootstrap(trained * 1.0 - control, groups, **options).low > 0.1
        false += resampling.bootstrap(trained * 1.0 - other, groups, **options).low > 0
    assert found >= 85
    assert false <= 5


@pytest.mark.parametrize(
    ("values", "groups", "options", "message"),
    [
        ([1.0, np.nan, 2.0], [0, 1, 2], {}, "index \\(1,\\)"),
        ([1.0, 2.0, 3.0], [0, 1], {}, "one label per item"),
        ([1.0, 2.0], [0, 0], {}, "expected at least 2"),
        ([0.0, -1.0], [0, 1], {"bounds": (0, 1)}, "outside bounds"),
        ([0.0, 1.0], [0, 1], {"confidence": 95}, "confidence"),
    ],
)
def test_bootstrap_refuses_what_it_cannot_resample(values, groups, options, message):
    with pytest.raises(ValueError, match=message):
        resampling.bootstrap(values, groups, rng=np.random.default_rng(0), **options)


def test_interval_of_leaves_out_a_few_undefined_replicates_and_gives_up_on_many(rng):
    replicates = rng.standard_normal(1000)
    few, many = replicates.copy(), replicates.copy()
    few[:20], many[:100] = np.nan, np.nan
    assert resampling.interval_of(0.0, few, 12).low == resampling.interval_of(0.0, replicates[20:], 12).low
    assert np.isnan(resampling.interval_of(0.0, many, 12).low)
    assert np.isnan(resampling.interval_of(np.nan, few, 12).high)


def test_group_weights_draw_as_many_groups_as_there_are_and_never_one_only(rng):
    weights = resampling.group_weights(np.repeat([3, 7, 9], 4), 3000, rng=rng)
    np.testing.assert_array_equal(weights.sum(1), 3)
    assert ((weights > 0).sum(1) >= 2).all()
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.06)


def test_stratified_permutations_stay_in_their_stratum_and_are_uniform(rng):
    strata = np.array([2, 0, 1, 2, 0, 2, 1])
    shuffles = resampling.stratified_permutations(strata, n_shuffles=6000, rng=rng)
    np.testing.assert_array_equal(np.sort(shuffles, 1), np.tile(np.arange(7), (6000, 1)))
    assert (strata[shuffles] == strata).all()
    _, counts = np.unique(shuffles, axis=0, return_counts=True)
    assert len(counts) == 6 * 2 * 2
    assert stats.chisquare(counts).pvalue > 1e-3


def test_stratified_permutations_count_items_that_cannot_move(rng):
    with pytest.warns(UserWarning, match="2 of 6 items are alone"):
        shuffles = resampling.stratified_permutations(list("aabbcd"), n_shuffles=50, rng=rng)
    assert (shuffles[:, 4:] == [4, 5]).all()
    assert (shuffles[:, :4] != np.arange(4)).any()
    with pytest.raises(ValueError, match="coarser"):
        resampling.stratified_permutations([1, 2, 3], n_shuffles=5, rng=rng)


def test_permutation_max_equals_its_definition(rng):
    observed, null = rng.standard_normal(4) + 1, rng.standard_normal((99, 4))
    raw = resampling.permutation_max(observed, null, standardise=False)
    expected = [(1 + sum(row.max() >= value for row in null)) / 100 for value in observed]
    np.testing.assert_allclose(raw.adjusted, expected)
    assert raw.pvalue == min(expected)
    assert raw.statistic == observed.max()
    assert raw.n_resamples == 99


def test_permutation_max_is_invariant_to_the_scale_of_a_component_only_if_standardised(rng):
    observed, null = np.array([3.0, 0.1]), rng.standard_normal((199, 2))
    scale = np.array([1.0, 1000.0])
    same = [resampling.permutation_max(observed * s, null * s).pvalue for s in (1, scale)]
    assert same[0] == same[1] < 0.05
    assert resampling.permutation_max(observed * scale, null * scale, standardise=False).pvalue > 0.1


def test_permutation_max_has_its_size_and_finds_one_component_in_many():
    rng = np.random.default_rng(0)
    false, found = 0, 0
    common = rng.standard_normal((1000, 100, 1))
    for shared in common:
        rows = shared + rng.standard_normal((100, 12))
        false += resampling.permutation_max(rows[0], rows[1:]).pvalue <= 0.05
        rows[0, 3] += 6
        result = resampling.permutation_max(rows[0], rows[1:])
        found += result.adjusted[3] <= 0.05
    assert 0.03 <= false / 1000 <= 0.07
    assert found / 1000 > 0.85


def test_permutation_max_ignores_a_component_no_shuffle_changes(rng):
    null = np.column_stack([np.full(99, 0.3), rng.standard_normal(99)])
    result = resampling.permutation_max([0.3, 5.0], null)
    np.testing.assert_allclose(result.adjusted, [1, 0.01], atol=0.7)
    assert result.adjusted[0] > 0.4 > 0.05 > result.adjusted[1]


def test_permutation_max_two_sided_sees_a_fall(rng):
    null = rng.standard_normal((199, 3))
    assert resampling.permutation_max([0, -6, 0], null, alternative="two-sided").pvalue < 0.01
    assert resampling.permutation_max([0, -6, 0], null).pvalue > 0.1


def test_permutation_max_refuses_statistics_that_do_not_match():
    with pytest.raises(ValueError, match="expected"):
        resampling.permutation_max([1.0, 2.0], np.zeros((9, 3)))
    with pytest.raises(ValueError, match="NaN"):
        resampling.permutation_max([np.nan], np.zeros((9, 1)))


def test_holm_equals_its_definition_and_keeps_the_order(rng):
    pvalues = rng.random(7)
    order = np.argsort(pvalues)
    expected = np.empty(7)
    expected[order] = np.minimum(np.maximum.accumulate(pvalues[order] * (7 - np.arange(7))), 1)
    np.testing.assert_allclose(resampling.holm(pvalues), expected)
    assert resampling.holm([]).size == 0
    with pytest.raises(ValueError, match="untested"):
        resampling.holm([0.1, np.nan])


def test_with_error_adds_in_quadrature_and_leaves_an_exact_estimate_alone(rng):
    one = resampling.interval_of(1.0, 1.0 + 0.1 * rng.standard_normal(4000), 40)
    assert resampling.with_error(one, 0.0, 5) is one
    wide = resampling.with_error(one, 0.2, 1e6)
    for side, sign in (("low", -1), ("high", 1)):
        expected = np.hypot(getattr(one, side) - 1.0, 1.96 * 0.2)
        assert getattr(wide, side) == pytest.approx(1.0 + sign * expected, rel=1e-4)
    assert wide.margin == pytest.approx(1.96 * 0.2, rel=1e-4)
    assert resampling.with_error(one, 0.2, 2).low < wide.low  # a spread that two degrees of freedom tell


def test_with_error_covers_the_difference_of_two_means(rng):
    """A mean of 20 groups minus one of 5 exchangeable values: nominal 95 %."""
    covered = 0
    for _ in range(400):
        values, others = rng.standard_normal(20), rng.standard_normal(5)
        own = resampling.bootstrap(values, np.arange(20), n_resamples=300, rng=rng)
        apart = replace(
            own, **{k: getattr(own, k) - others.mean() for k in ("estimate", "low", "high", "replicates")}
        )
        found = resampling.with_error(apart, others.std(ddof=1) / np.sqrt(5), 4)
        covered += found.low <= 0 <= found.high
    assert 0.92 <= covered / 400 <= 0.99


@pytest.mark.parametrize("n", [12, 60, 2400])
def test_foreign_permutation_never_keeps_a_group_and_seldom_leaves_a_stratum(n, rng):
    groups, strata = rng.integers(0, max(4, n // 8), n), rng.integers(0, 3, n)
    found = resampling.foreign_permutation(groups, strata, rng=rng)
    assert sorted(found) == list(range(n))
    assert not (groups[found] == groups).any()
    if n > 12:
        assert (strata[found] == strata).mean() > 0.95
    assert (resampling.foreign_permutation(groups, strata, rng=rng) != found).any()
    # negative control: a shuffle within strata keeps a group now and then
    plain = resampling.stratified_permutations(strata, n_shuffles=200, rng=rng)
    assert (groups[plain] == groups).any()


STRUCTURES = {
    "singletons": lambda rng: np.arange(30),
    "pairs": lambda rng: np.repeat(np.arange(12), 2),
    "families of unlike sizes": lambda rng: np.repeat(np.arange(20), rng.integers(1, 9, 20)),
    "one group of half the items": lambda rng: np.r_[np.zeros(14, int), np.arange(1, 15)],
    "two groups": lambda rng: np.repeat([0, 1], 9),
    "labels that are words": lambda rng: np.array(list("aabbbccdde")),
}


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("follow", [0.0, 0.5, 1.0])
def test_foreign_permutation_never_keeps_a_group_whatever_groups_and_strata_are(structure, follow, rng):
    """Strata that are unrelated to groups, follow them half of the time, or are the groups themselves."""
    for _ in range(5):
        groups = rng.permutation(STRUCTURES[structure](rng))
        codes = np.unique(groups, return_inverse=True)[1]
        strata = np.where(rng.random(len(codes)) < follow, codes % 6, rng.integers(0, 6, len(codes)))
        found = resampling.foreign_permutation(groups, strata, rng=rng)
        assert sorted(found) == list(range(len(groups)))
        assert not (groups[found] == groups).any()


def test_foreign_permutation_leaves_strata_as_seldom_as_can_be(rng):
    """Against all permutations of seven items."""
    everyone = np.array([*permutations(range(7))])
    for _ in range(10):
        groups, strata = rng.permutation([0, 0, 0, 1, 1, 2, 3]), rng.integers(0, 3, 7)
        foreign = everyone[(groups[everyone] != groups).all(1)]
        least = (strata[foreign] != strata).sum(1).min()
        assert (strata[resampling.foreign_permutation(groups, strata, rng=rng)] != strata).sum() == least


def test_foreign_permutation_gives_every_foreign_item_of_the_stratum_alike(rng):
    """No partner is preferred: each of the eight others in the stratum comes in an eighth of the draws."""
    groups, strata = np.repeat(np.arange(10), 2), np.repeat([0, 1], 10)
    drawn = np.array([resampling.foreign_permutation(groups, strata, rng=rng) for _ in range(1200)])
    counts = np.array([np.bincount(drawn[:, i], minlength=20) for i in range(20)])
    allowed = (strata[:, None] == strata) & (groups[:, None] != groups)
    assert (counts[~allowed] == 0).all()
    assert np.abs(counts[allowed] / 1200 - 1 / 8).max() < 5 * np.sqrt(1 / 8 * 7 / 8 / 1200)


def test_foreign_permutation_pairs_a_large_group_of_one_stratum_among_many_items(rng):
    """A family of short names among 1,100: a part of the items must not be this family alone."""
    groups = np.r_[np.zeros(400, int), np.arange(1, 701)]
    strata = (groups > 0).astype(int) + (groups > 350)
    found = resampling.foreign_permutation(groups, strata, rng=rng)
    assert not (groups[found] == groups).any()
    assert sorted(found) == list(range(1100))


def test_foreign_permutation_refuses_a_group_of_more_than_half():
    with pytest.raises(ValueError, match="one group holds 4 of 6 items"):
        resampling.foreign_permutation([0, 0, 0, 0, 1, 2], np.zeros(6), rng=np.random.default_rng(0))

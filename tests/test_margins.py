"""Margins of single items and their slope on difficulty: brute force, planted slopes, size and power."""

import numpy as np
import pytest
from builders import compatible, three_seeds
from scipy import stats
from zspace.errors import MeasureError
from zspace.measures import alignment, margins

LEVELS = np.arange(1.0, 6.0)


def corpus(rng, *, slope=0.1, n_groups=30, scenario=0.8):
    """Areas of five levels a scenario with noise of sd 1; the slope is per level, in units of that noise."""
    groups, level = np.repeat(np.arange(n_groups), 5), np.tile(LEVELS, n_groups)
    area = slope * level + scenario * rng.standard_normal(n_groups)[groups]
    return area + rng.standard_normal(groups.size), level, groups


def in_units(slope):
    """The planted slope in standard deviations within scenarios, the part of difficulty included."""
    return slope / np.sqrt(1 + slope**2 * LEVELS.var(ddof=1))


@pytest.mark.parametrize("level", ["item", "between", "within"])
@three_seeds
def test_margins_equal_a_loop_over_candidates(rng, level):
    scores, groups = rng.standard_normal((2, 9, 9)), np.array(list("abcabcabc"))
    found = margins.margins(scores, groups=groups, level=level)
    for layer, i in np.ndindex(2, 9):
        wrong = {
            "item": [j for j in range(9) if j != i],
            "between": [j for j in range(9) if groups[j] != groups[i]],
            "within": [j for j in range(9) if j != i and groups[j] == groups[i]],
        }[level]
        best = max(scores[layer, i, j] for j in wrong) + max(scores[layer, j, i] for j in wrong)
        assert found[layer, i] == pytest.approx(scores[layer, i, i] - best / 2)


def test_margins_are_positive_where_both_directions_retrieve(rng):
    x = rng.standard_normal((3, 40, 8))
    y = x + rng.standard_normal(x.shape)
    found = margins.margins(alignment.similarity(x, y))
    hits = alignment.retrieval_outcomes(x, y).all(-2)
    misses = ~alignment.retrieval_outcomes(x, y).any(-2)
    assert hits.sum() > 10 < misses.sum()
    assert (found[hits] > 0).all()
    assert (found[misses] < 0).all()


@pytest.mark.parametrize(
    ("scores", "options", "words"),
    [
        (np.zeros((3, 4)), {}, "shape"),
        (np.full((3, 3), np.nan), {}, "finite"),
        (np.zeros((3, 3)), {"level": "beyond"}, "unknown level"),
        (np.zeros((3, 3)), {"level": "between"}, "pass groups"),
        (np.zeros((3, 3)), {"level": "between", "groups": ["a"] * 3}, "found 1 groups"),
        (np.zeros((3, 3)), {"level": "within", "groups": list("aab")}, "item 2 has no wrong"),
    ],
)
def test_margins_say_what_is_wrong(scores, options, words):
    with pytest.raises(ValueError, match=words):
        margins.margins(scores, **options)


@three_seeds
def test_difficulty_slope_is_that_of_least_squares_with_a_dummy_for_each_scenario(rng):
    area, level, groups = corpus(rng, n_groups=12)
    keep = rng.random(area.size) < 0.8  # unequal scenarios
    area, level, groups = area[keep], level[keep], groups[keep]
    length = level + rng.standard_normal(level.size)
    found = margins.difficulty_slope(area, level, groups, covariates=length)
    design = np.column_stack([level, length, np.eye(12)[groups]])
    fit = np.linalg.lstsq(design, area, rcond=None)[0]
    assert found.slope * found.unit == pytest.approx(fit[0], rel=1e-9)


def test_difficulty_slope_is_a_t_test_on_the_slopes_of_the_scenarios(rng):
    area, level, groups = corpus(rng, n_groups=15)
    found = margins.difficulty_slope(area, level, groups)
    own = [stats.linregress(level[groups == g], area[groups == g]).slope / found.unit for g in range(15)]
    test = stats.ttest_1samp(own, 0)
    assert found.slope == pytest.approx(np.mean(own))
    assert found.pvalue == pytest.approx(test.pvalue)
    assert found.interval == pytest.approx(tuple(test.confidence_interval(0.95)))


@pytest.mark.parametrize("n", [200, pytest.param(2000, marks=pytest.mark.full)])
def test_difficulty_slope_holds_its_size_where_slopes_differ_by_scenario(rng, n):
    """Negative control: least squares that takes all items as independent."""
    false = np.zeros(2)
    for _ in range(n):
        area, level, groups = corpus(rng, slope=0, n_groups=20)
        area = area + 0.5 * rng.standard_normal(20)[groups] * (level - level.mean())
        found = margins.difficulty_slope(area, level, groups)
        centred = area - (np.bincount(groups, area) / np.bincount(groups))[groups]
        false += [found.pvalue < 0.05, stats.linregress(level, centred).pvalue < 0.05]
    assert compatible(false[0], n, 0.05, "greater")
    assert compatible(false[0], n, 0.03, "less")
    assert not compatible(false[1], n, 0.10, "greater")


def test_difficulty_slope_does_not_depend_on_units_names_or_how_much_scenarios_differ(rng):
    area, level, groups = corpus(rng)
    plain = margins.difficulty_slope(area, level, groups)
    scaled = margins.difficulty_slope(0.02 * area + 3, level + 10, [f"s{g}" for g in groups])
    assert scaled.slope == pytest.approx(plain.slope, rel=1e-4)
    assert scaled.unit == pytest.approx(0.02 * plain.unit)
    apart = margins.difficulty_slope(area + 5 * rng.standard_normal(30)[groups], level, groups)
    assert apart.slope == pytest.approx(plain.slope, rel=1e-3)
    assert apart.unit == pytest.approx(plain.unit)
    # negative control: another slope is another number
    assert abs(margins.difficulty_slope(area + level, level, groups).slope - plain.slope) > 0.2
    assert (plain.n_items, plain.n_groups) == (150, 30)


@pytest.mark.parametrize("n", [40, pytest.param(1000, marks=pytest.mark.full)])
def test_difficulty_slope_covers_and_finds_the_planted_slope(rng, n):
    truth = in_units(0.3)
    found = [margins.difficulty_slope(*corpus(rng, slope=0.3, n_groups=20)) for _ in range(n)]
    covered = sum(f.interval[0] <= truth <= f.interval[1] for f in found)
    assert compatible(covered, n, 0.93, "less")
    assert compatible(covered, n, 0.98, "greater")
    slopes = np.array([f.slope for f in found])
    assert slopes.mean() == pytest.approx(truth, abs=max(0.015, 3 * slopes.std() / np.sqrt(n)))
    assert np.mean([f.pvalue < 0.05 for f in found]) >= 0.9  # power


def test_difficulty_permutation_has_size_and_power_and_depends_on_the_seed_alone(rng):
    rejected = {0.0: 0, 0.3: 0}
    for slope in rejected:
        for _ in range(25):
            area, level, groups = corpus(rng, slope=slope, n_groups=20)
            length = rng.integers(2, size=level.size)
            given = (area, level, groups, length)
            test = margins.difficulty_permutation(*given, covariates=length, n_shuffles=99, rng=rng)
            rejected[slope] += test.pvalue <= 0.05
    assert compatible(rejected[0.0], 25, 0.05, "greater")
    assert compatible(rejected[0.3], 25, 0.85, "less")
    again = [margins.difficulty_permutation(*given, rng=np.random.default_rng(s)).pvalue for s in (1, 1)]
    assert again[0] == again[1]


def test_difficulty_permutation_statistic_is_near_the_slope_of_the_model():
    area, level, groups = corpus(np.random.default_rng(0), slope=0.3)
    covariate = level + np.random.default_rng(1).standard_normal(level.size)
    slope = margins.difficulty_slope(area, level, groups, covariates=covariate)
    given = (area, level, groups, groups)
    test = margins.difficulty_permutation(*given, covariates=covariate, rng=np.random.default_rng(2))
    assert test.statistic == pytest.approx(slope.slope)
    assert test.n_resamples == 1999
    assert "exchangeable" in test.null


def test_difficulty_permutation_within_strata_ignores_what_strata_explain(rng):
    """Areas follow the stratum, and so does the level: a full shuffle is fooled, one within strata is not."""
    false = np.zeros(2)
    for _ in range(25):
        groups, strata = np.repeat(np.arange(20), 6), np.tile([0, 1, 2], 40)
        level = strata + rng.integers(1, 4, 120).astype(float)
        area = strata + rng.standard_normal(20)[groups] + rng.standard_normal(120)
        for k, classes in enumerate((strata, np.zeros(120))):
            test = margins.difficulty_permutation(area, level, groups, classes, n_shuffles=99, rng=rng)
            false[k] += test.pvalue <= 0.05
    assert compatible(false[0], 25, 0.05, "greater")
    assert compatible(false[1], 25, 0.85, "less")


def test_a_level_that_does_not_vary_within_scenarios_or_beside_covariates_has_no_slope(rng):
    area, level, groups = corpus(rng)
    with pytest.raises(MeasureError, match="varies within 0 groups"):
        margins.difficulty_slope(area, rng.integers(1, 6, 30)[groups].astype(float), groups)
    with pytest.raises(MeasureError, match="Leave out covariates"):
        margins.difficulty_slope(area, level, groups, covariates=2 * level)
    same = margins.difficulty_slope(area, level, groups, covariates=np.ones(level.size))
    assert same == margins.difficulty_slope(area, level, groups)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"area": np.zeros(9)}, "shapes"),
        ({"area": np.full(10, np.nan)}, "area holds 10 NaN"),
        ({"level": np.ones(10)}, "1 levels"),
        ({"groups": np.repeat([0, 1], 5)}, "2 groups"),
        ({"groups": np.arange(10)}, "do not vary within groups"),
        ({"area": np.repeat(np.arange(5.0), 2)}, "do not vary within groups"),
        ({"covariates": np.zeros((9, 2))}, "covariates have shape"),
        ({"covariates": np.full(10, np.inf)}, "covariates holds 10 NaN or infinite"),
    ],
)
def test_difficulty_slope_says_what_is_wrong(change, words):
    good = {"area": np.sin(np.arange(10.0)), "level": np.tile([1.0, 2], 5), "groups": np.arange(10) // 2}
    with pytest.raises(ValueError, match=words):
        margins.difficulty_slope(**(good | change))


def test_difficulty_permutation_needs_levels_that_can_be_exchanged():
    area, level, groups = corpus(np.random.default_rng(0))
    with pytest.raises(ValueError, match="coarser strata"):
        margins.difficulty_permutation(area, level, groups, level, rng=np.random.default_rng(1))
    with pytest.raises(ValueError, match="strata has shape"):
        margins.difficulty_permutation(area, level, groups, level[:-1], rng=np.random.default_rng(1))

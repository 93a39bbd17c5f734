"""Margins and what difficulty does to them: brute force, planted slopes, size of the test."""

import numpy as np
import pytest
from scipy import stats
from zspace.measures import alignment, margins

N_SCENARIOS = 20
GROUPS = np.repeat(np.arange(N_SCENARIOS), 3)
LEVEL = np.tile([1.0, 2.0, 3.0], N_SCENARIOS)


def areas(rng, slope=0.0, between=2.0) -> np.ndarray:
    """Areas with unit variance within scenarios, a larger one between them, and a slope a level."""
    own = between * rng.standard_normal(N_SCENARIOS)[GROUPS]
    return own + slope * LEVEL + rng.standard_normal(GROUPS.size)


def test_margins_equal_brute_force(rng):
    scores = rng.standard_normal((2, 9, 9))
    groups = np.repeat([0, 1, 2], 3)
    found = margins.item_margins(scores, groups)
    for layer in range(2):
        for i in range(9):
            wrong = [j for j in range(9) if groups[j] != groups[i]]
            forward = max(scores[layer, i, j] for j in wrong)
            backward = max(scores[layer, j, i] for j in wrong)
            expected = scores[layer, i, i] - (forward + backward) / 2
            assert found[layer, i] == pytest.approx(expected, abs=1e-12)


def test_positive_margins_are_retrieved_items(rng):
    x = rng.standard_normal((30, 8))
    y = x + 0.8 * rng.standard_normal((30, 8))
    groups = np.arange(30)
    scores = alignment.similarity(x, y)
    hits = alignment.outcomes_of_scores(scores)
    found = margins.item_margins(scores, groups)
    assert (found[hits.all(0)] > 0).all()
    assert (found[~hits.any(0)] < 0).all()
    # turning both languages alike changes nothing; turning one does
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    np.testing.assert_allclose(
        margins.item_margins(alignment.similarity(x @ turn, y @ turn), groups), found, atol=1e-9
    )
    assert np.abs(margins.item_margins(alignment.similarity(x @ turn, y), groups) - found).max() > 0.1


def test_planted_slope_is_covered(rng):
    covered = 0
    for stream in rng.spawn(200):
        found = margins.difficulty_slope(areas(stream, slope=-0.3), LEVEL, GROUPS)
        # the unit is the deviation within scenarios, which the slope itself adds to
        truth = -0.3 / np.sqrt(1 + 0.3**2)
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 200 <= 0.98


def test_slope_equals_least_squares_within_balanced_scenarios(rng):
    area = areas(rng, slope=0.2)
    found = margins.difficulty_slope(area, LEVEL, GROUPS)
    within = area - area.reshape(-1, 3).mean(1)[GROUPS]
    unit = np.sqrt((within**2).sum() / (GROUPS.size - N_SCENARIOS))
    assert found.estimate == pytest.approx(np.polyfit(LEVEL, within, 1)[0] / unit, rel=1e-3)
    assert found.n_groups == N_SCENARIOS
    # neither shifts and scales of the area, nor what a scenario adds to all its items, change it
    moved = 5 * area + 3 + 10 * np.arange(N_SCENARIOS)[GROUPS]
    assert margins.difficulty_slope(moved, LEVEL, GROUPS).estimate == pytest.approx(found.estimate, rel=0.02)


def test_a_covariate_takes_over_what_is_its_own(rng):
    length = LEVEL + 0.3 * rng.standard_normal(LEVEL.size)
    area = areas(rng) - 0.5 * length
    alone = margins.difficulty_slope(area, LEVEL, GROUPS)
    beside = margins.difficulty_slope(area, LEVEL, GROUPS, covariates=length)
    assert alone.high < 0
    assert beside.low < 0 < beside.high


def test_permutation_holds_its_size_and_finds_a_slope(rng):
    pvalues = [
        margins.difficulty_permutation(areas(r), LEVEL, GROUPS, n_shuffles=199, rng=r).pvalue
        for r in rng.spawn(400)
    ]
    rejected = sum(p < 0.05 for p in pvalues)
    assert stats.binomtest(rejected, 400, 0.05).pvalue > 0.01
    found = margins.difficulty_permutation(areas(rng, slope=-0.6), LEVEL, GROUPS, rng=rng)
    assert found.pvalue < 0.01
    assert found.statistic < 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"level": np.ones(60)}, "20 scenarios and 1 levels"),
        ({"groups": np.arange(60) // 30}, "2 scenarios"),
        ({"area": np.full(60, np.nan)}, "finite"),
        ({"area": np.ones(59)}, "expected"),
        ({"covariates": np.c_[LEVEL, LEVEL]}, "repeat the level"),
        ({"area": np.arange(20.0)[GROUPS]}, "do not vary within scenarios"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_refused(wrong, message, rng):
    values = {"area": areas(rng), "level": LEVEL, "groups": GROUPS} | wrong
    with pytest.raises(ValueError, match=message):
        margins.difficulty_slope(**values)


@pytest.mark.parametrize("groups", [np.zeros(4), np.arange(3)], ids=["one group", "too few"])
def test_margins_need_wrong_candidates(groups):
    with pytest.raises(ValueError, match="one group"):
        margins.item_margins(np.eye(4), groups)

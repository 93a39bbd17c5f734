"""Retrieval, AUC and CKA: oracles by loops, invariances and their controls."""

import contextlib

import numpy as np
import pytest
from builders import compatible, put, rotation
from zspace.measures import alignment, resampling

GROUPS = np.array(list("aaabbbbccd"))


@pytest.fixture(params=(0, 1, 2))
def rng(request):
    return np.random.default_rng(request.param)


def pair(rng, n=10, d=6, layers=(), shared=1.0):
    z = rng.standard_normal((*layers, n, d))
    return [shared * z + rng.standard_normal((*layers, n, d)) for _ in range(2)]


def cosine_by_loops(x, y, center=True):
    if center:
        x, y = x - x.mean(0), y - y.mean(0)
    return np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in y] for a in x])


def candidates_by_loops(scores, groups, level):
    """Scores of the right and of the wrong candidates of every direction and item."""
    n = len(scores)
    for direction, i in np.ndindex(2, n):
        row = (scores, scores.T)[direction][i]
        right = [j for j in range(n) if j == i or (level == "between" and groups[j] == groups[i])]
        wrong = [j for j in range(n) if j not in right and (level != "within" or groups[j] == groups[i])]
        yield (direction, i), row[right], row[wrong]


def outcomes_by_loops(scores, groups, level):
    hits = np.zeros((2, len(scores)), dtype=bool)
    for place, right, wrong in candidates_by_loops(scores, groups, level):
        hits[place] = all(right.max() > w for w in wrong)
    return hits


def auc_by_loops(scores, groups, level):
    auc = np.full((2, len(scores)), 0.5)
    for place, _, wrong in candidates_by_loops(scores, groups, level):
        own = scores[place[1], place[1]]
        if wrong.size:
            auc[place] = np.mean((own > wrong) + 0.5 * (own == wrong))
    return auc


@pytest.mark.parametrize("level", ["item", "between", "within"])
@pytest.mark.parametrize("center", [True, False])
def test_retrieval_outcomes_equal_loops_over_queries_and_candidates(rng, level, center):
    x, y = pair(rng, layers=(3,))
    found = alignment.retrieval_outcomes(x, y, center=center, groups=GROUPS, level=level)
    for k in range(3):
        expected = outcomes_by_loops(cosine_by_loops(x[k], y[k], center), GROUPS, level)
        np.testing.assert_array_equal(found[k], expected)
    accuracy = alignment.retrieval_accuracy(x, y, center=center, groups=GROUPS, level=level)
    np.testing.assert_allclose(accuracy, found.mean((1, 2)))


def test_retrieval_outcomes_with_csls_equal_its_definition(rng):
    x, y = pair(rng, n=12)
    k, cosine = 3, cosine_by_loops(x, y)
    near_x = [np.sort(row)[-k:].mean() for row in cosine]
    near_y = [np.sort(row)[-k:].mean() for row in cosine.T]
    csls = np.array([[2 * cosine[i, j] - near_x[i] - near_y[j] for j in range(12)] for i in range(12)])
    np.testing.assert_allclose(alignment.similarity(x, y, score="csls", k=k), csls, atol=1e-12)
    found = alignment.retrieval_outcomes(x, y, score="csls", k=k)
    np.testing.assert_array_equal(found, outcomes_by_loops(csls, None, "item"))


def test_csls_finds_what_a_hub_hides_from_the_cosine():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((40, 20))
    x, y = z + 0.9 * rng.standard_normal((40, 20)), z + 0.9 * rng.standard_normal((40, 20))
    y[0] = 3 * x.mean(0) + 0.3 * x.sum(0)  # one candidate near every query
    plain, csls = (
        alignment.retrieval_accuracy(x + 2, y + 2, score=s, center=False) for s in ("cosine", "csls")
    )
    assert csls > plain + 0.05


def test_given_means_are_subtracted_instead_of_those_of_the_items(rng):
    x, y = pair(rng, n=12, layers=(2,))
    means = (x.mean(-2, keepdims=True), y.mean(-2, keepdims=True))
    np.testing.assert_allclose(
        alignment.similarity(x, y, center=means), alignment.similarity(x, y), atol=1e-12
    )
    other = alignment.similarity(x, y, center=(means[0], 0 * means[1]))
    assert np.abs(other - alignment.similarity(x, y)).max() > 1e-3


def test_retrieval_is_invariant_to_rotation_scale_and_shift(rng):
    x, y = pair(rng, n=30)
    q = rotation(rng, 6)
    moved = alignment.retrieval_outcomes(3 * x @ q + 5, 0.2 * y @ q - 7)
    np.testing.assert_array_equal(moved, alignment.retrieval_outcomes(x, y))


def test_retrieval_is_not_invariant_to_rotating_one_language_or_scaling_axes(rng):
    x, y = pair(rng, n=40, d=12, shared=8.0)
    x[:, :2], y[:, :2] = rng.standard_normal((2, 40, 2))  # axes that the languages do not share
    intact = alignment.retrieval_accuracy(x, y)
    assert intact > 0.9
    assert alignment.retrieval_accuracy(x @ rotation(rng, 12), y) < 0.5
    stretch = np.where(np.arange(12) < 2, 1000.0, 1.0)
    assert alignment.retrieval_accuracy(x * stretch, y * stretch) < 0.5


def test_centring_removes_a_language_offset_that_hides_alignment(rng):
    x, y = pair(rng, n=40, d=20, shared=3.0)
    x, y = x + 50 * rng.standard_normal(20), y + 50 * rng.standard_normal(20)
    assert alignment.retrieval_accuracy(x, y) == 1
    assert alignment.retrieval_accuracy(x, y, center=False) < 0.8


def test_retrieval_recovers_planted_alignment_level_by_level(rng):
    scenario = np.repeat(rng.standard_normal((8, 30)), 6, axis=0)
    groups = np.repeat(np.arange(8), 6)
    own = [2 * scenario + 0.5 * rng.standard_normal((48, 30)) for _ in range(2)]
    options = {"groups": groups}
    assert alignment.retrieval_accuracy(*own, level="between", **options) == 1
    within = alignment.retrieval_accuracy(*own, level="within", **options)
    assert abs(within - alignment.chance_level(groups, "within", 48)) < 0.15  # negative control
    item = rng.standard_normal((48, 30))
    both = [s + item for s in own]
    assert alignment.retrieval_accuracy(*both, level="within", **options) == 1


def test_states_that_do_not_differ_score_zero():
    same = np.ones((5, 3))
    for level in ("item", "between", "within"):
        groups = np.array([0, 0, 1, 1, 1])
        assert alignment.retrieval_accuracy(same, same, center=False, groups=groups, level=level) == 0
        auc = alignment.retrieval_auc(same, same, center=False, groups=groups, level=level)
        np.testing.assert_array_equal(auc, 0.5)


def test_a_tie_with_a_wrong_candidate_is_a_failure_and_within_the_group_is_none():
    x = np.array([[1.0, 0], [1, 0], [0, 1], [-1, 0]])
    item = alignment.retrieval_outcomes(x, x, center=False)
    np.testing.assert_array_equal(item, [[False, False, True, True]] * 2)
    groups = [0, 0, 1, 2]
    assert alignment.retrieval_outcomes(x, x, center=False, groups=groups, level="between").all()


@pytest.mark.parametrize("level", ["item", "between", "within"])
def test_retrieval_auc_equals_loops(rng, level):
    x, y = pair(rng, layers=(2,))
    found = alignment.retrieval_auc(x, y, groups=GROUPS, level=level)
    for k in range(2):
        expected = auc_by_loops(cosine_by_loops(x[k], y[k]), GROUPS, level)
        np.testing.assert_allclose(found[k], expected, atol=1e-12)


@pytest.mark.parametrize("level", ["item", "between", "within"])
def test_chance_level_is_the_mean_accuracy_of_random_scores(level):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 1000, 10, 50))
    accuracy = alignment.retrieval_accuracy(x, y, groups=GROUPS, level=level, center=False)
    chance = alignment.chance_level(GROUPS, level, 10)
    assert accuracy.mean() == pytest.approx(chance, abs=3 * accuracy.std() / np.sqrt(1000))
    assert alignment.chance_level(GROUPS, level) == chance


def test_chance_corrected_is_zero_at_chance_and_one_at_perfection():
    np.testing.assert_allclose(alignment.chance_corrected([0.125, 1.0, 0.0], 0.125), [0, 1, -1 / 7])
    with pytest.raises(ValueError, match="chance level is 1"):
        alignment.chance_corrected(1.0, 1.0)


@pytest.mark.parametrize("level", ["item", "between", "within"])
@pytest.mark.parametrize("score", ["cosine", "csls"])
def test_shuffled_accuracy_equals_retrieval_of_permuted_states(rng, level, score):
    x, y = pair(rng, layers=(2,))
    y[:, 1] = y[:, 0]  # ties
    strata = GROUPS if level == "within" else np.zeros(10, int)
    with pytest.warns(UserWarning, match="alone") if level == "within" else contextlib.nullcontext():
        shuffles = resampling.stratified_permutations(strata, n_shuffles=20, rng=rng)
    shuffles[0] = np.arange(10)
    options = {"groups": GROUPS, "level": level, "score": score, "k": 4}
    found = alignment.shuffled_accuracy(x, y, shuffles, **options)
    expected = [alignment.retrieval_accuracy(x, y[:, p], **options) for p in shuffles]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_bootstrap_of_outcomes_keeps_the_accuracy_that_rerunning_retrieval_loses():
    rng = np.random.default_rng(0)
    x, y = pair(rng, n=250, d=40, shared=1.0)
    outcomes = alignment.retrieval_outcomes(x, y)
    accuracy = outcomes.mean()
    interval = resampling.bootstrap(outcomes.mean(0), None, n_resamples=400, rng=rng)
    rerun = [alignment.retrieval_accuracy(x[drawn], y[drawn]) for drawn in rng.integers(0, 250, (20, 250))]
    assert 0.6 < accuracy < 0.7
    assert abs(interval.replicates.mean() - accuracy) < 0.01
    assert np.mean(rerun) < accuracy - 0.15  # duplicates are wrong candidates that cannot be beaten


def hsic_by_song(k, m):
    """Unbiased HSIC of two Grams, Song et al. (2012), equation 5."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    terms = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (terms - 2 * one @ k @ m @ one / (n - 2)) / (n * (n - 3))


def cka_by_song(x, y):
    k, m = x @ x.T, y @ y.T
    return hsic_by_song(k, m) / np.sqrt(hsic_by_song(k, k) * hsic_by_song(m, m))


def test_linear_cka_equals_songs_estimator_and_kornbliths_formula(rng):
    x, y = rng.standard_normal((9, 5)), rng.standard_normal((9, 3))
    assert alignment.linear_cka(x, y) == pytest.approx(cka_by_song(x, y), abs=1e-12)
    cx, cy = x - x.mean(0), y - y.mean(0)
    biased = np.sum((cx.T @ cy) ** 2) / np.sqrt(np.sum((cx.T @ cx) ** 2) * np.sum((cy.T @ cy) ** 2))
    assert alignment.linear_cka(x, y, unbiased=False) == pytest.approx(biased, abs=1e-12)


def test_linear_cka_is_invariant_to_rotation_and_scale_and_not_to_anisotropic_scaling(rng):
    x, y = pair(rng, n=15)
    plain, moved = alignment.linear_cka(x, y), alignment.linear_cka(4 * x @ rotation(rng, 6) + 1, y - 3)
    assert moved == pytest.approx(plain, abs=1e-10)
    assert abs(alignment.linear_cka(x * [100, 1, 1, 1, 1, 1], y) - plain) > 1e-3


def test_unbiased_cka_of_unrelated_states_is_zero_where_the_biased_one_is_not():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 60, 20, 100))
    assert abs(alignment.linear_cka(x, y).mean()) < 0.02
    assert alignment.linear_cka(x, y, unbiased=False).mean() > 0.7


def test_cka_matrix_holds_every_pair(rng):
    states = [rng.standard_normal((8, d)) for d in (3, 5, 9)]
    table = alignment.cka_matrix(states)
    np.testing.assert_allclose(np.diag(table), 1)
    assert table[0, 2] == pytest.approx(alignment.linear_cka(states[0], states[2]), abs=1e-12)
    np.testing.assert_allclose(table, table.T)


def test_cka_by_layer_equals_songs_estimator_of_every_permutation(rng):
    x, (y, _) = rng.standard_normal((2, 12, 5)), pair(rng, n=12, layers=(2,))
    groups = np.repeat(list("abcdef"), 2)
    found = alignment.cka_by_layer(x, y, groups=groups, n_permutations=39, rng=np.random.default_rng(4))
    orders = resampling.whole_group_permutations(groups, n_shuffles=39, rng=np.random.default_rng(4))
    assert (groups[orders][:, ::2] == groups[orders][:, 1::2]).all()
    expected = [
        [cka_by_song(a, b[order]) for a, b in zip(x, y, strict=True)] for order in (np.arange(12), *orders)
    ]
    np.testing.assert_allclose(np.vstack([found.cka, found.null]), expected, atol=1e-12)
    np.testing.assert_allclose(found.pvalues, (1 + (found.null >= found.cka).sum(0)) / 40)
    assert (found.test.adjusted >= found.pvalues - 1e-12).all()


@pytest.mark.parametrize(("shared", "rate", "n"), [(0.0, 0.05, 120), (1.5, 0.98, 60)])
def test_cka_by_layer_has_its_size_and_finds_what_is_shared(shared, rate, n):
    """Items of a scenario resemble each other in either language: whole groups have to be permuted."""
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(8), 4)
    rejected = np.zeros(3)
    for _ in range(n):
        scenario, item = rng.standard_normal((2, 2, 8, 5))[:, :, groups], rng.standard_normal((2, 2, 32, 5))
        x, y = shared * rng.standard_normal((2, 32, 5)) + scenario + item
        whole = alignment.cka_by_layer(x, y, groups=groups, n_permutations=39, rng=rng)
        single = alignment.cka_by_layer(x, y, n_permutations=39, rng=rng)
        rejected += np.array([whole.pvalues[0], whole.test.pvalue, single.pvalues[0]]) <= 0.05
    assert compatible(rejected[0], n, rate)
    assert compatible(rejected[1], n, rate)
    assert not compatible(rejected[2], n, 0.05, "greater")  # negative control: items permuted one by one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y[:, :9]), "row i of both"),
        (lambda x, y: (put(x, (2, 4, 1), np.nan), y), "x holds NaN .* at layer 2"),
        (lambda x, y: (x, put(y, 1, 0.1)), "10 of 10 items have no direction at layer 1"),
        (lambda x, y: (x[0, 0], y[0, 0]), "expected"),
    ],
)
def test_retrieval_refuses_states_it_cannot_compare(change, message):
    x, y = pair(np.random.default_rng(0), layers=(3,))
    for measure in (alignment.retrieval_outcomes, alignment.retrieval_auc):
        with pytest.raises(ValueError, match=message):
            measure(*change(x, y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "between"}, "pass groups"),
        ({"level": "within", "groups": range(10)}, "all hold 1"),
        ({"level": "between", "groups": [0] * 10}, "found 1"),
        ({"level": "within", "groups": [0] * 9}, "one label per item"),
        ({"level": "sentence"}, "unknown level"),
        ({"score": "euclid"}, "unknown score"),
        ({"score": "csls", "k": 11}, "smaller k"),
        ({"center": (np.zeros(3), np.zeros(3))}, "two means"),
    ],
)
def test_retrieval_refuses_options_without_meaning(options, message):
    x, y = pair(np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        alignment.retrieval_outcomes(x, y, **options)


def test_shuffled_accuracy_refuses_shuffles_that_leave_the_group():
    x, y = pair(np.random.default_rng(0))
    with pytest.raises(ValueError, match="as strata"):
        alignment.shuffled_accuracy(x, y, [np.roll(np.arange(10), 1)], groups=GROUPS, level="within")
    with pytest.raises(ValueError, match="once a row"):
        alignment.shuffled_accuracy(x, y, [np.zeros(10, int)])


@pytest.mark.parametrize(
    ("n", "bad", "message"),
    [
        (6, np.ones((6, 3)), "constant"),
        (6, np.eye(6), "equally far apart"),
        (6, np.full((6, 3), np.nan), "NaN"),
        (3, np.eye(3), "n >= 4"),
        (6, np.eye(5), "row i of both"),
    ],
)
def test_linear_cka_refuses_constant_short_and_broken_input(n, bad, message):
    with pytest.raises(ValueError, match=message):
        alignment.linear_cka(np.random.default_rng(0).standard_normal((n, 3)), bad)

"""Bridges: equal to scipy and scikit-learn, planted maps recovered, invariances and their controls."""

import numpy as np
import pytest
from builders import put, rotation, three_seeds
from scipy import linalg
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV
from sklearn.metrics import r2_score
from zspace.measures import bridges
from zspace.measures.bridges import fitting, ladders

KINDS = ("procrustes", "scaled_procrustes", "ridge", "affine")


def ill_conditioned(rng, d, condition_number):
    """A map whose singular values run from 1 to the condition number, log-uniformly."""
    return rotation(rng, d) @ np.diag(np.geomspace(1, condition_number, d)) @ rotation(rng, d)


def pair(rng, n=120, d=8, d_y=None, noise=0.3, leading=()):
    """Matched states under a random map, with noise and an offset."""
    x = rng.standard_normal((*leading, n, d)) * np.linspace(0.5, 2, d) + 3
    y = x @ rng.standard_normal((*leading, d, d_y or d)) - 5
    return x, y + noise * rng.standard_normal(y.shape)


def centre(states):
    return states - states.mean(-2, keepdims=True)


def nuclear(x, y):
    return np.linalg.svd(centre(x).T @ centre(y), compute_uv=False).sum()


@pytest.mark.parametrize("n", [60, 9])
def test_procrustes_equals_scipy(rng, n):
    """Above n = d everywhere; at n = d + 1 the centred states just span all dimensions."""
    x, y = pair(rng, n)
    expected, total = linalg.orthogonal_procrustes(centre(x), centre(y))
    found = bridges.fit(x, y)
    np.testing.assert_allclose(found.weight, expected, atol=1e-8)
    scaled = bridges.fit(x, y, kind="scaled_procrustes")
    np.testing.assert_allclose(scaled.weight, expected * total / (centre(x) ** 2).sum(), atol=1e-8)


@pytest.mark.parametrize("n", [5, 20, 40])
def test_procrustes_with_few_items_equals_scipy_on_the_span_and_is_zero_outside(rng, n):
    x, y = pair(rng, n, 40)
    expected = linalg.orthogonal_procrustes(centre(x), centre(y))[0]
    found = bridges.fit(x, y)
    np.testing.assert_allclose(found.predict(x), centre(x) @ expected + y.mean(0), atol=1e-8)
    values = np.linalg.svd(found.weight, compute_uv=False)
    np.testing.assert_allclose(values, np.arange(40) < n - 1, atol=1e-8)
    outside = linalg.null_space(centre(x))[:, 0]
    np.testing.assert_allclose(found.predict((x.mean(0) + 9 * outside)[None])[0], y.mean(0), atol=1e-8)


def test_affine_equals_scikit_learn(rng):
    x, y = pair(rng, d_y=5)
    expected = LinearRegression().fit(x, y)
    found = bridges.fit(x, y, kind="affine")
    np.testing.assert_allclose(found.weight, expected.coef_.T, atol=1e-8)
    held_out = rng.standard_normal((7, 8))
    np.testing.assert_allclose(found.predict(held_out), expected.predict(held_out), atol=1e-8)


@pytest.mark.parametrize(("n", "d", "d_y"), [(60, 8, 8), (60, 8, 3), (20, 30, 30), (15, 15, 40)])
def test_ridge_equals_scikit_learn(rng, n, d, d_y):
    """At the chosen penalty, and in choosing it."""
    x, y = pair(rng, n, d, d_y, noise=2.0)
    found = bridges.fit(x, y, kind="ridge")
    expected = Ridge(alpha=found.penalty).fit(x, y)
    np.testing.assert_allclose(found.weight, expected.coef_.T, atol=1e-8)
    grid = bridges.RELATIVE_PENALTIES * (centre(x) ** 2).sum() / min(n - 1, d)
    assert found.penalty == pytest.approx(RidgeCV(grid).fit(x, y).alpha_, rel=1e-12)
    assert grid[0] < found.penalty < grid[-1]


@pytest.mark.parametrize(("n", "d"), [(12, 4), (10, 15)])
def test_leave_one_out_error_equals_refitting_without_each_item(rng, n, d):
    x, y = pair(rng, n, d, d + 3, noise=2.0)
    penalties = np.array([1e-2, 1.0, 1e2])
    u, s, _ = np.linalg.svd(centre(x), full_matrices=False)
    found = fitting.leave_one_out(centre(y), u, s, penalties)
    for penalty, error in zip(penalties, found, strict=True):
        brute = 0.0
        for i in range(n):
            rest = np.arange(n) != i
            prediction = Ridge(alpha=penalty).fit(x[rest], y[rest]).predict(x[[i]])
            brute += ((y[i] - prediction) ** 2).sum()
        assert error == pytest.approx(brute, rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_r2_equals_scikit_learn_weighted_by_variance(rng, kind):
    x, y = pair(rng)
    found = bridges.fit(x[:80], y[:80], kind=kind)
    score = found.r2(x[80:], y[80:])
    expected = r2_score(y[80:], found.predict(x[80:]), multioutput="variance_weighted")
    assert isinstance(score, float)
    assert np.isnan(found.penalty) == (kind != "ridge")
    assert score == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [60, 15])
def test_in_sample_r2_of_procrustes_follows_the_nuclear_norm(rng, n):
    x, y = pair(rng, n, 20, noise=5.0)
    size_x, size_y, norm = (centre(x) ** 2).sum(), (centre(y) ** 2).sum(), nuclear(x, y)
    assert bridges.fit(x, y).r2(x, y) == pytest.approx((2 * norm - size_x) / size_y)
    scaled = bridges.fit(x, y, kind="scaled_procrustes")
    assert scaled.r2(x, y) == pytest.approx(norm**2 / (size_x * size_y))


@three_seeds
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_recovers_a_rotation(rng, kind):
    x, turn = rng.standard_normal((200, 10)), rotation(rng, 10)
    y = x @ turn + 7
    found = bridges.fit(x[:100], y[:100], kind=kind)
    # the least penalty of the grid leaves its mark on ridge
    np.testing.assert_allclose(found.weight, turn, atol=1e-6 if kind == "ridge" else 1e-10)
    assert found.r2(x[100:], y[100:]) == pytest.approx(1, abs=1e-10)
    assert found.condition_number == pytest.approx(1, abs=1e-6)


def test_scaled_procrustes_recovers_a_scale_that_procrustes_cannot(rng):
    x, turn = rng.standard_normal((200, 10)), rotation(rng, 10)
    y = 0.2 * x @ turn
    scaled = bridges.fit(x[:100], y[:100], kind="scaled_procrustes")
    np.testing.assert_allclose(scaled.weight, 0.2 * turn, atol=1e-10)
    assert scaled.condition_number == 1.0
    # negative from the mismatch of scale alone, on the very items it was fitted to: (2 * 0.2 - 1) / 0.2**2
    assert bridges.fit(x, y).r2(x, y) == pytest.approx(-15)


@three_seeds
def test_affine_recovers_an_ill_conditioned_map_that_procrustes_misses(rng):
    x, weight = rng.standard_normal((400, 10)), ill_conditioned(rng, 10, 50)
    y = x @ weight + 1e-3 * rng.standard_normal((400, 10))
    scores = {kind: bridges.fit(x[:200], y[:200], kind=kind).r2(x[200:], y[200:]) for kind in KINDS}
    assert min(scores["affine"], scores["ridge"]) > 0.999
    assert max(scores["procrustes"], scores["scaled_procrustes"]) < 0.75
    for kind in ("affine", "ridge"):
        assert bridges.fit(x, y, kind=kind).condition_number == pytest.approx(50, rel=0.01)


@three_seeds
@pytest.mark.parametrize("kind", KINDS)
def test_r2_of_unrelated_states_is_not_positive_held_out(rng, kind):
    x, y = rng.standard_normal((2, 400, 10))
    found = bridges.fit(x[:200], y[:200], kind=kind)
    assert found.r2(x[200:], y[200:]) < 0.01
    assert found.r2(x[:200], y[:200]) > found.r2(x[200:], y[200:])


def test_ridge_leaves_unrelated_states_alone_where_affine_follows_the_noise(rng):
    x, y = rng.standard_normal((2, 200, 40))
    scores = {k: bridges.fit(x[:100], y[:100], kind=k).r2(x[100:], y[100:]) for k in ("ridge", "affine")}
    assert scores["ridge"] > -0.05
    assert scores["affine"] < -0.3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [60, 15])
def test_r2_is_invariant_to_rotation_and_translation(rng, kind, n):
    d = 6 if kind == "affine" else 20
    x, y = pair(rng, n + 40, d, noise=2.0)

    def score(x, y):
        return bridges.fit(x[:n], y[:n], kind=kind).r2(x[n:], y[n:])

    plain = score(x, y)
    assert score(x, y @ rotation(rng, d) + 4) == pytest.approx(plain, abs=1e-8)
    assert score(x @ rotation(rng, d) - 9, y) == pytest.approx(plain, abs=1e-8)


def test_scale_of_x_matters_to_procrustes_alone(rng):
    x, y = pair(rng, noise=2.0)
    plain, scaled = ({k: bridges.fit(c * x, y, kind=k).r2(c * x, y) for k in KINDS} for c in (1, 30))
    change = {k: plain[k] - scaled[k] for k in KINDS}
    assert change.pop("procrustes") > 1
    assert max(map(abs, change.values())) < 1e-8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [40, 9])
def test_a_stack_equals_its_layers_one_by_one(rng, kind, n):
    d = 4 if kind == "affine" else 12
    x, y = pair(rng, n + 10, d, noise=np.array([0.1, 1, 9]).reshape(3, 1, 1), leading=(2, 3))
    stacked = bridges.fit(x[..., :n, :], y[..., :n, :], kind=kind)
    scores, predicted = stacked.r2(x[..., n:, :], y[..., n:, :]), stacked.predict(x[..., n:, :])
    assert scores.shape == stacked.penalty.shape == (2, 3)
    for i in np.ndindex(2, 3):
        single = bridges.fit(x[i][:n], y[i][:n], kind=kind)
        np.testing.assert_allclose(predicted[i], single.predict(x[i][n:]), atol=1e-8)
        np.testing.assert_allclose(stacked.penalty[i], single.penalty)
        assert scores[i] == pytest.approx(single.r2(x[i][n:], y[i][n:]), abs=1e-10)
        if n == 40 or kind == "affine":
            assert stacked.condition_number[i] == pytest.approx(single.condition_number)
    if kind == "ridge" and n == 40:
        assert len(np.unique(stacked.penalty / (centre(x[..., :n, :]) ** 2).sum((-2, -1)))) > 1


def test_a_bridge_without_leading_axes_reads_stacks(rng):
    x, y = pair(rng, leading=(3,))
    found = bridges.fit(x[0], y[0], kind="affine")
    assert found.r2(x, y).shape == (3,)
    assert found.r2(x, y)[0] == pytest.approx(found.r2(x[0], y[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_fit_takes_float32_at_float64_precision_and_leaves_it_alone(rng, kind):
    x, y = kept = [s.astype(np.float32) for s in pair(rng)]
    exact = [s.astype(float) for s in kept]
    np.testing.assert_array_equal(bridges.fit(x, y, kind=kind).weight, bridges.fit(*exact, kind=kind).weight)
    np.testing.assert_array_equal(kept, exact)


@pytest.mark.parametrize("n", [40, 12])
def test_ladder_equals_its_bridges_one_by_one(rng, n):
    x, y = pair(rng, n + 80, noise=2.0, leading=(3,))
    parts = x[:, :n], y[:, :n], x[:, n:], y[:, n:]
    found = ladders.compare_maps(*parts)
    for layer, (x, y, *test) in enumerate(zip(*parts, strict=True)):
        for kind in ladders.LADDER:
            expected = bridges.fit(x, y, kind=kind).r2(*test)
            assert found.r2[kind][layer] == pytest.approx(expected, abs=1e-10)
        # fewer items than twice the dimensions have no kappa
        kappa = bridges.fit(x, y, kind="affine").condition_number if n == 40 else np.nan
        assert found.log_kappa[layer] == pytest.approx(np.log(kappa), abs=1e-10, nan_ok=True)
    gap = (found.errors[0] - found.errors[1]).sum(-1) / found.spread.sum(-1)
    np.testing.assert_allclose(found.gap, gap, atol=1e-12)


def test_condition_number_refuses_ridge_on_few_items(rng):
    x, y = pair(rng, 15, 8)
    found = bridges.fit(x, y, kind="ridge")
    assert found.r2(x, y) > 0.9
    with pytest.raises(ValueError, match=r"at least 16 items are needed.*at most 7 principal components"):
        _ = found.condition_number
    assert bridges.fit(x, y).condition_number == 1.0


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("affine", lambda x, y: (x[:15], y[:15]), r"at least 16 items.*at most 7 principal comp.*ridge"),
        (
            "affine",
            lambda x, y: (np.c_[x[:, 1:], x[:, 1] - x[:, 2]], y),
            r"varies in 7 of its 8 dim.*components",
        ),
        ("cca", lambda x, y: (x, y), "unknown kind 'cca'; choose one of 'procrustes'"),
        ("procrustes", lambda x, y: (x, y[:, :5]), "as many dimensions on both sides, found 8 and 5"),
        ("scaled_procrustes", lambda x, y: (x, y[:, :5]), "as many dimensions on both sides, found 8 and 5"),
        ("ridge", lambda x, y: (x[1:], y), "row i of both being the same item"),
        ("ridge", lambda x, y: (x[None, None], y[None]), "row i of both being the same item"),
        ("ridge", lambda x, y: (x[0], y[0]), "row i of both being the same item"),
        ("ridge", lambda x, y: (x[:1], y[:1]), "row i of both being the same item"),
        ("ridge", lambda x, y: (x[:, :0], y), "row i of both being the same item"),
        ("ridge", lambda x, y: (x, put(y, (3, 2), np.nan)), r"y_train holds 1 NaN or inf.*index \(3, 2\)"),
        ("ridge", lambda x, y: (x, put(y, ..., 0.1)), "y_train is the same for all its 120 items: there"),
        ("ridge", lambda x, y: [put(np.stack([s] * 3), 2, 0.1) for s in (x, y)], r"x_train is.*index \(2,\)"),
    ],
)
def test_fit_refuses_what_it_cannot_fit(rng, kind, change, words):
    x, y = pair(rng)
    with pytest.raises(ValueError, match=words):
        bridges.fit(*change(x, y), kind=kind)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (x[..., :7], y), r"x has shape \(3, 120, 7\).*like \(3, m, 8\)"),
        (lambda x, y: (x[:2], y), r"x has shape \(2, 120, 8\).*same layers"),
        (lambda x, y: (x[:, :5], y), r"row i of both must be the same item"),
        (lambda x, y: (x * np.inf, y), "x holds 2880 NaN"),
        (lambda x, y: (x[:, :1], y[:, :1]), "y is the same for all its 1 items"),
    ],
)
def test_r2_refuses_what_does_not_fit_the_bridge(rng, change, words):
    x, y = pair(rng, leading=(3,))
    with pytest.raises(ValueError, match=words):
        bridges.fit(x, y).r2(*change(x, y))

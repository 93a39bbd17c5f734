"""Bridges of all pairs in one pass: equal to one pair after another, and to scipy and scikit-learn."""

import itertools

import numpy as np
import pytest
from builders import put, rotation
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from zspace.measures import bridges

FIRST = np.arange(40) < 20


def turned_languages(rng, n=40, d=30, layers=2, noise=0.4):
    """Four languages that turn the same items (layers, n, d), with noise and an offset of their own."""
    items = rng.standard_normal((layers, n, d)) * np.geomspace(3, 0.2, d)
    return {
        name: items @ rotation(rng, d) * scale + noise * rng.standard_normal(items.shape) + 5 * scale
        for name, scale in zip(("en", "fr", "sw", "zh"), (1, 2, 0.5, 1), strict=True)
    }


@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize(("n", "d"), [(40, 30), (60, 30), (62, 30), (90, 12)])
def test_all_pairs_equals_fit_pair_by_pair(rng, n, d, noise):
    """Fewer items than dimensions, as many less one, as many, and more; exact maps as well as noisy ones."""
    states, train = turned_languages(rng, n, d, noise=noise), np.arange(n) % 2 == 0
    found = bridges.all_pairs(states, train)
    for kind, r2 in found.r2.items():
        expected = np.full((2, 4, 4), np.nan)
        for (i, x), (j, y) in itertools.permutations(enumerate(states.values()), 2):
            one = bridges.fit(x[:, train], y[:, train], kind=kind)
            expected[:, i, j] = one.r2(x[:, ~train], y[:, ~train])
        np.testing.assert_allclose(r2, expected, atol=1e-8)
    assert found.languages == ("en", "fr", "sw", "zh")


def test_all_pairs_equals_scipy_and_scikit_learn(rng):
    states, train = turned_languages(rng, 60, 40, layers=1), np.arange(60) < 30
    found = bridges.all_pairs(states, train, kinds=("procrustes", "ridge"))
    (x, y), (x_test, y_test) = ([states[name][0][rows] for name in ("fr", "zh")] for rows in (train, ~train))
    x_mean, y_mean = x.mean(0), y.mean(0)
    grid = bridges.RELATIVE_PENALTIES * ((x - x_mean) ** 2).sum() / 29
    ridge = r2_score(y_test, RidgeCV(grid).fit(x, y).predict(x_test), multioutput="variance_weighted")
    assert found.r2["ridge"][0, 1, 3] == pytest.approx(ridge, abs=1e-8)
    # scipy turns what no training item spans in some way; the bridge predicts zero for it
    spans = [linalg.orth((s - m).T, rcond=1e-8) for s, m in ((x, x_mean), (y, y_mean))]
    inside = [(x - x_mean) @ spans[0], (y - y_mean) @ spans[1]]
    predicted = (x_test - x_mean) @ spans[0] @ linalg.orthogonal_procrustes(*inside)[0] @ spans[1].T + y_mean
    expected = r2_score(y_test, predicted, multioutput="variance_weighted")
    assert found.r2["procrustes"][0, 1, 3] == pytest.approx(expected, abs=1e-8)


def test_components_equal_scikit_learn(rng):
    states, train = turned_languages(rng, 60, 40, layers=1)["en"], np.arange(60) < 30
    components = PCA(6, svd_solver="full").fit(states[0, train]).transform(states[0])
    own = bridges.principal_components(states, train, 6)[0]
    np.testing.assert_allclose(np.abs(own), np.abs(components), atol=1e-8)


def test_all_pairs_takes_float32_at_float64_precision_and_leaves_it_alone(rng):
    states = {name: s.astype(np.float32) for name, s in turned_languages(rng).items()}
    exact, train = {name: s.astype(float) for name, s in states.items()}, np.arange(40) < 20
    found, expected = (bridges.all_pairs(s, train).r2 for s in (states, exact))
    for kind in found:
        np.testing.assert_array_equal(found[kind], expected[kind])
    for name, array in states.items():
        np.testing.assert_array_equal(array, exact[name])


@pytest.mark.parametrize(
    ("change", "train", "options", "words"),
    [
        (lambda s: {"en": s["en"]}, FIRST, {}, "expected at least two languages with the same"),
        (lambda s: {**s, "fr": s["fr"][:, 1:]}, FIRST, {}, "expected at least two languages with the same"),
        (lambda s: {"en": 1.0, "fr": 2.0}, FIRST, {}, "expected at least two languages with the same"),
        (lambda s: s, FIRST[1:], {}, r"expected bool of shape \(40,\)"),
        (lambda s: s, np.arange(40) < 1, {}, r"expected bool of shape \(40,\)"),
        (lambda s: s, np.arange(40) < 39, {}, r"expected bool of shape \(40,\)"),
        (lambda s: s, np.arange(40), {}, r"expected bool of shape \(40,\)"),
        (lambda s: s, FIRST, {"kinds": ("ridge", "affine")}, r"unknown kinds \['affine'\]"),
        (lambda s: {**s, "sw": put(s["sw"], 1, 0.1)}, FIRST, {}, "sw at layer 1 is the same for all its 20"),
        (lambda s: {**s, "sw": put(s["sw"], (1, 3, 2), np.nan)}, FIRST, {}, "sw at layer 1 holds 1 NaN"),
    ],
)
def test_all_pairs_refuses_what_it_cannot_fit(rng, change, train, options, words):
    with pytest.raises(ValueError, match=words):
        bridges.all_pairs(change(turned_languages(rng)), train, **options)


@pytest.mark.parametrize("n_components", [0, 20, 31])
def test_components_are_refused_that_the_items_do_not_hold(rng, n_components):
    with pytest.raises(ValueError, match=r"n_components=.* of states; 20 training.* allow 1 to 19"):
        bridges.principal_components(turned_languages(rng)["en"], FIRST, n_components)

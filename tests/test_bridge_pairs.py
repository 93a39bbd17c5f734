"""Bridges of all pairs in one pass: equal to one pair after another, and to scipy and scikit-learn."""

import numpy as np
import pytest
from builders import rotation
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score
from zspace.measures import bridges

ALL = ("procrustes", "scaled_procrustes", "ridge", "affine")
OFF = ~np.eye(4, dtype=bool)


def turned_languages(rng, n=40, d=30, layers=2, noise=0.4):
    """Four languages that turn the same items (layers, n, d), with noise and an offset of their own."""
    items = rng.standard_normal((layers, n, d)) * np.geomspace(3, 0.2, d)
    return {
        name: items @ rotation(rng, d) * scale + noise * rng.standard_normal(items.shape) + 5 * scale
        for name, scale in zip(("en", "fr", "sw", "zh"), (1, 2, 0.5, 1), strict=True)
    }


def pair_by_pair(states, train, kind):
    """R² and kappa (layers, K, K) from one fit a pair."""
    k, layers = len(states), len(next(iter(states.values())))
    r2, kappa = np.full((2, layers, k, k), np.nan)
    for i, x in enumerate(states.values()):
        for j, y in enumerate(states.values()):
            if i != j:
                found = bridges.fit(x[:, train], y[:, train], kind=kind)
                r2[:, i, j] = found.r2(x[:, ~train], y[:, ~train])
                kappa[:, i, j] = found.condition_number if kind == "affine" else np.nan
    return r2, kappa


@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize(("n", "d"), [(40, 30), (60, 30), (62, 30), (90, 12)])
def test_all_pairs_equals_fit_pair_by_pair(rng, n, d, noise):
    """Fewer items than dimensions, as many less one, as many, and more; exact maps as well as noisy ones."""
    states, train = turned_languages(rng, n, d, noise=noise), np.arange(n) % 2 == 0
    found = bridges.all_pairs(states, train, kinds=ALL if n > 2 * 2 * d else ALL[:3])
    for kind, r2 in found.r2.items():
        expected, kappa = pair_by_pair(states, train, kind)
        np.testing.assert_allclose(r2, expected, atol=1e-8)
        if kind == "affine":
            np.testing.assert_allclose(found.condition_number, kappa, rtol=1e-8)
    np.testing.assert_array_equal(found.gap, found.r2["ridge"] - found.r2["scaled_procrustes"])
    assert found.languages == ("en", "fr", "sw", "zh")
    assert found.n_train == n // 2


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
    """All kinds after the same reduction, by scikit-learn's PCA and least squares."""
    states, train = turned_languages(rng, 60, 40, layers=1), np.arange(60) < 30
    found = bridges.all_pairs(states, train, kinds=ALL, n_components=6)
    reduced = []
    for name in ("en", "sw"):
        components = PCA(6, svd_solver="full").fit(states[name][0, train])
        reduced.append(components.transform(states[name][0]))
        own = bridges.principal_components(states[name], train, 6)[0]
        np.testing.assert_allclose(np.abs(own), np.abs(reduced[-1]), atol=1e-8)
    x, y = reduced
    affine = LinearRegression().fit(x[train], y[train])
    expected = r2_score(y[~train], affine.predict(x[~train]), multioutput="variance_weighted")
    assert found.r2["affine"][0, 0, 2] == pytest.approx(expected, abs=1e-8)
    assert found.condition_number[0, 0, 2] == pytest.approx(np.linalg.cond(affine.coef_), rel=1e-8)
    arrays = {str(i): s[None] for i, s in enumerate(reduced)}
    for kind in ALL:
        assert found.r2[kind][0, 0, 2] == pytest.approx(
            pair_by_pair(arrays, train, kind)[0][0, 0, 1], abs=1e-8
        )


def test_cross_fitting_averages_both_halves(rng):
    states, train = turned_languages(rng), np.arange(40) < 16
    crossed = bridges.all_pairs(states, train, kinds=ALL, n_components=5, cross_fit=True)
    halves = [bridges.all_pairs(states, t, kinds=ALL, n_components=5) for t in (train, ~train)]
    folds = bridges.all_pairs(states, np.stack([train, ~train]), kinds=ALL, n_components=5)
    for kind in ALL:
        np.testing.assert_allclose(crossed.r2[kind], np.mean([h.r2[kind] for h in halves], axis=0))
        np.testing.assert_array_equal(crossed.r2[kind], folds.r2[kind])
    kappa = np.sqrt(np.prod([h.condition_number for h in halves], axis=0))
    np.testing.assert_allclose(crossed.condition_number, kappa)
    assert crossed.n_train == 16
    assert np.abs(halves[0].r2["ridge"] - halves[1].r2["ridge"])[:, OFF].max() > 1e-3


def test_a_language_turned_changes_nothing_where_one_stretched_does(rng):
    states, train = turned_languages(rng), np.arange(40) % 2 == 0
    options = {"kinds": ALL, "n_components": 6}
    plain = bridges.all_pairs(states, train, **options)
    turned = bridges.all_pairs({**states, "fr": states["fr"] @ rotation(rng, 30) - 3}, train, **options)
    stretched = bridges.all_pairs({**states, "fr": states["fr"] * np.geomspace(1, 9, 30)}, train, **options)
    for kind in ALL:
        np.testing.assert_allclose(turned.r2[kind], plain.r2[kind], atol=1e-8)
    np.testing.assert_allclose(turned.condition_number, plain.condition_number, rtol=1e-8)
    assert np.abs(stretched.r2["scaled_procrustes"] - plain.r2["scaled_procrustes"])[:, 0, 1].min() > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_stretched_language_has_the_gap_and_the_kappa(rng, seed):
    rng = rng.spawn(3)[seed]
    items = rng.standard_normal((1, 400, 6))
    stretch = rotation(rng, 6) @ np.diag(np.geomspace(1, 12, 6)) @ rotation(rng, 6)
    states = [items @ rotation(rng, 6), items @ rotation(rng, 6), items @ stretch]
    states = [s + 0.05 * rng.standard_normal(s.shape) for s in states]
    found = bridges.all_pairs(states, np.arange(400) < 200, kinds=ALL)
    assert found.condition_number[0, 0, 1] == pytest.approx(1, abs=0.05)
    assert found.condition_number[0, 0, 2] == pytest.approx(12, rel=0.1)
    assert abs(found.gap[0, 0, 1]) < 0.001
    assert found.gap[0, [0, 1], 2].min() > 0.2


def test_unrelated_languages_have_no_positive_r2(rng):
    states = rng.standard_normal((4, 3, 160, 20))
    found = bridges.all_pairs(states, np.arange(160) < 80)
    assert max(found.r2[kind][:, OFF].max() for kind in found.r2) < 0.02
    assert found.r2["ridge"][:, OFF].min() > -0.2


def test_all_pairs_takes_float32_at_float64_precision_and_leaves_it_alone(rng):
    states = {name: s.astype(np.float32) for name, s in turned_languages(rng).items()}
    kept, train = {name: s.copy() for name, s in states.items()}, np.arange(40) < 20
    found = bridges.all_pairs(states, train)
    expected = bridges.all_pairs({name: s.astype(float) for name, s in states.items()}, train)
    for kind in found.r2:
        np.testing.assert_array_equal(found.r2[kind], expected.r2[kind])
    for name, array in states.items():
        np.testing.assert_array_equal(array, kept[name])


def test_all_pairs_refuses_what_it_cannot_fit(rng):
    states, train = turned_languages(rng), np.arange(40) < 20
    with pytest.raises(
        ValueError, match=r"30 dimensions need at least 60 training.*n_components to at most 10"
    ):
        bridges.all_pairs(states, train, kinds=("affine",))
    with pytest.raises(ValueError, match="unknown kind 'cca'"):
        bridges.all_pairs(states, train, kinds=("cca",))
    for bad in (0, 20, 31):
        with pytest.raises(
            ValueError, match=r"n_components=.* of en at layer 0; 20 training.* allow 1 to 19"
        ):
            bridges.all_pairs(states, train, n_components=bad)
    with pytest.raises(ValueError, match="the gap needs kind"):
        _ = bridges.all_pairs(states, train, kinds=("ridge",)).gap
    assert bridges.all_pairs(states, train).condition_number is None


def test_all_pairs_refuses_states_and_splits_that_do_not_match(rng):
    states, train = turned_languages(rng), np.arange(40) < 20
    for bad in ({"en": states["en"]}, {**states, "fr": states["fr"][:, 1:]}, {"en": 1.0, "fr": 2.0}):
        with pytest.raises(ValueError, match="expected at least two languages with the same"):
            bridges.all_pairs(bad, train)
    for split in (train[1:], np.arange(40) < 1, np.arange(40) < 39, np.arange(40), train[None, None]):
        with pytest.raises(ValueError, match=r"expected bool of shape \(40,\)"):
            bridges.all_pairs(states, split)
    with pytest.raises(ValueError, match=r"expected \(\.\.\., n, d\)"):
        bridges.principal_components(np.ones(40), train, 2)


def test_all_pairs_names_the_language_and_layer_of_bad_states(rng):
    states, train = turned_languages(rng), np.arange(40) < 20
    states["sw"][1] = 0.1
    with pytest.raises(ValueError, match="sw at layer 1 is the same for all its 20 items"):
        bridges.all_pairs(states, train)
    states["sw"][1, 3, 2] = np.nan
    with pytest.raises(ValueError, match="sw at layer 1 holds 1 NaN"):
        bridges.all_pairs(states, train)

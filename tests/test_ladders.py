"""The ladder of bridges: planted bridges, nulls that are none, and scikit-learn as an oracle."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from zspace.measures import bridges, ladders

N_TRAIN, N_TEST, P = 40, 80, 8


def pair(rng, *, kappa=1.0, noise=0.5, n_layers=3):
    """Items in two languages, y being a rotation of x with singular values spread by kappa, plus noise."""
    x = rng.standard_normal((n_layers, N_TRAIN + N_TEST, P))
    sizes = np.geomspace(1, kappa, P)
    sizes /= np.sqrt((sizes**2).mean())
    turns = np.stack([ortho_group.rvs(P, random_state=rng) for _ in range(n_layers)])
    y = (x * sizes) @ turns + noise * rng.standard_normal(x.shape)
    return x[:, :N_TRAIN], y[:, :N_TRAIN], x[:, N_TRAIN:], y[:, N_TRAIN:]


def test_components_are_those_of_scikit_learn(rng):
    states = rng.standard_normal((2, 30, 50)) * np.linspace(3, 0.5, 50)
    train = np.arange(30) < 20
    found = ladders.principal_components(states, train, 6)
    for layer in range(2):
        fitted = PCA(6, svd_solver="full").fit(states[layer, train])
        expected = fitted.transform(states[layer])
        signs = np.sign((found[layer] * expected).sum(0))
        np.testing.assert_allclose(found[layer] * signs, expected, atol=1e-8)


def test_ladder_equals_its_bridges_one_by_one(rng):
    parts = pair(rng, kappa=4)
    found = ladders.climb(*parts)
    for layer in range(3):
        x, y, x_test, y_test = (part[layer] for part in parts)
        for kind in ladders.LADDER:
            bridge = bridges.fit(x, y, kind=kind)
            assert found.r2[kind][layer] == pytest.approx(bridge.r2(x_test, y_test), abs=1e-10)
            expected = r2_score(y_test, bridge.predict(x_test), multioutput="variance_weighted")
            assert found.r2[kind][layer] == pytest.approx(expected, abs=1e-10)
        affine = bridges.fit(x, y, kind="affine")
        assert found.log_kappa[layer] == pytest.approx(np.log(affine.condition_number), abs=1e-10)
    gap = (found.errors[0] - found.errors[1]).sum(-1) / found.spread.sum(-1)
    np.testing.assert_allclose(found.gap, gap, atol=1e-12)


def test_orthogonal_truth_has_no_excess_and_an_ill_conditioned_one_has(rng):
    excess = {}
    for kappa in (1, 6, 12):
        gaps, kappas = [], []
        for stream in rng.spawn(60):
            parts = pair(stream, kappa=kappa, n_layers=1)
            found = ladders.climb(*parts)
            null = ladders.orthogonal_null(*parts, rng=stream)
            gaps.append((found.gap - null.gap.mean(0)).item())
            kappas.append((found.log_kappa - null.log_kappa.mean(0)).item())
        excess[kappa] = [(np.mean(v), np.std(v) / np.sqrt(len(v))) for v in (gaps, kappas)]
    for mean, error in excess[1]:
        assert abs(mean) < 3 * error + 0.01
    for kappa in (6, 12):
        assert all(mean > 5 * error for mean, error in excess[kappa])
    assert excess[12][1][0] > excess[6][1][0] > 0.5


def test_unrelated_states_have_no_excess(rng):
    inside, gaps, r2 = [], [], []
    for stream in rng.spawn(200):
        parts = tuple(stream.standard_normal((1, n, P)) for n in (N_TRAIN, N_TRAIN, N_TEST, N_TEST))
        found, null = ladders.climb(*parts), ladders.orthogonal_null(*parts, rng=stream)
        inside.append(null.log_kappa.min() <= found.log_kappa.item() <= null.log_kappa.max())
        gaps.append((found.gap - null.gap.mean(0)).item())
        r2.append(found.r2["ridge"].item())
    assert np.mean(inside) > 0.85  # 19 of 21 exchangeable draws lie within the range of 20 others
    assert np.mean(gaps) < 0.01
    assert np.mean(r2) < 0.02


def test_null_has_the_noise_of_the_data(rng):
    parts = pair(rng, noise=0.8)
    found, null = ladders.climb(*parts), ladders.orthogonal_null(*parts, n_simulations=200, rng=rng)
    np.testing.assert_allclose(null.r2["scaled_procrustes"].mean(0), found.r2["scaled_procrustes"], atol=0.08)


def test_too_few_items_have_no_kappa(rng):
    x_train, y_train, x_test, y_test = pair(rng)
    found = ladders.climb(x_train[:, :12], y_train[:, :12], x_test, y_test)
    assert np.isnan(found.log_kappa).all()
    assert np.isfinite(found.gap).all()


@pytest.mark.parametrize("n_components", [0, 20, 51])
def test_more_components_than_items_are_refused(n_components, rng):
    with pytest.raises(ValueError, match="allow 1 to 19"):
        ladders.principal_components(rng.standard_normal((30, 50)), np.arange(30) < 20, n_components)


def test_states_of_fewer_directions_are_refused(rng):
    flat = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 50))
    with pytest.raises(ValueError, match="fewer than 5 directions"):
        ladders.principal_components(flat, np.arange(30) < 20, 5)

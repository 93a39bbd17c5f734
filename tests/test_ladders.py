"""The ladder of bridges: its rungs one by one, and scikit-learn as an oracle."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.metrics import r2_score
from zspace.measures import bridges
from zspace.measures.bridges import ladders

N_TRAIN, N_TEST, P = 40, 80, 8


def pair(rng, *, kappa=1.0, noise=0.5, n_layers=3):
    """Items in two languages, y being a rotation of x with singular values spread by kappa, plus noise."""
    x = rng.standard_normal((n_layers, N_TRAIN + N_TEST, P))
    sizes = np.geomspace(1, kappa, P)
    sizes /= np.sqrt((sizes**2).mean())
    turns = np.stack([ortho_group.rvs(P, random_state=rng) for _ in range(n_layers)])
    y = (x * sizes) @ turns + noise * rng.standard_normal(x.shape)
    return x[:, :N_TRAIN], y[:, :N_TRAIN], x[:, N_TRAIN:], y[:, N_TRAIN:]


def test_ladder_equals_its_bridges_one_by_one(rng):
    parts = pair(rng, kappa=4)
    found = ladders.compare_maps(*parts)
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


def test_too_few_items_have_no_kappa(rng):
    x_train, y_train, x_test, y_test = pair(rng)
    found = ladders.compare_maps(x_train[:, :12], y_train[:, :12], x_test, y_test)
    assert np.isnan(found.log_kappa).all()
    assert np.isfinite(found.gap).all()

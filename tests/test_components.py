"""Reduction of a residual stream to the components that two languages share."""

import numpy as np
import pytest
from builders import rotation
from zspace.measures.canonical import canonical_axes
from zspace.measures.components import depth_components, shared_series

LAYERS, ITEMS, WIDTH = 6, 200, 12


@pytest.fixture
def pair(rng):
    """Two languages that share two walks through depth, behind maps of their own; the shared (L+1, n, 2)."""
    shared = np.cumsum(rng.standard_normal((LAYERS + 1, ITEMS, 2)), 0)
    languages = []
    for _ in range(2):
        own = np.cumsum(rng.standard_normal((LAYERS + 1, ITEMS, 4)), 0)
        mixing = rng.standard_normal((6, WIDTH))
        languages.append(np.concatenate([shared, own], -1) @ mixing + 0.01 * rng.standard_normal(WIDTH))
    return *languages, shared


@pytest.fixture
def train():
    return np.arange(ITEMS) < 100


def test_depth_components_span_what_varies(pair, train):
    x, _, shared = pair
    scores = depth_components(x, train, 6)
    rest = shared - shared[:, train].mean(1, keepdims=True)
    for layer in (1, LAYERS):
        fitted, *_ = np.linalg.lstsq(scores[layer], rest[layer], rcond=None)
        np.testing.assert_allclose(scores[layer] @ fitted, rest[layer], atol=1e-8)


def test_depth_components_are_one_linear_map_over_layers(pair, train):
    x, *_ = pair
    scores = depth_components(x, train, 6)
    centred = x - x[:, train].mean(1, keepdims=True)
    axes, *_ = np.linalg.lstsq(centred[-1], scores[-1], rcond=None)
    np.testing.assert_allclose(centred @ axes, scores, atol=1e-8)


def test_depth_components_do_not_see_other_items(pair, train, rng):
    x, *_ = pair
    changed = np.where(train[:, None], x, rng.standard_normal(x.shape))
    one, other = (depth_components(s, train, 4)[:, train] for s in (changed, x))
    np.testing.assert_array_equal(one, other)


def test_depth_components_ignore_the_scale_of_a_dimension(pair, train, rng):
    x, *_ = pair
    scale = rng.uniform(0.1, 100, WIDTH)
    one, other = depth_components(x, train, 6), depth_components(x * scale, train, 6)
    np.testing.assert_allclose(np.abs(one), np.abs(other), atol=1e-6)


def test_shared_series_finds_planted_components(pair, train):
    x, y, shared = pair
    h1, h2 = shared_series(depth_components(x, train, 6), depth_components(y, train, 6), train, 2)
    assert h1.shape == h2.shape == (ITEMS, LAYERS + 1, 2)
    held_out = np.flatnonzero(~train)
    target = (shared - shared[:, train].mean(1, keepdims=True))[-1][held_out]
    fitted, *_ = np.linalg.lstsq(h1[held_out, -1], target, rcond=None)
    assert 1 - ((target - h1[held_out, -1] @ fitted) ** 2).sum() / (target**2).sum() > 0.9
    assert all(np.corrcoef(h1[held_out, -1, k], h2[held_out, -1, k])[0, 1] > 0.9 for k in range(2))


def test_shared_series_finds_nothing_on_new_items_where_nothing_is_shared(pair, train, rng):
    x, y, _ = pair
    y = y[:, rng.permutation(ITEMS)]
    h1, h2 = shared_series(depth_components(x, train, 6), depth_components(y, train, 6), train, 2)
    held_out = ~train
    assert all(abs(np.corrcoef(h1[held_out, -1, k], h2[held_out, -1, k])[0, 1]) < 0.35 for k in range(2))


def test_shared_series_is_invariant_to_invertible_maps_of_a_language(pair, train, rng):
    a, b = (depth_components(s, train, 6) for s in pair[:2])
    one = shared_series(a, b, train, 2)
    # layers are scaled by their size before the fit, which a rotation leaves and a general map does not
    for found, expected in zip(shared_series(a @ rotation(rng, 6), b, train, 2), one, strict=True):
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-6)
    stretched = shared_series(a * np.geomspace(1, 50, 6), b, train, 2)
    assert np.abs(np.abs(stretched[0]) - np.abs(one[0])).max() > 1e-3  # negative control


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, t: (x, t, 100), "allow 1 to"),
        (lambda x, t: (x[0], t, 2), "expected"),
        (lambda x, t: (np.where(np.arange(WIDTH) == 0, np.nan, x), t, 2), "NaN or infinite"),
        (lambda x, t: (np.ones_like(x), t, 2), "vary in 0 dimensions"),
        (lambda x, t: (x, t, 7), "vary in 6 dimensions"),
        (lambda x, t: (x, t[:-1], 2), "train"),
    ],
)
def test_bad_input_is_refused(pair, train, change, words):
    with pytest.raises(ValueError, match=words):
        depth_components(*change(pair[0], train))


def test_shared_series_refuses_more_components_than_axes(pair, train):
    scores = depth_components(pair[0], train, 3)
    with pytest.raises(ValueError, match="n_components=4"):
        shared_series(scores, scores, train, 4)
    with pytest.raises(ValueError, match="varies in 1"):
        shared_series(np.repeat(scores[..., :1], 3, -1), scores, train, 2)


def test_canonical_axes_are_those_of_the_eigenproblem(rng):
    x = rng.standard_normal((3, 60, 4))
    y = x @ rng.standard_normal((4, 4)) + rng.standard_normal((3, 60, 4))
    a, b = canonical_axes(x, y)
    for layer in range(3):
        u, v = ((s[layer] - s[layer].mean(0)) @ axes[layer] for s, axes in ((x, a), (y, b)))
        joint = np.cov(x[layer], y[layer], rowvar=False)
        xx, xy, yy = joint[:4, :4], joint[:4, 4:], joint[4:, 4:]
        squared = np.linalg.eigvals(np.linalg.solve(xx, xy) @ np.linalg.solve(yy, xy.T)).real
        np.testing.assert_allclose(u.T @ u, np.eye(4), atol=1e-10)
        np.testing.assert_allclose(u.T @ v, np.diag(np.sqrt(np.sort(squared)[::-1])), atol=1e-10)

"""The language probe: Gaussian worlds whose error rate is known, and what centring leaves to tell by."""

import numpy as np
import pytest
from scipy.stats import norm
from zspace.measures.language_probe import language_probe

Z = 4.5  # standard errors that an accuracy may be off


def split(n: int, n_train: int) -> np.ndarray:
    return np.arange(n) < n_train


def assert_chance(accuracy, chance: float, n_told: int) -> None:
    """Within Z standard errors of a share of `n_told` items."""
    np.testing.assert_allclose(accuracy, chance, rtol=0, atol=Z * np.sqrt(chance * (1 - chance) / n_told))


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("n_languages", [2, 3, 5])
def test_language_probe_is_at_chance_on_identical_distributions(n_languages, center, rng):
    n, d, n_layers = 900, 8, 3
    states = rng.normal(size=(n_languages, n_layers, n, d))
    accuracy = language_probe(states, split(n, 300), center=center)
    assert accuracy.shape == (n_layers,)
    assert_chance(accuracy, 1 / n_languages, 600 * n_languages)


@pytest.mark.parametrize("offset", [0.5, 1.0, 2.0])
def test_language_probe_reaches_the_best_error_rate_of_two_gaussians(offset, rng):
    """No classifier tells N(0, 1) from N(offset, 1) more often than Phi(offset / 2)."""
    n = 9000
    x, y = rng.normal(size=(2, 2, n, 3))
    y[1, :, 2] += offset
    x, y = 5 * x - 40, 5 * y - 40  # the unit and the origin do not matter
    accuracy = language_probe([x, y], split(n, 3000))
    best = np.array([0.5, norm.cdf(offset / 2)])
    np.testing.assert_allclose(accuracy, best, rtol=0, atol=Z * np.sqrt(0.25 / 12000) + 0.002)


@pytest.mark.parametrize("d", [4, 300])
def test_language_probe_finds_an_offset_and_centring_removes_it(d, rng):
    n = 90
    shared = rng.normal(size=(2, n, d))
    states = shared + 0.3 * rng.normal(size=(3, 2, n, d))
    states[:, 1] += 30 * np.eye(3, d)[:, None]  # from layer 1 on, each language has a direction of its own
    accuracy = language_probe(states, split(n, 30))
    assert accuracy[1] == 1.0
    assert accuracy[0] < 0.6
    centred = language_probe(states, split(n, 30), center=True)
    assert_chance(centred, 1 / 3, 180)


def test_language_probe_tells_by_spread_only_where_it_is_centred(rng):
    """The same mean, another covariance: nothing for a linear probe, all that centring leaves."""
    n, d = 600, 20
    x, y = rng.normal(size=(2, 3, n, d))
    x[1, :, :5] *= 4  # other directions
    y[1, :, 5:10] *= 4
    y[2] *= 2  # another size
    told = 400 * 2
    linear = language_probe([x, y], split(n, 200))
    # its weights follow the chance difference of the training means, of which the told items know nothing
    assert_chance(linear, 0.5, told)
    spread = language_probe([x, y], split(n, 200), center=True)
    assert_chance(spread[0], 0.5, told)
    assert np.all(spread[1:] > 0.9)
    shifted = language_probe([x, y + 50 * rng.normal(size=d)], split(n, 200), center=True)
    np.testing.assert_allclose(shifted, spread, rtol=0, atol=2 / told)  # whatever the offset


@pytest.mark.parametrize("center", [False, True])
def test_language_probe_does_not_depend_on_the_scales_of_dimensions(center, rng):
    n, d = 120, 30
    states = rng.normal(size=(2, 3, n, d))
    states[1] = 1.5 * states[1] + 0.4
    scales = 2.0 ** rng.integers(-12, 13, d)  # powers of two, which cost no rounding
    train = split(n, 40)
    accuracy = language_probe(states, train, center=center)
    np.testing.assert_array_equal(accuracy, language_probe(states * scales, train, center=center))
    assert accuracy.min() > 0.55
    # a dimension of no use cannot drown the others, however large; nor can one that never varies
    loud = np.concatenate([states, 1e6 * rng.normal(size=(2, 3, n, 1)), np.full((2, 3, n, 1), 7.0)], axis=3)
    assert language_probe(loud, train, center=center).min() > 0.55


def test_language_probe_with_fewer_items_than_dimensions_is_judged_on_others(rng):
    """A perfect fit to labels that mean nothing is no knowledge of a language."""
    n, d, n_train = 320, 400, 20
    x, y = rng.normal(size=(2, 4, n, d))
    train = split(n, n_train)
    labels = np.repeat([-1.0, 1.0], n_train)
    for layer in range(4):  # least squares, by hand: the training items are told without an error
        fitted = np.concatenate([x[layer, train], y[layer, train]])
        weights = np.linalg.lstsq(fitted, labels, rcond=None)[0]
        assert np.all(np.sign(fitted @ weights) == labels)
    assert_chance(language_probe([x, y], train), 0.5, 2 * (n - n_train))
    both = np.concatenate([x, x], axis=1), np.concatenate([y, y], axis=1)  # told what it was fitted on
    again = language_probe([b[:, np.r_[:n_train, n : n + n_train]] for b in both], split(40, 20))
    np.testing.assert_array_equal(again, 1.0)


def test_language_probe_is_fitted_on_the_training_items_alone(rng):
    n, d = 400, 5
    x, y = rng.normal(size=(2, 2, n, d))
    train = rng.permuted(split(n, 100))
    y[:, train] += 20
    x[1, ~train] += 20
    # what is learnt is of no use in layer 0, whose other items lack the offset, and misleads in layer 1
    np.testing.assert_array_equal(language_probe([x, y], train), [0.5, 0.0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_language_probe_takes_stored_precision(dtype, rng):
    states = rng.normal(size=(2, 2, 60, 6))
    states[1, 1] += 10
    exact = states.astype(dtype).astype(float)
    for center in (False, True):
        found = language_probe(states.astype(dtype), split(60, 20), center=center)
        np.testing.assert_allclose(found, language_probe(exact, split(60, 20), center=center), atol=2 / 80)


@pytest.mark.parametrize(
    ("change", "n_train", "n", "words"),
    [
        (lambda x: [x], 5, 10, r"shapes \[\(3, 10, 4\)\]; expected at least two arrays"),
        (lambda x: [x, x[:, :9]], 5, 10, r"\(3, 10, 4\), \(3, 9, 4\)\]; expected at least two .* of one"),
        (lambda x: [x[0], x[0]], 5, 10, r"\(10, 4\)\]; expected .* \(layers, items, hidden\)"),
        (lambda x: [x, x], 0, 10, "train marks 0 of 10 items; expected some of 10"),
        (lambda x: [x, x], 10, 10, "train marks 10 of 10 items; expected some of 10"),
        (lambda x: [x, x], 5, 12, "train marks 5 of 12 items; expected some of 10"),
    ],
)
def test_language_probe_refuses_what_it_cannot_be_fitted_on(rng, change, n_train, n, words):
    with pytest.raises(ValueError, match=words):
        language_probe(change(rng.normal(size=(3, 10, 4))), split(n, n_train))

"""Z and Z_perp of states: planted directions are found, invariances hold, accounting is exact."""

import numpy as np
import pytest
from builders import rotation
from zspace.measures.subspaces import shared_directions, split_contributions


def planted(rng, n=400, d=30, shared=3, own=3):
    """Two languages that share the first coordinates and not the next, turned, with an offset each."""
    basis = np.linalg.qr(rng.standard_normal((d, shared + own)))[0]
    common = rng.standard_normal((n, shared))
    states = []
    for _ in range(2):
        alike = common + 0.2 * rng.standard_normal((n, shared))
        coordinates = np.hstack([alike, rng.standard_normal((n, own))])
        states.append(coordinates @ basis.T + 5 * rng.standard_normal(d) + 0.01 * rng.standard_normal((n, d)))
    return *states, basis[:, :shared]


def test_shared_directions_finds_the_planted_space(rng):
    x, y, basis = planted(rng)
    found = shared_directions(x, y, 6)
    assert (found.agreement[:3] > 0.95).all()
    assert (np.abs(found.agreement[3:] - 0.5) < 0.1).all()
    # reading a direction off the state sees the planted coordinates alone
    seen = np.linalg.norm(basis.T @ found.readout, axis=0) / np.linalg.norm(found.readout, axis=0)
    assert (seen[:3] > 0.99).all()
    assert (seen[3:] < 0.2).all()


def test_shared_directions_are_uncorrelated_with_unit_variance(rng):
    x, y, _ = planted(rng)
    found = shared_directions(x, y, 6)
    read = np.concatenate([(s - s.mean(0)) @ found.readout for s in (x, y)])
    np.testing.assert_allclose(read.T @ read / len(read), np.eye(6), atol=1e-9)


def test_agreement_is_invariant_to_rotation_scale_and_offset_and_not_to_shuffling(rng):
    x, y, _ = planted(rng)
    turn, found = 3 * rotation(rng, 30), shared_directions(x, y, 6).agreement
    np.testing.assert_allclose(shared_directions(x @ turn + 1, y @ turn, 6).agreement, found, atol=1e-9)
    shuffled = shared_directions(x, rng.permutation(y), 6).agreement
    assert np.abs(shuffled - found).max() > 0.2


def test_shared_directions_of_few_items_are_as_many_as_asked_for(rng):
    """6 items leave 5 dimensions to means and 5 to differences: of 8 directions, 3 agree and 3 do not."""
    found = shared_directions(*rng.standard_normal((2, 6, 40)), 8)
    assert (found.agreement.shape, found.readout.shape) == ((8,), (40, 8))
    np.testing.assert_allclose(found.agreement[[0, 1, 2, 5, 6, 7]], [1, 1, 1, 0, 0, 0], atol=1e-9)
    assert (np.abs(found.agreement[3:5] - 0.5) < 0.49).all()


@pytest.mark.parametrize("n_components", [4, 8, 16, 18])
def test_split_of_few_items_does_not_hang_on_the_last_bits_of_states(n_components, rng):
    """Z holds every direction whose ratio is exactly 1, so that none of them is left to rounding."""
    h1, h2 = walk(rng, n=30, d=60)
    discovery = np.arange(30) < 10
    noise = 1 + 1e-7 * rng.standard_normal((2, *h1.shape))
    found, moved = (
        split_contributions(*pair, discovery, n_components) for pair in ((h1, h2), noise * (h1, h2))
    )
    for part in ("state", "distance", "added", "difference"):
        one, other = getattr(moved, part), getattr(found, part)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-9, err_msg=part)


@pytest.mark.parametrize(
    ("change", "p", "words"),
    [
        (lambda x: (x, x + 1), 0, "allow 1 to 8"),
        (lambda x: (x, x + 1), 9, "allow 1 to 8"),
        (lambda x: 2 * [x[:, :2] @ np.ones((2, 20)) + x[:, :1] * np.arange(20)], 4, "vary in 2 directions"),
        (lambda x: (x, x[:4]), 2, "expected twice"),
        (lambda x: (x, np.where(x > 0, np.inf, x)), 2, "NaN or infinite"),
    ],
)
def test_shared_directions_refuses_bad_input(rng, change, p, words):
    with pytest.raises(ValueError, match=words):
        shared_directions(*change(rng.standard_normal((5, 20))), p)


def walk(rng, n=60, d=20, n_layers=5):
    return np.cumsum(rng.standard_normal((2, n_layers + 1, n, d)), axis=1)


def test_layers_that_double_the_state_have_a_gain_of_one(rng):
    """However the dimensions are scaled: h and f of a step are divided alike."""
    x, y = rng.standard_normal((2, 60, 20)) * np.linspace(0.1, 50, 20)
    h1, h2 = (np.stack([s, 2 * s, 4 * s]) for s in (x, y))
    for standardise in (True, False):
        found = split_contributions(h1, h2, np.arange(60) < 20, 8, standardise=standardise)
        np.testing.assert_allclose(found.added, found.state, rtol=1e-9)
        np.testing.assert_allclose(found.difference, found.distance, rtol=1e-9)


def test_standardised_split_ignores_the_scale_of_a_dimension_and_the_raw_one_does_not(rng):
    h1, h2 = walk(rng)
    scale = np.exp(rng.standard_normal(20))
    for standardise in (True, False):
        one, other = (
            split_contributions(c * h1, c * h2, np.arange(60) < 20, 8, standardise=standardise).added
            for c in (1.0, scale)
        )
        assert np.allclose(one, other, rtol=1e-6) == standardise


def test_surrogate_contributions_replace_what_layers_add(rng):
    h1, h2 = walk(rng)
    found = split_contributions(h1, h2, np.arange(60) < 20, 8, contributions=lambda state, added: state)
    np.testing.assert_allclose(found.added, found.state, rtol=1e-12)


def test_split_contributions_accounts_for_every_step_exactly(rng):
    """On the directions of state k, |Delta'|^2 = |Delta|^2 + |delta|^2 + cross-term, item by item."""
    h1, h2 = walk(rng)
    discovery = np.arange(60) < 20
    found = split_contributions(h1, h2, discovery, 8, standardise=False)
    for k in range(5):
        readout = shared_directions(h1[k, discovery], h2[k, discovery], 8).readout
        read = [[(h[i] - h[i, discovery].mean(0)) @ readout for h in (h1, h2)] for i in (k, k + 1)]
        for half, columns in enumerate((slice(0, 4), slice(4, 8))):
            before, after = ([s[:, columns] for s in pair] for pair in read)
            same = [((p[0] - p[1]) ** 2).sum(1) for p in (before, after)]
            size = [(p[0] ** 2 + p[1] ** 2).sum(1) for p in (before, after)]
            added = found.difference[k, half] + found.cross_same[k, half]
            np.testing.assert_allclose(same[1], same[0] + added, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(size[0], found.state[k, half], rtol=1e-9)
            grown = size[0] + found.added[k, half] + found.cross_diff[k, half]
            np.testing.assert_allclose(size[1], grown, rtol=1e-9, atol=1e-9)


def test_split_contributions_of_unrelated_languages_differ_by_their_size(rng):
    h1, h2 = walk(rng, n=3000)
    found = split_contributions(h1, h2, np.arange(3000) < 1000, 8)
    np.testing.assert_allclose(found.difference.mean(-1) / found.added.mean(-1), 1, atol=0.1)


@pytest.mark.parametrize(
    ("layers", "n_train", "n_components", "words"),
    [(4, 60, 7, "even number"), (1, 60, 8, "at least one layer"), (4, 59, 8, "discovery")],
)
def test_split_contributions_refuses_bad_input(rng, layers, n_train, n_components, words):
    h1, h2 = (h[:layers] for h in walk(rng))
    with pytest.raises(ValueError, match=words):
        split_contributions(h1, h2, np.arange(n_train) < 20, n_components)

"""Bridges as further languages see them: closed forms, invariances, and noise of any shape that cancels."""

import numpy as np
import pytest
from builders import rotation, three_seeds
from scipy import optimize, stats
from zspace.measures import bridges
from zspace.measures.bridges import instrumented

P = 6
SIZES = np.geomspace(3, 0.5, P)


def seen_by_others(rng, weight, *, n=400, noise=0.5, shapes=(SIZES[::-1], SIZES), d=12):
    """x, y and an instrument's scores: y's shared part is x's times `weight`, noise of own shapes in both."""
    shared = rng.standard_normal((n, P)) * SIZES
    sides = []
    for part, shape in zip((shared, shared @ weight), shapes, strict=True):
        own = noise * np.sqrt((part**2).mean() / (shape**2).mean()) * shape
        sides.append((part + own * rng.standard_normal(part.shape)) @ rotation(rng, d)[:P])
    others = [shared @ rotation(rng, P) + 0.3 * rng.standard_normal((n, P)) for _ in range(3)]
    train = np.arange(n) < n // 3
    return *sides, bridges.instrument(others, train, P), train


def stretch(rng, kappa):
    return rotation(rng, P) * np.geomspace(1, kappa, P) / np.sqrt(kappa) @ rotation(rng, P)


def share(found):
    return found.missed.sum(-1) / found.spread.sum(-1)


def test_rotation_gap_is_that_of_the_best_rotation_by_brute_force(rng):
    b_x, b_y = rng.standard_normal((2, 5, 2))

    def left(angle, flip):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag(
            [1, flip]
        )
        turned = b_x @ turn
        scale = (turned * b_y).sum() / (turned**2).sum()
        return ((b_y - max(scale, 0) * turned) ** 2).sum() / (b_y**2).sum()

    grid = [(a, f) for a in np.linspace(0, 2 * np.pi, 200) for f in (1, -1)]
    angle, flip = min(grid, key=lambda one: left(*one))
    best = optimize.minimize_scalar(
        lambda a: left(a, flip), bounds=(angle - 0.1, angle + 0.1), method="bounded"
    )
    assert bridges.rotation_gap(b_x, b_y) == pytest.approx(best.fun, abs=1e-6)


def test_rotation_gap_is_zero_for_rotations_alone(rng):
    b = rng.standard_normal((4, 5, P))
    np.testing.assert_allclose(bridges.rotation_gap(b, 3 * b @ rotation(rng, P)), 0, atol=1e-12)
    assert (bridges.rotation_gap(b, b @ stretch(rng, 5)) > 0.02).all()


def test_spectrum_is_that_of_the_map_but_for_the_penalty(rng, monkeypatch):
    b = rng.standard_normal((P, P))
    weight = stretch(rng, 8)
    monkeypatch.setattr(instrumented, "RIDGE", 0.0)
    # similar to the squared map: b cancels
    exact = np.linalg.eigvals(np.linalg.solve(b @ b.T, b @ weight @ weight.T @ b.T)).real
    np.testing.assert_allclose(bridges.spectrum(b, b @ weight), np.sqrt(np.sort(exact)[::-1]))
    np.testing.assert_allclose(
        bridges.spectrum(np.eye(P), weight), np.linalg.svd(weight, compute_uv=False), atol=1e-9
    )
    monkeypatch.undo()
    there, back = (np.log(bridges.spectrum(*both)) for both in ((b, b @ weight), (b @ weight, b)))
    np.testing.assert_allclose(there, -back[::-1])
    plain = np.log(np.linalg.cond(np.eye(P) @ weight))
    assert np.ptp(np.log(bridges.spectrum(np.eye(P), weight))) < plain


@three_seeds
def test_a_rotation_is_missed_by_nothing_whatever_the_shapes_of_noise(rng):
    """Noise that an affine map makes up for and a rotation cannot: the gap of two languages alone sees it."""
    found, plain = [], []
    for stream in rng.spawn(30):
        x, y, scores, train = seen_by_others(stream, rotation(stream, P), noise=1.0)
        found.append(share(bridges.missed_by_rotation(x, y, scores, train)))
        parts = [bridges.principal_components(s, train, P) for s in (x, y)]
        ridge, turned = (
            bridges.fit(*(s[train] for s in parts), kind=k).r2(*(s[~train] for s in parts))
            for k in ("ridge", "scaled_procrustes")
        )
        plain.append(ridge - turned)
    assert abs(np.mean(found)) < 0.01
    assert np.mean(plain) > 0.1


@three_seeds
def test_a_stretching_map_is_missed_by_what_a_rotation_leaves_of_it(rng):
    weight = stretch(rng, 6)
    found = [
        bridges.missed_by_rotation(*seen_by_others(stream, weight, n=900, shapes=(SIZES, SIZES)))
        for stream in rng.spawn(10)
    ]
    truth = bridges.rotation_gap(np.diag(SIZES), SIZES[:, None] * weight) / 1.25  # noise is a fifth of y
    estimates = np.array([share(one) for one in found])
    assert estimates.mean() == pytest.approx(truth, abs=3 * stats.sem(estimates) + 0.01)
    shared = np.mean([one.shared.sum() / one.spread.sum() for one in found])
    assert shared == pytest.approx(0.8, abs=0.06)


def test_rotations_of_either_side_change_nothing_and_a_stretch_does(rng):
    x, y, scores, train = seen_by_others(rng, stretch(rng, 4))
    one = share(bridges.missed_by_rotation(x, y, scores, train))
    turned = share(
        bridges.missed_by_rotation(3 * x @ rotation(rng, 12), y @ rotation(rng, 12) + 5, scores, train)
    )
    assert turned == pytest.approx(one)
    other = share(bridges.missed_by_rotation(x * np.geomspace(1, 9, 12), y, scores, train))
    assert abs(other - one) > 0.01


def test_layers_are_independent(rng):
    many = [seen_by_others(stream, stretch(stream, 4)) for stream in rng.spawn(2)]
    x, y, scores = (np.stack([one[i] for one in many]) for i in range(3))
    together = share(bridges.missed_by_rotation(x, y, scores, many[0][3]))
    np.testing.assert_allclose(together, [share(bridges.missed_by_rotation(*one)) for one in many])


def test_pairs_are_what_one_pair_gives_by_hand(rng):
    """The covariances that are shared over pairs against those of each pair's own instrument."""
    states = np.stack([rng.standard_normal((80, P)) * SIZES for _ in range(4)])
    states += 2 * rng.standard_normal((80, P))
    read = np.stack(bridges.readers(states, np.arange(80) >= 40, 3))
    parts = np.arange(80) < 20, (np.arange(80) >= 20) & (np.arange(80) < 40)
    found = bridges.instrumented_pairs(states, read, parts, np.array([[0, 2]]))
    w = states[1] @ read[1] + states[3] @ read[3]
    covariances, sizes, within = [], [], []
    for part in parts:
        centred = [s[part] - s[part].mean(0) for s in (w, states[0], states[2])]
        within.append(centred[0].T @ centred[0] / 20)
        covariances.append([centred[0].T @ s / 20 for s in centred[1:]])
        sizes.append([(s**2).sum() / 20 for s in centred[1:]])
    root = np.linalg.cholesky(sum(within) / 2)
    (a_x, a_y), (b_x, b_y) = ([np.linalg.solve(root, b) for b in two] for two in covariances)
    np.testing.assert_allclose(found.singular_values[0], bridges.spectrum((a_x + b_x) / 2, (a_y + b_y) / 2))
    shared = ((a_x * b_x).sum() / sizes[1][0] + (a_y * b_y).sum() / sizes[1][1]) / 2
    assert found.shared[0] == pytest.approx(shared)


def test_more_components_than_items_allow_are_refused(rng):
    with pytest.raises(ValueError, match="9 components of 2 languages"):
        bridges.readers(list(rng.standard_normal((2, 20, 6))), np.arange(20) < 8, 9)

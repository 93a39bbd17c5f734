"""Gap and kappa against simulated rotations: no excess where a rotation is planted, one where it is not."""

import numpy as np
import pytest
from builders import compatible, rotation, three_seeds
from zspace.measures import bridges

P, N = 8, 80
DECAY = np.geomspace(3, 0.5, P)


def stretch(rng, kappa):
    """A map of this condition number whose singular values have geometric mean 1."""
    return rotation(rng, P) @ np.diag(np.geomspace(1, kappa, P)) @ rotation(rng, P) / np.sqrt(kappa)


def against_null(rng, weight, *, layers, noise_x=0.0, noise_y=0.4, spread=1.0, **options):
    """`layers` independent pairs of languages, y being x times `weight` before the noise."""
    items = rng.standard_normal((layers, 2 * N, P)) * spread
    x = items + noise_x * rng.standard_normal(items.shape)
    y = items @ weight + noise_y * rng.standard_normal(items.shape) + 7
    return bridges.orthogonal_null(x[:, :N], y[:, :N], x[:, N:], y[:, N:], rng=rng, **options)


def counts(found, statistic):
    """How often the interval of the excess covers 0, and how often it lies above."""
    low, high = found.interval(statistic)
    return np.sum((low <= 0) & (high >= 0)), np.sum(low > 0)


def test_observed_values_are_those_of_the_bridges(rng):
    x, y = rng.standard_normal((2, 3, 40, 4))
    found = bridges.orthogonal_null(x[:, :20], y[:, :20], x[:, 20:], y[:, 20:], n_simulations=5, rng=rng)
    fitted = (bridges.fit(x[:, :20], y[:, :20], kind=k) for k in ("ridge", "scaled_procrustes"))
    ridge, scaled = (bridge.r2(x[:, 20:], y[:, 20:]) for bridge in fitted)
    np.testing.assert_allclose(found.gap, ridge - scaled)
    kappa = bridges.fit(x[:, :20], y[:, :20], kind="affine").condition_number
    np.testing.assert_allclose(found.log_kappa, np.log(kappa))
    assert found.null_gap.shape == found.null_log_kappa.shape == (3, 5)
    np.testing.assert_allclose(found.gap_excess, found.gap - found.null_gap.mean(1))
    np.testing.assert_allclose(found.kappa_excess, found.log_kappa - found.null_log_kappa.mean(1))


@pytest.mark.parametrize("spread", [1.0, DECAY], ids=["even", "decaying"])
@pytest.mark.parametrize("noise_y", [0.4, 1.5])
def test_planted_rotation_has_no_excess(rng, spread, noise_y):
    """Noise in y alone: the interval covers 0 at its nominal rate, and the mean excess is negligible."""
    found = against_null(rng, 0.7 * rotation(rng, P), layers=100, spread=spread, noise_y=noise_y)
    for statistic in ("gap", "log_kappa"):
        covered, above = counts(found, statistic)
        assert compatible(covered, 100, 0.94, "less")
        assert compatible(above, 100, 0.04, "greater")
    # under much noise the simulated association errs downwards, and with it the excess: never upwards
    assert -0.015 < found.gap_excess.mean() < 0.005
    assert found.kappa_excess.mean() < 0.1
    if noise_y < 1:
        assert abs(found.gap_excess.mean()) < 0.002
        assert abs(found.kappa_excess.mean()) < 0.05


def test_noise_in_both_needs_the_null_that_knows_it(rng):
    """A rotation under equal noise: "both" finds nothing, "target" takes the noise of x for kappa."""
    planted = {"layers": 100, "spread": DECAY, "noise_x": 0.5, "noise_y": 0.5}
    both, target = (against_null(rng, rotation(rng, P), noise=n, **planted) for n in ("both", "target"))
    for statistic in ("gap", "log_kappa"):
        assert compatible(counts(both, statistic)[1], 100, 0.02, "greater")
        assert counts(target, statistic)[1] > 50
    assert abs(both.gap_excess.mean()) < 0.005


@pytest.mark.parametrize("noise", ["target", "both"])
@three_seeds
def test_planted_ill_conditioned_map_has_both_excesses(rng, noise):
    for kappa, least in ((6, 0.15), (12, 0.25)):
        found = against_null(rng, stretch(rng, kappa), layers=12, noise=noise)
        assert found.gap_excess.min() > least
        assert counts(found, "gap")[1] == 12
        assert found.kappa_excess.mean() > 0.4
        assert noise == "both" or counts(found, "log_kappa")[1] == 12


@pytest.mark.parametrize("spread", [1.0, DECAY], ids=["even", "decaying"])
@pytest.mark.parametrize("noise", ["target", "both"])
def test_unrelated_languages_have_no_excess(rng, noise, spread):
    found = against_null(rng, np.zeros((P, P)), layers=100, noise_y=1.0, noise=noise, spread=spread)
    for statistic in ("gap", "log_kappa"):
        covered, above = counts(found, statistic)
        assert compatible(covered, 100, 0.93, "less")
        assert compatible(above, 100, 0.05, "greater")
    # in sample they look associated; what is simulated is the little that holds on other items
    assert found.association.mean() < 0.15
    assert found.log_kappa.mean() > 3


def test_excess_is_invariant_to_rotation_translation_and_scale(rng):
    x, y = rng.standard_normal((2, 2 * N, P)) * DECAY
    y = x @ rotation(rng, P) + 0.3 * y
    turn, means = rotation(rng, P), []
    for given in (y, 9 * y @ turn - 4):
        sides = x[:N], given[:N], x[N:], given[N:]
        found = bridges.orthogonal_null(*sides, n_simulations=400, rng=np.random.default_rng(0))
        means.append([found.gap, found.log_kappa, found.association])
    np.testing.assert_allclose(*means, atol=1e-6)


def test_simulations_are_seeded(rng):
    x, y = rng.standard_normal((2, 60, 4))
    parts = x[:30], y[:30], x[30:], y[30:]
    nulls = [bridges.orthogonal_null(*parts, rng=np.random.default_rng(s)).null_gap for s in (1, 1, 2)]
    np.testing.assert_array_equal(nulls[0], nulls[1])
    assert np.abs(nulls[0] - nulls[2]).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda x, y: (x[:30], y[:29], x[30:], y[30:]), {}, "x_train and y_train have shapes"),
        (lambda x, y: (x, y[:, :3], x, y[:, :3]), {}, "x_train and y_train have shapes"),
        (lambda x, y: (x, y, x[..., :3], y[..., :3]), {}, "with the same layers and dimensions"),
        (lambda x, y: (x, y, x[:4], y[:4]), {}, "4 items to score in 4 dimensions do not determine"),
        (lambda x, y: (x[:7], y[:7], x, y), {}, "at least 8 items are needed"),
        (lambda x, y: (x, y, x, y), {"noise": "none"}, "found noise 'none' and n_simulations 20"),
        (lambda x, y: (x, y, x, y), {"n_simulations": 1}, "n_simulations 1; choose"),
    ],
)
def test_null_refuses_what_it_cannot_simulate(rng, change, options, words):
    with pytest.raises(ValueError, match=words):
        bridges.orthogonal_null(*change(*rng.standard_normal((2, 60, 4))), rng=rng, **options)


def test_interval_refuses_an_unknown_statistic(rng):
    x, y = rng.standard_normal((2, 60, 4))
    with pytest.raises(ValueError, match=r"found statistic 'kappa' and confidence 0\.95"):
        bridges.orthogonal_null(x, y, x, y, rng=rng).interval("kappa")

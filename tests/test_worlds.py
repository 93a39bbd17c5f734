"""Worlds: what translations share, how large everything is, and what a seed does and does not fix."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.stats import chisquare
from zspace.sources import worlds
from zspace.sources.worlds import LATENTS, World, replicate

SEEDS = (0, 1, 2)
SHARES = (0.40, 0.30, 0.08, 0.07, 0.06, 0.05, 0.04)
KINDS = {"orthogonal": 1, "invertible": 6, "near_identity": 3}


def correlation(one, other):
    """Correlation of every coordinate of (n, d) with the same coordinate of another (n, d)."""
    return np.mean((one - one.mean(0)) * (other - other.mean(0)), axis=0) / (one.std(0) * other.std(0))


@pytest.mark.parametrize(("flag", "columns"), [(False, 5), (True, 8)])
def test_items_have_a_row_for_every_language_and_columns_for_a_flag(rng, flag, columns):
    world = World(5, (0.5, 0.3, 0.2), flag=flag)
    items, mixture = world.sample(7, rng=rng), world.sample_mixture(7, rng=rng)
    for found, languages in ((items, (3,)), (mixture, ())):
        assert found.latents.shape == found.targets.shape == (*languages, 7, 5)
        assert found.inputs.shape == (*languages, 7, columns)
    assert mixture.language.shape == (7,)
    assert (world.n_languages, world.input_dim) == (3, columns)


@pytest.mark.parametrize("latent", LATENTS)
def test_translations_are_equal_in_shared_coordinates_and_independent_in_others(rng, latent):
    found = World(6, (1, 1, 1), shared_dim=4, latent=latent).draw_latents(20_000, rng=rng)
    for k in (1, 2):
        np.testing.assert_array_equal(found[0, :, :4], found[k, :, :4])
        assert np.abs(correlation(found[0, :, 4:], found[k, :, 4:])).max() < 4.5 / np.sqrt(20_000)
        np.testing.assert_allclose(correlation(found[0, :, :4], found[k, :, :4]), 1)


@pytest.mark.parametrize("shared_dim", [None, 6, 0])
def test_shared_dim_takes_all_coordinates_or_none(rng, shared_dim):
    world = World(6, (1, 1), shared_dim=shared_dim)
    assert world.n_shared == (6 if shared_dim is None else shared_dim)
    found = world.sample(50, rng=rng).latents
    assert (found[0] == found[1]).all() == (shared_dim != 0)
    assert (found[0] == found[1]).any() == (shared_dim != 0)


@pytest.mark.parametrize("latent", LATENTS)
def test_latents_have_zero_mean_unit_variance_and_the_named_shape(rng, latent):
    found = World(3, (1, 1), shared_dim=1, latent=latent).draw_latents(100_000, rng=rng)
    np.testing.assert_allclose(found.mean(1), 0, atol=0.016)
    np.testing.assert_allclose(found.var(1), 1, atol=0.04)
    kurtosis = {"gaussian": 3, "sign": 1, "laplace": 6}  # the latter two are the control of the first
    np.testing.assert_allclose((found**4).mean(1), kurtosis[latent], rtol=0.12)
    assert np.isin(found, (-1, 1)).all() == (latent == "sign")


@pytest.mark.parametrize("transform", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_transforms_have_the_condition_number_asked_for_and_unit_size(transform, seed):
    kappa = KINDS[transform]
    world = World(9, (1, 1, 1), transform=transform, condition_number=kappa, seed=seed)
    s = np.linalg.svd(world.parts.transforms, compute_uv=False)
    np.testing.assert_allclose(s[:, 0] / s[:, -1], kappa, rtol=1e-10)
    np.testing.assert_allclose(np.sqrt((s**2).mean(1)), 1, rtol=1e-12)
    np.testing.assert_allclose(np.diff(np.log(s), axis=1), -np.log(kappa) / 8, atol=1e-12)
    gram = world.parts.transforms @ world.parts.transforms.mT
    assert (np.abs(gram - np.eye(9)).max() < 1e-12) == (transform == "orthogonal")
    assert np.abs(world.parts.transforms[0] - world.parts.transforms[1]).max() > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_near_identity_is_symmetric_positive_and_the_identity_at_one(seed):
    near = World(5, (1, 1), transform="near_identity", condition_number=3, seed=seed).parts.transforms
    np.testing.assert_allclose(near, near.mT, atol=1e-12)
    assert (np.linalg.eigvalsh(near) > 0).all()
    identity = World(5, (1, 1), transform="near_identity", seed=seed).parts.transforms
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(5), (2, 5, 5)), atol=1e-12)
    other = World(5, (1, 1), transform="invertible", condition_number=3, seed=seed).parts.transforms
    assert np.abs(other - other.mT).max() > 0.1


def test_rotations_have_traces_like_haar_ones():
    """Of Haar rotations in O(d) the trace has mean 0 and variance 1; of the identity it is d."""
    traces = np.array([np.trace(World(6, (1, 1), seed=s).parts.transforms[0]) for s in range(400)])
    assert abs(traces.mean()) < 4 / 20
    assert traces.var() == pytest.approx(1, abs=4 * np.sqrt(2) / 20)


@pytest.mark.parametrize(("centroid", "size"), [(True, 0.8), (np.True_, 0.8), (1.0, 1.0), (0.3, 0.3), (0, 0)])
def test_centroids_have_the_norm_asked_for_in_units_of_root_d(centroid, size):
    for seed in SEEDS:
        found = World(16, (1, 1, 1), centroid=centroid, seed=seed).parts.centroids
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), size * 4, rtol=1e-12)
        if size:
            assert abs(found[0] @ found[1]) < 0.9 * (4 * size) ** 2  # another direction in every language


@pytest.mark.parametrize(("flag", "size"), [(True, 2.0), (np.True_, 2.0), (1, 1.0), (0.5, 0.5)])
def test_flag_is_a_one_hot_code_of_the_language_behind_the_input(rng, flag, size):
    world = World(4, (0.5, 0.3, 0.2), flag=flag)
    items = world.sample(6, rng=rng)
    for k in range(3):
        np.testing.assert_array_equal(items.inputs[k, :, 4:], np.tile(size * np.eye(3)[k], (6, 1)))
    mixture = world.sample_mixture(50, rng=rng)
    np.testing.assert_array_equal(mixture.inputs[:, 4:], size * np.eye(3)[mixture.language])


@pytest.mark.parametrize("seed", SEEDS)
def test_inputs_are_transformed_latents_plus_centroid_plus_noise_of_their_own(rng, seed):
    kind = {"transform": "invertible", "condition_number": 4, "centroid": True, "noise": 0.2}
    world = World(4, (0.5, 0.5), **kind, seed=seed)
    items, parts = world.sample(20_000, rng=rng), world.parts
    added = items.inputs - items.latents @ parts.transforms.mT - parts.centroids[:, None]
    np.testing.assert_allclose(added.std(1), 0.2, rtol=0.03)
    assert np.abs(correlation(added[0], added[1])).max() < 4.5 / np.sqrt(20_000)
    exact = replace(world, noise=0).sample(50, rng=rng)
    shown = exact.latents @ parts.transforms.mT + parts.centroids[:, None]
    np.testing.assert_allclose(exact.inputs, shown, atol=1e-12)
    mixture = replace(world, noise=0).sample_mixture(50, rng=rng)
    for x, z, y, k in zip(mixture.inputs, mixture.latents, mixture.targets, mixture.language, strict=True):
        np.testing.assert_allclose(x, parts.transforms[k] @ z + parts.centroids[k], atol=1e-12)
        np.testing.assert_allclose(y, world.solve(z, k), atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_shared_targets_coincide_and_private_ones_differ(rng, seed):
    z = rng.standard_normal((2000, 6))
    shared, private = (World(6, (1, 1, 1), target=t, seed=seed) for t in ("shared", "private"))
    np.testing.assert_array_equal(shared.solve(z, 0), shared.solve(z, 2))
    assert np.abs(correlation(private.solve(z, 0), private.solve(z, 2))).mean() < 0.7
    np.testing.assert_array_equal(shared.solve(z, 1), private.solve(z, 0))  # the first language keeps its own
    hand = np.tanh(z @ private.parts.first[2].T) @ private.parts.second[2].T
    np.testing.assert_allclose(private.solve(z, 2), hand)
    assert private.parts.first.shape == (3, 12, 6)
    assert 0.1 < private.solve(z, 2).var() < 1


def test_linear_targets_are_the_problems_and_no_view_of_them(rng):
    world = World(3, (1, 1), target="linear")
    z = rng.standard_normal((5, 3))
    found = world.solve(z, 1)
    np.testing.assert_array_equal(found, z)
    found[:] = 0
    assert np.abs(z).min() > 0
    assert world.parts.first is None
    assert world.parts.second is None


@pytest.mark.parametrize("seed", SEEDS)
def test_same_seed_same_world_and_another_seed_another_world(seed):
    def arrays(s):
        parts = World(5, (1, 1), transform="invertible", condition_number=2, centroid=True, seed=s).parts
        return parts.transforms, parts.centroids, parts.first, parts.second

    for one, again, other in zip(arrays(seed), arrays(seed), arrays(seed + 1), strict=True):
        np.testing.assert_array_equal(one, again)
        assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("method", ["sample", "sample_mixture"])
def test_items_are_fixed_by_the_generator_of_the_caller(method):
    world = World(3, (0.5, 0.5))
    one, again, other = (getattr(world, method)(8, rng=np.random.default_rng(s)).inputs for s in (4, 4, 5))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1


def test_kinds_of_a_world_change_nothing_that_they_do_not_name():
    """Centroid, flag, noise, problems and target leave the transforms, so that worlds differ in one thing."""
    plain = World(5, (1, 1), seed=3)
    kinds = {
        "centroid": True,
        "flag": True,
        "noise": 0.5,
        "latent": "sign",
        "target": "private",
        "shared_dim": 2,
    }
    for name, value in kinds.items():
        changed = replace(plain, **{name: value})
        np.testing.assert_array_equal(changed.parts.transforms, plain.parts.transforms)
        np.testing.assert_array_equal(changed.parts.first[0], plain.parts.first[0])
    assert np.abs(replace(plain, seed=4).parts.transforms - plain.parts.transforms).max() > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_replicate_draws_the_same_kind_of_world_anew(seed):
    world = World(5, SHARES, transform="invertible", condition_number=2, centroid=True, flag=True, seed=seed)
    one, again, other = (replicate(world, s) for s in (0, 0, 1))
    assert one == again
    assert len({world.seed, one.seed, other.seed, replicate(replace(world, seed=seed + 1), 0).seed}) == 4
    assert replace(one, seed=world.seed) == world
    for name in ("transforms", "centroids", "first"):
        assert np.abs(getattr(one.parts, name) - getattr(other.parts, name)).max() > 0.01


@pytest.mark.parametrize("transform", KINDS)
@pytest.mark.parametrize("target", ["shared", "private"])
def test_another_language_leaves_the_others_as_they_were(transform, target):
    kind = {"transform": transform, "condition_number": KINDS[transform], "centroid": True, "target": target}
    for seed in SEEDS:
        few, more = (World(5, np.ones(k), **kind, seed=seed).parts for k in (2, 3))
        for name in ("transforms", "centroids", "first", "second"):
            np.testing.assert_array_equal(getattr(more, name)[:2], getattr(few, name))


@pytest.mark.parametrize("seed", SEEDS)
def test_languages_of_a_mixture_come_as_often_as_their_shares_say(seed):
    world, rotated = World(2, SHARES, seed=seed), World(2, np.roll(SHARES, 1), seed=seed)
    np.testing.assert_array_equal(world.parts.transforms, rotated.parts.transforms)
    language = world.sample_mixture(20_000, rng=np.random.default_rng(seed)).language
    counts = np.bincount(language, minlength=7)
    assert chisquare(counts, 20_000 * np.array(SHARES)).pvalue > 1e-3
    assert chisquare(counts, 20_000 * np.roll(SHARES, 1)).pvalue < 1e-10


def test_share_is_normalised_once_and_for_all(rng):
    assert World(2, (2, 1, 1)).share == (0.5, 0.25, 0.25)
    assert World(2, SHARES).share == SHARES
    assert World(2, np.array([3.0])).share == (1.0,)
    for _ in range(200):  # dividing by their sum a second time would change many of these in the last digit
        world = World(2, rng.random(7))
        assert sum(world.share) == pytest.approx(1, abs=1e-15 * 7)
        assert World(**asdict(world)) == world
        assert replicate(world, 0).share == world.share


def test_worlds_are_equal_and_plain_numbers_however_their_parameters_were_typed():
    numbers = {"shared_dim": 3, "noise": 0, "seed": 7, "condition_number": 3}
    plain = World(4, (0.5, 0.5), transform="invertible", **numbers)
    numbers = {name: np.int64(number) for name, number in numbers.items()} | {"noise": np.float32(0)}
    typed = World(np.int64(4), np.array([1, 1]), transform="invertible", **numbers)
    assert typed == plain
    assert hash(typed) == hash(plain)
    assert {type(v) for v in asdict(typed).values()} == {int, float, str, tuple}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent": "normal"}, "latent='normal'; expected one of gaussian, sign, laplace"),
        (
            {"transform": "affine"},
            "transform='affine'; expected one of orthogonal, invertible, near_identity",
        ),
        ({"target": "random"}, "target='random'; expected one of shared, private, linear"),
        *(
            ({"share": share}, "expected a positive weight for every language")
            for share in ((), (0.5, 0), (1, -0.1), (1, np.nan), (1, np.inf), ((1, 1), (1, 1)), 0.5)
        ),
        ({"dim": 0}, "dim=0, .*dim >= 1"),
        ({"dim": 2.5}, "expected whole numbers"),
        ({"shared_dim": 5}, "shared_dim=5; expected 0 <= shared_dim <= dim"),
        ({"shared_dim": -1}, "shared_dim=-1; expected 0 <= shared_dim <= dim"),
        ({"seed": -1}, "seed=-1; expected whole numbers, the seed not negative"),
        ({"condition_number": 6}, "condition_number=6 with orthogonal transforms; .*transform='invertible'"),
        ({"transform": "invertible", "condition_number": 0.5}, "condition_number=0.5 with invertible"),
        ({"noise": -0.1}, "noise=-0.1; none can be negative"),
        ({"centroid": -1}, "centroid=-1, .*none can be negative"),
        ({"flag": -2}, "flag=-2, .*none can be negative"),
        ({"noise": np.nan}, "noise=nan; expected a finite number"),
        ({"centroid": np.nan}, "centroid=nan; expected a finite number"),
        ({"flag": np.inf}, "flag=inf; expected a finite number"),
        ({"transform": "invertible", "condition_number": np.nan}, "condition_number=nan; expected a finite"),
        ({"seed": np.nan}, "seed=nan; expected a finite number"),
    ],
)
def test_world_refuses_parameters_out_of_their_range(change, message):
    with pytest.raises(ValueError, match=message):
        World(**{"dim": 4, "share": (0.5, 0.5), **change})


def test_worlds_of_one_dimension_or_one_language_can_be_drawn(rng):
    """Where there is nothing to turn or to choose from, the rest still holds."""
    line = World(1, (0.5, 0.5), transform="invertible", condition_number=6, noise=0)
    np.testing.assert_array_equal(line.parts.transforms, np.ones((2, 1, 1)))
    single = World(3, (1,), noise=0).sample_mixture(10, rng=rng)
    assert (single.language == 0).all()
    assert worlds.language_posterior(World(3, (1,)), single.inputs) == pytest.approx(1)

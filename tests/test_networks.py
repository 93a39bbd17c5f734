"""Linear nets: where gradient descent ends, what balanced weights keep, and clear refusals."""

import numpy as np
import pytest
from zspace import theory
from zspace.errors import ConvergenceError
from zspace.states import networks

RHO = np.array([1.0, 0.8, 0.6, 0.4, 0.2, 0.05])
D = len(RHO)
OPTIONS = {"step": 0.05, "gradient_norm": 1e-9}


def problem():
    return theory.moments(np.stack([np.diag(row) for row in theory.whitened_pair(RHO)]), [0.5, 0.5])


def singular_values(net):
    return np.linalg.svd(np.stack(net.layers), compute_uv=False)  # (L, S, d)


def assert_has_the_best_map(net):
    sizes = np.linalg.svd(net.product, compute_uv=False)
    np.testing.assert_allclose(sizes, np.tile(np.sqrt(RHO), (3, 1)), atol=1e-6)


@pytest.mark.parametrize("n_layers", [2, 4])
@pytest.mark.parametrize("scale", [0.7, 0.3])
def test_balanced_layers_have_singular_values_rho_to_1_over_2l(rng, n_layers, scale):
    options = {"n_nets": 3, "init": "balanced", "scale": scale, **OPTIONS}
    net = networks.train_linear(problem(), (D,) * (n_layers + 1), rng=rng, **options)
    expected = np.broadcast_to(theory.layer_spectrum(RHO, n_layers), (n_layers, 3, D))
    np.testing.assert_allclose(singular_values(net), expected, atol=5e-3)
    assert_has_the_best_map(net)
    assert np.abs(singular_values(net) - np.sqrt(RHO)).max() > 0.2  # not what the conjecture says


@pytest.mark.parametrize("n_layers", [2, 4])
def test_residual_contributions_grow_as_agreement_falls(rng, n_layers):
    net = networks.train_linear(problem(), (D,) * (n_layers + 1), rng=rng, init="identity", **OPTIONS)
    expected = np.diag(theory.layer_spectrum(RHO, n_layers) - 1)
    for layer in net.layers:
        np.testing.assert_allclose(layer[0] - np.eye(D), expected, atol=5e-3)
    energy = theory.contribution_energy(RHO, n_layers)
    assert (np.diff(energy) > 0).all()  # RHO falls


def test_standard_weights_end_at_the_same_map_with_other_layers(rng):
    net = networks.train_linear(problem(), (D,) * 3, rng=rng, n_nets=3, **OPTIONS)
    assert_has_the_best_map(net)
    assert np.abs(singular_values(net) - theory.layer_spectrum(RHO, 2)).max() > 0.1


def test_layers_trained_one_by_one_leave_nothing_to_the_later_ones(rng):
    net = networks.train_greedily(problem(), 3, rng=rng)
    np.testing.assert_allclose(singular_values(net)[:, 0], [np.sqrt(RHO), np.ones(D), np.ones(D)], atol=1e-7)
    assert net.loss[0] == pytest.approx(theory.optimum_of(problem()).loss, abs=1e-9)


def test_gradients_equal_finite_differences(rng):
    layers = [rng.standard_normal((2, 4, 6)), rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 6, 3))]
    found = networks.linear._gradients(layers, problem())
    h = 1e-6
    for k, layer in enumerate(layers):
        for at in ((0, 0, 0), (1, 2, 1), (0, 1, 2)):
            moved = [one.copy() for one in layers]
            moved[k][at] += h
            up = theory.map_loss(moved[2] @ moved[1] @ moved[0], problem())[at[0]]
            moved[k][at] -= 2 * h
            down = theory.map_loss(moved[2] @ moved[1] @ moved[0], problem())[at[0]]
            assert found[k][at] == pytest.approx((up - down) / (2 * h), rel=1e-5, abs=1e-5)
        assert found[k].shape == layer.shape


def test_bottleneck_reaches_the_loss_of_its_leading_ratios(rng):
    net = networks.train_linear(problem(), (D, 2, D), rng=rng, n_nets=4, step=0.2, gradient_norm=1e-9)
    np.testing.assert_allclose(net.loss, D - RHO[:2].sum(), atol=1e-12)
    assert (net.gradient_norm <= 1e-9).all()


def test_nets_do_not_depend_on_their_companions():
    alone, among = (
        networks.train_linear(problem(), (D, D), rng=np.random.default_rng(1), n_nets=n, step=0.9)
        for n in (1, 3)
    )
    np.testing.assert_allclose(alone.product[0], among.product[0], atol=1e-9)


def test_same_seed_same_net_and_another_seed_another():
    streams = map(np.random.default_rng, (5, 5, 6))
    nets = (networks.train_linear(problem(), (D, 2, D), rng=rng, gradient_norm=1e-3) for rng in streams)
    first, again, other = (net.layers[0] for net in nets)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize(
    ("widths", "options", "error", "words"),
    [
        ((D, 3), {}, ValueError, "from d_x=6 to d_y=6"),
        ((D, 2, D), {"init": "balanced"}, ValueError, "equal widths"),
        ((D, D), {"init": "orthogonal"}, ValueError, "expected one of balanced"),
        ((D, D), {"max_steps": 3}, ConvergenceError, "after 3 steps"),
        ((D, D), {"step": 30.0}, ConvergenceError, "smaller step"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of a training that diverges
def test_training_refuses_what_it_cannot_do(rng, widths, options, error, words):
    with pytest.raises(error, match=words):
        networks.train_linear(problem(), widths, rng=rng, **options)

"""Conjecture 3: closed forms of the layers of linear nets, and the stacks of known answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zspace import theory
from zspace.measures.subspaces import split_contributions

RATIOS = st.lists(st.floats(0.01, 1), min_size=1, max_size=8)


@given(RATIOS, st.integers(1, 12))
def test_layers_multiply_to_sqrt_rho(rho, n_layers):
    each = theory.layer_spectrum(rho, n_layers)
    np.testing.assert_allclose(each**n_layers, np.sqrt(rho), rtol=1e-9)


@given(st.floats(0.01, 0.98), st.integers(1, 12))
def test_contributions_grow_as_agreement_falls(rho, n_layers):
    low, high = theory.contribution_energy([rho, rho + 0.01], n_layers)
    assert low > high
    assert theory.contribution_energy([1.0], n_layers).tolist() == [0.0]


def test_contribution_energy_equals_a_sum_over_the_path():
    rho, n_layers = 0.3, 3
    z = theory.whitened_pair([rho])
    state, factor, energy = z[:, 0], rho ** (1 / 6), 0.0
    for _ in range(n_layers):
        added = (factor - 1) * state
        energy += (added[0] - added[1]) ** 2
        state = state + added
    assert theory.contribution_energy([rho], n_layers)[0] == pytest.approx(energy, rel=1e-12)


def test_layer_spectrum_refuses_what_is_no_ratio():
    for rho, n_layers in (([1.2], 2), ([-0.1], 2), ([0.5], 0), ([np.nan], 2), (0.5, 2)):
        with pytest.raises(ValueError, match="shares that sum to one"):
            theory.layer_spectrum(rho, n_layers)


def test_layer_spectrum_is_proved_symbolically():
    assert theory.prove_layer_spectrum() == {"balanced": 0, "spectrum": 0, "reversed": 0}


@pytest.mark.parametrize("ratio", [-1.5, 0.0, 1.5])
def test_suppression_stack_has_the_gains_that_were_asked(rng, ratio):
    h1, h2 = theory.suppression_stack(4000, log_gain_ratio=ratio, rng=rng, noise=1e-4)
    assert h1.shape == h2.shape == (7, 4000, 64)
    found = split_contributions(h1, h2, np.ones(4000, bool), 8, standardise=False)
    gain = found.added.mean(-1) / found.state.mean(-1)
    np.testing.assert_allclose(gain[:, 0], 0.2 * np.exp(ratio / 2), rtol=0.05)
    np.testing.assert_allclose(gain[:, 1], 0.2 * np.exp(-ratio / 2), rtol=0.05)
    quality = found.difference.mean(-1) / found.added.mean(-1)
    np.testing.assert_allclose(quality[:, 0], 0.1, atol=0.02)  # languages agree in Z whatever the gains
    np.testing.assert_allclose(quality[:, 1], 1.0, atol=0.05)


def test_suppression_stack_is_seeded():
    first, again, other = (
        theory.suppression_stack(6, log_gain_ratio=1.0, rng=np.random.default_rng(s))[0] for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1

"""Conjecture 5: the pace of the snr in closed form, in symbols and in sampled stacks."""

import numpy as np
import pytest
from zspace import theory
from zspace.measures import residual

DEPTHS = {1.0: 17, 1.5: 8, 2.0: 5}  # r_0 = 1.6, q = .8, step = .2, first snr below .99


def test_residues_vanish_and_a_wrong_statement_leaves_one():
    assert all(residue == 0 for residue in theory.prove_pace().values())


@pytest.mark.parametrize("gain", DEPTHS)
def test_closed_form_equals_the_accounting_layer_by_layer(gain):
    same, diff, snr = 1.6, 1.0, [1.6]
    for _ in range(30):
        same, diff = same + 0.8 * gain**2 * 0.2, diff + gain**2 * 0.2
        snr.append(same / diff)
    np.testing.assert_allclose(theory.pace_snr(1.6, 0.8, 0.2, 30, gain=gain), snr, rtol=1e-12)
    assert next(k for k, r in enumerate(snr) if r < 0.99) == DEPTHS[gain]
    assert theory.first_below(snr, 0.99) == DEPTHS[gain]


@pytest.mark.parametrize("gain", DEPTHS)
def test_sampled_stacks_have_the_snr_of_the_closed_form(gain, rng):
    h1, h2 = theory.pace_stack(400, rng=rng, gain=gain, n_layers=12)
    profile = residual.snr_profile(h1, h2)
    np.testing.assert_allclose(profile.snr, theory.pace_snr(1.6, 0.8, 0.2, 12, gain=gain), rtol=0.03)
    np.testing.assert_allclose(profile.delta_sq / profile.sigma_sq, 0.8, atol=0.04)


def test_more_activity_is_faster_unless_quality_gets_worse():
    gains = np.linspace(0.5, 3, 11)
    depths = theory.first_below(theory.pace_snr(1.6, 0.8, 0.2, 100, gain=gains), 0.99)
    assert (np.diff(depths) <= 0).all()
    worse = theory.first_below(theory.pace_snr(1.6, 0.96, 0.2, 100, gain=1.5), 0.99)
    assert worse > DEPTHS[1.0]
    assert theory.first_below(theory.pace_snr(1.6, 1.0, 0.2, 50), 0.99) == -1  # never below
    # above the start, activity slows: the same closed form, the other sign
    rising = theory.pace_snr(0.5, 0.8, 0.2, 10, gain=[1, 2])
    assert (rising[1, 1:] > rising[0, 1:]).all()


@pytest.mark.parametrize(
    "wrong", [{"r_0": -1.0}, {"q": -0.1}, {"step": -0.1}, {"n_layers": 0}, {"gain": -2.0}], ids=str
)
def test_pace_refuses_negative_numbers(wrong):
    with pytest.raises(ValueError, match="no negative number"):
        theory.pace_snr(**{"r_0": 1.6, "q": 0.8, "step": 0.2, "n_layers": 3} | wrong)


@pytest.mark.parametrize("wrong", [{"r_0": 0.9}, {"q": 1.2}], ids=str)
def test_stack_refuses_what_it_cannot_make(wrong, rng):
    with pytest.raises(ValueError, match="expected r_0 >= 1"):
        theory.pace_stack(10, rng=rng, **wrong)

"""Shares of the fall of log snr: planted causes, Shapley values by enumeration, paths that cannot be."""

import dataclasses

import numpy as np
import pytest
from builders import SHAPES, related_languages
from zspace import theory
from zspace.measures import accumulation, residual
from zspace.measures.resampling import group_weights

GROUPS = np.repeat(np.arange(6), [3, 5, 4, 2, 6, 4])


@pytest.fixture(params=SHAPES, ids=lambda shape: f"seed{shape[0]}")
def states(request):
    return related_languages(*request.param)


def profile_of_paths(d_same, d_diff, q, sigma_sq, cross_same, cross_diff):
    """A profile that holds just what the shares read; everything else is NaN."""
    sigma_sq = np.asarray(sigma_sq, float)
    nothing = np.full(1, np.nan)
    given = {
        "d_same": np.array([d_same]),
        "d_diff": np.array([d_diff]),
        "sigma_sq": sigma_sq,
        "delta_sq": np.asarray(q) * sigma_sq,
        "cross_same": np.asarray(cross_same, float),
        "cross_diff": np.asarray(cross_diff, float),
    }
    return residual.SnrProfile(
        **{f.name: given.get(f.name, nothing) for f in dataclasses.fields(residual.SnrProfile)}
    )


def test_accumulation_shares_reproduce_the_actual_path_and_sum_to_the_fall(states):
    profile = residual.snr_profile(*states)
    shares = accumulation.accumulation_shares(profile)
    np.testing.assert_allclose(shares.log_snr, np.log(profile.snr), atol=1e-9)
    assert shares.fall == pytest.approx(np.log(profile.snr[0] / profile.snr[-1]))
    assert shares.contributions.sum() == pytest.approx(shares.fall)


def test_accumulation_shares_find_the_one_cause_that_was_planted():
    sigma, none = np.full(4, 0.5), np.zeros(4)
    only_accumulation = profile_of_paths(1.6, 1.0, 0.8, sigma, none, none)
    only_q = profile_of_paths(1.0, 1.0, [1.0, 0.5, 0.4, 0.3], sigma, none, none)
    only_cross = profile_of_paths(1.0, 1.0, 1.0, sigma, np.full(4, -0.2), none)
    for profile, part in ((only_accumulation, 0), (only_q, 1), (only_cross, 2)):
        shares = accumulation.accumulation_shares(profile).shares
        np.testing.assert_allclose(shares, np.eye(3)[part], atol=1e-12)


def test_accumulation_shares_are_the_shapley_values_of_both_switches():
    profile = profile_of_paths(1.5, 1.0, [0.9, 0.5], [0.4, 0.6], [-0.1, -0.2], [0.1, 0.05])

    def fall(free_q, cross):
        same, diff = 1.5, 1.0
        for sigma, q, c_s, c_d in zip([0.4, 0.6], [0.9, 0.5], [-0.1, -0.2], [0.1, 0.05], strict=True):
            same += (q if free_q else 0.9) * sigma + cross * c_s
            diff += sigma + cross * c_d
        return np.log(1.5) - np.log(same / diff)

    by_q = (fall(1, 0) - fall(0, 0) + fall(1, 1) - fall(0, 1)) / 2
    by_cross = (fall(0, 1) - fall(0, 0) + fall(1, 1) - fall(1, 0)) / 2
    found = accumulation.accumulation_shares(profile)
    np.testing.assert_allclose(found.contributions, [fall(0, 0), by_q, by_cross], atol=1e-12)
    np.testing.assert_allclose(found.shares, found.contributions / fall(1, 1))


def test_accumulation_shares_are_nan_on_paths_that_cannot_be_and_where_snr_rises():
    impossible = profile_of_paths(1.0, 1.0, [0.1, 5.0], [1.0, 1.0], [-0.5, -4.0], [0.0, 0.0])
    found = accumulation.accumulation_shares(impossible)
    assert np.isnan(found.shares).all()
    assert np.isfinite(found.log_snr).all()
    assert np.isfinite(found.accumulation).all()
    rising = accumulation.accumulation_shares(profile_of_paths(1.0, 1.0, 2.0, [1.0], [0.0], [0.0]))
    assert np.isnan(rising.shares).all()
    assert rising.contributions[0] < 0


def test_accumulation_shares_of_replicates_are_those_of_each(rng):
    stack = theory.accumulation_null(24, rng=rng, dim=30)
    result = residual.snr_replicates(*stack, GROUPS, group_weights(GROUPS, 5, rng=rng))
    shares = accumulation.accumulation_shares(result.replicates)
    assert shares.shares.shape == (5, 3)
    first = residual.SnrProfile(
        **{f.name: getattr(result.replicates, f.name)[0] for f in dataclasses.fields(residual.SnrProfile)}
    )
    np.testing.assert_allclose(shares.shares[0], accumulation.accumulation_shares(first).shares)

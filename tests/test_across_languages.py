"""Gaps between two languages cluster over steps where that is planted, and nowhere else."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from planted_recordings import planted_recordings
from zspace.evidence import claims
from zspace.evidence.momentum import across_languages as across

N_LINE = 15  # tokens of a line


def rng_of(seed):
    return np.random.default_rng(seed)


def solved(seed, *, growing=(), n_scenarios=24, languages=("de", "sw", "te")):
    """Recordings whose lines have levels of their own; in some conditions they part more and more."""
    rng = rng_of(seed)
    bare = planted_recordings(rng, clustering=(), n_scenarios=n_scenarios, languages=languages)
    energy, tokens = bare.update_energy.copy(), bare.tokens.copy()
    for row, condition in enumerate(bare.series["condition"]):
        steps = bare.steps(row)
        line = np.arange(steps.stop - steps.start) // N_LINE
        tokens[steps] = np.arange(line.size) % N_LINE == N_LINE - 1
        levels = 0.7 * rng.standard_normal(line[-1] + 1)
        if condition in growing:
            levels = rng.standard_normal() * np.linspace(0, 2, line[-1] + 1)
        energy[:, steps] = np.exp(0.3 * rng.standard_normal(line.size) + levels[line])
    pieces = {0: "word", 1: "end.\n"}
    return replace(bare, tokens=tokens, pieces=pieces, update_energy=energy, classes=bare.classes * 0)


def test_gap_momentum_is_zero_over_all_orders_and_one_for_two_equal_halves():
    gap = np.array([0.3, 1.2, 0.1, 2.0, 0.7])
    parts = across.gap_parts([np.array(order) for order in itertools.permutations(gap)])
    assert parts[:, 0].mean() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(parts[:, 1], parts[0, 1])
    rising, alternating = across.gap_parts([np.arange(5.0), np.array([0.0, 1, 0, 1, 0])])
    assert rising[0] / rising[1] > 0.5
    assert alternating[0] / alternating[1] < -0.5
    # a level that a problem has throughout is no momentum
    np.testing.assert_allclose(across.gap_parts([gap + 9]), across.gap_parts([gap]))


def test_differences_are_of_the_same_problem_and_have_no_common_part():
    recordings = solved(0)
    found, scenarios = across.differences(recordings, 3)
    assert len(scenarios) == 3 * 24  # pairs of three languages
    assert {len(many) for many in found.values()} == {3 * 24}
    first_lines = [d[0] for d in found["reasoning"]]
    assert np.mean(first_lines) == pytest.approx(0, abs=1e-9)
    # what all problems have at a line, in one language, is no gap
    energy = recordings.update_energy.copy()
    for row in recordings.series.index[recordings.series["language"] == "sw"]:
        steps = recordings.steps(row)
        energy[:, steps] *= np.where(np.arange(steps.stop - steps.start) // N_LINE == 2, 5.0, 1.0)
    other, _ = across.differences(replace(recordings, update_energy=energy), 3)
    for a, b in zip(found["reasoning"], other["reasoning"], strict=True):
        np.testing.assert_allclose(a, b, atol=0.1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gaps_that_cluster_while_reasoning_alone_are_supported(seed):
    recordings = solved(seed, growing=("reasoning",))
    found = across.language_gaps(recordings, 3, rng=rng_of(seed)).verdicts()[0]
    assert found.as_corrected == "supported", found.as_corrected_reason
    assert found.as_stated == "not testable"


@pytest.mark.parametrize("growing", [(), ("copying",), ("reasoning", "copying"), ("reasoning", "plain")])
def test_in_no_other_world_they_are(growing):
    recordings = solved(5, growing=growing, n_scenarios=48)
    found = across.language_gaps(recordings, 3, rng=rng_of(5)).verdicts()[0]
    assert found.as_corrected != "supported", found.as_corrected_reason
    assert growing or found.as_corrected == "refuted", found.as_corrected_reason


@pytest.mark.parametrize("n", [20, pytest.param(200, marks=pytest.mark.full)])
def test_the_rule_holds_its_error_rates_at_the_size_of_the_recordings(n):
    rng = rng_of(0)
    simulate = across.worlds(solved(0, n_scenarios=30), 3).make(rng)
    found = claims.operating_characteristic(across.CLAIM, simulate, rng=rng, n_simulations=n)
    assert found.null_supported <= 0.05
    assert found.power >= 0.9
    assert found.rates["false"].get("supported", 0) == 0


def test_one_language_alone_has_no_gap():
    found = across.language_gaps(solved(0, languages=("de",)), 3, rng=rng_of(0))
    assert found.table.empty
    assert "two languages" in found.verdicts()[0].as_corrected_reason
    simulate = across.worlds(solved(0, languages=("de",)), 3).make(rng_of(0))
    assert "two languages" in simulate("true", rng_of(0)).unavailable

"""Changes of regime fall on answers where they are planted there, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from builders import title
from planted_recordings import planted_recordings
from zspace.errors import MeasureError
from zspace.evidence import claims
from zspace.evidence.momentum import answers, figures
from zspace.series import regimes
from zspace.series.regimes.levels import two_levels
from zspace.states.generation import transcripts

# a line of a worked solution, as a tokenizer may cut it
LINE = ["He", "sold", "12", "of", "them", ".", "64", "-", "12", "=", "5", "2", "\n"]


def rng_of(seed):
    return np.random.default_rng(seed)


def solved(seed, *, n_scenarios=24, at=(), languages=("de",)):
    """Recordings of worked lines, whose level of log y changes at answers in some conditions."""
    rng = rng_of(seed)
    bare = planted_recordings(rng, clustering=(), n_scenarios=n_scenarios, languages=languages)
    pieces = dict(enumerate([*LINE, "Tom", "."]))
    tokens, energy = bare.tokens.copy(), bare.update_energy.copy()
    for row, condition in enumerate(bare.series["condition"]):
        steps = bare.steps(row)
        n = steps.stop - steps.start
        cycle = np.r_[np.arange(len(LINE)), np.full(12, 13), 14]
        if condition == "plain":
            cycle = np.r_[np.full(20, 13), 14]
        # solutions have their answers at different places, or position would explain them
        tokens[steps] = np.resize(np.roll(cycle, 7 * row), n)
        turns = rng.random(n) < 1 / 25
        if condition in at:
            events = transcripts.answer_steps([pieces[t] for t in tokens[steps]])
            turns = events & ~np.r_[False, events[:-1]]
        energy[:, steps] = np.exp(0.5 * rng.standard_normal(n) + 1.2 * (-1.0) ** np.cumsum(turns))
    return replace(
        bare, tokens=tokens, pieces=pieces, update_energy=energy, step_energy=energy, classes=bare.classes * 0
    )


def verdict(seed, **options):
    return answers.changes_at_answers(solved(seed, **options), 3, rng=rng_of(seed + 100)).verdicts()[0]


def test_answers_are_the_digits_behind_the_equals_sign():
    found = transcripts.answer_steps([*LINE, "7", "=", " ", "8", "!", "9", "\n", "1"])
    assert np.flatnonzero(found).tolist() == [10, 11, 16]
    assert not transcripts.answer_steps(["7", "8"]).any()
    assert transcripts.line_numbers(["a", "b\n", "c"]).tolist() == [0, 0, 1]
    assert transcripts.sentence_numbers(["a.", "b", "\n", "c"]).tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_changes_at_answers_while_reasoning_alone_are_supported(seed):
    result = answers.changes_at_answers(solved(seed, at=("reasoning",), n_scenarios=40), 3, rng=rng_of(seed))
    found = result.verdicts()[0]
    assert title(figures.condition_bars(result.table, "coincidence", found)).endswith("supported")
    assert (found.as_stated, found.as_corrected) == ("supported", "supported"), found.as_corrected_reason
    assert all(control["passed"] for control in found.controls)


@pytest.mark.parametrize("at", [(), ("reasoning", "copying"), ("copying",)])
def test_in_no_other_world_they_are(at):
    found = verdict(3, at=at, n_scenarios=40)
    assert found.as_corrected != "supported", found.as_corrected_reason
    assert (found.as_stated == "supported") == ("reasoning" in at)


@pytest.mark.parametrize("n", [20, pytest.param(200, marks=pytest.mark.full)])
def test_the_rule_holds_its_error_rates_at_the_size_of_the_recordings(n):
    rng = rng_of(0)
    simulate = answers.worlds(solved(0, n_scenarios=40), 3).make(rng)
    found = claims.operating_characteristic(answers.CLAIM, simulate, rng=rng, n_simulations=n)
    assert found.null_supported <= 0.05
    assert found.null_refuted <= 0.1
    assert found.power >= 0.9
    assert found.rates["false"].get("supported", 0) == 0
    assert found.false_refuted >= 0.5


def test_expected_hits_are_the_mean_over_all_circular_shifts(rng):
    events = rng.random(90) < 0.1
    changes = np.sort(rng.choice(90, 5, replace=False))
    near = np.array([any(abs(t - e) <= 4 for e in np.flatnonzero(events)) for t in range(90)])
    n, hits, expected = answers._counts(changes, events)
    assert (n, hits) == (5, near[changes].sum())
    assert expected == pytest.approx(np.mean([near[(changes + k) % 90].sum() for k in range(90)]))


def test_recordings_without_answers_are_not_tested():
    recordings = planted_recordings(rng_of(0), n_scenarios=12)
    found = answers.changes_at_answers(recordings, 3, rng=rng_of(1)).verdicts()[0]
    assert found.as_corrected == "not testable"


def test_two_levels_agree_with_the_careful_fit_and_do_not_depend_on_the_batch(rng):
    many = [
        1.5 * (np.cumsum(rng.random(n) < 0.04) % 2) + 0.6 * rng.standard_normal(n) for n in (100, 140, 181)
    ]
    found = two_levels(many, n_iterations=200)
    for y, probability in zip(many, found, strict=True):
        assert probability.shape == y.shape
        np.testing.assert_allclose(two_levels([7 + 3 * y], n_iterations=200)[0], probability, atol=1e-9)
    y = many[0]
    fit = regimes.fit_switching(y, switching_variance=False, n_starts=2, rng=rng)
    exact = regimes.smoothed_probabilities(y, fit.params).probabilities[:, 1]
    assert np.abs(found[0] - exact).max() < 0.1
    np.testing.assert_allclose(two_levels([-y])[0], 1 - two_levels([y])[0], atol=1e-9)
    with pytest.raises(MeasureError, match="63 steps"):
        two_levels([many[0][:63]])

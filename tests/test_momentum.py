"""Conjecture 6 says "supported" where reasoning alone clusters, and in no other world."""

from dataclasses import replace

import numpy as np
import pytest
from builders import title
from planted_recordings import CONDITIONS, planted_recordings
from zspace import theory
from zspace.errors import ParameterError
from zspace.evidence import claims
from zspace.evidence.momentum import figures, garch, regime_changes, solutions
from zspace.series.volatility import planted
from zspace.states.generation import transcripts

TWINS = solutions.TWINS


def rng_of(seed):
    return np.random.default_rng(seed)


def verdict(clustering, *, seed=0, n_scenarios=24, claim=solutions.ALL, **options):
    options |= {"clustering": clustering, "n_scenarios": n_scenarios}
    recordings = planted_recordings(np.random.default_rng(seed), **options)
    found = solutions.momentum_by_condition(recordings, 3, rng=np.random.default_rng(seed + 1), n_shuffles=49)
    return found.verdicts()[claim][0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reasoning_that_clusters_alone_is_supported(seed):
    found = verdict(("reasoning",), seed=seed)
    assert (found.as_stated, found.as_corrected) == ("supported", "supported")


WORLDS = (
    (),
    ("reasoning", "copying"),
    ("reasoning", *TWINS),
    ("reasoning", "random-1"),
    ("reasoning", "plain"),
    ("copying",),
    CONDITIONS,
)


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.full) for k in (1, 2))])
@pytest.mark.parametrize("clustering", WORLDS)
def test_in_no_other_world_it_is_supported(clustering, seed):
    assert verdict(clustering, seed=seed).as_corrected != "supported"


def test_nothing_at_all_is_refuted_and_clustering_everywhere_is_none_of_reasoning():
    assert verdict((), n_scenarios=60).as_corrected == "refuted"
    # as stated, clustering is there; it is in every other condition as well
    for everywhere in (CONDITIONS, ("reasoning", "copying", "plain")):
        found = verdict(everywhere, n_scenarios=60)
        assert (found.as_stated, found.as_corrected) == ("supported", "refuted")


def with_levels(recordings, conditions, rng):
    """The recordings with a level of each sentence, in some conditions."""
    energy = recordings.update_energy.copy()
    for row, condition in enumerate(recordings.series["condition"]):
        if condition in conditions:
            sentences = transcripts.sentence_numbers(recordings.spelled(row))
            energy[:, recordings.steps(row)] *= np.exp(rng.standard_normal(sentences[-1] + 1))[sentences]
    return replace(recordings, update_energy=energy)


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.full) for k in range(1, 200))])
def test_levels_of_sentences_in_reasoning_alone_are_no_momentum(seed):
    """More clustering than in copying and plain reading by far, and none of it within sentences."""
    rng = np.random.default_rng(seed)
    recordings = planted_recordings(rng, clustering=(), n_scenarios=40)
    shifted = with_levels(recordings, ("reasoning",), rng)
    found = solutions.momentum_by_condition(shifted, 3, rng=rng, n_shuffles=29).verdicts()[solutions.ALL][0]
    assert found.as_stated == "supported"
    assert found.low > 0.05  # the excess over plain reading
    assert found.as_corrected != "supported", found.as_corrected_reason
    assert "excess within sentences" in found.as_corrected_reason


def test_the_general_verdict_pools_languages_that_are_too_few_alone():
    options = {"languages": ("de", "sw", "te"), "n_scenarios": 12, "clustering": ("reasoning",)}
    recordings = planted_recordings(np.random.default_rng(0), **options)
    found = solutions.momentum_by_condition(recordings, 3, rng=np.random.default_rng(1), n_shuffles=29)
    pooled, *alone = found.verdicts()[solutions.ALL]
    assert [v.language for v in (pooled, *alone)] == ["*", "de", "sw", "te"]
    assert pooled.n_items == sum(v.n_items for v in alone) == 36
    assert pooled.n_scenarios == 12  # scenarios, not solutions, are resampled
    assert pooled.high - pooled.low < min(v.high - v.low for v in alone)
    table = solutions.means(found.momenta, rng=np.random.default_rng(2)).set_index(["language", "condition"])
    raw = table[~table["within"]]
    assert raw.loc[("*", "reasoning"), "momentum"] == pytest.approx(found.momenta["reasoning"].mean())
    assert (raw["low"] < raw["momentum"]).all()
    title_of_all = title(figures.momentum_bars(solutions.means(found.momenta, rng=rng_of(3)), pooled))
    assert title_of_all.endswith("supported")


def test_too_few_correct_solutions_are_not_tested_and_the_number_that_would_do_is_said():
    found = verdict(("reasoning",), claim=solutions.CORRECT, correct=0.25, n_scenarios=16)
    assert found.as_corrected == "not testable"
    assert "4 correct solutions" in found.as_corrected_reason
    assert "about 32 would have to be written" in found.as_corrected_reason
    none = verdict(("reasoning",), claim=solutions.CORRECT, correct=0.0, n_scenarios=16)
    assert "0 correct solutions" in none.as_corrected_reason
    assert "more than 128 would have to be written" in none.as_corrected_reason
    assert verdict(("reasoning",), claim=solutions.CORRECT).as_corrected == "supported"


def test_classes_profile_and_surprisal_are_no_momentum():
    recordings = planted_recordings(np.random.default_rng(3), clustering=(), n_scenarios=24)
    series, energy = recordings.series, recordings.update_energy.copy()
    for i in series.index:
        steps = recordings.steps(i)
        fall = np.arange(series.loc[i, "n_steps"]) / 40
        energy[:, steps] *= np.exp(-fall - recordings.log_probability[steps])
    shaped = replace(recordings, update_energy=energy)
    rng = np.random.default_rng(4)
    left = solutions.momentum_by_condition(shaped, 3, rng=rng, n_shuffles=49).momenta
    assert abs(left["reasoning"].mean()) < 0.04
    raw = (energy[0, recordings.steps(i)] for i in series.index[:24])
    assert np.mean([solutions.volatility.momentum(y, n_shuffles=49, rng=rng) for y in raw]) > 0.08


def test_adjusted_series_have_mean_one_and_the_order_of_the_table():
    recordings = planted_recordings(np.random.default_rng(0), languages=("de", "sw"), n_scenarios=12)
    left = solutions.adjusted(recordings, "sw", 3)
    assert list(left) == list(CONDITIONS)
    rows = recordings.series.query("language == 'sw' and condition == 'plain'")
    for (classes, y), n in zip(left["plain"], rows["n_steps"], strict=True):
        assert y.size == classes.size == n
        assert y.mean() == pytest.approx(1)
    with pytest.raises(ParameterError, match="layer 5 was not kept"):
        solutions.adjusted(recordings, "sw", 5)
    with pytest.raises(ParameterError, match="measure 'norm'"):
        solutions.adjusted(recordings, "sw", 3, "norm")


@pytest.mark.parametrize("n", [20, pytest.param(200, marks=pytest.mark.full)])
def test_the_rule_holds_its_error_rate_in_series_of_the_size_of_the_recordings(n):
    rng = np.random.default_rng(0)
    recordings = planted_recordings(rng, n_scenarios=40)
    simulate = solutions.worlds(solutions.ALL, recordings, 3).make(rng)
    found = claims.operating_characteristic(solutions.ALL, simulate, rng=rng, n_simulations=n)
    assert found.null_supported <= 0.05
    assert found.power >= 0.9
    assert found.rates["false"].get("supported", 0) == 0


def test_error_rates_without_solutions_say_so():
    recordings = planted_recordings(np.random.default_rng(0), n_scenarios=10)
    few = replace(recordings, series=recordings.series.assign(scenario="one"))
    simulate = solutions.worlds(solutions.CORRECT, few, 3).make(rng_of(0))
    assert "fewer than 8" in simulate("true", rng_of(0)).unavailable


def test_written_counts_solutions_and_scope_says_what_they_are():
    options = {"languages": ("de", "sw"), "n_scenarios": 12, "correct": 0.5}
    recordings = planted_recordings(np.random.default_rng(0), **options)
    table = solutions.written(recordings)
    assert table.index.tolist() == ["de", "sw"]
    assert table["written"].tolist() == table["kept"].tolist() == [12, 12]
    assert table["correct"].tolist() == [6, 6]
    lengths = recordings.series.loc[recordings.series["condition"] == "reasoning", "n_steps"][:12]
    assert table.loc["de", "128 steps or more"] == (lengths >= 128).sum()
    told = solutions.scope(replace(recordings, about={"model": {}, "seed": 3}))
    assert told == {"languages": ["de", "sw"], "seed": 3}


def test_the_likelihood_of_the_mem_is_that_of_garch():
    assert theory.prove_mem() == dict.fromkeys(("same_argmax", "beta_unidentified", "score"), 0)


def test_a_significant_beta_is_refuted_as_evidence():
    evidence, numbers = garch.garch_evidence(rng=np.random.default_rng(0), n_simulations=40)
    found = claims.evaluate(garch.CLAIM, evidence)
    assert (found.as_stated, found.as_corrected) == ("refuted", "verified by simulation")
    assert numbers.iloc[0] < 1e-4
    # the checks could fail
    failed = replace(evidence, checks=dict.fromkeys(evidence.checks, False))
    assert claims.evaluate(garch.CLAIM, failed).as_stated == "inconclusive"
    assert claims.evaluate(garch.CLAIM, failed).as_corrected == "not testable"


def test_literal_garch_is_significant_without_order_too():
    recordings = planted_recordings(np.random.default_rng(0), n_scenarios=16)
    table = garch.literal_garch(recordings, 3, rng=np.random.default_rng(0), n_series=16)
    assert table.index.tolist() == ["copying", "reasoning", "reasoning, shuffled"]
    assert table.loc["reasoning, shuffled", "garch_beta significant"] > 0.2
    assert table["series"].tolist() == [16, 16, 16]
    few = garch.literal_garch(recordings, 3, rng=np.random.default_rng(0), n_series=3)
    assert few["series"].tolist() == [3, 3, 3]


def test_turns_count_regimes_and_find_planted_coincidence():
    recordings = planted_recordings(np.random.default_rng(0), clustering=(), n_scenarios=12)
    energy, classes = recordings.update_energy.copy(), recordings.classes.copy() * 0
    for i in recordings.series.index[recordings.series["condition"] == "reasoning"]:
        steps = recordings.steps(i)
        at = 30 + 4 * (i % 9)
        # the scale of what is added jumps where a line ends
        part = np.arange(steps.start, steps.stop)
        noise = np.random.default_rng(i).lognormal(0, 0.3, part.size)
        since = part - steps.start
        energy[:, part] = noise * np.where((since >= at) & (since < at + 40), 12.0, 1.0)
        classes[steps.start + np.array([at, at + 40])] = regime_changes.CLASSES.index("newline")
    shaped = replace(recordings, update_energy=energy, classes=classes)
    found = regime_changes.changes_of_regime(
        shaped, 3, rng=np.random.default_rng(0), n_series=12, n_bootstrap=39
    )
    assert found.number.loc["reasoning", "two regimes"] > 0.8
    table = found.events.set_index(["condition", "event"])
    assert table.loc[("reasoning", "newline"), "p"] < 0.01
    copied = table.loc[("copying", "newline")]
    assert np.isnan(copied["p"]) or copied["p"] > 0.05


def test_figures_state_what_they_show():
    options = {"languages": ("de", "sw"), "layers": (3, 9), "n_scenarios": 12}
    recordings = planted_recordings(np.random.default_rng(0), **options)
    recordings = replace(recordings, pieces={token: f"t{token}" + "\n" * (token < 8) for token in range(99)})
    profile = solutions.layer_profile(recordings, rng=np.random.default_rng(0), n_shuffles=19)
    assert set(profile["layer"]) == {3, 9}
    figure = figures.momentum_by_layer(profile, {"de": "supported", "sw": "refuted", "*": "refuted"})
    assert title(figure).endswith("supported: de; refuted: sw")
    one = regime_changes.one_trace(recordings, 3, rng=np.random.default_rng(0), language="sw", number=2)
    assert one.label == "sw, s2-5-000"
    steps = recordings.series.query("language == 'sw' and condition == 'reasoning'").index[2]
    assert one.log_y.size == one.probability.size == one.volatility.size == len(one.pieces)
    assert len(one.pieces) == recordings.series.loc[steps, "n_steps"]
    drawn = figures.one_trace(one)
    assert drawn.data[0].customdata[0] == one.pieces[0].replace("\n", "⏎")
    options = {"garch_alpha": 0.1, "garch_beta": 0.8, "n_simulations": 20, "n_shuffles": 19}
    curve = planted.power_curve([64, 128], **options, rng=np.random.default_rng(0))
    shown = figures.power_by_length({"MEM": curve})
    assert f"64 steps show clustering in {curve.sup_score[0]:.0%}" in title(shown)


def test_recordings_without_a_control_are_not_tested():
    recordings = planted_recordings(np.random.default_rng(0), n_scenarios=12)
    found = solutions.momentum_by_condition(recordings, 3, rng=np.random.default_rng(0), n_shuffles=19)
    few = found.momenta.drop(columns=["random-1", "random-2"])
    found = solutions.evidence_of(few, recordings.outcomes, rng=np.random.default_rng(0))
    verdict = claims.evaluate(solutions.ALL, found[solutions.ALL][0])
    assert verdict.as_corrected == "not testable"
    assert "controls missing: random-1, random-2" in verdict.as_corrected_reason

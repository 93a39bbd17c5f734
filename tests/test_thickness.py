"""Speeds of adjustment from half to half: those that agree are found, noise is not."""

import numpy as np
import pytest
from builders import compatible, language_pair
from zspace.evidence import claims, error_rates
from zspace.evidence.bridges import bridging
from zspace.evidence.cointegration import figures, thickness
from zspace.evidence.language_pairs import PLANTED, TRAINED

N_SCENARIOS, N_DRAWS, LAYERS, WIDTH = 32, 4, 10, 16
SCENARIO = np.repeat(np.arange(N_SCENARIOS), N_DRAWS)
NAMES = tuple("abc")


def walk(rng, width=10):
    latent = rng.standard_normal((LAYERS, N_SCENARIOS, width))[:, SCENARIO] / 2
    latent = latent + rng.standard_normal((LAYERS, len(SCENARIO), width))
    return latent.cumsum(0) @ np.linalg.qr(rng.standard_normal((WIDTH, width)))[0].T


def pairs_of(states, anchor="z"):
    first = states[anchor]
    return {
        name: language_pair({TRAINED: (first, y)}, SCENARIO, SCENARIO < N_SCENARIOS // 3, language=name)
        for name, y in states.items()
        if name != anchor
    }


@pytest.mark.parametrize(
    ("agreement", "n_languages", "expected"),
    [(0.95, 11, "supported"), (0.1, 40, "refuted"), (0.5, 11, "inconclusive"), (0.95, 4, None)],
    ids=["the same", "noise", "on the bound", "few"],
)
def test_halves_are_judged_as_what_they_are(agreement, n_languages, expected, rng):
    found = [verdict_of(agreement, n_languages, stream) for stream in rng.spawn(8)]
    assert expected is None or found.count(expected) >= 6, found
    assert agreement >= 0.5 or "supported" not in found


@pytest.mark.full
@pytest.mark.parametrize("n_languages", [6, 11, 40])
def test_size_and_power_of_the_agreement(n_languages):
    """On the bound at most one in twenty is supported or refuted, or a few by chance; power as stated."""
    streams = np.random.default_rng(8).spawn(4)
    rates = {
        r: [verdict_of(r, n_languages, one) for one in stream.spawn(200)]
        for r, stream in zip((0.95, 0.5, 0.1, 0.8), streams, strict=True)
    }
    assert compatible(rates[0.5].count("supported"), 200, 0.05, "greater")
    assert compatible(rates[0.5].count("refuted"), 200, 0.05, "greater")
    assert rates[0.1].count("supported") == 0
    assert rates[0.95].count("supported") >= 180
    assert rates[0.1].count("refuted") >= {6: 0, 11: 50, 40: 190}[n_languages]
    assert rates[0.8].count("supported") >= {6: 40, 11: 110, 40: 190}[n_languages]


def verdict_of(agreement, n_languages, rng):
    size = error_rates.Size(15, 4, n_languages)
    names = tuple(map(str, range(size.n_languages)))
    drawing, judging = rng.spawn(2)
    table = thickness.simulated_table(agreement, names, drawing)
    evidence = thickness.repeat_evidence(thickness.repeats({TRAINED: table}, names, judging))
    return claims.evaluate(thickness.CLAIM, evidence).as_corrected


def test_agreement_does_not_depend_on_the_order_of_a_pair(rng):
    """An excess changes its sign with the order: turned about in both halves it says the same."""
    names = tuple("abcdef")
    table = thickness.simulated_table(0.7, names, rng)
    turned = table.rename(columns={"first": "second", "second": "first"})
    turned = turned.assign(**{column: -table[column] for column in thickness.HALVES})
    found = [thickness.repeats({TRAINED: t}, names, np.random.default_rng(0)) for t in (table, turned)]
    assert found[0][TRAINED].estimate == pytest.approx(found[1][TRAINED].estimate)
    # the control: a column turned about alone
    other = table.assign(**{thickness.HALVES[0]: -table[thickness.HALVES[0]]})
    found = thickness.repeats({TRAINED: other}, names, np.random.default_rng(0))[TRAINED]
    assert found.estimate < 0


@pytest.fixture(scope="module")
def strangers():
    rng = np.random.default_rng(3)
    return {name: walk(rng) for name in ("z", *NAMES)}


def test_every_pair_has_its_speeds_from_both_halves(strangers):
    options = {"rng": np.random.default_rng(1), "n_shuffles": 19}
    found = thickness.adjustment_speeds(pairs_of(strangers), "z", **options)
    pairs = found.pairs
    assert len(pairs) == 6
    assert not pairs.isna().any().any()
    assert (pairs["low"] <= pairs["log_ratio_excess"]).all()
    assert (pairs["log_ratio_excess"] != pairs["log_ratio_excess_other"]).all()
    beside = found.beside_kappa.set_index("language")
    assert beside.index.tolist() == list(NAMES)
    assert (beside["kappa"] > 1).all()
    of_anchor = pairs[pairs["first"] == "z"].set_index("second")
    np.testing.assert_allclose(beside["ratio"], np.exp(-of_anchor["log_ratio"]))
    verdict = claims.evaluate(thickness.CLAIM, found.evidence)
    assert verdict.as_corrected != "supported"
    assert verdict.as_stated == "not testable"
    assert "do not interact" in verdict.as_stated_reason
    kinds = {control.name: control.kind for control in found.evidence.controls}
    assert kinds == {
        PLANTED: "positive",
        bridging.PERMUTED_LANGUAGES: "negative",
    }


def test_languages_without_contact_have_no_excess(rng):
    strangers = {name: walk(rng) for name in "zabcd"}
    half = np.isin(SCENARIO, np.arange(16))
    table = thickness.adjustment_table(strangers, (half, ~half), SCENARIO.astype(str), rng=rng)
    covered = (table["low"] <= 0) & (table["high"] >= 0)
    assert covered.mean() >= 0.8


def test_few_languages_are_measured_but_not_judged(strangers, rng):
    few = {k: strangers[k] for k in ("z", "a", "b")}
    subjects = (TRAINED, "random-0")  # a twin that is not there is left out
    found = thickness.adjustment_speeds(pairs_of(few), "z", subjects=subjects, rng=rng, n_shuffles=19)
    assert len(found.pairs) == 3
    assert found.repeats.empty
    verdict = claims.evaluate(thickness.CLAIM, found.evidence)
    assert verdict.as_corrected == "not testable"
    assert "at least 4" in verdict.as_corrected_reason
    figure = figures.speed_scatter(found.pairs, found.repeats)
    assert "3 pairs" in figure.layout.title.text

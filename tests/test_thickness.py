"""Speeds against conditioning: related matrices are found, strangers and noise are not."""

import numpy as np
import pytest
from builders import language_pair
from zspace.evidence import claims
from zspace.evidence.bridges import bridging
from zspace.evidence.cointegration import figures, thickness
from zspace.evidence.language_pairs import TRAINED

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
    ("follows", "noise", "expected"),
    [(0.97, 0.1, "supported"), (0.0, 0.1, "inconclusive"), (0.97, 50.0, "not testable")],
    ids=["one thing", "two things", "noise"],
)
def test_matrices_are_judged_as_what_they_are(follows, noise, expected, rng):
    found = []
    for stream in rng.spawn(5):
        table, names = thickness.simulated_table(follows, stream, 11, noise=noise)
        correlated = bridging.correlation(table, names, rng=stream, columns=thickness.MEASURES)
        statistics = {TRAINED: correlated, **thickness.control_correlations(table, names, stream)}
        controls = (thickness.KAPPA_ITSELF, thickness.SPEEDS_THEMSELVES)
        evidence = bridging.conditioning_evidence(statistics, positive=controls)
        found.append(claims.evaluate(thickness.CLAIM, evidence).as_corrected)
    assert found.count(expected) >= 3, found
    assert expected == "supported" or "supported" not in found


@pytest.fixture(scope="module")
def strangers():
    rng = np.random.default_rng(3)
    return {name: walk(rng) for name in ("z", *NAMES)}


def test_every_pair_has_both_measures_from_both_halves(strangers):
    options = {"rng": np.random.default_rng(1), "n_shuffles": 19}
    found = thickness.wrapper_thickness(pairs_of(strangers), "z", **options)
    pairs = found.pairs
    assert len(pairs) == 6
    assert not pairs.isna().any().any()
    assert (pairs["low"] <= pairs["log_ratio_excess"]).all()
    assert (pairs["log_ratio_size"] == pairs["log_ratio_excess"].abs()).all()
    assert (pairs["log_ratio_size"] != pairs["log_ratio_size_other"]).all()
    verdict = claims.evaluate(thickness.CLAIM, found.evidence)
    assert verdict.as_corrected != "supported"
    assert verdict.as_stated == "not testable"
    assert "do not interact" in verdict.as_stated_reason
    kinds = {control.name: control.kind for control in found.evidence.controls}
    assert kinds == {
        thickness.KAPPA_ITSELF: "positive",
        thickness.SPEEDS_THEMSELVES: "positive",
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
    found = thickness.wrapper_thickness(pairs_of(few), "z", subjects=subjects, rng=rng, n_shuffles=19)
    assert len(found.pairs) == 3
    assert found.correlations.empty
    verdict = claims.evaluate(thickness.CLAIM, found.evidence)
    assert verdict.as_corrected == "not testable"
    assert "at least 4" in verdict.as_corrected_reason
    figure = figures.thickness_scatter(found.pairs, found.correlations)
    assert "3 pairs" in figure.layout.title.text

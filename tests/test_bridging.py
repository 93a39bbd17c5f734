"""Predictions 5 and 6 on simulated languages: planted bridges are found, rotations and noise are not."""

import numpy as np
import pandas as pd
import pytest
from builders import language_pair
from zspace.errors import ParameterError
from zspace.evidence import claims
from zspace.evidence.bridges import bridging
from zspace.evidence.language_pairs import PLANTED, SHUFFLED, TRAINED

N_SCENARIOS, N_DRAWS, N_LAYERS, DIM = 30, 4, 8, 24
SCENARIO = np.repeat(np.arange(N_SCENARIOS), N_DRAWS)
KAPPAS = dict(zip("abcdefg", np.geomspace(1, 5, 7), strict=True))


def items(rng) -> np.ndarray:
    """States of one language: eight strong directions, which vary between and within scenarios, and noise."""
    latent = rng.standard_normal((N_LAYERS, N_SCENARIOS, 8))[:, SCENARIO] / 2
    latent = latent + rng.standard_normal((N_LAYERS, len(SCENARIO), 8))
    readout = np.linalg.qr(rng.standard_normal((DIM, 8)))[0].T
    return 3 * latent @ readout + 0.3 * rng.standard_normal((N_LAYERS, len(SCENARIO), DIM))


def pair(rng, kappas=None, related=True, anchor=None, language="simulated"):
    x = items(rng) if anchor is None else anchor
    train = SCENARIO < N_SCENARIOS // 3
    kappas = np.ones(N_LAYERS) if kappas is None else kappas
    y = bridging.plant_map(x, train, kappas, rng=rng) if related else items(rng)
    subjects = {TRAINED: (x, y), "random-0": (x, items(rng))}
    subjects |= {SHUFFLED: (x, y[:, rng.permutation(len(SCENARIO))]), PLANTED: (x, x)}
    tokens = tuple(rng.integers(0, 99, (len(SCENARIO), 5)) for _ in range(2))
    return language_pair(subjects, SCENARIO, train, language=language, tokens=tokens)


def verdict_of(one, rng):
    found = bridging.affine_vs_procrustes({"simulated": one}, rng=rng)
    return claims.evaluate(bridging.AFFINE, found.evidence[0]), found


@pytest.mark.parametrize(
    ("kappas", "stated", "corrected"),
    [
        (np.full(N_LAYERS, 12.0), None, "supported"),
        (np.geomspace(1, 20, N_LAYERS), "supported", "supported"),
        (np.ones(N_LAYERS), "refuted", "refuted"),
    ],
    ids=["ill-conditioned", "worse by layer", "rotation"],
)
def test_planted_bridges_are_judged_as_what_they_are(kappas, stated, corrected, rng):
    verdict, found = verdict_of(pair(rng, kappas), rng)
    assert all(c["passed"] for c in verdict.controls)
    assert verdict.as_corrected == corrected
    assert stated is None or verdict.as_stated == stated
    trained = found.curves[found.curves["subject"] == TRAINED]
    assert len(trained) == N_LAYERS
    assert not trained.isna().any().any()


def test_unrelated_languages_have_nothing_to_explain(rng):
    verdict, _ = verdict_of(pair(rng, related=False), rng)
    assert verdict.as_corrected == "not testable"
    assert "precondition not met" in verdict.as_corrected_reason


def test_rotations_are_hardly_ever_supported(rng):
    found = [verdict_of(pair(stream), stream)[0].as_corrected for stream in rng.spawn(6)]
    assert "supported" not in found


@pytest.fixture(scope="module")
def related():
    """Seven languages behind maps of one anchor, from well to badly conditioned."""
    rng = np.random.default_rng(4)
    anchor = items(rng)
    return {k: pair(rng, np.full(N_LAYERS, v), anchor=anchor, language=k) for k, v in KAPPAS.items()}


@pytest.fixture(scope="module")
def conditioning(related):
    return bridging.bridge_conditioning(related, "z", rng=np.random.default_rng(5))


def test_conditioning_is_found_where_noise_does_not_hide_it(rng):
    anchor = items(rng)
    train = SCENARIO < N_SCENARIOS // 3
    options = {"rng": rng, "noise": 0.02}
    made = {k: bridging.plant_map(anchor, train, np.full(N_LAYERS, v), **options) for k, v in KAPPAS.items()}
    parts = bridging.quarters(SCENARIO, rng)
    table = bridging.pair_table({"z": anchor, **made}, parts, rng=rng)
    found, critical = bridging.correlation(table, ("z", *KAPPAS), rng=rng)
    assert found["mantel_r"].statistic > critical
    assert found["mantel_r"].pvalue < 0.05
    assert found["mantel_r"].n == 1 + len(KAPPAS)
    # languages renamed in one of the two matrices: the negative control
    other, _ = bridging.correlation(table, ("z", *KAPPAS), rng=rng, moved=True)
    assert other["mantel_r"].pvalue > 0.05


def test_every_pair_has_its_numbers_from_both_halves(conditioning):
    assert set(conditioning.correlations["subject"]) == {TRAINED, PLANTED, bridging.PERMUTED_LANGUAGES}
    pairs = conditioning.pairs[conditioning.pairs["subject"] == TRAINED]
    assert len(pairs) == 28
    assert not pairs.isna().any().any()
    assert (pairs["r2"] > 0).all()
    with_anchor = pairs[pairs["first"] == "z"]
    assert np.corrcoef(np.arange(7), with_anchor["gap_excess"])[0, 1] > 0.9  # kappa grows along the languages


def test_fewer_languages_or_items_are_refused(related, rng):
    with pytest.raises(ParameterError, match="at least 4"):
        bridging.bridge_conditioning({k: related[k] for k in "ab"}, "z", rng=rng)
    with pytest.raises(ParameterError, match="at least 8"):
        bridging.components_allowed(7)
    assert [bridging.components_allowed(n) for n in (8, 20, 400)] == [2, 5, 8]


def test_intervals_of_correlations_are_within_what_correlations_can_be(conditioning):
    for control in (conditioning.evidence, *conditioning.evidence.controls):
        size, test = (control.statistics[name] for name in ("mantel_size", "mantel_r"))
        assert -1 <= size.low <= size.estimate <= size.high <= 1
        assert size.estimate == pytest.approx(test.statistic)


def test_excess_by_third_averages_the_trained_models_layers():
    gaps = ((TRAINED, 1.5), (PLANTED, 9.0))
    rows = [("zh", subject, layer, gap, 0.5) for subject, gap in gaps for layer in range(6)]
    table = pd.DataFrame(rows, columns=["language", "subject", "layer", "gap", "gap, null"])
    table.loc[table["layer"] >= 4, "gap, null"] = 1.0
    found = bridging.excess_by_third(table)
    assert found.columns.tolist() == ["first third", "middle third", "last third"]
    assert found.loc["zh"].tolist() == [1.0, 1.0, 0.5]


def test_thirds_are_those_of_the_growth_that_the_rule_judges():
    """Layers that no three divide: the middle third takes what is left over."""
    excess = np.arange(20.0)
    columns = {"language": "zh", "subject": TRAINED, "layer": np.arange(20), "gap": excess, "gap, null": 0.0}
    found = bridging.excess_by_third(pd.DataFrame(columns)).loc["zh"]
    assert found.tolist() == [excess[:6].mean(), excess[6:14].mean(), excess[14:].mean()]
    assert found["last third"] - found["first third"] == bridging.growth(excess)


def test_fit_sizes_say_how_many_components_there_are():
    assert bridging.fit_sizes(30, 10).iloc[0].tolist() == [30, 10, 2]

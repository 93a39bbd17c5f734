"""Conjecture 3 on trained networks: the known spectrum, the pairing of subjects, and the rule's errors."""

import numpy as np
import pandas as pd
import pytest
from scipy import linalg
from zspace.evidence import claims
from zspace.evidence.blind_sweep import sweep
from zspace.evidence.double_suppression import models
from zspace.evidence.double_suppression import networks as nets
from zspace.states import networks

SUBJECTS = ("trained", "random-0", "random-1", "random-2", sweep.PRIVATE, "shuffled pairing")
MADE = (models.ISOTROPIC, models.LIKE_STATE, models.PLANTED, models.REVERSED)
TINY = networks.Recipe(depth=4, width=24, steps=50)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZSPACE_RUNS", str(tmp_path_factory.mktemp("runs")))
        return nets.network_suppression(rng=np.random.default_rng(3), seeds=range(3), recipe=TINY)


def planted_gaps(shift: dict[str, float], rng, n=10, noise=0.05) -> pd.DataFrame:
    """Gaps of all subjects: noise, plus `shift` for some; the planted subject always has large ones."""
    shift = {models.PLANTED: 1.0, models.REVERSED: -1.0, **shift}
    rows = [
        {
            "seed": seed,
            "language": language,
            "subject": subject,
            **{gap: shift.get(subject, 0) + noise * rng.standard_normal() for gap in models.GAPS},
            models.HELD_OUT: 0.0 if subject == "shuffled pairing" else 0.9,
        }
        for seed in range(n)
        for language in ("zh", "sw")
        for subject in (*SUBJECTS, *MADE)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("noise", [0.1, pytest.param(1.0, marks=pytest.mark.full)])
def test_known_agreement_is_that_of_many_sampled_inputs(noise, rng):
    world = sweep.world_of(nets.CONFIGURATION, sweep.SIZES["fast"], noise=noise)
    inputs = world.sample(100_000, rng=rng).inputs[[0, 3]]
    centred = inputs - inputs.mean(1, keepdims=True)
    second = sum(x.T @ x for x in centred) / 2
    mean = centred.mean(0)
    brute = linalg.eigh(mean.T @ mean, second, eigvals_only=True)[::-1]
    np.testing.assert_allclose(nets.known_agreement(world, "fr"), brute, atol=0.01)


def test_the_known_spectrum_is_found_in_state_0(measured):
    assert (measured.spectra["found"] - measured.spectra["known"]).abs().max() < 0.12
    by = measured.spectra.groupby(["seed", "language"])
    assert (by[["known", "found"]].corr().xs("known", level=-1)["found"] > 0.99).all()


def test_every_subject_of_every_network_and_language_is_measured(measured):
    counts = measured.gaps.groupby("subject").size()
    assert set(counts.index) == {*SUBJECTS, *MADE}
    assert (counts == 3 * 6).all()
    assert not measured.gaps.isna().any().any()
    assert measured.curves.groupby(["language", "subject"]).size().eq(TINY.depth).all()
    trained = measured.curves["subject"] == "trained"
    rows = measured.curves[trained]
    assert ((rows["low"] < rows["gain_gap"]) & (rows["gain_gap"] < rows["high"])).all()
    assert measured.curves.loc[~trained, ["low", "high"]].isna().all().all()


def test_subjects_of_a_network_read_the_same_items_and_differ(runs):
    size = sweep.Size(8, 3.0, TINY)
    pair = [sweep.train([nets.CONFIGURATION], size, [0, 1, 2], target=t) for t in ("shared", "private")]
    pairs = nets._pairs(*pair, 1, np.random.default_rng(0))
    assert [p.language for p in pairs] == list(sweep.LANGUAGES[1:])
    subjects = pairs[0].subjects
    inputs = [b.worlds[1].sample(5, rng=np.random.default_rng(0)).inputs for b in pair]
    np.testing.assert_array_equal(*inputs)
    # state 0 before training is linear in the inputs, by the same weights for shared and private targets
    np.testing.assert_array_equal(*(b.initial["input"][1] for b in pair))
    first = [subjects[name][0][0] for name in (*SUBJECTS[:5],)]
    fitted = [np.linalg.lstsq(np.c_[first[1], np.ones(len(first[1]))], f, rcond=None)[0] for f in first]
    for f, weight in zip(first, fitted, strict=True):
        np.testing.assert_allclose(np.c_[first[1], np.ones(len(f))] @ weight, f, atol=1e-3)
    assert len({f.tobytes() for f in first}) == len(first)


@pytest.mark.parametrize(
    ("shift", "verdicts"),
    [
        ({"trained": 0.5}, ["supported"]),
        ({}, ["refuted"]),
        ({"trained": 0.5, sweep.PRIVATE: 0.5}, ["not testable", "inconclusive"]),
    ],
    ids=["trained", "none", "private targets too"],
)
def test_gaps_beyond_every_control_are_supported_and_others_are_not(rng, shift, verdicts):
    found = claims.evaluate(nets.CLAIM, nets.network_evidence(planted_gaps(shift, rng), rng=rng))
    assert found.as_corrected in verdicts
    assert found.as_corrected != "supported" or all(c["passed"] for c in found.controls)


def test_nothing_planted_is_hardly_ever_supported(rng):
    found = []
    for stream in rng.spawn(40):
        gaps = planted_gaps({}, stream, noise=0.4)
        found.append(claims.evaluate(nets.CLAIM, nets.network_evidence(gaps, rng=stream)).as_corrected)
    assert found.count("supported") <= 1


def test_measured_controls_behave(measured):
    verdict = claims.evaluate(nets.CLAIM, measured.evidence)
    passed = {c["name"] for c in verdict.controls if c["passed"]}
    assert passed >= {models.PLANTED, models.REVERSED, "shuffled pairing"}

"""Speeds against conditioning over languages: planted wrappers are found, languages without contact are not."""

import numpy as np
import pytest
from zspace.errors import ParameterError
from zspace.evidence import claims
from zspace.evidence.experiments import bridging, thickness
from zspace.evidence.panels import PLANTED, TRAINED, Panel

N_SCENARIOS, N_DRAWS, LAYERS, WIDTH = 32, 4, 10, 16
SCENARIO = np.repeat(np.arange(N_SCENARIOS), N_DRAWS)
NAMES = tuple("abcdefg")


def walk(rng, width=6):
    latent = rng.standard_normal((LAYERS, N_SCENARIOS, width))[:, SCENARIO] / 2
    latent = latent + rng.standard_normal((LAYERS, len(SCENARIO), width))
    return latent.cumsum(0) @ np.linalg.qr(rng.standard_normal((WIDTH, width)))[0].T


def panels_of(states, anchor="z"):
    made = {}
    for name, y in states.items():
        if name != anchor:
            made[name] = Panel(
                language=name,
                subjects={TRAINED: (states[anchor], y)},
                scenario=SCENARIO.astype(str),
                group=SCENARIO.astype(str),
                discovery=SCENARIO < N_SCENARIOS // 3,
                tokens=None,
            )
    return made


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(3)
    blank = {name: walk(rng) for name in ("z", *NAMES)}
    train = SCENARIO < N_SCENARIOS // 4
    return thickness.plant_wrappers(blank, "z", train, rng=rng)


def test_planted_wrappers_are_seen_by_both_measures(planted):
    found = thickness.wrapper_thickness(panels_of(planted), "z", rng=np.random.default_rng(1))
    by = found.correlations.set_index("subject")
    assert by.loc[TRAINED, "r"] > by.loc[TRAINED, "critical"]
    pairs = found.pairs[found.pairs["subject"] == TRAINED]
    assert len(pairs) == 28
    assert (pairs["low"] <= pairs["log_ratio_excess"]).all()
    assert (pairs["log_ratio_size"] == pairs["log_ratio_excess"].abs()).all()
    steps = np.array(
        [
            abs(("z", *NAMES).index(a) - ("z", *NAMES).index(b))
            for a, b in pairs[["first", "second"]].to_numpy()
        ]
    )
    assert np.corrcoef(steps, pairs["log_ratio_size"])[0, 1] > 0.5


def test_languages_without_contact_have_no_excess(rng):
    strangers = {name: walk(rng) for name in ("z", *NAMES[:4])}
    half = np.isin(SCENARIO, np.arange(16))
    table = thickness.adjustment_table(strangers, (half, ~half), SCENARIO.astype(str), rng=rng)
    covered = (table["low"] <= 0) & (table["high"] >= 0)
    assert covered.mean() >= 0.8


def test_renamed_languages_are_the_negative_control(planted):
    found = thickness.wrapper_thickness(panels_of(planted), "z", rng=np.random.default_rng(1))
    names = {control.name: control.kind for control in found.evidence.controls}
    assert names == {PLANTED: "positive", bridging.PERMUTED_LANGUAGES: "negative"}
    verdict = claims.evaluate(thickness.CLAIM, found.evidence)
    assert verdict.as_stated == "not testable"
    assert "never meet" in verdict.as_stated_reason


def test_few_languages_are_refused(planted, rng):
    few = {k: planted[k] for k in ("z", "a", "b")}
    with pytest.raises(ParameterError, match="at least 4"):
        thickness.wrapper_thickness(panels_of(few), "z", rng=rng)

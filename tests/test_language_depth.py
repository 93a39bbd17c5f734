"""Prediction 3 and conjecture 4 on simulated languages: planted order is found, ties and noise are not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from zspace.errors import ParameterError
from zspace.evidence import claims
from zspace.evidence.alignment_depth import language_depth as depths
from zspace.evidence.language_pairs import TRAINED, simulated_pair
from zspace.sources import languages

CODES = ("ru", "es", "de", "ja", "zh", "bn", "sw")
SUBJECTS = (TRAINED, "random-0", "random-1", "random-2")


def table(layers, conflict=None) -> pd.DataFrame:
    """A table of depths: `layers` of the trained model, all twins censored."""
    known = languages.table(CODES).reset_index(names="language")
    rows = []
    for subject in SUBJECTS:
        one = known.assign(subject=subject, layer=layers if subject == TRAINED else np.nan)
        rng = np.random.default_rng(len(rows))
        rows.append(one.assign(conflict=conflict if subject == TRAINED else rng.standard_normal(len(CODES))))
    made = pd.concat(rows, ignore_index=True)
    return made.assign(fertility=1.0 + made.index % 7, overlap=made.index % 3 / 10.0, distance=0.2)


def verdict(layers, rng, conflict=None):
    made = table(layers, np.arange(7.0) if conflict is None else conflict)
    statistics = {}
    for name, outcome in depths.OUTCOMES.items():
        _, found = depths.associations(made, outcome, rng=rng)
        for subject, tests in found.items():
            statistics.setdefault(subject, {}).update({f"{name}_{k}": v for k, v in tests.items()})
    evidence = depths._evidence(statistics)
    return {claim: claims.evaluate(claim, evidence) for claim in (depths.DEPTH, depths.MECHANISM)}


def test_depth_that_follows_the_share_is_supported_and_the_reverse_refuted(rng):
    by_share = languages.table(CODES)["log_mc4_tokens"].rank(ascending=False).to_numpy()
    found = verdict(by_share, rng, conflict=by_share)
    assert all(v.as_corrected == "supported" for v in found.values())
    assert found[depths.MECHANISM].as_stated == "supported"
    assert all(c["passed"] for v in found.values() for c in v.controls)
    assert verdict(-by_share, rng)[depths.DEPTH].as_corrected == "refuted"


def test_languages_that_are_all_censored_make_nothing_testable(rng):
    found = verdict(np.full(7, np.nan), rng)[depths.DEPTH]
    assert found.as_corrected == "not testable"
    assert depths.SORTED in found.as_corrected_reason


def test_random_depths_are_rarely_supported(rng):
    found = [verdict(r.permutation(7).astype(float), r)[depths.DEPTH].as_corrected for r in rng.spawn(60)]
    assert found.count("supported") <= 4  # one-sided .025 under one proxy, less under both


def test_a_correlation_on_the_critical_value_counts(rng):
    made = table(np.arange(7.0))
    made = made[made["language"].isin(CODES[:5])].copy()
    order = languages.table(CODES[:5])["log_web_pages"].rank(ascending=False).to_numpy()
    made.loc[made["subject"] == TRAINED, "layer"] = order
    rows, found = depths.associations(made, "layer", rng=rng)
    trained = rows[(rows["subject"] == TRAINED) & (rows["proxy"] == "web_pages")].iloc[0]
    # five languages: only a perfect order is significant
    assert trained["rho"] == pytest.approx(-1)
    assert trained["critical"] == pytest.approx(1)
    assert trained["p"] == pytest.approx(2 / 120)
    test = found[TRAINED]["rho_web_pages"]
    assert (test.statistic, test.pvalue, test.n) == (trained["rho"], trained["p"], 5)


def test_partial_correlations_leave_out_what_is_not_known(rng):
    made = table(np.arange(7.0)).assign(overlap=np.nan)
    found = depths.partials(made, "layer", rng=rng)
    assert set(found["covariate"]) == {"fertility", "distance"}
    few = made[made["language"].isin(CODES[:5])]
    assert depths.partials(few, "layer", rng=rng).empty


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(1)
    share = {"es": 1.0, "de": 1.0, "zh": 1.0, "sw": 0.0}
    pairs = {k: simulated_pair("scenarios", v, rng=rng, n_scenarios=24, n_draws=3) for k, v in share.items()}
    pairs = {k: replace(p, language=k) for k, p in pairs.items()}
    return pairs, depths.language_depth(pairs, "en", rng=rng)


def test_planted_languages_have_a_depth_and_others_are_censored(measured):
    _, found = measured
    trained = found.depths[found.depths["subject"] == TRAINED].set_index("language")
    # the signal is planted from layer 1 on, and never in Swahili
    assert trained["layer"].drop("sw").eq(1).all()
    assert np.isnan(trained.loc["sw", "layer"])
    assert not trained.loc["sw", "aligned"]
    assert trained.loc["sw", "restricted_mean"] > 0.9 > trained["restricted_mean"].drop("sw").max()
    twins = found.depths[found.depths["subject"].str.startswith("random-")]
    assert twins["layer"].isna().all()
    assert trained["conflict"].between(0.3, 1.2).all()
    # unrelated languages conflict no less than shuffled pairs
    assert trained.loc["sw", "conflict"] == pytest.approx(1, abs=0.1)


def test_tables_are_complete(measured):
    pairs, found = measured
    assert found.curves.groupby("language").size().eq(7).all()
    assert set(found.associations["proxy"]) == set(languages.PROXIES)
    compared = depths.definitions_of(pairs["es"], rng=np.random.default_rng(0))
    assert compared["valid"].any()
    assert (~compared["valid"]).any()


def test_languages_that_nothing_is_known_of_are_refused(measured, rng):
    pairs, _ = measured
    with pytest.raises(ParameterError, match="xx"):
        depths.language_depth({**pairs, "xx": pairs["es"]}, "en", rng=rng)

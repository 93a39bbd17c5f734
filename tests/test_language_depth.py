"""Prediction 3 and conjecture 4 on simulated languages: planted order is found, ties and noise are not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from zspace import files
from zspace.errors import MeasureError
from zspace.evidence import claims, error_rates
from zspace.evidence.alignment_depth import figures
from zspace.evidence.alignment_depth import language_depth as depths
from zspace.evidence.language_pairs import TRAINED, length_overlap_strata, simulated_pair
from zspace.measures import residual
from zspace.sources import languages

CODES = ("ru", "es", "de", "ja", "zh", "bn", "sw")
MANY = [code for code in files.params("languages") if code != "en"]
SUBJECTS = (TRAINED, "random-0", "random-1", "random-2")


def table(codes, outcomes, seed=0) -> pd.DataFrame:
    """A table of depths: `outcomes` of the trained model in every column, noise of the baselines."""
    rng, rows = np.random.default_rng(seed), []
    facts = pd.DataFrame.from_dict({code: languages.known(code) for code in codes}, orient="index")
    facts["distance"] = [languages.distances(["en", code])[0, 1] for code in codes]
    facts["other_script"] = [float(languages.script(code) != "Latn") for code in codes]
    facts["fertility"], facts["overlap"] = 1 + rng.random((2, len(codes)))
    for subject in SUBJECTS:
        values = outcomes if subject == TRAINED else rng.standard_normal(len(codes))
        layer = values if subject == TRAINED else np.nan
        one = facts.assign(subject=subject, layer=layer, restricted_mean=values, conflict=values)
        rows.append(one.rename_axis("language").reset_index())
    return pd.concat(rows, ignore_index=True)


def verdict(codes, outcomes, rng):
    evidence = depths._evidence(*depths.statistics_of(table(codes, outcomes), rng=rng))
    return {claim: claims.evaluate(claim, evidence) for claim in (depths.DEPTH, depths.MECHANISM)}


def by_share(codes):
    return -table(codes, np.zeros(len(codes))).iloc[: len(codes)]["log_web_pages"].to_numpy()


def test_few_languages_are_judged_as_stated_alone_and_told_how_many_are_needed(rng):
    found = verdict(CODES, by_share(CODES), rng)
    for one in found.values():
        assert one.as_stated == "supported"
        assert one.as_corrected == "not testable"
        assert "7 languages of which everything is known, 60 needed" in one.as_corrected_reason
        assert "of -0.5 in 0%; with 60 languages, in 59% and 96%" in one.as_corrected_reason
        assert all(c["passed"] for c in one.controls)
    assert verdict(CODES, -by_share(CODES), rng)[depths.DEPTH].as_stated == "refuted"


def test_many_languages_are_judged_and_those_of_unknown_share_are_not_among_them(rng):
    statistics, missing = depths.statistics_of(table(MANY, by_share(MANY)), rng=rng)
    assert not missing
    evidence = depths._evidence(statistics, missing)
    found = [claims.evaluate(claim, evidence) for claim in (depths.DEPTH, depths.MECHANISM)]
    assert {one.as_corrected for one in found} == {"supported"}
    n_known = sum("mc4_tokens" in files.params("languages")[code] for code in MANY)
    assert statistics[TRAINED]["depth_partial_rho"].n_groups == n_known < len(MANY)
    assert statistics[TRAINED]["depth_rho_mc4_tokens"].n == n_known
    assert verdict(MANY, -by_share(MANY), rng)[depths.DEPTH].as_corrected == "refuted"


def test_depth_that_follows_the_distance_is_no_association_with_the_share(rng):
    """What the plain correlation finds, and the partial one does not."""
    distance = table(MANY, np.zeros(len(MANY))).iloc[: len(MANY)]["distance"].to_numpy()
    found = verdict(MANY, distance + 0.03 * rng.standard_normal(len(MANY)), rng)[depths.DEPTH]
    assert found.as_stated == "supported"
    assert found.as_corrected in ("inconclusive", "refuted")


def test_languages_that_are_all_censored_make_nothing_testable(rng):
    found = verdict(CODES, np.full(7, np.nan), rng)[depths.DEPTH]
    assert found.as_stated == "not testable"
    assert depths.SORTED in found.as_stated_reason


def test_random_depths_are_rarely_supported_as_stated(rng):
    found = [verdict(CODES, r.permutation(np.arange(7.0)), r)[depths.DEPTH].as_stated for r in rng.spawn(24)]
    assert found.count("supported") <= 2  # one-sided .025 under one proxy, less under both


def rates(world, n, n_worlds, seed=0):
    size = error_rates.Size(30, 4, n)
    rng = np.random.default_rng(seed)
    simulate = depths.worlds(depths.DEPTH, size).make(rng)
    found = [claims.evaluate(depths.DEPTH, simulate(world, r)).as_corrected for r in rng.spawn(n_worlds)]
    return {word: found.count(word) / n_worlds for word in ("supported", "refuted", "not testable")}


def test_worlds_have_sixty_languages_at_least(rng):
    assert depths.worlds(depths.DEPTH, error_rates.Size(30, 4, 11)).about == {"n": depths.AT_LEAST}
    assert depths.worlds(depths.DEPTH, error_rates.Size(145, 3, 73)).about == {"n": 72}
    strong, none = rates("true", 61, 12), rates("null", 61, 12)
    assert strong["supported"] > 0.7
    assert none["supported"] <= 0.17


@pytest.mark.full
@pytest.mark.parametrize("families", [0.0, 0.45])
def test_relatives_who_are_strangers_or_twins_make_no_association(families):
    rng = np.random.default_rng(0)
    these = depths.SimulatedLanguages.drawn(72, rng)
    found = [these.interval(these.outcome(0, r, families=families)) for r in rng.spawn(400)]
    assert np.mean([one.high < 0 for one in found]) <= 0.05
    assert np.mean([one.low > 0 for one in found]) <= 0.05


@pytest.mark.full
@pytest.mark.parametrize("n", [61, 73])
def test_the_rule_errs_rarely_and_decides_most_worlds(n):
    none, mild, strong = (rates(world, n, 200) for world in ("null", "modest", "true"))
    assert none["supported"] <= 0.05
    assert mild["refuted"] <= 0.05
    assert none["refuted"] > 0.35
    assert mild["supported"] > 0.5
    assert strong["supported"] > 0.9
    assert rates("false", n, 100)["refuted"] > 0.9


def test_the_control_of_random_weights_is_the_baseline_in_the_middle(rng):
    """Of twenty baselines one would be supported by chance; half of them are not."""
    made = table(CODES, by_share(CODES))
    made.loc[made["subject"] == "random-1", "conflict"] = np.tile(by_share(CODES), 1)
    found = depths.statistics_of(made, rng=rng)[0]
    assert depths.plain(made, "random-1", "conflict", rng=rng)["rho_web_pages"].pvalue < 0.05
    sizes = [depths.plain(made, s, "conflict", rng=rng)["rho_web_pages"].statistic for s in SUBJECTS[1:]]
    assert found[depths.RANDOM]["conflict_rho_web_pages"].statistic == np.median(sizes)


def test_texts_alone_are_the_mean_of_the_other_baselines():
    made = table(CODES, by_share(CODES))
    wide = made.pivot(index="language", columns="subject", values="conflict").loc[[*CODES]]
    for subject, others in ((TRAINED, SUBJECTS[1:]), ("random-1", ("random-0", "random-2"))):
        expected = wide[[*others]].mean(axis=1)
        assert depths._texts_alone(made, subject, "conflict") == pytest.approx(expected.to_numpy())


def test_a_correlation_on_the_critical_value_counts(rng):
    codes = CODES[:5]
    order = languages.table(codes)["log_web_pages"].rank(ascending=False).to_numpy()
    made = table(codes, order)
    rows = depths.associations(made, rng=rng)
    kept = (rows["subject"] == TRAINED) & (rows["proxy"] == "web_pages") & (rows["outcome"] == "depth")
    trained = rows[kept].iloc[0]
    # five languages: only a perfect order is significant
    assert trained["rho"] == pytest.approx(-1)
    assert trained["critical"] == pytest.approx(1)
    assert trained["p"] == pytest.approx(2 / 120)
    test = depths.plain(made, TRAINED, "layer", rng=rng)["rho_web_pages"]
    assert (test.statistic, test.pvalue, test.n) == (trained["rho"], trained["p"], 5)


def test_partial_correlations_leave_out_what_is_not_known(rng):
    made = table(MANY[:12], by_share(MANY[:12])).assign(overlap=np.nan)
    assert depths.partials({"m": made})[0].empty  # no language of which everything is known
    made = table(MANY[:12], by_share(MANY[:12]))
    found, left = depths.partials({depths.STANDARDISED: made})
    assert set(found["given"]) == {"families alone", *depths.COVARIATES, "all of them"}
    assert left.groupby(["outcome", "proxy"]).size().eq(12).all()


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(1)
    share = {"es": 1.0, "de": 1.0, "zh": 1.0, "sw": 0.0, "hr": 0.0}
    pairs = {
        k: replace(simulated_pair("scenarios", v, rng=rng, n_scenarios=24, n_draws=3), language=k)
        for k, v in share.items()
    }
    return pairs, depths.language_depth(pairs, "en", rng=rng)


def test_planted_languages_have_a_depth_and_others_are_censored(measured):
    _, found = measured
    for one in (found.depths, found.raw):
        trained = one[one["subject"] == TRAINED].set_index("language")
        # the signal is planted from layer 1 on, and never in Swahili
        assert trained["layer"].drop(["sw", "hr"]).eq(1).all()
        assert np.isnan(trained.loc["sw", "layer"])
        assert not trained.loc["sw", "aligned"]
        assert (
            trained.loc["sw", "restricted_mean"] > 0.9 > trained["restricted_mean"].drop(["sw", "hr"]).max()
        )
        twins = one[one["subject"].str.startswith("random-")]
        assert twins["layer"].isna().all()
        assert trained["conflict"].between(0.3, 1.2).all()
        # unrelated languages conflict no less than shuffled pairs
        assert trained.loc["sw", "conflict"] == pytest.approx(1, abs=0.1)


def test_tables_are_complete_and_what_is_left_out_is_named(measured):
    pairs, found = measured
    assert found.curves.groupby("language").size().eq(7).all()
    assert set(found.associations["proxy"]) == set(languages.PROXIES)
    assert list(found.left_out.values()) == [["hr"]]
    for claim in (depths.DEPTH, depths.MECHANISM):
        said = claims.evaluate(claim, found.evidence[claim])
        assert "share of their text is not known: hr." in said.as_stated_reason.replace(
            "a proxy of their share of text", "share of their text"
        )
    compared = depths.definitions_of(pairs["es"], rng=np.random.default_rng(0))
    assert compared["valid"].any()
    assert (~compared["valid"]).any()
    shown = depths.outcome_table(found.depths, "conflict")
    assert shown.index.tolist() == [*pairs]
    assert (shown["random weights, min"] <= shown["random weights, max"]).all()


def test_conflict_is_the_ratio_of_qualities_and_shuffles_never_keep_a_scenario(rng):
    pair = simulated_pair("updates", 1.0, rng=rng, n_scenarios=24, n_draws=3)
    shuffles = depths._foreign_shuffles(pair, rng)
    scenario = pair.scenario[pair.confirmation]
    assert all((scenario[p] != scenario).all() for p in shuffles)
    strata = length_overlap_strata(pair)[pair.confirmation]
    assert np.mean([strata[p] == strata for p in shuffles]) > 0.9
    x, y = (s[:, pair.confirmation] for s in pair.subjects[TRAINED])
    x, y = (s - s.mean(1, keepdims=True) for s in (x, y))

    def quality(other):
        profile = residual.snr_profile(x, other)  # without groups sigma knows no pairing at all
        return profile.delta_sq / profile.sigma_sq

    expected = quality(y) / np.mean([quality(y[:, p]) for p in shuffles], axis=0)
    found = depths._conflict(pair, TRAINED, depths.RAW, shuffles)
    assert found == pytest.approx(expected[1:-1].mean(), rel=1e-9)
    assert found < 0.9  # a planted agreement of updates
    assert np.isnan(depths._conflict(pair, TRAINED, depths.RAW, shuffles[:0]))


def test_one_dimension_decides_the_raw_conflict_and_not_the_standardised_one(rng):
    pair = simulated_pair("updates", 1.0, rng=rng, n_scenarios=24, n_draws=3)
    shuffles = depths._foreign_shuffles(pair, rng)
    noise = [200 * rng.standard_normal(s.shape[:2]) for s in pair.subjects[TRAINED]]
    outlying = []
    for s, extra in zip(pair.subjects[TRAINED], noise, strict=True):
        made = np.array(s)
        made[..., 0] += extra
        outlying.append(made)
    other = replace(pair, subjects={TRAINED: tuple(outlying)})
    raw, standard = (
        [depths._conflict(one, TRAINED, how, shuffles) for one in (pair, other)]
        for how in (depths.RAW, depths.STANDARDISED)
    )
    assert raw[1] > raw[0] + 0.1
    assert standard[1] == pytest.approx(standard[0], abs=0.05)


def test_figures_show_many_languages(rng):
    made = table(MANY, by_share(MANY)).assign(aligned=True, log_low=0.0)
    curves = pd.DataFrame(
        [(code, layer, layer / 5, 0.0, 1.0, 0.5) for code in MANY for layer in range(4)],
        columns=["language", "layer", "accuracy", "lower_band", "upper_band", "threshold"],
    )
    assert len(figures.depth_curves(curves, made).layout.annotations) < 40
    heat = figures.accuracy_map(curves, made).data[0]
    assert sorted(heat.y[1]) == sorted(MANY)
    # relatives stand together
    assert sum(a != b for a, b in zip(heat.y[0][1:], heat.y[0][:-1], strict=True)) < 20
    partial, left = depths.partials({depths.STANDARDISED: made})
    figure = figures.beside_covariates(left, partial, made, "depth")
    assert "given all" in figure.layout.title.text
    associated = depths.associations(made[made["subject"] == TRAINED], rng=rng)
    figures.by_share(made, associated, "depth", "restricted_mean", "depth")


def test_fewer_than_four_languages_of_known_share_are_refused(measured, rng):
    pairs, _ = measured
    with pytest.raises(MeasureError, match="n >= 4"):
        depths.language_depth({k: pairs[k] for k in ("zh", "sw", "hr")}, "en", rng=rng)

"""Pairs hold what each subject is, and controls that keep what they must not explain away."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from zspace.errors import ParameterError
from zspace.evidence import language_pairs, simulated_pairs
from zspace.evidence.language_pairs import SHUFFLED, TRAINED
from zspace.evidence.retrieval import updates
from zspace.sources import corpora
from zspace.sources.models import Subject

LANGUAGES = ("en", "fr", "es")


SIZE = {"n_scenarios": 12, "n_draws": 5, "n_layers": 3, "dim": 8}


@pytest.fixture
def pair(rng):
    return language_pairs.simulated_pair("scenarios", 0.0, rng=rng, **SIZE)


@pytest.fixture
def corpus():
    return corpora.load("number-stories", LANGUAGES, n_scenarios=12, n_draws=4)


def captured(corpus, rng, *, layers=3, dim=8, n_re_rounded=0):
    """Datasets as `subjects.open_states` returns them, of random numbers."""
    n = len(corpus.items)
    shape = (len(corpus.languages), 2, layers, n, dim)
    dims = ("language", "pooling", "layer", "item", "hidden")
    coords = {"language": list(corpus.languages), "pooling": ["mean", "last"]}
    ids = (("language", "item", "position"), rng.integers(0, 500, (len(corpus.languages), n, 9)))
    return {
        one: xr.Dataset({"states": (dims, rng.standard_normal(shape)), "token_ids": ids}, coords)
        for one in language_pairs.variants(n_re_rounded)
    }


@pytest.fixture
def opening(monkeypatch):
    """opening(datasets): `open_pairs` gets these; returns a list of what it asked for."""

    def prepare(datasets) -> list:
        asked = []
        instead = lambda *words, **_: asked.append(words) or datasets  # noqa: E731
        monkeypatch.setattr(language_pairs.subjects, "open_states", instead)
        return asked

    return prepare


def names(subjects) -> set[str]:
    return {one.name for one in subjects}


def test_variants_are_the_model_its_baselines_and_as_many_of_a_kind_as_asked_for():
    few, many = language_pairs.variants(), language_pairs.variants(2, n_random=20)
    assert few == language_pairs.VARIANTS
    assert many[0] == few[0]
    assert [len(language_pairs.of_kind(kind, names(many))) for kind in ("random", "re-rounded")] == [20, 2]
    assert names(many) > names(few)


def test_open_pairs_pair_every_language_with_the_anchor(rng, opening, corpus):
    stored = captured(corpus, rng)
    opening(stored)
    found = language_pairs.open_pairs("a model", corpus, rng=rng)
    assert list(found) == ["fr", "es"]
    discovery, confirmation = corpus.split()
    for language, one in found.items():
        assert set(one.subjects) == {*names(stored), language_pairs.SHUFFLED, language_pairs.PLANTED}
        assert one.random_baselines == ("random-0", "random-1", "random-2")
        for subject, data in stored.items():
            for side, code in zip(one.subjects[subject.name], ("en", language), strict=True):
                assert (side == data["states"].sel(pooling="mean", language=code).to_numpy()).all()
        # what the control from spelling reads: without the texts there would be none
        assert one.texts == (corpus.texts["en"], corpus.texts[language])
        assert (one.discovery == discovery).all()
        assert (one.confirmation == confirmation).all()
        assert (one.scenario == corpus.items["scenario"]).all()
    last = language_pairs.open_pairs("a model", corpus, rng=rng, pooling="last", first_layer=1)["es"]
    expected = stored[Subject("random", 1)]["states"].sel(pooling="last", language="es").to_numpy()[1:]
    assert (last.subjects["random-1"][1] == expected).all()


def test_open_pairs_hold_re_roundings_beside_the_twins(rng, opening, corpus):
    stored = captured(corpus, rng, n_re_rounded=2)
    asked, wanted = opening(stored), language_pairs.variants(2)
    found = language_pairs.open_pairs("gemma-3-270m", corpus, rng=rng, variants=wanted)
    assert asked == [("gemma-3-270m", corpus, wanted)]
    for one in found.values():
        assert one.re_rounded == ("re-rounded-0", "re-rounded-1")
        assert one.random_baselines == ("random-0", "random-1", "random-2")
    x, y = found["es"].subjects["re-rounded-1"]
    states = stored[Subject("re-rounded", 1)]["states"].sel(pooling="mean")
    assert (x == states.sel(language="en").to_numpy()).all()
    assert (y == states.sel(language="es").to_numpy()).all()
    # the controls are made from the weights as they are: re-roundings change none of them
    alone = {one: data for one, data in stored.items() if one.kind != "re-rounded"}
    both = []
    for data in (stored, alone):
        opening(data)
        both.append(language_pairs.open_pairs("gemma-3-270m", corpus, rng=np.random.default_rng(3))["fr"])
    for name in (language_pairs.SHUFFLED, language_pairs.PLANTED):
        for one, other in zip(*(made.subjects[name] for made in both), strict=True):
            assert (one == other).all()


def test_variants_add_re_roundings_to_the_controls_of_every_claim():
    assert language_pairs.variants() == language_pairs.VARIANTS
    again = (Subject("re-rounded", 0), Subject("re-rounded", 1))
    assert language_pairs.variants(2) == (*language_pairs.VARIANTS, *again)


def test_scope_says_how_often_weights_were_re_rounded(pair):
    corpus = corpora.load("number-stories", ("en", "fr"), n_scenarios=3)
    made = replace(pair, subjects={**pair.subjects, "re-rounded-0": pair.subjects["trained"]})
    key = "quantised weights re-rounded"
    assert language_pairs.scope(corpus, {"fr": pair})[key] == "not in this run"
    assert language_pairs.scope(corpus, {"fr": made})[key].startswith("1 ")


def test_open_pairs_without_token_ids_make_nothing_with_them(rng, opening, corpus):
    stored = captured(corpus, rng)
    for data in stored.values():
        data["token_ids"].loc[{"language": "es"}] = -1  # as an import without them has it
        data["token_ids"].values[:2, ::2, 6:] = -1
    opening(stored)
    found = language_pairs.open_pairs("a model", corpus, rng=rng)
    assert found["es"].tokens is None
    assert set(found["es"].subjects) == names(stored)
    assert set(found["fr"].subjects) == {*names(stored), language_pairs.SHUFFLED, language_pairs.PLANTED}
    table = language_pairs.surface_table(found)
    assert table.loc["es", "items"] == 48
    assert table["own token overlap"].isna().tolist() == [False, True]


def test_open_pairs_need_two_languages(rng):
    corpus = corpora.load("number-stories", ("en",), n_scenarios=4)
    with pytest.raises(ParameterError, match=r"found one language \(en\)"):
        language_pairs.open_pairs("a model", corpus, rng=rng)


def test_means_are_those_of_the_discovery_items(pair):
    for side, mean in zip(pair.subjects["random-1"], pair.means("random-1"), strict=True):
        assert mean.shape == (4, 1, 8)
        expected = sum(side[:, i] for i in np.flatnonzero(pair.discovery)) / 20
        assert mean[:, 0] == pytest.approx(expected)


def test_standardised_gives_discovery_items_unit_deviation(pair):
    x, y = pair.subjects[language_pairs.TRAINED]
    x = x * np.geomspace(1, 1000, 8)
    x[..., 3] = 5.0  # a dimension without variance stays as it is
    found = language_pairs.standardised(replace(pair, subjects={**pair.subjects, "trained": (x, y)}))
    for side in found.subjects["trained"]:
        deviation = side[:, pair.discovery].std(1)
        assert np.delete(deviation, 3, 1) == pytest.approx(np.ones((4, 7)))
    assert (found.subjects["trained"][0][..., 3] == 5.0).all()
    # by the discovery items alone: the others keep what sets them apart
    assert np.abs(found.subjects["trained"][1][:, pair.confirmation].std(1) - 1).max() > 0.05
    assert found.subjects["random-0"][0].shape == pair.subjects["random-0"][0].shape


def test_plant_scenarios_is_a_step_after_layer_zero(pair, rng):
    shuffled = pair.subjects[language_pairs.SHUFFLED]
    planted = language_pairs.plant_scenarios(shuffled, pair.scenario, rng=rng, strength=2.0)
    added = [p - s for p, s in zip(planted, shuffled, strict=True)]
    for states, extra in zip(shuffled, added, strict=True):
        assert (extra[0] == 0).all()
        scaled = extra[1:] / (2 * language_pairs.spread(states)[1:])
        assert scaled == pytest.approx(np.broadcast_to(scaled[0], scaled.shape))  # the same at every layer
        assert (np.linalg.norm(scaled[0], axis=1) ** 2).mean() == pytest.approx(1, abs=0.4)
    directions = [a[1] / np.linalg.norm(a[1], axis=1, keepdims=True) for a in added]
    assert directions[0] == pytest.approx(directions[1])  # shared by the languages
    same = pair.scenario[:, None] == pair.scenario
    cosine = directions[0] @ directions[0].T
    assert cosine[same] == pytest.approx(np.ones(same.sum()))
    assert np.abs(cosine[~same]).mean() < 0.6


def test_planted_signal_starts_from_the_shuffled_pairing(pair):
    shuffled, planted = pair.subjects[language_pairs.SHUFFLED], pair.subjects[language_pairs.PLANTED]
    assert all((p[0] == s[0]).all() for p, s in zip(planted, shuffled, strict=True))
    assert (pair.subjects[language_pairs.TRAINED][1] != shuffled[1]).any()


def test_planted_updates_agree_where_one_dimension_outweighs_the_others(rng):
    """With one length for all dimensions the plant drowns the other dimensions' states: the control fails."""
    walk = rng.standard_normal((2, 9, 60, 24)).cumsum(1)
    walk[..., 0] *= 100
    items = np.arange(60)
    pair = language_pairs.LanguagePair("xx", {}, items, items, items < 20, None)
    planted = language_pairs.plant_updates(tuple(walk), rng=rng)
    for scaled in (True, False):
        before, after = (
            updates.update_gain(updates.update_auc(pair, states, standardise=scaled)).mean()
            for states in (tuple(walk), planted)
        )
        assert abs(before) < 0.05
        assert after > 0.05


def test_own_overlap_is_the_jaccard_of_token_sets(pair):
    a, b = np.array([[1, 2, 3, -1], [1, 1, -1, -1]]), np.array([[3, 4, -1], [1, -1, -1]])
    made = replace(pair, tokens=(a, b))
    assert language_pairs.own_overlap(made).tolist() == [0.25, 1.0]
    assert [n.tolist() for n in made.lengths()] == [[3, 2], [2, 1]]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_pairs_keep_length_and_lose_scenario_and_shared_tokens(seed):
    """What length alone gives is still there; a translation's own tokens and scenario are not."""
    rng = np.random.default_rng(seed)
    shape = simulated_pairs.shape_of_size(20, 6, n_layers=1, dim=4)
    n = shape.n_items
    length = rng.integers(4, 40, 20)[shape.scenario] + rng.integers(0, 4, n)
    ids = np.where(np.arange(44) < length[:, None], rng.integers(0, 5000, (n, 44)), -1)
    shared = np.where(rng.random(ids.shape) < 0.4, ids, np.where(ids < 0, -1, ids + 5000))
    states = (np.zeros((2, n, 1)), np.broadcast_to(np.arange(n)[None, :, None], (2, n, 1)).astype(float))
    made = language_pairs.with_controls(
        language_pairs.LanguagePair(
            "simulated", {TRAINED: states}, shape.scenario.astype(str), shape.scenario.astype(str),
            shape.discovery, (ids, shared),
        ),
        rng=rng,
    )  # fmt: skip
    partner = made.subjects[SHUFFLED][1][0, :, 0].astype(int)
    assert (shape.scenario[partner] != shape.scenario).all()
    strata = language_pairs.length_overlap_strata(made)
    assert (strata[partner] == strata).mean() > 0.9
    assert np.corrcoef(length, length[partner])[0, 1] > 0.6
    mismatched = replace(made, tokens=(ids, shared[partner]))
    assert language_pairs.own_overlap(made).mean() > 0.15
    assert language_pairs.own_overlap(mismatched).mean() < 0.01

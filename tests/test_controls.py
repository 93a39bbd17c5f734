"""Controls find what is planted in a pair, nothing where nothing is, and leave out what they lack."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from builders import language_pair
from zspace.evidence.language_pairs import PERMUTED, RANDOM_BLOCKS, SHUFFLED, TRAINED, simulated_pair
from zspace.evidence.retrieval import controls
from zspace.sources import corpora, stories
from zspace.sources.models import TRAINED as MODEL
from zspace.states import capture, imported

N_SCENARIOS, N_DRAWS, DIM = 15, 2, 16
N = N_SCENARIOS * N_DRAWS
SIZE = {"n_scenarios": N_SCENARIOS, "n_draws": N_DRAWS, "n_layers": 3, "dim": DIM}
Z = 4.5  # standard errors that an accuracy may be off


def simulated(share, rng, language="fr"):
    return replace(simulated_pair("scenarios", share, rng=rng, **SIZE), language=language)


def hand_made(states, *, twins=(), **others):
    """A pair of 15 scenarios with two items each, the first five for discovery."""
    scenario = np.repeat(np.arange(N_SCENARIOS), N_DRAWS)
    subjects = {TRAINED: states, **{f"random-{i}": twin for i, twin in enumerate(twins)}}
    return language_pair(subjects, scenario, np.arange(N) < 10, **{"language": "fr", **others})


def noise_pair(rng, n_layers=3):
    return tuple(rng.normal(size=(2, n_layers, N, DIM)))


def scenario_pair(rng, n_layers=3, strength=3.0):
    """States of two languages that share a direction of each scenario at every layer."""
    shared = np.repeat(rng.normal(size=(N_SCENARIOS, DIM)), N_DRAWS, axis=0)
    return tuple(s + strength * shared for s in noise_pair(rng, n_layers))


def accuracy_by_hand(states, pair, rows):
    """Between-scenario retrieval of some items by layer, in loops: centred cosine, both directions."""
    found = []
    for layer in zip(*states, strict=True):
        x, y = (s - s[pair.discovery].mean(0) for s in layer)
        cosine = [[a @ b / np.sqrt((a @ a) * (b @ b)) for b in y] for a in x]
        hits = [
            pair.scenario[one[i].argmax()] == pair.scenario[i]
            for one in (np.array(cosine), np.array(cosine).T)
            for i in np.flatnonzero(rows)
        ]
        found.append(np.mean(hits))
    return np.array(found)


def distinct_tokens(first, n=N, width=4):
    """Token ids of which no two items have one in common."""
    return first + np.arange(n * width).reshape(n, width)


def by_pooling(table, value):
    return {name: rows[value].to_numpy() for name, rows in table.groupby("pooling")}


@pytest.fixture(scope="module")
def corpus():
    return corpora.load("number-stories", ("en", "fr", "sw"), n_scenarios=N_SCENARIOS, n_draws=N_DRAWS)


@pytest.fixture
def counted():
    """Four texts in two languages and token ids to count by hand: the corpus, and their pair."""
    texts = {
        "en": ("one two three", "four five", "six", "seven eight nine ten"),
        "zh": ("一二三四", "五六", "七八九", "十"),
    }
    items = {"item": list("abcd"), "scenario": list("abcd"), "group": list("abcd")}
    items |= {"category": [""] * 4, "difficulty": [0] * 4, "answer": [""] * 4}
    corpus = corpora.Corpus("t", "as-is", ("en", "zh"), texts, pd.DataFrame(items), False)
    tokens = (
        np.array([[1, 2, 3], [4, 5, -1], [6, -1, -1], [7, 8, 9]]),
        np.array([[1, 11, -1], [12, 13, 14], [6, 6, -1], [15, 16, -1]]),
    )
    discovery, texts = np.arange(4) == 0, tuple(texts.values())
    pair = language_pair({}, np.array(list("abcd")), discovery, language="zh", tokens=tokens, texts=texts)
    return corpus, pair


def test_surface_by_language_counts_tokens_premium_and_overlap(counted):
    corpus, pair = counted
    table = controls.surface_by_language(corpus, {"zh": pair})
    assert list(table.index) == ["en", "zh"]
    known = {"premium": 1, "tokens": 9 / 4, "tokens per word": 9 / 10, "tokens per character": 9 / 39}
    assert table.loc["en"].dropna().to_dict() == pytest.approx(known)
    own, translated = np.array([3, 2, 1, 3]) - 9 / 4, np.array([2, 3, 2, 2]) - 9 / 4
    expected = {
        "premium": (2 / 3 + 3 / 2 + 2 + 2 / 3) / 4,
        "tokens": 9 / 4,
        "tokens per word": np.nan,  # written without spaces
        "tokens per character": 9 / 10,
        "own token overlap": (1 / 4 + 0 + 1 + 0) / 4,
        "correlation of lengths": own @ translated / np.sqrt((own @ own) * (translated @ translated)),
    }
    assert table.loc["zh", list(expected)].to_dict() == pytest.approx(expected, nan_ok=True)


@pytest.mark.filterwarnings("ignore:invalid value")  # of a correlation with lengths that do not vary
def test_surface_by_language_scores_retrieval_on_confirmation_items(corpus, rng):
    """Confirmation items keep their token ids in translation, discovery items have those of another story."""
    ids = distinct_tokens(0)
    ids_fr = ids.copy()
    ids_fr[:10] = np.roll(ids[:10], N_DRAWS, axis=0)
    pair = hand_made(noise_pair(rng), tokens=(ids, ids_fr))
    table = controls.surface_by_language(corpus, {"fr": pair})
    assert table.loc["fr", "retrieval by surface overlap"] == 1
    assert np.isnan(table.loc["fr", "correlation of lengths"])
    assert table.loc["fr", "weighted overlap, translations"] == pytest.approx(20 / 30)
    assert table.loc["fr", "weighted overlap, unrelated"] == pytest.approx(10 / (N * (N - 1)))
    swapped = controls.surface_by_language(corpus, {"fr": replace(pair, discovery=~pair.discovery)})
    assert swapped.loc["fr", "retrieval by surface overlap"] == 0


@pytest.mark.filterwarnings("ignore:invalid value")
def test_surface_by_language_without_token_ids_has_spelling_alone(corpus, rng):
    """A language without them neither gets the others' numbers nor takes the anchor's place."""
    shared = {"texts": (corpus.texts["en"], corpus.texts["en"])}
    spelled = hand_made(noise_pair(rng), **shared)
    table = controls.surface_by_language(corpus, {"fr": spelled})
    assert list(table.columns) == ["retrieval by shared spelling"]
    assert table.loc["fr", "retrieval by shared spelling"] > 0.9  # a text is nearest to itself
    silent = controls.surface_by_language(corpus, {"fr": replace(spelled, texts=None)})
    assert silent.size == 0
    other = hand_made(noise_pair(rng), language="sw", tokens=(distinct_tokens(0), distinct_tokens(500)))
    both = controls.surface_by_language(corpus, {"fr": spelled, "sw": other})
    assert list(both.index) == ["en", "fr", "sw"]
    assert both.loc[["en", "sw"], "tokens"].tolist() == [4, 4]
    assert np.isnan(both.loc["fr", "tokens"])


def test_overlap_matrix_is_larger_where_token_ids_are_shared(rng):
    """Two languages with the same ids, a third with the same ids in another order, and an unrelated one."""
    english, shared = distinct_tokens(0), distinct_tokens(1000)
    ids = {"fr": shared, "es": shared, "de": np.roll(shared, 1, axis=0), "zh": distinct_tokens(2000)}
    states = noise_pair(rng)
    pairs = {code: hand_made(states, language=code, tokens=(english, one)) for code, one in ids.items()}
    table = controls.overlap_matrix(pairs, "en")
    assert list(table.index) == list(table.columns) == ["en", *ids]
    assert np.isnan(np.diag(table)).all()
    pd.testing.assert_frame_equal(table, table.T)
    assert table.loc["fr", "es"] == pytest.approx(1)
    assert table.loc["fr", "de"] == pytest.approx(-1 / (N - 1))  # N matches among the N (N - 1) unrelated
    assert (table.loc["zh", ["en", "fr", "es", "de"]] == 0).all()
    assert (table.loc["en", list(ids)] == 0).all()


@pytest.mark.parametrize("without", [["fr"], ["sw"], ["fr", "sw"]])
def test_overlap_matrix_is_nan_without_token_ids(rng, without):
    tokens = (distinct_tokens(0), distinct_tokens(0))
    pairs = {
        code: hand_made(noise_pair(rng), language=code, tokens=None if code in without else tokens)
        for code in ("fr", "sw")
    }
    table = controls.overlap_matrix(pairs, "en")
    assert list(table.index) == list(table.columns) == ["en", "fr", "sw"]
    for code in ("fr", "sw"):
        assert table.loc["en", code] == table.loc[code, "en"] or code in without
        assert table.loc[code].isna().all() == (code in without)


def test_lengths_by_difficulty_grow_only_where_stories_are_unpadded():
    languages = ["sw", "en", "th"]
    table = controls.lengths_by_difficulty(languages, n_draws=1)
    assert list(table.columns) == languages
    assert list(table.index) == [(padding, k) for padding in stories.PADDINGS for k in range(1, 6)]
    unpadded, sentences, numbers, story = (table.loc[padding] for padding in stories.PADDINGS)
    assert (unpadded.diff().dropna() > 0).all(axis=None)
    assert (unpadded.loc[5] > 2 * unpadded.loc[1]).all()
    assert (sentences.max() / sentences.min() < 1.03).all()
    # one number a sentence that changes nothing: the easier story is then never the shorter one
    assert (numbers.loc[5] < 1.03 * numbers.loc[1]).all()
    # one story at every difficulty: an ordinal apart
    assert (story.max() - story.min() < 10).all()
    assert (story.min() > unpadded.loc[5]).all()
    # the hardest stories have nothing to pad
    pd.testing.assert_series_equal(unpadded.loc[5], sentences.loc[5])
    pd.testing.assert_series_equal(unpadded.loc[5], numbers.loc[5])


def test_lengths_by_difficulty_are_mean_characters_of_the_corpus():
    table = controls.lengths_by_difficulty(["fr"], n_draws=2, seed=3)
    options = {"padding": "sentences", "difficulty": 2, "n_draws": 2, "seed": 3}
    texts = corpora.load("number-stories", ["fr"], **options).texts["fr"]
    assert table.loc[("sentences", 2), "fr"] == pytest.approx(sum(map(len, texts)) / len(texts))


def test_lengths_by_difficulty_of_no_language_is_empty():
    """A corpus of one's own may share no language with the built-in stories."""
    assert controls.lengths_by_difficulty([], n_draws=1).empty


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("share", [1.0, 0.0])
def test_subjects_at_peak_put_the_model_above_its_controls_only_with_a_signal(share, seed):
    rng = np.random.default_rng(seed)
    table = controls.subjects_at_peak({"fr": simulated(share, rng)}, rng=rng).set_index("subject")
    twins = ["random-0", "random-1", "random-2", RANDOM_BLOCKS, PERMUTED]
    assert list(table.index) == [TRAINED, *twins, SHUFFLED, controls.SURFACE]
    best = table["estimate"].drop(TRAINED).max()
    assert (table.loc[TRAINED, "low"] > best) == (share == 1.0)
    assert (table["low"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["high"]).all()
    assert table["chance"].to_numpy() == pytest.approx(1 / N_SCENARIOS)


def test_subjects_at_peak_choose_the_layer_on_discovery_items(rng):
    """Discovery items agree across languages at layer 1, confirmation items at layer 2."""
    noise, shared = noise_pair(rng), scenario_pair(rng, strength=4.0)
    pair = hand_made(noise, twins=[shared])
    place = {0: np.zeros(N, bool), 1: pair.discovery, 2: pair.confirmation}
    aligned = np.array([place[layer] for layer in range(3)])[..., None]
    states = tuple(np.where(aligned, s, n) for s, n in zip(shared, noise, strict=True))
    pair = replace(pair, subjects={TRAINED: states, "random-0": shared})
    table = controls.subjects_at_peak({"fr": pair}, rng=rng).set_index("subject")
    found = accuracy_by_hand(states, pair, pair.confirmation)
    assert table.loc[TRAINED, "layer"] == 1
    assert table.loc[TRAINED, "estimate"] == pytest.approx(found[1])
    assert found[1] < 0.3 < 0.9 < found[2]
    twin = accuracy_by_hand(shared, pair, pair.confirmation)
    assert table.loc["random-0", "estimate"] == pytest.approx(twin[table.loc["random-0", "layer"]])


def test_subjects_at_peak_keep_languages_apart_and_do_without_controls(rng):
    bare = hand_made(scenario_pair(rng), language="zh")
    table = controls.subjects_at_peak({"fr": simulated(0.0, rng), "zh": bare}, rng=rng)
    assert table.groupby("language", sort=False).size().to_dict() == {"fr": 8, "zh": 1}
    assert table.iloc[-1]["subject"] == TRAINED
    assert table.iloc[-1]["estimate"] > 0.9


def test_stratified_shuffles_reject_with_a_signal_only(rng):
    pairs = {"fr": simulated(1.0, rng), "sw": simulated(0.0, rng, "sw")}
    table = controls.stratified_shuffles(pairs, rng=rng)
    assert table["language"].tolist() == ["fr"] * 4 + ["sw"] * 4
    smallest = table.groupby("language")["p_max"].min()
    assert smallest["fr"] < 0.01
    assert smallest["sw"] > 0.05
    silent = {code: replace(pair, tokens=None) for code, pair in pairs.items()}
    assert controls.stratified_shuffles(silent, rng=rng).empty
    half = controls.stratified_shuffles({"fr": silent["fr"], "sw": pairs["sw"]}, rng=rng)
    assert set(half["language"]) == {"sw"}


def test_language_identity_finds_an_offset_and_chance_without(rng):
    n_layers, told = 20, 2 * (N - 10)
    x, y = noise_pair(rng, n_layers)
    y[10:] += 5 * rng.normal(size=DIM)
    table = controls.language_identity({"fr": hand_made((x, y))}).set_index("layer")
    chance = pytest.approx(0.5, abs=Z * np.sqrt(0.25 / (10 * told)))
    assert table.loc[:9, "probe"].mean() == chance
    assert (table.loc[10:, "probe"] == 1).all()
    assert table.loc[10:, "probe_centred"].mean() == chance  # the offset was all that told them apart


def test_language_identity_stands_beside_retrieval_of_model_and_twins(rng):
    states, twin = scenario_pair(rng, strength=1.5), noise_pair(rng)
    pair = hand_made(states, twins=[twin])
    pair = replace(pair, subjects={**pair.subjects, RANDOM_BLOCKS: twin})
    table = controls.language_identity({"fr": pair, "sw": replace(pair, language="sw")})
    assert table.groupby(["language", "subject"], sort=False).size().to_dict() == {
        (code, name): 3 for code in ("fr", "sw") for name in (TRAINED, "random-0")
    }
    found = table[table["language"] == "fr"].set_index("subject")["retrieval"]
    for name, both in ((TRAINED, states), ("random-0", twin)):
        expected = accuracy_by_hand(both, pair, pair.confirmation)
        assert found[name].to_numpy() == pytest.approx(expected)
    assert found[TRAINED].min() > found["random-0"].max()


@pytest.mark.parametrize("shares", ["by length", "alike"])
def test_sinks_show_a_huge_direction_in_the_average(shares, rng):
    """A direction hundreds of times longer than the rest, in every item's average.

    Where its share follows the item's length it blurs the stories; where it is the same for all items,
    centring takes it away again, and the distance alone tells.
    """
    clean = scenario_pair(rng)
    sink = 300 * rng.normal(size=DIM)
    lengths = rng.uniform(0.3, 1.0, (2, N, 1)) if shares == "by length" else np.ones((2, N, 1))
    dominated = tuple(s + one * sink for s, one in zip(clean, lengths, strict=True))
    pair = hand_made(dominated)
    trimmed = replace(pair, subjects={TRAINED: clean})
    table = controls.sinks({"fr": pair}, {"trimmed": {"fr": trimmed}})
    retrieval, distance = by_pooling(table, "retrieval"), by_pooling(table, "distance")
    for name, one in (("mean", pair), ("trimmed", trimmed)):
        expected = accuracy_by_hand(one.subjects[TRAINED], one, one.confirmation)
        assert retrieval[name] == pytest.approx(expected)
    assert retrieval["trimmed"].min() > 0.9
    if shares == "by length":
        assert retrieval["mean"].max() < retrieval["trimmed"].min() - 0.2
    else:
        assert retrieval["mean"] == pytest.approx(retrieval["trimmed"])
    moved = [
        [np.sqrt(((c - d) ** 2).sum() / (d**2).sum()) for c, d in zip(one, two, strict=True)]
        for side, other in zip(clean, dominated, strict=True)
        for one, two in zip(side, other, strict=True)
    ]
    assert distance["trimmed"] == pytest.approx(np.reshape(moved, (2, 3, N)).mean((0, 2)))
    assert distance["trimmed"].min() > 0.9
    assert (distance["mean"] == 0).all()


def test_sinks_without_other_poolings_have_the_mean_alone(rng):
    pairs = {code: hand_made(noise_pair(rng), language=code) for code in ("fr", "sw")}
    table = controls.sinks(pairs, {})
    shown = table[["language", "pooling"]].drop_duplicates()
    assert shown.to_numpy().tolist() == [["fr", "mean"], ["sw", "mean"]]


@pytest.fixture
def rounded(rng):
    """A model with a shared story, re-rounded twice: once to the same states, once to noise."""
    states = scenario_pair(rng, strength=1.5)
    tokens = (distinct_tokens(0), distinct_tokens(500))  # nothing is found by surface
    pair = hand_made(states, tokens=tokens, twins=[noise_pair(rng), noise_pair(rng)])
    more = {"re-rounded-0": states, "re-rounded-1": noise_pair(rng)}
    return replace(pair, subjects={**pair.subjects, **more})


def peak_by_hand(pair, name):
    """Confirmation accuracy at the layer that is best on discovery items."""
    states = pair.subjects[name]
    layer = np.argmax(accuracy_by_hand(states, pair, pair.discovery))
    return accuracy_by_hand(states, pair, pair.confirmation)[layer]


def test_re_roundings_have_the_excess_of_each_over_the_mean_of_the_baselines(rounded, rng):
    table = controls.re_roundings({"fr": rounded}, rng=rng).set_index("weights")
    assert list(table.index) == ["as stored", "re-rounded-0", "re-rounded-1"]
    mean = np.mean([peak_by_hand(rounded, f"random-{i}") for i in range(2)])
    for words, name in (("as stored", TRAINED), ("re-rounded-1", "re-rounded-1")):
        assert table.loc[words, "estimate"] == pytest.approx(peak_by_hand(rounded, name) - mean)
    assert table.loc["re-rounded-0", "estimate"] == table.loc["as stored", "estimate"] > 0.5
    assert table.loc["re-rounded-1", "estimate"] < 0.1
    assert (table["low"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["high"]).all()


def test_re_roundings_need_the_controls_of_the_claim(rounded, rng):
    stored = {name: states for name, states in rounded.subjects.items() if not name.startswith("re-rounded")}
    alone = {TRAINED: rounded.subjects[TRAINED]}
    pairs = {
        "fr": replace(rounded, subjects=stored),
        "zh": replace(rounded, subjects=alone, language="zh"),
        "sw": replace(rounded, tokens=None, language="sw"),
    }
    table = controls.re_roundings(pairs, rng=rng)
    assert table[["language", "weights"]].to_numpy().tolist() == [["fr", "as stored"]]
    empty = controls.re_roundings({"zh": pairs["zh"]}, rng=rng)
    assert list(empty.columns) == ["language", "weights", "estimate", "low", "high"]
    assert empty.empty


@pytest.fixture
def no_model(tmp_path, monkeypatch):
    """An empty store, and a model that must not be loaded; lists what is asked of the capture."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(capture.models, "load", lambda *_, **__: pytest.fail("a model was loaded"))
    identity = {"model": "m", "variant": "trained", "seed": None}
    monkeypatch.setattr(capture.models, "identity", lambda *_, **__: identity)
    asked = []
    monkeypatch.setattr(capture, "ensure_all", lambda *_, **options: asked.append(options))
    return asked


def test_open_poolings_capture_nothing_unasked(corpus, no_model, rng):
    assert controls.open_poolings("gemma-3-270m", corpus, rng=rng) == {}
    assert no_model == []


@pytest.mark.parametrize("stored", [True, False])
def test_open_poolings_read_what_is_stored_or_capture_it(stored, corpus, no_model, monkeypatch, rng):
    """Either way the trained model alone, in both poolings, together."""
    dims = ("language", "pooling", "layer", "item", "hidden")
    states = rng.normal(size=(3, 2, 2, N, DIM))
    coords = {"language": list(corpus.languages), "pooling": list(controls.SINK_POOLINGS)}
    ids = (("language", "item", "position"), rng.integers(0, 99, (3, N, 5)))
    found = {MODEL: xr.Dataset({"states": (dims, states), "token_ids": ids}, coords)}
    monkeypatch.setattr(
        capture, "ensure_all", lambda *given, **options: no_model.append((given, options)) or found
    )
    monkeypatch.setattr(capture, "is_stored", lambda *_, **__: stored)
    opened = controls.open_poolings("gemma-3-270m", corpus, rng=rng, capture_missing=not stored)
    assert list(opened) == ["median", "trimmed"]
    for i, pairs in enumerate(opened.values()):
        assert list(pairs) == ["fr", "sw"]
        for at, side in enumerate(pairs["sw"].subjects[TRAINED]):
            np.testing.assert_array_equal(side, states[2 * at, i])  # of en and sw
    assert len(no_model) == 2
    for (_, _, wanted), options in no_model:
        assert list(wanted) == [MODEL]
        assert tuple(options["poolings"]) == controls.SINK_POOLINGS


def test_open_poolings_take_the_imported_ones_that_are_there(corpus, tmp_path, monkeypatch, rng):
    """A file with one of the two poolings: that one is shown, and nothing is captured for the other."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(capture.models, "load", lambda *_, **__: pytest.fail("a model was loaded"))
    arrays = {
        f"trained/{code}/{pooling}": rng.normal(size=(2, N, DIM)).astype(np.float32)
        for code in corpus.languages
        for pooling in ("mean", "median")
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    imported.add(tmp_path / "mine.npz", "mine", corpus)
    for capture_missing in (False, True):
        opened = controls.open_poolings("mine", corpus, rng=rng, capture_missing=capture_missing)
        assert list(opened) == ["median"]
        x, y = opened["median"]["fr"].subjects[TRAINED]
        np.testing.assert_array_equal(x, arrays["trained/en/median"])
        np.testing.assert_array_equal(y, arrays["trained/fr/median"])

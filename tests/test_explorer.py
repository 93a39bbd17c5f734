"""The explorer: its neighbours are those of brute force, and it needs nothing from anywhere."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from zspace.evidence.language_pairs import TRAINED, simulated_pair
from zspace.evidence.retrieval.explorer import Explorer, explorer
from zspace.sources import corpora

LANGUAGES = ("en", "zh", "sw")
SIZE = {"n_scenarios": 15, "n_draws": 2}
SHARES = {"zh": 1.0, "sw": 0.0}


@pytest.fixture(scope="module")
def corpus():
    return corpora.load("number-stories", LANGUAGES, **SIZE)


@pytest.fixture(scope="module")
def pairs():
    """zh shares its stories with en, sw does not."""
    rng = np.random.default_rng(5)
    size = {**SIZE, "n_layers": 3, "dim": 16}
    made = {code: simulated_pair("scenarios", share, rng=rng, **size) for code, share in SHARES.items()}
    return {code: replace(pair, language=code) for code, pair in made.items()}


def cosines(pair, layer, center):
    """(n, n) cosines of all items of both languages at a layer, in loops."""
    x, y = (s[layer] for s in pair.subjects[TRAINED])
    if center:
        x, y = (s - s[pair.discovery].mean(0) for s in (x, y))
    return np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in y] for a in x])


def script(html):
    """What stands in the only script of the explorer, as far as a browser reads it."""
    (code,) = re.findall(r"<script>(.*?)</script", html, re.DOTALL | re.IGNORECASE)
    return code


def data_of(html):
    """What the script is called with."""
    return json.JSONDecoder().raw_decode(script(html).rpartition("})(")[2])[0]


@pytest.mark.parametrize("center", [True, False])
def test_explorer_neighbours_are_those_of_brute_force(pairs, corpus, center):
    found = explorer(pairs, corpus, center=center).data["found"]
    assert list(found) == ["zh", "sw"]
    for code, pair in pairs.items():
        for layer in range(4):
            scores = cosines(pair, layer, center)
            for direction, one in enumerate((scores, scores.T)):
                shown = {name: np.array(v[layer]) for name, v in found[code][direction].items()}
                np.testing.assert_array_equal(shown["nearest"], one.argmax(1))
                below = 100 * (one.max(1) - np.diag(one))
                np.testing.assert_allclose(shown["gap"], below, rtol=0, atol=0.5 + 1e-9)


def test_explorer_gap_is_zero_where_the_own_translation_is_nearest(pairs, corpus):
    found = explorer(pairs, corpus).data["found"]
    n, own = 30, 0
    for direction in found["zh"]:
        for nearest, gap in zip(direction["nearest"], direction["gap"], strict=True):
            right = np.array(nearest) == np.arange(n)
            assert (np.array(gap)[right] == 0).all()
            own += right.sum()
    assert own > 20
    lost = [np.array(direction["gap"]) for direction in found["sw"]]
    assert np.mean(lost) > 10  # where nothing is shared, its cosine is far below


def test_explorer_accuracy_is_that_of_its_neighbours(pairs, corpus):
    shown = explorer(pairs, corpus)
    scenario = corpus.items["scenario"].to_numpy()
    for code, found in shown.data["found"].items():
        nearest = np.array([direction["nearest"] for direction in found])  # (2, L + 1, n)
        expected = (scenario[nearest] == scenario).mean((0, 2))
        assert shown.accuracy[code] == pytest.approx(expected)
        assert shown.data["accuracy"][code] == pytest.approx(expected, abs=5e-5)
    assert shown.accuracy["zh"].max() > 0.9
    assert shown.accuracy["sw"].max() < 0.3


def test_explorer_holds_the_texts_and_items_of_the_corpus(pairs, corpus):
    data = explorer(pairs, corpus).data
    assert data["anchor"] == "en"
    assert {code: tuple(texts) for code, texts in data["texts"].items()} == corpus.texts
    assert data["items"] == corpus.items["item"].tolist()
    assert data["scenarios"] == corpus.items["scenario"].tolist()
    assert data["confirmation"] == [int(x) for x in ~pairs["zh"].discovery]


def test_explorer_page_carries_its_data_whole(pairs, corpus):
    shown = explorer(pairs, corpus)
    assert data_of(shown._repr_html_()) == json.loads(json.dumps(shown.data))


@pytest.mark.parametrize("text", ["</script><b>", "</SCRIPT >", "<!--<script>", "a < b \u2028 & '\"\\ "])
def test_explorer_text_cannot_close_its_script(pairs, corpus, text):
    texts = {**corpus.texts, "en": (text, *corpus.texts["en"][1:])}
    shown = explorer(pairs, replace(corpus, texts=texts))
    html = shown._repr_html_()
    assert data_of(html)["texts"]["en"][0] == text
    assert html.lower().count("<script") == html.lower().count("</script") == 1
    assert "<!--" not in html


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$$\\frac{}$$", 'it\'s "<b>"', "=cmd()"])
def test_explorer_ids_scenarios_and_languages_are_data_as_well(pairs, corpus, name):
    """None of them is markup, and JupyterLab is told that a dollar begins no formula."""
    items = corpus.items.assign(item=[f"{name}{i}" for i in range(len(corpus))])
    named = replace(corpus, items=items.assign(scenario=name + items["scenario"]))
    html = explorer({name: pairs["zh"], "sw": pairs["sw"]}, named)._repr_html_()
    assert html.lower().count("<script") == html.lower().count("</script") == 1
    found = data_of(html)
    assert found["items"] == items["item"].tolist()
    assert list(found["found"]) == [name, "sw"]
    assert name not in html.replace(script(html), "")
    assert re.search(r'<div class="[^"]*\btex2jax_ignore mathjax_ignore"', html)


def test_explorer_page_requests_nothing(pairs, corpus):
    html = explorer(pairs, corpus)._repr_html_()
    assert not re.search(r"https?:|//[\w.-]+\.\w|\b(?:src|href|url)\b\s*[=(]|@import", html)
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|import|require)\s*\(", html)


def test_explorer_repr_states_the_best_layer_of_each_language(pairs, corpus):
    shown = explorer(pairs, corpus)
    start, _, stated = repr(shown).partition(": ")
    assert start == "nearest neighbour tells the same story, at the best layer"
    for code, words in zip(shown.accuracy, stated.split(", "), strict=True):
        best = max(shown.accuracy[code])
        layer = list(shown.accuracy[code]).index(best)
        assert words == f"{code}: {best:.2f} at layer {layer}"
    other = Explorer(shown.data, {"zh": np.array([0.25, 0.75, 0.5])})
    assert repr(other).endswith(": zh: 0.75 at layer 1")

"""The explorer in a browser: slider and lists change what it shows, and it asks no host for anything."""

import shutil
from dataclasses import replace

import check_pages
import numpy as np
import pytest
from zspace.evidence import language_pairs
from zspace.evidence.retrieval.explorer import explorer
from zspace.sources import corpora

pytestmark = [
    pytest.mark.skipif(
        not any(map(shutil.which, check_pages.BROWSERS)), reason="no Chromium here to open the pages with"
    ),
    pytest.mark.full,
]
SIZE = {"n_scenarios": 15, "n_draws": 2}
MARKUP = "</script><b>bold</b> & <img src=x>"


@pytest.fixture(scope="module")
def shown():
    """An explorer of two languages: zh shares its stories with en, sw does not; one text is markup."""
    rng = np.random.default_rng(5)
    corpus = corpora.load("number-stories", ("en", "zh", "sw"), **SIZE)
    texts = {code: (MARKUP, *rows[1:]) for code, rows in corpus.texts.items()}
    size = {**SIZE, "n_layers": 3, "dim": 16}
    pairs = {
        code: replace(language_pairs.simulated_pair("scenarios", share, rng=rng, **size), language=code)
        for code, share in (("zh", 1.0), ("sw", 0.0))
    }
    return explorer(pairs, replace(corpus, texts=texts))


@pytest.fixture
def page(shown, tmp_path):
    """The open page, closed by a test that nothing was wrong with it."""
    path = tmp_path / "page.html"
    style = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
    path.write_text(f"{style}<body>{shown._repr_html_()}</body>", encoding="utf-8")
    with check_pages.chromium() as browser:
        opened = browser.new_page(viewport={"width": 1200, "height": 900})
        heard = check_pages.listen(opened, ("file:", "data:"))
        opened.goto(path.as_uri())
        yield opened
        assert heard == []


def summary_by_hand(data, code, layer, *, back=False, strict=False):
    """The line above the table, counted from the neighbours."""
    nearest = data["found"][code][back]["nearest"][layer]
    stories = data["scenarios"]
    wrong = [i for i, j in enumerate(nearest) if (i != j if strict else stories[i] != stories[j])]
    what = "find another item" if strict else "find another story"
    line = f"{len(wrong)} of {len(nearest)} queries in {code if back else 'en'} {what} at layer {layer}"
    return f"{line}; both directions, same story: {data['accuracy'][code][layer]:.2f}", wrong


def controls(page):
    """The lists language, direction and level, and the slider."""
    return *(page.locator("select").nth(i) for i in range(3)), page.locator("input[type=range]")


def assert_shown(page, expected):
    line, wrong = expected
    assert page.locator(".summary").inner_text() == line
    assert page.locator("tbody tr").count() == len(wrong)


def test_explorer_opens_at_the_best_layer_of_its_first_language(shown, page):
    best = int(np.argmax(shown.accuracy["zh"]))
    assert_shown(page, summary_by_hand(shown.data, "zh", best))
    assert controls(page)[3].input_value() == page.locator("output").inner_text() == str(best)
    assert page.locator("polyline").get_attribute("points").count(",") == 4  # a point a layer


def test_explorer_follows_its_slider_and_lists(shown, page):
    language, direction, level, layer = controls(page)
    first = page.locator("circle").get_attribute("cx")
    layer.fill("0")
    assert_shown(page, summary_by_hand(shown.data, "zh", 0))
    assert page.locator("circle").get_attribute("cx") != first
    layer.press("ArrowRight")  # as a reader moves it
    layer.press("ArrowRight")
    assert_shown(page, summary_by_hand(shown.data, "zh", 2))
    language.select_option("sw")
    assert_shown(page, summary_by_hand(shown.data, "sw", 2))
    assert direction.locator("option").all_inner_texts() == ["en", "sw"]
    direction.select_option("sw")
    assert_shown(page, summary_by_hand(shown.data, "sw", 2, back=True))
    level.select_option(index=1)
    assert_shown(page, summary_by_hand(shown.data, "sw", 2, back=True, strict=True))
    language.select_option("zh")  # direction and level stay as they were chosen
    assert_shown(page, summary_by_hand(shown.data, "zh", 2, back=True, strict=True))


def test_explorer_table_shows_query_neighbour_and_translation_as_text(shown, page):
    language, _, _, layer = controls(page)
    language.select_option("sw")
    layer.fill("1")
    _, wrong = summary_by_hand(shown.data, "sw", 1)
    found = shown.data["found"]["sw"][0]
    texts = shown.data["texts"]
    assert page.locator("th").all_inner_texts() == ["query (en)", "nearest in sw", "its own translation (sw)"]
    for row, item in zip(page.locator("tbody tr").all(), wrong, strict=True):
        cells = row.locator("td > span:not(.name)").all_text_contents()
        nearest = found["nearest"][1][item]
        assert cells == [texts["en"][item], texts["sw"][nearest], texts["sw"][item]]
        below = f"cosine lower by {found['gap'][1][item] / 100:.2f}"
        assert row.locator(".name").last.text_content().endswith(below)
        side = "" if shown.data["confirmation"][item] else ", discovery"
        assert row.locator(".name").first.text_content() == shown.data["items"][item] + side
    assert MARKUP in page.locator("tbody").inner_text()  # shown as it is written
    assert page.locator("tbody b, tbody img").count() == 0

"""The report: complete, offline, computed from its ledger, and loud about what it cannot show."""

import json
import re
from pathlib import Path

import jupytext
import nbformat
import nbformat.v4 as nbf
import pandas as pd
import pytest
import sample_report
from bs4 import BeautifulSoup
from zspace import files
from zspace.errors import ClaimError, ZspaceError
from zspace.evidence import claims
from zspace.pages import rendering, report

RUN = "gemma-3-270m/prediction_1_retrieval_by_layer.ipynb"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    ledger = sample_report.write_ledger(folder / "ledger")
    notebooks = sample_report.write_notebooks(folder / "notebooks")
    return report.build(ledger, notebooks, folder / "out")


def render(tmp_path, *cells):
    sample_report.write_notebook(tmp_path / "in" / "one.ipynb", nbf.new_notebook(cells=list(cells)))
    page = rendering.page(rendering.Path("one.ipynb"), tmp_path / "in", tmp_path)
    text = (tmp_path / page.file).read_text(encoding="utf-8")
    return text[text.index("<main") :]


def visible(text):
    """Text of a page as a reader sees it, code left out."""
    text = re.sub(r"<(script|style|pre|code)\b.*?</\1>", " ", text, flags=re.DOTALL)
    text = re.sub(r'<span class="dollar">\$</span>', "", text)
    return re.sub(r"<[^>]*>", " ", text)


def test_build_writes_one_page_per_run_and_one_plotly(built):
    names = {p.name for p in built.parent.iterdir()}
    assert len([n for n in names if n.endswith(".html")]) == 1 + 3 * 2
    assert {n for n in names if n.endswith(".js")} == {"plotly.min.js"}


def test_build_index_shows_every_row_with_its_numbers(built):
    text = built.read_text(encoding="utf-8")
    assert text.count('<tr class="row"') == 3 * 2 * len(sample_report.RESULTS)
    for _, _, estimate, low, high in sample_report.RESULTS.values():
        if estimate is not None:
            shown = f"{estimate:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")
            assert text.count(f'<span class="value">{shown}</span>') == 3 * 2
    assert text.count('<svg class="bar refuted"') == 3 * 2
    for word in ("planted signal", "✕ FAIL", "5 of 5 passed", "4 of 5 passed", "p &lt; .001", "0a1b2c3d4e5f"):
        assert word in text


def test_build_index_links_each_record_to_its_own_run(built):
    text = built.read_text(encoding="utf-8")
    groups = re.findall(
        r'data-claim="(\w+)" data-model="([\w-]+)">.*?class="open" href="([^"]+)"', text, re.S
    )
    assert len(groups) == 6
    for claim, model, file in groups:
        assert file == f"{model}-{sample_report.CLAIMS[claim][1]}.html"
        assert (built.parent / file).is_file()


def test_build_pages_load_nothing_from_elsewhere(built):
    for page in built.parent.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"([^\"]+)\"", text)
        assert set(loaded) <= {"plotly.min.js", "data:,"}
        assert not re.search(r"MathJax|require\.js|jquery|mermaid", text, re.IGNORECASE)


def test_build_leaves_no_raw_dollar_and_keeps_it_in_code(built):
    for page in built.parent.glob("*.html"):
        assert "$" not in visible(page.read_text(encoding="utf-8"))
    page = (built.parent / RUN.replace("/", "-").replace("ipynb", "html")).read_text(encoding="utf-8")
    assert "<code>$HOME</code>" in page
    assert "costs <span" in page


def test_build_draws_figures_to_the_width_of_the_page_without_their_picture(built):
    page = (built.parent / RUN.replace("/", "-").replace("ipynb", "html")).read_text(encoding="utf-8")
    assert page.count("Plotly.newPlot(") == 1
    spec = json.loads(re.search(r'newPlot\("figure-1", (.*)\);</script>', page)[1])
    assert "width" not in spec["layout"]
    assert [trace["name"] for trace in spec["data"]] == ["random twins", "zh", "fr", "sw"]
    assert "image/png" not in page


def test_build_drops_progress_bars_but_no_warnings(built, tmp_path):
    assert "it/s]" not in "".join(p.read_text(encoding="utf-8") for p in built.parent.glob("*.html"))
    bar = "\rcapture:  99%|#### | 5/6 [00:01<00:00]\ncapture: 6it [00:02, 2.9it/s]\n"
    bar += "UserWarning: 3 rows [sic]\n"
    output = nbf.new_output("stream", name="stderr", text=bar)
    text = render(tmp_path, nbf.new_code_cell("f()", outputs=[output], execution_count=1))
    assert "UserWarning: 3 rows [sic]" in text
    assert "capture" not in text


def test_build_replaces_the_old_report_only_when_the_new_one_is_whole(tmp_path, monkeypatch):
    ledger, notebooks = sample_report.write_ledger(tmp_path / "ledger"), tmp_path / "notebooks"
    sample_report.write_controls(notebooks, "m", "number-stories", "en,zh")
    index = report.build(ledger, notebooks, tmp_path / "out")
    before = index.read_text(encoding="utf-8")
    with monkeypatch.context() as broken:
        broken.setattr(report, "_index", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            report.build(ledger, notebooks, tmp_path / "out")
    assert index.read_text(encoding="utf-8") == before
    assert report.build(ledger, notebooks, tmp_path / "out") == index
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger", "notebooks", "out"]


DAMAGED = {
    "cut.json": '{"claim": "prediction_1_ali',
    "list.json": "[1, 2]",
    "number.json": "7",
    "foreign.json": '{"name": "a table", "rows": [[1, 2]]}',
    "bytes.json": b"\xff\xfe\x00",
    "deep.json": "[" * 100_000,
    "cut.ipynb": '{"cells": [',
    "empty.ipynb": "",
    "foreign.ipynb": '{"cells": 3, "nbformat": 4, "nbformat_minor": 4, "metadata": {}}',
    "no_notebook.ipynb": '["a", "list"]',
    "formula.ipynb": nbformat.writes(nbf.new_notebook(cells=[nbf.new_markdown_cell("# T\n\n$\\frac{1}{$")])),
}


def test_build_shows_the_rest_and_names_each_damaged_file(tmp_path):
    ledger, notebooks = sample_report.write_ledger(tmp_path / "ledger"), tmp_path / "notebooks"
    sample_report.write_controls(notebooks, "m", "number-stories", "en,zh")
    whole = index_of(ledger, tmp_path)
    assert 'id="left-out"' not in whole
    for name, content in DAMAGED.items():
        path = (ledger if name.endswith(".json") else notebooks) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    told = []
    index = report.build(ledger, notebooks, tmp_path / "out", tell=told.append)
    text = index.read_text(encoding="utf-8")
    assert text.count('<tr class="row"') == whole.count('<tr class="row"') > 0
    assert len(list(index.parent.glob("controls--*.html"))) == 1
    named = BeautifulSoup(text, "html.parser").find(id="left-out").find_all("li")
    assert [words_of(item) for item in named] == [" ".join(message.split()) for message in told]
    assert all(sum(message.startswith(f"{name}") for message in told) == 1 for name in DAMAGED)


@pytest.mark.parametrize(
    "damage",
    [
        {"statement": "text"}, {"rule": None}, {"provenance": []}, {"title": 3}, {"scope": 3},
        {"execution": []}, {"rows": [{"language": "zh"}]}, {"rows": {}}, {"title": "an open $ sign"},
    ],
)  # fmt: skip
def test_build_leaves_out_a_record_with_a_field_of_another_kind(tmp_path, damage):
    ledger = ledger_with(tmp_path / "ledger", "theorem_2*gemma*.json", lambda record: record.update(damage))
    told = []
    text = report.build(ledger, tmp_path / "none", tmp_path / "out", tell=told.append).read_text("utf-8")
    assert text.count('<tr class="row"') == 5 * len(sample_report.RESULTS)
    assert [message.split(": ")[0] for message in told] == ["theorem_2_snr_descent-gemma-3-270m.json"]


def test_build_says_what_is_wrong_where_nothing_can_be_shown(tmp_path):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "cut.json").write_text(DAMAGED["cut.json"])
    with pytest.raises(ClaimError, match=r"cut\.json is not a ledger record"):
        index_of(tmp_path / "ledger", tmp_path)


# what a text, an id, a code or the name of a folder may hold
EVIL = (
    "<script>alert(1)</script>",
    r"$$\frac{}$$",
    "</script><b>x",
    'it\'s "quoted" & $5',
    "=cmd()",
    "a $ b",
)


@pytest.mark.parametrize("evil", EVIL)
def test_pages_show_what_comes_from_data_as_it_is(tmp_path, evil):
    """Names of models, corpora, languages, controls and reasons on the index; outputs and parameters too."""

    def change(record):
        record |= {"model": f"/models/{evil}", "corpus": f"{evil}/as-is"}
        record["statement"] = {"as_stated": "no formula", "as_corrected": "none either"}
        record["scope"]["corpus"] = evil
        for row in record["rows"]:
            row |= {"language": evil, "as_corrected_reason": evil, "low_over": evil, "high_over": evil}
            row |= {"statistic_kind": "excess"}
            row["controls"][0]["name"] = evil

    ledger = ledger_with(tmp_path / "ledger", "prediction_1*gemma*.json", change, alone=True)
    table = pd.DataFrame({evil: [evil]}, index=[evil])
    outputs = [
        {"text/html": table.to_html(), "text/plain": evil},
        {"text/plain": evil},
        {rendering.PLOTLY: {"data": [{"name": evil}], "layout": {"title": {"text": evil}}}},
    ]
    shown = [nbf.new_output("display_data", one) for one in outputs]
    printed = [nbf.new_output("stream", name=name, text=evil) for name in ("stdout", "stderr")]
    error = nbf.new_output("error", ename="E", evalue=evil, traceback=[evil])
    cells = [
        nbf.new_markdown_cell("# Controls"),
        nbf.new_code_cell(f"model = {evil!r}\ncorpus = {evil!r}", metadata={"tags": ["parameters"]}),
        nbf.new_code_cell("f()", outputs=[*shown, *printed, error], execution_count=1),
    ]
    notebook = tmp_path / "notebooks" / "controls--m.ipynb"
    sample_report.write_notebook(notebook, nbf.new_notebook(cells=cells))
    told = []
    index = report.build(ledger, notebook.parent, tmp_path / "out", tell=told.append)
    assert told == []
    for path in index.parent.glob("*.html"):
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        assert not [s for s in soup.find_all("script") if "alert(1)" in s.text and "newPlot" not in s.text]
        assert not soup.find_all(["math", "b"])
        for script in soup.find_all("script"):
            script.decompose()
        assert " ".join(evil.split()) in words_of(soup)


def test_page_takes_no_text_for_a_part_of_its_own(tmp_path):
    """Formulas pass through nbconvert as words: those of a text must not be taken for one."""
    words = " ".join(f"zspacetoken{i:05d}end" for i in range(3))
    text = render(tmp_path, nbf.new_markdown_cell("a formula $x$"), displaying("text/plain", words))
    assert words in text
    assert text.count("<math") == 1


def test_build_makes_a_page_of_each_notebook_whatever_its_name(tmp_path):
    """Names that would be alike as names of pages, that a link would have to escape, or that are taken."""
    ledger, notebooks = sample_report.write_ledger(tmp_path / "ledger"), tmp_path / "notebooks"
    names = (
        "a-b",
        "a/b",
        "index",
        "a#b",
        "a%20b",
        "a b?c",
        "数据",
        "ü",
        "x" * 240,
        f"{'y' * 120}/{'y' * 120}",
    )
    for name in names:
        cell = nbf.new_markdown_cell(f"# {name}")
        sample_report.write_notebook(notebooks / f"{name}.ipynb", nbf.new_notebook(cells=[cell]))
    index = report.build(ledger, notebooks, tmp_path / "out")
    links = BeautifulSoup(index.read_text("utf-8"), "html.parser").find("ul", class_="pages").find_all("a")
    assert {link.text for link in links} == set(names)
    titles = {link["href"]: link.text for link in links}
    assert len(titles) == len(names)
    for file, name in titles.items():
        assert re.fullmatch(r"[\w.-]{1,250}", file, re.ASCII)
        heading = BeautifulSoup((index.parent / file).read_text("utf-8"), "html.parser").find("h1")
        assert words_of(heading) == name


def test_build_tells_runs_of_equal_names_apart(tmp_path):
    """Two models of one folder name, two corpora of one name, two seeds: four rows, each with its page."""
    ledger, notebooks = tmp_path / "ledger", tmp_path / "notebooks"
    base = {"model": "/r1/checkpoint-500", "corpus": "/a/dev", "languages": "en,zh", "seed": 0}
    runs = [base | one for one in ({}, {"model": "/r2/checkpoint-500"}, {"corpus": "/b/dev"}, {"seed": 1})]
    sample_report.write_ledger(ledger)
    (path,) = ledger.glob("prediction_1*gemma*.json")
    record = json.loads(path.read_text("utf-8"))
    for other in ledger.glob("*.json"):
        other.unlink()
    for i, values in enumerate(runs):
        about = {"model": values["model"], "corpus": "dev/as-is", "execution": {"parameters": values}}
        (ledger / f"{i}.json").write_text(json.dumps(record | about))
        cells = [
            nbf.new_markdown_cell("# Prediction"),
            nbf.new_code_cell("\n".join(f"{k} = {v!r}" for k, v in values.items()),
                              metadata={"tags": ["parameters"]}),
        ]  # fmt: skip
        name = f"prediction_1_retrieval_by_layer--{i}.ipynb"
        sample_report.write_notebook(notebooks / name, nbf.new_notebook(cells=cells))
    soup = BeautifulSoup(report.build(ledger, notebooks, tmp_path / "out").read_text("utf-8"), "html.parser")
    rows = {words_of(tr.th): tr.find("a", class_="open")["href"] for tr in soup.find_all("tr", class_="run")}
    assert len(rows) == 4
    shown = [name.split(" notebook")[0] for name in rows]
    assert sorted(shown) == [
        "r1/checkpoint-500 · a/dev/as-is (seed 0)",
        "r1/checkpoint-500 · a/dev/as-is (seed 1)",
        "r1/checkpoint-500 · b/dev/as-is",
        "r2/checkpoint-500 · a/dev/as-is",
    ]
    by_number = dict(zip(rows.values(), shown, strict=True))
    assert "seed 1" in by_number["prediction_1_retrieval_by_layer--3.html"]
    assert "b/dev" in by_number["prediction_1_retrieval_by_layer--2.html"]
    listed = [words_of(item) for item in soup.find("ul", class_="pages").find_all("li")]
    assert len(set(listed)) == 4


def ledger_with(folder, pattern, change, *, alone=False):
    """The invented ledger after `change(record)` of the one record of that name, or that record alone."""
    (path,) = sample_report.write_ledger(folder).glob(pattern)
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")
    for other in set(folder.glob("*.json")) - {path} if alone else ():
        other.unlink()
    return folder


def index_of(ledger, folder):
    """The index page of a ledger without notebooks."""
    return report.build(ledger, folder / "none", folder / "out").read_text(encoding="utf-8")


def test_build_numbers_follow_the_ledger(tmp_path):
    """Control of the tests above: another estimate, rate or control makes another page."""

    def change(record):
        rates = {"operating": {"null_supported": 0.2}}
        record["rows"][1] |= {"estimate": 0.777, "as_corrected": "inconclusive", **rates}
        record["rows"][1]["controls"][0] |= {"name": "another twin", "passed": False}

    text = index_of(ledger_with(tmp_path / "ledger", "prediction_1*gemma*.json", change), tmp_path)
    assert "0.78 [0.74, 0.96]" in text
    assert "another twin" in text
    assert '<div class="alarm"><span>false alarms</span> <span class="value">20 %</span>' in text
    assert text.count("no notebook page") == 6


@pytest.mark.parametrize(
    ("statistic", "shown"),
    [
        ({"statistic_kind": "test", "estimate": -0.62, "pvalue": 0.03, "n": 10}, "−0.62, p = .030 (n = 10)"),
        ({"statistic_kind": "count", "estimate": 3.0}, "3"),
        ({"statistic_kind": "count", "estimate": 1.0, "range_low": 0, "range_high": 2, "range_of": "subsets"},
         "1 (0 to 2, range over subsets)"),
        ({"statistic_kind": "excess", "estimate": 0.35, "low": 0.2, "high": 0.41, "low_over": "random-2",
          "high_over": "the mean of random-0, random-2"},
         "0.35 [0.20 over random-2, 0.41 over the mean of random-0, random-2]"),
    ],
)  # fmt: skip
def test_build_shows_a_statistic_as_what_it_is(tmp_path, statistic, shown):
    """And draws limits of intervals alone."""

    def change(record):
        record["rows"] = [{**record["rows"][1], "low": None, "high": None, **statistic}]

    ledger = ledger_with(tmp_path / "ledger", "prediction_1*gemma*.json", change, alone=True)
    text = index_of(ledger, tmp_path)
    assert f'<span class="value">{shown}</span>' in text
    assert (f'aria-label="{shown}; minimal effect' in text) == (statistic["statistic_kind"] == "excess")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: r.pop("rule"), "lacks rule"),
        (lambda r: r["rows"][2].pop("controls"), r"lacks rows\[2\]\.controls"),
        (lambda r: r["rows"][0].update(as_stated="true"), r"rows\[0\]\.as_stated is 'true', not a verdict"),
    ],
)
def test_read_records_names_the_record_and_what_is_wrong(tmp_path, damage, message):
    ledger_with(tmp_path, "theorem_2*gemma*.json", damage)
    with pytest.raises(ClaimError, match=message) as caught:
        report.read_records(tmp_path)
    assert f"theorem_2_snr_descent × gemma-3-270m × {sample_report.CORPUS}" in str(caught.value)


def test_build_shows_a_record_of_no_model(tmp_path):
    def change(record):
        record |= {"model": "any", "corpus": "any"}
        record["rows"] = [record["rows"][0] | {"as_corrected": "proved", "operating": None, "controls": []}]

    ledger = ledger_with(tmp_path / "ledger", "theorem_2*gemma*.json", change, alone=True)
    text = visible(index_of(ledger, tmp_path))
    assert "mathematics" in text
    assert "not recorded" in text
    assert " any " not in text


def test_build_tells_records_of_no_model_apart(tmp_path):
    """By what their worlds were drawn by; one that stands alone needs no words."""
    ledger = tmp_path / "ledger"
    for seeds in ((0,), (0, 1)):
        for seed in seeds:
            about = {"model": "any", "corpus": "any", "execution": {"parameters": {"seed": seed}}}
            ledger_with(ledger, "theorem_2*gemma*.json", lambda r, a=about: r.update(a), alone=True)
            (ledger / "theorem_2_snr_descent-gemma-3-270m.json").rename(tmp_path / f"{seed}.json")
        for seed in seeds:
            (tmp_path / f"{seed}.json").rename(ledger / f"{seed}.json")
        soup = BeautifulSoup(index_of(ledger, tmp_path), "html.parser")
        shown = [words_of(row) for row in soup.find_all("tr", class_="run")]
        assert [f"(seed {seed})" in words for seed, words in zip(seeds, shown, strict=True)] == [
            len(seeds) > 1
        ] * len(seeds)
        assert len({words_of(td) for td in soup.find(class_="glance").find_all(class_="where")}) == len(seeds)


def page(source, failed=False, **parameters):
    """The page of an executed notebook."""
    return rendering.Page(f"{Path(source).stem}.html", source, Path(source), parameters, failed)


def test_page_of_prefers_the_run_of_the_same_model_and_corpus():
    record = {"notebook": "n_1", "model": "m", "corpus": "c/digits"}
    right = page("m/n_1.ipynb", model="m", corpus="c")
    others = [page("x/n_1.ipynb", model="m2"), page("m/n_2.ipynb", model="m"), page("n_1.ipynb", model="m")]
    assert report.page_of(record, [*others, right]) is right
    assert report.page_of(record, [*others[:2], page("n_1.ipynb", model="m", corpus="d")]) is None
    assert report.page_of(record, []) is None
    assert report.page_of(record | {"model": "any", "corpus": "any"}, [right]) is right


@pytest.mark.parametrize(
    ("corpus", "parameters"),
    [
        ("stories/as-is", {"corpus": "/some/where/stories"}),
        ("stories/as-is", {"corpus": "texts/stories.csv", "version": ""}),
        ("mgsm/masked", {"corpus": "juletxara/mgsm"}),
        ("number-stories/spelled-out", {"corpus": "number-stories", "version": "", "padding": "none"}),
        ("number-stories-padded-numbers/digits",
         {"corpus": "number-stories", "version": "digits", "padding": "numbers"}),
    ],
)  # fmt: skip
def test_page_of_knows_a_corpus_by_path_hub_id_version_and_padding(corpus, parameters):
    """And it takes the page of no other corpus, however alike their names are."""
    record = {"notebook": "n_1", "model": "m", "corpus": corpus}
    right = page("n_1--right.ipynb", model="m", **parameters)
    others = [
        {"corpus": "mgsm", "version": "as-is"},
        {"corpus": "juletxara/mgsm-extended"},
        {"corpus": "/some/where/stories-2"},
        {"corpus": "stories", "version": "masked"},
        {"corpus": "number-stories", "version": "spelled-out", "padding": "sentences"},
        {"corpus": "number-stories", "version": "digits", "padding": "sentences"},
    ]
    others = [page("n_1--other.ipynb", model="m", **one) for one in others]
    assert report.page_of(record, [*others, right]) is right
    assert report.page_of(record, others) is None


def group(claim, model, corpus, languages, *, measured=True):
    """What the index knows of a record, as far as a comparison of corpora reads it."""
    rows = [{"language": code, "n_items": 60 if measured else None} for code in languages]
    return {"claim": claim, "title": claim.title(), "model": model, "corpus": corpus, "rows": rows}


def test_side_by_side_is_empty_where_there_is_nothing_to_compare():
    one = [group("a", "m", "c", ["zh"]), group("b", "m", "c", ["zh"])]
    assert report.side_by_side(one) == []
    assert report.side_by_side([*one, group("a", "n", "d", ["zh"])]) == []  # of another model
    assert report.side_by_side([*one, group("t", report.ANY, report.ANY, ["*"])]) == []
    assert report.side_by_side([*one, group("a", "m", "d", ["zh"], measured=False)]) == []
    both = report.side_by_side([*one, group("a", "m", "d", ["zh"])])
    assert [found["corpora"] for found in both] == [["c", "d"]]


def words_of(tag):
    """Text of an element, spaces joined."""
    return " ".join(tag.get_text(" ").split())


def test_build_index_sets_corpora_side_by_side_in_their_own_columns(built, tmp_path):
    assert "Corpora side by side" not in built.read_text(encoding="utf-8")  # one corpus, two models
    ledger = sample_report.write_other_corpus(sample_report.write_ledger(tmp_path / "ledger"))
    section = BeautifulSoup(index_of(ledger, tmp_path), "html.parser").find(id="corpora")
    assert [words_of(h) for h in section.find_all("h3")] == [sample_report.MODELS[0]]
    header, *rows = section.find_all("tr")
    corpora = [sample_report.CORPUS, sample_report.OTHER_CORPUS]
    assert [words_of(cell) for cell in header.find_all("th")] == ["Claim", "Language", *corpora]
    found, title = {}, None
    for claim, language, *cells in (row.find_all("td") for row in rows):
        title = words_of(claim) or title  # stands once a claim
        for cell, corpus in zip(cells, corpora, strict=True):
            marks = [mark["title"].split(": ")[1] for mark in cell.find_all(class_="mark")]
            values = [words_of(value) for value in cell.find_all(class_="value")]
            found[title, words_of(language), corpus] = (marks, values)
    assert found == expected_side_by_side(corpora)


def expected_side_by_side(corpora):
    """(claim, language, corpus) -> both verdicts and the estimate, from the invented results."""
    found = {}
    for claim, (title, *_) in sample_report.CLAIMS.items():
        other = {} if claim.startswith("theorem") else sample_report.OTHER_RESULTS
        for code in {**sample_report.RESULTS, **other}:
            for corpus, results in zip(corpora, (sample_report.RESULTS, other), strict=True):
                *verdicts, estimate, low, high = results.get(code, (None, None, None))
                shown = "–" if low is None else f"{estimate:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")
                found[title, code.replace("*", "all"), corpus] = (verdicts, [shown] if verdicts else [])
    return found


def test_build_index_links_the_controls_of_each_language(built, tmp_path):
    """One line per model and corpus; pages of one pair stand there alone, all others in the list as well."""
    notebooks = tmp_path / "notebooks"
    sample_report.write_notebook(notebooks / RUN, sample_report.notebook(sample_report.MODELS[0]))
    for model in sample_report.MODELS:
        for languages in ("en,zh,sw", "en,zh", "en,sw"):
            sample_report.write_controls(notebooks, model, "number-stories", languages)
    first, second = sample_report.MODELS
    sample_report.write_controls(notebooks, first, "juletxara/mgsm", "en,de")
    index = report.build(sample_report.write_ledger(tmp_path / "ledger"), notebooks, tmp_path / "out")
    soup = BeautifulSoup(index.read_text(encoding="utf-8"), "html.parser")
    found = {}
    for row in soup.find(id="controls").find_all("tr")[1:]:
        model, corpus = (cell.get_text() for cell in row.find_all("td")[:2])
        found[model, corpus] = {a.get_text(): a["href"] for a in row.find_all("a")}
    shown = {"together →": "zh-sw", "zh": "zh", "sw": "sw"}
    expected = {
        (model, sample_report.CORPUS): {
            words: f"controls--{model}--number-stories--en-{codes}.html" for words, codes in shown.items()
        }
        for model in (first, second)
    }
    expected[first, "mgsm"] = {"de": f"controls--{first}--juletxara-mgsm--en-de.html"}
    assert found == expected
    listed = {a["href"] for a in soup.find("ul", class_="pages").find_all("a")}
    pairs = {file for files in found.values() for words, file in files.items() if words != "together →"}
    assert listed == {p.name for p in index.parent.glob("*.html")} - pairs - {"index.html"}
    assert len(pairs) == 5
    assert 'id="controls"' not in built.read_text(encoding="utf-8")  # no such page, no such section


def displaying(kind, content):
    """An executed cell with one output."""
    return nbf.new_code_cell(outputs=[nbf.new_output("display_data", {kind: content})], execution_count=1)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (r"an $x_1$ and $y$", 2),
        ("$$\nx\n+ y\n$$", 1),
        (r"costs \$5 or \$6", 0),
        ("`$x$` and ``a ` $b$``", 0),
        ("```\n$x$\n```\n$z$", 1),
        (r"| $|x|$ | $\{a\}$ |", 2),
        (r"$\text{costs \$5}$", 1),
        ("- item *a* $*$ and $*$ b", 2),
    ],
)
def test_page_converts_formulas_and_only_formulas(tmp_path, source, found):
    text = render(tmp_path, nbf.new_markdown_cell(source))
    assert text.count("<math") == text.count("</math>") == found


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (nbf.new_markdown_cell(r"$\unknowncommand{x}$"), r"\\unknowncommand"),
        (nbf.new_markdown_cell("costs $5 only"), "without its pair"),
        (nbf.new_markdown_cell(r"$\left( x$"), "cannot be converted"),
        (
            displaying("text/html", '<script src="https://host.test/a.js">'),
            r"would load https://host\.test/a\.js",
        ),
    ],
)
def test_page_refuses_what_it_cannot_show_offline(tmp_path, cell, message):
    with pytest.raises(ZspaceError, match=message) as caught:
        render(tmp_path, cell)
    assert "one.ipynb" in str(caught.value)


def test_formulas_of_the_rules_convert():
    for claim, entry in claims.entries().items():
        for text in (entry["title"], *entry["statement"].values()):
            assert "$" not in rendering.rich_text(text, claim)


def test_figures_of_the_notebooks_hold_no_formulas():
    """The pages have no MathJax: a formula in a figure would be shown as it is written."""
    for path in files.PROJECT.glob("notebooks/*.ipynb"):
        outputs = [o for c in json.loads(path.read_text("utf-8"))["cells"] for o in c.get("outputs", ())]
        figures = [o["data"][rendering.PLOTLY] for o in outputs if rendering.PLOTLY in o.get("data", {})]
        for figure in figures:
            assert not re.search(r"\$[^$]+\$", json.dumps(figure.get("layout", {}))), path.name


@pytest.mark.parametrize("script", sorted(files.PROJECT.glob("notebooks/py/*.py")), ids=lambda p: p.stem)
def test_formulas_of_the_notebooks_convert(tmp_path, script):
    cells = [cell for cell in jupytext.read(script).cells if cell.cell_type == "markdown"]
    assert "$" not in visible(render(tmp_path, *cells))


def test_page_shows_a_failed_run_as_failed(tmp_path):
    error = nbf.new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])
    text = render(tmp_path, nbf.new_code_cell("f()", outputs=[error], execution_count=1))
    assert "This run failed" in text
    assert "ValueError: no" in text


def test_page_escapes_what_could_end_its_scripts(tmp_path):
    spec = {"data": [{"name": "</script><b>"}], "layout": {}}
    text = render(tmp_path, displaying(rendering.PLOTLY, spec))
    assert "</script><b>" not in text
    assert json.loads(re.search(r'newPlot\("figure-1", (.*)\);</script>', text)[1])["data"] == spec["data"]


def test_page_shows_the_values_it_ran_with(tmp_path):
    cells = [
        nbf.new_code_cell('model = "a"\nn = 60', metadata={"tags": ["parameters"]}),
        nbf.new_code_cell('model = "b"\nfraction = -0.5', metadata={"tags": ["injected-parameters"]}),
    ]
    sample_report.write_notebook(tmp_path / "one.ipynb", nbf.new_notebook(cells=cells))
    page = rendering.page(rendering.Path("one.ipynb"), tmp_path, tmp_path)
    assert page.parameters == {"model": "b", "n": 60, "fraction": -0.5}

"""Corpora of the hub pair like any other, and only what was asked for is fetched; nothing needs a network."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from zspace.errors import CorpusError, ParameterError
from zspace.files import params
from zspace.sources import corpora, hosted, tables

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
constants = pytest.importorskip("huggingface_hub.constants")
errors = pytest.importorskip("huggingface_hub.errors")
pytest.importorskip("pyarrow", reason="the extra `hub` is not installed")

MGSM = "juletxara/mgsm"
FLORES = "openlanguagedata/flores_plus"
EN = ["Ann has 3 hens.", "Bo buys 12 figs.", "Cy owes $1,250.", "Di walks 4 miles."]
FR = ["Anne a 3 poules.", "Bo achète 12 figues.", "Cy doit 1 250 $.", "Di marche 4 km."]
ANSWERS = ["3", "12", "1,250", "4"]
ARTICLES = ["w/fox", "w/fox", "w/rain", "w/rain", "w/rain", "w/boat"]
SENTENCES = [
    "The fox slept.",
    "It dreamt.",
    "Rain fell.",
    "Hills were grey.",
    "Roofs leaked.",
    "A boat left.",
]
PHRASES = [
    "Le renard dort.",
    "Il rêvait.",
    "Il a plu.",
    "Tout est gris.",
    "Les toits fuient.",
    "Un bateau part.",
]


class Hub:
    """Stands in for the hub's client: serves the files put into a folder and notes what it was asked for."""

    def __init__(self, folder: Path):
        self.folder, self.asked = folder, []

    def put(self, repo: str, name: str) -> Path:
        path = self.folder / repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def download(self, repo_id: str, filename: str, *, repo_type: str, revision: str) -> str:
        self.asked.append((repo_id, filename, repo_type, revision))
        path = self.folder / repo_id / filename
        if not path.is_file():
            raise errors.LocalEntryNotFoundError("the hub cannot be found.\nsecond line")
        return str(path)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Hub:
    found = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", found.download)
    return found


def mgsm(texts: list[str], answers: list[str] = ANSWERS) -> str:
    """Content of a file of MGSM."""
    return "".join(f"{text}\t{answer}\n" for text, answer in zip(texts, answers, strict=True))


def put_mgsm(hub: Hub, **languages: list[str]) -> None:
    for code, texts in languages.items():
        hub.put(MGSM, f"mgsm_{code}.tsv").write_text(mgsm(texts), encoding="utf-8")


def flores(texts: list[str], **changed: list) -> pd.DataFrame:
    """Columns of FLORES+, among them some that no corpus has a use for."""
    n = len(texts)
    columns = {"id": list(range(n)), "iso_639_3": ["x"] * n, "text": texts, "topic": ["news"] * n}
    return pd.DataFrame(columns | {"url": ARTICLES[:n], "has_image": [False] * n} | changed)


def put_flores(hub: Hub, **languages: pd.DataFrame) -> None:
    for config, table in languages.items():
        table.to_parquet(hub.put(FLORES, f"devtest/{config}.parquet"))


# --- which there are


@pytest.mark.parametrize("name", list(params("corpora")))
def test_corpora_table_says_where_each_lies_and_what_its_columns_are(name):
    entry, languages = params("corpora")[name], params("languages")
    assert set(entry) <= {"hub", "revision", "files", "configs", "columns", "or", "note"}
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry["hub"])
    assert set(entry["configs"]) <= set(languages)
    assert set(entry["configs"]) >= {"en", "zh", "es", "fr", "de", "ru", "ja", "th", "sw", "bn", "te"}
    for layout in hosted.find(name).layouts:
        files = {layout.files.format(code=code, config=config) for code, config in entry["configs"].items()}
        assert len(files) == len(entry["configs"])
        columns = list(layout.columns.values() or ["text"])
        assert columns.count("text") == 1
        assert len(set(columns)) == len(columns)
        assert set(columns) - {"text"} <= set(tables.COLUMNS.values())


def test_find_knows_names_and_hub_ids_only():
    assert hosted.find("mgsm") == hosted.find(MGSM)
    assert hosted.find("mgsm").hub == MGSM
    assert hosted.find("flores").layouts[0].columns["url"] == "group"
    assert hosted.find("MGSM") is None
    assert hosted.find("juletxara") is None
    assert hosted.known().startswith(f"mgsm ({MGSM}), flores ({FLORES})")


# --- MGSM


@pytest.mark.parametrize("name", ["mgsm", MGSM])
def test_load_reads_mgsm_by_name_and_by_hub_id(hub, name):
    put_mgsm(hub, en=EN, fr=FR)
    corpus = corpora.load(name, "fr,en", version="as-is")
    assert corpus.name == "mgsm"
    assert corpus.languages == ("fr", "en")
    assert corpus.texts == {"fr": tuple(FR), "en": tuple(EN)}
    assert corpus.items["answer"].tolist() == ["3", "12", "1250", "4"]
    assert corpus.items["scenario"].is_unique
    assert not corpus.has_scenarios
    assert corpora.load(name, ["fr"]).texts["fr"][2] == "Cy doit # $."  # masked as any other corpus
    assert corpora.load(name, ["fr"], n_items=2, version="as-is").texts["fr"] == tuple(FR[:2])


def test_load_asks_the_hub_only_for_the_languages_it_was_asked_for(hub):
    """Or for all, where none is named."""
    entry = params("corpora")["mgsm"]
    put_mgsm(hub, **dict.fromkeys(entry["configs"], EN))
    for asked, expected in ((["sw", "en"], ("sw", "en")), (None, tuple(entry["configs"]))):
        hub.asked.clear()
        assert corpora.load("mgsm", asked).languages == expected
        assert hub.asked == [(MGSM, f"mgsm_{code}.tsv", "dataset", entry["revision"]) for code in expected]


def test_load_prefers_a_folder_of_that_name_to_the_hub(hub, tmp_path, monkeypatch):
    (tmp_path / "mgsm").mkdir()
    (tmp_path / "mgsm" / "en.txt").write_text("my own\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert corpora.load("mgsm", ["en"]).texts["en"] == ("my own",)
    assert hub.asked == []


def test_load_refuses_mgsm_rows_that_do_not_pair(hub):
    put_mgsm(hub, en=EN, fr=[FR[1], FR[0], *FR[2:]])
    # control: answers pair, which is all that can be seen
    assert len(corpora.load("mgsm", ["en", "fr"])) == 4
    moved = mgsm([FR[i] for i in (0, 2, 1, 3)], [ANSWERS[i] for i in (0, 2, 1, 3)])
    hub.put(MGSM, "mgsm_fr.tsv").write_text(moved, encoding="utf-8")
    expected = r"^mgsm_fr.tsv row 2 has the answer '1250', mgsm_en.tsv has '12'; rows must pair by line"
    with pytest.raises(CorpusError, match=expected):
        corpora.load("mgsm", ["fr", "en"])


def test_load_reads_real_mgsm_rows_as_the_folder_of_texts_has_them(hub, shared_data):
    codes = list(params("corpora")["mgsm"]["configs"])
    answers = (shared_data / "mgsm" / "answers.txt").read_text("utf-8").splitlines()
    for code in codes:
        rows = (shared_data / "mgsm" / f"{code}.txt").read_text("utf-8").removesuffix("\n").split("\n")
        hub.put(MGSM, f"mgsm_{code}.tsv").write_bytes(mgsm(rows, answers).encode())
    for version in ("as-is", "masked"):
        fetched = corpora.load("mgsm", codes, version=version)
        folder = corpora.load(shared_data / "mgsm", codes, version=version)
        assert fetched.texts == folder.texts
        assert fetched.items["answer"].tolist() == folder.items["answer"].tolist()
    assert "70000" in set(fetched.items["answer"])


# --- FLORES+


def test_load_takes_the_sentences_of_an_article_as_one_scenario(hub):
    put_flores(hub, eng_Latn=flores(SENTENCES), fra_Latn=flores(PHRASES))
    corpus = corpora.load("flores", ["en", "fr"])
    assert corpus.texts == {"en": tuple(SENTENCES), "fr": tuple(PHRASES)}
    assert corpus.items["group"].tolist() == corpus.items["scenario"].tolist() == ARTICLES
    assert corpus.items["item"].tolist() == list("012345")
    assert set(corpus.items["category"]) == {"news"}
    assert (corpus.name, corpus.version, corpus.has_scenarios) == ("flores", "as-is", False)
    asked = [filename for _, filename, _, _ in hub.asked]
    assert asked == ["devtest/eng_Latn.parquet", "devtest/fra_Latn.parquet"]


def test_load_without_the_article_takes_each_sentence_as_a_scenario(hub, monkeypatch):
    """Control: nothing but the `url` tells that neighbours belong together."""
    put_flores(hub, eng_Latn=flores(SENTENCES))
    entry = hosted.find("flores")
    (layout,) = entry.layouts
    columns = {theirs: ours for theirs, ours in layout.columns.items() if ours != "group"}
    changed = replace(entry, layouts=(replace(layout, columns=columns),))
    monkeypatch.setattr(hosted, "find", lambda name: changed)
    corpus = corpora.load("flores", ["en"])
    assert corpus.items["scenario"].tolist() == corpus.items["item"].tolist() == list("012345")


def test_split_of_a_hosted_corpus_keeps_articles_whole(hub):
    articles = np.repeat([f"w/{i}" for i in range(9)], 4).tolist()
    table = flores([f"Sentence {'abcd'[i % 4] * (i + 1)}." for i in range(36)], url=articles)
    put_flores(hub, eng_Latn=table)
    corpus = corpora.load("flores", ["en"])
    discovery, confirmation = corpus.split()
    assert (discovery.sum(), confirmation.sum()) == (12, 24)
    assert not set(np.array(articles)[discovery]) & set(np.array(articles)[confirmation])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"id": [0, 1, 2, 4, 3, 5]}, r"^fra_Latn.parquet row 4 has the item '4', eng_Latn.parquet has '3'; "),
        (
            {"url": [*ARTICLES[:2], "w/fox", *ARTICLES[3:]]},
            r"^fra_Latn.parquet row 3 has the group 'w/fox', ",
        ),
        ({"url": [*ARTICLES[:5], None]}, r"^fra_Latn.parquet row 6 has no url; fill it in"),
        ({"topic": ["news", " ", *["news"] * 4]}, r"^fra_Latn.parquet row 2 has the category '', "),
        ({"text": [*PHRASES[:1], None, *PHRASES[2:]]}, r"^fra_Latn.parquet row 2: the 'text' text is empty"),
        ({"text": [*PHRASES[:5], "  "]}, r"^fra_Latn.parquet row 6: the 'text' text is '  '"),
    ],
)
def test_load_names_file_and_row_where_languages_do_not_pair(hub, changed, expected):
    put_flores(hub, eng_Latn=flores(SENTENCES), fra_Latn=flores(PHRASES, **changed))
    with pytest.raises(CorpusError, match=expected):
        corpora.load("flores", ["en", "fr"])


def test_load_refuses_hosted_files_of_different_length_and_without_rows(hub):
    put_flores(hub, eng_Latn=flores(SENTENCES), fra_Latn=flores(PHRASES[:4]), swh_Latn=flores([]))
    with pytest.raises(CorpusError, match=r"^fra_Latn.parquet has 4 rows, eng_Latn.parquet has 6.*at row 5"):
        corpora.load("flores", ["en", "fr"])
    with pytest.raises(CorpusError, match=r"^swh_Latn.parquet has no rows"):
        corpora.load("flores", ["en", "sw"])


def test_load_refuses_repeated_ids_and_an_absent_column_of_a_hosted_file(hub):
    put_flores(hub, eng_Latn=flores(SENTENCES, id=[0, 1, 2, 3, 1, 5]))
    with pytest.raises(CorpusError, match=r"flores: item '1' occurs twice; ids must be unique"):
        corpora.load("flores", ["en"])
    put_flores(hub, eng_Latn=flores(SENTENCES).drop(columns="url"))
    there = "it has id, iso_639_3, text, topic, has_image. Correct `columns` in params/corpora.yaml"
    with pytest.raises(CorpusError, match=rf"^eng_Latn.parquet has no column 'url'; {there}"):
        corpora.load("flores", ["en"])


# --- what cannot be had


def test_load_lists_the_languages_that_a_hosted_corpus_has_and_fetches_nothing(hub):
    put_mgsm(hub, en=EN)
    with pytest.raises(CorpusError, match=rf"^mgsm \({MGSM}\) has no language 'ar'; it has en, es, fr, de, "):
        corpora.load("mgsm", ["en", "ar"])
    assert hub.asked == []


def test_load_says_what_to_do_where_the_hub_cannot_be_reached(hub):
    put_mgsm(hub, en=EN)
    with pytest.raises(CorpusError) as caught:
        corpora.load("mgsm", ["en", "th"])
    said = str(caught.value)
    reason = "cannot be reached: the hub cannot be found. Where "
    assert said.startswith(f"mgsm_th.tsv of {MGSM} (revision main) {reason}")
    assert f"`hf download --repo-type dataset {MGSM} mgsm_th.tsv`" in said
    for advice in ("copy the Hugging Face cache here", "HF_HOME", "path of a folder", "`hf auth login`"):
        assert advice in said
    assert "second line" not in said


def test_load_says_which_extra_fetches_hosted_corpora(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    words = rf'{MGSM} lies on the Hugging Face hub: `pip install "zspace\[hub\]"`'
    with pytest.raises(CorpusError, match=words):
        corpora.load("mgsm", ["en"])


@pytest.fixture
def offline_cache(tmp_path, monkeypatch) -> Path:
    """An empty Hugging Face cache, read by the real client, which may not use the network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def test_load_reads_a_cache_that_was_copied_here_without_network(offline_cache):
    """The layout of the cache is the client's: refs name a commit, snapshots hold its files."""
    folder, commit = offline_cache / "datasets--juletxara--mgsm", "0" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for code, texts in {"en": EN, "fr": FR}.items():
        (snapshot / f"mgsm_{code}.tsv").write_text(mgsm(texts), encoding="utf-8")
    assert corpora.load("mgsm", ["en", "fr"], version="as-is").texts["fr"] == tuple(FR)
    with pytest.raises(CorpusError, match=r"^mgsm_sw.tsv of .* cannot be reached: .+`hf download"):
        corpora.load("mgsm", ["en", "sw"])


def test_load_says_what_to_do_where_the_cache_is_empty(offline_cache):
    with pytest.raises(CorpusError, match=rf"^devtest/eng_Latn.parquet of {FLORES} .*`hf auth login`"):
        corpora.load("flores", ["en"])
    assert not offline_cache.exists() or not list(offline_cache.rglob("*.parquet"))


# --- names in the ledger


def test_label_is_what_a_loaded_corpus_is_called(hub, tmp_path):
    put_mgsm(hub, en=EN)
    corpus = corpora.load("mgsm", ["en"])
    assert corpora.label("mgsm", "masked") == f"{corpus.name}/{corpus.version}" == "mgsm/masked"
    assert corpora.label(MGSM, "as-is") == "mgsm/as-is"
    assert corpora.label(FLORES) == "flores"
    table = tmp_path / "deep" / "mine.csv"
    table.parent.mkdir()
    table.write_text("en\nx\n", encoding="utf-8")
    corpus = corpora.load(table)
    assert corpora.label(str(table), corpus.version) == f"{corpus.name}/{corpus.version}" == "mine/as-is"


# --- one file a language, by hand


def test_read_files_takes_any_format_and_ignores_other_columns(tmp_path):
    rows = [{"text": t, "id": i, "unused": 1} for i, t in enumerate(SENTENCES)]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    pd.DataFrame(rows).to_csv(tmp_path / "c.csv", index=False)
    pd.DataFrame(rows).to_csv(tmp_path / "d.tsv", index=False, sep="\t")
    paths = {code: next(tmp_path.glob(f"{code}.*")) for code in "abcd"}
    table = tables.read_files(paths, {"text": "text", "id": "item"})
    assert table.texts == dict.fromkeys("abcd", SENTENCES)
    assert table.columns == {"item": list("012345")}


def test_read_files_names_the_language_of_files_that_are_called_alike(tmp_path):
    paths = {code: tmp_path / code / "test.parquet" for code in ("en", "fr", "sw")}
    for path in paths.values():
        path.parent.mkdir()
    flores(SENTENCES).to_parquet(paths["en"])
    flores(PHRASES[:5]).to_parquet(paths["fr"])
    flores(SENTENCES, id=[0, 1, 2, 3, 5, 4]).to_parquet(paths["sw"])
    columns = {"text": "text", "id": "item"}
    with pytest.raises(CorpusError, match=r"^test.parquet \(fr\) has 5 rows, test.parquet \(en\) has 6"):
        tables.read_files({code: paths[code] for code in ("en", "fr")}, columns)
    with pytest.raises(
        CorpusError, match=r"^test.parquet \(sw\) row 5 has the item '5', test.parquet \(en\) "
    ):
        tables.read_files({code: paths[code] for code in ("en", "sw")}, columns)


def test_read_files_names_the_row_of_json_that_lacks_a_field(tmp_path):
    path = tmp_path / "en.jsonl"
    path.write_text('{"text": "a", "url": "p"}\n{"text": "b"}\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"^en.jsonl row 2 has no url"):
        tables.read_files({"en": path}, {"text": "text", "url": "group"})


# --- Parquet by path


def wide() -> pd.DataFrame:
    columns = {"id": ["k0", "k1", "k2", "k3"], "en": EN, "fr": FR, "scenario": list("uvuv"), "source": "s"}
    return pd.DataFrame(columns | {"difficulty": [1, 2, 3, 4], "answer": ["3", "12", "1,250", "4.0"]})


@pytest.mark.parametrize("suffix", [".parquet", ".PARQUET"])
def test_load_reads_a_parquet_file_as_the_same_table_in_csv(tmp_path, suffix):
    wide().to_parquet(tmp_path / f"mine{suffix}")
    wide().to_csv(tmp_path / "mine.csv", index=False)
    found, expected = corpora.load(tmp_path / f"mine{suffix}"), corpora.load(tmp_path / "mine.csv")
    assert found.texts == expected.texts
    assert found.fingerprint == expected.fingerprint
    assert found.items["answer"].tolist() == ["3", "12", "1250", "4"]
    wide().assign(answer=["3", None, "5", "6"]).to_parquet(tmp_path / "unknown.parquet")
    assert corpora.load(tmp_path / "unknown.parquet").items["answer"].tolist() == ["3", "", "5", "6"]
    assert (found.name, found.languages, found.has_scenarios) == ("mine", ("en", "fr"), True)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("fr", [FR[0], None, *FR[2:]], r"^mine.parquet row 2: the 'fr' text is empty"),
        ("fr", [1, 2, 3, 4], r"^mine.parquet row 1: the 'fr' text is 1; expected a text"),
        ("scenario", ["u", "v", None, "v"], r"^mine.parquet row 3 has no scenario"),
        ("difficulty", [1.5, 2, 3, 4], r"^mine.parquet row 1 has difficulty '1.5'; expected a whole number"),
        ("id", ["a", "b", "a", "c"], r"^mine.parquet: item 3 has the id 'a' of item 1"),
    ],
)
def test_load_names_what_is_wrong_with_a_parquet_file(tmp_path, column, values, expected):
    wide().assign(**{column: values}).to_parquet(tmp_path / "mine.parquet")
    with pytest.raises(CorpusError, match=expected):
        corpora.load(tmp_path / "mine.parquet")


def test_load_refuses_a_parquet_file_that_is_none_or_empty(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"en,fr\nx,y\n")
    with pytest.raises(CorpusError, match=r"^a.parquet is not a Parquet file that can be read: "):
        corpora.load(tmp_path / "a.parquet")
    wide().iloc[:0].to_parquet(tmp_path / "b.parquet")
    with pytest.raises(CorpusError, match=r"^b.parquet has no rows"):
        corpora.load(tmp_path / "b.parquet")


def test_load_says_which_extra_reads_parquet(tmp_path, monkeypatch):
    wide().to_parquet(tmp_path / "mine.parquet")
    for engine in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(CorpusError, match=r'^mine.parquet is a Parquet file: `pip install "zspace\[hub\]"`'):
        corpora.load(tmp_path / "mine.parquet")


# --- other layouts


def put_parquet_mgsm(hub: Hub, pattern: str, **languages: list[str]) -> None:
    for code, texts in languages.items():
        numbers = [3, 12, 1250, 4]
        table = pd.DataFrame(
            {"question": texts, "answer": None, "answer_number": numbers, "equation_solution": None}
        )
        table.to_parquet(hub.put(MGSM, pattern.format(code=code)))


@pytest.mark.parametrize("pattern", ["{code}/test-00000-of-00001.parquet", "{code}/test/0000.parquet"])
@pytest.mark.parametrize("n_items", [None, 2])
def test_load_reads_mgsm_where_the_hub_moved_to_parquet(hub, pattern, n_items):
    put_parquet_mgsm(hub, pattern, en=EN, fr=FR)
    moved = corpora.load("mgsm", "en,fr", n_items=n_items)
    put_mgsm(hub, en=EN, fr=FR)
    hub.asked.clear()
    assert moved.fingerprint == corpora.load("mgsm", "en,fr", n_items=n_items).fingerprint
    assert all(file.endswith(".tsv") for _, file, _, _ in hub.asked)  # its own files go first


def test_load_takes_all_languages_of_one_layout(hub):
    """Or says what its own files lack."""
    put_mgsm(hub, en=EN)
    put_parquet_mgsm(hub, "{code}/test/0000.parquet", fr=FR)
    with pytest.raises(CorpusError, match=r"^mgsm_fr.tsv of .* cannot be reached"):
        corpora.load("mgsm", "en,fr")
    assert {revision for _, file, _, revision in hub.asked if file.endswith("/0000.parquet")} == {
        "refs/convert/parquet"
    }


def test_load_of_first_rows_refuses_parquet_files_of_other_lengths(hub):
    put_flores(hub, eng_Latn=flores(SENTENCES), fra_Latn=flores(PHRASES[:5]))
    for n_items in (None, 2):
        with pytest.raises(CorpusError, match=r"^fra_Latn.parquet has 5 rows, eng_Latn.parquet has 6"):
            corpora.load("flores", "en,fr", n_items=n_items)


# --- codes


def test_load_asks_for_hosted_languages_by_any_code(hub):
    put_flores(hub, eng_Latn=flores(SENTENCES), cmn_Hans=flores(PHRASES))
    corpus = corpora.load("flores", "eng_Latn,zho_Hans")
    assert corpus.texts == {"eng_Latn": tuple(SENTENCES), "zho_Hans": tuple(PHRASES)}
    with pytest.raises(CorpusError, match=r"has no language 'zho_Hant'; it has en, zh"):
        corpora.load("flores", "zho_Hant")
    with pytest.raises(CorpusError, match=r"two are one language of flores"):
        corpora.load("flores", "zh,zho_Hans")


def test_a_code_that_yaml_took_for_a_truth_value_is_refused(monkeypatch):
    entry = params("corpora")["mgsm"] | {"configs": {"en": "en", False: "no"}}
    monkeypatch.setattr(hosted, "params", lambda name: {"mgsm": entry})
    with pytest.raises(ParameterError, match=r"`configs` of mgsm has the code False; write codes in quotes"):
        corpora.load("mgsm", "en")

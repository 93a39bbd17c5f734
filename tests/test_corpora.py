"""The built-in stories pair and mean the same in all languages; foreign rows pair or are refused."""

import csv
import json
import re
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from zspace.errors import CorpusError, ParameterError
from zspace.files import params
from zspace.sources import corpora, stories

ORACLES = Path(__file__).parent / "oracles"
LANGUAGES = stories.languages()
LETTERS = "abcdef"
LEVELS = (1, 2, 3, 4, 5)
EN = ["The red fox sleeps.", "Rain fell on the hills.", "My boat is old.", "Nobody came to dinner."]
FR = ["Le renard roux dort.", "Il a plu sur les collines.", "Mon bateau est vieux.", "Personne n'est venu."]


@pytest.fixture(scope="module")
def spelled() -> corpora.Corpus:
    return corpora.load("number-stories", n_draws=8, difficulty=LEVELS)


@pytest.fixture(scope="module")
def digits() -> corpora.Corpus:
    return corpora.load("number-stories", version="digits", n_draws=8, difficulty=LEVELS)


def templates(language: str) -> dict[str, list[str]]:
    told = stories.telling(language)["stories"]
    return {name: [story["opening"], *story["then"], story["question"]] for name, story in told.items()}


def folder(path: Path, **files: list[str] | bytes) -> Path:
    for stem, rows in files.items():
        content = rows if isinstance(rows, bytes) else ("\n".join(rows) + "\n").encode()
        (path / f"{stem}.txt").write_bytes(content)
    return path


def written(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def mutual_information(x: np.ndarray, y: np.ndarray) -> float:
    """Plug-in mutual information of two label arrays, in nats."""
    joint = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(joint, (x, y), 1 / len(x))
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())


# --- number stories: the texts as written


@pytest.mark.parametrize("language", LANGUAGES)
def test_stories_tell_every_scenario_with_each_number_once(language):
    told = templates(language)
    assert set(told) == {scenario.name for scenario in stories.scenarios()}
    for name, sentences in told.items():
        assert len(sentences) == 6, name
        expected = [["a", "b"], ["c"], ["d"], ["e"], ["f"], []]
        found = [sorted(re.findall(r"\{([a-f])\}", sentence)) for sentence in sentences]
        assert found == expected, name
        kinds = set(re.findall(r"\{(\w{2,})\}", " ".join(sentences)))
        assert len(kinds & {"woman", "man"}) == 1, f"{name}: one person, whose gender the words agree with"
        assert kinds <= {"woman", "man", "place"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_stories_never_open_a_sentence_with_a_number(language):
    for name, sentences in templates(language).items():
        assert not any(re.search(r"(^|[.?!。？] ?)\{[a-f]\}", s) for s in sentences), name


def test_stories_have_enough_scenarios_of_enough_kinds():
    found = stories.scenarios()
    assert len(found) >= 30
    assert len({scenario.category for scenario in found}) >= 6
    assert {len(scenario.steps) for scenario in found} == {5}


def test_stories_vary_the_order_of_numbers_and_question_between_languages():
    """No two languages share a pattern in nearly all scenarios, and each one has every pattern."""
    names = [scenario.name for scenario in stories.scenarios()]
    pattern = {}
    for language in LANGUAGES:
        told = stories.telling(language)["stories"]
        start_second = [told[n]["opening"].index("{b}") < told[n]["opening"].index("{a}") for n in names]
        asked_first = [told[n].get("ask") == "first" for n in names]
        assert sum(start_second) >= 5
        assert sum(asked_first) >= 4
        pattern[language] = list(zip(start_second, asked_first, strict=True))
    agreement = {
        pair: np.mean([x == y for x, y in zip(pattern[pair[0]], pattern[pair[1]], strict=True)])
        for pair in combinations(LANGUAGES, 2)
    }
    assert max(agreement.values()) < 0.75, agreement


def test_names_do_not_repeat_between_languages():
    pools = [{n for pool in stories.telling(code)["names"].values() for n in pool} for code in LANGUAGES]
    for one, other in combinations(pools, 2):
        assert not one & other


# --- number stories: numbers and answers


@pytest.mark.parametrize("language", LANGUAGES)
def test_spelled_out_texts_hold_no_digit(spelled, digits, language):
    assert not any(re.search(r"\d", text) for text in spelled.texts[language])
    assert all(re.search(r"\d", text) for text in digits.texts[language])  # the pattern does find them


def test_every_language_tells_the_same_numbers(digits):
    told = {
        code: [sorted(map(int, re.findall(r"\d+", text))) for text in digits.texts[code]]
        for code in digits.languages
    }
    assert all(rows == told["en"] for rows in told.values())
    assert {len(row) for row in told["en"]} == {2, 3, 4, 5, 6}


def test_answers_follow_from_the_numbers_as_told(digits):
    """The numbers are read back from the English text and run through an evaluation of our own."""
    by_name = {scenario.name: scenario for scenario in stories.scenarios()}
    for row, item in digits.items.iterrows():
        scenario = by_name[item["scenario"]]
        pattern = " ".join(templates("en")[scenario.name][: item["difficulty"]])
        pattern = re.sub(r"\\\{([a-f])\\\}", r"(?P<\1>[0-9]+)", re.escape(pattern))
        pattern = re.sub(r"\\\{\w+\\\}", r"\\w+", pattern)
        numbers = re.search(pattern, digits.texts["en"][row]).groupdict()
        total = int(numbers["a"])
        for (operation, _, _), letter in zip(
            scenario.steps, LETTERS[1 : item["difficulty"] + 1], strict=False
        ):
            number = int(numbers[letter])
            total = {
                "add": total + number,
                "subtract": total - number,
                "multiply": total * number,
                "share": total / number,
            }[operation]
            assert total == int(total) >= 3
        assert str(int(total)) == item["answer"]


def test_number_words_in_use_differ_between_languages():
    used = sorted(
        {n for s in stories.scenarios() for draw in stories.draw_numbers(s, 16, seed=0) for n in draw}
    )
    words = {
        code: {w for n in used for w in re.split(r"[ -]", stories.number_words(n, code))}
        for code in LANGUAGES
    }
    for one, other in combinations(LANGUAGES, 2):
        assert not words[one] & words[other]
    assert "six" in re.split("-", stories.number_words(26, "en") + "-" + stories.number_words(26, "fr"))


def test_numbers_are_plural_and_free_of_agreement():
    for scenario in stories.scenarios():
        numbers = np.array(stories.draw_numbers(scenario, 16, seed=3))
        assert numbers.min() >= 3
        assert numbers.max() <= 99
        assert not np.isin(numbers % 10, stories.EXCLUDED_LAST_DIGITS).any()


def test_number_words_agree_with_dictionaries():
    oracle = yaml.safe_load((ORACLES / "cardinals.yaml").read_text("utf-8"))
    assert set(oracle) == set(LANGUAGES)
    for language, words in oracle.items():
        assert {n: stories.number_words(n, language) for n in words} == words


def test_number_words_agree_with_the_shared_table(shared_data):
    with open(shared_data / "numbers" / "cardinals_0_999.tsv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    used = [row for row in rows if 3 <= int(row["n"]) <= 99 and int(row["n"]) % 10 != 1]
    for row in used:
        assert {code: stories.number_words(int(row["n"]), code) for code in LANGUAGES} == {
            code: row[code] for code in LANGUAGES
        }


def test_names_of_one_language_say_nothing_about_those_of_another():
    corpus = corpora.load("number-stories", n_draws=24)
    drawn = {}
    for code in corpus.languages:
        pools = stories.telling(code)["names"]
        index = {name: i for kind in ("woman", "man") for i, name in enumerate(pools[kind])}
        drawn[code] = np.array(
            [next(i for name, i in index.items() if name in t) for t in corpus.texts[code]]
        )
    rng = np.random.default_rng(5)
    for one, other in combinations(corpus.languages, 2):
        null = [mutual_information(drawn[one], rng.permutation(drawn[other])) for _ in range(200)]
        observed = mutual_information(drawn[one], drawn[other])
        assert abs(observed - np.mean(null)) < 4 * np.std(null), (one, other)
        tied = mutual_information(drawn[one], (drawn[one] + 5) % 12)
        assert tied > np.mean(null) + 40 * np.std(null)  # control: names that go together are seen


# --- number stories: what may be asked for


def test_draws_do_not_depend_on_how_much_is_asked_for():
    full = corpora.load("number-stories", n_draws=9, difficulty=(1, 2))
    part = corpora.load("number-stories", ["fr", "en"], n_scenarios=7, n_draws=3, difficulty=2)
    rows = full.items.reset_index().set_index("item").loc[part.items["item"], "index"]
    for code in part.languages:
        assert [full.texts[code][i] for i in rows] == list(part.texts[code])
    assert part.items.equals(full.select(rows.to_numpy()).items)


def test_draws_depend_on_the_seed():
    one, other = (corpora.load("number-stories", ["en"], n_draws=2, seed=seed) for seed in (0, 1))
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == corpora.load("number-stories", ["en"], n_draws=2, seed=0).fingerprint


def test_texts_of_one_scenario_and_difficulty_all_differ(spelled):
    for code in spelled.languages:
        texts = np.array(spelled.texts[code])
        for _, group in spelled.items.groupby("group"):
            assert len(set(texts[group.index])) == len(group)


def test_items_are_listed_scenario_by_scenario(spelled):
    assert len(spelled) == 30 * 5 * 8
    assert spelled.has_scenarios
    changes = sum(one != other for one, other in pairwise(spelled.items["scenario"]))
    assert changes == 29
    assert spelled.items.groupby("group").size().eq(8).all()
    assert corpora.load("number-stories").items["difficulty"].eq(2).sum() == 120


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"version": "as-is"}, "spelled-out and digits"),
        ({"difficulty": 6}, "from 1 to 5"),
        ({"difficulty": (2, 2)}, "different numbers"),
        ({"n_scenarios": 31}, "1 to 30"),
        ({"n_draws": 0}, "at least 1"),
        ({"n_draws": 10_000}, "different stories"),
        ({"seed": -1}, "non-negative"),
    ],
)
def test_load_refuses_stories_that_do_not_exist(options, expected):
    with pytest.raises(ParameterError, match=expected):
        corpora.load("number-stories", ["en"], **options)


# --- selection and split


def test_split_sides_are_disjoint_and_hold_a_third_and_the_rest(spelled):
    discovery, confirmation = spelled.split()
    scenarios, categories = spelled.items["scenario"], spelled.items["category"]
    assert (discovery ^ confirmation).all()
    assert not set(scenarios[discovery]) & set(scenarios[confirmation])
    assert confirmation.sum() == 2 * discovery.sum()
    assert set(categories[confirmation]) == set(categories)
    assert len(set(categories[discovery])) >= 9  # one category has two scenarios only


def test_split_keeps_each_scenario_on_its_side_whatever_is_loaded(spelled):
    discovery, _ = spelled.split()
    kept = np.flatnonzero(np.arange(len(spelled)) % 7 == 3)
    assert (spelled.select(kept).split()[0] == discovery[kept]).all()
    for n_scenarios in (6, 15):
        fewer = corpora.load("number-stories", ["en"], n_scenarios=n_scenarios, n_draws=1)
        chosen = set(fewer.items["scenario"][fewer.split()[0]])
        assert len(chosen) == n_scenarios // 3
        assert chosen <= set(spelled.items["scenario"][discovery])


def test_split_depends_on_the_seed(spelled):
    assert not (spelled.split(seed=0)[0] == spelled.split(seed=1)[0]).all()
    assert (spelled.split(seed=1)[0] == spelled.split(seed=1)[0]).all()


def test_split_of_rows_alone_would_leak_scenarios(spelled):
    rows = np.arange(len(spelled)) % 2 == 0  # control: what the split must not do
    assert set(spelled.items["scenario"][rows]) & set(spelled.items["scenario"][~rows])


def test_select_keeps_rows_paired(spelled):
    mask = spelled.items["difficulty"].eq(3).to_numpy()
    chosen = spelled.select(mask)
    assert chosen.items["item"].tolist() == spelled.items["item"][mask].tolist()
    for code in spelled.languages:
        assert list(chosen.texts[code]) == [t for t, m in zip(spelled.texts[code], mask, strict=True) if m]
    with pytest.raises(ParameterError, match="mask of shape"):
        spelled.select(mask[:-1])


def test_language_fingerprint_ignores_other_languages():
    both = corpora.load("number-stories", "en,sw", n_draws=1)
    alone = corpora.load("number-stories", "en", n_draws=1)
    assert both.language_fingerprint("en") == alone.language_fingerprint("en")
    assert both.language_fingerprint("sw") != alone.language_fingerprint("en")
    assert both.fingerprint != alone.fingerprint


def test_corpus_refuses_texts_that_do_not_pair(spelled):
    texts = dict(spelled.texts) | {"fr": spelled.texts["fr"][:-1]}
    with pytest.raises(CorpusError, match="1200 items, but texts"):
        corpora.Corpus("x", "as-is", spelled.languages, texts, spelled.items, True)
    with pytest.raises(CorpusError, match="lack the columns group"):
        corpora.Corpus("x", "as-is", ("en",), spelled.texts, spelled.items.drop(columns="group"), True)


# --- other corpora


def test_load_reads_a_folder_and_opens_requested_languages_only(tmp_path):
    folder(
        tmp_path, en=EN, fr=FR, sw=b"\xff\xfe broken", rows=list("wxyz"), answers=["1,250", "3.0", "", "x"]
    )
    corpus = corpora.load(tmp_path, ["fr", "en"])
    assert corpus.texts == {"fr": tuple(FR), "en": tuple(EN)}
    assert corpus.items["item"].tolist() == list("wxyz")
    assert corpus.items["answer"].tolist() == ["1250", "3", "", "x"]
    assert (corpus.version, corpus.has_scenarios) == ("as-is", False)
    assert corpus.items["scenario"].is_unique
    assert len(corpora.load(tmp_path, ["en"], n_items=2)) == 2


def test_load_takes_given_groups_as_units(tmp_path):
    folder(tmp_path, en=EN, fr=FR, groups=["p", "p", "q", "q"])
    corpus = corpora.load(tmp_path)
    assert corpus.languages == ("en", "fr")
    assert corpus.items["group"].tolist() == corpus.items["scenario"].tolist() == ["p", "p", "q", "q"]
    assert not corpus.has_scenarios


def test_load_groups_blocks_of_neighbours(tmp_path):
    corpus = corpora.load(folder(tmp_path, en=EN), block=2)
    assert corpus.items["group"].tolist() == ["1", "1", "3", "3"]


def test_load_keeps_unicode_as_it_is(tmp_path):
    odd = ["e\u0301te\u0301", "য\u09bc \u200c x", "a\u2028b", "\u00a0c\u0085d"]  # not NFC, ZWNJ, LS, NEL
    corpus = corpora.load(folder(tmp_path, en=EN, bn=b"\xef\xbb\xbf" + "\r\n".join(odd).encode()))
    assert list(corpus.texts["bn"]) == odd


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_load_reads_tables(tmp_path, suffix):
    rows = [
        {"id": f"k{i}", "en": EN[i], "fr": FR[i], "scenario": "uvuv"[i], "difficulty": i + 1, "source": "s"}
        for i in range(4)
    ]
    rows[0]["en"] = '"Quoted", she said.'
    path = tmp_path / f"mine{suffix}"
    if suffix == ".jsonl":
        written(path, "".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == ".tsv":
        written(
            path, "\n".join("\t".join(map(str, r)) for r in [rows[0].keys(), *(r.values() for r in rows)])
        )
    else:
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    corpus = corpora.load(path)
    assert corpus.languages == ("en", "fr")
    assert corpus.texts["en"] == ('"Quoted", she said.', *EN[1:])
    assert corpus.has_scenarios
    assert corpus.items["group"].tolist() == ["u-1", "v-2", "u-3", "v-4"]
    assert corpus.items["item"].tolist() == ["k0", "k1", "k2", "k3"]


def test_load_reads_mgsm_files_and_compares_their_answers(tmp_path):
    written(
        tmp_path / "mgsm_en.tsv",
        "".join(f"{t}\t{a}\n" for t, a in zip(EN, ("1,000", "2", "3", "4"), strict=True)),
    )
    fr = written(tmp_path / "mgsm_fr.tsv", "".join(f"{t}\t{a}\n" for t, a in zip(FR, "1234", strict=True)))
    with pytest.raises(CorpusError, match=r"mgsm_fr.tsv row 1 has the answer 1, mgsm_en.tsv has 1000"):
        corpora.load(tmp_path)
    written(fr, fr.read_text("utf-8").replace("\t1\n", "\t1000\n"))
    corpus = corpora.load(tmp_path)
    assert corpus.items["answer"].tolist() == ["1000", "2", "3", "4"]
    assert corpus.texts["fr"] == tuple(FR)
    written(fr, "".join(f"{t}\t{a}\n" for t, a in zip(FR[:2] + FR[3:], ("1000", "2", "4"), strict=True)))
    with pytest.raises(CorpusError, match=r"mgsm_fr.tsv has 3 rows, mgsm_en.tsv has 4.*at row 3\."):
        corpora.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("She paid $1,250.50 for 3.", "She paid $# for #."),
        ("Il a 1 250,5 euros et 12 poules.", "Il a # euros et # poules."),
        ("他有１２个，她有34个。", "他有#个，她有#个。"),
        ("তার ৪৫টি আম, তিনি ৭টি।", "তার #টি আম, তিনি #টি।"),
        ("Rows 10 20 30 and 4 5.", "Rows # # # and # #."),
        ("twenty-two hens, 三十五只", "twenty-two hens, 三十五只"),
    ],
)
def test_mask_numbers_replaces_each_number_once(text, masked):
    assert corpora.mask_numbers(text) == masked


def test_load_masks_digits_by_default(tmp_path):
    path = folder(tmp_path, en=[*EN[:3], "He has 12 hens."], fr=[*FR[:3], "Il a 12 poules."])
    assert corpora.load(path).texts["en"][3] == "He has # hens."
    assert corpora.load(path).version == "masked"
    kept = corpora.load(path, version="as-is")
    assert (kept.texts["en"][3], kept.version) == ("He has 12 hens.", "as-is")
    with pytest.raises(ParameterError, match="as-is or masked"):
        corpora.load(path, version="spelled-out")


def test_near_duplicate_groups_link_chains_but_not_strangers():
    texts = [
        "Ann has 3 red apples and buys 4 more apples.",
        "My boat is old and slow.",
        "Ann has 17 red apples and buys 250 more apples.",
        "Ann has 3 green apples and buys 4 more apples today.",
    ]
    assert corpora.near_duplicate_groups(texts).tolist() == [0, 1, 0, 0]
    assert corpora.near_duplicate_groups(texts, threshold=1.0).tolist() == [
        0,
        1,
        0,
        3,
    ]  # same but for numbers
    assert corpora.near_duplicate_groups([]).size == 0
    with pytest.raises(ParameterError, match=r"\(0, 1\]"):
        corpora.near_duplicate_groups(texts, threshold=0.0)


# --- refusals


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"en": EN, "sw": FR[:3]},
            r"^sw.txt has 3 rows, en.txt has 4; rows must pair by line. First difference at row 4, "
            r"which sw.txt lacks.$",
        ),
        (
            {"en": EN, "fr": [*FR, "x"], "rows": list("abcd")},
            r"^fr.txt has 5 rows.*row 5, which en.txt lacks",
        ),
        ({"en": EN, "fr": FR[:2], "rows": list("abcd")}, r"row 3 \(id c\), which fr.txt lacks"),
        ({"en": EN, "answers": ["1", "2"]}, r"^answers.txt has 2 rows, en.txt has 4"),
        ({"en": EN, "fr": [*FR[:2], "  ", FR[3]]}, r"^fr.txt row 3 is empty; expected one item per row"),
        ({"en": b""}, r"^en.txt is empty"),
        ({"en": EN, "rows": ["a", "b", "a", "c"]}, r"item 3 has the id 'a' of item 1; ids must be unique"),
        ({"en": b"good\nb\xe9d\n"}, r"^en.txt row 2 is not UTF-8 \(byte 0xe9 at 6\); save the file as UTF-8"),
        ({"xx": EN}, r"no language that params/languages.yaml knows \(found: xx\)"),
    ],
)
def test_load_names_what_is_wrong_with_a_folder(tmp_path, files, expected):
    with pytest.raises(CorpusError, match=expected):
        corpora.load(folder(tmp_path, **files))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.jsonl",
            '{"en": "x", "fr": "y"}\n{"en": \n',
            r"^a.jsonl row 2 is not valid JSON: Expecting value",
        ),
        ("a.jsonl", '["x"]\n', r"^a.jsonl row 1 is not a JSON object"),
        ("a.jsonl", '{"en": "x", "fr": "y"}\n{"en": "z"}\n', r"^a.jsonl row 2: the 'fr' text is missing"),
        ("a.jsonl", '{"en": 7}\n', r"^a.jsonl row 1: the 'en' text is 7; expected a text"),
        ("a.jsonl", "", r"^a.jsonl has no rows"),
        ("a.csv", "id,en,fr\n1,x,y\n2,z,\n", r"^a.csv row 3: the 'fr' text is empty"),
        ("a.csv", "id,en,fr\n1,x,y\n1,z,w\n", r"^a.csv: item 2 has the id '1' of item 1"),
        ("a.csv", "en,fr\nx,y,z\n", r"^a.csv row 2 has 3 fields, its header 2 \(en, fr\)"),
        ("a.csv", 'en,fr\n"x"y,z\n', r"^a.csv row 2 is not valid CSV"),
        ("a.csv", "en,en\nx,y\n", r"^a.csv row 1 names a column twice"),
        ("a.csv", "en,difficulty\nx,hard\n", r"^a.csv row 2 has difficulty 'hard'; expected a whole number"),
        ("a.csv", "en,scenario\nx,\n", r"^a.csv row 2 has no scenario"),
        (
            "mgsm_en.tsv",
            "a question without answer\n",
            r"^mgsm_en.tsv row 1 has 1 fields; expected question<TAB>",
        ),
        ("a.xlsx", "x", r"^a.xlsx ends in .xlsx; expected .csv, .tsv or .jsonl"),
    ],
)
def test_load_names_what_is_wrong_with_a_file(tmp_path, name, content, expected):
    path = written(tmp_path / name, content)
    with pytest.raises(CorpusError, match=expected):
        corpora.load(tmp_path if name.startswith("mgsm") else path)


def test_load_lists_what_is_there_instead(tmp_path):
    folder(tmp_path, en=EN, fr=FR, rows=list("abcd"))
    with pytest.raises(CorpusError, match=r"has no sw.txt for language 'sw'; found: en, fr$"):
        corpora.load(tmp_path, ["en", "sw"])
    with pytest.raises(CorpusError, match=r"no language 'tlh'; it has en, es, fr, sw, zh"):
        corpora.load("number-stories", ["en", "tlh"])
    with pytest.raises(CorpusError, match=r"unknown corpus 'numberstories'.*built-in one \(number-stories\)"):
        corpora.load("numberstories")
    with pytest.raises(CorpusError, match="different language codes"):
        corpora.load("number-stories", ["en", "en"])
    with pytest.raises(ParameterError, match="has 1 to 4"):
        corpora.load(tmp_path, n_items=5)
    with pytest.raises(ParameterError, match="block=0"):
        corpora.load(tmp_path, block=0)


def test_languages_table_describes_every_language():
    table = params("languages")
    assert set(LANGUAGES) <= set(table)
    assert len(table) >= 11
    for entry in table.values():
        assert set(entry) == {"name", "autonym", "script", "family"}
        assert all(entry.values())


# --- real parallel texts, where they are


def test_load_groups_the_near_duplicates_of_msvamp(shared_data):
    corpus = corpora.load(shared_data / "msvamp")
    scenarios = corpus.items["scenario"].to_numpy()
    assert corpus.version == "masked"
    assert len(corpus) == 311
    texts = np.array(corpora.load(shared_data / "msvamp", ["en"], version="as-is").texts["en"])
    for opening in ("julia played tag", "because of the decision sofia", "winter is almost here"):
        members = np.array([text.startswith(opening) for text in texts])
        assert members.sum() > 5
        assert len(set(scenarios[members])) == 1
        assert not set(scenarios[members]) & set(scenarios[~members])
    assert 15 <= len(set(scenarios)) <= 25
    discovery, confirmation = corpus.split()
    assert not set(scenarios[discovery]) & set(scenarios[confirmation])


@pytest.mark.parametrize(("name", "languages", "rows"), [("mgsm", 11, 124), ("flores200_devtest", 14, 309)])
def test_load_reads_real_corpora_whose_rows_are_mostly_distinct(shared_data, name, languages, rows):
    corpus = corpora.load(shared_data / name)
    assert (len(corpus.languages), len(corpus)) == (languages, rows)
    assert corpus.items["scenario"].nunique() >= rows - 5
    assert not any(re.search(r"\d", text) for texts in corpus.texts.values() for text in texts)
    raw = (shared_data / name / "bn.txt").read_text("utf-8").split("\n")[:rows]
    assert list(corpora.load(shared_data / name, ["bn"], version="as-is").texts["bn"]) == raw

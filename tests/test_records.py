"""Every format is read by its own conventions, and nothing is read of it but the rows asked for."""

import hashlib
import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from zspace.errors import CorpusError
from zspace.sources import corpora, records

EN = ["The red fox sleeps.", "Rain fell on the hills.", "My boat is old.", "Nobody came to dinner."]
DE = ["Der Fuchs schläft.", "Regen fiel auf die Hügel.", "Mein Boot ist alt.", "Niemand kam zum Essen."]
PIECES = ['"', '""', "\t", "\n", "\r\n", ",", ";", " ", "a", "é", "x", "\u2028"]


def everything(name: str) -> bool:
    return True


def texts_of(path: Path, name: str = "en") -> list:
    return [record[name] for _, record in records.read(path, everything)[1]]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def in_every_format(folder: Path, rows: list[tuple[str, str]], end: str = "\n") -> dict[str, Path]:
    """The same pairs of texts, without quotes or separators inside, by format."""
    lines = {
        "csv": ["en,de", *(f"{en},{de}" for en, de in rows)],
        "tsv": ["en\tde", *(f"{en}\t{de}" for en, de in rows)],
        "jsonl": [json.dumps({"en": en, "de": de}, ensure_ascii=False) for en, de in rows],
    }
    paths = {kind: written(folder / f"a.{kind}", end.join(found) + end) for kind, found in lines.items()}
    paths["txt"] = folder / "txt"
    paths["txt"].mkdir(exist_ok=True)
    for code, texts in zip(("en", "de"), zip(*rows, strict=True), strict=True):
        written(paths["txt"] / f"{code}.txt", end.join(texts) + end)
    return paths


def encoded(path: Path, encoding: str) -> Path:
    for file in path.glob("*.txt") if path.is_dir() else [path]:
        file.write_bytes(file.read_text("utf-8").encode(encoding))
    return path


# --- quotes


def random_cell(rng: np.random.Generator) -> str:
    return "w" + "".join(rng.choice(PIECES, size=rng.integers(0, 6)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tables_that_pandas_wrote_are_read_as_they_were(tmp_path, seed):
    """A TSV whose cell has a tab and a line end could also be rows with single quotes: it may be refused."""
    rng = np.random.default_rng(seed)
    n_refused = n_quoted = 0
    for _ in range(60):
        table = pd.DataFrame({code: [random_cell(rng) for _ in range(3)] for code in ("en", "de")})
        table.to_csv(tmp_path / "a.csv", index=False)
        table.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
        cells = table.to_numpy().ravel()
        assert texts_of(tmp_path / "a.csv", "de") == table["de"].tolist()
        try:
            assert texts_of(tmp_path / "a.tsv", "de") == table["de"].tolist()
        except CorpusError:
            n_refused += 1
            assert any("\n" in cell and "\t" in cell for cell in cells)
        n_quoted += '"' in (tmp_path / "a.tsv").read_text("utf-8")
    assert n_refused < 30 < n_quoted  # control: most tables need their quotes to be read back


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ('"said ""hi"""', 'said "hi"'),
        ('a 5" screw', 'a 5" screw'),
        ('"Go", she said.', '"Go", she said.'),
        ('"Go home', '"Go home'),
        ('ends with "', 'ends with "'),
        ('""', ""),
        ('"""', '"""'),
        ('"a\tb"', "a\tb"),
        ('"two\nlines"', "two\nlines"),
    ],
)
def test_quotes_of_a_tsv_count_where_they_enclose_a_field(tmp_path, field, text):
    for rows in (f"this\tx\n{field}\ty\n", f"{field}\tx\nthis\ty\n"):
        path = written(tmp_path / "a.tsv", f"en\tde\n{rows}")
        assert sorted(texts_of(path)) == sorted(["this", text])
        assert texts_of(path, "de") == ["x", "y"]


def test_a_quote_of_a_tsv_that_may_be_one_field_or_many_rows_is_refused(tmp_path):
    path = written(tmp_path / "a.tsv", 'en\tde\nx\ty\n"I left.\tIch ging.\nRain."\tRegen.\n')
    with pytest.raises(
        CorpusError, match=r"^a.tsv row 3 begins a field with a quote that closes 1 lines on, be"
    ):
        records.read(path, everything)
    spread = "".join(f"x{i}\ty\n" for i in range(2000))  # control: too far to be one field
    path = written(tmp_path / "a.tsv", f'en\tde\n"I left.\tIch ging.\n{spread}Rain."\tRegen.\n')
    assert texts_of(path)[::2001] == ['"I left.', 'Rain."']


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_the_separator_of_a_csv_is_that_of_its_header(tmp_path, separator):
    rows = [["en", "de"], ['"a, b; c\td"', "x"], ["e", "y"]]
    path = written(tmp_path / "a.csv", "".join(separator.join(row) + "\n" for row in rows))
    assert records.read(path, everything) == (
        ["en", "de"],
        [(2, {"en": "a, b; c\td", "de": "x"}), (3, {"en": "e", "de": "y"})],
    )


def test_spaces_after_separators_are_no_part_of_names_and_texts(tmp_path):
    path = written(tmp_path / "a.csv", 'en, de\nhello, "hallo, du"\nbread, Brot\n')
    assert texts_of(path, "de") == ["hallo, du", "Brot"]
    path = written(tmp_path / "a.csv", " en ,de\nhello, hallo\n")  # control: the header says otherwise
    assert records.read(path, everything) == (["en", "de"], [(2, {"en": "hello", "de": " hallo"})])


# --- lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_encodings_change_nothing(tmp_path, end, encoding):
    for path in in_every_format(tmp_path, list(zip(EN, DE, strict=True)), end).values():
        corpus = corpora.load(encoded(path, encoding), "en,de")
        assert corpus.texts == {"en": tuple(EN), "de": tuple(DE)}


def test_byte_order_marks_at_the_start_are_dropped_however_many(tmp_path):
    for path in in_every_format(tmp_path, list(zip(EN, DE, strict=True))).values():
        for file in path.glob("*.txt") if path.is_dir() else [path]:
            file.write_bytes(b"\xef\xbb\xbf\xef\xbb\xbf" + file.read_bytes())
        assert corpora.load(path, "en,de").texts == {"en": tuple(EN), "de": tuple(DE)}


def test_lines_end_alike_or_are_refused(tmp_path):
    path = written(tmp_path / "a.txt", "a\r\nb\nc\x0bd\x0ce\u2028f\u0085g\r\n")
    assert list(records.lines(path)) == ["a", "b", "c\x0bd\x0ce\u2028f\u0085g"]
    for content, row in (("a\nb\rc\n", 2), ("a\rb\nc\r", 2), ("a\r\nb\r\r\n", 2)):
        with pytest.raises(CorpusError, match=rf"^a.txt row {row} ends in a .*, row 1 in a "):
            list(records.lines(written(path, content)))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("en\nx\n".encode("utf-16-le"), r"row 1 has a NUL: .*UTF-16 without a byte-order mark"),
        ("en\nx\n".encode("utf-16")[:-1], r"row 2 is not UTF-16, as its byte-order mark says: .*truncated"),
        ("en\nx\né\n".encode("latin-1"), r"row 3 is not UTF-8 \(byte 0xe9 at 5\); save the file as UTF-8"),
        (b"en\n\xed\xa0\x80\n", r"row 2 is not UTF-8 \(byte 0xed at 3\)"),
    ],
)
def test_what_is_no_text_is_refused_by_row(tmp_path, content, expected):
    with pytest.raises(CorpusError, match=f"^a.csv {expected}"):
        records.read(written(tmp_path / "a.csv", content), everything)


def test_files_that_cannot_be_opened_are_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"a.csv cannot be read: No such file"):
        records.read(tmp_path / "a.csv", everything)
    with pytest.raises(CorpusError, match=r"cannot be read: File name too long"):
        corpora.load("x" * 300)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lines_are_counted_as_they_are_read(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "a.txt"
    for end in ("\n", "\r\n", "\r"):
        for _ in range(40):
            texts = rng.choice(["", "", "a", "bé", " "], size=rng.integers(1, 8))
            written(path, end.join(texts) + end * rng.integers(0, 3))
            assert records.count_lines(path) == len(list(records.lines(path)))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_across_what_is_read_at_a_time(tmp_path, end):
    for n in (2**20 - 2, 2**20 - 1, 2**20, 2**20 + 1):
        path = written(tmp_path / "a.txt", "x" * n + end + "y" + end * 3 + "z" + end)
        assert records.count_lines(path) == 5 == len(list(records.lines(path)))
    assert records.count_lines(written(path, "x" + end * 2**20 + end)) == 1


def test_empty_lines_at_the_end_are_no_rows(tmp_path):
    paths = in_every_format(tmp_path, list(zip(EN, DE, strict=True)))
    for path in paths.values():
        file = path / "de.txt" if path.is_dir() else path
        file.write_bytes(file.read_bytes() + b"\n\n\n")
        assert len(corpora.load(path, "en,de")) == len(corpora.load(path, "en,de", n_items=4)) == 4
    middle = written(tmp_path / "a.jsonl", '{"en": "a"}\n\n{"en": "b"}\n')
    assert [row for row, _ in records.read(middle, everything)[1]] == [1, 3]
    for name in ("one.csv", "one.tsv"):  # of one column: an empty line is an empty text
        with pytest.raises(CorpusError, match=rf"^{name} row 3: the 'en' text is empty"):
            corpora.load(written(tmp_path / name, "en\na\n\nb\n"), "en")
    folder = written(tmp_path / "txt" / "de.txt", "a\n\nb\nc\n").parent
    with pytest.raises(CorpusError, match=r"^de.txt row 2 is empty"):
        corpora.load(folder, "en,de")


def test_a_text_as_long_as_a_document_is_read(tmp_path):
    long = "a, " * 100_000
    path = written(tmp_path / "a.csv", f'en,sw\n"{long}x",b\n')
    assert corpora.load(path, "en,sw").texts["en"] == (f"{long}x",)


def test_unknown_answers_at_the_end_are_answers(tmp_path):
    written(tmp_path / "en.txt", "a\nb\nc\nd\n")
    written(tmp_path / "answers.txt", "1\n2\n\n\n")
    assert corpora.load(tmp_path, "en").items["answer"].tolist() == ["1", "2", "", ""]
    assert corpora.load(tmp_path, "en", n_items=3).items["answer"].tolist() == ["1", "2", ""]
    written(tmp_path / "answers.txt", "1\n2\n")  # control: none stand there
    with pytest.raises(CorpusError, match=r"^answers.txt has 2 rows, en.txt has 4"):
        corpora.load(tmp_path, "en")


# --- texts that show nothing


BLANK = [
    "\u200b",
    "\u200c\u200d",
    "\ufeff\ufeff",
    "\u2060",
    "\u00a0",
    "\u3000",
    " \u2003",
    "\u00ad",
    "\u115f\u3164",
]


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "txt"])
def test_texts_that_show_nothing_are_refused_by_row(tmp_path, blank, kind):
    rows = [("a", "x"), ("b", blank), ("c", "z")]
    path = in_every_format(tmp_path, rows)[kind]
    row = 2 if kind in ("txt", "jsonl") else 3
    with pytest.raises(CorpusError, match=rf"row {row}:? (is empty|the 'de' text is)"):
        corpora.load(path, "en,de")
    path = in_every_format(tmp_path, [("a", "x"), ("b", f"y{blank}"), ("c", "z")])[kind]  # control
    assert corpora.load(path, "en,de").texts["de"][1] == f"y{blank}"


# --- JSON


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"en": "a", "en": "b"}', r"cannot be read as JSON: it has the field 'en' twice"),
        ('{"en": "hello \\ud83d"}', r": the 'en' text has half of a surrogate pair \(U\+D83D\)"),
        ('{"en": NaN}', r": the 'en' text is nan; expected a text"),
        ('{"en": ' + "9" * 5000 + "}", r"cannot be read as JSON: Exceeds the limit"),
        ('{"en": ' + "[" * 100_000, r"cannot be read as JSON: maximum recursion"),
        ('{"en": "a", "translation": {"en": "b"}}', r"has 'en' inside and outside of 'translation'"),
        ('{"en": "a", "answer": "\\udc00"}', r": the answer has half of a surrogate pair"),
    ],
)
def test_broken_json_is_refused_by_row(tmp_path, line, expected):
    path = written(
        tmp_path / "a.jsonl", f'{{"en": "fine"}}\n{line}\n'.replace('"fine"', '"fine", "answer": "1"')
    )
    with pytest.raises(CorpusError, match=f"^a.jsonl row 2 ?{expected}") as caught:
        corpora.load(path, "en")
    assert "\n" not in str(caught.value)
    str(caught.value).encode()  # can be printed


def test_whole_signs_beyond_the_first_plane_are_texts(tmp_path):
    path = written(tmp_path / "a.jsonl", '{"en": "hello \\ud83d\\ude00"}\n')
    assert corpora.load(path, "en").texts["en"] == ("hello \U0001f600",)


def test_languages_inside_of_translation_are_read(tmp_path):
    rows = [{"translation": {"en": en, "de": de}} for en, de in zip(EN, DE, strict=True)]
    written(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    files = [tmp_path / "a.jsonl"]
    if pytest.importorskip("pyarrow"):
        pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
        files.append(tmp_path / "a.parquet")
    for path in files:
        assert corpora.load(path).texts == {"en": tuple(EN), "de": tuple(DE)}
        assert corpora.load(path, "de", n_items=2).texts == {"de": tuple(DE[:2])}


# --- no more than was asked for


def words(i: int) -> str:
    """A text like no other one."""
    return hashlib.sha256(f"{i}".encode()).hexdigest().translate(str.maketrans("0123456789", "ghijklmnop"))


def poisoned(folder: Path, kind: str, n: int) -> Path:
    """A corpus whose rows from `n` on cannot be read."""
    path = in_every_format(folder, [(words(i), words(i)[::-1]) for i in range(n)])[kind]
    files = path.glob("*.txt") if path.is_dir() else [path]
    for file in files:
        file.write_bytes(file.read_bytes() + b'\xff"{,,,\t\t\t\n' * 5)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "txt"])
def test_rows_beyond_those_asked_for_are_not_read(tmp_path, kind):
    path = poisoned(tmp_path, kind, 2000)
    corpus = corpora.load(path, "en,de", n_items=50)
    assert corpus.texts["de"][-1] == words(49)[::-1]
    assert len(corpus) == 50
    with pytest.raises(CorpusError, match=r"row 200[0-9] "):  # control
        corpora.load(path, "en,de")


def test_columns_and_rows_of_parquet_beyond_those_asked_for_are_not_read(tmp_path):
    pytest.importorskip("pyarrow")
    n = 5000
    table = pd.DataFrame(
        {"en": [*map(words, range(n - 1)), None], "de": ["b"] * n, "vector": [[0.0] * 4] * n}
    )
    table.to_parquet(tmp_path / "a.parquet")
    assert len(corpora.load(tmp_path / "a.parquet", "en,de", n_items=50)) == 50
    names, rows = records.read(tmp_path / "a.parquet", lambda name: name == "de", 3)
    assert names == ["en", "de", "vector"]
    assert rows == [(row, {"de": "b"}) for row in (1, 2, 3)]
    with pytest.raises(CorpusError, match=r"row 5000: the 'en' text is empty"):  # control
        corpora.load(tmp_path / "a.parquet", "en,de")


def test_files_of_other_lengths_are_refused_however_few_rows_are_read(tmp_path):
    for code, n in (("en", 300), ("de", 300), ("fr", 299)):
        written(tmp_path / f"{code}.txt", "".join(f"{code} {i}\n" for i in range(n)))
    assert len(corpora.load(tmp_path, "en,de", n_items=20)) == 20
    with pytest.raises(
        CorpusError, match=r"^fr.txt has 299 rows, en.txt has 300.*row 300, which fr.txt lacks"
    ):
        corpora.load(tmp_path, "en,fr", n_items=20)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "txt"])
def test_fifty_rows_of_a_million_cost_little(tmp_path, kind):
    path = in_every_format(tmp_path, [(words(i), words(-i)) for i in range(10**4)])[kind]
    for file in path.glob("*.txt") if path.is_dir() else [path]:
        header, rows = (
            file.read_bytes().split(b"\n", 1) if kind in ("csv", "tsv") else (b"", file.read_bytes())
        )
        file.write_bytes(header + b"\n" * bool(header) + rows * 100)
    began = time.process_time()
    assert len(corpora.load(path, "en,de", n_items=50)) == 50
    seconds = time.process_time() - began
    tracemalloc.start()
    corpora.load(path, "en,de", n_items=50)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (records.count_lines(path / "en.txt") if path.is_dir() else records.count(path)) == 10**6
    assert seconds < 2
    assert peak < 2**25  # bytes

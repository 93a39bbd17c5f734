"""Tables of parallel texts from a folder or a file: whatever is wrong is named with file and row.

A `Table` has the texts by language and the optional columns that files bring along; `records` reads the
files and states the conventions of their formats. A text is refused where it is blank (white space and
zero-width signs only) or no Unicode. With a limit only so many rows are read; files that pair by line must
have as many rows all the same.

A language is found by any of its codes (`languages`), in a folder by the name of its file: `<lang>.txt`,
`mgsm_<lang>.tsv`, `<lang>.devtest` and `<lang>.dev` (FLORES), or `<corpus>.<lang>-<lang>.<lang>` (OPUS and
Moses). Where no language is asked for, all are read that are there: a file that is none is an error, a
column that is none a warning. The column `id` is Indonesian where Indonesian is asked for, else the ids of
the items; where neither is clear it has to be renamed.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import CorpusError
from . import hosted, records
from . import languages as codes_of
from .records import Record, shown

# What a column may be called -> what it is called here.
COLUMNS = {"id": "item"} | {
    name: name for name in ("item", "scenario", "category", "difficulty", "answer", "group")
}
_MAY_BE_BLANK = ("answer", "category")  # what an item is known by, and what it is grouped by, may not
SIDE_FILES = {"rows": "item", "answers": "answer", "groups": "group"}  # reserved names in a folder
MGSM = "mgsm_"
MGSM_COLUMNS = ("question", "answer_number", "answer")  # of files with a header
# OPUS and Moses: the two languages of the corpus, then the one of the file
_PAIR = re.compile(
    r"(?P<corpus>.+)\.(?P<languages>(?P<a>[A-Za-z_]{2,10})-(?P<b>[A-Za-z_]{2,10}))\.(?P<language>(?P=a)|(?P=b))"
)
_INDONESIAN = "id"
# of a text file that lies beside those of the languages
_ABOUT = re.compile(
    r"read.?me|licen[cs]e|copying|notice|changelog|citation|authors|contributors", re.IGNORECASE
)
_INDEX = ("", "index", "Unnamed: 0", "__index_level_0__")  # names that pandas gives to its row labels
# in a column `id`, ids are single tokens such as 7, k7, fox_7 or x; "fox 7" may be either
_WORDS = re.compile(r".*\s.*|[^\W\d_]+(?:[-'’][^\W\d_]+)*\W*", re.DOTALL)
_PHRASE = re.compile(r"\D+\s\D+|.+\s.+\s.+", re.DOTALL)
_NUMBER = re.compile(r"\s*[-+]?\d[\d.,]*\s*")
_HINTS = {
    ".gz": "unpack it",
    ".zip": "unpack it",
    ".json": "write one object a line, as .jsonl",
    ".xlsx": "save it as CSV UTF-8",
    ".xls": "save it as CSV UTF-8",
    ".txt": "put <lang>.txt of every language into a folder and give the folder's path",
}


@dataclass(frozen=True)
class Table:
    """Texts by language (n each) and, where given, columns by name (n each, difficulty as int).

    `pool` holds all scenarios of the source in its order where that is known whatever was read.
    """

    texts: dict[str, list[str]]
    columns: dict[str, list]
    pool: tuple[str, ...] = ()


def read(path: Path, languages: Sequence[str] | None, limit: int | None = None) -> Table:
    """The requested languages (None: all) of a folder or of a CSV, TSV, JSONL or Parquet file.

    At most `limit` rows are read. In a folder only the requested languages' files are opened, besides
    `rows.txt` (item ids), `answers.txt` and `groups.txt`. Raises CorpusError.
    """
    try:
        table = _read(path, languages, limit)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}") from error
    _check_ids(path, table.columns.get("item"))
    return table


def read_files(paths: Mapping[str, Path], columns: Mapping[str, str], limit: int | None = None) -> Table:
    """Table of one file per language: Parquet, CSV, TSV or JSONL, or, without `columns`, MGSM's own TSV.

    `columns` maps the files' columns to `text` and to the names in COLUMNS; all other columns are ignored.
    At most `limit` rows are read. Raises CorpusError where a column is absent, or where the languages
    disagree on anything but the text.
    """
    if not columns:
        return _read_mgsm_files(paths, limit)
    (text,) = [theirs for theirs, ours in columns.items() if ours == "text"]
    texts, kept, lengths = {}, {}, {}
    # on the hub the files of all languages may be called alike, in folders of their own
    alike = len({path.name for path in paths.values()}) < len(paths)
    labels = {code: f"{path.name} ({code})" if alike else path.name for code, path in paths.items()}
    for code, path in paths.items():
        names, rows = records.read(path, columns.__contains__, limit)
        _check_any(path, rows)
        if absent := [theirs for theirs in columns if theirs not in names]:
            raise CorpusError(
                f"{path.name} has no column {absent[0]!r}; it has {shown(names)}. Correct "
                "`columns` in params/corpora.yaml."
            )
        texts[code] = [_text(path, row, record, text) for row, record in rows]
        lengths[labels[code]] = records.count(path) if len(rows) == limit else len(rows)
        for theirs, ours in columns.items():
            if ours != "text":
                kept.setdefault(ours, {})[code] = _side_column(path, ours, theirs, rows)
    _check_lengths(lengths, labels[codes_of.anchor(list(paths))])
    return Table(texts, {ours: _agreed(ours, by_language, labels) for ours, by_language in kept.items()})


def _read(path: Path, languages: Sequence[str] | None, limit: int | None) -> Table:
    if path.is_dir():
        if not any(path.glob(f"{MGSM}*.tsv")):
            return _read_folder(path, languages, limit)
        pattern, others = _layout(path, languages)
        if any(map(codes_of.is_code, others)):
            raise _several_corpora(path, [f"{MGSM}{{}}.tsv", pattern])
        return _read_mgsm(path, languages, limit)
    if not path.exists():
        raise CorpusError(
            f"unknown corpus {str(path)!r}: neither a built-in one (number-stories) nor an existing folder "
            f"or file. Give the path of a folder of <lang>.txt, or of a {records.suffixes()} file, "
            f"or a corpus of the Hugging Face hub that params/corpora.yaml knows: {hosted.known()}."
        )
    if records.is_known(path):
        return _read_file(path, languages, limit)
    hint = _HINTS.get(path.suffix.lower())
    raise CorpusError(
        f"{path.name} ends in {path.suffix or 'no suffix'}; expected {records.suffixes()}"
        + (f": {hint}" if hint else "")
    )


def _agreed(column: str, by_language: Mapping[str, list], labels: Mapping[str, str]) -> list:
    """A column that all languages have alike; answers and ids that differ mean rows that do not pair."""
    first = codes_of.anchor(list(by_language))
    expected = by_language[first]
    for code, values in by_language.items():
        row = _first_difference(expected, values)
        if row is not None:
            raise CorpusError(
                f"{labels[code]} row {row} has the {column} {values[row - 1]!r}, {labels[first]} has "
                f"{expected[row - 1]!r}; rows must pair by line. Put the rows in the same order"
                + (", and write numbers alike." if column == "answer" else ".")
            )
    return expected


def _first_difference(one: Sequence, other: Sequence) -> int | None:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False), 1) if a != b), None)


def _read_folder(folder: Path, languages: Sequence[str] | None, limit: int | None) -> Table:
    pattern, present = _layout(folder, languages)
    chosen = _choose(folder.name, present, languages, pattern)
    paths = {code: present[name] for code, name in chosen.items()}
    texts = {code: _filled(path, list(islice(records.lines(path), limit))) for code, path in paths.items()}
    lengths = {path.name: _length(path, len(texts[code]), limit) for code, path in paths.items()}
    anchor = codes_of.anchor(list(paths))
    sides = {}
    for stem, column in SIDE_FILES.items():
        if (path := folder / f"{stem}.txt").is_file():
            sides[column] = _side_lines(path, column, len(texts[anchor]), limit)
            lengths |= _side_length(path, column, len(sides[column]), limit)
    _check_lengths(lengths, paths[anchor].name, sides.get("item"))
    return Table(texts, {column: [_cleaned(column, row) for row in rows] for column, rows in sides.items()})


def _side_lines(path: Path, column: str, n: int, limit: int | None) -> list[str]:
    """Lines of a side file; an unknown answer is an empty line, also at the end."""
    if column != "answer":
        return _filled(path, list(islice(records.lines(path), limit)))
    rows = list(islice(records.lines(path, trailing=True), limit))
    while len(rows) > n and not rows[-1]:
        rows.pop()
    return rows


def _side_length(path: Path, column: str, n_read: int, limit: int | None) -> dict[str, int]:
    """Length of a side file by its name; not of answers that go on, as the last ones may be unknown."""
    return {} if column == "answer" and n_read == limit else {path.name: _length(path, n_read, limit)}


def _length(path: Path, n_read: int, limit: int | None) -> int:
    """Lines of a file of which `n_read` were read; the rest are counted, so that files pair as a whole."""
    return n_read if n_read != limit else records.count_lines(path)


def _layout(folder: Path, languages: Sequence[str] | None) -> tuple[str, dict[str, Path]]:
    """Pattern of the names of a folder's files of one language, and the files by language."""
    found = {"{}.txt": {}, "{}.devtest": {}, "{}.dev": {}}
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if pair := _PAIR.fullmatch(path.name):
            found.setdefault(f"{pair['corpus']}.{pair['languages']}.{{}}", {})[pair["language"]] = path
        elif (pattern := f"{{}}{path.suffix}") in found and not _ABOUT.match(path.name):
            found[pattern][path.stem] = path
    for stem in SIDE_FILES:
        found["{}.txt"].pop(stem, None)
    texts = found["{}.txt"]
    is_asked = any(codes_of.find(code, texts) for code in languages or ())
    if is_asked or any(map(codes_of.is_code, texts)):
        return "{}.txt", texts
    others = {pattern: there for pattern, there in found.items() if there and pattern != "{}.txt"}
    if len(others) > 1:
        raise _several_corpora(folder, others)
    return next(iter(others.items()), ("{}.txt", texts))


def _several_corpora(folder: Path, patterns: Iterable[str]) -> CorpusError:
    return CorpusError(
        f"{folder.name} holds several corpora ({', '.join(patterns)}, {{}} being a language); put one of "
        "them into a folder of its own."
    )


def _read_mgsm(folder: Path, languages: Sequence[str] | None, limit: int | None) -> Table:
    present = {p.stem.removeprefix(MGSM): p for p in sorted(folder.glob(f"{MGSM}*.tsv"))}
    chosen = _choose(folder.name, present, languages, MGSM + "{}.tsv")
    return _read_mgsm_files({code: present[name] for code, name in chosen.items()}, limit)


def _read_mgsm_files(present: Mapping[str, Path], limit: int | None) -> Table:
    """Questions and answers of MGSM's files, one per language: question<TAB>answer, and perhaps a header."""
    texts, answers, lengths = {}, {}, {}
    for code, path in present.items():
        header = next(records.lines(path), "").lower().split("\t")
        read_file = _titled_mgsm if header[0] == MGSM_COLUMNS[0] else _bare_mgsm
        texts[code], answers[code], lengths[path.name] = read_file(path, limit)
    labels = {code: path.name for code, path in present.items()}
    first = codes_of.anchor(list(present))
    differing = [_first_difference(answers[first], answers[code]) for code in present]
    _check_lengths(lengths, labels[first], None, differing)
    return Table(texts, {"answer": _agreed("answer", answers, labels)})


def _bare_mgsm(path: Path, limit: int | None) -> tuple[list[str], list[str], int]:
    """Texts, answers and number of rows of a file without header; a quote is a character like others."""
    pairs = [line.split("\t") for line in islice(records.lines(path), limit)]
    for row, pair in enumerate(pairs, start=1):
        if len(pair) != 2:
            raise CorpusError(f"{path.name} row {row} has {len(pair)} fields; expected question<TAB>answer")
    texts = _filled(path, [pair[0] for pair in pairs])
    return texts, [_cleaned("answer", pair[1]) for pair in pairs], _length(path, len(pairs), limit)


def _titled_mgsm(path: Path, limit: int | None) -> tuple[list[str], list[str], int]:
    """The same of a TSV with a header; `answer_number` goes before `answer`, which may be in words."""
    names, rows = records.read(path, lambda name: name.lower() in MGSM_COLUMNS, limit)
    _check_any(path, rows)
    named = {name.lower(): name for name in names}
    question, *answer = [named[name] for name in MGSM_COLUMNS if name in named]
    if not answer:
        raise CorpusError(f"{path.name} has the columns {shown(names)}; expected question and answer")
    texts = [_text(path, row, record, question) for row, record in rows]
    n_rows = records.count(path) if len(rows) == limit else len(rows)
    return texts, _side_column(path, "answer", answer[0], rows), n_rows


def _read_file(path: Path, languages: Sequence[str] | None, limit: int | None) -> Table:
    names, rows = records.read(path, lambda name: _is_wanted(name, languages), limit)
    _check_any(path, rows)
    sides = {name.lower(): name for name in names if name.lower() in COLUMNS}
    ids = sides.pop(_INDONESIAN, None)
    candidates = [name for name in names if name.lower() not in COLUMNS]
    if ids is not None:
        has_other = any(codes_of.is_same(name, _INDONESIAN) for name in candidates)
        if not has_other and _is_indonesian(path, ids, rows, languages):
            candidates.append(ids)
        else:
            sides.setdefault("item", ids)
    if languages is None:
        candidates = _languages_among(path, candidates, rows)
    chosen = _choose(path.name, candidates, languages, "column {}")
    texts = {code: [_text(path, row, record, name) for row, record in rows] for code, name in chosen.items()}
    columns = {COLUMNS[name]: field for name, field in sides.items()}
    return Table(texts, {column: _side_column(path, column, f, rows) for column, f in columns.items()})


def _is_wanted(name: str, languages: Sequence[str] | None) -> bool:
    """Whether a column may be needed: one of COLUMNS, or of a language asked for, or of any where none is."""
    if name.lower() in COLUMNS:
        return True
    return codes_of.is_code(name) if languages is None else any(codes_of.is_same(name, c) for c in languages)


def _is_indonesian(path: Path, field: str, rows: list[Record], languages: Sequence[str] | None) -> bool:
    """Whether a column `id` has texts in Indonesian; else it has ids.

    Tokens that are no words are ids, several words are a text; single words are what was asked for.
    """
    values = ["" if record.get(field) is None else str(record[field]) for _, record in rows]
    are_ids = all(len(value) == 1 or not _WORDS.fullmatch(value) for value in values)
    if languages is not None:
        is_asked = any(codes_of.is_same(_INDONESIAN, code) for code in languages)
        if is_asked and are_ids:
            raise CorpusError(
                f"{path.name}: the column {field!r} has ids such as {values[0]!r}, no texts in Indonesian; "
                "rename it to `item`, and call a column in Indonesian `ind`."
            )
        return is_asked
    if are_ids or any(_PHRASE.fullmatch(value) for value in values):
        return not are_ids
    raise CorpusError(
        f"{path.name}: the column {field!r} has values such as {values[0]!r}; texts in Indonesian, whose "
        "code is id, or ids of the items? Name the languages, or rename the column to `ind` or `item`."
    )


def _languages_among(path: Path, names: Sequence[str], rows: list[Record]) -> list[str]:
    """The columns that are languages by their names; warns of others, refuses one of numbers."""
    found = [name for name in names if codes_of.is_code(name)]
    for name in found:
        values = [record.get(name) for _, record in rows]
        if all(isinstance(value, str) and _NUMBER.fullmatch(value) for value in values):
            raise CorpusError(
                f"{path.name}: the column {name!r}, the code of a language, has only numbers such as "
                f"{values[0]!r}; name the languages, or rename the column."
            )
    left = [name for name in names if name not in found and name not in _INDEX]
    if found and left:
        warnings.warn(
            f"{path.name}: the columns {shown(left)} are no language codes and are left out; read are "
            f"{shown(found)}. Name the languages to have others.",
            UserWarning,
            stacklevel=8,
        )
    return found or list(names)


def _side_column(path: Path, column: str, field: str, rows: list[Record]) -> list:
    values = [(row, record.get(field)) for row, record in rows]
    empty = [row for row, value in values if value is None or records.is_blank(str(value))]
    if empty and column not in _MAY_BE_BLANK:
        raise CorpusError(f"{path.name} row {empty[0]} has no {field}; fill it in, or remove the column")
    return [_cleaned(column, value, f"{path.name} row {row}") for row, value in values]


def _choose(
    source: str, present: Iterable[str], languages: Sequence[str] | None, pattern: str
) -> dict[str, str]:
    """Language -> its name there: of the requested ones, or of all that are there, English first."""
    present = list(present)
    there = shown(present) or "nothing of the kind"
    if languages is None:
        if strange := [name for name in present if not codes_of.is_code(name)]:
            raise CorpusError(
                f"{source}: {pattern.format(strange[0])} is named by no language code (found: {there}). Name "
                "the languages to read, or put other files elsewhere."
            )
        if not present:
            raise CorpusError(f"{source} has no {pattern.format('<lang>')}")
        if twice := codes_of.two_of_one(present):
            both = " and ".join(twice)
            raise CorpusError(f"{source}: {both} are one language; name the languages to read.")
        languages = sorted(present, key=lambda name: not codes_of.is_same(name, "en"))
    chosen: dict[str, str] = {}
    for code in languages:
        name = codes_of.find(code, present)
        if name is None:
            raise CorpusError(f"{source} has no {pattern.format(code)} for language {code!r}; found: {there}")
        if name in chosen.values():
            other = next(earlier for earlier, taken in chosen.items() if taken == name)
            raise CorpusError(
                f"{source}: {other!r} and {code!r} are both {pattern.format(name)}; ask for one"
            )
        chosen[code] = name
    return chosen


def _check_lengths(
    lengths: Mapping[str, int],
    anchor: str,
    ids: list[str] | None = None,
    differing: Iterable[int | None] = (),
) -> None:
    """Refuse files of different length; where a row is known to differ, they part there."""
    known = dict(zip(lengths, differing, strict=False))
    for name, n_rows in lengths.items():
        if n_rows == lengths[anchor]:
            continue
        shorter = min(n_rows, lengths[anchor])
        row = known.get(name) or shorter + 1
        ended = "" if row <= shorter else f", which {name if n_rows == shorter else anchor} lacks"
        item = f" (id {ids[row - 1]})" if ids and row <= len(ids) else ""
        raise CorpusError(
            f"{name} has {n_rows} rows, {anchor} has {lengths[anchor]}; rows must pair by line. "
            f"First difference at row {row}{item}{ended}."
        )


def _check_ids(path: Path, ids: list[str] | None) -> None:
    seen: dict[str, int] = {}
    for position, item in enumerate(ids or [], start=1):
        if item in seen:
            raise CorpusError(
                f"{path.name}: item {position} has the id {item!r} of item {seen[item]}; ids must be unique"
            )
        seen[item] = position


def _check_any(path: Path, rows: Sequence) -> None:
    if not rows:
        raise CorpusError(f"{path.name} has no rows; expected one per item")


def _filled(path: Path, rows: list[str]) -> list[str]:
    if not rows:
        raise CorpusError(f"{path.name} is empty; expected one row per item")
    for number, row in enumerate(rows, start=1):
        if records.is_blank(row):
            invisible = f" (but for {_code_points(row)})" if row.strip() else ""
            raise CorpusError(
                f"{path.name} row {number} is empty{invisible}; expected one item per row. Fill it in, or "
                "remove this row from every file."
            )
    return rows


def _text(path: Path, row: int, record: dict, name: str) -> str:
    text = record.get(name)
    if not isinstance(text, str) or records.is_blank(text):
        found = "is missing" if name not in record else "is empty" if text in (None, "") else f"is {text!r}"
        raise CorpusError(
            f"{path.name} row {row}: the {name!r} text {found}; expected a text in every language"
        )
    return _checked(text, f"{path.name} row {row}: the {name!r} text")


def _cleaned(column: str, value, where: str = "") -> str | int:
    """A side column's value: answers without thousands commas or a bare .0, difficulty a whole number."""
    text = "" if value is None else _checked(str(value).strip(), f"{where}: the {column}")
    if column == "answer":
        bare = text.replace(",", "")
        return bare.removesuffix(".0") if bare.replace(".", "").lstrip("-").isdigit() else text
    if column == "difficulty":
        whole = text.removesuffix(".0")  # pandas writes whole numbers so where one of the column is missing
        if not whole.isdecimal():
            raise CorpusError(f"{where} has difficulty {text!r}; expected a whole number, 0 for unknown")
        return int(whole)
    return text


def _checked(text: str, what: str) -> str:
    if not records.is_unicode(text):
        half = next(sign for sign in text if "\ud800" <= sign <= "\udfff")
        raise CorpusError(
            f"{what} has half of a surrogate pair ({_code_points(half)}), a sign cut in two; write the whole "
            "text again"
        )
    return text


def _code_points(text: str) -> str:
    return " ".join(dict.fromkeys(f"U+{ord(sign):04X}" for sign in text))

"""Readers of parallel text files: every way they can be wrong is named with file and row.

A `Table` has the texts by language and the optional columns that files bring along. Rows are
counted from 1, as editors do. Files are UTF-8 (a byte-order mark is dropped); lines end at a line
feed only, because Unicode line separators occur inside texts; nothing is normalised. A new format of file is
one function, path -> (row, record) of every item, entered in `_READERS` at the end.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import CorpusError
from ..files import params
from . import hosted

# What a column may be called -> what it is called here.
COLUMNS = {"id": "item"} | {
    name: name for name in ("item", "scenario", "category", "difficulty", "answer", "group")
}
SIDE_FILES = {"rows": "item", "answers": "answer", "groups": "group"}  # reserved names in a folder
MGSM = "mgsm_"


@dataclass(frozen=True)
class Table:
    """Texts by language (n each) and, where given, columns by name (n each, difficulty as int)."""

    texts: dict[str, list[str]]
    columns: dict[str, list]


def read(path: Path, languages: Sequence[str] | None) -> Table:
    """The requested languages (None: all known ones) of a folder or of a CSV, TSV, JSONL or Parquet file.

    In a folder only the requested languages' files are opened, besides `rows.txt` (item ids),
    `answers.txt` and `groups.txt`. Raises CorpusError.
    """
    if path.is_dir():
        read_languages = _read_mgsm if any(path.glob(f"{MGSM}*.tsv")) else _read_folder
        table = read_languages(path, languages)
    elif not path.exists():
        raise CorpusError(
            f"unknown corpus {str(path)!r}: neither a built-in one (number-stories) nor an existing folder "
            f"or file. Give the path of a folder of <lang>.txt, or of a {_suffixes()} file, "
            f"or a corpus of the Hugging Face hub that params/corpora.yaml knows: {hosted.known()}."
        )
    elif path.suffix.lower() in _READERS:
        table = _read_file(path, languages)
    else:
        raise CorpusError(f"{path.name} ends in {path.suffix or 'no suffix'}; expected {_suffixes()}")
    _check_ids(path, table.columns.get("item"))
    return table


def read_files(paths: Mapping[str, Path], columns: Mapping[str, str]) -> Table:
    """Table of one file per language: Parquet, CSV, TSV or JSONL, or, without `columns`, MGSM's own TSV.

    `columns` maps the files' columns to `text` and to the names in COLUMNS; all other columns are ignored.
    Raises CorpusError where a column is absent, or where the languages disagree on anything but the text.
    """
    if not columns:
        return _read_mgsm_files(paths)
    (text,) = [theirs for theirs, ours in columns.items() if ours == "text"]
    texts, kept = {}, {}
    for code, path in paths.items():
        records = _records(path)
        if absent := [theirs for theirs in columns if theirs not in records[0][1]]:
            raise CorpusError(
                f"{path.name} has no column {absent[0]!r}; it has {', '.join(records[0][1])}. Correct "
                "`columns` in params/corpora.yaml."
            )
        texts[code] = [_text(path, row, record, text) for row, record in records]
        for theirs, ours in columns.items():
            if ours != "text":
                kept.setdefault(ours, {})[code] = _side_column(path, ours, theirs, records)
    # on the hub the files of all languages may be called alike, in folders of their own
    alike = len({path.name for path in paths.values()}) < len(paths)
    names = {code: f"{path.name} ({code})" if alike else path.name for code, path in paths.items()}
    _check_lengths({names[code]: len(rows) for code, rows in texts.items()}, None)
    return Table(texts, {ours: _agreed(ours, by_language, names) for ours, by_language in kept.items()})


def _agreed(column: str, by_language: Mapping[str, list], names: Mapping[str, str]) -> list:
    """A column that all languages have alike; answers and ids that differ mean rows that do not pair."""
    first = "en" if "en" in by_language else next(iter(by_language))
    expected = by_language[first]
    for code, values in by_language.items():
        row = next((i for i, (a, b) in enumerate(zip(expected, values, strict=False), 1) if a != b), None)
        _check_lengths({names[first]: len(expected), names[code]: len(values)}, None, row)
        if row:
            raise CorpusError(
                f"{names[code]} row {row} has the {column} {values[row - 1]!r}, {names[first]} has "
                f"{expected[row - 1]!r}; rows must pair by line. Put the rows in the same order."
            )
    return expected


def _records(path: Path) -> list[tuple[int, dict]]:
    """(row, record) of every item of a file; at least one."""
    records = _READERS.get(path.suffix.lower(), _delimited_records)(path)
    if not records:
        raise CorpusError(f"{path.name} has no rows; expected one per item")
    return records


def _parquet_records(path: Path) -> list[tuple[int, dict]]:
    try:
        table = pd.read_parquet(path).astype(object)
    except ImportError:
        raise CorpusError(f'{path.name} is a Parquet file: `pip install "zspace[hub]"` to read it.') from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path.name} is not a Parquet file that can be read: {error}") from error
    return list(enumerate(table.where(table.notna(), None).to_dict("records"), start=1))


def _read_folder(folder: Path, languages: Sequence[str] | None) -> Table:
    present = {p.stem: p for p in sorted(folder.glob("*.txt")) if p.stem not in SIDE_FILES}
    codes = _choose(folder.name, present, languages, "{}.txt")
    texts = {code: _filled(present[code], _lines(present[code])) for code in codes}
    sides = {path: _lines(path) for stem in SIDE_FILES if (path := folder / f"{stem}.txt").is_file()}
    lengths = {f"{code}.txt": len(rows) for code, rows in texts.items()}
    lengths |= {path.name: len(rows) for path, rows in sides.items()}
    _check_lengths(lengths, sides.get(folder / "rows.txt"))
    columns = {}
    for path, rows in sides.items():
        column = SIDE_FILES[path.stem]
        rows = rows if column == "answer" else _filled(path, rows)
        columns[column] = [_cleaned(column, row) for row in rows]
    return Table(texts, columns)


def _read_mgsm(folder: Path, languages: Sequence[str] | None) -> Table:
    present = {p.stem.removeprefix(MGSM): p for p in sorted(folder.glob(f"{MGSM}*.tsv"))}
    codes = _choose(folder.name, present, languages, MGSM + "{}.tsv")
    return _read_mgsm_files({code: present[code] for code in codes})


def _read_mgsm_files(present: Mapping[str, Path]) -> Table:
    """Questions and answers of MGSM's files, one file per language: question<TAB>answer, no header."""
    texts, answers = {}, {}
    for code, path in present.items():
        pairs = [line.split("\t") for line in _lines(path)]
        for row, pair in enumerate(pairs, start=1):
            if len(pair) != 2:
                raise CorpusError(
                    f"{path.name} row {row} has {len(pair)} fields; expected question<TAB>answer"
                )
        texts[code] = _filled(path, [pair[0] for pair in pairs])
        answers[code] = [_cleaned("answer", pair[1]) for pair in pairs]
    return Table(texts, {"answer": _agreed("answer", answers, {c: p.name for c, p in present.items()})})


def _read_file(path: Path, languages: Sequence[str] | None) -> Table:
    records = _records(path)
    fields = list(dict.fromkeys(key for _, record in records for key in record))
    codes = _choose(path.name, [f for f in fields if f.lower() not in COLUMNS], languages, "column {}")
    named = {COLUMNS[field.lower()]: field for field in fields if field.lower() in COLUMNS}
    texts = {code: [_text(path, row, record, code) for row, record in records] for code in codes}
    return Table(texts, {column: _side_column(path, column, f, records) for column, f in named.items()})


def _side_column(path: Path, column: str, field: str, records: list[tuple[int, dict]]) -> list:
    values = [(row, record.get(field)) for row, record in records]
    empty = [row for row, value in values if value is None or not str(value).strip()]
    if empty and column != "answer":
        raise CorpusError(f"{path.name} row {empty[0]} has no {field}; fill it in, or remove the column")
    return [_cleaned(column, value, f"{path.name} row {row}") for row, value in values]


def _delimited_records(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(row, record) of a CSV with quotes, or of a TSV, in which a quote is a character like others."""
    is_tsv = path.suffix.lower() == ".tsv"
    options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if is_tsv else {"strict": True}
    reader = csv.reader(io.StringIO(_decoded(path), newline=""), **options)
    records = []
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise CorpusError(f"{path.name} row 1 names a column twice: {', '.join(header)}")
        for fields in reader:
            if len(fields) != len(header):
                raise CorpusError(
                    f"{path.name} row {reader.line_num} has {len(fields)} fields, its header {len(header)} "
                    f"({', '.join(header)}). Quote fields that contain the separator."
                )
            records.append((reader.line_num, dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        raise CorpusError(f"{path.name} row {reader.line_num} is not valid CSV: {error}") from error
    return records


def _json_records(path: Path) -> list[tuple[int, dict]]:
    records = []
    for row, line in enumerate(_lines(path), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(
                f"{path.name} row {row} is not valid JSON: {error.msg} at character {error.pos + 1}"
            ) from error
        if not isinstance(record, dict):
            raise CorpusError(
                f'{path.name} row {row} is not a JSON object; expected {{"en": ..., "zh": ...}}'
            )
        records.append((row, record))
    return records


def _choose(source: str, present, languages: Sequence[str] | None, pattern: str) -> list[str]:
    """The requested languages, all there, or all that are there and known, English first."""
    there = ", ".join(present) or "nothing of the kind"
    if languages is None:
        known = params("languages")
        languages = sorted((code for code in present if code in known), key=lambda code: code != "en")
        if not languages:
            raise CorpusError(
                f"{source}: no language that params/languages.yaml knows (found: {there}); name them."
            )
    for code in languages:
        if code not in present:
            raise CorpusError(f"{source} has no {pattern.format(code)} for language {code!r}; found: {there}")
    return list(languages)


def _check_lengths(lengths: dict[str, int], ids: list[str] | None, row: int | None = None) -> None:
    """Refuse files of different length; `row` is a better guess of where they part than the end."""
    anchor = "en.txt" if "en.txt" in lengths else next(iter(lengths))
    for name, count in lengths.items():
        if count == lengths[anchor]:
            continue
        shorter = min(count, lengths[anchor])
        row = row or shorter + 1
        ended = "" if row <= shorter else f", which {name if count == shorter else anchor} lacks"
        item = f" (id {ids[row - 1]})" if ids and row <= len(ids) else ""
        raise CorpusError(
            f"{name} has {count} rows, {anchor} has {lengths[anchor]}; rows must pair by line. "
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


def _filled(path: Path, rows: list[str]) -> list[str]:
    if not rows:
        raise CorpusError(f"{path.name} is empty; expected one row per item")
    for number, row in enumerate(rows, start=1):
        if not row.strip():
            raise CorpusError(
                f"{path.name} row {number} is empty; expected one item per row. Fill it in, or remove "
                "this row from every file."
            )
    return rows


def _text(path: Path, row: int, record: dict, code: str) -> str:
    text = record.get(code)
    if isinstance(text, str) and text.strip():
        return text
    found = "is missing" if code not in record else "is empty" if text in (None, "") else f"is {text!r}"
    raise CorpusError(f"{path.name} row {row}: the {code!r} text {found}; expected a text in every language")


def _cleaned(column: str, value, where: str = "") -> str | int:
    """A side column's value: answers without thousands commas or a bare .0, difficulty a whole number."""
    text = "" if value is None else str(value).strip()
    if column == "answer":
        bare = text.replace(",", "")
        return bare.removesuffix(".0") if bare.replace(".", "").lstrip("-").isdigit() else text
    if column == "difficulty":
        if not text.isdecimal():
            raise CorpusError(f"{where} has difficulty {text!r}; expected a whole number, 0 for unknown")
        return int(text)
    return text


def _lines(path: Path) -> list[str]:
    lines = [line.removesuffix("\r") for line in _decoded(path).split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path.name} row {row} is not UTF-8 (byte 0x{data[error.start]:02x} at {error.start}); "
            "save the file as UTF-8"
        ) from error


_READERS = {
    ".csv": _delimited_records,
    ".tsv": _delimited_records,
    ".jsonl": _json_records,
    ".parquet": _parquet_records,
}


def _suffixes() -> str:
    *others, last = _READERS
    return f"{', '.join(others)} or {last}"

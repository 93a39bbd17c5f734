"""Rows of a file as a stream: lines, and records (field -> value) of CSV, TSV, JSON lines and Parquet.

Conventions, alike for all formats. Rows are counted from 1, as editors do; a record that runs over lines
has the number of its first one. Text is UTF-8, or UTF-16 with a byte-order mark (Excel's "Unicode text");
byte-order marks at the start are dropped, nothing else is normalised. Lines end in LF, CR LF or, in a file
without line feeds, CR; Unicode's own line separators occur inside texts. Empty lines at the end of a file
are no rows.

CSV is quoted strictly; the separator is the comma, semicolon or tab that the header has most of. In a TSV a
field is quoted, as pandas and Excel write it, where it begins with a quote and ends with one, quotes inside
doubled; other quotes are characters like others. Empty lines between records are skipped, unless there is
one column only.

Nothing is read beyond the rows that are taken, and of Parquet no other columns than those kept.
"""

import contextlib
import csv
import io
import json
import math
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NoReturn

from ..errors import CorpusError

Record = tuple[int, dict[str, object]]  # row, field -> value
NESTED = "translation"  # the field in which corpora of the Hugging Face hub have the languages
_QUOTED = re.compile(r'"((?:[^"]|"")*+)"(?=[\t\r\n]|\Z)')
_UNCLOSED = re.compile(r'"(?:[^"]|"")*+\Z')
_LONGEST = 1000  # lines of a quoted field of a TSV: a quote that is not closed by then is a character
_LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit, 131,072, is less than a long document
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNDECODED = re.compile("[\udc80-\udcff]")
_PLAIN = re.compile(r"[^\t\r\n]*")
_INVISIBLE = ("Zs", "Zl", "Zp", "Cc", "Cf")  # Unicode categories: spaces, controls, zero-width signs
_FILLERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # letters and signs by category, but blank on paper
_EMPTY = ([], [""])  # fields of a line without any sign
_CHUNK = 2**20  # bytes
_BATCH = 1024  # rows of a Parquet file


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: white space, zero-width signs, byte-order marks and fillers only."""
    return all(unicodedata.category(sign) in _INVISIBLE or sign in _FILLERS for sign in text)


def is_unicode(text: str) -> bool:
    """Whether a text is without halves of surrogate pairs, which no encoding of Unicode can write."""
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def suffixes() -> str:
    """Suffixes of the formats that `read` knows, in words."""
    *others, last = _STREAMS
    return f"{', '.join(others)} or {last}"


def is_known(path: Path) -> bool:
    """Whether `read` knows the format by the file's suffix, in either case."""
    return path.suffix.lower() in _STREAMS


def read(path: Path, keep: Callable[[str], bool], limit: int | None = None) -> tuple[list[str], list[Record]]:
    """Names of all fields of a file, and its first `limit` records (None: all) with the fields to keep.

    Raises CorpusError where the file cannot be read, or a row of these is broken.
    """
    with _stream(path, keep) as (names, records):
        rows = list(islice(records, limit))
        return list(names), rows


def count(path: Path) -> int:
    """Number of records of a file; of a Parquet file without reading it."""
    if path.suffix.lower() == ".parquet":
        with _parquet(path) as file:
            return file.metadata.num_rows
    with _stream(path, lambda name: False) as (_, records):
        return sum(1 for _ in records)


def lines(path: Path, *, trailing: bool = False) -> Iterator[str]:
    """Lines of a text file without their ends; with `trailing` also the empty ones at its end.

    Raises CorpusError where the file cannot be read or decoded, or ends some lines in CR and others in LF.
    """
    empty, first = 0, ""
    for row, line in enumerate(_physical_lines(path), start=1):
        text = line.rstrip("\r\n")
        end = line[len(text) :]
        first = first or end
        if end and (end == "\r") != (first == "\r"):
            raise CorpusError(
                f"{path.name} row {row} ends in {_named(end)}, row 1 in {_named(first)}; end all rows in "
                "line feeds, and remove carriage returns inside of rows."
            )
        if text or trailing:
            yield from [""] * empty
            empty = 0
            yield text
        else:
            empty += 1


def count_lines(path: Path) -> int:
    """Number of lines of a text file but the empty ones at its end; bytes are counted, not decoded."""
    with _opened(path) as stream:
        if stream.read(2) in _UTF_16:
            return sum(1 for _ in lines(path))
        end = _first_end(stream)
        stream.seek(0)
        found, pending, is_empty = 0, 0, True
        while chunk := stream.read(_CHUNK):
            if content := chunk.rstrip(b"\r\n"):
                found, pending, is_empty = found + pending + content.count(end), 0, False
            pending += chunk.count(end, len(content))
    return 0 if is_empty else found + 1


def _first_end(stream: BinaryIO) -> bytes:
    """CR where the first line ends in nothing but that, else LF."""
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        if found := re.search(rb"[\r\n]", chunk):
            following = chunk[found.end() : found.end() + 1] or stream.read(1)
            return b"\r" if found[0] == b"\r" and following != b"\n" else b"\n"
    return b"\n"


@contextlib.contextmanager
def _stream(path: Path, keep: Callable[[str], bool]) -> Iterator[tuple[list[str], Iterator[Record]]]:
    with contextlib.closing(_STREAMS.get(path.suffix.lower(), _csv_records)(path, keep)) as records:
        yield next(records), records


# Readers: a generator of the names of all fields, a list, and then of the records with the fields to keep.


def _csv_records(path: Path, keep: Callable[[str], bool]) -> Iterator:
    source = _physical_lines(path)
    first = next(source, "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    separator = max(",;\t", key=unquoted.count)
    is_spaced = all(name.startswith(" ") for name in unquoted.split(separator)[1:])  # as in "en, de"
    csv.field_size_limit(_LONGEST_FIELD)  # of the module, for want of one of the reader
    reader = csv.reader(chain([first], source), delimiter=separator, skipinitialspace=is_spaced, strict=True)
    return _delimited_records(path, _csv_rows(path, reader), keep)


def _tsv_records(path: Path, keep: Callable[[str], bool]) -> Iterator:
    return _delimited_records(path, _tsv_rows(path), keep)


def _delimited_records(path: Path, rows: Iterator[tuple[int, list[str]]], keep: Callable) -> Iterator:
    """Records of rows of fields; the first row is the header."""
    header = next((fields for _, fields in rows if fields not in _EMPTY), [])
    header = [name.strip() for name in header]
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        raise CorpusError(f"{path.name} row 1 names a column twice: {shown(header)}")
    yield header
    kept = [(i, name) for i, name in enumerate(header) if name and keep(name)]
    empty: list[int] = []
    for row, fields in rows:
        if fields in _EMPTY:
            empty.append(row)
            continue
        if len(header) == 1:
            yield from ((earlier, {name: "" for _, name in kept}) for earlier in empty)
        empty.clear()
        if len(fields) != len(header):
            raise CorpusError(
                f"{path.name} row {row} has {len(fields)} fields, its header {len(header)} "
                f"({shown(header)}). Quote fields that contain the separator."
            )
        yield row, {name: fields[i] for i, name in kept}


def _csv_rows(path: Path, reader) -> Iterator[tuple[int, list[str]]]:
    while True:
        row = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise CorpusError(
                f"{path.name} row {row} is not valid CSV: {error}. A field that begins with a "
                "quote ends with one; quotes inside are doubled."
            ) from error
        if fields is None:
            return
        yield row, fields


def _tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    source, ahead, row = _physical_lines(path), deque(), 1
    while (line := ahead.popleft() if ahead else next(source, None)) is not None:
        if '"' in line:
            fields, n_lines = _quoted_fields(path, row, line, source, ahead)
        else:
            fields, n_lines = line.rstrip("\r\n").split("\t"), 1
        yield row, fields
        row += n_lines


def _quoted_fields(path: Path, row: int, text: str, source: Iterator[str], ahead: deque) -> tuple[list, int]:
    """Fields of a line of a TSV with quotes, and how many lines they take; `ahead` has lines read before."""
    fields, position, n_lines = [], 0, 1
    while True:
        if _UNCLOSED.match(text, position):
            more = _closing(text[position:], source, ahead)
            text, n_lines = text + "".join(more), n_lines + len(more)
            if more and "\t" in _QUOTED.match(text, position)[1]:
                raise CorpusError(
                    f"{path.name} row {row} begins a field with a quote that closes {len(more)} lines on, "
                    "behind a tab: one field over several lines, or several rows with single quotes? Write "
                    "the table as CSV, or one text file per language."
                )
        if quoted := _QUOTED.match(text, position):
            fields.append(quoted[1].replace('""', '"'))
            position = quoted.end()
        else:
            plain = _PLAIN.match(text, position)
            fields.append(plain[0])
            position = plain.end()
        if text[position : position + 1] != "\t":
            return fields, n_lines
        position += 1


def _closing(text: str, source: Iterator[str], ahead: deque) -> list[str]:
    """Further lines by which an open quoted field closes; none where it does not and its quote is a sign."""
    more = []
    while len(more) < _LONGEST and (line := ahead.popleft() if ahead else next(source, None)) is not None:
        more.append(line)
        if '"' in line and not _UNCLOSED.match(whole := text + "".join(more)):
            if _QUOTED.match(whole):
                return more
            break
    ahead.extendleft(reversed(more))
    return []


def _json_records(path: Path, keep: Callable[[str], bool]) -> Iterator:
    names: dict[str, None] = {}
    yield names
    for row, line in enumerate(lines(path), start=1):
        if line.strip():
            record = _json_object(path, row, line)
            names.update(dict.fromkeys(record))
            yield row, {name: value for name, value in record.items() if keep(name)}


def _json_object(path: Path, row: int, line: str) -> dict:
    try:
        record = json.loads(line, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"{path.name} row {row} is not valid JSON: {error.msg} at character {error.pos + 1}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path.name} row {row} cannot be read as JSON: {error}") from error
    if not isinstance(record, dict):
        raise CorpusError(f'{path.name} row {row} is not a JSON object; expected {{"en": ..., "zh": ...}}')
    return _flat(path, row, record)


def _unique(pairs: list[tuple[str, object]]) -> dict:
    names = [name for name, _ in pairs]
    if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
        raise ValueError(f"it has the field {repeated[0]!r} twice")
    return dict(pairs)


def _flat(path: Path, row: int, record: dict) -> dict:
    """A record with the languages of its field `translation` as fields of their own."""
    nested = record.get(NESTED)
    if not isinstance(nested, dict):
        return record
    if both := sorted(nested.keys() & record.keys()):
        raise CorpusError(f"{path.name} row {row} has {both[0]!r} inside and outside of {NESTED!r}")
    return {name: value for name, value in record.items() if name != NESTED} | nested


def _parquet_records(path: Path, keep: Callable[[str], bool]) -> Iterator:
    with _parquet(path) as file:
        nested = _nested_names(file)
        top = file.schema_arrow.names
        names = [name for name in top if name != NESTED or not nested] + nested
        if len(set(names)) < len(names):
            raise CorpusError(f"{path.name} names a column twice: {shown(names)}")
        yield names
        columns = [name for name in top if keep(name)]
        columns += [NESTED] if any(map(keep, nested)) else []
        row = 0
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
            for record in batch.to_pylist():
                row += 1
                kept = _flat(path, row, record) if nested else record
                yield row, {name: _present(value) for name, value in kept.items() if keep(name)}


def _nested_names(file) -> list[str]:
    from pyarrow import types

    schema = file.schema_arrow
    if NESTED not in schema.names or not types.is_struct(schema.field(NESTED).type):
        return []
    return [field.name for field in schema.field(NESTED).type]


def _present(value: object) -> object:
    """None for the NaN by which pandas writes a missing number."""
    return None if isinstance(value, float) and math.isnan(value) else value


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CorpusError(f'{path.name} is a Parquet file: `pip install "zspace[hub]"` to read it.') from None
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=_CHUNK) as file:
            yield file
    except CorpusError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise CorpusError(f"{path.name} is not a Parquet file that can be read: {cause[0]}") from error


# Text


def _physical_lines(path: Path) -> Iterator[str]:
    """Lines with their ends, decoded; a lone CR ends one too."""
    with _opened(path) as stream:
        form = ("utf-16", "strict") if stream.read(2) in _UTF_16 else ("utf-8", "surrogateescape")
        stream.seek(0)
        text = io.TextIOWrapper(stream, *form, newline="")
        row = 0
        try:
            for row, line in enumerate(text, start=1):
                if "\0" in line or (not line.isascii() and _UNDECODED.search(line)):
                    _refuse(path, row, line)
                yield line.lstrip("\ufeff") if row == 1 else line
        except UnicodeError as error:
            raise CorpusError(
                f"{path.name} row {row + 1} is not UTF-16, as its byte-order mark says: {error}; save the "
                "file as UTF-8"
            ) from error


def _refuse(path: Path, row: int, line: str) -> NoReturn:
    """Say which byte of a line is no UTF-8."""
    if "\0" in line:
        raise CorpusError(
            f"{path.name} row {row} has a NUL: this is no text, or UTF-16 without a byte-order mark; "
            "save the file as UTF-8"
        )
    byte = ord(_UNDECODED.search(line)[0]) - 0xDC00
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        position = error.start
    raise CorpusError(
        f"{path.name} row {row} is not UTF-8 (byte 0x{byte:02x} at {position}); save the file as UTF-8"
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}") from error


def _named(end: str) -> str:
    return {"\r": "a carriage return", "\n": "a line feed", "\r\n": "a carriage return and line feed"}[end]


def shown(names: Iterable[str]) -> str:
    """Names for an error message: the first twenty, long ones cut."""
    names = list(names)
    cut = [name if len(name) <= 40 else f"{name[:40]}…" for name in names[:20]]
    return ", ".join(cut) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


_STREAMS = {
    ".csv": _csv_records,
    ".tsv": _tsv_records,
    ".jsonl": _json_records,
    ".parquet": _parquet_records,
}

"""Kinds of damage to a file: each a function (path, rng) that harms it, or False where it does not apply.

Those of BYTES suit any file; those of TREES a JSON, JSON-lines or YAML file, of which they change one node;
those of TABLES a CSV or TSV; those of ARRAYS a file of named arrays.
"""

import gzip
import json
import os
import pickle
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

Fault = Callable[[Path, np.random.Generator], object]


class Trap:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def trap_of(path: Path) -> Path:
    """The file that exists if somebody unpickled what lies at `path`."""
    return path.with_name("sprung")


def _bytes(change: Callable[[bytes, np.random.Generator], bytes]) -> Fault:
    def harm(path: Path, rng: np.random.Generator) -> None:
        path.write_bytes(change(path.read_bytes(), rng))

    return harm


def _at(content: bytes, rng) -> int:
    return int(rng.integers(len(content))) if content else 0


def _insert(content: bytes, rng, added: bytes) -> bytes:
    at = _at(content, rng)
    return content[:at] + added + content[at:]


def _flip(content: bytes, rng) -> bytes:
    harmed = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 4, 32]))):
        harmed[_at(content, rng)] ^= int(rng.integers(1, 256))
    return bytes(harmed)


def _delete(content: bytes, rng) -> bytes:
    at = _at(content, rng)
    return content[:at] + content[at + int(rng.integers(1, 9)) :]


def _zero(content: bytes, rng) -> bytes:
    at, length = _at(content, rng), int(rng.integers(1, 64))
    return (content[:at] + b"\0" * length + content[at + length :])[: len(content)]


def _directory(path: Path, _rng) -> None:
    path.unlink()
    path.mkdir()


def _unreadable(path: Path, _rng) -> object:
    if os.geteuid() == 0:
        return False  # the superuser may read all
    path.chmod(0)
    return None


def _loop(path: Path, _rng) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _dangling(path: Path, _rng) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _renamed(path: Path, rng) -> None:
    path.rename(path.with_suffix(str(rng.choice([".bin", ".bak", "", ".txt"]))))


def _utf16(content: bytes, rng) -> bytes:
    text = content.decode("latin-1")
    return text.encode(str(rng.choice(["utf-16", "utf-16-le", "utf-16-be"])))


def _pickled(path: Path, _rng) -> None:
    path.write_bytes(pickle.dumps({"en": Trap(trap_of(path))}))


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + b"\0" * 17 + b"\0\0\0\0IEND\xaeB`\x82"
BYTES: dict[str, Fault] = {
    "truncation": _bytes(lambda c, rng: c[: _at(c, rng)]),
    "byte flip": _bytes(_flip),
    "byte insertion": _bytes(lambda c, rng: _insert(c, rng, rng.bytes(int(rng.integers(1, 9))))),
    "byte deletion": _bytes(_delete),
    "zeroed block": _bytes(_zero),
    "emptied file": _bytes(lambda c, rng: b""),
    "doubled content": _bytes(lambda c, rng: c + c),
    "directory in place of file": _directory,
    "missing file": lambda path, rng: path.unlink(),
    "no permission": _unreadable,
    "symlink loop": _loop,
    "dangling symlink": _dangling,
    "wrong suffix": _renamed,
    "foreign PNG": _bytes(lambda c, rng: PNG),
    "foreign gzip": _bytes(lambda c, rng: gzip.compress(c, mtime=0)),
    "foreign zlib": _bytes(lambda c, rng: zlib.compress(c)),
    "foreign pickle": _pickled,
    "invalid UTF-8": _bytes(lambda c, rng: _insert(c, rng, b"\xff\xfe\xc3")),
    "UTF-16": _bytes(_utf16),
    "byte-order mark": _bytes(lambda c, rng: b"\xef\xbb\xbf" + c),
    "NUL bytes": _bytes(lambda c, rng: _insert(c, rng, b"\0" * 3)),
    "other line ends": _bytes(lambda c, rng: c.replace(b"\n", rng.choice([b"\r", b"\r\n", b"\n\n"]))),
    "very long line": _bytes(lambda c, rng: _insert(c, rng, b"x" * 200_000)),
}


# Trees: one node of a JSON or YAML file is replaced.

HUGE = [10**30, -(10**30), 2**63, 1e308, 10**9]
VALUES: dict[str, Callable] = {
    "huge number": lambda old, rng: HUGE[int(rng.integers(len(HUGE)))],
    "negative number": lambda old, rng: int(rng.choice([-1, -7])),
    "zero": lambda old, rng: 0,
    "fraction": lambda old, rng: 0.5,
    "NaN": lambda old, rng: float("nan"),
    "infinity": lambda old, rng: float(rng.choice([np.inf, -np.inf])),
    "null": lambda old, rng: None,
    "boolean": lambda old, rng: True,
    "text for a value": lambda old, rng: str(rng.choice(["", "x", "../../etc/passwd", "1", "$x {y} %s"])),
    "list for a value": lambda old, rng: [old],
    "mapping for a value": lambda old, rng: {"x": old},
    "empty list": lambda old, rng: [],
    "empty mapping": lambda old, rng: {},
    "very long string": lambda old, rng: "x" * 100_000,
    "lone surrogate": lambda old, rng: "a\ud800b",
    "NUL in a string": lambda old, rng: "a\0b",
}


def _nodes(tree: object, above: tuple = ()) -> list[tuple]:
    """Paths of all nodes below the root."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in inner for path in ((*above, key), *_nodes(value, (*above, key)))]


def _parent(tree: object, path: tuple) -> object:
    for key in path[:-1]:
        tree = tree[key]
    return tree


class _Document:
    """A file as a tree, and back: JSON, JSON lines (a list of their trees), or YAML."""

    def __init__(self, path: Path):
        self.path, text = path, path.read_text("utf-8")
        self.kind = {".jsonl": "lines", ".yaml": "yaml"}.get(path.suffix, "json")
        if self.kind == "lines":
            self.tree = [json.loads(line) for line in text.splitlines()]
        else:
            self.tree = yaml.safe_load(text) if self.kind == "yaml" else json.loads(text)

    def write(self, edit: Callable[[str], str] = lambda text: text) -> None:
        if self.kind == "lines":
            text = "".join(json.dumps(one) + "\n" for one in self.tree)
        else:
            text = json.dumps(self.tree, indent=1)  # JSON is YAML too
        self.path.write_text(edit(text), encoding="utf-8", errors="surrogatepass")


def _tree(change: Callable[[_Document, tuple, np.random.Generator], object]) -> Fault:
    def harm(path: Path, rng: np.random.Generator) -> object:
        document = _Document(path)
        if not (nodes := _nodes(document.tree)):
            return False
        shallow = [node for node in nodes if len(node) <= 3]  # a vocabulary has thousands of nodes below
        change(document, shallow[int(rng.integers(len(shallow)))], rng)
        return None

    return harm


def _replaced(make: Callable) -> Fault:
    def change(document: _Document, node: tuple, rng) -> None:
        parent = _parent(document.tree, node)
        parent[node[-1]] = make(parent[node[-1]], rng)
        document.write()

    return _tree(change)


def _without(document: _Document, node: tuple, _rng) -> None:
    del _parent(document.tree, node)[node[-1]]
    document.write()


def _with_more(document: _Document, node: tuple, _rng) -> None:
    parent = _parent(document.tree, node)
    if isinstance(parent, dict):
        parent["unheard_of"] = {"deep": [1, None]}
    else:
        parent.append(parent[0])
    document.write()


def _key_renamed(document: _Document, node: tuple, rng) -> None:
    parent = _parent(document.tree, node)
    if isinstance(parent, dict):
        name = ["", "x" * 300, "../../x", "a\0b", "é", "__class__"][int(rng.integers(6))]
        parent[name] = parent.pop(node[-1])
    document.write()


def _doubled_key(document: _Document, node: tuple, _rng) -> None:
    def edit(text: str) -> str:
        key = re.search(r'"[^"]*": ', text)
        return text.replace("{", "{" + (key[0] if key else '"x": ') + "1, ", 1)

    document.write(edit)


def _nested(document: _Document, node: tuple, rng) -> None:
    parent, deep = _parent(document.tree, node), int(rng.choice([200, 5000, 100_000]))
    parent[node[-1]] = "@deep@"
    brackets = ("[", "]") if rng.random() < 0.5 else ('{"a":', "}")
    middle = "" if brackets[0] == "[" else "1"
    document.write(lambda text: text.replace('"@deep@"', brackets[0] * deep + middle + brackets[1] * deep))


def _other_root(document: _Document, _node: tuple, rng) -> None:
    document.tree = [[], {}, "x", 3, None, [1, 2], [[]]][int(rng.integers(7))]
    document.kind = "json"
    document.write()


TREES: dict[str, Fault] = {
    **{name: _replaced(make) for name, make in VALUES.items()},
    "missing field": _tree(_without),
    "extra field": _tree(_with_more),
    "renamed field": _tree(_key_renamed),
    "duplicate key": _tree(_doubled_key),
    "deep nesting": _tree(_nested),
    "another root": _tree(_other_root),
}


# Tables.


def _lines(change: Callable[[list[str], int, str, np.random.Generator], object]) -> Fault:
    def harm(path: Path, rng: np.random.Generator) -> None:
        lines = path.read_text("utf-8").split("\n")[:-1]
        mark = "\t" if path.suffix == ".tsv" else ","
        change(lines, int(rng.integers(len(lines))), mark, rng)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return harm


def _set(lines: list[str], row: int, text: str) -> None:
    lines[row] = text


TABLES: dict[str, Fault] = {
    "ragged row": _lines(lambda ls, i, mark, rng: _set(ls, i, ls[i] + mark + "x")),
    "short row": _lines(lambda ls, i, mark, rng: _set(ls, i, ls[i].partition(mark)[0])),
    "open quote": _lines(lambda ls, i, mark, rng: _set(ls, i, '"' + ls[i])),
    "empty row": _lines(lambda ls, i, mark, rng: ls.insert(i, "")),
    "lost row": _lines(lambda ls, i, mark, rng: ls.pop(i)),
    "doubled column": _lines(lambda ls, i, mark, rng: _set(ls, 0, mark.join([ls[0].split(mark)[0]] * 3))),
    "no header": _lines(lambda ls, i, mark, rng: ls.pop(0)),
    "empty cell": _lines(lambda ls, i, mark, rng: _set(ls, i, mark + ls[i].partition(mark)[2])),
    "zero-width cell": _lines(lambda ls, i, mark, rng: _set(ls, i, "\u200b\ufeff")),
}


# Arrays: `change` gets the arrays by name and one of the names.


def _arrays(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Fault:
    def harm(path: Path, rng: np.random.Generator) -> object:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
        name = list(arrays)[int(rng.integers(len(arrays)))]
        arrays[name] = change(arrays[name], rng)
        np.savez(path, **arrays)
        return None

    return harm


def _with_value(value: object) -> Callable:
    def change(array: np.ndarray, rng) -> np.ndarray:
        if not array.size or not np.issubdtype(array.dtype, np.floating):
            return np.full(array.shape, value)
        changed = array.copy()
        changed.flat[int(rng.integers(array.size))] = value
        return changed

    return change


ARRAYS: dict[str, Fault] = {
    "array of another shape": _arrays(lambda a, rng: np.repeat(np.atleast_1d(a), 2, axis=0)),
    "array cut": _arrays(lambda a, rng: np.atleast_1d(a)[:-1]),
    "array turned": _arrays(lambda a, rng: np.ascontiguousarray(a.T)),
    "array with an axis more": _arrays(lambda a, rng: a[None]),
    "scalar": _arrays(lambda a, rng: np.float32(3)),
    "no numbers at all": _arrays(lambda a, rng: np.zeros((0, 3))),
    "array of texts": _arrays(lambda a, rng: np.array(["x", "y"])),
    "array of objects": _arrays(lambda a, rng: np.array([{"x": 1}, None], dtype=object)),
    "complex numbers": _arrays(lambda a, rng: np.zeros(a.shape, complex)),
    "booleans": _arrays(lambda a, rng: np.ones(a.shape, bool)),
    "whole numbers": _arrays(lambda a, rng: np.ones(a.shape, np.int64)),
    "NaN in an array": _arrays(_with_value(np.nan)),
    "infinity in an array": _arrays(_with_value(np.inf)),
}

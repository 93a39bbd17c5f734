"""Corpora of odd sizes and shapes as files, and states that are noise of each text, for scripts of notebooks.

The state of a text is a random walk whose seed is the text: equal texts have equal states, in whichever
language, and all others are independent, so that nothing is shared.
"""

import json
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

SYLLABLES = [c + v for c in "bcdfgklmnprstvz" for v in "aeiou"]


def sentences(n: int, codes: Sequence[str], seed: int = 0) -> dict[str, list[str]]:
    """n texts of made-up words in each language."""
    r = random.Random(seed)

    def text() -> str:
        words = ("".join(r.choices(SYLLABLES, k=r.randint(1, 3))) for _ in range(r.randint(4, 9)))
        return " ".join(words)

    return {code: [text() for _ in range(n)] for code in codes}


def folder(path: Path, texts: Mapping[str, Sequence[str]]) -> Path:
    """A folder of one file per language."""
    path.mkdir()
    for code, rows in texts.items():
        (path / f"{code}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def table(path: Path, texts: Mapping[str, Sequence[str]], **columns: Sequence) -> Path:
    """A JSONL file with a field per language and further columns."""
    fields = {**texts, **columns}
    rows = [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


SIZES = (6, 7, 9, 12, 15, 24, 60)
_TWO = ("en", "de")


def _levels(n_scenarios: int, n_levels: int) -> dict[str, list]:
    n = range(n_scenarios * n_levels)
    return {"scenario": [f"s{i // n_levels}" for i in n], "difficulty": [1 + i % n_levels for i in n]}


def all_of_them(root: Path) -> Iterator[tuple[str, str, str]]:
    """Name, path and languages of every odd corpus, written below `root`."""
    english, german = sentences(24, _TWO).values()
    folders = {f"rows-{n}": sentences(n, _TWO) for n in (3, *SIZES)}
    folders |= {
        "odd-codes": sentences(24, ("eng_Latn", "zho_Hans", "swh_Latn", "pt-BR")),
        "unknown-six": sentences(45, ("aa", "bb", "cc", "dd", "ee", "ff")),
        "known-six-of-9": sentences(9, ("en", "zh", "fr", "sw", "es", "de")),
        "known-six-of-45": sentences(45, ("en", "zh", "fr", "sw", "es", "de")),
        "templates": {
            c: [f"In {c} he has {i} apples and sells some at noon" for i in range(20)] for c in _TWO
        },
        "one-text": {c: ["the same text"] * 12 for c in _TWO},
        "same-in-both": {"en": english, "de": english},
        "each-row-twice": {"en": english[:9] * 2, "de": german[:9] * 2},
        "one-language": {"en": english},
    }
    for name, texts in folders.items():
        yield name, str(folder(root / name, texts)), ",".join(texts)
    sizes = (1, 2, 3, 4, 5, 1, 2, 3, 4, 6)
    unequal = [f"s{i}" for i, size in enumerate(sizes) for _ in range(size)]
    tables = {
        "one-scenario": {"scenario": ["s"] * 30},
        "unequal-scenarios": {"scenario": unequal},
        "pairs-of-rows": {"scenario": [f"s{i // 2}" for i in range(16)]},
        "levels-3-by-2": _levels(3, 2),
        "levels-4-by-2": _levels(4, 2),
        "levels-12-by-3": _levels(12, 3),
        "levels-12-by-1": _levels(12, 1),
        "levels-incomplete": {**_levels(6, 3), "difficulty": [1, 2, 2, *_levels(5, 3)["difficulty"]]},
    }
    for name, columns in tables.items():
        texts = sentences(len(columns["scenario"]), _TWO, seed=1)
        yield name, str(table(root / f"{name}.jsonl", texts, **columns)), ",".join(_TWO)


def noise_states(layers: int, width: int):
    """A stand-in for `subjects.open_states`: walks of `layers` steps, and the words' hashes as token ids."""

    def open_states(model, corpus, wanted, *, poolings=("mean",), **_):
        texts = [corpus.texts[code] for code in corpus.languages]
        words = [[[zlib.crc32(w.encode()) % 5000 for w in t.split()] for t in rows] for rows in texts]
        longest = max(len(ids) for rows in words for ids in rows)
        ids = np.array([[row + [-1] * (longest - len(row)) for row in rows] for rows in words])
        found = {}
        for one in (subject for subject in wanted if subject.kind != "re-rounded"):
            seeds = [f"{one.name} {pooling} " for pooling in poolings]
            states = [
                [np.stack([_walk(s + t, layers, width) for t in rows], 1) for s in seeds] for rows in texts
            ]
            found[one] = xr.Dataset(
                {
                    "states": (
                        ("language", "pooling", "layer", "item", "hidden"),
                        np.array(states, np.float32),
                    ),
                    "token_ids": (("language", "item", "token"), ids),
                },
                coords={"language": list(corpus.languages), "pooling": list(poolings)},
            )
        return found

    return open_states


def _walk(name: str, layers: int, width: int) -> np.ndarray:
    steps = np.random.default_rng(zlib.crc32(name.encode())).standard_normal((layers + 1, width))
    return np.cumsum(steps, axis=0)

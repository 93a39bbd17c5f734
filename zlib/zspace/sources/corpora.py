"""Parallel texts: row i of every language is the same item.

`load` gives a `Corpus` from the built-in number stories (`stories`), from a folder or file (`tables` reads
it), or from the Hugging Face hub (`hosted` fetches it). n: number of items. The anchor language is English
where it is there, else the first one.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import CorpusError, ParameterError
from ..files import fingerprint
from . import hosted, near_duplicates, pictures, stories, tables
from . import languages as codes_of

BUILT_IN = "number-stories"
BUILT_INS = (BUILT_IN, pictures.NAME)
ITEM_COLUMNS = ("item", "scenario", "category", "difficulty", "answer", "group")
# the version in which a corpus is read for the sensitivity of a result to its numbers
OTHER_VERSION = {"spelled-out": "digits", "digits": "spelled-out", "masked": "as-is", "as-is": "masked"}
_STORIES_VERSION = "spelled-out"
MASK = "#"  # stands for every number of a masked text, in every language

_AHEAD, _FURTHEST = 8, 512  # rows read beyond those asked for: at first, and where that is not enough

_THOUSANDS = r"\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+(?!\d)(?:[.,]\d+)?"
_NUMBER = re.compile(rf"{_THOUSANDS}|\d+(?:[.,'’٬٫]\d+)*")  # \d is any Unicode decimal digit


@dataclass(frozen=True, eq=False)
class Corpus:
    """Parallel texts with their table of items.

    texts : by language, n texts.
    items : n rows with `item` (unique), `scenario`, `category`, `difficulty` (0 = unknown), `answer`
        ("" = unknown) and `group`, the unit within which within-scenario retrieval compares.
    has_scenarios : False where each row or near-duplicate group is its own scenario, so that retrieval
        within a scenario is not testable.
    pool : the scenarios of the source in its order, whatever rows were selected, at least up to the triple
        in which the last row's is; fixes the split. One that a later row joins to an earlier one stays in it.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    texts: dict[str, tuple[str, ...]]
    items: pd.DataFrame
    has_scenarios: bool
    pool: tuple[str, ...] = ()

    def __post_init__(self):
        lengths = {code: len(self.texts[code]) for code in self.languages}
        if set(lengths.values()) != {len(self.items)}:
            raise CorpusError(
                f"{self.name}: {len(self.items)} items, but texts by language {lengths}; expected as many"
            )
        if missing := [column for column in ITEM_COLUMNS if column not in self.items]:
            raise CorpusError(f"{self.name}: the items lack the columns {', '.join(missing)}")
        if not self.items["item"].is_unique:
            repeated = self.items["item"][self.items["item"].duplicated()].iloc[0]
            raise CorpusError(f"{self.name}: item {repeated!r} occurs twice; ids must be unique")

    def __len__(self) -> int:
        return len(self.items)

    @property
    def fingerprint(self) -> str:
        """Hash of all texts and items."""
        return fingerprint([[code, self.language_fingerprint(code)] for code in self.languages])

    def language_fingerprint(self, language: str) -> str:
        """Hash of one language's texts and the items; adding a language leaves it as it was."""
        items = self.items.loc[:, list(ITEM_COLUMNS)].to_dict("list")
        return fingerprint([language, list(self.texts[language]), items])

    def select(self, rows: np.ndarray) -> "Corpus":
        """The corpus of the given rows (integer positions or an (n,) mask), in that order."""
        rows = np.asarray(rows)
        if rows.dtype == bool and rows.shape != (len(self),):
            raise ParameterError(f"mask of shape {rows.shape} for {len(self)} items; expected ({len(self)},)")
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(int)
        texts = {code: tuple(self.texts[code][i] for i in rows) for code in self.languages}
        return replace(self, texts=texts, items=self.items.iloc[rows].reset_index(drop=True))

    def split(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Masks (n,) of the discovery third and of the confirmation items; no scenario is in both.

        Choosing a layer needs little, a verdict much: one scenario of each three neighbours in the
        source's order is for discovery, by the SHA-256 of their names. A scenario keeps its side
        whatever rows, draws or further scenarios are loaded (unless a further row joins it to another
        one); a last one or two are for confirmation.
        """
        pool = self.pool or tuple(dict.fromkeys(self.items["scenario"]))
        digest = {name: hashlib.sha256(f"{seed}\n{name}".encode()).digest() for name in pool}
        triples = zip(pool[::3], pool[1::3], pool[2::3], strict=False)
        discovery = {min(triple, key=digest.__getitem__) for triple in triples}
        mask = self.items["scenario"].isin(discovery).to_numpy(dtype=bool)
        return mask, ~mask


def load(
    name_or_path: str | Path,
    languages: Sequence[str] | str | None = None,
    *,
    version: str | None = None,
    n_scenarios: int | None = None,
    n_draws: int = 4,
    difficulty: int | Sequence[int] = 2,
    padding: str = "none",
    seed: int = 0,
    n_items: int | None = None,
    block: int = 1,
) -> Corpus:
    """A corpus by name or path, in the given languages (a sequence, or a string "en,zh"; None: all).

    Parameters
    ----------
    name_or_path : "number-stories"; "picture-names", or CLDR's folder `common`, which has them in more
        languages; a folder of `<lang>.txt`, `mgsm_<lang>.tsv`, `<lang>.devtest` (FLORES) or
        `<corpus>.<lang>-<lang>.<lang>` (OPUS); a .csv, .tsv, .jsonl or .parquet file with one column or field
        per language; a name of params/corpora.yaml or its Hugging Face id ("mgsm", "juletxara/mgsm").
    languages : any codes that mean a language that is there: zh, zho, zh-CN or zho_Hans (`languages.find`).
        The corpus has them as they were asked for.
    version : number stories: "spelled-out" (default) or "digits". Others: "as-is" or "masked", each
        number replaced by one sign; masked by default where any text has a digit, because digits are
        tokens that languages share. None and "" ask for the default.
    n_scenarios, n_draws, difficulty, padding, seed : which number stories; see `stories.generate`.
    n_items : first rows of another corpus (default and 0: all). Few others are read: those that the last
        triple of the split needs (at most 512), and of files that pair by line how many rows they have.
    block : neighbours that belong together in another corpus without scenarios, such as the
        sentences of one article: rows are grouped in blocks of this many.

    Raises
    ------
    CorpusError : unknown corpus or language, unreadable, empty, repeated or misaligned rows.
    ParameterError : a version or number that the corpus does not have.
    """
    codes = None if languages is None else codes_of.parse(languages)
    if str(name_or_path) == BUILT_IN:
        size = {"n_scenarios": n_scenarios, "n_draws": n_draws, "difficulty": difficulty, "seed": seed}
        return _stories(codes or stories.languages(), version or _STORIES_VERSION, padding, **size)
    path = Path(name_or_path)
    if str(path) == pictures.NAME or pictures.is_annotations(path):
        folder = None if str(path) == pictures.NAME else path
        read = functools.partial(pictures.read, codes, folder)
        return _foreign(pictures.NAME, read, version or None, n_items or None, block)
    if not _exists(path) and (found := hosted.find(str(name_or_path))):
        paths, columns = hosted.fetch(found, codes)
        read = functools.partial(tables.read_files, paths, columns)
        return _foreign(found.name, read, version or None, n_items or None, block)
    read = functools.partial(tables.read, path, codes)
    return _foreign(path.stem, read, version or None, n_items or None, block)


def label(name_or_path: str, version: str = "", padding: str = "none") -> str:
    """What the ledger calls a corpus: its name (of a file or folder: without where it lies) and version.

    "" stands for the default version, which only the texts tell where they are not the number stories: the
    label is then the name alone.
    """
    if name_or_path == BUILT_IN:
        return f"{_stories_name(padding)}/{version or _STORIES_VERSION}"
    hub = hosted.find(name_or_path)
    name = hub.name if hub else Path(name_or_path).stem
    name = pictures.NAME if pictures.is_annotations(Path(name_or_path)) else name
    return f"{name}/{version}" if version else name


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for a path
        return False


def _stories(codes: Sequence[str], version: str, padding: str, **size) -> Corpus:
    """The number stories, in languages of any code that means one of theirs."""
    written = [codes_of.find(code, stories.languages()) or code for code in codes]
    if len(set(written)) < len(written):
        raise CorpusError(f"languages={list(codes)!r}: two are the same of {BUILT_IN}; ask for one")
    told, items = stories.generate(tuple(written), version=version, padding=padding, **size)
    texts = {code: told[name] for code, name in zip(codes, written, strict=True)}
    pool = tuple(scenario.name for scenario in stories.scenarios())
    return Corpus(_stories_name(padding), version, tuple(codes), texts, items, True, pool)


def _stories_name(padding: str) -> str:
    """The padded stories are another corpus: their states and verdicts stand beside the others."""
    return BUILT_IN if padding in ("", "none") else f"{BUILT_IN}-padded-{padding}"


def mask_numbers(text: str) -> str:
    """The text with each number, in the digits of any script, replaced by one neutral sign.

    A number includes its thousands separators and decimals: "1,250.5" and "1 250,5" are one each.
    """
    return _NUMBER.sub(MASK, text)


def near_duplicate_groups(texts: Sequence[str], *, threshold: float = 0.4, size: int = 4) -> np.ndarray:
    """Label (n,) of each text's group: the position of the first text in it.

    Texts are linked when the Jaccard similarity of their sets of character n-grams of `size` signs (lower
    case, numbers masked) is at least `threshold`; groups are the connected components, so that similarity
    carries over chains. Time grows with n², memory with n.
    """
    return near_duplicates.search(list(map(mask_numbers, texts)), threshold=threshold, size=size)[0]


def _foreign(
    name: str,
    read: Callable[[int | None], tables.Table],
    version: str | None,
    n_items: int | None,
    block: int,
) -> Corpus:
    if version not in (None, "as-is", "masked"):
        raise ParameterError(f"version={version!r}; {name} can be read as-is or masked")
    if block < 1:
        raise ParameterError(f"block={block}; expected at least 1 row")
    if n_items is not None and n_items < 1:
        raise ParameterError(f"n_items={n_items}; expected at least 1, or 0 for all")
    table, items, pool = _read_whole_triples(read, n_items, block)
    if n_items is not None and n_items > len(items):
        raise ParameterError(f"n_items={n_items}; {name} has 1 to {len(items)}")
    texts = {code: tuple(rows[:n_items]) for code, rows in table.texts.items()}
    has_digits = any(_NUMBER.search(text) for rows in texts.values() for text in rows)
    version = version or ("masked" if has_digits else "as-is")
    if version == "masked":
        texts = {code: tuple(map(mask_numbers, rows)) for code, rows in texts.items()}
    items = items.iloc[:n_items].reset_index(drop=True)
    return Corpus(name, version, tuple(texts), texts, items, "scenario" in table.columns, pool)


def _read_whole_triples(
    read: Callable[[int | None], tables.Table], n_items: int | None, block: int
) -> tuple[tables.Table, pd.DataFrame, tuple[str, ...]]:
    """Table, items and pool of the first rows, read on until the last triple of the split is whole."""
    ahead = _AHEAD
    while True:
        table = read(None if n_items is None else n_items + ahead)
        items, pool = _items(table, block)
        if n_items is None or table.pool or len(items) < n_items + ahead or ahead >= _FURTHEST:
            break
        n_asked = int((pool.index < n_items).sum())
        if len(pool) >= n_asked + -n_asked % 3:
            break
        ahead *= 8
    return table, items, tuple(pool)


def _items(table: tables.Table, block: int) -> tuple[pd.DataFrame, pd.Series]:
    """Items of a table, and its scenarios by the row at which each begins: given ones, or groups, or our own.

    Our own begin at a row that is like none before it. A later row may join two of them: both then have the
    name of the first one, and the second stays in the pool, so that what follows keeps its place in a triple.
    """
    n = len(next(iter(table.texts.values())))
    columns = table.columns
    items = pd.DataFrame({"item": columns.get("item") or [str(i) for i in range(1, n + 1)]})
    scenario = columns.get("scenario") or columns.get("group")
    if scenario is None:
        texts = table.texts[codes_of.anchor(list(table.texts))]
        groups, is_like_earlier = near_duplicates.search(list(map(mask_numbers, texts)))
        rows = np.arange(n)
        ends = np.r_[rows - rows % block, groups]
        scenario = items["item"].iloc[near_duplicates.component_starts(np.tile(rows, 2), ends, n)].tolist()
        pool = items["item"][(rows % block == 0) & ~is_like_earlier]
    else:
        pool = pd.Series(table.pool or scenario, dtype=object).drop_duplicates()
    items["scenario"] = scenario
    for column, absent in {"category": "", "difficulty": 0, "answer": ""}.items():
        items[column] = columns.get(column, absent)
    by_level = items["scenario"] + "-" + items["difficulty"].astype(str)
    items["group"] = columns.get("group") or (by_level if "scenario" in columns else items["scenario"])
    return items, pool

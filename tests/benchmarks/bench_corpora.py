"""Cost of the first rows of a large corpus, and of the search for near-duplicates.

The first 50 of a million pairs of sentences are compared with pandas, which reads the whole table, and those
of two text files, whose rows are counted, with reading and splitting both. The search is compared with the
plain product of all pairs, which finds the same.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
from harness import Row, compare
from sklearn.feature_extraction.text import CountVectorizer
from zspace.sources import corpora, near_duplicates

N_ROWS, N_FIRST = 10**6, 50


def rows(pairs: int) -> Iterator[Row]:
    """All comparisons of this file."""
    with tempfile.TemporaryDirectory() as folder:
        yield first_rows_of_a_table(Path(folder), pairs)
        yield first_rows_of_texts(Path(folder), pairs)
    yield near_duplicates_of_sentences(pairs)


def sentences(n: int, seed: int = 0) -> list[str]:
    """Sentences of made-up words, as frequent as words are: few of them often, most seldom."""
    rng = np.random.default_rng(seed)
    words = np.array([_word(i) for i in range(5000)])
    frequency = 1 / np.arange(1, len(words) + 1)
    return [" ".join(rng.choice(words, size=14, p=frequency / frequency.sum())) for _ in range(n)]


def _word(i: int) -> str:
    digest = hashlib.sha256(f"{i}".encode()).hexdigest().translate(str.maketrans("0123456789", "ghijklmnop"))
    return digest[: 2 + i % 7]


def first_rows_of_a_table(folder: Path, pairs: int) -> Row:
    """Table of two languages."""
    path = folder / "pairs.csv"
    lines = [f"{en},{de}\n" for en, de in zip(sentences(10**4), sentences(10**4, seed=1), strict=True)]
    path.write_text("en,de\n" + "".join(lines) * (N_ROWS // 10**4), encoding="utf-8")

    def candidate():
        return corpora.load(path, "en,de", n_items=N_FIRST)

    def whole_table():
        return pd.read_csv(path).head(N_FIRST)

    assert list(candidate().texts["de"]) == whole_table()["de"].tolist()
    what = f"pandas.read_csv of {N_ROWS} rows, then head / corpora.load of the first {N_FIRST}"
    return compare(what, candidate, whole_table, at_least=5, pairs=pairs)


def first_rows_of_texts(folder: Path, pairs: int) -> Row:
    """Folder of two text files, whose rows are counted."""
    texts = folder / "texts"
    texts.mkdir()
    for seed, code in enumerate(("en", "de")):
        block = "".join(f"{text}\n" for text in sentences(10**4, seed=seed))
        (texts / f"{code}.txt").write_text(block * (N_ROWS // 10**4), encoding="utf-8")

    def candidate():
        return corpora.load(texts, "en,de", n_items=N_FIRST)

    def whole_files():
        return {path.stem: path.read_text("utf-8").split("\n")[:N_FIRST] for path in texts.iterdir()}

    assert {code: list(rows) for code, rows in candidate().texts.items()} == whole_files()
    what = f"two text files of {N_ROWS} rows read and split / corpora.load of the first {N_FIRST}"
    return compare(what, candidate, whole_files, at_least=2, pairs=pairs)


def near_duplicates_of_sentences(pairs: int) -> Row:
    """Search among sentences."""
    texts = sentences(4000)

    def candidate():
        return near_duplicates.search(texts)[0]

    def all_pairs():
        counts = CountVectorizer(analyzer=_grams, binary=True, dtype=np.int32).fit_transform(texts)
        common = (counts @ counts.T).toarray()
        sizes = np.diff(counts.indptr)
        similar = common >= 0.4 * (sizes[:, None] + sizes[None, :] - common)
        _, labels = scipy.sparse.csgraph.connected_components(scipy.sparse.csr_array(similar), directed=False)
        return np.unique(labels, return_index=True)[1][labels]

    np.testing.assert_array_equal(candidate(), all_pairs())
    return compare(
        "scikit-learn's CountVectorizer, all pairs at once / near-duplicates in blocks",
        candidate,
        all_pairs,
        at_least=1.5,
        pairs=pairs,
    )


def _grams(text: str) -> list[str]:
    padded = f" {text} "
    return [padded[i : i + 4] for i in range(len(padded) - 3)]

"""Texts that are nearly alike, found exactly among all pairs, in blocks of rows.

Two texts are linked where the Jaccard similarity of their sets of character n-grams reaches a threshold t.
n texts have sets x_1 to x_n. A pair that reaches it shares at least a = t/(1+t) (|x| + |y|) n-grams. Most
pairs share only n-grams that many texts have; so each text leaves out fewer than t|x| of its most frequent
ones, a product of sparse matrices counts what else it shares with earlier texts, and pairs that could still
reach a are counted in full (prefix filtering: Bayardo, Ma and Srikant 2007, "Scaling up all pairs
similarity search", WWW).
"""

from array import array
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from ..errors import ParameterError

_ENTRIES = 2**21  # pairs of a block of rows
_PAIRS = 2**16  # pairs that are counted in full at a time
_BUSY = 20  # a row that may be like more than one of so many texts is counted against all


def search(texts: Sequence[str], *, threshold: float = 0.4, size: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Groups (n,) of texts by the position of their first one, and whether each is like an earlier text.

    Texts are linked where the Jaccard similarity of their sets of n-grams of `size` signs is at least
    `threshold`; groups are the connected components. Time grows with n², memory with n.

    Raises ParameterError for a threshold outside of (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ParameterError(f"threshold={threshold}; a Jaccard similarity is in (0, 1]")
    positions: dict[str, list[int]] = {}
    for position, text in enumerate(texts):
        positions.setdefault(" ".join(text.lower().split()), []).append(position)
    first = np.array([found[0] for found in positions.values()], dtype=int)
    groups_of_different, is_like_other = _search_different(list(positions), threshold, size)
    groups, is_like_earlier = np.zeros(len(texts), dtype=int), np.ones(len(texts), dtype=bool)
    for group, found in zip(groups_of_different, positions.values(), strict=True):
        groups[found] = first[group]
    is_like_earlier[first] = is_like_other
    return groups, is_like_earlier


def _search_different(texts: Sequence[str], threshold: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of texts that all differ, in lower case with single spaces."""
    n = len(texts)
    sets = _gram_sets(texts, size)
    rare = _without_frequent(sets, threshold)
    groups, is_like_earlier = np.arange(n), np.zeros(n, dtype=bool)
    height = max(1, _ENTRIES // max(n, 1))
    for start in range(0, n, height):
        rows, columns = _similar_before(sets, rare, start, min(start + height, n), threshold)
        is_like_earlier[rows] = True
        groups = component_starts(np.r_[np.arange(n), rows], np.r_[groups, columns], n)
    return groups, is_like_earlier


def component_starts(rows: np.ndarray, columns: np.ndarray, n: int) -> np.ndarray:
    """First member (n,) of each one's component in the graph of n positions linked rows to columns."""
    links = scipy.sparse.csr_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(n, n))
    if not n:
        return np.zeros(0, dtype=int)
    _, labels = scipy.sparse.csgraph.connected_components(links, directed=False)
    _, first = np.unique(labels, return_index=True)
    return first[labels]


def _gram_sets(texts: Sequence[str], size: int) -> scipy.sparse.csr_array:
    """(n, vocabulary) 1 where a text has an n-gram."""
    vocabulary: dict[str, int] = {}
    columns, starts = array("i"), array("q", [0])
    for text in texts:
        padded = f" {text} ".ljust(size)
        grams = {padded[i : i + size] for i in range(len(padded) - size + 1)}
        columns.extend(vocabulary.setdefault(gram, len(vocabulary)) for gram in grams)
        starts.append(len(columns))
    ones, shape = np.ones(len(columns), dtype=np.int32), (len(texts), len(vocabulary))
    return scipy.sparse.csr_array((ones, np.array(columns, dtype=np.int32), np.array(starts)), shape=shape)


def _without_frequent(sets: scipy.sparse.csr_array, threshold: float) -> scipy.sparse.csr_array:
    """The sets less their most frequent n-grams, fewer of each than `threshold` of it."""
    counts = np.diff(sets.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    frequency = np.bincount(sets.indices, minlength=sets.shape[1])[sets.indices]
    order = np.lexsort((frequency, rows))
    rank = np.arange(sets.nnz) - sets.indptr[rows]
    kept = order[rank < (counts - np.ceil(threshold * counts).astype(int) + 1)[rows]]
    entries = sets.data[kept], (rows[kept], sets.indices[kept])
    return scipy.sparse.csr_array(entries, shape=sets.shape)


def _similar_before(
    sets: scipy.sparse.csr_array, rare: scipy.sparse.csr_array, start: int, stop: int, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a text from start to stop and an earlier one that are similar."""
    counts = np.diff(sets.indptr)
    left_out = counts - np.diff(rare.indptr)
    row, column, shared = _products(rare, np.arange(start, stop), sets, stop)
    least = threshold / (1 + threshold) * (counts[row] + counts[column])
    maybe = shared + left_out[row] >= least - 1e-6  # the bound is rounded, the decision below is not
    row, column = row[maybe], column[maybe]
    is_busy = np.bincount(row, minlength=stop) > stop / _BUSY
    few = ~is_busy[row]
    parts = [
        _counted(sets, row[few][i : i + _PAIRS], column[few][i : i + _PAIRS])
        for i in range(0, few.sum(), _PAIRS)
    ]
    parts.append(_products(sets, np.flatnonzero(is_busy), sets, stop))
    row, column, shared = (np.concatenate(values) for values in zip(*parts, strict=True))
    similar = shared >= threshold * (counts[row] + counts[column] - shared)
    return row[similar], column[similar]


def _products(left, rows: np.ndarray, sets, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, earlier row and how many n-grams are in both, of some rows of `left` and all of `sets` before."""
    found = (left[rows] @ sets[:stop].T).tocoo()
    row = rows[found.row]
    before = found.col < row
    return row[before], found.col[before], found.data[before]


def _counted(sets, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return row, column, np.asarray(sets[row].multiply(sets[column]).sum(axis=1)).ravel()

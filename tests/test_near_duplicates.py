"""Near-duplicates are found exactly, in blocks, and at a bounded cost of memory."""

import tracemalloc

import numpy as np
import pytest
from zspace.sources import near_duplicates

SYLLABLES = ["ba", "du", "ki", "lo", "me", "na", "po", "ri", "su", "te"]


def random_texts(rng: np.random.Generator, n: int, n_words: int = 40) -> list[str]:
    """Texts of few words, so that many pairs are alike and many nearly so."""
    words = ["".join(rng.choice(SYLLABLES, size=rng.integers(1, 4))) for _ in range(n_words)]
    return [" ".join(rng.choice(words, size=rng.integers(1, 9))) for _ in range(n)]


def by_brute_force(texts: list[str], threshold: float, size: int) -> tuple[list[int], list[bool]]:
    """Every pair, and labels spread along the links until nothing changes."""
    sets = [
        {p[i : i + size] for i in range(len(p) - size + 1)} for p in (f" {t} ".ljust(size) for t in texts)
    ]
    n = len(texts)
    links = [
        (i, j)
        for i in range(n)
        for j in range(i)
        if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])
    ]
    label, changed = list(range(n)), True
    while changed:
        changed = False
        for i, j in links:
            if label[i] != label[j]:
                label[i] = label[j] = min(label[i], label[j])
                changed = True
    return label, [any(i == row for i, _ in links) for row in range(n)]


@pytest.mark.parametrize(("size", "threshold"), [(2, 0.5), (2, 0.75), (4, 0.25), (4, 0.4), (4, 1.0)])
def test_search_equals_every_pair_compared(rng, monkeypatch, size, threshold):
    texts = random_texts(rng, 160)
    groups, is_like_earlier = by_brute_force(texts, threshold, size)
    assert len(set(groups)) > 1
    assert any(is_like_earlier)
    for entries in (2**21, 160 * 7):  # one block, and blocks of seven rows
        monkeypatch.setattr(near_duplicates, "_ENTRIES", entries)
        found = near_duplicates.search(texts, threshold=threshold, size=size)
        assert found[0].tolist() == groups
        assert found[1].tolist() == is_like_earlier
    assert (
        near_duplicates.search(texts[::-1], threshold=threshold, size=size)[0].tolist() != groups
    )  # control


def test_search_of_texts_without_links_or_without_texts(rng):
    groups, is_like_earlier = near_duplicates.search(["one thing", "another matter", "", "x"])
    assert groups.tolist() == [0, 1, 2, 3]
    assert not is_like_earlier.any()
    assert [found.size for found in near_duplicates.search([])] == [0, 0]
    groups, is_like_earlier = near_duplicates.search(["Red  fox", "blue sky", "red fox "])
    assert groups.tolist() == [0, 1, 0]
    assert is_like_earlier.tolist() == [False, False, True]


def peak_of_search(texts: list[str]) -> int:
    """Bytes of memory at most."""
    tracemalloc.start()
    near_duplicates.search(texts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_of_search_grows_with_texts_not_with_pairs(rng, monkeypatch):
    n = 2000
    texts = random_texts(rng, n, n_words=500)
    monkeypatch.setattr(near_duplicates, "_ENTRIES", 2**15)
    assert peak_of_search(texts) < 5000 * n
    monkeypatch.setattr(near_duplicates, "_ENTRIES", n**2)  # control: all pairs at once
    assert peak_of_search(texts) > 16_000 * n


@pytest.mark.full
def test_memory_of_search_of_many_texts_is_bounded(rng):
    assert peak_of_search(random_texts(rng, 12_000, n_words=3000)) < 2**28  # bytes; a pair at 8 bytes: 1.2 GB

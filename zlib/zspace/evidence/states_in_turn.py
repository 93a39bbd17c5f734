"""States of language pairs that are in memory one pair at a time, however many languages there are.

Every notebook goes through its pairs one after another. The states of one under all subjects are 20 to 30
times those of its two languages; those of 70 pairs would fill the memory of a large machine.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


class StatesInTurn(Mapping[str, Pair]):
    """Subject -> states (x, y) of one pair, read when asked for and kept until another pair's are.

    readers : subject -> what reads, or makes, its states; the same each time.
    """

    _holder: ClassVar[Callable[[], "StatesInTurn | None"]] = staticmethod(lambda: None)

    def __init__(self, readers: Mapping[str, Callable[[], Pair]]):
        self._readers, self._kept = dict(readers), {}

    def __getitem__(self, name: str) -> Pair:
        read = self._readers[name]
        if name not in self._kept:
            self._take_turn()
            self._kept[name] = read()
        return self._kept[name]

    def __contains__(self, name: object) -> bool:
        return name in self._readers  # that of Mapping would read the states

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def _take_turn(self) -> None:
        last = StatesInTurn._holder()
        if last is not self:
            if last is not None:
                last._kept.clear()
            StatesInTurn._holder = weakref.ref(self)


def adding(
    subjects: Mapping[str, Pair], made: Mapping[str, Callable[[Mapping[str, Pair]], Pair]]
) -> Mapping[str, Pair]:
    """Subjects and further ones that are made from them: at once, or when asked for if they are in turn.

    made : name -> what makes its states from the mapping of all subjects; later ones may use earlier ones.
    """
    if isinstance(subjects, StatesInTurn):
        found = StatesInTurn(subjects._readers)
        found._readers |= {name: (lambda make=make: make(found)) for name, make in made.items()}
        return found
    found = dict(subjects)
    for name, make in made.items():
        found[name] = make(found)
    return found

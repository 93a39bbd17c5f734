"""States of pairs are read when asked for, kept while their pair is looked at, and forgotten after it."""

import numpy as np
import pytest
from zspace.evidence.states_in_turn import StatesInTurn, adding


class Shelf:
    """Pairs of arrays that know how often they were read."""

    def __init__(self, *names):
        self.reads = dict.fromkeys(names, 0)

    def readers(self):
        def read(name):
            self.reads[name] += 1
            return np.full(2, len(name)), np.zeros(2)

        return {name: (lambda name=name: read(name)) for name in self.reads}


def test_states_are_read_once_while_their_pair_is_looked_at():
    one, other = Shelf("a", "bb"), Shelf("a")
    first, second = StatesInTurn(one.readers()), StatesInTurn(other.readers())
    assert (list(first), len(first), "a" in first, "c" in first) == (["a", "bb"], 2, True, False)
    assert one.reads == {"a": 0, "bb": 0}
    for _ in range(3):
        assert first["bb"][0].tolist() == [2, 2]
        assert first["a"][0].tolist() == [1, 1]
    assert one.reads == {"a": 1, "bb": 1}
    second["a"]
    assert first._kept == {}
    assert {**first}["bb"][0].tolist() == [2, 2]
    assert one.reads == {"a": 2, "bb": 2}
    assert second._kept == {}
    with pytest.raises(KeyError):
        first["c"]


def test_states_of_a_pair_that_is_gone_are_not_kept():
    shelf = Shelf("a")
    first = StatesInTurn(shelf.readers())
    first["a"]
    del first
    assert StatesInTurn._holder() is None


@pytest.mark.parametrize("in_turn", [True, False])
def test_made_subjects_are_made_from_the_others(in_turn):
    shelf = Shelf("a")
    given = StatesInTurn(shelf.readers()) if in_turn else {"a": shelf.readers()["a"]()}
    twice = {"b": lambda found: tuple(2 * s for s in found["a"]), "c": lambda found: found["b"][::-1]}
    found = adding(given, twice)
    assert list(found) == ["a", "b", "c"]
    assert found["c"][1].tolist() == [2, 2]
    assert shelf.reads == {"a": 1}
    assert list(given) == ["a"]

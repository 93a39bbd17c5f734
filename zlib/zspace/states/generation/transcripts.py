"""What a generated text says: whether it goes round in circles, its answer, the class of each token.

Symbols: T tokens of one continuation. Nothing here needs a model, only its tokenizer.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np

CLASSES = ("word", "digit", "operator", "punctuation", "newline")
NGRAM = 8  # tokens; shorter ones also return in texts that get on, such as "= 12 \\n He"
LOOPING_SHARE = 0.3  # of n-grams that stood there before
LOOPING_COMPRESSION = 0.2  # bytes after compression to bytes before
SENTENCE_ENDS = "\n.!?।。！？"
_RESULT = re.compile(r"=\s*(-?\d+)")
_EQUATION = re.compile(r"(-?\d+)\s*([-+*/])\s*(\d+)\s*=\s*(-?\d+)")


def last_result(text: str) -> str | None:
    """The number behind the last equals sign of a worked solution, or None where there is none."""
    found = _RESULT.findall(text)
    return found[-1] if found else None


def equations(text: str) -> list[tuple[str, ...]]:
    """Quantity, sign, number and result of each equation of a worked solution, in their order.

    >>> equations("He sold 12 of the 64 hats. 64 - 12 = 52")
    [('64', '-', '12', '52')]
    """
    return _EQUATION.findall(text)


def repeated_share(tokens: Sequence[int], n: int = NGRAM) -> float:
    """Share of the n-grams of a text that stood in it before: 0 without repetition, towards 1 in a loop."""
    tokens = [int(token) for token in tokens]
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def compression_ratio(text: str) -> float:
    """Bytes of the compressed text to its own; near .5 in prose, far below in a loop, above 1 if short."""
    raw = text.encode()
    return len(zlib.compress(raw, 9)) / len(raw) if raw else 1.0


def is_looping(tokens: Sequence[int], text: str) -> bool:
    """Whether a text repeats itself by either measure: such a trace shows the loop, not the task."""
    return repeated_share(tokens) > LOOPING_SHARE or compression_ratio(text) < LOOPING_COMPRESSION


def sentence_numbers(pieces: Sequence[str]) -> np.ndarray:
    """Number of the sentence that each token is in, from 0: (T,) int.

    A sentence ends with the token that has a line break or a mark that ends sentences; the equation behind a
    sentence of a worked solution, up to its line break, so is one of its own.
    """
    ends = [any(c in SENTENCE_ENDS for c in piece) for piece in pieces]
    return np.concatenate([[0], np.cumsum(ends)[:-1]]).astype(int)


def answer_steps(pieces: Sequence[str]) -> np.ndarray:
    """Whether each token is a digit of a result, behind an equals sign in its line: (T,) bool."""
    found, behind = np.zeros(len(pieces), bool), False
    for t, piece in enumerate(pieces):
        if behind and any(c.isdigit() for c in piece.split("\n")[0]):
            found[t] = True
        elif found[t - 1] or "\n" in piece:
            behind = False
        behind = "=" in piece or (behind and "\n" not in piece)
    return found


def line_numbers(pieces: Sequence[str]) -> np.ndarray:
    """Number of the line that each token is in, from 0: (T,) int; of a worked solution, of its step."""
    return np.concatenate([[0], np.cumsum(["\n" in piece for piece in pieces])[:-1]]).astype(int)


def token_classes(tokenizer, tokens: Sequence[int]) -> np.ndarray:
    """Class of each token by what it spells: (T,) int8 indices into CLASSES.

    A token with a line break is a newline, with a digit a digit, with a sign of arithmetic (+ - * / =) and no
    letter an operator, without any letter punctuation; all else, pieces of letters included, are words.
    """
    known: dict[int, int] = {}
    for token in set(map(int, tokens)):
        known[token] = CLASSES.index(_class_of(tokenizer.decode([token])))
    return np.array([known[int(token)] for token in tokens], np.int8)


def _class_of(piece: str) -> str:
    if "\n" in piece:
        return "newline"
    if any(c.isdigit() for c in piece):
        return "digit"
    # marks of Indic and Thai vowels; a part of a character decodes to the replacement sign
    if any(c.isalpha() or unicodedata.category(c) in ("Mn", "Mc") or c == "\ufffd" for c in piece):
        return "word"
    return "operator" if any(c in "+-*/=" for c in piece) else "punctuation"

"""Subjects: what a measurement is made on, a trained model or a variant of it with other weights.

`KINDS` is the one list of variants. A seed tells variants of one kind apart; the trained model has none.
"""

import re
from dataclasses import dataclass

from ...errors import ParameterError

KINDS = ("trained", "random", "random-blocks", "permuted-embeddings", "re-rounded")


@dataclass(frozen=True)
class Subject:
    """The trained model, by default, or a variant: its `kind`, one of KINDS, and its seed.

    Raises ParameterError for an unknown kind, a variant without a seed or a trained model with one.
    """

    kind: str = KINDS[0]
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.seed is None) != (self.kind == KINDS[0]):
            known = ", ".join([KINDS[0], *(f"{kind}-SEED" for kind in KINDS[1:])])
            raise ParameterError(f"unknown variant {self.name!r}; known: {known} (SEED a whole number).")

    @property
    def name(self) -> str:
        """Its label in tables, figures and files: "trained", "random-0", "permuted-embeddings-1"."""
        return self.kind if self.seed is None else f"{self.kind}-{self.seed}"

    @classmethod
    def parse(cls, name: str) -> "Subject":
        """The subject of that name; raises ParameterError where there is none."""
        kind, seed = re.fullmatch(r"(.*?)(?:-(0|[1-9][0-9]*))?", name, re.DOTALL).groups()
        return cls(kind, None if seed is None else int(seed))


TRAINED = Subject()


def kind_of(name: str) -> str | None:
    """Kind of the subject of that name; None for anything else, such as "shuffled pairing"."""
    try:
        return Subject.parse(name).kind
    except ParameterError:
        return None

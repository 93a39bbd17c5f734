"""A language model in memory: its parts, what identifies its numbers, and its tokens.

A `LanguageModel` holds a transformer with L blocks and hidden size d, its tokenizer and the
parts that `capture` hooks. Importing this module imports neither torch nor transformers.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ... import files
from ...errors import ModelError
from . import blocks, kinds, weights
from .kinds import CAUSAL, Kind
from .subject import TRAINED, Subject

if TYPE_CHECKING:
    import torch
    from torch import nn

_CONSTRUCTION = ("sources/models/baselines.py", "sources/models/rounding.py", "sources/models/blocks.py")
_VERSIONS = ("torch", "transformers", "tokenizers")
_DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A transformer in evaluation mode, its tokenizer and its anatomy.

    `network` is the whole language model; `trunk` yields its last hidden state without the LM
    head; `blocks` are its L blocks; `final_norm` follows h_L. `subject` says which weights it has: the
    trained ones, or those of a variant. `dtype` is "float32" or "bfloat16"; `device` is where token ids go.
    `source` identifies the weights, `origin` says where they lie (None for a network made in memory).
    `has_head` is False where the files hold the trunk alone: such a model has states and writes nothing.
    `kind` says which way its tokens look and whether its states are a residual stream.
    """

    name: str
    revision: str
    subject: Subject
    network: "nn.Module"
    tokenizer: object
    trunk: "nn.Module"
    blocks: tuple["nn.Module", ...]
    final_norm: "nn.Module"
    dtype: str
    device: "torch.device"
    source: dict = field(repr=False)
    origin: weights.Source | None = field(default=None, repr=False)
    has_head: bool = True
    kind: Kind = CAUSAL

    @property
    def n_layers(self) -> int:
        """L; states have L+1 layers."""
        return len(self.blocks)

    @property
    def hidden_size(self) -> int:
        """d, the width of the residual stream."""
        return blocks.hidden_size(self.network)

    def identity(self) -> dict:
        """All that decides this model's numbers, JSON-serialisable; equals `identity(name, ...)`."""
        return _identity(self.name, self.source | self.kind.identity(), self.subject, self.dtype)

    @property
    def padding_id(self) -> int:
        """Token id that fills rows up: any will do, as no token sees it and it is never taken for content."""
        known = self.tokenizer.pad_token_id
        rows = self.network.get_input_embeddings().weight.shape[0]
        return known if known is not None and known < rows else 0

    def check_unchanged(self) -> None:
        """Raise ModelError where the files of the weights are no longer those that were loaded.

        Weights in memory may still be those on disk, mapped: an edit in place changes both.
        """
        if self.origin is not None and weights.identify(self.origin) != self.source:
            raise ModelError(
                f"the files of {self.name} ({self.origin.location}) changed since it was loaded. Load it "
                "again, and leave its files alone while they are in use."
            )


def identity(
    name_or_path: str | os.PathLike, *, subject: Subject = TRAINED, dtype: str | None = None
) -> dict:
    """All that decides a model's numbers, without loading it (no torch); equals `load(...).identity()`.

    Raises ModelError for an unknown name or dtype.
    """
    source = weights.find(name_or_path)
    dtype = checked_dtype(dtype or source.dtype)
    return _identity(source.name, weights.identify(source) | kinds.labels(source), subject, dtype)


def end_tokens(name_or_path: str | os.PathLike) -> list[int]:
    """Ids that end what a model writes, where its identity does not cover them. Loads no model."""
    return weights.end_tokens(weights.find(name_or_path))


def possible(name_or_path: str | os.PathLike, subjects: Sequence[Subject]) -> list[Subject]:
    """Those of the subjects that a model has: re-roundings only where its weights are quantised."""
    quantised = weights.find(name_or_path).is_gguf
    return [one for one in subjects if quantised or one.kind != "re-rounded"]


def tokenize(
    model: LanguageModel, texts: Sequence[str], *, n_more: int | Sequence[int] = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Token ids (T,) int64 of each text and which are content (T,) bool: False for BOS and the like.

    Nothing is truncated. `n_more` tokens are still to follow the texts, or each of them. Raises ModelError
    naming the row of a text that is no valid Unicode, has no content token, a token that the model does not
    embed, or more tokens than the positions the model knows.
    """
    tokenizer = model.tokenizer
    encoded = _encoded(tokenizer, list(texts))
    n_rows = model.network.get_input_embeddings().weight.shape[0]
    # an unknown word is content, unless its token also plays BOS, EOS or padding
    unknown = {tokenizer.unk_token_id} - {getattr(tokenizer, f"{n}_token_id") for n in ("bos", "eos", "pad")}
    special = np.array(sorted(set(tokenizer.all_special_ids) - unknown), dtype=np.int64)
    longest = blocks.longest_text(model.network)
    parts = (encoded["input_ids"], encoded["special_tokens_mask"], np.broadcast_to(n_more, len(texts)))
    result = []
    for row, (ids, mask, more) in enumerate(zip(*parts, strict=True)):
        ids = np.asarray(ids, dtype=np.int64)
        content = ~(np.asarray(mask, dtype=bool) | np.isin(ids, special))
        if not content.any():
            raise ModelError(f"row {row}: {texts[row]!r} has no content token for {model.name}.")
        if ids.max() >= n_rows:
            token = tokenizer.convert_ids_to_tokens(int(ids.max()))
            raise ModelError(
                f"row {row}: token {token!r} has id {ids.max()}, {model.name} embeds ids below {n_rows}. Its "
                "tokenizer is of another model, or the text holds a token that this model does not have."
            )
        if longest and len(ids) + more > longest:
            raise ModelError(
                f"row {row}: {len(ids)} tokens{f' and {more} to come' if more else ''}, {model.name} knows "
                f"{longest} positions. {'Shorten it or ask for fewer steps' if more else 'Split it'}."
            )
        result.append((ids, content))
    return result


def _encoded(tokenizer, texts: list[str]) -> dict:
    for row, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ModelError(
                f"row {row}: {text!r} holds half of a character (U+{ord(text[error.start]):04X} at position "
                f"{error.start}), as a text cut within a UTF-16 pair does. Repair or remove it."
            ) from error
    try:
        return tokenizer(texts, padding=False, truncation=False, return_special_tokens_mask=True)
    except Exception as error:  # tokenizers raises bare exceptions
        raise ModelError(f"the tokenizer cannot read the texts: {weights.one_line(error)}") from error


def checked_dtype(dtype: str) -> str:
    """The dtype, if states can be captured in it; raises ModelError where they would overflow."""
    if dtype == "float16":
        raise ModelError(
            "float16 overflows at 65504 and residual streams come close (Gemma's reaches 4e4). "
            "Use bfloat16 for speed or float32 as the reference."
        )
    if dtype not in _DTYPES:
        raise ModelError(f"no dtype {dtype!r}; there are {', '.join(_DTYPES)}.")
    return dtype


def _identity(name: str, source: dict, subject: Subject, dtype: str) -> dict:
    return {
        "model": name,
        **source,
        **{"variant": subject.kind, "seed": subject.seed},
        **({} if subject == TRAINED else {"construction": files.code_fingerprint(*_CONSTRUCTION)}),
        "dtype": dtype,
        "versions": {package: weights.version_of(package) for package in _VERSIONS},
    }

"""A language model in memory: its parts, what identifies its numbers, and its tokens.

A `LanguageModel` holds a decoder-only transformer with L blocks and hidden size d, its tokenizer and the
parts that `capture` hooks. Importing this module imports neither torch nor transformers.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ModelError
from . import blocks, weights
from .subject import TRAINED, Subject

if TYPE_CHECKING:
    import torch
    from torch import nn

CONSTRUCTION = 1  # part of every baseline's identity; raise when a change of `baselines` changes its weights
_DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A decoder-only transformer in evaluation mode, its tokenizer and its anatomy.

    `network` is the whole causal language model; `trunk` yields its last hidden state without the LM
    head; `blocks` are its L blocks; `final_norm` follows h_L. `subject` says which weights it has: the
    trained ones, or those of a variant. `dtype` is "float32" or "bfloat16"; `device` is where token ids go.
    `source` identifies the weights, `origin` says where they lie (None for a network made in memory).
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
        return _identity(self.name, self.source, self.subject, self.dtype)


def identity(
    name_or_path: str | os.PathLike, *, subject: Subject = TRAINED, dtype: str | None = None
) -> dict:
    """All that decides a model's numbers, without loading it (no torch); equals `load(...).identity()`.

    Raises ModelError for an unknown name or dtype.
    """
    source = weights.find(name_or_path)
    dtype = checked_dtype(dtype or source.dtype)
    return _identity(source.name, weights.identify(source), subject, dtype)


def possible(name_or_path: str | os.PathLike, subjects: Sequence[Subject]) -> list[Subject]:
    """Those of the subjects that a model has: re-roundings only where its weights are quantised."""
    quantised = weights.find(name_or_path).is_gguf
    return [one for one in subjects if quantised or one.kind != "re-rounded"]


def tokenize(
    model: LanguageModel, texts: Sequence[str], *, n_more: int | Sequence[int] = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Token ids (T,) int64 of each text and which are content (T,) bool: False for BOS and the like.

    Nothing is truncated. `n_more` tokens are still to follow the texts, or each of them. Raises ModelError
    naming the row of a text without a content token, or with more tokens than the positions the model knows.
    """
    tokenizer = model.tokenizer
    encoded = tokenizer(list(texts), padding=False, truncation=False, return_special_tokens_mask=True)
    # an unknown word is content, unless its token also plays BOS, EOS or padding
    unknown = {tokenizer.unk_token_id} - {getattr(tokenizer, f"{n}_token_id") for n in ("bos", "eos", "pad")}
    special = np.array(sorted(set(tokenizer.all_special_ids) - unknown), dtype=np.int64)
    longest = getattr(model.network.config.get_text_config(), "max_position_embeddings", None)
    parts = (encoded["input_ids"], encoded["special_tokens_mask"], np.broadcast_to(n_more, len(texts)))
    result = []
    for row, (ids, mask, more) in enumerate(zip(*parts, strict=True)):
        ids = np.asarray(ids, dtype=np.int64)
        content = ~(np.asarray(mask, dtype=bool) | np.isin(ids, special))
        if not content.any():
            raise ModelError(f"row {row}: {texts[row]!r} has no content token for {model.name}.")
        if longest and len(ids) + more > longest:
            raise ModelError(
                f"row {row}: {len(ids)} tokens{f' and {more} to come' if more else ''}, {model.name} knows "
                f"{longest} positions. {'Shorten it or ask for fewer steps' if more else 'Split it'}."
            )
        result.append((ids, content))
    return result


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
        **({} if subject == TRAINED else {"construction": CONSTRUCTION}),
        "dtype": dtype,
        "versions": {package: weights.version_of(package) for package in ("torch", "transformers")},
    }

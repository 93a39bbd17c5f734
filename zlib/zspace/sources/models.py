"""Language models: loaded, verified, tokenised, and their twins with random weights.

A `LanguageModel` holds a decoder-only transformer with L blocks and hidden size d, its tokenizer and
the parts that `capture` hooks. `load` verifies the residual stream; `identity` says what decides a
model's numbers without loading it. The whole public interface is here: hooks come from `blocks`,
twins from `twins`. Importing this module imports neither torch nor transformers.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from . import blocks, fetching, twins, verification, weights
from .blocks import ReducingHooks
from .twins import (
    VARIANTS,
    check_variant,
    permuted_embeddings_twin,
    random_blocks_twin,
    random_twin,
    re_rounded_twin,
    twin,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "VARIANTS",
    "LanguageModel",
    "ReducingHooks",
    "identity",
    "load",
    "permuted_embeddings_twin",
    "random_blocks_twin",
    "random_twin",
    "re_rounded_twin",
    "tokenize",
    "twin",
]

_DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A decoder-only transformer in evaluation mode, its tokenizer and its anatomy.

    `network` is the whole causal language model; `trunk` yields its last hidden state without the LM
    head; `blocks` are its L blocks; `final_norm` follows h_L. `variant` is one of VARIANTS, `seed` that
    of a twin (None if trained). `dtype` is "float32" or "bfloat16"; `device` is where token ids go.
    `source` identifies the weights, `origin` says where they lie (None for a network made in memory).
    """

    name: str
    revision: str
    variant: str
    seed: int | None
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
        return _identity(self.name, self.source, self.variant, self.seed, self.dtype)


def load(
    name_or_path: str | os.PathLike, *, dtype: str | None = None, device: str = "cpu", verify: bool = True
) -> LanguageModel:
    """The language model of a registry name, hub id, folder or .gguf file, checked and ready to run.

    Parameters
    ----------
    name_or_path : see `params/models.yaml`; also "owner/name", "owner/name@revision", a folder with
        config.json and safetensors, a .gguf file.
    dtype : "float32" (reference) or "bfloat16"; None takes the registry's.
    device : "cpu", "cuda", "cuda:1", ..., "auto" (cuda if there is one), or "sharded" (over all devices).
    verify : run `verification.verify`, which refuses a model whose states are not a residual sum.

    Raises
    ------
    ModelError : unknown name, not a decoder-only model, unreadable files, or a failed check (named layer).
    WeightsUnavailableError : the weights cannot be reached from here; says what to do.
    """
    source = weights.find(name_or_path)
    dtype = _checked_dtype(dtype or source.dtype)
    placement = _placement(device)
    folder = fetching.fetch(source)
    _refuse_other_kinds(source.name, folder)
    network, tokenizer = _read(source.name, folder, dtype, placement)
    parts = _parts(source.name, network, verify)
    found = weights.identify(source)
    return LanguageModel(
        name=source.name,
        revision=found["revision"],
        variant="trained",
        seed=None,
        network=network,
        tokenizer=tokenizer,
        dtype=dtype,
        device=network.get_input_embeddings().weight.device,
        source=found,
        origin=source,
        **vars(parts),
    )


def identity(
    name_or_path: str | os.PathLike,
    *,
    variant: str = "trained",
    seed: int | None = None,
    dtype: str | None = None,
) -> dict:
    """All that decides a model's numbers, without loading it (no torch); equals `load(...).identity()`.

    Raises ModelError for an unknown name, variant or dtype, or a seed that does not fit the variant.
    """
    source = weights.find(name_or_path)
    check_variant(variant, seed)
    dtype = _checked_dtype(dtype or source.dtype)
    return _identity(source.name, weights.identify(source), variant, seed, dtype)


def longest_context(model: LanguageModel) -> int | None:
    """Positions that a model knows; None where its configuration does not say."""
    return getattr(model.network.config.get_text_config(), "max_position_embeddings", None)


def tokenize(model: LanguageModel, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Token ids (T,) int64 of each text and which are content (T,) bool: False for BOS and the like.

    Nothing is truncated. Raises ModelError naming the row of a text without a content token, or longer
    than the positions the model knows.
    """
    tokenizer = model.tokenizer
    encoded = tokenizer(list(texts), padding=False, truncation=False, return_special_tokens_mask=True)
    special = np.array(sorted(set(tokenizer.all_special_ids) - _plain_unknown(tokenizer)), dtype=np.int64)
    longest = longest_context(model)
    result = []
    for row, (ids, mask) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        ids = np.asarray(ids, dtype=np.int64)
        content = ~(np.asarray(mask, dtype=bool) | np.isin(ids, special))
        if not content.any():
            raise ModelError(f"row {row}: {texts[row]!r} has no content token for {model.name}.")
        if longest and len(ids) > longest:
            raise ModelError(
                f"row {row}: {len(ids)} tokens, {model.name} knows {longest} positions. Split it."
            )
        result.append((ids, content))
    return result


def _identity(name: str, source: dict, variant: str, seed: int | None, dtype: str) -> dict:
    versions = {package: weights.version_of(package) for package in ("torch", "transformers")}
    construction = {} if variant == "trained" else {"construction": twins.CONSTRUCTION}
    return {
        "model": name,
        **source,
        "variant": variant,
        "seed": seed,
        **construction,
        "dtype": dtype,
        "versions": versions,
    }


def _checked_dtype(dtype: str) -> str:
    if dtype == "float16":
        raise ModelError(
            "float16 overflows at 65504 and residual streams come close (Gemma's reaches 4e4). "
            "Use bfloat16 for speed or float32 as the reference."
        )
    if dtype not in _DTYPES:
        raise ModelError(f"no dtype {dtype!r}; there are {', '.join(_DTYPES)}.")
    return dtype


def _placement(device: str) -> dict:
    """Keyword arguments of `from_pretrained` that put the weights where `device` says."""
    import torch

    if device == "sharded":
        return {"device_map": "auto"}
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"no device {device!r} here ({str(error).splitlines()[0]}). "
            'Use "cpu", "auto", "sharded" or a device that torch lists.'
        ) from error
    return {"device_map": device}


def _refuse_other_kinds(name: str, folder: Path) -> None:
    """Refuse encoders and sequence-to-sequence models before their weights are read."""
    weights.import_quietly()
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{name}: transformers cannot read its configuration: {error}") from error
    masked = any(re.search("MaskedLM|PreTraining$", a) for a in config.architectures or ())
    if config.is_encoder_decoder or masked or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        kind = "a sequence-to-sequence" if config.is_encoder_decoder else "not a decoder-only"
        raise ModelError(
            f"{name} is {kind} model ({config.model_type}, {', '.join(config.architectures or ['?'])}). "
            "zspace follows one residual stream from left to right: use a causal (decoder-only) language "
            "model."
        )


def _read(name: str, folder: Path, dtype: str, placement: dict):
    """Network and tokenizer of a folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with weights.quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            network = AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(torch, dtype), use_safetensors=True, **placement
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{name}: transformers cannot read {folder}: {error}") from error
    network.eval().requires_grad_(False)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return network, tokenizer


def _parts(name: str, network: "nn.Module", verify: bool) -> blocks.Anatomy:
    try:
        parts = blocks.anatomy(network)
        if verify:
            verification.verify(network, parts)
    except ModelError as error:
        raise ModelError(f"{name} fails the checks made on loading. {error}") from error
    return parts


def _plain_unknown(tokenizer) -> set[int]:
    """The id of an unknown word: it is content, unless the same token also plays BOS, EOS or padding."""
    others = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    return {tokenizer.unk_token_id} - others

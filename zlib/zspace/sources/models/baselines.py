"""Variants of a language model: the same architecture and tokenizer with other weights.

Three kinds are baselines of everything measured on a model: `random` shows what architecture and tokens do
alone, `random-blocks` what trained embeddings do without trained blocks, `permuted-embeddings` what trained
blocks do with rows that mean something else. `re-rounded` is no baseline but the same model, with weights as
they may have been before they were quantised. Variants share memory with the trained model where they can
and never change it.
"""

import copy
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ModelError
from . import blocks, rounding, weights
from .language_model import LanguageModel
from .subject import KINDS, TRAINED, Subject

if TYPE_CHECKING:
    from torch import Tensor, nn

_BIN = 256  # token ids in one frequency bin of `permuted_embeddings_twin`


def twin(model: LanguageModel, subject: Subject) -> LanguageModel:
    """A subject made from the trained model: itself, or the variant asked for."""
    if subject == TRAINED:
        return model
    makers = (random_twin, random_blocks_twin, permuted_embeddings_twin, re_rounded_twin)
    return makers[KINDS[1:].index(subject.kind)](model, subject.seed)


def random_twin(model: LanguageModel, seed: int) -> LanguageModel:
    """Same architecture and tokenizer, all weights freshly initialised from the configuration.

    Initialised in float32 on the CPU from a generator of its own and then rounded and moved, so a seed
    means the same weights on any device; the global random state is left as it was.
    """
    return _as_twin(model, _fresh(model, seed), Subject("random", seed))


def random_blocks_twin(model: LanguageModel, seed: int) -> LanguageModel:
    """Trained embeddings (all that makes h_0, shared in memory), fresh blocks and final norm."""
    network = _fresh(model, seed)
    parts = blocks.anatomy(network)
    fresh = {id(p) for part in (*parts.blocks, parts.final_norm) for p in part.parameters()}
    for name, parameter in list(network.named_parameters(remove_duplicate=False)):
        if id(parameter) not in fresh:
            _assign(network, name, model.network.get_parameter(name))
    return _as_twin(model, network, Subject("random-blocks", seed))


def permuted_embeddings_twin(model: LanguageModel, seed: int) -> LanguageModel:
    """Trained blocks (shared in memory); rows of the input embedding permuted within frequency bins.

    Vocabularies of BPE and SentencePiece are ordered by merge rank, a proxy of frequency: a bin is 256
    contiguous ids. Special, added, byte and unused tokens, and rows beyond the vocabulary, stay in
    place. An output layer tied to the embedding keeps the trained rows (it is never run).
    """
    import torch

    _require_trained(model)
    original = model.network.get_input_embeddings().weight
    order = _binned_permutation(model, original.shape[0], np.random.default_rng(seed))
    network = _sharing_copy(model.network)
    with torch.no_grad():
        rows = original[torch.as_tensor(order, device=original.device)]
    network.get_input_embeddings().weight = torch.nn.Parameter(rows, requires_grad=False)
    return _as_twin(model, network, Subject("permuted-embeddings", seed))


def re_rounded_twin(model: LanguageModel, seed: int) -> LanguageModel:
    """Weights drawn uniformly from those that round to the codes of the quantised file (`rounding`).

    An output layer tied to the embedding keeps the stored rows (it is never run).
    Raises ModelError for a model whose weights are not known to be quantised.
    """
    import torch

    _require_trained(model)
    if model.origin is None:
        raise ModelError(f"{model.name} was made in memory; only weights of a GGUF file can be re-rounded.")
    generator = torch.Generator().manual_seed(seed)
    network = _sharing_copy(model.network)
    for name, step in rounding.steps(model.origin).items():
        stored = model.network.get_parameter(name)
        noise = torch.rand(stored.shape, generator=generator) - 0.5
        spread = torch.from_numpy(step).repeat_interleave(rounding.GROUP, -1)
        drawn = (stored.detach().cpu().float() + noise * spread).to(stored.dtype)
        _assign(network, name, torch.nn.Parameter(drawn.to(stored.device), requires_grad=False))
    return _as_twin(model, network, Subject("re-rounded", seed))


def _as_twin(model: LanguageModel, network: "nn.Module", subject: Subject) -> LanguageModel:
    network.eval().requires_grad_(False)
    network.generation_config = getattr(model.network, "generation_config", None)
    return replace(model, network=network, subject=subject, **vars(blocks.anatomy(network)))


def _require_trained(model: LanguageModel) -> None:
    if model.subject != TRAINED:
        raise ModelError(f"variants are made from the trained model; this one is {model.subject.name!r}.")


def _fresh(model: LanguageModel, seed: int) -> "nn.Module":
    """A network initialised from the model's configuration, on its devices and in its dtype."""
    import torch

    _require_trained(model)
    config = copy.deepcopy(model.network.config)
    options = {"dtype": torch.float32, "attn_implementation": config._attn_implementation}
    with torch.random.fork_rng(devices=[]), weights.quiet_transformers():
        torch.default_generator.manual_seed(seed)
        network = type(model.network)._from_config(config, **options)
    _round_like(network, model.network)
    places = getattr(model.network, "hf_device_map", {})
    if len(set(places.values())) > 1:
        from accelerate import dispatch_model

        return dispatch_model(network, device_map=places)
    return network.to(model.device)


def _round_like(network: "nn.Module", model: "nn.Module") -> None:
    """Give every tensor the dtype of its namesake: rotary frequencies stay float32 in bfloat16 models."""
    for name, parameter in network.named_parameters():
        parameter.data = parameter.data.to(model.get_parameter(name).dtype)
    for name, buffer in network.named_buffers():
        _assign(network, name, buffer.to(model.get_buffer(name).dtype))


def _sharing_copy(network: "nn.Module") -> "nn.Module":
    """A copy of the modules that shares every parameter and buffer with the original."""
    tensors = (*network.parameters(), *network.buffers())
    return copy.deepcopy(network, {id(t): t for t in tensors})


def _assign(network: "nn.Module", name: str, tensor: "Tensor") -> None:
    """Set a parameter or buffer by its dotted name."""
    owner, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(owner), leaf, tensor)


def _binned_permutation(model: LanguageModel, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Permutation of the embedding's rows that moves ordinary tokens within bins of contiguous ids."""
    order = np.arange(n_rows)
    fixed = _tokens_in_place(model.tokenizer, n_rows)
    for start in range(0, n_rows, _BIN):
        movable = order[start : start + _BIN][~fixed[start : start + _BIN]]
        order[movable] = rng.permutation(movable)
    return order


def _tokens_in_place(tokenizer, n_rows: int) -> np.ndarray:
    """Which rows (n_rows,) are special, added, byte or unused tokens, or no token at all."""
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = tokenizer.get_vocab()
    has_byte_fallback = "<0x00>" in vocabulary
    alphabet = set() if has_byte_fallback else set(ByteLevel.alphabet())
    fixed = np.ones(n_rows, dtype=bool)
    for token, row in vocabulary.items():
        unused = re.fullmatch(r"<0x[0-9A-F]{2}>|[<\[]unused_?\d+[>\]]", token)
        if row < n_rows and token not in alphabet and not unused:
            fixed[row] = False
    fixed[list({*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()})] = True
    return fixed

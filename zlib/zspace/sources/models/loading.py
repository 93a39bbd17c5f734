"""Loading a language model: found, fetched, read, and verified before anything is measured on it."""

import os
import re
from pathlib import Path

from ...errors import ModelError
from . import blocks, fetching, verification, weights
from .language_model import LanguageModel, checked_dtype
from .subject import TRAINED


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
    dtype = checked_dtype(dtype or source.dtype)
    placement = _placement(device)
    folder = fetching.fetch(source)
    _refuse_other_kinds(source.name, folder)
    network, tokenizer = _read(source.name, folder, dtype, placement)
    try:
        parts = blocks.anatomy(network)
        if verify:
            verification.verify(network, parts)
    except ModelError as error:
        raise ModelError(f"{source.name} fails the checks made on loading. {error}") from error
    found = weights.identify(source)
    return LanguageModel(
        name=source.name,
        revision=found["revision"],
        subject=TRAINED,
        network=network,
        tokenizer=tokenizer,
        dtype=dtype,
        device=network.get_input_embeddings().weight.device,
        source=found,
        origin=source,
        **vars(parts),
    )


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

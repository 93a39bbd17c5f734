"""Loading a language model: found, fetched, read, and verified before anything is measured on it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ModelError, ZspaceError
from . import blocks, completeness, fetching, folders, kinds, verification, weights
from .language_model import LanguageModel, checked_dtype
from .subject import TRAINED

if TYPE_CHECKING:
    from torch import nn

_N_WORDS = 100  # that are tried on a tokenizer


def load(
    name_or_path: str | os.PathLike,
    *,
    dtype: str | None = None,
    device: str | None = None,
    verify: bool = True,
) -> LanguageModel:
    """The language model of a registry name, hub id, folder or .gguf file, checked and ready to run.

    Parameters
    ----------
    name_or_path : see `params/models.yaml`; also "owner/name", "owner/name@revision", a folder with
        config.json and safetensors, a .gguf file.
    dtype : "float32" (reference) or "bfloat16"; None takes the registry's.
    device : "cpu", "cuda", "cuda:1", ..., "auto" (cuda if there is one), or "sharded" (over all devices);
        None takes that of ZSPACE_DEVICE, or the CPU where it is not set.
    verify : run `verification.verify`, which refuses a model whose states are not what its kind says, and
        `verification.verify_device` where it lies on one device that is not the CPU.

    Raises
    ------
    ModelError : unknown name, neither a decoder nor an encoder that zspace knows, broken or incomplete files,
        adapters, quantised weights, code of its own, or a failed check (named layer).
    WeightsUnavailableError : the weights cannot be reached from here; says what to do.
    """
    source = weights.find(name_or_path)
    dtype = checked_dtype(dtype or source.dtype)
    placement = _placement(device or os.environ.get("ZSPACE_DEVICE") or "cpu")
    folder = fetching.fetch(source)
    found = weights.identify(source)
    with _border(source.name, "cannot be loaded"):
        config = folders.check(folder)
        kind, reader = kinds.network_class(source, folder)
        network, has_head = _read_network(folder, config, reader, dtype, placement)
        tokenizer = _read_tokenizer(folder, network)
    with _border(source.name, "fails the checks made on loading"):
        parts = blocks.anatomy(network)
        if verify:
            verification.verify(network, parts, kind)
        if verify and placement["device_map"] not in ("cpu", "auto"):
            verification.verify_device(network, parts, kind)
    model = LanguageModel(
        name=source.name,
        revision=found["revision"],
        subject=TRAINED,
        network=network,
        tokenizer=tokenizer,
        dtype=dtype,
        device=network.get_input_embeddings().weight.device,
        source=found,
        origin=source,
        has_head=has_head,
        kind=kind,
        **vars(parts),
    )
    model.check_unchanged()
    return model


@contextlib.contextmanager
def _border(name: str, what: str) -> Iterator[None]:
    """Let nothing but errors of zspace pass, each beginning with the model's name."""
    try:
        yield
    except ZspaceError as error:
        said = " ".join(str(error).split())
        raise ModelError(said if said.startswith(name) else f"{name} {what}. {said}") from error
    except Exception as error:  # transformers, tokenizers and safetensors raise what they like
        raise ModelError(f"{name} {what}. {weights.one_line(error)}") from error


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


def _read_network(
    folder: Path, config: dict, reader: type, dtype: str, placement: dict
) -> "tuple[nn.Module, bool]":
    """The network of a folder, every weight of it read, and whether it has an output layer."""
    import torch
    from transformers import GenerationConfig

    options = {"dtype": getattr(torch, dtype), "use_safetensors": True, "trust_remote_code": False}
    options |= {"local_files_only": True, "output_loading_info": True, **placement}
    options["ignore_mismatched_sizes"] = True  # to be named and refused here
    # of the model's settings for generating only what ends a text: all others would act on traces
    options["generation_config"] = GenerationConfig(eos_token_id=folders.end_tokens(folder) or None)
    named = config.get("architectures") or ()
    chips = [] if placement["device_map"] == "cpu" else range(torch.cuda.device_count())
    with weights.quiet_transformers(), torch.random.fork_rng(devices=list(chips)):
        # some architectures draw numbers that no file holds: the same ones at each load
        torch.default_generator.manual_seed(0)
        if chips:
            torch.cuda.manual_seed_all(0)
        network, read = reader.from_pretrained(folder, **options)
    headless = type(network).__name__ not in named
    has_head = completeness.check(network, read, where=str(folder), dtype=dtype, headless=headless)
    network.eval().requires_grad_(False)
    return network, has_head


def _read_tokenizer(folder: Path, network):
    """The tokenizer that lies in a folder, as it is: no role, such as padding, is added to any token."""
    from transformers import AutoTokenizer

    try:
        with weights.quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # tokenizers raises bare exceptions
        folders.check_json(folder)
        there = ", ".join(path.name for path in folders.tokenizer_files(folder)) or "none"
        raise ModelError(
            f"{folder}: its tokenizer cannot be read from the files there ({there}): "
            f"{weights.one_line(error)} Copy the tokenizer's files of this model beside its weights."
        ) from error
    _refuse_invented(folder, tokenizer)
    _refuse_unmerged(folder, tokenizer)
    n_rows, added = network.get_input_embeddings().weight.shape[0], tokenizer.get_added_vocab()
    ids = tokenizer.get_vocab() if len(tokenizer) > n_rows else {}
    if beyond := [token for token, i in ids.items() if i >= n_rows and token not in added]:
        raise ModelError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model embeds {n_rows}: {len(beyond)} "
            f"tokens, such as {beyond[0]!r}, have no row. The tokenizer is of another model."
        )
    tokenizer.padding_side = "right"
    return tokenizer


def _refuse_unmerged(folder: Path, tokenizer) -> None:
    """Refuse a tokenizer that spells the words of its own vocabulary: it was read without its merges.

    Nothing else says so, and states are those of letters in a row. transformers 5.17 makes such a tokenizer
    of Gemma's GGUF file.
    """
    words = [
        token for token in tokenizer.get_vocab() if token.isascii() and token.isalpha() and len(token) > 4
    ]
    some = sorted(words)[:: max(len(words) // _N_WORDS, 1)]
    spelled = [word for word in some if len(tokenizer.encode(word, add_special_tokens=False)) >= len(word)]
    if 2 * len(spelled) > len(some):
        raise ModelError(
            f"{folder}: its tokenizer spells words that its vocabulary has, such as {spelled[0]!r}, so it "
            "lacks its merges. Copy the tokenizer's files of this model again; if they were converted from a "
            f"GGUF file, by transformers {weights.version_of('transformers')}, install the version in "
            "constraints.txt first."
        )


def _refuse_invented(folder: Path, tokenizer) -> None:
    """Refuse a tokenizer whose vocabulary does not come from the folder: transformers makes an empty one."""
    names = dict(tokenizer.vocab_files_names)
    whole = {names.pop("tokenizer_file", "tokenizer.json"), "tokenizer.json"}
    needed = [name for key, name in names.items() if key in ("vocab_file", "merges_file")]
    if any((folder / name).is_file() for name in whole) or not names:
        return
    if absent := [name for name in needed if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} has no tokenizer: neither tokenizer.json nor {' and '.join(absent)}. Copy the "
            "tokenizer's files of this model beside its weights."
        )

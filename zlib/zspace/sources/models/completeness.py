"""Whether the weights in memory are those of the files: all of them, as numbers, and nothing else.

transformers initialises at random what a file lacks and passes over what it does not know. Here both end the
load, so that nothing is ever measured on weights that were not read.
"""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ...errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

# What wraps a network for training or tuning names its weights so.
WRAPPERS = {
    "_orig_mod.": "torch.compile",
    "module.": "DataParallel",
    "base_model.model.": "peft",
    "_fsdp_wrapped_module.": "FSDP",
    "_forward_module.": "a trainer",
}
# Parts that stand beside a language model, which its class in transformers may leave out.
_BESIDE = re.compile(
    r"vision\w*|visual|audio\w*|image\w*|video\w*|speech\w*|multi_?modal\w*|mm_\w*|mtp|nextn|talker|token2wav"
    r"|code2wav|vqmodel|pooler|seq_relationship|score|classifier|classification_head|v_head|value_head|qa_outputs"
    r"|regression_head"
)
_SHOWN = 3


def check(network: "nn.Module", read: Mapping, *, where: str, dtype: str, headless: bool = False) -> bool:
    """Refuse a network whose weights are not all those of its files; whether it has an output layer.

    Parameters
    ----------
    read : what transformers says with `output_loading_info`.
    where : the folder or file, for messages.
    dtype : "float32" or "bfloat16", asked for; a few weights may stay in float32 beside bfloat16.
    headless : whether the output layer may be absent; its weights are then zeros.

    Raises
    ------
    ModelError : weights that are missing, of another shape, not known to the model, not finite, in another
        dtype or still to be loaded; names them, and the prefix to strip.
    """
    missing = set(read["missing_keys"]) | _passed_over(network)
    head = missing & _head_names(network) if headless else set()
    missing -= head
    unexpected = {name for name in read["unexpected_keys"] if not _is_beside(name)}
    _refuse_incomplete(network, missing, unexpected, where)
    if wrong := sorted(read["mismatched_keys"]):
        name, found, expected = wrong[0]
        raise ModelError(
            f"{where}: {len(wrong)} weights have another shape than config.json says, such as {name}: "
            f"{tuple(found)}, expected {tuple(expected)}. The two are of different models."
        )
    if read["error_msgs"]:
        raise ModelError(f"{where}: {str(read['error_msgs'][0]).strip().splitlines()[0]}")
    _clear(network, head)
    places = {str(place) for place in getattr(network, "hf_device_map", {}).values()}
    offloaded = len(places) > 1 or "disk" in places
    for name, tensor in tensors(network):
        if tensor.is_meta and not offloaded:
            raise ModelError(f"{where}: {name} was not loaded into memory.")
        if tensor.is_floating_point() and not tensor.is_meta:
            _check_numbers(name, tensor, where, dtype)
    return not head


def _is_beside(name: str) -> bool:
    """Whether a weight belongs to a part beside the language model, not to one inside its blocks."""
    above_blocks = re.split(r"\.\d+(?:\.|$)", name)[0]
    return any(_BESIDE.fullmatch(part) for part in above_blocks.split("."))


def tensors(network: "nn.Module") -> "list[tuple[str, Tensor]]":
    """Name and value of each parameter and of each buffer that is saved with the weights."""
    return list(network.state_dict(keep_vars=True).items())


def _head_names(network: "nn.Module") -> set[str]:
    """Names of the weights that are no part of the trunk."""
    trunk = {id(p) for p in network.base_model.parameters()}
    return {name for name, p in network.named_parameters(remove_duplicate=False) if id(p) not in trunk}


def _passed_over(network: "nn.Module") -> set[str]:
    """Weights that were not read and that transformers does not report, because their class says so."""
    patterns = getattr(network, "_keys_to_ignore_on_load_missing", None) or ()
    return {
        name
        for name, tensor in tensors(network)
        if any(re.search(pattern, name) for pattern in patterns)
        and not getattr(tensor, "_is_hf_initialized", False)
    }


def _clear(network: "nn.Module", names: Collection[str]) -> None:
    import torch

    with torch.no_grad():
        for name in names:
            network.get_parameter(name).zero_()


def _refuse_incomplete(network, missing: set[str], unexpected: set[str], where: str) -> None:
    if not missing and not unexpected:
        return
    found = [
        f"{said} {len(names)} weight{'s' * (len(names) > 1)} ({_some(names)})"
        for said, names in (("the files lack", missing), ("the model does not know", unexpected))
        if names
    ]
    raise ModelError(f"{where}: {' and '.join(found)}. {_hint(network, missing, unexpected)}")


def _some(names: Collection[str]) -> str:
    ordered = sorted(
        names, key=lambda name: [(p.isdigit(), int(p) if p.isdigit() else p) for p in name.split(".")]
    )
    return ", ".join(ordered[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _hint(network, missing: set[str], unexpected: set[str]) -> str:
    """The likely cause, and what to do about it."""
    if any(re.search(r"lora_|\.base_layer\.", name) for name in unexpected):
        return "They hold an adapter that was not merged: save the model after peft's merge_and_unload()."
    if any(re.search(r"qweight|qzeros|scale|absmax|zero_point", name) for name in unexpected):
        return "The weights are quantised: take the original model, a de-quantised one or its GGUF file."
    if prefix := _prefix(network, missing, unexpected):
        by = next((f" (of {tool})" for start, tool in WRAPPERS.items() if prefix.startswith(start)), "")
        return f"Their names begin with {prefix!r}{by}; strip it in a copy of the folder: `{_strip(prefix)}`."
    beyond = {name for name in unexpected if _template(name) in {_template(n) for n, _ in tensors(network)}}
    if beyond and not missing:
        return "The files have more layers than config.json says; they are of different models."
    if not unexpected:
        return "The files are incomplete: save or download the whole model again."
    return "The weights and config.json are not of the same model, or this transformers does not know it."


def _strip(prefix: str) -> str:
    """The command that takes a prefix off the names in all files of a folder."""
    renamed = "{k.removeprefix('" + prefix + "'): v.clone() for k, v in load_file(f).items()}"
    imports = "import sys; from safetensors.torch import load_file, save_file"
    body = f"[save_file({renamed}, f, {{'format': 'pt'}}) for f in sys.argv[1:]]"
    return f'python -c "{imports}; {body}" COPY/*.safetensors'


def _prefix(network, missing: set[str], unexpected: set[str]) -> str | None:
    """What stands before the names of weights in the files and not in the model."""
    own = getattr(network, "base_model_prefix", "") + "."
    names = {name for n in missing for name in (n, n.removeprefix(own))}
    for name in sorted(unexpected):
        parts = name.split(".")
        for cut in range(1, len(parts)):
            if ".".join(parts[cut:]) in names:
                return ".".join(parts[:cut]) + "."
    return None


def _template(name: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".N", name)


def _check_numbers(name: str, tensor: "Tensor", where: str, dtype: str) -> None:
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in {dtype, "float32"}:
        raise ModelError(
            f"{where}: {name} is {kind} though {dtype} was asked for; are its weights quantised?"
        )
    if tensor.numel() and not all(bound.isfinite() for bound in tensor.detach().aminmax()):
        raise ModelError(
            f"{where}: {name} has weights that are not finite (NaN or infinite). The file is damaged, or the "
            "training that wrote it failed."
        )

"""How far the rounding of quantised weights may have moved them.

A quantised tensor holds small integers, *codes*, and a scale per block of 16 or 32 neighbours in a row; a
weight's *step* is what it gains when its code rises by one. The weight before rounding lay within half a
step of what is stored (but for the few, under one in a hundred, that their block's range cut off). Uniform
noise of that width gives weights that the same scales would have rounded to the same codes. A result that
holds on several such draws does not depend on the rounding.

Steps are read off the file itself: it is written twice more, with all codes at zero and all at one, and
converted like the model; the difference of the two is the step of every weight, whatever the conversion does
to names and rows. Layout of the blocks: ggml's quantised types, as in `ggml-common.h` of llama.cpp.
"""

import functools
import shutil
from pathlib import Path

from ...errors import ModelError
from . import conversion, fetching
from .weights import Source

GROUP = 16  # columns that share a step, the smallest block of the types below


# Bytes of a block that hold codes, those of them that hold the codes' lowest bits, and the value of these
# that puts every code at one.
_LAYOUTS = {
    "Q4_0": (slice(2, 18), slice(2, 18), 0x11),
    "Q4_1": (slice(4, 20), slice(4, 20), 0x11),
    "Q5_0": (slice(2, 22), slice(6, 22), 0x11),
    "Q5_1": (slice(4, 24), slice(8, 24), 0x11),
    "Q8_0": (slice(2, 34), slice(2, 34), 0x01),
    "Q4_K": (slice(16, 144), slice(16, 144), 0x11),
    "Q5_K": (slice(16, 176), slice(48, 176), 0x11),
    "Q6_K": (slice(0, 192), slice(0, 128), 0x11),
}
_EXACT = ("F32", "F16", "BF16")


def steps(source: Source) -> dict:
    """Step of the weights by parameter name: (..., columns / GROUP) float32, for quantised ones only.

    Converted once and cached beside the model. Raises ModelError where the weights are not known to be
    quantised, or by a type whose layout is not known here.
    """
    if not source.is_gguf:
        raise ModelError(
            f"{source.name} has weights that are not known to be quantised ({source.kind}); only those of a "
            "GGUF file can be re-rounded."
        )
    from safetensors.numpy import load_file

    folder = fetching.converted(source, functools.partial(_write, source), what="steps")
    return load_file(folder / "steps.safetensors")


def _write(source: Source, scratch: Path, target: Path) -> None:
    from safetensors.torch import save_file

    original = fetching.gguf_file(source, scratch)
    low, high = (_parameters(original, scratch, one) for one in (False, True))
    found = {}
    for name, tensor in low.items():
        step = (high[name] - tensor).abs()
        if not step.any():
            continue  # kept exact in the file
        grouped = step.unflatten(-1, (-1, GROUP)) if step.shape[-1] % GROUP == 0 else None
        if grouped is None or not (grouped == grouped[..., :1]).all():
            raise ModelError(
                f"{source.name}: {name} has rows that are not blocks of one step each (its conversion turns "
                "them); it cannot be re-rounded."
            )
        found[name] = grouped[..., 0].contiguous()
    if not found:
        raise ModelError(f"{source.name}: its GGUF file holds no quantised weights.")
    save_file(found, target / "steps.safetensors")


def _parameters(original: Path, scratch: Path, one: bool) -> dict:
    """Parameters of the file with every code at zero, or at one, as the model has them."""
    altered = scratch / f"all-{int(one)}.gguf"
    shutil.copyfile(original, altered)
    _set_codes(altered, one)
    network = conversion.read_network(altered, scratch)
    altered.unlink()
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def _set_codes(path: Path, one: bool) -> None:
    """Overwrite, in place, the codes of every quantised tensor of a GGUF file."""
    import gguf

    reader = gguf.GGUFReader(path, "r+")
    for tensor in reader.tensors:
        kind = tensor.tensor_type.name
        if kind in _EXACT:
            continue
        if kind not in _LAYOUTS:
            raise ModelError(f"tensor {tensor.name} is quantised as {kind}; known: {', '.join(_LAYOUTS)}.")
        codes, lowest, all_one = _LAYOUTS[kind]
        _, size = gguf.GGML_QUANT_SIZES[tensor.tensor_type]
        blocks = tensor.data.reshape(-1, size)
        blocks[:, codes] = 0
        if one:
            blocks[:, lowest] = all_one
    reader.data.flush()

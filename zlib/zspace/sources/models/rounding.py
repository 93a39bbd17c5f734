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

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelError
from . import fetching, weights
from .weights import Source

GROUP = 16  # columns that share a step, the smallest block of the types below


@dataclass(frozen=True)
class _Codes:
    """Where a block keeps its codes: all of them (`first` to `last` byte), and the bytes with their lowest
    bits (`low` to `low_end`), whose value `one` puts every code at one."""

    first: int
    last: int
    low: int
    low_end: int
    one: int = 0x11


_LAYOUTS = {
    "Q4_0": _Codes(2, 18, 2, 18),
    "Q4_1": _Codes(4, 20, 4, 20),
    "Q5_0": _Codes(2, 22, 6, 22),
    "Q5_1": _Codes(4, 24, 8, 24),
    "Q8_0": _Codes(2, 34, 2, 34, one=0x01),
    "Q4_K": _Codes(16, 144, 16, 144),
    "Q5_K": _Codes(16, 176, 48, 176),
    "Q6_K": _Codes(0, 192, 0, 128),
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
    digest = source.sha256 or weights.identify(source)["weights"]
    folder = fetching.converted(
        source, digest, lambda scratch, out: _write(source, scratch, out), what="steps"
    )
    from safetensors.numpy import load_file

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
    (target / "config.json").write_text("{}\n")  # what tells a complete folder


def _parameters(original: Path, scratch: Path, one: bool) -> dict:
    """Parameters of the file with every code at zero, or at one, as the model has them."""
    altered = scratch / f"all-{int(one)}.gguf"
    shutil.copyfile(original, altered)
    _set_codes(altered, one)
    network = fetching.read_network(altered)
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
        layout = _LAYOUTS[kind]
        _, size = gguf.GGML_QUANT_SIZES[tensor.tensor_type]
        blocks = tensor.data.reshape(-1, size)
        blocks[:, layout.first : layout.last] = 0
        if one:
            blocks[:, layout.low : layout.low_end] = layout.one
    reader.data.flush()

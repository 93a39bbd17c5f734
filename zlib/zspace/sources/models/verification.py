"""Checks made when a model is loaded: are the states that hooks see what their labels say?

Symbols as in `blocks`: h_k (B, T, d) enters block k. States of a causal model are a residual stream, those of
an encoder are bidirectional and, where its blocks normalise after the addition, no residual stream.
"""

import copy
from typing import TYPE_CHECKING

from ...errors import ModelError
from .blocks import (
    Anatomy,
    ReducingHooks,
    anatomy,
    exact_attention,
    hidden_size,
    is_recurrent,
    run_trunk,
    token_ids,
)
from .kinds import CAUSAL, Kind

if TYPE_CHECKING:
    from torch import nn

_PROMPT_LENGTHS = (9, 5)
_DEVICE_LENGTHS = (33, 65, 7)  # one more than the tiles of kernels, and a short one


def verify(network: "nn.Module", parts: Anatomy, kind: Kind = CAUSAL) -> None:
    """Check on short prompts that the hooked states are what `kind` says.

    Of a residual stream: what the modules of each block add, after any post-norm and multiplier, sums to
    h_{k+1} - h_k. Of every model: the final norm of h_L is the model's own last hidden state, and a prompt
    alone has the states it has in a padded batch. A causal model is padded left (but for one with a
    recurrence, which is never padded so) and right, there even without a mask; a bidirectional one right.
    Raises ModelError naming the layer where it breaks.
    """
    import torch

    with torch.inference_mode():
        prompts = _prompts(network)
        terms = contributions(network, parts, prompts[0], residual=kind.residual)
        if not kind.residual and terms:
            raise ModelError("its blocks add to the stream, though its kind is known for post-norm blocks.")
        _verify_padding(network, parts, prompts, kind)
        _verify_direction(network, parts, prompts, kind)


def verify_device(network: "nn.Module", parts: Anatomy, kind: Kind = CAUSAL) -> None:
    """Check on a few prompts that a network has the states, where it lies, that a copy has on the CPU.

    Kernels of accelerators have been wrong without an error (`blocks.exact_attention`). Raises ModelError
    naming the first layer that differs by more than other kernels may (`batch_tolerance`).
    """
    import torch

    twin = copy.deepcopy(network).to("cpu")
    there = anatomy(twin)
    with torch.inference_mode(), exact_attention(network.device):
        for prompt in _prompts(network, _DEVICE_LENGTHS):
            states = []
            for one, its in ((network, parts), (twin, there)):
                with ReducingHooks(its, lambda _layer, hidden: hidden[0].float().cpu()) as hooks:
                    run_trunk(its.trunk, token_ids(one, [prompt]), causal=kind.is_causal)
                    states.append(hooks.take())
            for layer, (found, exact) in enumerate(zip(*states, strict=True)):
                error = ((found - exact).norm(dim=-1) / exact.norm(dim=-1).clamp_min(1e-30)).max().item()
                if not error <= batch_tolerance(network.dtype):
                    raise ModelError(
                        f"layer {layer}: the states of {len(prompt)} tokens on {network.device} differ by "
                        f"{error:.1e} of their norm from those on the CPU. Its kernels are wrong there: "
                        "use another device, or another version of torch."
                    )


def contributions(
    network: "nn.Module", parts: Anatomy, prompt: list[int], *, residual: bool = True
) -> list[tuple[str, ...]]:
    """Names of the modules that add to the stream, of each of the L blocks.

    With `residual`, raises ModelError for the first block that is not h_{k+1} = h_k + what its modules add;
    without, the list is empty where a block is not. In both cases raises ModelError where a block's input is
    not the output of the one before, or the final norm of h_L not the model's last hidden state.
    """
    import torch

    from . import residual_paths

    ids, last = token_ids(network, [prompt]), []
    found = residual_paths.trace(parts, lambda: last.append(run_trunk(parts.trunk, ids)))
    wanted = (1, len(prompt), hidden_size(network))
    stream = None
    for layer, block in enumerate(found):
        if tuple(block.before.shape) != wanted:
            raise ModelError(
                f"layer {layer}: its input has shape {tuple(block.before.shape)}, expected {wanted}. A model "
                "that carries several streams side by side has no single residual stream."
            )
        if stream is not None and not torch.equal(stream.to(block.before.device), block.before):
            raise ModelError(f"layer {layer}: its input is not the output of the block before.")
        stream = block.after
        if not stream.isfinite().all():
            raise ModelError(f"layer {layer}: its output h_{layer + 1} is not finite (dtype {stream.dtype}).")
        if residual and block.problem:
            raise ModelError(f"layer {layer}: {block.problem}")
    _verify_final_norm(parts, stream, last[0])
    return [] if any(block.problem for block in found) else [block.terms for block in found]


def _verify_final_norm(parts: Anatomy, stream, last) -> None:
    normed = parts.final_norm(stream)
    if normed.shape != last.shape:
        raise ModelError(
            f"layer {len(parts.blocks)}: the last hidden state has shape {tuple(last.shape)}, the final norm "
            f"of h_L {tuple(normed.shape)}. The model projects its states to another width after its blocks."
        )
    error = (normed.to(last.device) - last).norm() / last.norm()
    if not error <= _tolerance(last.dtype):
        raise ModelError(
            f"layer {len(parts.blocks)}: the final norm of h_L differs from the model's last hidden state "
            f"by {error:.1e} of its norm."
        )


def _verify_padding(network, parts: Anatomy, prompts: list[list[int]], kind: Kind) -> None:
    import torch

    width = max(map(len, prompts))
    right = torch.tensor([[1] * len(p) + [0] * (width - len(p)) for p in prompts])
    padded = {"right": ([p + [0] * (width - len(p)) for p in prompts], right)}
    if kind.is_causal:
        if not is_recurrent(network):
            padded["left"] = ([[0] * (width - len(p)) + p for p in prompts], right.flip(1))
        padded["right without a mask"] = (padded["right"][0], None)
    with ReducingHooks(parts, lambda _layer, hidden: hidden.float().cpu()) as hooks:
        alone = []
        for prompt in prompts:
            run_trunk(parts.trunk, token_ids(network, [prompt]))
            alone.append(hooks.take())
        for side, (rows, mask) in padded.items():
            run_trunk(parts.trunk, token_ids(network, rows), mask, causal=kind.is_causal)
            for layer, batch in enumerate(hooks.take()):
                for row, states in enumerate(alone):
                    content = batch[row][(right.flip(1) if side == "left" else right)[row].bool()]
                    _verify_same(layer, side, states[layer][0], content, network.dtype, kind)


def _verify_same(layer: int, side: str, alone, padded, dtype, kind: Kind) -> None:
    """States (T, d) of one prompt, alone and in a padded batch, agree relative to each token's norm."""
    error = ((padded - alone).norm(dim=-1) / alone.norm(dim=-1).clamp_min(1e-30)).max().item()
    if error <= batch_tolerance(dtype):
        return
    place = f"layer {layer - 1}: its output h_{layer}" if layer else "embeddings: their output h_0"
    if side == "right without a mask":
        reason = "The model is not causal: its tokens see the padding that follows them."
    elif layer == 0:
        reason = "The model counts the positions of padding."
    else:
        reason = f"The model {'is not causal, or ' if kind.is_causal else ''}ignores its attention mask."
    raise ModelError(
        f"{place} for a prompt alone and for the same prompt padded {side} differs by {error:.1e} of its "
        f"norm. {reason}"
    )


def _verify_direction(network, parts: Anatomy, prompts: list[list[int]], kind: Kind) -> None:
    """A bidirectional model's first token knows of the last one."""
    if kind.is_causal:
        return
    first, changed = prompts[0], [*prompts[0][:-1], prompts[0][-1] + 1]
    with ReducingHooks(parts, lambda _layer, hidden: hidden[0, 0].float().cpu()) as hooks:
        states = []
        for prompt in (first, changed):
            run_trunk(parts.trunk, token_ids(network, [prompt]))
            states.append(hooks.take()[-1])
    if (states[0] - states[1]).norm() <= _tolerance(network.dtype) * states[0].norm():
        raise ModelError(
            f"layer {len(parts.blocks)}: the first token's state does not depend on the last token, though "
            "this kind of model is known as bidirectional."
        )


def batch_tolerance(dtype) -> float:
    """Relative difference that a batch may make: other kernels and orders of summation, over all blocks."""
    return 1e-3 if dtype.itemsize == 4 else 0.1


def _tolerance(dtype) -> float:
    """Relative error that a handful of additions in `dtype` may cost."""
    import torch

    return 4 * torch.finfo(dtype).eps


def _prompts(network, lengths: tuple[int, ...] = _PROMPT_LENGTHS) -> list[list[int]]:
    """Prompts spread over the vocabulary, of different lengths; ids only, no tokenizer needed."""
    size = network.get_input_embeddings().weight.shape[0]
    return [[(7919 * (i + 1) * (row + 2)) % size for i in range(n)] for row, n in enumerate(lengths)]

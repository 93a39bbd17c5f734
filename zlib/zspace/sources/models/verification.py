"""Checks made when a model is loaded: are the states that hooks see a residual stream?

Symbols as in `blocks`: h_k (B, T, d) enters block k. A block's two branches, attention and MLP, are
followed from child to child by the tensors that one hands to the next, so no architecture is known by
name; what the last child of a branch gives is added to the stream.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ModelError
from .blocks import Anatomy, ReducingHooks, first_of, hidden_size, is_tensor, run_trunk, stream_in, token_ids

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_PROMPT_LENGTHS = (9, 5)


def verify(network: "nn.Module", parts: Anatomy) -> None:
    """Check on short prompts that the hooked states are a residual stream.

    Per block, the outputs of its attention and MLP branches (after any post-norm) sum to h_{k+1} - h_k;
    the final norm of h_L is the model's own last hidden state; a prompt alone has the states it has in
    a padded batch, padded left or right, and right even without a mask (causality).
    Raises ModelError naming the layer where it breaks.
    """
    import torch

    with torch.inference_mode():
        prompts = _prompts(network)
        _verify_branches(network, parts, prompts[0])
        _verify_padding(network, parts, prompts)


@dataclass
class _Call:
    """One call of a block's child: addresses of the tensors taken, the hidden state given and its copy."""

    taken: set[int]
    given: "Tensor | None"
    value: "Tensor | None"
    inner: list["Tensor"]
    adds_residual: bool


class _BranchRecorder:
    """Follows the tensors through the children of one block during a forward pass."""

    def __init__(self, block: "nn.Module", shape: "torch.Size"):
        self._numel, self._size = shape.numel(), shape[-1]
        self._inner: list = []
        self.calls: list[_Call] = []
        self._alive: list = []
        self.before = self.after = None
        self._handles = [
            block.register_forward_pre_hook(self._enter, with_kwargs=True),
            block.register_forward_hook(self._leave),
        ]
        for child in block.children():
            self._handles.append(child.register_forward_hook(self._child, with_kwargs=True))
            for inner in child.children():
                self._handles.append(inner.register_forward_hook(self._grandchild))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def branches(self) -> list["Tensor"]:
        """Outputs of the branches before they are added to the stream, in order of execution.

        A branch ends with an output that no other child takes; where a child is handed the stream
        as well (it adds the residual itself, as BLOOM's do), with the last output inside that child.
        """
        found = []
        for position, call in enumerate(self.calls):
            if call.given is None:
                continue
            later = {pointer for c in self.calls[position + 1 :] for pointer in c.taken}
            if call.adds_residual and call.inner:
                found.append(call.inner[-1])
            elif not call.adds_residual and call.given.data_ptr() not in later:
                found.append(call.value)
        return [value.reshape(self.before.shape) for value in found]

    def _enter(self, _module, args, kwargs) -> None:
        stream = stream_in(args, kwargs)
        self._alive.append(stream)
        self.before = stream.clone()

    def _leave(self, _module, _args, output) -> None:
        self.after = first_of(output).clone()

    def _child(self, _module, args, kwargs, output) -> None:
        tensors = [t for t in (*args, *kwargs.values()) if is_tensor(t)]
        given = first_of(output)
        # Kept alive so that no later tensor gets the same address; cloned because some blocks
        # add in place.
        self._alive += [*tensors, given]
        taken = {t.data_ptr() for t in tensors}
        states = {t.data_ptr() for t in tensors if self._is_hidden(t)}
        pair = (given, given.clone()) if self._is_hidden(given) else (None, None)
        self.calls.append(_Call(taken, *pair, inner=self._inner, adds_residual=len(states) > 1))
        self._inner = []

    def _grandchild(self, _module, _args, output) -> None:
        given = first_of(output)
        if self._is_hidden(given):
            self._inner.append(given.clone())

    def _is_hidden(self, tensor) -> bool:
        return is_tensor(tensor) and tensor.numel() == self._numel and tensor.shape[-1] == self._size


def _verify_branches(network, parts: Anatomy, prompt: list[int]) -> None:
    import torch

    shape = torch.Size((1, len(prompt), hidden_size(network)))
    recorders = [_BranchRecorder(block, shape) for block in parts.blocks]
    try:
        last = run_trunk(parts.trunk, token_ids(network, [prompt]))
    finally:
        for recorder in recorders:
            recorder.remove()
    stream = None
    for layer, recorder in enumerate(recorders):
        if recorder.after is None:
            raise ModelError(f"layer {layer}: this block is never run.")
        if stream is not None and not torch.equal(stream.to(recorder.before.device), recorder.before):
            raise ModelError(f"layer {layer}: its input is not the output of the block before.")
        stream = recorder.after
        _verify_sum(layer, recorder)
    normed = parts.final_norm(stream)
    error = (normed.to(last.device) - last).norm() / last.norm()
    if not error <= _tolerance(last.dtype):
        raise ModelError(
            f"layer {len(recorders)}: the final norm of h_L differs from the model's last hidden state "
            f"by {error:.1e} of its norm."
        )


def _verify_sum(layer: int, recorder: _BranchRecorder) -> None:
    """Elementwise, in units of the rounding that adding numbers of this size costs."""
    branches = [b.double() for b in recorder.branches()]
    if len(branches) != 2:
        raise ModelError(
            f"layer {layer}: found {len(branches)} branches that end in the residual stream, expected two "
            "(attention and MLP). This block is not of the form h + attention + MLP."
        )
    before, after = recorder.before.double(), recorder.after.double()
    error = (before + sum(branches) - after).abs()
    scale = before.abs() + sum(b.abs() for b in branches) + after.abs()
    worst = (error / scale.clamp_min(1e-30)).max().item()
    if not worst <= _tolerance(recorder.after.dtype):
        raise ModelError(
            f"layer {layer}: attention and MLP outputs do not sum to h_{layer + 1} - h_{layer} (relative "
            f"error {worst:.1e}). The block scales or normalises the residual stream, so differences of "
            "its states are not contributions."
        )


def _verify_padding(network, parts: Anatomy, prompts: list[list[int]]) -> None:
    import torch

    width = max(map(len, prompts))
    right = torch.tensor([[1] * len(p) + [0] * (width - len(p)) for p in prompts])
    padded = {
        "right": ([p + [0] * (width - len(p)) for p in prompts], right),
        "left": ([[0] * (width - len(p)) + p for p in prompts], right.flip(1)),
        "right without a mask": ([p + [0] * (width - len(p)) for p in prompts], None),
    }
    with ReducingHooks(parts, lambda _layer, hidden: hidden.float().cpu()) as hooks:
        alone = []
        for prompt in prompts:
            run_trunk(parts.trunk, token_ids(network, [prompt]))
            alone.append(hooks.take())
        for side, (rows, mask) in padded.items():
            run_trunk(parts.trunk, token_ids(network, rows), mask)
            for layer, batch in enumerate(hooks.take()):
                for row, states in enumerate(alone):
                    content = batch[row][(right.flip(1) if side == "left" else right)[row].bool()]
                    _verify_same(layer, side, states[layer][0], content, network.dtype)


def _verify_same(layer: int, side: str, alone, padded, dtype) -> None:
    """States (T, d) of one prompt, alone and in a padded batch, agree relative to each token's norm."""
    error = ((padded - alone).norm(dim=-1) / alone.norm(dim=-1).clamp_min(1e-30)).max().item()
    # other kernels and other summation orders, amplified by all blocks before
    if not error <= (1e-3 if dtype.itemsize == 4 else 0.1):
        place = f"layer {layer - 1}: its output h_{layer}" if layer else "embeddings: their output h_0"
        raise ModelError(
            f"{place} for a prompt alone and for the same prompt padded {side} differs by {error:.1e} of "
            "its norm. The model is not causal, or ignores its attention mask."
        )


def _tolerance(dtype) -> float:
    """Relative error that a handful of additions in `dtype` may cost."""
    import torch

    return 4 * torch.finfo(dtype).eps


def _prompts(network) -> list[list[int]]:
    """Prompts spread over the vocabulary, of different lengths; ids only, no tokenizer needed."""
    size = network.get_input_embeddings().weight.shape[0]
    return [[(7919 * (i + 1) * (row + 2)) % size for i in range(n)] for row, n in enumerate(_PROMPT_LENGTHS)]

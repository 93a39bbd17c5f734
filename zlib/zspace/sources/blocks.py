"""The residual stream inside a decoder-only transformer: found by structure, verified by running it.

Symbols: B prompts, T positions, d hidden size, L blocks; h_0 (B, T, d) is the input of the first block,
h_k the output of block k-1, h_L the last block's output before the final norm. No architecture is known
by name: blocks are the longest ModuleList, and a block's two branches are followed from module to
module by the tensors that one hands to the next.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_PROMPT_LENGTHS = (9, 5)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Parts of a causal language model.

    `trunk` yields the last hidden state (no LM head), `blocks` are its L decoder blocks in order,
    `final_norm` is what turns h_L into the last hidden state.
    """

    trunk: "nn.Module"
    blocks: tuple["nn.Module", ...]
    final_norm: "nn.Module"


class ReducingHooks:
    """Hooks that keep `reducer(k, h_k)` of every layer k = 0..L instead of the states themselves.

    `with ReducingHooks(model, reducer) as hooks: model.trunk(...); kept = hooks.take()` gives the L+1
    results of one forward pass in order. `reducer(layer, hidden)` gets `hidden` (B, T, d), which it must
    not change or keep. `model` is anything with `blocks`; the LM head is never run.
    """

    def __init__(self, model, reducer: Callable[[int, "Tensor"], object]):
        self._blocks = model.blocks
        self._reducer = reducer
        self._handles: list = []
        self._kept: list = [None] * (len(self._blocks) + 1)
        self._seen = 0

    def __enter__(self) -> "ReducingHooks":
        first = self._blocks[0].register_forward_pre_hook(self._before, with_kwargs=True)
        self._handles = [first]
        for layer, block in enumerate(self._blocks, start=1):
            self._handles.append(block.register_forward_hook(self._after(layer)))
        return self

    def __exit__(self, *_) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def take(self) -> list:
        """Results of the last forward pass, layer 0 to L, and forget them.

        Raises ModelError unless every block ran exactly once since the last `take`.
        """
        if self._seen != len(self._kept):
            raise ModelError(
                f"{self._seen} layer states since the last take(), expected {len(self._kept)}: "
                "call take() after every forward pass of the whole trunk."
            )
        kept, self._kept, self._seen = self._kept, [None] * len(self._kept), 0
        return kept

    def _before(self, _module, args, kwargs) -> None:
        self._kept[0] = self._reducer(0, _stream_in(args, kwargs))
        self._seen += 1

    def _after(self, layer: int):
        def hook(_module, _args, output) -> None:
            self._kept[layer] = self._reducer(layer, _first(output))
            self._seen += 1

        return hook


def anatomy(network: "nn.Module") -> Anatomy:
    """Trunk, blocks and final norm of a causal language model; runs the trunk once on three tokens.

    Raises ModelError where there is no list of blocks, or nothing normalises the last block's output.
    """
    from torch import nn

    trunk = network.base_model
    if trunk is network:
        raise ModelError(f"{type(network).__name__} has no base model beside its head.")
    lists: list[tuple[nn.Module, nn.ModuleList]] = []
    _outer_lists(trunk, lists)
    if not lists:
        raise ModelError(f"{type(network).__name__} has no list of blocks (nn.ModuleList).")
    # A vision tower may be longer than the language model beside it: the configuration decides first.
    depth = getattr(network.config.get_text_config(), "num_hidden_layers", None)
    owner, found = max(lists, key=lambda pair: (len(pair[1]) == depth, len(pair[1])))
    blocks = tuple(found)
    return Anatomy(trunk, blocks, _final_norm(network, trunk, owner, blocks))


def verify(network: "nn.Module", parts: Anatomy) -> None:
    """Check on short prompts that the states hooked are the residual stream that DESIGN speaks of.

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


def _outer_lists(module: "nn.Module", found: list) -> None:
    """Collect (owner, list) of the ModuleLists not inside another one (experts, heads, ...)."""
    from torch import nn

    for child in module.children():
        if isinstance(child, nn.ModuleList):
            if len(child):
                found.append((module, child))
        else:
            _outer_lists(child, found)


def _final_norm(network, trunk, owner, blocks) -> "nn.Module":
    """The module beside the blocks that takes the last block's output as it is."""
    import torch

    calls: list = []
    last = blocks[-1].register_forward_hook(lambda _m, _a, output: calls.append((None, _first(output))))
    handles = [last]
    for child in owner.children():
        if not isinstance(child, torch.nn.ModuleList):
            hook = child.register_forward_pre_hook(
                lambda module, args, kwargs: calls.append((module, _stream_in(args, kwargs))),
                with_kwargs=True,
            )
            handles.append(hook)
    try:
        with torch.inference_mode():
            _run(trunk, _ids(network, [[1, 2, 3]]))
    finally:
        for handle in handles:
            handle.remove()
    ends = [i for i, (module, _) in enumerate(calls) if module is None]
    if not ends:
        raise ModelError(f"layer {len(blocks) - 1}: this block is never run.")
    output = calls[ends[0]][1]
    for module, given in calls[ends[0] + 1 :]:
        if module is not None and given is not None and given.data_ptr() == output.data_ptr():
            return module
    raise ModelError(f"layer {len(blocks)}: no final norm takes the last block's output.")


@dataclass
class _Call:
    """One call of a block's child: addresses of the tensors taken, and the hidden state given."""

    taken: set[int]
    given: "Tensor | None"
    value: "Tensor | None"
    inner: list["Tensor"]
    adds_residual: bool


class _BranchRecorder:
    """Follows the tensors through the children of one block during a forward pass."""

    def __init__(self, block: "nn.Module", shape: "torch.Size"):
        self._numel = shape.numel()
        self._size = shape[-1]
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
        stream = _stream_in(args, kwargs)
        self._alive.append(stream)
        self.before = stream.clone()

    def _leave(self, _module, _args, output) -> None:
        self.after = _first(output).clone()

    def _child(self, _module, args, kwargs, output) -> None:
        tensors = [t for t in (*args, *kwargs.values()) if _is_tensor(t)]
        given = _first(output)
        # Kept alive so that no later tensor gets the same address; cloned because some blocks
        # add in place.
        self._alive += [*tensors, given]
        hidden = self._is_hidden(given)
        states = {t.data_ptr() for t in tensors if self._is_hidden(t)}
        call = _Call(
            taken={t.data_ptr() for t in tensors},
            given=given if hidden else None,
            value=given.clone() if hidden else None,
            inner=self._inner,
            adds_residual=len(states) > 1,
        )
        self.calls.append(call)
        self._inner = []

    def _grandchild(self, _module, _args, output) -> None:
        given = _first(output)
        if self._is_hidden(given):
            self._inner.append(given.clone())

    def _is_hidden(self, tensor) -> bool:
        return _is_tensor(tensor) and tensor.numel() == self._numel and tensor.shape[-1] == self._size


def _verify_branches(network, parts: Anatomy, prompt: list[int]) -> None:
    import torch

    size = hidden_size(network)
    recorders = [_BranchRecorder(b, torch.Size((1, len(prompt), size))) for b in parts.blocks]
    try:
        last = _run(parts.trunk, _ids(network, [prompt]))
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
            _run(parts.trunk, _ids(network, [prompt]))
            alone.append(hooks.take())
        for side, (rows, mask) in padded.items():
            _run(parts.trunk, _ids(network, rows), mask)
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


def hidden_size(network: "nn.Module") -> int:
    """d, the width of the residual stream."""
    return network.config.get_text_config().hidden_size


def _tolerance(dtype) -> float:
    """Relative error that a handful of additions in `dtype` may cost."""
    import torch

    return 4 * torch.finfo(dtype).eps


def _prompts(network) -> list[list[int]]:
    """Prompts spread over the vocabulary, of different lengths; ids only, no tokenizer needed."""
    size = network.get_input_embeddings().weight.shape[0]
    return [[(7919 * (i + 1) * (row + 2)) % size for i in range(n)] for row, n in enumerate(_PROMPT_LENGTHS)]


def _ids(network, rows: list[list[int]]) -> "Tensor":
    import torch

    embedding = network.get_input_embeddings().weight
    return torch.tensor(rows, device=embedding.device) % embedding.shape[0]


def _run(trunk, ids: "Tensor", mask: "Tensor | None" = None) -> "Tensor":
    """Last hidden state (B, T, d) of the trunk, positions counted from each prompt's first token."""
    inputs = {"input_ids": ids, "use_cache": False}
    if mask is not None:
        inputs["attention_mask"] = mask = mask.to(ids.device)
        if "position_ids" in inspect.signature(trunk.forward).parameters:
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)
    return trunk(**inputs).last_hidden_state


def _stream_in(args: tuple, kwargs: dict) -> "Tensor":
    return args[0] if args else next((t for t in kwargs.values() if _is_tensor(t)), None)


def _first(output) -> "Tensor":
    return output[0] if isinstance(output, tuple) else output


def _is_tensor(value) -> bool:
    return hasattr(value, "data_ptr")

"""The parts of a decoder-only transformer, found by structure, and hooks on its residual stream.

Symbols: B prompts, T positions, d hidden size, L blocks; h_0 (B, T, d) is the input of the first block,
h_k the output of block k-1, h_L the last block's output before the final norm. No architecture is known
by name: blocks are the longest ModuleList, the final norm is the module that takes their output.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn


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
        self._handles = [self._blocks[0].register_forward_pre_hook(self._before, with_kwargs=True)]
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
        self._kept[0] = self._reducer(0, stream_in(args, kwargs))
        self._seen += 1

    def _after(self, layer: int):
        def hook(_module, _args, output) -> None:
            self._kept[layer] = self._reducer(layer, first_of(output))
            self._seen += 1

        return hook


def anatomy(network: "nn.Module") -> Anatomy:
    """Trunk, blocks and final norm of a causal language model; runs the trunk once on three tokens.

    Raises ModelError where there is no list of blocks, or nothing normalises the last block's output.
    """
    trunk = network.base_model
    if trunk is network:
        raise ModelError(f"{type(network).__name__} has no base model beside its head.")
    lists = list(_outer_lists(trunk))
    if not lists:
        raise ModelError(f"{type(network).__name__} has no list of blocks (nn.ModuleList).")
    # A vision tower may be longer than the language model beside it: the configuration decides first.
    depth = getattr(network.config.get_text_config(), "num_hidden_layers", None)
    owner, found = max(lists, key=lambda pair: (len(pair[1]) == depth, len(pair[1])))
    blocks = tuple(found)
    return Anatomy(trunk, blocks, _final_norm(network, trunk, owner, blocks))


def _outer_lists(module: "nn.Module") -> "Iterator[tuple[nn.Module, nn.ModuleList]]":
    """(owner, list) of the ModuleLists not inside another one (experts, heads, ...), empty ones left out."""
    from torch import nn

    for child in module.children():
        if not isinstance(child, nn.ModuleList):
            yield from _outer_lists(child)
        elif len(child):
            yield module, child


def _final_norm(network, trunk, owner, blocks) -> "nn.Module":
    """The module beside the blocks that takes the last block's output as it is."""
    import torch

    calls: list = []
    last = blocks[-1].register_forward_hook(lambda _m, _a, output: calls.append((None, first_of(output))))
    handles = [last]

    def enter(module, args, kwargs) -> None:
        calls.append((module, stream_in(args, kwargs)))

    for child in owner.children():
        if not isinstance(child, torch.nn.ModuleList):
            handles.append(child.register_forward_pre_hook(enter, with_kwargs=True))
    try:
        with torch.inference_mode():
            run_trunk(trunk, token_ids(network, [[1, 2, 3]]))
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


def hidden_size(network: "nn.Module") -> int:
    """d, the width of the residual stream."""
    return network.config.get_text_config().hidden_size


def token_ids(network: "nn.Module", rows: list[list[int]]) -> "Tensor":
    """Ids (B, T) where the embedding lies, wrapped into its vocabulary."""
    import torch

    embedding = network.get_input_embeddings().weight
    return torch.tensor(rows, device=embedding.device) % embedding.shape[0]


def run_trunk(trunk: "nn.Module", ids: "Tensor", mask: "Tensor | None" = None) -> "Tensor":
    """Last hidden state (B, T, d) of the trunk, positions counted from each prompt's first token."""
    inputs = {"input_ids": ids, "use_cache": False}
    if mask is not None:
        inputs["attention_mask"] = mask = mask.to(ids.device)
        if "position_ids" in inspect.signature(trunk.forward).parameters:
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)
    return trunk(**inputs).last_hidden_state


def stream_in(args: tuple, kwargs: dict) -> "Tensor | None":
    """The hidden state that a block or norm is called with, by position or by keyword."""
    if args:
        return args[0]
    named = (kwargs.get("hidden_states"), *kwargs.values())
    return next((value for value in named if is_tensor(value)), None)


def first_of(output: object) -> "Tensor":
    """The hidden state that a module returns, alone or first in a tuple."""
    return output[0] if isinstance(output, tuple) else output


def is_tensor(value: object) -> bool:
    """Whether `value` is a tensor; asked without importing torch."""
    return hasattr(value, "data_ptr")

"""The parts of a transformer, found by structure, and hooks on its stream of states.

Symbols: B prompts, T positions, d hidden size, L blocks; h_0 (B, T, d) is the input of the first block,
h_k the output of block k-1, h_L the last block's output before the final norm. No architecture is known
by name: blocks are the longest ModuleList, the final norm is the module that takes their output.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ModelError, ZspaceError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Parts of a language model.

    `trunk` yields the last hidden state (no LM head), `blocks` are its L blocks in order, `final_norm` is
    what turns h_L into the last hidden state: the identity where nothing does.
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


def exact_attention(device: "torch.device") -> contextlib.AbstractContextManager:
    """Attention under a mask as it should be, whatever kernels torch would choose.

    On CUDA torch's memory-efficient kernel gets the one token wrong that is left over after tiles of 32 or 64
    (seen in 2.11; float32, a mask, a single key head, as in small Gemmas). A text of such a length has wrong
    states then, and with a cache every step is such a token: a model writes nothing but loops, without an
    error. That kernel is left out here.
    """
    if device.type != "cuda":
        return contextlib.nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH])


def anatomy(network: "nn.Module") -> Anatomy:
    """Trunk, blocks and final norm of a language model; runs the trunk once on three tokens.

    Raises ModelError where there is no list of blocks, the blocks carry no single stream of the model's
    width, or what follows them is neither a final norm nor nothing.
    """
    trunk = _trunk(network)
    lists = list(_outer_lists(trunk))
    if not lists:
        raise ModelError(f"{type(network).__name__} has no list of blocks (nn.ModuleList).")
    # A vision tower may be longer than the language model beside it: the configuration decides first.
    depth = getattr(network.config.get_text_config(), "num_hidden_layers", None)
    owner, found = max(lists, key=lambda pair: (len(pair[1]) == depth, len(pair[1])))
    blocks = tuple(found)
    return Anatomy(trunk, blocks, _final_norm(network, trunk, owner, blocks))


def _trunk(network: "nn.Module") -> "nn.Module":
    """What yields the last hidden state: the base model, or the one model within, or the network itself."""
    from transformers import PreTrainedModel

    if network.base_model is not network:
        return network.base_model
    # some heads name another attribute than the one that holds their base model
    inner = [child for child in network.children() if isinstance(child, PreTrainedModel)]
    return inner[0] if len(inner) == 1 else network


def _outer_lists(module: "nn.Module") -> "Iterator[tuple[nn.Module, nn.ModuleList]]":
    """(owner, list) of the ModuleLists not inside another one (experts, heads, ...), empty ones left out."""
    from torch import nn

    for child in module.children():
        if not isinstance(child, nn.ModuleList):
            yield from _outer_lists(child)
        elif len(child):
            yield module, child


def _final_norm(network, trunk, owner, blocks) -> "nn.Module":
    """The module beside or around the blocks that takes the last block's output, or the identity."""
    import torch

    last, after = [], []

    def note(module, args, kwargs, result) -> None:
        if last:
            after.append((module, stream_in(args, kwargs), first_of(result)))

    around = [module for module in trunk.modules() if any(inner is owner for inner in module.modules())]
    beside = [child for module in around for child in module.children() if child not in around]
    handles = [blocks[-1].register_forward_hook(lambda _m, _a, output: last.append(first_of(output)))]
    handles += [child.register_forward_hook(note, with_kwargs=True) for child in beside]
    ids = token_ids(network, [[1, 2, 3]])
    try:
        with torch.inference_mode():
            found = run_trunk(trunk, ids)
    finally:
        for handle in handles:
            handle.remove()
    output = _single_stream(network, len(blocks) - 1, last, ids)
    takers = [one for one in after if is_tensor(one[1]) and one[1].data_ptr() == output.data_ptr()]
    for module, _, given in takers:
        if _equal(given, found):
            return module
    if _equal(output, found):
        return torch.nn.Identity()
    if takers:  # something follows it: verification says what
        return takers[0][0]
    raise ModelError(
        f"layer {len(blocks)}: the model's last hidden state, {_shape(found)}, is neither the last block's "
        "output nor made of it by one module beside the blocks: no final norm takes h_L."
    )


def _single_stream(network, layer: int, outputs: list, ids: "Tensor") -> "Tensor":
    """The last block's output, if it is one stream of the model's width."""
    if not outputs:
        raise ModelError(f"layer {layer}: this block is never run.")
    wanted = (*ids.shape, hidden_size(network))
    if not is_tensor(outputs[0]) or tuple(outputs[0].shape) != wanted:
        raise ModelError(
            f"layer {layer}: this block gives {_shape(outputs[0])}, expected {wanted}. A model that carries "
            "several streams side by side, or packs its tokens, has no single residual stream."
        )
    return outputs[0]


def _equal(one: object, other: "Tensor") -> bool:
    return is_tensor(one) and one.shape == other.shape and bool((one.to(other.device) == other).all())


def _shape(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if is_tensor(value) else f"a {type(value).__name__}"


def hidden_size(network: "nn.Module") -> int:
    """d, the width of the residual stream."""
    return network.config.get_text_config().hidden_size


def longest_text(network: "nn.Module") -> int | None:
    """Tokens of the longest text that the model has positions for; None where nothing bounds them."""
    from torch import nn

    config = network.config.get_text_config()
    known = getattr(config, "max_position_embeddings", getattr(config, "max_seq_len", None))  # MPT's name
    for name, module in network.named_modules():
        # RoBERTa and its kin count from behind the padding's own position
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            padding = module.padding_idx
            return known if padding is None else module.num_embeddings - padding - 1
    return known


def token_ids(network: "nn.Module", rows: list[list[int]]) -> "Tensor":
    """Ids (B, T) where the embedding lies, wrapped into its vocabulary."""
    import torch

    embedding = network.get_input_embeddings().weight
    return torch.tensor(rows, device=embedding.device) % embedding.shape[0]


def run_trunk(
    trunk: "nn.Module", ids: "Tensor", mask: "Tensor | None" = None, *, causal: bool = True
) -> "Tensor":
    """Last hidden state (B, T, d) of the trunk, positions counted from each prompt's first token.

    An encoder (not `causal`) counts positions itself, and its prompts are padded right. Raises ModelError
    where the model cannot run on token ids alone.
    """
    inputs = {"input_ids": ids}
    accepted = inspect.signature(trunk.forward).parameters
    if "use_cache" in accepted or causal:
        inputs["use_cache"] = False
    if mask is not None:
        inputs["attention_mask"] = mask = mask.to(ids.device)
        if causal and "position_ids" in accepted:
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)
    with in_one_line(f"{type(trunk).__name__} does not run on token ids alone"):
        return trunk(**inputs).last_hidden_state


@contextlib.contextmanager
def in_one_line(what: str) -> Iterator[None]:
    """Turn whatever a model's own code raises into a ModelError; out of memory stays what it is."""
    try:
        yield
    except (ZspaceError, MemoryError):
        raise
    except Exception as error:  # architectures raise whatever their code does
        if is_out_of_memory(error):
            raise
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{what}: {line}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a device or on the CPU."""
    import torch

    # The CPU allocator has no exception type of its own: "DefaultCPUAllocator: can't allocate memory".
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


def is_recurrent(network: "nn.Module") -> bool:
    """Whether the model has a recurrence, which reads padding whatever the attention mask says."""
    return bool(getattr(network, "_is_stateful", False))


def stream_in(args: tuple, kwargs: dict) -> "Tensor | None":
    """The hidden state that a block or norm is called with, by position or by keyword."""
    if args:
        return args[0]
    named = (kwargs.get("hidden_states"), *kwargs.values())
    return next((value for value in named if is_tensor(value)), None)


def first_of(output: object) -> "Tensor":
    """The hidden state that a module returns, alone or first in a tuple."""
    return output[0] if isinstance(output, tuple | list) else output


def is_tensor(value: object) -> bool:
    """Whether `value` is a tensor; asked without importing torch."""
    return hasattr(value, "data_ptr")

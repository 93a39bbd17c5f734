"""The path that leads from h_k to h_{k+1} through a block, followed operation by operation.

Symbols as in `blocks`. A *path* says how a tensor of the stream's shape came about by additions alone: a base
(the stream h_k itself, or a normalisation of it), the factor of the base, and the terms that the modules of
the block added. In a residual stream the base is h_k, its factor 1, and h_{k+1} = h_k + the sum of the terms.
No architecture is known by name. This module imports torch: only `verification` imports it, where a model is
at hand.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ...errors import ModelError
from .blocks import Anatomy, first_of, is_tensor, stream_in

_STREAM = ""  # the base of a path that starts at h_k itself
# Operations that hand on the value they get, in another shape, dtype or place.
_ALIKE = {
    *("alias", "clone", "contiguous", "detach", "dropout", "lift_fresh", "to", "type_as", "_to_copy"),
    *("reshape", "squeeze", "unsqueeze", "view", "view_as", "_reshape_alias", "_unsafe_view"),
}
_NORMALISATIONS = {"layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm"}
_SUMS = {"add": 1, "add_": 1, "sub": -1, "sub_": -1}


@dataclass(frozen=True)
class BlockPath:
    """What was found on the way through one block.

    `terms` are the names of the modules whose outputs were added to the stream; `problem` says why the block
    is not h_{k+1} = h_k + terms ("" where it is); `before` and `after` are h_k and h_{k+1}.
    """

    terms: tuple[str, ...]
    problem: str
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class _Term:
    """`weight * value` was added; `names` are the modules that made it."""

    weight: float
    value: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Path:
    base: str
    factor: float = 1.0
    terms: tuple[_Term, ...] = ()

    def scaled(self, number: float) -> "_Path":
        terms = tuple(replace(term, weight=term.weight * number) for term in self.terms)
        return _Path(self.base, self.factor * number, terms)


@dataclass
class _Ledger:
    """What is known of the tensors made while one block runs, by the address of their Python object."""

    layer: int
    before: Tensor
    paths: dict[int, _Path] = field(default_factory=dict)
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    derived: set[int] = field(default_factory=set)  # computed from h_k
    running: list[str] = field(default_factory=list)  # children of the block, the innermost last
    # No later object may get the address of an earlier one.
    alive: list[Tensor] = field(default_factory=list)

    def keep(self, tensor: Tensor) -> None:
        self.alive.append(tensor)
        self.derived.add(id(tensor))


def trace(parts: Anatomy, run) -> list[BlockPath]:
    """The paths through all blocks while `run()` sends a few tokens through the trunk.

    Raises ModelError for a block that never runs, or more than once.
    """
    recorder = _Recorder(parts.blocks)
    with recorder:
        run()
    for layer, found in enumerate(recorder.found):
        if len(found) != 1:
            times = "is never run" if not found else f"runs {len(found)} times in one pass"
            raise ModelError(f"layer {layer}: this block {times}.")
    return [found for (found,) in recorder.found]


class _Recorder(TorchDispatchMode):
    """Follows every operation while a block runs."""

    def __init__(self, blocks: tuple[nn.Module, ...]):
        super().__init__()
        self.found: list[list[BlockPath]] = [[] for _ in blocks]
        self._blocks = blocks
        self._ledger: _Ledger | None = None
        self._handles: list = []

    def __enter__(self):
        for layer, block in enumerate(self._blocks):
            self._handles += [
                block.register_forward_pre_hook(self._opened(layer), with_kwargs=True),
                *self._watch_children(layer, block),
                *self._watch_norms(layer, block),
                block.register_forward_hook(self._closed(layer)),
            ]
        return super().__enter__()

    def __exit__(self, *details):
        for handle in self._handles:
            handle.remove()
        return super().__exit__(*details)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if self._ledger is not None:
            _follow(self._ledger, func, args, kwargs or {}, out)
        return out

    def _opened(self, layer: int):
        def hook(_block, args, kwargs) -> None:
            stream = stream_in(args, kwargs)
            self._ledger = _Ledger(layer, stream.clone())
            self._ledger.keep(stream)
            self._ledger.paths[id(stream)] = _Path(_STREAM)

        return hook

    def _closed(self, layer: int):
        def hook(_block, _args, output) -> None:
            after, ledger = first_of(output), self._ledger
            self._ledger = None
            path = ledger.paths.get(id(after))
            names = tuple(dict.fromkeys(name for t in path.terms for name in t.names)) if path else ()
            problem = _problem(layer, path, ledger.before, after)
            self.found[layer].append(BlockPath(names, problem, ledger.before, after.clone()))

        return hook

    def _watch_children(self, layer: int, block: nn.Module) -> list:
        handles = []
        for name, child in block.named_children():

            def enter(_module, _args, name=name) -> None:
                if self._is_open(layer):
                    self._ledger.running.append(name)

            def leave(module, args, kwargs, output, name=name) -> None:
                if self._is_open(layer):
                    self._ledger.running.pop()
                    given, taken = first_of(output), stream_in(args, kwargs)
                    made = self._ledger.names.get(id(taken)) if _passes_on(module) else None
                    if is_tensor(given):
                        self._ledger.keep(given)
                        self._ledger.names[id(given)] = made or (name,)

            handles += [
                child.register_forward_pre_hook(enter),
                child.register_forward_hook(leave, with_kwargs=True),
            ]
        return handles

    def _watch_norms(self, layer: int, block: nn.Module) -> list:
        handles = []
        for name, module in block.named_modules():

            def leave(_module, args, kwargs, output, name=name) -> None:
                given, taken = first_of(output), stream_in(args, kwargs)
                if self._is_open(layer) and id(taken) in self._ledger.paths and is_tensor(given):
                    self._ledger.keep(given)
                    self._ledger.paths[id(given)] = _Path(name)

            if _is_norm(module):
                handles.append(module.register_forward_hook(leave, with_kwargs=True))
        return handles

    def _is_open(self, layer: int) -> bool:
        # Blocks may share modules.
        return self._ledger is not None and self._ledger.layer == layer


def _is_norm(module: nn.Module) -> bool:
    name = type(module).__name__.lower()
    # "RobertaPreLayerNormAttention" is none
    return "norm" in name and (name.endswith("norm") or next(module.children(), None) is None)


def _passes_on(module: nn.Module) -> bool:
    """Whether what a module gives is named after what it takes."""
    return _is_norm(module) or isinstance(module, nn.Dropout | nn.Identity)


def _follow(ledger: _Ledger, func, args, kwargs, out) -> None:
    """Note what one operation says about the tensors it gives."""
    operands = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    if not any(id(t) in ledger.derived for t in operands):
        return
    given = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
    path = _path(ledger, func.overloadpacket.__name__, args, kwargs)
    names = () if ledger.running else dict.fromkeys(n for t in operands for n in ledger.names.get(id(t), ()))
    for tensor in given:
        ledger.keep(tensor)
        ledger.paths.pop(id(tensor), None)
        if names:
            ledger.names[id(tensor)] = tuple(names)
    if path is not None and given and given[0].numel() == ledger.before.numel():
        ledger.paths[id(given[0])] = path


def _path(ledger: _Ledger, operation: str, args, kwargs) -> _Path | None:
    """The path of what an operation gives, None where it is not one of additions."""
    first, second = (*args, None, None)[:2]
    known = [ledger.paths.get(id(x)) if isinstance(x, Tensor) else None for x in (first, second)]
    if not any(known):
        return None
    if operation in _ALIKE:
        return known[0]
    if operation in _NORMALISATIONS and known[0]:
        return _Path("a normalisation")
    if operation in _SUMS:
        return _sum(ledger, (first, second), known, _SUMS[operation] * kwargs.get("alpha", 1))
    if operation in ("addcmul", "addcmul_") and known[0]:
        product = args[1] * args[2] * kwargs.get("value", 1)
        return _sum(ledger, (first, product), (known[0], None), 1)
    if operation in ("mul", "mul_", "div", "div_"):
        return _product(ledger, operation, (first, second), known)
    return None


def _sum(ledger: _Ledger, operands: tuple, known, sign: float) -> _Path:
    """The path of `one + sign * other`; the stream counts before a normalisation of it."""
    one, other = known
    if one and other and one.base == other.base:
        other = other.scaled(sign)
        return _Path(one.base, one.factor + other.factor, one.terms + other.terms)
    if one is None or (other and other.base == _STREAM):
        added = _term(ledger, operands[0], 1.0)
        return replace(other.scaled(sign), terms=(*other.scaled(sign).terms, added))
    return replace(one, terms=(*one.terms, _term(ledger, operands[1], sign)))


def _term(ledger: _Ledger, x, weight: float) -> _Term:
    value = x.clone() if isinstance(x, Tensor) else torch.tensor(float(x))
    names = ledger.names.get(id(x)) or tuple(ledger.running[-1:]) or ("the block itself",)
    return _Term(weight, value, names)


def _product(ledger: _Ledger, operation: str, operands: tuple, known: list) -> _Path | None:
    """A path times a number is a path; times something computed from h_k it is a function of h_k."""
    path, factor = (known[0], operands[1]) if known[0] else (known[1], operands[0])
    if isinstance(factor, Tensor):
        if id(factor) in ledger.derived:
            return None
        same = factor.numel() > 0 and bool((factor == factor.flatten()[0]).all())
        factor = factor.flatten()[0].item() if same else math.nan
    if operation.startswith("div"):
        return path.scaled(1 / factor) if known[0] and factor else None
    return path.scaled(factor)


def _problem(layer: int, path: _Path | None, before: Tensor, after: Tensor) -> str:
    """Why a block is not h_{k+1} = h_k + what its modules add; "" where it is."""
    update = f"h_{layer + 1} - h_{layer}"
    if path is None:
        return (
            f"no path of additions leads from h_{layer} to h_{layer + 1}: the block gates or replaces the "
            f"stream, so that {update} is not what its modules add."
        )
    if path.base != _STREAM:
        return (
            f"h_{layer + 1} is built on a normalisation of the stream ({path.base}), not on h_{layer} itself "
            f"(post-norm), so that {update} is not what its modules add."
        )
    names = dict.fromkeys(name for term in path.terms for name in term.names)
    # the names that people know where the block has the two usual parts
    added = "attention and MLP outputs" if len(names) == 2 else f"outputs of {', '.join(names) or 'none'}"
    if path.factor != 1:
        by = "a vector" if math.isnan(path.factor) else f"{path.factor:.6g}"
        return f"{added} do not sum to {update}: the block multiplies the stream by {by}."
    worst = _discrepancy(path, before, after)
    if not path.terms or not worst <= (2 + len(path.terms)) * torch.finfo(after.dtype).eps:
        return f"{added} do not sum to {update} (relative error {worst:.1e})."
    return ""


def _discrepancy(path: _Path, before: Tensor, after: Tensor) -> float:
    """Largest |h_k + terms - h_{k+1}|, in units of the rounding that adding numbers of this size costs."""
    before, after = before.cpu().double(), after.cpu().double().reshape(before.shape)
    terms = [_like(term, before) for term in path.terms]
    error = (before + sum(terms) - after).abs()
    scale = before.abs() + sum(term.abs() for term in terms) + after.abs()
    return (error / scale.clamp_min(1e-30)).max().item()


def _like(term: _Term, stream: Tensor) -> Tensor:
    value = term.weight * term.value.cpu().double()
    return value.reshape(stream.shape) if value.numel() == stream.numel() else value.expand(stream.shape)

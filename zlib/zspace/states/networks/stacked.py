"""Nonlinear networks on synthetic worlds, all of them trained as one stack.

    h_0 = W_in x + b_in,   h_k = s h_{k-1} + tanh(W_k h_{k-1} + b_k),   output = W_out h_L + b_out

with s = 1 for a residual net and s = 0 for a plain one. x is the input padded to d + K columns (the flag's
are zero without one), the loss the mean squared error on examples whose language is drawn by its share,
minimised by Adam with a cosine schedule. Symbols: M networks, L blocks of width w, K languages, d dimensions.
Parameters are arrays with a leading axis of M; no operation mixes two networks, and each has generators of
its own, so a network does not depend on its companions.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ... import files
from ...errors import ConvergenceError, StoreError
from ...sources import worlds as synthetic
from ...sources.worlds import World
from .examples import CHUNK, Examples, tanh

CHECKPOINT_STEPS = 250


@dataclass(frozen=True)
class Recipe:
    """How a stack is built and trained: blocks, width, steps, examples a step, largest step of Adam."""

    depth: int = 4
    width: int = 64
    steps: int = 2000
    batch: int = 128
    learning_rate: float = 2e-3


@dataclass(frozen=True)
class TrainedBatch:
    """M trained networks.

    Attributes
    ----------
    worlds : (M,) the world of each network, drawn anew for its seed.
    world_index, seeds : (M,) which of the given worlds it belongs to, and its seed.
    residual : (M,) bool.
    weights, initial : parameters by name, float32 with a leading M, after and before training:
        "input" (M, d + K, w), "input_bias" (M, 1, w), "block_0" ... (M, w, w), "block_0_bias" (M, 1, w) ...,
        "output" (M, w, d), "output_bias" (M, 1, d); a state multiplies from the left.
    loss : (M, steps / 25) mean squared error per target coordinate, averaged over 25 steps.
    """

    worlds: tuple[World, ...]
    world_index: np.ndarray
    seeds: np.ndarray
    residual: np.ndarray
    weights: Mapping[str, np.ndarray]
    initial: Mapping[str, np.ndarray]
    loss: np.ndarray
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.worlds)

    def select(self, rows) -> "TrainedBatch":
        """The networks in `rows` (indices or a mask) as a stack of their own."""
        rows = np.arange(len(self))[np.asarray(rows)]
        arrays = {n: getattr(self, n)[rows] for n in ("world_index", "seeds", "residual", "loss")}
        parameters = {n: {k: v[rows] for k, v in getattr(self, n).items()} for n in ("weights", "initial")}
        return replace(self, worlds=tuple(self.worlds[i] for i in rows), **arrays, **parameters)


def train(
    worlds: Sequence[World],
    seeds: Sequence[int],
    *,
    residual: bool | Sequence[bool] = False,
    recipe: Recipe | None = None,
    device: str = "cpu",
    checkpoint: Path | str | None = None,
    progress: bool = False,
) -> TrainedBatch:
    """One network for every world and seed, world-major: M = len(worlds) * len(seeds).

    A seed draws everything anew: transforms and target of the world (`worlds.replicate`), first weights,
    examples. On the CPU a network is the same, to 1e-6, whatever is trained beside it.

    Parameters
    ----------
    worlds : of the same dimension and number of languages.
    residual : with skip connections or without, for all worlds or one each.
    device : "cpu", "cuda" or any device of torch.
    checkpoint : file that the state of training is written to every 250 steps, and resumed from.

    Raises
    ------
    ValueError : no worlds or seeds, worlds of different sizes, steps that are no multiple of 25.
    StoreError : the checkpoint is of another training.
    ConvergenceError : a loss is not finite.
    """
    run = _Run(worlds, seeds, residual, recipe or Recipe(), device)
    if checkpoint is not None and Path(checkpoint).is_file():
        run.resume(Path(checkpoint))
    bar = tqdm(total=run.recipe.steps, initial=run.step, disable=not progress, desc="training", unit="step")
    with bar:
        while run.step < run.recipe.steps:
            run.advance()
            bar.update(CHUNK)
            if checkpoint is not None and run.step % CHECKPOINT_STEPS == 0:
                run.write(Path(checkpoint))
    return run.result()


def states(batch: TrainedBatch, inputs, *, initial: bool = False) -> np.ndarray:
    """States (M, L+1, ..., n, w) of inputs (M, ..., n, d or d + K), before or after training; float32."""
    return _forward(batch, inputs, initial)[0]


def outputs(batch: TrainedBatch, inputs, *, initial: bool = False) -> np.ndarray:
    """Outputs (M, ..., n, d) of inputs (M, ..., n, d or d + K), before or after training; float32."""
    return _forward(batch, inputs, initial)[1]


def _forward(batch: TrainedBatch, inputs, initial: bool) -> tuple[np.ndarray, np.ndarray]:
    import torch

    weights = batch.initial if initial else batch.weights
    inputs = np.asarray(inputs, np.float32)
    wanted, least = weights["input"].shape[1], batch.worlds[0].dim
    if inputs.ndim < 3 or len(inputs) != len(batch) or inputs.shape[-1] not in (least, wanted):
        raise ValueError(
            f"inputs have shape {inputs.shape}; expected ({len(batch)}, ..., n, {least} or {wanted}): one "
            "row of items for each network."
        )
    padding = np.zeros((*inputs.shape[:-1], wanted - inputs.shape[-1]), np.float32)
    inputs = np.concatenate([inputs, padding], -1)
    flat = torch.from_numpy(inputs.reshape(len(batch), -1, wanted))
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in weights.items()}
        skip = torch.from_numpy(batch.residual.astype(np.float32))[:, None, None]
        hidden, _, found = _layers(tensors, flat, skip, batch.recipe.depth)
    stacked = torch.stack(hidden, 1).numpy()
    lead = inputs.shape[1:-1]
    hidden = stacked.reshape(len(batch), len(hidden), *lead, stacked.shape[-1])
    return hidden, found.numpy().reshape(len(batch), *lead, -1)


def _layers(weights: Mapping, inputs, skip, depth: int):
    """States h_0, ..., h_L (M, n, w), what each block adds (a list of L), and the output (M, n, d)."""
    import torch

    hidden, added = [torch.baddbmm(weights["input_bias"], inputs, weights["input"])], []
    for k in range(depth):
        added.append(tanh(torch.baddbmm(weights[f"block_{k}_bias"], hidden[-1], weights[f"block_{k}"])))
        hidden.append(torch.addcmul(added[-1], skip, hidden[-1]))
    return hidden, added, torch.baddbmm(weights["output_bias"], hidden[-1], weights["output"])


def _gradients(weights: Mapping, inputs, targets, skip, depth: int) -> tuple:
    """Mean squared error (M,) of every network, and its gradient in every parameter.

    Written out, because autograd would make and keep arrays that a stack can do without.
    """
    import torch

    hidden, added, found = _layers(weights, inputs, skip, depth)
    off = found.sub_(targets)
    errors = off.square().mean((1, 2))
    backward = off.mul_(2 / (off.shape[1] * off.shape[2]))
    gradients = {"output": torch.bmm(hidden[-1].mT, backward), "output_bias": backward.sum(1, keepdim=True)}
    backward = torch.bmm(backward, weights["output"].mT)
    for k in reversed(range(depth)):
        inner = torch.addcmul(backward, added[k].square_(), backward, value=-1)  # (1 - tanh^2) dL/dh
        gradients[f"block_{k}"] = torch.bmm(hidden[k].mT, inner)
        gradients[f"block_{k}_bias"] = inner.sum(1, keepdim=True)
        backward = backward.mul_(skip).baddbmm_(inner, weights[f"block_{k}"].mT)
    gradients["input"] = torch.bmm(inputs.mT, backward)
    gradients["input_bias"] = backward.sum(1, keepdim=True)
    return errors, gradients


class _Run:
    """Training between its start and its end: parameters, optimiser, generators, step."""

    def __init__(self, worlds, seeds, residual, recipe: Recipe, device: str):
        import torch

        worlds, seeds = list(worlds), [int(s) for s in seeds]
        flags = [residual] * len(worlds) if isinstance(residual, bool | np.bool_) else list(residual)
        _require(worlds, seeds, flags, recipe)
        self.recipe, self.step = recipe, 0
        self.worlds = tuple(synthetic.replicate(w, s) for w in worlds for s in seeds)
        self.world_index = np.repeat(np.arange(len(worlds)), len(seeds))
        self.seeds = np.tile(seeds, len(worlds))
        self.residual = np.array(flags, bool)[self.world_index]
        streams = [_streams(w.seed, s) for w in worlds for s in seeds]
        self.generators = [stream[1] for stream in streams]
        drawn = [_initial(w, recipe, stream[0]) for w, stream in zip(self.worlds, streams, strict=True)]
        self.initial = {name: np.stack([d[name] for d in drawn]) for name in drawn[0]}
        self.weights = {name: torch.tensor(a, device=device) for name, a in self.initial.items()}
        self.optimizer = torch.optim.Adam(self.weights.values(), lr=recipe.learning_rate, fused=True)
        self.examples = Examples(self.worlds, self.generators, recipe.batch, device)
        self.skip = torch.tensor(self.residual, dtype=torch.float32, device=device)[:, None, None]
        self.loss = np.full((len(self.worlds), recipe.steps // CHUNK), np.nan, np.float32)

    def advance(self) -> None:
        """Train for one chunk of steps."""
        import torch

        inputs, targets = self.examples.chunk()
        losses = []
        for c in range(CHUNK):
            (group,) = self.optimizer.param_groups
            group["lr"] = self.recipe.learning_rate * (1 + np.cos(np.pi * self.step / self.recipe.steps)) / 2
            shown = (inputs[:, c], targets[:, c], self.skip, self.recipe.depth)
            errors, gradients = _gradients(self.weights, *shown)
            for name, weight in self.weights.items():
                weight.grad = gradients[name]
            self.optimizer.step()
            losses.append(errors)
            self.step += 1
        mean = torch.stack(losses).mean(0).cpu().numpy()
        if not np.isfinite(mean).all():
            worst = int(np.flatnonzero(~np.isfinite(mean))[0])
            raise ConvergenceError(
                f"the loss of network {worst} ({self.worlds[worst]}) is not finite after {self.step} steps; "
                "take a smaller learning rate."
            )
        self.loss[:, self.step // CHUNK - 1] = mean

    def description(self) -> dict:
        """All that decides the numbers but the code."""
        return {
            "worlds": [asdict(w) for w in self.worlds],
            "seeds": self.seeds.tolist(),
            "residual": self.residual.tolist(),
            "recipe": asdict(self.recipe),
        }

    def write(self, path: Path) -> None:
        """Keep everything that training goes on from, in one safetensors file."""
        import torch
        from safetensors.torch import save

        moments = self.optimizer.state_dict()["state"]
        tensors = {f"weight/{n}": w.contiguous() for n, w in self.weights.items()}
        for i, name in enumerate(self.weights):
            tensors |= {f"{m}/{name}": moments[i][m].contiguous() for m in ("exp_avg", "exp_avg_sq")}
        tensors["loss"] = torch.from_numpy(self.loss)
        metadata = {
            "step": str(self.step),
            "description": files.fingerprint(self.description()),
            "generators": json.dumps([g.bit_generator.state for g in self.generators]),
        }
        metadata["seal"] = _seal(tensors, metadata)
        with files.atomic_write(path, "wb") as stream:
            stream.write(save(tensors, metadata))

    def resume(self, path: Path) -> None:
        """Go on from what `write` kept."""
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as kept:
                metadata = kept.metadata()
                tensors = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError) as error:
            raise StoreError(
                f"{path} cannot be read as a checkpoint ({error}); delete it to start anew."
            ) from error
        if (metadata or {}).get("description") != files.fingerprint(self.description()):
            raise StoreError(
                f"{path} is a checkpoint of another training (other worlds, seeds or recipe); give another "
                "file, or delete it to start anew."
            )
        if metadata.pop("seal", None) != _seal(tensors, metadata):
            raise StoreError(f"{path} was changed after it was written; delete it to start anew.")
        self.step = int(metadata["step"])
        moments = {}
        for i, (name, weight) in enumerate(self.weights.items()):
            weight.copy_(tensors[f"weight/{name}"])
            kept = {m: tensors[f"{m}/{name}"].to(weight.device) for m in ("exp_avg", "exp_avg_sq")}
            moments[i] = {"step": torch.tensor(float(self.step)), **kept}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.loss = tensors["loss"].numpy()
        for generator, state in zip(self.generators, json.loads(metadata["generators"]), strict=True):
            generator.bit_generator.state = state

    def result(self) -> TrainedBatch:
        kept = ("worlds", "world_index", "seeds", "residual", "initial", "loss", "recipe")
        weights = {name: w.cpu().numpy() for name, w in self.weights.items()}
        return TrainedBatch(weights=weights, **{name: getattr(self, name) for name in kept})


def _seal(tensors: Mapping, metadata: Mapping) -> str:
    """Hash of everything that a checkpoint holds."""
    content = {name: hashlib.sha256(t.cpu().numpy().tobytes()).hexdigest() for name, t in tensors.items()}
    return files.fingerprint([content, metadata])


def _require(worlds, seeds, flags, recipe: Recipe) -> None:
    if not worlds or not seeds or len(flags) != len(worlds):
        raise ValueError(
            f"found {len(worlds)} worlds, {len(seeds)} seeds, residual for {len(flags)}; expected at least "
            "one of each, and `residual` once or for every world."
        )
    sizes = {(w.dim, w.n_languages) for w in worlds}
    if len(sizes) > 1:
        raise ValueError(
            f"worlds of different (dim, languages) {sorted(sizes)} do not stack; train them apart."
        )
    if recipe.steps < CHUNK or recipe.steps % CHUNK or min(recipe.depth, recipe.width, recipe.batch) < 1:
        raise ValueError(f"{recipe}: steps must be a positive multiple of {CHUNK}, sizes at least 1.")


def _streams(world_seed: int, seed: int) -> list[np.random.Generator]:
    """Generators of one network's first weights and examples; the same for all kinds of world."""
    return [np.random.default_rng(s) for s in np.random.SeedSequence([world_seed, seed, 1]).spawn(2)]


def _initial(world: World, recipe: Recipe, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Uniform within one over the root of the fan-in, as torch initialises a linear layer."""
    columns, found = world.dim + world.n_languages, {}
    shapes = {"input": (columns, recipe.width)}
    shapes |= {f"block_{k}": (recipe.width, recipe.width) for k in range(recipe.depth)}
    shapes["output"] = (recipe.width, world.dim)
    for name, (fan_in, fan_out) in shapes.items():
        # columns that are always zero do not count
        limit = 1 / np.sqrt(world.input_dim if name == "input" else fan_in)
        found[name] = rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32)
        found[f"{name}_bias"] = rng.uniform(-limit, limit, (1, fan_out)).astype(np.float32)
    return found

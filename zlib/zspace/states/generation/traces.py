"""Generation traces: what every layer adds at every token that a model writes.

Symbols: L blocks, d hidden size; a trace has T steps, step t is the forward pass that reads generated token
t. h_l (d,) the residual stream before block l at that token, f_l = h_{l+1} - h_l what block l adds.

    update_energy (L, T)    ||f_l||^2 at step t
    step_energy (L+1, T)    ||h_l at step t - h_l at step t-1||^2, step -1 being the prompt's last token
    log_probability (T,)    of token t where it was written, nats, of the model itself (temperature 1)
    entropy (T,)            of that distribution, nats

`traces` samples with the stock `generate` of transformers, without the settings that a model brings for it;
`replay` reads given tokens, so that a baseline reads exactly what the trained model wrote. Each prompt has a
random stream of its own: what is sampled does not depend on which prompts share its batch, beyond the
rounding of float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ModelError, ParameterError
from ...sources import models
from ...sources.models import blocks, verification
from ..progress import progress_bar
from . import sampling

if TYPE_CHECKING:
    from torch import Tensor

# Sequences in one batch: more only cost memory on a CPU, where reading the weights takes most of a step.
BATCH_SIZE = {"cpu": 16, "cuda": 256}


@dataclass(frozen=True, eq=False)
class Trace:
    """What a model wrote after one prompt, and its states while it did; arrays as in the module's head.

    `tokens` (T,) the ids, `text` what they spell, `n_prompt` tokens of the prompt; `stopped` is "text" (a
    stop string came, which is not part of the trace), "eos" or "length". `vectors` holds layer -> (T, d)
    float32 of the layers that were asked for.
    """

    tokens: np.ndarray
    text: str
    n_prompt: int
    stopped: str
    update_energy: np.ndarray
    step_energy: np.ndarray
    log_probability: np.ndarray
    entropy: np.ndarray
    vectors: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def n_steps(self) -> int:
        """T."""
        return len(self.tokens)


def traces(
    model: models.LanguageModel,
    prompts: Sequence[str],
    *,
    rng: np.random.Generator,
    n_steps: int = 256,
    temperature: float = 1.0,
    stop: Sequence[str] = (),
    vectors: Sequence[int] = (),
    batch_size: int | None = None,
    progress: bool = False,
) -> list[Trace]:
    """Sampled continuations with every layer's energies at every step, in the order of `prompts`.

    Parameters
    ----------
    model : a loaded language model with L blocks.
    prompts : texts, each with at least one content token.
    rng : one stream is spawned from it for each prompt.
    n_steps : the longest trace.
    temperature : of the softmax sampled from, positive; log-probabilities are of the model itself.
    stop : strings that end a trace where they begin.
    vectors : layers, 0 to L, whose states are kept whole.
    batch_size : prompts continued together; by default one that suits the device.

    Raises
    ------
    ParameterError : an impossible size, temperature or layer.
    ModelError : a model without output layer, a prompt without content or too long for the model with
        `n_steps`, energies not finite, an encoder, or a model that writes with other states than it reads
        (seen on the first batch).
    """
    _check(model, n_steps, temperature, stop, vectors, batch_size)
    tokens = [ids for ids, _ in models.tokenize(model, prompts, n_more=n_steps + 1)]
    streams = rng.spawn(len(tokens))
    size = batch_size or BATCH_SIZE.get(model.device.type, BATCH_SIZE["cuda"])
    found: dict[int, Trace] = {}
    with progress_bar(len(tokens), "trace", shown=progress, desc=f"{model.name} writes") as bar:
        for rows in _batches(model, [len(ids) for ids in tokens], n_steps, size):
            uniforms = np.stack([streams[row].random(n_steps + 1) for row in rows])
            batch = _continue([tokens[row] for row in rows], model, uniforms, temperature, stop, vectors)
            if not any(trace.n_steps for trace in found.values()):
                _check_replay(model, [tokens[row] for row in rows], batch)
            found |= zip(rows, batch, strict=True)
            bar.update(len(rows))
    return [found[row] for row in range(len(tokens))]


def replay(
    model: models.LanguageModel,
    prompts: Sequence[str],
    continuations: Sequence[np.ndarray],
    *,
    vectors: Sequence[int] = (),
    progress: bool = False,
) -> list[Trace]:
    """The traces of given continuations, token ids (T,) each, read by any model with the same tokens.

    Of a trained model and its own traces it gives the same numbers up to rounding. One text at a time, each
    in a single pass. Parameters and errors as in `traces`; `stopped` is "replay".
    """
    _check(model, 1, 1.0, (), vectors, None)
    if len(prompts) != len(continuations) or not all(len(c) for c in continuations):
        raise ParameterError(
            f"{len(prompts)} prompts and {len(continuations)} continuations; expected one continuation of at "
            "least one token for each prompt."
        )
    tokens = [ids for ids, _ in models.tokenize(model, prompts, n_more=[len(c) for c in continuations])]
    found = []
    with progress_bar(len(tokens), "trace", shown=progress, desc=f"{model.name} reads") as bar:
        for ids, continuation in zip(tokens, continuations, strict=True):
            found.append(_read(model, ids, np.asarray(continuation, np.int64), vectors))
            bar.update()
    return found


def _batches(model, lengths: list[int], n_steps: int, size: int) -> list[np.ndarray]:
    """Rows of each batch of prompts, the longest first.

    Prompts on both sides of the model's bound for its positions are not continued together, nor those of
    different lengths where a recurrence would read their padding.
    """
    bound = model.kind.rescaled_beyond
    for row, length in enumerate(lengths):
        if bound and length <= bound < length + n_steps + 1:
            raise ModelError(
                f"row {row}: {length} tokens and {n_steps + 1} to come pass {bound}, beyond which "
                f"{model.name} turns the positions of the whole text otherwise: its states would change "
                "while it writes. Ask for fewer steps."
            )
    groups: dict[tuple, list[int]] = {}
    for row in np.argsort(-np.asarray(lengths), kind="stable"):
        side = bool(bound and lengths[row] > bound)
        key = side, lengths[row] if blocks.is_recurrent(model.network) else 0
        groups.setdefault(key, []).append(int(row))
    return [np.array(g[start : start + size]) for g in groups.values() for start in range(0, len(g), size)]


def _check_replay(model, prompts: list[np.ndarray], batch: "list[Trace]") -> None:
    """The shortest prompt of a batch, the one padded most, has the energies that reading all at once gives.

    Raises ModelError where it has not: a cache, a sliding window or padding then changes what is recorded.
    """
    written = [(prompt, trace) for prompt, trace in zip(prompts, batch, strict=True) if trace.n_steps]
    if not written:
        return
    prompt, trace = written[-1]
    again = _read(model, prompt, trace.tokens, ())
    error = np.abs(trace.update_energy - again.update_energy).max(1) / again.update_energy.max(1)
    # energies are squares
    if not error.max() <= 2 * verification.batch_tolerance(model.network.dtype):
        layer = int(error.argmax())
        raise ModelError(
            f"{model.name} writes with other states than it reads: what block {layer} adds differs by "
            f"{error[layer]:.1e} of its energy between a text written token by token (in a batch of "
            f"{len(prompts)}) and the same text read at once. No traces are kept of a "
            "model that disagrees with itself; its captured states are not concerned."
        )


def _continue(prompts, model, uniforms, temperature, stop, vectors) -> list[Trace]:
    """One batch of traces from the token ids of its prompts."""
    import torch

    ends = sampling.end_tokens(model)
    ids, mask = (x.to(model.device) for x in _left_padded(prompts, model.padding_id))
    width = ids.shape[1]

    def last(_layer, h):
        return h[:, -1].clone()  # a view would keep the states of the whole prompt

    exact = blocks.exact_attention(model.device)
    own_code = blocks.in_one_line(f"{model.name} cannot write token by token")
    with torch.inference_mode(), exact, models.ReducingHooks(model, last) as hooks, own_code:
        recorder = sampling.Recorder(model, hooks, uniforms, temperature, vectors)
        written = model.network.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=sampling.plain_settings(model, uniforms.shape[1]),
            logits_processor=[recorder],
            stopping_criteria=[sampling.Stopper(model.tokenizer, stop, width)],
        )
        recorded = recorder.by_row()
    written = written[:, width:].cpu().numpy()
    return [
        _trace(model, tokens, len(prompt), of_row, ends, stop, vectors)
        for tokens, prompt, of_row in zip(written, prompts, recorded, strict=True)
    ]


def _left_padded(prompts: Sequence[np.ndarray], pad: int) -> "tuple[Tensor, Tensor]":
    """Ids and attention mask (B, T), each prompt ending at the last position."""
    import torch

    width = max(map(len, prompts))
    ids = np.full((len(prompts), width), pad, np.int64)
    mask = np.zeros(ids.shape, np.int64)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :], mask[row, width - len(prompt) :] = prompt, 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _trace(model, written, n_prompt, recorded, ends, stop, layers) -> Trace:
    """The trace of one row: its recordings up to where it stopped."""
    # the last token written is never read, so that it has no step
    length, stopped = len(written) - 1, "length"
    at_end = np.flatnonzero(np.isin(written, ends))
    if len(at_end):
        # what the end token is called is no part of the text
        length, stopped = int(at_end[0]), "eos"
        written = written[:length]
    cut = sampling.stop_position(model.tokenizer, written, stop)
    if cut is not None and cut <= length:
        length, stopped = cut, "text"
    parts = {name: values[:length] for name, values in recorded.items()}
    return _finished(model, written[:length], n_prompt, stopped, parts, layers)


def _finished(model, tokens, n_prompt: int, stopped: str, parts: dict, layers) -> Trace:
    energies = parts["update_energy"]
    if not np.isfinite(energies).all():
        layer = int(np.isfinite(energies).all(0).argmin())
        raise ModelError(
            f"{model.name}: what block {layer} adds is not finite while it writes (dtype {model.dtype}). "
            "float16 overflows in many models; use float32 or bfloat16."
        )
    return Trace(
        tokens=np.array(tokens, np.int64),
        text=model.tokenizer.decode(tokens),
        n_prompt=n_prompt,
        stopped=stopped,
        update_energy=np.ascontiguousarray(parts["update_energy"].T),
        step_energy=np.ascontiguousarray(parts["step_energy"].T),
        log_probability=parts["log_probability"].copy(),
        entropy=parts["entropy"].copy(),
        vectors={layer: parts["vectors"][:, i].copy() for i, layer in enumerate(layers)},
    )


def _read(model, prompt, continuation, layers: Sequence[int]) -> Trace:
    """One replayed trace."""
    import torch

    n, ids = len(continuation), torch.from_numpy(np.concatenate([prompt, continuation]))[None]
    before: list = []

    def reduce(layer, h):
        # the last n+1 positions: the prompt's last token and the continuation
        h = h[0, -n - 1 :].to(model.device, torch.float32)
        update = sampling.energy(h[1:] - before.pop()[1:]) if before else None
        before.append(h)
        return update, sampling.energy(h.diff(dim=0)), h[1:].clone() if layer in layers else None

    exact = blocks.exact_attention(model.device)
    with torch.inference_mode(), exact, models.ReducingHooks(model, reduce) as hooks:
        ids = ids.to(model.device)
        logits = model.network(input_ids=ids, use_cache=False, logits_to_keep=n + 1).logits[0, :-1].float()
        kept = hooks.take()
        log_p = logits.log_softmax(-1)
        parts = {
            "update_energy": torch.stack([update for update, _, _ in kept[1:]], 1),
            "step_energy": torch.stack([step for _, step, _ in kept], 1),
            "log_probability": log_p.gather(1, ids[0, -n:, None])[:, 0],
            "entropy": sampling.entropy(log_p),
            "vectors": torch.stack([kept[layer][2] for layer in layers], 1) if layers else torch.empty(n, 0),
        }
        parts = {name: part.cpu().numpy() for name, part in parts.items()}
    return _finished(model, continuation, len(prompt), "replay", parts, layers)


def _check(model, n_steps, temperature, stop, vectors, batch_size) -> None:
    if not (model.kind.is_causal and model.kind.residual):
        raise ModelError(
            f"{model.name} is {model.kind.label}: it does not write from left to right and has no traces."
        )
    if not model.has_head:
        raise ModelError(
            f"{model.name} was saved without its output layer: it has states, but writes and reads no "
            "tokens. Take the whole causal language model."
        )
    if n_steps < 1 or (batch_size is not None and batch_size < 1):
        raise ParameterError(f"n_steps={n_steps}, batch_size={batch_size}; expected at least 1.")
    if not temperature > 0:
        raise ParameterError(
            f"temperature={temperature}; expected a positive number, 1 for the model itself."
        )
    if isinstance(stop, str) or not all(stop):
        raise ParameterError(f"stop={stop!r}; expected a list of strings that are not empty.")
    if outside := [layer for layer in vectors if not 0 <= layer <= model.n_layers]:
        raise ParameterError(f"vectors of layers {outside}; {model.name} has layers 0 to {model.n_layers}.")

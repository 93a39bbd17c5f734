"""Choosing the next token while `generate` runs, and when to stop: what `generation` hooks into it.

Symbols: B rows, V entries of the vocabulary, L blocks, d hidden size.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig


class Recorder:
    """Chooses the next token of every row and keeps what the pass before it did: a logits processor.

    It is called once after every forward pass. What it returns leaves a single token possible, so that the
    greedy search of `generate` takes the one that was sampled here, without the global random stream.
    """

    def __init__(self, model, hooks, uniforms: np.ndarray, temperature: float, vectors: Sequence[int]):
        import torch

        n_rows, n_calls = uniforms.shape
        self._hooks, self._temperature, self._kept_layers = hooks, temperature, list(vectors)
        self._uniforms = torch.from_numpy(uniforms).to(model.device)
        self._before: Tensor | None = None
        self.n_calls = 0

        def empty(*shape):
            return torch.empty(n_calls, *shape, device=model.device)

        self.update_energy = empty(model.n_layers, n_rows)
        self.step_energy = empty(model.n_layers + 1, n_rows)
        self.log_probability, self.entropy = empty(n_rows), empty(n_rows)
        self.vectors = empty(len(self._kept_layers), n_rows, model.hidden_size)

    def by_row(self) -> list[dict[str, np.ndarray]]:
        """What was recorded of each row: name -> (calls, ...), of which the last call has no step."""
        names = ("update_energy", "step_energy", "log_probability", "entropy", "vectors")
        arrays = {name: getattr(self, name).cpu().numpy() for name in names}
        rows = {name: np.moveaxis(v, 2 if name == "vectors" else -1, 0) for name, v in arrays.items()}
        return [{name: v[row] for name, v in rows.items()} for row in range(self._uniforms.shape[0])]

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        import torch

        states = torch.stack([h.to(input_ids.device, torch.float32) for h in self._hooks.take()])
        if self._before is not None:
            step = self.n_calls - 1
            self.update_energy[step] = energy(states[1:] - states[:-1])
            self.step_energy[step] = energy(states - self._before)
            self.vectors[step] = states[self._kept_layers]
        self._before = states
        chosen, self.log_probability[self.n_calls], self.entropy[self.n_calls] = sample(
            scores, self._uniforms[:, self.n_calls], self._temperature
        )
        self.n_calls += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)


class Stopper:
    """Says which rows have written a stop string: a stopping criterion."""

    def __init__(self, tokenizer, stop: Sequence[str], n_prompt: int):
        self._tokenizer, self._stop, self._n_prompt = tokenizer, stop, n_prompt
        # no token spells less than one byte
        self._window = 1 + max((len(text.encode()) for text in stop), default=0)

    def __call__(self, input_ids: "Tensor", _scores, **_) -> "Tensor":
        import torch

        if not self._stop:
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        tails = self._tokenizer.batch_decode(input_ids[:, self._n_prompt :][:, -self._window :])
        done = [any(text in tail for text in self._stop) for tail in tails]
        return torch.tensor(done, device=input_ids.device)


def stop_position(tokenizer, written, stop: Sequence[str]) -> int | None:
    """How many tokens lie wholly before the first stop string, or None where there is none."""
    text = tokenizer.decode(written)
    starts = [start for start in map(text.find, stop) if start >= 0]
    if not starts:
        return None
    count = len(written)
    while len(tokenizer.decode(written[:count])) > min(starts):
        count -= 1
    return count


def end_tokens(model) -> list[int]:
    """Ids that end a text, of the model's configuration or else of its tokenizer."""
    found = model.network.generation_config.eos_token_id
    found = model.tokenizer.eos_token_id if found is None else found
    return [] if found is None else [int(token) for token in np.atleast_1d(found)]


def plain_settings(model, n_tokens: int) -> "GenerationConfig":
    """Settings under which `generate` writes `n_tokens` as the model itself would: no processor, no penalty.

    `generate` fills what they leave open from the network's own, of which `load` keeps the end tokens alone.
    """
    from transformers import GenerationConfig

    ends = {"pad_token_id": model.padding_id, "eos_token_id": end_tokens(model) or None}
    return GenerationConfig(max_new_tokens=n_tokens, do_sample=False, num_beams=1, use_cache=True, **ends)


def sample(logits: "Tensor", uniform: "Tensor", temperature: float) -> "tuple[Tensor, Tensor, Tensor]":
    """One token per row, drawn at `temperature`; its log-probability and the entropy at temperature 1."""
    import torch

    log_p = logits.float().log_softmax(-1)
    scaled = log_p if temperature == 1 else (log_p - log_p.amax(-1, keepdim=True)) / temperature
    # float32 would lose the small steps of 10^5 tokens
    cumulative = scaled.exp().cumsum(-1, dtype=torch.float64)
    target = uniform[:, None] * cumulative[:, -1:]
    # a vocabulary's last entries may be impossible, and u may round up to the total
    chosen = torch.searchsorted(cumulative, target, right=True).clamp(max=logits.shape[1] - 1)
    return chosen[:, 0], log_p.gather(1, chosen)[:, 0], entropy(log_p)


def entropy(log_p: "Tensor") -> "Tensor":
    import torch

    # 0 log 0 is 0, not NaN
    return -torch.linalg.vecdot(log_p.exp(), log_p.clamp(min=-1e4))


def energy(x: "Tensor") -> "Tensor":
    import torch

    return torch.linalg.vecdot(x, x)

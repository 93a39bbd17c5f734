"""One batch through the trunk of a language model: token ids in, pooled states of every layer out.

B texts, T positions, L blocks, hidden size d. `start` queues a batch on the model's device and returns at
once where the device works on its own (CUDA); `Batch.arrive` waits for its pooled states. A caller that
starts the next batch before it takes the last one keeps the device busy while results are copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..sources import models
from ..sources.models import blocks
from . import pooling

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch under way.

    `pooled` is pooling -> (L+1, B, d) float32 and `finite` pooling -> (L+1,) bool, both in host memory and
    complete once `done`, the event after which they are, has occurred (None: they are complete).
    """

    pooled: "dict[str, Tensor]"
    finite: "dict[str, Tensor]"
    done: "torch.cuda.Event | None"

    def arrive(self) -> "tuple[dict[str, Tensor], dict[str, Tensor]]":
        """Wait for `pooled` and `finite` and return them."""
        if self.done is not None:
            self.done.synchronize()
        return self.pooled, self.finite


def start(
    model: models.LanguageModel, tokens: Sequence[tuple[np.ndarray, np.ndarray]], poolings: Sequence[str]
) -> Batch:
    """Run texts, each (ids (T,), content mask (T,)), right-padded through the trunk.

    Padding is masked where tokens would see it: not in a causal model. Raises what the device raises where
    the batch does not fit into its memory, and ModelError where the model's own code fails.
    """
    import torch

    padded = _padded(tokens, max(len(text) for text, _ in tokens), model.padding_id)
    ids, content = (_to_device(x, model.device) for x in padded)
    reducers = pooling.reducers(content, poolings)

    def reduce(_layer, h):
        return [reducer(h) for reducer in reducers]

    exact = blocks.exact_attention(model.device)
    with torch.inference_mode(), exact, models.ReducingHooks(model, reduce) as hooks:
        with blocks.in_one_line(f"{model.name} cannot run a batch of {len(tokens)} texts"):
            model.trunk(input_ids=ids, **_options(model, tokens, ids))
        layers = hooks.take()
        pooled = [torch.stack([layer[i].to(model.device) for layer in layers]) for i in range(len(poolings))]
        # The largest magnitude is infinite or NaN where any is: no mask as large as the states is made.
        finite = [x.abs().amax(dim=(1, 2)).isfinite() for x in pooled]
        host, done = _to_host([*pooled, *finite], model.device)
    return Batch(
        dict(zip(poolings, host[: len(poolings)], strict=True)),
        dict(zip(poolings, host[len(poolings) :], strict=True)),
        done,
    )


def _options(model: models.LanguageModel, tokens: Sequence, ids: "Tensor") -> dict:
    """Keyword arguments of the trunk beside the ids."""
    import torch

    if model.kind.is_causal:
        return {"use_cache": False}
    lengths = torch.tensor([len(text) for text, _ in tokens], device=ids.device)
    return {"attention_mask": (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()}


def _padded(tokens: Sequence, width: int, pad_token_id: int) -> "tuple[Tensor, Tensor]":
    """Ids and content mask (B, T), each text followed by padding up to `width`."""
    import torch

    ids = np.full((len(tokens), width), pad_token_id)
    content = np.zeros((len(tokens), width), dtype=bool)
    for row, (text, mask) in enumerate(tokens):
        ids[row, : len(text)], content[row, : len(text)] = text, mask
    return torch.from_numpy(ids), torch.from_numpy(content)


def _to_device(x: "Tensor", device: "torch.device") -> "Tensor":
    # From pageable memory a copy would wait for all that the device has queued.
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def _to_host(
    tensors: "list[Tensor]", device: "torch.device"
) -> "tuple[list[Tensor], torch.cuda.Event | None]":
    """Copies in host memory, and the event after which they are complete."""
    import torch

    if device.type != "cuda":
        return [x.cpu() for x in tensors], None
    # On a stream of its own the copy runs beside the next batch.
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        host = [x.to("cpu", non_blocking=True) for x in tensors]
        for x in tensors:
            x.record_stream(stream)
        return host, stream.record_event()

"""From the tokens of a text to one vector: reducers of the residual stream h (B, T, d) of one layer.

`content` (B, T) marks the tokens that count; special tokens and padding are not among them.

    mean     the average, summed in float32 whatever the model's dtype
    last     the last content token
    median   coordinate by coordinate; the midpoint of the two central values where their number is even
    trimmed  the average without the first content token and without the tenth (rounded up) of the others
             whose norm at that layer is largest; at least one token stays

The first token and a few of huge norm act as attention sinks in most decoders (Xiao et al. 2024,
arXiv 2309.17453; Sun et al. 2024, arXiv 2402.17762) and can dominate an average; the last two poolings
show what depends on them.
"""

from collections.abc import Callable, Sequence

import numpy as np

NAMES = ("mean", "last", "median", "trimmed")
TOP_NORM_SHARE = 0.1


def reducers(content, names: Sequence[str]) -> list[Callable]:
    """One function h (B, T, d) -> (B, d) float32 for each of `names`, for texts with this content mask."""
    return [_REDUCERS[name](content) for name in names]


def _mean(content) -> Callable:
    import torch

    count = content.sum(1, keepdim=True)
    weights = (content / count).float()[:, None]
    # Since torch 2.8 a product of bfloat16 matrices, always summed in float32, need not round its result.
    keeps_float32 = "dtype" in torch.ops.aten.bmm.overloads()

    def reduce(h):
        if h.is_cuda and h.dtype == torch.bfloat16 and keeps_float32:
            # A sixth of the time: a float32 copy of h would be written and read again.
            ones = content.to(h.device, h.dtype)[:, None]
            return torch.bmm(ones, h, out_dtype=torch.float32)[:, 0] / count.to(h.device)
        return (weights.to(h.device) @ h.float())[:, 0]

    return reduce


def _last(content) -> Callable:
    import torch

    rows = torch.arange(len(content), device=content.device)
    last = content.shape[1] - 1 - content.flip(1).int().argmax(1)
    return lambda h: h[rows.to(h.device), last.to(h.device)].float()


def _median(content) -> Callable:
    import torch

    count = content.sum(1)
    middle = torch.stack([(count - 1) // 2, count // 2], 1)[..., None]

    def reduce(h):
        ordered = _sorted_by_token(h.float().masked_fill(~content.to(h.device)[..., None], torch.inf))
        return ordered.gather(1, middle.to(h.device).expand(-1, -1, h.shape[2])).mean(1)

    return reduce


def _sorted_by_token(h):
    """h (B, T, d) sorted along its tokens."""
    import torch

    if h.is_cuda:
        return h.sort(1).values
    # NumPy's vectorised sort takes a twentieth of the time of torch's on a CPU.
    return torch.from_numpy(np.sort(h.transpose(1, 2).contiguous().numpy(), axis=-1)).transpose(1, 2)


def _trimmed(content) -> Callable:
    import torch

    first = torch.nn.functional.one_hot(content.int().argmax(1), content.shape[1]).bool()
    inner = torch.where(content.sum(1, keepdim=True) > 1, content & ~first, content)
    count = inner.sum(1, keepdim=True)
    dropped = torch.ceil(TOP_NORM_SHARE * count).long().clamp(max=count - 1)

    def reduce(h):
        h = h.float()
        norms = h.norm(dim=2).masked_fill(~inner.to(h.device), -torch.inf)
        rank = norms.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        kept = inner.to(h.device) & (rank >= dropped.to(h.device))
        return _mean(kept)(h)

    return reduce


_REDUCERS = {"mean": _mean, "last": _last, "median": _median, "trimmed": _trimmed}

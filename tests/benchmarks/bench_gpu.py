"""Speed of capture on a GPU, with random weights in the shape of an 8B model (Qwen3), in bfloat16.

CPU time says nothing here: rows are wall time from an idle device to an idle device. Candidates start at
text, so they include tokenising (words, not a real vocabulary's merges), padding, the copy of the pooled
states to the host and their sorting into the result; baselines start at padded batches on the device.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from harness import Row, Skipped, compare, median_interval, padded
from zspace.sources import models
from zspace.sources.models import blocks
from zspace.states import capture

SHAPE = {
    "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960,
}  # fmt: skip
# Shortest and longest text: stories as the built-in corpus has them, and paragraphs.
LENGTHS = {"stories": (40, 80), "paragraphs": (384, 640)}
TOKENS = 6 * capture.TOKEN_BUDGET["cuda"]


def device_seconds(work: Callable[[], object]) -> float:
    """Wall time of `work` from an idle device to an idle device."""
    torch.cuda.synchronize()
    before = time.perf_counter()
    _result = work()  # freed after the clock has stopped: a caller keeps it
    torch.cuda.synchronize()
    return time.perf_counter() - before


WALL_TIME = {"clock": device_seconds, "unit": "wall s"}


def rows(pairs: int) -> Iterator[Row | Skipped]:
    """All comparisons of this file."""
    if not torch.cuda.is_available():
        reason = "no CUDA device here; results/gpu.json has the numbers of one"
        yield Skipped("capture of an 8B model in bfloat16 on a GPU", reason)
        return
    model = random_model(SHAPE, "cuda")
    # Beside a GPU a process has the cores of its machine; one thread is the rule of the rows about CPUs.
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count())
    try:
        yield from measured(model, pairs)
    finally:
        torch.set_num_threads(threads)


def measured(model, pairs: int) -> Iterator[Row]:
    for kind, (shortest, longest) in LENGTHS.items():
        texts = random_texts(shortest, longest, TOKENS)
        yield against_masked_trunk(model, kind, texts, pairs)
        yield throughput(model, kind, texts, pairs)
    yield against_output_hidden_states(model, random_texts(*LENGTHS["paragraphs"], TOKENS // 6), pairs)


def against_masked_trunk(model, kind: str, texts: list[str], pairs: int) -> Row:
    batches = padded_batches(model, texts)

    def candidate():
        return capture.states(model, texts)

    def masked_trunk():
        with torch.inference_mode():
            for ids, mask in batches:
                model.trunk(input_ids=ids, attention_mask=mask, use_cache=False)

    notes = {**provenance(model, batches), **extra_memory(baseline=masked_trunk, candidate=candidate)}
    what = f"capture (mean and last, all layers) / bare trunk with a mask, same batches, GPU, {kind}"
    return compare(what, candidate, masked_trunk, at_most=1.02, pairs=pairs, notes=notes, **WALL_TIME)


def throughput(model, kind: str, texts: list[str], pairs: int) -> Row:
    batches = padded_batches(model, texts)
    work = flops(model, [len(ids) for ids, _ in models.tokenize(model, texts)])
    rates = [work / device_seconds(lambda: capture.states(model, texts)) / 1e12 for _ in range(pairs)]
    padded = sum(mask.numel() for _, mask in batches) / sum(int(mask.sum()) for _, mask in batches)
    return Row(
        what=f"TFLOP/s of capture (mean and last, all layers), padding not counted, GPU, {kind}",
        sense="at least",
        bound=420,
        ratios=tuple(rates),
        interval=median_interval(np.array(rates)),
        baseline_code="(none: a rate)\n",
        notes={"TFLOP/s with padding": float(np.median(rates) * padded), **provenance(model, batches)},
    )


def against_output_hidden_states(model, texts: list[str], pairs: int) -> Row:
    batches = padded_batches(model, texts)

    def candidate():
        return capture.states(model, texts)

    def whole_model():
        with torch.inference_mode():
            for ids, mask in batches:
                hidden = model.network(
                    input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False
                ).hidden_states
                [h.cpu() for h in hidden]  # and then pool them, which is not counted here

    notes = {**provenance(model, batches), **extra_memory(baseline=whole_model, candidate=candidate)}
    what = "whole model with output_hidden_states, to the CPU / capture, same batches, GPU, paragraphs"
    return compare(what, candidate, whole_model, at_least=2.8, pairs=pairs, notes=notes, **WALL_TIME)


def flops(model, lengths: list[int]) -> float:
    """Floating-point operations of the trunk on texts of these lengths, embedding and padding left out.

    Two a parameter and token, and in each block's causal attention 4 × heads × head size for each pair of
    a token and one not after it.
    """
    parameters = sum(p.numel() for part in (*model.blocks, model.final_norm) for p in part.parameters())
    config = model.network.config
    lengths = np.asarray(lengths, dtype=float)
    pairs = (lengths * (lengths + 1) / 2).sum()
    attention = 4 * config.num_attention_heads * config.head_dim * pairs * model.n_layers
    return float(2 * parameters * lengths.sum() + attention)


def random_model(shape: dict, device: str) -> models.LanguageModel:
    """A Qwen3 of this shape with random weights, whose tokens are the words w0, w1, …"""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3Config

    torch.manual_seed(0)
    with torch.device(device):
        network = AutoModelForCausalLM.from_config(Qwen3Config(**shape), dtype=torch.bfloat16)
    network.eval().requires_grad_(False)
    vocabulary = {"<pad>": 0, **{f"w{i}": i for i in range(1, shape["vocab_size"])}}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<pad>"))
    words.pre_tokenizer = WhitespaceSplit()
    return models.LanguageModel(
        name="Qwen3 shape",
        revision="random weights",
        subject=models.TRAINED,
        network=network,
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", padding_side="right"),
        dtype="bfloat16",
        device=network.get_input_embeddings().weight.device,
        source={},
        **vars(blocks.anatomy(network)),
    )


def random_texts(shortest: int, longest: int, tokens: int, *, vocabulary: int = SHAPE["vocab_size"]) -> list:
    """About `tokens` random words in texts of `shortest` to `longest`."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(shortest, longest + 1, 2 * tokens // (shortest + longest))
    return [" ".join(f"w{i}" for i in rng.integers(1, vocabulary, length)) for length in lengths]


def padded_batches(model, texts: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and mask (B, T) on the model's device, of the batches that capture forms of `texts`."""
    found = padded(models.tokenize(model, texts), capture.TOKEN_BUDGET["cuda"])
    return [(ids.to(model.device), mask.to(model.device)) for ids, mask in found]


def extra_memory(**works: Callable[[], object]) -> dict[str, float]:
    """Peak device memory of each work above that before it, in gigabytes, by "extra GB, <name>"."""
    result = {}
    for name, work in works.items():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        result[f"extra GB, {name}"] = (torch.cuda.max_memory_allocated() - before) / 1e9
    return result


def provenance(model, batches: list) -> dict[str, object]:
    """Device, model and batches of a row."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "GPU": torch.cuda.get_device_name(),
        "driver": driver or "unknown",
        "CUDA": torch.version.cuda,
        "model": f"{model.name}, {model.revision}, {model.dtype}, L {model.n_layers}, d {model.hidden_size}",
        "CPU threads": torch.get_num_threads(),
        "attention": model.network.config._attn_implementation,
        "tokens": int(sum(mask.sum() for _, mask in batches)),
        "padded tokens": sum(mask.numel() for _, mask in batches),
        "batches": len(batches),
        "largest batch": list(max((mask for _, mask in batches), key=torch.numel).shape),
    }

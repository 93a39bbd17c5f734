"""Speed of capture: against the bare trunk, against `output_hidden_states`, and of its batching.

Each baseline gets the same texts, dtype and threads, and, where batching is not the subject, the same
batches and padding. Tokenising is part of what is timed for the candidate only.
"""

from collections.abc import Iterator

import numpy as np
import torch
from harness import Row, compare, extra_memory, padded
from zspace.sources import corpora, models
from zspace.states import capture, pooling

MODEL = "gemma-3-270m"
TOKEN_BUDGET = 512  # keeps the logits of the whole-model baseline at half a gigabyte


def rows(pairs: int) -> Iterator[Row]:
    """All comparisons of this file."""
    model = models.load(MODEL)
    stories = corpora.load("number-stories", ("en", "fr", "zh"), n_scenarios=3, n_draws=4)
    texts = [text for language in stories.languages for text in stories.texts[language]]
    yield against_bare_trunk(model, texts, pairs)
    yield against_output_hidden_states(model, texts[::4], pairs)
    yield against_file_order(model, mixed_lengths(), pairs)


def against_bare_trunk(model, texts: list[str], pairs: int) -> Row:
    batches = padded_batches(model, texts)

    def candidate():
        return capture.states(model, texts, token_budget=TOKEN_BUDGET)

    def bare_trunk():
        with torch.inference_mode():
            for ids, _ in batches:
                model.trunk(input_ids=ids, use_cache=False)

    memory = extra_memory(baseline=bare_trunk, candidate=candidate)
    notes = {**sizes(model, sum(int(mask.sum()) for _, mask in batches)), **memory}
    what = "capture (mean and last, all layers) / bare trunk, same batches"
    return compare(what, candidate, bare_trunk, at_most=1.05, pairs=pairs, notes=notes)


def against_output_hidden_states(model, texts: list[str], pairs: int) -> Row:
    batches = padded_batches(model, texts)

    def candidate():
        return capture.states(model, texts, token_budget=TOKEN_BUDGET)

    def whole_model():
        with torch.inference_mode():
            for ids, mask in batches:
                hidden = model.network(
                    input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False
                ).hidden_states
                weights = (mask / mask.sum(1, keepdim=True))[:, :, None]
                last = mask.sum(1) - 1
                [((h * weights).sum(1), h[torch.arange(len(h)), last]) for h in hidden]

    memory = extra_memory(baseline=whole_model, candidate=candidate)
    notes = {**sizes(model, sum(int(mask.sum()) for _, mask in batches)), **memory}
    what = "whole model with output_hidden_states, pooled / capture, same batches"
    return compare(what, candidate, whole_model, at_least=2.8, pairs=pairs, notes=notes)


def against_file_order(model, texts: list[str], pairs: int) -> Row:
    tokens = models.tokenize(model, texts)

    def candidate():
        return capture.states(model, texts, token_budget=TOKEN_BUDGET)

    def file_order():
        with torch.inference_mode():
            for start in range(0, len(tokens), 8):
                ((ids, mask),) = padded(tokens[start : start + 8])
                reducers = pooling.reducers(mask.bool(), capture.POOLINGS)
                with models.ReducingHooks(model, lambda _, h, r=reducers: [f(h) for f in r]) as hooks:
                    model.trunk(input_ids=ids, use_cache=False)
                    hooks.take()

    lengths = np.array([len(ids) for ids, _ in tokens])
    notes = sizes(model, int(lengths.sum()))
    notes |= {"shortest": int(lengths.min()), "longest": int(lengths.max())}
    what = "file order, batches of 8 / length-sorted token budget, mixed lengths"
    return compare(what, candidate, file_order, at_least=1.7, pairs=pairs, notes=notes)


def sizes(model, tokens: int) -> dict[str, object]:
    """Model and number of tokens of a row."""
    return {"model": f"{model.name} {model.revision} {model.dtype}", "tokens": tokens}


def mixed_lengths(n: int = 20) -> list[str]:
    """Texts of one, two, … stories in a row: geometric with mean 2.5, as paragraphs of a corpus are."""
    rng = np.random.default_rng(0)
    stories = corpora.load("number-stories", ("en",), n_scenarios=30, n_draws=4).texts["en"]
    return [" ".join(rng.choice(stories, size=size)) for size in rng.geometric(0.4, n)]


def padded_batches(model, texts: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and mask (B, T) of the batches that capture forms of `texts`."""
    return padded(models.tokenize(model, texts), TOKEN_BUDGET)

"""Speed of generation traces against `generate` alone: what recording every layer costs.

The baseline samples as transformers does it, from the same prompts in one batch with the same padding, for as
many tokens at the same temperature. Sampling differs (one draw of the global stream there, inversion by a
stream of each prompt here) and belongs to what is compared.
"""

from collections.abc import Iterator

import numpy as np
import torch
from harness import Row, compare
from zspace.sources import models
from zspace.sources.stories import worked
from zspace.states import generation

MODEL, N_STEPS, TEMPERATURE = "gemma-3-270m", 24, 0.8


def rows(pairs: int) -> Iterator[Row]:
    """All comparisons of this file."""
    model = models.load(MODEL)
    solutions = worked.solutions("en", n_scenarios=8, n_draws=1, difficulty=2)
    prompts = worked.prompts(solutions, "reasoning", n_shots=1, rng=np.random.default_rng(0))
    yield against_generate(model, [prompt.text for prompt in prompts], pairs)


def against_generate(model, texts: list[str], pairs: int) -> Row:
    inputs = model.tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")

    def candidate():
        options = {"n_steps": N_STEPS, "temperature": TEMPERATURE}
        return generation.traces(model, texts, rng=np.random.default_rng(0), **options)

    def bare_generate():
        with torch.inference_mode():
            return model.network.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=N_STEPS + 1,
                min_new_tokens=N_STEPS + 1,
                do_sample=True,
                temperature=TEMPERATURE,
                top_k=0,
                top_p=1.0,
            )

    notes = {"model": f"{model.name} {model.dtype}", "prompts": len(texts), "steps": N_STEPS}
    steps = [trace.n_steps for trace in candidate()]
    notes["steps recorded"] = max(steps)
    what = "traces of every layer / generate alone, same prompts"
    return compare(what, candidate, bare_generate, at_most=1.05, pairs=pairs, notes=notes)

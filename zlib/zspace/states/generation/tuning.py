"""Tuning a model on worked stories, so that correct solutions can be read from a model that writes them.

Each example is what `solving` asks with, two worked stories and a question, followed by its solution and END.
The loss is the cross-entropy of the solution's tokens alone. Scenarios are split once by a seed: a tuned
model is asked about scenarios that it never saw, neither as questions nor as examples shown.

Symbols: N examples, B in a batch, T tokens of the longest of them, S steps.
"""

import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ... import files
from ...errors import ModelError, ParameterError, StoreError
from ...sources import models
from ...sources.models import blocks, tuned, weights
from ...sources.stories import MAX_DIFFICULTY, languages, scenarios, stream, worked
from ..progress import progress_bar
from . import transcripts
from .traces import traces

if TYPE_CHECKING:
    import torch

NEW_NUMBERS, UNSEEN = "new numbers in trained scenarios", "scenarios never trained on"
LEAST_SHARE = 1 / 3  # of scenarios that are held out
_GREEDY = 1e-6  # a temperature at which only the likeliest token is ever drawn
_BUCKET = 50  # batches whose examples are sorted by length together
_KEPT_EVERY = 500  # steps between two checkpoints
_TILE = 64  # on CUDA widths are whole multiples of it: kernels plan anew for each width
_CODE = ("states/generation/tuning.py", "sources/stories")


@dataclass(frozen=True)
class Recipe:
    """What decides the weights of a tuned model, beside the model that it starts from.

    n_solutions : worked stories per language, shared evenly among the scenarios trained on; one epoch.
    n_held_out : scenarios that are never trained on. n_shots : stories shown before the question.
    n_scored : held-out stories per language and kind that are solved at the end.
    learning_rate : its peak, reached after the share `warm_up` of all steps, from where it falls to zero as
        half a cosine. clip : largest norm of a gradient.
    """

    languages: tuple[str, ...] = languages()
    n_solutions: int = 4000
    n_held_out: int = 20
    difficulty: int = MAX_DIFFICULTY
    n_shots: int = 2
    batch_size: int = 32
    learning_rate: float = 1e-4
    warm_up: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    n_scored: int = 40
    seed: int = 0

    def __post_init__(self):
        n, least = len(scenarios()), int(np.ceil(LEAST_SHARE * len(scenarios())))
        most = n - self.n_shots - 1
        if not least <= self.n_held_out <= most:
            raise ParameterError(
                f"{self.n_held_out} scenarios held out; expected {least} to {most} of the {n} that there are."
            )
        sizes = {k: getattr(self, k) for k in ("n_solutions", "batch_size", "n_scored")}
        if wrong := [f"{k}={v}" for k, v in sizes.items() if v < 1]:
            raise ParameterError(f"{', '.join(wrong)}; expected at least 1.")
        if not self.languages:
            raise ParameterError("no language to tune in; name some of those that the stories are told in.")

    def split(self) -> tuple[list[str], list[str]]:
        """Names of the scenarios trained on and of those held out, both in their committed order."""
        names = [one.name for one in scenarios()]
        rows = stream(self.seed, "tuning", "split").permutation(len(names))[: self.n_held_out]
        return [n for i, n in enumerate(names) if i not in rows], [names[i] for i in sorted(rows)]


@dataclass(frozen=True, eq=False)
class Example:
    """Token ids (T,) of a prompt with its solution, of which the first `n_prompt` are the prompt's."""

    ids: np.ndarray
    n_prompt: int


def tune(
    model_name: str,
    folder: Path | str,
    recipe: Recipe,
    *,
    device: str | None = None,
    progress: bool = True,
) -> dict:
    """Fine-tune a model on worked stories and write it, with its record, as a folder of transformers.

    Float32 weights; on CUDA the passes are in bfloat16. A tuning that was broken off goes on at its last
    checkpoint and, on one CPU thread, ends with the very weights of one that was not. A folder that holds
    this very tuning is left as it is.

    Returns the record: base (identity), recipe, split, steps, losses (mean of each tenth of the steps, nats
    per token), hardware, provenance, and scores by language (`score`).

    Raises
    ------
    ParameterError : a folder whose name does not say "tuned", or that holds something else.
    ModelError : a model that does not write, or a loss that is not finite.
    StoreError : a checkpoint of another tuning lies in the way, or nothing can be written.
    """
    folder = Path(folder).expanduser().resolve()
    key = _key(model_name, recipe)
    if (there := _existing(folder, key)) is not None:
        return there
    model = models.load(model_name, dtype="float32", device=device)
    if not (model.kind.is_causal and model.kind.residual and model.has_head):
        raise ModelError(f"{model.name} does not write from left to right: it cannot be tuned to solve.")
    checkpoint = folder.with_name(f".{folder.name}.checkpoint")
    with files.lock(checkpoint):
        started = time.monotonic()
        losses = _train(model, recipe, checkpoint, key, progress)
        record = {
            "base": model.identity(),
            "recipe": asdict(recipe),
            "key": key,
            "split": dict(zip(("trained_on", "held_out"), recipe.split(), strict=True)),
            "steps": len(losses),
            "losses": [float(part.mean()) for part in np.array_split(losses, min(10, len(losses)))],
            "hardware": _hardware(model.device),
            "provenance": files.provenance(),
            "seconds": round(time.monotonic() - started, 1),
            "scores": _score_all(replace(model, name=folder.name), recipe, progress),
        }
        _write(model, folder, record)
        checkpoint.unlink(missing_ok=True)
    return record


def examples(model: models.LanguageModel, recipe: Recipe) -> list[Example]:
    """All N examples of a recipe, language by language.

    Raises ModelError where the tokenizer joins the end of a prompt with the beginning of its solution: what
    the model would learn to write is then not what it is asked for.
    """
    found = []
    for language in recipe.languages:
        prompts = training_prompts(recipe, language)
        whole = models.tokenize(model, [f"{p.text} {p.expected}{worked.END}" for p in prompts])
        asked = models.tokenize(model, [p.text for p in prompts])
        for prompt, (ids, _), (start, _) in zip(prompts, whole, asked, strict=True):
            if not np.array_equal(ids[: len(start)], start):
                raise ModelError(
                    f"{model.name}: its tokenizer joins the end of the prompt with the solution of "
                    f"{prompt.item} in {language}. Tune a model whose tokenizer keeps them apart."
                )
            found.append(Example(ids.astype(np.int32), len(start)))
    return found


def training_prompts(recipe: Recipe, language: str) -> list[worked.Prompt]:
    """What is trained on in one language: stories of the scenarios trained on, shown and asked."""
    names = recipe.split()[0]
    solutions = _solutions(recipe, language, names, 0, _per_scenario(recipe))[: recipe.n_solutions]
    rng = stream(recipe.seed, "tuning", language)
    return worked.prompts(solutions, "reasoning", n_shots=recipe.n_shots, rng=rng)


def held_out_prompts(recipe: Recipe, language: str, kind: str) -> list[worked.Prompt]:
    """Stories that were not trained on: NEW_NUMBERS in scenarios that were, or UNSEEN scenarios."""
    names = recipe.split()[kind == UNSEEN]
    start, n = 0 if kind == UNSEEN else _per_scenario(recipe), -(-recipe.n_scored // len(names))
    solutions = _solutions(recipe, language, names, start, start + n)
    rng = stream(recipe.seed, "scoring", kind, language)
    return worked.prompts(solutions, "reasoning", n_shots=recipe.n_shots, rng=rng)[: recipe.n_scored]


def batches(lengths: Sequence[int], batch_size: int, *, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of each batch of one epoch: in random order, texts of similar length together."""
    lengths, found = np.asarray(lengths), []
    order = rng.permutation(len(lengths))
    for start in range(0, len(order), _BUCKET * batch_size):
        rows = order[start : start + _BUCKET * batch_size]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        found += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [found[i] for i in rng.permutation(len(found))]


def learning_rate(step: int, n_steps: int, recipe: Recipe) -> float:
    """That of step 0 ... n_steps - 1: a line up to the peak, then half a cosine down towards zero."""
    rising = max(1, round(recipe.warm_up * n_steps))
    if step < rising:
        return recipe.learning_rate * (step + 1) / rising
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - rising) / max(1, n_steps - rising))) / 2


def loss_of(network, batch: Sequence[Example], padding_id: int) -> "torch.Tensor":
    """Mean cross-entropy, nats, of the solutions' tokens in a batch; prompts and padding count nothing.

    Texts are padded on the right, where no token of a causal model sees it.
    """
    import torch

    device, first = network.get_input_embeddings().weight.device, min(e.n_prompt for e in batch) - 1
    tile = _TILE if device.type == "cuda" else 1
    width = -(-max(len(e.ids) for e in batch) // tile) * tile
    ids = np.full((len(batch), width), padding_id, np.int64)
    wanted = np.zeros(ids.shape, bool)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)], wanted[row, one.n_prompt : len(one.ids)] = one.ids, True
    ids, wanted = torch.from_numpy(ids).to(device), torch.from_numpy(wanted[:, first + 1 :]).to(device)
    # a token is predicted where the one before it stands; the vocabulary is long, so that others are left out
    places = torch.arange(first, width - 1, device=device)
    logits = network(input_ids=ids, use_cache=False, logits_to_keep=places).logits[wanted]
    return torch.nn.functional.cross_entropy(logits.float(), ids[:, first + 1 :][wanted])


def score(
    model: models.LanguageModel, prompts: Sequence[worked.Prompt], *, n_steps: int, progress: bool = False
) -> pd.DataFrame:
    """What a model makes of stories, written greedily: language, item, and two things that may be right.

    `right`: every equation of the solution is the expected one, in their order; `answer_right`: the last
    result is. A text that does not end within `n_steps` tokens is neither.
    """
    rng = np.random.default_rng(0)  # at this temperature no draw decides anything
    texts, options = [p.text for p in prompts], {"n_steps": n_steps, "temperature": _GREEDY}
    written = traces(model, texts, rng=rng, stop=[worked.END], progress=progress, **options)
    rows = []
    for prompt, trace in zip(prompts, written, strict=True):
        ended = trace.stopped != "length"
        same = transcripts.equations(trace.text) == transcripts.equations(prompt.expected)
        answered = transcripts.last_result(trace.text) == prompt.answer
        rows.append((prompt.language, prompt.item, ended and same, ended and answered))
    return pd.DataFrame(rows, columns=["language", "item", "right", "answer_right"])


def _per_scenario(recipe: Recipe) -> int:
    """Stories of each scenario that are trained on, in each language."""
    return -(-recipe.n_solutions // len(recipe.split()[0]))


def _solutions(
    recipe: Recipe, language: str, names: Sequence[str], start: int, stop: int
) -> list[worked.Worked]:
    """Stories `start` to `stop` of each of some scenarios, by turns over the scenarios.

    No two of one scenario, before `start` or after it, have the same numbers.
    """
    options = {"difficulty": recipe.difficulty, "seed": recipe.seed, "n_distinct": MAX_DIFFICULTY + 1}
    found = worked.solutions(language, n_draws=stop, only=names, **options)
    rows = np.arange(len(found)).reshape(len(names), stop)[:, start:]
    return [found[i] for i in rows.T.ravel()]


def _train(model, recipe: Recipe, checkpoint: Path, key: str, progress: bool) -> np.ndarray:
    """Losses (S,) of all steps; the network is left tuned, in evaluation mode, without gradients."""
    import torch

    found = examples(model, recipe)
    order = stream(recipe.seed, "tuning", "order")
    plan = batches([len(e.ids) for e in found], recipe.batch_size, rng=order)
    # in evaluation mode: what is drawn by dropout would not be the same after a checkpoint
    network = model.network.eval().requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    losses = _resume(network, optimiser, checkpoint, key)
    shown = {"shown": progress, "initial": len(losses), "desc": f"{model.name} is tuned"}
    with progress_bar(len(plan), "step", **shown) as bar:
        for step in range(len(losses), len(plan)):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, len(plan), recipe)
            loss = _step(model, network, optimiser, [found[i] for i in plan[step]], recipe.clip)
            losses.append(loss)
            bar.set_postfix_str(f"loss {np.mean(losses[-50:]):.3f}", refresh=False)
            bar.update()
            if (step + 1) % _KEPT_EVERY == 0 or step + 1 == len(plan):
                _keep(network, optimiser, losses, checkpoint, key)
    network.zero_grad(set_to_none=True)
    network.requires_grad_(False)
    return np.array(losses)


def _step(model, network, optimiser, batch: Sequence[Example], clip: float) -> float:
    """One update of the weights; the loss before it."""
    import torch

    on_cuda = model.device.type == "cuda"
    faster = torch.autocast("cuda", torch.bfloat16, enabled=on_cuda)
    with blocks.exact_attention(model.device), faster:
        loss = loss_of(network, batch, model.padding_id)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    if not (torch.isfinite(loss) and torch.isfinite(norm)):
        raise ModelError(
            f"{model.name}: the loss ({float(loss.detach()):.3g}) or its gradient is not finite while it is "
            "tuned. Take a smaller learning rate."
        )
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return float(loss.detach())


def _keep(network, optimiser, losses: list[float], checkpoint: Path, key: str) -> None:
    import torch

    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
    with files.atomic_write(checkpoint, "wb") as opened:
        torch.save({"key": key, "losses": losses, **state}, opened)


def _resume(network, optimiser, checkpoint: Path, key: str) -> list[float]:
    """Losses of the steps that a checkpoint has behind it, whose state is loaded; none without one."""
    import torch

    if not checkpoint.is_file():
        return []
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        other = state["key"] != key
    except Exception as error:  # zipfile, pickle and torch each have errors of their own
        said = weights.one_line(error)
        raise StoreError(f"{checkpoint} is no checkpoint ({said}). Delete it and tune again.") from error
    if other:
        raise StoreError(
            f"{checkpoint} is of another tuning: another model, recipe or code. Delete it, or choose another "
            "folder."
        )
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return state["losses"]


def _score_all(model, recipe: Recipe, progress: bool) -> list[dict]:
    """Rows of kind, language, n, right and answer_right (shares of n)."""
    rows = []
    for kind in (NEW_NUMBERS, UNSEEN):
        prompts = [p for code in recipe.languages for p in held_out_prompts(recipe, code, kind)]
        table = score(model, prompts, n_steps=_longest(model, prompts), progress=progress)
        for language, own in table.groupby("language", sort=False):
            shares = {name: float(own[name].mean()) for name in ("right", "answer_right")}
            rows.append({"kind": kind, "language": language, "n": len(own), **shares})
    return rows


def _longest(model, prompts: Sequence[worked.Prompt]) -> int:
    """Tokens that leave every solution room, and half as many again."""
    lengths = [len(ids) for ids, _ in models.tokenize(model, [p.expected for p in prompts])]
    return max(lengths) * 3 // 2


def _key(model_name: str, recipe: Recipe) -> str:
    base = models.identity(model_name, dtype="float32")
    return files.fingerprint([base, asdict(recipe), files.code_fingerprint(*_CODE)])


def _existing(folder: Path, key: str) -> dict | None:
    """The record of this very tuning where the folder holds it, None where nothing stands there."""
    if tuned.MARK not in folder.name:
        raise ParameterError(
            f"the folder {folder.name!r} does not say that its model is tuned; choose a name with "
            f"{tuned.MARK!r} in it, such as gemma-3-270m-{tuned.MARK}: verdicts are listed under it."
        )
    if not folder.exists():
        return None
    path = folder / tuned.RECORD
    if path.is_file() and (record := tuned.read(path)).get("key") == key:
        return record
    what = "another tuning" if path.is_file() else "something else"
    raise ParameterError(f"{folder} holds {what}. Choose another folder, or delete it.")


def _write(model, folder: Path, record: dict) -> None:
    with files.atomic_folder(folder) as target, weights.quiet_transformers():
        model.network.save_pretrained(target)
        model.tokenizer.save_pretrained(target)
        text = json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True)
        (target / tuned.RECORD).write_text(text + "\n", encoding="utf-8")


def _hardware(device) -> dict[str, str]:
    import torch

    if device.type != "cuda":
        return {"device": device.type, "processor": platform.machine()}
    return {"device": torch.cuda.get_device_name(device), "processor": platform.machine()}

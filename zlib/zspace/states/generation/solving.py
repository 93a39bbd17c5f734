"""A model solves worked stories, and its solutions are read again under every control.

A model writes solutions (`reasoning`). The traces kept are read once more by the same model where the
solution already stands in the prompt (`copying`), and by models of its shape with random weights
(`random-0`, ...), token by token the same; and the model reads as many tokens of text in which nothing is
computed (`plain`). So every series has counterparts that differ from it in one thing. `record` does so with a
model at hand, `ensure` reads what the disk has and records the rest.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ... import files
from ...errors import ModelError, ParameterError, StoreError, WeightsUnavailableError
from ...sources import models
from ...sources.models import tuned
from ...sources.stories import stream, worked
from ...sources.stories.worked import END, Prompt, plain_text
from . import recordings, transcripts, tuning
from .recordings import MIN_STEPS, Recordings
from .sampling import end_tokens
from .traces import Trace, replay, traces

# What makes recordings: its fingerprint is part of their key.
_CODE = (
    *(f"states/generation/{name}.py" for name in ("recordings", "sampling", "solving", "traces")),
    "states/generation/transcripts.py",
    "sources/stories",
    "sources/models/blocks.py",
    "sources/models/language_model.py",
)


def record(
    model: models.LanguageModel,
    prompts: Sequence[Prompt],
    *,
    rng: np.random.Generator,
    twin_seeds: Sequence[int] = (0,),
    n_samples: int = 1,
    n_kept: int = 20,
    n_steps: int = 256,
    temperature: float = 0.5,
    layers: Sequence[int] | None = None,
    scenarios: Collection[str] | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> Recordings:
    """Let a model solve worked stories, and record its solutions with their controls.

    Parameters
    ----------
    prompts : of the task "reasoning".
    n_samples : solutions written for each prompt.
    n_kept : of each language, at most: correct ones first, then others, none that loops or has fewer than
        MIN_STEPS steps; within both by turns over the scenarios. All that were written are in `outcomes`.
    twin_seeds : of the random-weight baselines.
    layers : blocks to keep; all by default.
    scenarios : those whose stories are read plainly; all by default.

    Raises
    ------
    ParameterError : prompts of another task. ModelError : as `generation.traces`.
    """
    if not prompts or any(p.task != "reasoning" for p in prompts):
        raise ParameterError("record needs prompts of the task 'reasoning'; see stories.worked.prompts.")
    sampling, plain = rng.spawn(2)
    asked = [p for p in prompts for _ in range(n_samples)]
    options = {"n_steps": n_steps, "temperature": temperature, "batch_size": batch_size, "progress": progress}
    written = traces(model, [p.text for p in asked], rng=sampling, stop=[END], **options)
    labelled = [
        _Kept(_labels(p, trace, i % n_samples), trace)
        for i, (p, trace) in enumerate(zip(asked, written, strict=True))
    ]
    chosen = _choose(labelled, n_kept)
    if not chosen:
        raise ParameterError(
            f"none of {len(written)} solutions has {MIN_STEPS} steps without looping; ask for harder "
            "stories, more samples or another temperature."
        )
    kept = [labelled[i] for i in chosen]
    kept += _controls(model, [asked[i] for i in chosen], kept, twin_seeds, scenarios, plain, progress)
    about = {
        "model": model.identity(),
        "end_tokens": end_tokens(model),
        "temperature": temperature,
        "n_samples": n_samples,
        "n_steps": n_steps,
    }
    outcomes = pd.DataFrame([one.labels for one in labelled])
    return _gathered(model, kept, outcomes, range(model.n_layers) if layers is None else layers, about)


def ensure(
    model_name: str,
    languages: Sequence[str],
    *,
    n_draws: int = 2,
    difficulty: int = 5,
    n_shots: int = 2,
    twin_seeds: Sequence[int] = (0, 1, 2),
    n_samples: int = 1,
    n_kept: int = 36,
    n_steps: int = 200,
    temperature: float = 0.5,
    seed: int = 0,
    device: str | None = None,
    batch_size: int | None = None,
    progress: bool = True,
) -> Recordings:
    """Recordings of a model on worked stories in some languages, all layers; made where they are not there.

    What is missing is recorded language by language, each saved when it is done, so that an interrupted
    recording goes on at the first missing language. A language's numbers do not depend on which others are
    asked for. A tuned model is asked about scenarios that it was not trained on, and reads plainly no others.
    Parameters as in `record`, and those of the stories; `device` is where to run what is missing.

    Raises
    ------
    CorpusError, ModelError, WeightsUnavailableError, ParameterError : unknown or unusable input.
    StoreError : recordings cannot be written.
    """
    stories = {"n_draws": n_draws, "difficulty": difficulty, "n_shots": n_shots, "seed": seed}
    options = {"n_samples": n_samples, "n_kept": n_kept, "n_steps": n_steps, "temperature": temperature}
    settings = stories | options | {"twin_seeds": [int(k) for k in twin_seeds]} | _tuning(model_name)
    identity = models.identity(model_name)
    ends = models.end_tokens(model_name)
    key = files.fingerprint([identity, ends, settings, files.code_fingerprint(*_CODE)])
    folder = files.runs_root() / "traces" / key

    @functools.cache
    def model():
        found = models.load(model_name, device=device)
        if found.identity() != identity:
            raise ModelError(f"the files of {found.name} changed while it was loaded; run the same again.")
        return found

    parts = []
    with files.lock(folder):
        for language in dict.fromkeys(languages):
            path = folder / f"{language}.npz"
            if not path.exists():
                rng = stream(seed, "traces", language)
                asked = _prompts(language, settings, rng)
                how = {"rng": rng, "twin_seeds": twin_seeds, "scenarios": settings.get("scenarios")}
                how |= {"batch_size": batch_size, "progress": progress}
                found = record(model(), asked, **how, **options)
                model().check_unchanged()
                recordings.save(replace(found, about={**found.about, **settings}), path)
            parts.append(recordings.load(path))
            if set(parts[-1].series["language"]) != {language}:
                raise StoreError(
                    f"{path} is not what its name says; delete it and run the same command again."
                )
    return recordings.join(parts)


def read(model_name: str, path: str, languages: Sequence[str]) -> Recordings:
    """Recordings of some languages from a file, or, where the path is empty, by `ensure`.

    Raises StoreError where the file is none, is of another model, or lacks a language.
    """
    if not path:
        return ensure(model_name, languages)
    found = recordings.load(path)
    there = found.series["language"].unique()
    absent = [language for language in languages if language not in there]
    if found.about["model"]["model"] != model_name or absent:
        raise StoreError(
            f"{path} holds {found.about['model']['model']} in {', '.join(there)}; asked for {model_name} in "
            f"{', '.join(languages)}. Take an empty path to record what is missing, or other languages."
        )
    return recordings.select(found, languages=languages)


def reread(model_name: str, recorded: Recordings, n: int) -> pd.DataFrame:
    """The first `n` solutions of recordings read again by the model now, beside what was recorded.

    Columns language, item, steps, and the largest relative difference of ||f_l||^2 over the layers kept and
    of the log-probability. What was rounded for the file differs by up to .2 %. Where `n` is 0 the model is
    not loaded; where its weights cannot be reached, as those of a model that was tuned on another machine,
    the table says so instead.
    """
    if n == 0:
        return pd.DataFrame()
    try:
        model = models.load(model_name)
    except WeightsUnavailableError as error:
        return pd.DataFrame({"nothing was read again": [str(error)]})
    rows = []
    for row in range(n):
        one, steps = recorded.series.iloc[row], recorded.steps(row)
        language, settings = one["language"], recorded.about
        asked = _prompts(language, settings, stream(settings["seed"], "traces", language))
        text = next(p.text for p in asked if p.item == one["item"])
        (trace,) = replay(model, [text], [recorded.tokens[steps]])
        energy = trace.update_energy[recorded.layers]
        off_energy = np.abs(energy / recorded.update_energy[:, steps] - 1).max()
        off_log_p = np.abs(trace.log_probability - recorded.log_probability[steps]).max()
        place = {"language": language, "item": one["item"], "steps": trace.n_steps}
        rows.append(
            {**place, "largest difference of energy": off_energy, "largest difference of log p": off_log_p}
        )
    return pd.DataFrame(rows)


def _prompts(language: str, settings: Mapping, rng: np.random.Generator) -> list[Prompt]:
    """What the model is asked in one language; draws from the language's stream before anything else does."""
    options = {name: settings[name] for name in ("n_draws", "difficulty", "seed")}
    solutions = worked.solutions(language, only=settings.get("scenarios"), **options)
    return worked.prompts(solutions, "reasoning", n_shots=settings["n_shots"], rng=rng)


def _tuning(model_name: str) -> dict:
    """What recordings of a tuned model say beside the rest: its scenarios, and how well it solves them."""
    if (record := tuned.record_of(model_name)) is None:
        return {}
    unseen = [row for row in record["scores"] if row["kind"] == tuning.UNSEEN]
    return {
        "tuned_from": record["base"]["model"],
        "scenarios": record["split"]["held_out"],
        "solved_greedily": {row["language"]: row["right"] for row in unseen},
    }


@dataclass(frozen=True)
class _Kept:
    """One trace with what the table says of it."""

    labels: dict
    trace: Trace


def _labels(prompt: Prompt, trace: Trace, sample: int) -> dict:
    return {
        "condition": "reasoning",
        "language": prompt.language,
        "scenario": prompt.scenario,
        "item": prompt.item,
        "sample": sample,
        "correct": trace.stopped != "length" and transcripts.last_result(trace.text) == prompt.answer,
        "looping": transcripts.is_looping(trace.tokens, trace.text),
        "stopped": trace.stopped,
        "n_steps": trace.n_steps,
    }


def _choose(labelled: Sequence[_Kept], n_kept: int) -> list[int]:
    """Positions of the solutions to keep, at most `n_kept` per language."""
    table = pd.DataFrame([one.labels for one in labelled])
    usable = table[~table["looping"] & (table["n_steps"] >= MIN_STEPS)]
    turn = usable.groupby(["language", "scenario", "correct"]).cumcount()
    # scenarios are resampled: few of each say more than many of some
    best_first = usable.assign(turn=turn).sort_values(
        ["correct", "turn"], ascending=[False, True], kind="stable"
    )
    return sorted(best_first.groupby("language").head(n_kept).index)


def _controls(
    model, prompts, reasoning: Sequence[_Kept], twin_seeds, scenarios, rng, progress: bool
) -> list[_Kept]:
    """Counterparts of each kept solution, in the order of the conditions."""
    tokens = [one.trace.tokens for one in reasoning]
    # the example solutions follow their label by a space, which the model wrote itself where it had to
    copies = [p.copying(one.trace.text.removeprefix(" ")) for p, one in zip(prompts, reasoning, strict=True)]
    found = _relabelled("copying", reasoning, replay(model, copies, tokens, progress=progress))
    for seed in twin_seeds:
        twin = models.random_twin(model, seed)
        read = replay(twin, [p.text for p in prompts], tokens, progress=progress)
        found += _relabelled(f"random-{seed}", reasoning, read)
        del twin
    streams = rng.spawn(len(prompts))
    texts = [
        plain_text(p.language, rng=stream, only=scenarios) for p, stream in zip(prompts, streams, strict=True)
    ]
    # no more than is needed: at most a dozen characters per token
    prose = [text[: 12 * len(t)] for (_, text), t in zip(texts, tokens, strict=True)]
    words = [ids[content] for ids, content in models.tokenize(model, prose)]
    cut = [w[: len(t)] for w, t in zip(words, tokens, strict=True)]
    read = replay(model, [first for first, _ in texts], cut, progress=progress)
    return found + _relabelled("plain", reasoning, read)


def _relabelled(condition: str, reasoning: Sequence[_Kept], traces: Sequence[Trace]) -> list[_Kept]:
    return [
        _Kept({**one.labels, "condition": condition, "n_steps": trace.n_steps}, trace)
        for one, trace in zip(reasoning, traces, strict=True)
    ]


def _gathered(model, kept: Sequence[_Kept], outcomes: pd.DataFrame, layers, about: dict) -> Recordings:
    series = pd.DataFrame([one.labels for one in kept])
    series["start"] = series["n_steps"].cumsum() - series["n_steps"]
    layers, traces = np.asarray(layers), [one.trace for one in kept]
    tokens = np.concatenate([t.tokens for t in traces])
    return Recordings(
        series=series,
        outcomes=outcomes,
        layers=layers,
        update_energy=np.concatenate([t.update_energy[layers] for t in traces], axis=1),
        step_energy=np.concatenate([t.step_energy[layers] for t in traces], axis=1),
        log_probability=np.concatenate([t.log_probability for t in traces]),
        entropy=np.concatenate([t.entropy for t in traces]),
        tokens=tokens,
        classes=transcripts.token_classes(model.tokenizer, tokens),
        about=about,
        pieces={int(token): model.tokenizer.decode([int(token)]) for token in np.unique(tokens)},
    )

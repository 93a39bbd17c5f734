"""Recordings: traces of one model on one task and of its controls, made once and kept in one file.

A model writes solutions (`reasoning`). The traces kept are read once more by the same model where the solution
already stands in the prompt (`copying`), and by models of its shape with random weights (`random-0`, ...), token by
token the same; and the model reads as many tokens of text in which nothing is computed (`plain`). So every series has
counterparts that differ from it in one thing.

In the file energies are whole multiples of a thousandth of a natural logarithm (int16), all series end to end, an error
of at most .05 %; the table of series says where each begins.
"""

import functools
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .. import files
from ..errors import ParameterError, StoreError
from ..sources import models
from ..sources.stories import stream, worked
from ..sources.stories.worked import END, Prompt, plain_text
from . import generation, transcripts

MIN_STEPS = 64
_UNIT = 1000  # per natural logarithm


@dataclass(frozen=True, eq=False)
class Recordings:
    """Series end to end: S steps of all of them, K layers kept.

    Attributes
    ----------
    series : a row a series: condition ("reasoning", "copying", "random-0", ..., "plain"), language, scenario, item,
        sample, correct, looping, stopped, n_steps, start (its first step).
    outcomes : a row for every solution that was written, kept or not, with the same columns.
    layers : (K,) blocks whose contributions are kept.
    update_energy : (K, S) ||f_l||^2 of each step.
    step_energy : (K, S) squared change of the state before block l since the last step.
    log_probability, entropy : (S,) nats.
    tokens : (S,) ids.
    classes : (S,) indices into `transcripts.CLASSES`.
    about : what made them.
    """

    series: pd.DataFrame
    outcomes: pd.DataFrame
    layers: np.ndarray
    update_energy: np.ndarray
    step_energy: np.ndarray
    log_probability: np.ndarray
    entropy: np.ndarray
    tokens: np.ndarray
    classes: np.ndarray
    about: dict = field(default_factory=dict)

    def steps(self, row: int) -> slice:
        """Where series `row` of the table lies among the S steps."""
        start = int(self.series["start"].iloc[row])
        return slice(start, start + int(self.series["n_steps"].iloc[row]))


@dataclass(frozen=True)
class _Kept:
    """One trace with what the table says of it."""

    labels: dict
    trace: generation.Trace


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
    batch_size: int | None = None,
    progress: bool = False,
) -> Recordings:
    """Let a model solve worked stories, and record its solutions with their controls.

    Parameters
    ----------
    prompts : of the task "reasoning".
    n_samples : solutions written for each prompt.
    n_kept : of each language, at most: correct ones first, then others, none that loops or has fewer than MIN_STEPS
        steps; within both in the order of the prompts. Which solutions were written is in `outcomes`.
    twin_seeds : of the models with random weights.
    layers : blocks to keep; all by default.

    Raises
    ------
    ParameterError : prompts of another task. ModelError : as `generation.traces`.
    """
    if not prompts or any(p.task != "reasoning" for p in prompts):
        raise ParameterError("record needs prompts of the task 'reasoning'; see stories.worked.prompts.")
    sampling, plain = rng.spawn(2)
    asked = [p for p in prompts for _ in range(n_samples)]
    options = {"n_steps": n_steps, "temperature": temperature, "batch_size": batch_size, "progress": progress}
    written = generation.traces(model, [p.text for p in asked], rng=sampling, stop=[END], **options)
    labelled = [
        _Kept(_labels(p, trace, i % n_samples), trace)
        for i, (p, trace) in enumerate(zip(asked, written, strict=True))
    ]
    chosen = _choose(labelled, n_kept)
    if not chosen:
        raise ParameterError(
            f"none of {len(written)} solutions has {MIN_STEPS} steps without looping; ask for harder stories, more "
            "samples or another temperature."
        )
    kept = [labelled[i] for i in chosen]
    kept += _controls(model, [asked[i] for i in chosen], kept, twin_seeds, plain, progress)
    about = {
        "model": model.identity(),
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
    difficulties: Sequence[int] = (5,),
    n_shots: int = 2,
    twin_seeds: Sequence[int] = (0, 1, 2),
    n_samples: int = 1,
    n_kept: int = 40,
    n_steps: int = 224,
    temperature: float = 0.5,
    seed: int = 0,
    device: str = "cpu",
    batch_size: int | None = None,
    progress: bool = True,
) -> Recordings:
    """Recordings of a model on worked stories in some languages, all layers, from the disk where they are there.

    What is missing is recorded language by language, each saved when it is done, so that an interrupted recording
    goes on at the first missing language. A language's numbers do not depend on which others are asked for.

    Raises
    ------
    CorpusError, ModelError, WeightsUnavailableError, ParameterError : unknown or unusable input.
    StoreError : recordings cannot be written.
    """
    settings = {
        "n_draws": n_draws,
        "difficulties": [int(k) for k in difficulties],
        "n_shots": n_shots,
        "twin_seeds": [int(k) for k in twin_seeds],
        "n_samples": n_samples,
        "n_kept": n_kept,
        "n_steps": n_steps,
        "temperature": temperature,
        "seed": seed,
    }
    key = files.fingerprint([models.identity(model_name), settings, generation.CODE_VERSION])
    folder = files.runs_root() / "traces" / key

    @functools.cache
    def model():
        return models.load(model_name, device=device)

    parts = []
    with files.lock(folder):
        for language in dict.fromkeys(languages):
            path = folder / f"{language}.npz"
            if not path.exists():
                found = _record_language(model(), language, settings, batch_size, progress)
                save(found, path)
            parts.append(load(path))
    return join(parts)


def _record_language(model, language: str, settings: Mapping, batch_size, progress: bool) -> Recordings:
    rng = stream(settings["seed"], "traces", language)
    solutions = [
        one
        for difficulty in settings["difficulties"]
        for one in worked.solutions(
            language, n_draws=settings["n_draws"], difficulty=difficulty, seed=settings["seed"]
        )
    ]
    # examples are of the same difficulty as the story asked about
    by_difficulty: dict[str, list] = {}
    for one in solutions:
        by_difficulty.setdefault(one.item.split("-")[-2], []).append(one)
    prompts = [
        prompt
        for same in by_difficulty.values()
        for prompt in worked.prompts(same, "reasoning", n_shots=settings["n_shots"], rng=rng)
    ]
    names = ("twin_seeds", "n_samples", "n_kept", "n_steps", "temperature")
    options = {name: settings[name] for name in names}
    return record(model, prompts, rng=rng, batch_size=batch_size, progress=progress, **options)


def join(parts: Sequence[Recordings]) -> Recordings:
    """Recordings of several languages as one; raises ParameterError where their layers differ."""
    if not parts or any(not np.array_equal(parts[0].layers, part.layers) for part in parts):
        raise ParameterError("join needs recordings, all of the same layers.")
    series = pd.concat([part.series for part in parts], ignore_index=True)
    series["start"] = series["n_steps"].cumsum() - series["n_steps"]

    def end_to_end(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts], axis=-1)

    arrays = ("update_energy", "step_energy", "log_probability", "entropy", "tokens", "classes")
    outcomes = pd.concat([part.outcomes for part in parts], ignore_index=True)
    return Recordings(
        series, outcomes, parts[0].layers, *(end_to_end(name) for name in arrays), about=parts[0].about
    )


def select(recordings: Recordings, *, layers: Sequence[int], n_kept: int) -> Recordings:
    """Some layers, and of each language and condition the first `n_kept` series, for a smaller file."""
    series = recordings.series
    rank = series.groupby(["condition", "language"]).cumcount()
    rows = np.flatnonzero(rank < n_kept)
    steps = np.concatenate(
        [np.arange(recordings.steps(row).start, recordings.steps(row).stop) for row in rows]
    )
    at = [list(recordings.layers).index(layer) for layer in layers]
    chosen = series.iloc[rows].reset_index(drop=True)
    chosen["start"] = chosen["n_steps"].cumsum() - chosen["n_steps"]
    per_layer = ("update_energy", "step_energy")
    per_step = ("log_probability", "entropy", "tokens", "classes")
    return replace(
        recordings,
        series=chosen,
        layers=np.asarray(layers),
        **{name: getattr(recordings, name)[at][:, steps] for name in per_layer},
        **{name: getattr(recordings, name)[steps] for name in per_step},
    )


def _labels(prompt: Prompt, trace: generation.Trace, sample: int) -> dict:
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
    """Positions of the solutions to keep, at most `n_kept` a language."""
    usable = [
        (not one.labels["correct"], i)
        for i, one in enumerate(labelled)
        if not one.labels["looping"] and one.trace.n_steps >= MIN_STEPS
    ]
    counts: dict[str, int] = {}
    chosen = []
    for _, i in sorted(usable):
        language = labelled[i].labels["language"]
        counts[language] = counts.get(language, 0) + 1
        if counts[language] <= n_kept:
            chosen.append(i)
    return sorted(chosen)


def _controls(model, prompts, reasoning: Sequence[_Kept], twin_seeds, rng, progress: bool) -> list[_Kept]:
    """Counterparts of each kept solution, in the order of the conditions."""
    tokens = [one.trace.tokens for one in reasoning]
    # the example solutions follow their label by a space, which the model wrote itself where it had to
    copies = [p.copying(one.trace.text.removeprefix(" ")) for p, one in zip(prompts, reasoning, strict=True)]
    found = _relabelled("copying", reasoning, generation.replay(model, copies, tokens, progress=progress))
    for seed in twin_seeds:
        twin = models.random_twin(model, seed)
        read = generation.replay(twin, [p.text for p in prompts], tokens, progress=progress)
        found += _relabelled(f"random-{seed}", reasoning, read)
        del twin
    texts = [
        plain_text(p.language, rng=stream) for p, stream in zip(prompts, rng.spawn(len(prompts)), strict=True)
    ]
    # no more than is needed: at most a dozen characters a token
    prose = [text[: 12 * len(t)] for (_, text), t in zip(texts, tokens, strict=True)]
    words = [ids[content] for ids, content in models.tokenize(model, prose)]
    cut = [w[: len(t)] for w, t in zip(words, tokens, strict=True)]
    read = generation.replay(model, [first for first, _ in texts], cut, progress=progress)
    return found + _relabelled("plain", reasoning, read)


def _relabelled(
    condition: str, reasoning: Sequence[_Kept], traces: Sequence[generation.Trace]
) -> list[_Kept]:
    return [
        _Kept({**one.labels, "condition": condition, "n_steps": trace.n_steps}, trace)
        for one, trace in zip(reasoning, traces, strict=True)
    ]


def _gathered(
    model, kept: Sequence[_Kept], outcomes: pd.DataFrame, layers: Sequence[int], about: dict
) -> Recordings:
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
    )


def save(recordings: Recordings, path: Path | str) -> None:
    """Write recordings beside `path` and rename them there; raises StoreError like `files.atomic_write`."""
    tables = {"series": recordings.series, "outcomes": recordings.outcomes}
    header = {
        "about": recordings.about,
        **{name: json.loads(table.to_json(orient="split", index=False)) for name, table in tables.items()},
    }
    arrays = {
        "layers": recordings.layers.astype(np.int16),
        "update_energy": _coded(recordings.update_energy),
        "step_energy": _coded(recordings.step_energy),
        "log_probability": recordings.log_probability.astype(np.float16),
        "entropy": recordings.entropy.astype(np.float16),
        "tokens": recordings.tokens.astype(np.int32),
        "classes": recordings.classes.astype(np.int8),
    }
    content = io.BytesIO()
    np.savez_compressed(content, header=json.dumps(header, sort_keys=True), **arrays)
    with files.atomic_write(path, "wb") as stream:
        stream.write(content.getvalue())


def load(path: Path | str) -> Recordings:
    """Recordings that `save` wrote; raises StoreError where the file is missing or is something else."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays: Mapping = {name: content[name] for name in content.files}
        header = json.loads(str(arrays["header"]))
        tables = {
            name: pd.DataFrame(header[name]["data"], columns=header[name]["columns"])
            for name in ("series", "outcomes")
        }
        energies = {name: _decoded(arrays[name]) for name in ("update_energy", "step_energy")}
        others = {name: arrays[name].astype(np.float64) for name in ("log_probability", "entropy")}
        return Recordings(
            **tables,
            layers=arrays["layers"].astype(int),
            **energies,
            **others,
            tokens=arrays["tokens"].astype(np.int64),
            classes=arrays["classes"],
            about=header["about"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"{path} holds no recordings ({type(error).__name__}: {error}). Make them with `zspace traces`, or name "
            "a file that it wrote."
        ) from error


def _coded(energy: np.ndarray) -> np.ndarray:
    # an energy of exactly zero has no logarithm: the smallest code stands for it
    with np.errstate(divide="ignore"):
        return np.clip(np.round(_UNIT * np.log(energy)), -32768, 32767).astype(np.int16)


def _decoded(code: np.ndarray) -> np.ndarray:
    return np.where(code == -32768, 0.0, np.exp(code / _UNIT))

"""Recordings: traces of one model on one task and of its controls, made once and kept in one file.

What the conditions are is said in `solving`, which makes them. In the file all series stand end to end, and
the table of series says where each begins; energies are whole multiples of 1/256 of a natural logarithm
(int16), an error of at most .2 %.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ... import files
from ...errors import ParameterError, StoreError

MIN_STEPS = 64
_UNIT = 256  # per natural logarithm
_TABLES = ("series", "outcomes")
_ENERGIES = ("update_energy", "step_energy")
_PER_STEP = ("log_probability", "entropy", "tokens", "classes")


@dataclass(frozen=True, eq=False)
class Recordings:
    """Series end to end: S steps of all of them, K layers kept.

    Attributes
    ----------
    series : one row per series: condition ("reasoning", "copying", "random-0", ..., "plain"), language,
        scenario, item, sample, correct, looping, stopped, n_steps, start (its first step).
    outcomes : one row per solution that was written, kept or not, with the same columns.
    layers : (K,) blocks whose contributions are kept.
    update_energy : (K, S) ||f_l||^2 of each step.
    step_energy : (K, S) squared change of the state before block l since the last step.
    log_probability, entropy : (S,) nats.
    tokens : (S,) ids.
    classes : (S,) indices into `transcripts.CLASSES`.
    about : what made them.
    pieces : what each token id that occurs spells.
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
    pieces: dict[int, str] = field(default_factory=dict)

    def steps(self, row: int) -> slice:
        """Where series `row` of the table lies among the S steps."""
        start = int(self.series["start"].iloc[row])
        return slice(start, start + int(self.series["n_steps"].iloc[row]))


def join(parts: Sequence[Recordings]) -> Recordings:
    """Recordings of several languages as one; raises ParameterError where their layers differ."""
    if not parts or any(not np.array_equal(parts[0].layers, part.layers) for part in parts):
        raise ParameterError("join needs recordings, all of the same layers.")
    series = pd.concat([part.series for part in parts], ignore_index=True)
    series["start"] = series["n_steps"].cumsum() - series["n_steps"]

    names = (*_ENERGIES, *_PER_STEP)
    return replace(
        parts[0],
        series=series,
        outcomes=pd.concat([part.outcomes for part in parts], ignore_index=True),
        **{name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names},
        pieces={token: piece for part in parts for token, piece in part.pieces.items()},
    )


def select(
    recordings: Recordings,
    *,
    layers: Sequence[int] | None = None,
    languages: Sequence[str] | None = None,
    n_kept: int | None = None,
) -> Recordings:
    """Some layers and languages, and of each language and condition the first `n_kept` series."""
    series = recordings.series
    rank = series.groupby(["condition", "language"]).cumcount()
    wanted = rank < (len(series) if n_kept is None else n_kept)
    if languages is not None:
        # in the order asked for, within each condition
        place = series["language"].map({language: i for i, language in enumerate(languages)})
        wanted &= place.notna()
        order = pd.DataFrame({"condition": pd.factorize(series["condition"])[0], "place": place})
        series = series.loc[order.sort_values(["condition", "place"], kind="stable").index]
    rows = [row for row in series.index if wanted[row]]
    steps = np.concatenate([np.arange(len(recordings.tokens))[recordings.steps(row)] for row in rows])
    layers = recordings.layers if layers is None else np.asarray(layers)
    at = [list(recordings.layers).index(layer) for layer in layers]
    chosen = recordings.series.loc[rows].reset_index(drop=True)
    chosen["start"] = chosen["n_steps"].cumsum() - chosen["n_steps"]
    outcomes = recordings.outcomes
    if languages is not None:
        outcomes = outcomes[outcomes["language"].isin(languages)].reset_index(drop=True)
    left = set(recordings.tokens[steps].tolist())
    return replace(
        recordings,
        series=chosen,
        outcomes=outcomes,
        layers=layers,
        pieces={token: piece for token, piece in recordings.pieces.items() if token in left},
        **{name: getattr(recordings, name)[at][:, steps] for name in _ENERGIES},
        **{name: getattr(recordings, name)[steps] for name in _PER_STEP},
    )


def save(recordings: Recordings, path: Path | str) -> None:
    """Write recordings beside `path` and rename them there; raises StoreError like `files.atomic_write`."""
    tables = {name: getattr(recordings, name) for name in _TABLES}
    header = {
        "unit": _UNIT,
        "about": recordings.about,
        "pieces": {str(token): piece for token, piece in sorted(recordings.pieces.items())},
        **{name: json.loads(table.to_json(orient="split", index=False)) for name, table in tables.items()},
    }
    arrays = {
        "layers": recordings.layers.astype(np.int16),
        **{name: _coded(getattr(recordings, name)) for name in _ENERGIES},
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
            arrays = dict(content)
        header = json.loads(str(arrays["header"]))
        tables = {n: pd.DataFrame(header[n]["data"], columns=header[n]["columns"]) for n in _TABLES}
        energies = {name: _decoded(arrays[name], header["unit"]) for name in _ENERGIES}
        others = {name: arrays[name].astype(np.float64) for name in ("log_probability", "entropy")}
        return Recordings(
            **tables,
            layers=arrays["layers"].astype(int),
            **energies,
            **others,
            tokens=arrays["tokens"].astype(np.int64),
            classes=arrays["classes"],
            about=header["about"],
            pieces={int(token): piece for token, piece in header["pieces"].items()},
        )
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"{path} holds no recordings ({type(error).__name__}: {error}). Make them with `zspace traces`, "
            "or name a file that it wrote."
        ) from error


def _coded(energy: np.ndarray) -> np.ndarray:
    # an energy of exactly zero has no logarithm: the smallest code stands for it
    with np.errstate(divide="ignore"):
        return np.clip(np.round(_UNIT * np.log(energy)), -32768, 32767).astype(np.int16)


def _decoded(code: np.ndarray, unit: int) -> np.ndarray:
    return np.where(code == -32768, 0.0, np.exp(code / unit))

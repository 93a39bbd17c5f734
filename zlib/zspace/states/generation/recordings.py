"""Recordings: traces of one model on one task and of its controls, made once and kept in one file.

What the conditions are is said in `solving`, which makes them. In the file all series stand end to end, and
the table of series says where each begins; energies are whole multiples of 1/256 of a natural logarithm
(int16), an error of at most .2 %.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ... import files
from ...errors import ParameterError, StoreError
from . import transcripts

MIN_STEPS = 64
_UNIT = 256  # per natural logarithm
_TABLES = ("series", "outcomes")
_ENERGIES = ("update_energy", "step_energy")
_PER_STEP = ("log_probability", "entropy", "tokens", "classes")
_ARRAYS = ("layers", *_ENERGIES, *_PER_STEP)
# the columns that every table has, and what the cells of those with numbers are
_COLUMNS = ("condition", "language", "scenario", "item", "sample", "correct", "looping", "stopped", "n_steps")
_COUNTS = {"series": ("n_steps", "start"), "outcomes": ("n_steps",)}


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

    def spelled(self, row: int) -> list[str]:
        """What each token of series `row` spells, "" where that was not kept."""
        return [self.pieces.get(int(token), "") for token in self.tokens[self.steps(row)]]


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
    """Write recordings beside `path` and rename them there.

    Raises StoreError like `files.atomic_write`, and where a number is not finite.
    """
    for name in (*_ENERGIES, "log_probability", "entropy"):
        values = np.atleast_2d(getattr(recordings, name))
        if not (finite := np.isfinite(values)).all():
            row, step = np.argwhere(~finite)[0]
            where = f" of block {recordings.layers[row]}" if name in _ENERGIES else ""
            raise StoreError(
                f"cannot save {path}: {name}{where} is {values[row, step]} at step {step}. float16 overflows "
                "in many models; use float32 or bfloat16."
            )
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
    """Recordings that `save` wrote; raises StoreError where the file is damaged or something else."""
    try:
        arrays, header = _parts(Path(path))
        _require(arrays, header)
        tables = {name: _table(header[name]) for name in _TABLES}
        _require_tables(tables, len(arrays["tokens"]))
        return Recordings(
            **tables,
            layers=arrays["layers"].astype(int),
            **{name: _decoded(arrays[name], header["unit"]) for name in _ENERGIES},
            **{name: arrays[name].astype(np.float64) for name in ("log_probability", "entropy")},
            tokens=arrays["tokens"].astype(np.int64),
            classes=arrays["classes"],
            about=header["about"],
            pieces={int(token): piece for token, piece in header["pieces"].items()},
        )
    # zipfile, NumPy, json and pandas each have errors of their own for what is no such file
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise StoreError(
            f"{path} holds no recordings ({cause}). Make them with `zspace traces`, or name a file that it "
            "wrote; a damaged one is deleted and made again."
        ) from error


def _parts(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and header of a file whose every part has the checksum that stands beside it."""
    arrays = {}
    with zipfile.ZipFile(path) as content:
        # NumPy reads no further than an array's end, and so past no checksum
        if damaged := content.testzip():
            raise ValueError(f"its part {damaged} is damaged")
        for name in ("header", *_ARRAYS):
            part = io.BytesIO(content.read(f"{name}.npy"))
            arrays[name] = np.lib.format.read_array(part, allow_pickle=False)
    return arrays, json.loads(str(arrays.pop("header")))


def _require(arrays: Mapping[str, np.ndarray], header: Mapping) -> None:
    """Shapes, types and ranges that `save` gives the arrays and the header's fields."""
    k, s = arrays["layers"].size, arrays["tokens"].size
    shapes = {"layers": (k,), **dict.fromkeys(_ENERGIES, (k, s)), **dict.fromkeys(_PER_STEP, (s,))}
    for name, array in arrays.items():
        kind = np.floating if name in ("log_probability", "entropy") else np.integer
        if array.shape != shapes[name] or not np.issubdtype(array.dtype, kind):
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}; expected {shapes[name]}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    if (arrays["layers"] < 0).any() or (arrays["tokens"] < 0).any():
        raise ValueError("layers and tokens are counted from 0")
    if not np.isin(arrays["classes"], range(len(transcripts.CLASSES))).all():
        raise ValueError(f"classes are indices into {', '.join(transcripts.CLASSES)}")
    if type(header["unit"]) is not int or header["unit"] < 1 or not isinstance(header["about"], dict):
        found = f"unit {header['unit']!r} and about {header['about']!r}"
        raise ValueError(f"{found}; expected a positive number and a mapping")
    if not all(isinstance(piece, str) for piece in header["pieces"].values()):
        raise ValueError("pieces are to be texts")


def _table(content: Mapping) -> pd.DataFrame:
    if any(len(row) != len(content["columns"]) for row in content["data"]):
        raise ValueError("a row of a table has more or fewer cells than columns")
    return pd.DataFrame(content["data"], columns=content["columns"])


def _require_tables(tables: Mapping[str, pd.DataFrame], n_steps: int) -> None:
    for name, table in tables.items():
        if absent := [c for c in (*_COLUMNS, *_COUNTS[name]) if c not in table]:
            raise ValueError(f"the table of {name} has no column {absent[0]}")
        for column in _COUNTS[name]:
            if not all(type(value) is int and value >= 0 for value in table[column].tolist()):
                raise ValueError(f"{column} of {name} holds something else than counts")
    series = tables["series"]
    if len(series) and int((series["start"] + series["n_steps"]).max()) > n_steps:
        raise ValueError(f"the series end after the {n_steps} steps that there are")


def _coded(energy: np.ndarray) -> np.ndarray:
    # an energy of exactly zero has no logarithm: the smallest code stands for it
    with np.errstate(divide="ignore"):
        return np.clip(np.round(_UNIT * np.log(energy)), -32768, 32767).astype(np.int16)


def _decoded(code: np.ndarray, unit: int) -> np.ndarray:
    return np.where(code == -32768, 0.0, np.exp(code / unit))

"""Ledger rows that were measured on another machine, kept as compact files in `notebooks/data/measured`.

`export` makes such a file of a ledger, `read` gives its records as a ledger has them. They hold verdicts,
reasons, the primary statistic with its limits and what failed, never a text of the corpus: a corpus is known
by its name, its languages and the hash of its content.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import files
from ..errors import ClaimError
from . import claims, registration

FOLDER = Path("notebooks") / "data" / "measured"  # in the checkout
KEY = "measured_elsewhere"  # of a record: hardware, baselines
_OPERATING = ("null_supported", "power_modest", "power", "false_refuted", "n_simulations")
_ROW = ("estimate", "low", "high", "operating")  # fields that a page asks of every row


def export(
    ledger: Path | str, path: Path | str, hardware: str, *, corpora: Sequence[str] = (), commit: str = ""
) -> int:
    """Write the records of a ledger about models as a file to be committed; returns how many there are.

    Parameters
    ----------
    ledger : folder of records, or a file of them. path : the JSON file to write.
    hardware : what they were measured on, in words.
    corpora : names of corpora, as the ledger has them with or without version; all by default.
    commit : that of the code, for records that were made without git history and name none.

    Raises
    ------
    ClaimError : nothing to export, or a record that was judged by other rules than the committed ones.
    """
    wanted = [r for r in claims.read_records(ledger) if r["model"] != "any" and _is_one_of(r, corpora)]
    if not wanted:
        asked = f" on {', '.join(corpora)}" if corpora else ""
        raise ClaimError(f"{ledger} has no record of a model{asked}: nothing to export.")
    if old := [r for r in wanted if registration.is_older(r)]:
        raise ClaimError(
            f"{len(old)} records of {ledger} were {registration.OLDER} than that of params/claims.yaml: "
            f"{old[0]['claim']} × {old[0]['model']} × {old[0]['corpus']}. Run their notebooks again."
        )
    compact = [_compact(r, hardware, commit) for r in wanted]
    lines = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in compact)
    with files.atomic_write(path) as stream:
        stream.write("[\n" + ",\n".join(lines) + "\n]\n")
    return len(wanted)


def read(path: Path | str | None = None) -> list[dict]:
    """Records of a file, or of all files of the committed folder, as a ledger has them.

    Raises ClaimError naming a file that holds something else.
    """
    if path is not None:
        return [_expanded(r, Path(path)) for r in claims.read_records(path)]
    return [record for file in paths() for record in read(file)]


def paths() -> list[Path]:
    """The committed files, in the order of their names."""
    return sorted((files.PROJECT / FOLDER).glob("*.json"))


def words(record: Mapping) -> str:
    """Where and when a record was measured, for people; "" for one of this machine's ledger."""
    if (about := record.get(KEY)) is None:
        return ""
    told = record.get("provenance", {})
    versions = ", ".join(f"{name} {told[name]}" for name in ("torch", "transformers") if name in told)
    parts = [about["hardware"], told.get("date", ""), f"commit {told.get('commit', 'unknown')}", versions]
    return "measured elsewhere: " + "; ".join(part for part in parts if part)


def this_machine() -> str:
    """What computes here, in words: the accelerator if there is one, else the kind of processor."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})"


def _is_one_of(record: Mapping, corpora: Sequence[str]) -> bool:
    return not corpora or bool({record["corpus"], record["corpus"].partition("/")[0]} & set(corpora))


def _compact(record: Mapping, hardware: str, commit: str) -> dict:
    controls = {c["name"] for row in record["rows"] for c in row.get("controls", ())}
    kept = _placeless({k: v for k, v in record.items() if k not in ("rows", KEY)})
    told = kept.get("provenance", {})
    if commit and str(told.get("commit", "unknown")).startswith("unknown"):
        kept["provenance"] = {**told, "commit": commit}
    about = {"hardware": hardware, "baselines": sorted(controls)}
    return claims.rounded({**kept, KEY: about, "rows": [_compact_row(row) for row in record["rows"]]})


def _compact_row(row: Mapping) -> dict:
    """A row without what is empty; of controls that passed the name alone."""
    kept = {k: v for k, v in row.items() if v is not None and k not in ("controls", "operating", "claim")}
    controls, rates = row.get("controls") or (), row.get("operating") or {}
    failed = [{k: v for k, v in c.items() if v is not None} for c in controls if not c["passed"]]
    passed = [c["name"] for c in controls if c["passed"]]
    rates = {k: rates[k] for k in _OPERATING if rates.get(k) is not None}
    parts = {"failed": failed, "passed": passed, "operating": rates}
    return {**kept, **{name: part for name, part in parts.items() if part}}


def _expanded(record: Mapping, path: Path) -> dict:
    if not isinstance(record.get(KEY), dict) or not isinstance(record[KEY].get("hardware"), str):
        raise ClaimError(
            f"{path} does not say what its records were measured on; write it with `zspace ledger export`."
        )
    rows = []
    for row in record["rows"]:
        passed = [{"name": name, "passed": True, "verdict": ""} for name in row.get("passed", ())]
        kept = {k: v for k, v in row.items() if k not in ("passed", "failed")}
        full = dict.fromkeys(_ROW) | kept | {"claim": record["claim"]}
        rows.append(full | {"controls": [*row.get("failed", ()), *passed]})
    return {**record, "rows": rows}


def _placeless(value: object) -> object:
    """Names instead of paths: where things lay on another machine tells nobody anything."""
    if isinstance(value, Mapping):
        return {k: _placeless(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_placeless(v) for v in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value

#!/usr/bin/env python3
"""The suite as other machines would run it: does it pass there, and are the verdicts the same?

    python3 tests/machines.py                                 the whole suite under every setting
    python3 tests/machines.py notebooks/controls.ipynb        only these files (words go to `zspace verify`)
    python3 tests/machines.py --settings sse,avx -k sweep     only these settings

Call it with the Python of the project's environment (.venv/bin/python) and the standard library suffices.
A setting makes the numerical libraries use the instructions of an older processor, or two threads, so
that sums are rounded otherwise. Each has a runs folder of its own, runs/machines/<setting>, in which states
are captured and networks trained anew (delete it for a fresh machine); suite.log beside them is what pytest
said. The variables are read by torch (ATEN), MKL, oneDNN, OpenBLAS and NumPy; other processors than x86
ignore them.

Printed at the end: setting, passed, failed; and every verdict that is not the same under all settings. The
exit status is 0 only if every suite passed and no verdict differs or is lacking.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "machines"
WORDS = ("as_stated", "as_corrected")
ABSENT = "no row"


def _threads(n: int) -> dict[str, str]:
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n))


def _instructions(torch: str, mkl: str, onednn: str, openblas: str, numpy: str) -> dict[str, str]:
    return {
        "ATEN_CPU_CAPABILITY": torch,
        "MKL_CBWR": mkl,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "OPENBLAS_CORETYPE": openblas,
        "NPY_DISABLE_CPU_FEATURES": numpy,
        **_threads(1),
    }


# OpenBLAS is told the name of a processor and dies on one that lacks its instructions: none here needs more
# than AVX2, which every x86 server has.
_NEWER_THAN_AVX2 = "X86_V4 AVX512_ICL AVX512_SPR"
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": _threads(1),
    "two threads": _threads(2),
    "sse": _instructions("default", "COMPATIBLE", "SSE41", "Nehalem", f"X86_V3 {_NEWER_THAN_AVX2}"),
    "avx": _instructions("default", "AVX", "AVX", "Sandybridge", f"X86_V3 {_NEWER_THAN_AVX2}"),
    "avx2": _instructions("avx2", "AVX2", "AVX2", "Haswell", _NEWER_THAN_AVX2),
}

Key = tuple[str, str, str, str]  # claim, model, corpus, language


@dataclass(frozen=True)
class Outcome:
    """One suite: pytest's counts, its exit status, how long it took (seconds), and the verdicts it recorded.

    verdicts : (claim, model, corpus, language) -> the words of `WORDS`.
    """

    passed: int
    failed: int
    status: int
    seconds: float
    verdicts: Mapping[Key, tuple[str, ...]]


def main(words: list[str] | None = None) -> int:
    """Run the suites, print the two tables; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", default=",".join(SETTINGS), help="comma-separated; all by default")
    chosen, rest = parser.parse_known_args(words)
    names = [name.strip() for name in chosen.settings.split(",")]
    unknown = sorted(set(names) - set(SETTINGS))
    if unknown:
        parser.error(f"no setting {', '.join(unknown)}; there are: {', '.join(SETTINGS)}.")
    outcomes = {}
    for name in names:
        print(f"{name}: {' '.join(f'{k}={v!r}' for k, v in SETTINGS[name].items())}", flush=True)
        outcomes[name] = run(name, rest)
        print(table({name: outcomes[name]}), flush=True)
    differing = differences({name: one.verdicts for name, one in outcomes.items()})
    print("", table(outcomes), "", *(differing or ["all verdicts are the same"]), sep="\n")
    return int(bool(differing) or any(one.status for one in outcomes.values()))


def run(name: str, words: list[str]) -> Outcome:
    """The suite, or what `words` ask of it, under one setting."""
    runs = RUNS / name.replace(" ", "-")
    runs.mkdir(parents=True, exist_ok=True)
    # what an earlier run recorded is not what this one finds
    for old in (runs / "ledger").glob("*.json"):
        old.unlink()
    command = [sys.executable, "-m", "zspace.pages.cli", "verify", *words]
    start = time.monotonic()
    with (runs / "suite.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(name, runs), stdout=log, stderr=subprocess.STDOUT, check=False
        )
    passed, failed = counts((runs / "suite.log").read_text(encoding="utf-8"))
    return Outcome(passed, failed, done.returncode, time.monotonic() - start, verdicts(runs / "ledger"))


def environment(name: str, runs: Path) -> dict[str, str]:
    """This process's environment with a setting's variables, and a runs folder of its own."""
    return {**os.environ, **SETTINGS[name], "ZSPACE_RUNS": str(runs)}


def counts(log: str) -> tuple[int, int]:
    """Passed and failed, errors included, from pytest's last line that counts them; (0, 0) without one."""
    for line in reversed(log.splitlines()):
        found = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|errors?)\b", line)}
        if found:
            return found.get("passed", 0), sum(n for word, n in found.items() if word != "passed")
    return 0, 0


def verdicts(ledger: Path) -> dict[Key, tuple[str, ...]]:
    """The words of every row that a suite's notebooks recorded."""
    found = {}
    for path in sorted(ledger.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for row in record["rows"]:
            key = (record["claim"], record["model"], record["corpus"], row["language"])
            found[key] = tuple(row[word] for word in WORDS)
    return found


def differences(found: Mapping[str, Mapping[Key, tuple[str, ...]]]) -> list[str]:
    """One line for each row whose words are not the same under all settings, or that some did not record."""
    keys = sorted({key for rows in found.values() for key in rows})
    lines = []
    for key in keys:
        by_words: dict[str, list[str]] = {}
        for setting, rows in found.items():
            by_words.setdefault(" / ".join(rows.get(key, (ABSENT,))), []).append(setting)
        if len(by_words) > 1:
            said = "; ".join(f"{words} ({', '.join(settings)})" for words, settings in by_words.items())
            lines.append(f"{', '.join(key)}: {said}")
    return lines


def table(outcomes: Mapping[str, Outcome]) -> str:
    """Setting, passed, failed, exit status, verdicts recorded, minutes."""
    lines = [f"{'setting':<14}{'passed':>8}{'failed':>8}{'status':>8}{'verdicts':>10}{'minutes':>9}"]
    for name, one in outcomes.items():
        numbers = (
            f"{one.passed:>8}{one.failed:>8}{one.status:>8}{len(one.verdicts):>10}{one.seconds / 60:>9.1f}"
        )
        lines.append(f"{name:<14}{numbers}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

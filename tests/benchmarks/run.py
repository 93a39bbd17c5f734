"""All benchmarks of this folder: `zspace bench [--only WORD] [--pairs N] [--out FILE]`.

Runs `rows(pairs)` of every bench_*.py, prints a table with the code of each baseline, writes the numbers
and their provenance as JSON, and exits with 1 where a row misses its bound by more than noise. What this
machine cannot run is listed with the reason.
"""

import argparse
import importlib
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from harness import COVERAGE, Row, Skipped
from zspace import files

HERE = Path(__file__).resolve().parent


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; the exit status says whether all bounds hold."""
    parser = argparse.ArgumentParser(prog="zspace bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run the bench_*.py files whose name contains this")
    parser.add_argument("--pairs", type=int, default=5, help="timed pairs per row, at least 5")
    parser.add_argument("--out", type=Path, help="JSON file to write (default: runs/bench/bench.json)")
    options = parser.parse_args(argv)
    modules = sorted(path.stem for path in HERE.glob("bench_*.py") if options.only in path.stem)
    if not modules:
        parser.error(f"no bench_*.py matches {options.only!r}")
    if options.pairs < 5:
        parser.error("--pairs must be 5 or more")
    torch.set_num_threads(1)
    found, skipped = [], []
    for name in modules:
        for row in importlib.import_module(name).rows(options.pairs):
            (skipped if isinstance(row, Skipped) else found).append(row)
            print(_line(row), flush=True)
    print(*(f"\nBaseline of: {row.what}\n{row.baseline_code}" for row in found), sep="")
    path = options.out or files.runs_root() / "bench" / "bench.json"
    with files.atomic_write(path) as stream:
        rows = [{**asdict(row), "median": row.median, "misses": row.misses} for row in found]
        skips = [asdict(row) for row in skipped]
        json.dump({"provenance": _provenance(), "rows": rows, "skipped": skips}, stream, indent=2)
    print(f"Written: {path}")
    return 1 if any(row.misses for row in found) else 0


def _line(row: Row | Skipped) -> str:
    if isinstance(row, Skipped):
        return f"skipped  {row.what}: {row.reason}"
    low, high = row.interval
    shown = [f"{name} {v:.4g}" if isinstance(v, float) else f"{name} {v}" for name, v in row.notes.items()]
    verdict = "MISSED" if row.misses else "holds"
    return (
        f"{verdict:6}  {row.median:6.3f} [{low:.3f}, {high:.3f}]  {row.sense} {row.bound:g}  {row.what}\n"
        f"        {', '.join(shown)}"
    )


def _provenance() -> dict:
    cpuinfo = Path("/proc/cpuinfo")
    names = [x for x in cpuinfo.read_text().splitlines() if "model name" in x] if cpuinfo.exists() else []
    return {
        **files.provenance(),
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "clock": "CPU time of the process; wall time up to the end of the device's work in rows about a GPU",
        "interval": f"order statistics of the pairs, coverage at least {COVERAGE:.0%}",
    }


if __name__ == "__main__":
    sys.exit(main())

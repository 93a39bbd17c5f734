"""How often the suite killed, harmed and fuzzed: counts that tests record, summed and shown at its end.

A test records a number under one of COUNTED by `record_property(name, number)`; a list of names instead of a
number counts each name once, however many tests record it.
"""

import json
from collections.abc import Iterable
from pathlib import Path

COUNTED = {
    "kills": "kill -9 at seeded points, then the same result as undisturbed",
    "full disks": "writes that found no space: one line, nothing replaced",
    "byte edits": "bytes changed in stores, models and corpora: refused, or another key",
    "fuzz cases": "damaged or foreign files and words: a value, or one line that names them",
    "fault classes": "kinds of damage among them",
    "loaders": "readers that they went through",
    "architectures": "decoder architectures, right against transformers or refused with the reason",
    "encoders": "encoder architectures, likewise",
}
NAME = "reliability.json"


def totals(properties: Iterable[tuple[str, object]]) -> dict[str, int]:
    """Count of each name of COUNTED that was recorded, in that order."""
    numbers: dict[str, int] = {}
    names: dict[str, set] = {}
    for name, value in properties:
        if name not in COUNTED:
            continue
        if isinstance(value, list | tuple | set):
            names.setdefault(name, set()).update(value)
        else:
            numbers[name] = numbers.get(name, 0) + int(value)
    found = {name: numbers.get(name, 0) + len(names.get(name, ())) for name in COUNTED}
    return {name: count for name, count in found.items() if count}


def show(terminalreporter) -> None:
    """Show the counts of what passed, and keep them in the runs folder for README's table."""
    passed = terminalreporter.stats.get("passed", [])
    found = totals(pair for report in passed for pair in report.user_properties)
    if not found:
        return
    terminalreporter.section("reliability: what was tried, and passed")
    for name, count in found.items():
        terminalreporter.write_line(f"{count:>8,}  {name}: {COUNTED[name]}")
    from zspace import files

    with files.atomic_write(Path(files.runs_root()) / NAME) as stream:
        json.dump(found, stream, indent=1)

"""README's table of what the suite tried, from the counts that a full run left in its runs folder.

    python tests/reliability/table.py [reliability.json]

`zspace verify --full` writes the counts, by default to runs/suite/reliability.json.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from reliability_counts import COUNTED, NAME  # noqa: E402  (the path above leads to it)

START = "<!-- reliability: written by `python tests/reliability/table.py` -->"
END = "<!-- end of reliability -->"


def table(counts: Mapping[str, int]) -> str:
    """Markdown table: one row for each count, in the order of COUNTED."""
    rows = [f"| {name} | {counts[name]:,} | {COUNTED[name]} |" for name in COUNTED if name in counts]
    return "\n".join(["| what | tried and passed | what each had to end in |", "|---|---|---|", *rows])


def replaced(readme: str, text: str) -> str:
    """README's text with the lines between the two markers replaced."""
    if readme.count(START) != 1 or readme.count(END) != 1:
        raise SystemExit(f"README.md needs the lines {START!r} and {END!r}, once each.")
    before, rest = readme.split(START)
    return f"{before}{START}\n\n{text}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "suite" / NAME
    readme = ROOT / "README.md"
    counts = json.loads(path.read_text("utf-8"))
    readme.write_text(replaced(readme.read_text("utf-8"), table(counts)), "utf-8")


if __name__ == "__main__":
    main()

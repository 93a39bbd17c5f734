"""docs/null-battery.md: how often each rule is wrong in each world of the battery, from a full run's rates.

    python tests/null_battery_table.py [null_battery.json]

Tests record rows under PROPERTY; `zspace verify --full` prints them and writes them, by default to
runs/suite/null_battery.json.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROPERTY, NAME = "battery", "null_battery.json"
PAGE = ROOT / "docs" / "null-battery.md"
HEAD = """# The null battery

How often each rule is wrong in simulated worlds whose answer is known. In every world a language pair, with
all of its controls, goes through the whole pipeline of a study. The true effect is a multiple of the bound
that the rule asks for, or the trained model is *one more baseline*. "Supported" is wrong at the bound and
below, "refuted" at the bound and above. *At most* is the exact upper limit of the rate (one-sided, 95 %).
What each world has in it is said in `zspace.evidence.simulated_pairs`. `python tests/null_battery_table.py`
writes this page from what `zspace verify --full` measured.

"""


def rows(properties: Iterable[tuple[str, object]]) -> list[dict]:
    """Rows that tests recorded, in order."""
    return [row for name, found in properties if name == PROPERTY for row in found]


def table(found: list[dict]) -> str:
    """Rows as a table of Markdown."""
    import pandas as pd
    from zspace.evidence import null_battery

    return null_battery.in_words(pd.DataFrame(found)[list(null_battery.COLUMNS)])


def show(terminalreporter) -> None:
    """Print the rates of what ran, whether it passed or not, and keep them in the runs folder."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    found = rows(pair for report in reports for pair in report.user_properties)
    if not found:
        return
    terminalreporter.section("null battery: how often each rule was wrong")
    terminalreporter.write_line(table(found))
    from zspace import files

    with files.atomic_write(Path(files.runs_root()) / NAME) as stream:
        json.dump(found, stream, indent=1)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "suite" / NAME
    PAGE.write_text(HEAD + table(json.loads(path.read_text("utf-8"))) + "\n", "utf-8")


if __name__ == "__main__":
    main()

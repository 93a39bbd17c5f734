"""What a default run leaves in the repository: ledger snapshot, README's figures and its verdict table.

`publish` copies, it never computes: the snapshot is the ledger without what only the pages show, the table is
made from the snapshot, the figures are the pictures in the executed notebooks.
"""

import base64
import json
from pathlib import Path

from .. import files
from ..errors import ParameterError
from ..evidence import claims, measured, registration, statistics

START, END = "<!-- verdicts: written by `zspace publish` -->", "<!-- end of verdicts -->"
_MOST_LISTED = 12
_PNG, _PLOTLY = "image/png", "application/vnd.plotly.v1+json"


def publish() -> list[Path]:
    """Write the snapshot, the figures that params/figures.yaml names and README's table of verdicts.

    Returns the files written; nothing is written unless everything can be. Raises ClaimError where there is
    no ledger, ParameterError where a figure's notebook was not executed or README.md lacks the markers.
    """
    runs, project = files.runs_root(), files.PROJECT
    records = [claims.rounded(record) for record in claims.read_records(runs / "ledger")]
    table = verdict_table([*records, *measured.read()])
    readme = replace_table((project / "README.md").read_text("utf-8"), table)
    figures = {name: figure(runs / "notebooks", **place) for name, place in files.params("figures").items()}
    text = json.dumps(records, ensure_ascii=False, separators=(",", ":")).replace('{"claim":', '\n{"claim":')
    content = {
        project / "notebooks" / "data" / "ledger.json": text.encode(),
        **{project / "figures" / f"{name}.png": png for name, png in figures.items()},
        project / "README.md": readme.encode(),
    }
    for path, written in content.items():
        with files.atomic_write(path, "wb") as stream:
            stream.write(written)
    return list(content)


def verdict_table(records: list[dict]) -> str:
    """Markdown table: one row per claim, model and corpus, with both verdicts, and languages by verdict.

    A claim of one row has its statistic instead of languages, or the reason why there is none. The last cell
    says whether the row confirms or explores, and where it was measured if not by a run of this ledger.
    """
    head = ["claim", "model, corpus", "as stated", "as corrected", "languages, or the statistic", "the row"]
    lines = [_line(head), "|---|---|---|---|---|---|"]
    waiting: dict[str, dict] = {}
    for record in records:
        overall, *languages = record["rows"]
        if not languages and overall["as_corrected_reason"].startswith("weights unavailable"):
            waiting.setdefault(record["model"], overall)
            continue
        by_verdict: dict[str, list[str]] = {}
        for row in languages:
            by_verdict.setdefault(row["as_corrected"], []).append(row["language"])
        found = [f"{verdict}: {_listed(codes)}" for verdict, codes in by_verdict.items()]
        cells = [record["title"], f"{record['model']}, {record['corpus']}"]
        cells += [overall["as_stated"], overall["as_corrected"], "; ".join(found) or _alone(overall)]
        cells.append(_standing(record))
        lines.append(_line(cells))
    for model, row in waiting.items():
        words = [row["as_stated"], row["as_corrected"], _alone(row), "–"]
        lines.append(_line(["every claim about a model", model, *words]))
    return "\n".join(lines)


def _line(cells: list) -> str:
    return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"


def _listed(codes: list[str]) -> str:
    """Codes, or of many their number: the page lists them."""
    return " ".join(codes) if len(codes) <= _MOST_LISTED else f"{len(codes)} languages"


def _standing(record: dict) -> str:
    older = registration.OLDER if registration.is_older(record) else ""
    parts = [registration.standing(record), older, measured.words(record)]
    return "; ".join(part for part in parts if part) or "–"


def _alone(row: dict) -> str:
    """What a claim with one row has to say: why it is not testable, or its statistic if it has one."""
    if row["as_corrected"] == "not testable":
        return row["as_corrected_reason"]
    shown = statistics.words(row, lambda value: f"{round(value, 2) + 0:.2f}".replace("-", "−"))
    return f"{row['statistic'].replace('_', ' ')} {shown}" if shown else "–"


def replace_table(readme: str, table: str) -> str:
    """README's text with the lines between the two markers replaced; raises ParameterError without them."""
    if readme.count(START) != 1 or readme.count(END) != 1 or readme.index(START) > readme.index(END):
        raise ParameterError(f"README.md needs the line {START!r} and, below it, {END!r}, once each.")
    before, rest = readme.split(START)
    return f"{before}{START}\n\n{table}\n\n{END}{rest.split(END)[1]}"


def figure(notebooks: Path, *, notebook: str, number: int = 1) -> bytes:
    """PNG of the `number`-th figure in the first executed copy of a notebook, drawn from its Plotly data."""
    copies = sorted(p for p in notebooks.glob("*.ipynb") if p.stem.split("--")[0] == notebook)
    if not copies:
        raise ParameterError(f"{notebook} was not executed into {notebooks}; run `zspace report` first.")
    try:
        outputs = [o for c in json.loads(copies[0].read_text("utf-8"))["cells"] for o in c.get("outputs", [])]
        figures = [o["data"] for o in outputs if {_PNG, _PLOTLY} & o.get("data", {}).keys()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            f"{copies[0]} is not a notebook that can be read ({error}). Run it again, or delete it."
        ) from error
    if len(figures) < number:
        raise ParameterError(
            f"{copies[0].name} has {len(figures)} figures; params/figures.yaml asks for {number}."
        )
    chosen = figures[number - 1]
    if _PLOTLY not in chosen:
        return base64.b64decode("".join(chosen[_PNG]))
    import plotly.graph_objects

    drawn = plotly.graph_objects.Figure({k: chosen[_PLOTLY].get(k) for k in ("data", "layout")})
    return drawn.to_image("png", scale=2, width=820)

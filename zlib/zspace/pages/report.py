"""The report: executed notebooks and the verdicts they recorded, as pages that open without a network.

`build` reads the ledger (one JSON record per claim × model × corpus, with one row per language) and a
folder of executed notebooks; it writes `index.html`, one page per notebook and one `plotly.min.js`.
Every verdict, number, name and date on the index comes from a record or a notebook.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import markupsafe
import plotly.offline

from .. import files
from ..errors import ClaimError, ZspaceError
from ..evidence import claims, executions, statistics
from ..evidence.statistics import is_number
from ..sources import corpora
from . import rendering

# Model and corpus of a record that is about neither, such as a theorem's.
ANY = "any"
CONTROLS = "controls"  # the notebook that shows all controls
# Word → symbol and meaning, in the order in which the page explains them.
VERDICTS = {
    "proved": ("◆", "A proof, and a numerical check of it that could have failed."),
    "verified by simulation": (
        "◇",
        "Derived, and the rates that it speaks of were found in simulations with bounds set beforehand.",
    ),
    "supported": (
        "✓",
        "The statistic passes its rule, and all controls pass: the 95 % limits lie beyond the minimal "
        "effect, the test is significant on the claim's side, or the count fits.",
    ),
    "mixed": (
        "◐",
        "Two thirds of the languages or more are decided: some support the claim, some refute it.",
    ),
    "refuted": (
        "✕",
        "The 95 % limits fall short of the minimal effect, the test is significant on the other side, the "
        "count does not fit, or a counterexample holds.",
    ),
    "premise refuted": (
        "∅",
        "What the claim presupposes was measured and does not hold: here it speaks of nothing.",
    ),
    "inconclusive (depends on the measure)": (
        "±",
        "The primary measure and another one decide in opposite ways.",
    ),
    "inconclusive": (
        "?",
        "Neither: the limits include the minimal effect, or the test is not significant. More items may "
        "decide.",
    ),
    "not testable": (
        "–",
        "The question is ill-posed here, the weights cannot be reached, or the instrument failed: the "
        "planted signal was not found, or a negative control was.",
    ),
}
RECORD_KEYS = {"claim", "title", "notebook", "model", "corpus", "provenance", "statement", "rule", "rows"}
ROW_KEYS = {"language", "as_stated", "as_corrected", "estimate", "low", "high", "controls", "operating"}
# Most a rule may find in simulations where there is nothing (CLAIMS: operating characteristic).
FALSE_ALARM_BOUND = 0.05
BAR_WIDTH, BAR_MARGIN = 150, 8  # pixels of the bar of an interval


def build(
    ledger: Path, notebooks: Path, out: Path, *, tell: Callable[[str], object] = lambda left_out: None
) -> Path:
    """Write the report into the folder `out` (replaced as a whole) and return its index page.

    A record or notebook that is damaged is left out; the index names it.

    Parameters
    ----------
    ledger : folder of `*.json` verdict records.
    notebooks : folder of executed `*.ipynb`, at any depth.
    out : folder of the report.
    tell : called with each file that is left out and why, in one text.

    Raises
    ------
    ClaimError : there is no record that can be shown; names the first file and what is wrong with it.
    StoreError : `out` cannot be written; what stood there is untouched.
    """
    records, left_out = _readable(Path(ledger))
    notebooks = Path(notebooks)
    sources = sorted(p.relative_to(notebooks) for p in notebooks.rglob("*.ipynb"))
    sources = [p for p in sources if not any(part.startswith(".") for part in p.parts)]
    pages = []
    with files.atomic_folder(out) as folder:
        (folder / "plotly.min.js").write_text(plotly.offline.get_plotlyjs(), encoding="utf-8")
        for source in sources:
            try:
                pages.append(rendering.page(source, notebooks, folder))
            except ZspaceError as error:
                left_out.append(str(error))
        (folder / "index.html").write_text(_index(records, pages, left_out), encoding="utf-8")
    for message in left_out:
        tell(message)
    return Path(out) / "index.html"


def read_records(ledger: Path) -> list[dict]:
    """Verdict records, checked, in the order of `params/claims.yaml`, then by model and corpus."""
    records = claims.read_records(ledger)
    for record in records:
        _check(record)
    return _in_order(records)


def _readable(ledger: Path) -> tuple[list[dict], list[str]]:
    """The records that can be shown, and what is wrong with each file of the others."""
    records, left_out = [], []
    for file in claims.record_files(ledger):
        try:
            found = read_records(file)
            for record in found:
                _authored(record)
            records += found
        except ZspaceError as error:
            left_out.append(f"{file.name}: {error}")
    if not records:
        raise ClaimError(f"no record of {ledger} can be shown. {left_out[0]}")
    return _in_order(records), left_out


def _in_order(records: list[dict]) -> list[dict]:
    place = {claim: number for number, claim in enumerate(claims.entries())}
    last = len(place)
    return sorted(records, key=lambda r: (place.get(r["claim"], last), r["claim"], r["model"], r["corpus"]))


def page_of(record: dict, pages: list[rendering.Page]) -> rendering.Page | None:
    """The page of the notebook run that made a record, or None where that run was not rendered.

    A run is known by its notebook's name in its path and by the values of its parameters. A record of an
    older zspace has none: there `model` and `corpus` count, as far as the run has them. The run that agrees
    in most of them is taken. A theorem's record holds for "any" model and corpus.
    """
    stated = record.get("execution", {}).get("parameters", {})
    name = executions.file_name([record["notebook"]])

    def agreement(page: rendering.Page) -> int:
        if not any(name in part for part in page.source.with_suffix("").parts):
            return 0
        if stated:
            values = _placed(page)
            shared = stated.keys() & values.keys()
            return 1 + len(shared) if all(values[k] == stated[k] for k in shared) else 0
        named = {"model": str(page.parameters.get("model")), "corpus": corpus_of(page)}
        known = {k: v for k, v in named.items() if page.parameters.get(k)}
        names = {k: (v, ANY, Path(v).stem) for k, v in known.items()}
        fits = [record[k] in names[k] or record[k].startswith(f"{v}/") for k, v in known.items()]
        return 1 + len(fits) if all(fits) else 0

    return max(filter(agreement, pages), key=agreement, default=None)


def _placed(page: rendering.Page) -> dict[str, object]:
    """The parameters of a run, model and corpus by their absolute paths."""
    return executions.placed(page.parameters, files.PROJECT / "notebooks")


def verdict_word(verdict: str) -> str:
    """The verdict without its qualification: "supported (association)" is "supported"."""
    return next((word for word in VERDICTS if verdict == word or verdict.startswith(f"{word} (")), "")


def side_by_side(groups: list[dict]) -> list[dict]:
    """The corpora of each model beside each other: claim and language, with one cell per corpus.

    Empty for a model that was measured on one corpus only, and for one that nothing was measured on.
    """
    found = []
    for model in dict.fromkeys(group["model"] for group in groups if group["model"] != ANY):
        own = [g for g in groups if g["model"] == model and any(row["n_items"] for row in g["rows"])]
        names = list(dict.fromkeys(group["corpus"] for group in own))
        if len(names) < 2:
            continue
        rows = {}
        for group in own:
            for row in group["rows"]:
                place = rows.setdefault((group["claim"], row["language"]), {"title": group["title"]})
                place[group["corpus"]] = row
        lines = [
            {"title": cells["title"], "language": language, "cells": [cells.get(name) for name in names]}
            for (_, language), cells in rows.items()
        ]
        found.append({"model": model, "corpora": names, "rows": lines})
    return found


def control_pages(pages: list[rendering.Page]) -> list[dict]:
    """Pages of the notebook `controls`: one line per model and corpus; pages of one pair by its language.

    Runs that differ in more than their languages stand on lines of their own.
    """
    lines: dict[str, dict] = {}
    for page in (page for page in pages if _is_of_controls(page)):
        values = {k: v for k, v in _placed(page).items() if k != "languages"}
        about = _about(page, CONTROLS) | {"execution": {"parameters": values}}
        line = lines.setdefault(files.fingerprint(values), {"about": about, "all": None, "pairs": []})
        if is_pair(page):
            line["pairs"].append((_languages(page)[-1], page))
        else:
            line["all"] = page
    named = executions.told_apart([line["about"] for line in lines.values()])
    return [
        {"model": model, "corpus": corpus, "all": line["all"], "pairs": line["pairs"]}
        for line, (model, corpus) in zip(lines.values(), named, strict=True)
    ]


def named_pages(pages: list[rendering.Page]) -> list[tuple[rendering.Page, str]]:
    """Pages of notebooks, each with words on model and corpus that tell it from all others of its title."""
    titles = {page.title: number for number, page in enumerate(pages)}
    named = executions.told_apart([_about(page, str(titles[page.title])) for page in pages])
    several = Counter((page.title, model) for page, (model, _) in zip(pages, named, strict=True))
    return [
        (page, f"{model}, {corpus}".strip(", ") if several[page.title, model] > 1 else model)
        for page, (model, corpus) in zip(pages, named, strict=True)
    ]


def _about(page: rendering.Page, claim: str) -> dict:
    """What `executions.told_apart` reads of a record, for a page."""
    values = _placed(page)
    about = {"model": str(values.get("model", "")), "corpus": corpus_of(page) if "corpus" in values else ""}
    return {"claim": claim, **about, "execution": {"parameters": values}}


def _is_of_controls(page: rendering.Page) -> bool:
    return page.source.stem.split("--")[0] == CONTROLS


def is_pair(page: rendering.Page) -> bool:
    """Whether a page is one of the notebook `controls` about a single pair of languages."""
    return _is_of_controls(page) and len(_languages(page)) == 2


def corpus_of(page: rendering.Page) -> str:
    """What the ledger calls the corpus that a page's notebook read, as far as its parameters tell."""
    return corpora.label(*(str(page.parameters.get(k, "")) for k in ("corpus", "version", "padding")))


def _check(record: dict) -> None:
    """Raise ClaimError where the page could not show the record; says which record and what is wrong."""
    name = " × ".join(str(record.get(key, f"no {key}")) for key in ("claim", "model", "corpus"))
    missing = RECORD_KEYS - record.keys()
    for number, row in enumerate(record.get("rows", ())):
        missing |= {f"rows[{number}].{key}" for key in ROW_KEYS - row.keys()}
    if missing:
        raise ClaimError(f"ledger record {name} lacks {', '.join(sorted(missing))}. Run its notebook again.")
    for place, value, kind in _typed(record):
        if not isinstance(value, kind):
            wanted = " or ".join(one.__name__ for one in kind) if isinstance(kind, tuple) else kind.__name__
            raise ClaimError(
                f"ledger record {name}: {place} is {str(value)[:60]!r}; expected {wanted}. Run its notebook "
                "again."
            )
    for number, row in enumerate(record["rows"]):
        for key in claims.READINGS:
            if not verdict_word(row[key]):
                raise ClaimError(
                    f"ledger record {name}: rows[{number}].{key} is {row[key]!r}, not a verdict "
                    f"({', '.join(VERDICTS)}). Run its notebook again."
                )


def _typed(record: dict) -> Iterator[tuple[str, object, type | tuple[type, ...]]]:
    """Place, value and type of all that the page reads of a record."""
    for name in ("claim", "title", "notebook", "model", "corpus"):
        yield name, record[name], str
    for name in ("provenance", "statement", "rule"):
        yield name, record[name], dict
    for name in ("scope", "execution"):
        yield name, record.get(name, {}), dict
    yield "execution.parameters", record.get("execution", {}).get("parameters", {}), dict
    for number, row in enumerate(record["rows"]):
        place = f"rows[{number}]"
        yield f"{place}.language", row["language"], str
        yield f"{place}.controls", row["controls"], list
        yield f"{place}.operating", row["operating"] or {}, dict
        numbers = [(f"{place}.{k}", row.get(k)) for k in claims.NUMBERS]
        for key in claims.READINGS:
            yield f"{place}.{key}", row[key], str
        for i, control in enumerate(row["controls"]):
            yield f"{place}.controls[{i}]", control, dict
            yield f"{place}.controls[{i}].name", control.get("name"), str
            yield f"{place}.controls[{i}].passed", control.get("passed"), bool
            numbers += [(f"{place}.controls[{i}].{k}", control.get(k)) for k in claims.NUMBERS]
        yield from ((where, number, (int, float, type(None))) for where, number in numbers)


def _index(records: list[dict], pages: list[rendering.Page], left_out: list[str]) -> str:
    """HTML of the index page."""
    named = executions.told_apart(records)
    groups = [
        _group(record, records, page_of(record, pages), *names)
        for record, names in zip(records, named, strict=True)
    ]
    rows = [row for group in groups for row in group["rows"]]
    return rendering.TEMPLATES.get_template("index.html.j2").render(
        groups=groups,
        claims=_distinct(r["claim"] for r in records),
        models=_distinct(model for model, _ in named if model != ANY),
        measured=_distinct(g["model"] for g in groups if any(row["n_items"] for row in g["rows"])),
        corpora=_distinct(corpus for model, corpus in named if model != ANY),
        languages=sorted(_distinct(row["language"] for row in rows), key=lambda code: code != "*"),
        verdicts=VERDICTS,
        counts={key: Counter(row[key]["word"] for row in rows) for key in claims.READINGS},
        n_rows=len(rows),
        pages=named_pages([page for page in pages if not is_pair(page)]),
        side_by_side=side_by_side(groups),
        control_pages=control_pages(pages),
        provenance=_provenance(records),
        left_out=left_out,
    )


def _group(record: dict, records: list[dict], page: rendering.Page | None, model: str, corpus: str) -> dict:
    """What the index shows of one record, under the names `model` and `corpus`."""
    scale = _scale([row for r in records if r["claim"] == record["claim"] for row in r["rows"]])
    return {
        "claim": record["claim"],
        **_authored(record),
        "model": model,
        "corpus": corpus,
        "page": page,
        "rows": [_row(row, scale) for row in record["rows"]],
    }


def _authored(record: dict) -> dict:
    """What params/claims.yaml says in a record, with its formulas; values that come from data have none."""
    where = f"ledger record {record['claim']} × {record['model']}"

    def rich(text: object) -> markupsafe.Markup:
        return markupsafe.Markup(rendering.rich_text(str(text), where))

    scope = dict(_flat(record.get("scope", {}), depth=1))
    return {
        "title": rich(record["title"]),
        "statement": {key: rich(text) for key, text in record["statement"].items()},
        "rule": {key: rich(_plain(value)) for key, value in _flat(record["rule"], depth=2)},
        "scope": {key: rich(value) if key == "text" else _plain(value) for key, value in scope.items()},
    }


def _row(row: dict, scale: Callable[[float], float]) -> dict:
    """What the index shows of one language in one record."""
    controls = [
        {
            "name": control["name"],
            "value": _shown(control),
            "verdict": control.get("verdict", ""),
            "passed": bool(control["passed"]),
        }
        for control in row["controls"]
    ]
    shown = {
        key: {
            "verdict": row[key],
            "word": verdict_word(row[key]),
            "slug": verdict_word(row[key]).replace(" ", "-"),
            "symbol": VERDICTS[verdict_word(row[key])][0],
            "reason": row.get(f"{key}_reason") or "",
        }
        for key in claims.READINGS
    }
    return shown | {
        "language": row["language"],
        "value": _shown(row),
        "statistic": (row.get("statistic") or "").replace("_", " "),
        "minimal_effect": _number(row.get("minimal_effect")),
        "bar": markupsafe.Markup(_bar(row, scale, shown["as_corrected"]["slug"])),
        "p": statistics.p_words(row.get("p_holm")),
        "n_items": row.get("n_items"),
        "n_scenarios": row.get("n_scenarios"),
        "controls": controls,
        "n_passed": sum(control["passed"] for control in controls),
        "operating": _operating(row["operating"] or {}),
    }


def _operating(operating: dict) -> list[dict]:
    """How often the rule errs in simulations: label, rate in words, and whether it is out of bounds."""
    labels = {
        "null_supported": "false alarms", "power_modest": "power, modest effect",
        "power": "power, large effect", "false_refuted": "absence found",
    }  # fmt: skip
    shown = []
    for key in (key for key in labels if is_number(operating.get(key))):
        alarm = key == "null_supported" and operating[key] > FALSE_ALARM_BOUND
        shown.append({"label": labels[key], "rate": f"{100 * operating[key]:.3g} %", "alarm": alarm})
    if shown and operating.get("n_simulations"):
        shown.append({"label": "simulations", "rate": str(operating["n_simulations"]), "alarm": False})
    return shown


def _scale(rows: list[dict]) -> Callable[[float], float]:
    """Values to pixels, such that zero, the minimal effects and all intervals of a claim are seen."""
    keys = ("estimate", "low", "high", "minimal_effect")
    values = [row.get(key) for row in rows if _is_interval(row) for key in keys]
    low, high = (bound([0.0, *filter(is_number, values)]) for bound in (min, max))
    width = high - low or 1.0
    return lambda value: round(BAR_MARGIN + (value - low) / width * (BAR_WIDTH - 2 * BAR_MARGIN), 1)


def _bar(row: dict, scale: Callable[[float], float], slug: str) -> str:
    """Inline SVG of an interval's limits with zero (solid line) and the minimal effect (dashed line).

    Empty for tests and counts, which have no limits.
    """
    if not (_is_interval(row) and is_number(row["estimate"])):
        return ""
    # class, values at both ends, heights of both ends
    lines = [("zero", 0, 0, 2, 22), ("minimal", row.get("minimal_effect"), row.get("minimal_effect"), 2, 22)]
    lines.append(("interval", row["low"], row["high"], 12, 12))
    drawn = [
        f'<line class="{name}" x1="{scale(start)}" x2="{scale(end)}" y1="{top}" y2="{bottom}"/>'
        for name, start, end, top, bottom in lines
        if is_number(start) and is_number(end)
    ]
    drawn.append(f'<circle cx="{scale(row["estimate"])}" cy="12" r="4"/>')
    label = markupsafe.escape(f"{_shown(row)}; minimal effect {_number(row.get('minimal_effect'))}")
    return (
        f'<svg class="bar {slug}" width="{BAR_WIDTH}" height="24" viewBox="0 0 {BAR_WIDTH} 24" '
        f'role="img" aria-label="{label}"><title>{label}</title>{"".join(drawn)}</svg>'
    )


def _provenance(records: list[dict]) -> dict[str, list[str]]:
    """Every key of the records' provenance with its distinct values; nested keys are joined."""
    found: dict[str, list[str]] = {}
    for record in records:
        for key, value in _flat(record["provenance"], depth=2):
            found.setdefault(key, []).append(_plain(value))
    return {key: _distinct(values) for key, values in found.items()}


def _flat(tree: dict, *, depth: int, above: str = "") -> list[tuple[str, object]]:
    """Pairs of a name in words and a value; the names of nested mappings are joined, down to `depth`."""
    pairs = []
    for key, value in tree.items():
        name = f"{above} {key}".strip().replace("_", " ")
        nested = isinstance(value, dict) and depth > 1
        pairs += _flat(value, depth=depth - 1, above=name) if nested else [(name, value)]
    return pairs


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{str(key).replace('_', ' ')} {_plain(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if value is None:
        return "–"
    return _number(value) if isinstance(value, float) else str(value)


def _shown(values: dict) -> str:
    """A statistic as what it is: estimate with its limits, test with its p-value, count with its range."""
    return statistics.words(values, _number) or "–"


def _is_interval(row: dict) -> bool:
    return row.get("statistic_kind") in (statistics.INTERVAL, statistics.EXCESS)


def _number(value: float | None) -> str:
    """Two decimals, one significant digit below .01, three from 1000 on; a true minus sign."""
    if not is_number(value):
        return "–"
    tiny = 0 < abs(value) < 0.01
    text = f"{value:.1g}" if tiny else f"{value:.3g}" if abs(value) >= 1000 else f"{value:.2f}"
    return text.replace("-", "−")


def _languages(page: rendering.Page) -> list[str]:
    return [code.strip() for code in str(page.parameters.get("languages", "")).split(",") if code.strip()]


def _distinct(values) -> list:
    return list(dict.fromkeys(values))

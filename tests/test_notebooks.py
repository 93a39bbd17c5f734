"""Committed notebooks: paired with their scripts, executed, complete, and honest about what nbval compares.

That the outputs are still what the code computes is checked by nbval itself (`run.py test`).
"""

import ast
import base64
import functools
import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from nbval_numeric import tolerance

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SCRIPTS = sorted((FOLDER / "py").glob("*.py"))
NOT_CLAIMS = ("summary", "explore", "controls")
CLAIMS = yaml.safe_load((ROOT / "params" / "claims.yaml").read_text(encoding="utf-8"))
CLAIMS_OF = {p.stem: {k: c for k, c in CLAIMS.items() if c["notebook"] == p.stem} for p in NOTEBOOKS}
CLAIM_NOTEBOOKS = [p for p in NOTEBOOKS if p.stem not in NOT_CLAIMS]
NAMES = re.compile(r"(theorem|corollary|conjecture|prediction|experiment)_[a-z0-9_]+|" + "|".join(NOT_CLAIMS))

# Sections of a claim notebook, in order: what is claimed and how it is decided stands before any data.
SECTIONS = (
    "Statement", "Assumptions", "Decision rule", "Assumption checks", "Prediction", "Controls", "Evidence",
    "Sensitivity", "Verdict", "What this shows",
)  # fmt: skip
# Calls that read texts or hidden states: those of a notebook's lab, and what they call.
DATA_CALLS = {"load", "open_pairs", "open_others", "open_if_there", "open_states"}
DATA_CALLS |= {"ensure", "states", "traces", "random_twin", "twin"}
# A decimal fraction or a percentage, as prose writes a bound: .10, 0.05, 5 %.
FRACTION = re.compile(r"(?<![\w.])(\d*\.\d+)|(?<![\w.])(\d+(?:\.\d+)?)\s?\\?%")
ABSOLUTE_PATH = re.compile(r"(?:^|[\s\"'(=:,])(?:/(?:[\w.@+-]+/)+[\w.@+-]+|[A-Z]:\\\w)", re.MULTILINE)
FIGURE_BYTES = 100_000
DATA_BYTES = 8_000_000  # recordings of two models are most of it

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
claim_notebooks = pytest.mark.parametrize("path", CLAIM_NOTEBOOKS, ids=lambda p: p.stem)


@functools.cache
def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [c for c in read(path).cells if c.cell_type == "code" and c.source.strip()]


def prose_of(path):
    return "\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")


def tags(cell):
    return cell.metadata.get("tags", [])


def content(path):
    """What a notebook shares with its script."""
    return [(c.cell_type, c.source.strip(), sorted(tags(c))) for c in jupytext.read(path).cells]


def headings(path):
    """Position and text of each heading."""
    return [
        (at, match[1])
        for at, cell in enumerate(read(path).cells)
        if cell.cell_type == "markdown"
        for match in re.finditer(r"^#+ +(.+?)\s*$", cell.source, re.MULTILINE)
    ]


def calls(source):
    """Names of the functions and methods that a cell calls."""
    called = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in called}


def claims_of(path):
    """Value of a notebook's `CLAIMS`, from the imports and plain assignments before it."""
    assigning = [c for c in code_cells(path) if re.search(r"^CLAIMS = ", c.source, re.MULTILINE)]
    assert len(assigning) == 1, "the set-up cell lists the notebook's claims: CLAIMS = [...]"
    names = {}
    for statement in ast.parse(assigning[0].source).body:
        plain = isinstance(statement, ast.Assign) and not calls(ast.unparse(statement))
        if plain or isinstance(statement, ast.Import | ast.ImportFrom):
            exec(ast.unparse(statement), names)
    return names["CLAIMS"]


def shows(cell, table):
    """Whether a cell calls `tables.<table>(CLAIMS)`."""
    called = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    return any(ast.unparse(node).startswith(f"tables.{table}(CLAIMS)") for node in called)


def numbers_in(rules):
    """Every number of a claim's rules, wherever it stands."""
    if isinstance(rules, dict):
        return set().union(*(numbers_in(value) for value in rules.values()))
    return {abs(float(rules))} if isinstance(rules, int | float) and not isinstance(rules, bool) else set()


def fractions_in(prose):
    """Decimal fractions and percentages that a text has, by value: {0.1: ".10", 0.05: "5 %"}."""
    values = [(float(m[1] or float(m[2]) / 100), m[0]) for m in FRACTION.finditer(prose)]
    return {round(value, 9): text for value, text in values}


def test_notebooks_have_one_script_each_and_a_name_of_the_plan():
    assert {p.stem for p in NOTEBOOKS} == {p.stem for p in SCRIPTS}
    assert [p.name for p in NOTEBOOKS if not NAMES.fullmatch(p.stem)] == []
    # pytest would collect them as tests
    assert list(FOLDER.rglob("test_*")) == []


@notebooks
def test_notebook_equals_its_script(path):
    assert content(path) == content(FOLDER / "py" / f"{path.stem}.py")


@notebooks
def test_notebook_is_executed_without_errors(path):
    """nbval compares nothing in a cell that was never executed."""
    cells = code_cells(path)
    assert [c.source for c in cells if c.execution_count is None] == []
    assert [c.execution_count for c in cells] == sorted({c.execution_count for c in cells})
    assert [o for c in cells for o in c.outputs if o.output_type == "error"] == []
    assert any(c.outputs for c in cells)


@notebooks
def test_notebook_has_a_title_and_one_cell_of_flat_typed_parameters(path):
    assert headings(path)[0][0] == 0
    (cell,) = [c for c in code_cells(path) if "parameters" in tags(c)]
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        assert isinstance(ast.literal_eval(statement.value), str | int | float | bool)
    assert [line for line in cell.source.splitlines() if "#" not in line] == [], "each says what it is"


@notebooks
def test_notebook_leaves_only_its_provenance_uncompared(path):
    cells = code_cells(path)
    ignored = [c.source for c in cells if "nbval-ignore-output" in tags(c)]
    assert ignored == [cells[-1].source]
    assert "provenance" in calls(ignored[0])
    assert [c.source for c in cells if {"nbval-skip", "raises-exception"} & set(tags(c))] == []
    assert [c.source for c in cells if re.search(r"#\s*(NBVAL_|PYTEST_)", c.source)] == []


@notebooks
def test_notebook_tolerances_are_listed_with_their_reason(path):
    listed = yaml.safe_load((ROOT / "tests" / "tolerances.yaml").read_text(encoding="utf-8")) or {}
    used = {tag for c in code_cells(path) for tag in tags(c) if tag.startswith("tol-")}
    assert used == set(listed.get(path.stem, {}))
    for tag, reason in listed.get(path.stem, {}).items():
        tolerance([tag])
        assert len(reason.split()) >= 5, f"{tag}: say which statistic and its standard error"


@notebooks
def test_notebook_defines_no_function_and_no_class(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [n for c in code_cells(path) for n in ast.walk(ast.parse(c.source)) if isinstance(n, kinds)]
    assert [node.name for node in found] == []


@notebooks
def test_notebook_outputs_are_small_and_name_no_machine(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            for kind, data in output.get("data", {}).items():
                text = data if isinstance(data, str) else json.dumps(data)
                size = len(base64.b64decode(text)) if kind == "image/png" else len(text)
                assert size <= FIGURE_BYTES, f"{kind} of {size} bytes in {cell.source!r}"
                # arrays of a figure are base64, whose slashes may look like a path
                words = re.sub(r'"bdata": "[^"]*"', "", text)
                assert kind == "image/png" or not ABSOLUTE_PATH.search(words), cell.source
            assert not ABSOLUTE_PATH.search(output.get("text", "")), cell.source


@claim_notebooks
def test_claim_notebook_is_short_and_has_its_sections_in_order(path):
    assert len(read(path).cells) <= 25
    found = [text for _, text in headings(path)][1:]  # after the title
    places = [next((i for i, text in enumerate(found) if text.startswith(s)), None) for s in SECTIONS]
    missing = [s for s, place in zip(SECTIONS, places, strict=True) if place is None]
    assert not missing, f"lacks {missing}; has {found}"
    assert places == sorted(places)
    prose = prose_of(path)
    for words in ("What would change the verdict", "**A1", "| symbol"):
        assert words in prose, words


@claim_notebooks
def test_claim_notebook_shows_statements_and_rules_of_all_its_claims_from_the_file(path):
    assert sorted(claims_of(path)) == sorted(CLAIMS_OF[path.stem])
    cells = read(path).cells
    for table, section in (("statement", "Statement"), ("rules", "Decision rule")):
        start = next(at for at, text in headings(path) if text.startswith(section))
        end = next(at for at, text in headings(path) if at > start)
        assert any(c.cell_type == "code" and shows(c, table) for c in cells[start:end]), table


@claim_notebooks
def test_claim_notebook_types_no_bound_of_its_rules(path):
    """Bounds stand in params/claims.yaml: a second copy in prose would go on saying what a rule once was."""
    rules = [c["rules"] for c in CLAIMS_OF[path.stem].values()]
    bounds = {round(b, 9) for b in set().union(*map(numbers_in, rules)) if 0 < b < 1}
    assert [text for value, text in fractions_in(prose_of(path)).items() if value in bounds] == []


@claim_notebooks
def test_claim_notebook_fixes_its_rule_before_it_reads_data(path):
    cells = read(path).cells
    rule = next(at for at, text in headings(path) if text.startswith("Decision rule"))
    reading = [at for at, c in enumerate(cells) if c.cell_type == "code" and calls(c.source) & DATA_CALLS]
    assert all(at > rule for at in reading)


@claim_notebooks
def test_claim_notebook_records_a_verdict_and_shows_how_its_rule_errs(path):
    called = set().union(*(calls(c.source) for c in code_cells(path)))
    assert "record" in called
    if all("proof" in c["rules"]["as_corrected"] for c in CLAIMS_OF[path.stem].values()):
        # a proof has no error rate; it shows instead that wrong statements do not pass its checks
        assert any(re.search(r"\.wrong\b", c.source) for c in code_cells(path))
    else:
        assert called & {"error_rates", "operating_characteristic"}


def test_committed_results_are_compact():
    found = [p for p in (FOLDER / "data").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in found) <= DATA_BYTES


def test_typed_bounds_are_recognised():
    """Control of the tests above."""
    rules = {"as_corrected": {"gain": {"above": 0.1, "effect": False}, "rho": {"below": 0, "p_below": 0.05}}}
    assert numbers_in(rules) == {0.1, 0.0, 0.05}
    for text in ("at least .10", "by 0.1 more", "10 % of it", "$> .1$", "$10\\%$"):
        assert 0.1 in fractions_in(text), text
    for text in ("version 3.10", "theorem 2.1", "1.10", "n = 10", "0.11", "10 items", "x.1"):
        assert 0.1 not in fractions_in(text), text


def test_absolute_path_is_recognised():
    """Control of the tests above."""
    for text in ("/usr/lib/x.py", "in '/etc/a/b'", "C:\\Users", "path=/var/data/x"):
        assert ABSOLUTE_PATH.search(text), text
    for text in ("number-stories/spelled-out", "and/or", "https://example.org/a/b", "<br/> </td>", "1 / 2"):
        assert not ABSOLUTE_PATH.search(text), text

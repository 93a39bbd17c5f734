"""Notebook comparison: a finding that changed must fail, a last digit that differs must not."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat.v4 as nbf
import numpy as np
import pytest
from nbval_numeric import differences, tolerance

ROOT = Path(__file__).resolve().parents[1]
PLOTLY = "application/vnd.plotly.v1+json"


def text(content):
    return [nbf.new_output("stream", name="stdout", text=content)]


def figure(y, **layout):
    return [nbf.new_output("display_data", {PLOTLY: {"data": [{"type": "bar", "y": y}], "layout": layout}})]


def typed(values, dtype="f8"):
    array = np.asarray(values, dtype=dtype)
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": dtype, "bdata": data, "shape": ", ".join(map(str, array.shape))}


def same(a, b, *tags):
    return not list(differences(a, b, tags))


@pytest.mark.parametrize(
    ("committed", "fresh"),
    [
        ("accuracy 0.61000", "accuracy 0.61001"), ("0.5  0.25\n1.5", "0.5 0.25 1.5"), ("1e-9", "-3.2e-8"),
        ("[0.9999999 2.]", "[1.0 2.]"), ("nan inf", "nan inf"), ("loss −1.50001", "loss −1.5"),
    ],
)  # fmt: skip
def test_differences_accepts_the_last_digits(committed, fresh):
    assert same(text(committed), text(fresh))


@pytest.mark.parametrize(
    ("committed", "fresh"),
    [
        ("accuracy 0.6100", "accuracy 0.6105"), ("zh: supported 0.61", "zh: refuted 0.61"),
        ("layer 12", "layer 13"), ("12000 items.", "12001 items."), ("0.5 0.6", "0.5"), ("", "0.5"),
        ("0.5", "-0.5"), ("0.5", "−0.5"), ("0.5", "nan"), ("nan", "0.5"), ("inf", "-inf"),
        ("key 12e456", "key 13e456"), ("#12e456", "#13e456"), ("took 3.1s", "took 3.2s"),
    ],
)  # fmt: skip
def test_differences_reports_a_changed_number_or_word(committed, fresh):
    assert not same(text(committed), text(fresh))
    assert not same(text(fresh), text(committed))


def test_differences_says_what_changed():
    found = list(differences(text("zh supported 0.5"), text("zh refuted 0.5")))
    assert found == ["stdout[0]: after 'zh': 'supported' committed, 'refuted' fresh"]
    assert list(differences(text("a 0.5"), text("a 0.6"))) == ["stdout[0]: 0.5 committed, 0.6 fresh"]


def test_differences_under_a_tolerance_tag_loosens_floats_but_no_words_nor_integers():
    assert same(text("0.50 at layer 12"), text("0.54 at layer 12"), "tol-0.05")
    assert not same(text("0.50 at layer 12"), text("0.56 at layer 12"), "tol-0.05")
    assert not same(text("0.50 at layer 12"), text("0.50 at layer 13"), "tol-0.05")
    assert same(text("0.50 at layer 12"), text("0.50 at layer 13"), "tol-0.05", "tol-int-1")
    assert not same(text("0.50 at layer 12"), text("0.50 at layer 14"), "tol-int-1")
    assert not same(text("supported 0.5"), text("refuted 0.5"), "tol-0.5", "tol-int-9")


def test_tolerance_reads_tags_and_refuses_one_without_a_number():
    assert tolerance(["tol-0.05", "tol-int-2", "parameters"]).atol == 0.05
    assert tolerance(["tol-1e-3"]).atol == 0.001
    assert tolerance(["tol-int-2"]).integer == 2
    with pytest.raises(ValueError, match="tol-se' states no tolerance"):
        tolerance(["tol-se"])


def test_differences_decodes_plotly_arrays():
    old = typed([[0.5, 1.5], [2.5, 3.5]])
    assert same(figure(old), figure(typed([[0.500001, 1.5], [2.5, 3.5]])))
    assert same(figure(old), figure([[0.5, 1.5], [2.5, 3.5]]))
    assert same(figure(typed([1, 2], "i4")), figure(typed([1, 2], "i8")))
    assert not same(figure(old), figure(typed([[0.51, 1.5], [2.5, 3.5]])))
    assert not same(figure(old), figure(typed([0.5, 1.5, 2.5, 3.5])))
    assert not same(figure(typed([1, 2], "i4")), figure(typed([1, 3], "i4")))
    assert same(figure(old), figure(typed([[0.54, 1.5], [2.5, 3.5]])), "tol-0.05")


def test_differences_compares_figure_text_and_ignores_its_style():
    assert same(figure([1.0], title="a", template={"x": 1}), figure([1.0], title="a", template={"x": 2}))
    assert not same(figure([1.0], title="zh aligns"), figure([1.0], title="sw aligns"))
    assert not same(figure([1.0], showlegend=True), figure([1.0], showlegend=False))
    assert not same(figure([1.0], showlegend=True), figure([1.0], showlegend=1))
    assert not same(figure([1.0], title="a"), figure([1.0]))


def test_differences_ignores_pictures_and_progress_bars_but_no_missing_output():
    def shown(picture, bar):
        data = {"image/png": picture, "text/html": picture, "text/plain": "0.5"}
        return [nbf.new_output("stream", name="stderr", text=bar), nbf.new_output("display_data", data)]

    assert same(shown("a", "1%"), shown("b", "2%"))
    assert same(shown("a", "1%"), shown("a", "1%")[1:])
    assert not same(shown("a", "1%"), shown("a", "1%")[:1])
    assert not same(shown("a", "1%") * 2, shown("a", "1%"))


def test_differences_reports_another_error():
    def raised(name):
        return [nbf.new_output("error", ename=name, evalue="x", traceback=["line 1"])]

    assert same(raised("ValueError"), raised("ValueError"))
    assert not same(raised("ValueError"), raised("KeyError"))


def test_install_makes_nbval_compare_this_way(tmp_path):
    """The whole way, through a kernel: of four wrong committed outputs three fail, one is within reach."""
    cells = [
        nbf.new_code_cell(source, outputs=text(f"{committed}\n"), execution_count=1, metadata={"tags": tags})
        for source, committed, tags in (
            ("print(0.500001, 'supported')", "0.5 supported", ["tol-0.01"]),
            ("print(0.500001, 'supported')", "0.5 refuted", ["tol-0.01"]),
            ("print(0.51)", "0.5", []),
            ("print(12)", "11", []),
        )
    ]
    (tmp_path / "tests").mkdir()
    for file in ("conftest.py", "tests/nbval_numeric.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "one.ipynb").write_text(json.dumps(nbf.new_notebook(cells=cells)), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "--rootdir=."]
    ran = subprocess.run([*command, "one.ipynb"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 failed, 1 passed" in ran.stdout, ran.stdout
    assert "after 'a number': 'refuted' committed, 'supported' fresh" in ran.stdout

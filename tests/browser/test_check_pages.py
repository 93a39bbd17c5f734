"""The page check finds each fault it looks for, and finds none in our report."""

import shutil

import check_pages
import nbformat.v4 as nbf
import numpy as np
import pytest
import sample_report
from zspace.pages import report

needs_browser = pytest.mark.skipif(
    not any(map(shutil.which, check_pages.BROWSERS)), reason="no Chromium here to open the pages with"
)
SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)
TURNED = np.array([[5, 0], [10, 5], [5, 10], [0, 5]], dtype=float)

FAULTS = {
    "overlap": '<p style="position:absolute;top:9px">one</p><p style="position:absolute;top:12px">two</p>',
    "raw $": "<p>a formula $x$</p>",
    "wider than": '<div style="width:3000px">wide</div>',
    "external request": '<img src="http://127.0.0.1:9/a.png" alt="">',
    "console": "<script>throw new Error('ours')</script>",
    "cut off": '<div class="js-plotly-plot" style="width:80px;height:40px"><svg width="80" height="40" '
    'style="overflow:visible"><text x="60" y="20">a long title</text></svg></div>',
    "'left' and 'right' overlap": '<svg width="200" height="40"><text x="9" y="20">left</text>'
    '<text x="19" y="20">right</text></svg>',
}
HARMLESS = (
    "<p>two<br>lines and <code>$HOME</code></p><h1 style='line-height:1.1'>a<br>b</h1>"
    "<details><summary>more</summary>hidden</details><p style='opacity:0;position:absolute;top:0'>unseen</p>"
    "<svg width='300' height='120'><text x='20' y='30' transform='rotate(45 20 30)'>a turned label</text>"
    "<text x='45' y='30' transform='rotate(45 45 30)'>a turned label</text></svg>"
)


def problems(folder, body):
    folder.mkdir(exist_ok=True)
    page = f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body>{body}</body>'
    (folder / "page.html").write_text(page, encoding="utf-8")
    return check_pages.check_report(folder, folder)


def lab_notebook(*sources):
    cells = [nbf.new_markdown_cell("# T"), *map(nbf.new_code_cell, sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbf.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.mark.parametrize(
    ("shift", "depth"), [((0, 0), 10), ((7, 0), 3), ((7, 9), 1), ((10, 0), 0), ((40, 3), 0)]
)
def test_crossing_is_the_depth_of_overlap(shift, depth):
    assert check_pages.crossing(SQUARE, SQUARE + shift) == pytest.approx(depth)


def test_crossing_of_turned_boxes_is_not_that_of_their_frames():
    """Two diamonds side by side on the diagonal: their upright frames overlap, they do not."""
    assert check_pages.crossing(TURNED, TURNED + 6.0) == pytest.approx(0)
    assert check_pages.crossing(TURNED, TURNED + 2.0) > 2


@needs_browser
@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS)
def test_check_report_finds_the_fault(tmp_path, fault):
    found = problems(tmp_path / "pages", FAULTS[fault])
    for width in check_pages.WIDTHS:
        assert any(f"at {width} px: " in problem and fault in problem for problem in found), found


@needs_browser
@pytest.mark.full
def test_check_report_accepts_what_is_in_order(tmp_path):
    assert problems(tmp_path / "pages", HARMLESS) == []


@needs_browser
@pytest.mark.full
def test_report_opens_without_a_fault(tmp_path):
    ledger = sample_report.write_ledger(tmp_path / "ledger")
    name = "gemma-3-270m/prediction_1_retrieval_by_layer.ipynb"
    sample_report.write_notebook(tmp_path / "in" / name, sample_report.notebook("gemma-3-270m"))
    index = report.build(ledger, tmp_path / "in", tmp_path / "out")
    assert check_pages.check_report(index.parent, tmp_path) == []


@needs_browser
@pytest.mark.full
def test_notebook_runs_in_jupyterlab_and_a_failing_one_is_reported(tmp_path):
    good = lab_notebook(
        "import json\nimport plotly.graph_objects as go",
        f"go.Figure(json.loads({sample_report.figure().update_layout(width=None).to_json()!r}))",
    )
    path = sample_report.write_notebook(tmp_path / "good.ipynb", good)
    before = path.read_bytes()
    assert check_pages.check_lab(path, tmp_path, timeout=120) == []
    assert path.read_bytes() == before
    path = sample_report.write_notebook(tmp_path / "bad.ipynb", lab_notebook("1 / 0"))
    found = check_pages.check_lab(path, tmp_path, timeout=120)
    assert any("ZeroDivisionError" in problem for problem in found)
    assert any("no Plotly figure" in problem for problem in found)

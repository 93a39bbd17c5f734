"""Grids and batches, on trivial notebooks that need no model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook
from zspace import files
from zspace.errors import ModelError, ParameterError, WeightsUnavailableError
from zspace.evidence import claims
from zspace.pages import batch, grids

PARAMETERS = 'model = "m"\ncorpus = "c"\nversion = "v"\nlanguages = "en"\nn_items = 2\nrate = 0.5\n'
FIRST = "open('first.done', 'a').write('x')"
QUICK = yaml.safe_load(Path(files.PROJECT / "params" / "grid.yaml").read_text())["quick"]


def write_notebook(path: Path, parameters: str, *code: str, output: str = "") -> None:
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]}), *map(new_code_cell, code)]
    if output:
        cells[0]["outputs"] = [nbformat.v4.new_output("stream", text=output)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture
def grid(tmp_path, monkeypatch) -> Path:
    """A grid file beside two notebooks that take no model; runs go to tmp_path/runs."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    write_notebook(tmp_path / "first.ipynb", "seed = 0", FIRST)
    waiting = "import os, time\nopen('second.begun', 'a').write('x')\nwhile not os.path.exists('go'):\n"
    waiting += "    open('second.alive', 'w').write(str(time.time())); time.sleep(0.05)\n"
    write_notebook(tmp_path / "second.ipynb", "seed = 0", waiting, "open('second.done', 'a').write('x')")
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({"folder": ".", "notebooks": {"first": {}, "second": {}}}))
    return path


def rewrite(grid: Path, **fields) -> str:
    grid.write_text(yaml.safe_dump({**yaml.safe_load(grid.read_text()), **fields}, sort_keys=False))
    return str(grid)


def start_batch(grid: Path, *words: str) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "zspace.pages.cli",
        "run",
        "first",
        "second",
        "--grid",
        str(grid),
        *words,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def start_half_way(grid: Path) -> subprocess.Popen:
    """A batch whose first notebook is done and whose second one is being executed."""
    process = start_batch(grid)
    first = grid.parent / "runs" / "notebooks" / "first.ipynb"
    wait_until(lambda: first.is_file() and (grid.parent / "second.alive").is_file())
    return process


def test_batch_goes_on_where_it_was_killed(grid):
    folder, executed = grid.parent, grid.parent / "runs" / "notebooks"
    process = start_half_way(grid)
    process.kill()
    # the execution that the batch leaves behind ends too: it must not write beside the next one
    wait_until(lambda: time.time() - (folder / "second.alive").stat().st_mtime > 1)
    process.communicate(timeout=10)
    assert not (executed / "second.ipynb").exists()

    (folder / "go").touch()
    out, err = start_batch(grid).communicate(timeout=60)
    assert out.split()[-2:] == [str(executed / "first.ipynb"), str(executed / "second.ipynb")], err
    assert (folder / "first.done").read_text() == "x"  # executed once, before the kill
    assert (folder / "second.begun").read_text() == "xx"
    assert (folder / "second.done").read_text() == "x"
    assert not list((folder / "runs" / "failed").iterdir())


def test_batch_and_its_jobs_end_on_ctrl_c(grid):
    process = start_half_way(grid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.startswith("zspace: interrupted")
    wait_until(lambda: time.time() - (grid.parent / "second.alive").stat().st_mtime > 1)


def test_batch_keeps_a_failed_notebook_and_executes_it_again_when_repaired(grid):
    folder, runs = grid.parent, grid.parent / "runs"
    write_notebook(folder / "second.ipynb", "seed = 0", "1 / 0")
    process = start_batch(grid)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (runs / "notebooks" / "first.ipynb").is_file()
    assert "ZeroDivisionError" in (runs / "failed" / "second.ipynb").read_text()
    assert "ZeroDivisionError" in out
    assert "Traceback" not in out + err

    write_notebook(folder / "second.ipynb", "seed = 0", "1 / 1")
    write_notebook(folder / "first.ipynb", "seed = 0", FIRST, output="edited")
    assert start_batch(grid).wait(60) == 0
    assert (runs / "notebooks" / "second.ipynb").is_file()
    assert (folder / "first.done").read_text() == "x"  # of this one only a stored output was edited


def test_stamps_change_with_what_a_step_depends_on_only(grid, tmp_path, monkeypatch):
    package = tmp_path / "package"
    for part in ("sources", "states", "measures", "evidence", "pages"):
        (package / part).mkdir(parents=True)
        (package / part / "code.py").write_text("x = 1\n")
    monkeypatch.setattr(files, "PACKAGE", package)
    plan = grids.plan(str(grid))

    def changed(edit) -> set[str]:
        before = {k: p.stat().st_mtime_ns for k, p in batch.stamps(plan).items()}
        edit()
        after = batch.stamps(plan)
        return {k for k, p in after.items() if p.stat().st_mtime_ns != before[k]}

    assert changed(lambda: None) == set()
    assert changed(lambda: os.utime(package / "states" / "code.py")) == set()
    assert changed(lambda: (package / "measures" / "code.py").write_text("x = 2\n")) == {"evidence"}
    assert changed(lambda: (package / "evidence" / "code.py").write_text("x = 2\n")) == {"evidence", "pages"}
    assert changed(lambda: (package / "states" / "code.py").write_text("x = 2\n")) == {"captures", "evidence"}
    assert changed(lambda: (package / "pages" / "code.py").write_text("x = 2\n")) == {"pages"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"notebooks": {"third": {}}}, ["third", "first, second"]),
        ({"notebooks": {"first": {"parameters": {"sede": 1}}}}, ["sede", "Known: seed"]),
        ({"notebooks": {"first": {"parameters": {"seed": "1"}}}}, ["seed", "'1'", "int"]),
        ({"notebooks": {"first": {"parameters": {"seed": True}}}}, ["seed", "True", "int"]),
        ({"notebooks": {"first": {"parametres": {}}}}, ["parametres", "per_pair"]),
        ({"notebooks": ["first"]}, ["notebooks"]),
        ({"notebook": {}}, ["'notebook'", "notebooks"]),
        ({"variants": {"randon": [0]}}, ["randon", "random-blocks"]),
        ({"corpora": [{"corpus": "number-stories", "n_draw": 4}]}, ["n_draw", "n_draws"]),
        ({"corpora": [{"corpus": "number-stories", "n_draws": "4"}]}, ["n_draws", "'4'", "int"]),
        ({"corpora": [{"version": "digits"}]}, ["corpus"]),
        ({"summary": "sumary"}, ["sumary", "first"]),
    ],
)
def test_plan_refuses_and_names_what_it_knows(grid, fields, named):
    with pytest.raises(ParameterError) as caught:
        grids.plan(rewrite(grid, **fields))
    assert all(word in str(caught.value) for word in named)


def test_plan_refuses_unknown_grids_and_models(grid):
    with pytest.raises(ParameterError, match=r"unknown grid 'quik'.*quick"):
        grids.plan("quik")
    with pytest.raises(ParameterError, match=r"cannot read.*absent\.yaml"):
        grids.plan("absent.yaml")
    with pytest.raises(ModelError, match=r"gema.*gemma-3-270m"):
        grids.plan(rewrite(grid, models=["gema"]))


def test_plan_of_a_notebook_with_a_model_is_one_cell_per_model_and_corpus(grid):
    write_notebook(grid.parent / "third.ipynb", PARAMETERS)
    corpora = [
        {"corpus": "number-stories", "version": "spelled-out", "languages": "en, zh,sw", "n_items": 9},
        {"corpus": "number-stories", "version": "digits", "capture_only": True, "variants": {"random": [4]}},
    ]
    variants = {"trained": [], "random": [0, 1]}
    wanted = {"models": ["gemma-3-270m", "owner/name"], "variants": variants, "corpora": corpora}
    plan = grids.plan(rewrite(grid, notebooks={"first": {}, "third": {}}, **wanted))
    assert [c.key for c in plan.cells] == [
        "first",
        "third--gemma-3-270m--number-stories--spelled-out",
        "third--owner-name--number-stories--spelled-out",
    ]
    assert plan.cells[2].parameters == {
        "model": "owner/name",
        "corpus": "number-stories",
        "version": "spelled-out",
        "languages": "en,zh,sw",
        "n_items": 9,
    }
    assert [c.variants for c in plan.captures] == [("trained", "random-0", "random-1"), ("random-4",)] * 2
    pairs = grids.plan(rewrite(grid, notebooks={"third": {"per_pair": True}}))
    assert [c.parameters["languages"] for c in pairs.cells] == ["en,zh", "en,sw"] * 2
    assert len({c.key for c in pairs.cells}) == 4


def test_plan_makes_paths_absolute_for_jobs_that_run_elsewhere(grid, tmp_path):
    write_notebook(tmp_path / "third.ipynb", PARAMETERS)
    (tmp_path / "texts").mkdir()
    own = rewrite(grid, models=["a/b"], corpora=[{"corpus": "texts"}], notebooks={"third": {}})
    [cell] = grids.plan(own).cells
    assert cell.parameters["corpus"] == str(tmp_path / "texts")
    assert cell.key == "third--a-b--texts--v"
    with pytest.raises(ParameterError, match=r"unknown corpus 'text'.*number-stories"):
        grids.plan(rewrite(grid, corpora=[{"corpus": "text"}]))


def test_plan_takes_other_models_than_the_grid(grid):
    write_notebook(grid.parent / "third.ipynb", PARAMETERS)
    corpora = [{"corpus": "number-stories"}]
    own = rewrite(grid, models=["gemma-3-270m"], corpora=corpora, notebooks={"third": {}})
    assert [c.parameters["model"] for c in grids.plan(own, models="a/b,c/d").cells] == ["a/b", "c/d"]


@pytest.mark.parametrize("name", ["quick", "full"])
def test_plan_of_the_committed_grids_captures_all_that_the_notebooks_read(name):
    plan = grids.plan(name)
    captured = {c.key: c.corpus for c in plan.captures}
    assert plan.summary.notebook == "summary"
    assert plan.cells
    for cell in plan.cells:
        assert captured[cell.capture].items() <= cell.parameters.items()
        assert len(cell.parameters["languages"].split(",")) >= 5


def test_quick_grid_has_the_size_it_promises():
    stories, digits = QUICK["corpora"]
    assert stories["n_scenarios"] * stories["n_draws"] == 120
    assert {k: v for k, v in digits.items() if k in stories} == stories | {"version": "digits"}


@pytest.mark.parametrize("line", ["n = 1 + 1", "import os", "x, y = 1, 2", "n: int"])
def test_notebook_parameters_are_plain_literals(tmp_path, line):
    write_notebook(tmp_path / "odd.ipynb", f"seed = 0\n{line}\n")
    with pytest.raises(ParameterError, match=r"odd\.ipynb"):
        grids.notebook_parameters(tmp_path / "odd.ipynb")


def test_read_parameters_takes_the_type_of_the_default(grid):
    write_notebook(grid.parent / "third.ipynb", PARAMETERS + "flag = False\n")
    words = {"version": "1", "n_items": "12", "rate": "1e-3", "flag": "true"}
    read = grids.read_parameters("third", words, folder=grid.parent)
    assert read == {"version": "1", "n_items": 12, "rate": 0.001, "flag": True}
    with pytest.raises(ParameterError, match=r"n_items.*'many'.*int"):
        grids.cell(
            "third",
            grids.read_parameters("third", {"n_items": "many"}, folder=grid.parent),
            folder=grid.parent,
        )


def test_job_returns_the_status_of_its_command_and_its_last_words(tmp_path, capfd):
    code = "import sys; print('the reason'); sys.exit(3)"
    assert batch.job("key", tmp_path / "log.txt", [sys.executable, "-c", code]) == 3
    assert "the reason" in capfd.readouterr().out
    code = "import os; print(os.environ['ZSPACE_CELL'])"
    assert batch.job("key", tmp_path / "log.txt", [sys.executable, "-c", code]) == 0
    assert (tmp_path / "log.txt").read_text() == "key\n"


def test_job_ends_its_command_when_the_batch_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("ZSPACE_BATCH", str(tmp_path / "batch.1"))
    code = "import time; time.sleep(30)"
    start = time.monotonic()
    assert batch.job("key", tmp_path / "log.txt", [sys.executable, "-c", code]) == batch.INTERRUPTED
    assert time.monotonic() - start < 10
    with filelock.FileLock(tmp_path / "batch.1"):  # control: while it runs the command goes on
        assert (
            batch.job("key", tmp_path / "log.txt", [sys.executable, "-c", "import time; time.sleep(1)"]) == 0
        )


def test_reachable_models_records_the_others_as_not_testable(grid, tmp_path, monkeypatch):
    corpus = {"corpus": "number-stories", "version": "spelled-out"}
    notebook = "prediction_1_retrieval_by_layer"
    cells = [grids.Cell(m, notebook, {"model": m, **corpus}) for m in ("here/a", "far/b")]
    captures = [grids.Capture(m, m, corpus, ("trained",)) for m in ("here/a", "far/b")]
    plan = grids.Plan("g", tmp_path, tuple(captures), tuple(cells), None, lenient=True)

    def fetch(source):
        if source.name == "far/b":
            raise WeightsUnavailableError("no network; run `hf download far/b`")

    monkeypatch.setattr(batch.weights, "fetch", fetch)
    assert batch.reachable_models(plan) == "here/a"
    ledger = claims.read_ledger(tmp_path / "runs" / "ledger")
    assert set(ledger.model) == {"far/b"}
    assert set(ledger.corpus) == {"number-stories/spelled-out"}
    assert set(ledger.as_corrected) == {"not testable"}
    assert ledger.as_corrected_reason.str.contains("hf download far/b").all()


def test_commands_carry_every_parameter(tmp_path):
    corpus = {"corpus": "my folder", "n_scenarios": 3}
    command = batch.capture_command(grids.Capture("k", "m", corpus, ("trained", "random-0")))
    assert command[-4:] == ["m", "--corpus=my folder", "--n-scenarios=3", "--variants=trained,random-0"]
    cell = grids.Cell("k", "first", {"languages": "en,no", "version": "1"})
    command = batch.notebook_command(cell, "out.ipynb", folder=tmp_path)
    assert f"--cwd={tmp_path}" in command
    # YAML would read a bare `no` as false and a bare 1 as a number
    assert yaml.safe_load(command[command.index("-y") + 1]) == json.loads(json.dumps(cell.parameters))

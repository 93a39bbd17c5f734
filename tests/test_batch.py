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
import numpy as np
import pytest
import snakemake.cli
import yaml
from nbformat.v4 import new_code_cell, new_notebook
from zspace import files
from zspace.errors import ModelError, ParameterError, WeightsUnavailableError
from zspace.evidence import claims, rules
from zspace.measures.resampling import Interval
from zspace.pages import batch, grids, parameters
from zspace.sources import corpora, hosted

PARAMETERS = 'model = "m"\ncorpus = "c"\nversion = "v"\nlanguages = "en"\nn_items = 2\nrate = 0.5\n'
FIRST = "open('first.done', 'a').write('x')"
STORIES = {"corpus": "number-stories", "version": "spelled-out", "languages": "en,zh,sw"}
STORY_LABEL = "number-stories/spelled-out"
DIGITS = STORIES | {"version": "digits", "capture_only": True}
# a notebook that measures claims, and those claims
JUDGED = "prediction_1_retrieval_by_layer"
ALIGNED, RISES = "prediction_1_aligned", "prediction_1_rises"
PAIRS = {"notebooks": {"third": {"per_pair": True}}}
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


@pytest.fixture
def plan_of(grid):
    """Plan of a grid over `third`, a notebook that takes a model: plan_of(instead="a/b", corpora=[...])."""
    write_notebook(grid.parent / "third.ipynb", PARAMETERS)

    def plan(instead: str | None = None, **fields) -> grids.Plan:
        usual = {"models": ["a/b", "c/d"], "corpora": [STORIES], "notebooks": {"third": {}}}
        return grids.plan(rewrite(grid, **usual | fields), models=instead)

    return plan


@pytest.fixture
def offering(grid) -> str:
    """A grid that measures here/a and offers here/a and far/b."""
    write_notebook(grid.parent / f"{JUDGED}.ipynb", PARAMETERS)
    wanted = {"models": ["here/a"], "offered": ["here/a", "far/b"], "corpora": [STORIES, DIGITS]}
    return rewrite(grid, notebooks={"first": {}, JUDGED: {}}, **wanted)


def read(cells) -> list[tuple[str, str]]:
    """(model, version) of each capture or cell."""
    known = [{"model": c.model, **c.corpus} if hasattr(c, "corpus") else c.parameters for c in cells]
    return [(one["model"], one["version"]) for one in known]


def start_batch(grid: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "zspace.pages.cli", "run", "first", "second", "--grid", str(grid)]
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


def wait_for_the_end_of_the_job(grid: Path) -> None:
    """What the batch left behind must not write beside the next execution."""
    alive = grid.parent / "second.alive"
    wait_until(lambda: time.time() - alive.stat().st_mtime > 1)


def test_batch_goes_on_where_it_was_killed(grid):
    folder, executed = grid.parent, grid.parent / "runs" / "notebooks"
    process = start_half_way(grid)
    process.kill()
    wait_for_the_end_of_the_job(grid)
    process.communicate(timeout=10)
    assert not (executed / "second.ipynb").exists()

    (folder / "go").touch()
    out, err = start_batch(grid).communicate(timeout=60)
    assert out.split()[-2:] == [str(executed / "first.ipynb"), str(executed / "second.ipynb")], err
    counts = {"first.done": "x", "second.begun": "xx", "second.done": "x"}  # the first one before the kill
    assert {name: (folder / name).read_text() for name in counts} == counts
    assert not list((folder / "runs" / "failed").iterdir())


def test_batch_and_its_jobs_end_on_ctrl_c(grid):
    process = start_half_way(grid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.startswith("zspace: interrupted")
    wait_for_the_end_of_the_job(grid)


def test_batch_keeps_a_failed_notebook_apart_and_executes_the_others(grid):
    runs = grid.parent / "runs"
    write_notebook(grid.parent / "second.ipynb", "seed = 0", "1 / 0")
    process = start_batch(grid)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert [path.name for path in (runs / "notebooks").iterdir()] == ["first.ipynb"]
    for words in ((runs / "failed" / "second.ipynb").read_text(), out):
        assert "ZeroDivisionError" in words
    assert "Traceback" not in out + err


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
    assert changed(lambda: write_notebook(tmp_path / "first.ipynb", "seed = 0", FIRST, output="x")) == set()
    assert changed(lambda: write_notebook(tmp_path / "first.ipynb", "seed = 1", FIRST)) == {"notebook-first"}
    follows = {
        "measures": {"evidence"},
        "evidence": {"evidence", "pages"},
        "states": {"captures", "evidence"},
    }
    for part, steps in (follows | {"pages": {"pages"}}).items():
        assert changed(lambda p=part: (package / p / "code.py").write_text("x = 2\n")) == steps


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"notebooks": {"fourth": {}}}, ["fourth", "first, second, third"]),
        ({"notebooks": {"first": {"parameters": {"sede": 1}}}}, ["sede", "Known: seed"]),
        ({"notebooks": {"first": {"parameters": {"seed": "1"}}}}, ["seed", "'1'", "int"]),
        ({"notebooks": {"first": {"parameters": {"seed": True}}}}, ["seed", "True", "int"]),
        ({"notebooks": {"first": {"parametres": {}}}}, ["parametres", "per_pair"]),
        ({"notebooks": ["first"]}, ["notebooks"]),
        ({"notebook": {}}, ["'notebook'", "notebooks"]),
        ({"variants": {"randon": [0]}}, ["randon", "random-blocks"]),
        ({"corpora": [{"corpus": "number-stories", "n_draw": 4}]}, ["n_draw", "n_draws", "only", "poolings"]),
        ({"corpora": [{"corpus": "number-stories", "n_draws": "4"}]}, ["n_draws", "'4'", "int"]),
        ({"corpora": [{"version": "digits"}]}, ["no field `corpus`", "{'version': 'digits'}"]),
        ({"corpora": ["number-stories"]}, ["no field `corpus`", "'number-stories'"]),
        ({"corpora": [STORIES | {"only": "a/b"}]}, ["only", "'a/b'", "list"]),
        ({"corpora": [STORIES | {"capture_only": "no"}]}, ["capture_only", "'no'", "bool"]),
        ({"corpora": [STORIES | {"poolings": "mean,middle"}]}, ["'middle'", "mean, last, median, trimmed"]),
        ({"corpora": [{"corpus": "text"}]}, ["unknown corpus 'text'", "number-stories, mgsm, "]),
        ({"corpora": [{"corpus": "juletxara/mgsn"}]}, ["unknown corpus 'juletxara/mgsn'", "mgsm"]),
        ({"corpora": [STORIES, STORIES]}, ["two captures", "same name: a-b--number-stories--spelled-out"]),
        ({"notebooks": {"third": {"per_pair": "true"}}}, ["per_pair is 'true'", "true, false or also"]),
        ({"notebooks": {"third": {"per_pair": None}}}, ["per_pair is None", "true, false or also"]),
        (PAIRS | {"corpora": [STORIES | {"languages": "en"}]}, ["at least two languages", "corpus has en."]),
        (PAIRS | {"corpora": [STORIES | {"languages": ""}]}, ["at least two languages", "corpus has none."]),
        ({"summary": "sumary"}, ["sumary", "first"]),
    ],
)
def test_plan_refuses_and_names_what_it_knows(plan_of, fields, named):
    with pytest.raises(ParameterError) as caught:
        plan_of(**fields)
    assert all(word in str(caught.value) for word in named)


def test_plan_refuses_unknown_files_and_models(grid):
    with pytest.raises(ParameterError, match=r"cannot read.*absent\.yaml"):
        grids.plan("absent.yaml")
    for fields in ({"models": ["gema"]}, {"offered": ["gema"]}, {"corpora": [STORIES | {"only": ["gema"]}]}):
        with pytest.raises(ModelError, match=r"gema.*gemma-3-270m"):
            grids.plan(rewrite(grid, **{"models": [], "corpora": []} | fields))


def test_plan_of_a_notebook_with_a_model_is_one_cell_per_model_and_corpus(plan_of):
    corpora = [STORIES | {"languages": "en, zh,sw", "n_items": 9}, DIGITS | {"variants": {"random": [4]}}]
    models, variants = ["gemma-3-270m", "owner/name"], {"trained": [], "random": [0, 1]}
    plan = plan_of(notebooks={"first": {}, "third": {}}, models=models, variants=variants, corpora=corpora)
    keys = [f"third--{model}--number-stories--spelled-out" for model in ("gemma-3-270m", "owner-name")]
    assert [c.key for c in plan.cells] == ["first", *keys]
    assert plan.cells[2].parameters == {**STORIES, "model": "owner/name", "n_items": 9}
    assert [c.variants for c in plan.captures] == [("trained", "random-0", "random-1"), ("random-4",)] * 2


def test_plan_gives_a_corpus_to_the_models_that_it_is_for(plan_of):
    corpora = [STORIES | {"except": ["c/d"]}, DIGITS | {"only": ["c/d"]}, STORIES | {"version": "third"}]
    plan = plan_of(corpora=corpora)
    assert read(plan.cells) == [("a/b", "spelled-out"), ("a/b", "third"), ("c/d", "third")]
    assert read(plan.captures) == [*read(plan.cells)[:2], ("c/d", "digits"), ("c/d", "third")]
    assert {c.capture for c in plan.cells} <= {c.key for c in plan.captures}
    assert not any({"only", "except"} & set(c.corpus) for c in plan.captures)
    other = plan_of(instead="e/f", corpora=corpora)
    assert read(other.captures) == read(other.cells) == [("e/f", "spelled-out"), ("e/f", "third")]


def test_plan_finds_the_folders_of_the_models_that_a_corpus_is_for(plan_of, tmp_path):
    (tmp_path / "own").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "own" / name).touch()
    plan = plan_of(models=["own", "a/b"], corpora=[STORIES | {"only": ["own"]}])
    assert read(plan.cells) == [(str(tmp_path / "own"), "spelled-out")]


def test_plan_captures_other_poolings_beside_the_usual_ones(plan_of):
    sinks = STORIES | {"capture_only": True, "poolings": "mean,median"}
    plan = plan_of(models=["a/b"], corpora=[STORIES, sinks])
    usual, median = plan.captures
    assert (usual.poolings, median.poolings) == ("", "mean,median")
    assert median.key == f"{usual.key}--mean-median"
    assert [c.capture for c in plan.cells] == [usual.key]
    command = batch.capture_command(median)
    assert "--poolings=mean,median" in command
    command.remove("--poolings=mean,median")
    assert command == batch.capture_command(usual)
    # a corpus that is evidence waits for its own capture
    [cell] = plan_of(models=["a/b"], corpora=[sinks | {"capture_only": False}]).cells
    assert cell.capture == median.key


def test_plan_tells_captures_of_other_sizes_apart(plan_of):
    assert (
        len(
            {
                c.key
                for c in plan_of(
                    corpora=[STORIES, DIGITS | {"version": "spelled-out", "n_draws": 3}]
                ).captures
            }
        )
        == 4
    )


@pytest.mark.parametrize(
    ("per_pair", "languages", "executed"),
    [
        (False, "en, zh,sw", {"": "en,zh,sw"}),
        (True, "en, zh,sw", {"--en-zh": "en,zh", "--en-sw": "en,sw"}),
        ("also", "en,zh,sw", {"": "en,zh,sw", "--en-zh": "en,zh", "--en-sw": "en,sw"}),
        # English is the anchor where it is there, else the first language is
        (True, "zh,en,sw", {"--en-zh": "en,zh", "--en-sw": "en,sw"}),
        (True, "de,zh", {"--de-zh": "de,zh"}),
    ],
)
def test_plan_executes_a_notebook_for_all_languages_and_for_pairs(plan_of, per_pair, languages, executed):
    plan = plan_of(corpora=[STORIES | {"languages": languages}], notebooks={"third": {"per_pair": per_pair}})
    for model in ("a-b", "c-d"):
        key = f"third--{model}--number-stories--spelled-out"
        own = {c.key.removeprefix(key): c for c in plan.cells if c.key.startswith(key)}
        assert {ending: c.parameters["languages"] for ending, c in own.items()} == executed
    assert len(plan.cells) == 2 * len(executed)
    assert {c.capture for c in plan.cells} == {c.key for c in plan.captures}


def test_a_notebook_with_a_corpus_of_its_own_is_executed_once_a_model(plan_of):
    own = {"own_corpus": True, "parameters": {"languages": "en,fr"}}
    plan = plan_of(corpora=[STORIES, DIGITS], notebooks={"third": own})
    assert [c.parameters for c in plan.cells] == [{"model": m, "languages": "en,fr"} for m in ("a/b", "c/d")]
    assert {c.capture for c in plan.cells} == {None}
    some = plan_of(corpora=[STORIES], notebooks={"third": own | {"only": ["c/d"]}})
    assert [c.parameters["model"] for c in some.cells] == ["c/d"]


def test_plan_re_rounds_only_weights_that_a_gguf_file_holds(plan_of, tmp_path):
    (tmp_path / "own.gguf").touch()
    variants = {"trained": [], "re-rounded": [0, 1]}
    apart = DIGITS | {"variants": {"re-rounded": [2]}}
    plan = plan_of(models=["gemma-3-270m", "own.gguf", "a/b"], variants=variants, corpora=[STORIES, apart])
    whole, alone = ("trained", "re-rounded-0", "re-rounded-1"), ("re-rounded-2",)
    # of the last model nothing is left of the second corpus
    assert [c.variants for c in plan.captures] == [whole, alone, whole, alone, ("trained",)]
    assert plan.captures[-1].model == "a/b"
    assert {c.capture for c in plan.cells} <= {c.key for c in plan.captures}


def test_plan_takes_corpora_of_the_hub_by_name(plan_of):
    names = ["mgsm", "juletxara/mgsm"]
    plan = plan_of(models=["a/b"], corpora=[{"corpus": name, "version": "masked"} for name in names])
    assert [c.corpus["corpus"] for c in plan.captures] == names
    assert [c.parameters["corpus"] for c in plan.cells] == names


def test_plan_makes_paths_absolute_for_jobs_that_run_elsewhere(plan_of, tmp_path):
    (tmp_path / "texts").mkdir()
    [cell] = plan_of(models=["a/b"], corpora=[{"corpus": "texts"}]).cells
    assert cell.parameters["corpus"] == str(tmp_path / "texts")
    assert cell.key == "third--a-b--texts--v"


def test_plan_takes_other_models_than_the_grid(plan_of):
    plan = plan_of(models=["gemma-3-270m"], instead="a/b,c/d")
    assert [c.parameters["model"] for c in plan.cells] == ["a/b", "c/d"]


@pytest.mark.parametrize("name", ["quick", "full"])
def test_plan_of_the_committed_grids_captures_all_that_the_notebooks_read(name):
    plan = grids.plan(name)
    captured = {c.key: c.corpus for c in plan.captures}
    assert plan.summary.notebook == "summary"
    # mathematics has no model, reads nothing and is executed once
    proofs = [c.notebook for c in plan.cells if "model" not in c.parameters]
    assert len(set(proofs)) == len(proofs) > 0
    own = {n for n, options in files.params("grid")[name]["notebooks"].items() if options.get("own_corpus")}
    cells = [c for c in plan.cells if "model" in c.parameters and c.notebook not in own]
    assert {c.capture for c in plan.cells if c not in cells} == {None}
    together = set()
    for cell in cells:
        wanted, read = dict(captured[cell.capture]), cell.parameters["languages"].split(",")
        codes = wanted.pop("languages").split(",")
        assert wanted.items() <= cell.parameters.items()
        assert read[0] == "en"
        # all languages at once, or a pair of them
        assert read == codes or (len(read) == 2 and set(read) < set(codes))
        together |= {(cell.notebook, cell.capture)} if read == codes else set()
    assert together == {(c.notebook, c.capture) for c in cells}
    assert {c.model for c in plan.captures} == {c.parameters["model"] for c in cells}


def test_quick_grid_has_the_size_it_promises():
    stories, *others = QUICK["corpora"]
    assert stories["n_scenarios"] * stories["n_draws"] == 120
    for other in others:
        # the same stories in other versions, under other poolings, in some of the languages
        same = set(stories) - {"version", "languages", "only", "except"}
        assert all(other[k] == stories[k] for k in same)
        assert set(other["languages"].split(",")) <= set(stories["languages"].split(","))
        assert other["version"] == "spelled-out" or other["capture_only"]  # digits are never evidence


def test_quick_grid_reads_each_story_once_with_each_model():
    plan = grids.plan("quick")
    assert {c.parameters["model"] for c in plan.offered}.isdisjoint(c.model for c in plan.captures)
    assert plan.offered
    for model in {c.model for c in plan.captures}:
        cells = [c for c in plan.cells if c.parameters.get("model") == model]
        evidence = [c.capture for c in cells if c.capture is not None]  # others bring a corpus of their own
        own = [c for c in plan.captures if c.model == model]
        assert len(set(evidence)) == 1
        languages = {c.poolings: c.corpus["languages"] for c in own if c.corpus["version"] == "spelled-out"}
        assert languages["median,trimmed"] == languages[""]


@pytest.mark.parametrize("line", ["n = 1 + 1", "import os", "x, y = 1, 2", "n: int"])
def test_notebook_parameters_are_plain_literals(tmp_path, line):
    write_notebook(tmp_path / "odd.ipynb", f"seed = 0\n{line}\n")
    with pytest.raises(ParameterError, match=r"odd\.ipynb"):
        parameters.notebook_parameters(tmp_path / "odd.ipynb")


def test_read_parameters_takes_the_type_of_the_default(grid):
    write_notebook(grid.parent / "third.ipynb", PARAMETERS + "flag = False\n")
    words = {"version": "1", "n_items": "12", "rate": "1e-3", "flag": "true"}
    found = parameters.read_parameters("third", words, folder=grid.parent)
    assert found == {"version": "1", "n_items": 12, "rate": 0.001, "flag": True}
    many = parameters.read_parameters("third", {"n_items": "many"}, folder=grid.parent)
    with pytest.raises(ParameterError, match=r"n_items.*'many'.*int"):
        parameters.check_parameters("third", many, folder=grid.parent)


def test_located_takes_a_path_from_where_it_is_meant(tmp_path):
    for name in ("texts", "number-stories", "gemma-3-270m"):
        (tmp_path / name).mkdir()
    assert parameters.located("texts", tmp_path) == str(tmp_path / "texts")
    # what is no path stays as it is, and a known name is never a path
    for name in ("absent", "number-stories", "gemma-3-270m", ""):
        assert parameters.located(name, tmp_path) == name


def test_job_returns_the_status_of_its_command_and_its_last_words(tmp_path, capfd):
    code = "import sys; print('the reason'); sys.exit(3)"
    assert batch.job("key", tmp_path / "log.txt", [sys.executable, "-c", code]) == 3
    assert "the reason" in capfd.readouterr().out
    code = "import os; print(os.environ['ZSPACE_CELL'])"
    assert batch.job("key", tmp_path / "log.txt", [sys.executable, "-c", code]) == 0
    assert (tmp_path / "log.txt").read_text() == "key\n"


def test_job_ends_its_command_when_the_batch_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("ZSPACE_BATCH", str(tmp_path / "batch.1"))
    command = [sys.executable, "-c", "import time; time.sleep(30)"]
    start = time.monotonic()
    assert batch.job("key", tmp_path / "log.txt", command) == batch.INTERRUPTED
    assert time.monotonic() - start < 10
    command[-1] = "import time; time.sleep(1)"
    with filelock.FileLock(tmp_path / "batch.1"):  # control: while it runs the command goes on
        assert batch.job("key", tmp_path / "log.txt", command) == 0


def rows_of(tmp_path: Path) -> list[dict]:
    """(record + row) of every ledger row of this runs root."""
    return claims.read_ledger(tmp_path / "runs" / "ledger").to_dict("records")


def record_measured(model: str, corpus: str, *, estimate: float) -> None:
    """The verdicts of a run on one language, 80 items; an estimate that is not a number is undefined."""
    found = Interval(estimate, estimate - 0.1, estimate + 0.1, np.full(9, estimate), 0.95, 20)
    evidence = rules.Evidence("zh", {"aligned_excess": found}, n_items=80, n_scenarios=20)
    verdicts = claims.evaluate_scope(ALIGNED, [evidence])
    claims.record(ALIGNED, verdicts, model=model, corpus=corpus, provenance={})


def test_reachable_models_records_the_others_as_not_testable(grid, tmp_path, monkeypatch):
    cells = tuple(grids.Cell(m, JUDGED, {"model": m, **STORIES}) for m in ("here/a", "far/b"))
    captures = tuple(grids.Capture(m, m, STORIES, ("trained",)) for m in ("here/a", "far/b"))
    plan = grids.Plan("g", tmp_path, captures, cells, None, lenient=True)

    def fetch(source):
        if source.name == "far/b":
            raise WeightsUnavailableError("no network; run `hf download far/b`")

    monkeypatch.setattr(batch.fetching, "fetch", fetch)
    assert batch.reachable_models(plan) == "here/a"
    ledger = claims.read_ledger(tmp_path / "runs" / "ledger")
    assert set(ledger.claim) == {ALIGNED, RISES}
    for column, value in (("model", "far/b"), ("corpus", STORY_LABEL), ("as_corrected", "not testable")):
        assert set(ledger[column]) == {value}
    assert ledger.as_corrected_reason.str.contains("weights unavailable: .*hf download far/b").all()
    monkeypatch.setattr(batch.weights, "find", lambda name: batch.weights.Source("hub", "far/b", "far/b"))
    with pytest.raises(WeightsUnavailableError, match="no model of grid g can be reached: here/a, far/b"):
        batch.reachable_models(plan)


def test_plan_neither_captures_nor_executes_models_that_are_only_offered(offering):
    plan = grids.plan(offering)
    assert {c.model for c in plan.captures} == {"here/a"}
    assert [c.key for c in plan.cells] == ["first", f"{JUDGED}--here-a--number-stories--spelled-out"]
    # here/a is measured anyway, and the first notebook is about no model
    assert [c.key for c in plan.offered] == [f"{JUDGED}--far-b--number-stories--spelled-out"]
    asked = grids.plan(offering, models="far/b")
    assert [c.model for c in asked.captures] == ["far/b"] * 2
    assert (asked.cells[1:], asked.offered) == (plan.offered, ())


@pytest.mark.parametrize(
    ("at_hand", "why"), [(False, "far/b is not here"), (True, "not asked for in this grid")]
)
def test_record_offered_names_the_command_that_measures(offering, tmp_path, monkeypatch, at_hand, why):
    monkeypatch.setattr(batch.weights, "is_at_hand", lambda source: at_hand and source.location == "far/b")
    batch.record_offered(grids.plan(offering))
    found = rows_of(tmp_path)
    assert {row["claim"] for row in found} == {ALIGNED, RISES}
    for row in found:
        assert (row["model"], row["corpus"]) == ("far/b", STORY_LABEL)
        assert row["as_stated"] == row["as_corrected"] == "not testable"
        assert row["as_corrected_reason"].startswith(f"weights unavailable: {why}")
        assert "`python3 run.py report --models far/b`" in row["as_corrected_reason"]
        assert np.isnan(row["estimate"])


def test_record_offered_leaves_out_claims_that_are_about_no_model(offering, tmp_path):
    write_notebook(tmp_path / "theorem_2_snr_descent.ipynb", PARAMETERS)
    batch.record_offered(grids.plan(rewrite(Path(offering), notebooks={"theorem_2_snr_descent": {}})))
    # the theorem itself, which the same notebook proves, has no row of far/b
    assert {row["claim"] for row in rows_of(tmp_path)} == {"theorem_2_every_layer", "theorem_2_accumulation"}


@pytest.mark.parametrize("estimate", [0.3, np.nan])
def test_record_offered_leaves_what_was_measured(offering, tmp_path, estimate):
    record_measured("far/b", STORY_LABEL, estimate=estimate)
    [file] = (tmp_path / "runs" / "ledger").iterdir()
    before = file.read_bytes()
    for _ in range(2):  # the second time its own rows are there
        batch.record_offered(grids.plan(offering))
        assert file.read_bytes() == before
        others = [row for row in rows_of(tmp_path) if row["claim"] == RISES]
        assert ["weights unavailable" in row["as_corrected_reason"] for row in others] == [True]


def test_run_records_an_offered_model_and_measures_it_where_it_is_asked_for(offering, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(snakemake.cli, "main", lambda words: commands.append(words))
    assert batch.run(offering) == 0
    assert {row["model"] for row in rows_of(tmp_path)} == {"far/b"}
    assert not any(word.startswith("models=") for word in commands[0])
    assert batch.run(offering, models="far/b") == 0
    assert "models=far/b" in commands[1]


def test_is_measured_tells_numbers_from_rows_without_any(grid):
    place = {"model": "m", "corpus": "number-stories/digits"}
    assert not claims.is_measured(ALIGNED, **place)
    unavailable = rules.Evidence(unavailable="weights unavailable: no network")
    claims.record(ALIGNED, claims.evaluate_scope(ALIGNED, [unavailable]), provenance={}, **place)
    assert not claims.is_measured(ALIGNED, **place)
    record_measured(**place, estimate=np.nan)  # a share of a fall that is none: items, but no estimate
    assert claims.is_measured(ALIGNED, **place)
    others = [(RISES, {}), (ALIGNED, {"model": "other"}), (ALIGNED, {"corpus": STORY_LABEL})]
    assert not any(claims.is_measured(claim, **place | other) for claim, other in others)


@pytest.mark.parametrize(
    ("version", "padding"),
    [("", "none"), ("digits", ""), ("spelled-out", "sentences"), ("digits", "numbers")],
)
def test_label_is_what_a_run_on_the_stories_records(version, padding):
    asked = {"version": version} | ({"padding": padding} if padding else {})
    texts = corpora.load("number-stories", ["en"], n_scenarios=1, n_draws=1, **asked)
    assert corpora.label("number-stories", **asked) == f"{texts.name}/{texts.version}"


def test_label_is_what_a_run_on_other_corpora_records(tmp_path, monkeypatch):
    folder = tmp_path / "my.texts"
    folder.mkdir()
    paths = {code: folder / f"mgsm_{code}.tsv" for code in ("en", "sw")}
    for code, path in paths.items():
        path.write_text(f"Ann ({code}) has 3 pears.\t3\nBob ({code}) sold every hat.\t0\n")
    monkeypatch.setattr(hosted, "fetch", lambda corpus, codes: {code: paths[code] for code in codes})
    for name in (str(folder), "mgsm", "juletxara/mgsm"):
        for version in ("masked", "as-is"):
            texts = corpora.load(name, ["en", "sw"], version=version)
            assert corpora.label(name, version) == f"{texts.name}/{texts.version}"
    assert corpora.label("juletxara/mgsm", "masked") == "mgsm/masked"
    assert corpora.label(str(folder)) == "my"  # the texts decide: masked only where there are digits


def test_record_offered_labels_padded_stories_apart(offering, tmp_path):
    write_notebook(tmp_path / f"{JUDGED}.ipynb", PARAMETERS + 'padding = "none"\n')
    padded = [{k: v for k, v in STORIES.items() if k != "version"} | {"padding": "numbers"}]
    batch.record_offered(grids.plan(rewrite(Path(offering), corpora=padded)))
    assert {row["corpus"] for row in rows_of(tmp_path)} == {"number-stories-padded-numbers/spelled-out"}


@pytest.mark.parametrize("wanted", [{"offered": ["far/b"]}, {"models": "all"}])
def test_plan_asks_for_the_version_that_a_row_without_a_run_is_named_by(plan_of, wanted):
    entry = {"corpus": "mgsm", "languages": "en,sw"}
    with pytest.raises(ParameterError, match=r"corpus mgsm of the grid has no version.*masked.*as-is"):
        plan_of(corpora=[entry], **wanted)
    assert plan_of(corpora=[entry | {"version": "masked"}], **wanted).cells
    assert plan_of(corpora=[STORIES, entry | {"capture_only": True}], **wanted).cells  # gets no row
    assert plan_of(corpora=[entry], models=["a/b"], offered=[]).cells  # a run says it
    assert plan_of(instead="far/b", corpora=[entry], **wanted).cells


def test_notebook_command_carries_every_parameter(tmp_path):
    cell = grids.Cell("k", "first", {"languages": "en,no", "version": "1"})
    command = batch.notebook_command(cell, "out.ipynb", folder=tmp_path)
    assert f"--cwd={tmp_path}" in command
    # YAML would read a bare `no` as false and a bare 1 as a number
    assert yaml.safe_load(command[command.index("-y") + 1]) == json.loads(json.dumps(cell.parameters))

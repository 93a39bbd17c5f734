"""Grids and batches, on trivial notebooks that need no model."""

import concurrent.futures
import json
import os
import re
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
from zspace.errors import (
    ModelError,
    ParameterError,
    UnmetNeedsError,
    WeightsUnavailableError,
    ZspaceError,
)
from zspace.evidence import claims, needs, rules
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


def keys(grid: Path) -> dict[str, str]:
    """Notebook -> the name of its one execution."""
    return {cell.notebook: cell.key for cell in grids.plan(str(grid)).cells}


def words(cells) -> list[str]:
    """The names of executions or captures without the hash that ends them."""
    return [one.key.rpartition("--")[0] for one in cells]


def read(cells) -> list[tuple[str, str]]:
    """(model, version) of each capture or cell."""
    known = [{"model": c.model, **c.corpus} if hasattr(c, "corpus") else c.parameters for c in cells]
    return [(one["model"], one["version"]) for one in known]


def start_batch(grid: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "zspace.pages.cli", "run", "first", "second", "--grid", str(grid)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def start_half_way(grid: Path) -> subprocess.Popen:
    """A batch whose first notebook is done and whose second one is being executed."""
    process = start_batch(grid)
    first = grid.parent / "runs" / "notebooks" / f"{keys(grid)['first']}.ipynb"
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
    process.communicate(timeout=60)
    names = keys(grid)
    assert [path.name for path in executed.iterdir()] == [f"{names['first']}.ipynb"]

    (folder / "go").touch()
    out, err = start_batch(grid).communicate(timeout=240)
    assert out.split()[-2:] == [str(executed / f"{names[name]}.ipynb") for name in ("first", "second")], err
    counts = {"first.done": "x", "second.begun": "xx", "second.done": "x"}  # the first one before the kill
    assert {name: (folder / name).read_text() for name in counts} == counts
    assert not list((folder / "runs" / "failed").iterdir())


def test_batch_and_its_jobs_end_on_ctrl_c(grid):
    process = start_half_way(grid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.startswith("zspace: interrupted")
    wait_for_the_end_of_the_job(grid)


def test_batch_keeps_a_failed_notebook_apart_and_executes_the_others(grid):
    runs = grid.parent / "runs"
    write_notebook(grid.parent / "second.ipynb", "seed = 0", "1 / 0")
    process = start_batch(grid)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 1
    names = keys(grid)
    assert [path.stem for path in (runs / "notebooks").iterdir()] == [names["first"]]
    for said in ((runs / "failed" / f"{names['second']}.ipynb").read_text(), out):
        assert "ZeroDivisionError" in said
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
        (
            {"corpora": [{"corpus": "text"}]},
            ["unknown corpus 'text'", "number-stories, picture-names, mgsm, "],
        ),
        ({"corpora": [{"corpus": "juletxara/mgsn"}]}, ["unknown corpus 'juletxara/mgsn'", "mgsm"]),
        ({"corpora": [STORIES, STORIES]}, ["two captures", "same name: a-b--number-stories--spelled-out"]),
        ({"notebooks": {"third": {"corpora": ["mgsm"]}}}, ["unknown corpus 'mgsm'", "Known: number-stories"]),
        ({"notebooks": {"third": {"corpora": "mgsm"}}}, ["corpora", "'mgsm'", "list"]),
        ({"notebooks": {"third": {"per_pair": "true"}}}, ["per_pair is 'true'", "true, false or also"]),
        ({"notebooks": {"third": {"per_pair": None}}}, ["per_pair is None", "true, false or also"]),
        (PAIRS | {"corpora": [STORIES | {"languages": "en"}]}, ["at least two languages", "corpus has en."]),
        ({"corpora": [STORIES | {"languages": ""}]}, ["field languages is ''", "one or more"]),
        ({"corpora": [STORIES | {"languages": False}]}, ["languages is False", 'in quotes, as in "no"']),
        ({"corpora": [STORIES | {"languages": "en,sw,en"}]}, ["'en,sw,en'", "different language codes"]),
        ({"corpora": [STORIES | {"seed": -1}]}, ["seed is -1", "at least 0"]),
        ({"corpora": [STORIES | {"version": "masked-as-is"}]}, ["'masked-as-is'", "'as-is'"]),
        ({"models": [False]}, ["False is no name of a model", "in quotes"]),
        ({"models": ["a/b", 7]}, ["7 is no name of a model"]),
        ({"variants": {"random": 3}}, ["seeds of variant random", "found 3", "expected a list"]),
        ({"variants": {"random": [0, "1"]}}, ["'1' is among the seeds of variant random"]),
        ({"notebooks": {"first": 5}}, ["notebook first of the grid", "found 5"]),
        ({"notebooks": {"first": {"parameters": ["seed"]}}}, ["parameters of notebook first", "['seed']"]),
        ({"notebooks": {"../first": {}}}, ["no notebook '../first'"]),
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
    named = [f"third--{model}--number-stories--spelled-out" for model in ("gemma-3-270m", "owner-name")]
    assert words(plan.cells) == ["first", *named]
    assert plan.cells[2].parameters == {**STORIES, "model": "owner/name", "n_items": 9}
    assert [c.variants for c in plan.captures] == [("trained", "random-0", "random-1"), ("random-4",)] * 2


def test_plan_gives_a_corpus_to_the_models_that_it_is_for(plan_of):
    corpora = [STORIES | {"except": ["c/d"]}, DIGITS | {"only": ["c/d"]}, STORIES | {"version": "masked"}]
    plan = plan_of(corpora=corpora)
    assert read(plan.cells) == [("a/b", "spelled-out"), ("a/b", "masked"), ("c/d", "masked")]
    assert read(plan.captures) == [*read(plan.cells)[:2], ("c/d", "digits"), ("c/d", "masked")]
    assert {c.capture for c in plan.cells} <= {c.key for c in plan.captures}
    assert not any({"only", "except"} & set(c.corpus) for c in plan.captures)
    other = plan_of(instead="e/f", corpora=corpora)
    assert read(other.captures) == read(other.cells) == [("e/f", "spelled-out"), ("e/f", "masked")]


def test_plan_gives_a_notebook_the_corpora_that_it_names(plan_of):
    names = {"corpus": "picture-names", "version": "as-is", "languages": "en,fr"}
    some = [{"corpora": ["number-stories"], "per_pair": True}, {"corpora": ["picture-names"]}]
    plan = plan_of(
        models=["a/b"], corpora=[STORIES | {"languages": "en,fr,sw"}, names], notebooks={"third": some}
    )
    found = [(c.parameters["corpus"], c.parameters["languages"]) for c in plan.cells]
    assert found == [("number-stories", "en,fr"), ("number-stories", "en,sw"), ("picture-names", "en,fr")]


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
    assert words([median]) == [f"{words([usual])[0]}--mean-median"]
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
        ("also", "en,zh", {"--en-zh": "en,zh"}),  # the pair is all there is
        # English is the anchor where it is there, else the first language is
        (True, "zh,en,sw", {"--en-zh": "en,zh", "--en-sw": "en,sw"}),
        (True, "de,zh", {"--de-zh": "de,zh"}),
    ],
)
def test_plan_executes_a_notebook_for_all_languages_and_for_pairs(plan_of, per_pair, languages, executed):
    plan = plan_of(corpora=[STORIES | {"languages": languages}], notebooks={"third": {"per_pair": per_pair}})
    for model in ("a-b", "c-d"):
        key = f"third--{model}--number-stories--spelled-out"
        named = zip(words(plan.cells), plan.cells, strict=True)
        own = {name.removeprefix(key): c for name, c in named if name.startswith(key)}
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
    other = own | {"only": ["a/b"], "parameters": {"model": "e/f"}}
    both = plan_of(corpora=[STORIES], notebooks={"third": [own, other]})
    assert [c.parameters["model"] for c in both.cells] == ["a/b", "c/d", "e/f"]


def test_all_models_are_those_that_nobody_tuned(plan_of, monkeypatch):
    registry = files.params("models")
    assert any(entry.get("tuned") for entry in registry.values())
    known = {name for name, entry in registry.items() if not entry.get("tuned")}
    assert {
        c.model for c in plan_of(models="all", corpora=[DIGITS | {"version": "digits"}]).captures
    } == known


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
    assert words([cell]) == ["third--a-b--texts--v"]


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
    listed = {
        n: o if isinstance(o, list) else [o] for n, o in files.params("grid")[name]["notebooks"].items()
    }
    own = {n for n, options in listed.items() if any(one.get("own_corpus") for one in options)}
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
    stories, names, *others = QUICK["corpora"]
    assert stories["n_scenarios"] * stories["n_draws"] == 120
    assert (names["corpus"], names["n_items"], names["languages"].count(",")) == ("picture-names", 500, 13)
    for other in others:
        # the same stories in other versions, under other poolings, in some of the languages
        same = set(stories) - {"version", "languages", "only", "except"}
        assert all(other[k] == stories[k] for k in same)
        assert set(other["languages"].split(",")) <= set(stories["languages"].split(","))
        assert other["version"] == "spelled-out" or other["capture_only"]  # digits are never evidence


def test_quick_grid_reads_each_corpus_once_with_each_model():
    plan = grids.plan("quick")
    assert {c.parameters["model"] for c in plan.offered}.isdisjoint(c.model for c in plan.captures)
    assert plan.offered
    for model in {c.model for c in plan.captures}:
        cells = [c for c in plan.cells if c.parameters.get("model") == model]
        evidence = [c.capture for c in cells if c.capture is not None]  # others bring a corpus of their own
        own = [c for c in plan.captures if c.model == model]
        assert len(set(evidence)) == 2  # stories and names
        stories = [c for c in own if c.corpus["version"] == "spelled-out"]
        languages = {c.poolings: c.corpus["languages"] for c in stories}
        assert languages["median,trimmed"] == languages[""]


def test_read_parameters_takes_the_type_of_the_default(grid):
    write_notebook(grid.parent / "third.ipynb", PARAMETERS + "flag = False\n")
    words = {"version": "1", "n_items": "12", "rate": "1e-3", "flag": "true"}
    found = parameters.read_parameters("third", words, folder=grid.parent)
    assert found == {"version": "1", "n_items": 12, "rate": 0.001, "flag": True}
    many = parameters.read_parameters("third", {"n_items": "many"}, folder=grid.parent)
    with pytest.raises(ParameterError, match=r"n_items.*'many'.*int"):
        parameters.check_parameters("third", many, folder=grid.parent)


def test_executions_are_named_by_all_that_makes_them_what_they_are(grid, tmp_path):
    """Not by what a name is called: nothing that differs is one file, and what is the same always is."""
    folder, names = (
        grid.parent,
        ("a/dev", "b/dev", "wmt.2019", "wmt.2020", "a/{x}", "a/$x", "a/数据", "a/语言"),
    )
    write_notebook(folder / "third.ipynb", PARAMETERS + "seed = 0\n")
    for name in names:
        (folder / name).mkdir(parents=True)

    def key(**given) -> str:
        return grids.cell("third", given, folder=folder).key

    ways = [{"corpus": str(folder / name)} for name in names] + [{"model": str(folder / n)} for n in names]
    ways += [{"languages": "en,de"}, {"n_items": 3}, {"seed": 1}, {"rate": 0.25}, {"version": "masked"}, {}]
    found = [key(**given) for given in ways]
    assert len(set(found)) == len(ways)
    assert key(seed=0) == key(model="m", languages="en", rate=0.5) == key()
    assert key(corpus=str(folder / "a" / ".." / "a" / "dev")) == found[0]
    assert key(languages="en, de") == key(languages="en,de")
    assert all(re.fullmatch(r"third--[\w.-]+--[0-9a-f]{12}", name, re.ASCII) for name in found)
    # a notebook of the same name in another folder is another one
    (folder / "other").mkdir()
    write_notebook(folder / "other" / "third.ipynb", PARAMETERS + "seed = 0\n")
    assert grids.cell("third", {}, folder=folder / "other").key != key()


@pytest.mark.parametrize("name", ["../first", "/etc/passwd", "a/b", "", "first.ipynb", ".."])
def test_a_notebook_is_a_name_and_no_path(grid, name):
    (grid.parent / "a").mkdir()
    write_notebook(grid.parent / "a" / "b.ipynb", "seed = 0")
    with pytest.raises(ParameterError, match=r"no notebook .*Known: first, second"):
        grids.cell(name, {}, folder=grid.parent)


BAD = {
    "seed": [-1, 0.5, "0", True], "n_items": [-5, "many"], "block": [0, -1], "n_simulations": [0],
    "difficulty": [0, 6], "rate": [float("nan"), float("inf"), "fast"],
    "languages": ["", " ", ",", "en,en", "en,zh, en", False, ["en", "no"], "en,<b>", "en,../x", "en,$x$"],
    "model": ["", "a\0b", "a\nb", "a\ud800"], "corpus": ["", " "],
    "version": ["third", "Masked"], "padding": ["words"], "levels": ["", "1,x", "0,1", "1,,2"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_value_that_nothing_can_be_computed_from_is_refused_by_name(grid, name, value):
    more = 'seed = 0\nblock = 1\nn_simulations = 4\ndifficulty = 2\npadding = "none"\nlevels = "1,2"\n'
    write_notebook(grid.parent / "third.ipynb", PARAMETERS.replace('"v"', '""') + more)
    with pytest.raises(ParameterError) as caught:
        grids.cell("third", {name: value}, folder=grid.parent)
    said = str(caught.value)
    assert said.startswith(f"parameter {name} of notebook third is {value!r}")
    assert "; expected " in said
    assert ("in quotes" in said) == (value is False)
    good = {"seed": 7, "n_items": 0, "languages": "no, zho_Hans,pt-BR", "levels": "1, 3", "rate": 1}
    assert grids.cell("third", good, folder=grid.parent).parameters["languages"] == "no,zho_Hans,pt-BR"


def test_check_refuses_what_nothing_can_be_judged_on_before_the_first_execution_starts(
    grid, tmp_path, monkeypatch
):
    monkeypatch.setattr(needs, "of_model", lambda model, corpus: {})
    texts = tmp_path / "texts"
    texts.mkdir()
    words = ["apple", "river", "window", "candle", "garden", "bottle", "saddle", "mirror", "basket"]
    for code in ("en", "sw"):
        (texts / f"{code}.txt").write_text("".join(f"{code} {word}\n" for word in words))
    write_notebook(grid.parent / "third.ipynb", PARAMETERS.replace('"v"', '""') + "block = 1\n")

    def check(**given) -> None:
        given = {"corpus": str(texts), "languages": "en,sw", "n_items": 0, **given}
        batch.check([grids.cell("third", given, folder=grid.parent)])

    check()
    check(n_items=9, version="masked")
    for given, named in [
        ({"n_items": 500}, "n_items=500"),
        ({"version": "spelled-out"}, "version='spelled-out'"),
        ({"languages": "en,fr"}, "fr"),
        ({"languages": "en"}, "found 1 languages"),
        ({"n_items": 2}, "different texts in the discovery third"),
        ({"corpus": str(tmp_path / "absent")}, "absent"),
    ]:
        with pytest.raises(ValueError, match=named) as caught:
            check(**given)
        assert isinstance(caught.value, ZspaceError)


@pytest.fixture
def reading(grid, tmp_path):
    """A grid over one notebook that reads a model folder and a corpus folder, and its plan."""
    write_notebook(grid.parent / "third.ipynb", PARAMETERS.replace('"v"', '""') + 'recorded = ""\n')
    folders = {"model": tmp_path / "m {x}", "texts": tmp_path / "texts"}
    contents = {
        "model": ("config.json", "model.safetensors", "tokenizer.json"),
        "texts": ("en.txt", "sw.txt"),
    }
    for name, folder in folders.items():
        folder.mkdir()
        for file in contents[name]:
            (folder / file).write_text("{}")
    (tmp_path / "traces.npz").write_text("recorded")
    notebooks = {"third": {"parameters": {"recorded": str(tmp_path / "traces.npz")}}}
    corpus = {"corpus": str(folders["texts"]), "languages": "en,sw"}
    path = rewrite(grid, models=[str(folders["model"])], corpora=[corpus], notebooks=notebooks)
    return grids.plan(path), folders


def test_read_stamps_change_with_the_content_of_models_and_corpora_only(reading, tmp_path):
    plan, folders = reading

    def changed(edit) -> set[str]:
        before = {name: path.stat().st_mtime_ns for name, path in batch.read_stamps(plan).items()}
        edit()
        after = batch.read_stamps(plan)
        return {Path(name).name for name, path in after.items() if path.stat().st_mtime_ns != before[name]}

    def edit(path: Path, text: str):
        return lambda: path.write_text(text)

    assert len(batch.read_stamps(plan)) == 3
    assert changed(lambda: None) == set()
    for folder in folders.values():
        for path in folder.iterdir():
            assert changed(lambda p=path: os.utime(p)) == set()
            assert changed(edit(path, path.read_text())) == set()  # written again, as it was
    for name in ("en.txt", "sw.txt", "answers.txt"):
        assert changed(edit(folders["texts"] / name, "other")) == {"texts"}
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert changed(edit(folders["model"] / name, "[]")) == {"m {x}"}
    assert changed(edit(tmp_path / "traces.npz", "others")) == {"traces.npz"}
    inner = folders["texts"] / "inner"
    inner.mkdir()
    assert changed(edit(inner / "0.npz", "of a store")) == {"texts"}
    assert changed(edit(inner / "0.npz", "of another")) == {"texts"}


def test_read_stamps_change_with_the_texts_that_are_cached_of_the_hub(reading, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "datasets--juletxara--mgsm" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0")

    def stamp() -> str:
        return batch._read_stamps([{"corpus": "mgsm"}], tmp_path)["mgsm"].read_text()

    without = stamp()
    (snapshot / "mgsm_en.tsv").write_text("a\t1\n")
    first = stamp()
    assert stamp() == first != without
    (snapshot / "mgsm_en.tsv").write_text("b\t1\n")
    assert stamp() not in (first, without)


def test_read_stamps_change_with_the_tokens_that_end_a_model_s_text(reading, monkeypatch):
    """They decide where recordings stop and are no part of what states are keyed by."""
    plan, folders = reading
    name = str(folders["model"])
    before = batch.read_stamps(plan)[name].read_text()
    monkeypatch.setattr(batch.models, "end_tokens", lambda model: (7,))
    assert batch.read_stamps(plan)[name].read_text() != before


def test_an_execution_by_itself_leaves_the_stamps_of_what_it_read(reading, monkeypatch):
    plan, folders = reading
    before = {name: path.read_text() for name, path in batch.read_stamps(plan).items()}
    (folders["texts"] / "en.txt").write_text("other")
    monkeypatch.setattr(batch, "job", lambda *_: 0)
    [cell] = plan.cells
    assert batch.execute(cell, folder=plan.folder) == 0
    left = {path.read_text() for path in (files.runs_root() / "read").iterdir()}
    assert before[str(folders["texts"])] not in left
    assert len(left) == len(before)


def test_read_stamps_are_inputs_of_what_reads_them(reading):
    """As Snakemake sees it: with everything made there is nothing to do, until a text is another one."""
    plan, folders = reading
    runs = files.runs_root()
    [capture], [cell] = plan.captures, plan.cells
    batch.stamps(plan), batch.read_stamps(plan)
    for made in (f"states/captured/{capture.key}", f"notebooks/{cell.key}.ipynb"):
        (runs / made).parent.mkdir(parents=True, exist_ok=True)
        (runs / made).touch()
    (runs / batch.CONFIG).write_text(json.dumps({"grid": plan.grid, "models": []}))
    places = {"snakefile": files.PROJECT / "Snakefile", "directory": runs, "configfile": runs / batch.CONFIG}
    command = [sys.executable, "-m", "snakemake", *(f"--{name}={place}" for name, place in places.items())]
    command += ["--dry-run", "--cores=1", "--rerun-triggers=mtime", "--", f"notebooks/{cell.key}.ipynb"]

    def said() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    assert "Nothing to be done" in said()
    (folders["texts"] / "en.txt").write_text("other texts")
    after = said()
    assert f"logs/capture--{capture.key}.txt" in after
    assert f"logs/{cell.key}.txt" in after


def test_job_moves_what_is_finished_and_leaves_what_is_not(tmp_path):
    unfinished, finished = tmp_path / "failed" / "a", tmp_path / "done" / "a"
    write = f"open({str(unfinished)!r}, 'w').write('x')"
    log = tmp_path / "logs" / "a.txt"
    failing = [sys.executable, "-c", f"{write}; 1 / 0"]
    assert batch.job("a", log, failing, unfinished, finished) == 1
    assert (unfinished.is_file(), finished.exists()) == (True, False)
    assert batch.job("a", log, [sys.executable, "-c", write], unfinished, finished) == 0
    assert (unfinished.exists(), finished.read_text()) == (False, "x")


def test_jobs_of_one_key_wait_for_each_other_and_those_of_others_do_not(tmp_path, capfd):
    """Each notes when it begins and ends: of one key they never overlap."""
    code = (
        "import sys, time; p = sys.argv[1]; open(p, 'a').write('b'); time.sleep(.4); open(p, 'a').write('e')"
    )

    def start(key: str, note: str) -> None:
        batch.job(key, tmp_path / f"{key}.txt", [sys.executable, "-c", code, str(tmp_path / note)])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for one in [
            pool.submit(start, k, n) for k, n in (("k", "k"), ("k", "k"), ("k", "k"), ("other", "o"))
        ]:
            one.result()
    assert (tmp_path / "k").read_text() == "bebebe"
    assert (tmp_path / "o").read_text() == "be"
    assert "k: is running elsewhere, waiting for it" in capfd.readouterr().out


def test_notebook_command_escapes_what_papermill_takes_for_a_template(tmp_path):
    cell = grids.Cell("k", "first", {"corpus": "/a {x}/b"})
    command = batch.notebook_command(cell, tmp_path / "{runs}" / "k.ipynb", folder=tmp_path / "{y}")
    source, executed = command[command.index(f"--cwd={tmp_path / '{y}'}") + 1 :][:2]
    assert source.format() == str(tmp_path / "{y}" / "first.ipynb")
    assert executed.format() == str(tmp_path / "{runs}" / "k.ipynb")
    assert yaml.safe_load(command[command.index("-y") + 1]) == {"corpus": "/a {x}/b"}


def test_models_are_separated_by_commas_that_no_path_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "c, d", "e"):
        (tmp_path / name).mkdir()
    assert parameters.split_models("m/n,a,b,c, d , e,f") == ["m/n", "a,b", "c, d", "e", "f"]
    assert parameters.split_models(str(tmp_path / "a,b")) == [str(tmp_path / "a,b")]
    assert parameters.split_models(" , ") == []


@pytest.mark.full
@pytest.mark.parametrize(
    "name", ["{x} $HOME's, ü#%=数", "/".join(["a folder of some forty signs or even more"] * 30)]
)
def test_a_batch_makes_everything_below_any_path(tmp_path, name):
    """Spaces, braces, quotes, other scripts and 1,300 signs in the paths of runs, grid and notebooks."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    write_notebook(folder / "first.ipynb", 'corpus = ""\nseed = 0', "open('first.done', 'a').write(corpus)")
    (folder / "grid.yaml").write_text("folder: .\nnotebooks: {first: {parameters: {seed: 3}}}\n")
    command = [sys.executable, "-m", "zspace.pages.cli", "run", "first", "--grid", str(folder / "grid.yaml")]
    environment = {**os.environ, "ZSPACE_RUNS": str(folder / "runs {y}")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).parent == folder / "runs {y}" / "notebooks"
    assert (folder / "first.done").is_file()


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
    assert batch.reachable_models(plan) == ["here/a"]
    ledger = claims.read_ledger(tmp_path / "runs" / "ledger")
    assert set(ledger.claim) == {ALIGNED, RISES}
    for column, value in (("model", "far/b"), ("corpus", STORY_LABEL), ("as_corrected", "not testable")):
        assert set(ledger[column]) == {value}
    assert ledger.as_corrected_reason.str.contains("weights unavailable: .*hf download far/b").all()
    monkeypatch.setattr(batch.weights, "find", lambda name: batch.weights.Source("hub", "far/b", "far/b"))
    with pytest.raises(WeightsUnavailableError, match="no model of grid g can be reached: here/a, far/b"):
        batch.reachable_models(plan)


def test_executions_that_lack_what_their_claims_need_are_left_out_and_recorded(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(needs, "of_model", lambda model, corpus: {})
    for name in (JUDGED, "prediction_3_language_depth"):
        write_notebook(tmp_path / f"{name}.ipynb", PARAMETERS)
    notebooks = {"first": {}, JUDGED: {}, "prediction_3_language_depth": {}}
    asked = {"models": ["a/b"], "corpora": [STORIES], "notebooks": notebooks}
    plan = grids.plan(rewrite(grid, **asked))
    left_out = batch.leave_out(plan.cells)
    assert words([c for c in plan.cells if c.key in left_out]) == [
        "prediction_3_language_depth--a-b--number-stories--spelled-out"
    ]
    found = rows_of(tmp_path)
    assert {(row["claim"], row["as_corrected"]) for row in found} == {
        ("prediction_3_language_depth", "not testable")
    }
    assert "3 languages (at least 6 needed)" in found[0]["as_corrected_reason"]
    rest = grids.plan(str(grid), left_out=left_out)
    assert [c.key for c in rest.cells] == [c.key for c in plan.cells if c.key not in left_out]
    with pytest.raises(UnmetNeedsError, match="at least 6 needed"):
        batch.leave_out([c for c in plan.cells if c.key in left_out])


def test_plan_neither_captures_nor_executes_models_that_are_only_offered(offering):
    plan = grids.plan(offering)
    assert {c.model for c in plan.captures} == {"here/a"}
    assert words(plan.cells) == ["first", f"{JUDGED}--here-a--number-stories--spelled-out"]
    # here/a is measured anyway, and the first notebook is about no model
    assert words(plan.offered) == [f"{JUDGED}--far-b--number-stories--spelled-out"]
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
    asked = []
    config = tmp_path / "runs" / batch.CONFIG
    monkeypatch.setattr(snakemake.cli, "main", lambda _: asked.append(json.loads(config.read_text())))
    assert batch.run(offering) == 0
    assert {row["model"] for row in rows_of(tmp_path)} == {"far/b"}
    assert batch.run(offering, models=["far/b"]) == 0
    assert [one["models"] for one in asked] == [[], ["far/b"]]


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
    monkeypatch.setattr(hosted, "fetch", lambda corpus, codes: ({code: paths[code] for code in codes}, {}))
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

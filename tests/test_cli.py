"""The zspace command: what it passes on, and that an error is one line."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from planted_recordings import planted_recordings
from zspace import files
from zspace.errors import ParameterError
from zspace.evidence import claims, measured, registration, rules
from zspace.evidence.blind_sweep import grid
from zspace.pages import batch, cli, grids, publishing
from zspace.sources import corpora
from zspace.sources.models import TRAINED, Subject
from zspace.states import imported, store, subjects
from zspace.states.generation import recordings, solving, tuning

PNG = b"\x89PNG picture"
CLAIM = "prediction_1_aligned"
SNAPSHOT = files.PROJECT / "notebooks" / "data" / "ledger.json"
FEW = ["--languages=en,sw", "--n-scenarios=2", "--n-draws=2"]  # four items


@pytest.fixture
def zspace(monkeypatch, capsys):
    """Call the command in this process: zspace("report", ...) -> (status, stdout, stderr)."""
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zspace", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A checkout with one notebook, a README with markers, and the real params."""
    monkeypatch.setattr(files, "PROJECT", tmp_path)
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "runs"))
    (tmp_path / "params").symlink_to(Path(__file__).parents[1] / "params")
    (tmp_path / "tests").mkdir()
    (tmp_path / "README.md").write_text(f"# Title\n\n{publishing.START}\nold\n{publishing.END}\n\nafter\n")
    parameters = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "outputs": []}
    parameters |= {"execution_count": None, "source": 'model = "m"\nn_draws = 4\n'}
    notebook = {"cells": [parameters], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "first.ipynb").write_text(json.dumps(notebook))
    return tmp_path


def picture(name: str, runs: Path) -> None:
    """An executed notebook with one figure."""
    output = {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG).decode()}}
    (runs / "notebooks").mkdir(parents=True, exist_ok=True)
    path = runs / "notebooks" / f"{name}--m--c.ipynb"
    path.write_text(json.dumps({"cells": [{"outputs": [{"output_type": "stream"}, output]}]}))


def record_verdict(model: str) -> None:
    verdicts = claims.evaluate_scope(CLAIM, [rules.Evidence(unavailable="no weights")])
    claims.record(CLAIM, verdicts, model=model, corpus="c/v", provenance={})


def test_help_is_light():
    code = "import sys; from zspace.pages import cli\ntry: cli.app(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('torch', 'numpy', 'pandas', 'snakemake', 'plotly') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "report" in out
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "second"], ["second", "first"]),
        (["run", "first", "-p", "n_draw", "4"], ["n_draw", "n_draws"]),
        (["run", "first", "-p", "n_draws", "four"], ["n_draws", "four", "int"]),
        (["run", "first", "-p", "n_draws"], ["n_draws", "value"]),
        (["run", "first", "--grid", "quick", "-p", "n_draws", "4"], ["--grid", "-p"]),
        (["report", "--grid", "quik"], ["quik", "quick", "full"]),
        (["report", "--models", "gema"], ["gema", "gemma-3-270m"]),
        (["capture", "gemma-3-270m", "--variants", "trained,random"], ["'random'", "random-SEED"]),
        (["capture", "gemma-3-270m", "--languages", "en,xx", "--n-scenarios", "1"], ["xx", "sw"]),
        (["capture", "gemma-3-270m", *FEW, "--padding", "commas"], ["padding", "commas", "sentences"]),
        (["capture", "gemma-3-270m", *FEW, "--poolings", "mean,middle"], ["middle", "trimmed"]),
        (["import", "absent.npz", "--name", "mine", *FEW], ["absent.npz", ".safetensors"]),
        (["sweep", "--part", "noise", "--part", "nois"], ["part 'nois'", "noise,", "factorial"]),
        (["run", "../first"], ["no notebook '../first'", "first"]),
        (["run", "first", "-p", "n_draws", "0"], ["n_draws", "is 0", "at least 1"]),
        (["run", "first", "-p", "model="], ["model", "''", "a name"]),
        (["run", "first", "-p"], ["-p", "argument"]),
        (["run"], ["argument 'notebooks'"]),
        (["rnu"], ["rnu", "--help"]),
        (["report", "--cores", "0"], ["--cores", "0"]),
        (["report", "--cores", "many"], ["--cores", "many"]),
        (["capture", "gemma-3-270m", *FEW, "--seed=-1"], ["--seed", "-1"]),
        (["capture", "gemma-3-270m", "--languages=en,en"], ["en", "different language codes"]),
        (["traces", "gemma-3-270m", "--seed=-2"], ["--seed", "-2"]),
        (["sweep", "--seed=-2"], ["--seed", "-2"]),
        (["verify", "--full", "--quick"], ["--full or --quick"]),
        (["page"], ["ledger"]),
        (["publish"], ["ledger"]),
    ],
)
def test_errors_are_one_line_and_status_2(zspace, project, words, named):
    status, out, err = zspace(*words)
    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith("zspace: ")
    assert all(word in err for word in named)
    assert "Traceback" not in out + err


def test_debug_shows_the_traceback(zspace, project):
    with pytest.raises(ParameterError, match="second"):
        zspace("--debug", "run", "second")


FOREIGN = [
    (OSError(28, "No space left on device", "/runs/x"), 2, ["/runs/x", "No space left"]),
    (PermissionError(13, "Permission denied", "/runs/x"), 2, ["/runs/x", "Permission denied"]),
    (OSError(28, "No space left on device"), 2, ["no space left on the disk"]),
    (MemoryError(), 2, ["out of memory", "fewer items"]),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 2, ["not valid Unicode", "0xff"]),
    (KeyError("layer"), 1, ["unexpected error KeyError: 'layer'", "--debug", "report"]),
    (RuntimeError("two\nlines \ud800"), 1, ["unexpected error RuntimeError: two lines", "--debug"]),
    (RecursionError("too deep"), 1, ["unexpected error RecursionError: too deep"]),
    (ZeroDivisionError(), 1, ["unexpected error ZeroDivisionError"]),
]


@pytest.mark.parametrize(("error", "status", "words"), FOREIGN)
def test_an_error_of_another_library_is_one_line_and_its_traceback_is_kept(
    zspace, monkeypatch, error, status, words
):
    """A fault of zspace itself is told from one of its user by the exit status; --debug hides neither."""

    def listing():
        raise error

    monkeypatch.setattr(store, "listing", listing)
    found, out, err = zspace("states")
    assert (found, out, err.count("\n")) == (status, "", 1)
    assert err.startswith("zspace: ")
    assert "Traceback" not in err
    assert all(word in err for word in words)
    with pytest.raises(type(error)) as caught:
        zspace("--debug", "states")
    assert caught.value is error


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt(), 130), (SystemExit(130), 130)])
def test_an_interruption_is_no_error(zspace, monkeypatch, raised, status):
    def listing():
        raise raised

    monkeypatch.setattr(store, "listing", listing)
    assert zspace("states") == (status, "", "")


def test_help_and_no_words_are_no_errors(zspace):
    for words in (["--help"], ["run", "--help"], []):
        _, out, err = zspace(*words)
        assert "Usage" in out + err
        assert "zspace: " not in err


def test_page_names_what_it_leaves_out(zspace, project):
    record_verdict("model-a")
    (project / "runs" / "ledger" / "cut.json").write_text('{"claim": ')
    status, out, err = zspace("page")
    assert (status, out) == (0, f"{project / 'runs' / 'report' / 'index.html'}\n")
    assert (err.count("\n"), err.startswith("left out: cut.json: ")) == (1, True)


def asked_for(monkeypatch) -> dict:
    """What a capture asks for: the words and options of the corpus, the subjects and how to open them."""
    seen = {}
    monkeypatch.setattr(corpora, "load", lambda *words, **options: seen.update(load=(words, options)))

    def open_states(model, corpus, wanted, **options):
        seen.update(wanted=wanted, options=options)
        return {}

    monkeypatch.setattr(subjects, "open_states", open_states)
    return seen


def test_capture_passes_on_what_it_is_told_and_nothing_else(zspace, monkeypatch):
    seen = asked_for(monkeypatch)
    assert zspace("capture", "m", "--languages=en,sw", "--variants=trained,random-blocks-2")[0] == 0
    assert seen["load"] == (("number-stories", "en,sw"), {})
    assert seen["wanted"] == [TRAINED, Subject("random-blocks", 2)]
    assert seen["options"]["dtype"] == "float32"
    assert seen["options"]["together"] == seen["options"]["poolings"] == ["mean", "last"]


NUMBERS = {"n_items": 9, "n_scenarios": 3, "n_draws": 2, "difficulty": 4, "block": 5, "seed": 7}
OPTIONS = {"version": "digits", "padding": "numbers", **NUMBERS}  # all that a grid has


def test_capture_takes_every_option_that_a_grid_has(zspace, monkeypatch):
    seen = asked_for(monkeypatch)
    corpus = {"corpus": "texts", "languages": "en, sw", **OPTIONS}
    command = batch.capture_command(grids.Capture("k", "m", corpus, ("re-rounded-1",), "mean,median"))
    assert zspace(*command[command.index("capture") :])[0] == 0
    assert seen["load"] == (("texts", "en, sw"), OPTIONS)
    assert seen["wanted"] == [Subject("re-rounded", 1)]
    assert seen["options"]["together"] == seen["options"]["poolings"] == ["mean", "median"]


def test_import_takes_the_same_corpora(zspace, monkeypatch):
    seen = asked_for(monkeypatch)
    made = imported.Imported("mine", "texts", "digits", "0", ("trained",), ("en", "sw"), ("mean",), True)
    monkeypatch.setattr(imported, "add", lambda *words, **options: seen.update(add=(words, options)) or made)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    words += ["--pooling=last", "--last-layer=after-norm"]
    assert zspace("import", "a.npz", "--name=mine", "--corpus=texts", *words)[0] == 0
    assert seen["load"] == (("texts", None), OPTIONS)
    assert seen["add"] == ((Path("a.npz"), "mine", None), {"pooling": "last", "last_layer": "after-norm"})


def test_import_brings_states_that_capture_then_reads(zspace, project, rng):
    saved = {code: rng.normal(size=(4, 4, 5)).astype(np.float32) for code in ("en", "sw")}
    np.savez(project / "mine.npz", **saved)
    found = zspace("import", str(project / "mine.npz"), "--name=mine", *FEW)
    assert found == (0, "mine: trained in en, sw, without token ids\n", "")
    texts = corpora.load("number-stories", ["en", "sw"], n_scenarios=2, n_draws=2)
    opened = subjects.open_states("mine", texts)[TRAINED].states
    for code, states in saved.items():
        np.testing.assert_array_equal(opened.sel(language=code, pooling="mean"), states)
    assert zspace("capture", "mine", *FEW, "--poolings=mean")[1].startswith("mine trained: ")
    assert "mine" in zspace("states")[1]
    status, _, err = zspace("capture", "mine", *FEW, "--poolings=mean", "--variants=random-0")
    assert (status, err.count("\n")) == (2, 1)
    assert "lack random-0" in err


@pytest.mark.parametrize(
    "spelling", [["-p", "n_draws", "9"], ["-p", "n_draws=9"], ["--parameter", "n_draws", "9"]]
)
def test_run_executes_with_typed_parameters(zspace, project, monkeypatch, spelling):
    executed = []
    monkeypatch.setattr(batch, "execute", lambda cell: executed.append(cell) or 0)
    assert zspace("run", "first", *spelling, "-p", "model", "a=b")[0] == 0
    assert executed[0].parameters == {"n_draws": 9, "model": "a=b"}


def test_report_prints_the_page_last_and_tells_when_it_is_not_finished(zspace, project, monkeypatch):
    page = project / "runs" / "report" / "index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    monkeypatch.setattr(batch, "run", lambda *_, **options: 0)
    status, out, err = zspace("report")
    assert (status, out.splitlines()[-1], err) == (0, str(page), "")
    monkeypatch.setattr(batch, "run", lambda *_, **options: batch.INTERRUPTED)
    status, out, err = zspace("report")
    assert (status, out) == (130, "")
    assert err.startswith("zspace: interrupted")


def test_sweep_runs_each_part_once_with_its_options_or_all_into_the_committed_folder(
    zspace, monkeypatch, tmp_path
):
    seen = []
    monkeypatch.setattr(grid, "run", lambda name, **options: seen.append((name, options)))
    parts = ["--part=noise", "--part=equal shares", "--part=noise"]
    words = ["--device=cuda", "--workers=3", "--seed=7", f"--out={tmp_path}", "--keep"]
    status, out, _ = zspace("sweep", *parts, *words)
    options = {"seed": 7, "folder": tmp_path, "keep": True, "device": "cuda", "workers": 3, "progress": True}
    assert (status, seen) == (0, [("noise", options), ("equal shares", options)])
    assert str(tmp_path) in out
    seen.clear()
    assert str(grid.FOLDER) in zspace("sweep")[1]
    options = {"seed": 0, "folder": None, "keep": False, "device": "cpu", "workers": 1, "progress": True}
    assert seen == [(name, options) for name in grid.PARTS]


def test_verify_runs_tests_and_notebooks_on_one_thread_each_unless_told_otherwise(
    zspace, project, monkeypatch
):
    monkeypatch.setenv("ZSPACE_RUNS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")

    def become(program, words, environment):
        raise SystemExit(json.dumps([words[3:], environment["ZSPACE_RUNS"], environment["OMP_NUM_THREADS"]]))

    monkeypatch.setattr(cli.os, "execve", become)

    def verify(*options: str) -> tuple[list[str], str, str]:
        return json.loads(zspace("verify", *options)[0])

    words, runs, threads = verify("-x", "-p", "no:randomly")
    assert words[-2:] == ["notebooks/first.ipynb", "tests"]
    assert {"--nbval", "--no-loadscope-reorder", "not full", "-x", "no:randomly"} <= set(words)
    assert (runs, threads) == (str(project / "runs" / "suite"), "1")
    words, *_ = verify("--full", "tests")
    assert words[-1] == "tests"
    assert "not full" not in words
    words, *_ = verify("--quick", "-x")
    assert words[-4:] == ["-m", "not full and not slow", "-x", "tests"]
    assert not [word for word in words if "nbval" in word or "ipynb" in word]
    assert verify("--quick", "tests")[0][-2:] == ["not full and not slow", "tests"]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert verify()[2] == "2"


def test_publish_writes_what_the_ledger_holds_and_nothing_typed(zspace, project):
    record_verdict("model-a")
    record_verdict("model-b")
    for place in files.params("figures").values():
        picture(place["notebook"], project / "runs")
    assert zspace("publish")[0] == 0
    readme = (project / "README.md").read_text()
    table = readme.split(publishing.START)[1].split(publishing.END)[0]
    assert readme.startswith("# Title")
    assert readme.endswith("\n\nafter\n")
    assert "old" not in readme
    assert table.count("not testable") == 4
    assert table.count("| no weights |") == 2
    assert "model-a, c/v" in table
    assert [(project / "figures" / f"{name}.png").read_bytes() for name in files.params("figures")] == [PNG]
    snapshot = project / "notebooks" / "data" / "ledger.json"
    ledger = project / "runs" / "ledger"
    assert claims.read_ledger(snapshot).equals(claims.read_ledger(ledger))
    assert zspace("publish")[0] == 0
    assert (project / "README.md").read_text() == readme


def ledger_record(model, corpus, overall, **languages):
    """A record as far as README's table shows it; languages map to verdicts as corrected."""
    rows = [
        {"language": k, "as_stated": "refuted", "as_corrected": v, "as_corrected_reason": f"why {v}"}
        for k, v in {"*": overall, **languages}.items()
    ]
    about = {"claim": CLAIM, "title": "A | B", "rule": {"rules": claims.rule(CLAIM)["rules"]}}
    return about | {"model": model, "corpus": corpus, "provenance": {"date": "2026-12-01"}, "rows": rows}


def table_rows(records):
    """Cells of README's table below its header."""
    head, rule, *lines = publishing.verdict_table(records).splitlines()
    assert head.count("|") == rule.count("|")
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]


def test_verdict_table_has_a_row_a_record_with_languages_grouped_by_verdict():
    first = ledger_record("m", "c/v", "supported", zh="supported", sw="refuted", fr="supported")
    rows = table_rows([first, ledger_record("m", "d/v", "refuted", zh="refuted"), {**first, "model": "n"}])
    grouped = "supported: zh fr; refuted: sw"
    assert rows == [
        [r"A \| B", "m, c/v", "refuted", "supported", grouped, "explores"],
        [r"A \| B", "m, d/v", "refuted", "refuted", "refuted: zh", "explores"],
        [r"A \| B", "n, c/v", "refuted", "supported", grouped, "explores"],
    ]
    first["rows"][2]["as_corrected"] = "supported"
    assert table_rows([first])[0][4] == "supported: zh sw fr"
    many = ledger_record(
        "m", "c/v", "supported", sw="refuted", **dict.fromkeys(map(str, range(60)), "supported")
    )
    assert table_rows([many])[0][4] == "refuted: sw; supported: 60 languages"


def test_verdict_table_says_what_kind_of_row_it_is(monkeypatch):
    row = ledger_record("m", "c/v", "supported", zh="supported")
    older = {**row, "rule": {"rules": {"as_stated": {}}}}
    about = {"hardware": "a card", "baselines": []}
    elsewhere = {**row, measured.KEY: about, "provenance": {"date": "2026-12-02", "commit": "abc"}}
    monkeypatch.setattr(
        registration, "standing", lambda record: "" if record["model"] == "any" else "confirms"
    )
    last = [cells[-1] for cells in table_rows([row, older, elsewhere, {**row, "model": "any"}])]
    assert last == [
        "confirms",
        "confirms; judged by an older rule",
        "confirms; measured elsewhere: a card; 2026-12-02; commit abc",
        "–",
    ]


def test_verdict_table_says_why_nothing_was_measured_and_nothing_for_mathematics():
    unmeasured, proved = ledger_record("m", "c/v", "not testable"), ledger_record("any", "any", "proved")
    assert [row[4] for row in table_rows([unmeasured, proved])] == ["why not testable", "–"]
    test = {"statistic": "depth_rho", "statistic_kind": "test", "estimate": -0.62, "pvalue": 0.03, "n": 10}
    tested = ledger_record("m", "c/v", "supported")
    tested["rows"][0] |= test
    assert table_rows([tested])[0][4] == "depth rho −0.62, p = .030 (n = 10)"


def test_the_snapshot_has_each_statistic_as_what_its_rule_judges():
    """And no p-value or count with 95 % limits."""
    belongs = {
        "interval": {"low", "high"},
        "test": {"pvalue", "n"},
        "count": {"range_low", "range_high", "range_of"},
    }
    belongs["excess"] = belongs["interval"] | {"low_over", "high_over"}
    for record in claims.read_records(SNAPSHOT):
        entry = claims.rule(record["claim"])
        rule = {k: entry[k] for k in ("null_hypothesis", "multiplicity", "rules")}
        shown = (record["title"], record["statement"], record["rule"])
        assert shown == (entry["title"], entry["statement"], rule)
        parts = [part for part in entry["rules"].values() if isinstance(part, dict)]
        conditions = {name: condition for part in parts for name, condition in part.items()}
        for one in (one for row in record["rows"] for one in (row, *row["controls"])):
            kept = set()
            if one["estimate"] is not None:
                kind, wanted = one["statistic_kind"], conditions[one["statistic"]]
                assert rules.condition_kind("x", wanted) == {"excess": "interval"}.get(kind, kind)
                kept = belongs[kind]
            others = set.union(*belongs.values()) - kept
            assert not any(one.get(k) is not None for k in others), (record["claim"], one)


def test_readme_has_the_table_that_publish_writes():
    readme = (files.PROJECT / "README.md").read_text("utf-8")
    table = publishing.verdict_table([*claims.read_records(SNAPSHOT), *measured.read()])
    assert publishing.replace_table(readme, table) == readme


def test_publish_writes_nothing_when_a_figure_is_missing(zspace, project):
    record_verdict("model-a")
    status, _, err = zspace("publish")
    assert (status, err.count("\n")) == (2, 1)
    assert "old" in (project / "README.md").read_text()
    assert not (project / "notebooks" / "data").exists()


@pytest.mark.parametrize("content", ['{"cells": [', "[]", '{"cells": [3]}'])
def test_publish_names_an_executed_notebook_that_is_damaged(zspace, project, content):
    record_verdict("model-a")
    for place in files.params("figures").values():
        picture(place["notebook"], project / "runs")
    first = sorted((project / "runs" / "notebooks").iterdir())[0]
    first.write_text(content)
    status, _, err = zspace("publish")
    assert (status, err.count("\n")) == (2, 1)
    assert first.name in err
    assert "old" in (project / "README.md").read_text()


@pytest.mark.parametrize("readme", ["none", publishing.START, f"{publishing.END}\n{publishing.START}"])
def test_replace_table_refuses_a_readme_without_its_markers(readme):
    with pytest.raises(ParameterError, match="zspace publish"):
        publishing.replace_table(readme, "table")


def test_verdict_table_names_a_model_without_weights_once():
    """Whatever the number of claims: the row says which command measures it."""
    reason = "weights unavailable: fetch it"
    absent = ledger_record("far", "c/v", "not testable")
    absent["rows"][0]["as_corrected_reason"] = reason
    first, last = table_rows([absent, ledger_record("m", "c/v", "refuted", zh="refuted"), dict(absent)])
    assert first[1] == "m, c/v"
    assert last == ["every claim about a model", "far", "refuted", "not testable", reason, "–"]


def test_traces_records_with_its_options_and_writes_the_layers_asked_for(zspace, monkeypatch, tmp_path, rng):
    seen = []
    found = planted_recordings(rng, languages=("de", "sw"), layers=(3, 9), n_scenarios=4)
    monkeypatch.setattr(solving, "ensure", lambda *given, **options: seen.append((given, options)) or found)
    path = tmp_path / "traces.npz"
    words = ["--languages", "de, sw", "--layers", "9", "--n-samples", "3", "--out", str(path)]
    status, out, _ = zspace("traces", "some-model", *words)
    assert status == 0
    assert seen[0][0] == ("some-model", ("de", "sw"))
    assert seen[0][1]["n_samples"] == 3
    assert recordings.load(path).layers.tolist() == [9]
    assert "8 solutions written, 8 correct, 8 kept" in out
    status, _, err = zspace("traces", "some-model", "--layers", "4", "--out", str(path))
    assert status == 2
    assert "expected some of 3, 9" in err


def test_traces_of_another_model_leave_those_of_the_default_model_alone(zspace, monkeypatch, tmp_path, rng):
    monkeypatch.chdir(tmp_path)
    for name, file in {
        "gemma-3-270m": "generation_traces.npz",
        "gemma-3-270m-tuned": "generation_traces_gemma-3-270m-tuned.npz",
    }.items():
        found = planted_recordings(rng, layers=(3, 9), n_scenarios=4)
        found.about["model"] = {"model": name}
        monkeypatch.setattr(solving, "ensure", lambda *_, found=found, **__: found)
        assert zspace("traces", name, "--layers", "9")[0] == 0
        assert (tmp_path / "notebooks" / "data" / file).is_file()


def test_tune_passes_its_options_on_and_prints_the_scores(zspace, monkeypatch, tmp_path):
    seen = []
    rows = [{"kind": tuning.UNSEEN, "language": "sw", "n": 40, "right": 0.325, "answer_right": 0.4}]
    monkeypatch.setattr(
        tuning, "tune", lambda *given, **options: seen.append((given, options)) or {"scores": rows}
    )
    words = ["--languages", "sw,te", "--n-solutions", "9", "--n-held-out", "15", "--device", "cuda"]
    status, out, _ = zspace("tune", "some-model", "--out", str(tmp_path / "x-tuned"), *words)
    assert status == 0
    (((name, folder, recipe), options),) = seen
    assert (name, folder, options) == ("some-model", tmp_path / "x-tuned", {"device": "cuda"})
    assert (recipe.languages, recipe.n_solutions, recipe.n_held_out) == (("sw", "te"), 9, 15)
    assert "sw, scenarios never trained on: 32% fully right, 40% with the right answer (of 40)" in out
    status, _, err = zspace("tune", "some-model", "--out", str(tmp_path / "x-tuned"), "--n-held-out", "5")
    assert status == 2
    assert "expected 10 to 27 of the 30" in err


def test_register_counts_every_ledger_as_a_look(zspace, project, monkeypatch):
    record_verdict("model-a")
    snapshot = project / "notebooks" / "data" / "ledger.json"
    snapshot.parent.mkdir()
    snapshot.write_text(json.dumps([ledger_record("m", "picture-names/as-is", "supported")]))
    seen = []
    monkeypatch.setattr(registration, "register", lambda records: seen.extend(records) or "the file")
    status, out, _ = zspace("register")
    assert (status, out) == (0, "the file\n")
    assert [one["model"] for one in seen] == ["model-a", "m"]


def test_ledger_export_passes_its_options_on(zspace, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(measured, "export", lambda *given, **options: seen.append((given, options)) or 3)
    words = ["--corpus=a", "--corpus=b", "--hardware=a card", "--commit=abc"]
    status, out, _ = zspace("ledger", "export", str(tmp_path / "x.json"), *words)
    assert (status, out) == (0, f"3 records: {tmp_path / 'x.json'}\n")
    ((ledger, path, hardware), options) = seen[0]
    assert (ledger, path, hardware) == (files.runs_root() / "ledger", tmp_path / "x.json", "a card")
    assert options == {"corpora": ["a", "b"], "commit": "abc"}

"""A survey says of every language what its notebook's function says, and goes on where it stopped."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_builders import words
from typer.testing import CliRunner
from zspace.errors import ParameterError
from zspace.evidence import claims, laboratory
from zspace.evidence.alignment_depth import language_depth
from zspace.evidence.bridges import bridging
from zspace.evidence.retrieval import updates
from zspace.pages import cli, survey

NOTEBOOKS = ("prediction_2_update_agnosticism", "conjecture_7_dimension")


@pytest.fixture
def parameters(tmp_path, folders, runs, rng):
    folder = tmp_path / "texts"
    folder.mkdir()
    for language in ("en", "fr", "sw"):
        lines = [f"{word} {other}" for word, other in zip(words(rng, 48), words(rng, 48), strict=True)]
        (folder / f"{language}.txt").write_text("\n".join(lines))
    places = {"model": str(folders["llama"]), "corpus": str(folder), "languages": "en,fr,sw", "version": ""}
    return {**places, "n_items": 0, "block": 1, "n_random": 3, "n_re_rounded": 0, "seed": 0}


def test_a_survey_judges_every_language_as_its_notebook_would(parameters, runs):
    found = survey.survey(parameters, NOTEBOOKS, workers=1, progress=False)
    assert set(found) == {updates.CLAIM, "conjecture_7_dimension"}
    lab = laboratory.Lab(parameters, survey._streams(0, ("pairs", "judging")))
    pairs = lab.open_pairs(lab.load(), together=("mean",))
    stream = lab.rng["judging"].spawn(len(survey.NOTEBOOKS))[survey.NOTEBOOKS.index(NOTEBOOKS[0])]
    evidence = [
        updates.update_agnosticism({language: pair}, rng=own).evidence[updates.CLAIM][0]
        for (language, pair), own in zip(pairs.items(), stream.spawn(2), strict=True)
    ]
    assert found[updates.CLAIM] == claims.evaluate_scope(updates.CLAIM, evidence)
    (record,) = (runs / "ledger").glob("prediction_2*.json")
    rows = json.loads(record.read_text())["rows"]
    assert [row["language"] for row in rows] == ["*", "fr", "sw"]
    assert rows[1]["estimate"] == pytest.approx(found[updates.CLAIM][1].estimate)


def test_depths_are_measured_by_language_and_compared_together(parameters, rng):
    languages = ("en", "fr", "sw", "zh", "de", "ru", "ja")
    for language in languages[3:]:
        lines = [f"{word} {other}" for word, other in zip(words(rng, 48), words(rng, 48), strict=True)]
        (Path(parameters["corpus"]) / f"{language}.txt").write_text("\n".join(lines))
    parameters |= {"languages": ",".join(languages)}
    found = survey.survey(parameters, [survey.DEPTHS], workers=2, progress=False)
    lab = laboratory.Lab(parameters, survey._streams(0, ("pairs", "judging")))
    pairs = lab.open_pairs(lab.load(), together=("mean",))
    stream = lab.rng["judging"].spawn(len(survey.NOTEBOOKS))[survey.NOTEBOOKS.index(survey.DEPTHS)]
    streams = zip(pairs.values(), stream.spawn(6), strict=True)
    measured = [language_depth.measure_pair(pair, "en", rng=own) for pair, own in streams]
    evidence = language_depth.compare(measured, rng=stream.spawn(1)[0]).evidence
    assert found == {claim: [claims.evaluate(claim, one)] for claim, one in evidence.items()}


def test_bridges_see_every_other_language(parameters):
    found = survey.survey(parameters, [survey.BRIDGES], workers=1, progress=False)[bridging.AFFINE]
    lab = laboratory.Lab(parameters, survey._streams(0, ("pairs", "judging")))
    pairs = lab.open_pairs(lab.load(), together=("mean",))
    stream = lab.rng["judging"].spawn(len(survey.NOTEBOOKS))[survey.NOTEBOOKS.index(survey.BRIDGES)]
    evidence = bridging.affine_vs_procrustes(pairs, rng=stream).evidence
    assert found == claims.evaluate_scope(bridging.AFFINE, evidence)


def test_a_survey_goes_on_where_it_stopped(parameters, monkeypatch):
    first = survey.survey(parameters, NOTEBOOKS[:1], workers=1, progress=False)
    judged = []

    def judge(pair, rng):
        judged.append(pair.language)
        return updates.update_agnosticism({pair.language: pair}, rng=rng).evidence

    monkeypatch.setitem(survey.BY_LANGUAGE, NOTEBOOKS[0], judge)
    assert survey.survey(parameters, NOTEBOOKS[:1], workers=1, progress=False) == first
    assert judged == []
    (left,) = (survey.files.runs_root() / "survey").rglob("*-fr.pickle")
    cut = left.read_bytes()[:-1]
    for happens, expected in (
        (left.touch, []),
        (left.unlink, ["fr"]),
        (lambda: left.write_bytes(cut), ["fr"]),
    ):
        judged.clear()
        happens()
        assert survey.survey(parameters, NOTEBOOKS[:1], workers=1, progress=False) == first
        assert judged == expected


def test_a_language_is_the_same_in_another_process(parameters):
    found = []
    for n in (1, 2):
        shutil.rmtree(survey.files.runs_root() / "survey", ignore_errors=True)
        found.append(survey.survey(parameters, NOTEBOOKS[:1], workers=n, progress=False))
    assert found[0] == found[1]


def test_a_survey_needs_no_plotting_library():
    """It is for machines with many cores or a GPU, where notebooks are not installed."""
    absent = "dict.fromkeys(('plotly', 'IPython', 'ipywidgets', 'nbformat', 'jinja2', 'papermill'))"
    code = f"import sys; sys.modules.update({absent}); import zspace.pages.survey"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_command_says_what_there_is(parameters):
    options = [f"--{k.replace('_', '-')}={v}" for k, v in parameters.items() if k not in ("model", "version")]
    wrong = CliRunner().invoke(cli.app, ["survey", parameters["model"], "prediction_9", *options])
    assert isinstance(wrong.exception, ParameterError)
    assert "prediction_2_update_agnosticism" in str(wrong.exception)
    done = CliRunner().invoke(cli.app, ["survey", parameters["model"], NOTEBOOKS[0], "--workers=1", *options])
    assert done.exit_code == 0, done.output
    assert f"{updates.CLAIM}: " in done.stdout
    assert np.isfinite(
        json.loads(next((survey.files.runs_root() / "ledger").glob("*")).read_text())["rows"][1]["low"]
    )

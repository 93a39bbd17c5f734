"""Executions: equal ones have one name, other ones never, whatever their words; on a page words tell them."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from zspace import files
from zspace.errors import ParameterError
from zspace.evidence import executions

VALUES = {"model": "m", "corpus": "c", "languages": "en,de", "n_items": 0, "seed": 0, "rate": 0.5}
WORDS = ["a", "ä", "a b", "a/b", "a-b", "数据", "{x}", "$x", "'", ",", "=", "#", "%", "../..", "x" * 300, ""]


def notebook(path: Path, source: str, tag: str = "parameters") -> Path:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": [tag]}}
    path.write_text(json.dumps({"cells": [cell]}))
    return path


def test_file_names_differ_wherever_what_they_are_about_does():
    """Words do not have to: most of these have the same slug, or none."""
    about = [VALUES | {name: word} for name in ("model", "corpus", "languages") for word in WORDS]
    about += [VALUES | {"seed": 1}, VALUES | {"seed": "0"}, VALUES | {"rate": 0.25}, {}]
    names = [executions.file_name([one.get("model", "")], one) for one in about]
    assert len(set(names)) == len(about)
    assert names == [
        executions.file_name([one.get("model", "")], dict(reversed(one.items()))) for one in about
    ]


def test_file_names_are_valid_on_every_file_system():
    for words in itertools.product(WORDS, repeat=2):
        name = executions.file_name([*words, *("y" * 99 for _ in range(4))], words, words)
        assert name.isascii()
        assert len(name) <= 235  # what is put before and after it in names of logs and locks has room
        assert not set(name) & set("/\\:*?\"<>| {}$%#=,'")
        assert not name.startswith(".")


def test_located_takes_a_path_from_where_it_is_meant(tmp_path):
    for name in ("texts", "number-stories", "gemma-3-270m"):
        (tmp_path / name).mkdir()
    assert executions.located("texts", tmp_path) == str(tmp_path / "texts")
    # what is no path stays as it is, and a known name is never a path
    for name in ("absent", "number-stories", "gemma-3-270m", "", "x" * 5000, "a\0b"):
        assert executions.located(name, tmp_path) == name


def test_effective_is_the_same_however_a_run_is_asked_for(tmp_path):
    """A default given or not, a path as it is written or not: one execution. Another seed: another one."""
    path = notebook(tmp_path / "n.ipynb", 'model = "texts"\ncorpus = "c"\nseed = 0\n')
    (tmp_path / "texts").mkdir()
    os.symlink(tmp_path / "texts", tmp_path / "link")
    ways = [{}, {"seed": 0}, {"model": "texts/../texts"}, {"model": str(tmp_path / "link")}, {"corpus": "c"}]
    found = [executions.effective(path, given) for given in ways]
    assert found == [{"model": str(tmp_path / "texts"), "corpus": "c", "seed": 0}] * len(ways)
    assert executions.effective(path, {"seed": 1}) != found[0]


@pytest.mark.parametrize(
    "source", ["n = 1 + 1", "import os", "x, y = 1, 2", "n: int", "n = (", "n = 1\n  m = 2"]
)
def test_notebook_parameters_are_plain_literals(tmp_path, source):
    path = notebook(tmp_path / "odd.ipynb", f"seed = 0\n{source}\n")
    with pytest.raises(ParameterError, match=r"odd\.ipynb"):
        executions.notebook_parameters(path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": [{"source": "x"}]}', "\ud800"])
def test_notebook_parameters_name_a_file_that_is_no_notebook(tmp_path, content):
    path = tmp_path / "cut.ipynb"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ParameterError, match=r"cut\.ipynb is not a notebook that can be read"):
        executions.notebook_parameters(path)


def record(claim="a", model="m", corpus="dev/as-is", **parameters) -> dict:
    return {"claim": claim, "model": model, "corpus": corpus, "execution": {"parameters": parameters}}


def lying(corpus: str) -> dict:
    return record() | {"execution": {"parameters": {"corpus": corpus}}}


def test_told_apart_leaves_names_that_are_different_already():
    records = [record(), record("b"), record(corpus="test/as-is"), record(model="n"), record("b", model="n")]
    assert executions.told_apart(records) == [(one["model"], one["corpus"]) for one in records]
    # a snapshot of an older zspace says nothing about parameters
    old = [{k: v for k, v in one.items() if k != "execution"} for one in records]
    assert executions.told_apart(old) == executions.told_apart(records)


@pytest.mark.parametrize(
    ("records", "shown"),
    [
        ([record(model="/a/ck"), record(model="/b/ck"), record(model="/b/other")], ["a/ck", "b/ck", "other"]),
        ([record(model="/x/a/k"), record(model="/y/a/k"), record(model="a/k")], ["x/a/k", "y/a/k", "a/k"]),
        ([record(model="/ck"), record(model="/a/ck")], ["/ck", "a/ck"]),
    ],
)  # fmt: skip
def test_told_apart_shows_the_shortest_ending_that_no_other_model_has(records, shown):
    assert [model for model, _ in executions.told_apart(records)] == shown


@pytest.mark.parametrize(
    ("records", "shown"),
    [
        ([lying("/a/dev"), lying("/b/dev")], ["a/dev/as-is", "b/dev/as-is"]),
        ([lying("/a/wmt.2019"), lying("/a/wmt.2020")], ["wmt.2019/as-is", "wmt.2020/as-is"]),
        ([record(seed=0), record(seed=1)], ["dev/as-is (seed 0)", "dev/as-is (seed 1)"]),
        ([record(n_items=0, seed=3), record(n_items=30, seed=3), record("b", n_items=30, block=2)],
         ["dev/as-is (n items 0)", "dev/as-is (n items 30)", "dev/as-is (n items 30)"]),
        ([record(languages="en,de"), record(languages="en,fr")],
         ["dev/as-is (languages en,de)", "dev/as-is (languages en,fr)"]),
        ([record(), record(), record("b")], ["dev/as-is", "dev/as-is (record 2)", "dev/as-is"]),
    ],
)  # fmt: skip
def test_told_apart_says_in_what_records_of_one_claim_differ(records, shown):
    assert [corpus for _, corpus in executions.told_apart(records)] == shown


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_told_apart_names_no_two_records_of_a_claim_alike(seed):
    rng = np.random.default_rng(seed)

    def drawn(*choices):
        return choices[rng.integers(len(choices))]

    records = []
    for _ in range(60):
        values = {"corpus": drawn("/a/dev", "/b/dev", "/a/b/dev", "c"), "seed": drawn(0, 1)}
        values |= {"n_items": drawn(0, 5)} if rng.random() < 0.5 else {}
        one = record(drawn("p", "q"), drawn("/r/ck", "/s/ck", "ck"), **{})
        one["execution"]["parameters"] = drawn(values, {})
        records.append(one)
    named = [
        (one["claim"], *names) for one, names in zip(records, executions.told_apart(records), strict=True)
    ]
    assert len(set(named)) == len(records)


def test_slugs_are_readable():
    assert files.slug("number-stories") == "number-stories"
    assert files.slug("owner/name@main") == "owner-name-main"
    assert files.slug("/models/Ünïcode 1.5") == "Unicode-1.5"
    assert files.slug("../../x") == "x"
    assert files.slug("数据") == ""
    assert files.slug("x" * 99, 9) == "x" * 9

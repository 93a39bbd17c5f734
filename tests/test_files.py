"""Files are written whole or not at all, and one process at a time."""

import ast
import errno
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from zspace import files
from zspace.errors import ParameterError, StoreError


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_runs_root_is_what_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path / "elsewhere"))
    assert files.runs_root() == (tmp_path / "elsewhere").resolve()
    monkeypatch.delenv("ZSPACE_RUNS")
    assert files.runs_root() == files.PROJECT / "runs"


def test_cache_root_prefers_its_own_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ZSPACE_CACHE", raising=False)
    assert files.cache_root() == tmp_path.resolve() / "zspace"
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "own"))
    assert files.cache_root() == tmp_path.resolve() / "own"


def test_params_names_the_files_there_are(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "PROJECT", tmp_path)
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "grid.yaml").write_text("quick: {items: 120}")
    assert files.params("grid") == {"quick": {"items": 120}}
    with pytest.raises(ParameterError, match=r"no parameter file 'grids' \(found: grid\)"):
        files.params("grids")


def test_fingerprint_depends_on_content_not_on_key_order():
    assert files.fingerprint({"a": 1, "b": [1, 2]}) == files.fingerprint({"b": [1, 2], "a": 1})
    assert files.fingerprint({"a": 1, "b": [1, 2]}) != files.fingerprint({"a": 1, "b": [2, 1]})
    assert files.fingerprint("né") != files.fingerprint("ne\u0301")


def test_fingerprint_takes_what_is_no_unicode_text():
    assert len({files.fingerprint(text) for text in ("a\ud800b", "a\ud801b", "ab")}) == 3


def test_errors_quote_what_is_long_by_its_ends():
    message = str(StoreError("START" + "x" * 10**6 + "END"))
    assert message.startswith("STARTxxx")
    assert message.endswith("xxxEND")
    assert len(message) < 2100
    assert str(StoreError("y" * 2000)) == "y" * 2000


def test_source_fingerprint_changes_with_the_sources_only(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PACKAGE", tmp_path)
    (tmp_path / "one.py").write_text("x = 1")
    before = files.source_fingerprint()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "one.pyc").write_bytes(b"\0")
    assert files.source_fingerprint() == before
    (tmp_path / "one.py").write_text("x = 2")
    assert files.source_fingerprint() != before
    assert files.source_fingerprint("one.py") == files.source_fingerprint()


SAMPLE = '''"""Docstring of the module."""

import os  # a comment


class One:
    """Docstring
    of a class."""

    text = """kept:

    # no comment"""  # one

    def f(self, x="# kept"):
        """Docstring."""; return f"{x}#{x!r}"

    async def g(self):
        # only a comment

        "docstring"
        "an expression"
'''
CODE = '''import os
class One:
    text = """kept:

    # no comment"""
    def f(self, x="# kept"):
        ; return f"{x}#{x!r}"
    async def g(self):
        "an expression"
'''


def test_code_of_cuts_what_does_nothing_and_leaves_the_rest_as_it_is_written():
    # the text itself, so that every version of Python must find the same
    assert files.code_of(SAMPLE) == CODE
    assert files.code_of("x = 1\n") == "x = 1\n"
    assert files.code_of("x = 'é'  # ü\ny = 1") == "x = 'é'\ny = 1"


def test_code_of_the_library_is_its_syntax_tree_without_docstrings():
    def bare(text):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body = node.body[1:] or [ast.Pass()]
        return ast.dump(tree)

    for name in ("files.py", "sources/models/weights.py", "states/capture.py", "states/generation/traces.py"):
        text = (files.PACKAGE / name).read_text("utf-8")
        assert ast.dump(ast.parse(files.code_of(text))) == bare(text), name


@pytest.mark.parametrize(
    ("edit", "counts"),
    [
        (("# a comment", "# another"), False),
        (("Docstring\n    of a class", "What\n\n    it is"), False),
        (("import os", "\n\nimport os"), False),
        (("# only a comment\n", ""), False),
        (("kept:\n\n", "kept:\n"), True),
        (("# no comment", "# still none"), True),
        (("# kept", "# other"), True),
        (('"an expression"', '"another"'), True),
        (("import os", "import sys"), True),
    ],
)
def test_code_fingerprint_changes_with_the_code_only(tmp_path, monkeypatch, edit, counts):
    monkeypatch.setattr(files, "PACKAGE", tmp_path)
    (tmp_path / "part").mkdir()
    path = tmp_path / "part" / "one.py"
    path.write_text(SAMPLE)
    before = files.code_fingerprint("part")
    assert files.code_fingerprint("part/one.py") == before
    assert edit[0] in SAMPLE
    path.write_text(SAMPLE.replace(*edit))
    assert (files.code_fingerprint("part") != before) == counts
    path.write_text(SAMPLE)
    (tmp_path / "part" / "data.yaml").write_text("# a comment in data is a byte of data")
    assert files.code_fingerprint("part") != before


def test_code_fingerprint_refuses_code_that_is_not_there():
    with pytest.raises(ParameterError, match=r"the package has no states/captur\.py"):
        files.code_fingerprint("states/captur.py", "states/store.py")


def test_atomic_write_keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "verdict.json"
    path.write_text("old")

    failure = pytest.raises(ZeroDivisionError)
    with failure, files.atomic_write(path) as stream:
        stream.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["verdict.json"]
    with files.atomic_write(path) as stream:
        stream.write("né")
    assert path.read_bytes() == "né".encode()
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_atomic_write_of_bytes_makes_the_folders_it_needs(tmp_path):
    with files.atomic_write(tmp_path / "a" / "b.bin", "wb") as stream:
        stream.write(b"\0\1")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"\0\1"


@pytest.mark.parametrize("writer", [files.atomic_write, files.atomic_folder])
def test_atomic_writers_report_a_full_disk_and_leave_nothing(tmp_path, monkeypatch, writer):
    monkeypatch.setattr(files.os, "replace", full_disk)
    report = pytest.raises(StoreError, match=r"cannot write .*states.*No space left.*ZSPACE_RUNS")
    with report, writer(tmp_path / "states"):
        pass
    assert os.listdir(tmp_path) == []


def test_atomic_folder_replaces_a_folder_only_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "en.zarr"
    path.mkdir()
    (path / "old").touch()

    interruption = pytest.raises(KeyboardInterrupt)
    with interruption, files.atomic_folder(path) as temporary:
        (temporary / "new").touch()
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["en.zarr"]
    assert os.listdir(path) == ["old"]
    with files.atomic_folder(path) as temporary:
        (temporary / "new").touch()
        assert os.listdir(path) == ["old"]
    assert os.listdir(path) == ["new"]


def hold(path: Path, is_held, seconds: float) -> None:
    with files.lock(path):
        is_held.set()
        time.sleep(seconds)


def test_lock_excludes_a_second_process_and_is_freed_when_the_holder_is_killed(tmp_path):
    fork = multiprocessing.get_context("fork")
    signals = fork.Event(), fork.Event()
    holder, waiter = (
        fork.Process(target=hold, args=(tmp_path / "key", signal, seconds), daemon=True)
        for signal, seconds in zip(signals, (60, 0), strict=True)
    )
    assert not files.is_locked(tmp_path / "key")
    holder.start()
    assert signals[0].wait(30)
    assert files.is_locked(tmp_path / "key")
    waiter.start()
    assert not signals[1].wait(0.5)
    holder.kill()
    assert signals[1].wait(20)
    waiter.join()
    assert not files.is_locked(tmp_path / "key")


def test_lib_folder_does_not_shadow_the_standard_zlib():
    command = [sys.executable, "-c", "import zlib; print(zlib.decompress(zlib.compress(b'z')).decode())"]
    result = subprocess.run(command, cwd=files.PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout == "z\n"
    assert not (files.PROJECT / "zlib" / "__init__.py").exists()
    assert list((files.PROJECT / "zlib").glob("*.py")) == []

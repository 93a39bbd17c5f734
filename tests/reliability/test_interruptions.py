"""A job that was killed, or found the disk full, at any of its writes can be done over as if it had not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra `models` is not installed")

import sample_report
from model_builders import save_tiny

HERE = Path(__file__).parent
TEXTS = {
    "en": ["one apple", "two pears fell", "a long walk home"],
    "de": ["ein Apfel", "zwei Birnen fielen", "ein langer Heimweg"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the jobs read: a tiny model, a corpus, saved states, a ledger with its notebooks."""
    root = tmp_path_factory.mktemp("jobs")
    save_tiny("llama", root / "model")
    (root / "corpus").mkdir()
    for code, rows in TEXTS.items():
        (root / "corpus" / f"{code}.txt").write_text("\n".join(rows) + "\n")
    rng = np.random.default_rng(0)
    np.savez(root / "states.npz", **{code: rng.standard_normal((4, 3, 8)) for code in TEXTS})
    sample_report.write_ledger(root / "ledger")
    sample_report.write_notebooks(root / "notebooks")
    return root


def harmed(folder: Path, *asked: str, seed: int = 0) -> list[dict]:
    """What the worker found of JOB:MODE:POINTS each."""
    command = [sys.executable, HERE / "worker.py", folder, str(seed), *asked]
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [f"{one['job']}:{one['mode']}" for one in found] == [one.rpartition(":")[0] for one in asked]
    return found


def check(found: list[dict], record_property) -> None:
    """Every harm was done, and what came after it gave the result of the undisturbed run."""
    for one in found:
        whole, done = one["whole"], 0
        assert whole["status"] == 0, whole
        for point in one["points"]:
            where = f"{one['job']}, {one['mode']} at write {point['k']} of {whole['count']}: {point}"
            if one["mode"] == "kill":
                assert point["harmed"] == {"status": -9}, where
                done += 1
            elif point["harmed"]["status"]:
                assert point["harmed"]["status"] == 2, where
                assert len(point["harmed"]["said"]) == 1, where
                assert point["harmed"]["said"][0].startswith("zspace: cannot write "), where
                assert "No space left on device" in point["harmed"]["said"][0], where
                done += 1
            else:  # what could not be written was not needed
                assert point["harmed"]["digest"] == whole["digest"], where
            assert point["again"]["status"] == 0, where
            assert point["again"]["digest"] == whole["digest"], where
        assert done
        record_property({"kill": "kills", "full": "full disks"}[one["mode"]], done)


@pytest.mark.full
@pytest.mark.parametrize(
    ("job", "points"), [("capture", 20), ("import", 15), ("traces", 12), ("training", 12), ("page", 6)]
)
def test_a_killed_job_done_over_gives_what_an_undisturbed_one_does(folder, job, points, record_property):
    check(harmed(folder, f"{job}:kill:{points}"), record_property)


@pytest.mark.full
@pytest.mark.parametrize(
    ("job", "points"), [("capture", 60), ("import", 0), ("training", 0), ("record", 0), ("page", 0)]
)
def test_a_full_disk_at_any_write_is_one_line_and_replaces_nothing(folder, job, points, record_property):
    check(harmed(folder, f"{job}:full:{points}"), record_property)


def test_a_job_killed_or_without_space_at_a_few_points_can_be_done_over(folder, record_property):
    few = ("capture:kill:2", "import:kill:2", "training:kill:2", "record:full:0", "import:full:3")
    check(harmed(folder, *few, seed=1), record_property)

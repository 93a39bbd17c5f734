"""A batch killed at any moment goes on to the same result, and other circumstances do not change a ledger."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook
from zspace.evidence import claims

pytest.importorskip("transformers", reason="the extra `models` is not installed")

from model_builders import save_tiny

pytestmark = pytest.mark.full
NAMES = ("first", "second")
KILLS = 6
STORIES = {"n_scenarios": 12, "n_draws": 2, "languages": "en,zh,fr"}


def zspace(words: list, runs: Path, **env: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "zspace.pages.cli", *map(str, words)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env={**os.environ, "ZSPACE_RUNS": str(runs), **env}, text=True, **pipes)


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """A grid of two notebooks that need no model."""
    folder = tmp_path_factory.mktemp("grid")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name in NAMES:
        cells = [new_code_cell("seed = 3", metadata={"tags": ["parameters"]})]
        cells += [new_code_cell(f"import time; time.sleep(0.3)\nprint('{name}', seed ** 2)")]
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / f"{name}.ipynb")
    content = {"folder": ".", "notebooks": {name: {} for name in NAMES}}
    (folder / "grid.yaml").write_text(yaml.safe_dump(content))
    return folder / "grid.yaml"


def outputs(runs: Path) -> dict[str, list]:
    """Texts that the executed notebooks printed."""
    found = {}
    for path in sorted((runs / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4)["cells"]
        found[path.stem.partition("--")[0]] = [o.get("text") for c in cells for o in c.get("outputs", [])]
    return found


def test_a_batch_killed_at_any_moment_goes_on_to_the_same_result(grid, tmp_path, rng, record_property):
    words = ["run", *NAMES, "--grid", grid, "--cores=1"]
    start = time.monotonic()
    out, err = zspace(words, tmp_path / "whole").communicate(timeout=300)
    whole = time.monotonic() - start
    expected = outputs(tmp_path / "whole")
    assert sorted(expected) == list(NAMES), out + err
    for k, moment in enumerate(np.sort(rng.uniform(0.1, 0.95, KILLS)) * whole):
        runs = tmp_path / f"killed-{k}"
        process = zspace(words, runs)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        out, err = zspace(words, runs).communicate(timeout=300)
        assert outputs(runs) == expected, f"killed after {moment:.1f} of {whole:.1f} s: {out}{err}"
        assert not list(runs.glob("batch.[0-9]*"))
        assert not list((runs / "failed").glob("*"))
    record_property("kills", KILLS)


def test_threads_hash_seeds_and_empty_caches_do_not_change_a_ledger(tmp_path):
    """The same verdicts, and numbers within rounding; the control is that there are numbers."""
    model = save_tiny("llama", tmp_path / "model")
    words = [
        "run",
        "prediction_1_retrieval_by_layer",
        "prediction_2_update_agnosticism",
        "-p",
        "model",
        model,
    ]
    words += [word for name, value in STORIES.items() for word in ("-p", f"{name}={value}")]
    ledgers = []
    for threads, seed in ((1, 0), (2, 12345)):
        runs = tmp_path / f"runs-{threads}"
        env = {"OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": str(seed)}
        env |= {"ZSPACE_CACHE": str(runs / "cache"), "XDG_CACHE_HOME": str(runs / "xdg")}
        out, err = zspace(words, runs, **env).communicate(timeout=900)
        assert (runs / "ledger").is_dir(), out + err
        ledgers.append(claims.read_ledger(runs / "ledger"))
    one, other = ledgers
    assert one["estimate"].notna().any()
    pd.testing.assert_frame_equal(
        one.drop(columns="shown"), other.drop(columns="shown"), rtol=1e-3, atol=1e-6
    )

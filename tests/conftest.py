"""Fixtures of the test suite: random numbers, the sample corpora, the default language model."""

import hashlib
from pathlib import Path

import null_battery_table
import numpy as np
import pytest
import reliability_counts

ROOT_SEED = 271828
ROOT = Path(__file__).resolve().parents[1]


def pytest_terminal_summary(terminalreporter):
    """Counts of what was tried, and rates of the battery."""
    reliability_counts.show(terminalreporter)
    null_battery_table.show(terminalreporter)


def pytest_collection_modifyitems(items):
    """Mark as slow the tests, or all of a file, that tests/slow.txt names."""
    listed = set((ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").split())
    for item in items:
        place = item.nodeid.partition("[")[0].removeprefix("tests/")
        if {place, place.partition("::")[0]} & listed:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def rng(request) -> np.random.Generator:
    """A generator of this test's own, spawned from one root seed by the name of the test.

    Neither the order of the tests nor the worker that runs them changes the numbers.
    """
    digest = hashlib.sha256(request.node.nodeid.encode()).digest()
    spawn_key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.default_rng(np.random.SeedSequence(ROOT_SEED, spawn_key=spawn_key))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real parallel texts beside the project, which is not part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"{folder} is absent: these tests read real parallel texts that the project does not "
            "ship; the built-in corpus is tested without them"
        )
    return folder


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """A runs folder of the test's own."""
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def gemma():
    """The default language model, loaded and checked once per worker, on one thread."""
    torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
    from zspace.sources import models

    torch.set_num_threads(1)
    return models.load("gemma-3-270m")


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Folders of the tiny models of `model_builders`, by architecture."""
    from model_builders import CONFIGS, save_tiny, torch

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("models")
    return {kind: save_tiny(kind, root / kind) for kind in CONFIGS}


@pytest.fixture(scope="session")
def llama(folders):
    """The tiny Llama, loaded once per worker; tests leave it as it is."""
    from zspace.sources import models

    return models.load(folders["llama"])

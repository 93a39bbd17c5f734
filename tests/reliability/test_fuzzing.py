"""A damaged or foreign file ends in a value or in one error of zspace that names it, whatever the damage.

A case is drawn from (target, number): a file of the target, a fault that suits it, and the fault's own
draws. A message that fails here says both; `draw(target, number)` makes the case again.
"""

import contextlib
import resource
import shutil
import signal
import traceback
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra `models` is not installed")

import faults
from targets import TARGETS, Target
from zspace.errors import ZspaceError

FEW, MANY = 300, 10_000
LONGEST = 2100  # signs of a message
SECONDS, MEMORY = 20, 3 << 30  # for one case


class TooLongError(Exception):
    """A loader that does not come back."""


@contextlib.contextmanager
def limits():
    """SECONDS and MEMORY more than is used already, for what is done inside."""

    def ring(*_):
        raise TooLongError(f"more than {SECONDS} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def share(n: int) -> dict[str, int]:
    """How many of n cases each target gets, by its weight."""
    whole = sum(t.weight for t in TARGETS.values())
    return {name: int(np.ceil(n * t.weight / whole)) for name, t in TARGETS.items()}


def draw(name: str, number: int, folder: Path) -> tuple[str, Path]:
    """Harm a file of the target in `folder`; the fault's name and the file."""
    target = TARGETS[name]
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    while True:
        pattern = list(target.harm)[number % len(target.harm)]
        found = sorted(p for p in folder.glob(pattern) if p.is_file())
        path = found[int(rng.integers(len(found)))]
        known = target.harm[pattern]
        fault = list(known)[int(rng.integers(len(known)))]
        if known[fault](path, rng) is not False:
            return fault, path


def fault_of(error: BaseException, target: Target, path: Path, folder: Path) -> str | None:
    """What is wrong with how a case ended; None where nothing is."""
    if not isinstance(error, ZspaceError):
        place = traceback.extract_tb(error.__traceback__)
        own = [f for f in place if "/zspace/" in f.filename] or place
        what = (str(error).splitlines() or [""])[0][:120]
        return f"{type(error).__name__} from {Path(own[-1].filename).name}:{own[-1].name}: {what}"
    message = " ".join(str(error).split())
    names = {path.name, path.stem, *path.relative_to(folder).parts, *target.words}
    if not any(name in message for name in names):
        return f"names no file: {message[:160]}"
    return f"a message of {len(message)} signs" if len(message) > LONGEST else None


def run(name: str, n: int, tmp_path: Path, monkeypatch) -> tuple[int, set[str], list[str]]:
    """n cases of a target: how many ended in a refusal, by which faults, and what went wrong."""
    target, whole, work = TARGETS[name], tmp_path / "whole", tmp_path / "work"
    whole.mkdir()
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZSPACE_RUNS", str(whole))
    target.make(whole)
    monkeypatch.setenv("ZSPACE_RUNS", str(work))
    shutil.copytree(whole, work)
    target.read(work)  # whole, it is read
    refused, seen, wrong = 0, set(), Counter()
    for number in range(n):
        shutil.rmtree(work)
        shutil.copytree(whole, work)
        fault, path = draw(name, number, work)
        seen.add(fault)
        before = {p for p in tmp_path.rglob("*") if work not in p.parents}
        try:
            with limits(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                target.read(work)
        except Exception as error:
            refused += isinstance(error, ZspaceError)
            if what := fault_of(error, target, path, work):
                wrong[f"{what} [{fault} of {path.name}, e.g. case {number}]"] += 1
        assert not faults.trap_of(path).exists(), f"{name} {number}: {path.name} was unpickled"
        assert {p for p in tmp_path.rglob("*") if work not in p.parents} - before <= {
            tmp_path / "cache"
        } | set((tmp_path / "cache").rglob("*")), f"{name} {number}: wrote outside"
    return refused, seen, [f"{count} × {what}" for what, count in wrong.most_common()]


def check(name: str, n: int, tmp_path: Path, monkeypatch, record_property) -> None:
    refused, seen, wrong = run(name, n, tmp_path, monkeypatch)
    assert not wrong, f"{name}, {n} cases:\n" + "\n".join(wrong[:40])
    assert refused > n / 8  # faults do harm
    record_property("fuzz cases", n)
    record_property("fault classes", sorted(seen))
    record_property("loaders", [name])


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_damaged_files_are_values_or_one_line(name, tmp_path, monkeypatch, record_property):
    check(name, share(FEW)[name], tmp_path, monkeypatch, record_property)


@pytest.mark.full
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_files_are_values_or_one_line(name, tmp_path, monkeypatch, record_property):
    check(name, share(MANY)[name], tmp_path, monkeypatch, record_property)


def test_pickled_objects_would_leave_a_file_behind_if_they_were_read(tmp_path):
    """The control of the faults that pickle: the trap does spring."""
    import pickle

    path = tmp_path / "x.pt"
    path.write_bytes(b"")
    faults.BYTES["foreign pickle"](path, np.random.default_rng(0))
    assert not faults.trap_of(path).exists()
    pickle.loads(path.read_bytes())
    assert faults.trap_of(path).exists()

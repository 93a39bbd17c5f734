"""Parts of `machines.py`, without a suite: settings take effect, counts are read, verdicts compared."""

import json
import platform
import subprocess
import sys

import machines
import pytest

SAME = {("claim", "model", "corpus", "zh"): ("refuted", "supported")}
OTHER = {("claim", "model", "corpus", "zh"): ("refuted", "inconclusive")}


def outcome(verdicts=SAME, *, passed=3, failed=0, status=0):
    return machines.Outcome(passed, failed, status, 60.0, verdicts)


def record(folder, language, words):
    folder.mkdir(exist_ok=True)
    rows = [{"language": language, **dict(zip(machines.WORDS, words, strict=True)), "estimate": 0.1}]
    content = {"claim": "claim", "model": "model", "corpus": "corpus", "rows": rows}
    (folder / f"{language}.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("...\n3 passed in 2.00s\n", (3, 0)),
        ("FAILED a - 7 failed\n2 failed, 30 passed, 1 skipped, 4 deselected in 8.1s (0:00:08)\n", (30, 2)),
        ("1 failed, 5 passed, 2 errors in 3s\n", (5, 3)),
        ("1 passed, 1 error in 3s\nsomething after it\n", (1, 1)),
        ("Illegal instruction\n", (0, 0)),
    ],
)
def test_counts_are_those_of_the_last_line_that_counts(log, found):
    assert machines.counts(log) == found


def test_verdicts_are_the_words_of_every_recorded_row(tmp_path):
    record(tmp_path / "ledger", "zh", ("refuted", "supported"))
    record(tmp_path / "ledger", "sw", ("refuted", "inconclusive"))
    found = machines.verdicts(tmp_path / "ledger")
    assert found == SAME | {("claim", "model", "corpus", "sw"): ("refuted", "inconclusive")}
    assert machines.verdicts(tmp_path / "nothing") == {}


def test_differences_name_the_row_the_words_and_the_settings():
    assert machines.differences({"a": SAME, "b": dict(SAME)}) == []
    (line,) = machines.differences({"a": SAME, "b": OTHER, "c": SAME})
    assert line == ("claim, model, corpus, zh: refuted / supported (a, c); refuted / inconclusive (b)")
    (line,) = machines.differences({"a": SAME, "b": {}})
    assert line.endswith("refuted / supported (a); no row (b)")


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (outcome(), 0),
        (outcome(OTHER), 1),
        (outcome({}), 1),
        (outcome(failed=1, status=1), 1),
        (outcome(passed=0, status=5), 1),
    ],
)
def test_exit_status_is_zero_only_if_all_pass_and_agree(monkeypatch, capsys, second, status):
    outcomes = {"sse": outcome(), "two threads": second}
    asked = []
    monkeypatch.setattr(machines, "run", lambda name, words: asked.append((name, words)) or outcomes[name])
    assert machines.main(["--settings", "sse, two threads", "tests/test_x.py", "-k", "word"]) == status
    assert asked == [(name, ["tests/test_x.py", "-k", "word"]) for name in outcomes]
    printed = capsys.readouterr().out
    assert ("all verdicts are the same" in printed) == (second.verdicts == SAME)


def test_unknown_setting_is_refused(capsys):
    with pytest.raises(SystemExit):
        machines.main(["--settings", "sse,mmx"])
    assert "no setting mmx; there are: as it is, two threads, sse, avx, avx2" in capsys.readouterr().err


def test_run_keeps_to_its_own_folder_and_reads_only_what_it_recorded(monkeypatch, tmp_path):
    monkeypatch.setattr(machines, "RUNS", tmp_path)
    record_old = tmp_path / "two-threads" / "ledger"
    record_old.mkdir(parents=True)
    record(record_old, "old", ("refuted", "refuted"))

    def suite(command, *, env, stdout, **_):
        assert command[-2:] == ["verify", "tests/test_x.py"]
        assert (env["ZSPACE_RUNS"], env["OMP_NUM_THREADS"]) == (str(tmp_path / "two-threads"), "2")
        record(tmp_path / "two-threads" / "ledger", "zh", ("refuted", "supported"))
        stdout.write("1 failed, 2 passed in 1s\n")
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(machines.subprocess, "run", suite)
    found = machines.run("two threads", ["tests/test_x.py"])
    assert (found.passed, found.failed, found.status, found.verdicts) == (2, 1, 1, SAME)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="other processors ignore the settings"
)
@pytest.mark.parametrize(
    ("setting", "torch", "openblas"), [("sse", "DEFAULT", "Nehalem"), ("avx2", "AVX2", "Haswell")]
)
def test_settings_reach_the_libraries(setting, torch, openblas, tmp_path):
    pytest.importorskip("torch", reason="the extra `models` is not installed")
    ask = (
        "import json, torch, threadpoolctl, numpy, scipy.linalg; "
        "print(json.dumps([torch.backends.cpu.get_cpu_capability(), sorted({i['architecture'] "
        "for i in threadpoolctl.threadpool_info() if i['internal_api'] == 'openblas'})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env=machines.environment(setting, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [torch, [openblas]]

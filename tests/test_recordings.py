"""Recordings hold what a model wrote and its counterparts, survive the disk, and are made once."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from planted_recordings import planted_recordings
from zspace.errors import ParameterError, StoreError, WeightsUnavailableError
from zspace.sources import models
from zspace.sources.stories import worked
from zspace.states import generation
from zspace.states.generation import recordings, solving

pytest.importorskip("torch", reason="the extra `models` is not installed")

SIZES = {"n_samples": 2, "n_kept": 3, "n_steps": 80, "temperature": 2.0}


def stories_of(*languages):
    rng, found = np.random.default_rng(0), []
    for language in languages:
        solutions = worked.solutions(language, n_scenarios=4, n_draws=1)
        found += worked.prompts(solutions, "reasoning", n_shots=1, rng=rng)
    return found


@pytest.fixture(scope="module")
def recorded(llama):
    prompts, rng = stories_of("en", "sw"), np.random.default_rng(0)
    return solving.record(llama, prompts, rng=rng, twin_seeds=(0, 1), **SIZES)


def test_every_kept_solution_has_its_counterparts_token_by_token(recorded):
    conditions = ["reasoning", "copying", "random-0", "random-1", "plain"]
    assert list(dict.fromkeys(recorded.series["condition"])) == conditions
    tables = [recorded.series[recorded.series["condition"] == c].reset_index(drop=True) for c in conditions]
    assert len(tables[0]) == 6
    same = [table.drop(columns=["condition", "start"]) for table in tables]
    for table in same[1:]:
        pd.testing.assert_frame_equal(table, same[0])
    for i in tables[0].index:
        own = [recorded.tokens[recorded.steps(i + k * 6)].tolist() for k in range(5)]
        assert own[0] == own[1] == own[2] == own[3]
        assert own[4] != own[0]
    assert (recorded.series["n_steps"] >= recordings.MIN_STEPS).all()
    assert not recorded.series["looping"].any()
    assert len(recorded.outcomes) == 16


def test_counterparts_are_what_replay_reads(llama, recorded):
    prompts = stories_of("en", "sw")
    first = recorded.series.iloc[0]
    own = next(p for p in prompts if p.item == first["item"] and p.language == first["language"])
    tokens = recorded.tokens[recorded.steps(0)]
    copying = own.copying(llama.tokenizer.decode(tokens).removeprefix(" "))
    readers = {0: (llama, own.text), 6: (llama, copying), 18: (models.random_twin(llama, 1), own.text)}
    for row, (model, text) in readers.items():
        (trace,) = generation.replay(model, [text], [tokens])
        energy = recorded.update_energy[:, recorded.steps(row)]
        np.testing.assert_allclose(energy, trace.update_energy, rtol=1e-4)


def test_correct_solutions_are_kept_first(llama, monkeypatch):
    prompts = stories_of("en")
    lucky = prompts[3].item
    monkeypatch.setattr(solving.transcripts, "last_result", lambda text: prompts[3].answer)
    options = SIZES | {"n_kept": 1, "n_samples": 6, "n_steps": 200}
    found = solving.record(llama, prompts, rng=np.random.default_rng(1), twin_seeds=(), **options)
    written = found.outcomes
    usable = ~written["looping"] & (written["n_steps"] >= recordings.MIN_STEPS)
    # both kinds are there, and the first one that could be kept is not correct
    assert (usable & written["correct"]).any()
    assert not written.loc[usable.idxmax(), "correct"]
    # one that runs into the limit has no last word, whatever stands there
    assert not found.outcomes.loc[found.outcomes["stopped"] == "length", "correct"].any()
    assert found.series.loc[0, "item"] == lucky


def test_recordings_survive_the_disk(recorded, tmp_path):
    recordings.save(recorded, tmp_path / "r.npz")
    back = recordings.load(tmp_path / "r.npz")
    pd.testing.assert_frame_equal(back.series, recorded.series)
    pd.testing.assert_frame_equal(back.outcomes, recorded.outcomes)
    np.testing.assert_allclose(back.update_energy, recorded.update_energy, rtol=2.1e-3)
    np.testing.assert_allclose(back.log_probability, recorded.log_probability, atol=0.02)
    np.testing.assert_array_equal(back.tokens, recorded.tokens)
    assert back.about == json.loads(json.dumps(recorded.about))
    assert back.pieces == recorded.pieces
    zero = replace(recorded, step_energy=np.where(recorded.step_energy > 1, recorded.step_energy, 0))
    recordings.save(zero, tmp_path / "z.npz")
    assert ((recordings.load(tmp_path / "z.npz").step_energy == 0) == (zero.step_energy == 0)).all()
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    for name in ("bad.npz", "absent.npz"):
        with pytest.raises(StoreError, match="holds no recordings"):
            recordings.load(tmp_path / name)


def test_load_refuses_recordings_with_a_changed_byte(rng, tmp_path, record_property):
    """Or reads what was written: some bytes of a zip file say nothing."""
    path = tmp_path / "r.npz"
    written = planted_recordings(rng, n_scenarios=2)
    recordings.save(written, path)
    whole, refused = path.read_bytes(), 0
    expected = recordings.load(path)
    places = rng.choice(len(whole), 100, replace=False)
    for at in places:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
        try:
            found = recordings.load(path)
        except StoreError as error:
            refused += str(error).startswith(f"{path} holds no recordings (") and "\n" not in str(error)
            continue
        pd.testing.assert_frame_equal(found.series, expected.series)
        for name in ("layers", "update_energy", "step_energy", "log_probability", "entropy", "tokens"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert refused > 90
    record_property("byte edits", len(places))


def changed(path, **arrays):
    """The file at `path` with some of its parts replaced, whole as a zip file."""
    with np.load(path) as content:
        parts = dict(content)
    np.savez(path, **parts | {name: make(parts[name]) for name, make in arrays.items()})


def edited(change):
    """A header in which `change` was made."""

    def make(header):
        content = json.loads(str(header))
        change(content)
        return json.dumps(content)

    return make


FOREIGN = {
    "other shape": ({"tokens": lambda a: a[:-1]}, r"update_energy is int16 of shape"),
    "other type": ({"entropy": lambda a: a.astype(int)}, r"entropy is int64 of shape"),
    "not finite": ({"entropy": lambda a: np.full_like(a, np.nan)}, r"entropy holds numbers that are not fin"),
    "negative": ({"layers": lambda a: -1 - a}, r"layers and tokens are counted from 0"),
    "no class": ({"classes": lambda a: a + 90}, r"classes are indices into word, digit"),
    "no unit": ({"header": edited(lambda h: h.update(unit=0))}, r"unit 0 and about"),
    "no column": (
        {"header": edited(lambda h: h["series"]["columns"].__setitem__(1, "x"))},
        r"no column la",
    ),
    "rows": ({"header": edited(lambda h: h["series"]["data"].append([1]))}, r"a row of a table has more"),
    "text for a count": (
        {"header": edited(lambda h: h["series"]["data"][0].__setitem__(-1, "0"))},
        r"start of series holds something else than counts",
    ),
    "too long": (
        {"header": edited(lambda h: h["series"]["data"][0].__setitem__(-1, 10**6))},
        r"the series end after the \d+ steps",
    ),
    "no JSON": ({"header": lambda _: "{"}, r"JSONDecodeError"),
    "list": ({"header": lambda _: "[]"}, r"TypeError"),
}


@pytest.mark.parametrize(("change", "words"), FOREIGN.values(), ids=FOREIGN)
def test_load_says_what_is_wrong_in_a_file_that_is_whole(rng, tmp_path, change, words):
    path = tmp_path / "r.npz"
    recordings.save(planted_recordings(rng, n_scenarios=2), path)
    recordings.load(path)
    changed(path, **change)
    with pytest.raises(StoreError, match=rf"^{path} holds no recordings \(.*{words}"):
        recordings.load(path)


@pytest.mark.parametrize("name", ["update_energy", "step_energy", "log_probability", "entropy"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_save_refuses_numbers_that_are_not_finite(rng, tmp_path, name, value):
    written = planted_recordings(rng, n_scenarios=2)
    values = getattr(written, name).copy()
    values[..., 7] = value
    where = " of block 3" if name.endswith("energy") else ""
    with pytest.raises(StoreError, match=rf"r.npz: {name}{where} is {value} at step 7\."):
        recordings.save(replace(written, **{name: values}), tmp_path / "r.npz")
    assert not list(tmp_path.iterdir())


def test_select_and_join_undo_each_other(rng):
    both = planted_recordings(rng, languages=("de", "sw"), layers=(3, 9), n_scenarios=4)
    parts = [recordings.select(both, languages=[code]) for code in ("de", "sw")]
    joined = recordings.join(parts)
    again = recordings.select(joined, languages=["de", "sw"])
    pd.testing.assert_frame_equal(again.series, both.series)
    np.testing.assert_array_equal(again.update_energy, both.update_energy)
    np.testing.assert_array_equal(again.tokens, both.tokens)
    few = recordings.select(both, layers=[9], n_kept=2)
    assert few.series.groupby(["condition", "language"]).size().eq(2).all()
    for i in few.series.index:
        one = few.series.loc[i]
        keys = ["condition", "language", "item"]
        (row,) = both.series.index[(both.series[keys] == one[keys]).all(axis=1)]
        own = few.update_energy[0, few.steps(i)]
        np.testing.assert_array_equal(own, both.update_energy[1, both.steps(row)])
    with pytest.raises(ParameterError, match="same layers"):
        recordings.join([few, both])


def test_ensure_records_a_language_once_and_goes_on_where_it_stopped(folders, runs, monkeypatch):
    options = {"n_draws": 1, "n_shots": 1, "twin_seeds": (0,), "progress": False, **SIZES}
    made, record = [], solving.record

    def counted(model, prompts, **more):
        made.append(prompts[0].language)
        if made == ["en", "sw"]:
            raise KeyboardInterrupt
        return record(model, prompts[:4], **more)

    monkeypatch.setattr(solving, "record", counted)
    with pytest.raises(KeyboardInterrupt):
        solving.ensure(str(folders["llama"]), ["en", "sw"], **options)
    found = solving.ensure(str(folders["llama"]), ["en", "sw"], **options)
    assert made == ["en", "sw", "sw"]
    monkeypatch.setattr(solving.models, "load", None)  # nothing is loaded where all is there
    alone = solving.ensure(str(folders["llama"]), ["sw"], **options)
    for path in runs.glob("traces/*/sw.npz"):
        path.write_bytes(path.with_name("en.npz").read_bytes())
    with pytest.raises(StoreError, match=r"sw\.npz is not what its name says"):
        solving.ensure(str(folders["llama"]), ["sw"], **options)
    chosen = recordings.select(found, languages=["sw"])
    np.testing.assert_array_equal(alone.tokens, chosen.tokens)
    assert found.about["temperature"] == 2.0


def test_reread_finds_the_recording_and_notices_another_one(folders, runs, monkeypatch):
    record = solving.record
    monkeypatch.setattr(solving, "record", lambda model, prompts, **more: record(model, prompts[:4], **more))
    options = {"n_draws": 1, "n_shots": 1, "twin_seeds": (0,), "progress": False, **SIZES}
    found = solving.ensure(str(folders["llama"]), ["sw"], **options)
    again = solving.reread(str(folders["llama"]), found, 2)
    assert (again["largest difference of energy"] < 3e-3).all()
    changed = replace(found, update_energy=found.update_energy * 1.05)
    assert (solving.reread(str(folders["llama"]), changed, 1)["largest difference of energy"] > 0.03).all()


def test_reread_says_where_the_weights_are_not_here(recorded, monkeypatch):
    def load(_name):
        raise WeightsUnavailableError("the weights of x cannot be reached")

    monkeypatch.setattr(solving.models, "load", load)
    table = solving.reread("x", recorded, 2)
    assert table.to_numpy().tolist() == [["the weights of x cannot be reached"]]


def test_kept_solutions_are_spread_over_the_scenarios():
    def solution(scenario, item, correct):
        labels = {"language": "en", "scenario": scenario, "item": item, "correct": correct}
        return solving._Kept({**labels, "looping": False, "n_steps": 100}, None)

    written = [solution(s, f"{s}{i}", i != 1) for s in "abc" for i in range(3)]
    kept = [written[i].labels["item"] for i in solving._choose(written, 4)]
    assert kept == ["a0", "a2", "b0", "c0"]  # each scenario once, before one of them again
    assert len(solving._choose(written, 7)) == 7
    assert "a1" in [written[i].labels["item"] for i in solving._choose(written, 7)]


def test_read_refuses_what_is_not_in_the_file(recorded, tmp_path):
    recordings.save(recorded, tmp_path / "r.npz")
    found = solving.read("llama", str(tmp_path / "r.npz"), ["sw"])
    assert found.series["language"].unique().tolist() == ["sw"]
    assert found.outcomes["language"].unique().tolist() == ["sw"]
    with pytest.raises(StoreError, match="holds llama in en, sw; asked for other"):
        solving.read("other", str(tmp_path / "r.npz"), ["sw"])
    with pytest.raises(StoreError, match="asked for llama in en, te"):
        solving.read("llama", str(tmp_path / "r.npz"), ["en", "te"])


def test_record_says_what_is_wrong(llama):
    rng, prompts = np.random.default_rng(0), stories_of("en")
    with pytest.raises(ParameterError, match="'reasoning'"):
        solving.record(llama, [replace(prompts[0], task="copying")], rng=rng)
    with pytest.raises(ParameterError, match="none of 4 solutions has 64 steps"):
        solving.record(llama, prompts, rng=rng, n_steps=20)

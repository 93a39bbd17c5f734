"""Tuning learns solutions and nothing of prompts, keeps its scenarios apart, and survives being killed."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from model_builders import checksum, torch
from zspace import files
from zspace.errors import CorpusError, ModelError, ParameterError, StoreError
from zspace.sources import models
from zspace.sources.models import tuned
from zspace.sources.stories import scenarios, worked
from zspace.states.generation import solving, transcripts, tuning

SMALL = tuning.Recipe(
    **{"languages": ("en", "sw"), "n_solutions": 24, "difficulty": 1, "n_shots": 1, "batch_size": 4},
    **{"n_scored": 2, "learning_rate": 3e-3},
)


@pytest.fixture(scope="module")
def tuned_folder(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "llama-tuned"
    return out, tuning.tune(str(folders["llama"]), out, SMALL, progress=False)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scenarios_trained_on_and_held_out_are_disjoint_and_all_that_there_are(seed):
    trained, held_out = tuning.Recipe(seed=seed).split()
    assert not set(trained) & set(held_out)
    assert {*trained, *held_out} == {one.name for one in scenarios()}
    assert len(held_out) >= 20
    assert tuning.Recipe(seed=seed).split() == (trained, held_out)
    assert tuning.Recipe(seed=seed + 3).split()[1] != held_out


@pytest.mark.parametrize("language", ["en", "te"])
def test_no_held_out_story_is_trained_on_or_shown(language):
    recipe = replace(SMALL, languages=(language,), n_solutions=60, n_shots=2, difficulty=5, n_scored=25)
    trained, held_out = recipe.split()
    seen = tuning.training_prompts(recipe, language)
    assert len(seen) == 60
    told = [one for p in seen for one in (p.own, *p.shots)]
    assert {one.scenario for one in told} == set(trained)
    unseen = tuning.held_out_prompts(recipe, language, tuning.UNSEEN)
    asked = {one.scenario for p in unseen for one in (p.own, *p.shots)}
    assert asked <= set(held_out)
    assert len({p.scenario for p in unseen}) == len(held_out)
    new = tuning.held_out_prompts(recipe, language, tuning.NEW_NUMBERS)
    assert {p.scenario for p in new} <= set(trained)
    numbers = {(p.scenario, *transcripts.equations(p.expected)) for p in new}
    known = {(one.scenario, *transcripts.equations(one.solution)) for one in told}
    assert len(new) == len(unseen) == 25
    assert not numbers & known


def test_what_is_trained_on_is_what_traces_asks_and_checks(llama):
    """Prompt by prompt the texts of `worked.prompts`, then the solution and its end, token by token."""
    prompts = [p for code in SMALL.languages for p in tuning.training_prompts(SMALL, code)]
    for one, prompt in zip(tuning.examples(llama, SMALL), prompts, strict=True):
        start = models.tokenize(llama, [prompt.text])[0][0]
        np.testing.assert_array_equal(one.ids[: one.n_prompt], start)
        written = llama.tokenizer.decode(one.ids[one.n_prompt :])
        assert written == f" {prompt.expected}{worked.END}"
        assert transcripts.last_result(written) == prompt.answer


def test_loss_is_that_of_the_solutions_tokens_alone(llama):
    batch = tuning.examples(llama, SMALL)[:3]
    found = tuning.loss_of(llama.network, batch, llama.padding_id)
    by_hand = []
    for one in batch:
        with torch.inference_mode():
            ids = torch.from_numpy(one.ids.astype(np.int64))[None]
            log_p = llama.network(input_ids=ids).logits[0].double().log_softmax(-1)
        by_hand += [-float(log_p[t - 1, one.ids[t]]) for t in range(one.n_prompt, len(one.ids))]
    assert float(found) == pytest.approx(np.mean(by_hand), rel=1e-5)
    # one token more or less in the mask is another number
    shifted = [replace(one, n_prompt=one.n_prompt - 1) for one in batch]
    assert float(tuning.loss_of(llama.network, shifted, 0)) != pytest.approx(np.mean(by_hand), rel=1e-5)
    longer = [*batch, tuning.Example(np.full(900, 5, np.int32), 899)]
    alone = float(tuning.loss_of(llama.network, longer[-1:], 0))
    n = len(by_hand)
    together = float(tuning.loss_of(llama.network, longer, llama.padding_id))
    assert together == pytest.approx((n * np.mean(by_hand) + alone) / (n + 1), rel=1e-4)


def test_batches_hold_every_example_once_and_little_padding():
    rng = np.random.default_rng(0)
    lengths = rng.integers(100, 900, 5003)
    plan = tuning.batches(lengths, 32, rng=np.random.default_rng(1))
    assert sorted(np.concatenate(plan).tolist()) == list(range(5003))
    assert max(map(len, plan)) == 32
    padded = sum(lengths[rows].max() * len(rows) for rows in plan)
    assert padded < 1.05 * lengths.sum()
    means = np.array([lengths[rows].mean() for rows in plan])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3, "batches come in order of length"
    again = tuning.batches(lengths, 32, rng=np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(plan, again, strict=True))


def test_learning_rate_rises_and_falls_to_almost_nothing():
    rates = np.array([tuning.learning_rate(step, 200, SMALL) for step in range(200)])
    assert rates.argmax() == 10 - 1
    assert rates.max() == pytest.approx(SMALL.learning_rate)
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 1e-3 * SMALL.learning_rate


def test_a_killed_tuning_goes_on_to_the_weights_of_one_that_was_not(
    folders, tuned_folder, tmp_path, monkeypatch
):
    straight, record = tuned_folder
    assert record["steps"] == 12
    assert record["losses"][-1] < 0.9 * record["losses"][0]
    rate, seen = tuning.learning_rate, []

    def killed(step, n_steps, recipe):
        seen.append(step)
        if step == 8 and seen.count(8) == 1:
            raise KeyboardInterrupt
        return rate(step, n_steps, recipe)

    monkeypatch.setattr(tuning, "learning_rate", killed)
    monkeypatch.setattr(tuning, "_KEPT_EVERY", 3)
    out = tmp_path / "again-tuned"
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(str(folders["llama"]), out, SMALL, progress=False)
    assert not out.exists()
    again = tuning.tune(str(folders["llama"]), out, SMALL, progress=False)
    assert seen == [*range(9), *range(6, 12)]
    assert list(tmp_path.glob(".again*checkpoint")) == []
    one, two = (models.load(folder) for folder in (straight, out))
    assert checksum(one.network) == checksum(two.network)
    assert again["scores"] == record["scores"]
    base = models.load(folders["llama"])
    assert checksum(base.network) != checksum(one.network)
    other = tuning.tune(
        str(folders["llama"]), tmp_path / "other-tuned", replace(SMALL, seed=1), progress=False
    )
    assert other["losses"] != record["losses"]


def test_a_tuned_model_is_a_folder_with_its_record(folders, tuned_folder):
    out, record = tuned_folder
    assert json.loads((out / tuned.RECORD).read_text("utf-8")) == json.loads(json.dumps(record))
    assert tuned.record_of(str(out)) == json.loads(json.dumps(record))
    assert tuned.record_of(str(folders["llama"])) is None
    assert record["base"] == models.load(folders["llama"]).identity()
    kinds = {(row["kind"], row["language"]) for row in record["scores"]}
    assert kinds == {(k, code) for k in (tuning.NEW_NUMBERS, tuning.UNSEEN) for code in ("en", "sw")}
    assert models.identity(str(out))["model"] == "llama-tuned"
    # what is there is not made again
    assert tuning.tune(str(folders["llama"]), out, SMALL) == tuned.record_of(str(out))


def test_traces_of_a_tuned_model_ask_about_held_out_scenarios(tuned_folder, runs, monkeypatch):
    out, record = tuned_folder
    asked, plain = [], []
    monkeypatch.setattr(
        solving,
        "plain_text",
        lambda *a, only, **k: plain.append(only) or worked.plain_text(*a, only=only, **k),
    )
    traces = solving.traces

    def written(model, texts, **options):
        asked.extend(texts)
        return traces(model, texts, **options)

    monkeypatch.setattr(solving, "traces", written)
    options = {"n_draws": 1, "n_shots": 1, "difficulty": 1, "twin_seeds": (0,), "progress": False}
    sizes = {"n_kept": 2, "n_steps": 70, "temperature": 2.0}
    found = solving.ensure(str(out), ["en"], **options, **sizes)
    held_out = record["split"]["held_out"]
    assert set(found.outcomes["scenario"]) == set(held_out)
    assert len(asked) == len(held_out)
    questions = [
        w.question for w in worked.solutions("en", n_draws=1, difficulty=1) if w.scenario not in held_out
    ]
    assert not [q for q in questions if any(q in text for text in asked)]
    assert plain
    assert all(only == held_out for only in plain)
    assert found.about["tuned_from"] == "llama"
    assert found.about["scenarios"] == held_out
    assert found.about["model"]["model"] == "llama-tuned"


def test_score_finds_what_is_right(llama, monkeypatch):
    prompts = tuning.held_out_prompts(replace(SMALL, difficulty=3, n_scored=4), "en", tuning.UNSEEN)

    class Written:
        def __init__(self, text, stopped="text"):
            self.text, self.stopped = text, stopped

    texts = [p.expected for p in prompts]
    first = transcripts.equations(texts[1])[0]
    texts[1] = texts[1].replace(f"= {first[3]}", f"= {int(first[3]) + 1}", 1)  # a slip that the answer hides
    texts[2] = texts[2].rpartition("=")[0] + "= 7777"
    written = [Written(text, "length" if i == 3 else "text") for i, text in enumerate(texts)]
    monkeypatch.setattr(tuning, "traces", lambda *a, **k: written)
    table = tuning.score(llama, prompts, n_steps=10)
    assert table["right"].tolist() == [True, False, False, False]
    assert table["answer_right"].tolist() == [True, True, False, False]


def test_greedy_scores_are_those_of_the_likeliest_tokens(llama):
    prompts = tuning.held_out_prompts(replace(SMALL, n_scored=2), "en", tuning.UNSEEN)
    options = {"n_steps": 12, "temperature": tuning._GREEDY, "stop": [worked.END]}
    written = solving.traces(llama, [p.text for p in prompts], rng=np.random.default_rng(5), **options)
    for prompt, trace in zip(prompts, written, strict=True):
        ids = models.tokenize(llama, [prompt.text])[0][0].tolist()
        for token in trace.tokens:
            with torch.inference_mode():
                assert int(llama.network(input_ids=torch.tensor(ids)[None]).logits[0, -1].argmax()) == token
            ids.append(int(token))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_held_out": 9}, "9 scenarios held out; expected 10 to 27 of the 30"),
        ({"n_held_out": 28}, "28 scenarios held out"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"languages": ()}, "no language to tune in"),
    ],
)
def test_recipes_say_what_is_wrong(changes, words):
    with pytest.raises(ParameterError, match=words):
        tuning.Recipe(**changes)


def test_tuning_says_what_is_in_the_way(folders, tuned_folder, tmp_path):
    llama, (there, _) = str(folders["llama"]), tuned_folder
    with pytest.raises(ParameterError, match="'better' does not say that its model is tuned"):
        tuning.tune(llama, tmp_path / "better", SMALL)
    (tmp_path / "tuned-notes").mkdir()
    with pytest.raises(ParameterError, match="holds something else"):
        tuning.tune(llama, tmp_path / "tuned-notes", SMALL)
    with pytest.raises(ParameterError, match="holds another tuning"):
        tuning.tune(llama, there, replace(SMALL, seed=5))
    with pytest.raises(CorpusError, match="no language 'xx'"):
        tuning.tune(llama, tmp_path / "x-tuned", replace(SMALL, languages=("xx",)))
    checkpoint = tmp_path / ".y-tuned.checkpoint"
    checkpoint.write_bytes(b"nothing")
    with pytest.raises(StoreError, match="is no checkpoint"):
        tuning.tune(llama, tmp_path / "y-tuned", SMALL)
    torch.save({"key": "another", "losses": []}, checkpoint)
    with pytest.raises(StoreError, match="is of another tuning"):
        tuning.tune(llama, tmp_path / "y-tuned", SMALL)


def test_a_loss_that_is_not_finite_stops_the_tuning(folders, tmp_path):
    with pytest.raises(ModelError, match="not finite while it is tuned"):
        tuning.tune(
            str(folders["llama"]), tmp_path / "z-tuned", replace(SMALL, learning_rate=1e30), progress=False
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "JSONDecodeError"),
        ("{}", "KeyError"),
        ('{"base": {"model": "m"}, "split": {"held_out": []}}', "no sc"),
    ],
)
def test_records_of_a_tuning_that_are_none_are_refused(tmp_path, content, words):
    (tmp_path / tuned.RECORD).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=words):
        tuned.read(tmp_path / tuned.RECORD)


def test_a_tuned_model_whose_name_hides_it_is_refused(tuned_folder, tmp_path):
    out, _ = tuned_folder
    (tmp_path / "llama").symlink_to(out)
    assert tuned.record_of(str(tmp_path / "llama"))  # a link has the name of what it leads to
    shutil.copytree(out, tmp_path / "solver")
    with pytest.raises(ModelError, match="its name does not say so"):
        tuned.record_of(str(tmp_path / "solver"))


def test_record_says_where_it_was_made(tuned_folder):
    _, record = tuned_folder
    assert record["hardware"]["device"] == "cpu"
    assert record["provenance"]["code"] == files.source_fingerprint()

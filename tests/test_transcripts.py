"""Loops, answers and token classes of generated texts, and the stories that they solve."""

import re

import numpy as np
import pytest
from zspace.errors import CorpusError, ParameterError
from zspace.sources import stories
from zspace.sources.stories import worked
from zspace.states.generation import transcripts

LINE = "He sold 12 of the 64 hats. 64 - 12 = 52\n"


class Spelling:
    """A tokenizer whose ids are places in a list of pieces."""

    def __init__(self, pieces):
        self.pieces = pieces

    def decode(self, ids):
        return "".join(self.pieces[i] for i in ids)


def test_last_result_is_the_number_behind_the_last_equals_sign():
    results = {LINE: "52", LINE + "52 / 4 = 13": "13", "a = -3.": "-3"}
    for text, found in (results | dict.fromkeys(("no equation 7", "x =", ""))).items():
        assert transcripts.last_result(text) == found, text


def test_repeated_share_counts_n_grams_that_stood_before():
    assert transcripts.repeated_share(range(50)) == 0
    assert transcripts.repeated_share([1, 2, 3]) == 0
    assert transcripts.repeated_share([1, 2] * 30, n=4) == pytest.approx(1 - 2 / 57)
    assert transcripts.repeated_share([*range(20), *range(20)], n=8) == pytest.approx(13 / 33)


def test_loops_are_told_from_solutions():
    for language in ("en", "sw", "te", "zh"):
        for one in worked.solutions(language, n_scenarios=6, n_draws=1):
            tokens = [ord(c) for c in one.solution]
            assert not transcripts.is_looping(tokens, one.solution)
            again = one.solution[:40] * 8
            assert transcripts.is_looping([ord(c) for c in again], again)


def test_token_classes_by_what_a_token_spells():
    pieces = [" He", "12", " +", ".", "\n", " =", "్", "\ufffd", " 三", " - 3", ".\n", " "]
    found = transcripts.token_classes(Spelling(pieces), range(len(pieces)))
    words = [transcripts.CLASSES[code] for code in found]
    expected = "word digit operator punctuation newline operator word word word digit newline punctuation"
    assert " ".join(words) == expected


@pytest.mark.parametrize("language", stories.languages())
@pytest.mark.parametrize("difficulty", [1, 5])
def test_worked_solutions_compute_the_answer_of_the_story(language, difficulty):
    found = worked.solutions(language, n_draws=2, difficulty=difficulty, seed=3)
    texts, items = stories.generate([language], version="digits", n_draws=2, difficulty=difficulty, seed=3)
    assert [one.question for one in found] == list(texts[language])
    assert [one.item for one in found] == items["item"].tolist()
    for one, answer in zip(found, items["answer"], strict=True):
        assert one.answer == answer == transcripts.last_result(one.solution)
        lines = one.solution.split("\n")
        assert len(lines) == difficulty
        quantity = None
        for line in lines:
            a, sign, b, result = re.search(r"(\d+) ([-+*/]) (\d+) = (\d+)$", line).groups()
            assert quantity is None or a == quantity
            assert eval(f"{a} {sign} {b}") == int(result)
            quantity = result


def test_prompts_show_other_scenarios_and_end_where_the_model_goes_on():
    found = worked.solutions("de", n_scenarios=6, n_draws=2)
    prompts = worked.prompts(found, "reasoning", n_shots=3, rng=np.random.default_rng(0))
    for own, prompt in zip(found, prompts, strict=True):
        assert prompt.text.endswith(f"Frage: {own.question}\nAntwort:")
        assert own.solution not in prompt.text
        shown = {shot.scenario for shot in prompt.shots}
        assert len(shown) == 3
        assert own.scenario not in shown
        assert prompt.text.count(worked.END) == 3
        copy = prompt.copying("so = 3")
        assert copy.endswith(f"Frage: {own.question}\nAntwort: so = 3\nAntwort:")
        assert all(copy.count(shot.solution) == 2 for shot in prompt.shots)
    copying = worked.prompts(found, "copying", n_shots=3, rng=np.random.default_rng(0))
    assert [p.text for p in copying] == [p.copying(p.own.solution) for p in prompts]
    other = worked.prompts(found, "reasoning", n_shots=3, rng=np.random.default_rng(1))
    assert [p.text for p in other] != [p.text for p in prompts]


def test_worked_stories_say_what_is_wrong():
    few = worked.solutions("en", n_scenarios=2, n_draws=1)
    with pytest.raises(ParameterError, match="only 1 scenarios"):
        worked.prompts(few, "reasoning", n_shots=2, rng=np.random.default_rng(0))
    with pytest.raises(ParameterError, match="reasoning or copying"):
        worked.prompts(few, "guessing", rng=np.random.default_rng(0))
    with pytest.raises(ParameterError, match="difficulty=6"):
        worked.solutions("en", difficulty=6)
    with pytest.raises(CorpusError, match="xx"):
        worked.solutions("xx")


def test_plain_text_tells_all_stories_without_question_or_equation():
    first, rest = worked.plain_text("en", rng=np.random.default_rng(0))
    assert len((first + rest).split("\n")) == len(stories.scenarios())
    assert not re.search(r"[\d=?]", first + rest)
    assert worked.plain_text("en", rng=np.random.default_rng(1))[0] != first

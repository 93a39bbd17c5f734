"""Worked solutions of number stories, and few-shot prompts that ask for them.

A worked solution retells a story one step a line, each followed by its equation in digits:
`He sold 12 of the 64 hats on his stall. 64 - 12 = 52`. Digits are written alike in all languages, so that
what a model computes can be checked by one rule everywhere. Two tasks with the same text to be written:

    reasoning  question, then the solution; the model has to compute it
    copying    question and solution, then the solution once more; the model only has to repeat it
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import ParameterError
from . import MAX_DIFFICULTY, Scenario, apply, draw_names, draw_numbers, scenarios, tell, telling, told

TASKS = ("reasoning", "copying")
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "share": "/"}
END = "\n\n"  # what follows a solution


@dataclass(frozen=True)
class Worked:
    """A story in digits with its solution.

    `item`, `scenario`, `language`; `question` the story, `solution` its lines, `answer` the last result.
    """

    item: str
    scenario: str
    language: str
    question: str
    solution: str
    answer: str


@dataclass(frozen=True)
class Prompt:
    """What a model is given, and what it should write: `expected`, a text that ends before END.

    `shots` are the examples shown, `own` is the story asked about.
    """

    item: str
    scenario: str
    language: str
    task: str
    text: str
    expected: str
    answer: str
    shots: tuple[Worked, ...] = ()
    own: Worked | None = None

    def copying(self, solution: str) -> str:
        """The text that asks for a copy of any solution of this story, with the same examples."""
        return _join(self.shots, replace(self.own, solution=solution), "copying")


def solutions(
    language: str,
    *,
    n_scenarios: int | None = None,
    n_draws: int = 4,
    difficulty: int = MAX_DIFFICULTY,
    seed=0,
    only: Collection[str] | None = None,
    n_distinct: int = 2,
) -> list[Worked]:
    """Worked solutions of the stories of `generate`, the same draws in the same order.

    `only` names scenarios to keep; `n_distinct` is that of `draw_numbers`. Raises CorpusError for a language
    without stories, ParameterError for an impossible size.
    """
    if not 1 <= difficulty <= MAX_DIFFICULTY:
        raise ParameterError(f"difficulty={difficulty!r}; expected a number from 1 to {MAX_DIFFICULTY}")
    content = telling(language)
    found = []
    for scenario in chosen(n_scenarios, only):
        names = draw_names(scenario, language, content, n_draws, seed)
        for j, numbers in enumerate(draw_numbers(scenario, n_draws, seed=seed, n_distinct=n_distinct)):
            words = told(numbers, language, "digits") | names[j]
            lines, answer = _solve(content, scenario, difficulty, numbers, words)
            question = tell(content, scenario.name, difficulty, words)
            item = f"{scenario.name}-{difficulty}-{j:03d}"
            found.append(Worked(item, scenario.name, language, question, "\n".join(lines), answer))
    return found


def chosen(n_scenarios: int | None = None, only: Collection[str] | None = None) -> list[Scenario]:
    """The first `n_scenarios`, of which `only` those named; raises ParameterError for a name of none."""
    if unknown := sorted(set(only or ()) - {s.name for s in scenarios()}):
        raise ParameterError(f"number-stories has no scenario {', '.join(unknown)}.")
    return [s for s in scenarios()[:n_scenarios] if only is None or s.name in only]


def prompts(
    worked: Sequence[Worked], task: str, *, n_shots: int = 2, rng: np.random.Generator
) -> list[Prompt]:
    """A few-shot prompt for each solution, with examples drawn from other scenarios of the same language.

    Raises ParameterError for an unknown task or where there are fewer than `n_shots` other scenarios.
    """
    if task not in TASKS:
        raise ParameterError(f"task={task!r}; expected {' or '.join(TASKS)}")
    told: dict[str, dict[str, list[Worked]]] = {}
    for one in worked:
        told.setdefault(one.language, {}).setdefault(one.scenario, []).append(one)
    found = []
    for own in worked:
        by_scenario = told[own.language]
        names = [name for name in sorted(by_scenario) if name != own.scenario]
        if len(names) < n_shots:
            raise ParameterError(
                f"n_shots={n_shots}, but only {len(names)} scenarios beside that of {own.item}"
            )
        shown = []
        for name in rng.choice(names, n_shots, replace=False):
            candidates = by_scenario[str(name)]
            shown.append(candidates[int(rng.integers(len(candidates)))])
        text = _join(shown, own, task)
        place = (own.item, own.scenario, own.language, task)
        found.append(Prompt(*place, text, own.solution, own.answer, tuple(shown), own))
    return found


def plain_text(
    language: str, *, rng: np.random.Generator, only: Collection[str] | None = None
) -> tuple[str, str]:
    """A text in which nothing is computed, in two parts, its first story and the others: all of them or
    `only` those named, numbers in words, none of their questions, in random order, one story a line.
    """
    content, there = telling(language), chosen(only=only)
    stories = []
    for i in rng.permutation(len(there)):
        scenario = there[i]
        seed = int(rng.integers(2**31))
        numbers = draw_numbers(scenario, 1, seed=seed)[0]
        words = told(numbers, language, "spelled-out") | draw_names(scenario, language, content, 1, seed)[0]
        story = content["stories"][scenario.name]
        stories.append(content["joiner"].join([story["opening"], *story["then"]]).format(**words))
    return stories[0] + "\n", "\n".join(stories[1:])


def _solve(content: dict, scenario, difficulty: int, numbers: Sequence[int], words: dict):
    """Lines of a solution and its last result."""
    story, quantity = content["stories"][scenario.name], numbers[0]
    sentences = [story["opening"], *story["then"][: difficulty - 1]]
    lines = []
    for sentence, (operation, _, _), number in zip(sentences, scenario.steps, numbers[1:], strict=False):
        result = apply(operation, quantity, number)
        lines.append(f"{sentence.format(**words)} {quantity} {SIGNS[operation]} {number} = {result}")
        quantity = result
    return lines, str(quantity)


def _join(shots: Sequence[Worked], own: Worked, task: str) -> str:
    return END.join([*(f"{_block(w, task)} {w.solution}" for w in shots), _block(own, task)])


def _block(worked: Worked, task: str) -> str:
    """Everything before the text that a model has to write, without the space that follows."""
    labels = telling(worked.language)["labels"]
    asked = f"{labels['question']}: {worked.question}\n{labels['answer']}:"
    return asked if task == "reasoning" else f"{asked} {worked.solution}\n{labels['answer']}:"

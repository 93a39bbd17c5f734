"""Number stories: parallel arithmetic problems written by hand in every language.

`scenarios.yaml` holds what happens (the arithmetic), `<language>.yaml` how it is told. A story has a
start quantity and up to five steps; difficulty k tells the first k, then asks for the quantity.
Tuple of numbers: (start, step 1, ..., step 5), called {a} to {f} in the texts. Every language has its
own order of numbers, place of the question and names, so that only the meaning is common to all.

Easier stories are shorter. Two padded variants take that away: sentences that change nothing bring every
difficulty to the length of the hardest one. They are the same for all items of a difficulty and a language,
so that they say nothing about which item it is; what an item has of its own then still grows with difficulty.
In the third, every difficulty tells one and the same story to its end, and a last sentence says after which
step the quantity is asked for: that sentence alone differs.
"""

import functools
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import num2words
import numpy as np
import pandas as pd
import unicode_rbnf
import yaml

from ...errors import CorpusError, ParameterError

FOLDER = Path(__file__).resolve().parent
SMALLEST = 3  # every number and every quantity on the way is at least this: plural in all languages
# "one" and its compounds agree in gender in Spanish and French and are singular in Russian; "six" is
# spelled alike in English and French, a token that would give the number away.
EXCLUDED_LAST_DIGITS = (1, 6)
MAX_DIFFICULTY = 5
INVISIBLE = {ord("\u00ad"): None, ord("\u200b"): None}  # soft hyphen, zero-width space
PATIENCE = 1000  # draws without a new story after which a scenario counts as exhausted
VERSIONS = ("spelled-out", "digits")
# "sentences" matches the length of the hardest stories, "numbers" also how many numbers are told, "story" all
# that is told: only the step asked about differs
PADDINGS = ("none", "sentences", "numbers", "story")
PADDING_NUMBERS = (25, 38, 47, 59, 70, 85)  # of sentences that change nothing; plural in all languages


@dataclass(frozen=True)
class Scenario:
    """What happens, in any language: a start range and (operation, lowest, highest) of five steps."""

    name: str
    category: str
    start: tuple[int, int]
    steps: tuple[tuple[str, int, int], ...]


def languages() -> tuple[str, ...]:
    """Codes of the languages in which the stories are written, English first."""
    found = (path.stem for path in FOLDER.glob("*.yaml") if path.stem != "scenarios")
    return tuple(sorted(found, key=lambda code: (code != "en", code)))


@functools.cache
def scenarios() -> tuple[Scenario, ...]:
    """All scenarios in their committed order, category by category."""
    content = yaml.safe_load((FOLDER / "scenarios.yaml").read_text("utf-8"))
    return tuple(
        Scenario(name, entry["category"], tuple(entry["start"]), tuple(map(tuple, entry["steps"])))
        for name, entry in content.items()
    )


@functools.cache
def telling(language: str) -> dict:
    """Content of `<language>.yaml`: joiner, names and, by scenario, opening, steps and question.

    Raises CorpusError where the stories are not written in that language.
    """
    if language not in languages():
        raise CorpusError(
            f"number-stories has no language {language!r}; it has {', '.join(languages())}. Ask for one of "
            f"these, add sources/stories/{language}.yaml, or load your own folder of <language>.txt files."
        )
    return yaml.safe_load((FOLDER / f"{language}.yaml").read_text("utf-8"))


@functools.cache
def number_words(number: int, language: str, form: str = "") -> str:
    """Cardinal of a whole number in words: by the Unicode locale data (CLDR RBNF), else by num2words.

    `form` is "feminine" or "neuter" where the locale data have such a form beside the citation form. A
    language's own file corrects spellings (`numbers`). Marks for line breaking that nobody writes, which
    the locale data put into German and Thai, are left out; signs are composed (NFC) as in the stories and in
    other texts, where num2words writes a Telugu vowel as two.
    """
    if own := telling(language).get("numbers", {}).get(number):
        return own
    speller = _speller(language)
    if speller is None:
        return unicodedata.normalize("NFC", num2words.num2words(number, lang=language).strip())
    rules = [f"spellout-cardinal-{form}"] if form else None
    purpose = unicode_rbnf.FormatPurpose.CARDINAL
    found = speller.format_number(number, None if rules else purpose, ruleset_names=rules)
    return found.text.translate(INVISIBLE)


@dataclass(frozen=True)
class Told:
    """A number in a template: `{a}` in its citation form, `{a:feminine}` in another."""

    number: int
    language: str
    version: str

    def __format__(self, form: str) -> str:
        if self.version == "digits":
            return str(self.number)
        return number_words(self.number, self.language, form)


def told(numbers: Sequence[int], language: str, version: str) -> dict[str, Told]:
    """The numbers of a story by what the templates call them."""
    return {letter: Told(n, language, version) for letter, n in zip("abcdef", numbers, strict=True)}


@functools.cache  # looks for the locale's rules on the disk and parses them
def _speller(language: str) -> unicode_rbnf.RbnfEngine | None:
    engine = unicode_rbnf.RbnfEngine
    return engine.for_language(language) if language in engine.get_supported_languages() else None


def generate(
    codes: Sequence[str],
    *,
    version: str = "spelled-out",
    n_scenarios: int | None = None,
    n_draws: int = 4,
    difficulty: int | Sequence[int] = 2,
    padding: str = "none",
    seed: int = 0,
) -> tuple[dict[str, tuple[str, ...]], pd.DataFrame]:
    """Texts by language and the table of items, scenario by scenario, difficulty by difficulty.

    `padding` is "none"; "sentences": those sentences that change nothing which bring the mean length of a
    difficulty nearest to that of the hardest; "numbers": the same with sentences that have a number, as
    many as there are steps that are not told, so that all difficulties tell six numbers; or "story": all five
    steps, and a last sentence by which the story ends, for the question, after as many as the difficulty.

    Draw j of a scenario is the same whatever else is asked for, and has the same numbers at every
    difficulty; the first two numbers, hence the texts, differ between the draws of a scenario.

    Raises
    ------
    CorpusError : a language in which the stories are not written.
    ParameterError : unknown version or padding, difficulty outside 1 to 5, too many scenarios or draws.
    """
    levels = _checked(version, n_scenarios, n_draws, difficulty, padding, seed)
    tellings = {code: telling(code) for code in codes}
    texts = {code: [] for code in codes}
    items = []
    for scenario in scenarios()[:n_scenarios]:
        draws = draw_numbers(scenario, n_draws, seed=seed)
        names = {code: draw_names(scenario, code, tellings[code], n_draws, seed) for code in codes}
        for level in levels:
            for j, numbers in enumerate(draws):
                items.append(_item(scenario, level, j, numbers))
                for code in codes:
                    words = told(numbers, code, version) | names[code][j]
                    texts[code].append(_padded(code, scenario.name, level, words, padding, version))
    return {code: tuple(rows) for code, rows in texts.items()}, pd.DataFrame(items)


@functools.lru_cache(4096)  # the same numbers are told in every language, version and padding
def draw_numbers(scenario: Scenario, n_draws: int, *, seed: int) -> tuple[tuple[int, ...], ...]:
    """First `n_draws` tuples of numbers of a scenario, with pairwise different (start, step 1)."""
    rng = stream(seed, scenario.name)
    draws: dict[tuple[int, int], tuple[int, ...]] = {}
    fruitless = 0
    while len(draws) < n_draws:
        numbers = _draw_once(scenario, rng)
        is_new = numbers is not None and numbers[:2] not in draws
        fruitless = 0 if is_new else fruitless + 1
        if is_new:
            draws[numbers[:2]] = numbers
        elif fruitless == PATIENCE:
            raise ParameterError(
                f"n_draws={n_draws}, but the scenario {scenario.name!r} has about {len(draws)} different "
                "stories. Ask for fewer draws or for more scenarios."
            )
    return tuple(draws.values())


def apply(operation: str, quantity: int, number: int) -> int:
    """Quantity after one step; `share` keeps one of `number` equal parts."""
    if operation == "add":
        return quantity + number
    if operation == "subtract":
        return quantity - number
    if operation == "multiply":
        return quantity * number
    if operation == "share" and quantity % number == 0:
        return quantity // number
    raise ParameterError(f"cannot {operation} {quantity} by {number}; known: add, subtract, multiply, share")


def _draw_once(scenario: Scenario, rng: np.random.Generator) -> tuple[int, ...] | None:
    starts = _numbers(*scenario.start)
    quantity = starts[int(rng.integers(len(starts)))]
    numbers = [quantity]
    for operation, low, high in scenario.steps:
        free = [n for n in _numbers(low, high) if n not in numbers]
        whole = [n for n in free if operation != "share" or quantity % n == 0]
        allowed = [n for n in whole if apply(operation, quantity, n) >= SMALLEST]
        if not allowed:
            return None
        numbers.append(allowed[int(rng.integers(len(allowed)))])
        quantity = apply(operation, quantity, numbers[-1])
    return tuple(numbers)


def _numbers(low: int, high: int) -> list[int]:
    return [number for number in range(low, high + 1) if number % 10 not in EXCLUDED_LAST_DIGITS]


def draw_names(scenario: Scenario, code: str, content: dict, n_draws: int, seed: int) -> list[dict[str, str]]:
    """One name of each kind for every draw."""
    rng = stream(seed, scenario.name, code)
    pools = content["names"].items()
    return [{kind: pool[int(rng.integers(len(pool)))] for kind, pool in pools} for _ in range(n_draws)]


def asked_after(language: str, level: int) -> str:
    """The sentence by which a story, for its question, ends after step `level`."""
    phrase = telling(language)["asked_after"]
    return phrase["sentence"].format(step=phrase["steps"][level - 1])


def tell(content: dict, name: str, level: int, words: dict, filler: Sequence[str] = ()) -> str:
    """A story of `level` steps; sentences that change nothing stand between its opening and the rest."""
    story = content["stories"][name]
    sentences = [story["opening"], *filler, *story["then"][: level - 1]]
    sentences.insert(0 if story.get("ask") == "first" else len(sentences), story["question"])
    return content["joiner"].join(sentences).format(**words)


def _padded(code: str, name: str, level: int, words: dict, padding: str, version: str) -> str:
    """A story of that difficulty with what its padding adds."""
    content = telling(code)
    if padding == "story":
        whole = tell(content, name, MAX_DIFFICULTY, words)
        return content["joiner"].join([whole, asked_after(code, level)])
    return tell(content, name, level, words, _filler(code, level, padding, version))


@functools.cache
def _filler(code: str, level: int, padding: str, version: str) -> tuple[str, ...]:
    """The sentences that bring the mean length of a difficulty nearest to that of the hardest."""
    if padding == "none":
        return ()
    offered, joiner = telling(code)["padding"][padding], len(telling(code)["joiner"])
    sizes = [MAX_DIFFICULTY - level] if padding == "numbers" else range(len(offered) + 1)
    numbers = [Told(n, code, version) for n in PADDING_NUMBERS]
    choices = (
        tuple(text.format(n=n) for text, n in zip(chosen, numbers, strict=False))
        for size in sizes
        for chosen in combinations(offered, size)
    )
    lacking = _mean_length(code, MAX_DIFFICULTY, version) - _mean_length(code, level, version)
    return min(choices, key=lambda chosen: abs(sum(joiner + len(text) for text in chosen) - lacking))


@functools.cache
def _mean_length(code: str, level: int, version: str) -> float:
    """Mean number of characters of a language's default draws at one difficulty, not padded."""
    texts, _ = generate([code], version=version, difficulty=level)
    return float(np.mean([len(text) for text in texts[code]]))


def _item(scenario: Scenario, level: int, draw: int, numbers: tuple[int, ...]) -> dict:
    quantity = numbers[0]
    for (operation, _, _), number in zip(scenario.steps[:level], numbers[1:], strict=False):
        quantity = apply(operation, quantity, number)
    return {
        "item": f"{scenario.name}-{level}-{draw:03d}",
        "scenario": scenario.name,
        "category": scenario.category,
        "difficulty": level,
        "answer": str(quantity),
        "group": f"{scenario.name}-{level}",
    }


def stream(seed: int, *names: str) -> np.random.Generator:
    """Generator that depends on the seed and the names alone, not on what else is drawn."""
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(np.frombuffer(digest, "<u4"))))


def _checked(version: str, n_scenarios, n_draws: int, difficulty, padding: str, seed: int) -> tuple[int, ...]:
    levels = tuple(int(k) for k in np.atleast_1d(difficulty))
    if version not in VERSIONS:
        raise ParameterError(f"version={version!r}; number-stories has {' and '.join(VERSIONS)}")
    if padding not in PADDINGS:
        raise ParameterError(f"padding={padding!r}; number-stories has {', '.join(PADDINGS)}")
    if not levels or len(set(levels)) < len(levels) or not all(1 <= k <= MAX_DIFFICULTY for k in levels):
        raise ParameterError(
            f"difficulty={difficulty!r}; expected different numbers from 1 to {MAX_DIFFICULTY}"
        )
    if n_scenarios is not None and not 1 <= n_scenarios <= len(scenarios()):
        raise ParameterError(f"n_scenarios={n_scenarios}; number-stories has 1 to {len(scenarios())}")
    if n_draws < 1:
        raise ParameterError(f"n_draws={n_draws}; expected at least 1")
    if seed < 0:
        raise ParameterError(f"seed={seed}; expected a non-negative whole number")
    return levels

"""What a claim needs of texts, languages and model to be judged at all, and what there is of it.

Each claim declares its needs in `params/claims.yaml` (`needs: {languages: 4, ...}`, each a smallest number,
or `true`), beside those of every pair of languages, `PAIRS`. What parameters decide (a corpus, its languages,
a model) is refused here, before anything is computed. What only the states show, such as a missing control,
is a verdict: `not testable`.

A *fact* is what was found: a number and its words. One that is not known yet (the layers of a model that
was not loaded) refuses nothing.
"""

import functools
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import files
from ..errors import ClaimError, ParameterError, UnmetNeedsError
from ..sources import languages
from ..sources.corpora import Corpus
from ..sources.models import kinds, weights
from ..states import imported

# of centring (a single text is its own mean), and of resampling scenarios
PAIRS = {"languages": 2, "discovery_texts": 2, "confirmation_scenarios": 2}

_MORE = "take more items or scenarios, or smaller blocks"
_LARGER = "take a larger model"
# what can be needed, and what to do about it
REMEDIES = {
    "languages": "name more languages",
    "shares": "add them to params/languages.yaml with their sources, or leave them out",
    "levels": "take number-stories with several levels, or such a corpus",
    "scenarios": _MORE,
    "quarter_texts": _MORE,
    "discovery_texts": _MORE,
    "directions": _MORE,
    "confirmation_items": _MORE,
    "confirmation_scenarios": _MORE,
    "layers": _LARGER,
    "width": _LARGER,
    "residual": "take a decoder with a residual stream",
}
# names of two numbers in the configurations of transformers
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_WIDTH = ("hidden_size", "n_embd", "d_model", "dim")


class Fact(NamedTuple):
    """What was found of one thing that can be needed: its number (or whether it is there), and in words."""

    value: int | bool
    words: str


def check_declared(where: str, needs: Mapping) -> None:
    """Raises ClaimError where declared needs are malformed."""
    for name, least in needs.items():
        whole = isinstance(least, int) and least > 0
        if name not in REMEDIES or not whole:
            raise ClaimError(
                f"{where}: needs {name}: {least!r}; expected a whole number above 0, or true, for one of "
                f"{', '.join(REMEDIES)}."
            )


def require(claims: Iterable[str], facts: Mapping[str, Fact], about: str) -> None:
    """Raises UnmetNeedsError, in one line, where the facts do not meet the needs of claims and of `PAIRS`.

    `about` names what the facts are of.
    """
    wanted = {"a pair of languages": PAIRS} | {one: _declared()[one].get("needs", {}) for one in claims}
    least, who = {}, []
    for claim, needs in wanted.items():
        lacking = {name: k for name, k in needs.items() if name in facts and facts[name].value < k}
        least |= {name: max(k, least.get(name, k)) for name, k in lacking.items()}
        who += [claim] if lacking else []
    if least:
        found = [f"{facts[name].words} ({_expected(name, k)})" for name, k in least.items()]
        what_to_do = "; ".join(dict.fromkeys(REMEDIES[name] for name in least))
        raise UnmetNeedsError(
            f"{about}: found {', '.join(found)}, not enough for {', '.join(who)}. To do: {what_to_do}."
        )


def of_texts(corpus: Corpus, model: str) -> dict[str, Fact]:
    """Facts of a corpus, and of a model as far as they are known without loading it."""
    discovery, _ = corpus.split()
    items = corpus.items
    facts = of_items(corpus.texts, items["scenario"].to_numpy(), discovery, items["difficulty"].to_numpy())
    return facts | of_languages(corpus.languages[1:]) | of_model(model, corpus)


def of_items(
    texts: Mapping[str, Sequence[Hashable]],
    scenario: np.ndarray,
    discovery: np.ndarray,
    levels: np.ndarray | None = None,
) -> dict[str, Fact]:
    """Facts of items whose texts, by language, are equal or not; equal ones have equal states.

    scenario, levels (n,) labels and difficulties; discovery (n,) bool.
    """
    confirmed = len(np.unique(scenario[~discovery]))
    fitted = {code: {rows[i] for i in np.flatnonzero(discovery)} for code, rows in texts.items()}
    quarter = sum(sorted(_texts_by_scenario(texts, scenario))[: len(np.unique(scenario)) // 4])
    counts = {
        "languages": (len(texts), "languages"),
        "scenarios": (len(np.unique(scenario)), "scenarios"),
        "quarter_texts": (quarter, "different texts in the least quarter of the scenarios"),
        "discovery_texts": (min(map(len, fitted.values())), "different texts in the discovery third"),
        "directions": (
            _directions([*fitted.values()]),
            "directions in which they differ",
        ),
        "confirmation_items": (int((~discovery).sum()), "confirmation items"),
        "confirmation_scenarios": (confirmed, "confirmation scenarios"),
    }
    facts = {name: Fact(value, f"{value} {words}") for name, (value, words) in counts.items()}
    return facts if levels is None else facts | {"levels": _levels(scenario, levels)}


def of_languages(codes: Sequence[str]) -> dict[str, Fact]:
    """Of how many languages beside the anchor a share of training text is known."""
    unknown = [code for code in codes if not _has_share(code)]
    n = len(codes) - len(unknown)
    words = f"a known share of text in {n} of {len(codes)} languages beside the anchor"
    return {"shares": Fact(n, f"{words} (not in {', '.join(unknown)})" if unknown else words)}


def of_model(model: str, corpus: Corpus) -> dict[str, Fact]:
    """Layers, width and kind by a model's configuration; none where there is no such file (imported states).

    Raises ModelError where nothing has that name or zspace follows no model of that kind, AbsentStatesError
    where imported states are of other texts.
    """
    if imported.find(model, corpus):
        return {}
    source = weights.find(model)
    folder = Path(source.location)
    try:
        if source.kind == "hub":
            folder = weights.hub_folder(source) / "snapshots" / source.revision
        path = folder / "config.json"
        config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (ImportError, OSError, ValueError, RecursionError):
        return {}  # fetching and loading the model say what is missing or wrong
    return of_configuration(config) | of_kind(source.name, config)


def of_configuration(config: object) -> dict[str, Fact]:
    """Layers and width of a model of transformers, where its configuration names them as most do."""
    if not isinstance(config, Mapping):
        return {}
    inner = config.get("text_config")
    config = {**config, **(inner if isinstance(inner, Mapping) else {})}
    found = {}
    for kind, names in (("layers", _LAYERS), ("width", _WIDTH)):
        numbers = [config[name] for name in names if isinstance(config.get(name), int)]
        found |= of_sizes(**{kind: numbers[0]}) if numbers else {}
    return found


def of_kind(name: str, config: object) -> dict[str, Fact]:
    """Whether the states of a model of that configuration are a residual stream; its kind in words."""
    if not isinstance(config, Mapping) or "model_type" not in config:
        return {}
    kind = kinds.of_config(name, config)
    return {"residual": Fact(kind.residual, f"states that are {kind.label}")}


def of_sizes(*, layers: int | None = None, width: int | None = None) -> dict[str, Fact]:
    """Facts of states or a model of that many blocks and dimensions."""
    known = {"layers": layers, "width": width}
    words = {"layers": "layers", "width": "dimensions"}
    return {name: Fact(value, f"{value} {words[name]}") for name, value in known.items() if value is not None}


@functools.cache
def _declared() -> dict[str, dict]:
    """Entries of `params/claims.yaml`, which `claims.entries` checks."""
    return files.params("claims")


def _expected(name: str, least: int) -> str:
    special = {
        "levels": f"at least {least} needed, and every scenario at each",
        "residual": "a residual stream needed",
    }
    return special.get(name, "needed" if least is True else f"at least {least} needed")


def _texts_by_scenario(texts: Mapping[str, Sequence[Hashable]], scenario: np.ndarray) -> list[int]:
    """How many different texts each scenario has, in the language that has fewest."""
    rows = pd.Series(np.arange(len(scenario))).groupby(scenario).groups.values()
    return [min(len({own[i] for i in of}) for own in texts.values()) for of in rows]


def _directions(fitted: Sequence[set]) -> int:
    """Dimensions in which states of the first and of another language can differ from their means.

    A language with k texts spans k - 1; u texts of both together span no more than u - 1.
    """
    anchor, *others = fitted
    spans = [min(len(anchor) + len(one) - 2, len(anchor | one) - 1) for one in others]
    return max(0, min(spans, default=len(anchor) - 1))


def _levels(scenario: np.ndarray, levels: np.ndarray) -> Fact:
    """Number of difficulties, 0 where a scenario lacks one of them."""
    names, there = sorted(set(levels.tolist())), set(zip(scenario.tolist(), levels.tolist(), strict=True))
    absent = len(set(scenario.tolist())) * len(names) - len(there)
    lacking = f", which {absent} times a scenario lacks" if absent else ""
    return Fact(0 if absent else len(names), f"items of difficulty {', '.join(map(str, names))}{lacking}")


def _has_share(code: str) -> bool:
    try:
        languages.table([code])
    except ParameterError:
        return False
    return True

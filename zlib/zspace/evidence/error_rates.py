"""How often a rule errs: the same rule on simulated worlds whose answer is known.

World "true" carries twice the effect that the claim's bound asks for (or what `Worlds.effects` says), "false"
none of it or its opposite, "null" the largest effect that must not be called supported (on the bound, or
none), "modest" one in between that should be found now and then. The worlds of a claim stand in the folder of
its question, whose docstring names them. `of_pairs` simulates language pairs like those of a run and judges
them by the whole pipeline of a study; `rates` counts verdicts and keeps what it found.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from .. import files
from ..sources.corpora import Corpus
from . import claims, simulated_pairs
from .claims import OperatingCharacteristic
from .language_pairs import LanguagePair
from .rules import Evidence
from .simulated_pairs import NO_MORE, Simulation
from .study import missing_subjects

WORLDS = ("true", "false", "null", "modest")
_TIMES = {"true": 2.0, "false": 0.0, "null": 1.0, "modest": 1.5}  # effect in units of the bound

UNITS_OF_THE_BOUND = {
    "true": "twice the bound",
    "modest": "half as much again as the bound",
    "null": "on the bound",
    "false": "none",
}
# correlation with a share of text, or of two matrices over languages, that a world has
ASSOCIATION = {"true": -0.98, "false": 0.9, "null": 0.0, "modest": -0.8}

# simulate(world, rng) -> evidence
Simulate = Callable[[str, np.random.Generator], Evidence]


@dataclass(frozen=True)
class Size:
    """How much a corpus offers: scenarios, items in each (their rounded mean), languages."""

    n_scenarios: int
    n_draws: int
    n_languages: int

    @property
    def n_confirmed(self) -> int:
        """Scenarios that verdicts rest on: a third is for discovery."""
        return self.n_scenarios - self.n_scenarios // 3


@dataclass(frozen=True)
class Worlds:
    """Simulated evidence of one claim.

    `make(rng)` gives `simulate(world, rng)`; `about` holds what decides it beside the rule and the code;
    `effects` says in words how large the true effect is in each of `WORLDS`.
    """

    claim: str
    make: Callable[[np.random.Generator], Simulate]
    about: Mapping = field(default_factory=dict)
    effects: Mapping[str, str] = field(default_factory=UNITS_OF_THE_BOUND.copy)


def size_of(corpus: Corpus) -> Size:
    """Size of a corpus."""
    n_scenarios = int(corpus.items["scenario"].nunique())
    return Size(n_scenarios, max(1, round(len(corpus) / n_scenarios)), len(corpus.languages))


def rates(worlds: Worlds, *, rng: np.random.Generator, n_simulations: int = 200) -> OperatingCharacteristic:
    """Error rates of a claim's corrected rule, computed once in a runs folder.

    They depend on the rule, on what the worlds are about, on the stream of random numbers and on the code, so
    that the notebooks of several models share them.
    """
    seed = rng.bit_generator.seed_seq
    stream = [seed.entropy, list(seed.spawn_key), seed.n_children_spawned]
    code = files.source_fingerprint("theory", "measures", "series", "evidence")
    rule = claims.rule(worlds.claim)["rules"]
    key = files.fingerprint([worlds.claim, rule, dict(worlds.about), n_simulations, stream, code])
    path = files.runs_root() / "operating" / f"{key}.json"
    with files.lock(path):
        if (found := _kept(path)) is None:
            making, drawing = rng.spawn(2)
            options = {"rng": drawing, "n_simulations": n_simulations}
            found = claims.operating_characteristic(worlds.claim, worlds.make(making), **options)
            content = asdict(found)
            with files.atomic_write(path) as stream:
                json.dump({"content": content, "seal": files.fingerprint(content)}, stream)
    return replace(found, effects=dict(worlds.effects))


def _kept(path: Path) -> OperatingCharacteristic | None:
    """What `rates` kept; None where there is nothing, or something that was changed since."""
    try:
        found = json.loads(path.read_text("utf-8"))
        whole = files.fingerprint(found["content"]) == found["seal"]
        return OperatingCharacteristic(**found["content"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def correlations_in_words(symbol: str, value: Callable[[str], float]) -> dict[str, str]:
    """`Worlds.effects` of a claim about a correlation, whose value in a world is `value(world)`."""
    return {world: f"{symbol} = {value(world):g}" for world in WORLDS}


def of_pairs(simulation: Simulation, pairs: Mapping[str, LanguagePair], seed_spread: float) -> Worlds:
    """Worlds of simulated pairs like those of a run: its items, scenarios, split and number of baselines.

    Layers and dimensions are thinned (`simulated_pairs.shape_of`). Baselines differ by `seed_spread`, the
    standard deviation that the run found, or by a default where it has fewer than two of them. In world
    "false" the trained model is one more of them. Of pairs that lack a control the evidence says so in every
    world.
    """
    study = simulation.study
    absent = {name for pair in pairs.values() for name in missing_subjects(study, pair)}
    if absent:
        missing = Evidence("simulated", unavailable=f"controls missing: {', '.join(sorted(absent))}")
        return Worlds(study.claim, lambda rng: lambda world, rng: missing, {"missing": sorted(absent)})
    shape = simulated_pairs.shape_of(pairs)
    spread = float(f"{seed_spread:.2g}") if np.isfinite(seed_spread) else None

    def make(rng: np.random.Generator) -> Simulate:
        simulate = simulated_pairs.worlds_of(simulation, shape, rng=rng, seed_spread=spread)
        multiples = {**_TIMES, "false": NO_MORE}
        return lambda world, rng: simulate(multiples[world], rng)

    about = {name: np.asarray(value).tolist() for name, value in asdict(shape).items()}
    return Worlds(study.claim, make, {**about, "seed_spread": spread})

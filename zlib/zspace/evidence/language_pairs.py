"""A language pair as the model and all of its controls see it.

A `LanguagePair` holds, for one pair (anchor, language), the hidden states x, y (L+1, n, d) of every
*subject*: the trained model, its baselines, the trained states with their pairing shuffled, a planted
signal, and the model with its quantised weights re-rounded. Row i of x and y is the same item everywhere,
layer 0 the embedding output, layer L the last block's output. `open_pairs` opens them by `states.subjects`,
`simulated_pair` makes them from a world with a known answer.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import AbsentStatesError, ParameterError
from ..measures.resampling import foreign_permutation
from ..measures.subspaces import standardise
from ..sources.corpora import Corpus
from ..sources.models import Subject, kind_of
from ..states import subjects
from .states_in_turn import Pair, StatesInTurn, adding

SEEDS = (0, 1, 2)
# The model and the baselines that every claim on a model is held against, and their names in a pair.
VARIANTS = (
    Subject(),
    *(Subject("random", seed) for seed in SEEDS),
    Subject("random-blocks", 0),
    Subject("permuted-embeddings", 0),
)
TRAINED, *_, RANDOM_BLOCKS, PERMUTED = (one.name for one in VARIANTS)
SHUFFLED, PLANTED = "shuffled pairing", "planted signal"
# enough for a sensitivity row: the model and one random-weight baseline
FEW_VARIANTS = VARIANTS[:2]


@dataclass(frozen=True)
class LanguagePair:
    """States of one language pair under every subject.

    `subjects` maps a subject's name to (x, y), each (L+1, n, d); `scenario` (n,) labels items,
    `group` (n,) the unit within which the within-scenario level compares; `discovery` (n,) is True
    where layers and means are chosen, its complement is where verdicts come from. `tokens` are the
    (n, T) token ids of both languages, padded with -1 (None: imported states without them), `texts` the
    texts themselves (None: simulated). `has_scenarios` is False where every row is its own scenario.
    """

    language: str
    subjects: Mapping[str, Pair]
    scenario: np.ndarray
    group: np.ndarray
    discovery: np.ndarray
    tokens: Pair | None
    has_scenarios: bool = True
    texts: tuple[Sequence[str], Sequence[str]] | None = None

    @property
    def confirmation(self) -> np.ndarray:
        """(n,) bool, the items that verdicts rest on."""
        return ~self.discovery

    @property
    def random_baselines(self) -> tuple[str, ...]:
        """Names of the random-weight baselines."""
        return of_kind("random", self.subjects)

    @property
    def re_rounded(self) -> tuple[str, ...]:
        """Names of the model's re-roundings."""
        return of_kind("re-rounded", self.subjects)

    def means(self, subject: str) -> Pair:
        """Per-layer means (L+1, 1, d) of both languages over the discovery items."""
        x, y = self.subjects[subject]
        return tuple(s[:, self.discovery].mean(1, keepdims=True, dtype=float) for s in (x, y))

    def n_different(self, rows: np.ndarray) -> int:
        """Different texts among rows (n,) bool, in the language with fewer; their number without texts."""
        if self.texts is None:
            return int(rows.sum())
        return min(len({own[i] for i in np.flatnonzero(rows)}) for own in self.texts)

    def lengths(self) -> Pair:
        """Number of tokens (n,) of every item in both languages."""
        return tuple((t >= 0).sum(1) for t in self.tokens)


def of_kind(kind: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names whose subject is of a kind, such as "random"."""
    return tuple(name for name in names if kind_of(name) == kind)


def variants(n_re_rounded: int = 0, n_random: int = len(SEEDS)) -> tuple[Subject, ...]:
    """VARIANTS with that many random-weight baselines, and the model re-rounded that many times.

    `open_pairs` leaves out re-roundings of a model whose weights are not quantised.
    """
    others = (one for one in VARIANTS[1:] if one.kind != "random")
    random = (Subject("random", seed) for seed in range(n_random))
    rounded = (Subject("re-rounded", seed) for seed in range(n_re_rounded))
    return (VARIANTS[0], *random, *others, *rounded)


def open_pairs(
    model: str,
    corpus: Corpus,
    *,
    rng: np.random.Generator,
    pooling: str = "mean",
    first_layer: int = 0,
    variants: Sequence[Subject] = VARIANTS,
    together: Sequence[str] = (),
    progress: bool = True,
) -> dict[str, LanguagePair]:
    """Every language of a corpus paired with its first one (the anchor).

    `pooling` and the poolings captured `together` with it, and which variants exist: see
    `states.subjects.open_states`, whose errors are raised. Layers below `first_layer` are left out: a last
    token's embedding is often one and the same for all items, without a direction to compare. Without token
    ids there is nothing that is made with them. Raises ParameterError where the corpus has one language.
    """
    anchor, *others = corpus.languages
    if not others:
        raise ParameterError(
            f"{corpus.name}: found one language ({anchor}); a pair needs an anchor and at least one more."
        )
    found = subjects.open_states(
        model, corpus, variants, poolings=[pooling], together=together, progress=progress, lazily=True
    )
    discovery, _ = corpus.split()
    states = {
        one.name: data["states"].sel(pooling=pooling).isel(layer=slice(first_layer, None))
        for one, data in found.items()
    }
    pairs = {}
    for language, stream in zip(others, rng.spawn(len(others)), strict=True):
        codes = (anchor, language)
        ids = _both(found[VARIANTS[0]]["token_ids"], codes)
        pair = LanguagePair(
            language=language,
            subjects=StatesInTurn({name: partial(_both, data, codes) for name, data in states.items()}),
            scenario=corpus.items["scenario"].to_numpy(str),
            group=corpus.items["group"].to_numpy(str),
            discovery=np.asarray(discovery, bool),
            tokens=ids if all((one >= 0).any() for one in ids) else None,
            has_scenarios=corpus.has_scenarios,
            texts=tuple(corpus.texts[one] for one in codes),
        )
        pairs[language] = with_controls(pair, rng=stream)
    return pairs


def open_if_there(model: str, corpus: Corpus, **options) -> dict[str, LanguagePair]:
    """`open_pairs`, or nothing where there is no pair, or nobody saved these states (sensitivity rows)."""
    if len(corpus.languages) < 2:
        return {}
    try:
        return open_pairs(model, corpus, **options)
    except AbsentStatesError:
        return {}


def with_controls(pair: LanguagePair, *, rng: np.random.Generator) -> LanguagePair:
    """Add the shuffled pairing and the planted signal, both made from the trained states.

    The shuffle gives every item the translation of another scenario's, of its own stratum of length and
    token overlap wherever that can be, so that what length and shared tokens alone give is still there. The
    planted signal starts from that shuffle and adds to both languages a direction per scenario
    (`plant_scenarios`). There are neither without token ids, or where half of the items are of one scenario.
    """
    sizes = np.unique(pair.scenario, return_counts=True)[1]
    if pair.tokens is None or 2 * sizes.max() > sizes.sum():
        return pair
    shuffle, plant = rng.spawn(2)
    permutation = foreign_permutation(pair.scenario, length_overlap_strata(pair), rng=shuffle)

    def shuffled(subjects: Mapping[str, Pair]) -> Pair:
        x, y = subjects[TRAINED]
        return x, y[:, permutation]

    def planted(subjects: Mapping[str, Pair]) -> Pair:
        stream = copy.deepcopy(plant)  # the same signal whenever it is made
        return plant_scenarios(subjects[SHUFFLED], pair.scenario, rng=stream)

    return replace(pair, subjects=adding(pair.subjects, {SHUFFLED: shuffled, PLANTED: planted}))


def plant_scenarios(
    pair: Pair, scenario: np.ndarray, *, rng: np.random.Generator, strength: float = 2.0
) -> Pair:
    """Add one random direction per scenario to both languages, `strength` spreads long from layer 1 on.

    Layer 0 stays as it is, so that the signal is one that the blocks add, and never falls. A layer's
    spread is the root mean square distance of an item from its language's mean.
    """
    x, y = (np.asarray(s, float) for s in pair)
    names, index = np.unique(scenario, return_inverse=True)
    direction = rng.standard_normal((len(names), x.shape[-1])) / np.sqrt(x.shape[-1])
    size = np.where(np.arange(len(x)) > 0, strength, 0.0)[:, None, None]
    return tuple(s + size * spread(s) * direction[index] for s in (x, y))


def plant_updates(pair: Pair, *, rng: np.random.Generator, strength: float = 1.0) -> Pair:
    """Add to both languages an item vector whose sign alternates from layer to layer.

    Each dimension of an update then carries it at `strength` standard deviations of its own, while a state
    carries at most half an update's worth: the updates agree across languages and the states hardly do. A
    vector of one length for all dimensions would drown the states too, where one dimension outweighs them.
    """
    x, y = (np.asarray(s, float) for s in pair)
    direction = rng.standard_normal(x.shape[1:])
    sign = np.where(np.arange(len(x)) % 2, -0.5, 0.5)[:, None, None]
    planted = []
    for s in (x, y):
        scale = np.diff(s, axis=0).std(1, keepdims=True)
        scale = np.concatenate([scale[:1], (scale[:-1] + scale[1:]) / 2, scale[-1:]])
        planted.append(s + strength * sign * scale * direction)
    return tuple(planted)


def spread(states: np.ndarray) -> np.ndarray:
    """(L, 1, 1) root mean square distance of an item (L, n, d) from the mean of its layer."""
    centred = states - states.mean(1, keepdims=True, dtype=float)
    return np.sqrt((centred**2).sum(-1).mean(1))[:, None, None]


def length_overlap_strata(pair: LanguagePair) -> np.ndarray:
    """(n,) labels: thirds of the pair's summed token count, each halved by its items' own overlap.

    Equal values are never parted, and a half of fewer than four items is not split off.
    """
    length = np.add(*pair.lengths())
    strata = 2 * np.searchsorted(np.quantile(length, [1 / 3, 2 / 3]), length)
    overlap = own_overlap(pair)
    for stratum in np.unique(strata):
        rows = strata == stratum
        upper = rows & (overlap > np.median(overlap[rows]))
        if min(upper.sum(), rows.sum() - upper.sum()) >= 4:
            strata[upper] += 1
    return strata


def own_overlap(pair: LanguagePair) -> np.ndarray:
    """(n,) Jaccard overlap of the token sets of an item and its translation."""
    sets = [[set(row[row >= 0].tolist()) for row in ids] for ids in pair.tokens]
    return np.array([len(a & b) / max(1, len(a | b)) for a, b in zip(*sets, strict=True)])


def standardised(pair: LanguagePair) -> LanguagePair:
    """The pair with every dimension divided by its standard deviation over the discovery items.

    A few outlier dimensions can hold most of the variance of a residual stream, and with it of every
    cosine and distance; this measure gives all dimensions the same weight.
    """
    subjects = {n: tuple(standardise(s, pair.discovery) for s in both) for n, both in pair.subjects.items()}
    return replace(pair, subjects=subjects)


def surface_table(pairs: Mapping[str, LanguagePair]) -> pd.DataFrame:
    """What can be seen of each pair without a model: items, scenarios, token counts, shared tokens."""
    rows = {}
    for language, pair in pairs.items():
        rows[language] = {
            "items": len(pair.scenario),
            "scenarios": len(np.unique(pair.scenario)),
            "confirmation scenarios": len(np.unique(pair.scenario[pair.confirmation])),
        }
        if pair.tokens is None:
            continue
        a, b = pair.lengths()
        rows[language] |= {
            "tokens, anchor": a.mean(),
            "tokens": b.mean(),
            "correlation of lengths": np.corrcoef(a, b)[0, 1],
            "own token overlap": own_overlap(pair).mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def scope(corpus: Corpus, pairs: Mapping[str, LanguagePair]) -> dict:
    """What a verdict on a corpus is about, for the ledger."""
    rounded = max((len(pair.re_rounded) for pair in pairs.values()), default=0)
    return {
        "corpus": corpus.name,
        "version": corpus.version,
        "languages": list(corpus.languages),
        "items": len(corpus.items),
        "scenarios": int(corpus.items["scenario"].nunique()),
        "fingerprint": corpus.fingerprint,
        "pooling": "mean, special tokens excluded",
        "quantised weights re-rounded": f"{rounded} times" if rounded else "not in this run",
    }


def simulated_pair(
    signal: str,
    share: float,
    *,
    rng: np.random.Generator,
    n_scenarios: int = 30,
    n_draws: int = 4,
    n_layers: int = 6,
    dim: int = 32,
) -> LanguagePair:
    """A pair whose trained model shares something across languages in a fraction of its scenarios.

    `signal` is "scenarios" (as `plant_scenarios`) or "updates" (as `plant_updates`). All subjects
    are independent noise walks with a language offset; only the trained one carries the signal, in
    `share` of its scenarios (0 none, 1 all). Token ids are unrelated across languages.
    """
    walks, plant, choice, tokens, controls = rng.spawn(5)
    n = n_scenarios * n_draws
    scenario = np.repeat(np.arange(n_scenarios).astype(str), n_draws)
    streams = zip(VARIANTS, walks.spawn(len(VARIANTS)), strict=True)
    made = {one.name: _noise_pair(n_layers, n, dim, stream) for one, stream in streams}
    pair = made[TRAINED]
    by_scenario = signal == "scenarios"
    planted = plant_scenarios(pair, scenario, rng=plant) if by_scenario else plant_updates(pair, rng=plant)
    aligned = choice.permutation(n_scenarios) < share * n_scenarios
    rows = aligned[scenario.astype(int)][:, None]
    made[TRAINED] = tuple(np.where(rows, a, b) for a, b in zip(planted, pair, strict=True))
    discovery = np.isin(np.arange(n_scenarios), choice.permutation(n_scenarios)[: n_scenarios // 3])
    pair = LanguagePair(
        language="simulated",
        subjects=made,
        scenario=scenario,
        group=scenario,
        discovery=discovery[scenario.astype(int)],
        tokens=tuple(tokens.integers(0, 5000, (n, 12)) for _ in range(2)),
    )
    return with_controls(pair, rng=controls)


def _both(data: xr.DataArray, languages: Sequence[str]) -> Pair:
    return tuple(data.sel(language=one).to_numpy() for one in languages)


def _noise_pair(n_layers: int, n: int, dim: int, rng: np.random.Generator) -> Pair:
    """Two walks of independent unit-variance steps, apart by a fixed offset per language."""
    return tuple(
        np.cumsum(rng.standard_normal((n_layers + 1, n, dim)), 0) + 3 * rng.standard_normal(dim)
        for _ in range(2)
    )

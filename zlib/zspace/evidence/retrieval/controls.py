"""Controls of everything measured on a language model, one table each: what could look like a shared space.

Surface (lengths, fertility, overlap), random-weight baselines, stratified shuffles, a probe for language
identity, attention sinks, rounding of the weights. Retrieval is that of prediction 1 throughout: between
scenarios, centred cosine, layers chosen on discovery items, shown on the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from ...measures import alignment, language_probe, text_baselines
from ...measures.resampling import Interval
from ...sources import corpora, languages, stories
from ...states import subjects
from .. import language_pairs
from ..language_pairs import PERMUTED, RANDOM_BLOCKS, SHUFFLED, TRAINED, LanguagePair, own_overlap
from ..study import draw
from . import by_layer
from .by_layer import SPELLING, SURFACE, aligned_excess, peak_layer, retrieval_outcomes

# scripts that put no space between words (ISO 15924)
UNSPACED = ("Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt")
SINK_POOLINGS = ("median", "trimmed")
STORY_LANGUAGES = stories.languages()


def surface_by_language(corpus: corpora.Corpus, pairs: Mapping[str, LanguagePair]) -> pd.DataFrame:
    """Lengths, fertility and overlap with the anchor by language; the anchor's row stands first.

    Columns: tokens, tokens per word and per character, premium (tokens over the anchor's), own overlap
    (Jaccard of the token sets of an item and its translation), IDF-weighted overlap of translations and of
    unrelated items, correlation of lengths, retrieval by surface overlap and by shared spelling (confirmation
    items). Languages whose states came without token ids have the last column alone.
    """
    anchor = corpus.languages[0]
    lengths = {language: pair.lengths() for language, pair in pairs.items() if pair.tokens is not None}
    rows = {}
    if lengths:
        own, _ = next(iter(lengths.values()))
        rows[anchor] = _fertility(corpus, anchor, own, own)
    for language, pair in pairs.items():
        if language in lengths:
            own, other = lengths[language]
            overlap = text_baselines.mean_token_overlap(*pair.tokens)
            rows[language] = _fertility(corpus, language, other, own) | {
                "own token overlap": float(np.mean(own_overlap(pair))),
                "weighted overlap, translations": overlap.matched,
                "weighted overlap, unrelated": overlap.unmatched,
                "correlation of lengths": float(np.corrcoef(own, other)[0, 1]),
            }
        found = retrieval_outcomes(replace(pair, subjects={}))
        baselines = {f"retrieval by {name}": found[name] for name in (SURFACE, SPELLING) if name in found}
        rows[language] = rows.get(language, {}) | {
            name: float(outcomes[0][:, pair.confirmation].mean()) for name, outcomes in baselines.items()
        }
    # from_dict orders rows of unlike columns as its version likes
    return pd.DataFrame(list(rows.values()), index=list(rows))


def overlap_matrix(pairs: Mapping[str, LanguagePair], anchor: str = "anchor") -> pd.DataFrame:
    """IDF-weighted token overlap of translations minus that of unrelated items, all pairs of languages.

    `anchor` names the pairs' first language. Symmetric, NaN on the diagonal and where states came without
    token ids.
    """
    token_ids = {}
    for code, pair in pairs.items():
        if pair.tokens is not None:
            token_ids.setdefault(anchor, pair.tokens[0])
            token_ids[code] = pair.tokens[1]
    codes = [anchor, *pairs]
    table = pd.DataFrame(np.nan, index=codes, columns=codes)
    for one, other in combinations(token_ids, 2):
        found = text_baselines.mean_token_overlap(token_ids[one], token_ids[other])
        table.loc[one, other] = table.loc[other, one] = found.matched - found.unmatched
    return table


def lengths_by_difficulty(languages: Sequence[str], *, seed: int = 0, n_draws: int = 4) -> pd.DataFrame:
    """Mean characters of the number stories by language, padding and difficulty; no model is needed.

    What the padded variants are for: unpadded, a harder story is a longer one.
    """
    rows = {}
    for padding in stories.PADDINGS:
        for level in range(1, stories.MAX_DIFFICULTY + 1):
            options = {"difficulty": level, "padding": padding, "n_draws": n_draws, "seed": seed}
            texts, _ = stories.generate(languages, **options)
            rows[padding, level] = {code: float(np.mean([len(t) for t in texts[code]])) for code in languages}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["padding", "difficulty"])
    return table


def subjects_at_peak(pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator) -> pd.DataFrame:
    """Retrieval of the model and of every control, each at its own layer chosen on discovery.

    Columns language, subject, layer, estimate, low, high (95 %, confirmation items, by scenario), chance.
    """
    rows = []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        outcomes, chance = retrieval_outcomes(pair), alignment.chance_level(pair.scenario, "between")
        twins = [*pair.random_baselines, RANDOM_BLOCKS, PERMUTED, SHUFFLED, SURFACE, SPELLING]
        names = [name for name in (TRAINED, *twins) if name in outcomes]
        for name, r in zip(names, stream.spawn(len(names)), strict=True):
            layer = peak_layer(pair, outcomes[name])
            values = outcomes[name][layer].mean(0)[pair.confirmation]
            found = draw(pair, rng=r).mean(values, bounds=(0, 1))
            rows.append((pair.language, name, layer, *_limits(found), chance))
    return pd.DataFrame(rows, columns=["language", "subject", "layer", "estimate", "low", "high", "chance"])


def stratified_shuffles(pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator) -> pd.DataFrame:
    """`by_layer.stratified_shuffles` of every language, one below the other."""
    found = [
        by_layer.stratified_shuffles(pair, stream)
        for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True)
    ]
    return pd.concat(found, ignore_index=True)


def language_identity(pairs: Mapping[str, LanguagePair]) -> pd.DataFrame:
    """Held-out accuracy of a probe for the language, beside retrieval, layer by layer.

    The probe is linear, or nonlinear on centred languages (`measures.language_probe`). Columns language,
    subject (trained and random-weight baselines), layer, probe, probe_centred, retrieval.
    """
    tables = []
    for pair in pairs.values():
        for subject in (TRAINED, *pair.random_baselines):
            states = pair.subjects[subject]
            columns = {
                "layer": np.arange(len(states[0])),
                "probe": language_probe.language_probe(states, pair.discovery),
                "probe_centred": language_probe.language_probe(states, pair.discovery, center=True),
                "retrieval": _accuracy(pair, subject),
            }
            tables.append(pd.DataFrame({"language": pair.language, "subject": subject, **columns}))
    return pd.concat(tables, ignore_index=True)


def open_poolings(
    model: str, corpus: corpora.Corpus, *, rng: np.random.Generator, capture_missing: bool = False
) -> dict[str, dict[str, LanguagePair]]:
    """Pairs of the trained model by pooling of SINK_POOLINGS; those not there are left out, or captured."""
    if not capture_missing and not subjects.is_there(model, corpus, poolings=SINK_POOLINGS):
        return {}
    options = {"variants": language_pairs.VARIANTS[:1], "together": SINK_POOLINGS, "progress": False}
    streams = zip(SINK_POOLINGS, rng.spawn(len(SINK_POOLINGS)), strict=True)
    opened = {p: language_pairs.open_if_there(model, corpus, pooling=p, rng=r, **options) for p, r in streams}
    return {pooling: found for pooling, found in opened.items() if found}


def sinks(mean: Mapping[str, LanguagePair], others: Mapping[str, Mapping[str, LanguagePair]]) -> pd.DataFrame:
    """What the first token and those of largest norm contribute to an average, layer by layer.

    `mean` holds mean-pooled pairs, `others` pairs by the poolings of SINK_POOLINGS, as far as they are
    there. Columns language, layer, pooling, retrieval (confirmation items), distance (of the pooled state
    from the mean-pooled one, over the length of the latter; mean over items and both languages), trained
    model.
    """
    tables = []
    for pooling, pairs in {"mean": mean, **others}.items():
        for language, pair in pairs.items():
            both = zip(pair.subjects[TRAINED], mean[language].subjects[TRAINED], strict=True)
            distance = [
                (np.linalg.norm(s - m, axis=-1) / np.linalg.norm(m, axis=-1)).mean(1) for s, m in both
            ]
            retrieval = _accuracy(pair, TRAINED)
            columns = {"layer": np.arange(len(retrieval)), "pooling": pooling, "retrieval": retrieval}
            columns["distance"] = np.mean(distance, axis=0)
            tables.append(pd.DataFrame({"language": language, **columns}))
    return pd.concat(tables, ignore_index=True)


def re_roundings(pairs: Mapping[str, LanguagePair], *, rng: np.random.Generator) -> pd.DataFrame:
    """The excess of prediction 1 ("aligned") of the model and of each re-rounding of its quantised weights.

    Columns language, weights, estimate, low, high. A pair without re-roundings has the stored weights
    alone, one without the controls of that claim has no row.
    """
    rows = []
    for pair, stream in zip(pairs.values(), rng.spawn(len(pairs)), strict=True):
        outcomes = retrieval_outcomes(pair)
        if not pair.random_baselines or SURFACE not in outcomes:
            continue
        names = {"as stored": TRAINED, **{name: name for name in pair.re_rounded}}
        for (words, name), r in zip(names.items(), stream.spawn(len(names)), strict=True):
            found = aligned_excess(pair, {**outcomes, TRAINED: outcomes[name]}, TRAINED, rng=r)
            rows.append((pair.language, words, *_limits(found)))
    return pd.DataFrame(rows, columns=["language", "weights", "estimate", "low", "high"])


def _accuracy(pair: LanguagePair, subject: str) -> np.ndarray:
    """(L+1,) retrieval of the confirmation items."""
    alone = replace(pair, subjects={subject: pair.subjects[subject]}, tokens=None, texts=None)
    return retrieval_outcomes(alone)[subject][..., pair.confirmation].mean((1, 2))


def _limits(interval: Interval) -> tuple[float, float, float]:
    return tuple(float(getattr(interval, name)) for name in ("estimate", "low", "high"))


def _fertility(corpus: corpora.Corpus, language: str, own: np.ndarray, reference: np.ndarray) -> dict:
    spaced = languages.script(language) not in UNSPACED
    found = text_baselines.fertility(corpus.texts[language], own, reference, spaced=spaced)
    return {
        "tokens": found.tokens,
        "tokens per word": found.per_word,
        "tokens per character": found.per_character,
        "premium": found.premium,
    }

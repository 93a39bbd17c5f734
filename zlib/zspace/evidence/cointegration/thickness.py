"""Conjecture 7: do the speed at which languages "adjust" and the conditioning of bridges measure one thing?

Both are said to measure how thick the wrapper of a language is. The two forward passes do not interact, so a
nonzero speed is expected by construction. Only the *excess* of the log ratio of two languages' speeds over
that of shuffled pairs is interpretable.

|excess| on one half of the scenarios is correlated with the excess of log kappa on the other, over all pairs
of languages, by permuting languages (QAP), as in prediction 6. A measure that does not correlate with itself
from half to half cannot correlate with another one: each measure against itself is a positive control.
"""

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...measures.components import depth_components, shared_series
from ...series import cointegration
from ..bridges import bridging
from ..bridges.bridging import PERMUTED_LANGUAGES
from ..error_rates import Size, Worlds, correlations_in_words, strength_of
from ..language_pairs import TRAINED, LanguagePair
from ..rules import Evidence

CLAIM = "conjecture_7_thickness"
KAPPA_ITSELF, SPEEDS_THEMSELVES = "kappa against itself", "speeds against themselves"
# the half of the scenarios that each is measured on stands behind its name
_KAPPA, _RATIO = ("log_kappa_excess", "log_kappa_excess_other"), ("log_ratio_size_other", "log_ratio_size")
MEASURES = (_KAPPA[0], _RATIO[1])
_RELIABILITY = {KAPPA_ITSELF: _KAPPA, SPEEDS_THEMSELVES: _RATIO}


@dataclass(frozen=True)
class ThicknessResult:
    """Two matrices over languages, from both halves of the scenarios.

    pairs : subject, first, second, log_kappa_excess (half A; "..._other" half B), log_ratio (of the
        first's speed to the second's), log_ratio_excess, low, high (its 95 % limits by scenario; infinite
        where a speed may be 0), log_ratio_size (its absolute value; all half B; "..._other" half A),
        r2 (of bridges, held out).
    correlations : subject, r, p (two-sided, QAP), critical (smallest |r| with p below .05); empty with too
        few languages.
    evidence : of `CLAIM`.
    """

    pairs: pd.DataFrame
    correlations: pd.DataFrame
    evidence: Evidence


def wrapper_thickness(
    pairs: Mapping[str, LanguagePair],
    anchor: str,
    *,
    rng: np.random.Generator,
    subjects=(TRAINED,),
    n_components: int = 1,
    n_shuffles: int = 99,
) -> ThicknessResult:
    """Both measures over all pairs of languages, for the model and further subjects, where they are there.

    With fewer than `bridging.MIN_LANGUAGES` languages both are measured and the evidence is unavailable.
    Raises ParameterError with too few scenarios for four parts.
    """
    splitting, measuring, judging = rng.spawn(3)
    scenario = next(iter(pairs.values())).scenario
    parts = bridging.quarters(scenario, splitting)
    there = [name for name in subjects if all(name in pair.subjects for pair in pairs.values())]
    states = {name: bridging.by_language(pairs, anchor, name) for name in there}
    options = {"n_components": n_components, "n_shuffles": n_shuffles}
    streams = measuring.spawn(len(states))
    tables = {
        name: measure_pairs(one, parts, scenario, rng=stream, **options)
        for (name, one), stream in zip(states.items(), streams, strict=True)
    }
    table = pd.concat([table.assign(subject=name) for name, table in tables.items()], ignore_index=True)
    languages = tuple(states[TRAINED])
    if reason := bridging.too_few(len(languages)):
        unavailable = Evidence(unavailable=reason, n_items=len(scenario))
        return ThicknessResult(table, bridging.correlation_table({}), unavailable)
    controlling, *streams = judging.spawn(1 + len(tables))
    found = {
        name: bridging.correlation(table, languages, rng=stream, columns=MEASURES)
        for (name, table), stream in zip(tables.items(), streams, strict=True)
    }
    found |= control_correlations(tables[TRAINED], languages, controlling)
    evidence = bridging.conditioning_evidence(found, len(scenario), positive=tuple(_RELIABILITY))
    return ThicknessResult(table, bridging.correlation_table(found), evidence)


def control_correlations(
    table: pd.DataFrame, languages: tuple[str, ...], rng: np.random.Generator
) -> dict[str, bridging.Correlation]:
    """Each measure against itself, and both with languages moved on by one, as `bridging.correlation`."""
    *streams, moving = rng.spawn(len(_RELIABILITY) + 1)
    found = {
        name: bridging.correlation(table, languages, rng=stream, columns=columns)
        for (name, columns), stream in zip(_RELIABILITY.items(), streams, strict=True)
    }
    found[PERMUTED_LANGUAGES] = bridging.correlation(
        table, languages, rng=moving, moved=True, columns=MEASURES
    )
    return found


def measure_pairs(
    states: Mapping[str, np.ndarray],
    parts: tuple[np.ndarray, ...],
    scenario: np.ndarray,
    *,
    rng: np.random.Generator,
    **options,
) -> pd.DataFrame:
    """Both measures on both halves, one row per pair; columns as in `ThicknessResult.pairs`.

    The larger quarters come first and are half B, where the intervals of speeds are from. Components of a
    half are fitted to the other.

    states : language -> (L+1, n, d).  parts : four (n,) masks over whole scenarios, disjoint.
    """
    by_half = []
    for order, stream in zip((parts, (*parts[2:], *parts[:2])), rng.spawn(2), strict=True):
        bridged, drawn = stream.spawn(2)
        here, there = order[0] | order[1], order[2] | order[3]
        kappa = bridging.pair_table(states, order, rng=bridged).drop(columns="gap_excess")
        speeds = adjustment_table(states, (there, here), scenario, rng=drawn, **options)
        speeds["log_ratio_size"] = speeds["log_ratio_excess"].abs()
        by_half.append((kappa, speeds))
    (kappa_b, speeds_b), (kappa_a, speeds_a) = by_half
    both = speeds_b.assign(**{_RATIO[0]: speeds_a["log_ratio_size"], _KAPPA[1]: kappa_b["log_kappa_excess"]})
    return kappa_a.merge(both, on=["first", "second"])


def adjustment_table(
    states: Mapping[str, np.ndarray],
    parts: tuple[np.ndarray, np.ndarray],
    scenario: np.ndarray,
    *,
    rng: np.random.Generator,
    n_components: int = 1,
    n_shuffles: int = 99,
) -> pd.DataFrame:
    """Ratio of the speeds of every two languages: first, second, log_ratio, log_ratio_excess, low, high.

    Components are fitted to the first of two parts and speeds measured on the second.

    states : language -> (L+1, n, d).  parts : two (n,) masks over whole scenarios, disjoint.
    """
    train, test = parts
    n_axes = bridging.components_allowed(int(train.sum()))
    scores = {k: depth_components(s, train, n_axes) for k, s in states.items()}
    couples = list(itertools.combinations(states, 2))
    rows = []
    for couple, stream in zip(couples, rng.spawn(len(couples)), strict=True):
        h1, h2 = shared_series(*(scores[k] for k in couple), train, n_components)
        with warnings.catch_warnings():
            # of few groups, which the interval says as well
            warnings.simplefilter("ignore", UserWarning)
            found = cointegration.shuffled_adjustment(
                h1[test], h2[test], groups=scenario[test], rng=stream, n_shuffles=n_shuffles
            )
        rows.append((*couple, np.log(found.ratio), found.log_ratio_excess, found.low, found.high))
    columns = ["first", "second", "log_ratio", "log_ratio_excess", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def worlds(size: Size) -> Worlds:
    """Matrices of which the speeds' correlates with the conditioning's by `error_rates.ASSOCIATION`.

    Each half adds noise of a tenth of a matrix's variance.
    """

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        if reason := bridging.too_few(size.n_languages):
            return Evidence("simulated", unavailable=reason)
        drawing, judging, controlling = rng.spawn(3)
        table, names = simulated_table(strength_of(world), drawing, size.n_languages)
        found = {TRAINED: bridging.correlation(table, names, rng=judging, columns=MEASURES)}
        found |= control_correlations(table, names, controlling)
        return bridging.conditioning_evidence(found, positive=tuple(_RELIABILITY))

    effects = correlations_in_words("r", strength_of)
    return Worlds(CLAIM, lambda rng: simulate, {"n_languages": size.n_languages}, effects)


def simulated_table(
    follows: float, rng: np.random.Generator, n_languages: int, *, noise: float = 0.1
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Columns of `ThicknessResult.pairs` that are correlated, and the languages' names."""
    names = tuple(f"language {i}" for i in range(n_languages))
    table, *measures = bridging.related_matrices(names, follows, rng)
    for measure, halves in zip(measures, (_KAPPA, _RATIO), strict=True):
        for half in halves:
            # off the diagonal the variance of a matrix is 2
            blurred = measure + np.sqrt(2 * noise) * rng.standard_normal(measure.shape)
            table[half] = blurred[np.triu_indices(n_languages, 1)]
    return table, names

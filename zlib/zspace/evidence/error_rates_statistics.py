"""Operating characteristics of the rules on depth and bridges, simulated where the rule begins.

Worlds of `claims.operating_characteristic` whose data would take too long to draw many hundred times are
drawn as the statistics that the rule judges. Slopes and gaps of every subject are normal, with standard
errors like those of a model on twenty confirmation scenarios, which shrink with their number. Shares,
depths and matrices over languages are drawn themselves, and go through the same permutations as the
model's.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ..measures.resampling import interval_of
from ..sources import languages
from .alignment_depth import activity, language_depth, problem_depth
from .bridges import bridging
from .cointegration import layer_time, thickness
from .language_pairs import PERMUTED, PLANTED, SHUFFLED, TRAINED
from .rules import Control, Evidence, bound_of
from .shared_subspace import shared_dimension
from .study import N_RESAMPLES, excess_over

_TWINS = ("random-0", "random-1", "random-2")
_REFERENCE = 20  # confirmation scenarios that the standard errors are of
_TIMES = {"true": 10.0, "false": 0.0, "null": 1.0, "modest": 2.0}  # effect in units of the bound
# correlation with the share, or of both matrices, that a world has
_ASSOCIATION = {"true": -0.98, "false": 0.9, "null": 0.0, "modest": -0.8}
_ERRORS = {
    problem_depth.CLAIM: {"area_loss_excess": 0.15},
    activity.IN_MODELS: {"activity_excess": 0.02, "conflict_excess": 0.02, "snr_excess": 0.02},
    bridging.AFFINE: {"gap_excess": 0.01, "gap_growth": 0.015, "held_out_r2": 0.05},
    layer_time.TIME: {"own_gain": 0.045, "common_share": 0.15, "own_r2": 0.07},
    # of Gemma 3 270M (.08 to .34 for an excess over ten scenarios), and of walks with one shared dimension
    shared_dimension.CLAIM: {"shared_excess": 0.1},
}
_NEGATIVE = {
    problem_depth.CLAIM: (*_TWINS, SHUFFLED, activity.PERMUTED_LEVELS),
    activity.IN_MODELS: (*_TWINS, activity.PERMUTED_LEVELS, activity.ACTIVITY_ALONE),
    bridging.AFFINE: (SHUFFLED, bridging.ROTATION),
    layer_time.TIME: (layer_time.ONE_MAP,),
    shared_dimension.CLAIM: (*_TWINS, PERMUTED, SHUFFLED),
}
_POSITIVE = {layer_time.TIME: layer_time.OWN_MAPS}  # where it is not the planted signal
_MATRICES = (bridging.CONDITIONING, thickness.CLAIM)
CLAIMS = (*_ERRORS, language_depth.DEPTH, language_depth.MECHANISM, *_MATRICES, layer_time.RANK)


def worlds(
    claim: str, rules: dict, *, n_scenarios: int, n_languages: int
) -> Callable[[str, np.random.Generator], Evidence]:
    """simulate(world, rng) -> Evidence of one of `CLAIMS`, for `claims.operating_characteristic`."""
    if claim in _ERRORS:
        bounds = {s: bound_of(s, b)[1] for s, b in rules["as_corrected"].items()}
        return lambda world, rng: _slopes(claim, bounds, world, rng, n_scenarios)
    if claim in _MATRICES and (reason := bridging.too_few(n_languages)):
        return lambda world, rng: Evidence("simulated", unavailable=reason)
    if claim == bridging.CONDITIONING:
        return lambda world, rng: _matrices(world, rng, n_languages)
    if claim == thickness.CLAIM:
        return lambda world, rng: thickness.simulated_evidence(_strength(world), rng, n_languages)
    if claim == layer_time.RANK:
        return lambda world, rng: layer_time.simulated_rank(world, rng, n_scenarios - n_scenarios // 3)
    # the orders of eight languages are counted many thousand times here, those of more take too long
    return lambda world, rng: _depths(world, rng, min(n_languages - 1, 8))


def _slopes(claim: str, bounds: dict, world: str, rng: np.random.Generator, n_scenarios: int) -> Evidence:
    confirmed = n_scenarios - n_scenarios // 3
    scale = np.sqrt(_REFERENCE / confirmed)
    names = list(_ERRORS[claim])
    errors = np.array([_ERRORS[claim][s] for s in names]) * scale
    effect = np.array([bounds.get(s, 0.5) for s in names])  # what only a condition asks for is there
    drawn, positive = {}, _POSITIVE.get(claim, PLANTED)
    for subject in (TRAINED, positive, *_NEGATIVE[claim]):
        times = _TIMES[world] if subject == TRAINED else _TIMES["true"] if subject == positive else 0.0
        true = effect * np.where([s in bounds for s in names], times, 1.0)
        one = true + errors * rng.standard_normal(len(names))
        many = one[:, None] + errors[:, None] * rng.standard_normal((len(names), N_RESAMPLES))
        drawn[subject] = (one, many, confirmed)
    statistics = {}
    for subject, (one, many, n) in drawn.items():
        others = [twin for twin in _TWINS if twin in drawn and twin != subject]
        statistics[subject] = {
            s: excess_over(drawn, subject, others, i) if others else interval_of(one[i], many[i], n)
            for i, s in enumerate(names)
        }
    return _with_controls(statistics, {positive: "positive"})


def _depths(world: str, rng: np.random.Generator, n: int) -> Evidence:
    share = rng.standard_normal(n)
    proxies = {p: share + 0.2 * rng.standard_normal(n) for p in languages.PROXIES}
    rho = _ASSOCIATION[world]
    y = {TRAINED: rho * share + np.sqrt(1 - rho**2) * rng.standard_normal(n)}
    y |= {twin: rng.standard_normal(n) for twin in _TWINS}
    statistics = {}
    for subject in (*y, language_depth.SORTED):
        found = {}
        for proxy, x in proxies.items():
            values = -x if subject == language_depth.SORTED else y[subject]
            one, _ = language_depth.rank_test(x, values, rng=rng)
            found |= {f"{outcome}_rho_{proxy}": one for outcome in language_depth.OUTCOMES}
        statistics[subject] = found
    return _with_controls(statistics, {language_depth.SORTED: "positive"})


def _matrices(world: str, rng: np.random.Generator, n: int) -> Evidence:
    names = tuple(f"language {i}" for i in range(n))
    first, second = np.triu_indices(n, 1)
    tables = {}
    for subject, strength in ((TRAINED, _strength(world)), (PLANTED, 0.98)):
        kappa, other = (rng.standard_normal((n, n)) for _ in range(2))
        kappa, other = kappa + kappa.T, other + other.T
        gap = strength * kappa + np.sqrt(1 - strength**2) * other
        columns = {"first": np.array(names)[first], "second": np.array(names)[second], "r2": 0.5}
        values = {"log_kappa_excess": kappa[first, second], "gap_excess": gap[first, second]}
        tables[subject] = pd.DataFrame({**columns, **values})
    moved = dict(zip(names, np.roll(names, 1).tolist(), strict=True))
    statistics = {s: bridging.correlation(table, names, rng=rng)[0] for s, table in tables.items()}
    shifted = bridging.correlation(tables[TRAINED], names, rng=rng, renamed=moved)
    statistics[bridging.PERMUTED_LANGUAGES] = shifted[0]
    return _with_controls(statistics, {PLANTED: "positive"})


def _strength(world: str) -> float:
    """Correlation of two matrices over languages in a world."""
    return abs(min(_ASSOCIATION[world], 0.0))


def _with_controls(statistics: dict, kinds: dict[str, str]) -> Evidence:
    controls = tuple(
        Control(name, kinds.get(name, "negative"), found)
        for name, found in statistics.items()
        if name != TRAINED
    )
    return Evidence(language="simulated", statistics=statistics[TRAINED], controls=controls)

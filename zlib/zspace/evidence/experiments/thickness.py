"""Conjecture 7: do the speed at which languages "adjust" and the conditioning of bridges measure one thing?

Both are said to measure how thick the wrapper of a language is. Forward passes of two languages never meet,
so that a speed of adjustment has a value without any contact: the *excess* of the log ratio of two
languages' speeds is over shuffled pairings. |excess| on one half of the scenarios is correlated with the
excess of log kappa on the other, over all pairs, by permuting languages (QAP), as in prediction 6.
"""

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import ParameterError
from ...measures.components import depth_components, shared_series
from ...series import cointegration
from ..panels import PLANTED, TRAINED, Panel
from ..rules import Control, Evidence
from . import bridging
from .bridging import PERMUTED_LANGUAGES
from .common import again

CLAIM = "conjecture_7_thickness"
MEASURES = ("log_kappa_excess", "log_ratio_size")
_THICKEST = 12.0  # condition number of the thickest wrapper that is planted
_SLOWEST, _NOISE = 0.05, 0.3  # its speed, and the noise of a layer in units of its spread


@dataclass(frozen=True)
class ThicknessResult:
    """Two matrices over languages.

    pairs : subject, first, second, log_kappa_excess (half A), log_ratio (of the first's speed to the
        second's), log_ratio_excess, low, high (its 95 % limits by scenario; half B), log_ratio_size (its
        absolute value), r2 (of bridges, held out).
    correlations : subject, r, p (two-sided, QAP), critical (smallest |r| with p below .05).
    evidence : of `CLAIM`.
    """

    pairs: pd.DataFrame
    correlations: pd.DataFrame
    evidence: Evidence


def wrapper_thickness(
    panels: Mapping[str, Panel],
    anchor: str,
    *,
    rng: np.random.Generator,
    subjects=(TRAINED,),
    n_components: int = 1,
    n_shuffles: int = 99,
) -> ThicknessResult:
    """Both measures over all pairs of languages, for the model, further subjects and what is planted.

    Raises ParameterError with fewer than four languages or too few scenarios for four parts.
    """
    if len(panels) < 3:
        raise ParameterError(f"{len(panels) + 1} languages; at least 4 are needed to permute them.")
    splitting, planting, measuring, judging = rng.spawn(4)
    scenario = next(iter(panels.values())).scenario
    parts = bridging.quarters(scenario, splitting)
    states = {name: bridging.by_language(panels, anchor, name) for name in subjects}
    states[PLANTED] = plant_wrappers(states[TRAINED], anchor, parts[0], rng=planting)
    options = {"n_components": n_components, "n_shuffles": n_shuffles}
    tables = {name: _pairs(one, parts, scenario, again(measuring), **options) for name, one in states.items()}
    languages = tuple(states[TRAINED])

    def correlate(table, **renamed):
        return bridging.correlation(table, languages, rng=again(judging), columns=MEASURES, **renamed)

    found = {name: correlate(table) for name, table in tables.items()}
    moved = dict(zip(languages, np.roll(languages, 1).tolist(), strict=True))
    found[PERMUTED_LANGUAGES] = correlate(tables[TRAINED], renamed=moved)
    kinds = {PLANTED: "positive", PERMUTED_LANGUAGES: "negative"}
    controls = tuple(Control(name, kind, found[name][0]) for name, kind in kinds.items())
    evidence = Evidence(statistics=found[TRAINED][0], controls=controls, n_items=len(scenario))
    rows = [
        (name, float(one["mantel_r"].estimate), p, critical) for name, (one, p, critical) in found.items()
    ]
    pairs = pd.concat([table.assign(subject=name) for name, table in tables.items()], ignore_index=True)
    return ThicknessResult(pairs, pd.DataFrame(rows, columns=["subject", "r", "p", "critical"]), evidence)


def adjustment_table(
    states: Mapping[str, np.ndarray],
    parts: tuple[np.ndarray, ...],
    scenario: np.ndarray,
    *,
    rng: np.random.Generator,
    n_components: int = 1,
    n_shuffles: int = 99,
) -> pd.DataFrame:
    """Ratio of the speeds of every two languages, a row a pair; columns as in `ThicknessResult.pairs`.

    Components are fitted to the first of two parts and speeds measured on the second.

    states : language -> (L+1, n, d).  parts : two (n,) masks over whole scenarios, disjoint.
    """
    train, test = parts
    n_axes = bridging.n_components(int(train.sum()))
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


def plant_wrappers(
    states: Mapping[str, np.ndarray], anchor: str, train: np.ndarray, *, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """As many languages that do adjust to the anchor, the slower the more their map stretches.

    Language k has thickness t_k from 0 to 1: its components are the anchor's, stretched along one and the
    same axes up to 12^t_k, and it moves by .05^t_k of its distance to them at every layer; so both measures
    of a pair follow |t_k - t_l|.
    """
    width = bridging.n_components(int(np.sum(train)))
    scores = depth_components(states[anchor], train, width)
    spread = np.sqrt((np.diff(scores, axis=0) ** 2).mean((1, 2)))
    made = {}
    for thickness, (k, one) in zip(
        np.linspace(0, 1, len(states)), zip(states, rng.spawn(len(states)), strict=True), strict=True
    ):
        goal = scores * np.geomspace(1, _THICKEST**thickness, width)
        speed = _SLOWEST**thickness
        own = [goal[0] + spread[0] * one.standard_normal(goal[0].shape)]
        for after, size in zip(goal[1:], spread, strict=True):
            noise = _NOISE * size * one.standard_normal(after.shape)
            own.append(own[-1] + speed * (after - own[-1]) + noise)
        readout = np.linalg.qr(one.standard_normal((states[anchor].shape[2], width)))[0].T
        made[k] = np.stack(own) @ readout
    return made


def _pairs(states, parts, scenario, rng: np.random.Generator, **options) -> pd.DataFrame:
    """Both measures: log kappa on one half of the scenarios, speeds on the other, in components of the first.

    The larger quarters come first and are for the speeds, whose intervals need many scenarios.
    """
    bridging_stream, drawing = rng.spawn(2)
    speeds, conditioning = parts[0] | parts[1], parts[2] | parts[3]
    table = bridging.pair_table(states, (*parts[2:], *parts[:2]), rng=bridging_stream)
    ratios = adjustment_table(states, (conditioning, speeds), scenario, rng=drawing, **options)
    ratios["log_ratio_size"] = ratios["log_ratio_excess"].abs()
    return table.drop(columns="gap_excess").merge(ratios, on=["first", "second"])

"""Conjecture 6: do a layer's contributions cluster over the steps of a generation?

y_t = ||f_l||^2 at step t of one solution. What position, token class and surprisal explain is divided out
first, of all series of a condition and language together. *Momentum* of a series is the mean correlation of
what is left with its weighted past, minus its mean over shuffles within token classes
(`series.volatility.momentum`).

Every solution is read again under two controls: by the same model with the solution in the prompt (*copying*:
the same tokens, nothing to compute), and by random-weight baselines (the same tokens, nothing learned).
Differences are taken solution by solution and resampled by scenario.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from ...errors import ParameterError
from ...measures.resampling import Interval, bootstrap, interval_of
from ...series import volatility
from ...series.volatility import profiles
from ...states.generation.recordings import MIN_STEPS, Recordings
from ..error_rates import Worlds
from ..language_pairs import PLANTED
from ..rules import Control, Evidence
from ..study import N_RESAMPLES, excess_over

CORPUS = "worked number-stories/digits"  # what was read, as the ledger names it
CORRECT, ALL = "conjecture_6_reasoning_momentum", "conjecture_6_in_all_traces"
COPYING, PLAIN, SHUFFLED_STEPS = "copying", "plain", "steps shuffled"
TWINS = ("random-0", "random-1", "random-2")
CONTROLS = (COPYING, PLAIN, *TWINS)
MEASURES = {"update": "update_energy", "step": "step_energy"}
MIN_SCENARIOS = 8
# the factor that is planted: first-order autocorrelation, and spread in units of the series' own on a log
# scale
_PLANTED = {"phi": 0.97, "spread": 1.5}
_BURN_IN = 200
# of momentum between series: .07 in series of 140 steps without order, .09 to .11 in those of Gemma 3 270M
_WORLD_SD = 0.1


@dataclass(frozen=True)
class MomentumResult:
    """Momentum of every series at one layer, and what follows from it.

    momenta : language, scenario, item, sample, correct, and one column per condition, also of planted and
        shuffled series.
    evidence : claim (`CORRECT`, `ALL`) -> one per language.
    """

    momenta: pd.DataFrame
    evidence: dict[str, list[Evidence]]


def momentum_by_condition(
    recordings: Recordings,
    layer: int,
    *,
    rng: np.random.Generator,
    measure: str = "update",
    n_shuffles: int = 99,
) -> MomentumResult:
    """Conjecture 6 at one layer of a model.

    Parameters
    ----------
    recordings : as `solving.record` makes them, at least ten solutions per language.
    layer : one that was kept. measure : "update" for ||f_l||^2, "step" for the change of the state before
        block l.

    Raises
    ------
    ParameterError : a layer that was not kept, or an unknown measure.
    """
    tables = []
    for language, stream in _by_language(recordings, rng):
        left = adjusted(recordings, language, layer, measure)
        left |= _made(left, stream.spawn(1)[0])
        tables.append(_momenta(recordings, language, left, stream, n_shuffles))
    momenta = pd.concat(tables, ignore_index=True)
    return MomentumResult(momenta, evidence_of(momenta, recordings.outcomes, rng=rng.spawn(1)[0]))


def adjusted(recordings: Recordings, language: str, layer: int, measure: str = "update") -> dict[str, list]:
    """What position, token class and surprisal leave of each series: condition -> list of (classes, y),
    mean 1.
    """
    if measure not in MEASURES:
        raise ParameterError(f"measure {measure!r}; expected one of {', '.join(MEASURES)}.")
    if layer not in recordings.layers:
        raise ParameterError(f"layer {layer} was not kept; the recordings have {recordings.layers.tolist()}.")
    energy = getattr(recordings, MEASURES[measure])[list(recordings.layers).index(layer)]
    found = {}
    own = recordings.series["language"] == language
    for condition, rows in recordings.series[own].groupby("condition", sort=False).groups.items():
        steps = [recordings.steps(row) for row in rows]
        classes = [recordings.classes[s] for s in steps]
        flat = profiles.remove_position_profile([energy[s] for s in steps])
        left = profiles.residualise(flat, classes, [-recordings.log_probability[s] for s in steps])
        found[condition] = list(zip(classes, left, strict=True))
    return found


def written(recordings: Recordings) -> pd.DataFrame:
    """By language: solutions written, correct and looping ones, those kept, and how sure the model is of a
    token.

    The last columns are mean surprisals in nats, one per condition.
    """
    outcomes = recordings.outcomes.groupby("language", sort=False)
    table = outcomes[["correct", "looping"]].sum().assign(written=outcomes.size())
    series = recordings.series.assign(
        surprisal=[
            -recordings.log_probability[recordings.steps(i)].mean() for i in range(len(recordings.series))
        ]
    )
    kept = series[series["condition"] == "reasoning"].groupby("language")["n_steps"]
    table = table.assign(kept=kept.size(), **{"128 steps or more": kept.apply(lambda n: (n >= 128).sum())})
    return table.join(series.pivot_table(index="language", columns="condition", values="surprisal"))


def scope(recordings: Recordings) -> dict:
    """What a verdict on recordings is about, for the ledger."""
    told = {name: value for name, value in recordings.about.items() if name != "model"}
    return {"languages": recordings.series["language"].unique().tolist(), **told}


def layer_profile(
    recordings: Recordings, *, rng: np.random.Generator, measure: str = "update", n_shuffles: int = 39
) -> pd.DataFrame:
    """Mean momentum by language, condition and layer, with the interval of the difference from copying.

    Columns language, condition, layer, momentum, excess, low, high.
    """
    rows = []
    for layer, stream in zip(recordings.layers, rng.spawn(len(recordings.layers)), strict=True):
        found = momentum_by_condition(recordings, layer, rng=stream, measure=measure, n_shuffles=n_shuffles)
        for language, own in found.momenta.groupby("language", sort=False):
            for condition in ("reasoning", COPYING, PLAIN, *TWINS):
                if condition not in own:
                    continue
                excess = bootstrap(
                    (own[condition] - own[COPYING]).to_numpy(),
                    own["scenario"],
                    n_resamples=500,
                    rng=stream,
                    bounds=None,
                )
                rows.append(
                    {
                        "language": language,
                        "condition": condition,
                        "layer": int(layer),
                        "momentum": own[condition].mean(),
                        "excess": float(excess.estimate),
                        "low": float(excess.low),
                        "high": float(excess.high),
                    }
                )
    return pd.DataFrame(rows)


def evidence_of(
    momenta: pd.DataFrame, outcomes: pd.DataFrame, *, rng: np.random.Generator
) -> dict[str, list[Evidence]]:
    """Evidence of both claims from a table of momenta: on correct solutions, and on all that were kept."""
    found: dict[str, list[Evidence]] = {CORRECT: [], ALL: []}
    for (language, own), stream in zip(
        momenta.groupby("language", sort=False), rng.spawn(momenta["language"].nunique()), strict=True
    ):
        written = outcomes[outcomes["language"] == language]
        found[ALL].append(_evidence(language, own, written, "all", stream))
        found[CORRECT].append(_evidence(language, own[own["correct"]], written, "correct", stream))
    return found


def worlds(claim: str, n_scenarios: int) -> Worlds:
    """Worlds of either claim with one solution per scenario, all of them correct.

    Momenta are normal. Their mean is zero in copying, in plain text and in random-weight baselines. In
    reasoning it is .4 (world "true"), 0 ("false"), the bound ("null") or twice the bound ("modest"). They go
    through the same bootstrap as a model's.
    """
    mean = {"true": 0.4, "false": 0.0, "null": 0.05, "modest": 0.1}

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        n = n_scenarios
        columns = {name: _WORLD_SD * rng.standard_normal(n) for name in (*CONTROLS, SHUFFLED_STEPS)}
        columns["reasoning"] = mean[world] + _WORLD_SD * rng.standard_normal(n)
        columns[PLANTED] = 0.4 + _WORLD_SD * rng.standard_normal(n)
        table = pd.DataFrame(columns).assign(scenario=np.arange(n), language="simulated", correct=True)
        return _evidence("simulated", table, table, "all", rng)

    return Worlds(claim, lambda rng: simulate, {"n_scenarios": n_scenarios})


def _evidence(language: str, own: pd.DataFrame, written: pd.DataFrame, which: str, rng) -> Evidence:
    n_scenarios = own["scenario"].nunique()
    if n_scenarios < MIN_SCENARIOS:
        return Evidence(language, unavailable=_too_few(own, written, which))
    if absent := [name for name in CONTROLS if name not in own]:
        return Evidence(language, unavailable=f"controls missing: {', '.join(absent)}")
    subjects = ["reasoning", *CONTROLS, SHUFFLED_STEPS, PLANTED]
    drawn = bootstrap(
        own[subjects].to_numpy(float).T, own["scenario"], n_resamples=N_RESAMPLES, rng=rng, bounds=None
    )
    by_subject = {
        name: (drawn.estimate[[i]], drawn.replicates[:, i][None], n_scenarios)
        for i, name in enumerate(subjects)
    }
    statistics = {name: _statistics(by_subject, name) for name in subjects}
    controls = tuple(
        Control(name, "positive" if name == PLANTED else "negative", found)
        for name, found in statistics.items()
        if name != "reasoning"
    )
    return Evidence(
        language,
        statistics["reasoning"],
        controls,
        n_items=len(own),
        n_scenarios=n_scenarios,
        remark=_remark(written),
    )


def _statistics(drawn: Mapping, name: str) -> dict[str, Interval]:
    one, many, n = drawn[name]
    copying = drawn[COPYING]
    return {
        "momentum": interval_of(one[0], many[0], n),
        "excess_over_copying": interval_of(one[0] - copying[0][0], many[0] - copying[1][0], n),
        "excess_over_twins": excess_over(drawn, name, [twin for twin in TWINS if twin != name], 0),
    }


def _too_few(own: pd.DataFrame, written: pd.DataFrame, which: str) -> str:
    """Why nothing was measured, and how many solutions would have to be written."""
    right = int(written["correct"].sum())
    usable = own["scenario"].nunique()
    rate = max(usable, 1) / len(written)
    more = (
        f"about {int(np.ceil(MIN_SCENARIOS / rate))}"
        if usable
        else f"more than {MIN_SCENARIOS * len(written)}"
    )
    kind = "correct solutions" if which == "correct" else "solutions"
    return (
        f"{len(own)} {kind} with {MIN_STEPS} steps and no loop, from {usable} scenarios, expected "
        f"{MIN_SCENARIOS}; {right} of {len(written)} written are correct. At this rate {more} would have to "
        "be written"
    )


def _remark(written: pd.DataFrame) -> str:
    if "looping" not in written:
        return ""
    return (
        f"of {len(written)} solutions written {int(written['correct'].sum())} are correct, "
        f"{int(written['looping'].sum())} loop"
    )


def _by_language(recordings: Recordings, rng: np.random.Generator):
    languages = recordings.series["language"].unique()
    return zip(languages, rng.spawn(len(languages)), strict=True)


def _made(left: Mapping[str, list], rng: np.random.Generator) -> dict[str, list]:
    """Series with a known answer: copying's with persistence on top, reasoning's without any order."""
    planting, shuffling = rng.spawn(2)
    persistent, loose = [], []
    for classes, y in left[COPYING]:
        persistent.append((classes, _persistent(y, planting)))
    for classes, y in left["reasoning"]:
        order = np.arange(y.size)
        for label in np.unique(classes):
            order[classes == label] = shuffling.permutation(order[classes == label])
        loose.append((classes, y[order]))
    return {PLANTED: persistent, SHUFFLED_STEPS: loose}


def _persistent(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The series times a factor that stays high or low for some thirty steps: order on top of its own."""
    phi = _PLANTED["phi"]
    walk = lfilter([np.sqrt(1 - phi**2)], [1.0, -phi], rng.standard_normal(y.size + _BURN_IN))[_BURN_IN:]
    return y * np.exp(_PLANTED["spread"] * np.log(y).std() * walk)


def _momenta(
    recordings: Recordings, language: str, left: Mapping[str, list], rng, n_shuffles: int
) -> pd.DataFrame:
    rows = recordings.series[(recordings.series["language"] == language)]
    table = rows.loc[rows["condition"] == "reasoning", ["language", "scenario", "item", "sample", "correct"]]
    table = table.reset_index(drop=True)
    for (condition, series), stream in zip(left.items(), rng.spawn(len(left)), strict=True):
        table[condition] = [
            volatility.momentum(y, classes=classes, n_shuffles=n_shuffles, rng=stream)
            for classes, y in series
        ]
    return table

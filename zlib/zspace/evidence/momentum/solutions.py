"""Conjecture 6: do a layer's contributions cluster over the steps of a generation?

y_t = ||f_l||^2 at step t of one solution. What position, token class and surprisal explain is divided out
first, of all series of a condition and language together. *Momentum* of a series is the mean correlation of
what is left with its weighted past, minus its mean over shuffles within token classes
(`series.volatility.momentum`).

Every solution is read again by the same model with the solution in the prompt (*copying*: the same tokens,
nothing to compute), and by random-weight baselines (the same tokens, nothing learned). The model also reads
*plain* stories of the same language. Copying and plain reading are rival accounts of clustering, so that the
rule asks for more than either; baselines and series with their steps shuffled are controls of the instrument.
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
from ..study import N_RESAMPLES, Values, excess_over

CORPUS = "worked number-stories/digits"  # what was read, as the ledger names it
CORRECT, ALL = "conjecture_6_reasoning_momentum", "conjecture_6_in_all_traces"
COPYING, PLAIN, SHUFFLED_STEPS = "copying", "plain", "steps shuffled"
TWINS = ("random-0", "random-1", "random-2")
RIVALS = (COPYING, PLAIN)
CONTROLS = (*RIVALS, *TWINS)
MEASURES = {"update": "update_energy", "step": "step_energy"}
MIN_SCENARIOS = 8
# the factor that is planted: autocorrelation, and spread in units of the series' own on a log scale
_PHI, _SPREAD, _BURN_IN = 0.97, 1.5, 200
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

    `recordings` as `solving.record` makes them, at least ten solutions per language; `measure` "update" for
    ||f_l||^2, "step" for the change of the state before block l. Raises ParameterError for a layer that was
    not kept, or an unknown measure.
    """
    tables = []
    languages = recordings.series["language"].unique()
    for language, stream in zip(languages, rng.spawn(len(languages)), strict=True):
        left = adjusted(recordings, language, layer, measure)
        left |= _made(left, stream.spawn(1)[0])
        tables.append(_momenta(recordings, language, left, stream, n_shuffles))
    momenta = pd.concat(tables, ignore_index=True)
    return MomentumResult(momenta, evidence_of(momenta, recordings.outcomes, rng=rng.spawn(1)[0]))


def adjusted(recordings: Recordings, language: str, layer: int, measure: str = "update") -> dict[str, list]:
    """What position, token class and surprisal leave of each series: condition -> [(classes, y, mean 1)]."""
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
    """By language: solutions written, correct and looping ones, those kept, and mean surprisal by condition.

    Surprisal is of a token, in nats.
    """
    outcomes = recordings.outcomes.groupby("language", sort=False)
    table = outcomes[["correct", "looping"]].sum().assign(written=outcomes.size())
    steps = map(recordings.steps, range(len(recordings.series)))
    series = recordings.series.assign(surprisal=[-recordings.log_probability[s].mean() for s in steps])
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
            for condition in (name for name in ("reasoning", *CONTROLS) if name in own):
                difference = (own[condition] - own[COPYING]).to_numpy()
                excess = bootstrap(difference, own["scenario"], n_resamples=500, rng=stream, bounds=None)
                limits = (float(getattr(excess, name)) for name in ("estimate", "low", "high"))
                rows.append((language, condition, int(layer), own[condition].mean(), *limits))
    columns = ["language", "condition", "layer", "momentum", "excess", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def evidence_of(
    momenta: pd.DataFrame, outcomes: pd.DataFrame, *, rng: np.random.Generator
) -> dict[str, list[Evidence]]:
    """Evidence of both claims from a table of momenta: on correct solutions, and on all that were kept."""
    found: dict[str, list[Evidence]] = {CORRECT: [], ALL: []}
    by_language = momenta.groupby("language", sort=False)
    for (language, own), stream in zip(by_language, rng.spawn(len(by_language)), strict=True):
        written = outcomes[outcomes["language"] == language]
        found[ALL].append(_evidence(language, own, written, "all", stream))
        found[CORRECT].append(_evidence(language, own[own["correct"]], written, "correct", stream))
    return found


def worlds(claim: str, n_scenarios: int) -> Worlds:
    """Worlds of either claim with one solution per scenario, all of them correct.

    Momenta are normal, with mean zero in every control but the planted one. In reasoning it is .4 (world
    "true"), 0 ("false"), the bound ("null") or twice the bound ("modest").
    """
    mean = {"true": 0.4, "false": 0.0, "null": 0.05, "modest": 0.1}

    def simulate(world: str, rng: np.random.Generator) -> Evidence:
        means = dict.fromkeys((*CONTROLS, SHUFFLED_STEPS), 0.0) | {"reasoning": mean[world], PLANTED: 0.4}
        columns = {name: m + _WORLD_SD * rng.standard_normal(n_scenarios) for name, m in means.items()}
        table = pd.DataFrame(columns).assign(scenario=range(n_scenarios), correct=True)
        return _evidence("simulated", table, table, "all", rng)

    effects = {world: f"momentum {m:g}" for world, m in mean.items()}
    return Worlds(claim, lambda rng: simulate, {"n_scenarios": n_scenarios}, effects)


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
        name: Values(drawn.estimate[[i]], drawn.replicates[:, i][None], n_scenarios)
        for i, name in enumerate(subjects)
    }
    statistics = {name: _statistics(by_subject, name) for name in subjects}
    controls = tuple(
        Control(name, "positive" if name == PLANTED else "negative", found)
        for name, found in statistics.items()
        if name not in ("reasoning", *RIVALS)
    )
    return Evidence(
        language,
        statistics["reasoning"],
        controls,
        n_items=len(own),
        n_scenarios=n_scenarios,
        remark=_remark(written),
    )


def _statistics(drawn: Mapping[str, Values], name: str) -> dict[str, Interval]:
    """Momentum of a subject, and what it is beyond that of each rival and of the random-weight baselines."""
    (one,), (many,), n = drawn[name]
    over = {f"excess_over_{rival}": [rival] for rival in RIVALS}
    over["excess_over_twins"] = [twin for twin in TWINS if twin != name]
    excesses = {statistic: excess_over(drawn, name, others, 0) for statistic, others in over.items()}
    return {"momentum": interval_of(one, many, n), **excesses}


def _too_few(own: pd.DataFrame, written: pd.DataFrame, which: str) -> str:
    """Why nothing was measured, and how many solutions would have to be written."""
    right = int(written["correct"].sum())
    usable = own["scenario"].nunique()
    needed = MIN_SCENARIOS / (usable / len(written)) if usable else MIN_SCENARIOS * len(written)
    more = f"{'about' if usable else 'more than'} {int(np.ceil(needed))}"
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


def _made(left: Mapping[str, list], rng: np.random.Generator) -> dict[str, list]:
    """Series with a known answer: copying's with persistence on top, reasoning's without any order."""
    planting, shuffling = rng.spawn(2)
    persistent, loose = [(classes, _persistent(y, planting)) for classes, y in left[COPYING]], []
    for classes, y in left["reasoning"]:
        order = np.arange(y.size)
        for label in np.unique(classes):
            order[classes == label] = shuffling.permutation(order[classes == label])
        loose.append((classes, y[order]))
    return {PLANTED: persistent, SHUFFLED_STEPS: loose}


def _persistent(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The series times a factor that stays high or low for some thirty steps: order on top of its own."""
    noise = rng.standard_normal(y.size + _BURN_IN)
    walk = lfilter([np.sqrt(1 - _PHI**2)], [1.0, -_PHI], noise)[_BURN_IN:]
    return y * np.exp(_SPREAD * np.log(y).std() * walk)


def _momenta(
    recordings: Recordings, language: str, left: Mapping[str, list], rng, n_shuffles: int
) -> pd.DataFrame:
    rows = recordings.series[recordings.series["language"] == language]
    columns = ["language", "scenario", "item", "sample", "correct"]
    table = rows.loc[rows["condition"] == "reasoning", columns].reset_index(drop=True)
    for (condition, series), stream in zip(left.items(), rng.spawn(len(left)), strict=True):
        table[condition] = [
            volatility.momentum(y, classes=classes, n_shuffles=n_shuffles, rng=stream)
            for classes, y in series
        ]
    return table

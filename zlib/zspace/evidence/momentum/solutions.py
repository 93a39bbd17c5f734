"""Conjecture 6: do a layer's contributions cluster over the steps of a generation?

y_t = ||f_l||^2 at step t of one solution. What position, token class and surprisal explain is divided out
first, of all series of a condition and language together. *Momentum* of a series is the mean correlation of
what is left with its weighted past, minus its mean over shuffles within token classes
(`series.volatility.momentum`). *Momentum within sentences* is the same with the level of each sentence taken
out and shuffles within sentences (`series.volatility.momentum_within`): a level that changes from sentence to
sentence, or drifts, gives the first and not the second.

Every solution is read again by the same model with the solution in the prompt (*copying*: the same tokens,
nothing to compute), and by random-weight baselines (the same tokens, nothing learned). The model also reads
*plain* stories of the same language. All three are rival accounts of clustering, as levels of sentences are:
the rule asks for more than each of them. Series with their steps shuffled, and such with planted levels of
sentences, are controls of the instrument; planted persistence must be found. Differences are taken solution
by solution and resampled by scenario, in each language and over all languages together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from ...errors import ParameterError
from ...measures.resampling import Interval, bootstrap, interval_of
from ...series import volatility
from ...series.volatility import profiles
from ...states.generation.recordings import MIN_STEPS, Recordings
from ...states.generation.transcripts import sentence_numbers
from .. import claims
from ..error_rates import UNITS_OF_THE_BOUND, Worlds
from ..language_pairs import PLANTED
from ..rules import OVERALL, Control, Evidence, bound_of
from ..study import N_RESAMPLES, Values, excess_over

CORPUS = "worked number-stories/digits"  # what was read, as the ledger names it
CORRECT, ALL = "conjecture_6_reasoning_momentum", "conjecture_6_in_all_traces"
COPYING, PLAIN = "copying", "plain"
SHUFFLED_STEPS, PLANTED_LEVELS = "steps shuffled", "levels of sentences planted"
TWINS = ("random-0", "random-1", "random-2")
RIVALS = (COPYING, PLAIN, *TWINS)
MADE = (SHUFFLED_STEPS, PLANTED_LEVELS, PLANTED)
MEASURES = {"update": "update_energy", "step": "step_energy"}
MIN_SCENARIOS = 8
# the factor that is planted: autocorrelation, and spread in units of the series' own on a log scale
_PHI, _SPREAD, _BURN_IN = 0.9, 1.0, 200
_LEVELS = 0.7  # standard deviation of the log-levels of sentences that are planted
# simulated series, on a log scale: spread of steps, of levels of sentences, and of what persists
_STEP_SD, _LEVEL_SD, _OWN_SD = 0.7, 0.3, 0.3


@dataclass(frozen=True)
class MomentumResult:
    """Momentum of every series at one layer, and what follows from it.

    momenta : language, scenario, item, sample, correct; for every condition, and for planted and shuffled
        series, its momentum and (column `within(condition)`) its momentum within sentences.
    evidence : claim (`CORRECT`, `ALL`) -> that of all languages together (language "*"), then one per
        language.
    """

    momenta: pd.DataFrame
    evidence: dict[str, list[Evidence]]

    def verdicts(self) -> dict[str, list[claims.Verdict]]:
        """Of both claims: over all languages together, then of each, Holm-adjusted over the languages."""
        return {claim: evaluate(claim, found) for claim, found in self.evidence.items()}


def evaluate(claim: str, evidence: Sequence[Evidence]) -> list[claims.Verdict]:
    """Verdicts where the first evidence pools all languages: its own is the general one."""
    pooled, *by_language = evidence
    return [claims.evaluate(claim, pooled), *claims.evaluate_scope(claim, by_language)[1:]]


def within(condition: str) -> str:
    """Column of the momentum within sentences of a condition."""
    return f"{condition}, within sentences"


def momentum_by_condition(
    recordings: Recordings,
    layer: int,
    *,
    rng: np.random.Generator,
    measure: str = "update",
    n_shuffles: int = 99,
) -> MomentumResult:
    """Conjecture 6 at one layer of a model; parameters and errors as `momenta_of`."""
    measuring, judging = rng.spawn(2)
    momenta = momenta_of(recordings, layer, rng=measuring, measure=measure, n_shuffles=n_shuffles)
    return MomentumResult(momenta, evidence_of(momenta, recordings.outcomes, rng=judging))


def momenta_of(
    recordings: Recordings,
    layer: int,
    *,
    rng: np.random.Generator,
    measure: str = "update",
    n_shuffles: int = 99,
) -> pd.DataFrame:
    """Both momenta of all series at a layer, one row per solution; columns as in `MomentumResult`.

    `recordings` as `solving.record` makes them, at least ten solutions per language; `measure` "update" for
    ||f_l||^2, "step" for the change of the state before block l. Raises ParameterError for a layer that was
    not kept, or an unknown measure.
    """
    tables = []
    languages = recordings.series["language"].unique()
    for language, stream in zip(languages, rng.spawn(len(languages)), strict=True):
        making, measuring = stream.spawn(2)
        left, sentences = adjusted(recordings, language, layer, measure), sentences_of(recordings, language)
        made, of = _made(left, sentences, making), {PLANTED: PLAIN}
        sentences |= {name: sentences[of.get(name, "reasoning")] for name in made}
        rows = recordings.series[recordings.series["language"] == language]
        columns = ["language", "scenario", "item", "sample", "correct"]
        table = rows.loc[rows["condition"] == "reasoning", columns].reset_index(drop=True)
        left |= made
        for (condition, series), r in zip(left.items(), measuring.spawn(len(left)), strict=True):
            options = {"n_shuffles": n_shuffles, "rng": r}
            table[condition] = [volatility.momentum(y, classes=c, **options) for c, y in series]
            table[within(condition)] = [
                volatility.momentum_within(y, labels, classes=c, **options)
                for (c, y), labels in zip(series, sentences[condition], strict=True)
            ]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def sentences_of(recordings: Recordings, language: str) -> dict[str, list[np.ndarray]]:
    """Number of the sentence of each step, in the order of `adjusted`: condition -> [(T,)]."""
    own = recordings.series[recordings.series["language"] == language]
    return {
        condition: [sentence_numbers(recordings.spelled(row)) for row in rows]
        for condition, rows in own.groupby("condition", sort=False).groups.items()
    }


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
        momenta = momenta_of(recordings, layer, rng=stream, measure=measure, n_shuffles=n_shuffles)
        for language, own in momenta.groupby("language", sort=False):
            for condition in (name for name in ("reasoning", *RIVALS) if name in own):
                difference = (own[condition] - own[COPYING]).to_numpy()
                excess = bootstrap(difference, own["scenario"], n_resamples=500, rng=stream, bounds=None)
                limits = (float(getattr(excess, name)) for name in ("estimate", "low", "high"))
                rows.append((language, condition, int(layer), own[condition].mean(), *limits))
    columns = ["language", "condition", "layer", "momentum", "excess", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def means(momenta: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Both momenta by language ("*": all together) and condition, with 95 % limits over scenarios.

    Columns language, condition, within (bool: within sentences), momentum, low, high.
    """
    groups = [(OVERALL, momenta), *momenta.groupby("language", sort=False)]
    conditions, rows = [name for name in ("reasoning", *RIVALS) if name in momenta], []
    for (language, own), stream in zip(groups, rng.spawn(len(groups)), strict=True):
        names = [*conditions, *map(within, conditions)]
        found = bootstrap(own[names].to_numpy(float).T, own["scenario"], rng=stream, bounds=None)
        limits = zip(found.estimate, found.low, found.high, strict=True)
        kinds = [(name, inside) for inside in (False, True) for name in conditions]
        rows += [(language, *kind, *map(float, three)) for kind, three in zip(kinds, limits, strict=True)]
    return pd.DataFrame(rows, columns=["language", "condition", "within", "momentum", "low", "high"])


def evidence_of(
    momenta: pd.DataFrame, outcomes: pd.DataFrame, *, rng: np.random.Generator
) -> dict[str, list[Evidence]]:
    """Evidence of both claims from a table of momenta: on correct solutions, and on all that were kept."""
    found: dict[str, list[Evidence]] = {CORRECT: [], ALL: []}
    languages = [OVERALL, *momenta["language"].unique()]
    for language, stream in zip(languages, rng.spawn(len(languages)), strict=True):
        own, written = (
            t if language == OVERALL else t[t["language"] == language] for t in (momenta, outcomes)
        )
        found[ALL].append(_evidence(language, own, written, "all", stream))
        found[CORRECT].append(_evidence(language, own[own["correct"]], written, "correct", stream))
    return found


def worlds(claim: str, recordings: Recordings, layer: int) -> Worlds:
    """Worlds of either claim, all languages together, with as many and as long series as the recordings have.

    Series are simulated (`simulated`), go through `momenta_of`, and the solutions of a world are drawn from
    them. All solutions, copies and texts have levels of sentences and persistence; in a share of them
    reasoning has more persistence: all of them in world "true", none in "false", and as many as put the
    excess over plain reading on its bound, or twice there, in "null" and "modest". Where too few solutions
    are correct to be tested, the rates are those of as many correct ones as were kept.
    """
    kept = recordings.series[recordings.series["condition"] == "reasoning"]
    correct = kept[kept["correct"]]
    chosen = correct if claim == CORRECT and correct["scenario"].nunique() >= MIN_SCENARIOS else kept
    scenarios = chosen["scenario"].to_numpy()
    if chosen["scenario"].nunique() < MIN_SCENARIOS:
        few = Evidence(unavailable=f"solutions from fewer than {MIN_SCENARIOS} scenarios")
        return Worlds(claim, lambda rng: lambda world, rng: few, {"evidence": "none"})
    bound = bound_of(claims.rule(claim)["rules"]["as_corrected"]["excess_over_plain"])[1]

    def make(rng: np.random.Generator):
        signal, none = (
            momenta_of(simulated(recordings, extra, rng=r), layer, rng=r, n_shuffles=19)
            for extra, r in zip((True, False), rng.spawn(2), strict=True)
        )
        # conditions simulated alike share one pool of series, so that they differ by chance in no world
        pools = {"signal": _both(signal, "reasoning")}
        alike = ("reasoning", COPYING, PLAIN)
        pools |= {name: np.vstack([_both(none, one) for one in alike]) for name in alike}
        pools |= {name: np.vstack([_both(none, one) for one in TWINS]) for name in TWINS}
        pools |= {name: _both(none, name) for name in MADE}
        # an item's momentum depends on its own series alone: the mean is linear in the share
        gain = pools["signal"][:, 0].mean() - pools[PLAIN][:, 0].mean()
        shares = {"true": 1.0, "false": 0.0, "null": min(1, bound / gain), "modest": min(1, 2 * bound / gain)}

        def simulate(world: str, rng: np.random.Generator) -> Evidence:
            drawn = {k: pool[rng.integers(len(pool), size=len(scenarios))] for k, pool in pools.items()}
            has_signal = rng.random(len(scenarios)) < shares[world]
            drawn["reasoning"][has_signal] = drawn.pop("signal")[has_signal]
            columns = {k: v[:, 0] for k, v in drawn.items()} | {within(k): v[:, 1] for k, v in drawn.items()}
            table = pd.DataFrame(columns).assign(scenario=scenarios, correct=True)
            return _evidence("simulated", table, table, "all", rng)

        return simulate

    about = {
        "scenarios": scenarios.tolist(),
        "lengths": recordings.series["n_steps"].tolist(),
        "layer": layer,
    }
    return Worlds(claim, make, about, {**UNITS_OF_THE_BOUND, "false": "none beyond plain reading"})


def simulated(recordings: Recordings, extra: bool, *, rng: np.random.Generator) -> Recordings:
    """Recordings with the same tokens and energies of known order: what a model might have done.

    Random-weight baselines have no order. In all else log y is a sum of noise, levels of sentences and an
    autoregression of .8; with `extra`, reasoning has a second one of .9, five times as wide.
    """
    energy = np.empty_like(recordings.update_energy)
    for (row, one), stream in zip(
        recordings.series.iterrows(), rng.spawn(len(recordings.series)), strict=True
    ):
        log_y = _STEP_SD * stream.standard_normal(one["n_steps"])
        if one["condition"] not in TWINS:
            sentences = sentence_numbers(recordings.spelled(row))
            log_y += _LEVEL_SD * stream.standard_normal(sentences[-1] + 1)[sentences]
            log_y += _OWN_SD * _autoregression(0.8, log_y.size, stream)
        if extra and one["condition"] == "reasoning":
            log_y += 5 * _OWN_SD * _autoregression(0.9, log_y.size, stream)
        energy[:, recordings.steps(row)] = np.exp(log_y)
    return replace(recordings, update_energy=energy, step_energy=energy)


def _both(momenta: pd.DataFrame, condition: str) -> np.ndarray:
    """Both momenta (n, 2) of a condition."""
    return momenta[[condition, within(condition)]].to_numpy(float)


def _evidence(language: str, own: pd.DataFrame, written: pd.DataFrame, which: str, rng) -> Evidence:
    n_scenarios = own["scenario"].nunique()
    if n_scenarios < MIN_SCENARIOS:
        return Evidence(language, unavailable=_too_few(own, written, which))
    if absent := [name for name in RIVALS if name not in own]:
        return Evidence(language, unavailable=f"controls missing: {', '.join(absent)}")
    subjects = ["reasoning", *RIVALS, *MADE]
    columns = [*subjects, *map(within, subjects)]
    drawn = bootstrap(
        own[columns].to_numpy(float).T, own["scenario"], n_resamples=N_RESAMPLES, rng=rng, bounds=None
    )
    n = len(subjects)
    by_subject = {
        name: Values(drawn.estimate[[i, n + i]], drawn.replicates[:, [i, n + i]].T, n_scenarios)
        for i, name in enumerate(subjects)
    }
    controls = []
    for name in MADE:
        found = _statistics(by_subject, name)
        if name == PLANTED_LEVELS:  # they do cluster: only what is claimed beyond them must not be found
            del found["momentum"]
        controls.append(Control(name, "positive" if name == PLANTED else "negative", found))
    return Evidence(
        language,
        _statistics(by_subject, "reasoning"),
        tuple(controls),
        n_items=len(own),
        n_scenarios=n_scenarios,
        remark=_remark(written),
    )


def _statistics(drawn: Mapping[str, Values], name: str) -> dict[str, Interval]:
    """Momentum of a subject, what it is beyond each rival, and within sentences beyond the nearest rival."""
    (one, _), (many, _), n = drawn[name]
    over = {"plain": [PLAIN], "copying": [COPYING], "twins": [*TWINS]}
    excesses = {f"excess_over_{rival}": excess_over(drawn, name, names, 0) for rival, names in over.items()}
    inside = {"excess_within_sentences": excess_over(drawn, name, RIVALS, 1)}
    return {"momentum": interval_of(one, many, n), **excesses, **inside}


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


def _made(
    left: Mapping[str, list], sentences: Mapping[str, list], rng: np.random.Generator
) -> dict[str, list]:
    """Series with a known answer, from plain reading and from reasoning whose steps were shuffled."""
    planting, shuffling, levelling = rng.spawn(3)
    persistent, loose, levelled = [(c, _persistent(y, planting)) for c, y in left[PLAIN]], [], []
    for (classes, y), of in zip(left["reasoning"], sentences["reasoning"], strict=True):
        order = np.arange(y.size)
        for label in np.unique(classes):
            order[classes == label] = shuffling.permutation(order[classes == label])
        loose.append((classes, y[order]))
        levels = np.exp(_LEVELS * levelling.standard_normal(of[-1] + 1))
        levelled.append((classes, y[order] * levels[of]))
    return {PLANTED: persistent, SHUFFLED_STEPS: loose, PLANTED_LEVELS: levelled}


def _persistent(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The root of the series times a factor that stays high or low for some ten steps.

    The root, because a heavy tail hides the factor from a correlation.
    """
    return np.sqrt(y) * np.exp(_SPREAD * np.log(y).std() * _autoregression(_PHI, y.size, rng))


def _autoregression(phi: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Of unit variance, stationary: (n,)."""
    return lfilter([np.sqrt(1 - phi**2)], [1.0, -phi], rng.standard_normal(n + _BURN_IN))[_BURN_IN:]

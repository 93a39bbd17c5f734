"""A study judges one claim on a language pair: all subjects are measured, resampled and judged alike.

A `Study` names its claim, the numbers of a subject that the rule judges, and the subjects in which the signal
is planted. `judge` makes the evidence: the trained model beside all controls, the same with its weights
re-rounded, and the same by other measures. Resamples of the scenarios (`draws`) are drawn once and passed to
everything that is compared. `compare_choices` makes the rows of a sensitivity table, `seed_spread` what
`error_rates` simulates with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import ConvergenceError, MeasureError
from ..measures.resampling import GroupDraws, Interval, draw_groups, interval_of, with_error
from ..sources.models import kind_of
from . import claims, needs
from .language_pairs import PLANTED, SHUFFLED, TRAINED, VARIANTS, LanguagePair, of_kind
from .rules import Control, Evidence
from .statistics import Statistic

N_RESAMPLES = 2000
STANDARDISED = "each dimension divided by its standard deviation"
RAW = "dimensions as they are"

# subject -> what a study measured of it
Measured = Mapping[str, Any]


class Values(NamedTuple):
    """Numbers of one subject: estimates (s,), replicates (s, B) on the study's draws, groups drawn from."""

    estimate: np.ndarray
    replicates: np.ndarray
    n_groups: int


@dataclass(frozen=True)
class Study:
    """What one claim measures of a language pair, and how its rule is served.

    Attributes
    ----------
    claim : its id in params/claims.yaml.
    statistics : (measured, subject, draws) -> the rule's statistics of a subject by name. It sees the
        measurements of all subjects, so that an excess is over the other ones.
    positive : subject -> the statistics in which a signal is planted there (none named: in all). Every other
        subject, and every other statistic of it, is a negative control.
    unjudged : subjects that are only compared with, such as overlap of the texts.
    needs : subjects without which nothing is measured, beside those that the rule requires.
    """

    claim: str
    statistics: Callable[[Measured, str, GroupDraws], Mapping[str, Statistic]]
    positive: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({PLANTED: ()}))
    unjudged: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def draw(pair: LanguagePair, *, rng: np.random.Generator, n_resamples: int = N_RESAMPLES) -> GroupDraws:
    """Resamples of the confirmation scenarios of a pair."""
    return draw_groups(pair.scenario[pair.confirmation], n_resamples, rng=rng)


def judge(
    study: Study,
    pair: LanguagePair,
    measured: Measured,
    draws: GroupDraws,
    others: Mapping[str, Measured] = MappingProxyType({}),
) -> Evidence:
    """Evidence of one pair: the trained model, and each re-rounding of it, beside the same controls.

    `others` maps further measures, in words, to what they measured: they stand beside the verdict, which is
    open where they would reverse it. Where the pair lacks a subject that the rule requires, as imported
    states may, the evidence says which, and nothing is measured.
    """
    if absent := missing_subjects(study, pair):
        return Evidence(pair.language, unavailable=f"controls missing: {', '.join(absent)}")

    def with_model(subject: str) -> Evidence:
        primary, *rest = (
            assemble(study, {**one, TRAINED: one[subject]}, draws, pair.language, pair.re_rounded)
            for one in (measured, *others.values())
        )
        return replace(primary, other_measures=dict(zip(others, rest, strict=True)))

    return replace(with_model(TRAINED), re_rounded=tuple(map(with_model, pair.re_rounded)))


def assemble(
    study: Study,
    measured: Measured,
    draws: GroupDraws,
    language: str = "simulated",
    re_rounded: Sequence[str] = (),
) -> Evidence:
    """Evidence from measurements: statistics of the trained model, every other subject as a control."""
    subjects = [name for name in measured if name not in (*study.unjudged, *re_rounded)]
    statistics = {name: study.statistics(measured, name, draws) for name in subjects}
    controls = []
    for name in (n for n in subjects if n != TRAINED):
        planted = study.positive.get(name)
        signal = {s: v for s, v in statistics[name].items() if planted == () or s in (planted or ())}
        rest = {s: v for s, v in statistics[name].items() if s not in signal}
        controls += [Control(name, "positive", signal)] if signal else []
        controls += [Control(name, "negative", rest)] if rest else []
    return Evidence(
        language=language,
        statistics=statistics[TRAINED],
        controls=tuple(controls),
        n_items=len(draws.codes),
        n_scenarios=draws.n_groups,
    )


def missing_subjects(study: Study, pair: LanguagePair) -> list[str]:
    """Subjects that the rule of a study requires of the states, or the study itself, and the pair lacks."""
    from_states = {SHUFFLED, PLANTED, *(one.name for one in VARIANTS)}
    wanted = [name for name in claims.rule(study.claim)["rules"].get("required", ()) if name in from_states]
    absent = [name for name in (*wanted, *study.needs) if name not in pair.subjects]
    return [*absent, "token ids"] if pair.tokens is None and absent else absent


def require(claim: str, pairs: Mapping[str, LanguagePair], *, levels: np.ndarray | None = None) -> None:
    """Raises ParameterError where pairs lack what a claim needs (`needs`); levels (n,) are difficulties."""
    for pair in pairs.values():
        n, states = len(pair.scenario), pair.subjects[TRAINED][0]
        # without texts, all items are taken to differ
        own, other = pair.texts or (range(n), range(n, 2 * n))
        texts = {"anchor": own, **dict.fromkeys(pairs, other)}
        facts = needs.of_items(texts, pair.scenario, pair.discovery, levels)
        facts |= needs.of_sizes(layers=len(states) - 1, width=states.shape[-1])
        needs.require([claim], facts, f"the pair of {pair.language}")


def baselines(measured: Measured, subject: str, others: Sequence[str] = ()) -> list[str]:
    """Random-weight baselines, and the `others` that were measured, each but the subject itself."""
    found = (*of_kind("random", measured), *(name for name in others if name in measured))
    return [name for name in found if name != subject]


def excess_by_kind(
    subject: str,
    others: Sequence[str],
    difference: Callable[[Sequence[str]], Interval],
    value: Callable[[str], float],
) -> Interval:
    """The excess of a subject over every kind of baseline: that over the kind which comes closest.

    Baselines of one kind (weights drawn anew, say) are exchangeable: the excess is over their mean, and their
    spread over the square root of their number is a part of its error, so that more baselines narrow it. A
    subject of the same kind is one more draw, whose own spread counts as well.

    Parameters
    ----------
    others : names of baselines. difference : names -> interval of the subject minus their mean, on shared
        draws of the groups. value : name -> the number of one subject.

    Returns
    -------
    Interval whose limits are the lowest ones over all kinds: an excess over every kind. Each limit names the
    kind that it is over; as a whole it is an interval of 95 % where one kind comes closest by far.
    """
    kinds: dict[str, list[str]] = {}
    for name in others:
        kinds.setdefault(kind_of(name) or name, []).append(name)
    found = {}
    for kind, members in kinds.items():
        error, df = _seed_error([value(name) for name in members], is_member=kind_of(subject) == kind)
        words = members[0] if len(members) == 1 else f"the mean of {len(members)} {kind}"
        found[words] = with_error(difference(members), error, df)
    least = {side: min(found, key=lambda k: getattr(found[k], side)) for side in ("low", "high")}
    nearest = found[min(found, key=lambda k: found[k].estimate)]
    limits = {side: getattr(found[kind], side) for side, kind in least.items()}
    return replace(nearest, **limits, low_over=least["low"], high_over=least["high"])


def excess_over(drawn: Mapping[str, Values], name: str, others: Sequence[str], statistic: int) -> Interval:
    """`excess_by_kind` of a statistic, from the values of all subjects on the same draws."""
    one, many, n_groups = drawn[name]

    def difference(members: Sequence[str]) -> Interval:
        mean = np.mean([drawn[m].estimate[statistic] for m in members])
        replicates = np.mean([drawn[m].replicates[statistic] for m in members], axis=0)
        return interval_of(one[statistic] - mean, many[statistic] - replicates, n_groups)

    return excess_by_kind(name, others, difference, lambda other: float(drawn[other].estimate[statistic]))


def excess_of_means(
    values: Mapping[str, np.ndarray],
    name: str,
    others: Sequence[str],
    draws: GroupDraws,
    *,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """`excess_by_kind` of the mean of values (n,) of each subject; `bounds` are those of a difference."""

    def difference(members: Sequence[str]) -> Interval:
        return draws.mean(values[name] - np.mean([values[m] for m in members], axis=0), bounds=bounds)

    return excess_by_kind(name, others, difference, lambda other: float(values[other].mean()))


def excesses(
    measured: Mapping[str, Values], subject: str, over: Sequence[str], names: Sequence[str]
) -> dict[str, Interval]:
    """Every number of a subject beyond that of the baselines `over`, as statistic "<name>_excess"."""
    return {f"{name}_excess": excess_over(measured, subject, over, i) for i, name in enumerate(names)}


def _seed_error(values: Sequence[float], *, is_member: bool) -> tuple[float, int]:
    """Standard error of the mean of exchangeable baselines, with a further draw where that is compared."""
    k = len(values)
    if k < 2:
        return 0.0, 1
    return float(np.std(values, ddof=1) * np.sqrt(1 / k + is_member)), k - 1


def seed_spread(measured: Sequence[Measured], number: Callable[[Any], float]) -> float:
    """Standard deviation of a number over random-weight baselines, the median over languages.

    NaN where no language has two of them.
    """
    by_language = [[number(one[name]) for name in of_kind("random", one)] for one in measured]
    found = [np.std(numbers, ddof=1) for numbers in by_language if len(numbers) > 1]
    return float(np.median(found)) if found else float("nan")


def compare_choices(
    choices: Mapping[str, tuple[Mapping[str, LanguagePair], Callable[[LanguagePair], Mapping[str, float]]]],
    against: str,
) -> pd.DataFrame:
    """Rows of a sensitivity table: one per choice, with the trained model and its highest control.

    `choices` maps words to the pairs of a choice and to what gives the number of the trained model and of
    every control in a pair; columns are (language, "trained") and (language, `against`). A choice that cannot
    be measured, or without pairs, is an empty row that says why.
    """
    rows = {}
    for words, (pairs, number) in choices.items():
        row, why = {}, "" if pairs else "these states are not there"
        for language, pair in pairs.items():
            try:
                found = dict(number(pair))
            except (MeasureError, ConvergenceError) as error:
                row, why = {}, str(error)
                break
            row[language, "trained"] = found.pop(TRAINED)
            row[language, against] = max(found.values(), default=np.nan)
        rows[_noted(words, why)] = row
    columns = dict.fromkeys(name for row in rows.values() for name in row)
    table = pd.DataFrame([[row.get(name, np.nan) for name in columns] for row in rows.values()])
    # pd.Index makes levels of tuples
    return table.set_axis(pd.Index([*rows]), axis=0).set_axis(pd.Index([*columns]), axis=1)


def _noted(words: str | tuple[str, ...], why: str) -> str | tuple[str, ...]:
    """The name of a choice, or of its first part, with why it was not measured."""
    if not why:
        return words
    first, *rest = (words,) if isinstance(words, str) else words
    noted = f"{first} (not measured: {why})"
    return (noted, *rest) if rest else noted


def present(pair: LanguagePair, *names: str) -> list[str]:
    """Those of the names that are subjects of the pair."""
    return [name for name in names if name in pair.subjects]

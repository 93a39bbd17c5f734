"""Prediction 1: does the nearest neighbour in the other language come from the same scenario?

Accuracy by layer of every subject, its excess over the best control ("aligned at all?") and over the
subject's own layer 0 and embeddings ("do the blocks add to it?"). Layers and pairs of layers are
chosen on the discovery third; intervals come from the confirmation items, resampled by scenario.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import ParameterError
from ...measures import alignment
from ...measures.resampling import Interval, holm, permutation_max, stratified_permutations
from ...measures.text_baselines import lexical_outcomes, ngram_outcomes
from ..language_pairs import (
    PERMUTED,
    PLANTED,
    RANDOM_BLOCKS,
    SHUFFLED,
    TRAINED,
    Panel,
    length_overlap_strata,
    standardised,
)
from ..rules import Evidence
from ..study import STANDARDISED, as_evidence, confirmed_interval, judged, present, remarked, shifted

ALIGNED, RISES = "prediction_1_aligned", "prediction_1_rises"
SURFACE, SPELLING = "surface overlap", "shared spelling"


@dataclass(frozen=True)
class RetrievalResult:
    """Retrieval by layer, of all subjects and languages.

    curves : language, subject, layer, accuracy, low, high (confirmation items; 95 %, by scenario).
    peaks : language, subject, layer (chosen on discovery), accuracy, chance (confirmation items).
    shuffles : language, layer, accuracy, null_high (95 % of stratified shuffles), p_max (max-T over
        layers), p_holm (the smallest of them, Holm over languages); all items, trained model.
    evidence : claim id -> one Evidence per language.
    """

    curves: pd.DataFrame
    peaks: pd.DataFrame
    shuffles: pd.DataFrame
    evidence: Mapping[str, list[Evidence]]


def retrieval_by_layer(
    panels: Mapping[str, Panel], *, rng: np.random.Generator, n_shuffles: int = 499
) -> RetrievalResult:
    """Prediction 1: between-scenario retrieval of every subject, with its evidence (centred cosine)."""
    curves, peaks, shuffles = [], [], []
    evidence = {claim: [] for claim in EVIDENCE}
    for panel, stream in zip(panels.values(), rng.spawn(len(panels)), strict=True):
        intervals, permuted, decisions = stream.spawn(3)
        outcomes = retrieval_outcomes(panel)
        curves.append(_curves(panel, outcomes, intervals))
        peaks.append(_peaks(panel, outcomes))
        shuffles.append(stratified_shuffles(panel, permuted, n_shuffles))
        for claim, found in _judged(panel, outcomes, decisions).items():
            evidence[claim].append(found)
    table = pd.concat(shuffles, ignore_index=True)
    smallest = table.groupby("language", sort=False)["p_max"].min()
    adjusted = dict(zip(smallest.index, holm(smallest.to_numpy()), strict=True)) if len(smallest) else {}
    table["p_holm"] = table["language"].map(adjusted)
    return RetrievalResult(
        pd.concat(curves, ignore_index=True), pd.concat(peaks, ignore_index=True), table, evidence
    )


def accuracy_curves(panels: Mapping[str, Panel], *, rng: np.random.Generator) -> pd.DataFrame:
    """`RetrievalResult.curves` alone, for a look without a verdict."""
    return pd.concat(
        [
            _curves(panel, retrieval_outcomes(panel), stream)
            for panel, stream in zip(panels.values(), rng.spawn(len(panels)), strict=True)
        ],
        ignore_index=True,
    )


def _judged(
    panel: Panel, outcomes: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, Evidence]:
    """Evidence for both claims, with a remark where the standardised measure would decide otherwise."""
    scaled = standardised(panel)
    scaled_outcomes = retrieval_outcomes(scaled)
    found = {}
    for claim, stream in zip(EVIDENCE, rng.spawn(len(EVIDENCE)), strict=True):

        def make(subject: str, rng: np.random.Generator, claim: str = claim) -> Evidence:
            first, second = rng.spawn(2)
            one, other = (
                EVIDENCE[claim](measured, {**by, TRAINED: by[subject]}, rng=r)
                for measured, by, r in ((panel, outcomes, first), (scaled, scaled_outcomes, second))
            )
            return remarked(claim, one, other, STANDARDISED)

        also = (RANDOM_BLOCKS,) if claim == RISES else ()
        found[claim] = judged(claim, panel, make, rng=stream, also=also)
    return found


def retrieval_outcomes(panel: Panel, **options) -> dict[str, np.ndarray]:
    """Subject -> (L+1, 2, n) outcomes on the full pool, centred by the means of the discovery items.

    The baselines from the texts (surface overlap, spelling) have one layer. `options` go to
    `alignment.retrieval_outcomes`.
    """
    options = {"level": "between", "groups": panel.scenario, **options}
    centred = options.pop("center", True)
    found = {
        name: alignment.retrieval_outcomes(x, y, center=panel.means(name) if centred else False, **options)
        for name, (x, y) in panel.subjects.items()
    }
    level = {"groups": options["groups"], "level": options["level"]}
    if panel.tokens is not None:
        found[SURFACE] = lexical_outcomes(*panel.tokens, **level)[None]
    if panel.texts is not None:
        found[SPELLING] = ngram_outcomes(*panel.texts, **level)[None]
    return found


def aligned_evidence(
    panel: Panel, outcomes: Mapping[str, np.ndarray], *, rng: np.random.Generator
) -> Evidence:
    """Is anything aligned at all? The excess over the best control, every control judged alike."""
    statistics = {
        subject: {"aligned_excess": aligned_excess(panel, outcomes, subject, rng=stream)}
        for subject, stream in _subjects(panel, rng)
    }
    return as_evidence(panel, statistics)


def rises_evidence(panel: Panel, outcomes: Mapping[str, np.ndarray], *, rng: np.random.Generator) -> Evidence:
    """Do the blocks add to it? The rise over layer 0 and the embeddings, and the largest drop on the way."""
    statistics = {}
    for subject, stream in _subjects(panel, rng):
        first, second = stream.spawn(2)
        statistics[subject] = {
            "rise_excess": rise_excess(panel, outcomes, subject, rng=first),
            "largest_drop": largest_drop(panel, outcomes[subject], rng=second),
        }
    return as_evidence(panel, statistics)


EVIDENCE = {ALIGNED: aligned_evidence, RISES: rises_evidence}


def _subjects(panel: Panel, rng: np.random.Generator) -> Iterator[tuple[str, np.random.Generator]]:
    """Each subject that the rule judges, with a stream of random numbers of its own."""
    subjects = [TRAINED, *panel.twins, *present(panel, PERMUTED), SHUFFLED, PLANTED]
    return zip(subjects, rng.spawn(len(subjects)), strict=True)


def aligned_excess(
    panel: Panel, outcomes: Mapping[str, np.ndarray], subject: str, *, rng: np.random.Generator
) -> Interval:
    """Retrieval at the peak minus that of the best control: random twins, permuted embeddings, texts alone.

    A twin is compared with the other twins and the baselines from the texts. The upper limit is the
    excess over the mean control (see `shifted`).
    """
    controls = [t for t in panel.twins if t != subject]
    if subject not in (*panel.twins, PERMUTED):
        controls += present(panel, PERMUTED)
    controls += [c for c in (SURFACE, SPELLING) if c in outcomes]
    compared = {c: (outcomes[c], peak_layer(panel, outcomes[c])) for c in controls}
    return _excess(panel, outcomes[subject], compared, rng, exchangeable=True)


def rise_excess(
    panel: Panel, outcomes: Mapping[str, np.ndarray], subject: str, *, rng: np.random.Generator
) -> Interval:
    """Retrieval at the peak minus the larger of the subject's own layer 0 and its embeddings' control.

    That control is trained embeddings under random blocks for the trained model, and the (other) random
    twins for subjects whose embeddings or pairing are not the trained ones.
    """
    others = [RANDOM_BLOCKS] if subject == TRAINED else [t for t in panel.twins if t != subject]
    if missing := [c for c in others if c not in outcomes]:
        raise ParameterError(
            f"{panel.language}: rises is judged against {', '.join(missing)}; capture it too."
        )
    compared = {c: (outcomes[c], peak_layer(panel, outcomes[c])) for c in others}
    return _excess(panel, outcomes[subject], {"layer 0": (outcomes[subject], 0), **compared}, rng)


def largest_drop(panel: Panel, outcomes: np.ndarray, *, rng: np.random.Generator) -> Interval:
    """How far accuracy falls between two layers before the peak; the pair is chosen on discovery.

    Zero where the peak is layer 0: nothing lies before it.
    """
    accuracy = outcomes[..., panel.discovery].mean((1, 2))
    peak = peak_layer(panel, outcomes)
    drops = np.triu(accuracy[: peak + 1, None] - accuracy[None, : peak + 1], 1)
    high, low = np.unravel_index(np.argmax(drops), drops.shape) if peak > 1 else (0, peak)
    first, second = (outcomes[k].mean(0)[panel.confirmation] for k in (high, low))
    return confirmed_interval(panel, first - second if peak else 0 * first, rng)


def peak_layer(panel: Panel, outcomes: np.ndarray) -> int:
    """Layer of the highest accuracy on the discovery items."""
    return int(np.argmax(outcomes[..., panel.discovery].mean((1, 2))))


def sensitivity(
    primary: Mapping[str, Panel], last: Mapping[str, Panel], other: Mapping[str, Panel]
) -> pd.DataFrame:
    """Accuracy of the trained model and of its best control under choices other than the primary one.

    `primary` holds mean-pooled panels of the primary version, `last` the same pooled at the last
    token, `other` those of the corpus's other version (digits). One row a choice; columns are
    (language, "trained" or "best control") and the level of chance. Every layer is chosen anew on
    discovery items and scored on the others. Rows that the corpus does not allow are left out.
    """
    scaled = {language: standardised(panel) for language, panel in primary.items()}
    choices = {
        "primary: mean pooling, centred cosine, between": (primary, {}),
        STANDARDISED: (scaled, {}),
        "raw cosine": (primary, {"center": False}),
        "CSLS, k = 10": (primary, {"score": "csls"}),
        "own translation among all items": (primary, {"level": "item"}),
        "own translation within its scenario": (primary, {"level": "within"}),
        "last token": (last, {}),
        "other version of the numbers": (other, {}),
        "other version, within its scenario": (other, {"level": "within"}),
        "AUC against other scenarios": (primary, None),
    }
    if not next(iter(primary.values())).has_scenarios:
        choices = {name: c for name, c in choices.items() if "within" not in name}
    choices = {name: (panels, options) for name, (panels, options) in choices.items() if panels}
    rows = {}
    for name, (panels, options) in choices.items():
        rows[name] = {("all", "chance"): _chance(next(iter(panels.values())), options)}
        for language, panel in panels.items():
            trained, control = _trained_and_control(panel, options)
            rows[name] |= {(language, "trained"): trained, (language, "best control"): control}
    return pd.DataFrame.from_dict(rows, orient="index")


def _trained_and_control(panel: Panel, options: Mapping | None) -> tuple[float, float]:
    if options is None:
        found = {n: _auc(panel, n) for n in (TRAINED, *panel.twins, *present(panel, PERMUTED))}
    else:
        groups = panel.group if options.get("level") == "within" else panel.scenario
        found = retrieval_outcomes(panel, groups=groups, **options)
    names = [n for n in (*panel.twins, PERMUTED, SURFACE, SPELLING) if n in found]
    scores = {
        n: found[n][peak_layer(panel, found[n])][:, panel.confirmation].mean() for n in (TRAINED, *names)
    }
    return scores[TRAINED], max((scores[n] for n in names), default=np.nan)


def _auc(panel: Panel, subject: str) -> np.ndarray:
    x, y = panel.subjects[subject]
    return alignment.retrieval_auc(x, y, center=panel.means(subject), groups=panel.scenario, level="between")


def _chance(panel: Panel, options: Mapping | None) -> float:
    if options is None:
        return 0.5
    level = options.get("level", "between")
    return alignment.chance_level(panel.group if level == "within" else panel.scenario, level)


def _excess(
    panel: Panel,
    outcomes: np.ndarray,
    compared: Mapping[str, tuple[np.ndarray, int]],
    rng: np.random.Generator,
    *,
    exchangeable: bool = False,
) -> Interval:
    """Peak minus the best of the compared, name -> (outcomes, layer), fixed before the subject is resampled.

    `exchangeable` controls measure the same thing, so that their mean is their typical value.
    """
    rows = panel.confirmation
    own = confirmed_interval(panel, outcomes[peak_layer(panel, outcomes)].mean(0)[rows], rng, bounds=(0, 1))
    controls = {name: found[layer][:, rows].mean() for name, (found, layer) in compared.items()}
    return shifted(own, controls, over_mean=exchangeable)


def _curves(panel: Panel, outcomes: Mapping[str, np.ndarray], rng: np.random.Generator) -> pd.DataFrame:
    tables = []
    for (name, found), stream in zip(outcomes.items(), rng.spawn(len(outcomes)), strict=True):
        interval = confirmed_interval(panel, found.mean(1)[:, panel.confirmation], stream, bounds=(0, 1))
        columns = {"layer": np.arange(len(found)), "accuracy": interval.estimate}
        columns |= {"low": interval.low, "high": interval.high}
        tables.append(pd.DataFrame({"language": panel.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _peaks(panel: Panel, outcomes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    chance = alignment.chance_level(panel.scenario, "between")
    rows = []
    for name, found in outcomes.items():
        layer = peak_layer(panel, found)
        accuracy = found[layer][:, panel.confirmation].mean()
        rows.append((panel.language, name, layer, accuracy, chance))
    return pd.DataFrame(rows, columns=["language", "subject", "layer", "accuracy", "chance"])


def stratified_shuffles(panel: Panel, rng: np.random.Generator, n_shuffles: int = 499) -> pd.DataFrame:
    """Max-T over layers against shuffles within strata of length and overlap, on all items.

    Columns as `RetrievalResult.shuffles` (without p_holm); no rows without token ids.
    """
    if panel.tokens is None:
        return pd.DataFrame(columns=["language", "layer", "accuracy", "null_high", "p_max"])
    x, y = panel.subjects[TRAINED]
    permutations = stratified_permutations(length_overlap_strata(panel), n_shuffles=n_shuffles, rng=rng)
    null = alignment.shuffled_accuracy(x, y, permutations, groups=panel.scenario, level="between")
    observed = alignment.retrieval_accuracy(x, y, groups=panel.scenario, level="between")
    columns = {
        "layer": np.arange(len(x)),
        "accuracy": observed,
        "null_high": np.quantile(null, 0.95, axis=0),
        "p_max": permutation_max(observed, null).adjusted,
    }
    return pd.DataFrame({"language": panel.language, **columns})

"""Conjecture 3 on a language model: is what its layers add suppressed twice, by agreement and by size?

Z and Z_perp of every state are fitted to the discovery items (`measures.subspaces`); on the others, two
statistics, averaged over the inner layers: *agreement gap*, by how much less the languages' contributions
differ inside Z than inside Z_perp (difference of q = E|delta|^2 / sigma^2), and *gain gap*, by how much
stronger, relative to what is there, a layer writes into Z than into Z_perp (log of a ratio of energies).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ... import theory
from ...measures.resampling import Interval, bootstrap, interval_of
from ...measures.subspaces import SplitContributions, split_contributions
from ..panels import PERMUTED, SHUFFLED, TRAINED, Panel, standardised
from ..rules import Control, Evidence
from .common import N_RESAMPLES, STANDARDISED, as_evidence, judged, present, remarked, shifted

CLAIM = "conjecture_3_in_models"
GAPS = ("agreement_gap", "gain_gap")
N_COMPONENTS = 8
_PLANTED = 2.0  # log ratio of gains in the stacks of known answer
_PARTS = ("state", "added", "difference", "cross_same", "cross_diff")


@dataclass(frozen=True)
class ProjectionResult:
    """Contributions to Z and Z_perp of all subjects and languages, confirmation items.

    curves : language, subject, layer, and for Z and Z_perp each (suffix "Z" or "perp") q, q~ and gain
        (energy added over energy there); gain_gap = log of the quotient of the gains.
    gaps : language, subject, agreement_gap, gain_gap, agreement (mean ratio of Z, of Z_perp, on discovery).
    evidence : claim id -> one Evidence per language.
    """

    curves: pd.DataFrame
    gaps: pd.DataFrame
    evidence: Mapping[str, list[Evidence]]


def double_suppression(
    panels: Mapping[str, Panel], *, rng: np.random.Generator, n_components: int = N_COMPONENTS
) -> ProjectionResult:
    """Conjecture 3 on a model: curves, gaps and evidence of every language."""
    curves, gaps, evidence = [], [], []
    for panel, stream in zip(panels.values(), rng.spawn(len(panels)), strict=True):
        measured = _measured(panel, n_components)
        scaled = standardised(panel)
        by_scale = ((panel, measured), (scaled, _measured(scaled, n_components)))

        def make(subject: str, rng: np.random.Generator, by_scale=by_scale) -> Evidence:
            one, other = (
                gap_evidence(seen, {**by, TRAINED: by[subject]}, rng=r, n_components=n_components)
                for (seen, by), r in zip(by_scale, rng.spawn(2), strict=True)
            )
            return remarked(CLAIM, one, other, STANDARDISED)

        curves.append(_curves(panel, measured))
        gaps.append(_gap_table(panel, measured))
        evidence.append(judged(CLAIM, panel, make, rng=stream))
    tables = (pd.concat(t, ignore_index=True) for t in (curves, gaps))
    return ProjectionResult(*tables, {CLAIM: evidence})


def gap_evidence(
    panel: Panel,
    measured: Mapping[str, SplitContributions],
    *,
    rng: np.random.Generator,
    n_components: int = N_COMPONENTS,
) -> Evidence:
    """Both gaps, and their excess over the best twin, for the model, its controls and two known stacks."""
    judging = [name for name in measured if name not in panel.re_rounded]
    streams = dict(zip(judging, rng.spawn(len(judging)), strict=True))
    fits = {name: _gaps(panel, measured[name], stream) for name, stream in streams.items()}
    statistics = {}
    for name, found in fits.items():
        excess = _excess(found, fits, _controls_of(panel, name))
        # only stacks of known answer are controls of the raw gaps: a twin may well have them
        statistics[name] = {**found, **excess} if name == TRAINED else excess
    built = as_evidence(panel, statistics)
    known = _known_stacks(panel, fits, rng, n_components)
    return replace(built, controls=(*built.controls, *known))


def simulated_evidence(share: float, rng: np.random.Generator, *, n_scenarios: int, n_draws: int) -> Evidence:
    """Evidence from `theory.suppression_stack` with `share` of the planted log ratio of gains.

    The twins are such stacks with equal gains whose pairing is shuffled.
    """
    n = n_scenarios * n_draws
    make, twins, judge = rng.spawn(3)
    scenario = np.repeat(np.arange(n_scenarios), n_draws)
    # few dimensions beside those that matter: hundreds of these are made
    subjects = {TRAINED: theory.suppression_stack(n, log_gain_ratio=share * _PLANTED, rng=make, dim=16)}
    for i, stream in enumerate(twins.spawn(4)):
        x, y = theory.suppression_stack(n, log_gain_ratio=0.0, rng=stream, dim=16)
        name = f"random-{i}" if i < 3 else PERMUTED
        subjects[name] = (x, y[:, stream.permutation(n)])
    x, y = subjects[TRAINED]
    subjects[SHUFFLED] = (x, y[:, make.permutation(n)])
    panel = Panel(
        language="simulated",
        subjects=subjects,
        scenario=scenario.astype(str),
        group=scenario.astype(str),
        discovery=scenario < n_scenarios // 3,
        tokens=None,
    )
    return gap_evidence(panel, _measured(panel, N_COMPONENTS), rng=judge)


def sensitivity(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """Both gaps of the trained model and of its best twin under other choices; columns (language, ...)."""
    scaled = {language: standardised(panel) for language, panel in panels.items()}
    choices = {
        f"primary: {N_COMPONENTS} components": (panels, N_COMPONENTS),
        "4 components": (panels, 4),
        "16 components": (panels, 16),
        STANDARDISED: (scaled, N_COMPONENTS),
    }
    rows = {}
    for name, (seen, n_components) in choices.items():
        for language, panel in seen.items():
            if n_components > 2 * (panel.discovery.sum() - 1):
                continue
            subjects = [s for s in (TRAINED, *panel.twins) if s in panel.subjects]
            found = {s: _mean_gaps(panel, _split(panel, s, n_components)) for s in subjects}
            for i, gap in enumerate(GAPS):
                row = rows.setdefault((name, gap.replace("_", " ")), {})
                row[language, "trained"] = found[TRAINED][i]
                row[language, "best twin"] = max((found[t][i] for t in panel.twins), default=np.nan)
    return pd.DataFrame.from_dict(rows, orient="index")


def _measured(panel: Panel, n_components: int) -> dict[str, SplitContributions]:
    names = (TRAINED, *panel.twins, *present(panel, PERMUTED), *present(panel, SHUFFLED), *panel.re_rounded)
    return {name: _split(panel, name, n_components) for name in names}


def _split(panel: Panel, subject: str, n_components: int) -> SplitContributions:
    return split_contributions(*panel.subjects[subject], panel.discovery, n_components)


def _sums(panel: Panel, found: SplitContributions) -> np.ndarray:
    """(5, L, 2, n) what is summed over the confirmation items, inner layers only (all where L < 4)."""
    values = np.stack([getattr(found, part) for part in _PARTS])[..., panel.confirmation]
    return values[:, 1:-1] if values.shape[1] >= 4 else values


def _both_gaps(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Agreement gap and gain gap (...) of mean sums (..., 5, L, 2)."""
    state, added, difference = np.moveaxis(sums[..., :3, :, :], -3, 0)
    quality, gain = difference / added, np.log(added / state)
    return tuple((a[..., i] - a[..., 1 - i]).mean(-1) for a, i in ((quality, 1), (gain, 0)))


def _mean_gaps(panel: Panel, found: SplitContributions) -> tuple[float, float]:
    return tuple(map(float, _both_gaps(_sums(panel, found).mean(-1))))


def _gaps(panel: Panel, found: SplitContributions, rng: np.random.Generator) -> dict[str, Interval]:
    scenario = panel.scenario[panel.confirmation]
    drawn = bootstrap(_sums(panel, found), scenario, n_resamples=N_RESAMPLES, rng=rng)
    pairs = zip(GAPS, _both_gaps(drawn.estimate), _both_gaps(drawn.replicates), strict=True)
    return {name: interval_of(one, many, drawn.n_groups) for name, one, many in pairs}


def _controls_of(panel: Panel, subject: str) -> list[str]:
    """Subjects whose best gap is subtracted from that of a subject."""
    others = [t for t in panel.twins if t != subject]
    return others if subject in (*panel.twins, PERMUTED) else [*others, *present(panel, PERMUTED)]


def _excess(found: Mapping, fits: Mapping, others: list[str]) -> dict[str, Interval]:
    best = {gap: max(float(fits[name][gap].estimate) for name in others) for gap in GAPS}
    return {f"{gap}_excess": shifted(found[gap], best[gap]) for gap in GAPS}


def _known_stacks(panel: Panel, fits: Mapping, rng: np.random.Generator, n_components: int):
    """Stacks of the data's size in which the conjecture holds, and in which the layers do the opposite."""
    controls = []
    for kind, name, sign in (
        ("positive", "suppression planted", 1),
        ("negative", "suppression reversed", -1),
    ):
        make, resample = rng.spawn(2)
        pair = theory.suppression_stack(len(panel.scenario), log_gain_ratio=sign * _PLANTED, rng=make)
        found = _gaps(panel, split_contributions(*pair, panel.discovery, n_components), resample)
        controls.append(Control(name, kind, {**found, **_excess(found, fits, _controls_of(panel, name))}))
    return controls


def _curves(panel: Panel, measured: Mapping[str, SplitContributions]) -> pd.DataFrame:
    tables = []
    for name, found in measured.items():
        state, added, difference, same, diff = (
            getattr(found, part)[..., panel.confirmation].mean(-1) for part in _PARTS
        )
        columns = {"layer": np.arange(len(state))}
        for i, space in enumerate(("Z", "perp")):
            columns[f"q {space}"] = difference[:, i] / added[:, i]
            columns[f"q~ {space}"] = (difference + same)[:, i] / (added + diff)[:, i]
            columns[f"gain {space}"] = added[:, i] / state[:, i]
        columns["gain_gap"] = np.log(columns["gain Z"] / columns["gain perp"])
        columns["agreement_gap"] = columns["q perp"] - columns["q Z"]
        tables.append(pd.DataFrame({"language": panel.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _gap_table(panel: Panel, measured: Mapping[str, SplitContributions]) -> pd.DataFrame:
    rows = []
    for name, found in measured.items():
        half = found.agreement.shape[1] // 2
        gaps = dict(zip(GAPS, _mean_gaps(panel, found), strict=True))
        spectrum = {
            "agreement Z": found.agreement[:, :half].mean(),
            "agreement perp": found.agreement[:, half:].mean(),
        }
        rows.append({"language": panel.language, "subject": name, **gaps, **spectrum})
    return pd.DataFrame(rows)

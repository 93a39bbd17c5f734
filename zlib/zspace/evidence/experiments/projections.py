"""Conjecture 3 on a language model: is what its layers add suppressed twice, by agreement and by size?

Z and Z_perp of every state are fitted to the discovery items (`measures.subspaces`), each dimension divided
by its standard deviation, since a few outlier dimensions would fill the principal components. On the other
items, averaged over the inner layers: *agreement gap*, by how much less the languages' contributions differ
inside Z than inside Z_perp (difference of q = E|delta|^2 / sigma^2), and *gain gap*, by how much stronger,
relative to what is there, a layer writes into Z than into Z_perp (log of a ratio of energies). Both mean
nothing where the split itself is noise: *held-out agreement*, that of the states in Z minus that in Z_perp,
must stand above zero first.
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
from .common import N_RESAMPLES, STANDARDISED, as_evidence, judged, present, remarked

CLAIM = "conjecture_3_in_models"
GAPS, HELD_OUT = ("agreement_gap", "gain_gap"), "held_out_agreement"
N_COMPONENTS = 8
_AS_THEY_ARE = "dimensions as they are"
_PLANTED = 2.0  # log ratio of gains in the stacks of known answer
_PARTS = ("state", "distance", "added", "difference", "cross_same", "cross_diff")


@dataclass(frozen=True)
class ProjectionResult:
    """Contributions to Z and Z_perp of all subjects and languages, confirmation items.

    curves : language, subject, layer, and for Z and Z_perp each (suffix "Z" or "perp") q, q~ and gain
        (energy added over energy there); gain_gap, its 95 % limits low and high (trained), agreement_gap.
    gaps : language, subject, both gaps, held_out_agreement, and the mean agreement ratio of Z and of Z_perp
        on the discovery items.
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
        scaled = standardised(panel)
        measured = _measured(scaled, n_components)
        by_scale = ((scaled, measured), (panel, _measured(panel, n_components)))

        def make(subject: str, rng: np.random.Generator, by_scale=by_scale) -> Evidence:
            one, other = (
                gap_evidence(seen, {**by, TRAINED: by[subject]}, rng=r, n_components=n_components)
                for (seen, by), r in zip(by_scale, rng.spawn(2), strict=True)
            )
            return remarked(CLAIM, one, other, _AS_THEY_ARE)

        deciding, drawing = stream.spawn(2)
        curves.append(_curves(panel, measured, drawing))
        gaps.append(_gap_table(panel, measured))
        evidence.append(judged(CLAIM, panel, make, rng=deciding))
    tables = (pd.concat(t, ignore_index=True) for t in (curves, gaps))
    return ProjectionResult(*tables, {CLAIM: evidence})


def gap_evidence(
    panel: Panel,
    measured: Mapping[str, SplitContributions],
    *,
    rng: np.random.Generator,
    n_components: int = N_COMPONENTS,
) -> Evidence:
    """Both gaps, and their excess over the best twin, for the model, its controls and two known stacks.

    All are resampled alike, so that the interval of an excess holds the noise of the twin as well.
    """
    judging = [name for name in measured if name not in panel.re_rounded]
    resampling, stacks = rng.spawn(2)
    fits = {name: _gaps(panel, measured[name], _again(resampling)) for name in judging}
    statistics = {}
    for name, found in fits.items():
        excess = _excess(found, fits, _controls_of(panel, name))
        # only stacks of known answer are controls of the raw gaps: a twin may well have them
        statistics[name] = {**found, **excess} if name == TRAINED else excess
    built = as_evidence(panel, statistics)
    known = _known_stacks(panel, fits, (stacks, resampling), n_components)
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
    panel = standardised(
        Panel(
            language="simulated",
            subjects=subjects,
            scenario=scenario.astype(str),
            group=scenario.astype(str),
            discovery=scenario < n_scenarios // 3,
            tokens=None,
        )
    )
    return gap_evidence(panel, _measured(panel, N_COMPONENTS), rng=judge)


def sensitivity(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """Both gaps of the trained model and of its best twin under other choices; columns (language, ...)."""
    scaled = {language: standardised(panel) for language, panel in panels.items()}
    choices = {
        f"primary: {N_COMPONENTS} components, {STANDARDISED}": (scaled, N_COMPONENTS),
        "4 components": (scaled, 4),
        "16 components": (scaled, 16),
        _AS_THEY_ARE: (panels, N_COMPONENTS),
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
    """(6, L, 2, n) what is summed over the confirmation items, inner layers only (all where L < 4)."""
    values = np.stack([getattr(found, part) for part in _PARTS])[..., panel.confirmation]
    return values[:, 1:-1] if values.shape[1] >= 4 else values


def _layer_gaps(sums: np.ndarray) -> np.ndarray:
    """(3, ..., L) agreement gap, gain gap and held-out agreement by layer, of mean sums (..., 6, L, 2)."""
    state, distance, added, difference = np.moveaxis(sums[..., :4, :, :], -3, 0)
    found = (-difference / added, np.log(added / state), -distance / state)
    return np.stack([a[..., 0] - a[..., 1] for a in found])


def _mean_gaps(panel: Panel, found: SplitContributions) -> tuple[float, ...]:
    return tuple(map(float, _layer_gaps(_sums(panel, found).mean(-1)).mean(-1)))


def _gaps(panel: Panel, found: SplitContributions, rng: np.random.Generator) -> dict[str, Interval]:
    scenario = panel.scenario[panel.confirmation]
    drawn = bootstrap(_sums(panel, found), scenario, n_resamples=N_RESAMPLES, rng=rng)
    one, many = (_layer_gaps(sums).mean(-1) for sums in (drawn.estimate, drawn.replicates))
    pairs = zip((*GAPS, HELD_OUT), one, many, strict=True)
    return {name: interval_of(one, many, drawn.n_groups) for name, one, many in pairs}


def _controls_of(panel: Panel, subject: str) -> list[str]:
    """Subjects whose best gap is subtracted from that of a subject."""
    others = [t for t in panel.twins if t != subject]
    return others if subject in (*panel.twins, PERMUTED) else [*others, *present(panel, PERMUTED)]


def _excess(found: Mapping, fits: Mapping, others: list[str]) -> dict[str, Interval]:
    excess = {}
    for gap in GAPS:
        best = max((fits[name][gap] for name in others), key=lambda one: one.estimate)
        one = found[gap]
        moved = one.estimate - best.estimate, one.replicates - best.replicates
        excess[f"{gap}_excess"] = interval_of(*moved, one.n_groups)
    return excess


def _again(rng: np.random.Generator) -> np.random.Generator:
    """A generator that starts where this one was made, whatever was drawn or made from it since."""
    seed = rng.bit_generator.seed_seq
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key))


def _known_stacks(
    panel: Panel, fits: Mapping, streams: tuple[np.random.Generator, np.random.Generator], n_components: int
) -> list[Control]:
    """Stacks of the data's size in which the conjecture holds, and in which the layers do the opposite."""
    making, resampling = streams
    controls = []
    for kind, name, sign in (
        ("positive", "suppression planted", 1),
        ("negative", "suppression reversed", -1),
    ):
        ratio = sign * _PLANTED
        pair = theory.suppression_stack(len(panel.scenario), log_gain_ratio=ratio, rng=making.spawn(1)[0])
        found = _gaps(panel, split_contributions(*pair, panel.discovery, n_components), _again(resampling))
        controls.append(Control(name, kind, {**found, **_excess(found, fits, _controls_of(panel, name))}))
    return controls


def _curves(
    panel: Panel, measured: Mapping[str, SplitContributions], rng: np.random.Generator
) -> pd.DataFrame:
    tables = []
    for name, found in measured.items():
        values = np.stack([getattr(found, part) for part in _PARTS])[..., panel.confirmation]
        state, _, added, difference, same, diff = values.mean(-1)
        columns = {"layer": np.arange(len(state))}
        for i, space in enumerate(("Z", "perp")):
            columns[f"q {space}"] = difference[:, i] / added[:, i]
            columns[f"q~ {space}"] = (difference + same)[:, i] / (added + diff)[:, i]
            columns[f"gain {space}"] = added[:, i] / state[:, i]
        columns["agreement_gap"], columns["gain_gap"], _ = _layer_gaps(values.mean(-1))
        if name == TRAINED:
            drawn = bootstrap(values, panel.scenario[panel.confirmation], n_resamples=N_RESAMPLES, rng=rng)
            by_layer = zip(columns["gain_gap"], _layer_gaps(drawn.replicates)[1].T, strict=True)
            limits = [interval_of(one, many, drawn.n_groups) for one, many in by_layer]
            columns |= {side: [getattr(one, side) for one in limits] for side in ("low", "high")}
        tables.append(pd.DataFrame({"language": panel.language, "subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _gap_table(panel: Panel, measured: Mapping[str, SplitContributions]) -> pd.DataFrame:
    rows = []
    for name, found in measured.items():
        half = found.agreement.shape[1] // 2
        gaps = dict(zip((*GAPS, HELD_OUT), _mean_gaps(panel, found), strict=True))
        spectrum = {
            "agreement Z": found.agreement[:, :half].mean(),
            "agreement perp": found.agreement[:, half:].mean(),
        }
        rows.append({"language": panel.language, "subject": name, **gaps, **spectrum})
    return pd.DataFrame(rows)

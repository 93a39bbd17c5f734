"""Conjecture 3 on trained nonlinear residual networks, whose Z is known.

The networks are those of the note's last row (centroids, ill-conditioned transforms, skip connections) with
six blocks. Each language is paired with the anchor, and measured and judged as in language models (`models`).
But items are many, so that directions hardly leak, and the unit is a network.

Controls are the same network before training, other untrained ones, one trained to private targets, and those
that `models` makes from the trained states.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ... import theory
from ...measures.resampling import bootstrap, draw_groups
from ...measures.subspaces import SplitContributions, split_contributions
from ...sources.worlds import World
from ...states import networks
from ..blind_sweep import sweep
from ..language_pairs import SEEDS, SHUFFLED, TRAINED, LanguagePair
from ..rules import OVERALL, Evidence
from ..study import N_RESAMPLES, Study, Values, assemble
from . import models
from .models import GAPS, HELD_OUT, PLANTED, gap_statistics

CLAIM = "conjecture_3_in_networks"
# apart from the seeds of every other experiment
CONFIRMATION_SEEDS = range(300, 310)
CONFIGURATION = (sweep.CENTROIDS, sweep.INVERTIBLE, sweep.RESIDUAL)
STUDY = Study(CLAIM, gap_statistics, positive={PLANTED: ()})
_UNTRAINED = tuple(f"random-{seed}" for seed in SEEDS)
_N_ITEMS, _N_DISCOVERY = 768, 256


@dataclass(frozen=True)
class NetworkProjections:
    """Contributions to Z and Z_perp of all networks.

    gaps : seed, language, subject, both gaps and held-out agreement.
    curves : language, subject, layer, gain_gap, agreement_gap, means over networks; their 95 % limits low and
        high of the gain gap (trained).
    spectra : seed, language, direction, known (agreement ratios that the world's transforms give its inputs)
        and found (those of state 0 on the discovery items).
    evidence : of `CLAIM`.
    """

    gaps: pd.DataFrame
    curves: pd.DataFrame
    spectra: pd.DataFrame
    evidence: Evidence


def network_suppression(
    *,
    rng: np.random.Generator,
    seeds: Sequence[int] = CONFIRMATION_SEEDS,
    recipe: networks.Recipe | None = None,
    configuration: sweep.Configuration = CONFIGURATION,
    standardise: bool = True,
) -> NetworkProjections:
    """Train the networks, or read them where they are kept; measure and judge."""
    size = replace(sweep.SIZES["fast"], recipe=recipe or networks.Recipe(depth=6))
    batches = [sweep.train([configuration], size, seeds, target=target) for target in ("shared", "private")]
    deciding, *streams = rng.spawn(1 + len(seeds))
    options = {"n_components": size.dim, "standardise": standardise}
    gaps, curves, spectra = [], [], []
    for i, stream in enumerate(streams):
        made = _pairs(*batches, i, stream)
        for pair, making in zip(made, stream.spawn(len(made)), strict=True):
            columns = {"seed": int(batches[0].seeds[i]), "language": pair.language}
            found = models.contributions(pair, models.made_contributions(pair, rng=making), **options)
            private = pair.subjects[sweep.PRIVATE]
            found[sweep.PRIVATE] = split_contributions(*private, pair.discovery, **options)
            rows = [(name, *models.mean_gaps(pair, one)) for name, one in found.items()]
            gaps.append(pd.DataFrame(rows, columns=["subject", *GAPS, HELD_OUT]).assign(**columns))
            curves.append(_curve_rows(pair, found).assign(**columns))
            known = known_agreement(batches[0].worlds[i], pair.language)
            spectrum = {"known": known, "found": found[TRAINED].agreement[0]}
            spectra.append(pd.DataFrame({"direction": range(1, size.dim + 1), **spectrum}).assign(**columns))
    gaps, curves, spectra = (pd.concat(t, ignore_index=True) for t in (gaps, curves, spectra))
    evidence = network_evidence(gaps, rng=deciding)
    return NetworkProjections(gaps, _means(curves, deciding.spawn(1)[0]), spectra, evidence)


def sensitivity(*, rng: np.random.Generator, seeds: Sequence[int] = CONFIRMATION_SEEDS[:5]) -> pd.DataFrame:
    """Statistics of the rule, as intervals of the trained networks, under other choices."""
    one_hot = (sweep.ONE_HOT, sweep.ORTHOGONAL, sweep.RESIDUAL)
    choices = {
        f"primary, {len(seeds)} networks": {},
        "dimensions as they are": {"standardise": False},
        "told the language by a flag": {"configuration": one_hot},
    }
    rows, seed = {}, int(rng.integers(2**63))  # the same items in every row
    for name, options in choices.items():
        stream = np.random.default_rng(seed)
        found = network_suppression(rng=stream, seeds=seeds, **options).evidence.statistics
        rows[name] = {
            f"{statistic.replace('_', ' ')}, {side}": getattr(interval, side)
            for statistic, interval in found.items()
            for side in ("low", "high")
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def network_evidence(gaps: pd.DataFrame, *, rng: np.random.Generator) -> Evidence:
    """Evidence from gaps of networks: means over their languages, networks resampled, subjects alike."""
    by = gaps.groupby(["subject", "seed"], sort=False)[[*GAPS, HELD_OUT]].mean()
    draws = draw_groups(np.arange(gaps["seed"].nunique()), N_RESAMPLES, rng=rng)
    measured = {}
    for subject in dict.fromkeys(gaps["subject"]):
        drawn = draws.mean(by.loc[subject].sort_index().to_numpy().T)
        measured[subject] = Values(drawn.estimate, drawn.replicates.T, draws.n_groups)
    return replace(assemble(STUDY, measured, draws, OVERALL), n_items=None)


def known_agreement(world: World, language: str) -> np.ndarray:
    """(d,) agreement ratios of a pair's inputs, descending: theorem 1 with the item as content.

    What is shown of an item is its latents and the noise of either language.
    """
    d, k = world.dim, sweep.LANGUAGES.index(language)
    noise, none = world.noise * np.eye(d), np.zeros((d, d))
    first, second = world.parts.transforms[[0, k]]
    shown = np.hstack([first, noise, none]), np.hstack([second, none, noise])
    return theory.optimal_map(np.stack(shown), [0.5, 0.5]).agreement[:d]


def _pairs(
    shared: networks.TrainedBatch, private: networks.TrainedBatch, i: int, rng: np.random.Generator
) -> list[LanguagePair]:
    """Pairs of one network, one per language; all subjects read the same items."""
    draw, order = rng.spawn(2)
    inputs = shared.worlds[i].sample(_N_ITEMS, rng=draw).inputs[None]
    found = {TRAINED: networks.states(shared.select([i]), inputs)}
    for offset, name in enumerate(_UNTRAINED):  # the first is the network itself before training
        other = shared.select([(i + offset) % len(shared)])
        found[name] = networks.states(other, inputs, initial=True)
    found[sweep.PRIVATE] = networks.states(private.select([i]), inputs)
    mixed = order.permutation(_N_ITEMS)
    return [_pair(found, k, mixed) for k in range(1, inputs.shape[1])]


def _pair(found: Mapping[str, np.ndarray], language: int, mixed: np.ndarray) -> LanguagePair:
    subjects = {n: (s[0, :, 0].astype(float), s[0, :, language].astype(float)) for n, s in found.items()}
    x, y = subjects[TRAINED]
    items = np.arange(_N_ITEMS)
    return LanguagePair(
        language=sweep.LANGUAGES[language],
        subjects={**subjects, SHUFFLED: (x, y[:, mixed])},
        scenario=items.astype(str),
        group=items.astype(str),
        discovery=items < _N_DISCOVERY,
        tokens=None,
        has_scenarios=False,
    )


def _curve_rows(pair: LanguagePair, found: Mapping[str, SplitContributions]) -> pd.DataFrame:
    tables = []
    for name, one in found.items():
        agreement, gain, _ = models.layer_gaps(pair, one)
        columns = {"layer": np.arange(len(gain)), "agreement_gap": agreement, "gain_gap": gain}
        tables.append(pd.DataFrame({"subject": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _means(curves: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Means over networks, with the interval of the trained gain gap."""
    keys = ["language", "subject", "layer"]
    table = curves.groupby(keys, sort=False)[list(GAPS)].mean().reset_index()
    table[["low", "high"]] = np.nan
    wide = curves[curves["subject"] == TRAINED].pivot(
        index=["language", "layer"], columns="seed", values="gain_gap"
    )
    drawn = bootstrap(wide.to_numpy(), None, n_resamples=N_RESAMPLES, rng=rng)
    limits = pd.DataFrame({"low": drawn.low, "high": drawn.high}, index=wide.index)
    trained = table["subject"] == TRAINED
    at = pd.MultiIndex.from_frame(table.loc[trained, ["language", "layer"]])
    table.loc[trained, ["low", "high"]] = limits.loc[at].to_numpy()
    return table

"""Verdicts on many languages at once: the rules of the notebooks, without their tables and figures.

A notebook takes its languages one after another, and looks at each of them ten times to show what other
choices would give. With 70 languages and 20 random-weight baselines that is a day; what the rules need is
minutes on a machine with many cores. `survey` judges every language in a process of its own, keeps what it
found there (an interrupted survey goes on), and writes the same records of the ledger as the notebooks do.

A claim about single languages is judged language by language (`BY_LANGUAGE`); one about all of them
(`TOGETHER`), such as a correlation over languages, in one process of its own beside the others.
"""

import functools
import hashlib
import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import joblib
import numpy as np
from tqdm import tqdm

from .. import files
from ..errors import UnmetNeedsError
from ..evidence import claims, laboratory, needs
from ..evidence.alignment_depth import language_depth
from ..evidence.bridges import bridging
from ..evidence.claims import Verdict
from ..evidence.cointegration import layer_time, thickness
from ..evidence.double_suppression import models
from ..evidence.language_pairs import LanguagePair
from ..evidence.retrieval import by_layer, updates
from ..evidence.rules import Evidence
from ..evidence.shared_subspace import shared_dimension
from ..evidence.snr_descent import descent
from ..sources.corpora import Corpus

Found = Mapping[str, Sequence[Evidence]]  # claim -> evidence, one per language or one in all
Part = Found | language_depth.Measured  # what a process brings back
Pairs = Mapping[str, LanguagePair]

# notebook -> judge(pair, rng), of one language
BY_LANGUAGE: Mapping[str, Callable[[LanguagePair, np.random.Generator], Found]] = {
    "theorem_2_snr_descent": lambda pair, rng: _one_each(descent.judge_pair(pair, rng=rng).evidence),
    "conjecture_3_double_suppression": lambda pair, rng: (
        models.double_suppression(_alone(pair), rng=rng).evidence
    ),
    "prediction_1_retrieval_by_layer": lambda pair, rng: (
        by_layer.retrieval_by_layer(_alone(pair), rng=rng).evidence
    ),
    "prediction_2_update_agnosticism": lambda pair, rng: (
        updates.update_agnosticism(_alone(pair), rng=rng).evidence
    ),
    "conjecture_7_dimension": lambda pair, rng: {
        shared_dimension.CLAIM: [shared_dimension.judge_pair(pair, rng=rng)]
    },
    "conjecture_7_rank": lambda pair, rng: layer_time.layers_as_time(_alone(pair), rng=rng).evidence,
}
# notebook -> judge(pairs, anchor, rng), of all languages
TOGETHER: Mapping[str, Callable[[Pairs, str, np.random.Generator], Found]] = {
    "prediction_6_bridge_conditioning": lambda pairs, anchor, rng: {
        bridging.CONDITIONING: [bridging.bridge_conditioning(pairs, anchor, rng=rng).evidence]
    },
    "conjecture_7_adjustment": lambda pairs, anchor, rng: {
        thickness.CLAIM: [thickness.adjustment_speeds(pairs, anchor, rng=rng).evidence]
    },
}
BRIDGES = "prediction_5_affine_vs_procrustes"  # by language, each beside all others
DEPTHS = "prediction_3_language_depth"  # measured by language, then compared
NOTEBOOKS = (*BY_LANGUAGE, BRIDGES, DEPTHS, *TOGETHER)
_DIGEST = hashlib.sha256().digest_size
# what a survey takes of a notebook's parameters
PARAMETERS = (
    *("model", "corpus", "version", "languages", "n_items", "block", "n_random", "n_re_rounded", "seed"),
)


def survey(
    parameters: Mapping[str, object],
    notebooks: Iterable[str] | None = None,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> dict[str, list[Verdict]]:
    """Judge the claims of some notebooks about a model on a corpus, and record them: claim -> verdicts.

    Parameters
    ----------
    parameters : those of a notebook that `PARAMETERS` names. States that are not there are captured first.
    notebooks : whose claims; by default all whose needs the texts meet.
    workers : processes; by default as many as there are processors.

    Raises
    ------
    ParameterError, CorpusError, ModelError : as a notebook would, also where texts do not meet its needs.
    """
    lab = laboratory.Lab(dict(parameters), _streams(parameters["seed"], ("pairs", "judging")))
    texts = lab.load()
    # no rule reads another pooling: half of the disk
    pairs, anchor = lab.open_pairs(texts, progress=progress, together=("mean",)), texts.languages[0]
    code = files.source_fingerprint("measures", "series", "evidence")
    about = [dict(parameters), texts.fingerprint, code, claims.entries()]
    folder = files.runs_root() / "survey" / files.fingerprint(about)
    streams = dict(zip(NOTEBOOKS, lab.rng["judging"].spawn(len(NOTEBOOKS)), strict=True))
    wanted = _met(lab, texts, NOTEBOOKS if notebooks is None else notebooks, strict=notebooks is not None)
    tasks = []
    # those of all languages take longest
    for notebook in sorted(wanted, key=lambda name: (name not in TOGETHER, NOTEBOOKS.index(name))):
        parts = _parts(notebook, pairs, anchor, streams[notebook])
        tasks += [(folder / f"{name}.pickle", *part) for name, part in parts.items()]
    _run(tasks, workers or os.cpu_count(), progress)
    parts = [_kept(path) for path, *_ in tasks]
    depths = [one for one in parts if isinstance(one, language_depth.Measured)]
    judged = [one for one in parts if not isinstance(one, language_depth.Measured)]
    if depths:
        judged.append(_one_each(language_depth.compare(depths, rng=streams[DEPTHS].spawn(1)[0]).evidence))
    found: dict[str, list[Evidence]] = {}
    for part in judged:
        for claim, evidence in part.items():
            found.setdefault(claim, []).extend(evidence)
    verdicts = {claim: _verdicts(claim, evidence) for claim, evidence in found.items()}
    for claim, one in verdicts.items():
        lab.write(claim, one, texts=texts, pairs=pairs)
    return verdicts


def _met(lab: laboratory.Lab, texts: Corpus, notebooks: Iterable[str], *, strict: bool) -> set[str]:
    """Those of the notebooks whose needs the texts meet; `strict` refuses the others."""
    facts, met = needs.of_texts(texts, lab.parameters["model"]), set()
    for notebook in notebooks:
        about = [k for k, one in claims.entries().items() if one["notebook"] == notebook and not _is_any(one)]
        try:
            needs.require(about, facts, f"{texts.name} in {', '.join(texts.languages)}")
        except UnmetNeedsError:
            if strict:
                raise
            continue
        met.add(notebook)
    return met


def _is_any(entry: Mapping) -> bool:
    return entry.get("model") == "any"


def _parts(notebook: str, pairs: Pairs, anchor: str, rng: np.random.Generator) -> dict[str, tuple]:
    """What can be judged by itself: name -> (judge, rng)."""
    if notebook in TOGETHER:
        return {notebook: (functools.partial(TOGETHER[notebook], pairs, anchor), rng)}
    if notebook == BRIDGES:
        seen = bridging.trained_components(pairs)
        judges = {k: functools.partial(_bridge, pair, bridging.beside(seen, k)) for k, pair in pairs.items()}
    else:
        judge = functools.partial(_measured, anchor) if notebook == DEPTHS else BY_LANGUAGE[notebook]
        judges = {k: functools.partial(judge, pair) for k, pair in pairs.items()}
    streams = zip(judges.items(), rng.spawn(len(pairs)), strict=True)
    return {f"{notebook}-{language}": (judge, own) for (language, judge), own in streams}


def _alone(pair: LanguagePair) -> Pairs:
    return {pair.language: pair}


def _one_each(evidence: Mapping[str, Evidence]) -> Found:
    return {claim: [one] for claim, one in evidence.items()}


def _measured(anchor: str, pair: LanguagePair, rng: np.random.Generator) -> language_depth.Measured:
    return language_depth.measure_pair(pair, anchor, rng=rng)


def _bridge(pair: LanguagePair, further: Mapping[str, Sequence], rng: np.random.Generator) -> Found:
    return {bridging.AFFINE: [bridging.judge_pair(pair, further, rng)[0]]}


def _streams(seed: int, names: Sequence[str]) -> dict[str, np.random.Generator]:
    return dict(zip(names, np.random.default_rng(seed).spawn(len(names)), strict=True))


def _run(tasks: Sequence[tuple], workers: int, progress: bool) -> None:
    """Every task whose result is not there yet, each in a process of its own with one thread."""
    waiting = [joblib.delayed(_keep)(*task) for task in tasks if _kept(task[0]) is None]
    running = joblib.Parallel(workers, return_as="generator_unordered", inner_max_num_threads=1)(waiting)
    for _ in tqdm(running, "judging", len(waiting), unit=" parts", disable=not progress, ascii=True):
        pass


def _keep(path: Path, judge: Callable[[np.random.Generator], Part], rng: np.random.Generator) -> None:
    found = pickle.dumps(judge(rng))
    with files.atomic_write(path, "wb") as stream:
        stream.write(hashlib.sha256(found).digest() + found)


def _kept(path: Path) -> Part | None:
    """What a part has found; None where there is no such file, or one that was cut or changed since."""
    if not path.exists():
        return None
    content = path.read_bytes()
    digest, found = content[:_DIGEST], content[_DIGEST:]
    return pickle.loads(found) if hashlib.sha256(found).digest() == digest else None


def _verdicts(claim: str, evidence: Sequence[Evidence]) -> list[Verdict]:
    alone = [one.language for one in evidence] == [claims.OVERALL]
    return [claims.evaluate(claim, *evidence)] if alone else claims.evaluate_scope(claim, evidence)

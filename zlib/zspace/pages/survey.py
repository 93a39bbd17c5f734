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
Pairs = Mapping[str, LanguagePair]

# notebook -> judge(pairs, rng), of any languages
BY_LANGUAGE: Mapping[str, Callable[[Pairs, np.random.Generator], Found]] = {
    "theorem_2_snr_descent": lambda pairs, rng: _by_claim(
        descent.judge_pair(pair, rng=own).evidence for pair, own in _streamed(pairs, rng)
    ),
    "conjecture_3_double_suppression": lambda pairs, rng: models.double_suppression(pairs, rng=rng).evidence,
    "prediction_1_retrieval_by_layer": lambda pairs, rng: (
        by_layer.retrieval_by_layer(pairs, rng=rng).evidence
    ),
    "prediction_2_update_agnosticism": lambda pairs, rng: updates.update_agnosticism(pairs, rng=rng).evidence,
    "conjecture_7_dimension": lambda pairs, rng: _by_claim(
        {shared_dimension.CLAIM: shared_dimension.judge_pair(pair, rng=own)}
        for pair, own in _streamed(pairs, rng)
    ),
    "conjecture_7_rank": lambda pairs, rng: layer_time.layers_as_time(pairs, rng=rng).evidence,
}
# notebook -> judge(pairs, anchor, rng), of all languages
TOGETHER: Mapping[str, Callable[[Pairs, str, np.random.Generator], Found]] = {
    "prediction_3_language_depth": lambda pairs, anchor, rng: {
        claim: [one] for claim, one in language_depth.language_depth(pairs, anchor, rng=rng).evidence.items()
    },
    "prediction_6_bridge_conditioning": lambda pairs, anchor, rng: {
        bridging.CONDITIONING: [bridging.bridge_conditioning(pairs, anchor, rng=rng).evidence]
    },
    "conjecture_7_adjustment": lambda pairs, anchor, rng: {
        thickness.CLAIM: [thickness.adjustment_speeds(pairs, anchor, rng=rng).evidence]
    },
}
BRIDGES = "prediction_5_affine_vs_procrustes"  # by language, each beside all others
NOTEBOOKS = (*BY_LANGUAGE, BRIDGES, *TOGETHER)
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
    found: dict[str, list[Evidence]] = {}
    for path, *_ in tasks:
        for claim, evidence in _kept(path).items():
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
        judges = {k: functools.partial(BY_LANGUAGE[notebook], {k: pair}) for k, pair in pairs.items()}
    streams = zip(judges.items(), rng.spawn(len(pairs)), strict=True)
    return {f"{notebook}-{language}": (judge, own) for (language, judge), own in streams}


def _streamed(pairs: Pairs, rng: np.random.Generator) -> Iterable[tuple[LanguagePair, np.random.Generator]]:
    return zip(pairs.values(), rng.spawn(len(pairs)), strict=True)


def _by_claim(judged: Iterable[Mapping[str, Evidence]]) -> Found:
    found: dict[str, list[Evidence]] = {}
    for one in judged:
        for claim, evidence in one.items():
            found.setdefault(claim, []).append(evidence)
    return found


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


def _keep(path: Path, judge: Callable[[np.random.Generator], Found], rng: np.random.Generator) -> None:
    found = pickle.dumps(dict(judge(rng)))
    with files.atomic_write(path, "wb") as stream:
        stream.write(hashlib.sha256(found).digest() + found)


def _kept(path: Path) -> Found | None:
    """What a part has found; None where there is no such file, or one that was cut or changed since."""
    if not path.exists():
        return None
    content = path.read_bytes()
    digest, found = content[:_DIGEST], content[_DIGEST:]
    return pickle.loads(found) if hashlib.sha256(found).digest() == digest else None


def _verdicts(claim: str, evidence: Sequence[Evidence]) -> list[Verdict]:
    alone = [one.language for one in evidence] == [claims.OVERALL]
    return [claims.evaluate(claim, *evidence)] if alone else claims.evaluate_scope(claim, evidence)

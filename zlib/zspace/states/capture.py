"""Recording hidden states: every layer's residual stream, pooled over the tokens of each text.

h_k is the (B, T, d) residual stream entering block k of a language model with L blocks: h_0 the embedding
output, h_L the last block's output before the final norm. `states` pools h_0 … h_L of a list of texts,
`ensure` reads what the store has of a corpus and captures the rest, `ensure_all` does so for a model and
its variants. Only these two touch the disk; torch is loaded only where something has to be captured.
`traces`, of models that write, is that of `generation`.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .. import files
from ..errors import ModelError, ParameterError, ZspaceError
from ..sources import models
from ..sources.models import TRAINED, Subject, blocks, verification
from . import forward, pooling, store
from .generation import traces  # noqa: F401 (part of this module)
from .progress import progress_bar

if TYPE_CHECKING:
    import torch

    from ..sources.corpora import Corpus

POOLINGS = ("mean", "last")
# What computes states: its fingerprint is part of every store key.
_CODE = (
    *("states/capture.py", "states/forward.py", "states/pooling.py"),
    *(f"sources/models/{name}.py" for name in ("blocks", "language_model", "loading")),
)
# Padded tokens in one batch. On a CPU more only costs memory; a GPU needs many to be busy.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 32768}
PADDING_CAP = 0.1


def states(
    model: models.LanguageModel,
    texts: Sequence[str],
    *,
    poolings: Sequence[str] = POOLINGS,
    token_budget: int | None = None,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Pooled hidden states of each text at every layer.

    Texts run through the trunk in right-padded batches of similar length, without an attention mask in a
    causal model, where no token sees the padding to its right. The batching changes nothing beyond float32
    rounding: two texts are also run alone to see that. A batch that exceeds the memory is halved and run
    again.

    Parameters
    ----------
    model : a loaded language model with L blocks of width d.
    texts : n texts, each with at least one content token.
    poolings : any of `pooling.NAMES`.
    token_budget : padded tokens in one batch, at most; by default one that suits the device.

    Returns
    -------
    dict pooling -> (L+1, n, d) float32, in the order of `texts`, in the units of the residual stream.

    Raises
    ------
    ParameterError : an unknown pooling.
    ModelError : a text without content tokens or longer than the model's context, states not finite, or other
        states alone than in a batch.
    ZspaceError : not even a single text fits into memory.
    """
    tokens = models.tokenize(model, texts)
    with _token_bar(tokens, progress) as bar:
        return _pool(model, tokens, _known(poolings), token_budget, bar)


def ensure(
    model_name: str,
    corpus: "Corpus",
    languages: Sequence[str] | None = None,
    *,
    poolings: Sequence[str] = POOLINGS,
    subject: Subject = TRAINED,
    dtype: str | None = None,
    device: str = "cpu",
    model: models.LanguageModel | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Hidden states of a corpus, read from the store; what is missing there is captured first.

    Two processes that ask for the same states capture them once. Each language is saved when it is done, so
    that an interrupted capture goes on at the first missing one.

    Parameters
    ----------
    model_name : a name of `params/models.yaml`, a hub id or a path.
    languages : some of `corpus.languages`, in the order wanted; all by default.
    subject : the trained model or a variant of it (see `models.twin`).
    dtype : "float32", "bfloat16", or None for the registry's.
    device : where to run what is missing. Not part of the key: states captured on a GPU serve a laptop.
    model : the trained model if it is at hand already, so that it is not loaded again.

    Returns
    -------
    Dataset as `store.open` describes it.

    Raises
    ------
    CorpusError, ModelError, WeightsUnavailableError : unknown or unusable input.
    StoreError : the store cannot be written, or holds damaged states.
    """

    def load():
        return model or models.load(model_name, dtype=dtype, device=device)

    request = _request(model_name, corpus, languages, poolings, subject, dtype)
    return _serve(*request, corpus, load, progress)


def ensure_all(
    model_name: str,
    corpus: "Corpus",
    subjects: Sequence[Subject],
    *,
    poolings: Sequence[str] = POOLINGS,
    dtype: str | None = None,
    device: str = "cpu",
    progress: bool = True,
    lazily: bool = False,
) -> dict[Subject, xr.Dataset]:
    """`ensure` for several subjects of one model, in all languages of the corpus: subject -> Dataset.

    Their states are read when they are asked for where `lazily` says so (`store.open`).

    The trained weights are loaded once, and not at all where nothing is missing; a variant is freed before
    the next one is made. What another process is capturing comes last, so that two processes that ask for
    the same share the work.
    """

    @functools.cache
    def load():
        return models.load(model_name, dtype=dtype, device=device)

    requests = {one: _request(model_name, corpus, None, poolings, one, dtype) for one in subjects}
    found = {}
    while waiting := [one for one in requests if one not in found]:
        free = (one for one in waiting if not files.is_locked(store.folder(requests[one][0])))
        one = next(free, waiting[0])
        found[one] = _serve(*requests[one], corpus, load, progress, lazily)
    return {one: found[one] for one in subjects}


def is_stored(model_name: str, corpus: "Corpus", *, poolings: Sequence[str]) -> bool:
    """Whether the trained model's states of all languages are there in these poolings; captures nothing."""
    return not store.missing(*_request(model_name, corpus, None, poolings, TRAINED, None))


def batches(lengths: Sequence[int], token_budget: int, bound: int | None = None) -> list[np.ndarray]:
    """Rows of each batch: texts of similar length together, the longest first.

    A batch holds at most `token_budget` padded tokens and at most a share PADDING_CAP of padding, or a
    single text; texts of more than `bound` tokens are not with others. Longest first, so that too little
    memory shows at once.
    """
    lengths = np.asarray(lengths)
    order = np.argsort(-lengths, kind="stable")
    groups, start, content = [], 0, 0
    for position, row in enumerate(order):
        padded = (position - start + 1) * lengths[order[start]]
        too_empty = padded - content - lengths[row] > PADDING_CAP * padded
        crosses = bound is not None and lengths[row] <= bound < lengths[order[start]]
        if position > start and (padded > token_budget or too_empty or crosses):
            groups.append(order[start:position])
            start, content = position, 0
        content += lengths[row]
    return [*groups, order[start:]] if len(order) else []


def _request(model_name: str, corpus: "Corpus", languages, poolings, subject, dtype) -> tuple[dict, dict]:
    """What is asked for: the store's description, and language -> fingerprint. Loads no model."""
    marks = store.fingerprints(corpus, languages)
    identity = models.identity(model_name, subject=subject, dtype=dtype)
    code = files.code_fingerprint(*_CODE)
    return store.describe(identity, corpus, _known(poolings), capture=code), marks


def _serve(
    description: dict, fingerprints: dict, corpus, load: Callable, progress: bool, lazily: bool = False
) -> xr.Dataset:
    """The states asked for, from the store; `load` gives the trained model if some are missing."""
    folder = store.folder(description)
    if store.missing(description, fingerprints):
        with files.lock(folder):
            store.sweep(description)
            if absent := store.missing(description, fingerprints):
                model = _variant(load(), description["model"])
                _capture(model, corpus, {k: fingerprints[k] for k in absent}, description, progress)
    return store.open(folder.name, fingerprints, lazily=lazily)


def _variant(model: models.LanguageModel, wanted: Mapping) -> models.LanguageModel:
    """The trained model or the variant that has the identity wanted."""
    if model.identity() != wanted:
        model = models.twin(model, Subject(wanted["variant"], wanted["seed"]))
    found = model.identity()
    if found != wanted:
        differing = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
        raise ModelError(
            f"the model at hand is not the one asked for: {', '.join(differing)} differ "
            f"(expected {[wanted.get(k) for k in differing]}, found {[found.get(k) for k in differing]})."
        )
    return model


def _capture(model, corpus: "Corpus", fingerprints: Mapping, description: Mapping, progress: bool) -> None:
    """Capture the languages of `fingerprints` and save each as soon as it is done."""
    tokens = {language: _tokenize(model, corpus, language) for language in fingerprints}
    with _token_bar([pair for pairs in tokens.values() for pair in pairs], progress) as bar:
        for language, fingerprint in fingerprints.items():
            bar.set_description(f"{model.name} {model.subject.name} {language}")
            pooled = _pool(model, tokens[language], description["poolings"], None, bar)
            content = [ids[mask] for ids, mask in tokens[language]]
            model.check_unchanged()
            store.write(description, language, fingerprint, pooled, content, corpus.items)


def _known(poolings: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in poolings if name not in pooling.NAMES]
    if unknown or not poolings or len(set(poolings)) < len(poolings):
        raise ParameterError(
            f"poolings {list(poolings)}: expected some of {', '.join(pooling.NAMES)}, each once."
        )
    return tuple(poolings)


def _tokenize(model, corpus: "Corpus", language: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Token ids (T,) and content mask (T,) of each text; an error names corpus and language."""
    try:
        return models.tokenize(model, corpus.texts[language])
    except ModelError as error:
        raise ModelError(f"corpus {corpus.name!r}, language {language}: {error}") from error


def _token_bar(tokens: Sequence, shown: bool):
    return progress_bar(sum(len(ids) for ids, _ in tokens), "token", shown=shown, unit_scale=True)


def _pool(model, tokens: list, poolings: Sequence[str], token_budget, bar) -> dict[str, np.ndarray]:
    import torch

    lengths = np.array([len(ids) for ids, _ in tokens])
    shape = (model.n_layers + 1, len(tokens), model.hidden_size)
    pooled = {name: np.empty(shape, np.float32) for name in poolings}
    budget = token_budget or TOKEN_BUDGET.get(str(model.device).partition(":")[0], TOKEN_BUDGET["cuda"])
    plan = functools.partial(batches, lengths, bound=model.kind.rescaled_beyond)
    alone = None
    for rows, batch in _one_behind(_fitting(model, tokens, plan(budget), poolings)):
        result, finite = batch.arrive()
        alone = _alone(model, tokens, plan(budget), poolings) if alone is None else alone
        for name in poolings:
            _check_finite(finite[name], name, model)
            # Uses torch's threads: NumPy's single one takes as long as a GPU for its next batch.
            torch.from_numpy(pooled[name]).index_copy_(1, torch.from_numpy(rows), result[name])
        _check_neighbours(model, lengths, rows, result, alone)
        bar.update(int(lengths[rows].sum()))
    return pooled


def _one_behind(items: Iterator) -> Iterator:
    """The same items, each once the next has been made: a GPU works on that one in the meantime."""
    waiting = []
    for item in items:
        waiting.append(item)
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting


def _fitting(model, tokens, waiting: list, poolings) -> Iterator[tuple[np.ndarray, forward.Batch]]:
    """(rows, batch under way) of each batch that is waiting, halved until they fit into memory."""
    lengths = np.array([len(ids) for ids, _ in tokens])
    while waiting:
        rows = waiting[0]
        batch, complaint = None, ""
        try:
            batch = forward.start(model, [tokens[row] for row in rows], poolings)
        except (RuntimeError, MemoryError) as error:
            if not blocks.is_out_of_memory(error):
                raise
            complaint = str(error)
        # Outside the handler: its traceback would keep the failed batch's tensors alive.
        if batch is not None:
            waiting = waiting[1:]
            yield rows, batch
            continue
        if len(rows) == 1:
            raise ZspaceError(
                f"{model.name} ({model.dtype} on {model.device}) runs out of memory on a single text of "
                f"{lengths[rows[0]]} tokens ({complaint.splitlines()[0] if complaint else 'no details'}). "
                "Free some memory, shorten the texts, or load the model as bfloat16."
            )
        _release_memory(model)
        remaining = np.concatenate(waiting)
        smaller = len(rows) * int(lengths[rows[0]]) // 2
        waiting = [remaining[b] for b in batches(lengths[remaining], smaller, model.kind.rescaled_beyond)]


def _alone(model, tokens, plan: list[np.ndarray], poolings) -> "dict[int, torch.Tensor]":
    """Row -> states (L+1, d) of the shortest text of the longest batch and of the one that spreads most."""
    shared = [rows for rows in plan if len(rows) > 1]
    if not shared:
        return {}
    spread = [len(tokens[rows[0]][0]) / len(tokens[rows[-1]][0]) for rows in shared]
    chosen = {int(rows[-1]) for rows in (shared[0], shared[int(np.argmax(spread))])}
    single = _fitting(model, tokens, [np.array([row]) for row in sorted(chosen)], poolings[:1])
    return {int(row): batch.arrive()[0][poolings[0]][:, 0] for (row,), batch in single}


def _check_neighbours(model, lengths, rows, result: Mapping, alone: Mapping) -> None:
    """The texts that were also run alone have the same states in their batch."""
    for position, row in enumerate(rows):
        if (expected := alone.get(int(row))) is None:
            continue
        found = next(iter(result.values()))[:, position]
        error = (found - expected).norm(dim=-1) / expected.norm(dim=-1).clamp_min(1e-30)
        # what is not finite has an error of its own
        if (worst := error.nan_to_num(0).max()) > verification.batch_tolerance(model.network.dtype):
            raise ModelError(
                f"{model.name}: the states of a text of {lengths[row]} tokens differ by {worst:.1e} of their "
                f"norm at layer {int(error.argmax())} between the text alone and the text in a batch of "
                f"{len(rows)} whose longest has {lengths[rows].max()}. States that depend on their "
                "neighbours are not kept."
            )


def _check_finite(finite: "torch.Tensor", name: str, model) -> None:
    if not finite.all():
        layer = int(finite.int().argmin())
        raise ModelError(
            f"{model.name}: states at layer {layer} of {model.n_layers} are not finite ({name} pooling, "
            f"dtype {model.dtype}). float16 overflows in many models; use float32 or bfloat16."
        )


def _release_memory(model) -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available() and str(model.device).startswith("cuda"):
        torch.cuda.empty_cache()

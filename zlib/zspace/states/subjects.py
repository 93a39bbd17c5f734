"""The one door to hidden states, imported under a name or captured: nothing above asks which it was."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import xarray as xr

from ..errors import AbsentStatesError
from ..sources import models
from ..sources.models import TRAINED, Subject
from . import capture, imported

if TYPE_CHECKING:
    from ..sources.corpora import Corpus


def open_states(
    model: str,
    corpus: "Corpus",
    wanted: Sequence[Subject] = (TRAINED,),
    *,
    poolings: Sequence[str] = ("mean",),
    together: Sequence[str] | None = None,
    strict: bool = False,
    dtype: str | None = None,
    device: str = "cpu",
    progress: bool = True,
    lazily: bool = False,
) -> dict[Subject, xr.Dataset]:
    """Hidden states of a corpus under each of the wanted subjects that exists, in their order.

    Imported models have the subjects that were saved; captured ones have all, but re-roundings only where the
    weights are quantised.

    Parameters
    ----------
    model : name of imported states or of `params/models.yaml`, hub id or path.
    poolings : what each Dataset must hold; it may hold more.
    together : poolings to capture in one pass where something is missing; by default the usual ones
        (`capture.POOLINGS`) if those asked for are among them, else those asked for.
    strict : refuse a subject that does not exist instead of leaving it out.
    dtype, device : as in `capture.ensure`; imported states are as they were saved.
    lazily : captured states are read when they are asked for (`store.open`).

    Returns
    -------
    subject -> Dataset as `store.open` describes it, with all languages of the corpus.

    Raises
    ------
    AbsentStatesError : imported states lack these texts, a language or a pooling (or, if strict, a subject).
    CorpusError, ModelError, ParameterError, WeightsUnavailableError, StoreError : as `capture.ensure`.
    """
    if found := imported.find(model, corpus):
        there = [one for one in wanted if strict or one in found.subjects]
        return {one: imported.open_states(found, corpus, one, poolings) for one in there}
    usual = set(poolings) <= set(capture.POOLINGS)
    return capture.ensure_all(
        model,
        corpus,
        wanted if strict else models.possible(model, wanted),
        poolings=together or (capture.POOLINGS if usual else poolings),
        dtype=dtype,
        device=device,
        progress=progress,
        lazily=lazily,
    )


def is_there(model: str, corpus: "Corpus", *, poolings: Sequence[str]) -> bool:
    """Whether `open_states` of the trained model would capture nothing."""
    try:
        return imported.find(model, corpus) is not None or capture.is_stored(model, corpus, poolings=poolings)
    except AbsentStatesError:
        return False

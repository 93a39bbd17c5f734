"""Whether a notebook can be run with its parameters, asked before a kernel starts or a model is loaded."""

from collections.abc import Mapping

from . import claims
from .laboratory import Lab


def check(notebook: str, parameters: Mapping[str, object]) -> None:
    """Refuse in one line what a notebook's claims cannot be judged on; nothing is written.

    Reads the texts and the model's configuration, never its weights.

    Parameters
    ----------
    notebook : its name, as in `params/claims.yaml`.
    parameters : all of its parameters, defaults included. A notebook that reads no languages of a corpus by
        a model has no needs.

    Raises
    ------
    ParameterError : what was found, what is needed, and what to do.
    CorpusError, ModelError, AbsentStatesError : texts, model or imported states are not there.
    """
    if not {"model", "corpus", "languages"} <= parameters.keys():
        return
    judged = [name for name, entry in claims.entries().items() if entry["notebook"] == notebook]
    Lab(parameters, {}, tuple(judged)).load()

"""Corpora on the Hugging Face hub: which there are, and their files brought to this machine.

`params/corpora.yaml` says where each lies and what its columns mean; a corpus is asked for by its name there
or by its hub id. Files go into the Hugging Face cache and are read by `tables`, so that a hosted corpus is
checked like any other. Nothing is downloaded for languages that were not asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CorpusError
from ..files import params


@dataclass(frozen=True)
class Hosted:
    """An entry of `params/corpora.yaml`.

    `configs` maps language codes to the hub's own names of them, `files` is the pattern of a language's
    file, `columns` maps the file's columns to ours (empty: MGSM's two columns without a header).
    """

    name: str
    hub: str
    revision: str
    files: str
    configs: Mapping[str, str]
    columns: Mapping[str, str]


def find(name: str) -> Hosted | None:
    """The hosted corpus of that name or hub id, or None where there is none."""
    for known, entry in params("corpora").items():
        if name in (known, entry["hub"]):
            columns = entry.get("columns", {})
            return Hosted(known, entry["hub"], entry["revision"], entry["files"], entry["configs"], columns)
    return None


def known() -> str:
    """Names and hub ids of all hosted corpora, for an error message."""
    return ", ".join(f"{name} ({entry['hub']})" for name, entry in params("corpora").items())


def fetch(corpus: Hosted, languages: Sequence[str] | None) -> dict[str, Path]:
    """Language -> its file, from the Hugging Face cache or downloaded into it.

    Raises CorpusError for a language the corpus does not have, or a file that cannot be reached.
    """
    codes = list(languages or corpus.configs)
    if missing := [code for code in codes if code not in corpus.configs]:
        there = ", ".join(corpus.configs)
        raise CorpusError(f"{corpus.name} ({corpus.hub}) has no language {missing[0]!r}; it has {there}.")
    return {code: _download(corpus, code) for code in codes}


def _download(corpus: Hosted, code: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError:
        raise CorpusError(
            f'{corpus.hub} lies on the Hugging Face hub: `pip install "zspace[hub]"` to fetch it.'
        ) from None
    file = corpus.files.format(code=code, config=corpus.configs[code])
    try:
        return Path(hf_hub_download(corpus.hub, file, repo_type="dataset", revision=corpus.revision))
    except Exception as error:  # the hub client raises OSError, ValueError and its HTTP library's errors
        cause = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CorpusError(
            f"{file} of {corpus.hub} (revision {corpus.revision}) cannot be reached: {cause}. Where there is "
            f"a network run `hf download --repo-type dataset {corpus.hub} {file}` and copy the Hugging Face "
            "cache here (HF_HOME names it), or give the path of a folder with your own files. Gated corpora "
            "need their terms accepted on the hub and `hf auth login`."
        ) from error

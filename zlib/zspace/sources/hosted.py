"""Corpora on the Hugging Face hub: which there are, and their files brought to this machine.

`params/corpora.yaml` says where each lies and what its columns mean; a corpus is asked for by its name there
or by its hub id. Files go into the Hugging Face cache and are read by `tables`, so that a hosted corpus is
checked like any other. Nothing is downloaded for languages that were not asked for.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CorpusError, ParameterError
from ..files import params
from . import languages as codes_of


@dataclass(frozen=True)
class Layout:
    """How the files of a hosted corpus are called and made.

    `files` is the pattern of a language's file, `columns` maps the file's columns to ours (empty: MGSM's two
    columns without a header), `revision` is a branch, tag or commit.
    """

    files: str
    columns: Mapping[str, str]
    revision: str


@dataclass(frozen=True)
class Hosted:
    """An entry of `params/corpora.yaml`.

    `configs` maps language codes to the hub's own names of them. `layouts` are tried in turn, as a repository
    may have moved to other files.
    """

    name: str
    hub: str
    configs: Mapping[str, str]
    layouts: tuple[Layout, ...]


def find(name: str) -> Hosted | None:
    """The hosted corpus of that name or hub id, or None where there is none.

    Raises ParameterError where `configs` has a code that is no text: YAML reads a bare no as false.
    """
    for known, entry in params("corpora").items():
        if name in (known, entry["hub"]):
            if wrong := [code for code in entry["configs"] if not isinstance(code, str)]:
                raise ParameterError(
                    f"params/corpora.yaml: `configs` of {known} has the code {wrong[0]!r}; write "
                    "codes in quotes."
                )
            layouts = (
                Layout(one["files"], one.get("columns", {}), one.get("revision", entry["revision"]))
                for one in (entry, *entry.get("or", ()))
            )
            return Hosted(known, entry["hub"], entry["configs"], tuple(layouts))
    return None


def known() -> str:
    """Names and hub ids of all hosted corpora, for an error message."""
    return ", ".join(f"{name} ({entry['hub']})" for name, entry in params("corpora").items())


def fetch(corpus: Hosted, languages: Sequence[str] | None) -> tuple[dict[str, Path], Mapping[str, str]]:
    """Language -> its file, from the Hugging Face cache or downloaded into it, and what its columns mean.

    All files are of one layout, the first one that has them. Raises CorpusError for a language the corpus
    does not have, or where no layout's files can be reached.
    """
    codes = list(languages or corpus.configs)
    names = {code: codes_of.find(code, corpus.configs) for code in codes}
    if missing := [code for code, name in names.items() if name is None]:
        there = ", ".join(corpus.configs)
        raise CorpusError(f"{corpus.name} ({corpus.hub}) has no language {missing[0]!r}; it has {there}.")
    if len(set(names.values())) < len(names):
        raise CorpusError(f"languages={codes!r}: two are one language of {corpus.name} ({corpus.hub})")
    failed = []
    for layout in corpus.layouts:
        try:
            return {code: _download(corpus, layout, name) for code, name in names.items()}, layout.columns
        except CorpusError as error:
            failed.append(error)
    others = [_file(corpus, layout, names[codes[0]]) for layout in corpus.layouts[1:]]
    moved = (
        f" {' and '.join(others)}, to which it may have moved, cannot be reached either." if others else ""
    )
    raise CorpusError(f"{failed[0]}{moved}") from failed[0]


def cached(corpus: Hosted) -> dict[str, Path]:
    """Name on the hub -> file of a corpus in the Hugging Face cache, of all its languages and layouts."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ModuleNotFoundError:
        return {}
    found = {}
    for layout, code in itertools.product(corpus.layouts, corpus.configs):
        file = _file(corpus, layout, code)
        path = try_to_load_from_cache(corpus.hub, file, repo_type="dataset", revision=layout.revision)
        if isinstance(path, str):
            found[f"{layout.revision}/{file}"] = Path(path)
    return found


def _download(corpus: Hosted, layout: Layout, code: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError:
        raise CorpusError(
            f'{corpus.hub} lies on the Hugging Face hub: `pip install "zspace[hub]"` to fetch it.'
        ) from None
    file = _file(corpus, layout, code)
    try:
        return Path(hf_hub_download(corpus.hub, file, repo_type="dataset", revision=layout.revision))
    except Exception as error:  # the hub client raises OSError, ValueError and its HTTP library's errors
        cause = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CorpusError(
            f"{file} of {corpus.hub} (revision {layout.revision}) cannot be reached: {cause}. Where there is "
            f"a network run `hf download --repo-type dataset {corpus.hub} {file}` and copy the Hugging Face "
            "cache here (HF_HOME names it), or give the path of a folder with your own files. Gated corpora "
            "need their terms accepted on the hub and `hf auth login`."
        ) from error


def _file(corpus: Hosted, layout: Layout, code: str) -> str:
    return layout.files.format(code=code, config=corpus.configs[code])

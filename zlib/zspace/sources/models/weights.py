"""Where the weights of a language model lie, and what identifies them.

A *source* is one of four kinds: a Python package that carries a GGUF file, a Hugging Face id, a local
folder (config.json and safetensors), a local .gguf file. `find` turns a name into a source, `identify`
says what decides its numbers, every byte of its files; `fetching` brings them. Nothing here imports torch.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from ... import files
from ...errors import ModelError, WeightsUnavailableError
from . import contents, folders
from .folders import import_quietly

_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


@dataclass(frozen=True)
class Source:
    """A model's weights: `kind` is "package", "hub", "folder" or "gguf".

    `location` is the distribution, the hub id or the path; `revision` the version, branch or commit
    ("" for local files); `sha256` the assembled GGUF's ("" elsewhere); `file` where a package holds it
    ("" where the package assembles it itself); `extra` what installs it.
    """

    kind: str
    name: str
    location: str
    revision: str = ""
    sha256: str = ""
    extra: str = ""
    dtype: str = "float32"
    file: str = ""

    @property
    def is_gguf(self) -> bool:
        """Whether the weights come from a GGUF file, which may hold them quantised."""
        return self.kind in ("package", "gguf")


def find(name_or_path: str | os.PathLike) -> Source:
    """Source of a registry name, a hub id, a folder or a .gguf file.

    Raises ModelError where it is none of these; lists the known names and the accepted forms.
    """
    text = os.fspath(name_or_path)
    registry = files.params("models")
    if text in registry:
        return _registered(text, registry[text])
    try:
        path = Path(text).expanduser()
        if path.is_dir() or path.is_file():
            return _local(path.resolve())
    except (OSError, RuntimeError) as error:  # too long, not permitted, of an unknown user
        raise ModelError(f"no model {text!r}: {getattr(error, 'strerror', None) or error}.") from error
    match = _HUB_ID.fullmatch(text)
    if match and not text.startswith((".", "~")):
        return Source("hub", text, match[1], match[2] or "main")
    raise ModelError(
        f"no model {text!r}: neither registered nor found on disk. Accepted: a name of params/models.yaml "
        f'({", ".join(registry)}), a Hugging Face id "owner/name" or "owner/name@revision", a folder with '
        "config.json and safetensors, or a .gguf file."
    )


def identify(source: Source) -> dict:
    """What decides the numbers that the weights and the tokenizer of a source yield, as JSON.

    Packages: the assembled file's SHA-256 and the code of its conversion. Hub ids: the commit, whose files,
    if they are cached, must be what they were when they were downloaded; where a cache does not say what that
    was, their content too. Local files: the content of all that transformers may read of them.
    Raises WeightsUnavailableError for a hub id that is neither cached nor reachable; ModelError for files
    that cannot be read, or cached ones that were edited.
    """
    if source.kind == "package":
        weights = tokenizer = f"sha256:{source.sha256} conversion:{conversion_code()}"
        revision = source.revision
    elif source.kind == "hub":
        revision = commit_of(source)
        loose = _verify_cached(source, hub_folder(source) / "snapshots" / revision)
        content = f" of files {files.fingerprint(loose)}" if loose else ""
        weights = tokenizer = f"{source.location}@{revision}{content}"
    else:
        weights, tokenizer = _local_fingerprints(Path(source.location))
        revision = weights
    return {"kind": source.kind, "revision": revision, "weights": weights, "tokenizer": tokenizer}


def end_tokens(source: Source) -> list[int]:
    """Ids that end what a folder's model writes; of other sources, whose identity covers them, none."""
    return folders.end_tokens(Path(source.location)) if source.kind == "folder" else []


def conversion_code() -> str:
    """Fingerprint of what turns a GGUF file into a network and a tokenizer, but for transformers itself."""
    return files.fingerprint([files.code_fingerprint("sources/models/conversion.py"), version_of("gguf")], 12)


def is_at_hand(source: Source) -> bool:
    """Whether the weights of a source are on this machine, so that `fetch` needs no network."""
    if source.kind == "package":
        return any(metadata.distributions(name=source.location))
    if source.kind != "hub":
        return True
    commit = _cached_commit(source)
    return commit is not None and folders.is_complete(hub_folder(source) / "snapshots" / commit)


def version_of(distribution: str) -> str:
    """Installed version without its local part ("2.13.0+cpu" and "2.13.0" are the same release)."""
    try:
        return metadata.version(distribution).split("+")[0]
    except metadata.PackageNotFoundError:
        raise ModelError(
            f'{distribution} is not installed; language models need `pip install "zspace[models]"`.'
        ) from None


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' progress bars and warnings, which would clutter batch logs and notebooks.

    What it warns of when it loads is an error here.
    """
    import_quietly()
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def one_line(error: BaseException) -> str:
    """What another library says, in one line, with the kind of its error where it says little."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else ""
    if len(lines) > 1 and not said.endswith("."):  # the reason stands on the next line
        said = f"{said} {lines[1]}"
    known = isinstance(error, OSError | ValueError) and len(said) > len(type(error).__name__)
    return said[:300] if known else f"{type(error).__name__}: {said}"[:300]


def _registered(name: str, entry: dict) -> Source:
    kinds = [kind for kind in ("package", "hub", "path") if kind in entry]
    if len(kinds) != 1:
        raise ModelError(f"params/models.yaml: {name} must have exactly one of package, hub and path.")
    if absent := {"version", "sha256"} - set(entry) if kinds == ["package"] else ():
        raise ModelError(f"params/models.yaml: {name} lacks {' and '.join(sorted(absent))}.")
    dtype = entry.get("dtype", "float32")
    if kinds == ["path"]:
        path = (files.PROJECT / Path(entry["path"]).expanduser()).resolve()
        if not path.exists():
            made = "Make it with `zspace tune`, as its note there says, or p" if entry.get("tuned") else "P"
            raise WeightsUnavailableError(
                f"params/models.yaml: {name} points to {path}, which does not exist. "
                f"{made}ut the model there or correct the path."
            )
        return replace(_local(path), name=name, dtype=dtype)
    if kinds == ["hub"]:
        return Source("hub", name, entry["hub"], entry.get("revision", "main"), dtype=dtype)
    more = {key: entry.get(key, "") for key in ("file", "extra")}
    identity = {"revision": str(entry["version"]), "sha256": entry["sha256"]}
    return Source("package", name, entry["package"], **identity, **more, dtype=dtype)


def _local(path: Path) -> Source:
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(
                f"{path} is a file but not a .gguf file. Pass the folder that holds config.json."
            )
        return Source("gguf", path.stem, str(path))
    if not (path / "config.json").is_file():
        folders.refuse_adapters(path)
    if absent := [
        f"no {wanted}" for wanted in ("config.json", "*.safetensors") if not any(path.glob(wanted))
    ]:
        raise ModelError(
            f"{path} is not a model folder: {' and '.join(absent)}. Expected what `save_pretrained` "
            "writes (weights as safetensors; pickled .bin files are not read)."
        )
    return Source("folder", path.name, str(path))


def _local_fingerprints(path: Path) -> tuple[str, str]:
    """Fingerprints of the weights (with config.json) and of the tokenizer of a folder or GGUF file."""
    if path.is_file():
        both = files.fingerprint([contents.digest(path), conversion_code()])
        return both, both
    try:
        groups = (folders.weight_files(path), folders.tokenizer_files(path))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    named = ([[p.relative_to(path).as_posix(), contents.digest(p)] for p in group] for group in groups)
    weights, tokenizer = map(files.fingerprint, named)
    return weights, tokenizer


def _verify_cached(source: Source, snapshot: Path) -> dict[str, str]:
    """Refuse files of the Hugging Face cache that are no longer what the hub sent.

    A snapshot's files are links to blobs named by their digest. Of those that are not (a cache copied with
    its links followed, a file put in the place of a link) the digests are returned, by name.
    """
    loose: dict[str, str] = {}
    if not snapshot.is_dir():
        return loose
    for path in (*folders.weight_files(snapshot), *folders.tokenizer_files(snapshot)):
        name = Path(os.readlink(path)).name if path.is_symlink() else ""
        form = {40: "git", 64: "sha256"}.get(len(name) * bool(re.fullmatch(r"[0-9a-f]+", name)))
        if form and contents.digest(path, form) != name:
            raise ModelError(
                f"{path.name} of {source.location} in the Hugging Face cache was changed since it was "
                f"downloaded. Delete {path.resolve()} and run `hf download {source.location}` to have it "
                "back; keep an edited model in a folder of its own and pass its path."
            )
        if not form:
            loose[path.name] = contents.digest(path)
    return loose


def commit_of(source: Source) -> str:
    """Commit of a hub source: what is cached counts before what the network says now.

    A branch that moves on the hub therefore does not invalidate states that were captured before.
    """
    if commit := _cached_commit(source):
        return commit
    from huggingface_hub import HfApi

    try:
        return HfApi().model_info(source.location, revision=source.revision, timeout=15).sha
    except Exception as error:  # the hub client raises OSError, ValueError and its HTTP library's errors
        raise unavailable(source, error) from error


def _cached_commit(source: Source) -> str | None:
    if re.fullmatch(r"[0-9a-f]{40}", source.revision):
        return source.revision
    reference = hub_folder(source) / "refs" / source.revision
    return reference.read_text(encoding="utf-8").strip() if reference.is_file() else None


def hub_folder(source: Source) -> Path:
    """Folder of the Hugging Face cache that a hub source is kept in."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{source.location.replace('/', '--')}"


def unavailable(source: Source, error: Exception) -> WeightsUnavailableError:
    """The error that says why a hub source cannot be reached and what to do."""
    cause = one_line(error)
    local = "" if source.name != source.location else f" (There is no local folder {source.name!r} either.)"
    return WeightsUnavailableError(
        f"the weights of {source.location} (revision {source.revision}) cannot be reached: {cause}. "
        f"Where there is a network run `hf download {source.location} --revision {source.revision} "
        "--local-dir FOLDER`, copy FOLDER here and pass its path instead of the name; or set HF_HOME to "
        "a Hugging Face cache that holds the model. Gated models need their licence accepted and "
        f"`hf auth login`.{local}"
    )

"""A model folder on disk: which of its files decide numbers, and what refuses it before any of it is loaded.

Whatever transformers would do silently with a folder is decided here: code and adapters beside the weights
are never applied, quantised weights never read.
"""

import json
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from tqdm import TqdmWarning

from ...errors import ModelError

ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
# Beside a model, and never read: other formats of its weights, code, notes, pictures.
_NEVER_READ = re.compile(
    r"\..*|.*\.(?:bin|pt|pth|ckpt|h5|msgpack|onnx|ot|gguf|py|pyc|md|rst|ipynb|log|lock|png|jpe?g|gif|svg|webp|pdf)"
    r"|(?:README|LICEN[CS]E|NOTICE|USE_POLICY)(?:\..*)?",
    re.IGNORECASE,
)
# Read, but of no influence on states: prompts are given as they are, and what `generate` does is in
# the key of traces.
_ELSEWHERE = re.compile(
    r"generation_config\.json|chat_template.*|trainer_state\.json|.*processor_config\.json"
)
_LARGE = 1 << 20  # bytes of a JSON file that is only parsed here if transformers fails on it
_IS_WEIGHTS = re.compile(r"config\.json|adapter_.*|.*\.safetensors(?:\.index\.json)?")


def weight_files(folder: Path) -> list[Path]:
    """Files that decide the network: configuration, all safetensors with their indices, adapters."""
    top = {path for path in _top(folder) if _IS_WEIGHTS.fullmatch(path.name)}
    adapters = {folder / name for name in ADAPTERS if (folder / name).is_file()}
    return sorted(top | adapters | {path for path in shards(folder) if path.is_file()})


def tokenizer_files(folder: Path) -> list[Path]:
    """Files that may decide how a text becomes tokens: all others that are not known to be something else."""
    return sorted(
        path
        for path in _top(folder)
        if not (_IS_WEIGHTS.fullmatch(path.name) or _ELSEWHERE.fullmatch(path.name))
    )


def shards(folder: Path) -> list[Path]:
    """The files that the weights are read from, whether or not they are there.

    Raises ModelError where the index is broken or names files outside the folder.
    """
    if (folder / SINGLE).is_file() or not (folder / INDEX).is_file():
        return [folder / SINGLE]
    return _indexed(folder)


def end_tokens(folder: Path) -> list[int]:
    """Ids that end a text, by the settings for generating or else the configuration; empty for none.

    Nothing else of these settings acts here: traces are of the model itself.
    """
    path = folder / "generation_config.json"
    found = read_json(path if path.is_file() else folder / "config.json").get("eos_token_id")
    found = found if isinstance(found, list) else [] if found is None else [found]
    if not all(isinstance(token, int) and token >= 0 for token in found):
        raise ModelError(f"{path.parent}: eos_token_id is {found}; expected token ids.")
    return found


def is_complete(folder: Path) -> bool:
    """Whether all files that a folder's index names are there, or any weights where it has none."""
    if (folder / INDEX).is_file():
        return all(path.is_file() for path in _indexed(folder))
    return any(folder.glob("*.safetensors"))


def _indexed(folder: Path) -> list[Path]:
    index = read_json(folder / INDEX)
    named = index.get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(n, str) for n in named.values()):
        raise ModelError(f"{folder / INDEX} has no weight_map from tensors to files; download it again.")
    for name in sorted(set(named.values())):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelError(f"{folder / INDEX} names {name!r}, which lies outside the folder.")
    return [folder / name for name in sorted(set(named.values()))]


def read_json(path: Path) -> dict:
    """Content of a JSON file that holds an object; raises ModelError naming the file and the place."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} {_what_it_is(path) or f'is not valid JSON ({error})'}.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}; expected a JSON object.")
    return content


def check(folder: Path) -> dict:
    """The configuration of a folder that can be loaded as it is.

    Raises ModelError for files that are absent, broken, truncated or no files of weights at all; for
    adapters, quantised weights and models that bring code of their own; says what to do.
    """
    refuse_adapters(folder)
    config = read_json(folder / "config.json")
    check_json(folder, up_to=_LARGE)
    _refuse_quantised(folder, config)
    _refuse_code(folder, config)
    if "transformers_weights" in config:
        raise ModelError(
            f"{folder / 'config.json'} names its weights itself (transformers_weights: "
            f"{config['transformers_weights']!r}); expected {SINGLE} or {INDEX}. Remove that entry."
        )
    _check_weights(folder)
    return config


def check_json(folder: Path, *, up_to: float = math.inf) -> None:
    """Raise ModelError naming the first JSON file, of at most so many bytes, that is broken."""
    for path in (*tokenizer_files(folder), folder / "generation_config.json"):
        if path.suffix == ".json" and path.is_file() and path.stat().st_size <= up_to:
            _check_json(path)


def refuse_adapters(folder: Path) -> None:
    """Raise ModelError where a folder holds an adapter (LoRA and the like), alone or beside its base."""
    found = [name for name in ADAPTERS if (folder / name).is_file()]
    if not found:
        return
    base = ""
    if (folder / ADAPTERS[0]).is_file():
        base = read_json(folder / ADAPTERS[0]).get("base_model_name_or_path") or ""
    raise ModelError(
        f"{folder} holds an adapter ({', '.join(found)}{f', of {base}' if base else ''}), which zspace does "
        "not apply. Merge it into its base and save the whole model: `peft.AutoPeftModelForCausalLM."
        "from_pretrained(FOLDER).merge_and_unload().save_pretrained(MERGED)`, with the tokenizer beside it; "
        "or move the adapter away to measure the base alone."
    )


def _top(folder: Path) -> Iterator[Path]:
    return (p for p in folder.iterdir() if p.is_file() and not _NEVER_READ.fullmatch(p.name))


def _check_json(path: Path) -> None:
    try:
        json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} {_what_it_is(path) or f'is not valid JSON ({error})'}.") from error


def _refuse_quantised(folder: Path, config: dict) -> None:
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    marks = [
        part[key] for part in parts for key in ("quantization_config", "compression_config") if part.get(key)
    ]
    for mark in marks:
        method = mark.get("quant_method") if isinstance(mark, dict) else None
        raise ModelError(
            f"{folder / 'config.json'}: the weights are quantised ({method or 'method not named'}). zspace "
            "reads exact weights only: take the original model, save a de-quantised one "
            "(`model.dequantize()`), or take its GGUF file."
        )


def import_quietly() -> None:
    """Import transformers without its warning that a notebook lacks widgets, which zspace never uses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        import transformers.utils  # noqa: F401


def _refuse_code(folder: Path, config: dict) -> None:
    """Refuse a folder that wants code of its own, unless transformers has taken over a class of that name."""
    import_quietly()
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    own = _class_of(config.get("auto_map"), "AutoModelForCausalLM", "AutoModel", "AutoConfig")
    named = config.get("architectures")
    known = config.get("model_type") in CONFIG_MAPPING_NAMES and own in (
        named if isinstance(named, list) else ()
    )
    if own and not known:
        kind = config.get("model_type")
        taken_over = f"transformers' own {kind!r} computes the same, remove auto_map from config.json."
        raise ModelError(
            f"{folder / 'config.json'}: the model brings code of its own ({own}), which zspace never runs. "
            + (f"Where {taken_over}" if kind in CONFIG_MAPPING_NAMES else "Take one that transformers knows.")
        )


def _class_of(auto_map: object, *kinds: str) -> str | None:
    """Name of the class that an auto_map gives for the first of the kinds that it has."""
    if not isinstance(auto_map, dict):
        return None
    found = next((auto_map[kind] for kind in kinds if auto_map.get(kind)), None)
    return str(found).rpartition(".")[2] if found else None


def _check_weights(folder: Path) -> None:
    from safetensors import SafetensorError, safe_open

    files = shards(folder)
    if absent := [path.name for path in files if not path.is_file()]:
        shown = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        raise ModelError(
            f"{folder} lacks {shown}"
            + (f" of the {len(files)} files that {INDEX} names" if (folder / INDEX).is_file() else "")
            + ". Copy or download the weights again (a folder of shards needs its index)."
        )
    for path in files:
        try:
            with safe_open(path, "np") as content:
                kinds = {name: content.get_slice(name).get_dtype() for name in content.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            reason = _what_it_is(path) or f"cannot be read as safetensors ({error})"
            raise ModelError(f"{path} {reason}. Copy or download it again.") from error
        # whole numbers may be buffers, such as a mask; as weights they are codes that lack their scale
        if odd := {name: kind for name, kind in kinds.items() if _is_quantised(name, kind)}:
            name, kind = next(iter(odd.items()))
            raise ModelError(
                f"{path}: {len(odd)} tensors are quantised ({name} is {kind}). zspace reads exact weights "
                "only: take the original model or a GGUF file."
            )


def _is_quantised(name: str, kind: str) -> bool:
    """Whether a tensor of that name and safetensors type holds codes instead of weights."""
    is_weight = name.endswith((".weight", "_proj"))  # fused experts lack ".weight"
    return bool(re.match(r"F[468](?:_|$)", kind)) or (is_weight and not re.match(r"B?F\d", kind))


def _what_it_is(path: Path) -> str | None:
    """What stands in the place of a file, where it is one of the usual accidents."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if not size:
        return "is empty"
    if head.startswith(b"version https://git-lfs"):
        wanted = re.search(rb"size (\d+)", head)
        of = f" of a file of {int(wanted[1]):,} bytes" if wanted else ""
        return f"is a Git LFS pointer{of}, not the file itself: run `git lfs pull`"
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not the file itself"
    if path.suffix == ".safetensors" and size > 8:
        return _truncated(path, size, head)
    return None


def _truncated(path: Path, size: int, head: bytes) -> str | None:
    """How much of a safetensors file is missing, by what its header says."""
    length = int.from_bytes(head[:8], "little")
    if 8 + length > size:
        return f"is truncated or no safetensors file: {size:,} bytes, its header alone needs {8 + length:,}"
    try:
        with path.open("rb") as stream:
            header = json.loads(stream.read(8 + length)[8:])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None
    whole = 8 + length + max(ends, default=0)
    return f"is truncated: {size:,} bytes of {whole:,}" if size < whole else None

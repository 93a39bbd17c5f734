"""A GGUF file turned into a network and a tokenizer in float32: its code is part of what identifies them."""

import shutil
from pathlib import Path

from ...errors import ModelError
from . import completeness, weights


def convert(gguf: Path, target: Path, scratch: Path) -> None:
    """Write a GGUF file's network, in float32, and tokenizer as `save_pretrained` does."""
    from transformers import AutoTokenizer

    network = read_network(gguf, scratch)
    tokenizer = _from_gguf(AutoTokenizer, gguf, scratch)
    # The tensors are plain float32 by now; the marks of the quantised file would forbid to save them.
    network.hf_quantizer = None
    del network.config.quantization_config
    with weights.quiet_transformers():
        network.save_pretrained(target)
        tokenizer.save_pretrained(target)


def read_network(gguf: Path, scratch: Path):
    """The network of a GGUF file, all its weights in float32; `scratch` is an empty folder to work in.

    Raises ModelError where the file cannot be read, or lacks weights.
    """
    weights.import_quietly()
    import torch
    from transformers import AutoModelForCausalLM

    options = {"dtype": torch.float32, "output_loading_info": True}
    network, read = _from_gguf(AutoModelForCausalLM, gguf, scratch, **options)
    completeness.check(network, read, where=gguf.name, dtype="float32")
    return network


def _from_gguf(kind, gguf: Path, scratch: Path, **options):
    # away from its neighbours: adapters and tokenizers that lie beside it are none of its own
    alone = scratch / "alone"
    alone.mkdir(exist_ok=True)
    place = alone / gguf.name
    try:
        place.symlink_to(gguf.resolve())
    except OSError:  # no links here
        shutil.copyfile(gguf, place)
    try:
        with weights.quiet_transformers():
            return kind.from_pretrained(
                str(alone), gguf_file=gguf.name, trust_remote_code=False, local_files_only=True, **options
            )
    except Exception as error:  # tokenizers and gguf raise bare exceptions
        raise ModelError(f"transformers cannot read {gguf.name}: {weights.one_line(error)}") from error
    finally:
        place.unlink()

"""GGUF files of tiny networks, whose tensors are named and described as llama.cpp's converter does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

Encoder = Callable[[str, np.ndarray], tuple[np.ndarray, gguf.GGMLQuantizationType | None]]


def exact(_name: str, values: np.ndarray) -> tuple[np.ndarray, None]:
    """Every parameter as it is, in float32."""
    return values, None


def write(path: Path, network, encode: Encoder = exact) -> None:
    """Write the GGUF file of a network; `encode` gives the data and the type of each named parameter."""
    config = network.config
    kind = config.model_type.replace("_moe", "moe")
    writer = gguf.GGUFWriter(path, kind)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    if kind == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        _write_llama_like(writer, config)
    _write_tokenizer(writer, config.vocab_size)
    architecture = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, tensor in network.named_parameters():
        for target, values in _tensors(name, tensor.detach().numpy(), names):
            data, raw_dtype = encode(name, np.ascontiguousarray(values))
            writer.add_tensor(target, data, raw_dtype=raw_dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(name: str, values: np.ndarray, names) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values under which a file keeps one parameter."""
    if "mlp.experts." in name:
        block = f"blk.{name.split('.')[2]}.ffn"
        merged = ("gate", "up") if "gate_up" in name else ("down",)
        for part, half in zip(merged, np.split(values, len(merged), axis=1), strict=True):
            yield f"{block}_{part}_exps.weight", half
        return
    turned = values.ndim == 2 and ".c_" in name  # GPT-2 keeps inputs in rows, the file outputs
    yield names.get_name(name, try_suffixes=(".weight", ".bias")), values.T if turned else values


def _write_llama_like(writer: gguf.GGUFWriter, config) -> None:
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if getattr(config, "head_dim", None):
        writer.add_key_length(config.head_dim)
    if getattr(config, "num_experts", None):
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)


def _write_tokenizer(writer: gguf.GGUFWriter, size: int) -> None:
    """A byte-level vocabulary with three special tokens and one merge."""
    letters = [*sorted(ByteLevel.alphabet())[: size - 4], "ab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<pad>", "<s>", "</s>", *letters])
    writer.add_token_types([3, 3, 3] + [1] * len(letters))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)

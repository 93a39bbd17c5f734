"""Tiny language models, texts and corpora that several test files are built on."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from zspace.sources import models
from zspace.sources.corpora import Corpus

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `models` is not installed")

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "vocab_size": 261}
SMALL = {  # what the networks of `random_network` have in common
    **{"vocab_size": 120, "num_attention_heads": 4, "max_position_embeddings": 64},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
}
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES, intermediate_size=24, num_key_value_heads=1),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **SIZES, intermediate_size=24, num_key_value_heads=1, head_dim=8, sliding_window=8
    ),
    "gpt2": lambda: transformers.GPT2Config(
        n_embd=16, n_layer=3, n_head=2, vocab_size=261, bos_token_id=1, eos_token_id=2
    ),
}


def save_tiny(kind: str, folder: Path) -> Path:
    """A random model of three blocks with a byte tokenizer that puts <bos> in front, as a folder."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import BPE

    special = ["<pad>", "<bos>", "<eos>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate([*special, *letters])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    names = dict(zip(("pad_token", "bos_token", "eos_token"), special, strict=True))
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    # noise larger than an initialisation, so that layers differ by more than rounding
    random_network(CONFIGS[kind](), noise=0.2, seed=7).save_pretrained(folder)
    return folder


def random_network(config, *, noise: float, seed: int = 0):
    """A network whose parameters, norms and biases included, are moved from where they are initialised."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        for parameter in network.parameters():
            parameter.data.add_(noise * torch.randn_like(parameter))
    return network.requires_grad_(False)


def checksum(network) -> str:
    """Hash of all tensors of a network."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def forward(model, ids) -> tuple:
    """h_0 ... h_L (L+1, T, d) of token ids by `output_hidden_states` of the plain model, and its output.

    transformers' last hidden state comes after the final norm, so h_L is read off the last block.
    """
    kept = []
    hook = model.blocks[-1].register_forward_hook(
        lambda _m, _a, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.inference_mode():
        out = model.network(input_ids=torch.tensor(ids)[None], output_hidden_states=True)
        assert torch.equal(model.final_norm(kept[0]), out.hidden_states[-1])
    hook.remove()
    return torch.stack([*out.hidden_states[:-1], kept[0].view_as(out.hidden_states[0])])[:, 0], out


def pooled_by_hand(model, text: str) -> dict[str, np.ndarray]:
    """Pooled states of one text from the plain model: pooling -> (L+1, d)."""
    ids, content = models.tokenize(model, [text])[0]
    layers = forward(model, ids)[0].float().numpy()[:, content]
    result = {"mean": layers.mean(1), "last": layers[:, -1], "median": np.median(layers, axis=1)}
    inner = layers[:, 1:] if layers.shape[1] > 1 else layers
    dropped = min(int(np.ceil(0.1 * inner.shape[1])), inner.shape[1] - 1)
    kept = [np.argsort(-np.linalg.norm(h, axis=1), kind="stable")[dropped:] for h in inner]
    result["trimmed"] = np.stack([h[rows].mean(0) for h, rows in zip(inner, kept, strict=True)])
    return result


def words(rng, n: int, longest: int = 30) -> list[str]:
    letters = np.array(list("abcdefg hijé界"))
    return ["".join(rng.choice(letters, size=size)) for size in rng.integers(1, longest, n)]


def sample_corpus(languages=("en", "fr", "sw"), n: int = 5, change: str = "") -> Corpus:
    """n short parallel texts; those of the language `change` differ from the usual ones."""
    numbers = ["one", "two", "three", "four", "five", "six", "seven"][:n]
    items = pd.DataFrame(
        {
            "item": [f"item-{i}" for i in range(n)],
            "scenario": [f"scenario-{i // 2}" for i in range(n)],
            "category": "count",
            "difficulty": 1,
            "answer": [str(i + 1) for i in range(n)],
            "group": [f"scenario-{i // 2}-1" for i in range(n)],
        }
    )
    texts = {
        language: tuple(f"{language}: {w} apples{'!' if language == change else ''}" for w in numbers)
        for language in languages
    }
    return Corpus("letters", "spelled-out", tuple(languages), texts, items, True)


def assert_close(actual, expected, tolerance=2e-5):
    """States (..., d) agree relative to the norm of each."""
    error = np.linalg.norm(actual - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert error.max() < tolerance


def forbid_loading(monkeypatch):
    def load(*_, **__):
        raise AssertionError("a model was loaded though nothing was missing")

    monkeypatch.setattr(models, "load", load)

"""Language models: the residual stream found and verified, weights found and identified, twins."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `models` is not installed")

import tiny_gguf  # noqa: E402
from model_builders import SMALL, assert_close, checksum, pooled_by_hand, random_network  # noqa: E402
from zspace import files  # noqa: E402
from zspace.errors import ModelError, ParameterError, StoreError, WeightsUnavailableError  # noqa: E402
from zspace.sources import models  # noqa: E402
from zspace.sources.models import (  # noqa: E402
    Subject,
    baselines,
    blocks,
    conversion,
    fetching,
    loading,
    verification,
    weights,
)
from zspace.states import capture  # noqa: E402

L, D, VOCAB = 3, 32, 120
COMMON = SMALL | {"hidden_size": D, "num_hidden_layers": L}
GATED = {**COMMON, "intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8}
TINY = {
    "gemma": lambda: transformers.GemmaConfig(**GATED),
    "gemma2": lambda: transformers.Gemma2Config(**GATED, sliding_window=4),
    "gemma3": lambda: transformers.Gemma3TextConfig(**GATED, sliding_window=4),
    "llama": lambda: transformers.LlamaConfig(**GATED),
    "qwen2": lambda: transformers.Qwen2Config(**{k: v for k, v in GATED.items() if k != "head_dim"}),
    "qwen3": lambda: transformers.Qwen3Config(**GATED),
    "gpt2": lambda: transformers.GPT2Config(**COMMON),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**COMMON, intermediate_size=48),
    "gpt_neox_sequential": lambda: transformers.GPTNeoXConfig(
        **COMMON, intermediate_size=48, use_parallel_residual=False
    ),
    "opt": lambda: transformers.OPTConfig(**COMMON, ffn_dim=48, word_embed_proj_dim=D),
    "bloom": lambda: transformers.BloomConfig(**COMMON),
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FROM_SEED = models.KINDS[1:4]  # twins without a file
SENTENCES = {
    "en": "The sun rises in the east and sets in the west, and every morning the birds sing in the garden.",
    "fr": "Le soleil se lève à l'est et se couche à l'ouest, et chaque matin les oiseaux chantent.",
    "zh": "太阳从东方升起，从西方落下，每天早晨鸟儿在花园里歌唱。",
}


def tiny_network(name: str, seed: int = 0):
    """A random network of the named architecture whose norms and biases are not at their defaults."""
    return random_network(TINY[name](), noise=0.1, seed=seed)


def tiny_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Whole words, BOS in front; ids 10.. are ordinary words, the rest special, byte or unused."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from tokenizers.processors import TemplateProcessing

    special = ["<unused0>", "<s>", "</s>", "<unk>", "<mask>"]
    head = [*special, "<0x00>", "<0x01>", "<unused1>", "[unused2]", "[unused3]"]
    words = {word: i for i, word in enumerate([*head, *(f"w{i}" for i in range(10, VOCAB - 5))])}
    backend = Tokenizer(WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A local model folder: a tiny Llama with a tokenizer that has no padding token."""
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    tiny_network("llama").save_pretrained(path)
    tiny_tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def tiny(folder) -> models.LanguageModel:
    return models.load(folder)


@pytest.fixture
def offline(monkeypatch, tmp_path) -> Path:
    """An empty Hugging Face cache and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def states(parts, ids: torch.Tensor, mask: torch.Tensor | None = None) -> list[torch.Tensor]:
    """States of a batch as the load check runs it, positions counted from each prompt's first token."""
    keep = models.ReducingHooks(parts, lambda _layer, hidden: hidden.clone())
    with torch.inference_mode(), keep as hooks:
        blocks.run_trunk(parts.trunk, ids, mask)
        return hooks.take()


def assert_same_states(one, other, tolerance: float = 0.0):
    for ours, theirs in zip(states(one, IDS), states(other, IDS), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def named_tensors(network) -> list[tuple[str, torch.Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]


IDS = torch.tensor([[1, 12, 30, 45, 77, 101], [1, 90, 13, 60, 22, 35]])


# The residual stream ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TINY)
def test_verify_accepts_every_decoder_only_architecture(name):
    for dtype in (torch.float32, torch.bfloat16):
        network = tiny_network(name).to(dtype)
        parts = blocks.anatomy(network)
        assert len(parts.blocks) == L
        verification.verify(network, parts)


@pytest.mark.parametrize("name", TINY)
def test_hooked_states_are_the_models_own_hidden_states(name):
    network = tiny_network(name)
    parts = blocks.anatomy(network)
    found = states(parts, IDS)
    with torch.inference_mode():
        own = network(input_ids=IDS, output_hidden_states=True).hidden_states
        normed = parts.final_norm(found[L])
    assert len(own) == len(found) == L + 1
    for k in range(L):
        torch.testing.assert_close(found[k], own[k], rtol=0, atol=0)
    torch.testing.assert_close(normed, own[L], rtol=0, atol=0)
    assert not torch.allclose(found[L], own[L], rtol=1e-2)  # h_L is before the final norm


@pytest.mark.parametrize("name", ["gemma3", "gpt2", "bloom", "gpt_neox"])
def test_verify_refuses_a_block_that_scales_its_residual(name):
    def scale(_module, args, kwargs, output):
        stream = args[0] if args else kwargs["hidden_states"]
        scaled = blocks.first_of(output) + 0.01 * stream
        return (scaled, *output[1:]) if isinstance(output, tuple) else scaled

    network = tiny_network(name)
    parts = blocks.anatomy(network)
    for layer in range(L):
        hook = parts.blocks[layer].register_forward_hook(scale, with_kwargs=True)
        with pytest.raises(ModelError, match=f"layer {layer}: attention and MLP outputs do not sum"):
            verification.verify(network, parts)
        hook.remove()
    verification.verify(network, parts)


def changed_between_blocks(parts):
    parts.blocks[2].register_forward_pre_hook(lambda _module, args: (args[0] * 1.01, *args[1:]))


def changed_after_the_norm(parts):
    def shift(_module, _args, output):
        output.last_hidden_state = output.last_hidden_state * 1.01
        return output

    parts.trunk.register_forward_hook(shift)


def seeing_later_tokens(parts):
    def peek(_module, _args, output):  # the last position leaks into all others
        return (output[0] + 0.1 * output[0][:, -1:], *output[1:])

    parts.blocks[1].self_attn.register_forward_hook(peek)


def with_inputs(change):
    """A tampering that changes the keyword arguments of the trunk."""

    def hook(_module, args, kwargs):
        return args, kwargs | change(kwargs["input_ids"])

    def tamper(parts):
        parts.trunk.register_forward_pre_hook(hook, with_kwargs=True)

    return tamper


without_its_mask = with_inputs(lambda ids: {"attention_mask": torch.ones_like(ids)})
# with its mask respected, a prompt padded left still stands at other positions than alone
with_padding_counted = with_inputs(lambda ids: {"position_ids": torch.arange(ids.shape[1]).expand(ids.shape)})


@pytest.mark.parametrize(
    ("name", "tamper", "words"),
    [
        ("llama", changed_between_blocks, "layer 2: its input is not the output"),
        ("llama", changed_after_the_norm, f"layer {L}: the final norm of h_L"),
        ("llama", seeing_later_tokens, r"layer 1: its output h_2 .* padded right"),
        ("llama", without_its_mask, r"layer 0: its output h_1 .* padded left"),
        ("gpt2", with_padding_counted, r"embeddings: their output h_0 .* padded left"),
        ("opt", with_padding_counted, r"embeddings: their output h_0 .* padded left"),
    ],
)
def test_verify_refuses_what_is_no_causal_residual_stream(name, tamper, words):
    network = tiny_network(name)
    parts = blocks.anatomy(network)
    tamper(parts)
    with pytest.raises(ModelError, match=words):
        verification.verify(network, parts)


def test_verify_device_sees_states_that_a_copy_on_the_cpu_does_not_have():
    network = tiny_network("llama")
    parts = blocks.anatomy(network)
    verification.verify_device(network, parts)
    own = parts.blocks[1]

    def err_where_tiles_leave_one_over(module, _args, output):
        wrong = module is own and output.shape[1] % 32 == 1  # the copy is another module
        return torch.cat([output[:, :-1], 1.1 * output[:, -1:]], 1) if wrong else output

    own.register_forward_hook(err_where_tiles_leave_one_over)
    verification.verify(network, parts)  # with its short prompts all is well
    with pytest.raises(ModelError, match=r"layer 2: the states of 33 tokens on cpu differ by .* on the CPU"):
        verification.verify_device(network, parts)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", TINY)
def test_run_trunk_gives_a_prompt_the_states_it_has_alone_whichever_side_is_padded(name, side):
    parts = blocks.anatomy(tiny_network(name))
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[1, slice(0, 2) if side == "left" else slice(4, 6)] = 0
    ids = torch.zeros_like(mask)
    prompts = [IDS[0], IDS[1, :4]]
    for row, prompt in enumerate(prompts):
        ids[row, mask[row] == 1] = prompt
    padded = states(parts, ids, mask)
    for row, prompt in enumerate(prompts):
        alone = states(parts, prompt[None])
        for ours, theirs in zip(padded, alone, strict=True):
            torch.testing.assert_close(ours[row][mask[row] == 1], theirs[0], rtol=1e-4, atol=1e-4)
    unmasked = states(parts, ids)[L][1][mask[1] == 1]
    # pads on the left are seen without a mask; those on the right no causal model looks at
    assert torch.allclose(unmasked, alone[L][0], rtol=1e-2, atol=1e-2) == (side == "right")


def test_anatomy_refuses_post_norm_blocks():
    config = transformers.OPTConfig(**COMMON, ffn_dim=48, word_embed_proj_dim=16, do_layer_norm_before=False)
    network = transformers.AutoModelForCausalLM.from_config(config).eval()
    with pytest.raises(ModelError, match="layer 0: "):
        verification.verify(network, blocks.anatomy(network))


def test_reducing_hooks_keep_one_result_a_layer_and_leave_no_hook(tiny):
    calls = []

    def reducer(layer, hidden):
        calls.append(layer)
        return hidden.mean(1)

    with torch.inference_mode(), models.ReducingHooks(tiny, reducer) as hooks:
        for ids in (IDS, IDS.flip(1)):
            tiny.trunk(input_ids=ids, use_cache=False)
            means = hooks.take()
            assert [m.shape for m in means] == [(2, D)] * (L + 1)
        with pytest.raises(ModelError, match="0 layer states since"):
            hooks.take()
        tiny.trunk(input_ids=IDS, use_cache=False)
        tiny.trunk(input_ids=IDS, use_cache=False)
        with pytest.raises(ModelError, match="8 layer states since"):
            hooks.take()
    assert calls == [*range(L + 1)] * 4
    tiny.trunk(input_ids=IDS, use_cache=False)
    assert len(calls) == 4 * (L + 1)
    torch.testing.assert_close(means[2], states(tiny, IDS.flip(1))[2].mean(1))


# Loading ---------------------------------------------------------------------------------------------


def test_load_reads_a_local_folder(tiny, folder):
    assert (tiny.name, tiny.subject, tiny.dtype) == ("tiny-llama", models.TRAINED, "float32")
    assert (tiny.n_layers, tiny.hidden_size) == (L, D)
    assert tiny.tokenizer.padding_side == "right"
    assert tiny.tokenizer.pad_token is None
    assert not tiny.network.training
    assert_same_states(tiny, blocks.anatomy(tiny_network("llama")))
    half = models.load(str(folder), dtype="bfloat16", device="auto")
    assert half.network.dtype == torch.bfloat16
    assert half.identity() != tiny.identity()
    sharded = models.load(folder, device="sharded")
    assert torch.equal(states(sharded, IDS)[L], states(tiny, IDS)[L])


def test_load_takes_the_device_of_the_environment_where_none_is_asked_for(folder, monkeypatch):
    monkeypatch.setenv("ZSPACE_DEVICE", "abacus")
    with pytest.raises(ModelError, match="no device 'abacus'"):
        models.load(folder)
    assert models.load(folder, device="cpu").device.type == "cpu"
    # a device that is not the CPU is held against it
    seen = []
    monkeypatch.setattr(loading, "_placement", lambda device: {"device_map": {"": device}})
    monkeypatch.setattr(verification, "verify_device", lambda *given: seen.append(given))
    monkeypatch.setenv("ZSPACE_DEVICE", "cpu")
    models.load(folder)
    assert len(seen) == 1


def test_load_refuses_a_tampered_model(folder, monkeypatch):
    code = transformers.models.llama.modeling_llama
    monkeypatch.setattr(code.LlamaMLP, "forward", lambda self, x: torch.ones_like(x))
    models.load(folder)  # a constant MLP is still a branch of a residual stream
    original = code.LlamaDecoderLayer.forward

    def scaled(self, hidden_states, *args, **kwargs):
        return 0.9 * original(self, hidden_states, *args, **kwargs)

    monkeypatch.setattr(code.LlamaDecoderLayer, "forward", scaled)
    with pytest.raises(ModelError, match=r"tiny-llama fails the checks made on loading\. layer 0: "):
        models.load(folder)
    models.load(folder, verify=False)


@pytest.mark.parametrize("wrong", ["gemma-3-270n", "./nothing/here", "/no/such/folder", "a/b/c"])
def test_load_names_what_it_accepts_when_the_name_is_unknown(wrong):
    with pytest.raises(ModelError, match=r"gemma-3-270m.*owner/name.*config\.json.*\.gguf") as caught:
        models.load(wrong)
    assert repr(wrong) in str(caught.value)
    with pytest.raises(ModelError):
        models.identity(wrong)


def test_load_refuses_folders_that_hold_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json and no \*\.safetensors"):
        models.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no \*\.safetensors"):
        models.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.safetensors is empty"):
        models.load(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"not a \.gguf file"):
        models.load(tmp_path / "weights.bin")
    (tmp_path / "model.gguf").write_bytes(b"no GGUF at all")
    with pytest.raises(ModelError, match=r"cannot read model\.gguf"):
        models.load(tmp_path / "model.gguf")


def test_load_refuses_a_sequence_to_sequence_model(tmp_path):
    config = transformers.T5Config(vocab_size=VOCAB, d_model=D, d_kv=8, d_ff=32, num_layers=2, num_heads=4)
    transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=r"\(t5, T5ForConditionalGeneration\) is a sequence-to-sequence model"
    ):
        models.load(tmp_path)


@pytest.mark.parametrize("head", ["BertForMaskedLM", "BertModel"])
def test_load_reads_an_encoder_with_any_head(tmp_path, head):
    small = {"vocab_size": VOCAB, "hidden_size": D, "num_hidden_layers": 2, "num_attention_heads": 2}
    network = getattr(transformers, head)(transformers.BertConfig(**small, intermediate_size=32)).eval()
    network.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    model = models.load(tmp_path)
    assert (model.n_layers, model.kind.label) == (2, "bidirectional, post-norm")
    assert models.identity(tmp_path)["attention"] == model.identity()["attention"] == "bidirectional"
    with torch.inference_mode():
        own = network(input_ids=IDS, output_hidden_states=True).hidden_states
    for found, expected in zip(states(model, IDS), own, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_load_refuses_float16_and_unknown_placements(folder):
    with pytest.raises(ModelError, match="float16 overflows"):
        models.load(folder, dtype="float16")
    with pytest.raises(ModelError, match="no dtype 'int8'"):
        models.load(folder, dtype="int8")
    with pytest.raises(ModelError, match="no device 'abacus'"):
        models.load(folder, device="abacus")


def test_load_of_a_hub_id_without_network_says_what_to_do(offline):
    for name in ("qwen3-0.6b", "qwen2.5-0.5b", "some-owner/some-model@v1"):
        with pytest.raises(WeightsUnavailableError, match=r"hf download .*--local-dir .*HF_HOME"):
            models.load(name)
        with pytest.raises(WeightsUnavailableError):
            models.identity(name)


def test_load_of_a_hub_id_uses_the_commit_that_is_cached(offline, folder):
    home = offline / "models--owner--tiny"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    (home / "snapshots").mkdir()
    (home / "snapshots" / COMMIT).symlink_to(folder)
    model = models.load("owner/tiny")
    assert model.revision == COMMIT
    assert model.identity() == models.identity("owner/tiny")
    assert models.identity("owner/tiny")["weights"].startswith(f"owner/tiny@{COMMIT} of files ")  # not links
    partial = home / "snapshots" / COMMIT
    partial.unlink()
    partial.mkdir()
    (partial / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "1.safetensors"}}))
    with pytest.raises(WeightsUnavailableError):
        models.load("owner/tiny")


# Packages and GGUF -----------------------------------------------------------------------------------


def test_load_converts_a_gguf_file_once_and_exactly(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "cache"))
    network = tiny_network("qwen2")
    tiny_gguf.write(tmp_path / "tiny.gguf", network)
    model = models.load(tmp_path / "tiny.gguf")
    assert "converting tiny to safetensors" in capsys.readouterr().err
    assert_same_states(model, blocks.anatomy(network), 1e-6)
    assert models.load(tmp_path / "tiny.gguf").identity() == model.identity()
    assert "converting" not in capsys.readouterr().err
    assert not list((tmp_path / "cache").rglob("*.gguf"))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A registered package whose GGUF file is a few bytes, and a cache of its own."""
    content = b"GGUF of a tiny model"
    entry = {
        "package": "tiny-gguf",
        "version": "1.0",
        "sha256": hashlib.sha256(content).hexdigest(),
        "extra": "tiny",
        "note": "test",
    }
    module = types.ModuleType("tiny_gguf")
    module.assemble = lambda path: (path.write_bytes(content), path)[1]
    monkeypatch.setitem(sys.modules, "tiny_gguf", module)
    monkeypatch.setattr(files, "params", lambda _name: {"tiny-package": entry})
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "cache"))
    return entry


def test_fetch_of_a_package_leaves_nothing_half_converted(package, monkeypatch, tmp_path):
    def broken(gguf, target, scratch):
        (target / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "convert", broken)
    with pytest.raises(StoreError, match="No space left"):
        fetching.fetch(weights.find("tiny-package"))
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []
    seen = []

    def working(gguf, target, scratch):
        seen.append(gguf.read_bytes())
        (target / "config.json").write_text("{}")

    monkeypatch.setattr(conversion, "convert", working)
    first = fetching.fetch(weights.find("tiny-package"))
    assert fetching.fetch(weights.find("tiny-package")) == first
    assert seen == [b"GGUF of a tiny model"]
    assert {p.name for p in first.iterdir()} == {"config.json", "converted.json"}


def test_fetch_of_a_package_checks_its_digest_and_its_presence(package, monkeypatch):
    package["sha256"] = "0" * 64
    with pytest.raises(ModelError, match="pins 0000"):
        fetching.fetch(weights.find("tiny-package"))
    monkeypatch.setitem(sys.modules, "tiny_gguf", None)
    with pytest.raises(ModelError, match=r'pip install "zspace\[tiny\]"'):
        fetching.fetch(weights.find("tiny-package"))


@pytest.fixture
def packaged(package, monkeypatch, tmp_path) -> Path:
    """An installed distribution that holds a GGUF file and whose own code cannot be imported."""
    site = tmp_path / "site"
    information = site / "tiny_weights-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
    path = site / "tiny_weights" / "model.gguf"
    path.parent.mkdir()
    (path.parent / "__init__.py").write_text("raise ImportError('a dependency is absent')\n")
    tiny_gguf.write(path, tiny_network("qwen2"))
    del package["extra"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    package.update(package="tiny-weights", file="tiny_weights/model.gguf", sha256=digest)
    monkeypatch.syspath_prepend(str(site))
    return path


def test_load_reads_the_file_that_a_package_holds(packaged, package):
    model = models.load("tiny-package")
    assert_same_states(model, blocks.anatomy(tiny_network("qwen2")), 1e-6)
    assert model.identity() == models.identity("tiny-package")
    assert package["sha256"] in model.identity()["weights"]
    packaged.unlink()
    models.load("tiny-package")  # converted once, the file is no longer needed


def test_load_of_a_packaged_file_that_is_absent_or_another_says_what_to_install(packaged, package):
    with packaged.open("ab") as stream:
        stream.write(b"\0")
    found = hashlib.sha256(packaged.read_bytes()).hexdigest()
    pins = rf"tiny-weights has SHA-256 {found}, .* pins {package['sha256']}\. Reinstall version 1\.0"
    with pytest.raises(ModelError, match=pins):
        models.load("tiny-package")
    packaged.unlink()
    with pytest.raises(ModelError, match=r"tiny-weights lacks tiny_weights/model\.gguf; reinstall it: `pip"):
        models.load("tiny-package")
    package["package"] = "no-such-weights"
    missing = r"no-such-weights, which is not installed: `pip install --no-deps no-such-weights==1\.0`"
    with pytest.raises(ModelError, match=missing):
        models.load("tiny-package")


def test_is_at_hand_asks_whether_a_hub_model_is_cached_whole(offline, folder):
    branch, pinned = (weights.find(name) for name in ("owner/tiny", f"owner/tiny@{COMMIT}"))
    assert not weights.is_at_hand(branch)
    assert not weights.is_at_hand(pinned)
    home = offline / "models--owner--tiny"
    snapshot = home / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    assert weights.is_at_hand(pinned)
    assert not weights.is_at_hand(branch)  # nothing says which commit the branch stands for
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    assert weights.is_at_hand(branch)
    index = {"weight_map": {"a": "model.safetensors", "b": "2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert not weights.is_at_hand(branch)
    (snapshot / "2.safetensors").write_bytes(b"")
    assert weights.is_at_hand(branch)


def test_is_at_hand_is_true_of_local_files_and_installed_packages(folder, packaged, package):
    for name in (folder, packaged, "tiny-package"):
        assert weights.is_at_hand(weights.find(name))
    package["package"] = "no-such-weights"
    assert not weights.is_at_hand(weights.find("tiny-package"))


def test_find_refuses_registry_entries_without_one_source(package):
    package["hub"] = "owner/name"
    with pytest.raises(ModelError, match="exactly one of package, hub and path"):
        weights.find("tiny-package")
    del package["hub"], package["package"]
    package["path"] = "no/such/model"
    with pytest.raises(WeightsUnavailableError, match="does not exist"):
        weights.find("tiny-package")


def test_registry_entries_have_a_source_a_dtype_and_a_licence():
    for name, entry in files.params("models").items():
        if entry.get("tuned"):
            assert "tuned" in name
            if not (files.PROJECT / entry["path"]).exists():
                with pytest.raises(WeightsUnavailableError, match="Make it with `zspace tune`"):
                    weights.find(name)
        else:
            assert weights.find(name).name == name
        assert entry["dtype"] in ("float32", "bfloat16")
        assert any(word in entry["note"] for word in ("Apache", "MIT", "Terms of Use")), name


def test_registry_has_the_qwen_models_under_their_hub_names():
    names = [name for name in files.params("models") if name.startswith("qwen")]
    assert {"qwen3-0.6b-base", "qwen3-0.6b", "qwen3-1.7b-base", "qwen2.5-0.5b", "qwen2.5-1.5b"} < set(names)
    for name in names:
        source = weights.find(name)
        assert (source.kind, source.location.lower()) == ("hub", f"qwen/{name}")
        billions = float(name.split("-")[1].removesuffix("b"))
        assert source.dtype == ("bfloat16" if billions > 2 else "float32"), name
        assert ("not a base model" in files.params("models")[name]["note"]) == (name == "qwen3-0.6b")


def test_registry_names_the_files_that_the_installation_brings():
    lines = (files.PROJECT / "weights.txt").read_text().splitlines()
    with_file = [e for e in files.params("models").values() if "file" in e]
    assert with_file
    assert {f"{e['package']}=={e['version']}" for e in with_file} == {li for li in lines if "==" in li}


# Identity --------------------------------------------------------------------------------------------


def test_identity_equals_that_of_the_loaded_model(tiny, folder):
    found = models.identity(folder)
    assert found == tiny.identity()
    assert json.loads(json.dumps(found)) == found
    half = models.identity(folder, dtype="bfloat16", subject=Subject("random", 3))
    assert half == models.random_twin(models.load(folder, dtype="bfloat16"), 3).identity()
    assert len({files.fingerprint(i) for i in (found, half, models.identity(folder, dtype="bfloat16"))}) == 3


def test_identity_follows_content_and_not_time(folder, tmp_path):
    copied = tmp_path / "elsewhere" / "tiny-llama"
    shutil.copytree(folder, copied)
    os.utime(copied / "model.safetensors", (0, 0))
    reference = models.identity(folder)
    assert models.identity(copied) == reference
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        original = (copied / name).read_bytes()
        (copied / name).write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        assert models.identity(copied) != reference, name
        (copied / name).write_bytes(original)
    (copied / "README.md").write_text("a note does not change numbers")
    assert models.identity(copied) == reference


def test_identity_needs_no_torch(folder):
    code = (
        "import sys; import zspace.sources.models as m; "
        "assert not {'torch', 'transformers'} & set(sys.modules); "
        f"m.identity('gemma-3-270m', subject=m.Subject('random', 1)); m.identity({str(folder)!r}); "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Subjects --------------------------------------------------------------------------------------------


def test_subject_is_read_back_from_its_name():
    subjects = {"trained": models.TRAINED, "random-0": Subject("random", 0)}
    subjects |= {"random-blocks-10": Subject("random-blocks", 10), "re-rounded-3": Subject("re-rounded", 3)}
    for name, subject in subjects.items():
        assert subject.name == name
        assert Subject.parse(name) == subject
        assert models.kind_of(name) == subject.kind


@pytest.mark.parametrize(
    "name",
    ["", "shuffled", "shuffled-0", "random", "random-", "random-00", "random--1", "trained-0", "random-٣"],
)
def test_subject_of_another_name_is_refused(name):
    with pytest.raises(ParameterError, match=rf"^unknown variant '{name}'; known: trained, random-SEED, "):
        Subject.parse(name)
    assert models.kind_of(name) is None


def test_possible_re_roundings_need_quantised_weights(folder):
    wanted = [models.TRAINED, Subject("random-blocks", 0), Subject("re-rounded", 0)]
    assert models.possible("gemma-3-270m", wanted) == wanted
    for name in (folder, "owner/name"):
        assert models.possible(name, wanted) == wanted[:2]


# Tokens ----------------------------------------------------------------------------------------------


def test_tokenize_marks_special_tokens_as_no_content(tiny):
    (ids, content), (_, unknown) = models.tokenize(tiny, ["w10 </s> w12", "nothing known"])
    assert ids.dtype == np.int64
    assert ids.tolist() == [1, 10, 2, 12]
    assert content.tolist() == [False, True, False, True]
    assert unknown.tolist() == [False, True, True]  # an unknown word is content


def test_tokenize_names_the_row_without_content_or_too_long(tiny):
    with pytest.raises(ModelError, match="row 1: '' has no content token"):
        models.tokenize(tiny, ["w10", ""])
    with pytest.raises(ModelError, match="row 2: 65 tokens, tiny-llama knows 64 positions"):
        models.tokenize(tiny, ["w10", "w11", "w12 " * 64])


# Twins -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", FROM_SEED)
def test_twin_follows_its_seed_and_touches_nothing_else(tiny, variant):
    before = checksum(tiny.network)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    made = [models.twin(tiny, Subject(variant, seed)) for seed in (0, 0, 1)]
    found = [states(t, IDS) for t in made]
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert not torch.allclose(found[0][L], found[2][L])
    assert not torch.allclose(found[0][L], states(tiny, IDS)[L])
    assert checksum(tiny.network) == before
    for t, seed in zip(made, (0, 0, 1), strict=True):
        assert (t.subject, t.name) == (Subject(variant, seed), tiny.name)
        verification.verify(t.network, blocks.anatomy(t.network))


def test_twins_in_bfloat16_keep_their_rotary_frequencies_in_float32(folder):
    half = models.load(folder, dtype="bfloat16")
    kinds = {name: tensor.dtype for name, tensor in named_tensors(half.network)}
    assert set(kinds.values()) == {torch.bfloat16, torch.float32}
    for variant in FROM_SEED:
        twin = models.twin(half, Subject(variant, 0))
        assert {name: tensor.dtype for name, tensor in named_tensors(twin.network)} == kinds
    full = models.random_twin(models.load(folder), 0)
    rounded = models.random_twin(half, 0)
    for (_, ours), (_, theirs) in zip(*map(named_tensors, (rounded.network, full.network)), strict=True):
        assert torch.equal(ours, theirs.to(ours.dtype))


@pytest.mark.parametrize("name", TINY)
def test_random_blocks_twin_keeps_h0_and_nothing_deeper(tiny, name):
    model = as_model(tiny, tiny_network(name))
    twin = models.random_blocks_twin(model, 5)
    ours, theirs = states(twin, IDS), states(model, IDS)
    assert torch.equal(ours[0], theirs[0])
    assert not torch.allclose(ours[1], theirs[1], rtol=1e-2)
    own, shared = (m.network.get_input_embeddings().weight for m in (twin, model))
    assert own.data_ptr() == shared.data_ptr()
    fresh, trained = ({p.data_ptr() for b in m.blocks for p in b.parameters()} for m in (twin, model))
    assert not fresh & trained


@pytest.mark.parametrize("name", TINY)
def test_permuted_embeddings_twin_shares_all_but_the_input_rows(tiny, name):
    model = as_model(tiny, tiny_network(name))
    twin = models.permuted_embeddings_twin(model, 5)
    ours, theirs = (m.network.get_input_embeddings().weight for m in (twin, model))
    assert not torch.equal(ours, theirs)
    torch.testing.assert_close(ours.sort(dim=0).values, theirs.sort(dim=0).values, rtol=0, atol=0)
    kept = list(range(10)) + list(range(VOCAB - 5, VOCAB))  # special, byte, unused; beyond the vocabulary
    assert torch.equal(ours[kept], theirs[kept])
    ordinary = [i for i in range(VOCAB) if i not in kept]
    moved = (ours[ordinary] != theirs[ordinary]).any(dim=1).float().mean()
    assert moved > 0.9
    shared = {p.data_ptr() for b in model.blocks for p in b.parameters()}
    assert {p.data_ptr() for b in twin.blocks for p in b.parameters()} == shared


def test_permuted_embeddings_twin_stays_within_bins(tiny, monkeypatch):
    monkeypatch.setattr(baselines, "_BIN", 16)
    order = baselines._binned_permutation(tiny, VOCAB, np.random.default_rng(0))
    assert sorted(order) == list(range(VOCAB))
    assert np.array_equal(order // 16, np.arange(VOCAB) // 16)
    assert np.any(order != np.arange(VOCAB))


def test_twin_is_made_of_the_trained_model_only(tiny):
    assert models.twin(tiny, models.TRAINED) is tiny
    twin = models.random_twin(tiny, 0)
    for kind in models.KINDS[1:]:
        with pytest.raises(ModelError, match="made from the trained model"):
            models.twin(twin, Subject(kind, 1))


def test_re_rounded_twin_of_a_folder_is_refused(tiny):
    with pytest.raises(ModelError, match=r"tiny-llama has weights .* not known .* \(folder\); only those"):
        models.twin(tiny, Subject("re-rounded", 0))


def as_model(template: models.LanguageModel, network) -> models.LanguageModel:
    return dataclasses.replace(template, network=network, **vars(blocks.anatomy(network)))


# The packaged models -----------------------------------------------------------------------------------


def mean_loss(model, text: str) -> float:
    """Nats per token."""
    ids = model.tokenizer(text, return_tensors="pt").input_ids
    with torch.inference_mode():
        return model.network(input_ids=ids, labels=ids).loss.item()


def next_token(model) -> str:
    """What a model writes after two countries with their capitals and a third without."""
    prompt = "The capital of Germany is Berlin. The capital of Italy is Rome. The capital of France is"
    ids = model.tokenizer(prompt, return_tensors="pt").input_ids
    with torch.inference_mode():
        return model.tokenizer.decode(model.network(input_ids=ids, logits_to_keep=1).logits[0, -1].argmax())


def test_states_of_gemma_are_those_of_the_plain_model_pooled_by_hand(gemma):
    texts = ["Three red apples.", "Trois pommes rouges et deux poires vertes.", "三个红苹果"]
    states = capture.states(gemma, texts)
    for row, text in enumerate(texts):
        expected = pooled_by_hand(gemma, text)
        assert_close(states["mean"][:, row], expected["mean"], 1e-4)
        assert_close(states["last"][:, row], expected["last"], 1e-4)


def test_gemma_has_the_published_architecture(gemma):
    config = gemma.network.config
    assert (gemma.n_layers, gemma.hidden_size, config.vocab_size) == (18, 640, 262144)
    full = [i for i, kind in enumerate(config.layer_types) if kind == "full_attention"]
    assert full == [5, 11, 17]
    assert config.sliding_window == 512
    thetas = {kind: rope["rope_theta"] for kind, rope in config.rope_parameters.items()}
    assert thetas == {"full_attention": 1e6, "sliding_attention": 1e4}
    head = gemma.network.get_output_embeddings().weight
    assert head.data_ptr() == gemma.network.get_input_embeddings().weight.data_ptr()
    with torch.inference_mode():
        rows = gemma.network.get_input_embeddings().weight[IDS]
        torch.testing.assert_close(states(gemma, IDS)[0], rows * 640**0.5, rtol=1e-6, atol=0)


def test_gemma_norm_weights_carry_no_offset(gemma):
    # Published as bfloat16 w, applied as 1 + w; GGUF files hold 1 + w in float32. Taking that off
    # must give back numbers that bfloat16 represents, and leaving it on does not.
    norms = torch.cat([p.flatten() for n, p in gemma.network.named_parameters() if "norm" in n])
    assert torch.equal(norms, norms.bfloat16().float())
    assert (norms + 1 != (norms + 1).bfloat16().float()).float().mean() > 0.05


def test_gemma_tokenizer_puts_bos_first_and_keeps_text(gemma):
    for text in [*SENTENCES.values(), "Two  spaces and\na new line"]:
        [(ids, content)] = models.tokenize(gemma, [text])
        assert ids[0] == gemma.tokenizer.bos_token_id == 2
        assert content.tolist() == [False] + [True] * (len(ids) - 1)
        assert gemma.tokenizer.decode(ids[1:]) == text
    assert gemma.tokenizer.tokenize("The capital  of") == ["The", "▁capital", "▁▁", "of"]


def test_gemma_predicts_text_and_its_permuted_twin_does_not(gemma):
    assert next_token(gemma) == " Paris"
    losses = {language: mean_loss(gemma, text) for language, text in SENTENCES.items()}
    assert losses["en"] < 3
    assert losses["fr"] < 3.5
    assert losses["zh"] < 5
    twin = models.permuted_embeddings_twin(gemma, 0)
    for language, text in SENTENCES.items():
        assert mean_loss(twin, text) > losses[language] + 4


@pytest.mark.parametrize("name", ["smollm2", pytest.param("gemma", marks=pytest.mark.full)])
def test_random_twin_of_a_packaged_model_is_at_chance(name, request):
    model = request.getfixturevalue(name)
    twin = models.random_twin(model, 0)
    assert abs(mean_loss(twin, SENTENCES["en"]) - np.log(model.network.config.vocab_size)) < 1
    assert twin.identity() == models.identity(model.name, subject=Subject("random", 0))


def test_gemma_conversion_keeps_no_gguf_file(gemma):
    assert gemma.identity() == models.identity("gemma-3-270m")
    folder = fetching.fetch(weights.find("gemma-3-270m"))
    assert (folder / "model.safetensors").is_file()
    assert not list(folder.parent.rglob("*.gguf"))


@pytest.fixture(scope="module")
def smollm2() -> models.LanguageModel:
    """The packaged model that was trained on English."""
    torch.set_num_threads(1)
    return models.load("smollm2-135m-instruct")


def test_smollm2_has_the_published_architecture(smollm2):
    config = smollm2.network.config
    assert (smollm2.n_layers, smollm2.hidden_size, config.vocab_size) == (30, 576, 49152)
    assert (config.model_type, config.num_attention_heads, config.num_key_value_heads) == ("llama", 9, 3)
    assert (config.intermediate_size, config.max_position_embeddings) == (1536, 8192)
    assert config.rope_parameters["rope_theta"] == 1e5
    head = smollm2.network.get_output_embeddings().weight
    assert head.data_ptr() == smollm2.network.get_input_embeddings().weight.data_ptr()
    parameters = sum(p.numel() for p in smollm2.network.parameters())
    assert parameters == 134_515_008


def test_smollm2_predicts_english(smollm2):
    assert mean_loss(smollm2, SENTENCES["en"]) < 3.5
    assert next_token(smollm2) == " Paris"


def test_smollm2_tokenizer_keeps_text(smollm2):
    for text in [*SENTENCES.values(), "Two  spaces and\na new line"]:
        [(ids, content)] = models.tokenize(smollm2, [text])
        assert content.all()  # it puts nothing in front
        assert smollm2.tokenizer.decode(ids) == text

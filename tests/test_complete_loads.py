"""A model is loaded whole or not at all: what its files lack, hide or break is said in one line."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `models` is not installed")

from model_builders import CONFIGS, SIZES, checksum, random_network  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from zspace.errors import ModelError  # noqa: E402
from zspace.sources import models  # noqa: E402
from zspace.sources.models import completeness  # noqa: E402
from zspace.sources.models import folders as model_folders  # noqa: E402
from zspace.states import capture, generation  # noqa: E402

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(folders, tmp_path) -> Path:
    """A tiny Llama, to be changed."""
    return Path(shutil.copytree(folders["llama"], tmp_path / "tiny"))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}


def save(folder: Path, content: dict[str, torch.Tensor]) -> None:
    save_file(content, folder / "model.safetensors", metadata={"format": "pt"})


def configure(folder: Path, name: str = "config.json", **changes) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**content, **changes}))


def refusal(folder: Path) -> str:
    """What is said where a folder is refused: one line that begins with the model's name."""
    with pytest.raises(ModelError) as caught:
        models.load(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert folder.name in said
    return said


# Incomplete weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [*completeness.WRAPPERS, "model.model.", "transformer_wrapper."])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_weights_under_a_wrappers_names_are_refused_with_the_prefix(folders, tmp_path, kind, prefix):
    folder = Path(shutil.copytree(folders[kind], tmp_path / "wrapped"))
    save(folder, {prefix + name: tensor for name, tensor in tensors(folder).items()})
    said = refusal(folder)
    assert f"Their names begin with '{prefix}'" in said
    assert re.search(r"the files lack \d+ weights \(.*the model does not know \d+ weights \(", said)


def test_the_command_that_a_refusal_names_mends_the_files(folder, monkeypatch):
    before = checksum(models.load(folder).network)
    save(folder, {"_orig_mod." + name: tensor for name, tensor in tensors(folder).items()})
    command = re.search(r"`python -c \"(.*)\" COPY/\*\.safetensors`", refusal(folder))[1]
    monkeypatch.setattr(sys, "argv", ["-c", str(folder / "model.safetensors")])
    exec(command, {})
    assert checksum(models.load(folder).network) == before


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (
            r"\.layers\.2\.",
            r"lack 9 weights \(model\.layers\.2\.input_layernorm\.weight, .*files are incomplete",
        ),
        (r"^model\.norm\.weight$", r"lack 1 weight \(model\.norm\.weight\)"),
        (r"embed_tokens", r"lack 1 weight \(model\.embed_tokens\.weight\)"),
        (r"^lm_head", r"lack 1 weight \(lm_head\.weight\)"),
        (r"layers\.1\.self_attn\.k_proj", r"lack 1 weight \(model\.layers\.1\.self_attn\.k_proj\.weight\)"),
    ],
)
def test_weights_that_the_files_lack_are_named(folder, lost, words):
    save(folder, {name: t for name, t in tensors(folder).items() if not re.search(lost, name)})
    assert re.search(words, refusal(folder))


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("model.layers.3.mlp.up_proj.weight", "more layers than config.json says"),
        ("model.layers.0.self_attn.q_proj.bias", "not of the same model"),
        ("model.layers.0.self_attn.q_norm.weight", "not of the same model"),
        ("model.layers.0.self_attn.q_proj.lora_A.weight", "merge_and_unload"),
        ("model.layers.0.mlp.up_proj.weight_scale", "are quantised"),
        ("model.layers.0.mlp.up_proj.qweight", "are quantised"),
        ("model.layers.0.mlp.image_proj.weight", "not of the same model"),  # not above the blocks
        ("model.layers.0.scores.weight", "not of the same model"),
        ("scoreboard.weight", "not of the same model"),
    ],
)
def test_weights_that_the_model_does_not_know_are_named(folder, added, words):
    save(folder, {**tensors(folder), added: torch.ones(4)})
    said = refusal(folder)
    assert f"the model does not know 1 weight ({added})" in said
    assert words in said


@pytest.mark.parametrize(
    "beside", ["visual.patch.weight", "mtp.layers.0.weight", "score.weight", "v_head.bias"]
)
def test_what_stands_beside_a_language_model_is_left_out(folder, beside):
    before = checksum(models.load(folder).network)
    save(folder, {**tensors(folder), beside: torch.ones(4)})
    assert checksum(models.load(folder).network) == before


def test_weights_of_another_shape_are_refused(folder):
    save(folder, {**tensors(folder), NAME: torch.ones(5, 5)})
    assert re.search(
        r"1 weights? .*another shape .*up_proj\.weight: \(5, 5\), expected \(24, 16\)", refusal(folder)
    )


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_that_are_not_finite_are_named(folder, wrong, dtype):
    content = tensors(folder)
    content[NAME][3, 2] = wrong
    save(folder, content)
    with pytest.raises(
        ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight has weights that are not finite"
    ):
        models.load(folder, dtype=dtype)


def test_weights_that_overflow_in_the_dtype_asked_for_are_refused(folder):
    content = tensors(folder)
    content[NAME] = content[NAME].double()
    content[NAME][0, 0] = 1e300  # finite in the file only
    save(folder, content)
    assert "not finite" in refusal(folder)


def test_two_loads_give_the_same_weights_and_states(folder):
    torch.manual_seed(0)
    first = models.load(folder)
    torch.manual_seed(1)
    second = models.load(folder)
    assert checksum(first.network) == checksum(second.network)
    for one, other in zip(*(capture.states(m, ["abc"]).values() for m in (first, second)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_numbers_that_an_architecture_draws_are_the_same_at_each_load(folder, monkeypatch):
    code = transformers.models.llama.modeling_llama
    init, init_weights = code.LlamaModel.__init__, code.LlamaPreTrainedModel._init_weights

    def with_noise(self, config):
        init(self, config)
        self.register_buffer("noise", torch.zeros(3), persistent=False)

    def drawing(self, module):
        init_weights(self, module)
        if isinstance(module, code.LlamaModel):
            module.noise.copy_(torch.rand(3))

    monkeypatch.setattr(code.LlamaModel, "__init__", with_noise)
    monkeypatch.setattr(code.LlamaPreTrainedModel, "_init_weights", drawing)
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        found.append(models.load(folder).network.model.noise.tolist())
        assert torch.equal(before, torch.random.get_rng_state())
    assert found[0] == found[1]
    assert len(set(found[0])) == 3  # a control: they were drawn


# The trunk alone -------------------------------------------------------------------------------------------


@pytest.fixture
def trunk(folder) -> Path:
    """The tiny Llama saved without its output layer, as embedding models are."""
    network = models.load(folder).network.model
    (folder / "model.safetensors").unlink()
    network.save_pretrained(folder)
    return folder


def test_a_trunk_has_the_states_of_the_whole_model_and_writes_nothing(folders, trunk):
    model, whole = models.load(trunk), models.load(folders["llama"])
    assert (model.has_head, whole.has_head) == (False, True)
    texts = ["abc", "hello there"]
    for one, other in zip(*(capture.states(m, texts).values() for m in (model, whole)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert checksum(model.network) == checksum(models.load(trunk).network)
    for attempt in (
        lambda: generation.traces(model, ["abc"], rng=np.random.default_rng(0)),
        lambda: generation.replay(model, ["abc"], [np.array([5])]),
    ):
        with pytest.raises(ModelError, match="saved without its output layer"):
            attempt()


def test_a_trunk_that_lacks_a_weight_is_refused(trunk):
    save(trunk, {name: t for name, t in tensors(trunk).items() if name != "norm.weight"})
    assert "lack 1 weight (model.norm.weight)" in refusal(trunk)


# Broken files ----------------------------------------------------------------------------------------------


def pointer(path: Path) -> None:
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234567\n")


def web_page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>404</body></html>")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff\xfe no such format" * 4)


def a_list(path: Path) -> None:
    path.write_text("[1, 2]")


def nested(path: Path) -> None:
    path.write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("model.safetensors", pointer, r"a Git LFS pointer of a file of 1,234,567 bytes.*git lfs pull"),
        ("model.safetensors", web_page, "is a web page"),
        ("model.safetensors", emptied, "is empty"),
        ("model.safetensors", cut_off, r"is truncated: [\d,]+ bytes of [\d,]+"),
        ("model.safetensors", header_only, "truncated or no safetensors"),
        ("model.safetensors", garbage, "truncated or no safetensors"),
        ("config.json", pointer, "Git LFS pointer"),
        ("config.json", emptied, "is empty"),
        ("config.json", garbage, "not valid JSON"),
        ("config.json", a_list, "holds a list"),
        ("config.json", nested, "not valid JSON"),
        ("tokenizer.json", pointer, "Git LFS pointer"),
        ("tokenizer.json", emptied, "is empty"),
        ("tokenizer.json", cut_off, "not valid JSON"),
        ("tokenizer.json", a_list, "its tokenizer cannot be read"),
        ("tokenizer_config.json", garbage, "not valid JSON"),
        ("generation_config.json", emptied, "is empty"),
        ("model.safetensors.index.json", garbage, "not valid JSON"),
        ("model.safetensors.index.json", a_list, "holds a list"),
    ],
)
def test_a_broken_file_is_named_with_what_it_is(folder, name, damage, words):
    if "index" in name:
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    damage(folder / name)
    said = refusal(folder)
    assert re.search(words, said), said
    assert str(folder / name) in said or "tokenizer" in name


def test_a_large_tokenizer_is_looked_at_where_it_fails(folder, monkeypatch):
    monkeypatch.setattr(model_folders, "_LARGE", 100)
    cut_off(folder / "tokenizer.json")
    assert re.search(r"tokenizer\.json is not valid JSON", refusal(folder))


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({}, "has no weight_map"),
        ({"weight_map": {"a": 1}}, "has no weight_map"),
        ({"weight_map": {"a": "../tiny/model-1.safetensors"}}, "lies outside the folder"),
        ({"weight_map": {"a": "/etc/model-1.safetensors"}}, "lies outside the folder"),
        (
            {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}},
            r"lacks model-2\.safetensors of",
        ),
    ],
)
def test_an_index_that_names_no_files_of_the_folder_is_refused(folder, index, words):
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    configure(folder, "model.safetensors.index.json", **index)
    assert re.search(words, refusal(folder))


def test_shards_without_their_index_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    assert re.search(r"lacks model\.safetensors\..*needs its index", refusal(folder))


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "wide"},
        {"hidden_size": -16},
        {"num_attention_heads": 0},
        {"num_hidden_layers": None},
        {"hidden_act": "no such function"},
        {"rope_scaling": 7},
        {"model_type": "llama9"},
        {"model_type": None},
        {"architectures": 5},
        {"eos_token_id": "end"},
        {"transformers_weights": "other.safetensors"},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(folder, changes):
    (folder / "generation_config.json").unlink(missing_ok=True)
    configure(folder, **changes)
    refusal(folder)


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    original = Path.open

    def denied(self, *arguments, **options):
        if self.name == "model.safetensors":
            raise PermissionError(13, "Permission denied")
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read: Permission denied"):
        models.load(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "~no-such-user-here/model", "a\0b", "m/" * 3000])
def test_a_name_that_no_file_system_takes_is_refused(name):
    with pytest.raises(ModelError, match="no model"):
        models.load(name)


# Quantised, adapted, with code of its own ------------------------------------------------------------------

METHODS = (
    "awq",
    "gptq",
    "bitsandbytes",
    "fp8",
    "compressed-tensors",
    "mxfp4",
    "hqq",
    "torchao",
    "one to come",
)


@pytest.mark.parametrize("method", METHODS)
def test_quantised_weights_are_refused_before_they_are_read(folder, method):
    emptied(folder / "model.safetensors")
    configure(folder, quantization_config={"quant_method": method, "bits": 4})
    assert f"the weights are quantised ({method})" in refusal(folder)


@pytest.mark.parametrize("place", ["text_config", "compression_config"])
def test_quantised_weights_are_refused_wherever_it_is_written(folder, place):
    mark = {"quantization_config": {"bits": 4}} if place == "text_config" else {"bits": 4}
    configure(folder, **{place: mark})
    assert "the weights are quantised (method not named)" in refusal(folder)
    configure(folder, **{place: None}, quantization_config=None)
    models.load(folder)


def test_quantised_numbers_are_refused_where_no_file_says_so(folder):
    content = tensors(folder)
    save(folder, {**content, NAME: content[NAME].to(torch.float8_e4m3fn)})
    assert re.search(r"1 tensors are quantised \(model\.layers\.1.* is F8_E4M3\)", refusal(folder))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32"])
def test_codes_in_the_place_of_weights_are_refused(folder, kind):
    content = tensors(folder)
    codes = (content[NAME] * 100).to(getattr(torch, kind))
    save(folder, {**content, NAME: codes})
    assert "1 tensors are quantised (model.layers.1" in refusal(folder)
    save(folder, {**content, "model.layers.0.self_attn.bias": codes})  # control: a buffer, such as a mask
    assert "quantised" not in refusal(folder)


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_an_adapter_is_refused_with_and_without_the_library_for_it(folder, monkeypatch, installed, alone):
    monkeypatch.setattr(transformers.models.auto.auto_factory, "is_peft_available", lambda: installed)
    monkeypatch.setattr(transformers.integrations.peft, "is_peft_available", lambda: installed)
    configure(folder, "adapter_config.json", base_model_name_or_path="owner/base", peft_type="LORA")
    if alone:
        (folder / "config.json").unlink()
        (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    said = refusal(folder)
    assert "holds an adapter (adapter_config.json" in said
    assert "of owner/base" in said
    assert "merge_and_unload" in said


@pytest.mark.parametrize("kind", ["AutoModelForCausalLM", "AutoModel", "AutoConfig"])
@pytest.mark.parametrize("model_type", ["llama", "own_model"])
def test_code_of_a_model_is_neither_run_nor_asked_for(folder, monkeypatch, kind, model_type):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    (folder / "own.py").write_text("raise SystemExit('code of a model was run')")
    configure(folder, auto_map={kind: "own.OwnModel"}, model_type=model_type)
    assert "brings code of its own (OwnModel), which zspace never runs" in refusal(folder)


def test_code_that_transformers_has_taken_over_is_left_aside(folder):
    (folder / "own.py").write_text("raise SystemExit('code of a model was run')")
    configure(folder, auto_map={"AutoModelForCausalLM": "own.LlamaForCausalLM"})
    assert models.load(folder).has_head


# Tokenizers and tokens -------------------------------------------------------------------------------------


def byte_tokenizer(folder: Path, special=(), **roles) -> None:
    """A tokenizer of bytes alone, whose id 0 is the exclamation mark."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(BPE({token: i for i, token in enumerate([*letters, *special])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **roles).save_pretrained(folder)


def test_no_token_of_a_text_is_ever_padding(folder):
    byte_tokenizer(folder)
    model = models.load(folder)
    texts = ["!", "Stop! Go!!", "no mark here, and a longer text"]
    tokens = models.tokenize(model, texts)
    assert model.tokenizer.convert_ids_to_tokens(0) == "!"
    assert all(content.all() for _, content in tokens)
    assert [model.tokenizer.decode(ids) for ids, _ in tokens] == texts
    together = capture.states(model, texts)
    for row, text in enumerate(texts):
        for pooling, states in capture.states(model, [text]).items():
            np.testing.assert_allclose(together[pooling][:, row], states[:, 0], rtol=1e-4, atol=1e-5)
    written = generation.traces(model, texts, rng=np.random.default_rng(0), n_steps=8)
    read = generation.replay(model, texts, [trace.tokens for trace in written])
    for one, other in zip(written, read, strict=True):
        np.testing.assert_allclose(one.log_probability, other.log_probability, atol=1e-4)


def test_a_token_that_plays_padding_by_the_folders_word_is_no_content(folder):
    byte_tokenizer(folder, ["<pad>"], pad_token="<pad>")
    ((ids, content),) = models.tokenize(models.load(folder), ["a<pad>!"])
    assert content.tolist() == [True, False, True]
    assert ids[2] == 0


def test_a_folder_without_tokenizer_is_refused(folder):
    for path in folder.glob("*token*"):
        path.unlink()
    assert re.search(
        r"tokenizer cannot be read from the files there \(none\)|has no tokenizer", refusal(folder)
    )


@pytest.mark.parametrize("merged", [True, False])
def test_a_tokenizer_that_spells_its_own_words_is_refused(folders, tmp_path, merged):
    """It is read without an error, and states would be those of letters in a row."""
    folder = shutil.copytree(folders["llama"], tmp_path / "model")
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary, words = content["model"]["vocab"], ("house", "green", "river", "seven")
    steps = [(word[:n], word[n]) for word in words for n in range(1, len(word))]
    for pair in dict.fromkeys(steps):
        vocabulary.setdefault("".join(pair), len(vocabulary))
    content["model"]["merges"] = [list(pair) for pair in dict.fromkeys(steps)] if merged else []
    (folder / "tokenizer.json").write_text(json.dumps(content))
    expected = "no row" if merged else "spells words that its vocabulary has, such as 'green'"
    with pytest.raises(ModelError, match=expected):
        models.load(folder)


def test_half_a_tokenizer_is_refused(folders, tmp_path):
    folder = Path(shutil.copytree(folders["gpt2"], tmp_path / "tiny"))
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    configure(folder, "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    assert re.search(r"tokenizer cannot be read|has no tokenizer: .*merges\.txt", refusal(folder))


def test_a_vocabulary_larger_than_the_embedding_is_refused(folder):
    byte_tokenizer(folder, special=[f"word{i}" for i in range(9)])
    said = refusal(folder)
    assert "the tokenizer has 265 tokens, the model embeds 261: 4 tokens, such as 'word" in said


def test_a_token_that_was_added_beyond_the_embedding_is_refused_where_a_text_has_it(folder):
    tokenizer = models.load(folder).tokenizer
    tokenizer.add_tokens(["<picture>", "<sound>", "<film>"])
    tokenizer.save_pretrained(folder)
    model = models.load(folder)
    beyond = tokenizer.convert_ids_to_tokens(261)
    models.tokenize(model, ["all is well"])
    with pytest.raises(ModelError, match=rf"row 1: token '{beyond}' has id 261, .* embeds ids below 261"):
        models.tokenize(model, ["all is well", f"see {beyond}"])


@pytest.mark.parametrize("text", ["half of \ud83d", "\udc00", "a\ud800b"])
def test_half_a_character_is_refused_with_its_row(folders, text):
    model = models.load(folders["llama"])
    with pytest.raises(
        ModelError, match=r"row 1: .* holds half of a character \(U\+D[8C][03][0D] at position \d"
    ):
        models.tokenize(model, ["whole 🙂", text])


# Settings for generating -----------------------------------------------------------------------------------

PROCESSORS = {
    "suppress_tokens": list(range(40, 200)),
    "begin_suppress_tokens": list(range(40, 200)),
    "bad_words_ids": [[i] for i in range(40, 150)],
    "no_repeat_ngram_size": 1,
    "repetition_penalty": 1.8,
    "min_new_tokens": 12,
    "forced_eos_token_id": 2,
    "forced_bos_token_id": 7,
    "exponential_decay_length_penalty": [1, 3.0],
    "sequence_bias": [[[60], -10.0]],
    "renormalize_logits": True,
    "guidance_scale": 3.0,
    "watermarking_config": {"greenlist_ratio": 0.25, "bias": 4.0},
    "stop_strings": ["e"],
    "max_length": 3,
    "max_time": 0.0,
    "num_beams": 3,
    "num_return_sequences": 3,
    "prompt_lookup_num_tokens": 3,
    "penalty_alpha": 0.6,
    "cache_implementation": "quantized",
    "use_cache": False,
    "return_dict_in_generate": True,
    "temperature": 0.2,
    "do_sample": True,
    "remove_invalid_values": True,
    "token_healing": True,
}


@pytest.fixture(scope="module")
def plain(folders) -> list:
    return written(folders["llama"])


def written(folder: Path) -> list:
    model = models.load(folder)
    return generation.traces(model, ["abc", "hello"], rng=np.random.default_rng(3), n_steps=10)


QUICK = ("suppress_tokens", "min_new_tokens", "num_return_sequences", "cache_implementation", "max_length")


@pytest.mark.parametrize(
    "setting", [pytest.param(one, marks=[] if one in QUICK else pytest.mark.full) for one in PROCESSORS]
)
def test_settings_that_a_model_brings_for_generating_do_not_act(folder, plain, setting):
    (folder / "generation_config.json").write_text(
        json.dumps({setting: PROCESSORS[setting], "eos_token_id": 2})
    )
    for one, other in zip(written(folder), plain, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()
        np.testing.assert_array_equal(one.log_probability, other.log_probability)
        np.testing.assert_array_equal(one.entropy, other.entropy)


def test_end_tokens_that_a_model_brings_do_act(folder, plain):
    ends = sorted({int(trace.tokens[4]) for trace in plain})
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    assert models.end_tokens(folder) == ends
    for one, other in zip(written(folder), plain, strict=True):
        first = int(np.flatnonzero(np.isin(other.tokens, ends))[0])
        assert (one.stopped, one.n_steps) == ("eos", first)
    twin = models.random_twin(models.load(folder), 0)
    assert twin.network.generation_config.eos_token_id == ends


def test_the_tiny_models_are_whole(tmp_path):
    """A control: what is refused above is loaded when nothing is wrong with it."""
    for kind, config in CONFIGS.items():
        assert config().num_hidden_layers == SIZES["num_hidden_layers"], kind
        network = random_network(config(), noise=0.1)
        network.save_pretrained(tmp_path / kind)
        byte_tokenizer(tmp_path / kind)
        assert checksum(models.load(tmp_path / kind).network) == checksum(network)

"""Every architecture is right against the plain network, or refused for its true reason."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")

import architectures  # noqa: E402
import transformers  # noqa: E402
from architectures import DECODERS, ENCODERS, TEXTS, examine, network_of  # noqa: E402
from model_builders import assert_close, sample_corpus  # noqa: E402
from zspace import files  # noqa: E402
from zspace.errors import ModelError  # noqa: E402
from zspace.sources import models  # noqa: E402
from zspace.sources.models import Kind, blocks, kinds, verification  # noqa: E402
from zspace.states import capture, generation  # noqa: E402

PAGE = files.PROJECT / "docs" / "architectures.md"
CHECKED_IN_CI = 6, 2  # decoders, encoders


def drawn(seed: int) -> list[str]:
    """Some decoders and encoders; a run of all is `full`."""
    rng = np.random.default_rng(seed)
    groups = zip((DECODERS, ENCODERS), CHECKED_IN_CI, strict=True)
    chosen = [rng.choice(list(group), n, replace=False) for group, n in groups]
    return [str(label) for group in chosen for label in group]


def listed() -> tuple[list[str], list[str]]:
    """Labels of the page's two tables: right, and refused."""
    tables = PAGE.read_text(encoding="utf-8").split("## Refused")
    rows = ([line for line in table.splitlines() if line.startswith("| ")][1:] for table in tables)
    return tuple([row.split(" | ")[0].removeprefix("| ") for row in part] for part in rows)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A function label -> the model of that architecture, loaded once."""
    root, found = tmp_path_factory.mktemp("architectures"), {}

    def load(label: str) -> models.LanguageModel:
        if label not in found:
            folder = root / str(len(found))
            architectures.save_tokenizer(folder)
            network_of(label).save_pretrained(folder)
            found[label] = models.load(folder)
        return found[label]

    return load


# The whole table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", drawn(1))
def test_architecture_drawn_for_ci_is_right_or_refused_as_the_page_says(label):
    found = examine(label)
    assert found.faults == ()
    assert (label in listed()[0]) == (found.error < 1e-4) == (not found.refusal)


@pytest.mark.full
def test_every_architecture_is_right_or_refused_as_the_page_says(record_property):
    findings = [examine(label) for label in DECODERS | ENCODERS]
    assert {f.label: f.faults for f in findings if f.faults} == {}
    right = [f.label for f in findings if not f.refusal]
    decoders, encoders = architectures.counts(findings)
    record_property("architectures", decoders)
    record_property("encoders", encoders)
    assert decoders >= 80
    assert encoders >= 5
    page = PAGE.read_text(encoding="utf-8")
    # what is said of each; the digits of an error are a processor's own
    assert listed() == (right, [f.label for f in findings if f.refusal])
    for f in findings:
        assert (
            f"| {f.label} | {f.network} | {f.refusal} |" if f.refusal else f"| {f.kind} | {f.adds}"
        ) in page


def test_page_lists_every_architecture_once():
    right, refused = listed()
    assert sorted(right + refused) == sorted(DECODERS | ENCODERS)
    assert len(DECODERS.keys() & set(right)) >= 80
    assert len(ENCODERS.keys() & set(right)) >= 5


# Blocks ----------------------------------------------------------------------------------------------


def added(label: str) -> list[tuple[str, ...]]:
    network = network_of(label)
    return verification.contributions(network, blocks.anatomy(network), [3, 1, 4, 1, 5])


@pytest.mark.parametrize(
    ("label", "terms"),
    [
        ("granite, residual multiplier .22", [("self_attn", "mlp")] * 3),
        ("falcon, one norm", [("mlp", "self_attention")] * 3),
        ("mamba", [("mixer",)] * 3),
        ("falcon_h1", [("mamba", "self_attn", "feed_forward")] * 3),
        ("nemotron_h", None),
    ],
)
def test_contributions_are_what_the_modules_of_a_block_add(label, terms):
    found = added(label)
    if terms is None:  # one branch a block
        assert {len(names) for names in found} == {1}
    else:
        assert [set(names) for names in found] == [set(names) for names in terms]


@pytest.mark.parametrize("label", ["granite, residual multiplier .22", "falcon, one norm", "mamba"])
@pytest.mark.parametrize("change", ["scaled", "scaled by a vector", "normalised", "gated"])
def test_contributions_refuse_a_stream_that_is_changed_beside_the_sum(label, change):
    network = network_of(label)
    parts = blocks.anatomy(network)
    vector = torch.linspace(0.9, 1.1, architectures.WIDTH)
    changes = {
        "scaled": (lambda h: h * 0.99, "multiplies the stream by 0.99"),
        "scaled by a vector": (lambda h: h * vector, "multiplies the stream by a vector"),
        "normalised": (lambda h: torch.nn.functional.layer_norm(h, h.shape[-1:]), "built on a normalisation"),
        "gated": (lambda h: h * h.sigmoid(), "no path of additions leads from h_1 to h_2"),
    }
    apply, words = changes[change]

    def hook(_module, _args, output):
        first = apply(blocks.first_of(output))
        return first if torch.is_tensor(output) else (first, *output[1:])

    verification.verify(network, parts)
    parts.blocks[1].register_forward_hook(hook)
    with pytest.raises(ModelError, match=f"^layer 1: .*{words}"):
        verification.verify(network, parts)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (
            "opt, post-norm with projections (350m)",
            r"stream \(final_layer_norm\), not on h_0 itself \(post-norm\)",
        ),
        ("openai-gpt", "post-norm"),
        ("bloom, residual after the norm", r"normalisation of the stream \(post_attention_layernorm\)"),
        ("opt, projections", "projects its states to another width"),
        ("doge", "multiplies the stream by a vector"),
        ("gemma3n_text", "several streams side by side"),
        ("bert, as a decoder", "post-norm"),
    ],
)
def test_refusals_give_the_true_reason(label, words):
    assert re.search(words, examine(label).refusal)


# Neighbours ------------------------------------------------------------------------------------------


def test_states_of_longrope_do_not_depend_on_the_batch_and_its_bound_is_in_the_identity(loaded):
    model = loaded("phi3, LongRoPE")
    lengths = [len(ids) for ids, _ in models.tokenize(model, TEXTS)]
    assert min(lengths) <= model.kind.rescaled_beyond < max(lengths)
    alone = np.concatenate([capture.states(model, [text])["mean"] for text in TEXTS], axis=1)
    assert_close(capture.states(model, TEXTS, token_budget=10**6)["mean"], alone)
    assert model.identity()["rescaled_beyond"] == model.kind.rescaled_beyond
    assert "rescaled_beyond" not in loaded("llama").identity()


@pytest.mark.parametrize("label", ["phi3, LongRoPE", "xlm-roberta"])
def test_states_that_depend_on_their_neighbours_are_refused(loaded, label, monkeypatch):
    """A model whose bound, or direction, is not known: the control of the check."""
    model = loaded(label)
    monkeypatch.setattr(capture, "PADDING_CAP", 1.0)
    words = r"differ by .* between the text alone and the text in a batch of 8 whose longest has \d+\."
    with pytest.raises(ModelError, match=words):
        capture.states(replace(model, kind=Kind()), TEXTS, token_budget=10**6)
    capture.states(model, TEXTS, token_budget=10**6)


def test_traces_do_not_pass_the_bound_beyond_which_positions_are_rescaled(loaded):
    model = loaded("phi3, LongRoPE")
    rng = np.random.default_rng(0)
    with pytest.raises(ModelError, match=r"row 0: \d+ tokens and 31 to come pass 20, beyond which"):
        generation.traces(model, ["Ice"], rng=rng, n_steps=30)
    both = [TEXTS[2], "Ice"]  # one on each side
    together = generation.traces(model, both, rng=np.random.default_rng(1), n_steps=8)
    again = generation.replay(model, both, [t.tokens for t in together])
    for one, other in zip(together, again, strict=True):
        np.testing.assert_allclose(one.update_energy, other.update_energy, rtol=1e-3)


def test_traces_that_disagree_with_their_replay_are_refused(loaded):
    model = loaded("moshi")
    assert capture.states(model, TEXTS[:2])["mean"].shape[1] == 2
    with pytest.raises(ModelError, match="writes with other states than it reads"):
        generation.traces(model, TEXTS[:2], rng=np.random.default_rng(0), n_steps=16)


def test_traces_of_a_recurrence_do_not_pad_their_prompts(loaded):
    model = loaded("recurrent_gemma")
    prompts = [TEXTS[3], "Ice", TEXTS[0], "Ace"]
    together, alone = (
        generation.traces(model, prompts, rng=np.random.default_rng(0), n_steps=6, batch_size=size)
        for size in (4, 1)
    )
    for one, other in zip(together, alone, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()
        np.testing.assert_allclose(one.update_energy, other.update_energy, rtol=1e-3)


# Encoders --------------------------------------------------------------------------------------------


def test_encoder_is_labelled_in_its_identity_and_in_what_is_captured(loaded, runs):
    model = loaded("xlm-roberta")
    folder = model.origin.location
    assert model.kind == models.describe(folder) == Kind("bidirectional", residual=False)
    assert model.kind.label == "bidirectional, post-norm"
    assert model.identity() == models.identity(folder)
    states = capture.ensure(folder, sample_corpus(), model=model, progress=False)
    assert (states.attrs["attention"], states.attrs["residual"]) == ("bidirectional", False)
    assert not {"attention", "residual"} & loaded("llama").identity().keys()


def test_encoder_sees_the_whole_text_and_none_of_the_padding(loaded):
    model = loaded("xlm-roberta")
    text, longer = "Quiet now", "Quiet now, said the keeper of the lighthouse to the gulls"
    alone, beside, changed = (
        capture.states(model, texts)["mean"][:, 0] for texts in ([text], [text, longer], [longer])
    )
    assert_close(beside, alone)
    assert np.abs(changed - alone)[1:].max() > 1e-2
    first = blocks.token_ids(model.network, [[5, 6, 7, 8], [5, 6, 7, 9]])
    with torch.inference_mode():
        states = model.trunk(input_ids=first).last_hidden_state[:, 0]
    assert not torch.allclose(states[0], states[1], atol=1e-3)


def test_encoder_has_no_traces_and_its_positions_end_before_the_padding_s(loaded):
    model = loaded("xlm-roberta")
    with pytest.raises(ModelError, match="is bidirectional, post-norm: it does not write"):
        generation.traces(model, ["Ice"], rng=np.random.default_rng(0), n_steps=2)
    positions = blocks.longest_text(model.network)
    assert positions == 256 - (model.network.config.pad_token_id + 1)
    longest = "e" * (positions - 1)  # no pair of bytes was learned, <bos> is in front
    assert capture.states(model, [longest])["mean"].shape[1] == 1
    with pytest.raises(ModelError, match=f"{positions + 1} tokens, .* knows {positions} positions"):
        capture.states(model, [longest + "e"])
    assert blocks.longest_text(loaded("llama").network) == 256
    mpt = SimpleNamespace(config=transformers.MptConfig(max_seq_len=77), named_modules=list)
    assert blocks.longest_text(mpt) == 77  # by a name of its own


def test_verify_refuses_a_model_of_another_kind_than_it_is_said_to_be(loaded):
    causal, encoder, pre_norm = loaded("llama"), loaded("xlm-roberta"), loaded("modernbert")
    for model, kind, words in (
        (causal, Kind("bidirectional"), "does not depend on the last token"),
        (encoder, Kind(), "post-norm"),
        (pre_norm, Kind(), "padded right without a mask .* not causal"),
        (pre_norm, Kind("bidirectional", residual=False), "known for post-norm blocks"),
    ):
        verification.verify(model.network, model, model.kind)
        with pytest.raises(ModelError, match=words):
            verification.verify(model.network, model, kind)


# What a configuration says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "llama"}, Kind()),
        ({"model_type": "bert"}, Kind("bidirectional", False)),
        ({"model_type": "bert", "is_decoder": True}, Kind()),
        ({"model_type": "modernbert"}, Kind("bidirectional", True)),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, Kind("bidirectional", True)),
        (
            {"model_type": "gemma3", "text_config": {"use_bidirectional_attention": "all"}},
            Kind("bidirectional"),
        ),
        (
            {"rope_scaling": {"type": "su"}, "original_max_position_embeddings": 4096},
            Kind(rescaled_beyond=4096),
        ),
        (
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 7}},
            Kind(rescaled_beyond=7),
        ),
        ({"rope_parameters": {"rope_type": "yarn", "original_max_position_embeddings": 7}}, Kind()),
    ],
)
def test_of_config_reads_the_kind_off_a_configuration(config, kind):
    assert kinds.of_config("a model", config) == kind


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "t5", "is_encoder_decoder": True}, "a model .t5.* is a sequence-to-sequence model"),
        (
            {"model_type": "fnet", "architectures": ["FNetForMaskedLM"]},
            "encoder of a type .* not been checked",
        ),
    ],
)
def test_of_config_refuses_what_has_no_single_stream(config, words):
    with pytest.raises(ModelError, match=words):
        kinds.of_config("a model", config)


def test_describe_needs_no_torch(loaded):
    code = (
        "import sys; import zspace.sources.models as m; print(m.describe(sys.argv[1]).label, "
        "bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, str(Path(loaded("xlm-roberta").origin.location))]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "bidirectional, post-norm False"

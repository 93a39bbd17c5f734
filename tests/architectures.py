"""Small random models of many architectures, and what zspace makes of each.

`DECODERS` and `ENCODERS` hold one line an architecture: a label, the model type of transformers and what its
configuration needs beside the sizes that all share. `examine` saves a random model of it, loads it as a user
would and holds states, baselines and traces against the plain network. Run as a script it writes the table:

    python tests/architectures.py docs/architectures.md
"""

import dataclasses
import inspect
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from zspace.errors import ZspaceError
from zspace.sources import models
from zspace.sources.models import verification
from zspace.states import capture, generation

VOCABULARY, WIDTH = 320, 32
# What configurations call the same size.
SIZES = {
    "vocab_size vocab_size_per_layer_input": VOCABULARY,
    "hidden_size n_embd d_model emb_dim dim embedding_size word_embed_proj_dim attention_hidden_size": WIDTH,
    "intermediate_size ffn_hidden_size n_inner d_ff ffn_dim hidden_dim dim_feedforward encoder_ffn_dim": 64,
    "decoder_ffn_dim intermediate_size_mlp shared_intermediate_size": 64,
    "moe_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size": 16,
    "num_hidden_layers n_layer n_layers num_layers decoder_layers": 3,
    "num_attention_heads n_head n_heads num_heads attention_heads decoder_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim qk_nope_head_dim v_head_dim qk_rope_head_dim": 8,
    "max_position_embeddings n_positions n_ctx max_seq_len context_length": 256,
    "num_experts num_local_experts n_routed_experts": 4,
    "num_experts_per_tok n_shared_experts": 2,
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "n_group topk_group first_k_dense_replace": 1,
    "rotary_dim": 4,
    "sliding_window": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LATENT = {"num_key_value_heads": 4, "head_dim": 4, "qk_rope_head_dim": 4}  # heads made of a latent vector
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8}
MIXED = {"num_hidden_layers": 4}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
ALTERNATING = ["linear_attention", "full_attention"] * 2

# Need no more than the sizes.
PLAIN = """
afmoe apertus arcee aria_text biogpt bitnet bloom codegen cohere cohere2 cohere2_moe ctrl cwm diffllama
ernie4_5 ernie4_5_moe exaone4 exaone_moe falcon falcon_mamba flex_olmo flint gemma gemma2 gemma3_text
gemma4_unified_text glm glm4 glm4_moe gpt2 gpt_bigcode gpt_neox gpt_neox_japanese gpt_oss gptj granite
granite_swa granitemoe granitemoe_swa granitemoeshared helium hunyuan_v1_dense hunyuan_v1_moe hy_v3
hyperclovax inkling_text internlm3 iquestcoder jais2 jetmoe kolibri1 laguna lfm2 lfm3 llama mellum
mimo_v2_flash minimax_m2 minimax_m3_vl_text ministral ministral3 mistral mixtral modernbert-decoder mpt
nanochat nemotron olmo olmo2 olmo3 olmo_hybrid olmoe opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3
qwen3_moe recurrent_gemma seed_oss smollm3 solar_open stablelm starcoder2 vaultgemma xglm beam cpmant
doge hrm_text inkling2_text rwkv xlstm openai-gpt trocr deepseek_v4 hy_v4 moshi
"""
LATENT_TYPES = """
axk1 axk2 deepseek_v2 deepseek_v3 deepseek_v32 glm4_moe_lite glm_moe_dsa longcat_flash minicpm3 youtu
"""
ENCODER_TYPES = """
bert camembert data2vec-text deberta deberta-v2 distilbert electra ernie esm eurobert ibert
jina_embeddings_v3 layoutlm megatron-bert modernbert mpnet nomic_bert rembert
roberta roberta-prelayernorm roc_bert roformer xlm-roberta xlm-roberta-xl
"""

DECODERS = {
    **{kind: (kind, {}) for kind in PLAIN.split()},
    **{kind: (kind, LATENT) for kind in LATENT_TYPES.split()},
    "gpt_neo": (
        "gpt_neo",
        {"attention_types": [[["global", "local"], 2]], "num_layers": 4, "window_size": 8},
    ),
    "mamba": ("mamba", {"state_size": 4, "time_step_rank": 4}),
    "mamba2": ("mamba2", {"state_size": 4, "num_heads": 8, "n_groups": 1, "chunk_size": 16}),
    "bamba": ("bamba", {**MIXED, **MAMBA, "attn_layer_indices": [1], "mamba_chunk_size": 16}),
    "falcon_h1": ("falcon_h1", {**MAMBA, "mamba_d_ssm": 64, "mamba_chunk_size": 16}),
    "nemotron_h": (
        "nemotron_h",
        {
            **{"layers_block_type": ["mamba", "attention", "moe"], "mamba_num_heads": 8, "mamba_head_dim": 8},
            **{
                "ssm_state_size": 8,
                "n_groups": 1,
                "chunk_size": 16,
                "moe_shared_expert_intermediate_size": 16,
            },
        },
    ),
    "zamba2": (
        "zamba2",
        {
            **MIXED,
            "layers_block_type": ["mamba", "hybrid"] * 2,
            **{"mamba_ngroups": 1, "n_mamba_heads": 8, "mamba_headdim": 8, "mamba_d_state": 8},
        },
    ),
    "granitemoehybrid": (
        "granitemoehybrid",
        {**MIXED, **MAMBA, "layer_types": ["mamba", "attention"] * 2, "residual_multiplier": 0.22},
    ),
    "jamba": (
        "jamba",
        {
            **MIXED,
            **{"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
            **{"use_mamba_kernels": False, "mamba_d_state": 4, "mamba_dt_rank": 4},
        },
    ),
    **{
        kind: (
            kind,
            {
                **MIXED,
                **{"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8},
                **{"linear_value_head_dim": 8, "layer_types": ALTERNATING},
            },
        )
        for kind in ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text")
    },
    "bailing_hybrid": (
        "bailing_hybrid",
        {**LATENT, **MIXED, "linear_head_dim": 8, "linear_num_heads": 4, "layer_types": ALTERNATING},
    ),
    "kimi_linear": (
        "kimi_linear",
        {**LATENT, **MIXED, "linear_head_dim": 8, "linear_num_heads": 4, "layer_types": ALTERNATING},
    ),
    "minimax": ("minimax", {**MIXED, "block_size": 8}),
    "lfm2_moe": ("lfm2_moe", {**MIXED, "layer_types": ["conv", "full_attention"] * 2, "num_dense_layers": 1}),
    "dots1": ("dots1", {"layer_types": ["full_attention"] * 3, "num_key_value_heads": 4}),
    "llama4_text": ("llama4_text", {**MIXED, "no_rope_layers": [1, 1, 1, 0]}),
    "gemma3n_text": (
        "gemma3n_text",
        {
            **{"num_hidden_layers": 10, "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 8},
            **{"laurel_rank": 4, "altup_num_inputs": 2, "activation_sparsity_pattern": [0.0] * 10},
        },
    ),
    "granite, residual multiplier .22": (
        "granite",
        {"residual_multiplier": 0.22, "embedding_multiplier": 12.0},
    ),
    "granitemoe, residual multiplier .22": ("granitemoe", {"residual_multiplier": 0.22}),
    "falcon, new decoder": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon, one norm": (
        "falcon",
        {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
    ),
    "falcon, sequential with ALiBi": (
        "falcon",
        {"alibi": True, "parallel_attn": False, "multi_query": False},
    ),
    "gpt_neox, sequential": ("gpt_neox", {"use_parallel_residual": False}),
    "stablelm, parallel": ("stablelm", {"use_parallel_residual": True}),
    "opt, post-norm with projections (350m)": (
        "opt",
        {"do_layer_norm_before": False, "word_embed_proj_dim": 16},
    ),
    "opt, projections": ("opt", {"word_embed_proj_dim": 16}),
    "bloom, residual after the norm": ("bloom", {"apply_residual_connection_post_layernorm": True}),
    "phi3, LongRoPE": (
        "phi3",
        {"original_max_position_embeddings": 20, "rope_parameters": LONGROPE},
    ),
    "llama, dynamic NTK": (
        "llama",
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 8.0}},
    ),
    "bert, as a decoder": ("bert", {"is_decoder": True}),
}
ENCODERS = {
    "luke": ("luke", {"entity_vocab_size": 10, "entity_emb_size": 16}),
    **{kind: (kind, {}) for kind in ENCODER_TYPES.split()},
    "gemma3_text, bidirectional (EmbeddingGemma)": ("gemma3_text", {"use_bidirectional_attention": True}),
}
# Their `output_hidden_states` leave out h_0: they are h_1 ... h_L and the final norm of h_L.
WITHOUT_FIRST = frozenset({"mamba", "mamba2", "falcon_mamba"})
TEXTS = (
    "Two boats return before noon, and the harbour wakes up again.",
    "Quiet!",
    "Seven lamps burn in the long hall of the library where nobody reads any more at this hour of the night.",
    "Ein Brief kommt an.",
    "Le jardinier plante trois pommiers derriere la maison.",
    "No",
    "They count the coins twice and write the sum on the wall.",
    "Snow falls on the hills.",
)
PROMPTS = (TEXTS[3], TEXTS[6], "Ice", TEXTS[7])


@dataclasses.dataclass(frozen=True)
class Finding:
    """What became of one architecture.

    `refusal` is the reason why it was not loaded ("" if it was); `adds` what the blocks add to the stream;
    `error` the largest relative difference from `output_hidden_states`; `traces` "= replay", or why there are
    none; `faults` what is wrong: nothing, in a sound library.
    """

    label: str
    network: str
    kind: str = ""
    adds: str = ""
    refusal: str = ""
    error: float = np.nan
    traces: str = ""
    faults: tuple[str, ...] = ()


def configuration(model_type: str, changes: dict):
    """A configuration of that type with the sizes of `SIZES` where it knows them, and the changes."""
    cls = CONFIG_MAPPING[model_type]
    known = {f.name for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    known |= set(inspect.signature(cls.__init__).parameters)
    aliases = cls.attribute_map
    sizes = {name: value for names, value in SIZES.items() for name in names.split()}
    chosen = {name: value for name, value in sizes.items() if name in known}
    chosen |= {k: v for k, v in sizes.items() if k in aliases and aliases[k] not in chosen}
    return cls(**{k: v for k, v in (chosen | changes).items() if aliases.get(k) not in changes})


def network_of(label: str) -> torch.nn.Module:
    """A random network; norms and biases too are moved from where they are initialised."""
    model_type, changes = (DECODERS | ENCODERS)[label]
    config = configuration(model_type, changes)
    reader = transformers.AutoModelForCausalLM
    if label in ENCODERS:
        masked = type(config) in transformers.models.auto.modeling_auto.MODEL_FOR_MASKED_LM_MAPPING
        reader = transformers.AutoModelForMaskedLM if masked else transformers.AutoModel
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(label.encode()))
        network = reader.from_config(config, dtype=torch.float32).eval()
        for parameter in network.parameters():
            parameter.data = torch.where(parameter.isfinite(), parameter, 0)
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network.requires_grad_(False)


def save_tokenizer(folder: Path) -> None:
    """Pairs of bytes learned from the texts, <bos> in front."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
    from tokenizers.models import BPE

    roles = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 5,
        special_tokens=[*roles.values()],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 2, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles).save_pretrained(folder)


def examine(label: str) -> Finding:
    """Save, load, capture, make baselines and traces of one architecture."""
    network = network_of(label)
    folder = Path(tempfile.mkdtemp(prefix="zspace-"))
    try:
        save_tokenizer(folder)
        network.save_pretrained(folder)
        try:
            model = models.load(folder)
        except ZspaceError as error:
            reason = (
                str(error).replace(folder.name, "it").removeprefix("it fails the checks made on loading. ")
            )
            return Finding(label, type(network).__name__, refusal=reason)
        return _measured(label, network, model)
    finally:
        shutil.rmtree(folder)


def _measured(label: str, network, model) -> Finding:
    states = capture.states(model, TEXTS)
    error, faults = _error(label, network, model, states)
    faults += _baseline_faults(model, states)
    if model.identity() != models.identity(model.origin.location):
        faults.append("its identity is another before it is loaded")
    traces, more = _traces(model)
    parts = verification.contributions(model.network, model, [5, 7, 11, 13], residual=model.kind.residual)
    adds = " · ".join(dict.fromkeys(" + ".join(names) for names in parts))
    kind = model.kind.label
    return Finding(label, type(network).__name__, kind, adds, "", error, traces, (*faults, *more))


def _error(label: str, network, model, states: dict) -> tuple[float, list[str]]:
    """Largest difference from `output_hidden_states` relative to the norm, text by text, layer by layer."""
    found, n_layers = [], model.n_layers
    raw = slice(1, n_layers + 1) if label in WITHOUT_FIRST else slice(0, n_layers)
    for row, (ids, content) in enumerate(models.tokenize(model, TEXTS)):
        with torch.inference_mode():
            options = {"output_hidden_states": True, **({"use_cache": False} if model.kind.is_causal else {})}
            own = network(input_ids=torch.tensor(ids)[None], **options).hidden_states
            last = model.final_norm(torch.from_numpy(states["last"][n_layers, row])[None, None])[0, 0].numpy()
        if len(own) != n_layers + 1:
            return np.nan, [f"{len(own)} hidden states, {n_layers + 1} expected"]
        own = np.stack([h[0].float().numpy() for h in own])[:, content]
        ours = [*states["last"][raw, row], last, *states["mean"][raw, row]]
        theirs = [*own[:, -1], *own[:n_layers].mean(1)]
        if isinstance(model.final_norm, torch.nn.Identity):
            ours.append(states["mean"][n_layers, row])
            theirs.append(own[n_layers].mean(0))
        found += [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(ours, theirs, strict=True)]
    worst = float(np.max(found))
    return worst, [] if worst < 1e-4 else [f"states differ by {worst:.1e}"]


def _baseline_faults(model, states: dict) -> list[str]:
    faults = []
    for kind, first in (("random", None), ("random-blocks", True), ("permuted-embeddings", False)):
        one, again, other = (
            capture.states(models.twin(model, models.Subject(kind, seed)), TEXTS[:3])["mean"]
            for seed in (0, 0, 1)
        )
        trained = states["mean"][:, :3]
        if not np.array_equal(one, again):
            faults.append(f"{kind}: a seed gives two models")
        if np.allclose(one[1:], other[1:]) or np.allclose(one[1:], trained[1:]):
            faults.append(f"{kind}: no other states")
        if not np.isfinite(one).all():
            faults.append(f"{kind}: not finite")
        if first is not None and np.allclose(one[0], trained[0], atol=1e-5) != first:
            faults.append(f"{kind}: h_0 is {'not ' if first else ''}that of the trained model")
    return faults


def _traces(model) -> tuple[str, list[str]]:
    try:
        written = generation.traces(model, PROMPTS, rng=np.random.default_rng(0), n_steps=12)
    except ZspaceError as error:
        return "none" if not model.kind.is_causal else str(error).replace(model.name, "it"), []
    kept = [(p, t) for p, t in zip(PROMPTS, written, strict=True) if t.n_steps]
    read = generation.replay(model, [p for p, _ in kept], [t.tokens for _, t in kept])
    pairs = [(t, again) for (_, t), again in zip(kept, read, strict=True)]
    worst = max(float(np.abs(a.update_energy / b.update_energy - 1).max()) for a, b in pairs)
    worst = max(worst, *(float(np.abs(a.log_probability - b.log_probability).max()) for a, b in pairs))
    return "= replay", [] if worst < 1e-3 else [f"traces differ from their replay by {worst:.1e}"]


def counts(findings: list[Finding]) -> tuple[int, int]:
    """Classes of decoders, and of encoders, that are right in one configuration or more."""
    right = [f for f in findings if not (f.refusal or f.faults)]
    return tuple(len({f.network for f in right if f.label in group}) for group in (DECODERS, ENCODERS))


def table(findings: list[Finding]) -> str:
    """The page of the documentation."""
    accepted = [f for f in findings if not f.refusal]
    decoders, encoders = counts(findings)
    lines = [
        "# Architectures",
        "",
        "Written by `python tests/architectures.py docs/architectures.md` with transformers "
        f"{transformers.__version__}. Each row is a small random model that was saved, loaded as any "
        "model is, and held against the network's own `output_hidden_states`: mean and last token, every "
        "layer, the last one through the final norm. *Adds* names the modules whose outputs a block adds to "
        "the residual stream; blocks of several sorts are separated by a dot. *Error* is the largest "
        "difference relative to a state's norm. Baselines were made twice from one seed and once from "
        "another. Traces were read again by replay.",
        "",
        f"{decoders} classes of decoders and {encoders} of encoders are right, in {len(accepted)} "
        f"configurations; {len(findings) - len(accepted)} configurations are refused, for the reason given.",
        "",
        "| architecture | class | attention | adds | error | traces |",
        "|---|---|---|---|---|---|",
    ]
    for f in accepted:
        adds = f.adds or "post-norm: differences of states are no contributions"
        lines.append(f"| {f.label} | {f.network} | {f.kind} | {adds} | {f.error:.0e} | {f.traces} |")
    lines += ["", "## Refused", "", "| architecture | class | reason |", "|---|---|---|"]
    lines += [f"| {f.label} | {f.network} | {f.refusal} |" for f in findings if f.refusal]
    return "\n".join(lines) + "\n"


def main(words: list[str]) -> None:
    """Print what becomes of the labels given, or write the table of all to a file."""
    target = Path(words[0]) if words and words[0].endswith(".md") else None
    findings = []
    for label in (DECODERS | ENCODERS) if target else words or (DECODERS | ENCODERS):
        findings.append(examine(label))
        print(findings[-1], file=sys.stderr, flush=True)
    if faults := {f.label: f.faults for f in findings if f.faults}:
        raise SystemExit(f"nothing written: {faults}")
    if target:
        target.write_text(table(findings), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])

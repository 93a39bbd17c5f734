"""Kinds of language models: which way their tokens look, and whether their states are a residual stream.

In a *causal* model a token sees those before it; in a *bidirectional* one, an encoder, all of its text. Where
blocks normalise after the addition (*post-norm*), differences of states are not what the blocks contribute:
such encoders have states, and no residual stream. `describe` says so from the configuration alone, without
torch; `verification` holds it against the weights.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelError
from . import weights

# Encoders by model_type: does a block add to the stream (pre-norm), or normalise the sum (post-norm)?
_ADDS = {
    **dict.fromkeys(("bert", "camembert", "data2vec-text", "deberta", "deberta-v2", "distilbert"), False),
    **dict.fromkeys(("electra", "ernie", "ibert", "jina_embeddings_v3", "layoutlm", "luke"), False),
    **dict.fromkeys(("mpnet", "nomic_bert", "rembert", "roberta"), False),
    **dict.fromkeys(("roc_bert", "roformer", "xlm-roberta"), False),
    **dict.fromkeys(("esm", "eurobert", "megatron-bert", "modernbert", "roberta-prelayernorm"), True),
    **dict.fromkeys(("xlm-roberta-xl",), True),
}


@dataclass(frozen=True)
class Kind:
    """`attention` is "causal" or "bidirectional"; `residual`: whether h_{k+1} is h_k plus what block k adds.

    `rescaled_beyond` is the number of tokens beyond which a text's positions are all turned otherwise, and
    with them those of its batch (LongRoPE); None where there is no such bound.
    """

    attention: str = "causal"
    residual: bool = True
    rescaled_beyond: int | None = None

    @property
    def is_causal(self) -> bool:
        """Whether a token sees only those before it."""
        return self.attention == "causal"

    @property
    def label(self) -> str:
        """For people: "causal", "bidirectional" or "bidirectional, post-norm"."""
        return self.attention + ("" if self.residual else ", post-norm")

    def identity(self) -> dict:
        """What it adds to a model's identity: nothing for most decoders."""
        added = {} if self.is_causal else {"attention": self.attention, "residual": self.residual}
        return added | ({"rescaled_beyond": self.rescaled_beyond} if self.rescaled_beyond else {})


CAUSAL = Kind()


def describe(name_or_path: str | os.PathLike) -> Kind:
    """Kind of a model by its configuration alone (no torch, no weights).

    Raises ModelError for an unknown name, an unreadable configuration, or a kind that zspace does not follow;
    WeightsUnavailableError where the configuration of a hub id is neither cached nor reachable.
    """
    return _of_source(weights.find(name_or_path))


def labels(source: weights.Source) -> dict:
    """What the kind of a source adds to its identity; nothing where the configuration cannot be read."""
    try:
        return _of_source(source).identity()
    except ModelError:  # loading says why
        return {}


def of_config(name: str, config: dict) -> Kind:
    """Kind of a config.json; raises ModelError for a model with no single stream of text."""
    named = config.get("architectures")
    architectures = named if isinstance(named, list) and named else ["no architecture named"]
    found = f"{name} ({config.get('model_type', 'no model_type')}, {', '.join(map(str, architectures))})"
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{found} is a sequence-to-sequence model: its encoder and its decoder have a stream each. Use a "
            "decoder-only language model, or an encoder alone."
        )
    inner, sort = config.get("text_config"), config.get("model_type")
    for_text = inner if isinstance(inner, dict) and inner else config
    bound = _rescaled_beyond(for_text)
    if for_text.get("use_bidirectional_attention") in (True, "all") or for_text.get("is_causal") is False:
        return Kind("bidirectional", True, bound)
    adds = _ADDS.get(sort) if isinstance(sort, str) else None
    if adds is not None and not config.get("is_decoder"):
        return Kind("bidirectional", adds, bound)
    if any(re.search("MaskedLM|PreTraining$", str(one)) for one in architectures):
        raise ModelError(
            f"{found} is an encoder of a type whose states zspace has not been checked on. Encoders that it "
            f"knows: {', '.join(sorted(_ADDS))}."
        )
    return Kind(rescaled_beyond=bound)


def _rescaled_beyond(config: dict) -> int | None:
    """LongRoPE's bound, in the names that configurations give it."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        return None
    by_layer_type = [one for one in rope.values() if isinstance(one, dict)]
    for one in by_layer_type or [rope]:
        if one.get("rope_type", one.get("type")) in ("longrope", "su"):
            top = config.get("original_max_position_embeddings", config.get("max_position_embeddings"))
            return one.get("original_max_position_embeddings", top)
    return None


def network_class(source: weights.Source, folder: Path) -> tuple[Kind, type]:
    """Kind of the model of a source, whose files lie in `folder`, and the transformers class that reads it.

    Raises ModelError where the configuration is unreadable or of a kind that zspace does not follow.
    """
    weights.import_quietly()
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # its validators raise types of their own
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{source.name}: transformers cannot read its configuration: {line}") from error
    kind = CAUSAL if source.is_gguf else of_config(source.name, _read(source.name, folder / "config.json"))
    if not kind.is_causal:
        saved = getattr(transformers, str((config.architectures or ["AutoModel"])[0]), None)
        return kind, saved if hasattr(saved, "from_pretrained") else transformers.AutoModel
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(
            f"{source.name} ({config.model_type}, {', '.join(config.architectures or ['?'])}) is not a "
            "decoder-only language model, nor an encoder that zspace knows. Use one of them: zspace follows "
            "the stream of one text."
        )
    return kind, transformers.AutoModelForCausalLM


def _of_source(source: weights.Source) -> Kind:
    return CAUSAL if source.is_gguf else of_config(source.name, _configuration(source))


def _configuration(source: weights.Source) -> dict:
    """The config.json of a folder or a hub id, which is fetched alone where it is not cached."""
    if source.kind != "hub":
        return _read(source.name, Path(source.location) / "config.json")
    commit = weights.commit_of(source)
    cached = weights.hub_folder(source) / "snapshots" / commit / "config.json"
    return _read(source.name, cached if cached.is_file() else _download(source, commit))


def _read(name: str, path: Path) -> dict:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{name}: cannot read its configuration {path}: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{name}: {path} holds a {type(config).__name__}, expected an object.")
    return config


def _download(source: weights.Source, commit: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(source.location, "config.json", revision=commit))
    except Exception as error:  # the hub client raises OSError, ValueError and its HTTP library's errors
        raise weights.unavailable(source, error) from error

"""The language model's configuration and weights out of a release."""

from pathlib import Path
from typing import Final

from model_store.convert.json_file import Json, count
from model_store.convert.release import Release
from model_store.convert.released_weights import EMBEDDING, HEAD
from model_store.convert.shapes import Shape, linear, pick
from model_store.convert.vocabulary import padded
from model_store.convert.weights import Weights

# A release's config.json is the language model's with LLaVA's keys among its own.
_REQUIRED: Final = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_COUNTS: Final = ("head_dim", "num_key_value_heads")  # told only where they are not the usual
_OPTIONAL: Final = (
    "attention_bias", "attention_dropout", "bos_token_id", "eos_token_id", "hidden_act",
    "initializer_range", "mlp_bias", "pretraining_tp", "rms_norm_eps",
    "rope_parameters", "rope_scaling", "rope_theta", "sliding_window", "use_cache",
)  # fmt: skip


def text_config(release: Release, vocab_size: int, pad_token_id: int) -> Json:
    """Return the configuration of the language model alone, as transformers' `text_config`.

    Raises `ConversionError`.
    """
    config = release.config
    file = release.path / "config.json"
    told = [key for key in _COUNTS if config.get(key) is not None]
    kept: Json = {key: count(config, key, file) for key in (*_REQUIRED, *told)}
    kept |= {key: config[key] for key in _OPTIONAL if key in config and key not in kept}
    context = config.get("max_position_embeddings") or config.get("max_sequence_length") or 2048
    return kept | {
        "model_type": release.language_model,
        "max_position_embeddings": context,
        "vocab_size": vocab_size,
        "pad_token_id": pad_token_id,
        "tie_word_embeddings": False,  # the head is always written
    }


def language_weights(released: Weights, text: Json, folder: Path) -> Weights:
    """Return the language model's weights as `language_model.*`, the vocabulary padded.

    Raises `ConversionError`.
    """
    grown = {
        name: padded(name, released[name], text["vocab_size"])
        for name in (EMBEDDING, HEAD)
        if name in released
    }
    weights = pick(released | grown, _shapes(text), folder)
    return {f"language_model.{name}": weight for name, weight in weights.items()}


def _shapes(text: Json) -> dict[str, Shape]:
    hidden = text["hidden_size"]
    shapes: dict[str, Shape] = {
        EMBEDDING: (text["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
        HEAD: (text["vocab_size"], hidden),
    }
    for index in range(text["num_hidden_layers"]):
        shapes |= _layer_shapes(f"model.layers.{index}", text)
    return shapes


def _layer_shapes(layer: str, text: Json) -> dict[str, Shape]:
    hidden, inner, heads = (
        text[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads")
    )
    size = text.get("head_dim") or hidden // heads
    queries, keys = heads * size, (text.get("num_key_value_heads") or heads) * size
    attention, mlp = f"{layer}.self_attn", f"{layer}.mlp"
    biased, mlp_biased = bool(text.get("attention_bias")), bool(text.get("mlp_bias"))
    return {
        f"{layer}.input_layernorm.weight": (hidden,),
        f"{layer}.post_attention_layernorm.weight": (hidden,),
        **linear(f"{attention}.q_proj", hidden, queries, bias=biased),
        **linear(f"{attention}.k_proj", hidden, keys, bias=biased),
        **linear(f"{attention}.v_proj", hidden, keys, bias=biased),
        **linear(f"{attention}.o_proj", queries, hidden, bias=biased),
        **linear(f"{mlp}.gate_proj", hidden, inner, bias=mlp_biased),
        **linear(f"{mlp}.up_proj", hidden, inner, bias=mlp_biased),
        **linear(f"{mlp}.down_proj", inner, hidden, bias=mlp_biased),
    }

"""The language model's configuration and weights, from a release."""

from pathlib import Path
from typing import Final

from model_store.convert.json_file import Json, read_count
from model_store.convert.release import Release
from model_store.convert.released_weights import EMBEDDING, HEAD
from model_store.convert.shapes import Shape, linear_shapes, select_weights
from model_store.convert.vocabulary import pad_vocabulary
from model_store.convert.weights import Weights

# A release's config.json is the language model's with LLaVA's keys among its own.
_REQUIRED: Final = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
# Absent if they follow from the others.
_OPTIONAL_COUNTS: Final = ("head_dim", "num_key_value_heads")
_OPTIONAL: Final = (
    "attention_bias", "attention_dropout", "bos_token_id", "eos_token_id", "hidden_act",
    "initializer_range", "max_window_layers", "mlp_bias", "pretraining_tp", "rms_norm_eps",
    "rope_parameters", "rope_scaling", "rope_theta", "sliding_window", "use_cache",
    "use_sliding_window",
)  # fmt: skip


def build_text_config(release: Release, vocab_size: int, pad_token_id: int) -> Json:
    """Return the configuration of the language model alone, as transformers' `text_config`.

    Raises `ConversionError`.
    """
    config, is_qwen = release.config, release.language_model == "qwen2"
    file = release.path / "config.json"
    present = [key for key in _OPTIONAL_COUNTS if config.get(key) is not None]
    text: Json = {key: read_count(config, key, file) for key in (*_REQUIRED, *present)}
    text |= {key: config[key] for key in _OPTIONAL if key in config and key not in text}
    context = config.get("max_position_embeddings") or config.get("max_sequence_length") or 2048
    return text | {
        "model_type": release.language_model,
        "max_position_embeddings": context,
        "vocab_size": vocab_size,
        "pad_token_id": pad_token_id,
        # The head is always written, except for Qwen2: its smaller models tie it to the embeddings.
        "tie_word_embeddings": is_qwen and bool(config.get("tie_word_embeddings")),
    }


def convert_language_weights(released: Weights, text: Json, folder: Path) -> Weights:
    """Return the language model's weights as `language_model.*`, with a padded vocabulary.

    A head that is tied to the embeddings is left out. Raises `ConversionError`.
    """
    padded = {
        name: pad_vocabulary(name, released[name], text["vocab_size"])
        for name in (EMBEDDING, HEAD)
        if name in released
    }
    weights = select_weights(released | padded, _list_shapes(text), folder)
    return {f"language_model.{name}": weight for name, weight in weights.items()}


def _list_shapes(text: Json) -> dict[str, Shape]:
    hidden = text["hidden_size"]
    shapes: dict[str, Shape] = {
        EMBEDDING: (text["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    if not text["tie_word_embeddings"]:
        shapes[HEAD] = (text["vocab_size"], hidden)
    for index in range(text["num_hidden_layers"]):
        shapes |= _list_layer_shapes(f"model.layers.{index}", text)
    return shapes


def _list_layer_shapes(layer: str, text: Json) -> dict[str, Shape]:
    hidden, inner, heads = (
        text[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads")
    )
    size = text.get("head_dim") or hidden // heads
    queries, keys = heads * size, (text.get("num_key_value_heads") or heads) * size
    attention, mlp = f"{layer}.self_attn", f"{layer}.mlp"
    biased, mlp_biased = bool(text.get("attention_bias")), bool(text.get("mlp_bias"))
    qkv_biased = biased or text["model_type"] == "qwen2"
    return {
        f"{layer}.input_layernorm.weight": (hidden,),
        f"{layer}.post_attention_layernorm.weight": (hidden,),
        **linear_shapes(f"{attention}.q_proj", hidden, queries, bias=qkv_biased),
        **linear_shapes(f"{attention}.k_proj", hidden, keys, bias=qkv_biased),
        **linear_shapes(f"{attention}.v_proj", hidden, keys, bias=qkv_biased),
        **linear_shapes(f"{attention}.o_proj", queries, hidden, bias=biased),
        **linear_shapes(f"{mlp}.gate_proj", hidden, inner, bias=mlp_biased),
        **linear_shapes(f"{mlp}.up_proj", hidden, inner, bias=mlp_biased),
        **linear_shapes(f"{mlp}.down_proj", inner, hidden, bias=mlp_biased),
    }

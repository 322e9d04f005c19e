"""What transformers' classes assume where a configuration leaves a value out."""

from collections.abc import Mapping
from typing import Any, Final

from llava_spec.towers import (
    CLIP,
    CLIP_LARGE_336,
    SIGLIP,
    SIGLIP_SO400M_384,
    SIGLIP_UNUSED_LAYERS,
)

TILE: Final = 384
LLAVA: Final[Mapping[str, Any]] = {
    "image_token_index": 32000,
    "multimodal_projector_bias": True,
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
}
NEXT: Final[Mapping[str, Any]] = {
    **LLAVA,
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
}
NEXT_VIDEO: Final[Mapping[str, Any]] = {
    **NEXT,
    "image_token_index": 32001,
    "spatial_pool_mode": "average",
    "spatial_pool_stride": 2,
    "video_token_index": 32000,
}
ONEVISION: Final[Mapping[str, Any]] = {
    **LLAVA,
    "image_grid_pinpoints": [
        [TILE * rows, TILE * columns] for rows in range(1, 7) for columns in range(1, 7)
    ],
    "image_token_index": 151646,
    "video_token_index": 151647,
    "vision_aspect_ratio": "anyres_max_9",
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
}
VIP_LLAVA: Final[Mapping[str, Any]] = {
    "image_token_index": 32000,
    "projector_hidden_act": "gelu",
    "projector_layernorm_eps": 1e-5,
    "vision_feature_layers": (-2, -5, -8, -11, 6),
}
MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "llava": LLAVA,
    "llava_next": NEXT,
    "llava_next_video": NEXT_VIDEO,
    "llava_onevision": ONEVISION,
    "vipllava": VIP_LLAVA,
}
TOWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "clip_vision_model": CLIP,
    "siglip_vision_model": SIGLIP,
}
# The towers of configurations without a `vision_config`: CLIP-L at 336 pixels, SigLIP-SO400M.
WHOLE_TOWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "clip_vision_model": CLIP_LARGE_336,
    "siglip_vision_model": {
        **SIGLIP_SO400M_384,
        "num_hidden_layers": SIGLIP_SO400M_384["num_hidden_layers"] - SIGLIP_UNUSED_LAYERS,
    },
}
# LLaVA's converted configurations omit values that equal these.
TEXT: Final[Mapping[str, Mapping[str, int]]] = {
    "llama": {
        "hidden_size": 4096,
        "max_position_embeddings": 2048,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "intermediate_size": 11008,
        "vocab_size": 32000,
    },
    "mistral": {
        "hidden_size": 4096,
        "max_position_embeddings": 131072,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 32000,
    },
    "qwen2": {
        "hidden_size": 4096,
        "max_position_embeddings": 32768,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 32,
        "intermediate_size": 22016,
        "vocab_size": 151936,
    },
}


def fill_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a LLaVA's `config.json` with the defaults of its classes filled in.

    A null is a missing value where transformers' classes take it for one.
    """
    # transformers reads the tokens of images and videos under either name.
    tokens = {
        f"{modality}_token_index": config[f"{modality}_token_id"]
        for modality in ("image", "video")
        if f"{modality}_token_id" in config
    }
    null = {"image_grid_pinpoints"} if config.get("image_grid_pinpoints") is None else set()
    return {
        **MODELS.get(config["model_type"], {}),
        **tokens,
        **{key: value for key, value in config.items() if key not in null},
        "text_config": _fill_text(config),
        "vision_config": _fill_tower(config),
    }


def _fill_text(config: Mapping[str, Any]) -> dict[str, Any]:
    default_type = "qwen2" if config["model_type"] == "llava_onevision" else "llama"
    given = config.get("text_config")
    text = {"model_type": default_type, **({} if given is None else given)}
    return {**TEXT.get(text["model_type"], {}), **text}


def _fill_tower(config: Mapping[str, Any]) -> dict[str, Any]:
    is_onevision = config["model_type"] == "llava_onevision"
    default_type = "siglip_vision_model" if is_onevision else "clip_vision_model"
    given = config.get("vision_config")
    tower = {"model_type": default_type, **(WHOLE_TOWERS[default_type] if given is None else given)}
    return {**TOWERS.get(tower["model_type"], {}), **tower}

"""What transformers' classes assume where a configuration leaves a value out."""

from collections.abc import Mapping
from typing import Any, Final

TILE: Final = 384
ONEVISION: Final[Mapping[str, Any]] = {
    "image_grid_pinpoints": [
        [TILE * rows, TILE * columns] for rows in range(1, 7) for columns in range(1, 7)
    ],
    "image_token_index": 151646,
    "video_token_index": 151647,
    "vision_aspect_ratio": "anyres_max_9",
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
}
NEXT_VIDEO: Final[Mapping[str, Any]] = {
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    "image_token_index": 32001,
    "spatial_pool_mode": "average",
    "spatial_pool_stride": 2,
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "video_token_index": 32000,
}
MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "llava_next_video": NEXT_VIDEO,
    "llava_onevision": ONEVISION,
}
SIGLIP: Final[Mapping[str, Any]] = {
    "hidden_size": 768,
    "image_size": 224,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
# LLaVA's converted configurations omit values that equal these.
TEXT: Final[Mapping[str, Mapping[str, int]]] = {
    "llama": {
        "hidden_size": 4096,
        "max_position_embeddings": 2048,
        "num_attention_heads": 32,
        "intermediate_size": 11008,
        "vocab_size": 32000,
    },
    "mistral": {
        "hidden_size": 4096,
        "max_position_embeddings": 131072,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 32000,
    },
    "qwen2": {
        "hidden_size": 4096,
        "max_position_embeddings": 32768,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "intermediate_size": 22016,
        "vocab_size": 151936,
    },
}


def fill_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a LLaVA's `config.json` with the defaults of its classes filled in."""
    is_onevision = config["model_type"] == "llava_onevision"
    text_type = "qwen2" if is_onevision else "llama"
    text = {"model_type": text_type, **config["text_config"]}
    tower_type = "siglip_vision_model" if is_onevision else None
    tower = {"model_type": tower_type, **config["vision_config"]}
    # transformers reads the tokens of images and videos under either name.
    tokens = {
        f"{medium}_token_index": config[f"{medium}_token_id"]
        for medium in ("image", "video")
        if f"{medium}_token_id" in config
    }
    return {
        **MODELS.get(config["model_type"], {}),
        **tokens,
        **config,
        "text_config": {**TEXT.get(text["model_type"], {}), **text},
        "vision_config": {**_find_tower_defaults(tower), **tower},
    }


def _find_tower_defaults(tower: Mapping[str, Any]) -> Mapping[str, Any]:
    return SIGLIP if tower["model_type"] == "siglip_vision_model" else {}

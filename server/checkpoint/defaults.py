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
LLAVA: Final[Mapping[str, Any]] = {
    "image_token_index": 32000,
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
MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "llava": LLAVA,
    "llava_next": NEXT,
    "llava_next_video": NEXT_VIDEO,
    "llava_onevision": ONEVISION,
    "vipllava": {"image_token_index": 32000, "vision_feature_layers": [-2, -5, -8, -11, 6]},
}
# The towers of configurations without a `vision_config`.
CLIP_LARGE: Final[Mapping[str, Any]] = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "image_size": 336,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "patch_size": 14,
}
SIGLIP_SO400M: Final[Mapping[str, Any]] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "image_size": 384,
    "intermediate_size": 4304,
    "num_attention_heads": 16,
    "num_hidden_layers": 26,
    "patch_size": 14,
}
CLIP: Final[Mapping[str, Any]] = {
    "hidden_size": 768,
    "image_size": 224,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
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
    """Return a LLaVA's `config.json` with the defaults of its classes filled in.

    A null is as good as none where there is a default.
    """
    is_onevision = config["model_type"] == "llava_onevision"
    text = {"model_type": "qwen2" if is_onevision else "llama", **(config.get("text_config") or {})}
    # transformers reads the tokens of images and videos under either name.
    tokens = {
        f"{medium}_token_index": config[f"{medium}_token_id"]
        for medium in ("image", "video")
        if f"{medium}_token_id" in config
    }
    return {
        **_fill(MODELS.get(config["model_type"], {}), {**tokens, **config}),
        "text_config": _fill(TEXT.get(text["model_type"], {}), text),
        "vision_config": _fill_tower(config.get("vision_config"), is_onevision=is_onevision),
    }


def _fill_tower(given: Mapping[str, Any] | None, *, is_onevision: bool) -> dict[str, Any]:
    whole = SIGLIP_SO400M if is_onevision else CLIP_LARGE
    tower = given or whole
    kind = tower.get("model_type") or whole["model_type"]
    values = SIGLIP if kind == "siglip_vision_model" else CLIP
    return _fill({"model_type": kind, **values}, tower)


def _fill(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: each for name, each in given.items() if each is not None or name not in defaults}
    return {**defaults, **said}

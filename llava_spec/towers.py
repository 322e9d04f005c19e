"""Configurations of vision towers: what transformers' classes assume, and released sizes."""

from collections.abc import Mapping
from typing import Any, Final

TowerConfig = Mapping[str, Any]

# What `CLIPVisionConfig` and `SiglipVisionConfig` assume where a configuration leaves a value out.
CLIP: Final[TowerConfig] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
SIGLIP: Final[TowerConfig] = {
    **CLIP,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}

# Sizes of released towers.
CLIP_LARGE: Final[TowerConfig] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
}
CLIP_LARGE_336: Final[TowerConfig] = {**CLIP_LARGE, "image_size": 336}
SIGLIP_SO400M_384: Final[TowerConfig] = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}
# LLaVA leaves out SigLIP's last layer, whose features nothing uses.
SIGLIP_UNUSED_LAYERS: Final = 1

"""OpenAI's CLIP ViT-L/14 for 336 pixels: the tower of LLaVA-1.5 and 1.6, and its images."""

from typing import Final

from benchmarks.shapes.shape import Json
from llava_spec.image_settings import CLIP_MEAN, CLIP_STD

CLIP_L_336: Final[Json] = {
    "hidden_size": 1024,
    "image_size": 336,
    "intermediate_size": 4096,
    "model_type": "clip_vision_model",
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "patch_size": 14,
    "projection_dim": 768,
    "vocab_size": 32000,
}
CLIP_PROCESSOR: Final[Json] = {
    "crop_size": {"height": 336, "width": 336},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": list(CLIP_MEAN),
    "image_std": list(CLIP_STD),
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 336},
}

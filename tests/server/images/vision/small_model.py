"""A vision model small enough to build for every test, and its checkpoint."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.config import Checkpoint, TextConfig
from server.checkpoint.language_model import LanguageModel
from server.checkpoint.vision import ImageConfig, VisionConfig
from server.images.vision.tower import VisionModel

VISION = VisionConfig(
    image_size=16,
    patch_size=4,
    hidden_size=32,
    intermediate_size=64,
    num_layers=2,
    num_heads=4,
    hidden_act="quick_gelu",
    layer_norm_eps=1e-5,
    keep_class_token=False,
    projector_hidden_act="gelu",
    text_hidden_size=48,
)
IMAGE = ImageConfig(16, "pad", CLIP_MEAN, CLIP_STD)
TEXT = TextConfig(2048, 4, "<s>", "</s>", "vicuna_v1", 0.0, 1.0)
# Bytes of one image's embeddings in float32.
IMAGE_BYTES = VISION.num_image_tokens * VISION.text_hidden_size * 4


def build_small_checkpoint(path: Path, dtype: str = "float32") -> Checkpoint:
    """Return a checkpoint of the small model."""
    return Checkpoint(path, dtype, VISION, IMAGE, TEXT, LanguageModel())


def build_random_weights(model: torch.nn.Module, seed: int = 0) -> Mapping[str, Tensor]:
    """Return weights of a model's shapes, large enough that each affects the output."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(tensor.shape, generator=generator) * 0.2 + ("norm" in name)
        for name, tensor in model.state_dict().items()
    }


def build_small_model(dtype: torch.dtype = torch.float32) -> VisionModel:
    """Return a model with random weights."""
    model = VisionModel(VISION, IMAGE)
    model.load_state_dict(build_random_weights(model))
    model.vision_tower.to(dtype)
    model.multi_modal_projector.to(dtype)
    return model.eval()


def build_views(count: int = 1, seed: int = 0, size: int = VISION.image_size) -> Tensor:
    """Return uint8 views (count, size, size, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)

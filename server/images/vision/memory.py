"""How much memory the vision tower and the projector take on their device."""

from dataclasses import dataclass
from typing import Final

import torch

from server.checkpoint.config import Checkpoint
from server.checkpoint.vision import VisionConfig
from server.images.vision.tower import VisionModel

# What is alive within a layer, in rows of the hidden size: its input, the normed input, queries,
# keys, values, what they attend to, its projection and the sum; and of the MLP both sides.
LIVE_HIDDEN: Final = 8
LIVE_INTERMEDIATE: Final = 2


@dataclass(frozen=True, slots=True)
class VisionSize:
    """The numbers that the vision side holds: weights, and activations of each view at a time."""

    num_weights: int
    activations_per_view: int

    def count_bytes(self, dtype: torch.dtype, max_views: int) -> int:
        """Return the bytes of the weights and of the largest batch."""
        return (self.num_weights + max_views * self.activations_per_view) * dtype.itemsize


def measure_vision(checkpoint: Checkpoint) -> VisionSize:
    """Return the size of a checkpoint's vision side, from its configuration."""
    with torch.device("meta"):
        model = VisionModel(checkpoint.vision, checkpoint.image, checkpoint.video)
    num_weights = sum(parameter.numel() for parameter in model.parameters())
    return VisionSize(num_weights, _count_activations(checkpoint.vision))


def _count_activations(vision: VisionConfig) -> int:
    rows = vision.patches_per_side**2 + vision.has_class_token
    layer = rows * (LIVE_HIDDEN * vision.hidden_size + LIVE_INTERMEDIATE * vision.intermediate_size)
    features = vision.num_image_tokens * (vision.feature_size + 2 * vision.text_hidden_size)
    # S2 runs the tower on the squares of each scale.
    num_squares = sum((scale // vision.image_size) ** 2 for scale in vision.s2_scales) or 1
    return layer * num_squares + features

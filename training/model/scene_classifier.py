"""The vision tower with two linear classification heads, which its pretraining needs.

The heads read the layer that LLaVA reads, so that the projector finds all content linearly. One
classifies each patch, the other classifies each third of the image from its summary patch.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPVisionModel

from training.data.labels import PATCH_NUM_CLASSES, SUMMARY_NUM_CLASSES, SUMMARY_PATCHES
from training.model.architecture import VISION_HIDDEN_SIZE

# The logits of each attribute.
AttributeLogits = tuple[torch.Tensor, ...]


class SceneClassifier(nn.Module):
    """Classifies the patches and the summary patches of an image."""

    def __init__(self, tower: CLIPVisionModel) -> None:
        super().__init__()
        self.tower = tower
        self.patch_head = nn.Linear(VISION_HIDDEN_SIZE, sum(PATCH_NUM_CLASSES))
        self.summary_head = nn.Linear(VISION_HIDDEN_SIZE, sum(SUMMARY_NUM_CLASSES))

    def forward(self, pixel_values: torch.Tensor) -> tuple[AttributeLogits, AttributeLogits]:
        """Logits of the attributes, in the order of the labels, for images (n, 3, 96, 96).

        Patches have noun, colour and place (n, 64, …). Summary patches have noun, colour, size and
        background (n, 9, …).
        """
        features = extract_patch_features(self.tower, pixel_values)
        patches = self.patch_head(features).float()
        summary = self.summary_head(features[:, list(SUMMARY_PATCHES)]).float()
        return (
            patches.split(list(PATCH_NUM_CLASSES), -1),
            summary.split(list(SUMMARY_NUM_CLASSES), -1),
        )


def extract_patch_features(tower: CLIPVisionModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """`hidden_states[-2]` without CLS; the last layer does not run. (n, 64, 192)"""
    hidden = tower.pre_layrnorm(tower.embeddings(pixel_values))
    for layer in tower.encoder.layers[:-1]:
        hidden = layer(hidden, attention_mask=None)
    features: torch.Tensor = hidden[:, 1:]
    return features


def compute_patch_loss(logits: AttributeLogits, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with labels (n, 64, 3), balanced between things and background."""
    return _compute_balanced_loss(logits, labels)


def compute_summary_loss(logits: AttributeLogits, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with labels (n, 9, 4), balanced between filled and empty places; weight 2."""
    return 2 * _compute_balanced_loss(logits, labels)


def _compute_balanced_loss(logits: AttributeLogits, labels: torch.Tensor) -> torch.Tensor:
    """The mean over the few positions with a noun, plus 0.7 times the mean over the others."""
    parts = [
        functional.cross_entropy(part.flatten(0, 1), labels[..., index].flatten(), reduction="none")
        for index, part in enumerate(logits)
    ]
    losses, weights = torch.stack(parts).sum(0), (labels[..., 0] > 0).flatten().float()
    filled = (losses * weights).sum() / weights.sum().clamp(min=1)
    empty = (losses * (1 - weights)).sum() / (1 - weights).sum().clamp(min=1)
    return filled + 0.7 * empty

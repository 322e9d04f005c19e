"""What CLIP brings in the paper: the vision tower learns to say what a picture shows and where.

Two readers sit on the layer that LLaVA reads, one matrix each, so that the projector finds
everything there linearly: one tells of each patch what covers it, the other reads off nine patches
what each third of the picture holds.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPVisionModel

from training.data.dataset import SceneSet, normalise
from training.data.labels import PATCH_SIZES, SUMMARY_PATCHES, SUMMARY_SIZES
from training.data.rendering import Bytes
from training.loop.compute import mixed_precision
from training.loop.distributed import own_seed, share
from training.loop.training_loop import Loss, Schedule, compile_if_long, fit
from training.model.architecture import VISION_HIDDEN

# Logits of each attribute.
Read = tuple[torch.Tensor, ...]


class SceneReader(nn.Module):
    """Reads patches and summaries off the tower's features."""

    def __init__(self, tower: CLIPVisionModel) -> None:
        super().__init__()
        self.tower = tower
        self.patch_head = nn.Linear(VISION_HIDDEN, sum(PATCH_SIZES))
        self.summary_head = nn.Linear(VISION_HIDDEN, sum(SUMMARY_SIZES))

    def forward(self, pixel_values: torch.Tensor) -> tuple[Read, Read]:
        """Logits of noun, colour, place (n, 64, …) and of noun, colour, size, ground (n, 9, …)."""
        features = patch_features(self.tower, pixel_values)
        patches = self.patch_head(features).float()
        summary = self.summary_head(features[:, list(SUMMARY_PATCHES)]).float()
        return patches.split(list(PATCH_SIZES), -1), summary.split(list(SUMMARY_SIZES), -1)


def patch_features(tower: CLIPVisionModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """`hidden_states[-2]` without CLS, leaving out the layer after it. (n, 64, 192)"""
    hidden = tower.pre_layrnorm(tower.embeddings(pixel_values))
    for layer in tower.encoder.layers[:-1]:
        hidden = layer(hidden, attention_mask=None)
    features: torch.Tensor = hidden[:, 1:]
    return features


def train_tower(
    tower: CLIPVisionModel,
    sets: tuple[SceneSet, SceneSet],
    schedule: Schedule,
    work: Path,
    device: torch.device,
) -> None:
    train, held_out = sets
    reader = SceneReader(tower).to(device)
    loss_at = _sampled_loss(reader, train, schedule, device)
    fit("tower", reader, loss_at, schedule, work, lambda: measure_tower(reader, held_out, device))


def _sampled_loss(
    reader: SceneReader, scenes: SceneSet, schedule: Schedule, device: torch.device
) -> Loss:
    read = compile_if_long(reader.forward, schedule)

    def loss_at(step: int) -> torch.Tensor:
        generator = np.random.default_rng((1, step + own_seed()))
        chosen = np.sort(generator.integers(len(scenes), size=share(schedule.batch)))
        with mixed_precision(device):
            patches, summary = read(normalise(scenes.pixels[chosen], device))
        return _patch_loss(patches, _labels(scenes.patches[chosen], device)) + _summary_loss(
            summary, _labels(scenes.summary[chosen], device)
        )

    return loss_at


def _labels(labels: Bytes, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.array(labels)).to(device).long()


def _patch_loss(logits: Read, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with labels (n, 64, 3); the few patches with things are averaged apart."""
    return _balanced(logits, labels, labels[..., 0] > 0)


def _summary_loss(logits: Read, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with labels (n, 9, 4); places that hold something are averaged apart."""
    return 2 * _balanced(logits, labels, labels[..., 0] > 0)


def _balanced(logits: Read, labels: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
    parts = [
        functional.cross_entropy(part.flatten(0, 1), labels[..., index].flatten(), reduction="none")
        for index, part in enumerate(logits)
    ]
    losses, weights = torch.stack(parts).sum(0), filled.flatten().float()
    on = (losses * weights).sum() / weights.sum().clamp(min=1)
    off = (losses * (1 - weights)).sum() / (1 - weights).sum().clamp(min=1)
    return on + 0.7 * off


@torch.no_grad()
def measure_tower(reader: SceneReader, scenes: SceneSet, device: torch.device) -> str:
    """Shares of filled places whose noun, colour, size are right, and of scenes wholly right."""
    count = min(len(scenes), 500)
    with mixed_precision(device):
        _, summary = reader(normalise(scenes.pixels[:count], device))
    labels = _labels(scenes.summary[:count], device)
    right = [part.argmax(-1) == labels[..., index] for index, part in enumerate(summary)]
    filled = labels[..., 0] > 0
    noun, color, size = (part[filled].float().mean().item() for part in right[:3])
    whole = (right[0] & right[1]).all(dim=1).float().mean().item()
    ground = right[3].float().mean().item()
    return (
        f"noun {noun:.4f} color {color:.4f} size {size:.4f} ground {ground:.4f} whole {whole:.4f}"
    )

"""Stage 1: the vision tower learns to say, patch by patch, what a scene shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPVisionModel

from model_store.recipe.architecture import VISION_HIDDEN
from model_store.recipe.dataset import SceneSet, normalise
from model_store.recipe.fitting import Loss, Schedule, compile_if_long, fit
from model_store.recipe.parallel import own_seed, share
from model_store.recipe.scenes import COLORS, PLACES, SHAPES

# A patch's shape, colour and place; 0 is none of them.
ATTRIBUTE_SIZES = (1 + len(SHAPES), 1 + len(COLORS), 1 + len(PLACES))


class PatchReader(nn.Module):
    """Reads shape, colour and place off each patch's feature with one matrix.

    The matrix sits on the layer that LLaVA reads, so that the projector finds everything there
    linearly.
    """

    def __init__(self, tower: CLIPVisionModel) -> None:
        super().__init__()
        self.tower = tower
        self.head = nn.Linear(VISION_HIDDEN, sum(ATTRIBUTE_SIZES))

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits of shape, colour and place: (n, 64, 6), (n, 64, 9), (n, 64, 10)."""
        logits: torch.Tensor = self.head(patch_features(self.tower, pixel_values))
        return torch.split(logits.float(), list(ATTRIBUTE_SIZES), dim=-1)


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
    schedules: Sequence[Schedule],
    work: Path,
) -> None:
    """One schedule after the other, each from where the one before came to rest."""
    train, held_out = sets
    reader = PatchReader(tower)
    for number, schedule in enumerate(schedules, start=1):
        loss_at = _sampled_loss(reader, train, schedule, seed=number)
        fit(
            f"tower-{number}",
            reader,
            loss_at,
            schedule,
            work,
            lambda: measure_tower(reader, held_out),
        )


def _sampled_loss(reader: PatchReader, scenes: SceneSet, schedule: Schedule, seed: int) -> Loss:
    read = compile_if_long(reader.forward, schedule)

    def loss_at(step: int) -> torch.Tensor:
        generator = np.random.default_rng((seed, step + own_seed()))
        chosen = generator.integers(len(scenes), size=share(schedule.batch))
        with torch.autocast("cpu", torch.bfloat16):
            logits = read(normalise(scenes.pixels[chosen]))
        return patch_loss(logits, torch.from_numpy(scenes.labels[chosen]).long())

    return loss_at


def patch_loss(logits: tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with labels (n, 64, 3); the few patches with things are averaged apart."""
    covered = (labels[..., 0] > 0).flatten()
    parts = [
        functional.cross_entropy(part.flatten(0, 1), labels[..., index].flatten(), reduction="none")
        for index, part in enumerate(logits)
    ]
    losses = torch.stack(parts).sum(0)
    return losses[covered].mean() + 0.5 * losses[~covered].mean()


@torch.no_grad()
def measure_tower(reader: PatchReader, scenes: SceneSet) -> str:
    """Of covered patches the share whose shape, colour, place are right, of bare ones seen bare."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = reader(normalise(scenes.pixels[:500]))
    labels = torch.from_numpy(scenes.labels[:500]).long()
    covered = labels[..., 0] > 0
    read = [part.argmax(-1) == labels[..., index] for index, part in enumerate(logits)]
    shares = [right[covered].float().mean().item() for right in read]
    bare = read[0][~covered].float().mean().item()
    return "shape {:.3f} color {:.3f} place {:.3f} ".format(*shares) + f"bare {bare:.3f}"

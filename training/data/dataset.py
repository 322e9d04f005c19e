"""The rendered scenes as memory-mapped arrays: pixels and labels, computed on first use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from training.data.rendering import UInt8Array, render_scenes
from training.data.sampling import sample_scenes
from training.data.scenes import Scene

# CLIP's normalisation.
_MEAN = torch.tensor(CLIP_MEAN)
_STD = torch.tensor(CLIP_STD)


@dataclass(frozen=True, slots=True)
class SceneDataset:
    """Scenes with their rendered pixels and labels.

    `pixels` (count, 96, 96, 3), `patch_labels` (count, 64, 3) and `summary_labels` (count, 9, 4)
    are uint8.
    """

    scenes: tuple[Scene, ...]
    pixels: UInt8Array
    patch_labels: UInt8Array
    summary_labels: UInt8Array

    def __len__(self) -> int:
        return len(self.scenes)

    def select_summary_labels(self, indices: Sequence[int]) -> torch.Tensor:
        """The labels of the nine summary patches of each scene. (n, 9, 4)"""
        return torch.from_numpy(self.summary_labels[list(indices)]).long()


def load_dataset(folder: Path, seed: int, count: int, max_side: int = 512) -> SceneDataset:
    """Load the scenes of this seed; the first call renders them into `folder`.

    `max_side` limits the pixels of an image's longer side.
    """
    scenes = tuple(sample_scenes(seed, count, max_side))
    stem = f"scenes-{seed}-{count}-{max_side}"
    files = [folder / f"{stem}-{part}.npy" for part in ("pixels", "patches", "summary")]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        for file, array in zip(files, render_scenes(scenes, stem), strict=True):
            np.save(file, array)
    pixels, patch_labels, summary_labels = (np.load(file, mmap_mode="r") for file in files)
    return SceneDataset(scenes, pixels, patch_labels, summary_labels)


def normalise(pixels: UInt8Array, device: torch.device | None = None) -> torch.Tensor:
    """Convert uint8 pixels (n, 96, 96, 3) to CLIP's `pixel_values` (n, 3, 96, 96)."""
    values = torch.from_numpy(np.array(pixels)).to(device).float() / 255
    mean, std = _MEAN.to(device), _STD.to(device)
    return ((values - mean) / std).permute(0, 3, 1, 2).contiguous()

"""Drawn scenes on disk: pixels and patch labels, made once and mapped into memory afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model_store.recipe.drawing import GRID, IMAGE_SIZE, draw, label_patches, preprocess
from model_store.recipe.scenes import Scene, sample_scenes

# CLIP's normalisation.
_MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073))
_STD = torch.tensor((0.26862954, 0.26130258, 0.27577711))


@dataclass(frozen=True, slots=True)
class SceneSet:
    """`count` scenes with `pixels` (count, 96, 96, 3) and `labels` (count, 64, 3), both uint8."""

    scenes: tuple[Scene, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.scenes)

    def labels_of(self, indices: Sequence[int]) -> torch.Tensor:
        """(n, 64, 3)"""
        return torch.from_numpy(self.labels[list(indices)]).long()


def load_scenes(folder: Path, seed: int, count: int, longest: int = 512) -> SceneSet:
    """The scenes of this seed, drawn on first use and kept in `folder`."""
    scenes = tuple(sample_scenes(seed, count, longest))
    stem = f"scenes-{seed}-{count}-{longest}"
    pixels_file, labels_file = folder / f"{stem}-pixels.npy", folder / f"{stem}-labels.npy"
    if not labels_file.exists():
        pixels, labels = _render(scenes, stem)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(pixels_file, pixels)
        np.save(labels_file, labels)
    return SceneSet(scenes, np.load(pixels_file, mmap_mode="r"), np.load(labels_file))


def normalise(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """CLIP's `pixel_values` (n, 3, 96, 96) of uint8 pixels (n, 96, 96, 3)."""
    values = torch.from_numpy(pixels.astype(np.float32)) / 255
    return ((values - _MEAN) / _STD).permute(0, 3, 1, 2).contiguous()


def _render(scenes: tuple[Scene, ...], title: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    pixels = np.empty((len(scenes), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    labels = np.empty((len(scenes), GRID * GRID, 3), dtype=np.uint8)
    for index, scene in enumerate(tqdm(scenes, title, mininterval=5)):
        pixels[index] = preprocess(draw(scene))
        labels[index] = label_patches(scene)
    return pixels, labels

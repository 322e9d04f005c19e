"""Drawn scenes on disk: pixels and labels, made once and mapped into memory afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from training.data.rendering import Bytes, render
from training.data.sampling import sample_scenes
from training.data.scenes import Scene

# CLIP's normalisation.
_MEAN = torch.tensor(CLIP_MEAN)
_STD = torch.tensor(CLIP_STD)


@dataclass(frozen=True, slots=True)
class SceneSet:
    """Scenes with `pixels` (count, 96, 96, 3), `patches` (count, 64, 3), `summary` (count, 9, 4).

    The arrays are uint8.
    """

    scenes: tuple[Scene, ...]
    pixels: Bytes
    patches: Bytes
    summary: Bytes

    def __len__(self) -> int:
        return len(self.scenes)

    def summary_of(self, indices: Sequence[int]) -> torch.Tensor:
        """What each place holds. (n, 9, 4)"""
        return torch.from_numpy(self.summary[list(indices)]).long()


def load_scenes(folder: Path, seed: int, count: int, longest: int = 512) -> SceneSet:
    """The scenes of this seed, drawn on first use and kept in `folder`."""
    scenes = tuple(sample_scenes(seed, count, longest))
    stem = f"scenes-{seed}-{count}-{longest}"
    files = [folder / f"{stem}-{part}.npy" for part in ("pixels", "patches", "summary")]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        for file, array in zip(files, render(scenes, stem), strict=True):
            np.save(file, array)
    pixels, patches, summary = (np.load(file, mmap_mode="r") for file in files)
    return SceneSet(scenes, pixels, patches, summary)


def normalise(pixels: Bytes, device: torch.device | None = None) -> torch.Tensor:
    """CLIP's `pixel_values` (n, 3, 96, 96) of uint8 pixels (n, 96, 96, 3)."""
    values = torch.from_numpy(np.array(pixels)).to(device).float() / 255
    mean, std = _MEAN.to(device), _STD.to(device)
    return ((values - mean) / std).permute(0, 3, 1, 2).contiguous()

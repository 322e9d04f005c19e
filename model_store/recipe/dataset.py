"""Drawn scenes on disk: pixels and labels, made once and mapped into memory afterwards."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model_store.recipe.drawing import GRID, IMAGE_SIZE, draw, preprocess
from model_store.recipe.labels import label_patches, summarise
from model_store.recipe.sampling import sample_scenes
from model_store.recipe.scenes import PLACES, Scene

# CLIP's normalisation.
_MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073))
_STD = torch.tensor((0.26862954, 0.26130258, 0.27577711))

Bytes = NDArray[np.uint8]


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
        for file, array in zip(files, _render(scenes, stem), strict=True):
            np.save(file, array)
    pixels, patches, summary = (np.load(file, mmap_mode="r") for file in files)
    return SceneSet(scenes, pixels, patches, summary)


def normalise(pixels: Bytes, device: torch.device | None = None) -> torch.Tensor:
    """CLIP's `pixel_values` (n, 3, 96, 96) of uint8 pixels (n, 96, 96, 3)."""
    values = torch.from_numpy(np.array(pixels)).to(device).float() / 255
    mean, std = _MEAN.to(device), _STD.to(device)
    return ((values - mean) / std).permute(0, 3, 1, 2).contiguous()


def _render(scenes: tuple[Scene, ...], title: str) -> tuple[Bytes, Bytes, Bytes]:
    pixels = np.empty((len(scenes), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    patches = np.empty((len(scenes), GRID * GRID, 3), dtype=np.uint8)
    summary = np.empty((len(scenes), len(PLACES), 4), dtype=np.uint8)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        drawn = pool.map(_render_one, scenes, chunksize=64)
        for index, arrays in enumerate(tqdm(drawn, title, len(scenes), mininterval=5)):
            pixels[index], patches[index], summary[index] = arrays
    return pixels, patches, summary


def _render_one(scene: Scene) -> tuple[Bytes, Bytes, Bytes]:
    return preprocess(draw(scene)), label_patches(scene), summarise(scene)

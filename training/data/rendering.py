"""Renders many scenes in parallel worker processes, which do not import torch."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.data.drawing import GRID, IMAGE_SIZE, draw, preprocess
from training.data.labels import label_patches, label_summary_patches
from training.data.scenes import PLACES, Scene

UInt8Array = NDArray[np.uint8]


def render_scenes(scenes: Sequence[Scene], title: str) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
    """Pixels (n, 96, 96, 3), patch labels (n, 64, 3) and summary labels (n, 9, 4) of all scenes.

    `title` labels the progress bar.
    """
    pixels = np.empty((len(scenes), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    patch_labels = np.empty((len(scenes), GRID * GRID, 3), dtype=np.uint8)
    summary_labels = np.empty((len(scenes), len(PLACES), 4), dtype=np.uint8)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        results = pool.map(_render_one, scenes, chunksize=64)
        for index, arrays in enumerate(tqdm(results, title, len(scenes), mininterval=5)):
            pixels[index], patch_labels[index], summary_labels[index] = arrays
    return pixels, patch_labels, summary_labels


def _render_one(scene: Scene) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
    return preprocess(draw(scene)), label_patches(scene), label_summary_patches(scene)

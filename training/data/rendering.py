"""Draws many scenes at once, in processes of their own, which therefore load no torch."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.data.drawing import GRID, IMAGE_SIZE, draw, preprocess
from training.data.labels import label_patches, summarise
from training.data.scenes import PLACES, Scene

Bytes = NDArray[np.uint8]


def render(scenes: Sequence[Scene], title: str) -> tuple[Bytes, Bytes, Bytes]:
    """Pixels (n, 96, 96, 3), patch labels (n, 64, 3) and summaries (n, 9, 4) of all scenes."""
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

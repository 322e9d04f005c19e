"""Labels for the vision tower: the content of each patch and of each third of an image.

Nine summary patches, one for each place, hold the labels of the thirds. They are always the same
ones: the patches nearest to the centres of a square's thirds. So the decoder can
look up a place or count things without learning which of the 64 patches belong together.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.data.drawing import GRID, IMAGE_SIZE, PATCH_SIZE, compute_outline
from training.data.scenes import BACKGROUND_COLORS, COLORS, NOUNS, PLACES, SIZES, Scene, Thing

# Numbers of classes of a patch's noun, colour and place; class 0 is none.
PATCH_NUM_CLASSES: Final = (1 + len(NOUNS), 1 + len(COLORS), 1 + len(PLACES))
# Numbers of classes of a summary patch's noun, colour and size (class 0: an empty place), and of
# the background's colour.
SUMMARY_NUM_CLASSES: Final = (
    1 + len(NOUNS),
    1 + len(COLORS),
    1 + len(SIZES),
    len(BACKGROUND_COLORS),
)

_ANCHORS: Final = (1, 4, 6)
SUMMARY_PATCHES: Final = tuple(GRID * row + column for row in _ANCHORS for column in _ANCHORS)

# A patch shows a thing if the thing covers at least this share of it.
_MIN_COVERAGE: Final = 0.12


def label_patches(scene: Scene) -> NDArray[np.uint8]:
    """Label each patch with noun, colour and place as one-based indices. (64, 3)

    A patch of bare background has noun and colour 0 and its own place. A patch of padding is all 0.
    """
    labels = np.zeros((GRID * GRID, 3), dtype=np.uint8)
    labels[:, 2] = _label_background_places(scene)
    if not scene.things:
        return labels
    shares = np.stack([_compute_coverage(thing, scene) for thing in scene.things])  # (things, 64)
    owner = shares.argmax(axis=0)
    covered = shares.max(axis=0) >= _MIN_COVERAGE
    for index, thing in enumerate(scene.things):
        mask = covered & (owner == index)
        mask[shares[index].argmax()] = True
        labels[mask] = (
            1 + NOUNS.index(thing.noun),
            1 + COLORS.index(thing.color),
            1 + PLACES.index(thing.place),
        )
    return labels


def label_summary_patches(scene: Scene) -> NDArray[np.uint8]:
    """Label each of the nine places with noun, colour, size and background colour. (9, 4)"""
    summary = np.zeros((len(PLACES), 4), dtype=np.uint8)
    summary[:, 3] = BACKGROUND_COLORS.index(scene.ground.name)
    for thing in scene.things:
        summary[PLACES.index(thing.place), :3] = (
            1 + NOUNS.index(thing.noun),
            1 + COLORS.index(thing.color),
            1 + SIZES.index(thing.size),
        )
    return summary


def _label_background_places(scene: Scene) -> NDArray[np.uint8]:
    """The one-based place of each patch's centre; 0 on the padding. (64,)"""
    side = max(scene.width, scene.height)
    centers = (np.arange(GRID) + 0.5) * side / GRID
    columns = _index_thirds(centers - (side - scene.width) // 2, scene.width)
    rows = _index_thirds(centers - (side - scene.height) // 2, scene.height)
    inside = (rows[:, None] >= 0) & (columns[None, :] >= 0)
    places = 1 + 3 * rows[:, None] + columns[None, :]
    return np.where(inside, places, 0).astype(np.uint8).reshape(-1)


def _index_thirds(positions: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    thirds = np.floor(3 * positions / length).astype(np.int64)
    return np.where((thirds >= 0) & (thirds <= 2), thirds, -1)


def _compute_coverage(thing: Thing, scene: Scene) -> NDArray[np.float32]:
    """The share of each patch's pixels that the thing covers. (64,)"""
    side = max(scene.width, scene.height)
    scale = IMAGE_SIZE / side
    left, top = (side - scene.width) // 2, (side - scene.height) // 2
    corners = [(scale * (x + left), scale * (y + top)) for x, y in compute_outline(thing)]
    mask = Image.new("L", (IMAGE_SIZE, IMAGE_SIZE))
    ImageDraw.Draw(mask).polygon(corners, fill=1)
    patches = np.asarray(mask, dtype=np.float32).reshape(GRID, PATCH_SIZE, GRID, PATCH_SIZE)
    shares: NDArray[np.float32] = patches.mean(axis=(1, 3)).reshape(-1)
    return shares

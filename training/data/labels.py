"""What the vision tower is taught: what each patch shows, and what each third of a picture holds.

Nine patches sum the picture up, one for each place, always the same ones: the patches nearest to
the middles of a square's thirds. So a decoder that asks for a place or counts things need not find
out first which of the 64 patches belong together.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.data.drawing import GRID, IMAGE_SIZE, PATCH_SIZE, outline
from training.data.scenes import COLORS, GROUNDS, NOUNS, PLACES, SIZES, Scene, Thing

# A patch's noun, colour and place; 0 is none of them.
PATCH_SIZES: Final = (1 + len(NOUNS), 1 + len(COLORS), 1 + len(PLACES))
# A summary patch's noun, colour and size, 0 for an empty place, and the ground's colour.
SUMMARY_SIZES: Final = (1 + len(NOUNS), 1 + len(COLORS), 1 + len(SIZES), len(GROUNDS))

_ANCHORS: Final = (1, 4, 6)
SUMMARY_PATCHES: Final = tuple(GRID * row + column for row in _ANCHORS for column in _ANCHORS)

# A patch shows a thing if the thing covers at least this share of it.
_COVERED: Final = 0.12


def label_patches(scene: Scene) -> NDArray[np.uint8]:
    """Say what each patch shows: noun, colour and place as one-based indices. (64, 3)

    A patch of bare ground has noun and colour 0 and the place it lies in itself; a patch of
    padding is 0 throughout.
    """
    labels = np.zeros((GRID * GRID, 3), dtype=np.uint8)
    labels[:, 2] = _ground_places(scene)
    if not scene.things:
        return labels
    shares = np.stack([_coverage(thing, scene) for thing in scene.things])  # (things, 64)
    owner = shares.argmax(axis=0)
    seen = shares.max(axis=0) >= _COVERED
    for index, thing in enumerate(scene.things):
        shown = seen & (owner == index)
        shown[shares[index].argmax()] = True
        labels[shown] = (
            1 + NOUNS.index(thing.noun),
            1 + COLORS.index(thing.color),
            1 + PLACES.index(thing.place),
        )
    return labels


def summarise(scene: Scene) -> NDArray[np.uint8]:
    """Say what each of the nine places holds: noun, colour, size, ground. (9, 4)"""
    summary = np.zeros((len(PLACES), 4), dtype=np.uint8)
    summary[:, 3] = GROUNDS.index(scene.ground.name)
    for thing in scene.things:
        summary[PLACES.index(thing.place), :3] = (
            1 + NOUNS.index(thing.noun),
            1 + COLORS.index(thing.color),
            1 + SIZES.index(thing.size),
        )
    return summary


def _ground_places(scene: Scene) -> NDArray[np.uint8]:
    """The third each patch's centre lies in, one-based, 0 on the padding. (64,)"""
    side = max(scene.width, scene.height)
    centers = (np.arange(GRID) + 0.5) * side / GRID
    columns = _thirds(centers - (side - scene.width) // 2, scene.width)
    rows = _thirds(centers - (side - scene.height) // 2, scene.height)
    inside = (rows[:, None] >= 0) & (columns[None, :] >= 0)
    places = 1 + 3 * rows[:, None] + columns[None, :]
    return np.where(inside, places, 0).astype(np.uint8).reshape(-1)


def _thirds(positions: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    thirds = np.floor(3 * positions / length).astype(np.int64)
    return np.where((thirds >= 0) & (thirds <= 2), thirds, -1)


def _coverage(thing: Thing, scene: Scene) -> NDArray[np.float32]:
    """The share of each patch that the thing covers. (64,)"""
    side = max(scene.width, scene.height)
    scale = IMAGE_SIZE / side
    left, top = (side - scene.width) // 2, (side - scene.height) // 2
    corners = [(scale * (x + left), scale * (y + top)) for x, y in outline(thing)]
    mask = Image.new("L", (IMAGE_SIZE, IMAGE_SIZE))
    ImageDraw.Draw(mask).polygon(corners, fill=1)
    patches = np.asarray(mask, dtype=np.float32).reshape(GRID, PATCH_SIZE, GRID, PATCH_SIZE)
    shares: NDArray[np.float32] = patches.mean(axis=(1, 3)).reshape(-1)
    return shares

"""From a scene to its picture, to the pixels the model sees and to labels for each patch."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model_store.recipe.scenes import COLORS, PLACES, SHAPES, Scene, Thing

IMAGE_SIZE = 96
PATCH_SIZE = 12
GRID = IMAGE_SIZE // PATCH_SIZE
# LLaVA's `pad`: tuple(int(255 * m) for m in CLIP's mean).
PAD_COLOR = (122, 116, 104)

Point = tuple[float, float]

_SUPERSAMPLING = 4
_BORDER = 0.12
# A patch shows a thing if the thing covers at least this share of it.
_COVERED = 0.12


def draw(scene: Scene) -> Image.Image:
    """Draw the scene as an RGB picture of its own size."""
    image = Image.new("RGB", (scene.width, scene.height), scene.ground)
    for thing in scene.things:
        if thing.border is None:
            _fill(image, outline(thing), thing.rgb, scene.smooth)
        else:
            _fill(image, outline(thing), thing.border, scene.smooth)
            _fill(image, outline(thing, 1 - _BORDER), thing.rgb, scene.smooth)
    return _compress(_add_noise(image, scene), scene.jpeg)


def preprocess(image: Image.Image) -> NDArray[np.uint8]:
    """Pad to a square, resize: LLaVA-1.5's `pad` before normalising. (96, 96, 3)"""
    side = max(image.size)
    square = Image.new("RGB", (side, side), PAD_COLOR)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC))


def label_patches(scene: Scene) -> NDArray[np.uint8]:
    """Say what each patch shows: shape, colour and place as one-based indices. (64, 3)

    A patch of bare ground has shape and colour 0 and the place it lies in itself; a patch of
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
            1 + SHAPES.index(thing.shape),
            1 + COLORS.index(thing.color),
            1 + PLACES.index(thing.place),
        )
    return labels


def outline(thing: Thing, scale: float = 1.0) -> list[Point]:
    """The thing's corners in the picture's pixels."""
    radius, angle = scale * thing.radius, math.radians(thing.rotation)
    cos, sin = radius * math.cos(angle), radius * math.sin(angle)
    return [
        (thing.x + cos * x - sin * y, thing.y + sin * x + cos * y)
        for x, y in _corners(thing.shape, thing.waist)
    ]


def _corners(shape: str, waist: float) -> list[Point]:
    if shape == "circle":
        return [_polar(1, turn / 48) for turn in range(48)]
    if shape == "star":
        return [_polar(waist if turn % 2 else 1, turn / 10) for turn in range(10)]
    if shape == "triangle":
        return [(0, -1), (1, 0.85), (-1, 0.85)]
    if shape == "square":
        return [(-0.92, -0.92), (0.92, -0.92), (0.92, 0.92), (-0.92, 0.92)]
    arm = [(-waist, -1.0), (waist, -1.0), (waist, -waist)]
    return [corner for quarter in range(4) for corner in _turned(arm, quarter)]


def _polar(radius: float, turn: float) -> Point:
    return radius * math.sin(2 * math.pi * turn), -radius * math.cos(2 * math.pi * turn)


def _turned(points: list[Point], quarters: int) -> list[Point]:
    for _ in range(quarters):
        points = [(-y, x) for x, y in points]
    return points


def _fill(
    image: Image.Image, corners: list[Point], rgb: tuple[int, int, int], smooth: bool
) -> None:
    """Fill a polygon; smooth edges come from a larger mask of the polygon's box alone."""
    left, top = (math.floor(min(axis)) for axis in zip(*corners, strict=True))
    right, bottom = (math.ceil(max(axis)) + 1 for axis in zip(*corners, strict=True))
    factor = _SUPERSAMPLING if smooth else 1
    size = (right - left, bottom - top)
    mask = Image.new("L", (factor * size[0], factor * size[1]))
    shifted = [(factor * (x - left), factor * (y - top)) for x, y in corners]
    ImageDraw.Draw(mask).polygon(shifted, fill=255)
    image.paste(rgb, (left, top), mask.resize(size, Image.Resampling.BOX) if smooth else mask)


def _add_noise(image: Image.Image, scene: Scene) -> Image.Image:
    if not scene.noise:
        return image
    rng = np.random.default_rng(scene.seed)
    pixels = np.asarray(image, dtype=np.float32)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(scene.noise)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def _compress(image: Image.Image, quality: int | None) -> Image.Image:
    if quality is None:
        return image
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


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

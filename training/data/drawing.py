"""Draws a scene as an image, and preprocesses an image for the model."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.data.fonts import render_text_mask
from training.data.scenes import RGB, Background, Scene, Thing

IMAGE_SIZE = 96
PATCH_SIZE = 12
GRID = IMAGE_SIZE // PATCH_SIZE
# LLaVA's `pad`: tuple(int(255 * m) for m in CLIP's mean).
PAD_COLOR = (122, 116, 104)

Point = tuple[float, float]

_SUPERSAMPLING = 4
_BORDER = 0.12


def draw(scene: Scene) -> Image.Image:
    """Draw the scene as an RGB image of the scene's size."""
    image = _draw_background(scene.width, scene.height, scene.ground)
    for thing in scene.things:
        if not thing.is_shape:
            _paste_text(image, thing)
        elif thing.border is None:
            _fill_polygon(image, compute_outline(thing), thing.rgb, scene.smooth)
        else:
            _fill_polygon(image, compute_outline(thing), thing.border, scene.smooth)
            _fill_polygon(image, compute_outline(thing, 1 - _BORDER), thing.rgb, scene.smooth)
    return _compress(_add_noise(image, scene), scene.jpeg)


def preprocess(image: Image.Image) -> NDArray[np.uint8]:
    """Pad to a square and resize: LLaVA-1.5's `pad`, without normalisation. (96, 96, 3)"""
    side = max(image.size)
    square = Image.new("RGB", (side, side), PAD_COLOR)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC))


def compute_outline(thing: Thing, scale: float = 1.0) -> list[Point]:
    """The corners of a shape, or of printed text's square, in pixels of the image."""
    radius, angle = scale * thing.radius, math.radians(thing.rotation)
    cos, sin = radius * math.cos(angle), radius * math.sin(angle)
    return [
        (thing.x + cos * x - sin * y, thing.y + sin * x + cos * y)
        for x, y in _build_unit_corners(thing.noun, thing.waist)
    ]


def _build_unit_corners(noun: str, waist: float) -> list[Point]:
    if noun == "circle":
        return [_polar_to_cartesian(1, turn / 48) for turn in range(48)]
    if noun == "star":
        return [_polar_to_cartesian(waist if turn % 2 else 1, turn / 10) for turn in range(10)]
    if noun == "triangle":
        return [(0, -1), (1, 0.85), (-1, 0.85)]
    if noun == "cross":
        arm = [(-waist, -1.0), (waist, -1.0), (waist, -waist)]
        return [corner for quarter in range(4) for corner in _rotate_quarters(arm, quarter)]
    return [(-0.92, -0.92), (0.92, -0.92), (0.92, 0.92), (-0.92, 0.92)]


def _polar_to_cartesian(radius: float, turn: float) -> Point:
    return radius * math.sin(2 * math.pi * turn), -radius * math.cos(2 * math.pi * turn)


def _rotate_quarters(points: list[Point], quarters: int) -> list[Point]:
    for _ in range(quarters):
        points = [(-y, x) for x, y in points]
    return points


def _draw_background(width: int, height: int, background: Background) -> Image.Image:
    if background.pattern == "plain":
        return Image.new("RGB", (width, height), background.rgb)
    weights = _compute_blend_weights(width, height, background)[..., None]  # (height, width, 1)
    tints = (background.rgb, background.other)
    one, other = (np.array(rgb, dtype=np.float32) for rgb in tints)
    return Image.fromarray((one + weights * (other - one)).round().astype(np.uint8))


def _compute_blend_weights(width: int, height: int, background: Background) -> NDArray[np.float32]:
    """The weight of the other tint in each pixel, 0 to 1. (height, width)"""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = math.radians(background.angle)
    along, across = (
        (math.cos(angle) * x + math.sin(angle) * y),
        (math.cos(angle) * y - math.sin(angle) * x),
    )
    if background.pattern == "gradient":
        weights: NDArray[np.float32] = (along - along.min()) / max(np.ptp(along), 1)
        return weights
    bands = np.floor(along / background.period)
    if background.pattern == "checks":
        bands += np.floor(across / background.period)
    odd: NDArray[np.float32] = (bands % 2).astype(np.float32)
    return odd


def _paste_text(image: Image.Image, thing: Thing) -> None:
    mask = render_text_mask(thing.printed_text, thing.font, thing.radius, thing.rotation)
    corner = (round(thing.x - mask.width / 2), round(thing.y - mask.height / 2))
    image.paste(thing.rgb, corner, mask)


def _fill_polygon(image: Image.Image, corners: list[Point], rgb: RGB, smooth: bool) -> None:
    """Fill a polygon; antialiasing supersamples a mask of the polygon's bounding box."""
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

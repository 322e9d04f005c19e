"""Preprocessing equals that of the released code and of transformers."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)

from server.images.decode.image_processor import (
    PAD_COLOR,
    center_crop,
    preprocess,
    preprocess_anyres,
    resize_shortest_edge,
)
from server.images.decode.padding import paste_centred
from tests.server.pictures import make_noise
from tests.server.released import PINPOINTS, anyres_views, pinpoints

Pixels = npt.NDArray[np.uint8]

# Square, oblong both ways, odd differences, around the target, one pixel wide, down and up.
SHAPES = [
    *[(96, 96), (640, 480), (480, 640), (97, 96), (96, 97), (101, 50), (50, 101), (333, 500)],
    *[(95, 96), (96, 95), (10, 7), (7, 10), (3, 2), (1, 1), (1, 9), (9, 1), (200, 96), (96, 200)],
    *[(1000, 31), (31, 1000), (257, 255)],
]


def pad_to_square(pixels: Pixels) -> Pixels:
    """Paste centred on a square, as the released code's `expand2square` does."""
    height, width, _ = pixels.shape
    side = max(height, width)
    padded = np.full((side, side, 3), (122, 116, 104), dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = pixels
    return padded


def expand2square(image: Image.Image, color: tuple[int, int, int]) -> Image.Image:
    """Return the padded square, as the released code does."""
    return paste_centred(image, (max(image.size), max(image.size)), color)


def preprocess_square(image: Image.Image, size: int, color: tuple[int, int, int]) -> Pixels:
    """Preprocess by way of the padded square."""
    resized = resize_shortest_edge(expand2square(image, color), size)
    return np.asarray(center_crop(resized, size))


def run_reference(processor: Any, image: Image.Image) -> Pixels:
    """Run transformers' processor up to the rescale."""
    (pixels,) = processor(image, do_rescale=False, do_normalize=False)["pixel_values"]
    view: Pixels = np.asarray(pixels).transpose(1, 2, 0)
    assert view.dtype == np.uint8
    return view


def build_clip_processor(size: int) -> Any:
    """Return CLIP's processor on PIL."""
    return CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )


def build_llava_processor(size: int) -> Any:
    """Return LLaVA's processor on PIL, with the padding that LLaVA-1.5 was trained with."""
    return LlavaImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}, do_pad=True
    )


def test_pad_color_is_the_truncated_mean() -> None:
    assert PAD_COLOR == (122, 116, 104)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((4, 2), (0, 1, 4, 3)),
        ((2, 4), (1, 0, 3, 4)),
        # An odd difference: the smaller half lies above and to the left.
        ((5, 2), (0, 1, 5, 3)),
        ((2, 5), (1, 0, 3, 5)),
        ((1, 8), (3, 0, 4, 8)),
        ((7, 7), (0, 0, 7, 7)),
    ],
)
def test_padding_is_centred(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    image = make_noise(*size)
    padded = expand2square(image, PAD_COLOR)
    assert preprocess(image, max(size), "pad").tolist() == [np.asarray(padded).tolist()]
    assert np.array_equal(np.asarray(padded.crop(box)), np.asarray(image))
    around = np.ones((max(size), max(size)), dtype=bool)
    around[box[1] : box[3], box[0] : box[2]] = False
    assert (np.asarray(padded)[around] == (122, 116, 104)).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [96, 336])
def test_pad_equals_the_released_code(shape: tuple[int, int], size: int) -> None:
    image = make_noise(*shape)
    views = preprocess(image, size, "pad")
    assert views.shape == (1, size, size, 3)
    assert views.dtype == np.uint8
    padded = Image.fromarray(pad_to_square(np.asarray(image)))
    assert np.array_equal(views[0], run_reference(build_clip_processor(size), padded))
    assert np.array_equal(views[0], run_reference(build_llava_processor(size), image))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [96, 224])
def test_square_equals_clips_processor(shape: tuple[int, int], size: int) -> None:
    image = make_noise(*shape)
    views = preprocess(image, size, "square")
    assert views.shape == (1, size, size, 3)
    assert np.array_equal(views[0], run_reference(build_clip_processor(size), image))


SIDES = st.integers(1, 160)


@settings(max_examples=60)
@given(SIDES, SIDES, st.integers(1, 64), st.sampled_from(["square", "pad"]))
def test_any_shape_becomes_one_view(
    width: int, height: int, size: int, aspect_ratio: Literal["square", "pad"]
) -> None:
    image = make_noise(width, height)
    view = preprocess(image, size, aspect_ratio)[0]
    assert view.shape == (size, size, 3)
    if aspect_ratio == "pad":
        image = Image.fromarray(pad_to_square(np.asarray(image)))
    assert np.array_equal(view, run_reference(build_clip_processor(size), image))


@settings(max_examples=40)
@given(SIDES, SIDES, st.integers(1, 64))
def test_a_uniform_image_stays_uniform(width: int, height: int, size: int) -> None:
    red = preprocess(Image.new("RGB", (width, height), (200, 30, 60)), size, "square")
    assert (red == (200, 30, 60)).all()
    grey = preprocess(Image.new("RGB", (width, height), PAD_COLOR), size, "pad")
    assert (grey == PAD_COLOR).all()


@settings(max_examples=80)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([8, 14, 24]))
def test_anyres_equals_the_released_code(width: int, height: int, size: int) -> None:
    image = make_noise(width, height)
    views = preprocess_anyres(image, size, pinpoints(size), image.size)
    assert views.dtype == np.uint8
    assert np.array_equal(views, anyres_views(image, size, pinpoints(size)))
    # transformers' processor on PIL agrees; its default one, on torchvision, does not quite.
    processor = LlavaNextImageProcessorPil(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_grid_pinpoints=[[height, width] for width, height in pinpoints(size)],
    )
    (theirs,) = processor(image, do_rescale=False, do_normalize=False)["pixel_values"]
    assert np.array_equal(views, np.asarray(theirs).transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("shape", "count"),
    [((640, 480), 5), ((900, 300), 4), ((300, 900), 4), ((60, 30), 3), ((1, 3000), 3)],
)
def test_anyres_at_full_size(shape: tuple[int, int], count: int) -> None:
    image = make_noise(*shape)
    views = preprocess_anyres(image, 336, PINPOINTS, image.size)
    assert views.shape == (count, 336, 336, 3)
    assert np.array_equal(views, anyres_views(image, 336, PINPOINTS))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_base_view_alone_equals_the_first_view(shape: tuple[int, int]) -> None:
    image = make_noise(*shape)
    (base,) = preprocess_anyres(image, 24, (), image.size)
    assert np.array_equal(base, preprocess_anyres(image, 24, pinpoints(24), image.size)[0])


def test_padding_has_the_given_colour() -> None:
    views = preprocess(Image.new("RGB", (48, 24), "red"), 48, "pad", (1, 2, 3))
    assert views[0, 0, 0].tolist() == [1, 2, 3]


COLORS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))


@settings(max_examples=150)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 120), COLORS)
def test_padding_equals_a_padded_square(
    width: int, height: int, size: int, color: tuple[int, int, int]
) -> None:
    image = make_noise(width, height)
    (view,) = preprocess(image, size, "pad", color)
    assert np.array_equal(view, preprocess_square(image, size, color))


@pytest.mark.parametrize("shape", [(1, 3001), (3001, 1), (700, 3000), (3000, 701), (2999, 3000)])
def test_padding_in_bands_leaves_no_seams(shape: tuple[int, int]) -> None:
    image = make_noise(*shape)
    (view,) = preprocess(image, 336, "pad", (255, 1, 128))
    assert np.array_equal(view, preprocess_square(image, 336, (255, 1, 128)))


@pytest.mark.parametrize("shape", [(1, 3001), (40, 3000), (700, 3000), (2999, 3000)])
def test_skipped_columns_are_padding(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.images.decode.padding.MAX_FULL_WIDTH_ROWS", 100)
    image = make_noise(*shape)
    (view,) = preprocess(image, 96, "pad", (255, 1, 128))
    difference = view.astype(int) - preprocess_square(image, 96, (255, 1, 128))
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.001


@pytest.mark.parametrize("shape", [(60_000, 20), (20, 60_000)])
def test_a_very_oblong_image_is_padded(shape: tuple[int, int]) -> None:
    (view,) = preprocess(Image.new("RGB", shape, "red"), 96, "pad", (0, 0, 0))
    strip = view[47:49] if shape[0] > shape[1] else view[:, 47:49]
    assert strip[..., 0].any()
    assert not view[0, 0].any()

"""CLIP's normalisation, the settings' values, and the padding's colour."""

import pytest
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from llava_spec.image_settings import (
    ASPECT_RATIOS,
    CLIP_MEAN,
    CLIP_STD,
    PATCH_MERGES,
    Channels,
    compute_pad_color,
)


def test_normalisation_is_transformers_own() -> None:
    assert list(CLIP_MEAN) == OPENAI_CLIP_MEAN
    assert list(CLIP_STD) == OPENAI_CLIP_STD


def test_values() -> None:
    assert ASPECT_RATIOS == ("square", "pad", "anyres")
    assert PATCH_MERGES == ("flat", "spatial", "spatial_unpad")


@pytest.mark.parametrize(
    ("mean", "color"),
    [
        (CLIP_MEAN, (122, 116, 104)),
        ((0.5, 0.25, 1.0), (127, 63, 255)),
        ((0.0, 0.0, 0.0), (0, 0, 0)),
    ],
)
def test_the_mean_is_rounded_down(mean: Channels, color: tuple[int, int, int]) -> None:
    assert compute_pad_color(mean) == color

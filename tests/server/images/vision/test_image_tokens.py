"""The counted image tokens equal the merged ones."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llava_spec.anyres import select_best_resolution
from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, PatchMerge
from server.checkpoint.vision import ImageConfig
from server.images.vision.image_tokens import count_base_view_tokens, count_image_tokens
from server.images.vision.merge import merge_views
from tests.server.images.vision.small_model import IMAGE, VISION
from tests.server.released import pinpoints

ANYRES = ImageConfig(VISION.image_size, "anyres", CLIP_MEAN, CLIP_STD, pinpoints(VISION.image_size))
SIDES = st.integers(1, 3000)


def count_merged_tokens(
    size: tuple[int, int], image: ImageConfig, views: int, **changes: Any
) -> int:
    """Return the number of image tokens after a merge."""
    vision = replace(VISION, text_hidden_size=1, **changes)
    newline = torch.zeros(1) if vision.has_image_newline else None
    embeds = torch.zeros(views, vision.num_image_tokens, 1)
    return len(merge_views(embeds, size, vision, image, newline))


@settings(max_examples=200)
@given(SIDES, SIDES, st.sampled_from(["flat", "spatial", "spatial_unpad"]))
def test_image_tokens_of_a_tiled_image(width: int, height: int, patch_merge: PatchMerge) -> None:
    size = (width, height)
    across, down = select_best_resolution(size, ANYRES.grid_pinpoints)
    views = 1 + across * down // ANYRES.size**2
    vision = replace(VISION, patch_merge=patch_merge)
    assert count_image_tokens(size, vision, ANYRES) == count_merged_tokens(
        size, ANYRES, views, patch_merge=patch_merge
    )


@pytest.mark.parametrize("patch_merge", ["flat", "spatial", "spatial_unpad"])
@pytest.mark.parametrize("keep_class_token", [False, True])
def test_image_tokens_of_a_base_view(patch_merge: PatchMerge, keep_class_token: bool) -> None:
    changes = {"patch_merge": patch_merge, "keep_class_token": keep_class_token}
    vision = replace(VISION, patch_merge=patch_merge, keep_class_token=keep_class_token)
    assert count_base_view_tokens(vision) == count_merged_tokens((300, 200), ANYRES, 1, **changes)


def test_image_tokens_of_a_padded_image() -> None:
    assert count_image_tokens((300, 200), VISION, IMAGE) == count_merged_tokens(
        (300, 200), IMAGE, 1
    )

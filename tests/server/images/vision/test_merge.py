"""Merging views equals transformers and the restated released code."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration
from transformers.models.llava_next.modeling_llava_next import unpad_image

from llava_spec.anyres import Size
from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.image_token_bound import max_image_tokens
from server.checkpoint.vision import ImageConfig, VisionConfig
from server.images.decode.image_processor import preprocess_anyres
from server.images.vision.merge import merge_views
from server.images.vision.tower import VisionModel
from tests.server.images.vision.small_model import VISION, build_random_weights
from tests.server.images.vision.test_tower import build_clip_config, normalize
from tests.server.pictures import make_noise
from tests.server.released import best_resolution, merge_image_tokens, pinpoints

SIZE, HIDDEN = VISION.image_size, VISION.text_hidden_size
UNPAD = replace(VISION, patch_merge="spatial_unpad")
IMAGE = ImageConfig(SIZE, "anyres", CLIP_MEAN, CLIP_STD, pinpoints(SIZE))
NEWLINE = torch.full((HIDDEN,), -1.0)
SIDES = st.integers(1, 2000)

# LLaVA-1.6's own tower and grids; features of width 1 make it quick.
REAL = replace(UNPAD, image_size=336, patch_size=14, text_hidden_size=1)
REAL_IMAGE = ImageConfig(336, "anyres", CLIP_MEAN, CLIP_STD, pinpoints(336))


def build_embeds(image_size: Size, vision: VisionConfig, image: ImageConfig) -> Tensor:
    """Return numbered image_embeds of all views: (views, tokens, hidden)."""
    width, height = best_resolution(image_size, image.grid_pinpoints)
    views = 1 + width * height // image.size**2
    count = views * vision.num_image_tokens * vision.text_hidden_size
    return torch.arange(count).float().view(views, -1, vision.text_hidden_size)


def merge_as_released(embeds: Tensor, image_size: Size, side: int, image: ImageConfig) -> Tensor:
    """Merge as the released code does."""
    columns = best_resolution(image_size, image.grid_pinpoints)[0] // image.size
    newline = -np.ones(embeds.shape[-1])
    numbers = embeds.double().numpy()
    image_tokens = merge_image_tokens(numbers[0], numbers[1:], newline, image_size, columns, side)
    return torch.from_numpy(np.stack(image_tokens)).float()


@settings(max_examples=150)
@given(SIDES, SIDES)
def test_spatial_unpad_equals_the_released_code(width: int, height: int) -> None:
    size = (width, height)
    embeds = build_embeds(size, UNPAD, IMAGE)
    merged = merge_views(embeds, size, UNPAD, IMAGE, NEWLINE)
    assert torch.equal(merged, merge_as_released(embeds, size, 4, IMAGE))
    assert len(merged) <= max_image_tokens(UNPAD, IMAGE)


@settings(max_examples=25)
@given(st.integers(1, 5000), st.integers(1, 5000))
def test_spatial_unpad_at_full_size(width: int, height: int) -> None:
    size = (width, height)
    embeds = build_embeds(size, REAL, REAL_IMAGE)
    merged = merge_views(embeds, size, REAL, REAL_IMAGE, torch.tensor([-1.0]))
    assert torch.equal(merged, merge_as_released(embeds, size, 24, REAL_IMAGE))


@pytest.mark.parametrize(
    ("image_size", "num_image_tokens"),
    [
        ((672, 672), 576 + 48 * 49),
        ((640, 480), 576 + 36 * 49),
        ((480, 640), 576 + 48 * 37),
        ((1008, 336), 576 + 24 * 73),
        ((9000, 1), 576),  # so oblong that the whole grid is padding
    ],
)
def test_image_tokens_of_llava_1_6(image_size: Size, num_image_tokens: int) -> None:
    embeds = build_embeds(image_size, REAL, REAL_IMAGE)
    assert (
        len(merge_views(embeds, image_size, REAL, REAL_IMAGE, torch.zeros(1))) == num_image_tokens
    )
    assert max_image_tokens(REAL, REAL_IMAGE) >= num_image_tokens


def test_unpadding_rounds_as_the_released_code_and_not_as_transformers() -> None:
    # 55 * (48 / 176) is 14.999999999999998: 14 rows here. transformers and vLLM round it to
    # seven places first, which makes 15, and so leave one more row on either side.
    size, image = (176, 55), replace(REAL_IMAGE, grid_pinpoints=((672, 672),))
    assert unpad_image(torch.zeros(1, 48, 48), size[::-1]).shape == (1, 16, 48)
    embeds = build_embeds(size, REAL, image)
    merged = merge_views(embeds, size, REAL, image, torch.tensor([-1.0]))
    assert len(merged) == 576 + 14 * 49
    assert torch.equal(merged, merge_as_released(embeds, size, 24, image))


@pytest.mark.parametrize("image_size", [(640, 480), (100, 300)])
def test_flat_is_one_view_after_another(image_size: Size) -> None:
    embeds = build_embeds(image_size, VISION, IMAGE)
    merged = merge_views(embeds, image_size, VISION, IMAGE, None)
    assert torch.equal(merged, embeds.reshape(-1, HIDDEN))


def test_spatial_keeps_the_padding_and_has_no_newlines() -> None:
    spatial = replace(VISION, patch_merge="spatial")
    size = (100, 300)
    embeds = build_embeds(size, spatial, IMAGE)
    merged = merge_views(embeds, size, spatial, IMAGE, None)
    assert len(merged) == embeds.shape[0] * embeds.shape[1]
    assert torch.equal(merged[:16], embeds[0])
    # One tile wide: the grid's rows are the tiles' rows.
    assert torch.equal(merged[16:], embeds[1:].reshape(-1, HIDDEN))
    wide = build_embeds((300, 100), spatial, IMAGE)
    row = merge_views(wide, (300, 100), spatial, IMAGE, None)[16 : 16 + 12]
    assert torch.equal(row, wide[1:, :4].reshape(-1, HIDDEN))


def test_a_base_view_alone_ends_with_a_newline() -> None:
    embeds = build_embeds((640, 480), UNPAD, IMAGE)[:1]
    merged = merge_views(embeds, (640, 480), UNPAD, IMAGE, NEWLINE)
    assert torch.equal(merged, torch.cat([embeds[0], NEWLINE[None]]))
    spatial = replace(VISION, patch_merge="spatial")
    assert torch.equal(merge_views(embeds, (640, 480), spatial, IMAGE, None), embeds[0])


def llava_next() -> tuple[Any, VisionModel]:
    """Return transformers' small random LLaVA-NeXT and ours with its weights."""
    config = LlavaNextConfig(
        vision_config=build_clip_config(VISION, VISION.num_layers + 1),
        text_config={
            "model_type": "llama",
            "hidden_size": HIDDEN,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "vocab_size": 32,
        },
        image_token_index=4,
        image_grid_pinpoints=[[height, width] for width, height in IMAGE.grid_pinpoints],
    )
    reference = LlavaNextForConditionalGeneration(config).eval()
    reference.load_state_dict(build_random_weights(reference))
    weights = {
        name.removeprefix("model.").replace("vision_model.", ""): tensor
        for name, tensor in reference.state_dict().items()
    }
    model = VisionModel(UNPAD, IMAGE).eval()
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return reference, model


REFERENCE, MODEL = llava_next()


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300))
def test_features_equal_transformers(width: int, height: int) -> None:
    image = make_noise(width, height)
    pixels = torch.from_numpy(preprocess_anyres(image, SIZE, IMAGE.grid_pinpoints, image.size))
    ours = MODEL.merge(MODEL(pixels), image.size)
    with torch.inference_mode():
        theirs = REFERENCE.model.get_image_features(
            normalize(pixels)[None], torch.tensor([[height, width]])
        ).pooler_output[0]
    assume(ours.shape == theirs.shape)  # where their rounding is the released code's
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)

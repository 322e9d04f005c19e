"""LLaVA-OneVision and Interleave: image tokens and image_embeds equal transformers'."""

import random
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor

from llava_spec.anyres import limit_grid
from server.checkpoint.config import Checkpoint, read_checkpoint
from server.images.decode.decode import DecodedImage, DecodeOptions, decode
from server.images.decode.view_choice import choose_views, narrow_options
from server.images.vision.image_tokens import count_base_view_tokens, count_image_tokens
from server.images.vision.weights import load_vision_model, stores_image_newline
from tests.server.pictures import encode_image, make_photo
from tests.server.siglip_family import SiglipCheckpoint, write_interleave, write_onevision

# One tile, grids scaled down and just not scaled down, oblong images, and ones of odd sides.
SHAPES = [(62, 62), (200, 90), (31, 200), (371, 369), (372, 124), (124, 372), (700, 701), (900, 7)]


@pytest.fixture(scope="module")
def onevision(tmp_path_factory: pytest.TempPathFactory) -> SiglipCheckpoint:
    """Return a checkpoint that tests only read."""
    return write_onevision(tmp_path_factory.mktemp("onevision"))


@pytest.fixture(scope="module")
def interleave(tmp_path_factory: pytest.TempPathFactory) -> SiglipCheckpoint:
    """Return a checkpoint that tests only read."""
    return write_interleave(tmp_path_factory.mktemp("interleave"))


def embed(checkpoint: Checkpoint, pictures: list[Image.Image]) -> list[Tensor]:
    """Return the image_embeds of a request's images, as the server makes them."""
    model = load_vision_model(checkpoint, torch.device("cpu"), torch.float32)
    image = checkpoint.image
    options = DecodeOptions(
        image.size, image.aspect_ratio, 10**7, image.grid_pinpoints, image.pad_color
    )
    views = choose_views(image, num_images=len(pictures), low_detail=False)
    embeds = []
    for picture in pictures:
        decoded = decode(encode_image(picture), narrow_options(options, views))
        assert isinstance(decoded, DecodedImage)
        image_embeds = model(torch.from_numpy(decoded.views.copy()))
        embeds.append(model.merge(image_embeds, decoded.image_size))
    return embeds


def embed_in_transformers(written: SiglipCheckpoint, pictures: list[Image.Image]) -> list[Tensor]:
    """Return what transformers puts in place of a request's image tokens."""
    inputs = written.prepare([("user", "Hi", pictures)])
    arguments: dict[str, Any] = {"pixel_values": inputs["pixel_values"]}
    if "image_sizes" in inputs:
        arguments["image_sizes"] = inputs["image_sizes"]
        arguments["batch_num_images"] = inputs["batch_num_images"]
    with torch.inference_mode():
        output = written.model.get_image_features(**arguments)
    placed = (inputs["input_ids"] == written.tokenizer.token_to_id("<image>")).sum()
    assert placed == sum(map(len, output.pooler_output))
    return list(output.pooler_output)


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    assert [each.shape for each in found] == [each.shape for each in expected]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
        assert other.std() > 0.1


@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_onevision_embeds_one_image(onevision: SiglipCheckpoint, size: tuple[int, int]) -> None:
    checkpoint = read_checkpoint(onevision.path)
    pictures = [make_photo(*size, 1)]
    found = embed(checkpoint, pictures)
    assert_equal(found, embed_in_transformers(onevision, pictures))
    assert len(found[0]) == count_image_tokens(size, checkpoint.vision, checkpoint.image)


def test_onevision_embeds_several_images(onevision: SiglipCheckpoint) -> None:
    checkpoint = read_checkpoint(onevision.path)
    pictures = [make_photo(*size, 2) for size in SHAPES]
    found = embed(checkpoint, pictures)
    assert_equal(found, embed_in_transformers(onevision, pictures))
    assert {len(each) for each in found} == {count_base_view_tokens(checkpoint.vision)}


@pytest.mark.parametrize("count", [1, 3])
def test_interleave_embeds_images(interleave: SiglipCheckpoint, count: int) -> None:
    pictures = [make_photo(*size, 3) for size in SHAPES[1 : 1 + count]]
    found = embed(read_checkpoint(interleave.path), pictures)
    assert_equal(found, embed_in_transformers(interleave, pictures))


@pytest.mark.parametrize(
    "changes",
    [
        {"vision_feature_layer": -2},
        {"vision_feature_layer": [-1, 0, 2]},
        {"vision_feature_select_strategy": "default"},
    ],
    ids=str,
)
def test_interleave_with_other_features(tmp_path: Path, changes: dict[str, Any]) -> None:
    written = write_interleave(tmp_path, **changes)
    pictures = [make_photo(90, 70, 3)]
    found = embed(read_checkpoint(tmp_path), pictures)
    assert_equal(found, embed_in_transformers(written, pictures))


def test_each_layout_of_the_weights_is_read(
    onevision: SiglipCheckpoint, interleave: SiglipCheckpoint, tmp_path: Path
) -> None:
    assert stores_image_newline(onevision.path)
    assert not stores_image_newline(interleave.path)
    saved = write_onevision(tmp_path)
    saved.model.save_pretrained(tmp_path)
    pictures = [make_photo(90, 70, 3)]
    checkpoint = replace(read_checkpoint(onevision.path), path=tmp_path)
    assert_equal(embed(checkpoint, pictures), embed(read_checkpoint(onevision.path), pictures))


def test_image_tokens_of_500_sizes(onevision: SiglipCheckpoint) -> None:
    """In the sizes of the published checkpoints: 27 patches a side, tiles of 384 pixels."""
    checkpoint = read_checkpoint(onevision.path)
    pinpoints = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]
    vision = replace(checkpoint.vision, image_size=384, patch_size=14)
    grids = tuple((width, height) for height, width in pinpoints)
    image = replace(checkpoint.image, size=384, grid_pinpoints=grids)
    processor: LlavaOnevisionProcessor = deepcopy(onevision.processor)
    processor.num_image_tokens, processor.image_processor.image_grid_pinpoints = 27**2, pinpoints
    numbers = random.Random(0)
    sizes = [(numbers.randint(1, 4000), numbers.randint(1, 4000)) for _ in range(400)]
    sizes += [(numbers.randint(1, 60) * 64, numbers.randint(1, 60) * 48) for _ in range(100)]
    sizes += [(width, height) for height, width in pinpoints] + [(9000, 1), (1, 9000), (768, 2090)]
    expected = [processor._get_number_of_features(h, w, 384, 384) for w, h in sizes]
    assert [count_image_tokens(size, vision, image) for size in sizes] == expected
    bound = replace(checkpoint, vision=vision, image=image).max_image_tokens
    assert max(expected) <= bound < 9000


def test_a_grid_never_shrinks_to_nothing() -> None:
    assert limit_grid((12, 1), 4) == (6, 1)
    assert limit_grid((0, 5), 4) == (0, 5)
    assert limit_grid((11, 11), 100) == (11, 11)
    assert limit_grid((12, 11), 100) == (10, 9)

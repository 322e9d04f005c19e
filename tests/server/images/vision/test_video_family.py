"""Videos of LLaVA-NeXT-Video and LLaVA-OneVision: tokens and embeddings equal transformers'."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoVideoProcessor

from llava_spec.image_settings import CLIP_MEAN
from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.images.decode.image_processor import Pixels
from server.images.decode.video.views import make_view
from server.images.vision.weights import load_vision_model
from tests.server.family import FamilyCheckpoint, write_next_video
from tests.server.pictures import make_photo
from tests.server.siglip_family import VISION, SiglipCheckpoint, write_onevision

Written = FamilyCheckpoint | SiglipCheckpoint


def embed(checkpoint: Checkpoint, frames: Tensor) -> Tensor:
    """Return a video's embeddings, as the server makes them of uint8 views."""
    model = load_vision_model(checkpoint, torch.device("cpu"), torch.float32)
    return model.merge_frames(model.embed_frames(frames))


def embed_in_transformers(written: Written, frames: Tensor) -> Tensor:
    """Return what transformers puts in place of the video's tokens."""
    processor = AutoVideoProcessor.from_pretrained(written.path)
    videos = [frames.permute(0, 3, 1, 2)]
    pixel_values = processor(videos, return_tensors="pt")["pixel_values_videos"]
    config = written.model.config
    with torch.inference_mode():
        output = written.model.get_video_features(
            pixel_values,
            vision_feature_layer=config.vision_feature_layer,
            vision_feature_select_strategy=config.vision_feature_select_strategy,
        )
    embeds: Tensor = output.pooler_output[0]
    return embeds.flatten(0, -2)


def make_frames(count: int, size: int) -> Tensor:
    """Return random uint8 views."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spatial_pool_mode": "max"},
        {"spatial_pool_stride": 4},
        {"vision_feature_layer": [-2, 3]},
    ],
    ids=str,
)
@pytest.mark.parametrize("num_frames", [1, 5])
def test_next_video_embeds_videos(num_frames: int, changes: dict[str, Any], tmp_path: Path) -> None:
    written = write_next_video(tmp_path, **changes)
    checkpoint = read_checkpoint(tmp_path)
    frames = make_frames(num_frames, checkpoint.image.size)
    found, expected = embed(checkpoint, frames), embed_in_transformers(written, frames)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1
    assert checkpoint.video is not None
    assert checkpoint.video.count_tokens(num_frames) == len(found)


@pytest.mark.parametrize("patch_size", [14, 20])
@pytest.mark.parametrize("num_frames", [1, 5])
def test_onevision_embeds_videos(num_frames: int, patch_size: int, tmp_path: Path) -> None:
    written = write_onevision(tmp_path, vision_config=VISION | {"patch_size": patch_size})
    checkpoint = read_checkpoint(tmp_path)
    frames = make_frames(num_frames, checkpoint.image.size)
    found, expected = embed(checkpoint, frames), embed_in_transformers(written, frames)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1
    assert checkpoint.video is not None
    assert checkpoint.video.count_tokens(num_frames) == len(found)


@pytest.mark.parametrize("size", [(62, 62), (120, 47), (33, 80), (301, 300)], ids=str)
@pytest.mark.parametrize("write", [write_next_video, write_onevision])
def test_frames_become_views_as_in_transformers(
    write: Any, size: tuple[int, int], tmp_path: Path
) -> None:
    written = write(tmp_path)
    checkpoint = read_checkpoint(tmp_path)
    video = checkpoint.video
    assert video is not None
    photo = make_photo(*size, 1)
    processor = AutoVideoProcessor.from_pretrained(written.path)
    frame = torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1)[None]
    expected = processor([frame], do_normalize=False, do_rescale=False, return_tensors="pt")
    views = expected["pixel_values_videos"][0].permute(0, 2, 3, 1).numpy()
    found: Pixels = make_view(photo, checkpoint.image.size, crop=video.crop)
    assert np.abs(found.astype(float) - views[0]).max() <= 2


def test_a_model_without_videos_has_no_video_config(tmp_path: Path) -> None:
    write_next_video(tmp_path, model_type="llava_next")
    assert read_checkpoint(tmp_path).video is None


def test_other_pooling_is_refused(tmp_path: Path) -> None:
    write_next_video(tmp_path, spatial_pool_mode="conv")
    with pytest.raises(CheckpointError, match="spatial_pool_mode 'conv' is not supported"):
        read_checkpoint(tmp_path)


def test_frames_are_normalised_by_the_video_processor(tmp_path: Path) -> None:
    write_onevision(tmp_path)
    (tmp_path / "video_preprocessor_config.json").write_text(
        '{"size": {"height": 62, "width": 62}}'
    )
    video = read_checkpoint(tmp_path).video
    assert video is not None
    assert video.mean == CLIP_MEAN


@pytest.mark.parametrize(
    "changes",
    [
        {"spatial_pool_stride": 9},
        {"vision_feature_select_strategy": "full", "mm_patch_merge_type": "flat"},
    ],
    ids=["a stride beyond the grid", "a class token"],
)
def test_frames_that_cannot_be_pooled(changes: dict[str, Any], tmp_path: Path) -> None:
    write_next_video(tmp_path, **changes)
    with pytest.raises(CheckpointError, match="tokens cannot be pooled by squares of"):
        read_checkpoint(tmp_path)

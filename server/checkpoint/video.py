"""A checkpoint's side for videos: how frames are preprocessed, pooled and placed in prompts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, Channels
from server.checkpoint.processor import check_processor, read_channels, read_deviation
from server.checkpoint.vision import VisionConfig
from server.checkpoint.whole_number import read_whole_number

Pooling = Literal["average", "max", "bilinear"]

VIDEO_MODELS: Final = ("llava_next_video", "llava_onevision")


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """What a model does with frames, each of which is one view.

    `average` and `max` pool squares of `stride` patches before the projector, as
    LLaVA-NeXT-Video does; `bilinear` halves the grid after it, as LLaVA-OneVision does. A frame
    keeps `tokens_per_frame`. With `has_newline`, one `image_newline` ends the video. Frames are
    cropped to squares with `crop`, else stretched.
    """

    pooling: Pooling
    stride: int
    tokens_per_frame: int
    has_newline: bool
    crop: bool
    mean: Channels
    std: Channels

    def count_tokens(self, num_frames: int) -> int:
        """Return the number of prompt tokens of a video of so many frames."""
        return num_frames * self.tokens_per_frame + self.has_newline


def read_video_config(
    config: Mapping[str, Any], processor: Mapping[str, Any], vision: VisionConfig
) -> VideoConfig | None:
    """Read it from `config.json` and the video processor's; None for a model without video.

    Raises `ValueError` where a value is not supported, `KeyError` where one is missing.
    """
    if config["model_type"] not in VIDEO_MODELS:
        return None
    is_onevision = config["model_type"] == "llava_onevision"
    pooling, stride = _read_pooling(config)
    side = vision.patches_per_side
    pooled_side = -(-side // stride) if is_onevision else side // stride
    if vision.num_image_tokens != side**2 or not pooled_side:
        raise ValueError(
            f"frames of {vision.num_image_tokens} tokens cannot be pooled by squares of"
            f" {stride}x{stride} patches"
        )
    check_processor(processor)
    default_size = {} if is_onevision else {"shortest_edge": 0}
    return VideoConfig(
        pooling=pooling,
        stride=stride,
        tokens_per_frame=pooled_side**2,
        has_newline=is_onevision,
        crop="shortest_edge" in (processor.get("size") or default_size),
        mean=read_channels(processor, "image_mean", CLIP_MEAN),
        std=read_deviation(processor, CLIP_STD),
    )


def read_video_token_id(config: Mapping[str, Any]) -> int | None:
    """Return the token that stands for a video in prompts; None for a model without video."""
    if config["model_type"] not in VIDEO_MODELS:
        return None
    return read_whole_number(config, "video_token_index", minimum=0)


def _read_pooling(config: Mapping[str, Any]) -> tuple[Pooling, int]:
    if config["model_type"] == "llava_onevision":
        return "bilinear", 2
    mode, stride = config["spatial_pool_mode"], read_whole_number(config, "spatial_pool_stride")
    if mode not in ("average", "max"):
        raise ValueError(f"spatial_pool_mode {mode!r} is not supported")
    pooling: Pooling = mode
    return pooling, stride

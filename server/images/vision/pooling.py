"""Pools the tokens of frames, so that a video of many frames fits a context."""

import math

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from server.checkpoint.video import VideoConfig


def pool_frames(tokens: Tensor, video: VideoConfig) -> Tensor:
    """Pool each frame's grid of tokens (frames, side * side, width) to `tokens_per_frame`.

    Follows transformers' `LlavaNextVideoPooler` (`average`, `max`) and `apply_pooling` of
    LLaVA-OneVision (`bilinear`).
    """
    side, pooled_side = math.isqrt(tokens.shape[1]), math.isqrt(video.tokens_per_frame)
    grid = tokens.transpose(1, 2).unflatten(2, (side, side))  # (frames, width, side, side)
    match video.pooling:
        case "average":
            pooled = avg_pool2d(grid, video.stride)
        case "max":
            pooled = max_pool2d(grid, video.stride)
        case _:
            pooled = interpolate(grid.contiguous(), (pooled_side, pooled_side), mode="bilinear")
    return pooled.flatten(2).transpose(1, 2)

"""Turns frames into views, as the checkpoint's video processor does."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from llava_spec.anyres import Size
from server.images.decode.image_processor import Pixels, center_crop, resize_shortest_edge
from server.images.decode.video.faults import VideoFault, VideoOptions, VideoRefusal


def make_views(frames: Iterable[Image.Image], options: VideoOptions) -> tuple[list[Pixels], Size]:
    """Return RGB frames as views (size, size, 3), and the first one's (width, height).

    Raises `VideoRefusal`.
    """
    views: list[Pixels] = []
    frame_size = (0, 0)
    for frame in frames:
        options.check_frame_size(frame.size)
        frame_size = frame_size if views else frame.size
        views.append(make_view(frame, options.size, crop=options.crop))
    return views, frame_size


def stack_views(views: Sequence[Pixels], num_frames: int) -> Pixels:
    """Return views as (frames, size, size, 3). Raises `VideoRefusal` where one is missing."""
    if len(views) < num_frames:
        raise VideoRefusal(VideoFault.CORRUPT)
    return np.stack(views)


def make_view(frame: Image.Image, size: int, *, crop: bool) -> Pixels:
    """Return a frame as a view (size, size, 3), cropped to a square or stretched to one."""
    if crop:
        return np.asarray(center_crop(resize_shortest_edge(frame, size), size))
    return np.asarray(frame.resize((size, size), Image.Resampling.BICUBIC))

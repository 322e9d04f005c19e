"""The cost of a request's images and videos that wait to be decoded or are being decoded."""

from collections.abc import Sequence
from typing import Protocol

from server.api.admission.cost import estimate_image_bytes
from server.api.limits import ApiLimits
from server.protocol.video import VideoIoKwargs, is_frame_list


class MediaRequest(Protocol):
    """A parsed body that may hold images and videos."""

    @property
    def num_images(self) -> int:
        """The number of its images."""

    @property
    def video_urls(self) -> Sequence[str]:
        """The URLs of its videos."""

    @property
    def video_options(self) -> VideoIoKwargs | None:
        """The request's options for sampling frames of each video."""


def estimate_media_bytes(body_bytes: int, request: MediaRequest, limits: ApiLimits) -> int:
    """Return the image bytes of a request; each frame of a video counts as an image."""
    num_frames = sum(
        _bound_frames(request.video_options, url, limits) for url in request.video_urls
    )
    return estimate_image_bytes(body_bytes, request.num_images + num_frames)


def _bound_frames(options: VideoIoKwargs | None, url: str, limits: ApiLimits) -> int:
    """Return the most frames that are taken from a video."""
    if options is not None and options.asks_for_frames:
        return options.bound_frames(limits.max_video_frames)
    if is_frame_list(url):
        return limits.max_video_frames
    return min(limits.video_frames, limits.max_video_frames)

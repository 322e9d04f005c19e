"""What a request's images and videos cost while they are decoded or wait for it."""

from typing import Protocol

from server.api.admission.cost import estimate_image_bytes
from server.api.limits import ApiLimits
from server.protocol.video import VideoIoKwargs


class MediaRequest(Protocol):
    """A parsed body that may hold images and videos."""

    @property
    def num_images(self) -> int:
        """The number of its images."""

    @property
    def num_videos(self) -> int:
        """The number of its videos."""

    @property
    def video_options(self) -> VideoIoKwargs | None:
        """How many frames it asks for of each video."""


def estimate_media_bytes(body_bytes: int, request: MediaRequest, limits: ApiLimits) -> int:
    """Return the image bytes of a request, where each frame of a video is an image."""
    num_frames = request.num_videos * _bound_frames(request.video_options, limits)
    return estimate_image_bytes(body_bytes, request.num_images + num_frames)


def _bound_frames(options: VideoIoKwargs | None, limits: ApiLimits) -> int:
    """Return how many frames of each video are taken at most."""
    if options is None or not options.asks_for_frames:
        return min(limits.video_frames, limits.max_video_frames)
    return options.bound_frames(limits.max_video_frames)

"""Why a video is refused, and its limits."""

from dataclasses import dataclass
from enum import StrEnum

from llava_spec.anyres import Size
from server.images.decode.color import WHITE
from server.images.decode.image_processor import Color


class VideoFault(StrEnum):
    """The reason for a video's refusal."""

    FORMAT = "format"
    CODEC = "codec"
    NO_VIDEO = "no_video"
    CORRUPT = "corrupt"
    PIXELS = "pixels"
    TOTAL = "total"
    SHAPE = "shape"
    FRAMES = "frames"
    SECONDS = "seconds"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class VideoFailure:
    """The reason for a video's refusal, and what is at fault: the frames' size, or the codec."""

    fault: VideoFault
    size: Size = (0, 0)
    codec: str = ""


class VideoRefusal(Exception):
    """A video is refused; `failure` tells why."""

    def __init__(self, fault: VideoFault, size: Size = (0, 0), codec: str = "") -> None:
        super().__init__(fault)
        self.failure = VideoFailure(fault, size, codec)


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """The checkpoint's preprocessing of frames, and the limits of a video.

    `crop` cuts frames to squares of `size`; otherwise they are stretched. `formats` are names of
    `CONTAINERS`. `max_total_pixels` is the limit of the frames that are used together. Animations
    get `alpha_color` and `color_management` as images do.
    """

    size: int
    crop: bool
    max_pixels: int
    max_frames: int
    max_s: float
    formats: tuple[str, ...]
    max_total_pixels: int
    alpha_color: Color | None = WHITE
    color_management: bool = True

    def check_total(self, frame_size: Size, num_frames: int) -> None:
        """Raise `VideoRefusal` for so many frames of (width, height) where they are too many."""
        if frame_size[0] * frame_size[1] * num_frames > self.max_total_pixels:
            raise VideoRefusal(VideoFault.TOTAL, frame_size)

    def check_frame_size(self, frame_size: Size) -> None:
        """Raise `VideoRefusal` for frames of (width, height) that are too large, now or resized."""
        shorter, longer = sorted(frame_size)
        if not shorter:
            raise VideoRefusal(VideoFault.CORRUPT)
        if shorter * longer > self.max_pixels:
            raise VideoRefusal(VideoFault.PIXELS, frame_size)
        if self.crop and self.size * self.size * longer > self.max_pixels * shorter:
            raise VideoRefusal(VideoFault.SHAPE, frame_size)

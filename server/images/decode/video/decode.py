"""Decodes the frames of a video that the model sees, in decode workers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from llava_spec.anyres import Size
from server.images.decode.image_processor import Pixels
from server.images.decode.video.animation import decode_animation, measure_animation
from server.images.decode.video.containers import Container, detect_container
from server.images.decode.video.faults import VideoFailure, VideoFault, VideoOptions, VideoRefusal
from server.images.decode.video.sampling import FrameSampling
from server.images.decode.video.streams import decode_streams, measure_streams

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """Frames as views, uint8 (frames, size, size, 3), and the seconds that reading them took.

    `frame_size` is the upright (width, height), `total_frames` counts the file's frames.
    """

    views: Pixels
    frame_size: Size
    total_frames: int
    format: str
    decode_s: float

    @property
    def num_frames(self) -> int:
        """The number of frames that are used."""
        return len(self.views)

    @property
    def pixels(self) -> int:
        """Pixels of the frames that are used."""
        return self.frame_size[0] * self.frame_size[1] * self.num_frames


@dataclass(frozen=True, slots=True)
class VideoMeasure:
    """How many frames of a video are used, and their (width, height).

    The size is (0, 0) where only decoded frames tell.
    """

    num_frames: int
    frame_size: Size

    @property
    def pixels(self) -> int:
        """Pixels of the frames that are used."""
        return self.frame_size[0] * self.frame_size[1] * self.num_frames


def decode_video(
    data: bytes, options: VideoOptions, sampling: FrameSampling
) -> DecodedVideo | VideoFailure:
    """Decode a video's sampled frames. Never raises for bad data: returns a `VideoFailure`."""
    started_at = time.perf_counter()

    def decode(container: Container) -> DecodedVideo:
        if container.demuxer is None:
            read = decode_animation(data, container.name, options, sampling)
        else:
            read = decode_streams(data, container.demuxer, options, sampling)
        views, frame_size, total_frames = read
        decode_s = time.perf_counter() - started_at
        return DecodedVideo(views, frame_size, total_frames, container.name, decode_s)

    return _read(data, options, decode)


def measure_video(
    data: bytes, options: VideoOptions, sampling: FrameSampling
) -> VideoMeasure | VideoFailure:
    """Count a video's sampled frames without decoding one: damage within frames is not found.

    Never raises for bad data: returns a `VideoFailure`.
    """

    def measure(container: Container) -> VideoMeasure:
        if container.demuxer is None:
            return VideoMeasure(*measure_animation(data, container.name, options, sampling))
        return VideoMeasure(*measure_streams(data, container.demuxer, options, sampling))

    return _read(data, options, measure)


def _read(
    data: bytes, options: VideoOptions, read: Callable[[Container], Result]
) -> Result | VideoFailure:
    container = detect_container(data, options.formats)
    if container is None:
        return VideoFailure(VideoFault.FORMAT)
    try:
        return read(container)
    except VideoRefusal as refusal:
        return refusal.failure
    except Exception as error:  # libraries raise many kinds of exception on damaged data
        return VideoFailure(_classify(error))


def _classify(error: Exception) -> VideoFault:
    is_memory = isinstance(error, MemoryError) or "memory" in str(error)
    return VideoFault.MEMORY if is_memory else VideoFault.CORRUPT

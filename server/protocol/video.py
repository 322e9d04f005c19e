"""Video parts, and how many frames of a video the model sees: vLLM's shapes."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from server.protocol.wire import WireModel

# A URL of frames that the client has chosen: a JPEG each in base64, comma-separated.
FRAME_LIST: Final = "data:video/jpeg;"
VIDEO_TYPE: Literal["video_url"] = "video_url"


def is_frame_list(url: str) -> bool:
    """Whether a URL, perhaps after white space, holds frames in place of a video's file."""
    return url[:64].lstrip()[: len(FRAME_LIST)].lower() == FRAME_LIST


def _check_count(value: float) -> float:
    """Check a number that is positive, or vLLM's -1, which leaves the choice to the other field."""
    if value > 0 or value == -1:
        return value
    raise PydanticCustomError("video_frames", "Input should be greater than 0, or -1")


def _check_fps(value: float) -> float | None:
    """Return None for vLLM's -1, which is as if the field were not there."""
    return None if _check_count(value) == -1 else value


class VideoUrl(WireModel):
    """An http(s) URL or a base64 `data:` URL."""

    url: str = Field(min_length=1)


class VideoPart(WireModel):
    """`{"type": "video_url", "video_url": {"url": …}}`."""

    type: Literal["video_url"]
    video_url: VideoUrl


class VideoIoKwargs(WireModel):
    """How many frames to take, evenly spread: so many, so many a second, or the fewer of both."""

    num_frames: Annotated[int, AfterValidator(_check_count)] | None = Field(
        None, description="-1 takes all, up to the server's limit"
    )
    fps: Annotated[float, AfterValidator(_check_fps)] | None = Field(
        None, description="frames for each second of the video; -1 does not ask for any"
    )

    @property
    def asks_for_frames(self) -> bool:
        """Whether it says how many frames to take."""
        return self.num_frames is not None or self.fps is not None

    def bound_frames(self, limit: int) -> int:
        """Return how many frames of a video are taken at most, of `limit`."""
        return limit if self.num_frames in (None, -1) else min(self.num_frames, limit)


class MediaIoKwargs(WireModel):
    """vLLM's options of how media are read: those of videos."""

    video: VideoIoKwargs | None = None

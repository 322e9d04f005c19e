"""Video parts, and how many frames of a video the model sees: vLLM's shapes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from server.protocol.wire import WireModel

VIDEO_TYPE: Literal["video_url"] = "video_url"


def _check_count(value: float) -> float:
    """Check a number that is positive, or vLLM's -1, which leaves the choice to the other field."""
    if value > 0 or value == -1:
        return value
    raise PydanticCustomError("video_frames", "Input should be greater than 0, or -1")


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
    fps: Annotated[float, AfterValidator(_check_count)] | None = Field(
        None, description="frames for each second of the video; -1 does not ask for any"
    )


class MediaIoKwargs(WireModel):
    """vLLM's options of how media are read: those of videos."""

    video: VideoIoKwargs | None = None

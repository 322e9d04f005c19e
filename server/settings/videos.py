"""Videos: what is accepted, and how many frames the model gets."""

from typing import get_args

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings

from server.settings.types import MIB, VideoFormat, VideoFormats


class VideoSettings(BaseSettings):
    """Videos: what is accepted, and how many frames the model gets."""

    video_frames: PositiveInt = Field(
        8,
        description="frames taken of a video, evenly spread, unless a request says how many",
    )
    video_fps: PositiveFloat | None = Field(
        None, description="frames for each second, if these are fewer; default: no such limit"
    )
    max_video_frames: PositiveInt = Field(
        64, description="largest number of frames that a request may ask for"
    )
    max_videos: PositiveInt = Field(4, description="videos per request")
    max_video_mib: PositiveFloat = Field(64.0, description="largest encoded video, in MiB")
    max_video_megapixels: PositiveFloat = Field(
        36.0, description="largest frame of a video, in millions of pixels"
    )
    max_video_s: PositiveFloat = Field(43_200.0, description="longest video, in seconds")
    max_video_file_frames: PositiveInt = Field(
        2_000_000, description="largest number of frames in a video's file"
    )
    video_formats: VideoFormats = Field(
        get_args(VideoFormat), description="containers of videos, comma-separated"
    )
    video_fetch_timeout_s: PositiveFloat = Field(
        20.0, description="time to fetch one http(s) video, in seconds"
    )

    @property
    def max_video_bytes(self) -> int:
        """Largest encoded video in bytes."""
        return int(self.max_video_mib * MIB)

    @property
    def max_video_pixels(self) -> int:
        """Largest frame in pixels."""
        return int(self.max_video_megapixels * 1_000_000)

"""The limits of the HTTP surface, as the routes need them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """What one request may take: bytes of its body, time, and events that it does not read.

    Of each video it gets `video_frames`, or as many as it asks for up to `max_video_frames`.
    """

    max_body_bytes: int
    request_timeout_s: float
    max_stream_buffer_bytes: int
    video_frames: int
    max_video_frames: int

"""The limits of the HTTP API that routes need."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """The limits of one request: bytes of its body, time, and unread events.

    A request gets `video_frames` frames of each video, or as many as it asks for, up to
    `max_video_frames`.
    """

    max_body_bytes: int
    request_timeout_s: float
    max_stream_buffer_bytes: int
    video_frames: int
    max_video_frames: int

"""The limits of the HTTP surface, as the routes need them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """What one request may take: bytes of its body, time, and events that it does not read."""

    max_body_bytes: int
    request_timeout_s: float
    max_stream_buffer_bytes: int

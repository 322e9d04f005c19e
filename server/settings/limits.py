"""Limits: connections, request bodies, concurrency, time."""

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings

from server.settings.types import MIB


class LimitSettings(BaseSettings):
    """Limits: connections, request bodies, concurrency, time."""

    max_concurrent_requests: PositiveInt | None = Field(
        None,
        description="sequences in the engine at once; beyond that requests wait; default: 256,"
        " on a CPU 48",
    )
    max_queue_s: PositiveFloat = Field(
        5.0, description="longest time that a request waits for its turn before a 429, in seconds"
    )
    request_timeout_s: PositiveFloat = Field(
        600.0,
        description="time for one request, in seconds; a client may set a shorter one by"
        " x-request-timeout-ms",
    )
    max_buffered_mib: PositiveFloat = Field(
        256.0, description="memory for the bodies of all requests together, in MiB"
    )
    max_pending_image_mib: PositiveFloat | None = Field(
        None,
        description="encoded images and videos that are decoded or wait for it, in MiB, 2.5 more"
        " for each image and each frame that is used; default: 80 for each decode worker",
    )
    max_stream_buffer_kib: PositiveInt = Field(
        1024, description="events kept for a client that does not read its stream, in KiB"
    )
    max_connections: PositiveInt = Field(4096, description="connections at once")
    max_connections_per_address: PositiveInt = Field(
        1024, description="connections at once from one address"
    )
    max_header_kib: PositiveInt = Field(32, description="headers of one request, in KiB")
    max_header_lines: PositiveInt = Field(128, description="header lines of one request")
    header_timeout_s: PositiveFloat = Field(
        15.0, description="time for a request's headers to arrive, in seconds"
    )
    keep_alive_timeout_s: PositiveInt = Field(
        75, description="time that a connection may be idle between requests, in seconds"
    )
    min_upload_kib_s: PositiveFloat = Field(
        4.0, description="least rate at which a body must arrive, in KiB per second"
    )
    write_timeout_s: PositiveFloat = Field(
        30.0, description="time that a client may read nothing before it is cut off, in seconds"
    )
    max_body_mib: PositiveFloat = Field(64.0, description="largest request body, in MiB")
    drain_timeout_s: PositiveFloat = Field(
        30.0, description="how long requests in flight may go on after SIGTERM, in seconds"
    )

    @property
    def max_body_bytes(self) -> int:
        """Largest request body in bytes."""
        return int(self.max_body_mib * MIB)

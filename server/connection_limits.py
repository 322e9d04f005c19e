"""The connection limits, from the settings."""

from typing import Final

from server.api.edge.limits import KIB, ConnectionLimits
from server.settings import Settings

# Bounds of `max_lingering`, which is else a quarter of `max_connections`: refused connections that
# still read their response.
MIN_LINGERING: Final = 64
MAX_LINGERING: Final = 512


def build_connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the connection limits that the settings ask for."""
    return ConnectionLimits(
        max_header_bytes=settings.max_header_kib * KIB,
        max_header_lines=settings.max_header_lines,
        max_connections=settings.max_connections,
        max_lingering=min(MAX_LINGERING, max(MIN_LINGERING, settings.max_connections // 4)),
        max_connections_per_address=settings.max_connections_per_address,
        header_timeout_s=settings.header_timeout_s,
        keep_alive_timeout_s=settings.keep_alive_timeout_s,
        min_body_bytes_per_s=settings.min_upload_kib_s * KIB,
        write_timeout_s=settings.write_timeout_s,
    )

"""The limit of open files: each connection is one, and the server needs some for itself."""

import asyncio
import os
import resource
import time
from contextlib import suppress
from typing import Final

from server.settings import Settings
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# For libraries, worker processes, the engine, images that are fetched, and files.
RESERVED_FILES: Final = 256
# Of the other files. Some stay for connections over the limit, which get a response, too.
CONNECTIONS_SHARE: Final = 0.8
MIN_CONNECTIONS: Final = 16
WATCH_INTERVAL_S: Final = 1.0
# Seconds between two log lines while no file can be opened.
LOG_INTERVAL_S: Final = 10.0


def raise_file_limit() -> int:
    """Allow as many open files as the system does. Return their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft


def limit_connections(settings: Settings, num_files: int) -> Settings:
    """Return the settings with no more connections than the limit of open files allows."""
    possible = max(MIN_CONNECTIONS, int((num_files - RESERVED_FILES) * CONNECTIONS_SHARE))
    if settings.max_connections <= possible:
        return settings
    log.warning(
        "fewer connections than --max-connections: raise the limit of open files (ulimit -n)",
        max_connections=possible,
        open_files=num_files,
    )
    return settings.model_copy(update={"max_connections": possible})


async def watch_file_limit() -> None:
    """Log an error while no more files can be opened. Runs until it is cancelled.

    The event loop closes new connections then, and tells nobody.
    """
    logged_at = float("-inf")
    while True:
        await asyncio.sleep(WATCH_INTERVAL_S)
        if is_exhausted() and time.monotonic() - logged_at >= LOG_INTERVAL_S:
            logged_at = time.monotonic()
            log.error(
                "no file can be opened and new connections are closed:"
                " raise the limit of open files (ulimit -n) or lower --max-connections",
                open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            )


def is_exhausted() -> bool:
    """Whether this process has as many open files as it may, or the system has."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return True
    return False

"""Admin ports of several replicas on one machine."""

from contextlib import suppress
from typing import Final

from server.listening import begin_to_listen, listen

MAX_REPLICAS: Final = 64


def find_free_port(host: str, first: int) -> int:
    """Return the first port from `first` on where nobody listens; 0 stays 0, for any free one.

    Raises `OSError` where all are taken, or there is no such address.
    """
    if first == 0:
        return 0
    for port in range(first, first + MAX_REPLICAS - 1):
        with suppress(OSError), listen(host, port, None) as listener:
            begin_to_listen(listener)
            return port
    with listen(host, first + MAX_REPLICAS - 1, None) as listener:
        begin_to_listen(listener)
        return first + MAX_REPLICAS - 1

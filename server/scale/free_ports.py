"""Finds free ports for Ray and HAProxy, which bind them later."""

import random
import socket
from contextlib import suppress
from typing import Final

# Below the ephemeral ports (32768 on), one of which the kernel could assign meanwhile, and below
# the replicas' ports (30000 on).
PORTS: Final = range(20000, 30000)


def find_free_ports(number: int) -> list[int]:
    """Return ports on which nobody listens now."""
    free: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("", port))
            free.append(port)
            if len(free) == number:
                break
    return free

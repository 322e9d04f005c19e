"""Ports that nobody uses, for what Ray and HAProxy bind only later."""

import random
import socket
from contextlib import suppress
from typing import Final

# Below the ports that the kernel gives to connections (32768 on), of which one could come in
# between, and below those of the replicas (30000 on).
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

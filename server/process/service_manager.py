"""Tells systemd how the server is: ready, alive, stopping, as sd_notify(3) says."""

import os
import socket
import time
from contextlib import suppress
from typing import Final

from server.lifecycle import State

# systemd asks for twice as often as WatchdogSec, which is 60 s in our unit.
ALIVE_INTERVAL_S: Final = 5.0
MESSAGES: Final = {
    State.LOADING: b"STATUS=loading",
    State.READY: b"READY=1\nSTATUS=ready",
    State.DRAINING: b"STOPPING=1\nSTATUS=draining",
    State.FAILED: b"STATUS=failed",
}


class ServiceManager:
    """Sends the server's state to the socket that systemd named, if it did.

    The event loop calls `report`, so that systemd's watchdog notices when that hangs.
    """

    def __init__(self, address: str | None) -> None:
        self._address = None if address is None else _decode_address(address)
        self._state: State | None = None
        self._next_alive = 0.0

    def report(self, state: State) -> None:
        """Send a state that is new, and every few seconds that the server is alive.

        What cannot be sent now is sent by a later call.
        """
        if self._address is None:
            return
        if state is not self._state and _send(MESSAGES[state], self._address):
            self._state = state
        if time.monotonic() >= self._next_alive and _send(b"WATCHDOG=1", self._address):
            self._next_alive = time.monotonic() + ALIVE_INTERVAL_S


def take_notify_address() -> str | None:
    """Return the socket's address and remove it, since it does not concern child processes."""
    return os.environ.pop("NOTIFY_SOCKET", None)


def _decode_address(address: str) -> str:
    """Return a socket's address; `@` stands for the null byte of abstract ones."""
    return f"\0{address[1:]}" if address.startswith("@") else address


def _send(message: bytes, address: str) -> bool:
    """Return whether the message was sent; nobody may listen any more, or not in time."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.sendto(message, address)
        return True
    return False

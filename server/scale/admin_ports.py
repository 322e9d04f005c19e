"""The admin ports of several replicas on one machine."""

from contextlib import ExitStack
from socket import socket
from typing import Final

from server.listening import AddressTaken, begin_to_listen, listen

MAX_REPLICAS: Final = 64


def listen_for_admin(host: str, first: int, stack: ExitStack) -> socket:
    """Listen on the first free port from `first` on, or for 0 on any free port.

    Listens at once, so that replicas that start together do not choose the same port. `stack`
    closes it. Raises `OSError` if all are taken, or the machine has no such address.
    """
    ports = range(first, first + MAX_REPLICAS) if first else range(1)
    for port in ports[:-1]:
        try:
            return _listen(host, port, stack)
        except AddressTaken:
            continue
    return _listen(host, ports[-1], stack)


def _listen(host: str, port: int, stack: ExitStack) -> socket:
    with ExitStack() as attempt:
        listener = attempt.enter_context(listen(host, port, None))
        begin_to_listen(listener)
        stack.push(attempt.pop_all())
    return listener

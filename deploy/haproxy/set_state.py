"""Tells HAProxy to send a server nothing new (`drain`), or requests again (`ready`).

set_state.py SERVER drain|ready [SOCKET]: HAProxy's name of the server, and its admin socket.
"""

import socket
import sys

SOCKET = "/run/haproxy/admin.sock"
TIMEOUT_S = 5.0


def set_state(server: str, state: str, path: str = SOCKET) -> str:
    """Return what HAProxy says against it, nothing if it is done. Raises `OSError`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall(f"set server llava/{server} state {state}\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode().strip()


if __name__ == "__main__":
    try:
        sys.exit(set_state(*sys.argv[1:]) or None)
    except OSError as error:
        sys.exit(f"HAProxy cannot be asked: {error}")

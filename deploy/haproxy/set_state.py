"""Tells HAProxy to send a server nothing new (`drain`), or requests again (`ready`).

set_state.py SERVER drain|ready [SOCKET]: HAProxy's name of the server, and its admin socket.
`ready` waits until HAProxy has found the server ready, so that the next one may be drained then.
"""

import socket
import sys
import time

SOCKET = "/run/haproxy/admin.sock"
BACKEND = "llava"
TIMEOUT_S = 5.0
READY_LIMIT_S = 10.0
RUNNING = "2"  # of `srv_op_state`


def command(path: str, text: str) -> str:
    """Return HAProxy's answer. Raises `OSError`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall(f"{text}\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode().strip()


def is_running(path: str, server: str) -> bool:
    """Whether HAProxy's checks have found the server ready. Raises `OSError`."""
    _, header, *rows = command(path, f"show servers state {BACKEND}").splitlines()
    names = header.removeprefix("# ").split()
    states = (dict(zip(names, row.split(), strict=True)) for row in rows)
    return any(state["srv_name"] == server and state["srv_op_state"] == RUNNING for state in states)


def set_state(server: str, state: str, path: str = SOCKET) -> str | None:
    """Return what is wrong, None if it is done. Raises `OSError`."""
    refusal = command(path, f"set server {BACKEND}/{server} state {state}")
    deadline = time.monotonic() + READY_LIMIT_S
    while state == "ready" and not refusal and not is_running(path, server):
        if time.monotonic() > deadline:
            return f"HAProxy's checks do not find {server} ready"
        time.sleep(0.1)
    return refusal or None


if __name__ == "__main__":
    try:
        sys.exit(set_state(*sys.argv[1:]))
    except OSError as error:
        sys.exit(f"HAProxy cannot be asked: {error}")

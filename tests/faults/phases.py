"""A server in a phase of its start."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from tests.api.running import RunningServer

LIMIT_S = 120


def wait_until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Block until a condition holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


def has_handler(server: RunningServer) -> bool:
    """Whether the process handles SIGTERM."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def find_url(server: RunningServer) -> str | None:
    """Return the URL of a server that may still be loading, once it listens."""
    for connection in psutil.Process(server.process.pid).net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN:
            return f"http://127.0.0.1:{connection.laddr.port}"
    return None


def is_loading(server: RunningServer) -> bool:
    """Whether the server answers that it is loading."""
    with suppress(httpx.TransportError):
        url = find_url(server)
        return url is not None and httpx.get(f"{url}/ready").json()["status"] == "loading"
    return False


def is_starting_the_engine(server: RunningServer) -> bool:
    """Whether the engine's process has begun."""
    return any("EngineCore" in command for command in server.children().values())

"""A server that may open no more files."""

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil

from tests.api.running import RunningServer
from tests.faults.probing import (
    CHAT,
    Holdings,
    build_image_request,
    check_text,
    find_workers,
    read_error,
)

SPARE_FILES = 6
MAX_IDLE_CORES = 0.5
LOG_LIMIT_S = 15


@contextmanager
def few_files(server: RunningServer) -> Iterator[None]:
    """Leave the server only `SPARE_FILES` more files for a block."""
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + SPARE_FILES, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def open_connections(url: str, stack: ExitStack) -> list[socket.socket]:
    """Open connections until the server accepts no more, which closes them at once."""
    address = httpx.URL(url)
    connections = []
    while True:
        connection = stack.enter_context(socket.create_connection((address.host, address.port)))
        connections.append(connection)
        connection.settimeout(0.2)
        try:
            connection.recv(1)
        except TimeoutError:
            continue
        except ConnectionError:
            pass
        return connections


def test_no_more_files(faulty: RunningServer, http: httpx.Client) -> None:
    check_text(http)
    held = Holdings.read(faulty)
    process = psutil.Process(faulty.process.pid)
    with ExitStack() as stack:
        with few_files(faulty):
            assert len(open_connections(faulty.url, stack)) > 1
            check_text(http)  # on the connection that is open already
            spent, began = process.cpu_times(), time.monotonic()
            _wait_for_log(faulty, "no file can be opened")
            seconds = time.monotonic() - began
            assert process.cpu_times().user - spent.user < MAX_IDLE_CORES * max(seconds, 1)
            for pid in find_workers(faulty, "decode"):
                os.kill(pid, signal.SIGKILL)
            refused = http.post(CHAT, json=build_image_request())
            assert read_error(refused) == (503, "service_unavailable")
            assert "retry-after" in refused.headers
        # Files are to be had again.
        with httpx.Client(base_url=faulty.url, timeout=60) as another:
            check_text(another)
            another.post(CHAT, json=build_image_request()).raise_for_status()
            another.post(CHAT, json=build_image_request()).raise_for_status()
    held.wait_until_back(faulty)


def _wait_for_log(server: RunningServer, text: str) -> None:
    deadline = time.monotonic() + LOG_LIMIT_S
    while not any(text in line for line in server.log):
        assert time.monotonic() < deadline, f"not in the log: {text}"
        time.sleep(0.05)

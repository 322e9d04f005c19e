"""Somebody who reads no log lines any more, or a disk that takes none."""

import array
import fcntl
import termios
import time

import httpx

from tests.api.running import RunningServer
from tests.faults.phases import wait_until
from tests.faults.probing import CHAT, build_text_request, check_text

PIPE_BYTES = 64 * 1024
# Writes leave some bytes of each page unused.
NEARLY_FULL = PIPE_BYTES * 3 // 4
LIMIT_S = 60


def count_unread(server: RunningServer) -> int:
    """Return the bytes that wait in the pipe of the server's standard error."""
    assert server.process.stderr is not None
    count = array.array("i", [0])
    fcntl.ioctl(server.process.stderr.fileno(), termios.FIONREAD, count)
    return count[0]


def test_a_full_pipe_stalls_nothing(faulty: RunningServer, http: httpx.Client) -> None:
    assert faulty.process.stderr is not None
    fcntl.fcntl(faulty.process.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    faulty.reads_log.clear()
    try:
        _fill(faulty, http)
        for _ in range(200):
            _ask(http)
        check_text(http, limit_s=5)
    finally:
        faulty.reads_log.set()
    asked = _ask(http)
    wait_until(lambda: any(asked in line for line in faulty.log), LIMIT_S)


def _fill(server: RunningServer, http: httpx.Client) -> None:
    """Have the server log until its pipe is nearly full."""
    deadline = time.monotonic() + LIMIT_S
    while count_unread(server) < NEARLY_FULL:
        assert time.monotonic() < deadline
        _ask(http)


def _ask(http: httpx.Client) -> str:
    """Send a request, whose id the log names; return the id."""
    request_id = f"log-{time.monotonic_ns()}"
    body = build_text_request(max_tokens=1)
    http.post(CHAT, json=body, headers={"x-request-id": request_id}).raise_for_status()
    return request_id

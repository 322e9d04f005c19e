"""Somebody who reads no log lines any more, or a disk that takes none."""

import array
import fcntl
import termios
import time

import httpx

from tests.api.running import RunningServer
from tests.faults.probing import CHAT, build_text_request, check_text

PIPE_BYTES = 64 * 1024
NEARLY_FULL = PIPE_BYTES - 4096
LIMIT_S = 60

ID_PREFIX = "log-"


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
        asked = _fill(faulty, http)
        for _ in range(20):
            asked.append(_ask(http))
        check_text(http, limit_s=5)
    finally:
        faulty.reads_log.set()
    deadline = time.monotonic() + LIMIT_S
    while not all(any(each in line for line in faulty.log[-2000:]) for each in asked[-20:]):
        assert time.monotonic() < deadline, "lines are lost"
        time.sleep(0.1)


def _fill(server: RunningServer, http: httpx.Client) -> list[str]:
    """Have the server log until its pipe is full. Return the requests' ids."""
    asked: list[str] = []
    deadline = time.monotonic() + LIMIT_S
    while count_unread(server) < NEARLY_FULL:
        assert time.monotonic() < deadline
        asked.append(_ask(http))
    return asked


def _ask(http: httpx.Client) -> str:
    """Send a request, whose id the log names; return the id."""
    request_id = f"{ID_PREFIX}{time.monotonic_ns()}"
    body = build_text_request(max_tokens=1)
    http.post(CHAT, json=body, headers={"x-request-id": request_id}).raise_for_status()
    return request_id

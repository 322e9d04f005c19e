"""Silent connections and unread streams for a while: no permit is held and nothing grows.

`SOAK_CONNECTIONS_S=300` holds them for five minutes; without it the test is skipped.
"""

import json
import os
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import psutil
import pytest

from tests.api.hostile.attacker import Attacker, build_head
from tests.api.hostile.building import CHAT, chat
from tests.api.hostile.test_connections import unread_connection
from tests.api.running import RunningServer, metric, running_server, wait_for_metric

SECONDS = float(os.environ.get("SOAK_CONNECTIONS_S", "0"))
NUM_SILENT = 1000
NUM_STREAMS = 200
MAX_GROWTH = 1.10
REPORT_INTERVAL_S = 10
# No new streams so long before the end.
SETTLE_S = 60
MIB = 2**20
STREAM = {"n": 1, "max_tokens": 600, "ignore_eos": True, "stream": True}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS + 300),
    pytest.mark.skipif(SECONDS == 0, reason="takes SOAK_CONNECTIONS_S seconds, e.g. 300"),
]


@dataclass(frozen=True, slots=True)
class Figures:
    """The server at one time; MiB."""

    connections: float
    running: float
    memory: float

    def __str__(self) -> str:
        return f"{self.connections:.0f} open, {self.running:.0f} permits, {self.memory:.0f} MiB"


class Crowd:
    """Connections, opened again when the server has ended them."""

    def __init__(self, attacker: Attacker) -> None:
        self._attacker = attacker
        self._silent: list[socket.socket] = []
        self._streams: list[socket.socket] = []
        self._body = json.dumps(chat(**STREAM)).encode()

    def __enter__(self) -> Self:
        """Open all."""
        self.open_silent()
        self.open_streams()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all."""
        for connection in (*self._silent, *self._streams):
            connection.close()

    def open_silent(self) -> None:
        """Replace the silent connections that the server has ended."""
        for connection in self._silent:
            if _is_ended(connection):
                connection.close()
        self._silent = [each for each in self._silent if each.fileno() >= 0]
        while len(self._silent) < NUM_SILENT:
            self._silent.append(self._attacker.connect())

    def open_streams(self) -> None:
        """Ask for streams that nobody will read, in place of those so far."""
        for connection in self._streams:
            connection.close()
        self._streams = [unread_connection(self._attacker) for _ in range(NUM_STREAMS)]
        for connection in self._streams:
            connection.sendall(build_head(CHAT, len(self._body)) + self._body)


def _is_ended(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """Serve so many streams at once, with settings as by default."""
    with running_server("--max-concurrent-requests", str(NUM_STREAMS)) as running:
        yield running


def test_a_crowd_takes_nothing(server: RunningServer) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    process = psutil.Process(server.process.pid)
    seen: list[Figures] = []
    with Crowd(Attacker((host, int(port)))) as crowd:
        until = time.monotonic() + SECONDS
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(REPORT_INTERVAL_S)
            now = Figures(
                metric(server.url, "llava:connections "),
                metric(server.url, "llava:num_requests_running"),
                process.memory_info().rss / MIB,
            )
            print(now, flush=True)
            seen.append(now)
            crowd.open_silent()
            if now.running == 0 and left_s > SETTLE_S:
                crowd.open_streams()
        wait_for_metric(server.url, "llava:num_requests_running", 0, SETTLE_S)
    settled = seen[len(seen) // 3 :]
    assert min(each.running for each in seen) == 0
    assert settled[-1].memory <= settled[0].memory * MAX_GROWTH

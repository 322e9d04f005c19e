"""Replicas behind HAProxy, as `llava-server scale` starts them."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from tests.api.pictures import body, user
from tests.api.running import RunningServer, metric

OPTIONS = (
    *("--cpu-kv-cache-gib", "1"),
    *("--enforce-eager", "true"),
    *("--decode-workers", "2"),
)
# Ray's own would kill replicas, which then come back only minutes later.
NO_MEMORY_MONITOR = {"RAY_memory_monitor_refresh_ms": "0"}
READY_LIMIT_S = 280.0
LINE_LIMIT_S = 10.0
PROMPT_TOKENS = "llava:prompt_tokens_total"


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica: its name, its process and the URL of its admin port."""

    name: str
    pid: int
    url: str


class Replicas:
    """The running replicas, for a block."""

    def __init__(self, targets: Path, adapters: Sequence[str], number: int = 2) -> None:
        """`adapters` are further options; `targets` is the folder that Prometheus reads."""
        self.adapters = adapters
        self._targets = targets
        self._number = number
        # Both replicas begin to look for an admin port at this one.
        self.first_admin_port = find_free_port()
        self.server = RunningServer(
            *("--replicas", str(number), "--metrics-targets", str(targets)),
            *("--admin-port", str(self.first_admin_port)),
            *OPTIONS,
            *adapters,
            env=NO_MEMORY_MONITOR,
            command="scale",
        )

    def __enter__(self) -> Self:
        """Wait until all replicas are ready."""
        try:
            self.server.wait_until_ready()
            self._wait_for_haproxy()
        except AssertionError:
            self.server.stop()
            raise
        return self

    def _wait_for_haproxy(self) -> None:
        """Wait until each replica gets requests: HAProxy learns of them one by one."""
        deadline = time.monotonic() + READY_LIMIT_S
        hello = body(user("Hello"), max_tokens=1)
        while not all(metric(each.url, PROMPT_TOKENS) for each in self.wait()):
            httpx.post(f"{self.url}/v1/chat/completions", json=hello).raise_for_status()
            assert time.monotonic() < deadline, "a replica gets no requests"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End them as an operator would."""
        code = self.server.stop()
        assert code == 0, "\n".join([f"exit code {code}", *self.server.log[-30:]])

    @property
    def url(self) -> str:
        """The address that they share."""
        return self.server.url

    def find(self) -> list[Replica]:
        """Return those that Prometheus would find now and that answer."""
        targets = [json.loads(text)[0] for text in self._read_targets()]
        found = [
            Replica(
                target["labels"]["replica"],
                int(target["labels"]["__meta_pid"]),
                f"http://{target['targets'][0]}",
            )
            for target in targets
        ]
        return [each for each in found if is_ready(each)]

    def _read_targets(self) -> Iterator[str]:
        for path in self._targets.glob("*.json"):
            with suppress(FileNotFoundError):  # its replica has ended since
                yield path.read_text()

    def wait(self, accept: Callable[[list[Replica]], bool] | None = None) -> list[Replica]:
        """Return the replicas once all are ready, and `accept` takes them."""
        deadline = time.monotonic() + READY_LIMIT_S
        while True:
            ready = self.find()
            if len(ready) == self._number and (accept is None or accept(ready)):
                return ready
            assert time.monotonic() < deadline, f"ready: {ready}"
            time.sleep(0.1)

    def wait_for_line(self, request_id: str) -> dict[str, Any]:
        """Return the log line of a request, which comes after its answer."""
        deadline = time.monotonic() + LINE_LIMIT_S
        while True:
            for line in self.server.logged("request"):
                if line["request_id"] == request_id:
                    return line
            assert time.monotonic() < deadline, f"no line of {request_id}"
            time.sleep(0.05)

    def sum(self, sample: str) -> float:
        """Return a metric's sum over all replicas."""
        return sum(metric(each.url, sample) for each in self.wait())

    def engine_pid(self, replica: Replica) -> int:
        """Return the process of a replica's engine: the largest, for not each gets its title."""
        children = psutil.Process(replica.pid).children()
        return int(max(children, key=lambda each: each.memory_info().rss).pid)

    def replace(self) -> None:
        """Have all replicas replaced."""
        self.server.process.send_signal(signal.SIGHUP)


def find_free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(replica: Replica) -> bool:
    """Whether a replica takes requests."""
    try:
        return httpx.get(f"{replica.url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def is_running(pid: int) -> bool:
    """Whether a process is there, and is not a dead one that nobody has reaped."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(pid: int) -> None:
    """Kill a process."""
    os.kill(pid, signal.SIGKILL)


def without_ids(value: Any) -> Any:
    """Return a response's JSON without what differs from one request to the next."""
    if isinstance(value, dict):
        skipped = {"id", "created", "created_at", "completed_at", "item_id", "request_id"}
        skipped |= {"cached_tokens", "cache_read_input_tokens"}  # whatever was asked before
        return {key: without_ids(each) for key, each in value.items() if key not in skipped}
    return [without_ids(each) for each in value] if isinstance(value, list) else value

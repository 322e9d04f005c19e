"""Runs attacks and checks the bars: others are answered, the server stays ready, memory returns."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import psutil

from tests.api.hostile.attacker import Attacker
from tests.api.hostile.prober import Prober
from tests.api.running import RunningServer, sum_samples

T = TypeVar("T")

MAX_HEALTH_S = 0.25
MAX_ANSWER_S = 1.0
# Of what was resident before the first attack.
MAX_GROWTH = 0.15
# The allocator gives back a moment after a request.
MEMORY_LIMIT_S = 8
WARM_UP = 20
# Short attacks are repeated, so that others ask meanwhile.
MIN_ATTACK_S = 0.3
MAX_LOG_LINE = 4096
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen during an attack; seconds and MiB."""

    name: str
    seconds: float
    health_s: float
    answer_s: float
    starved_s: float
    statuses: frozenset[int]
    memory_before: float
    memory_after: float = 0.0

    @property
    def is_within_bars(self) -> bool:
        """Whether nobody else had to wait."""
        return (
            self.health_s <= MAX_HEALTH_S
            and self.answer_s <= MAX_ANSWER_S
            and self.statuses == {200}
        )

    def __str__(self) -> str:
        """One line of the report."""
        return (
            f"{self.name[:56]:56} {self.seconds:6.2f} s  health {self.health_s * 1000:5.0f} ms"
            f"  answer {self.answer_s * 1000:5.0f} ms  (starved {self.starved_s * 1000:5.0f} ms)"
            f"  memory {self.memory_before:5.0f} -> {self.memory_after:5.0f} MiB"
        )


class Watch:
    """A server under attack, and the polite client beside it."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        url = urlsplit(server.url)
        assert url.hostname is not None
        assert url.port is not None
        address = (url.hostname, url.port)
        self.attacker = Attacker(address)
        self._prober = Prober(address, server.process.pid, server.engine_pid())
        self._process = psutil.Process(server.process.pid)
        self._figures: list[Figures] = []
        self._http = httpx.Client(base_url=server.url, timeout=60)
        self._memory_bound = 0.0  # MiB

    def __enter__(self) -> Self:
        """Begin to probe, once the server is warm."""
        for path in WARM_UP_BODY:
            for _ in range(WARM_UP):
                self._http.post(path, json=WARM_UP_BODY[path]).raise_for_status()
        growth = self._process.memory_info().rss / MIB * MAX_GROWTH
        self._memory_bound = self.memory_mib() + growth
        return self

    def __exit__(self, *_: object) -> None:
        """Probe no more."""
        self._prober.__exit__()
        self._http.close()

    def run(self, name: str, attack: Callable[[], T]) -> T:
        """Return what an attack returns; fail where others waited or memory stays.

        The machine itself may stall once: an attack that fails the bars has a second chance.
        """
        figures, result = self._measure(name, attack)
        if not figures.is_within_bars:
            self._figures.append(figures)
            figures, result = self._measure(f"{name} (again)", attack)
        figures = replace(figures, memory_after=self._settle())
        self._figures.append(figures)
        assert figures.is_within_bars, str(figures)
        assert self._http.get("/ready").status_code == 200
        assert figures.memory_after <= self._memory_bound, str(figures)
        longest = max(map(len, self.server.log), default=0)
        assert longest <= MAX_LOG_LINE, f"a log line of {longest} characters"
        return result

    def memory_mib(self) -> float:
        """Return the server process's anonymous resident memory.

        The pages of libraries count elsewhere: how many are resident depends on other processes.
        """
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 1024

    def count_outcomes(self, outcome: str) -> float:
        """Return how many requests ended so."""
        text = self._http.get("/metrics").text
        return sum_samples(text, f'llava:requests_total{{outcome="{outcome}"}}')

    def report(self) -> str:
        """Return the table of all attacks."""
        return "\n".join(["", *map(str, self._figures)])

    def _measure(self, name: str, attack: Callable[[], T]) -> tuple[Figures, T]:
        memory = self.memory_mib()
        begin = time.monotonic()
        result = attack()
        while (end := time.monotonic()) < begin + MIN_ATTACK_S:
            result = attack()
        samples = self._prober.wait_for_samples(begin, end)
        worst = {"health": 0.0, "answer": 0.0}
        starved_s = 0.0
        for sample in samples:
            worst[sample.kind] = max(worst[sample.kind], sample.served_s)
            starved_s = max(starved_s, sample.starved_s)
        statuses = frozenset(sample.status for sample in samples)
        return (
            Figures(
                name,
                end - begin,
                worst["health"],
                worst["answer"],
                starved_s,
                statuses,
                memory,
            ),
            result,
        )

    def _settle(self) -> float:
        """Return the memory, once it is within the bound or does not come back."""
        deadline = time.monotonic() + MEMORY_LIMIT_S
        while (memory := self.memory_mib()) > self._memory_bound and time.monotonic() < deadline:
            time.sleep(0.1)
        return memory


_MESSAGES: dict[str, Any] = {"model": "llava-tiny", "max_tokens": 2}
WARM_UP_BODY: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {**_MESSAGES, "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {**_MESSAGES, "prompt": "Hi"},
    "/v1/messages": {**_MESSAGES, "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"model": "llava-tiny", "max_output_tokens": 16, "input": "Hi"},
}

"""Clients that handle refusals: they wait for `Retry-After`, or try again at once."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.client import Connection, TimedResponse, connect
from benchmarks.overload.loads import MAX_TOKENS, Patience

# Pause of a hasty client. Without it, hundreds of clients would measure the load generator.
HASTY_PAUSE_S: Final = 0.005
# Wait of a polite client if a 429 has no `Retry-After`.
DEFAULT_RETRY_S: Final = 1.0
MIN_LINK_WAIT_S: Final = 0.001
OK: Final = 200
TOO_MANY_REQUESTS: Final = 429


# All bodies pass one network link of 1 Gbit/s. Without it, hasty clients would push gigabytes of
# refused photographs a second through the loopback interface, which no server ever sees.
LINK_BYTES_PER_S: Final = 125_000_000


class Link:
    """A network link: bodies go out one after the other, at its rate."""

    def __init__(self, bytes_per_s: float = LINK_BYTES_PER_S) -> None:
        self._bytes_per_s = bytes_per_s
        self._is_free_at = 0.0

    async def pass_through(self, num_bytes: int) -> None:
        """Wait for a body's turn. Bodies that take less than a millisecond go out at once."""
        now = time.perf_counter()
        start = max(self._is_free_at, now)
        self._is_free_at = start + num_bytes / self._bytes_per_s
        if start - now >= MIN_LINK_WAIT_S:
            await asyncio.sleep(start - now)


@dataclass(slots=True)
class Results:
    """The responses of a group that ended in the window; times in seconds."""

    latencies_s: list[float] = field(default_factory=list)  # of admitted requests
    refusals_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)  # that refusals ask for
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Window:
    """The measurement window, in seconds of `time.perf_counter`."""

    starts_at: float
    ends_at: float

    @property
    def is_over(self) -> bool:
        """Whether the window has ended."""
        return time.perf_counter() >= self.ends_at

    def contains(self, time_s: float) -> bool:
        """Whether a time lies in the window; its end does not."""
        return self.starts_at <= time_s < self.ends_at


class Client:
    """Sends requests one after the other until its window ends."""

    def __init__(
        self,
        url: str,
        build_body: Callable[[], bytes],
        patience: Patience,
        results: Results,
        link: Link,
        api_key: str | None = None,
    ) -> None:
        self._url = url
        self._build_body = build_body
        self._patience = patience
        self._results = results
        self._link = link
        self._api_key = api_key
        self._connection: Connection | None = None

    async def run(self, window: Window) -> None:
        """Send requests; the same one again after a refusal."""
        body = self._build_body()
        while not window.is_over:
            try:
                response = await self._send(body)
            except ConnectionError as error:
                self._count_error(str(error), window, time.perf_counter())
                await asyncio.sleep(HASTY_PAUSE_S)
                continue
            self._record(response, window)
            if response.status == TOO_MANY_REQUESTS:
                await self._pause(response, window)
            else:
                body = self._build_body()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    async def _send(self, body: bytes) -> TimedResponse:
        if self._connection is None or not self._connection.is_open:
            self._connection = await connect(self._url)
        await self._link.pass_through(len(body))
        return await self._connection.post(self._url, body, self._api_key)

    def _record(self, response: TimedResponse, window: Window) -> None:
        if not window.contains(response.ended_at):
            return
        seconds = response.ended_at - response.sent_at
        if response.status == TOO_MANY_REQUESTS:
            self._results.refusals_s.append(seconds)
            self._results.waits_s.append(get_retry_s(response))
        elif response.status != OK:
            self._count_error(f"status {response.status}", window, response.ended_at)
        elif response.completion_tokens != MAX_TOKENS:
            self._count_error("an answer of another length", window, response.ended_at)
        else:
            self._results.latencies_s.append(seconds)

    def _count_error(self, error: str, window: Window, time_s: float) -> None:
        if window.contains(time_s):
            self._results.errors[error] += 1

    async def _pause(self, response: TimedResponse, window: Window) -> None:
        pause_s = get_retry_s(response)
        if self._patience is Patience.HASTY:
            # Spread: clients in step arrive in bursts, unlike real ones.
            pause_s = HASTY_PAUSE_S * (0.5 + random.random())  # noqa: S311 - no secret
        await asyncio.sleep(min(pause_s, max(0.0, window.ends_at - time.perf_counter())))


def get_retry_s(response: TimedResponse) -> float:
    """Return the wait that a refusal asks for, in seconds."""
    return DEFAULT_RETRY_S if response.retry_after_s is None else response.retry_after_s

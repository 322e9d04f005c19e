"""One API key's usage, checked against its limits."""

import math
from collections.abc import Callable, Hashable, Iterator
from typing import Final

from server.api.rate_limits.resources import (
    CONCURRENT_REQUESTS,
    IMAGE_TOKENS,
    OUTPUT_TOKENS,
    REQUESTS,
)
from server.api.rate_limits.running import NEWEST, RunningRequests
from server.api.rate_limits.storage import WindowStorage
from server.api.rate_limits.window import MINUTE_S, Window, WindowState
from server.errors import KeyLimitExceeded
from server.keys.key import ApiKey

# Before a key's first answers, an answer is expected to take the limit divided by `FIRST_PART`, but
# at most `FIRST_TOKENS`.
FIRST_PART: Final = 8
FIRST_TOKENS: Final = 64
# Bounds of the seconds that a client is told to wait for running requests.
MIN_RETRY_S: Final = 1
MAX_RUNNING_RETRY_S: Final = MINUTE_S


class KeyUsage:
    """The windows of one key, and the expected usage of its running requests.

    Output tokens count as they are made, so many concurrent requests could exceed the limit by all
    their tokens. Each running request therefore reserves the tokens that it asks for or, if it does
    not say, as many as the key's recent answers took. An excess is paid off later (see `Window`).
    """

    def __init__(
        self, key: ApiKey, storage: WindowStorage, on_refusal: Callable[[str, str], None]
    ) -> None:
        """`on_refusal` is called with the key's name and the limit's."""
        self._storage = storage
        self._on_refusal = on_refusal
        self._windows: dict[str, Window] = {}
        self._running = RunningRequests(storage.now)
        self._blocked_since: dict[str, float] = {}  # by running requests, since one last passed
        self._reserved = 0
        first_part = (key.output_tokens_per_minute or 0) // FIRST_PART
        self._expected = float(min(max(first_part, 1), FIRST_TOKENS))
        self.update(key)

    def update(self, key: ApiKey) -> None:
        """Apply the key's current limits; the usage of limits that remain is kept."""
        self.key = key
        old, self._windows = (
            self._windows,
            {
                resource: Window(resource, key.name, limit, self._storage)
                for resource, limit in key.rate_limits.items()
            },
        )
        for resource in old.keys() - self._windows.keys():
            old[resource].clear()

    def clear(self) -> None:
        """Forget the usage."""
        for window in self._windows.values():
            window.clear()

    @property
    def is_running(self) -> bool:
        """Whether a request of the key runs."""
        return len(self._running) > 0

    def states(self) -> Iterator[WindowState]:
        """Yield the state of each limit per minute; reserved tokens do not count as left."""
        for resource, window in self._windows.items():
            yield window.state(self._reserved if resource == OUTPUT_TOKENS else 0)

    def check(self, *, generates: bool) -> None:
        """Refuse a request that would exceed a limit. Raises `KeyLimitExceeded`."""
        self._check_concurrency()
        self._check_room(REQUESTS)
        if generates:
            self.check_output_tokens()

    def check_output_tokens(self, own: int = 0) -> None:
        """Refuse while nothing is free besides the reservations of requests, `own` excepted.

        Raises `KeyLimitExceeded`.
        """
        self._check_room(OUTPUT_TOKENS, self._reserved - own)

    def clip_output_tokens(self, num_tokens: int) -> int:
        """Return the number, no larger than the limit."""
        window = self._windows.get(OUTPUT_TOKENS)
        return num_tokens if window is None else min(num_tokens, window.limit)

    def check_image_tokens(self) -> None:
        """Refuse a request with images while the window is used up. Raises `KeyLimitExceeded`."""
        self._check_room(IMAGE_TOKENS)

    @property
    def expected_tokens(self) -> int:
        """The tokens that the next answer is expected to take."""
        return round(self._expected)

    def start(self, request: Hashable) -> None:
        """Count a request that `check` let pass."""
        self.add(REQUESTS, 1)
        self._running.start(request)  # not before the use: `take_back` looks for it by this time

    def take_back(self, request: Hashable) -> None:
        """Stop counting a running request; it still runs."""
        if window := self._windows.get(REQUESTS):
            window.remove(self._running.get_start(request), 1)

    def add(self, resource: str, amount: int) -> None:
        """Count a use, even beyond the limit."""
        if window := self._windows.get(resource):
            window.add(amount)

    def reserve(self, num_tokens: int) -> None:
        """Reserve output tokens, or give them back if negative."""
        self._reserved += num_tokens

    def end(self, request: Hashable, num_output_tokens: int) -> None:
        """Count a request's end, and the length of its answer, if it had one."""
        self._running.end(request, is_answered=num_output_tokens > 0)
        if not self.is_running:
            self._blocked_since.clear()
        if num_output_tokens:
            self._expected += NEWEST * (num_output_tokens - self._expected)

    def _check_concurrency(self) -> None:
        limit = self.key.concurrent_requests
        if limit is None or len(self._running) < limit:
            self._blocked_since.pop(CONCURRENT_REQUESTS, None)
            return
        raise self._refuse(
            CONCURRENT_REQUESTS,
            f"The API key '{self.key.name}' is at its limit of {limit} concurrent requests",
            self._estimate_running_s(CONCURRENT_REQUESTS),
        )

    def _check_room(self, resource: str, reserved: int = 0) -> None:
        window = self._windows.get(resource)
        if window is None or window.has_room(reserved):
            self._blocked_since.pop(resource, None)
            return
        wait_s = window.wait_s()
        limit = f"{window.limit} {resource.replace('-', ' ')} a minute"
        reason = f"The API key '{self.key.name}' has used its {limit}"
        if not wait_s:
            reason = (
                f"Running requests of the API key '{self.key.name}' have reserved what is left of"
                f" its {limit}"
            )
        if reserved:
            running_s = self._estimate_running_s(resource)
            wait_s = max(wait_s, min(window.wait_s(reserved), running_s))
        raise self._refuse(resource, reason, wait_s)

    def _estimate_running_s(self, limit: str) -> float:
        """Return when a request may have ended, in seconds.

        If the usual time has passed, it may take as long again as it has run.
        """
        now = self._storage.now()
        waited_s = now - self._blocked_since.setdefault(limit, now)
        return min(max(self._running.estimate_end_s(), waited_s), MAX_RUNNING_RETRY_S)

    def _refuse(self, limit: str, reason: str, wait_s: float) -> KeyLimitExceeded:
        """Count a refusal, and return it."""
        self._on_refusal(self.key.name, limit)
        seconds = max(math.ceil(wait_s), MIN_RETRY_S)
        unit = "second" if seconds == 1 else "seconds"
        return KeyLimitExceeded(f"{reason}: try again in {seconds} {unit}.", retry_after=seconds)

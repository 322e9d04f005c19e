"""What one API key uses, held against its limits."""

import math
from collections.abc import Callable, Iterator
from typing import Final

from server.api.rate_limits.resources import (
    CONCURRENT_REQUESTS,
    IMAGE_TOKENS,
    OUTPUT_TOKENS,
    REQUESTS,
)
from server.api.rate_limits.storage import WindowStorage
from server.api.rate_limits.window import Window, WindowState
from server.errors import KeyLimitExceeded
from server.keys.key import ApiKey

# While nothing is known of a key's answers, one is expected to take this part of the limit, but no
# more than so many tokens.
FIRST_PART: Final = 8
FIRST_TOKENS: Final = 64
# The weight of the newest answer in the expected length of the next.
NEWEST: Final = 0.2
# When requests that run may have ended, in seconds.
RUNNING_RETRY_S: Final = 1


class KeyUsage:
    """The windows of one key, and what its running requests are expected to add.

    Output tokens count as they are made, so many requests at once could exceed the limit by all
    that each may make. So each running request reserves the tokens that it asks for; one that names
    no number, what the key's answers took lately. What exceeds the limit all the same is paid off
    later (see `Window`).
    """

    def __init__(
        self, key: ApiKey, storage: WindowStorage, on_refusal: Callable[[str, str], None]
    ) -> None:
        """`on_refusal` is called with the key's name and the limit's."""
        self._storage = storage
        self._on_refusal = on_refusal
        self._windows: dict[str, Window] = {}
        self._num_running = 0
        self._reserved = 0
        first_part = (key.output_tokens_per_minute or 0) // FIRST_PART
        self._expected = float(min(max(first_part, 1), FIRST_TOKENS))
        self.update(key)

    def update(self, key: ApiKey) -> None:
        """Apply the limits of the key as it is now; what was used stays where there is one."""
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
        """Forget what was used."""
        for window in self._windows.values():
            window.clear()

    @property
    def is_running(self) -> bool:
        """Whether a request of the key runs."""
        return self._num_running > 0

    def states(self) -> Iterator[WindowState]:
        """Yield the state of each limit per minute."""
        return (window.state() for window in self._windows.values())

    def check(self, *, generates: bool) -> None:
        """Refuse a request that would exceed a limit. Raises `KeyLimitExceeded`."""
        limit = self.key.concurrent_requests
        if limit is not None and self._num_running >= limit:
            raise self._refusal(
                CONCURRENT_REQUESTS, f"runs its {limit} requests at once", RUNNING_RETRY_S
            )
        self._check_room(REQUESTS)
        if generates:
            self.check_output_tokens()

    def check_output_tokens(self, own: int = 0) -> None:
        """Refuse while nothing is free beside what requests, save for `own`, have reserved.

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

    def start(self) -> None:
        """Count a request that `check` let pass."""
        self._num_running += 1
        self.add(REQUESTS, 1)

    def add(self, resource: str, amount: int) -> None:
        """Count a use, also beyond the limit."""
        if window := self._windows.get(resource):
            window.add(amount)

    def reserve(self, num_tokens: int) -> None:
        """Reserve output tokens, or give them back if negative."""
        self._reserved += num_tokens

    def end(self, num_output_tokens: int) -> None:
        """Count a request's end, and the length of its answer, if it had one."""
        self._num_running -= 1
        if num_output_tokens:
            self._expected += NEWEST * (num_output_tokens - self._expected)

    def _check_room(self, resource: str, reserved: int = 0) -> None:
        window = self._windows.get(resource)
        if window is None or window.has_room(reserved):
            return
        state = window.state()
        seconds = math.ceil(state.retry_after_s) or RUNNING_RETRY_S
        raise self._refusal(
            resource, f"has used its {window.limit} {resource.replace('-', ' ')} a minute", seconds
        )

    def _refusal(self, limit: str, reason: str, seconds: int) -> KeyLimitExceeded:
        self._on_refusal(self.key.name, limit)
        unit = "second" if seconds == 1 else "seconds"
        return KeyLimitExceeded(
            f"The API key '{self.key.name}' {reason}: try again in {seconds} {unit}.",
            retry_after=seconds,
        )

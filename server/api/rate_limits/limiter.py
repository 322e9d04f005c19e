"""The limits of all API keys."""

import time
from collections.abc import Callable, Collection, Iterator

from server.api.rate_limits.key_usage import KeyUsage
from server.api.rate_limits.meter import RequestMeter
from server.api.rate_limits.resources import REQUESTS
from server.api.rate_limits.storage import WindowStorage
from server.api.rate_limits.window import WindowState
from server.keys.key import ApiKey


class RateLimiter:
    """Checks requests against the limits of their keys, which may change at any time."""

    def __init__(
        self,
        on_refusal: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_refusal` is called with the key's name and the limit's."""
        self._on_refusal = on_refusal
        self._storage = WindowStorage(clock)
        self._usages: dict[str, KeyUsage] = {}

    def check(self, key: ApiKey, *, generates: bool) -> None:
        """Refuse a request that would exceed a limit. Raises `KeyLimitExceeded` (429).

        Only requests that generate are subject to the limit of output tokens.
        """
        self._find(key).check(generates=generates)

    def start(self, key: ApiKey, *, generates: bool) -> RequestMeter:
        """Count a request that passed `check`; release the returned meter at its end."""
        usage = self._find(key)
        return RequestMeter(usage, usage.expected_tokens if generates else 0)

    def count(self, key: ApiKey) -> None:
        """Count a request that passed `check` and ends before it runs."""
        self._find(key).add(REQUESTS, 1)

    def states(self, name: str) -> Iterator[WindowState]:
        """Yield the state of each limit per minute of a key, as of its last check."""
        usage = self._usages.get(name)
        return iter(()) if usage is None else usage.states()

    def forget_all_but(self, names: Collection[str]) -> set[str]:
        """Forget other keys, except those with running requests; return the names of the latter."""
        gone = self._usages.keys() - set(names)
        running = {name for name in gone if self._usages[name].is_running}
        for name in gone - running:
            self._usages.pop(name).clear()
        return running

    def _find(self, key: ApiKey) -> KeyUsage:
        usage = self._usages.get(key.name)
        if usage is None:
            usage = self._usages[key.name] = KeyUsage(key, self._storage, self._on_refusal)
        elif usage.key is not key:
            usage.update(key)
        return usage

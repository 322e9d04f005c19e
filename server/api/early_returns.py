"""Slows down clients that ignore the `Retry-After` of their key's limits."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Final

from cachetools import LRUCache

from server.api.admission.admission import EARLY_DELAY_S
from server.api.auth import Tenant
from server.errors import KeyLimitExceeded

# Refused clients to remember, at most.
MAX_CLIENTS: Final = 20_000


class EarlyReturns:
    """Remembers refused clients' retry times, and delays those that come back too early.

    A client is a key at an address, so that a new connection is not a new client. Without the
    delay, a client in a loop would take the cores that others need.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._allowed_at: LRUCache[Hashable, float] = LRUCache(MAX_CLIENTS)

    async def delay(self, error: KeyLimitExceeded, tenant: Tenant) -> None:
        """Wait a moment before a refusal by a limit of the key, if it is an early client's."""
        if self._note(error, tenant):
            await asyncio.sleep(EARLY_DELAY_S)

    def _note(self, error: KeyLimitExceeded, tenant: Tenant) -> bool:
        """Note the client's retry time; return whether it has come too early."""
        client = (tenant.key_name, tenant.address)
        now = self._clock()
        is_early = self._allowed_at.get(client, 0.0) > now
        self._allowed_at[client] = now + (error.retry_after or 0)
        return is_early

"""Reading request bodies within limits: bytes, a shared budget of memory, and JSON structure."""

import asyncio
from collections import Counter, deque
from contextlib import suppress
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from server.api.allocator_trim import AllocatorTrim
from server.api.inflating.body import stream_inflated
from server.errors import BodyTooLarge, ClientGone, TooManyRequests
from server.protocol.body_limits import JsonStructure

# Smaller bodies take nothing from the budget: the transport buffers as much anyway.
FREE_BYTES: Final = 64 * 1024
# Step in which the budget is taken as bytes arrive: announced bytes that never come take nothing.
STEP_BYTES: Final = 1024 * 1024
# The share of the budget that one tenant may take.
TENANT_SHARE: Final = 0.5


class BodyBudget:
    """Memory that the bodies of all requests may take together, shared between tenants."""

    def __init__(self, max_bytes: int, max_wait_s: float) -> None:
        self.used = 0
        self._max_bytes = max_bytes
        self._max_wait_s = max_wait_s
        self._used_by: Counter[str] = Counter()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._trim = AllocatorTrim()

    def lease(self, tenant: str) -> "BodyLease":
        """Return a lease that holds nothing yet."""
        return BodyLease(self, tenant)

    async def take(self, tenant: str, num_bytes: int) -> None:
        """Take bytes, waiting for them if need be. Raises `TooManyRequests`."""
        try:
            async with asyncio.timeout(self._max_wait_s):
                while not self._fits(tenant, num_bytes):
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiters.append(waiter)
                    try:
                        await waiter
                    finally:
                        with suppress(ValueError):
                            self._waiters.remove(waiter)
        except TimeoutError:
            raise TooManyRequests(
                "The server holds as many request bodies as its memory allows.", retry_after=2
            ) from None
        self.used += num_bytes
        self._used_by[tenant] += num_bytes

    def give_back(self, tenant: str, num_bytes: int) -> None:
        """Release bytes, also to the system, and wake those who wait for them."""
        self.used -= num_bytes
        self._used_by[tenant] -= num_bytes
        if not self._used_by[tenant]:
            del self._used_by[tenant]
        self._trim.schedule()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _fits(self, tenant: str, num_bytes: int) -> bool:
        """Return whether bytes are free, and within the share of the tenant."""
        if self.used == 0:
            return True
        fits_share = self._used_by[tenant] + num_bytes <= self._max_bytes * TENANT_SHARE
        return fits_share and self.used + num_bytes <= self._max_bytes


class BodyLease:
    """A request's part of the budget, given back at the end of the block or earlier."""

    def __init__(self, budget: BodyBudget, tenant: str) -> None:
        self._budget = budget
        self._tenant = tenant
        self._taken = 0

    async def grow(self, num_bytes: int) -> None:
        """Ensure that a body of `num_bytes` so far is covered. Raises `TooManyRequests`."""
        if num_bytes <= max(self._taken, FREE_BYTES):
            return
        await self._budget.take(self._tenant, STEP_BYTES)
        self._taken += STEP_BYTES

    def release(self) -> None:
        """Give everything back."""
        if self._taken:
            taken, self._taken = self._taken, 0
            self._budget.give_back(self._tenant, taken)

    def __enter__(self) -> "BodyLease":
        """Hold the lease for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back."""
        self.release()


async def read_body(request: Request, lease: BodyLease, max_bytes: int) -> bytearray:
    """Return a request's body, inflated where it is compressed.

    Raises `UnsupportedContentEncoding` (415), `InvalidContentEncoding`, `BodyTooLarge` (413),
    `TooManyRequests` (429) if memory is short, `InvalidValue` if the JSON has too many values, and
    `ClientGone`. Each is raised as soon as the received bytes show it.
    """
    body = bytearray()
    structure = JsonStructure()
    try:
        async for chunk in stream_inflated(request, max_bytes):
            if len(body) + len(chunk) > max_bytes:
                raise BodyTooLarge(f"The request body exceeds the limit of {max_bytes} bytes.")
            structure.count(chunk)
            await lease.grow(len(body) + len(chunk))
            body += chunk
    except ClientDisconnect:
        raise ClientGone from None
    return body

"""Requests that wait for a permit, and the clock of an admission."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.api.admission.admission import Admission
from server.api.admission.cost import ONE, Cost
from server.api.admission.permit import Permit


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@asynccontextmanager
async def waiting(
    admission: Admission, *tenants: str, cost: Cost = ONE
) -> AsyncIterator[list[asyncio.Task[Permit]]]:
    """Have requests wait, one after the other."""
    tasks = []
    for tenant in tenants:
        tasks.append(asyncio.create_task(admission.acquire(tenant, cost)))
        await asyncio.sleep(0)
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settle() -> None:
    """Let everything that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)

"""A fair queue of waiting requests: start-time fair queueing over tenants.

Each tenant has a virtual time that advances by the weight of what it was granted. The waiting
tenant with the least virtual time is next, so a flood delays its own requests only.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from server.api.admission.cost import NOTHING, Cost


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits; `granted` resolves to None, or fails with the refusal.

    `client` tells apart who is refused (see `RetryEstimator`).
    """

    tenant: str
    cost: Cost
    granted: asyncio.Future[None]
    client: Hashable = None
    charged: Cost = NOTHING  # what it takes while it runs


@dataclass(slots=True)
class _TenantQueue:
    virtual_time: float
    waiters: deque[Waiter] = field(default_factory=deque)


class FairQueue:
    """Waiters by tenant. All operations are linear in the number of waiting tenants at most."""

    def __init__(self) -> None:
        self._queues: dict[str, _TenantQueue] = {}
        self._virtual_time = 0.0
        self._length = 0

    def __len__(self) -> int:
        """Return the number of waiters."""
        return self._length

    def length_of(self, tenant: str) -> int:
        """Return the number of a tenant's waiters."""
        queue = self._queues.get(tenant)
        return 0 if queue is None else len(queue.waiters)

    def image_bytes_of(self, tenant: str) -> int:
        """Return the image bytes of a tenant's waiters."""
        queue = self._queues.get(tenant)
        return 0 if queue is None else sum(each.cost.image_bytes for each in queue.waiters)

    @property
    def tenants(self) -> set[str]:
        """The tenants that wait."""
        return set(self._queues)

    def push(self, waiter: Waiter) -> None:
        """Append a waiter to its tenant's queue."""
        queue = self._queues.get(waiter.tenant)
        if queue is None:
            queue = self._queues[waiter.tenant] = _TenantQueue(self._virtual_time)
        queue.waiters.append(waiter)
        self._length += 1

    def heads(self) -> Iterator[Waiter]:
        """Yield each tenant's first waiter, the tenant served least first."""
        for queue in sorted(self._queues.values(), key=lambda each: each.virtual_time):
            yield queue.waiters[0]

    def grant(self, waiter: Waiter, weight: float) -> None:
        """Remove a tenant's first waiter and charge the tenant `weight`."""
        queue = self._queues[waiter.tenant]
        self._virtual_time = max(self._virtual_time, queue.virtual_time)
        queue.virtual_time += weight
        self.remove(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Remove a waiter, if it still waits."""
        queue = self._queues.get(waiter.tenant)
        if queue is None or waiter not in queue.waiters:
            return
        queue.waiters.remove(waiter)
        self._length -= 1
        if not queue.waiters:
            del self._queues[waiter.tenant]

    def last_of_longest(self) -> Waiter | None:
        """Return the newest waiter of the tenant that has most of them."""
        longest = max(self._queues.values(), key=lambda each: len(each.waiters), default=None)
        return None if longest is None else longest.waiters[-1]

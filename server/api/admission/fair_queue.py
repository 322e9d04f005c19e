"""A fair queue of waiting requests: start-time fair queueing over tenants.

Each tenant has a virtual time that advances by its granted cost divided by its weight. The waiting
tenant with the least virtual time is next, so a flood delays its own requests only. Tenants of
higher priority go before all others; each priority has a virtual time of its own.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from server.api.admission.cost import NOTHING, Cost


@dataclass(frozen=True, slots=True)
class Standing:
    """A tenant's priority, and its weight among those of the same priority."""

    priority: int = 0
    weight: float = 1.0


EQUAL: Final = Standing()


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits; `granted` resolves to None, or fails with the refusal.

    `client` identifies refused clients (see `RetryEstimator`).
    """

    tenant: str
    cost: Cost
    granted: asyncio.Future[None]
    client: Hashable = None
    charged: Cost = NOTHING  # the resources that it takes while it runs

    @property
    def is_granted(self) -> bool:
        """Whether it may run; False while it waits, and after a refusal."""
        granted = self.granted
        return granted.done() and not granted.cancelled() and granted.exception() is None


@dataclass(slots=True)
class _TenantQueue:
    virtual_time: float
    standing: Standing
    waiters: deque[Waiter] = field(default_factory=deque)

    @property
    def rank(self) -> tuple[int, float]:
        """The order of service: the lowest is next."""
        return -self.standing.priority, self.virtual_time

    @property
    def excess(self) -> tuple[int, float]:
        """The order of displacement: the highest is first to give way."""
        return -self.standing.priority, len(self.waiters) / self.standing.weight


class FairQueue:
    """Waiters by tenant. All operations are linear in the number of waiting tenants at most."""

    def __init__(self) -> None:
        self._queues: dict[str, _TenantQueue] = {}
        self._virtual_times: defaultdict[int, float] = defaultdict(float)  # by priority
        self._length = 0

    def __len__(self) -> int:
        """Return the number of waiters."""
        return self._length

    def list_of(self, tenant: str) -> Sequence[Waiter]:
        """Return a tenant's waiters."""
        queue = self._queues.get(tenant)
        return () if queue is None else queue.waiters

    def image_bytes_of(self, tenant: str) -> int:
        """Return the image bytes of a tenant's waiters."""
        return sum(each.cost.image_bytes for each in self.list_of(tenant))

    @property
    def tenants(self) -> set[str]:
        """The tenants that wait."""
        return set(self._queues)

    def push(self, waiter: Waiter, standing: Standing = EQUAL) -> None:
        """Append a waiter to its tenant's queue."""
        queue = self._queues.get(waiter.tenant)
        if queue is None:
            queue = _TenantQueue(self._virtual_times[standing.priority], standing)
            self._queues[waiter.tenant] = queue
        elif queue.standing.priority != standing.priority:
            queue.virtual_time = self._virtual_times[standing.priority]
        queue.standing = standing
        queue.waiters.append(waiter)
        self._length += 1

    def heads(self) -> Iterator[Waiter]:
        """Yield each tenant's first waiter: by priority, then the tenant served least.

        After one with images comes the tenant's first one without: it waits for other resources.
        """
        for queue in sorted(self._queues.values(), key=lambda each: each.rank):
            first = queue.waiters[0]
            yield first
            if first.cost.image_bytes:
                yield from islice((each for each in queue.waiters if not each.cost.image_bytes), 1)

    def grant(self, waiter: Waiter, cost: float) -> None:
        """Remove a waiter and charge its tenant `cost`."""
        queue = self._queues[waiter.tenant]
        priority = queue.standing.priority
        self._virtual_times[priority] = max(self._virtual_times[priority], queue.virtual_time)
        queue.virtual_time += cost / queue.standing.weight
        self.remove(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Remove a waiter if it still waits."""
        queue = self._queues.get(waiter.tenant)
        if queue is None or waiter not in queue.waiters:
            return
        queue.waiters.remove(waiter)
        self._length -= 1
        if not queue.waiters:
            del self._queues[waiter.tenant]

    def last_of_longest(self) -> Waiter | None:
        """Return the newest waiter of the tenant with most waiters, at the lowest priority."""
        longest = max(self._queues.values(), key=lambda each: each.excess, default=None)
        return None if longest is None else longest.waiters[-1]

    def may_displace(self, tenant: str, standing: Standing) -> bool:
        """Whether one more of a tenant's requests may take the place of `last_of_longest`."""
        longest = max(self._queues.values(), key=lambda each: each.excess, default=None)
        if longest is None or longest.waiters[-1].tenant == tenant:
            return False
        excess = (-standing.priority, (len(self.list_of(tenant)) + 1) / standing.weight)
        return longest.excess > excess

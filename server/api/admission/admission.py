"""Permits for compute: granted by cost, fairly between tenants, within a bounded wait."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Final, Self

from server.api.admission.cost import NOTHING, ONE, Cost
from server.api.admission.fair_queue import EQUAL, FairQueue, Standing, Waiter
from server.api.admission.retry_after import RetryEstimator
from server.errors import ApiError, NotReady, TooManyRequests
from server.lifecycle import Lifecycle, State
from server.telemetry.metrics import Metrics

# A tenant counts as active so long after it last ran or waited.
ACTIVE_S: Final = 2.0
# Bodies that arrive count so long. Slower ones must not keep others out.
ARRIVAL_S: Final = 2.0
# Waiting requests, as a share of those that run. More of them add latency and no throughput.
WAITING_SEQUENCES: Final = 0.375
WAITING_IMAGES: Final = 0.5
MIN_WAITING: Final = 2
# A client that ignores its `Retry-After` waits so long for the next 429: little while it competes
# with its own kind only, longer while it floods a server that other tenants use.
EARLY_DELAY_S: Final = 0.08
FLOOD_DELAY_S: Final = 0.4
# How often the active tenants are counted.
RECOUNT_S: Final = 0.1
# How often waiting requests are held against shares that grow as other tenants fall silent.
SHARE_INTERVAL_S: Final = 0.25


class Permit:
    """The right to use the engine. `release` and `release_images` are idempotent."""

    def __init__(self, admission: "Admission", tenant: str, cost: Cost) -> None:
        self._admission: Admission | None = admission
        self._tenant = tenant
        self._cost = cost

    def release_images(self) -> None:
        """Give back the share for images, once they are encoded."""
        if self._admission is not None and self._cost.image_bytes:
            part = Cost(0, self._cost.image_bytes)
            self._cost -= part
            self._admission.give_back(self._tenant, part)

    def release(self) -> None:
        """Give the permit back."""
        if self._admission is not None:
            admission, self._admission = self._admission, None
            admission.finish(self._tenant, self._cost)

    def __enter__(self) -> Self:
        """Hold the permit for a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()


class Arrival:
    """The place of a request whose body arrives. `release` is idempotent."""

    __slots__ = ("_admission", "expires_at", "image_bytes", "tenant")

    def __init__(
        self, admission: "Admission", tenant: str, image_bytes: int, expires_at: float
    ) -> None:
        self.tenant = tenant
        self.image_bytes = image_bytes
        self.expires_at = expires_at
        self._admission = admission

    def release(self) -> None:
        """Give the place back: the body is there, or will never be."""
        self._admission.end_arrival(self)


class Admission:
    """Grants permits while the server is ready.

    At most `capacity` is held at once. Beyond it, a few requests wait, at most `max_queue_s`: as
    many as keep the engine busy, since more only add latency. While several tenants are active they
    share half of the capacity by their weights: the rest would add latency and next to no
    throughput.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        capacity: Cost,
        max_queue_s: float,
        metrics: Metrics,
        get_standing: Callable[[str], Standing] = lambda _: EQUAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`get_standing` tells a tenant's priority and weight."""
        self.held = 0  # permits
        self._lifecycle = lifecycle
        self._capacity = capacity
        self._max_queue_s = max_queue_s
        self._max_waiting = max(int(capacity.sequences * WAITING_SEQUENCES), MIN_WAITING)
        self._max_image_bytes = int(capacity.image_bytes * (1 + WAITING_IMAGES))  # waiting ones too
        self._get_standing = get_standing
        self._clock = clock
        self._used = NOTHING
        self._used_by: dict[str, Cost] = {}
        self._permits_of: Counter[str] = Counter()
        self._last_active: dict[str, float] = {}
        self._active: set[str] = set()
        self._active_weight = 0.0
        self._recount_at = 0.0
        self._is_watching = False
        self._queue = FairQueue()
        self._arrivals: dict[Arrival, None] = {}  # oldest first
        self._arriving_bytes: Counter[str] = Counter()  # of images, by tenant
        self._retries = RetryEstimator(clock)
        metrics.running.set_function(lambda: self.held)
        metrics.queued.set_function(lambda: len(self._queue))

    def check(self, tenant: str, client: Hashable = None, cost: Cost = ONE) -> Arrival | None:
        """Refuse at once what `acquire` would refuse. Raises `NotReady` or `TooManyRequests`.

        For use before a body is read. `client` tells apart who is refused (see `RetryEstimator`).
        Bodies with images are counted from here on: release what is returned before `acquire`.
        """
        self._check_ready()
        if len(self._queue) >= self._max_waiting and not self._may_displace(tenant):
            raise self._refusal(client)
        if not cost.image_bytes:
            return None
        self._check_images(tenant, cost, client)
        arrival = Arrival(self, tenant, cost.image_bytes, self._clock() + ARRIVAL_S)
        self._arrivals[arrival] = None
        self._arriving_bytes[tenant] += cost.image_bytes
        return arrival

    def end_arrival(self, arrival: Arrival) -> None:
        """Count a body no more."""
        if arrival in self._arrivals:
            del self._arrivals[arrival]
            self._arriving_bytes[arrival.tenant] -= arrival.image_bytes
            if not self._arriving_bytes[arrival.tenant]:
                del self._arriving_bytes[arrival.tenant]

    def get_refusal_delay_s(self, tenant: str, client: Hashable) -> float:
        """Return how long a refusal of this client may wait: 0 unless it came back too early.

        Hundreds of clients that ask again at once would take the cores that others need.
        """
        if not self._retries.is_early(client):
            return 0.0
        return EARLY_DELAY_S if self._count_active(tenant) == 1 else FLOOD_DELAY_S

    async def acquire(self, tenant: str, cost: Cost = ONE, client: Hashable = None) -> Permit:
        """Take a permit, waiting for it if need be.

        Raises `NotReady` (503) or `TooManyRequests` (429), whose `retry_after` is estimated from
        the measured rate.
        """
        self._check_ready()
        charged = cost.clip(self._share(tenant))
        if len(self._queue) == 0 and self._can_run(tenant, charged):
            self._use(tenant, charged)
            return Permit(self, tenant, charged)
        self._check_images(tenant, cost, client)
        self._make_room(tenant, client)
        waiter = Waiter(tenant, cost, asyncio.get_running_loop().create_future(), client)
        self._queue.push(waiter, self._get_standing(tenant))
        self._activate(tenant)
        self._grant_waiting()
        self._watch_shares()
        try:
            async with asyncio.timeout(self._max_queue_s):
                await waiter.granted
        except BaseException as error:
            self._queue.remove(waiter)
            if _is_granted(waiter):  # in the same step of the loop
                self.finish(tenant, waiter.charged)
            if isinstance(error, TimeoutError):
                raise self._refusal(client) from None
            raise
        return Permit(self, tenant, waiter.charged)

    def finish(self, tenant: str, cost: Cost) -> None:
        """Take a permit back."""
        self.held -= 1
        self._permits_of[tenant] -= 1
        self._retries.record_finished()
        if not self.held:
            self._retries.record_idle()
        self.give_back(tenant, cost)

    def give_back(self, tenant: str, cost: Cost) -> None:
        """Take resources back and let waiting requests run."""
        self._used -= cost
        self._used_by[tenant] -= cost
        self._last_active[tenant] = self._clock()
        if not self._permits_of[tenant]:
            del self._permits_of[tenant], self._used_by[tenant]
        self._grant_waiting()

    def refuse_waiting(self) -> None:
        """Refuse all waiting requests, since the server takes none any more."""
        while (waiter := self._queue.last_of_longest()) is not None:
            self._refuse(waiter, self._not_ready())

    def _check_ready(self) -> None:
        if self._lifecycle.state is not State.READY:
            raise self._not_ready()

    def _not_ready(self) -> NotReady:
        return NotReady(
            f"The server takes no requests now: it is {self._lifecycle.state}.", retry_after=1
        )

    def _can_run(self, tenant: str, cost: Cost) -> bool:
        used = self._used_by.get(tenant, NOTHING)
        return cost.fits(self._used, self._capacity) and cost.fits(used, self._share(tenant))

    def _share(self, tenant: str) -> Cost:
        """Return the most that a tenant may use now."""
        if self._count_active(tenant) == 1:
            return self._capacity
        return Cost(
            max(self._divide(self._capacity.sequences, tenant) // 2, 1),
            max(self._divide(self._capacity.image_bytes, tenant) // 2, 1),
        )

    def _divide(self, amount: int, tenant: str) -> int:
        """Return a tenant's part of what all active ones may use together, by weight."""
        weight = self._get_standing(tenant).weight
        total = self._active_weight + (0 if tenant in self._active else weight)
        return int(amount * weight / max(total, weight))

    def _count_active(self, tenant: str) -> int:
        """Count the active tenants, `tenant` included; others are counted anew now and then."""
        now = self._clock()
        if now >= self._recount_at:
            self._recount_at = now + RECOUNT_S
            self._last_active = {
                each: last for each, last in self._last_active.items() if last > now - ACTIVE_S
            }
            self._active = {*self._permits_of, *self._queue.tenants, *self._last_active}
            self._active_weight = sum(self._get_standing(each).weight for each in self._active)
        return len(self._active) + (tenant not in self._active)

    def _activate(self, tenant: str) -> None:
        if tenant not in self._active:
            self._active.add(tenant)
            self._active_weight += self._get_standing(tenant).weight

    def _use(self, tenant: str, cost: Cost) -> None:
        self._retries.record_started()
        self.held += 1
        self._activate(tenant)
        self._permits_of[tenant] += 1
        self._used += cost
        self._used_by[tenant] = self._used_by.get(tenant, NOTHING) + cost

    def _grant_waiting(self) -> None:
        while (waiter := self._next()) is not None:
            self._queue.grant(waiter, waiter.cost.share_of(self._capacity))
            if not waiter.granted.done():
                self._use(waiter.tenant, waiter.charged)
                waiter.granted.set_result(None)

    def _watch_shares(self) -> None:
        """While requests wait, look now and then whether shares have grown with time."""
        if self._is_watching or not len(self._queue):
            return
        self._is_watching = True
        asyncio.get_running_loop().call_later(SHARE_INTERVAL_S, self._look_at_shares)

    def _look_at_shares(self) -> None:
        self._is_watching = False
        self._grant_waiting()
        self._watch_shares()

    def _next(self) -> Waiter | None:
        """Return the waiter to run next.

        A head that does not fit the free capacity blocks the others, or large requests would
        starve; one that exceeds its tenant's share is passed over.
        """
        for waiter in self._queue.heads():
            share = self._share(waiter.tenant)
            waiter.charged = waiter.cost.clip(share)
            if not waiter.charged.fits(self._used_by.get(waiter.tenant, NOTHING), share):
                continue
            return waiter if waiter.charged.fits(self._used, self._capacity) else None
        return None

    def _check_images(self, tenant: str, cost: Cost, client: Hashable) -> None:
        """Refuse images beyond what one tenant may have running, waiting and arriving."""
        if not cost.image_bytes:
            return
        self._drop_slow_arrivals()
        outstanding = (
            self._used_by.get(tenant, NOTHING).image_bytes
            + self._queue.image_bytes_of(tenant)
            + self._arriving_bytes[tenant]
        )
        self._count_active(tenant)
        limit = self._divide(self._max_image_bytes, tenant)
        # Half of the limit at most, or a very large request would never find it free.
        if outstanding and outstanding + min(cost.image_bytes, limit // 2) > limit:
            raise self._refusal(client)

    def _drop_slow_arrivals(self) -> None:
        now = self._clock()
        while self._arrivals and (oldest := next(iter(self._arrivals))).expires_at <= now:
            self.end_arrival(oldest)

    def _make_room(self, tenant: str, client: Hashable) -> None:
        """Ensure that one more request may wait, in place of a flooding tenant's if need be."""
        if len(self._queue) < self._max_waiting:
            return
        if not self._may_displace(tenant):
            raise self._refusal(client)
        displaced = self._queue.last_of_longest()
        if displaced is not None:
            self._refuse(displaced, self._refusal(displaced.client))

    def _refuse(self, waiter: Waiter, error: ApiError) -> None:
        self._queue.remove(waiter)
        if not waiter.granted.done():
            waiter.granted.set_exception(error)

    def _may_displace(self, tenant: str) -> bool:
        return self._queue.may_displace(tenant, self._get_standing(tenant))

    def _refusal(self, client: Hashable) -> TooManyRequests:
        seconds = self._retries.retry_after(client, self.held + len(self._queue))
        return TooManyRequests(
            f"The server is at its limit of {self._capacity.sequences} requests at once.",
            retry_after=math.ceil(seconds),
        )


def _is_granted(waiter: Waiter) -> bool:
    granted = waiter.granted
    return granted.done() and not granted.cancelled() and granted.exception() is None

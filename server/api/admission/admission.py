"""Permits for compute: granted by cost, fairly between tenants, within a bounded wait."""

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Final

from server.api.admission.arrivals import Arrival, Arrivals
from server.api.admission.cost import NOTHING, ONE, Cost
from server.api.admission.fair_queue import EQUAL, FairQueue, Standing, Waiter
from server.api.admission.permit import Permit
from server.api.admission.retry_after import RetryEstimator
from server.api.admission.shares import TenantShares
from server.errors import ApiError, NotReady, TooManyRequests
from server.lifecycle import Lifecycle, State
from server.telemetry.metrics import Metrics

# Waiting requests, as a share of those that run. More of them add latency and no throughput.
WAITING_SEQUENCES: Final = 0.375
WAITING_IMAGES: Final = 0.5
MIN_WAITING: Final = 2
# Seconds that a client waits for its next 429 if it ignored `Retry-After`: few while it competes
# only with its own tenant, more while other tenants use the server.
EARLY_DELAY_S: Final = 0.08
FLOOD_DELAY_S: Final = 0.4
# Seconds between two checks of waiting requests against shares, which grow as tenants fall silent.
SHARE_INTERVAL_S: Final = 0.25


class Admission:
    """Grants permits while the server is ready.

    At most `capacity` is held at once, and by each tenant at most its share (see `TenantShares`).
    Beyond that, a few requests wait for at most `max_queue_s`: enough to keep the engine busy; more
    would only add latency.
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
        """`get_standing` returns a tenant's priority and weight."""
        self.held = 0  # permits
        self._lifecycle = lifecycle
        self._capacity = capacity
        self._max_queue_s = max_queue_s
        self._max_waiting = max(int(capacity.sequences * WAITING_SEQUENCES), MIN_WAITING)
        self._max_image_bytes = int(capacity.image_bytes * (1 + WAITING_IMAGES))  # waiting ones too
        self._get_standing = get_standing
        self._used = NOTHING
        self._is_watching = False
        self._queue = FairQueue()
        self._shares = TenantShares(capacity, get_standing, lambda: self._queue.tenants, clock)
        self._arrivals = Arrivals(clock)
        self._retries = RetryEstimator(clock)
        metrics.running.set_function(lambda: self.held)
        metrics.queued.set_function(lambda: len(self._queue))

    def check(self, tenant: str, client: Hashable = None, cost: Cost = ONE) -> Arrival | None:
        """Refuse at once what `acquire` would refuse. Raises `NotReady` or `TooManyRequests`.

        For use before a body is read. `client` identifies refused clients (see `RetryEstimator`).
        Bodies with images count from here on: release the returned arrival before `acquire`.
        """
        self._check_ready()
        if not (self._may_wait(tenant) or self._can_run(tenant, self._charge(tenant, cost))):
            raise self._refusal(client)
        if not cost.image_bytes:
            return None
        self._check_images(tenant, cost, client)
        return self._arrivals.add(tenant, cost.image_bytes)

    def get_refusal_delay_s(self, tenant: str, client: Hashable) -> float:
        """Return the seconds by which to delay this client's refusal: 0 unless it came too early.

        Hundreds of clients that retry at once would take the cores that others need.
        """
        if not self._retries.is_early(client):
            return 0.0
        return EARLY_DELAY_S if self._shares.count_active(tenant) == 1 else FLOOD_DELAY_S

    async def acquire(self, tenant: str, cost: Cost = ONE, client: Hashable = None) -> Permit:
        """Take a permit, waiting for it if need be.

        Raises `NotReady` (503) or `TooManyRequests` (429), whose `retry_after` is estimated from
        the measured rate.
        """
        self._check_ready()
        charged = self._charge(tenant, cost)
        if self._can_run(tenant, charged):
            self._use(tenant, charged)
            return Permit(self, tenant, charged)
        self._check_images(tenant, cost, client)
        self._make_room(tenant, client)
        waiter = Waiter(tenant, cost, asyncio.get_running_loop().create_future(), client)
        self._queue.push(waiter, self._get_standing(tenant))
        self._shares.activate(tenant)
        self._grant_waiting()
        self._watch_shares()
        try:
            async with asyncio.timeout(self._max_queue_s):
                await waiter.granted
        except BaseException as error:
            self._queue.remove(waiter)
            if waiter.is_granted:  # in the same step of the loop
                self.finish(tenant, waiter.charged)
            if isinstance(error, TimeoutError):
                raise self._refusal(client) from None
            raise
        return Permit(self, tenant, waiter.charged)

    def finish(self, tenant: str, cost: Cost) -> None:
        """Take a permit back."""
        self.held -= 1
        self._shares.finish(tenant)
        self._retries.record_finished()
        if not self.held:
            self._retries.record_idle()
        self.give_back(tenant, cost)

    def give_back(self, tenant: str, cost: Cost) -> None:
        """Take resources back and let waiting requests run."""
        self._used -= cost
        self._shares.give_back(tenant, cost)
        self._grant_waiting()

    def refuse_waiting(self) -> None:
        """Refuse all waiting requests, since the server no longer takes any."""
        while (waiter := self._queue.last_of_longest()) is not None:
            self._refuse(waiter, self._not_ready())

    def _check_ready(self) -> None:
        if self._lifecycle.state is not State.READY:
            raise self._not_ready()

    def _not_ready(self) -> NotReady:
        return NotReady(
            f"The server takes no requests now: it is {self._lifecycle.state}.", retry_after=1
        )

    def _charge(self, tenant: str, cost: Cost) -> Cost:
        """Return the resources that a request is charged: at most its tenant's whole share."""
        return cost.clip(self._shares.share(tenant))

    def _can_run(self, tenant: str, charged: Cost) -> bool:
        """Whether a request may run at once: no waiting request comes before it."""
        return (
            charged.fits(self._used, self._capacity)
            and self._fits_share(tenant, charged)
            and not any(self._list_ahead(tenant, charged))
        )

    def _list_ahead(self, tenant: str, charged: Cost) -> Iterator[Waiter]:
        """Yield the waiters that a new request must not pass.

        A request without images passes those that wait only for other images.
        """
        if charged.image_bytes:
            yield from self._queue.list_of(tenant)
            yield from self._list_runnable()
        else:
            yield from (
                each for each in self._list_runnable() if not self._waits_for_images_only(each)
            )

    def _fits_share(self, tenant: str, charged: Cost) -> bool:
        return charged.fits(self._shares.used_by(tenant), self._shares.share(tenant))

    def _use(self, tenant: str, cost: Cost) -> None:
        self._retries.record_started()
        self.held += 1
        self._used += cost
        self._shares.use(tenant, cost)

    def _grant_waiting(self) -> None:
        while (waiter := self._next()) is not None:
            self._queue.grant(waiter, waiter.cost.share_of(self._capacity))
            if not waiter.granted.done():
                self._use(waiter.tenant, waiter.charged)
                waiter.granted.set_result(None)

    def _watch_shares(self) -> None:
        """While requests wait, check regularly whether shares have grown."""
        if self._is_watching or not len(self._queue):
            return
        self._is_watching = True
        asyncio.get_running_loop().call_later(SHARE_INTERVAL_S, self._recheck_shares)

    def _recheck_shares(self) -> None:
        self._is_watching = False
        self._grant_waiting()
        self._watch_shares()

    def _next(self) -> Waiter | None:
        """Return the waiter to run next.

        A waiter that does not fit the free capacity blocks the others, or large requests would
        starve. One that waits only for other images blocks only those with images.
        """
        images_are_blocked = False
        for waiter in self._list_runnable():
            if images_are_blocked and waiter.charged.image_bytes:
                continue
            if waiter.charged.fits(self._used, self._capacity):
                return waiter
            if not self._waits_for_images_only(waiter):
                return None
            images_are_blocked = True
        return None

    def _list_runnable(self) -> Iterator[Waiter]:
        """Yield each tenant's first waiter, if the tenant's share is not used up."""
        for waiter in self._queue.heads():
            waiter.charged = self._charge(waiter.tenant, waiter.cost)
            if self._fits_share(waiter.tenant, waiter.charged):
                yield waiter

    def _waits_for_images_only(self, waiter: Waiter) -> bool:
        """Whether a waiter would run now if it had no images."""
        without = replace(waiter.charged, image_bytes=0)
        return without.fits(self._used, self._capacity) and not waiter.charged.fits(
            self._used, self._capacity
        )

    def _check_images(self, tenant: str, cost: Cost, client: Hashable) -> None:
        """Refuse images beyond the limit of one tenant's running, waiting and arriving images."""
        if not cost.image_bytes:
            return
        outstanding = (
            self._shares.used_by(tenant).image_bytes
            + self._queue.image_bytes_of(tenant)
            + self._arrivals.image_bytes_of(tenant)
        )
        limit = self._shares.divide(self._max_image_bytes, tenant)
        # Half of the limit at most, or a very large request would never find it free.
        if outstanding and outstanding + min(cost.image_bytes, limit // 2) > limit:
            raise self._refusal(client)

    def _may_wait(self, tenant: str) -> bool:
        """Whether the queue has room for one more, or another waiter can be displaced."""
        return len(self._queue) < self._max_waiting or self._queue.may_displace(
            tenant, self._get_standing(tenant)
        )

    def _make_room(self, tenant: str, client: Hashable) -> None:
        """Ensure that one more request may wait, in place of a flooding tenant's if need be."""
        if not self._may_wait(tenant):
            raise self._refusal(client)
        if len(self._queue) < self._max_waiting:
            return
        displaced = self._queue.last_of_longest()
        if displaced is not None:
            self._refuse(displaced, self._refusal(displaced.client))

    def _refuse(self, waiter: Waiter, error: ApiError) -> None:
        self._queue.remove(waiter)
        if not waiter.granted.done():
            waiter.granted.set_exception(error)

    def _refusal(self, client: Hashable) -> TooManyRequests:
        seconds = self._retries.retry_after(client, self.held + len(self._queue))
        return TooManyRequests(
            f"The server is at its limit of {self._capacity.sequences} requests at once.",
            retry_after=math.ceil(seconds),
        )

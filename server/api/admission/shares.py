"""Each tenant's usage and its share of the capacity, by weight while others are active."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from server.api.admission.cost import NOTHING, Cost
from server.api.admission.fair_queue import Standing

# Seconds for which a tenant counts as active after it last ran or waited.
ACTIVE_S: Final = 2.0
# Seconds between two counts of the active tenants.
RECOUNT_S: Final = 0.1


class TenantShares:
    """The permits and resources that tenants hold, and their shares of the capacity.

    While several tenants are active they share half of the capacity by their weights: the rest
    would add latency and next to no throughput.
    """

    def __init__(
        self,
        capacity: Cost,
        get_standing: Callable[[str], Standing],
        get_waiting: Callable[[], Collection[str]],
        clock: Callable[[], float],
    ) -> None:
        """`get_waiting` returns the tenants with waiting requests, who are active, too."""
        self._capacity = capacity
        self._get_standing = get_standing
        self._get_waiting = get_waiting
        self._clock = clock
        self._used_by: dict[str, Cost] = {}
        self._permits_of: Counter[str] = Counter()
        self._last_active: dict[str, float] = {}
        self._active: set[str] = set()
        self._active_weight = 0.0
        self._recount_at = 0.0

    def used_by(self, tenant: str) -> Cost:
        """Return a tenant's usage."""
        return self._used_by.get(tenant, NOTHING)

    def share(self, tenant: str) -> Cost:
        """Return the most that a tenant may use now."""
        if self.count_active(tenant) == 1:
            return self._capacity
        return Cost(
            max(self._divide(self._capacity.sequences, tenant) // 2, 1),
            max(self._divide(self._capacity.image_bytes, tenant) // 2, 1),
        )

    def divide(self, amount: int, tenant: str) -> int:
        """Return a tenant's part of what all active ones may use together, by weight."""
        self.count_active(tenant)
        return self._divide(amount, tenant)

    def count_active(self, tenant: str) -> int:
        """Count the active tenants, `tenant` included; others are counted anew now and then."""
        now = self._clock()
        if now >= self._recount_at:
            self._recount_at = now + RECOUNT_S
            self._last_active = {
                each: last for each, last in self._last_active.items() if last > now - ACTIVE_S
            }
            self._active = {*self._permits_of, *self._get_waiting(), *self._last_active}
            self._active_weight = sum(self._get_standing(each).weight for each in self._active)
        return len(self._active) + (tenant not in self._active)

    def activate(self, tenant: str) -> None:
        """Count a tenant as active."""
        if tenant not in self._active:
            self._active.add(tenant)
            self._active_weight += self._get_standing(tenant).weight

    def use(self, tenant: str, cost: Cost) -> None:
        """Count a permit and its resources."""
        self.activate(tenant)
        self._permits_of[tenant] += 1
        self._used_by[tenant] = self.used_by(tenant) + cost

    def finish(self, tenant: str) -> None:
        """Stop counting a permit; `give_back` follows."""
        self._permits_of[tenant] -= 1

    def give_back(self, tenant: str, cost: Cost) -> None:
        """Stop counting resources."""
        self._used_by[tenant] -= cost
        self._last_active[tenant] = self._clock()
        if not self._permits_of[tenant]:
            del self._permits_of[tenant], self._used_by[tenant]

    def _divide(self, amount: int, tenant: str) -> int:
        weight = self._get_standing(tenant).weight
        total = self._active_weight + (0 if tenant in self._active else weight)
        return int(amount * weight / max(total, weight))

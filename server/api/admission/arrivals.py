"""Requests whose bodies are arriving: their images count in advance."""

from collections import Counter
from collections.abc import Callable
from typing import Final

# Seconds for which an arriving body counts: slow ones must not keep others out.
ARRIVAL_S: Final = 2.0


class Arrival:
    """The place of a request whose body is arriving. `release` is idempotent."""

    __slots__ = ("_arrivals", "expires_at", "image_bytes", "tenant")

    def __init__(
        self, arrivals: "Arrivals", tenant: str, image_bytes: int, expires_at: float
    ) -> None:
        self.tenant = tenant
        self.image_bytes = image_bytes
        self.expires_at = expires_at
        self._arrivals = arrivals

    def release(self) -> None:
        """Release the place: the body has arrived, or never will."""
        self._arrivals.end(self)


class Arrivals:
    """The arriving image bytes, by tenant."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._arrivals: dict[Arrival, None] = {}  # oldest first
        self._image_bytes: Counter[str] = Counter()

    def add(self, tenant: str, image_bytes: int) -> Arrival:
        """Count a body from here on."""
        arrival = Arrival(self, tenant, image_bytes, self._clock() + ARRIVAL_S)
        self._arrivals[arrival] = None
        self._image_bytes[tenant] += image_bytes
        return arrival

    def end(self, arrival: Arrival) -> None:
        """Stop counting a body."""
        if arrival in self._arrivals:
            del self._arrivals[arrival]
            self._image_bytes[arrival.tenant] -= arrival.image_bytes
            if not self._image_bytes[arrival.tenant]:
                del self._image_bytes[arrival.tenant]

    def image_bytes_of(self, tenant: str) -> int:
        """Return the image bytes of a tenant's bodies, except slow ones."""
        now = self._clock()
        while self._arrivals and (oldest := next(iter(self._arrivals))).expires_at <= now:
            self.end(oldest)
        return self._image_bytes[tenant]

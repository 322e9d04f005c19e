"""The right of one request to use the engine."""

from types import TracebackType
from typing import Protocol, Self

from server.api.admission.cost import Cost


class PermitGiver(Protocol):
    """The issuer of permits, which takes them back."""

    def finish(self, tenant: str, cost: Cost) -> None:
        """Take a permit back."""

    def give_back(self, tenant: str, cost: Cost) -> None:
        """Take resources back."""


class Permit:
    """The right to use the engine. `release` and `release_images` are idempotent."""

    def __init__(self, giver: PermitGiver, tenant: str, cost: Cost) -> None:
        self._giver: PermitGiver | None = giver
        self._tenant = tenant
        self._cost = cost

    def release_images(self) -> None:
        """Give back the images' resources, once they are encoded."""
        if self._giver is not None and self._cost.image_bytes:
            part = Cost(0, self._cost.image_bytes)
            self._cost -= part
            self._giver.give_back(self._tenant, part)

    def release(self) -> None:
        """Give the permit back."""
        if self._giver is not None:
            giver, self._giver = self._giver, None
            giver.finish(self._tenant, self._cost)

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

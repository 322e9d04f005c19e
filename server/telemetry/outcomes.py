"""How requests end: the values of the metric's label `outcome`."""

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from server.errors import ApiError, ClientGone
from server.telemetry.metrics import Metrics

OK: Final = "ok"
CANCELLED: Final = "cancelled"


def name_outcome(error: BaseException) -> str:
    """Return the outcome of a request that ends with this error."""
    if isinstance(error, ApiError):
        return error.outcome
    return CANCELLED if isinstance(error, ClientGone | CancelledError) else ApiError.code


class Counted:
    """A request that is being counted; set its `model` when it is known."""

    def __init__(self) -> None:
        self.model: str | None = None


@contextmanager
def count_outcome(metrics: Metrics, endpoint: str) -> Iterator[Counted]:
    """Count the block as one request, by how it ends."""
    counted = Counted()
    outcome = OK
    try:
        yield counted
    except BaseException as error:
        outcome = name_outcome(error)
        raise
    finally:
        metrics.of_request(endpoint, counted.model).count(outcome)

"""How requests end: the values of the metric's label `outcome`."""

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from server.errors import ApiError, ClientGone
from server.telemetry.metrics import Metrics

OK: Final = "ok"
CANCELLED: Final = "cancelled"
OK_STATUS: Final = 200
# nginx's status for a client that closed the connection; nobody receives it.
CLIENT_CLOSED_REQUEST: Final = 499


def name_outcome(error: BaseException) -> str:
    """Return the outcome of a request that ends with this error."""
    if isinstance(error, ApiError):
        return error.outcome
    return CANCELLED if isinstance(error, ClientGone | CancelledError) else ApiError.code


def find_status(error: BaseException) -> int:
    """Return the HTTP status of a request that ends with this error."""
    if isinstance(error, ApiError):
        return error.status
    return CLIENT_CLOSED_REQUEST if name_outcome(error) == CANCELLED else ApiError.status


@dataclass(slots=True)
class Counted:
    """A request that is being counted; set its `model` and `images` when they are known."""

    model: str | None = None
    images: int = 0
    outcome: str = OK
    status: int = OK_STATUS


@contextmanager
def count_outcome(
    metrics: Metrics, endpoint: str, counted: Counted | None = None
) -> Iterator[Counted]:
    """Count the block as one request, by how it ends; `counted` tells that afterwards."""
    counted = counted or Counted()
    try:
        yield counted
    except BaseException as error:
        counted.outcome, counted.status = name_outcome(error), find_status(error)
        raise
    finally:
        metrics.of_request(endpoint, counted.model).count(counted.outcome)

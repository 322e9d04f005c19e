"""The outcomes of requests: values of the metric label `outcome`."""

from asyncio import CancelledError
from typing import Final

from server.errors import ApiError, ClientGone

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

"""Counts each request once, unless it is refused for lack of capacity."""

from collections.abc import Awaitable
from typing import Final

from prometheus_client import Counter
from starlette.types import Message, Send

from server.api.rate_limits.meter import RequestMeter
from server.errors import TooManyRequests, Unavailable

# Statuses of requests that should be retried, refused through no fault of their own.
UNCOUNTED_STATUSES: Final = frozenset({TooManyRequests.status, Unavailable.status})


class RequestCount:
    """Counts one request, by the status of its response."""

    def __init__(self, meter: RequestMeter, counter: Counter) -> None:
        """`meter` has counted the request; `counter` counts those of its key in metrics."""
        self._meter = meter
        self._counter = counter
        self._is_known = False

    def watch(self, send: Send) -> Send:
        """Return a `send` that checks the status before sending."""

        def send_counted(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self._decide(is_counted=message["status"] not in UNCOUNTED_STATUSES)
            return send(message)

        return send_counted

    def end(self) -> None:
        """Also count a request that got no response."""
        if not self._is_known:
            self._decide(is_counted=True)

    def _decide(self, *, is_counted: bool) -> None:
        self._is_known = True
        if is_counted:
            self._counter.inc()
        else:
            self._meter.take_back()

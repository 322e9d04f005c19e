"""`Retry-After` from the measured rate; spreads refused clients over the time that they need."""

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

# After this time, finished requests count half.
HALF_LIFE_S: Final = 5.0
MIN_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 60.0
# Refused clients to remember; beyond that, everybody gets the longest time.
MAX_CLIENTS: Final = 20_000
# Seconds of prediction that one second of history supports. With little history, clients are asked
# to come back soon: a server that just filled up does not know its rate.
TRUST: Final = 8.0
# Retry times are spread over this share of the estimate.
JITTER: Final = 0.5


class RetryEstimator:
    """Estimates when a refused client would be served, from how many others were refused.

    A client that comes back early replaces its own entry: a client in a tight loop does not push
    the others' times up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._refused: OrderedDict[Hashable, float] = OrderedDict()
        self._finished = 0.0
        self._observed_s = 0.0  # while requests ran
        self._is_busy = False
        self._updated = clock()

    def record_started(self) -> None:
        """Note that requests run, so that time counts from now on."""
        if not self._is_busy:
            self._decay()
            self._is_busy = True

    def record_idle(self) -> None:
        """Note that no request runs, since an idle server's rate says nothing."""
        self._decay()
        self._is_busy = False

    def record_finished(self) -> None:
        """Note that a request has given its permit back."""
        self._decay()
        self._finished += 1

    def rate(self) -> float:
        """Return the recent rate of finished requests, per second."""
        self._decay()
        return self._finished / self._observed_s if self._observed_s > 0 else 0.0

    def is_early(self, client: Hashable) -> bool:
        """Return whether a client comes back before its `Retry-After`."""
        return self._refused.get(client, 0.0) > self._clock()

    def retry_after(self, client: Hashable, ahead: int) -> float:
        """Return the seconds after which `client` should try again.

        `ahead` counts the requests that run or wait.
        """
        now = self._clock()
        self._drop_expired(now)
        self._refused.pop(client, None)
        rate = max(self.rate(), 1 / MAX_RETRY_S)
        estimate = (ahead + len(self._refused) + 1) / rate
        longest = min(MIN_RETRY_S + TRUST * self._observed_s, MAX_RETRY_S / (1 + JITTER))
        spread = min(estimate, longest) * (1 + JITTER * self._random.random())
        seconds = max(spread, MIN_RETRY_S)
        if len(self._refused) < MAX_CLIENTS:
            self._refused[client] = now + seconds
        return seconds

    def _drop_expired(self, now: float) -> None:
        # In order of arrival, not of expiry: one late entry may hide earlier ones for a while.
        while self._refused:
            client, expiry = next(iter(self._refused.items()))
            if expiry > now:
                return
            del self._refused[client]

    def _decay(self) -> None:
        """Decay count and time alike, with a half-life of `HALF_LIFE_S`."""
        now = self._clock()
        elapsed = now - self._updated
        self._updated = now
        if not self._is_busy:
            return
        factor = 0.5 ** (elapsed / HALF_LIFE_S)
        self._finished *= factor
        self._observed_s = self._observed_s * factor + elapsed

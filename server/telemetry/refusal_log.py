"""One log line a second for refused requests, however many there are."""

import asyncio
from collections import Counter
from typing import Final

from server.telemetry.logs import get_logger

log = get_logger(__name__)

INTERVAL_S: Final = 1.0
# Client addresses, and keys, named in a line: those with the most refusals.
MAX_REPORTED: Final = 5
# Addresses, and keys, counted in a second; more are not reported.
MAX_COUNTED: Final = 1000


class RefusalLog:
    """Counts refusals by error code, client and key; logs them once a second while there are any.

    They show the operator who floods the server.
    """

    def __init__(self) -> None:
        self._codes: Counter[str] = Counter()
        self._clients: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()

    def add(self, code: str, client: str | None, key: str | None = None) -> None:
        """Count a refusal by the client's address and the key's name, if known.

        Call it from the event loop.
        """
        if not self._codes:
            asyncio.get_running_loop().call_later(INTERVAL_S, self.flush)
        self._codes[code] += 1
        _count(self._clients, client)
        _count(self._keys, key)

    def flush(self) -> None:
        """Log the counts, if there are any."""
        if not self._codes:
            return
        most = {"clients": _find_most(self._clients), "keys": _find_most(self._keys)}
        log.info("requests refused", **self._codes, **{who: most[who] for who in most if most[who]})
        for counts in (self._codes, self._clients, self._keys):
            counts.clear()


def _count(counts: Counter[str], name: str | None) -> None:
    if name and (name in counts or len(counts) < MAX_COUNTED):
        counts[name] += 1


def _find_most(counts: Counter[str]) -> dict[str, int]:
    return dict(counts.most_common(MAX_REPORTED))

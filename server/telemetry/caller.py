"""The caller of a request, as its processing and its record need it."""

from dataclasses import dataclass
from typing import Final

from server.telemetry.token_meter import UNMETERED, TokenMeter


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose caches and limits a request uses, and the names for logs.

    `address` is the client's; `key` names its key in logs; `key_name` is set only for the server's
    own keys. Caches are shared within `cache_partition`. No field has a default: a forgotten one
    would share caches between keys, or count no tokens.
    """

    address: str | None
    key: str | None
    key_name: str | None
    cache_partition: str
    meter: TokenMeter


# Without limits, and with the shared caches.
ANYBODY: Final = Caller(None, None, None, "", UNMETERED)

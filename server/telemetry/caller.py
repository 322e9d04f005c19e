"""Who a request comes from, as far as its processing and its record need it."""

from dataclasses import dataclass
from typing import Final

from server.telemetry.token_meter import UNMETERED, TokenMeter


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose caches and limits a request uses, and what logs call them.

    `address` is the client's; `key` names its key in logs, `key_name` is set for one of the
    server's keys only. What is cached is shared within `cache_partition`. Nothing has a default:
    whoever forgot one would share caches between keys, or count no tokens.
    """

    address: str | None
    key: str | None
    key_name: str | None
    cache_partition: str
    meter: TokenMeter


# Without limits, and with the caches that all share.
ANYBODY: Final = Caller(None, None, None, "", UNMETERED)

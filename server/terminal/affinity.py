"""The affinity of a conversation: a balancer routes equal values to the same replica."""

import re
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

import httpx

HEADER: Final = "x-llava-affinity"
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._~:-]{1,64}")


@dataclass(slots=True)
class Affinity:
    """The value of one conversation.

    The server would choose one, too, but only with the first answer: with a value from the start,
    the second question goes to the replica that answered the first.
    """

    value: str = field(default_factory=lambda: token_hex(16))

    def build_headers(self) -> dict[str, str]:
        """Return the header of a request."""
        return {HEADER: self.value}

    def update(self, response: httpx.Response) -> None:
        """Take over the value that an answer names, if any."""
        named = response.headers.get(HEADER, "")
        if _WELL_FORMED.fullmatch(named):
            self.value = named

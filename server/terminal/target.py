"""Where to find a server and which model to ask, as the options say."""

from dataclasses import dataclass
from typing import Final

DEFAULT_URL: Final = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL and a key, or `start` for a server of one's own; no model stands for the first."""

    url: str
    api_key: str | None
    model: str | None
    timeout_s: float
    start: bool

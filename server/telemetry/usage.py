"""What one request used: for metrics by key, and for the usage log."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """One request at its end. `key` is the name of one of the server's keys, None without one."""

    time: str
    id: str
    key: str | None
    model: str | None
    endpoint: str | None
    status: int
    outcome: str
    images: int
    image_tokens: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    seconds: float

    def format_line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"

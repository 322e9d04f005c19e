"""One request's usage, for the metrics by key and the usage log."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A finished request's usage. `key` is the name of one of the server's keys, or None."""

    time: str = field(default_factory=_format_now)
    id: str
    key: str | None
    model: str | None
    endpoint: str | None
    status: int
    outcome: str
    images: int
    image_tokens: int = 0
    videos: int = 0
    video_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float

    def format_line(self) -> str:
        """Return the usage as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"

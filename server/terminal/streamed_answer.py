"""An answer as it grows, with its usage and its times."""

import time
from dataclasses import dataclass, field
from typing import Any

from server.terminal.wire import Piece


@dataclass(slots=True)
class StreamedAnswer:
    """What has come of an answer; times are seconds of the monotonic clock."""

    model: str
    text: str = ""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    begun: float = field(default_factory=time.monotonic)
    first: float | None = None
    last: float | None = None

    def add(self, piece: Piece) -> str:
        """Take a piece; return the text it adds."""
        text = piece.text
        self.last = time.monotonic()
        if text and self.first is None:
            self.first = self.last
        self.text += text
        self.model = piece.model or self.model
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.usage = piece.usage or self.usage
        return text

    def tokens(self, kind: str) -> int | None:
        """Return `prompt` or `completion` tokens, where the server counts them."""
        count = (self.usage or {}).get(f"{kind}_tokens")
        return count if isinstance(count, int) else None

    @property
    def ttft_s(self) -> float | None:
        """Seconds until the first text."""
        return None if self.first is None else self.first - self.begun

    @property
    def total_s(self) -> float | None:
        """Seconds until the last piece."""
        return None if self.last is None else self.last - self.begun

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens after the first one, over the time they took."""
        count = self.tokens("completion")
        if self.first is None or self.last is None or count is None:
            return None
        spent = self.last - self.first
        return (count - 1) / spent if count > 1 and spent > 0 else None

"""The state of a streamed answer: text, usage and times."""

import time
from dataclasses import dataclass, field
from typing import Any

from server.terminal.wire import CompletionChunk


@dataclass(slots=True)
class StreamedAnswer:
    """The answer so far; times are seconds of the monotonic clock."""

    model: str
    text: str = ""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    started_at: float = field(default_factory=time.monotonic)
    first_text_at: float | None = None
    last_chunk_at: float | None = None

    def add_chunk(self, chunk: CompletionChunk) -> str:
        """Add a chunk; return its text."""
        text = chunk.text
        self.last_chunk_at = time.monotonic()
        if text and self.first_text_at is None:
            self.first_text_at = self.last_chunk_at
        self.text += text
        self.model = chunk.model or self.model
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.usage = chunk.usage or self.usage
        return text

    def count_tokens(self, kind: str) -> int | None:
        """Return the `prompt` or `completion` tokens of the usage, if any."""
        count = (self.usage or {}).get(f"{kind}_tokens")
        return count if isinstance(count, int) else None

    @property
    def ttft_s(self) -> float | None:
        """Seconds until the first text."""
        return None if self.first_text_at is None else self.first_text_at - self.started_at

    @property
    def total_s(self) -> float | None:
        """Seconds until the last chunk."""
        return None if self.last_chunk_at is None else self.last_chunk_at - self.started_at

    @property
    def tokens_per_s(self) -> float | None:
        """Decode rate: the tokens after the first over their time."""
        count = self.count_tokens("completion")
        if self.first_text_at is None or self.last_chunk_at is None or count is None:
            return None
        decode_s = self.last_chunk_at - self.first_text_at
        return (count - 1) / decode_s if count > 1 and decode_s > 0 else None

"""Answers on stdout, the only thing there: as text while they grow, or as a JSON object each."""

import json
import sys
from typing import Protocol

from server.terminal.streamed_answer import StreamedAnswer
from server.terminal.text import escape_control_characters


class AnswerPrinter(Protocol):
    """Where an answer goes."""

    def more(self, text: str) -> None:
        """Take text that was added."""

    def end(self, answer: StreamedAnswer) -> None:
        """Take the answer once no more will come; one that broke off may have no text."""


class TextPrinter:
    """Text as it comes; on a terminal without what a terminal would obey."""

    def __init__(self) -> None:
        self._on_terminal = sys.stdout.isatty()

    def more(self, text: str) -> None:
        """Print text that was added."""
        sys.stdout.write(escape_control_characters(text) if self._on_terminal else text)
        sys.stdout.flush()

    def end(self, answer: StreamedAnswer) -> None:
        """End the line."""
        if not answer.text.endswith("\n"):
            self.more("\n")


class JsonPrinter:
    """One line of JSON for each finished answer."""

    def more(self, text: str) -> None:
        """Wait for the end."""

    def end(self, answer: StreamedAnswer) -> None:
        """Print an answer, unless it broke off."""
        if answer.finish_reason is None:
            return
        shown = {
            "answer": answer.text,
            "model": answer.model,
            "finish_reason": answer.finish_reason,
            "usage": answer.usage,
            "timings": {
                "ttft_s": answer.ttft_s,
                "total_s": answer.total_s,
                "tokens_per_s": answer.tokens_per_s,
            },
        }
        print(json.dumps(shown), flush=True)

"""Answers on stdout: streamed text, or one JSON object per answer."""

import json
import sys
from typing import Protocol

from server.terminal.streamed_answer import StreamedAnswer
from server.terminal.text import escape_control_characters


class AnswerPrinter(Protocol):
    """Prints answers."""

    def write_text(self, text: str) -> None:
        """Add text to the answer."""

    def finish(self, answer: StreamedAnswer) -> None:
        """End the answer; an answer that broke off may have no text."""


class TextPrinter:
    """Prints text as it arrives; control characters are escaped on a terminal."""

    def __init__(self) -> None:
        self._on_terminal = sys.stdout.isatty()

    def write_text(self, text: str) -> None:
        """Print the text."""
        sys.stdout.write(escape_control_characters(text) if self._on_terminal else text)
        sys.stdout.flush()

    def finish(self, answer: StreamedAnswer) -> None:
        """End the line."""
        if not answer.text.endswith("\n"):
            self.write_text("\n")


class JsonPrinter:
    """Prints one line of JSON per finished answer."""

    def write_text(self, text: str) -> None:
        """Print nothing before the end."""

    def finish(self, answer: StreamedAnswer) -> None:
        """Print the answer unless it broke off."""
        if answer.finish_reason is None:
            return
        fields = {
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
        print(json.dumps(fields), flush=True)

"""A conversation with a model: asks, prints, keeps what was answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.terminal.client import Client
from server.terminal.errors import UsageFault
from server.terminal.history import ChatHistory, ChatTurn, Message, PendingQuestion
from server.terminal.output import AnswerPrinter
from server.terminal.stderr_console import Notes
from server.terminal.streamed_answer import StreamedAnswer


@dataclass(slots=True)
class Chat:
    """A conversation, whom it is held with, and where answers and notes go.

    `fields` go into every request. `failed` is the last question, if it got no answer.
    """

    client: Client
    model: str
    conversation: ChatHistory
    fields: dict[str, Any]
    printed: AnswerPrinter
    notes: Notes
    failed: str | None = None

    def ask(self, text: str) -> bool:
        """Ask with the images that wait; tell whether the answer came to its end.

        Of an answer that Ctrl-C stops, the part that is there is kept. Raises `ChatError`; the
        images then wait still.
        """
        self.failed = text
        asked = PendingQuestion(text, tuple(self.conversation.waiting))
        answer = self._answered(asked, self.conversation.turns)
        if self.failed is None:
            self.conversation.waiting.clear()
        return answer.finish_reason is not None

    def retry(self) -> bool:
        """Ask the question that failed, else the last one for another answer.

        Raises `ChatError`; the answer that was there is then kept.
        """
        if self.failed is not None:
            return self.ask(self.failed)
        if not self.conversation.turns:
            raise UsageFault("there is nothing to ask again")
        *before, last = self.conversation.turns
        return self._answered(last.asked, before).finish_reason is not None

    def clear(self) -> None:
        """Begin a new conversation."""
        self.conversation.clear()
        self.failed = None

    def _answered(self, asked: PendingQuestion, before: Sequence[ChatTurn]) -> StreamedAnswer:
        answer = StreamedAnswer(self.model)
        try:
            self._receive(answer, self.conversation.messages(before, asked))
        except KeyboardInterrupt:
            answer.finish_reason = None
        if answer.text or answer.finish_reason is not None:
            self.conversation.turns = [*before, ChatTurn(asked, answer.text)]
            self.failed = None
        self._sum_up(answer)
        return answer

    def _receive(self, answer: StreamedAnswer, messages: list[Message]) -> None:
        body = {"model": self.model, "messages": messages, **self.fields}
        try:
            for piece in self.client.answer(body):
                if text := answer.add(piece):
                    self.printed.more(text)
        finally:
            if answer.text or answer.finish_reason is not None:
                self.printed.end(answer)

    def _sum_up(self, answer: StreamedAnswer) -> None:
        """Say how the answer ended, what it cost and how long it took, if a person reads it."""
        if answer.finish_reason is None:
            self.notes.say("stopped")
            return
        if answer.finish_reason not in ("stop", None):
            self.notes.say(f"ended by {answer.finish_reason}")
        if self.notes.on_terminal:
            self.notes.say(summary(answer))


def summary(answer: StreamedAnswer) -> str:
    """Put tokens and times of an answer on a line."""
    counts = (("prompt", "in"), ("completion", "out"))
    parts = [f"{n} tokens {way}" for kind, way in counts if (n := answer.tokens(kind)) is not None]
    if answer.ttft_s is not None:
        parts.append(f"first token after {answer.ttft_s:.2f} s")
    if answer.tokens_per_s is not None:
        parts.append(f"{answer.tokens_per_s:.0f} tokens/s")
    return " · ".join(parts)

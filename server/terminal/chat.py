"""A conversation: sends questions, prints answers and keeps the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.terminal.client import ChatClient
from server.terminal.errors import UsageError
from server.terminal.history import ChatHistory, ChatTurn, Message, UserMessage
from server.terminal.output import AnswerPrinter
from server.terminal.stderr_console import StderrConsole
from server.terminal.streamed_answer import StreamedAnswer


@dataclass(slots=True)
class Chat:
    """A conversation with one model of one server.

    `fields` are added to every request. `failed_question` is the last question if it got no answer.
    """

    client: ChatClient
    model: str
    history: ChatHistory
    fields: dict[str, Any]
    printer: AnswerPrinter
    console: StderrConsole
    failed_question: str | None = None

    def ask(self, text: str) -> bool:
        """Ask with the attachments; return whether the answer is complete.

        Ctrl-C stops an answer and keeps its text so far. On `ChatError` the attachments stay.
        """
        self.failed_question = text
        question = UserMessage(text, tuple(self.history.attachments))
        answer = self._request_answer(question, self.history.turns)
        if self.failed_question is None:
            self.history.attachments.clear()
        return answer.finish_reason is not None

    def retry(self) -> bool:
        """Ask the failed question again, or else the last one.

        Raises `ChatError`; the previous answer is then kept.
        """
        if self.failed_question is not None:
            return self.ask(self.failed_question)
        if not self.history.turns:
            raise UsageError("there is nothing to ask again")
        *earlier_turns, last = self.history.turns
        return self._request_answer(last.question, earlier_turns).finish_reason is not None

    def clear(self) -> None:
        """Start a new conversation."""
        self.history.clear()
        self.failed_question = None

    def _request_answer(
        self, question: UserMessage, earlier_turns: Sequence[ChatTurn]
    ) -> StreamedAnswer:
        answer = StreamedAnswer(self.model)
        try:
            self._receive(answer, self.history.build_messages(earlier_turns, question))
        except KeyboardInterrupt:
            answer.finish_reason = None
        if answer.text or answer.finish_reason is not None:
            self.history.turns = [*earlier_turns, ChatTurn(question, answer.text)]
            self.failed_question = None
        self._print_summary(answer)
        return answer

    def _receive(self, answer: StreamedAnswer, messages: list[Message]) -> None:
        body = {"model": self.model, "messages": messages, **self.fields}
        try:
            for chunk in self.client.stream_chunks(body, self.history.affinity):
                if text := answer.add_chunk(chunk):
                    self.printer.write_text(text)
        finally:
            if answer.text or answer.finish_reason is not None:
                self.printer.finish(answer)

    def _print_summary(self, answer: StreamedAnswer) -> None:
        """Print how the answer ended; in an interactive console also tokens and times."""
        if answer.finish_reason is None:
            self.console.print("stopped")
            return
        if answer.finish_reason not in ("stop", None):
            self.console.print(f"ended by {answer.finish_reason}")
        if self.console.is_interactive:
            self.console.print(format_summary(answer))


def format_summary(answer: StreamedAnswer) -> str:
    """Format the tokens and times of an answer as one line."""
    counts = (("prompt", "in"), ("completion", "out"))
    parts = [
        f"{n} tokens {way}" for kind, way in counts if (n := answer.count_tokens(kind)) is not None
    ]
    if answer.ttft_s is not None:
        parts.append(f"first token after {answer.ttft_s:.2f} s")
    if answer.tokens_per_s is not None:
        parts.append(f"{answer.tokens_per_s:.0f} tokens/s")
    return " · ".join(parts)

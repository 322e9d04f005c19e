"""Builds a message: content, usage and stop reason."""

from server.messages.content_writer import ContentWriter
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.messages.events import Stop
from server.protocol.messages.response import MessageUsage, ResponseMessage, StopReason
from server.telemetry.request_record import RequestRecord


class MessageBuilder:
    """Builds the message of one request, first without content, then complete."""

    def __init__(self, chat: ChatCompletionRequest, record: RequestRecord) -> None:
        self._chat = chat
        self._record = record

    def build_start(self) -> ResponseMessage:
        """Return the message without content."""
        return ResponseMessage(
            id=self._record.request_id,
            model=self._chat.model,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=self.build_usage(),
        )

    def build_complete(self, content: ContentWriter) -> ResponseMessage:
        """Return the message with its content."""
        stop = self.build_stop(content)
        return self.build_start().model_copy(update={**dict(stop), "content": content.blocks})

    def build_stop(self, content: ContentWriter) -> Stop:
        """Return the stop reason."""
        reason = self._choose_stop_reason(content)
        stop_sequence = content.stop_string if reason == "stop_sequence" else None
        return Stop(stop_reason=reason, stop_sequence=stop_sequence)

    def build_usage(self) -> MessageUsage:
        """Return the tokens so far."""
        return MessageUsage(
            input_tokens=self._record.prompt_tokens, output_tokens=self._record.completion_tokens
        )

    def _choose_stop_reason(self, content: ContentWriter) -> StopReason:
        if content.finish_reason == "length":
            # The limit is clamped to what the context has left.
            is_limit = self._record.completion_tokens >= (self._chat.token_limit or 0)
            return "max_tokens" if is_limit else "model_context_window_exceeded"
        # The template has stop strings, too.
        if content.stop_string in self._chat.stop_strings:
            return "stop_sequence"
        return "tool_use" if content.has_calls else "end_turn"

"""One answer of a request, read output by output."""

from collections.abc import Callable

from server.engine.base import EngineOutput
from server.generation.choice_delta import ChoiceDelta, FinishReason
from server.generation.logprobs import LogprobsReader
from server.generation.tool_call_parser import TextOnlyParser
from server.tools.content import ContentParser, ToolCallStart


class ChoiceReader:
    """Turns an answer's outputs into deltas."""

    def __init__(
        self,
        index: int,
        tools: ContentParser,
        logprobs: LogprobsReader | None,
        *,
        called: bool = False,
        verbatim: bool = False,
    ) -> None:
        """With `called` the client named the function itself, so a call ends it as text would.

        With `verbatim` the answer keeps the space that it begins with.
        """
        self._index = index
        self._tools = tools
        self._logprobs = logprobs
        self._called = called
        self._begun = verbatim
        self._calls = False

    def read(self, output: EngineOutput) -> ChoiceDelta:
        """Return what the answer gains; the space that follows `ASSISTANT:` is not part of it."""
        text = output.text
        if not self._begun:
            text = self._without_space(text)
        ended = output.finish_reason is not None
        pieces = list(self._tools.read(text, output.token_ids, ended=ended))
        self._calls = self._calls or any(isinstance(piece, ToolCallStart) for piece in pieces)
        logprobs = self._logprobs
        return ChoiceDelta(
            self._index,
            pieces,
            list(logprobs.read(output.logprobs, text, ended=ended)) if logprobs else (),
            self._finish_reason(output),
        )

    def _without_space(self, text: str) -> str:
        shown = text.lstrip()
        self._begun = bool(shown)
        if self._logprobs is not None:
            self._logprobs.skip(text[: len(text) - len(shown)])
        return shown

    def _finish_reason(self, output: EngineOutput) -> FinishReason | None:
        if output.finish_reason == "stop" and self._calls and not self._called:
            return "tool_calls"
        return output.finish_reason


ChoiceReaderFactory = Callable[[int], ChoiceReader]


def new_text_reader(index: int) -> ChoiceReader:
    """Return an answer without tools or log probabilities."""
    return ChoiceReader(index, TextOnlyParser(), None)

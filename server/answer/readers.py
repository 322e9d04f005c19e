"""How the answers to a chat are read: by which tool reader, and with log probabilities or not."""

from server.answer.choice import Choice, ChoiceFactory
from server.answer.logprobs import LogprobReader
from server.answer.tool_calls import CallReader, PlainReader
from server.engine.base import ToolParser
from server.grammar.build import CallableFunctions
from server.pieces import ToolReader
from server.vocabulary import Vocabulary


class AnswerReaders:
    """Makes readers; `parser` is there where the checkpoint has a tool format of its own."""

    def __init__(self, vocabulary: Vocabulary, parser: ToolParser | None) -> None:
        self._vocabulary = vocabulary
        self._parser = parser

    def is_native(self, calls: CallableFunctions | None) -> bool:
        """Tell whether calls come in the checkpoint's own format: then no grammar forces them."""
        return self._parser is not None and calls is not None and not calls.required

    def choices(self, top_logprobs: int | None, calls: CallableFunctions | None) -> ChoiceFactory:
        """Return how each of a request's answers is to be read."""

        def new_choice(index: int) -> Choice:
            logprobs = None
            if top_logprobs is not None:
                logprobs = LogprobReader(self._vocabulary, top_logprobs)
            named = calls is not None and calls.named
            return Choice(index, self._tool_reader(calls), logprobs, called=named)

        return new_choice

    def _tool_reader(self, calls: CallableFunctions | None) -> ToolReader:
        if calls is None:
            return PlainReader()
        if self._parser is not None and self.is_native(calls):
            return self._parser.reader([tool.model_dump() for tool in calls.tools])
        return CallReader()

"""How the answers to a chat are read: by which tool reader, and with log probabilities or not."""

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import ToolParser
from server.generation.choice_reader import ChoiceReader, ChoiceReaderFactory
from server.generation.logprobs import VisibleTokensReader
from server.generation.tool_call_parser import TextOnlyParser, ToolCallParser
from server.structured_outputs.grammar import CallableTools
from server.tools.content import ContentParser


class ChoiceReaders:
    """Makes readers; `parser` is there where the checkpoint has a tool format of its own."""

    def __init__(self, vocabulary: Vocabulary, parser: ToolParser | None) -> None:
        self._vocabulary = vocabulary
        self._parser = parser

    def is_native(self, calls: CallableTools | None) -> bool:
        """Tell whether calls come in the checkpoint's own format: then no grammar forces them."""
        return self._parser is not None and calls is not None and not calls.required

    def choices(self, top_logprobs: int | None, calls: CallableTools | None) -> ChoiceReaderFactory:
        """Return how each of a request's answers is to be read."""

        def new_choice(index: int) -> ChoiceReader:
            logprobs = None
            if top_logprobs is not None:
                logprobs = VisibleTokensReader(self._vocabulary, top_logprobs)
            named = calls is not None and calls.named
            return ChoiceReader(index, self._tool_reader(calls), logprobs, called=named)

        return new_choice

    def _tool_reader(self, calls: CallableTools | None) -> ContentParser:
        if calls is None:
            return TextOnlyParser()
        if self._parser is not None and self.is_native(calls):
            return self._parser.build_reader([tool.model_dump() for tool in calls.tools])
        return ToolCallParser()

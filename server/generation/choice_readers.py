"""Builds the choice readers of a chat: with tools or without, with log probabilities or without."""

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import ToolParser
from server.generation.choice_reader import ChoiceReader, ChoiceReaderFactory
from server.generation.logprobs import VisibleTokensReader
from server.generation.tool_call_parser import TextOnlyParser, ToolCallParser
from server.structured_outputs.grammar import CallableTools
from server.tools.content import ContentParser


class ChoiceReaders:
    """Builds readers; `parser` is None unless the checkpoint has a native tool-call format."""

    def __init__(self, vocabulary: Vocabulary, parser: ToolParser | None) -> None:
        self._vocabulary = vocabulary
        self._parser = parser

    def is_native(self, calls: CallableTools | None) -> bool:
        """Whether calls come in the native format; then no grammar enforces them."""
        return self._parser is not None and calls is not None and not calls.required

    def build_factory(
        self, top_logprobs: int | None, calls: CallableTools | None
    ) -> ChoiceReaderFactory:
        """Return a function that builds the reader of a choice by its index."""

        def build_reader(index: int) -> ChoiceReader:
            logprobs_reader = None
            if top_logprobs is not None:
                logprobs_reader = VisibleTokensReader(self._vocabulary, top_logprobs)
            return ChoiceReader(
                index,
                self._build_content_parser(calls),
                logprobs_reader,
                named_tool_choice=calls is not None and calls.named,
            )

        return build_reader

    def _build_content_parser(self, calls: CallableTools | None) -> ContentParser:
        if calls is None:
            return TextOnlyParser()
        if self._parser is not None and self.is_native(calls):
            return self._parser.build_reader([tool.model_dump() for tool in calls.tools])
        return ToolCallParser()

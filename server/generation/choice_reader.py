"""One choice of a request: reads its engine outputs into deltas."""

from collections.abc import Callable

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import EngineOutput, ToolParser
from server.generation.choice_delta import ChoiceDelta
from server.generation.logprobs import LogprobsReader, VisibleTokensReader
from server.generation.tool_call_parser import TextOnlyParser, ToolCallParser
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.chat.response import FinishReason
from server.tools.callable_tools import CallableTools
from server.tools.content import ContentParser, ToolCallStart


class ChoiceReader:
    """Reads one choice: parses its content and aligns its log probabilities."""

    def __init__(
        self,
        index: int,
        content_parser: ContentParser,
        logprobs_reader: LogprobsReader | None,
        *,
        named_tool_choice: bool = False,
        keep_leading_space: bool = False,
        report_token_ids: bool = False,
    ) -> None:
        """With `named_tool_choice`, the client chose the function and a call ends with `stop`."""
        self._report_token_ids = report_token_ids
        self._index = index
        self._content_parser = content_parser
        self._logprobs_reader = logprobs_reader
        self._named_tool_choice = named_tool_choice
        self._has_text = keep_leading_space
        self._has_calls = False

    def read(self, output: EngineOutput) -> ChoiceDelta:
        """Return the choice's next delta, without the space that follows `ASSISTANT:`."""
        text = output.text
        if not self._has_text:
            text = self._strip_leading_space(text)
        ended = output.finish_reason is not None
        parsed = self._content_parser.parse(text, output.token_ids, output.finish_reason)
        content = list(parsed)
        self._has_calls = self._has_calls or any(isinstance(c, ToolCallStart) for c in content)
        reader = self._logprobs_reader
        return ChoiceDelta(
            self._index,
            content,
            list(reader.read(output.logprobs, text, ended=ended)) if reader else (),
            self._build_finish_reason(output),
            output.token_ids if self._report_token_ids else (),
            output.stop_string,
        )

    def _strip_leading_space(self, text: str) -> str:
        stripped = text.lstrip()
        self._has_text = bool(stripped)
        if self._logprobs_reader is not None:
            self._logprobs_reader.skip(text[: len(text) - len(stripped)])
        return stripped

    def _build_finish_reason(self, output: EngineOutput) -> FinishReason | None:
        if output.finish_reason == "stop" and self._has_calls and not self._named_tool_choice:
            return "tool_calls"
        return output.finish_reason


ChoiceReaderFactory = Callable[[int], ChoiceReader]


def build_text_reader(index: int) -> ChoiceReader:
    """Return a reader without tools or log probabilities."""
    return ChoiceReader(index, TextOnlyParser(), None)


def build_chat_readers(
    request: ChatCompletionRequest,
    tools: CallableTools | None,
    native_parser: ToolParser | None,
    vocabulary: Vocabulary,
    *,
    is_continuation: bool = False,
) -> ChoiceReaderFactory:
    """Return a function that builds the reader of a chat's choice by its index.

    `native_parser` parses calls in the checkpoint's own format. A continuation keeps its leading
    space.
    """

    def build_reader(index: int) -> ChoiceReader:
        return ChoiceReader(
            index,
            _build_content_parser(tools, native_parser),
            _build_logprobs_reader(request, vocabulary),
            named_tool_choice=tools is not None and tools.named,
            keep_leading_space=is_continuation,
            report_token_ids=bool(request.return_token_ids),
        )

    return build_reader


def _build_logprobs_reader(
    request: ChatCompletionRequest, vocabulary: Vocabulary
) -> VisibleTokensReader | None:
    if request.num_logprobs is None:
        return None
    return VisibleTokensReader(
        vocabulary.named_by_id if request.return_tokens_as_token_ids else vocabulary,
        request.num_logprobs,
        skip_special_tokens=request.skip_special_tokens is not False,
    )


def _build_content_parser(
    tools: CallableTools | None, native_parser: ToolParser | None
) -> ContentParser:
    if tools is None:
        return TextOnlyParser()
    if tools.is_native and native_parser is not None:
        return native_parser.build_reader([tool.model_dump() for tool in tools.tools])
    return ToolCallParser(required=tools.required)

"""vLLM's tool parsers, for models with a native tool-call format."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from transformers import PreTrainedTokenizerBase
from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.tool_parsers import ToolParser, ToolParserManager
from vllm.tool_parsers.utils import partial_tag_overlap

from server.checkpoint.config import CheckpointError
from server.protocol.chat.response import FinishReason
from server.tools.content import ContentDelta, ToolCallArguments, ToolCallStart, make_tool_call_id

# Attributes in which vLLM's parsers keep the text that begins a call.
MARKER_ATTRIBUTES: Final = ("tool_call_start_token", "bot_token")


class NativeToolParser:
    """One of vLLM's tool parsers, by its name."""

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raise `CheckpointError` where the parser is unknown or rejects this tokenizer."""
        try:
            self._parser = ToolParserManager.get_tool_parser(name)
            self._parser(tokenizer)
        except KeyError:
            names = ", ".join(ToolParserManager.list_registered())
            raise CheckpointError(f"the tool parser {name!r} is not one of {names}") from None
        except Exception as error:
            raise CheckpointError(f"the tool parser {name!r} cannot be used: {error}") from None
        self._tokenizer = tokenizer

    def build_reader(self, tools: Sequence[dict[str, Any]]) -> "NativeContentParser":
        """Return a parser of one completion; `tools` are OpenAI's `tools`."""
        request = ChatCompletionRequest(messages=[], tools=list(tools), tool_choice="auto")
        return NativeContentParser(self._parser(self._tokenizer, request.tools), request)


class NativeContentParser:
    """Parses one completion's tool calls; see `server.tools.content.ContentParser`."""

    def __init__(self, parser: ToolParser, request: ChatCompletionRequest) -> None:
        self._parser = parser
        self._request = request
        self._text = ""
        self._token_ids: list[int] = []
        self._num_calls = 0

    def parse(
        self, text: str, token_ids: Sequence[int], finish_reason: FinishReason | None
    ) -> Iterator[ContentDelta]:
        """Yield the deltas that vLLM's parser finds in the text."""
        if finish_reason == "stop" and not self._token_ids:
            yield from self._parse_complete(text)
            return
        # A text cut off by the token limit is parsed like a stream, in which calls may be partial.
        delta = self._parse_next(text, token_ids)
        if delta is not None:
            content = delta.content or ""
            if finish_reason == "length":
                content = self._cut_off_marker(content)
            if content:
                yield content
            for call in delta.tool_calls or ():
                yield from self._convert_call(call)
        if finish_reason and self._num_calls:
            remaining = self._parser.get_remaining_unstreamed_args()
            if remaining:
                yield ToolCallArguments(self._num_calls - 1, remaining)

    def _parse_next(self, text: str, token_ids: Sequence[int]) -> DeltaMessage | None:
        previous_text, previous_ids = self._text, list(self._token_ids)
        self._text += text
        self._token_ids += token_ids
        return self._parser.extract_tool_calls_streaming(
            previous_text,
            self._text,
            text,
            previous_ids,
            self._token_ids,
            list(token_ids),
            self._request,
        )

    def _cut_off_marker(self, text: str) -> str:
        """Return the text before a marker that begins a call, or before the start of one."""
        markers = (getattr(self._parser, name, None) for name in MARKER_ATTRIBUTES)
        for marker in filter(None, markers):
            text = text.partition(marker)[0]
            text = text[: len(text) - partial_tag_overlap(text, marker)]
        return text

    def _convert_call(self, call: Any) -> Iterator[ContentDelta]:
        function = call.function
        if function is not None and function.name:
            self._num_calls = max(self._num_calls, call.index + 1)
            yield ToolCallStart(call.index, call.id or make_tool_call_id(), function.name)
        if function is not None and function.arguments:
            yield ToolCallArguments(call.index, function.arguments)

    def _parse_complete(self, text: str) -> Iterator[ContentDelta]:
        extracted = self._parser.extract_tool_calls(text, self._request)
        if not extracted.tools_called:
            yield text
            return
        if extracted.content:
            yield extracted.content
        for index, call in enumerate(extracted.tool_calls):
            yield ToolCallStart(index, call.id, call.function.name)
            yield ToolCallArguments(index, call.function.arguments)

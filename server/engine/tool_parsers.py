"""vLLM's tool parsers: they read the calls of models that have a format of their own."""

from collections.abc import Iterator, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.tool_parsers import ToolParser, ToolParserManager

from server.checkpoint.config import CheckpointError
from server.tools.content import ContentDelta, ToolCallArguments, ToolCallStart, make_tool_call_id


class NativeToolParser:
    """One of vLLM's parsers, by its name."""

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raise `CheckpointError` where there is no such parser, or not for this tokenizer."""
        try:
            self._parser = ToolParserManager.get_tool_parser(name)
            self._parser(tokenizer)
        except KeyError:
            known = ", ".join(ToolParserManager.list_registered())
            raise CheckpointError(f"the tool parser {name!r} is none of {known}") from None
        except Exception as error:
            raise CheckpointError(f"the tool parser {name!r} cannot be used: {error}") from None
        self._tokenizer = tokenizer

    def reader(self, tools: Sequence[dict[str, Any]]) -> "NativeContentParser":
        """Return a reader of one answer; `tools` are OpenAI's."""
        request = ChatCompletionRequest(messages=[], tools=list(tools), tool_choice="auto")
        return NativeContentParser(self._parser(self._tokenizer, request.tools), request)


class NativeContentParser:
    """Reads one answer's calls; see `server.tools.content.ToolReader`."""

    def __init__(self, parser: ToolParser, request: ChatCompletionRequest) -> None:
        self._parser = parser
        self._request = request
        self._text = ""
        self._token_ids: list[int] = []
        self._calls = 0

    def parse(self, text: str, token_ids: Sequence[int], *, ended: bool) -> Iterator[ContentDelta]:
        """Yield what vLLM's parser makes of the text."""
        if ended and not self._token_ids:
            yield from self._whole(text)
            return
        before, ids_before = self._text, list(self._token_ids)
        self._text += text
        self._token_ids += token_ids
        delta = self._parser.extract_tool_calls_streaming(
            before, self._text, text, ids_before, self._token_ids, list(token_ids), self._request
        )
        if delta is not None:
            if delta.content:
                yield delta.content
            for call in delta.tool_calls or ():
                yield from self._pieces(call)
        if ended and self._calls:
            rest = self._parser.get_remaining_unstreamed_args()
            if rest:
                yield ToolCallArguments(self._calls - 1, rest)

    def _pieces(self, call: Any) -> Iterator[ContentDelta]:
        function = call.function
        if function is not None and function.name:
            self._calls = max(self._calls, call.index + 1)
            yield ToolCallStart(call.index, call.id or make_tool_call_id(), function.name)
        if function is not None and function.arguments:
            yield ToolCallArguments(call.index, function.arguments)

    def _whole(self, text: str) -> Iterator[ContentDelta]:
        found = self._parser.extract_tool_calls(text, self._request)
        if not found.tools_called:
            yield text
            return
        if found.content:
            yield found.content
        for index, call in enumerate(found.tool_calls):
            yield ToolCallStart(index, call.id, call.function.name)
            yield ToolCallArguments(index, call.function.arguments)

"""A generation as a chat completion, or as a stream of its chunks."""

import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from server.generation.accumulator import MessageAccumulator
from server.generation.choice_delta import ChoiceDelta, DecodedToken
from server.generation.chunk_writer import (
    ChunkWriter,
    build_usage,
    end_chunks,
    format_prompt_token_ids,
    format_token_ids,
)
from server.generation.completion_json import (
    ChatCompletionWithLogprobs,
    format_prompt_logprobs,
)
from server.generation.generation import Generation
from server.generation.logprobs_json import format_tokens
from server.protocol.chat.response import (
    AssistantFunctionCall,
    AssistantMessage,
    AssistantToolCall,
    ChatChoice,
    ChatCompletion,
)
from server.telemetry.request_record import RequestRecord
from server.tools.content import ContentDelta, ToolCallStart


async def collect_chat_completion(
    generation: Generation, model: str, record: RequestRecord
) -> ChatCompletion:
    """Read the generation to its end and return the completion."""
    messages = [MessageAccumulator() for _ in range(generation.n)]
    logprobs: list[list[str]] = [[] for _ in messages]
    async for delta in generation:
        logprobs[delta.index] += await format_tokens(delta.logprobs)
        messages[delta.index].add(replace(delta, logprobs=()))
    record.mark_complete()
    completion = ChatCompletionWithLogprobs(
        id=record.request_id,
        created=int(time.time()),
        model=model,
        choices=[
            _build_choice(index, message, returns_token_ids=generation.prompt.token_ids is not None)
            for index, message in enumerate(messages)
        ],
        usage=build_usage(record),
        prompt_token_ids=generation.prompt.token_ids,
    )
    completion.insert(
        [_wrap_logprobs(each) if each else "null" for each in logprobs],
        format_prompt_logprobs(generation.prompt),
    )
    return completion


def _build_choice(
    index: int, message: MessageAccumulator, *, returns_token_ids: bool
) -> ChatChoice:
    calls = [
        AssistantToolCall(
            id=call.id, function=AssistantFunctionCall(name=call.name, arguments=call.arguments)
        )
        for call in message.calls
    ]
    return ChatChoice(
        index=index,
        message=AssistantMessage(
            content=None if calls and not message.text else message.text, tool_calls=calls or None
        ),
        finish_reason=message.finish_reason,
        token_ids=message.token_ids if returns_token_ids else None,
    )


def stream_chat_completion(
    generation: Generation,
    model: str,
    record: RequestRecord,
    *,
    include_usage: bool,
    continuous_usage: bool = False,
) -> AsyncIterator[bytes]:
    """Return events of `chat.completion.chunk`, then `[DONE]`.

    Each choice starts with a chunk of its role alone and ends with one of its finish reason alone.
    With `include_usage`, a last chunk without choices has the usage. The other chunks then have
    `"usage": null`, or with `continuous_usage` the usage so far. An error is the stream's last
    event.
    """
    writer = ChunkWriter(
        "chat.completion.chunk",
        model,
        record,
        include_usage=include_usage,
        continuous_usage=continuous_usage,
    )
    return end_chunks(_write_chunks(generation, writer), record)


async def _write_chunks(generation: Generation, writer: ChunkWriter) -> AsyncIterator[bytes]:
    choices = _ChatChunkWriter(writer)
    prompt = format_prompt_token_ids(generation.prompt)
    for index in range(generation.n):
        role = {"role": "assistant", "content": ""}
        yield choices.write_message_delta(index, role, body="" if index else prompt)
    async for delta in generation:
        for event in choices.write(delta, await _format_logprobs(delta.logprobs)):
            yield event
    if writer.include_usage:
        yield writer.write_usage()


class _ChatChunkWriter:
    """Writes the deltas of choices as chunks."""

    def __init__(self, writer: ChunkWriter) -> None:
        self._writer = writer

    def write(self, delta: ChoiceDelta, logprobs: str) -> Iterator[bytes]:
        """Yield a chunk per content delta, the first with tokens, then the finish.

        Log probabilities and token ids without content come with empty text.
        """
        token_ids = format_token_ids(delta.token_ids)
        for content in delta.content or ([""] if delta.logprobs or token_ids else ()):
            yield self._write_choice(
                delta.index, _format_content(content), logprobs, token_ids=token_ids
            )
            logprobs, token_ids = "null", ""
        if delta.finish_reason is not None:
            yield self.write_message_delta(delta.index, {}, delta.finish_reason)

    def write_message_delta(
        self,
        index: int,
        delta: dict[str, str],
        finish_reason: str | None = None,
        body: str = "",
    ) -> bytes:
        return self._write_choice(
            index, json.dumps(delta), "null", json.dumps(finish_reason), body=body
        )

    def _write_choice(
        self,
        index: int,
        delta: str,
        logprobs: str,
        finish_reason: str = "null",
        *,
        token_ids: str = "",
        body: str = "",
    ) -> bytes:
        """Write a chunk; `token_ids` and `body` are more members of the choice and the chunk."""
        choice = (
            f'{{"index": {index}, "delta": {delta}, "logprobs": {logprobs}, '
            f'"finish_reason": {finish_reason}{token_ids}}}'
        )
        return self._writer.write(choice, body)


def _format_content(content: ContentDelta) -> str:
    """Return a content delta as JSON; only a call's start has its id, type and name."""
    if isinstance(content, str):
        return f'{{"content": {json.dumps(content)}}}'
    call: dict[str, Any] = {"index": content.index}
    if isinstance(content, ToolCallStart):
        call |= {"id": content.id, "type": "function"}
        call["function"] = {"name": content.name, "arguments": ""}
    else:
        call["function"] = {"arguments": content.arguments}
    return json.dumps({"tool_calls": [call]})


async def _format_logprobs(tokens: Sequence[DecodedToken]) -> str:
    """Return the JSON of `server.protocol.chat.response.ChoiceLogprobs`; null without tokens."""
    if not tokens:
        return "null"
    return _wrap_logprobs(await format_tokens(tokens))


def _wrap_logprobs(tokens: Sequence[str]) -> str:
    return f'{{"content": [{", ".join(tokens)}], "refusal": null}}'

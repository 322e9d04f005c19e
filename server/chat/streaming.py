"""Answers in OpenAI's chat shapes: one completion, or server-sent events."""

import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from server.generation.accumulator import MessageAccumulator
from server.generation.choice_delta import ChoiceDelta, DecodedToken
from server.generation.chunk_writer import ChunkWriter, end_chunks
from server.generation.generation import Generation
from server.generation.usage import build_usage
from server.protocol.chat.response import (
    AssistantFunctionCall,
    AssistantMessage,
    AssistantToolCall,
    ChatChoice,
    ChatCompletion,
    ChoiceLogprobs,
)
from server.telemetry.request_record import RequestRecord
from server.tools.content import ContentDelta, ToolCallStart


async def collect_chat_completion(
    generation: Generation, model: str, record: RequestRecord
) -> ChatCompletion:
    """Collect the whole answers."""
    answers = [MessageAccumulator() for _ in range(generation.n)]
    async for delta in generation:
        answers[delta.index].add(delta)
    record.complete()
    return ChatCompletion(
        id=record.request_id,
        created=int(time.time()),
        model=model,
        choices=[_choice(index, answer) for index, answer in enumerate(answers)],
        usage=build_usage(record),
    )


def _choice(index: int, answer: MessageAccumulator) -> ChatChoice:
    calls = [
        AssistantToolCall(
            id=call.id, function=AssistantFunctionCall(name=call.name, arguments=call.arguments)
        )
        for call in answer.calls
    ]
    return ChatChoice(
        index=index,
        message=AssistantMessage(
            content=None if calls and not answer.text else answer.text, tool_calls=calls or None
        ),
        logprobs=ChoiceLogprobs.model_validate(_logprobs(answer.logprobs))
        if answer.logprobs
        else None,
        finish_reason=answer.finish_reason,
    )


def stream_chat_completion(
    generation: Generation,
    model: str,
    record: RequestRecord,
    *,
    include_usage: bool,
    continuous_usage: bool = False,
) -> AsyncIterator[bytes]:
    """Return the answers as events of `chat.completion.chunk`, closed by `[DONE]`.

    Of each answer the role comes first and alone, the finish reason last and alone. With
    `include_usage`, one more chunk without choices holds the usage and every other one
    `"usage": null`, or the usage so far. An error ends the stream with an event that holds it.
    """
    writer = ChunkWriter(
        "chat.completion.chunk",
        model,
        record,
        include_usage=include_usage,
        continuous_usage=continuous_usage,
    )
    return end_chunks(_chunks(generation, writer), record)


async def _chunks(generation: Generation, writer: ChunkWriter) -> AsyncIterator[bytes]:
    choices = _ChoiceWriter(writer)
    for index in range(generation.n):
        yield choices.write(index, {"role": "assistant", "content": ""})
    async for delta in generation:
        for event in choices.events(delta):
            yield event
    if writer.include_usage:
        yield writer.write_usage()


class _ChoiceWriter:
    """Writes the deltas of a chat's answers."""

    def __init__(self, writer: ChunkWriter) -> None:
        self._writer = writer

    def events(self, delta: ChoiceDelta) -> Iterator[bytes]:
        """Yield a chunk for each piece; log probabilities come with the first of them."""
        logprobs = json.dumps(_logprobs(delta.logprobs)) if delta.logprobs else "null"
        for piece in delta.pieces or ([""] if delta.logprobs else ()):
            yield self._write(delta.index, _piece(piece), logprobs)
            logprobs = "null"
        if delta.finish_reason is not None:
            yield self.write(delta.index, {}, delta.finish_reason)

    def write(self, index: int, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        return self._write(index, json.dumps(delta), "null", json.dumps(finish_reason))

    def _write(self, index: int, delta: str, logprobs: str, finish_reason: str = "null") -> bytes:
        choice = (
            f'{{"index": {index}, "delta": {delta}, "logprobs": {logprobs}, '
            f'"finish_reason": {finish_reason}}}'
        )
        return self._writer.write(choice)


def _piece(piece: ContentDelta) -> str:
    """Return a delta as JSON: ids, types and names only where a call begins."""
    if isinstance(piece, str):
        return f'{{"content": {json.dumps(piece)}}}'
    call: dict[str, Any] = {"index": piece.index}
    if isinstance(piece, ToolCallStart):
        call |= {"id": piece.id, "type": "function"}
        call["function"] = {"name": piece.name, "arguments": ""}
    else:
        call["function"] = {"arguments": piece.arguments}
    return json.dumps({"tool_calls": [call]})


def _logprobs(tokens: Sequence[DecodedToken]) -> dict[str, Any]:
    return {
        "content": [
            {
                "token": token.token,
                "logprob": token.logprob,
                "bytes": list(token.bytes),
                "top_logprobs": [
                    {"token": each.token, "logprob": each.logprob, "bytes": list(each.bytes)}
                    for each in token.top
                ],
            }
            for token in tokens
        ],
        "refusal": None,
    }

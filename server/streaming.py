"""Answers in OpenAI's chat shapes: one completion, or server-sent events."""

import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

from server.answer.delta import Delta, ShownToken
from server.answer.whole import WholeAnswer
from server.errors import UNFORESEEN, ApiError
from server.generation import Generation
from server.logs import get_logger
from server.pieces import CallBegins, Piece
from server.protocol.response import (
    AssistantMessage,
    CalledFunction,
    ChatCompletion,
    Choice,
    Logprobs,
    ToolCall,
    error_body,
)
from server.record import RequestRecord

log = get_logger(__name__)

DONE: Final = b"data: [DONE]\n\n"


async def completion(generation: Generation, model: str, record: RequestRecord) -> ChatCompletion:
    """Collect the whole answers."""
    answers = [WholeAnswer() for _ in range(generation.n)]
    async for delta in generation:
        answers[delta.index].add(delta)
    record.complete()
    return ChatCompletion(
        id=record.request_id,
        created=int(time.time()),
        model=model,
        choices=[_choice(index, answer) for index, answer in enumerate(answers)],
        usage=record.usage,
    )


def _choice(index: int, answer: WholeAnswer) -> Choice:
    calls = [
        ToolCall(id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments))
        for call in answer.calls
    ]
    return Choice(
        index=index,
        message=AssistantMessage(
            content=None if calls and not answer.text else answer.text, tool_calls=calls or None
        ),
        logprobs=Logprobs.model_validate(_logprobs(answer.logprobs)) if answer.logprobs else None,
        finish_reason=answer.finish_reason,
    )


def events(
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
    frame = ChunkFrame(
        "chat.completion.chunk",
        model,
        record,
        include_usage=include_usage,
        continuous_usage=continuous_usage,
    )
    return closed(_chunks(generation, frame), record)


async def _chunks(generation: Generation, frame: "ChunkFrame") -> AsyncIterator[bytes]:
    chunk = _ChunkWriter(frame)
    for index in range(generation.n):
        yield chunk.write(index, {"role": "assistant", "content": ""})
    async for delta in generation:
        for event in chunk.events(delta):
            yield event
    if frame.include_usage:
        yield frame.usage_chunk()


async def closed(chunks: AsyncIterator[bytes], record: RequestRecord) -> AsyncIterator[bytes]:
    """Yield events and then `[DONE]`, or what went wrong as the last one."""
    try:
        async for event in chunks:
            yield event
    except ApiError as error:
        yield error_event(error, record)
        return
    except Exception:
        log.exception("a stream broke", id=record.request_id)
        yield error_event(ApiError(UNFORESEEN), record)
        return
    record.complete()
    yield DONE


def error_event(error: ApiError, record: RequestRecord) -> bytes:
    """Return an error as the last event of a stream."""
    record.failed(error)
    return event_data(json.dumps(error_body(error)))


class ChunkFrame:
    """Writes chunks as JSON text around a head made once: a model per token would be waste."""

    def __init__(
        self,
        kind: str,
        model: str,
        record: RequestRecord,
        *,
        include_usage: bool,
        continuous_usage: bool,
    ) -> None:
        head = {
            "id": record.request_id,
            "object": kind,
            "created": int(time.time()),
            "model": model,
        }
        self.include_usage = include_usage
        self._head = json.dumps(head)[:-1]
        self._record = record
        self._continuous_usage = continuous_usage
        self._tail = ', "usage": null}' if include_usage else "}"

    def chunk(self, choice: str) -> bytes:
        """Return the event of a choice, which is JSON."""
        tail = f', "usage": {self._usage()}}}' if self._continuous_usage else self._tail
        return event_data(f'{self._head}, "choices": [{choice}]{tail}')

    def usage_chunk(self) -> bytes:
        """Return the event that has no choices."""
        return event_data(f'{self._head}, "choices": [], "usage": {self._usage()}}}')

    def _usage(self) -> str:
        return self._record.usage.model_dump_json()


class _ChunkWriter:
    """Writes the deltas of a chat's answers."""

    def __init__(self, frame: ChunkFrame) -> None:
        self._frame = frame

    def events(self, delta: Delta) -> Iterator[bytes]:
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
        return self._frame.chunk(choice)


def _piece(piece: Piece) -> str:
    """Return a delta as JSON: ids, types and names only where a call begins."""
    if isinstance(piece, str):
        return f'{{"content": {json.dumps(piece)}}}'
    call: dict[str, Any] = {"index": piece.index}
    if isinstance(piece, CallBegins):
        call |= {"id": piece.id, "type": "function"}
        call["function"] = {"name": piece.name, "arguments": ""}
    else:
        call["function"] = {"arguments": piece.arguments}
    return json.dumps({"tool_calls": [call]})


def _logprobs(tokens: Sequence[ShownToken]) -> dict[str, Any]:
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


def event_data(data: str) -> bytes:
    """Return a server-sent event."""
    return f"data: {data}\n\n".encode()

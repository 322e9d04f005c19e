"""Outputs as OpenAI's shapes: one completion, or server-sent events."""

import json
import time
from collections.abc import AsyncIterator
from typing import Final

from server.engine.base import Output
from server.errors import UNFORESEEN, ApiError, EngineUnavailable
from server.logs import get_logger
from server.protocol.response import AssistantMessage, ChatCompletion, Choice, error_body
from server.record import RequestRecord

log = get_logger(__name__)

DONE: Final = b"data: [DONE]\n\n"


async def completion(
    outputs: AsyncIterator[Output], model: str, record: RequestRecord
) -> ChatCompletion:
    """Collect the whole answer."""
    text = ""
    finish_reason = None
    async for output in outputs:
        text += output.text
        finish_reason = output.finish_reason
    if finish_reason is None:
        raise EngineUnavailable("The engine ended the answer early.")
    record.complete()
    return ChatCompletion(
        id=record.request_id,
        created=int(time.time()),
        model=model,
        choices=[Choice(message=AssistantMessage(content=text), finish_reason=finish_reason)],
        usage=record.usage,
    )


async def events(
    outputs: AsyncIterator[Output], model: str, record: RequestRecord, *, include_usage: bool
) -> AsyncIterator[bytes]:
    """Yield the answer as events of `chat.completion.chunk`, closed by `[DONE]`.

    The role comes first and alone, the finish reason last and alone. With `include_usage`, one
    more chunk without choices holds the usage and every other one `"usage": null`. An error ends
    the stream with an event that holds it.
    """
    chunk = _ChunkWriter(model, record.request_id, include_usage=include_usage)
    yield chunk.write({"role": "assistant", "content": ""})
    finish_reason = None
    try:
        async for output in outputs:
            finish_reason = output.finish_reason
            if output.text:
                yield chunk.write_text(output.text)
        if finish_reason is None:
            raise EngineUnavailable("The engine ended the answer early.")
    except ApiError as error:
        yield _error_event(error, record)
        return
    except Exception:
        log.exception("a stream broke", id=record.request_id)
        yield _error_event(ApiError(UNFORESEEN), record)
        return
    yield chunk.write({}, finish_reason)
    if include_usage:
        yield chunk.write_usage(record)
    record.complete()
    yield DONE


def _error_event(error: ApiError, record: RequestRecord) -> bytes:
    record.failed(error)
    return _event(json.dumps(error_body(error)))


class _ChunkWriter:
    """Writes chunks as JSON text around a head made once: a model per token would be waste."""

    def __init__(self, model: str, completion_id: str, *, include_usage: bool) -> None:
        head = {
            "id": completion_id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._head = json.dumps(head)[:-1]
        self._tail = ', "usage": null}' if include_usage else "}"

    def write_text(self, text: str) -> bytes:
        return self._write(f'{{"content": {json.dumps(text)}}}', "null")

    def write(self, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        return self._write(json.dumps(delta), json.dumps(finish_reason))

    def write_usage(self, record: RequestRecord) -> bytes:
        return _event(f'{self._head}, "choices": [], "usage": {record.usage.model_dump_json()}}}')

    def _write(self, delta: str, finish_reason: str) -> bytes:
        choice = (
            f'{{"index": 0, "delta": {delta}, "logprobs": null, "finish_reason": {finish_reason}}}'
        )
        return _event(f'{self._head}, "choices": [{choice}]{self._tail}')


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()

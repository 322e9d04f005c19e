"""Answers in the shapes of OpenAI's text completions: one completion, or server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from server.answer.delta import Alternative, Delta, FinishReason, ShownToken
from server.answer.echo import Echo
from server.answer.offsets import Offsets
from server.answer.whole import WholeAnswer
from server.completions.batch import Batch
from server.protocol.completion_response import TextChoice, TextCompletion
from server.protocol.completions import CompletionRequest
from server.record import RequestRecord
from server.streaming import ChunkFrame, closed


async def text_completion(
    batch: Batch, request: CompletionRequest, record: RequestRecord
) -> TextCompletion:
    """Collect the whole answers."""
    answers = [WholeAnswer() for _ in range(batch.size)]
    async for delta in batch:
        answers[delta.index].add(delta)
    record.complete()
    if request.logprobs is None:
        choices = _choices(answers, batch, request)
    else:  # of many long prompts they would hold up everybody
        choices = await asyncio.to_thread(_choices, answers, batch, request)
    return TextCompletion(
        id=record.request_id,
        created=int(time.time()),
        model=request.model,
        choices=choices,
        usage=record.usage,
    )


def _choices(
    answers: Sequence[WholeAnswer], batch: Batch, request: CompletionRequest
) -> list[TextChoice]:
    return [
        _choice(index, answer, batch.echo(index), request) for index, answer in enumerate(answers)
    ]


def _choice(
    index: int, answer: WholeAnswer, echo: Echo | None, request: CompletionRequest
) -> TextChoice:
    echo = echo or Echo("")
    logprobs = None
    if request.logprobs is not None:
        logprobs = _logprobs([*echo.tokens, *answer.logprobs], Offsets(echo.hidden))
    return TextChoice.model_validate(
        {
            "index": index,
            "text": echo.text + answer.text,
            "logprobs": logprobs,
            "finish_reason": answer.finish_reason,
        }
    )


def text_events(
    batch: Batch, request: CompletionRequest, record: RequestRecord
) -> AsyncIterator[bytes]:
    """Return the answers as events of `text_completion`, closed by `[DONE]`.

    The finish reason comes with an answer's last text. Usage is told as in a stream of chat.
    """
    frame = ChunkFrame(
        "text_completion",
        request.model,
        record,
        include_usage=request.include_usage,
        continuous_usage=request.continuous_usage,
    )
    return closed(_chunks(batch, frame), record)


async def _chunks(batch: Batch, frame: ChunkFrame) -> AsyncIterator[bytes]:
    chunk = _ChunkWriter(batch, frame)
    for index in range(batch.size):
        echo = batch.echo(index)
        if echo is not None:
            yield chunk.write(index, echo.text, echo.tokens)
    async for delta in batch:
        text, tokens = _text(delta), delta.logprobs
        if text or tokens or delta.finish_reason:
            yield chunk.write(delta.index, text, tokens, delta.finish_reason)
    if frame.include_usage:
        yield frame.usage_chunk()


class _ChunkWriter:
    """Writes what a batch's answers gain, and where their tokens stand."""

    def __init__(self, batch: Batch, frame: ChunkFrame) -> None:
        self._frame = frame
        echoes = [batch.echo(index) for index in range(batch.size)]
        self._offsets = [Offsets(echo.hidden if echo else 0) for echo in echoes]

    def write(
        self,
        index: int,
        text: str,
        tokens: Sequence[ShownToken],
        finish_reason: FinishReason | None = None,
    ) -> bytes:
        choice = {
            "index": index,
            "text": text,
            "logprobs": _logprobs(tokens, self._offsets[index]) if tokens else None,
            "finish_reason": finish_reason,
        }
        return self._frame.chunk(json.dumps(choice))


def _text(delta: Delta) -> str:
    return "".join(piece for piece in delta.pieces if isinstance(piece, str))


def _logprobs(tokens: Sequence[ShownToken], offsets: Offsets) -> dict[str, Any]:
    """Return `server.protocol.completion_response.TextLogprobs` as JSON."""
    return {
        "tokens": [_name(token) for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_top(token) for token in tokens],
        "text_offset": [offsets.place(token.bytes) for token in tokens],
    }


def _top(token: ShownToken) -> dict[str, float] | None:
    if token.logprob is None:
        return None
    return {_name(each): each.logprob for each in token.top} | {_name(token): token.logprob}


def _name(token: ShownToken | Alternative) -> str:
    """Return a token's text; a part of a character is told by its bytes, as OpenAI does."""
    try:
        token.bytes.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)
    return token.token

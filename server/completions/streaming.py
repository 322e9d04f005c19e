"""Answers in the shapes of OpenAI's text completions: one completion, or server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from server.completions.batch_generation import BatchGeneration
from server.completions.prompt_echo import PromptEcho
from server.completions.text_offsets import TextOffsets
from server.generation.accumulator import MessageAccumulator
from server.generation.choice_delta import ChoiceDelta, DecodedToken, FinishReason, TopToken
from server.generation.chunk_writer import ChunkWriter, end_chunks
from server.generation.usage import build_usage
from server.protocol.completions.request import CompletionRequest
from server.protocol.completions.response import CompletionChoice, TextCompletion
from server.telemetry.request_record import RequestRecord


async def collect_completion(
    batch: BatchGeneration, request: CompletionRequest, record: RequestRecord
) -> TextCompletion:
    """Collect the whole answers."""
    answers = [MessageAccumulator() for _ in range(batch.size)]
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
        usage=build_usage(record),
    )


def _choices(
    answers: Sequence[MessageAccumulator], batch: BatchGeneration, request: CompletionRequest
) -> list[CompletionChoice]:
    return [
        _choice(index, answer, batch.echo(index), request) for index, answer in enumerate(answers)
    ]


def _choice(
    index: int, answer: MessageAccumulator, echo: PromptEcho | None, request: CompletionRequest
) -> CompletionChoice:
    echo = echo or PromptEcho("")
    logprobs = None
    if request.logprobs is not None:
        logprobs = _logprobs([*echo.tokens, *answer.logprobs], TextOffsets(echo.hidden))
    return CompletionChoice.model_validate(
        {
            "index": index,
            "text": echo.text + answer.text,
            "logprobs": logprobs,
            "finish_reason": answer.finish_reason,
        }
    )


def stream_completion(
    batch: BatchGeneration, request: CompletionRequest, record: RequestRecord
) -> AsyncIterator[bytes]:
    """Return the answers as events of `text_completion`, closed by `[DONE]`.

    The finish reason comes with an answer's last text. Usage is told as in a stream of chat.
    """
    writer = ChunkWriter(
        "text_completion",
        request.model,
        record,
        include_usage=request.include_usage,
        continuous_usage=request.continuous_usage,
    )
    return end_chunks(_chunks(batch, writer), record)


async def _chunks(batch: BatchGeneration, writer: ChunkWriter) -> AsyncIterator[bytes]:
    choices = _ChoiceWriter(batch, writer)
    for index in range(batch.size):
        echo = batch.echo(index)
        if echo is not None:
            yield choices.write(index, echo.text, echo.tokens)
    async for delta in batch:
        text, tokens = _text(delta), delta.logprobs
        if text or tokens or delta.finish_reason:
            yield choices.write(delta.index, text, tokens, delta.finish_reason)
    if writer.include_usage:
        yield writer.write_usage()


class _ChoiceWriter:
    """Writes what a batch's answers gain, and where their tokens stand."""

    def __init__(self, batch: BatchGeneration, writer: ChunkWriter) -> None:
        self._writer = writer
        echoes = [batch.echo(index) for index in range(batch.size)]
        self._offsets = [TextOffsets(echo.hidden if echo else 0) for echo in echoes]

    def write(
        self,
        index: int,
        text: str,
        tokens: Sequence[DecodedToken],
        finish_reason: FinishReason | None = None,
    ) -> bytes:
        choice = {
            "index": index,
            "text": text,
            "logprobs": _logprobs(tokens, self._offsets[index]) if tokens else None,
            "finish_reason": finish_reason,
        }
        return self._writer.write(json.dumps(choice))


def _text(delta: ChoiceDelta) -> str:
    return "".join(piece for piece in delta.pieces if isinstance(piece, str))


def _logprobs(tokens: Sequence[DecodedToken], offsets: TextOffsets) -> dict[str, Any]:
    """Return `server.protocol.completions.response.TextLogprobs` as JSON."""
    return {
        "tokens": [_name(token) for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_top(token) for token in tokens],
        "text_offset": [offsets.place(token.bytes) for token in tokens],
    }


def _top(token: DecodedToken) -> dict[str, float] | None:
    if token.logprob is None:
        return None
    return {_name(each): each.logprob for each in token.top} | {_name(token): token.logprob}


def _name(token: DecodedToken | TopToken) -> str:
    """Return a token's text; a part of a character is told by its bytes, as OpenAI does."""
    try:
        token.bytes.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)
    return token.token

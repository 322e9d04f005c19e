"""A batch of generations as a text completion, or as a stream of its chunks."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from server.completions.batch_generation import BatchGeneration
from server.completions.prompt_echo import PromptEcho
from server.generation.accumulator import MessageAccumulator
from server.generation.choice_delta import DecodedToken
from server.generation.chunk_writer import (
    ChunkWriter,
    build_usage,
    end_chunks,
    format_prompt_token_ids,
    format_token_ids,
)
from server.generation.completion_json import (
    TextCompletionWithLogprobs,
    format_prompt_logprobs,
)
from server.generation.logprobs_json import iterate_slices
from server.protocol.chat.response import FinishReason
from server.protocol.completions.request import CompletionRequest
from server.protocol.completions.response import (
    CompletionChoice,
    CompletionLogprobs,
    TextCompletion,
)
from server.telemetry.request_record import RequestRecord

# UTF-8's continuation bytes.
CONTINUATION_BYTES: Final = bytes(range(0x80, 0xC0))


async def collect_completion(
    batch: BatchGeneration, request: CompletionRequest, record: RequestRecord
) -> TextCompletion:
    """Read all generations to their end and return the completion."""
    messages = [MessageAccumulator() for _ in range(batch.num_choices)]
    async for delta in batch:
        messages[delta.index].add(delta)
    record.mark_complete()
    completion = TextCompletionWithLogprobs(
        id=record.request_id,
        created=int(time.time()),
        model=request.model,
        choices=[
            _build_choice(index, message, batch, request) for index, message in enumerate(messages)
        ],
        usage=build_usage(record),
    )
    completion.insert(
        [
            await _format_choice_logprobs(index, message, batch, request)
            for index, message in enumerate(messages)
        ]
    )
    return completion


def _build_choice(
    index: int, message: MessageAccumulator, batch: BatchGeneration, request: CompletionRequest
) -> CompletionChoice:
    echo = batch.get_echo(index) or PromptEcho("")
    return CompletionChoice.model_validate(
        {
            "index": index,
            "text": echo.text + message.text,
            "finish_reason": message.finish_reason,
            "token_ids": message.token_ids if request.return_token_ids else None,
            "prompt_token_ids": batch.get_prompt(index).token_ids,
        }
    )


async def _format_choice_logprobs(
    index: int, message: MessageAccumulator, batch: BatchGeneration, request: CompletionRequest
) -> str:
    """Return a choice's `logprobs` as JSON, then its member `prompt_logprobs`."""
    logprobs = "null"
    if request.logprobs is not None:
        echo = batch.get_echo(index) or PromptEcho("")
        tokens = [*echo.tokens, *message.logprobs]
        logprobs = await _format_logprobs(tokens, TextOffsets(echo.prefix_length))
    return logprobs + format_prompt_logprobs(batch.get_prompt(index))


def stream_completion(
    batch: BatchGeneration, request: CompletionRequest, record: RequestRecord
) -> AsyncIterator[bytes]:
    """Return events of `text_completion`, then `[DONE]`.

    A choice's last text has the finish reason. Usage is reported as in a chat completion stream.
    """
    writer = ChunkWriter(
        "text_completion",
        request.model,
        record,
        include_usage=request.include_usage,
        continuous_usage=request.continuous_usage,
    )
    return end_chunks(_write_chunks(batch, writer), record)


async def _write_chunks(batch: BatchGeneration, writer: ChunkWriter) -> AsyncIterator[bytes]:
    choices = _TextChunkWriter(batch, writer)
    for index in range(batch.num_choices):
        echo = batch.get_echo(index)
        if echo is not None:
            yield await choices.write(index, echo.text, echo.tokens)
    async for delta in batch:
        if delta.text or delta.logprobs or delta.token_ids or delta.finish_reason:
            yield await choices.write(
                delta.index, delta.text, delta.logprobs, delta.finish_reason, delta.token_ids
            )
    if writer.include_usage:
        yield writer.write_usage()


class _TextChunkWriter:
    """Writes the text of choices as chunks, and counts the offsets of their tokens."""

    def __init__(self, batch: BatchGeneration, writer: ChunkWriter) -> None:
        self._writer = writer
        self._prompts = [
            format_prompt_token_ids(batch.get_prompt(index)) for index in range(batch.num_choices)
        ]
        echoes = [batch.get_echo(index) for index in range(batch.num_choices)]
        self._offsets = [TextOffsets(echo.prefix_length if echo else 0) for echo in echoes]

    async def write(
        self,
        index: int,
        text: str,
        tokens: Sequence[DecodedToken],
        finish_reason: FinishReason | None = None,
        token_ids: Sequence[int] = (),
    ) -> bytes:
        """Write a chunk; a choice's first chunk has the prompt's token ids, if requested."""
        prompt, self._prompts[index] = self._prompts[index], ""
        logprobs = await _format_logprobs(tokens, self._offsets[index]) if tokens else "null"
        return self._writer.write(
            f'{{"index": {index}, "text": {json.dumps(text)}, "logprobs": {logprobs}, '
            f'"finish_reason": {json.dumps(finish_reason)}{format_token_ids(token_ids)}{prompt}}}'
        )


class TextOffsets:
    """Counts a choice's characters, to compute its tokens' offsets in the text.

    A character may take several tokens.
    """

    def __init__(self, prefix_length: int = 0) -> None:
        """The tokens decode to `prefix_length` more characters before the text."""
        self._characters = -prefix_length

    def advance(self, token_bytes: bytes) -> int:
        """Add a token and return its offset: that of the character with its first byte."""
        starts = len(token_bytes.translate(None, CONTINUATION_BYTES))
        offset = self._characters - (bool(token_bytes) and token_bytes[0] in CONTINUATION_BYTES)
        self._characters += starts
        return max(offset, 0)


async def _format_logprobs(tokens: Sequence[DecodedToken], offsets: TextOffsets) -> str:
    """Return the JSON of `server.protocol.completions.response.CompletionLogprobs`."""
    columns: dict[str, list[str]] = {name: [] for name in CompletionLogprobs.model_fields}
    async for each in iterate_slices(tokens):
        for name, values in _build_logprobs(each, offsets).items():
            columns[name].append(json.dumps(values)[1:-1])
    members = (f'"{name}": [{", ".join(parts)}]' for name, parts in columns.items())
    return f"{{{', '.join(members)}}}"


def _build_logprobs(tokens: Sequence[DecodedToken], offsets: TextOffsets) -> dict[str, Any]:
    """Return the content of `server.protocol.completions.response.CompletionLogprobs`."""
    return {
        "tokens": [token.token_text.label for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_build_top_logprobs(token) for token in tokens],
        "text_offset": [offsets.advance(token.bytes) for token in tokens],
    }


def _build_top_logprobs(token: DecodedToken) -> dict[str, float] | None:
    if token.logprob is None:
        return None
    top = {text.label: logprob for text, logprob in token.top}
    top[token.token_text.label] = token.logprob
    return top

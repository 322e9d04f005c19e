"""Chunks of OpenAI's chat and text completion streams, and the usage in them."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from server.errors import ApiError
from server.generation.event_stream import end_stream, format_event
from server.generation.prompt_details import PromptDetails
from server.protocol.errors import build_error_body
from server.protocol.usage import CompletionTokensDetails, PromptTokensDetails, Usage
from server.telemetry.request_record import RequestRecord

DONE: Final = b"data: [DONE]\n\n"


def build_usage(record: RequestRecord) -> Usage:
    """Return the tokens that a request has used so far, in OpenAI's shape."""
    return Usage(
        prompt_tokens=record.prompt_tokens,
        completion_tokens=record.completion_tokens,
        total_tokens=record.prompt_tokens + record.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(
            cached_tokens=record.cached_tokens,
            image_tokens=record.image_tokens,
            video_tokens=record.video_tokens,
        ),
        completion_tokens_details=CompletionTokensDetails(),
    )


def end_chunks(chunks: AsyncIterator[bytes], record: RequestRecord) -> AsyncIterator[bytes]:
    """Yield the chunks, then `[DONE]`, or an event with the error."""
    return end_stream(chunks, record, build_end=lambda: DONE, build_error=format_error_event)


def format_error_event(error: ApiError) -> bytes:
    """Return an error as the last event of a stream."""
    return format_event(json.dumps(build_error_body(error)))


def format_token_ids(token_ids: Sequence[int]) -> str:
    """Return a choice's JSON member `token_ids`, empty if there are none."""
    return f', "token_ids": {[*token_ids]}' if token_ids else ""


def format_prompt_token_ids(prompt: PromptDetails) -> str:
    """Return the chunk's JSON member `prompt_token_ids`, empty unless requested."""
    ids = prompt.token_ids
    return "" if ids is None else f', "prompt_token_ids": {[*ids]}'


class ChunkWriter:
    """Writes chunks as JSON text around a head built once, which saves a model per token."""

    def __init__(
        self,
        kind: str,
        model: str,
        record: RequestRecord,
        *,
        include_usage: bool,
        continuous_usage: bool,
    ) -> None:
        """`kind` is the chunks' `object`, e.g. `chat.completion.chunk`."""
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

    def write(self, choice: str, members: str = "") -> bytes:
        """Return the event of one choice, given as JSON text; `members` are more of the chunk."""
        tail = f', "usage": {self._dump_usage()}}}' if self._continuous_usage else self._tail
        return format_event(f'{self._head}, "choices": [{choice}]{members}{tail}')

    def write_usage(self) -> bytes:
        """Return the event with the usage and no choices."""
        return format_event(f'{self._head}, "choices": [], "usage": {self._dump_usage()}}}')

    def _dump_usage(self) -> str:
        return build_usage(self._record).model_dump_json()

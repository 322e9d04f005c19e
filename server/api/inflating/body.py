"""A request's body as a stream of inflated pieces; large bodies are inflated in a thread."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from fastapi import Request

from server.api.inflating.codings import Inflater, parse_codings
from server.errors import BodyTooLarge

# Input is handed over in slices: a decoder copies what it has not read yet.
SLICE_BYTES: Final = 64 * 1024
# Steps that run on the event loop, under a millisecond each; small bodies need no more.
INLINE_STEPS: Final = 4


def stream_inflated(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """Return the body's pieces, inflated if it has a `Content-Encoding`.

    Raises `UnsupportedContentEncoding` (415). Iterating raises `InvalidContentEncoding` and
    `BodyTooLarge` (413).
    """
    codings = parse_codings(request.headers.getlist("content-encoding"))
    if not codings:
        return request.stream()
    return _inflate(request.stream(), Inflater(codings, max_bytes), max_bytes)


async def _inflate(
    chunks: AsyncIterator[bytes], inflater: Inflater, max_bytes: int
) -> AsyncIterator[bytes]:
    received = steps = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise BodyTooLarge(f"The request body exceeds the limit of {max_bytes} bytes.")
        for start in range(0, len(chunk), SLICE_BYTES):
            pieces = inflater.inflate(chunk[start : start + SLICE_BYTES])
            while (piece := await _step(pieces, is_inline=steps < INLINE_STEPS)) is not None:
                steps += 1
                if piece:
                    yield piece
    if received:  # an empty body is reported as such
        inflater.finish()


async def _step(pieces: Iterator[bytes], *, is_inline: bool) -> bytes | None:
    """Return the next piece; None at the end."""
    if is_inline:
        return next(pieces, None)
    return await asyncio.to_thread(next, pieces, None)

"""Base64 `data:` URLs."""

from typing import Final

import pybase64

from server.concurrency import run_in_thread_if_large
from server.errors import ImageUrlInvalid
from server.images.fetch.body import check_num_bytes

# Shorter payloads are decoded on the event loop.
MAX_INLINE_BASE64_CHARACTERS: Final = 1024 * 1024


async def read_data_url(url: str, max_bytes: int) -> bytes:
    """Return the bytes. Raises `ImageUrlInvalid`, or `ImageTooLarge` before decoding any."""
    header, comma, payload = url.partition(",")
    if not comma or not header.lower().endswith(";base64"):
        raise ImageUrlInvalid("A data URL must have the form 'data:image/…;base64,…'.")
    check_num_bytes(len(payload) * 3 // 4 - payload.count("=", -2), max_bytes)
    return await run_in_thread_if_large(
        len(payload), MAX_INLINE_BASE64_CHARACTERS, lambda: _decode(payload)
    )


def _decode(payload: str) -> bytes:
    try:
        return pybase64.b64decode(payload, validate=True)
    except ValueError:
        raise ImageUrlInvalid("The data URL's base64 is broken.") from None

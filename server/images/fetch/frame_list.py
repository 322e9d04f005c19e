"""`data:video/jpeg` URLs: a video's frames as JPEGs in base64, with commas between them.

vLLM's clients send frames that they have chosen themselves in this form. Joined, the JPEGs are a
stream of Motion JPEG.
"""

from typing import Final

from server.concurrency import run_in_thread_if_large
from server.images.fetch.base64_text import clean_base64, decode_base64, estimate_num_bytes
from server.images.fetch.body import check_num_bytes
from server.images.fetch.data_url import (
    MAX_ESCAPED_RATIO,
    MAX_INLINE_CLEANED_CHARACTERS,
    get_payload,
)
from server.images.fetch.errors import UrlInvalid

MAX_FRAMES: Final = 1024
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


async def read_frame_list(url: str, max_bytes: int) -> bytes:
    """Return the JPEGs, joined.

    Raises `UrlInvalid`, which names the frame, counted from 1, or `DataTooLarge`.
    """
    payload = get_payload(url)
    check_num_bytes(estimate_num_bytes(payload) // MAX_ESCAPED_RATIO, max_bytes)
    frames = await run_in_thread_if_large(
        len(payload), MAX_INLINE_CLEANED_CHARACTERS, lambda: _decode_frames(payload)
    )
    check_num_bytes(len(frames), max_bytes)
    return frames


def _decode_frames(payload: str) -> bytes:
    if payload.count(",") >= MAX_FRAMES:
        raise UrlInvalid(f"The data URL has more than {MAX_FRAMES} frames.")
    return b"".join(
        _decode_frame(part, number) for number, part in enumerate(payload.split(","), 1)
    )


def _decode_frame(text: str, number: int) -> bytes:
    data = decode_base64(text)
    if data is None:  # not strict
        base64 = clean_base64(text)
        data = None if base64 is None else decode_base64(base64)
    if data is None:
        raise UrlInvalid(f"The base64 of frame {number} of the data URL is broken.")
    # A frame that is cut short would be left out without a word.
    if not (data.startswith(JPEG_START) and data.rstrip(b"\0").endswith(JPEG_END)):
        raise UrlInvalid(f"Frame {number} of the data URL is not a whole JPEG.")
    return data

"""`data:video/jpeg` URLs: a video's frames as JPEGs in base64, with commas between them.

vLLM's clients send frames that they have chosen themselves in this form. Joined, the JPEGs are a
stream of Motion JPEG.
"""

from typing import Final

from server.images.fetch.base64_text import clean_base64, decode_base64
from server.images.fetch.errors import UrlInvalid

MAX_FRAMES: Final = 1024
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def decode_frame_list(payload: str) -> bytes:
    """Return the JPEGs, joined. Raises `UrlInvalid`, which names the frame, counted from 1."""
    if payload.count(",") >= MAX_FRAMES:
        raise UrlInvalid(f"The data URL has more than {MAX_FRAMES} frames.")
    return b"".join(
        _decode_frame(part, number) for number, part in enumerate(payload.split(","), 1)
    )


def _decode_frame(text: str, number: int) -> bytes:
    base64 = clean_base64(text)
    data = None if base64 is None else decode_base64(base64)
    if data is None:
        raise UrlInvalid(f"The base64 of frame {number} of the data URL is broken.")
    # A frame that is cut short would be left out without a word.
    if not (data.startswith(JPEG_START) and data.rstrip(b"\0").endswith(JPEG_END)):
        raise UrlInvalid(f"Frame {number} of the data URL is not a whole JPEG.")
    return data

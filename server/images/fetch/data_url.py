"""Base64 `data:` URLs."""

from typing import Final

from server.concurrency import run_in_thread_if_large
from server.images.fetch.base64_text import clean_base64, decode_base64, estimate_num_bytes
from server.images.fetch.body import check_num_bytes
from server.images.fetch.errors import UrlInvalid

# Media type and parameters; a parameter may be a file's name.
MAX_HEADER_CHARACTERS: Final = 2048
# Clean payloads up to this length are decoded on the event loop: below a millisecond, and less than
# the way to a thread and back.
MAX_INLINE_BASE64_CHARACTERS: Final = 8 * 1024 * 1024
# Payloads to clean first, which takes twenty times as long.
MAX_INLINE_CLEANED_CHARACTERS: Final = 256 * 1024
# Percent-encoding writes three characters for one.
MAX_ESCAPED_RATIO: Final = 3


def is_data_url(url: str) -> bool:
    """Whether a URL, perhaps after white space, is a `data:` URL."""
    return url[:64].lstrip()[:5].lower() == "data:"


async def read_data_url(url: str, max_bytes: int) -> bytes:
    """Return the bytes, of base64 in any usual spelling.

    Raises `UrlInvalid`, or `DataTooLarge` before decoding any.
    """
    payload = get_payload(url)
    num_bytes = estimate_num_bytes(payload)
    check_num_bytes(num_bytes // MAX_ESCAPED_RATIO, max_bytes)
    if num_bytes <= max_bytes:
        data = await run_in_thread_if_large(
            len(payload), MAX_INLINE_BASE64_CHARACTERS, lambda: decode_base64(payload)
        )
        if data is not None:
            return data
    return await run_in_thread_if_large(
        len(payload), MAX_INLINE_CLEANED_CHARACTERS, lambda: _clean_and_decode(payload, max_bytes)
    )


def get_payload(url: str) -> str:
    """Return the base64 of a URL. Raises `UrlInvalid` for a URL of another form, or without any."""
    end = url.find(",", 0, MAX_HEADER_CHARACTERS)
    parameters = [each.strip().lower() for each in url[: max(end, 0)].split(";")[1:]]
    if "base64" not in parameters:
        raise UrlInvalid("A data URL must have the form 'data:…;base64,…'.")
    payload = url[end + 1 :]
    if not payload.strip():
        raise UrlInvalid("The data URL holds no data.")
    return payload


def _clean_and_decode(payload: str, max_bytes: int) -> bytes:
    base64 = clean_base64(payload)
    if base64 is not None:
        check_num_bytes(estimate_num_bytes(base64), max_bytes)
    data = None if base64 is None else decode_base64(base64)
    if data is None:
        raise UrlInvalid("The data URL's base64 is broken.")
    return data

"""Limits of a body that are checked on its bytes, before it is parsed."""

from typing import Final

from server.errors import InvalidValue

# Keys of all objects: each costs about 2 µs, whether its object is used or not.
MAX_KEYS: Final = 65_536
# Bytes of one string with other characters than ASCII: Python takes up to four bytes for each
# character of such a string. A picture's `data:` URL is ASCII.
MAX_UNICODE_BYTES: Final = 8 * 1024 * 1024
CHUNK: Final = 64 * 1024


def check_body_limits(body: bytes | bytearray) -> None:
    """Raise `InvalidValue` for a body that would take long or much memory to parse."""
    if body.count(b":") > MAX_KEYS:
        raise InvalidValue(f"The body has more than {MAX_KEYS} keys or colons.")
    if len(body) > MAX_UNICODE_BYTES and _has_large_unicode_string(body):
        raise InvalidValue(f"The body has a text of more than {MAX_UNICODE_BYTES} bytes.")


def _has_large_unicode_string(body: bytes | bytearray) -> bool:
    """Whether a string exceeds `MAX_UNICODE_BYTES` and has characters other than ASCII.

    Looks at chunks, at the speed of a copy. Where a string ends with a backslash, its end is
    missed, which matters only if the same is so for megabytes on either side.
    """
    if _is_plain(body):
        return False
    length, has_unicode = 0, False
    start = 0
    while start < len(body):
        end = start + CHUNK
        while body[end - 1 : end] == b"\\":  # belongs to the next character
            end += 1
        chunk = body[start:end].replace(b'\\"', b"__")
        start = end
        first = chunk.find(b'"')
        head = chunk if first < 0 else chunk[:first]
        length += len(head)
        has_unicode = has_unicode or not _is_plain(head)
        if length > MAX_UNICODE_BYTES and has_unicode:
            return True
        if first >= 0:
            tail = chunk[chunk.rfind(b'"') + 1 :]
            length, has_unicode = len(tail), not _is_plain(tail)
    return False


def _is_plain(text: bytes | bytearray) -> bool:
    # The search for one byte is ten times as fast.
    return text.isascii() and (b"\\" not in text or b"\\u" not in text)

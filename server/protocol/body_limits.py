"""Limits of a JSON body that are checked on its bytes: as they arrive, and before it is parsed."""

from typing import Final

from server.errors import InvalidValue

# Bounds on a body's JSON, counted in its bytes: text may hold these characters, too, but a text
# with so many of them has more tokens than any context.
MAX_JSON_VALUES: Final = 262_144
MAX_JSON_CONTAINERS: Final = 32_768
# A parser holds the interpreter's lock while it decodes these, many times as long as for the
# base64 of images. Some encoders escape each slash of base64, a character in 64.
MAX_JSON_ESCAPES: Final = 2 * 1024 * 1024
MAX_NON_ASCII_BYTES: Final = 16 * 1024 * 1024
# Keys of all objects: each costs about 2 µs, whether its object is used or not.
MAX_KEYS: Final = 65_536
# Bytes of one string with other characters than ASCII: Python takes up to four bytes for each
# character of such a string. A picture's `data:` URL is ASCII.
MAX_UNICODE_BYTES: Final = 8 * 1024 * 1024
CHUNK: Final = 64 * 1024


class JsonStructure:
    """Counts what a JSON parser would have to build, at the speed of a memory scan."""

    def __init__(self) -> None:
        self._values = 0
        self._keys = 0
        self._containers = 0
        self._escapes = 0
        self._non_ascii_bytes = 0

    def count(self, chunk: bytes) -> None:
        """Count the bytes of a chunk. Raises `InvalidValue` beyond the bounds."""
        self._values += chunk.count(b",")
        self._keys += chunk.count(b":")
        self._containers += chunk.count(b"{") + chunk.count(b"[")
        self._escapes += chunk.count(b"\\")
        if not chunk.isascii():
            self._non_ascii_bytes += len(chunk)  # of the whole chunk, which is fast to tell
        if self._values > MAX_JSON_VALUES:
            raise InvalidValue(f"The body has more than {MAX_JSON_VALUES} JSON values.")
        if self._keys > MAX_KEYS:
            raise InvalidValue(f"The body has more than {MAX_KEYS} keys or colons.")
        if self._containers > MAX_JSON_CONTAINERS:
            raise InvalidValue(
                f"The body has more than {MAX_JSON_CONTAINERS} JSON objects and arrays."
            )
        if self._escapes > MAX_JSON_ESCAPES:
            raise InvalidValue(f"The body has more than {MAX_JSON_ESCAPES} escapes.")
        if self._non_ascii_bytes > MAX_NON_ASCII_BYTES:
            raise InvalidValue(
                f"The body has more than {MAX_NON_ASCII_BYTES} bytes of text that is not ASCII."
            )


def check_body_limits(body: bytes | bytearray) -> None:
    """Raise `InvalidValue` for a body with a text that would take much memory to parse."""
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

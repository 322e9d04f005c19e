"""JSON from bytes: what is wrong with a body that is not JSON, and where."""

import codecs
from typing import Any, Final

from pydantic_core import from_json

from server.errors import InvalidJson

BYTE_ORDER_MARK: Final = codecs.BOM_UTF8
# Of pydantic's parser.
MAX_DEPTH: Final = 200
CHUNK: Final = 64 * 1024

# The parser's reasons in plain English, by how they begin.
REASONS: Final = {
    "recursion limit exceeded": f"it is nested deeper than {MAX_DEPTH} levels",
    "EOF while parsing": "it ends early",
    "trailing comma": "trailing comma",
    "trailing characters": "there is more text after its end",
    "key must be a string": "a key must be a string in double quotes",
    "expected ident": "expected true, false, null or a number",
    "control character": "a control character, such as a line break, within a string",
    "unexpected end of hex escape": "half of a surrogate pair",
    "lone leading surrogate": "half of a surrogate pair",
}


def parse_json_text(body: bytes | bytearray) -> Any:
    """Return the value of a JSON text in UTF-8; a byte order mark is skipped.

    Raises `InvalidJson`, which says where and why.
    """
    if body.startswith(BYTE_ORDER_MARK):
        body = body[len(BYTE_ORDER_MARK) :]
    if _is_blank(body):
        raise InvalidJson("The body is not valid JSON: it is empty.") from None
    try:
        return from_json(body)
    except ValueError as error:
        raise InvalidJson(_explain(body, str(error))) from None


def _is_blank(body: bytes | bytearray) -> bool:
    """Whether there is only white space: in steps, since the parser would hold the lock."""
    return all(body[start : start + CHUNK].isspace() for start in range(0, len(body), CHUNK))


def _explain(body: bytes | bytearray, reason: str) -> str:
    if encoding := _find_wide_encoding(body):
        return f"The body is not valid JSON: it is {encoding}. Send it as UTF-8."
    if (offset := find_invalid_utf8(body)) is not None:
        return f"The body is not valid JSON: it is not UTF-8 at byte {offset}."
    reason, _, place = reason.rpartition(" at ")
    return f"The body is not valid JSON: {_simplify(reason)}, at {place}."


def _simplify(reason: str) -> str:
    return next((text for begin, text in REASONS.items() if reason.startswith(begin)), reason)


def _find_wide_encoding(body: bytes | bytearray) -> str | None:
    """Return UTF-16 or UTF-32 where the first bytes, of which JSON's are ASCII, show it."""
    head = bytes(body[:4])
    if head in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE) or head.count(0) == 3:
        return "UTF-32"
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or 0 in head[:2]:
        return "UTF-16"
    return None


def find_invalid_utf8(body: bytes | bytearray) -> int | None:
    """Return the offset of the first byte that is not UTF-8; None where all are.

    Decoded at once, a large body would take four times its memory.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body) + 1, CHUNK):
        pending = len(decoder.getstate()[0])
        chunk = body[start : start + CHUNK]
        try:
            decoder.decode(chunk, final=start + CHUNK > len(body))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None

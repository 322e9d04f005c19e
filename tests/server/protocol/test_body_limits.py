"""Large strings with characters other than ASCII are found; what a parser builds is bounded."""

import json
import tracemalloc

import pytest

from server.errors import InvalidValue
from server.protocol.body_limits import (
    CHUNK,
    MAX_JSON_CONTAINERS,
    MAX_JSON_ESCAPES,
    MAX_JSON_VALUES,
    MAX_KEYS,
    MAX_NON_ASCII_BYTES,
    MAX_UNICODE_BYTES,
    JsonStructure,
    check_body_limits,
)

LARGE = "x" * (MAX_UNICODE_BYTES + 2 * CHUNK)
UNICODE = ["é", "日", "😀"]
MESSAGE = f"The body has a text of more than {MAX_UNICODE_BYTES} bytes."


def refuse(body: str) -> None:
    """Check that a body is refused, without a copy of it."""
    data = body.encode()
    tracemalloc.start()
    with pytest.raises(InvalidValue) as raised:
        check_body_limits(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raised.value.message == MESSAGE
    assert peak < 8 * CHUNK


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("character", UNICODE)
def test_refuses_a_large_text(character: str, escaped: bool) -> None:
    middle = len(LARGE) // 2
    for text in (character + LARGE, LARGE[:middle] + character + LARGE[middle:], LARGE + character):
        refuse(json.dumps({"a": "b", "text": text}, ensure_ascii=escaped))


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_escaped_quotation_marks_do_not_end_a_text(shift: int) -> None:
    """Also where a chunk ends between the backslash and the mark."""
    line = '\\"' * (CHUNK // 2)
    refuse('{"' + "k" * shift + '": "é' + line * (MAX_UNICODE_BYTES // CHUNK + 2) + '"}')


@pytest.mark.parametrize("character", UNICODE)
def test_admits_large_pictures_beside_unicode_text(character: str) -> None:
    url = "data:image/png;base64," + LARGE
    parts = [{"type": "text", "text": character * 1000}, {"image_url": {"url": url}}] * 3
    check_body_limits(json.dumps(parts).encode())
    check_body_limits(json.dumps(parts, ensure_ascii=False).encode())


def test_admits_many_texts() -> None:
    texts = ["é" * (CHUNK // 3), 'say "hi"', "back\\slash\n"] * 1000
    assert len(json.dumps(texts)) > MAX_UNICODE_BYTES
    check_body_limits(json.dumps(texts).encode())
    check_body_limits(json.dumps(texts, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("byte", "limit"),
    [
        (b",", MAX_JSON_VALUES),
        (b":", MAX_KEYS),
        (b"[", MAX_JSON_CONTAINERS),
        (b"{", MAX_JSON_CONTAINERS),
    ],
)
def test_structure_is_bounded_over_all_chunks(byte: bytes, limit: int) -> None:
    structure = JsonStructure()
    structure.count(byte * limit + b'"text"')
    with pytest.raises(InvalidValue, match=f"more than {limit} "):
        structure.count(byte)


def test_slow_characters_are_bounded() -> None:
    """Escapes and text beyond ASCII, which hold a parser up."""
    structure = JsonStructure()
    structure.count(b"\\" * MAX_JSON_ESCAPES)
    with pytest.raises(InvalidValue, match=f"more than {MAX_JSON_ESCAPES} escapes"):
        structure.count(b"\\")
    structure = JsonStructure()
    structure.count("é".encode() * (MAX_NON_ASCII_BYTES // 2))
    structure.count(b"base64")
    with pytest.raises(InvalidValue, match=f"more than {MAX_NON_ASCII_BYTES} bytes of text"):
        structure.count("é".encode())

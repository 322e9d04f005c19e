"""Offsets of tokens, in characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.completions.streaming import TextOffsets


def test_tokens_follow_each_other() -> None:
    offsets = TextOffsets()
    assert [offsets.advance(token_bytes) for token_bytes in (b"A", b" red", b"", b" circle")] == [
        0,
        1,
        5,
        5,
    ]


def test_parts_of_a_character_have_its_offset() -> None:
    smile = "😀".encode()
    offsets = TextOffsets()
    tokens = [b"a", smile[:1], smile[1:3], smile[3:] + b"b", b"c"]
    assert [offsets.advance(token) for token in tokens] == [0, 1, 1, 1, 3]


def test_a_prefix_is_not_counted() -> None:
    offsets = TextOffsets(prefix_length=1)
    assert [offsets.advance(token_bytes) for token_bytes in (b"", b" A", b" red")] == [0, 0, 1]


@given(st.text(max_size=20), st.data())
def test_any_split_of_any_text(text: str, data: st.DataObject) -> None:
    token_bytes = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(token_bytes)), max_size=8)))
    tokens = [token_bytes[a:b] for a, b in zip([0, *cuts], [*cuts, len(token_bytes)], strict=True)]
    offsets, begin = TextOffsets(), 0
    for token in tokens:
        place = offsets.advance(token)
        if token:
            # The token's first byte is part of the character at its offset.
            before = len(text[:place].encode())
            assert before <= begin < before + len(text[place].encode())
        begin += len(token)


def test_offsets_within_the_prefix_are_zero() -> None:
    assert TextOffsets(3).advance(b"a") == 0


@pytest.mark.parametrize("count", [1, 5])
def test_stray_continuation_bytes_are_at_offset_zero(count: int) -> None:
    offsets = TextOffsets()
    assert [offsets.advance(b"\x80") for _ in range(count)] == [0] * count

"""Offsets of tokens, in characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.completions.streaming import TextOffsets


def test_tokens_stand_one_after_another() -> None:
    offsets = TextOffsets()
    assert [offsets.advance(spelt) for spelt in (b"A", b" red", b"", b" circle")] == [0, 1, 5, 5]


def test_parts_of_a_character_stand_where_it_begins() -> None:
    smile = "😀".encode()
    offsets = TextOffsets()
    pieces = [b"a", smile[:1], smile[1:3], smile[3:] + b"b", b"c"]
    assert [offsets.advance(piece) for piece in pieces] == [0, 1, 1, 1, 3]


def test_what_is_hidden_takes_no_room() -> None:
    offsets = TextOffsets(prefix_length=1)
    assert [offsets.advance(spelt) for spelt in (b"", b" A", b" red")] == [0, 0, 1]


@given(st.text(max_size=20), st.data())
def test_any_cut_of_any_text(text: str, data: st.DataObject) -> None:
    spelt = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(spelt)), max_size=8)))
    pieces = [spelt[a:b] for a, b in zip([0, *cuts], [*cuts, len(spelt)], strict=True)]
    offsets, begin = TextOffsets(), 0
    for piece in pieces:
        place = offsets.advance(piece)
        if piece:
            # The token's first byte is part of the character at its offset.
            before = len(text[:place].encode())
            assert before <= begin < before + len(text[place].encode())
        begin += len(piece)


def test_a_hidden_space_is_never_before_the_text() -> None:
    assert TextOffsets(3).advance(b"a") == 0


@pytest.mark.parametrize("count", [1, 5])
def test_stray_bytes_do_not_go_below_the_begin(count: int) -> None:
    offsets = TextOffsets()
    assert [offsets.advance(b"\x80") for _ in range(count)] == [0] * count

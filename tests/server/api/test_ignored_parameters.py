"""The header that names ignored fields."""

import pytest

from server.api.ignored_parameters import IGNORED_HEADER, MAX_LENGTH, build_ignored_header


def test_no_fields_need_no_header() -> None:
    assert build_ignored_header(()) == {}


def test_names_cannot_break_the_header() -> None:
    header = build_ignored_header(["foo", "messages[0].a\r\nb: c", "ä"])
    assert header == {IGNORED_HEADER: "foo, messages[0].a%0D%0Ab%3A%20c, %C3%A4"}


@pytest.mark.parametrize("name", ["k", "ä" * 100, "ä" * 1000])
def test_the_header_is_bounded(name: str) -> None:
    value = build_ignored_header([name] * 60_000)[IGNORED_HEADER]
    *names, last = value.split(", ")
    assert len(value) <= MAX_LENGTH
    assert last == f"and {60_000 - len(names)} more"
    assert len(value) > MAX_LENGTH // 2 or not names

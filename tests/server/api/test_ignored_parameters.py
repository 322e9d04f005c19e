"""The header that names ignored fields."""

from server.api.ignored_parameters import IGNORED_HEADER, MAX_NAMES, build_ignored_header


def test_no_fields_need_no_header() -> None:
    assert build_ignored_header(()) == {}


def test_names_cannot_break_the_header() -> None:
    header = build_ignored_header(["foo", "messages[0].a\r\nb: c", "ä"])
    assert header == {IGNORED_HEADER: "foo, messages[0].a%0D%0Ab%3A%20c, %C3%A4"}


def test_the_header_is_bounded() -> None:
    header = build_ignored_header([f"k{n}" for n in range(60_000)])
    assert header[IGNORED_HEADER].endswith(f"k{MAX_NAMES - 1}, and {60_000 - MAX_NAMES} more")

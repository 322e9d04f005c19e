"""The error tree: what its docstring draws is what the classes do."""

import re
from collections.abc import Iterator

import pytest

from server import errors
from server.api.error_response import build_error_response
from server.errors import ApiError, ImageTooLarge, TooManyRequests

LINE = re.compile(r"^ *([ │├└─]*)(\w+)(?: +(\d{3}))?(?: +(\w+))?$")


def _tree(kind: type[ApiError]) -> Iterator[type[ApiError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


CLASSES = list(_tree(ApiError))


def test_docstring_draws_every_class() -> None:
    lines = (errors.__doc__ or "").splitlines()
    drawn = {match[2]: match for line in lines if (match := LINE.match(line))}
    assert set(drawn) == {kind.__name__ for kind in CLASSES}
    for kind in CLASSES:
        _, _, status, word = drawn[kind.__name__].groups()
        assert status is None or int(status) == kind.status
        assert word is None or word in (kind.code, kind.type)


def test_codes_are_told_apart() -> None:
    outcomes = [kind("").outcome for kind in CLASSES]
    assert len(set(outcomes)) == len(outcomes)
    codes = {kind.code for kind in CLASSES}
    assert set(outcomes) - codes == {"key_limit_exceeded"}  # clients expect one code of all 429s


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_becomes_a_response_in_openais_shape(kind: type[ApiError]) -> None:
    response = build_error_response(kind("What went wrong.", "messages[0]"))
    assert response.status_code == kind.status
    assert "retry-after" not in response.headers
    assert bytes(response.body).decode() == (
        '{"error":{"message":"What went wrong.",'
        f'"type":"{kind.type}","param":"messages[0]","code":"{kind.code}"}}}}'
    )


def test_param_is_null_where_no_field_is_at_fault() -> None:
    assert b'"param":null' in bytes(build_error_response(ApiError("Something.")).body)


def test_retry_after_becomes_a_header_beside_others() -> None:
    response = build_error_response(TooManyRequests("Full.", retry_after=3), {"allow": "POST"})
    assert response.headers["retry-after"] == "3"
    assert response.headers["allow"] == "POST"


def test_at_names_a_field_and_keeps_the_rest() -> None:
    error = TooManyRequests("Full.", retry_after=3)
    located = error.at("messages[1].content")
    assert type(located) is TooManyRequests
    assert (located.message, located.param, located.retry_after) == (
        "Full.",
        "messages[1].content",
        3,
    )
    assert error.param is None
    assert ImageTooLarge("Big.").at("x").status == 400

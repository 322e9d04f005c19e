"""Bodies must be declared as JSON, so that no page posts one without asking first."""

import pytest
from starlette.types import Scope

from server.api.body_headers import check_body_headers
from server.errors import UnsupportedContentEncoding, UnsupportedMediaType


def build_scope(headers: dict[str, str]) -> Scope:
    """Return the scope of a request with these headers."""
    return {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/vnd.api+json",
        "application/json; profile=x",
    ],
)
def test_json_is_read(content_type: str) -> None:
    check_body_headers(build_scope({"content-type": content_type, "origin": "http://localhost"}))


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "text/x+json",
        "application/jsonp",
        "application",
        "nonsense",
        " ",
    ],
)
def test_anything_else_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="send 'Content-Type: application/json'"):
        check_body_headers(build_scope({"content-type": content_type}))


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "x"])
def test_other_charsets_are_refused(charset: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="must be UTF-8"):
        check_body_headers(build_scope({"content-type": f"application/json; charset={charset}"}))


@pytest.mark.parametrize("browser", ["origin", "sec-fetch-site"])
def test_only_a_browser_has_to_say_the_type(browser: str) -> None:
    check_body_headers(build_scope({}))
    with pytest.raises(UnsupportedMediaType):
        check_body_headers(build_scope({browser: "null"}))


def test_codings_are_checked_before_the_body_is_read() -> None:
    with pytest.raises(UnsupportedContentEncoding):
        check_body_headers(build_scope({"content-encoding": "lzma"}))

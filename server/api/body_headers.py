"""Checks a request's headers about its body: content type and compression."""

from email.message import Message
from typing import Final

from starlette.types import Scope

from server.api.inflating.codings import parse_codings
from server.api.scope import get_header
from server.errors import UnsupportedMediaType

CHARSETS: Final = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))
# Either header identifies a browser, which sends JSON across origins only after asking (CORS).
BROWSER_HEADERS: Final = (b"origin", b"sec-fetch-site")
JSON: Final = "application/json"


def check_body_headers(scope: Scope) -> None:
    """Raise `UnsupportedMediaType` (415) for a body that the server would not read.

    A browser posts forms or text from any page to any server, but JSON only to one that agrees.
    Other clients may leave the type out.
    """
    headers = scope["headers"]
    content_type = get_header(scope, b"content-type")
    # Fast path for the usual type: every request passes here.
    if content_type != JSON and (
        content_type or any(name in BROWSER_HEADERS for name, _ in headers)
    ):
        _check_content_type(content_type)
    parse_codings([str(value, "latin-1") for name, value in headers if name == b"content-encoding"])


def _check_content_type(content_type: str) -> None:
    parsed = Message()
    parsed["content-type"] = content_type
    kind = parsed.get_content_type()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    if not (content_type and is_json):
        raise UnsupportedMediaType("The body must be JSON: send 'Content-Type: application/json'.")
    if str(parsed.get_param("charset", "utf-8")).lower() not in CHARSETS:
        raise UnsupportedMediaType(
            "The body must be UTF-8: send 'Content-Type: application/json' without another charset."
        )

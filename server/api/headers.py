"""Raw headers of an ASGI scope, without an object around them: every request looks at some."""

from starlette.types import Scope


def get_header(scope: Scope, name: bytes, default: str = "") -> str:
    """Return a header's first value; `name` is in lower case."""
    for each, value in scope["headers"]:
        if each == name:
            return str(value, "latin-1")
    return default

"""Reads a raw ASGI scope without a wrapper object, since every request passes here."""

from typing import overload

from starlette.types import Scope


@overload
def get_header(scope: Scope, name: bytes, default: str = "") -> str: ...
@overload
def get_header(scope: Scope, name: bytes, default: None) -> str | None: ...
def get_header(scope: Scope, name: bytes, default: str | None = "") -> str | None:
    """Return a header's first value; `name` is in lower case."""
    for each, value in scope["headers"]:
        if each == name:
            return str(value, "latin-1")
    return default


def route_path(scope: Scope) -> str:
    """Return the path without the prefix of `--root-path`, as routes have it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))

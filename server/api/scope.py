"""What is read from a raw ASGI scope, without an object around it: every request passes here."""

from starlette.types import Scope


def get_header(scope: Scope, name: bytes, default: str = "") -> str:
    """Return a header's first value; `name` is in lower case."""
    for each, value in scope["headers"]:
        if each == name:
            return str(value, "latin-1")
    return default


def route_path(scope: Scope) -> str:
    """Return the path as routes know it: without the prefix of `--root-path`."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))

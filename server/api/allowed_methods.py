"""The methods that a path allows, for `Allow` headers and OPTIONS."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Scope


def find_allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """Return the methods of all routes that match the path, in the form of an `Allow` header."""
    methods = {"OPTIONS"}
    for route in routes:
        match, _ = route.matches(scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))

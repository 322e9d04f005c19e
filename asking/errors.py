"""Errors that end a command with a message.

RunError               base of the errors below; the message is for the user
├─ InputError          an input file is malformed; the message names file and line
├─ EndpointError       an endpoint returned no usable answer
│  ├─ EndpointRefused  every other request would fail, too: key, address or model
│  └─ EndpointDown     all attempts failed with temporary errors
│     └─ EndpointUnreachable  no server answers at the URL
└─ IncompleteError     some questions have no answer; another run retries them
"""

from pathlib import Path


class RunError(Exception):
    """Base of the errors that are printed without a traceback."""


class InputError(RunError):
    """An input file is unusable; `line` counts from 1."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")


class EndpointError(RunError):
    """A request got no usable answer, retries included."""


class EndpointRefused(EndpointError):
    """The endpoint rejects the key, the address or the model."""


class EndpointDown(EndpointError):
    """All attempts at a request failed with temporary errors."""


class EndpointUnreachable(EndpointDown):
    """No server answers at the URL."""


class IncompleteError(RunError):
    """Some questions have no answer."""

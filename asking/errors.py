"""What can go wrong while a command asks its questions.

RunError               the message is written for whoever started the run
├─ InputError          a given file is malformed: says which file and which line
├─ EndpointError       an endpoint gave no usable answer
│  ├─ EndpointRefused  it would refuse every other request alike: key, address or model
│  └─ EndpointDown     all attempts met failures that may pass
└─ Unfinished          some questions have no answer yet; running again asks them again
"""

from pathlib import Path


class RunError(Exception):
    """Base of all errors that end a run with a message instead of a traceback."""


class InputError(RunError):
    """A given file cannot be used; `line` counts from 1."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")


class EndpointError(RunError):
    """A request got no usable answer, not even when it was repeated."""


class EndpointRefused(EndpointError):
    """The endpoint does not know the key, the address or the model."""


class EndpointDown(EndpointError):
    """All attempts at a request met failures that may pass."""


class Unfinished(RunError):
    """Some questions got no answer."""

"""Functions for worker processes, some of which harm their process."""

import os
import signal
import time
from pathlib import Path

_greeting = ""


def start_greeter(greeting: str) -> None:
    """Initialize a worker."""
    global _greeting  # a worker's only state
    _greeting = greeting


def greet(name: str) -> tuple[str, int]:
    """Return a greeting and the worker's process id."""
    return f"{_greeting} {name}", os.getpid()


def fail(message: str) -> None:
    """Raise an error."""
    raise ValueError(message)


def crash(signal_number: int) -> None:
    """End the worker as a broken library does."""
    os.kill(os.getpid(), signal_number)
    signal.pause()


def hang() -> None:
    """Never return."""
    while True:
        signal.pause()


def pause(seconds: float) -> None:
    """Return after a while."""
    time.sleep(seconds)


def wait_for(go: Path, ready: Path) -> int:
    """Write the process id to the named pipe `ready`, block on the named pipe `go`."""
    ready.write_text(str(os.getpid()))
    go.read_text()
    return os.getpid()

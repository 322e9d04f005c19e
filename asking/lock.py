"""Keeps a second run away from what one run writes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from io import IOBase
from pathlib import Path

from asking.errors import RunError


def lock(file: IOBase, path: Path) -> None:
    """Lock an open file until it is closed; `path` is what it stands for in the error.

    Raises `RunError` where another run has it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"{path}: another run is writing it") from None


@contextmanager
def sole_run(folder: Path) -> Iterator[None]:
    """Have a folder, made if need be, for oneself. Raises `RunError` where another run has it."""
    folder.mkdir(parents=True, exist_ok=True)
    # The system lets go of it when the process ends, however it ends; the file may stay.
    with (folder / ".lock").open("ab") as file:
        lock(file, folder)
        yield

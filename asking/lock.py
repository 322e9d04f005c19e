"""File locks that keep a second run from writing the same files."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from io import IOBase
from pathlib import Path

from asking.errors import RunError


def lock_file(file: IOBase, path: Path) -> None:
    """Lock an open file until it is closed. Raises `RunError`, which names `path`, if locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"{path}: another run is writing it") from None


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, created if missing. Raises `RunError` if another run holds the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    # The kernel releases the lock when the process ends; the file may remain.
    with (folder / ".lock").open("ab") as file:
        lock_file(file, folder)
        yield

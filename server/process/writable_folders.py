"""The folders that libraries write to: a temporary one, which must exist, and a home."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HOME: Final = "~"


def check_temporary_folder() -> None:
    """Raise `OSError`, with a remedy, where no temporary files can be written."""
    try:
        tempfile.gettempdir()
    except OSError:
        raise OSError(
            "no folder for temporary files can be written: set TMPDIR, or mount a tmpfs at /tmp"
        ) from None


@contextmanager
def provide_home() -> Iterator[None]:
    """Provide a home for a block where `HOME` is not set and the user has no name.

    Libraries would write their caches to a folder called `~` otherwise. Not `/tmp` itself, where
    other users could place the code that the engine takes from its cache.
    """
    if os.path.expanduser(HOME) != HOME:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="llava-server-") as folder:
        os.environ["HOME"] = folder
        yield

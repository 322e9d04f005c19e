"""Numbers of bytes as people read them, and a progress bar on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from tqdm import tqdm

from model_store.hashing import Progress


@contextmanager
def show_byte_progress(title: str, total: int) -> Iterator[Progress]:
    """Show a bar on stderr while the block runs. Any thread may call the yielded function."""
    lock = Lock()
    with tqdm(
        desc=title, total=total, unit="B", unit_scale=True, unit_divisor=1000, disable=None
    ) as bar:

        def count(size: int) -> None:
            with lock:
                bar.update(size)

        yield count


@dataclass(slots=True)
class PullProgress:
    """The progress of a pull in bytes: downloading threads count, any thread may read."""

    total: int = 0
    done: int = 0
    _lock: Lock = field(default_factory=Lock)

    def start(self, total: int, done: int) -> None:
        """Set the total, and the bytes that are already present."""
        self.total, self.done = total, done

    def add(self, size: int) -> None:
        """Count received bytes."""
        with self._lock:
            self.done += size

    def __str__(self) -> str:
        """Return `3.1 GB of 13.5 GB`, empty while the total is unknown."""
        if not self.total:
            return ""
        return f"{format_bytes(min(self.done, self.total))} of {format_bytes(self.total)}"


def format_bytes(size: int) -> str:
    """Return a number of bytes in decimal units with three digits, as the hub does: `13.5 GB`."""
    value, units = float(size), ["B", "kB", "MB", "GB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}" if value < 999.5 else f"{value:.0f} {units[0]}"

"""A bar that counts bytes, on a terminal only."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from tqdm import tqdm

from model_store.hashing import Progress


@contextmanager
def byte_bar(title: str, total: int) -> Iterator[Progress]:
    """Show a bar on stderr while the block runs; what it yields takes counts from any thread."""
    lock = Lock()
    with tqdm(
        desc=title, total=total, unit="B", unit_scale=True, unit_divisor=1000, disable=None
    ) as bar:

        def count(size: int) -> None:
            with lock:
                bar.update(size)

        yield count

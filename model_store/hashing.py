"""SHA-256 of many large files, in threads: hashlib releases the GIL."""

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Called from several threads with the number of bytes read since the last call.
Progress = Callable[[int], object]


def hash_files(
    folder: Path, paths: Iterable[str], progress: Progress | None = None
) -> dict[str, str]:
    """Return the SHA-256 in hex of each of `paths`, which are relative to `folder`.

    Raises `OSError` for the first file that cannot be read.
    """
    paths = list(paths)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "hash") as pool:
        digests = pool.map(lambda path: _compute_sha256(folder / path, progress), paths)
        return dict(zip(paths, digests, strict=True))


def compute_git_blob_id(path: Path) -> str:
    """Return git's blob id of a file. The hub has no other hash of files outside LFS."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest()


def _compute_sha256(path: Path, progress: Progress | None) -> str:
    with _ProgressFile(path, progress) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _ProgressFile(io.FileIO):
    """A file that reports the bytes read to `progress`."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(path)
        self._progress = progress

    def readinto(self, buffer: "memoryview | bytearray", /) -> int:  # type: ignore[override]
        """Read into hashlib's buffer."""
        size = super().readinto(buffer) or 0
        if self._progress is not None:
            self._progress(size)
        return size

"""SHA-256 of many large files, in threads: hashlib lets go of the interpreter's lock."""

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Told the bytes that were read since the last call, from several threads.
Progress = Callable[[int], object]


def hash_files(
    folder: Path, paths: Iterable[str], progress: Progress | None = None
) -> dict[str, str]:
    """Return the SHA-256 in hex of each of `paths`, which are relative to `folder`.

    Raises `OSError` for the first file that cannot be read.
    """
    paths = list(paths)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "hash") as pool:
        digests = pool.map(lambda path: _sha256(folder / path, progress), paths)
        return dict(zip(paths, digests, strict=True))


def git_blob_id(path: Path) -> str:
    """Return what git calls this content; the hub has no other hash of files outside LFS."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest()


def _sha256(path: Path, progress: Progress | None) -> str:
    with _Counted(path, progress) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Counted(io.FileIO):
    """A file that tells how much of it has been read."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(path)
        self._progress = progress

    def readinto(self, buffer: "memoryview | bytearray", /) -> int:  # type: ignore[override]
        """Read on; the buffer belongs to hashlib."""
        size = super().readinto(buffer) or 0
        if self._progress is not None:
            self._progress(size)
        return size

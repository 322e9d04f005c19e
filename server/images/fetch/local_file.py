"""`file:` URLs, below folders that the operator named and nowhere else."""

import asyncio
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from server.errors import ImageFetchFailed, ImageUrlForbidden
from server.images.fetch.refusals import refuse_malformed_url, refuse_too_many_bytes
from server.images.fetch.url_policy import refuse_odd_characters

_URL: Final = re.compile(r"file://([^/?#]*)(/[^?#]*)", re.IGNORECASE)
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
# Without following a last link, and without waiting for a pipe's other end.
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LocalFiles:
    """Reads files of at most `max_bytes`."""

    def __init__(self, folders: Iterable[Path], max_bytes: int) -> None:
        self._folders = tuple(folder.resolve() for folder in folders)
        self._max_bytes = max_bytes

    async def read(self, url: str) -> bytes:
        """Return a file's bytes.

        Raises `ImageUrlForbidden` for all that is outside of the folders, whether it exists or not;
        else `ImageUrlInvalid`, `ImageFetchFailed` or `ImageTooLarge`.
        """
        if not self._folders:
            raise _forbidden()
        path = _path(url)
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> bytes:
        real = os.path.realpath(path)
        if not self._is_inside(real):
            raise _forbidden()
        try:
            if not stat.S_ISREG(os.lstat(real).st_mode):  # opening a device may do something
                raise _unreadable()
            descriptor = os.open(real, _FLAGS)
            with open(descriptor, "rb") as file:
                self._check_opened(descriptor)
                return self._contents(file.read(self._max_bytes + 1))
        except OSError:
            raise _unreadable() from None

    def _check_opened(self, descriptor: int) -> None:
        """Judge what was opened: a folder of its path may have become a link meanwhile."""
        if not self._is_inside(os.readlink(f"/proc/self/fd/{descriptor}")):
            raise _forbidden()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable()

    def _is_inside(self, path: str) -> bool:
        return any(Path(path).is_relative_to(folder) for folder in self._folders)

    def _contents(self, data: bytes) -> bytes:
        if len(data) > self._max_bytes:
            raise refuse_too_many_bytes(self._max_bytes)
        return data


def _path(url: str) -> str:
    match = _URL.fullmatch(url)
    if match is None or _BROKEN_ESCAPE.search(match[2]):
        raise refuse_malformed_url()
    refuse_odd_characters(url)
    if match[1].lower() not in ("", "localhost"):
        raise _forbidden()
    return os.fsdecode(unquote_to_bytes(match[2]))


def _forbidden() -> ImageUrlForbidden:
    return ImageUrlForbidden("The image's file is in no folder that images may be read from.")


def _unreadable() -> ImageFetchFailed:
    return ImageFetchFailed("The image's file could not be read.")

"""`file:` URLs, only within folders that the operator named."""

import asyncio
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from server.images.fetch.body import check_num_bytes
from server.images.fetch.errors import FetchFailed, UrlForbidden
from server.images.fetch.url_policy import build_malformed_url_error, check_characters

_URL: Final = re.compile(r"file://([^/?#]*)(/[^?#]*)", re.IGNORECASE)
_INVALID_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
# Follow no symbolic link at the end of the path, and do not block on a named pipe.
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LocalFileReader:
    """Reads files of at most `max_bytes` from within `folders`."""

    def __init__(self, folders: Iterable[Path], max_bytes: int) -> None:
        self._folders = tuple(folder.resolve() for folder in folders)
        self._max_bytes = max_bytes

    async def read(self, url: str) -> bytes:
        """Return a file's bytes.

        Raises `UrlForbidden` for any path outside the folders, whether it exists or not;
        `UrlInvalid`, `FetchFailed` or `DataTooLarge` otherwise.
        """
        if not self._folders:
            raise _build_forbidden_path_error()
        path = _parse_path(url)
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> bytes:
        real_path = os.path.realpath(path)
        if not self._is_inside(real_path):
            raise _build_forbidden_path_error()
        try:
            # Opening a device may have side effects.
            if not stat.S_ISREG(os.lstat(real_path).st_mode):
                raise _build_unreadable_error()
            descriptor = os.open(real_path, _OPEN_FLAGS)
            with open(descriptor, "rb") as file:
                self._check_descriptor(descriptor)
                data = file.read(self._max_bytes + 1)
        except OSError:
            raise _build_unreadable_error() from None
        check_num_bytes(len(data), self._max_bytes)
        return data

    def _check_descriptor(self, descriptor: int) -> None:
        """Check the opened file: a folder of its path may have become a link meanwhile."""
        if not self._is_inside(os.readlink(f"/proc/self/fd/{descriptor}")):
            raise _build_forbidden_path_error()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _build_unreadable_error()

    def _is_inside(self, path: str) -> bool:
        return any(Path(path).is_relative_to(folder) for folder in self._folders)


def _parse_path(url: str) -> str:
    match = _URL.fullmatch(url)
    if match is None or _INVALID_ESCAPE.search(match[2]):
        raise build_malformed_url_error()
    check_characters(url)
    if match[1].lower() not in ("", "localhost"):
        raise _build_forbidden_path_error()
    return os.fsdecode(unquote_to_bytes(match[2]))


def _build_forbidden_path_error() -> UrlForbidden:
    return UrlForbidden("The file is in no folder that may be read from.")


def _build_unreadable_error() -> FetchFailed:
    return FetchFailed("The file could not be read.")

"""Reads the file of API keys again whenever it changes; a broken file keeps the old keys."""

import asyncio
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from server.keys.errors import KeysFileError
from server.keys.key import ApiKey
from server.keys.key_file import read_keys, read_signature
from server.telemetry.logs import get_logger

log = get_logger(__name__)

POLL_S: Final = 0.5
# A file that keeps changing is read after this many polls, one and a half seconds.
MAX_UNSETTLED: Final = 3

Signature = tuple[int, ...] | None


class KeysFileWatcher:
    """Watches one file and reads it once it is unchanged for a poll, so never half-written."""

    def __init__(
        self,
        path: Path,
        on_change: Callable[[Sequence[ApiKey]], None],
        set_ok: Callable[[bool], None],
        poll_s: float = POLL_S,
    ) -> None:
        """`set_ok` is called with whether the last read succeeded."""
        self._path = path
        self._on_change = on_change
        self._set_ok = set_ok
        self._poll_s = poll_s
        self._read: Signature = ()  # matches no file, so that changes since the start are read, too
        self._seen: Signature = ()
        self._num_unsettled = 0  # consecutive polls that found it changed
        self._reason: str | None = None  # why it cannot be used
        self._is_asked = asyncio.Event()

    def reload_soon(self) -> None:
        """Read the file now, changed or not. For a signal's handler on the event loop."""
        self._is_asked.set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._is_asked.wait()
            try:
                await self._look()
            except Exception:  # for example, no thread is available: the next poll may succeed
                self._set_ok(False)
                log.exception("the keys file could not be checked for changes")

    async def _look(self) -> None:
        """Read the file if it has changed and settled, or if a read is requested."""
        is_asked = self._is_asked.is_set()
        self._is_asked.clear()
        signature = await asyncio.to_thread(_read_signature, self._path)
        self._num_unsettled = 0 if signature == self._seen else self._num_unsettled + 1
        self._seen = signature
        is_due = self._num_unsettled == 0 or self._num_unsettled >= MAX_UNSETTLED
        if is_asked or (is_due and signature != self._read):
            self._num_unsettled = 0
            self._read = signature
            await self._reload()

    async def _reload(self) -> None:
        try:
            keys = await asyncio.to_thread(_read, self._path)
        except KeysFileError as error:
            self._report(str(error))
            return
        except OSError as error:
            self._read = ()  # the next poll tries again: the cause may be gone by then
            self._report(str(error))
            return
        self._reason = None
        self._on_change(keys)
        self._set_ok(True)
        log.info("the keys file is read", path=str(self._path), keys=len(keys))

    def _report(self, reason: str) -> None:
        """Log what is wrong with the file, once."""
        self._set_ok(False)
        if reason != self._reason:
            self._reason = reason
            log.error("the keys file cannot be used: the old keys stay", reason=reason)


def _read(path: Path) -> Sequence[ApiKey]:
    keys = read_keys(path)
    if path.stat().st_mode & stat.S_IWOTH:
        log.warning("every user of this machine can write the keys file", path=str(path))
    return keys


def _read_signature(path: Path) -> Signature:
    """Return the file's signature, None if it is not accessible."""
    try:
        return read_signature(path)
    except OSError:
        return None

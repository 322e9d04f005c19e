"""Returns the memory of large bodies to the system after use."""

import asyncio
import ctypes
import gc
from collections.abc import Callable
from typing import Final

# A request's memory is freed a moment after its lease is released.
DELAY_S: Final = 1.0


def load_malloc_trim() -> Callable[[], object]:
    """Return glibc's `malloc_trim(0)`, which runs without the interpreter's lock for milliseconds.

    Other C libraries lack it: the function then does nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: None) if trim is None else lambda: trim(0)


class AllocatorTrim:
    """Trims the allocator in a thread, at most once in `delay_s` seconds."""

    def __init__(self, trim: Callable[[], object] | None = None, delay_s: float = DELAY_S) -> None:
        self._trim = load_malloc_trim() if trim is None else trim
        self._delay_s = delay_s
        self._is_scheduled = False

    def schedule(self) -> None:
        """Trim soon. Call it from the event loop."""
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(self._delay_s, self._start)

    def _start(self) -> None:
        self._is_scheduled = False
        asyncio.get_running_loop().run_in_executor(None, self._collect_and_trim)

    def _collect_and_trim(self) -> None:
        """Free and trim.

        A refused request may be part of a cycle: its error's traceback, the frames, and in them
        the task that holds the error. Loaded objects are frozen, so that collecting is quick.
        """
        gc.collect()
        self._trim()

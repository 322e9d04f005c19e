"""Flow control that can hold reading and tracks the progress of pending output."""

import asyncio
import fcntl
import select
import struct
import termios
from contextlib import suppress
from typing import Final

from uvicorn.protocols.http.flow_control import FlowControl

HANG_UP: Final = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class EdgeFlowControl(FlowControl):
    """Pauses reading; while `hold_reading` is set, the application's reads do not resume it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.hold_reading = False

    def resume_reading(self) -> None:
        """Read on, unless reading is held."""
        if not self.hold_reading:
            super().resume_reading()


class WriteProgress:
    """Watches whether the peer still takes output."""

    __slots__ = ("_outstanding", "_transport", "_unchanged_since", "is_watching")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_watching = False
        self._transport = transport
        self._outstanding = (0, 0)
        self._unchanged_since = 0.0

    def stop(self) -> None:
        """Note that output progressed, or that none is pending."""
        self.is_watching = False

    def measure_stall_s(self, buffered: int, now: float) -> float:
        """Return for how long (seconds) `buffered` bytes and the kernel's queue have not changed.

        A large kernel queue drains for long before the transport may write again: a reader
        that is slow but steady shows only there.
        """
        outstanding = (buffered, _count_kernel_queue(self._transport))
        if not self.is_watching or outstanding != self._outstanding:
            self.is_watching = True
            self._outstanding = outstanding
            self._unchanged_since = now
        return now - self._unchanged_since


def has_hung_up(transport: asyncio.Transport) -> bool:
    """Whether the peer has stopped sending, which a transport that does not read misses."""
    with suppress(OSError, AttributeError, ValueError):
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), HANG_UP)
        return bool(poll.poll(0))
    return False


def _count_kernel_queue(transport: asyncio.Transport) -> int:
    """Return the bytes that the peer has not acknowledged, 0 where the system cannot say."""
    with suppress(OSError, AttributeError):
        fd = transport.get_extra_info("socket").fileno()
        (queued,) = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))
        return int(queued)
    return 0

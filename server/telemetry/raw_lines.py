"""A program that turns lines which are not JSON objects into JSON log lines.

`python -I -S raw_lines.py STDOUT_PIPE STDERR_PIPE CONTROL` reads both pipes to their end and writes
each line to its own stdout or stderr. `CONTROL` is a socket: once the server has shut down its
side, the program writes everything left and closes the socket, so that the server can wait for the
last lines. The program imports little, and nothing from this package.
"""

import json
import os
import re
import select
import selectors
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

CHUNK: Final = 65536
# Seconds that a reader may take to read; meanwhile the server's pipe fills.
PATIENCE_S: Final = 0.5
# The same for the last lines and the count of dropped lines.
LAST_PATIENCE_S: Final = 1.0
# Longer lines are cut into several.
MAX_LINE: Final = 1 << 20
LINE_ENDS: Final = re.compile(rb"[\r\n]+")
COLORS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Target:
    """A file descriptor to write lines to; it may be full for a while or for good.

    A reader that does not read must not stop the server: after `PATIENCE_S`, lines are dropped and
    counted until there is room again.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unsent = b""
        self._is_torn = False  # a line may have been cut by an error
        self.num_dropped = 0

    def write(self, line: bytes, notify: Callable[[str], bytes]) -> None:
        """Write a line, or drop and count it; `notify` formats a text as a line."""
        if not self._send(0.0 if self.num_dropped else PATIENCE_S):
            self.num_dropped += 1
            return
        self._report_dropped(notify)
        self._unsent += line
        self._send(PATIENCE_S)

    def finish(self, notify: Callable[[str], bytes]) -> None:
        """Write the rest and the number of dropped lines, if the reader takes them in time."""
        deadline = time.monotonic() + LAST_PATIENCE_S
        if self._send(LAST_PATIENCE_S):
            self._report_dropped(notify)
            self._send(max(0.0, deadline - time.monotonic()))

    def _report_dropped(self, notify: Callable[[str], bytes]) -> None:
        if self.num_dropped:
            self._unsent = notify(f"{self.num_dropped} log lines could not be written")
            self.num_dropped = 0

    def _send(self, patience_s: float) -> bool:
        """Send the rest; return whether all of it was taken."""
        deadline = time.monotonic() + patience_s
        while self._unsent:
            try:
                self._send_some(max(0.0, deadline - time.monotonic()))
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:  # no space, or nobody reads
                self.num_dropped += self._unsent.count(b"\n")
                self._unsent = b""
                self._is_torn = True
            if self._unsent and time.monotonic() >= deadline:
                return False
        return True

    def _send_some(self, timeout_s: float) -> None:
        """Send as much as a ready pipe takes without blocking."""
        if not select.select([], [self._descriptor], [], timeout_s)[1]:
            return
        if self._is_torn:
            os.write(self._descriptor, b"\n")
            self._is_torn = False
        sent = os.write(self._descriptor, self._unsent[: select.PIPE_BUF])
        self._unsent = self._unsent[sent:]


@dataclass(slots=True)
class Stream:
    """A wrapped stream. `pending` is a line that has not ended yet."""

    name: str
    level: str
    target: Target
    pending: bytes = b""

    def feed(self, data: bytes) -> None:
        """Write the complete lines; `b""` is the end of the stream."""
        *lines, self.pending = LINE_ENDS.split(self.pending + data)
        if not data or len(self.pending) > MAX_LINE:
            lines, self.pending = [*lines, self.pending], b""
        for line in filter(None, lines):
            for part in split_before_object(line):
                self.target.write(wrap_line(part, self.name, self.level), self._notify)
        if not data:
            self.target.finish(self._notify)

    def _notify(self, text: str) -> bytes:
        return wrap_line(text.encode(), self.name, "warning")


def wrap_line(line: bytes, stream: str, level: str) -> bytes:
    """Return a line as a JSON object and a line break; a JSON object stays as it is."""
    if _is_object(line):
        return line + b"\n"
    text = COLORS.sub("", line.decode("utf-8", "replace"))
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    wrapped = {"event": text, "level": level, "stream": stream, "timestamp": now}
    return json.dumps(wrapped, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def split_before_object(line: bytes) -> list[bytes]:
    """Split a log line from raw text before it that did not end its line."""
    begin = line.find(b'{"')
    if begin > 0 and _is_object(line[begin:]):
        return [line[:begin], line[begin:]]
    return [line]


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def main(stdout_pipe: int, stderr_pipe: int, control: int) -> None:
    """Read both pipes to their end. Signals to the process group are left to the server."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    streams = {
        stdout_pipe: Stream("stdout", "info", Target(1)),
        stderr_pipe: Stream("stderr", "warning", Target(2)),
    }
    selector = selectors.DefaultSelector()
    for descriptor in (*streams, control):
        selector.register(descriptor, selectors.EVENT_READ)
    unfinished = set(streams)
    while unfinished:
        readable = [key.fd for key, _ in selector.select()]
        for descriptor in unfinished.intersection(readable):
            data = os.read(descriptor, CHUNK)
            streams[descriptor].feed(data)
            if not data:
                selector.unregister(descriptor)
                unfinished.remove(descriptor)
        if readable == [control]:  # and the pipes are empty
            for descriptor in unfinished:
                streams[descriptor].feed(b"")
            selector.unregister(control)
            os.close(control)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

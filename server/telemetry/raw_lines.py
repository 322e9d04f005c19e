"""A program that turns lines which are no JSON objects into JSON log lines.

`python -I -S raw_lines.py STDOUT_PIPE STDERR_PIPE` reads both pipes to their end and writes each
line to its own stdout or stderr. It outlives the server, and so has its last words. It imports
little, and nothing from this package.
"""

import errno
import json
import os
import re
import selectors
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

CHUNK: Final = 65536
# Longer lines are cut into several.
MAX_LINE: Final = 1 << 20
LINE_ENDS: Final = re.compile(rb"[\r\n]+")
COLORS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(slots=True)
class Stream:
    """A stream that is wrapped. `pending` is a line that has not ended yet."""

    name: str
    level: str
    target: int
    pending: bytes = b""
    num_dropped: int = 0

    def feed(self, data: bytes) -> None:
        """Write the lines that have ended; `b""` is the end of the stream."""
        *lines, self.pending = LINE_ENDS.split(self.pending + data)
        if not data or len(self.pending) > MAX_LINE:
            lines, self.pending = [*lines, self.pending], b""
        for line in filter(None, lines):
            for part in split_before_object(line):
                self._write(wrap_line(part, self.name, self.level))

    def _write(self, line: bytes) -> None:
        """Write a line; where it cannot be written, count it and go on: nothing may block here."""
        if self.num_dropped:
            notice = f"{self.num_dropped} log lines could not be written".encode()
            if not _write_all(self.target, wrap_line(notice, self.name, "warning")):
                self.num_dropped += 1
                return
            self.num_dropped = 0
        self.num_dropped += not _write_all(self.target, line)


def wrap_line(line: bytes, stream: str, level: str) -> bytes:
    """Return a line as a JSON object and a line break; one that is an object stays as it is."""
    if _is_object(line):
        return line + b"\n"
    text = COLORS.sub("", line.decode("utf-8", "replace"))
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    wrapped = {"event": text, "level": level, "stream": stream, "timestamp": now}
    return json.dumps(wrapped, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def split_before_object(line: bytes) -> list[bytes]:
    """Part a log line from raw text in front of it, whose own line had not ended."""
    begin = line.find(b'{"')
    if begin > 0 and _is_object(line[begin:]):
        return [line[:begin], line[begin:]]
    return [line]


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _write_all(target: int, data: bytes) -> bool:
    """Write to a file descriptor; return whether all of it was taken."""
    while data:
        try:
            data = data[os.write(target, data) :]
        except BlockingIOError:
            time.sleep(0.01)
        except OSError as error:
            if error.errno != errno.EINTR:
                return False
    return True


def main(stdout_pipe: int, stderr_pipe: int) -> None:
    """Read both pipes to their end. Signals to the process group are the server's affair."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    selector.register(stdout_pipe, selectors.EVENT_READ, Stream("stdout", "info", 1))
    selector.register(stderr_pipe, selectors.EVENT_READ, Stream("stderr", "warning", 2))
    while selector.get_map():
        for key, _ in selector.select():
            data = os.read(key.fd, CHUNK)
            key.data.feed(data)
            if not data:
                selector.unregister(key.fd)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

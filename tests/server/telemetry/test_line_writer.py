"""Lines onto pipes that nobody reads, and onto devices that are full."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from server.telemetry.line_sink import LineSink
from server.telemetry.line_writer import LineWriter

LINE = "x" * 999 + "\n"
LIMIT_S = 20.0
PIPE_BYTES = 60_000  # at least, in whole lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return a pipe's ends for reading and writing."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 65_536)
    yield ends
    for end in ends:
        os.close(end)


def read_what_is_there(descriptor: int) -> bytes:
    """Return what a pipe holds, without waiting for more."""
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 65_536)
    except BlockingIOError:
        return b""


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    writer = LineWriter(LineSink(pipe[1]).write)
    for number in range(3):
        writer.write(f"{number}\n")
    writer.drain(LIMIT_S)
    assert os.read(pipe[0], 100) == b"0\n1\n2\n"
    assert writer.take_num_lost() == 0


def test_a_reader_that_stops_blocks_nobody(pipe: tuple[int, int]) -> None:
    writer = LineWriter(LineSink(pipe[1]).write, max_pending_bytes=100 * len(LINE))
    began = time.monotonic()
    for _ in range(100):
        writer.write(LINE)
    while writer.num_pending_bytes > 100 * len(LINE) - PIPE_BYTES:
        time.sleep(0.01)  # until the pipe is full
    for _ in range(1000):
        writer.write(LINE)
    assert time.monotonic() - began < LIMIT_S
    assert writer.take_num_lost() == 0  # nobody could read it
    read = 0
    while read < 200 and not (num_lost := writer.take_num_lost()):
        read += os.read(pipe[0], 100 * len(LINE)).count(b"\n")
    assert num_lost > 500
    os.set_blocking(pipe[0], False)  # the last line may be read before it counts as written
    while writer.num_pending_bytes:
        with suppress(BlockingIOError):
            os.read(pipe[0], 100 * len(LINE))


def test_a_full_device_loses_lines() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(LineSink(full).write)
    writer.write(LINE)
    writer.drain(LIMIT_S)
    assert writer.take_num_lost() == 0
    read, write = os.pipe()
    os.dup2(write, full)  # there is space again
    writer.write(LINE)
    writer.drain(LIMIT_S)
    assert writer.take_num_lost() == 1
    assert os.read(read, 2000) == LINE.encode()
    for descriptor in (full, read, write):
        os.close(descriptor)


def test_a_slow_reader_of_a_pipe_that_does_not_block_misses_no_line(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = LineWriter(LineSink(pipe[1]).write)
    for _ in range(200):
        writer.write(LINE)
    data = b""
    while writer.num_pending_bytes:
        time.sleep(0.001)
        data += read_what_is_there(pipe[0])
    data += read_what_is_there(pipe[0])
    assert data == LINE.encode() * 200
    assert writer.take_num_lost() == 0


def test_a_line_that_was_cut_off_is_not_glued_to_the_next(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    results: Iterator[int | OSError] = iter([3, OSError(28, "No space left on device")])

    def write_part(descriptor: int, data: bytes) -> int:
        result = next(results, len(data))
        if isinstance(result, OSError):
            raise result
        return write(descriptor, data[:result])

    monkeypatch.setattr(os, "write", write_part)
    writer = LineWriter(LineSink(pipe[1]).write)
    writer.write("lost line\n")
    writer.write("next\n")
    writer.drain(LIMIT_S)
    assert os.read(pipe[0], 100) == b"los\nnext\n"
    assert writer.take_num_lost() == 1

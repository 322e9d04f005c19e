"""Lines onto pipes that nobody reads, and onto devices that are full."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

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


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1])
    for number in range(3):
        writer.write(f"{number}\n")
    writer.drain(LIMIT_S)
    assert os.read(pipe[0], 100) == b"0\n1\n2\n"
    assert writer.take_num_lost() == 0


def test_a_reader_that_stops_blocks_nobody(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1], max_pending_bytes=100 * len(LINE))
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
    writer = LineWriter(full)
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

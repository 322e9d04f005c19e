"""Raw lines of a process and its children, as JSON."""

import json
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from server.telemetry.raw_lines import Stream, Target, wrap_line

PROGRAM = """
import logging, os, subprocess, sys, threading, warnings
from server.telemetry.logs import configure_logs, get_logger
from server.telemetry.raw_output import wrap_raw_output

with wrap_raw_output():
    configure_logs("debug", "json")
    get_logger("server").info("ours")
    warnings.warn("old", stacklevel=1)
    os.write(2, b"from C\\n")
    print("printed", flush=True)
    subprocess.run(["sh", "-c", "echo child >&2; printf 'no line end' >&2"])
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    {end}
"""


def run(end: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, str]]]:
    """Run the program to its end; return what it wrote to stderr, parsed."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)], capture_output=True, text=True, timeout=60
    )
    return ended, [json.loads(line) for line in ended.stderr.splitlines()]


def test_every_line_is_json_and_none_is_lost() -> None:
    ended, lines = run("pass")
    assert ended.returncode == 0
    events = [line["event"] for line in lines]
    assert any("old" in event for event in events)
    assert {"ours", "from C", "child", "no line end", "uncaught exception"} <= set(events)
    [error] = [line for line in lines if line["event"] == "uncaught exception"]
    assert "ZeroDivisionError" in error["exception"]
    assert [json.loads(line)["event"] for line in ended.stdout.splitlines()] == ["printed"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_the_last_words_of_a_process_that_aborts_are_json() -> None:
    ended, lines = run("os.write(2, b'\\nlast words'); os.abort()")
    assert ended.returncode < 0
    assert "last words" in [line["event"] for line in lines]


def test_a_child_that_stays_does_not_hold_up_the_end() -> None:
    started = time.monotonic()
    end = "child = subprocess.Popen(['sleep', '30']); began = __import__('time').monotonic()"
    after = "\nprint(__import__('time').monotonic() - began); child.kill()"
    program = PROGRAM.format(end=end) + after
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert float(ended.stdout.splitlines()[-1]) < 0.5
    assert time.monotonic() - started < 20
    assert "no line end" in ended.stderr


def test_an_uncaught_exception_is_one_line() -> None:
    ended, lines = run("raise LookupError('lost')")
    assert ended.returncode == 1
    assert "LookupError: lost" in lines[-1]["exception"]


def read(path: Path) -> list[str]:
    """Return the events of a file's lines."""
    return [json.loads(line)["event"] for line in path.read_text().splitlines() if line]


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    full, descriptor = os.open("/dev/full", os.O_WRONLY), os.dup(log)
    stream = Stream("stderr", "warning", Target(descriptor))
    os.dup2(full, descriptor)
    stream.feed(b"one\ntwo\n")
    os.dup2(log, descriptor)
    stream.feed(b"three\n")
    assert read(tmp_path / "log") == ["2 log lines could not be written", "three"]
    for number in (log, full, descriptor):
        os.close(number)


def test_a_reader_that_stops_reading_stops_nothing() -> None:
    reader, writer = os.pipe()
    stream = Stream("stderr", "warning", Target(writer))
    started = time.monotonic()
    stream.feed(b"".join(b"%d %s\n" % (number, b"x" * 1000) for number in range(200)))
    assert time.monotonic() - started < 5
    assert stream.target.num_dropped > 100
    received = os.read(reader, 1 << 20)
    stream.feed(b"last\n")
    received += os.read(reader, 1 << 20)
    os.close(reader)
    os.close(writer)
    events = [json.loads(line)["event"] for line in received.splitlines()]
    assert events[-1] == "last"
    assert re.fullmatch(r"\d+ log lines could not be written", events[-2])
    assert len(events) - 2 + int(events[-2].split()[0]) == 200


def test_a_reader_who_is_late_gets_what_is_left_and_the_number_of_lost_lines(
    tmp_path: Path,
) -> None:
    reader, writer = os.pipe()
    stream = Stream("stderr", "warning", Target(writer))
    stream.feed(b"".join(b"%d %s\n" % (number, b"x" * 1000) for number in range(200)))
    with open(tmp_path / "log", "wb") as log:
        late = subprocess.Popen(["sh", "-c", "sleep 0.3; exec cat"], stdin=reader, stdout=log)
        os.close(reader)
        stream.feed(b"")
        os.close(writer)
        assert late.wait(20) == 0
    *events, last = read(tmp_path / "log")
    assert len(events) + int(last.removesuffix(" log lines could not be written")) == 200


END_WITH_RAW_LINES = """
import os
from server.telemetry.raw_output import wrap_raw_output

with wrap_raw_output():
    os.write(2, b"".join(b"%d %s\\n" % (number, b"x" * 100) for number in range(500)))
os._exit(0)
"""


def test_the_server_ends_after_its_last_words_are_written() -> None:
    """In a container whatever is left is killed then."""
    reader, writer = os.pipe()
    program = subprocess.Popen([sys.executable, "-c", END_WITH_RAW_LINES], stderr=writer)
    os.set_blocking(reader, False)
    select.select([reader], [], [])
    time.sleep(0.3)  # less than the patience with such a reader
    received = b""
    while program.poll() is None:
        received += read_some(reader)
        time.sleep(0.01)
    received += read_some(reader)
    os.close(reader)
    os.close(writer)
    assert len(received.splitlines()) == 500


def read_some(descriptor: int) -> bytes:
    """Return what a pipe holds."""
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return b""


def test_what_is_json_stays_as_it_is() -> None:
    line = b'{"event": "a"}'
    assert wrap_line(line, "stderr", "warning") == line + b"\n"
    wrapped = json.loads(wrap_line(b"{not json\xff \x1b[31mred\x1b[0m", "stdout", "info"))
    assert wrapped["event"] == "{not json\ufffd red"
    assert (wrapped["stream"], wrapped["level"]) == ("stdout", "info")


def test_bars_and_long_lines_end_somewhere(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w+b") as file:
        stream = Stream("stderr", "warning", Target(file.fileno()))
        stream.feed(b" 10%\r 20%\r")
        stream.feed(b"x" * (1 << 20))
        stream.feed(b"x")
        stream.feed(b"")
    assert read(tmp_path / "log") == [" 10%", " 20%", "x" * ((1 << 20) + 1)]


def test_a_line_that_nests_deeply_is_wrapped_like_any_other() -> None:
    line = b'{"a":' + b"[" * 100_000
    wrapped = wrap_line(line, "stderr", "warning")
    assert json.loads(wrapped)["event"] == line.decode()

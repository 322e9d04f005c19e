"""Raw lines of a process and its children, as JSON."""

import json
import subprocess
import sys
from pathlib import Path

from server.telemetry.raw_lines import Stream, wrap_line

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
    ended, lines = run("os.write(2, b'last words'); os.abort()")
    assert ended.returncode < 0
    assert lines[-1]["event"] == "last words"


def test_an_uncaught_exception_is_one_line() -> None:
    ended, lines = run("raise LookupError('lost')")
    assert ended.returncode == 1
    assert "LookupError: lost" in lines[-1]["exception"]


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        stream = Stream("stderr", "warning", full.fileno())
        stream.feed(b"one\ntwo\n")
        assert stream.num_dropped == 2
    with open(tmp_path / "log", "w+b") as file:
        stream.target = file.fileno()
        stream.feed(b"three\n")
        lines = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == ["2 log lines could not be written", "three"]


def test_what_is_json_stays_as_it_is() -> None:
    line = b'{"event": "a"}'
    assert wrap_line(line, "stderr", "warning") == line + b"\n"
    wrapped = json.loads(wrap_line(b"{not json\xff \x1b[31mred\x1b[0m", "stdout", "info"))
    assert wrapped["event"] == "{not json\ufffd red"
    assert (wrapped["stream"], wrapped["level"]) == ("stdout", "info")


def test_bars_and_long_lines_end_somewhere(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w+b") as file:
        stream = Stream("stderr", "warning", file.fileno())
        stream.feed(b" 10%\r 20%\r")
        stream.feed(b"x" * (1 << 20))
        stream.feed(b"x")
        stream.feed(b"")
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events == [" 10%", " 20%", "x" * ((1 << 20) + 1)]

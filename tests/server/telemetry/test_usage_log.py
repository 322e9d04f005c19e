"""The usage log survives rotation, a full disk and a reader that does not read."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.telemetry.line_writer import MAX_PENDING_BYTES
from server.telemetry.metrics import Metrics
from server.telemetry.usage import Usage
from server.telemetry.usage_file import UsageFile
from server.telemetry.usage_log import UsageLog

FULL = Path("/dev/full")


def build_usage(id: str = "1", **fields: object) -> Usage:
    """Return what a request used."""
    known = {
        "time": "2026-11-27T00:00:00Z",
        "id": id,
        "key": "alice",
        "model": "llava-tiny",
        "endpoint": "/v1/chat/completions",
        "status": 200,
        "outcome": "ok",
        "images": 1,
        "image_tokens": 64,
        "prompt_tokens": 80,
        "cached_tokens": 0,
        "output_tokens": 7,
        "seconds": 0.25,
    }
    return Usage(**known | fields)  # type: ignore[arg-type]


def ids(path: Path) -> list[str]:
    """Return the ids of a log's lines."""
    return [json.loads(line)["id"] for line in path.read_text().splitlines() if line]


def dropped(metrics: Metrics) -> float | None:
    """Return the number of lines that were lost."""
    return metrics.registry.get_sample_value("llava:usage_lines_dropped_total")


async def test_each_request_is_a_line(tmp_path: Path, metrics: Metrics) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_text('{"id": "0"}\n')
    log = UsageLog(UsageFile(path), metrics.usage_lines_dropped)
    for number in range(1, 100):
        log.add(build_usage(str(number), model="evil\nname"))
    await log.close()
    assert ids(path) == [str(number) for number in range(100)]
    assert path.read_text().count("\n") == 100


def test_a_rotated_file_is_opened_again(tmp_path: Path) -> None:
    path, old = tmp_path / "usage.jsonl", tmp_path / "usage.jsonl.1"
    file = UsageFile(path)
    file.write(b'{"id": "1"}\n')
    os.rename(path, old)
    file.write(b'{"id": "2"}\n')
    path.unlink()
    file.write(b'{"id": "3"}\n')
    assert (ids(old), ids(path)) == (["1"], ["3"])


async def test_a_full_disk_costs_lines_and_is_told_once(metrics: Metrics) -> None:
    log = UsageLog(UsageFile(FULL), metrics.usage_lines_dropped)
    with capture_logs() as lines:
        for number in range(3):
            log.add(build_usage(str(number)))
        await log.close()
    assert dropped(metrics) == 3
    assert ["lines are dropped" in line["event"] for line in lines] == [True]


def test_a_folder_that_is_gone_keeps_the_open_file(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = UsageFile(folder / "usage.jsonl")
    (folder / "usage.jsonl").unlink()
    folder.rmdir()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            file.write(b"{}\n")
    folder.mkdir()
    file.write(b'{"id": "1"}\n')
    assert ids(folder / "usage.jsonl") == ["1"]


def test_a_line_that_was_cut_off_does_not_damage_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "usage.jsonl"
    file = UsageFile(path)
    write = os.write

    def write_half(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", fail)
        return write(descriptor, data[:4])

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write_half)
    with pytest.raises(OSError, match="No space"):
        file.write(b'{"id": "1"}\n')
    monkeypatch.setattr(os, "write", write)
    file.write(b'{"id": "2"}\n')
    assert path.read_text() == '{"id\n{"id": "2"}\n'


async def test_a_reader_that_does_not_read_stops_nobody(metrics: Metrics, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = UsageLog(UsageFile(fifo), metrics.usage_lines_dropped)
    line = build_usage("1").format_line()
    for number in range(MAX_PENDING_BYTES // len(line) + 2000):
        log.add(build_usage(str(number)))
    assert (dropped(metrics) or 0) > 0
    async with asyncio.timeout(10):
        await log.close()
    os.close(reader)


def test_a_path_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        UsageFile(tmp_path / "none" / "usage.jsonl")

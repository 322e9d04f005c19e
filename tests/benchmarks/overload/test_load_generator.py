"""The load generator: its figures, and a short run as a program."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.overload.client import Results
from benchmarks.overload.load_generator import compute_figures
from benchmarks.overload.loads import Group, Kind, Patience, dump_groups
from tests.benchmarks.scripted import build_response, response, serve_script


def test_figures_are_of_all_groups_and_rates_of_each() -> None:
    # 0 to 100 ms in disorder.
    latencies = [(number * 37 % 101) / 1000 for number in range(101)]
    polite = Results(latencies_s=latencies[:50], refusals_s=[0.001, 0.002], waits_s=[1.0, 3.0])
    hasty = Results(latencies_s=latencies[50:])
    hasty.errors["status 500"] = 2
    found = compute_figures({"polite": polite, "hasty": hasty}, 2.0)
    assert found["goodput_per_s"] == 50.5
    assert (found["polite_per_s"], found["hasty_per_s"]) == (25, 25.5)
    assert found["latency_ms_p50"] == pytest.approx(50)
    assert found["latency_ms_p99"] == pytest.approx(99)
    assert found["refusals_per_s"] == 1
    assert found["refusal_ms_p50"] == pytest.approx(1.5)
    assert found["retry_after_ms_p50"] == pytest.approx(2000)
    assert found["errors"] == found["error: status 500"] == 2


def test_nothing_has_no_percentiles() -> None:
    found = compute_figures({"polite": Results()}, 2.0)
    assert found == {"goodput_per_s": 0, "refusals_per_s": 0, "polite_per_s": 0, "errors": 0}


async def test_as_a_program_it_prints_when_it_counts_and_then_the_figures(tmp_path: Path) -> None:
    seen = 0

    async def script(_: bytes) -> AsyncIterator[bytes]:
        nonlocal seen
        seen += 1
        if seen % 2:
            yield response({}, "429 Too Many Requests")
        else:
            await asyncio.sleep(0.01)
            yield build_response("x", 32)

    groups = [Group("hasty", 3, (Kind.TEXT,), Patience.HASTY)]
    async with serve_script(script) as received:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.overload.load_generator"),
            *(received.url, dump_groups(groups), "--model", "m", "--window-s", "0.4"),
            *("--warm-up-s", "0.1", "--seed", "3", "--folder", str(tmp_path)),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    begin, end, line = output.decode().splitlines()
    assert (begin, end) == ("begin", "end")
    found = json.loads(line)
    assert found["goodput_per_s"] == found["hasty_per_s"] > 0
    assert found["refusals_per_s"] > 0
    assert found["errors"] == 0
    assert 0 < found["generator_cores"] < 2
    assert received.connections == 3

"""`python -m benchmarks.replicas`: one replica behind HAProxy against a plain server.

Both run at once and are measured in turns, so that other load on the machine affects both.
"""

import asyncio
import json
import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from benchmarks.environment import describe_environment
from benchmarks.systems import MODEL_NAME, OURS, RunningServer, run_system

MS: Final = 1000
REPLICA: Final = replace(OURS, name="one replica", command=("scale",))
SYSTEMS: Final = (replace(OURS, name="plain server"), REPLICA)
TEXT: Final = [{"role": "user", "content": "What is it?"}]
STREAM_TOKENS: Final = 128
STREAMS: Final = (1, 32)

Times = dict[str, list[float]]


async def measure_text(http: httpx.AsyncClient, url: str) -> float:
    """Return the milliseconds of a complete short answer."""
    started = asyncio.get_running_loop().time()
    response = await http.post(url, json=_build(max_tokens=1))
    response.raise_for_status()
    return (asyncio.get_running_loop().time() - started) * MS


async def measure_events(http: httpx.AsyncClient, url: str) -> float:
    """Return the milliseconds between two events of a stream, on average."""
    request = _build(max_tokens=STREAM_TOKENS, ignore_eos=True, stream=True)
    async with http.stream("POST", url, json=request) as response:
        response.raise_for_status()
        times = [
            asyncio.get_running_loop().time()
            async for line in response.aiter_lines()
            if line.startswith("data: {")
        ]
    return statistics.fmean(after - before for before, after in pairwise(times)) * MS


async def measure_round(url: str, times: Times, text_requests: int) -> None:
    """Measure everything once, and add it to `times`."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as http:
        for _ in range(text_requests):
            times.setdefault("text, whole", []).append(await measure_text(http, url))
        for streams in STREAMS:
            events = await asyncio.gather(*(measure_events(http, url) for _ in range(streams)))
            times.setdefault(f"an event, {streams} streams", []).append(statistics.fmean(events))


def run(rounds: int, text_requests: int, log: Path) -> dict[str, Times]:
    """Return the milliseconds of each measurement by system."""
    measured: dict[str, Times] = {system.name: {} for system in SYSTEMS}
    with ExitStack() as stack:
        servers: dict[str, RunningServer] = {
            system.name: stack.enter_context(run_system(system, log, eager=True))
            for system in SYSTEMS
        }
        for number in range(rounds + 1):
            for name, server in servers.items():
                times: Times = {} if number == 0 else measured[name]  # the first warms up
                asyncio.run(measure_round(server.chat_url, times, text_requests))
    return measured


def render(measured: Mapping[str, Times], environment: Mapping[str, Any]) -> str:
    """Return the medians as Markdown."""
    plain, replica = (measured[system.name] for system in SYSTEMS)
    lines = [f"| p50, ms | {' | '.join(measured)} | difference |", "|---|--:|--:|--:|"]
    for name, times in plain.items():
        before, after = statistics.median(times), statistics.median(replica[name])
        lines.append(f"| {name} | {before:.2f} | {after:.2f} | {after - before:+.2f} |")
    lines += ["", *(f"- {name}: {value}" for name, value in environment.items())]
    return "\n".join(lines) + "\n"


def _build(**options: Any) -> dict[str, Any]:
    return {"model": MODEL_NAME, "messages": TEXT, "temperature": 0, **options}


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")],
    rounds: Annotated[int, typer.Option(min=1, help="rounds of both systems")] = 7,
    text_requests: Annotated[int, typer.Option(min=1, help="short answers in a round")] = 60,
) -> None:
    """Compare one replica behind HAProxy with a plain server."""
    out.mkdir(parents=True, exist_ok=True)
    measured = run(rounds, text_requests, out / "servers.log")
    report = render(measured, describe_environment(()))
    (out / "replicas.json").write_text(json.dumps(measured) + "\n")
    (out / "replicas.md").write_text(report)
    print(report)


if __name__ == "__main__":
    typer.run(main)

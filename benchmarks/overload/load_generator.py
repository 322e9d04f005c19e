"""The load generator: runs groups of clients against one server and prints their figures.

It runs in a separate process. It prints `begin` and `end` around the measurement window, and the
figures as one line of JSON.
"""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop

from benchmarks.overload.client import Client, Link, Results, Window
from benchmarks.overload.loads import Group, Kind, build_questions, load_groups
from benchmarks.percentiles import compute_percentiles
from benchmarks.requests import UniqueNumbers

# More than the requests of one load, so that no image repeats in another one.
NUMBERS_PER_LOAD: Final = 1_000_000
DRAIN_S: Final = 60.0


async def run_load(
    url: str,
    model: str,
    groups: Sequence[Group],
    window_s: float,
    warm_up_s: float,
    seed: int,
    folder: Path,
) -> dict[str, float]:
    """Run all clients; return the figures of the window."""
    numbers = UniqueNumbers(seed * NUMBERS_PER_LOAD)
    build = {
        kind: build_questions(kind, model, numbers, folder)
        for kind in Kind
        if any(kind in group.kinds for group in groups)
    }
    results = {group.name: Results() for group in groups}
    link = Link()
    clients = [
        Client(url, build[kind], group.patience, results[group.name], link, group.api_key)
        for group in groups
        for kind in itertools.islice(itertools.cycle(group.kinds), group.clients)
    ]
    start = time.perf_counter()
    window = Window(start + warm_up_s, start + warm_up_s + window_s)
    running = [asyncio.create_task(client.run(window)) for client in clients]
    await asyncio.sleep(warm_up_s)
    print("begin", flush=True)
    cpu_s = time.process_time()
    await asyncio.sleep(window.ends_at - time.perf_counter())
    cpu_s = time.process_time() - cpu_s
    print("end", flush=True)
    ended, waiting = await asyncio.wait(running, timeout=DRAIN_S)
    for client in clients:
        client.close()
    if waiting:
        raise SystemExit(f"{len(waiting)} requests had no answer in {DRAIN_S:g} s")
    for task in ended:
        task.result()  # raises a client's error
    return {"generator_cores": cpu_s / window_s} | compute_figures(results, window_s)


def compute_figures(results: dict[str, Results], window_s: float) -> dict[str, float]:
    """Return the figures of all groups together, and each group's goodput."""
    every = list(results.values())
    figures = {
        "goodput_per_s": sum(len(each.latencies_s) for each in every) / window_s,
        "refusals_per_s": sum(len(each.refusals_s) for each in every) / window_s,
    }
    figures |= compute_percentiles("latency_ms", [t for each in every for t in each.latencies_s])
    figures |= compute_percentiles("refusal_ms", [t for each in every for t in each.refusals_s])
    figures |= compute_percentiles("retry_after_ms", [t for each in every for t in each.waits_s])
    for name, result in results.items():
        figures[f"{name}_per_s"] = len(result.latencies_s) / window_s
    errors: Counter[str] = sum((each.errors for each in every), Counter())
    figures["errors"] = errors.total()
    return figures | {f"error: {what}": count for what, count in errors.items()}


def main(
    url: Annotated[str, typer.Argument(help="of chat completions")],
    groups: Annotated[str, typer.Argument(help="groups of clients, as JSON")],
    model: Annotated[str, typer.Option(help="the name the server knows the model by")],
    window_s: Annotated[float, typer.Option(help="time that counts, in seconds")],
    warm_up_s: Annotated[float, typer.Option(help="time before it, in seconds")],
    seed: Annotated[int, typer.Option(help="of questions and pictures")],
    folder: Annotated[Path, typer.Option(help="where large pictures are kept")],
) -> None:
    """Run groups of clients against one server."""
    figures = uvloop.run(
        run_load(url, model, load_groups(groups), window_s, warm_up_s, seed, folder)
    )
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    typer.run(main)

"""The load generator: drives one workload against one server and prints what it saw.

It runs in a process of its own. It prints `begin` and `end` around the time that counts, so that
whoever started it can look at the server then, and the figures as one line of JSON.
"""

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop

from benchmarks.client import Answer, Connection, connect
from benchmarks.requests import Conversation, Numbers, Options
from benchmarks.workloads import WORKLOADS, Group, Workload, workload

# From one workload to the next: more requests than one sends, since no picture may come again.
NUMBERS_APART: Final = 100_000
DRAIN_S: Final = 60.0
MS: Final = 1000


@dataclass(slots=True)
class Clients:
    """One group's clients and what they saw within the time that counts."""

    group: Group
    answers: list[Answer] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Window:
    """The time that counts."""

    begins: float
    ends: float

    def holds(self, moment: float) -> bool:
        """Tell whether a moment counts."""
        return self.begins <= moment < self.ends


async def drive(
    url: str, model: str, work: Workload, window_s: float, warm_up_s: float, seed: int, folder: Path
) -> dict[str, float]:
    """Run all clients of a workload; returns the figures of its window."""
    place = seed * len(WORKLOADS) + WORKLOADS.index(work)
    numbers = Numbers(place * NUMBERS_APART)
    groups = [Clients(group) for group in work.groups]
    conversations = [
        (clients, conversation)
        for clients in groups
        for conversation in _conversations(clients.group, model, numbers, folder)
    ]
    connections = [await connect(url) for _ in conversations]
    start = time.perf_counter()
    window = Window(start + warm_up_s, start + warm_up_s + window_s)
    running = [
        asyncio.create_task(_client(url, connection, conversation, clients, window))
        for connection, (clients, conversation) in zip(connections, conversations, strict=True)
    ]
    await asyncio.sleep(warm_up_s)
    print("begin", flush=True)
    await asyncio.sleep(window.ends - time.perf_counter())
    print("end", flush=True)
    ended, waiting = await asyncio.wait(running, timeout=DRAIN_S)
    for connection in connections:
        connection.close()
    if waiting:
        raise SystemExit(f"{len(waiting)} requests had no answer in {DRAIN_S:g} s")
    for task in ended:
        task.result()  # raises what ended a client
    return figures(groups, window_s)


def _conversations(group: Group, model: str, numbers: Numbers, folder: Path) -> list[Conversation]:
    options = Options(model, group.max_tokens, group.stream)
    first = group.conversation(options, numbers, folder)
    if not first.keeps_history:
        return [first] * group.clients
    rest = (group.conversation(options, numbers, folder) for _ in range(group.clients - 1))
    return [first, *rest]


async def _client(
    url: str, connection: Connection, conversation: Conversation, clients: Clients, window: Window
) -> None:
    """Send request after request until the window ends."""
    while time.perf_counter() < window.ends:
        try:
            answer = await connection.post(url, conversation.next_body())
        except ConnectionError as error:
            clients.errors.append(str(error))
            return
        if answer.status != 200:
            clients.errors.append(answer.body[:300].decode(errors="replace"))
            return
        if conversation.keeps_history:
            conversation.answered(answer.text)
        if window.holds(answer.ended):
            clients.answers.append(answer)


def figures(groups: Sequence[Clients], window_s: float) -> dict[str, float]:
    """Return what the first group saw, the rate of any other one, and the errors of all."""
    errors = [error for clients in groups for error in clients.errors]
    if errors:
        raise SystemExit(f"{len(errors)} requests failed, the first with: {errors[0]}")
    for clients in groups:
        _check_lengths(clients)
    result = _figures(groups[0], window_s)
    for clients in groups[1:]:
        result[f"{clients.group.name}_per_s"] = len(clients.answers) / window_s
    return result


def _check_lengths(clients: Clients) -> None:
    wrong = {answer.completion_tokens for answer in clients.answers} - {clients.group.max_tokens}
    if wrong:
        raise SystemExit(f"answers of {wrong} tokens instead of {clients.group.max_tokens}")


def _figures(clients: Clients, window_s: float) -> dict[str, float]:
    answers = clients.answers
    result: dict[str, float] = {
        "requests": len(answers),
        "requests_per_s": len(answers) / window_s,
        "tokens_per_s": len(answers) * clients.group.max_tokens / window_s,
    }
    result |= _percentiles("latency_ms", [each.ended - each.sent for each in answers])
    if clients.group.stream:
        firsts = [each.text_times[0] - each.sent for each in answers if each.text_times]
        gaps = [
            later - earlier
            for each in answers
            for earlier, later in itertools.pairwise(each.text_times)
        ]
        result |= _percentiles("ttft_ms", firsts) | _percentiles("inter_token_ms", gaps)
    return result


def _percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {f"{name}_p50": cuts[49] * MS, f"{name}_p99": cuts[98] * MS}


def main(
    url: Annotated[str, typer.Argument(help="of chat completions")],
    name: Annotated[str, typer.Argument(help="a workload, e.g. W1")],
    model: Annotated[str, typer.Option(help="the name the server knows the model by")],
    window_s: Annotated[float, typer.Option(help="time that counts, in seconds")],
    warm_up_s: Annotated[float, typer.Option(help="time before it, in seconds")],
    seed: Annotated[int, typer.Option(help="of questions and pictures")],
    folder: Annotated[Path, typer.Option(help="where large pictures are kept")],
) -> None:
    """Drive one workload against one server."""
    work = workload(name)
    seen = uvloop.run(drive(url, model, work, window_s, warm_up_s, seed, folder))
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    typer.run(main)

"""The load generator: runs one workload against one server and prints its figures.

It runs in a separate process. It prints `begin` and `end` around the measurement window, so that
the parent can sample the server, and the figures as one line of JSON.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop

from benchmarks.client import Connection, TimedResponse, connect
from benchmarks.percentiles import compute_percentiles
from benchmarks.requests import Conversation, RequestOptions, UniqueNumbers
from benchmarks.suites import SUITES, TINY
from benchmarks.workloads import ClientGroup, Workload

# More than the requests of one workload, so that no image repeats in another workload.
NUMBERS_PER_WORKLOAD: Final = 100_000
DRAIN_S: Final = 120.0


@dataclass(slots=True)
class GroupResult:
    """The responses and errors of one group within the window."""

    group: ClientGroup
    answers: list[TimedResponse] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Window:
    """The measurement window, in seconds of `time.perf_counter`."""

    starts_at: float
    ends_at: float

    def contains(self, time_s: float) -> bool:
        """Whether a time lies in the window; its end does not."""
        return self.starts_at <= time_s < self.ends_at


async def run_workload(
    url: str,
    model: str,
    work: Workload,
    window_s: float,
    warm_up_s: float,
    place: int,
    folder: Path,
) -> dict[str, float]:
    """Run all clients of a workload; return the figures of its window.

    Runs with different places share no questions and no new images.
    """
    numbers = UniqueNumbers(place * NUMBERS_PER_WORKLOAD)
    groups = [GroupResult(group) for group in work.groups]
    conversations = [
        (clients, conversation)
        for clients in groups
        for conversation in _build_conversations(clients.group, model, numbers, folder)
    ]
    connections = [await connect(url) for _ in conversations]
    start = time.perf_counter()
    window = Window(start + warm_up_s, start + warm_up_s + window_s)
    running = [
        asyncio.create_task(_run_client(url, connection, conversation, clients, window))
        for connection, (clients, conversation) in zip(connections, conversations, strict=True)
    ]
    await asyncio.sleep(warm_up_s)
    print("begin", flush=True)
    await asyncio.sleep(window.ends_at - time.perf_counter())
    print("end", flush=True)
    ended, waiting = await asyncio.wait(running, timeout=DRAIN_S)
    for connection in connections:
        connection.close()
    if waiting:
        raise SystemExit(f"{len(waiting)} requests had no answer in {DRAIN_S:g} s")
    for task in ended:
        task.result()  # raises a client's error
    return compute_figures(groups, window_s)


def _build_conversations(
    group: ClientGroup, model: str, numbers: UniqueNumbers, folder: Path
) -> list[Conversation]:
    options = RequestOptions(model, group.max_tokens, group.stream)
    first = group.conversation(options, numbers, folder)
    if not first.has_history:
        return [first] * group.clients
    rest = (group.conversation(options, numbers, folder) for _ in range(group.clients - 1))
    return [first, *rest]


async def _run_client(
    url: str,
    connection: Connection,
    conversation: Conversation,
    clients: GroupResult,
    window: Window,
) -> None:
    """Send requests one after the other until the window ends."""
    while time.perf_counter() < window.ends_at:
        try:
            answer = await connection.post(url, conversation.build_next_body())
        except ConnectionError as error:
            clients.errors.append(str(error))
            return
        if answer.status != 200:
            clients.errors.append(answer.body[:300].decode(errors="replace"))
            return
        if conversation.has_history:
            conversation.record_answer(answer.text)
        if window.contains(answer.ended_at):
            clients.answers.append(answer)


def compute_figures(groups: Sequence[GroupResult], window_s: float) -> dict[str, float]:
    """Return the first group's figures and the rates of the others. Raises on any error."""
    errors = [error for clients in groups for error in clients.errors]
    if errors:
        raise SystemExit(f"{len(errors)} requests failed, the first with: {errors[0]}")
    for clients in groups:
        _require_lengths(clients)
    result = _compute_group_figures(groups[0], window_s)
    for clients in groups[1:]:
        result[f"{clients.group.name}_per_s"] = len(clients.answers) / window_s
    return result


def _require_lengths(clients: GroupResult) -> None:
    wrong = {answer.completion_tokens for answer in clients.answers} - {clients.group.max_tokens}
    if wrong:
        raise SystemExit(f"answers of {wrong} tokens instead of {clients.group.max_tokens}")


def _compute_group_figures(clients: GroupResult, window_s: float) -> dict[str, float]:
    answers = clients.answers
    result: dict[str, float] = {
        "requests": len(answers),
        "requests_per_s": len(answers) / window_s,
        "tokens_per_s": len(answers) * clients.group.max_tokens / window_s,
    }
    result |= compute_percentiles("latency_ms", [each.ended_at - each.sent_at for each in answers])
    if clients.group.stream:
        firsts = [each.text_times[0] - each.sent_at for each in answers if each.text_times]
        gaps = [
            later - earlier
            for each in answers
            for earlier, later in itertools.pairwise(each.text_times)
        ]
        result |= compute_percentiles("ttft_ms", firsts) | compute_percentiles(
            "inter_token_ms", gaps
        )
    return result


def main(
    url: Annotated[str, typer.Argument(help="of chat completions")],
    name: Annotated[str, typer.Argument(help="a workload, e.g. W1")],
    model: Annotated[str, typer.Option(help="the name the server knows the model by")],
    window_s: Annotated[float, typer.Option(help="time that counts, in seconds")],
    warm_up_s: Annotated[float, typer.Option(help="time before it, in seconds")],
    seed: Annotated[int, typer.Option(help="of questions and pictures")],
    folder: Annotated[Path, typer.Option(help="where large pictures are kept")],
    suite: Annotated[str, typer.Option(help="the workload's")] = TINY.name,
) -> None:
    """Run one workload against one server."""
    chosen = SUITES[suite]
    place = seed * len(chosen.workloads) + chosen.names.index(name)
    figures = uvloop.run(
        run_workload(url, model, chosen.find(name), window_s, warm_up_s, place, folder)
    )
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    typer.run(main)

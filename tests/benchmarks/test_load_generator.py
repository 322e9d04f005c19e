"""The load generator: its figures, and short runs against a small server."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import load_generator
from benchmarks.client import TimedResponse
from benchmarks.load_generator import GroupResult, Window, compute_figures, run_workload
from benchmarks.requests import (
    Conversation,
    MultiTurnChat,
    RequestOptions,
    SingleTurnQuestions,
    UniqueNumbers,
)
from benchmarks.suites import TINY
from benchmarks.workloads import ClientGroup, Workload
from tests.benchmarks.scripted import (
    STREAM_END,
    STREAM_HEAD,
    Script,
    build_response,
    chunk,
    event,
    response,
    serve_script,
    usage,
)

WINDOW_S = 1.5  # other tests may take both cores
TOKENS = 4


class TinyImages:
    """A source of tiny images."""

    def build(self, number: int) -> bytes:
        """Build a few bytes."""
        return b"\xff\xd8" + str(number).encode()


def text(options: RequestOptions, numbers: UniqueNumbers, _: Path) -> Conversation:
    """Build questions without images."""
    return SingleTurnQuestions(options, numbers, None, repeated=False)


def chat(options: RequestOptions, numbers: UniqueNumbers, _: Path) -> Conversation:
    """Build a chat over tiny images."""
    return MultiTurnChat(options, numbers, [TinyImages()] * 3)


def build_whole_response(
    latency_s: float, sent: float = 100.0, tokens: int = TOKENS
) -> TimedResponse:
    """Build a non-streamed response with this latency."""
    body = json.dumps({"usage": {"completion_tokens": tokens}}).encode()
    return TimedResponse(sent, 200, body, ended_at=sent + latency_s)


def build_streamed_response(*times: float, sent: float = 100.0) -> TimedResponse:
    """Build a streamed response with text at these times after the request."""
    text_times = [sent + time for time in times]
    body = event("x") + usage(TOKENS)
    return TimedResponse(sent, 200, body, sent + times[-1] + 0.5, text_times, streamed=True)


def build_result(*answers: TimedResponse, stream: bool = False, name: str = "text") -> GroupResult:
    """Build a group's result."""
    return GroupResult(ClientGroup(name, 1, text, max_tokens=TOKENS, stream=stream), list(answers))


def answer_completions(status: str = "200 OK", tokens: int | None = None) -> Script:
    """Return a script that answers chat completions with this many tokens."""

    async def script(body: bytes) -> AsyncIterator[bytes]:
        asked = json.loads(body)
        count = tokens or asked["max_tokens"]
        if status != "200 OK":
            yield response({"error": "out of order"}, status)
        elif asked["stream"]:
            yield STREAM_HEAD
            for _ in range(count):
                yield chunk(event("word "))
            yield chunk(usage(count)) + STREAM_END
        else:
            yield build_response(f"Answer to {asked['messages'][-1]['content'][-1]['text']}", count)

    return script


async def run(url: str, work: Workload, folder: Path, warm_up_s: float = 0.1) -> dict[str, float]:
    """Run a workload for a short time."""
    return await run_workload(url, "llava-tiny", work, WINDOW_S, warm_up_s, 1, folder)


@pytest.fixture
def chats() -> Workload:
    """Return a workload of two chat clients."""
    return Workload("chats", "two chats", (ClientGroup("chat", 2, chat, max_tokens=TOKENS),))


def test_rates_are_per_second_of_the_window() -> None:
    found = compute_figures([build_result(*(build_whole_response(0.1) for _ in range(10)))], 2.5)
    assert found["requests"] == 10
    assert found["requests_per_s"] == 4
    assert found["tokens_per_s"] == 4 * TOKENS


def test_percentiles_of_latencies() -> None:
    # 0 to 100 ms in disorder.
    latencies = [(number * 37 % 101) / 1000 for number in range(101)]
    found = compute_figures(
        [build_result(*(build_whole_response(latency) for latency in latencies))], 1
    )
    assert found["latency_ms_p50"] == pytest.approx(50)
    assert found["latency_ms_p99"] == pytest.approx(99)


def test_percentiles_lie_between_what_was_seen() -> None:
    found = compute_figures([build_result(build_whole_response(0.1), build_whole_response(0.2))], 1)
    assert found["latency_ms_p50"] == pytest.approx(150)
    assert found["latency_ms_p99"] == pytest.approx(199)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_answers_have_no_percentiles(count: int) -> None:
    found = compute_figures([build_result(*(build_whole_response(0.1) for _ in range(count)))], 2)
    assert found == {
        "requests": count,
        "requests_per_s": count / 2,
        "tokens_per_s": count * TOKENS / 2,
    }


def test_a_stream_has_time_to_first_token_and_gaps_between_tokens() -> None:
    answers = (
        build_streamed_response(0.10, 0.11, 0.13),
        build_streamed_response(0.20, 0.23, 0.27, sent=200.0),
        build_streamed_response(0.40, sent=300.0),
    )
    found = compute_figures([build_result(*answers, stream=True)], 1)
    assert found["ttft_ms_p50"] == pytest.approx(200)
    assert found["ttft_ms_p99"] == pytest.approx(200 + 0.98 * 200)
    # Gaps of 10, 20, 30 and 40 ms; none from one answer to the next.
    assert found["inter_token_ms_p50"] == pytest.approx(25)
    assert found["inter_token_ms_p99"] == pytest.approx(30 + 0.97 * 10)
    assert found["latency_ms_p50"] == pytest.approx(770)


def test_whole_answers_have_no_time_to_first_token() -> None:
    found = compute_figures([build_result(build_whole_response(0.1), build_whole_response(0.2))], 1)
    assert not any(name.startswith(("ttft", "inter_token")) for name in found)


def test_of_further_groups_the_rate_is_reported() -> None:
    others = build_result(
        build_whole_response(5.0),
        build_whole_response(6.0),
        build_whole_response(7.0),
        name="images",
    )
    found = compute_figures(
        [build_result(build_whole_response(0.1), build_whole_response(0.2)), others], 2
    )
    assert found["images_per_s"] == 1.5
    assert found["requests"] == 2
    assert found["latency_ms_p99"] < 1000


@pytest.mark.parametrize("group", [0, 1])
def test_an_error_of_any_group_ends_it(group: int) -> None:
    groups = [
        build_result(build_whole_response(0.1)),
        build_result(build_whole_response(0.1), name="images"),
    ]
    groups[group].errors += ["no image", "no luck"]
    with pytest.raises(SystemExit, match="2 requests failed, the first with: no image"):
        compute_figures(groups, 1)


@pytest.mark.parametrize("tokens", [0, TOKENS - 1, TOKENS + 1])
def test_an_answer_of_another_length_ends_it(tokens: int) -> None:
    with pytest.raises(SystemExit, match=rf"answers of \{{{tokens}\}} tokens instead of {TOKENS}"):
        compute_figures(
            [build_result(build_whole_response(0.1), build_whole_response(0.1, tokens=tokens))], 1
        )


def test_an_answer_of_another_length_ends_it_in_any_group() -> None:
    with pytest.raises(SystemExit):
        compute_figures(
            [
                build_result(build_whole_response(0.1)),
                build_result(build_whole_response(0.1, tokens=1), name="images"),
            ],
            1,
        )


def test_a_window_holds_its_beginning_but_not_its_end() -> None:
    window = Window(10.0, 12.0)
    moments = (9.9, 10.0, 11.9, 12.0)
    assert [window.contains(moment) for moment in moments] == [False, True, True, False]


async def test_text_from_sixteen_clients(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_script(answer_completions()) as asked:
        found = await run(asked.url, TINY.find("W1"), tmp_path)
    assert capsys.readouterr().out == "begin\nend\n"
    assert asked.connections == 16
    assert len(set(asked.bodies)) == len(asked.bodies)
    assert json.loads(asked.bodies[0])["model"] == "llava-tiny"
    assert 0 < found["requests"] <= len(asked.bodies)
    assert found["requests_per_s"] == pytest.approx(found["requests"] / WINDOW_S)
    assert found["tokens_per_s"] == pytest.approx(found["requests"] * 32 / WINDOW_S)
    assert 0 < found["latency_ms_p50"] <= found["latency_ms_p99"]


async def test_another_place_asks_other_questions(tmp_path: Path) -> None:
    async with serve_script(answer_completions()) as asked:
        for place in (1, 2):
            await run_workload(
                asked.url, "llava-tiny", TINY.find("W1"), WINDOW_S, 0, place, tmp_path
            )
    assert len(set(asked.bodies)) == len(asked.bodies)
    assert asked.connections == 32


async def test_what_ends_after_the_window_does_not_count(tmp_path: Path) -> None:
    async def script(body: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(2 * WINDOW_S)
        async for part in answer_completions()(body):
            yield part

    async with serve_script(script) as asked:
        found = await run(asked.url, TINY.find("W1"), tmp_path, warm_up_s=0)
    assert len(asked.bodies) == 16
    assert found == {"requests": 0, "requests_per_s": 0, "tokens_per_s": 0}


async def test_chats_keep_their_own_history(chats: Workload, tmp_path: Path) -> None:
    async with serve_script(answer_completions()) as asked:
        await run(asked.url, chats, tmp_path)
    histories: list[list[dict[str, Any]]] = [json.loads(body)["messages"] for body in asked.bodies]
    lengths = Counter(map(len, histories))
    assert lengths[1] >= 2
    assert {1, 3} <= set(lengths) <= {1, 3, 5, 7, 9, 11}
    for history in histories:
        for question, answer in zip(history[::2], history[1::2], strict=False):
            assert answer["content"] == f"Answer to {question['content'][-1]['text']}"
    # Whatever a history holds besides its last question was asked before, in one chat.
    asked_before = {json.dumps(history) for history in histories} | {"[]"}
    assert all(json.dumps(history[:-2]) in asked_before for history in histories)


@pytest.mark.parametrize("name", ["W1", "W9 text"])
async def test_refused_requests_end_it(name: str, tmp_path: Path) -> None:
    async with serve_script(answer_completions("503 Service Unavailable")) as asked:
        with pytest.raises(SystemExit, match=r"requests failed, the first with: .*out of order"):
            await run(asked.url, TINY.find(name), tmp_path)
        assert len(asked.bodies) == asked.connections


async def test_a_server_that_hangs_up_ends_it(tmp_path: Path) -> None:
    async def script(_: bytes) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        raise ConnectionAbortedError

    async with serve_script(script) as asked:
        with pytest.raises(SystemExit, match=r"16 requests failed, .* hung up"):
            await run(asked.url, TINY.find("W1"), tmp_path)


async def test_short_answers_end_it(tmp_path: Path) -> None:
    async with serve_script(answer_completions(tokens=31)) as asked:
        with pytest.raises(SystemExit, match=r"answers of \{31\} tokens instead of 32"):
            await run(asked.url, TINY.find("W1"), tmp_path)


async def test_answers_without_text_end_it(chats: Workload, tmp_path: Path) -> None:
    async def script(_: bytes) -> AsyncIterator[bytes]:
        yield response({"choices": []})

    async with serve_script(script) as asked:
        with pytest.raises((SystemExit, LookupError)):
            await run(asked.url, chats, tmp_path)


async def test_requests_without_an_answer_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_generator, "DRAIN_S", 0.1)
    over = asyncio.Event()

    async def script(_: bytes) -> AsyncIterator[bytes]:
        await over.wait()
        yield b""

    async with serve_script(script) as asked:
        with pytest.raises(SystemExit):
            await run(asked.url, TINY.find("W1"), tmp_path)


async def test_as_a_program_it_prints_when_it_counts_and_then_the_figures(tmp_path: Path) -> None:
    async with serve_script(answer_completions()) as asked:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.load_generator", asked.url, "W9 text"),
            *("--model", "llava-tiny", "--window-s", str(WINDOW_S), "--warm-up-s", "0.1"),
            *("--seed", "3", "--folder", str(tmp_path), "--suite", "gpu"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    begin, end, line = output.decode().splitlines()
    assert (begin, end) == ("begin", "end")
    found = json.loads(line)
    assert found["requests"] > 0
    assert found["tokens_per_s"] == pytest.approx(found["requests"] * 8 / WINDOW_S)
    assert 0 < found["ttft_ms_p50"] <= found["latency_ms_p50"]
    assert found["inter_token_ms_p50"] >= 0

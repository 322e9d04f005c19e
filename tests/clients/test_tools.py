"""Tools: calls that clients can parse, whole or streamed, and what follows them."""

from typing import Any

import pytest

from tests.clients.answers import is_shape
from tests.clients.asked import ASKED, asked
from tests.clients.clients import SCENARIOS
from tests.clients.conftest import Run
from tests.clients.running import require_clients

# What a complete call ends with: the AI SDK has words of its own, and OpenAI's API says `stop`
# after a call that was asked for by name.
ENDS = {"tool_calls", "tool-calls", "stop"}


def check_call(result: Any, *names: str) -> None:
    [call] = result["calls"]
    assert call["name"] in names
    is_shape(call["arguments"])
    assert result.get("finish", "tool_calls") in ENDS
    if "ids" in result:
        [name] = result["ids"]
        assert name


@asked("tool_required")
def test_calls_the_tool(result: Any) -> None:
    check_call(result, "report_shape")
    assert result.get("finish", "tool_calls") in {"tool_calls", "tool-calls"}


@asked("tool_named", "tool_streamed", "tool_stream_helper")
def test_calls_the_named_tool(result: Any) -> None:
    check_call(result, "report_shape")


@asked("tool_two")
def test_calls_one_of_two_tools(result: Any) -> None:
    check_call(result, *ASKED["tools"])


@asked("tool_auto", "tool_round_trip")
def test_answers_in_text(result: Any) -> None:
    assert result["text"]
    assert result.get("finish", "stop") == "stop"
    assert result["completion_tokens"] > 0


@asked("tool_loop")
def test_runs_the_loop(result: Any) -> None:
    calls = [call.get("arguments", call) for call in result["calls"]]
    assert calls
    for call in calls:
        is_shape(call)
    assert result["results"] == [f"{call['count']} {call['shape']}" for call in calls]
    assert "text" not in result or result["text"]


@pytest.mark.parametrize("program", [p for p in SCENARIOS if "tool_streamed" in SCENARIOS[p]])
def test_streams_the_same_call(program: str, run: Run) -> None:
    require_clients()
    outcomes = run(program)
    [whole] = outcomes["tool_named"]["returned"]["calls"]
    [streamed] = outcomes["tool_streamed"]["returned"]["calls"]
    assert streamed == whole

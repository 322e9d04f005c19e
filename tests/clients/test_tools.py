"""Tool calls that clients can parse, streamed or not, and the turns after them."""

from typing import Any

import pytest

from tests.clients.assertions import assert_shape
from tests.clients.clients import SCENARIOS
from tests.clients.conftest import Run
from tests.clients.running import require_clients
from tests.clients.scenarios import PROMPTS, parametrize_scenarios

# Finish reasons of a complete call. The AI SDK has its own names, and OpenAI's API returns `stop`
# after a named tool choice.
ENDS = {"tool_calls", "tool-calls", "stop"}


def assert_call(result: Any, *names: str) -> None:
    [call] = result["calls"]
    assert call["name"] in names
    assert_shape(call["arguments"])
    assert result.get("finish", "tool_calls") in ENDS
    if "ids" in result:
        [name] = result["ids"]
        assert name


@parametrize_scenarios("tool_required")
def test_calls_the_tool(result: Any) -> None:
    assert_call(result, "report_shape")
    assert result.get("finish", "tool_calls") in {"tool_calls", "tool-calls"}


@parametrize_scenarios("tool_named", "tool_streamed", "tool_stream_helper")
def test_calls_the_named_tool(result: Any) -> None:
    assert_call(result, "report_shape")


@parametrize_scenarios("tool_two")
def test_calls_one_of_two_tools(result: Any) -> None:
    assert_call(result, *PROMPTS["tools"])


@parametrize_scenarios("tool_auto", "tool_round_trip")
def test_answers_in_text(result: Any) -> None:
    assert result["text"]
    assert result.get("finish", "stop") == "stop"
    assert result["completion_tokens"] > 0


@parametrize_scenarios("tool_loop")
def test_runs_the_loop(result: Any) -> None:
    calls = [call.get("arguments", call) for call in result["calls"]]
    assert calls
    for call in calls:
        assert_shape(call)
    assert result["results"] == [f"{call['count']} {call['shape']}" for call in calls]
    assert "text" not in result or result["text"]


@pytest.mark.parametrize("program", [p for p in SCENARIOS if "tool_streamed" in SCENARIOS[p]])
def test_streams_the_same_call(program: str, run: Run) -> None:
    require_clients()
    outcomes = run(program)
    [complete] = outcomes["tool_named"]["returned"]["calls"]
    [streamed] = outcomes["tool_streamed"]["returned"]["calls"]
    assert streamed == complete

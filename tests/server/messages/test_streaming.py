"""Complete and streamed messages of scripted engine outputs."""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from server.engine.base import EngineOutput, SamplingOptions
from server.errors import EngineUnavailable
from server.generation.choice_reader import ChoiceReader
from server.generation.generation import Generation
from server.generation.tool_call_parser import ToolCallParser
from server.messages.message_builder import MessageBuilder
from server.messages.streaming import collect_message, stream_message
from server.messages.translation import parse_and_translate
from server.protocol.messages.response import ResponseMessage
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from server.tools.format import CALL_BEGIN, format_tool_call
from tests.server.fake_engine import FakeEngine
from tests.server.messages.reading import list_event_types, read_events, rebuild_message
from tests.server.samples import sample

SAMPLING = SamplingOptions(1, 0.0, 1.0, None, (), ignore_eos=False)
BEGIN = ["message_start", "ping"]
BLOCK = ["content_block_start", "content_block_delta", "content_block_stop"]
END = ["message_delta", "message_stop"]
Script = Sequence[EngineOutput | Exception]


def build_output(
    text: str, end: Literal["stop", "length"] | None = None, stop_string: str | None = None
) -> EngineOutput:
    """Return an engine output of one token."""
    return EngineOutput(text, 1, end, 0.0, 16, stop_string=stop_string)


class ScriptedMessage:
    """A request with scripted engine outputs."""

    def __init__(self, script: Script, metrics: Metrics, **body: Any) -> None:
        self._script = script
        self.record = RequestRecord("msg_1", metrics, ANYBODY, http_request_id="r1")
        self.record.record_submission(prompt_tokens=100, image_tokens=64)
        request = {
            "model": "m",
            "max_tokens": len(script),
            "messages": [{"role": "user", "content": "Hi"}],
            **body,
        }
        chat = parse_and_translate(json.dumps(request).encode()).chat
        self._builder = MessageBuilder(chat, self.record)

    async def _generation(self) -> Generation:
        outputs = FakeEngine(self._script).generate(
            "1", [1], [], SAMPLING, stream=True, cache_partition=""
        )
        generation = Generation(
            outputs, self.record, lambda index: ChoiceReader(index, ToolCallParser(), None)
        )
        await generation.await_first()
        return generation

    async def collect(self) -> dict[str, Any]:
        """Return the complete message, valid for the schema."""
        message = await collect_message(await self._generation(), self._builder, self.record)
        body: dict[str, Any] = json.loads(message.model_dump_json(by_alias=True))
        ResponseMessage.model_validate(body, extra="forbid")
        return body

    async def events(self) -> list[dict[str, Any]]:
        """Return the message's events."""
        events = stream_message(await self._generation(), self._builder, self.record)
        return read_events(b"".join([event async for event in events]).decode())


SCRIPTS: dict[str, tuple[list[EngineOutput], list[str], list[str], str]] = {
    "text": (
        [build_output(" It"), build_output(" is"), build_output(" red.", "stop")],
        BLOCK,
        ["text"],
        "end_turn",
    ),
    "nothing": ([build_output("", "stop")], [], [], "end_turn"),
    "a call": (
        [build_output(format_tool_call("f", '{"a": 1}'), "stop")],
        BLOCK,
        ["tool_use"],
        "tool_use",
    ),
    "words, then two calls": (
        [
            build_output("Let me see."),
            build_output(CALL_BEGIN[:4]),
            build_output(format_tool_call("f", '{"a": 1}')[4:20]),
            build_output(format_tool_call("f", '{"a": 1}')[20:]),
            build_output("\n" + format_tool_call("g", "{}"), "stop"),
        ],
        BLOCK * 3,
        ["text", "tool_use", "tool_use"],
        "tool_use",
    ),
    "words after a call": (
        [build_output(format_tool_call("f", "{}")), build_output(" Done.", "stop")],
        BLOCK * 2,
        ["tool_use", "text"],
        "tool_use",
    ),
    "cut short": ([build_output(" It is", "length")], BLOCK, ["text"], "max_tokens"),
}


@pytest.mark.parametrize(("script", "blocks", "kinds", "reason"), SCRIPTS.values(), ids=SCRIPTS)
async def test_a_stream_adds_up_to_the_message(
    script: list[EngineOutput], blocks: list[str], kinds: list[str], reason: str, metrics: Metrics
) -> None:
    complete = await ScriptedMessage(script, metrics).collect()
    events = await ScriptedMessage(script, metrics).events()
    assert list_event_types(events) == [*BEGIN, *blocks, *END]
    assert [block["type"] for block in complete["content"]] == kinds
    assert complete["stop_reason"] == reason
    assert _mask_ids(rebuild_message(events)) == _mask_ids(complete)
    assert complete["usage"] == {
        "input_tokens": 100,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": len(script),
    }


def _mask_ids(message: dict[str, Any]) -> Any:
    return re.sub("toolu_[0-9a-f]{24}", "toolu_", json.dumps(message))


async def test_a_call_has_an_id_in_anthropic_s_form_and_parsed_input(metrics: Metrics) -> None:
    script = [build_output(format_tool_call("f", '{"a": [1, "é"]}'), "stop")]
    [block] = (await ScriptedMessage(script, metrics).collect())["content"]
    assert re.fullmatch("toolu_[0-9a-f]{24}", block["id"])
    assert (block["name"], block["input"]) == ("f", {"a": [1, "é"]})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"a": "Par', {"a": "Par"}), ('{"a": 1, "b', {"a": 1}), ("{", {}), ("", {})],
)
async def test_a_call_that_is_cut_short_has_the_input_so_far(
    arguments: str, expected: dict[str, Any], metrics: Metrics
) -> None:
    call = format_tool_call("f", arguments + "@").split("@")[0]
    message = await ScriptedMessage([build_output(call, "length")], metrics).collect()
    [block] = message["content"]
    assert block["input"] == expected
    assert message["stop_reason"] == "max_tokens"


async def test_a_stop_sequence_is_named(metrics: Metrics) -> None:
    script = [build_output("It is ", "stop", "red")]
    message = await ScriptedMessage(script, metrics, stop_sequences=["blue", "red"]).collect()
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "red")


async def test_the_template_s_own_stop_string_is_no_stop_sequence(metrics: Metrics) -> None:
    script = [build_output("It is red", "stop", "###")]
    message = await ScriptedMessage(script, metrics, stop_sequences=["blue"]).collect()
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)


async def test_the_context_may_end_before_the_limit(metrics: Metrics) -> None:
    script = [build_output("It is red", "length")]
    message = await ScriptedMessage(script, metrics, max_tokens=1000).collect()
    assert message["stop_reason"] == "model_context_window_exceeded"


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (EngineUnavailable("The engine died."), "overloaded_error", "The engine died."),
        (ValueError("secret"), "api_error", "The server failed to handle the request."),
    ],
)
async def test_an_error_ends_the_stream(
    error: Exception, kind: str, text: str, metrics: Metrics
) -> None:
    message = ScriptedMessage([build_output("It"), error], metrics)
    with message.record:
        events = await message.events()
    assert events[-1] == {
        "type": "error",
        "error": {"type": kind, "message": text},
        "request_id": "r1",
    }
    assert sample(metrics, "requests_total", outcome="ok") == 0

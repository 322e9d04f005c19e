"""Complete and streamed responses of scripted engine outputs."""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from openai.types.responses import Response

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import EngineOutput, SamplingOptions, TokenLogprob
from server.errors import EngineUnavailable
from server.generation.choice_reader import ChoiceReader
from server.generation.generation import Generation
from server.generation.logprobs import VisibleTokensReader
from server.generation.sampling import SamplingDefaults
from server.generation.tool_call_parser import ToolCallParser
from server.protocol.responses.request import parse_responses_request
from server.protocol.responses.response import ResponseObject
from server.responses.response_builder import ResponseBuilder
from server.responses.streaming import collect_response, stream_response
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from server.tools.format import CALL_BEGIN, format_tool_call
from tests.server.fake_engine import FakeEngine
from tests.server.responses.reading import (
    BEGIN,
    MESSAGE_BEGIN,
    MESSAGE_END,
    list_event_types,
    read_event,
    read_events,
    rebuild_output,
)
from tests.server.samples import sample

SAMPLING = SamplingOptions(1, 0.0, 1.0, None, (), ignore_eos=False)
TEXT = "response.output_text.delta"
CALL = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]
Script = Sequence[EngineOutput | Exception]


def build_output(text: str, end: Literal["stop", "length"] | None = None) -> EngineOutput:
    """Return an engine output."""
    return EngineOutput(text, 1, end, 0.0, 16)


@pytest.fixture
def record(metrics: Metrics) -> RequestRecord:
    """Return the record of a request with a prompt of 100 tokens."""
    record = RequestRecord("resp_1", metrics, ANYBODY)
    record.record_submission(prompt_tokens=100, image_tokens=64)
    return record


class ScriptedResponse:
    """A request with scripted engine outputs."""

    def __init__(self, script: Script, record: RequestRecord, **body: Any) -> None:
        self._script = script
        self._record = record
        request = {"model": "m", "input": "Hi", **body}
        parsed = parse_responses_request(json.dumps(request).encode())
        self._builder = ResponseBuilder(
            parsed, record, SamplingDefaults(temperature=0.5, top_p=0.75)
        )
        self.vocabulary: Vocabulary | None = None

    def _build_reader(self, index: int) -> ChoiceReader:
        logprobs = VisibleTokensReader(self.vocabulary, 1) if self.vocabulary else None
        return ChoiceReader(index, ToolCallParser(), logprobs)

    async def _generation(self) -> Generation:
        outputs = FakeEngine(self._script).generate(
            "1", [1], [], SAMPLING, stream=True, cache_partition=""
        )
        generation = Generation(outputs, self._record, self._build_reader)
        await generation.await_first()
        return generation

    async def collect(self) -> dict[str, Any]:
        """Return the complete response, valid for OpenAI's schema and ours."""
        response = await collect_response(await self._generation(), self._builder, self._record)
        body: dict[str, Any] = json.loads(response.model_dump_json(by_alias=True))
        ResponseObject.model_validate(body, extra="forbid")
        Response.model_validate(body)
        return body

    async def events(self) -> list[dict[str, Any]]:
        """Return the response's events."""
        events = stream_response(await self._generation(), self._builder, self._record)
        return read_events(b"".join([event async for event in events]).decode())


def replace_ids(value: Any) -> Any:
    """Replace the ids of items and calls, and times."""
    text = json.dumps(value)
    return re.sub(r'"(msg|fc|call)_[0-9a-f]+"|(?<=ed_at": )\d+', r'"\1"', text)


SCRIPTS: dict[str, tuple[list[EngineOutput], list[str]]] = {
    "text": (
        [build_output(" It"), build_output(" is"), build_output(" red.", "stop")],
        [*MESSAGE_BEGIN, TEXT, *MESSAGE_END],
    ),
    "nothing": ([build_output("", "stop")], [*MESSAGE_BEGIN, *MESSAGE_END]),
    "outputs without text": (
        [build_output(""), build_output(" Yes"), build_output("", "stop")],
        [*MESSAGE_BEGIN, TEXT, *MESSAGE_END],
    ),
    "a call": ([build_output(format_tool_call("f", '{"a": 1}'), "stop")], CALL),
    "words, then two calls": (
        [
            build_output("Let me see."),
            build_output(CALL_BEGIN[:4]),
            build_output(format_tool_call("f", '{"a": 1}')[4:20]),
            build_output(format_tool_call("f", '{"a": 1}')[20:]),
            build_output(format_tool_call("g", "{}"), "stop"),
        ],
        [*MESSAGE_BEGIN, TEXT, *MESSAGE_END, *CALL, *CALL],
    ),
    "white space between calls": (
        [
            build_output(format_tool_call("f", "{}")),
            build_output("\n"),
            build_output(format_tool_call("g", "{}"), "stop"),
        ],
        [*CALL, *CALL],
    ),
    "words after a call": (
        [build_output(format_tool_call("f", "{}")), build_output(" Done.", "stop")],
        [*CALL, *MESSAGE_BEGIN, TEXT, *MESSAGE_END],
    ),
    "cut short": ([build_output(" It is", "length")], [*MESSAGE_BEGIN, TEXT, *MESSAGE_END]),
    "a call cut short": ([build_output(format_tool_call("f", '{"a": 1}')[:-18], "length")], CALL),
}


@pytest.mark.parametrize(("script", "expected"), SCRIPTS.values(), ids=SCRIPTS)
async def test_events_are_in_openais_order(
    script: list[EngineOutput], expected: list[str], record: RequestRecord
) -> None:
    events = await ScriptedResponse(script, record).events()
    end = "response.incomplete" if script[-1].finish_reason == "length" else "response.completed"
    assert list_event_types(events) == [*BEGIN, *expected, end]
    assert rebuild_output(events) == events[-1]["response"]["output"]


@pytest.mark.parametrize(("script", "_"), SCRIPTS.values(), ids=SCRIPTS)
async def test_the_last_event_has_the_complete_response(
    script: list[EngineOutput], _: list[str], metrics: Metrics
) -> None:
    bodies = []
    for streamed in (True, False):
        record = RequestRecord("resp_1", metrics, ANYBODY)
        record.record_submission(prompt_tokens=100, image_tokens=64)
        response = ScriptedResponse(script, record, instructions="Be kind.", metadata={"a": "b"})
        bodies.append(
            (await response.events())[-1]["response"] if streamed else await response.collect()
        )
    assert replace_ids(bodies[0]) == replace_ids(bodies[1])


async def test_a_response_has_the_fields_of_the_request(record: RequestRecord) -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": None}
    fields = {
        "instructions": "Be kind.",
        "max_output_tokens": 9,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "temperature": 0.1,
        "tool_choice": {"type": "function", "name": "f"},
        "top_p": 0.9,
        "user": "u",
    }
    body = await ScriptedResponse(
        [build_output("x", "stop")], record, tools=[tool], text={"format": schema}, **fields
    ).collect()
    assert {name: body[name] for name in fields} == fields
    assert body["tools"] == [tool | {"description": None}]
    assert body["text"] == {"format": schema, "verbosity": "medium"}


async def test_a_response_has_the_defaults(record: RequestRecord) -> None:
    body = await ScriptedResponse(
        [build_output(" It"), build_output(" is.", "stop")], record, store=True
    ).collect()
    [message] = body.pop("output")
    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "It is.", "annotations": [], "logprobs": []}],
    }
    assert body.pop("created_at") <= body.pop("completed_at")
    assert body == {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "m",
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 0.75,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {
                "cached_tokens": 16,
                "cache_write_tokens": 0,
                "image_tokens": 64,
            },
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 102,
        },
        "metadata": {},
    }


async def test_a_call_has_ids_of_its_own(record: RequestRecord) -> None:
    body = await ScriptedResponse(
        [build_output(format_tool_call("f", '{"a": 1}'), "stop")], record
    ).collect()
    [call] = body["output"]
    assert re.fullmatch(r"fc_\w+", call.pop("id"))
    assert re.fullmatch(r"call_\w+", call.pop("call_id"))
    assert call == {
        "type": "function_call",
        "status": "completed",
        "name": "f",
        "arguments": '{"a": 1}',
    }


@pytest.mark.parametrize("name", ["cut short", "a call cut short"])
async def test_output_at_the_token_limit_is_incomplete(name: str, record: RequestRecord) -> None:
    body = await ScriptedResponse(SCRIPTS[name][0], record).collect()
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert body["completed_at"] is None
    assert body["output"][-1]["status"] == "incomplete"


async def test_before_the_output_there_is_none(record: RequestRecord) -> None:
    created, in_progress, *_ = await ScriptedResponse([build_output("x", "stop")], record).events()
    for event in (created, in_progress):
        assert event["response"]["status"] == "in_progress"
        assert event["response"]["output"] == []
        assert "usage" not in event["response"]


async def test_any_text_survives(record: RequestRecord) -> None:
    odd = "\u2028 \x85 日本語 😀\r\n\r\ndata: x\n\nevent: y"
    events = await ScriptedResponse([build_output(odd, "stop")], record).events()
    assert rebuild_output(events)[0]["content"][0]["text"] == odd.lstrip()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (EngineUnavailable("The engine has died."), "The engine has died."),
        (ValueError("secret"), "The server failed to handle the request."),
    ],
)
async def test_an_error_in_mid_stream_fails_the_response(
    error: Exception, message: str, record: RequestRecord, metrics: Metrics
) -> None:
    script: Script = [build_output("Words."), build_output(format_tool_call("f", "{}")[:-1]), error]
    with record:
        events = await ScriptedResponse(script, record).events()
    last = events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": message}
    # The call never came to its end.
    assert [item["type"] for item in last["response"]["output"]] == ["message"]
    assert not sample(metrics, "requests_total", outcome="ok")


async def test_an_error_is_raised_where_nothing_is_streamed(record: RequestRecord) -> None:
    with pytest.raises(EngineUnavailable):
        await ScriptedResponse([build_output("a"), EngineUnavailable("It died.")], record).collect()


async def test_a_whole_stream_counts_as_ok_and_a_broken_off_one_as_cancelled(
    metrics: Metrics,
) -> None:
    script = [build_output("a"), build_output("b", "stop")]
    for read_all in (True, False):
        record = RequestRecord("resp_1", metrics, ANYBODY)
        with record:
            generation = await ScriptedResponse(script, record)._generation()
            events = stream_response(generation, ScriptedResponse(script, record)._builder, record)
            async for event in events:
                # The record is closed before the last event goes out.
                if read_event(event.decode()[:-2])["type"] == "response.completed" or not read_all:
                    break
    assert sample(metrics, "requests_total", outcome="ok") == 1
    assert sample(metrics, "requests_total", outcome="cancelled") == 1


async def test_log_probabilities_are_those_of_the_texts_tokens(
    record: RequestRecord, checkpoint: Checkpoint
) -> None:
    vocabulary = Vocabulary(checkpoint.path)
    script, tokens = scripted_tokens(vocabulary, "Let me see." + format_tool_call("f", '{"a": 1}'))
    response = ScriptedResponse(
        script, record, include=["message.output_text.logprobs"], top_logprobs=1
    )
    response.vocabulary = vocabulary
    events = await response.events()
    message, call = rebuild_output(events)
    [part] = message["content"]
    assert "".join(token["token"] for token in part["logprobs"]).startswith("Let me see.")
    assert len(part["logprobs"]) < len(tokens)
    assert part["logprobs"][0]["top_logprobs"] == [
        {key: part["logprobs"][0][key] for key in ("token", "logprob", "bytes")}
    ]
    assert call["type"] == "function_call"
    done = next(event for event in events if event["type"] == "response.output_text.done")
    assert done["logprobs"] == part["logprobs"]


def scripted_tokens(vocabulary: Vocabulary, text: str) -> tuple[list[EngineOutput], list[int]]:
    """Return outputs of a text as single-byte and longer tokens, one token per output."""
    spelling = {
        vocabulary.token_bytes(token): token
        for token in range(vocabulary.size)
        if not vocabulary.is_special(token)
    }
    rest, outputs, tokens = text.encode(), [], []
    while rest:
        size = next(size for size in range(len(rest), 0, -1) if rest[:size] in spelling)
        token, word, rest = spelling[rest[:size]], rest[:size].decode(), rest[size:]
        logprob = TokenLogprob(token, -0.5, [(token, -0.5)])
        outputs.append(EngineOutput(word, 1, None if rest else "stop", 0.0, 0, logprobs=[logprob]))
        tokens.append(token)
    return outputs, tokens

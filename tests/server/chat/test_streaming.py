"""Chat completions and chunks, parsed with OpenAI's own types."""

import json
from collections.abc import AsyncGenerator
from typing import Any, Literal

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from server.chat.streaming import collect_chat_completion, stream_chat_completion
from server.engine.base import EngineOutput
from server.errors import EngineUnavailable
from server.generation.chunk_writer import DONE
from server.generation.generation import Generation
from server.protocol.chat import response
from server.protocol.errors import build_error_body
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from tests.server.samples import sample

FinishReason = Literal["stop", "length"]

ODD_TEXTS = [
    'He said "no"',
    "line\nline\r\n\r\nline",
    "back\\slash \\n \\u0041",
    "日本語 😀 é \u2028 \u2029",
    "\x00\x07\x1b\x7f",
    "data: [DONE]\n\n",
    "</script> {{}} %s {0}",
]


def build_output(
    text: str, finish_reason: FinishReason | None = None, tokens: int = 1
) -> EngineOutput:
    """Return an engine output."""
    return EngineOutput(text, tokens, finish_reason, 0.0, 0)


async def play_outputs(*items: EngineOutput | Exception) -> AsyncGenerator[EngineOutput, None]:
    """Yield outputs as an engine does; exceptions are raised."""
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


@pytest.fixture
def record(metrics: Metrics) -> RequestRecord:
    """Return the record of a request with a prompt of 100 tokens."""
    record = RequestRecord("chatcmpl-1", metrics, ANYBODY)
    record.record_submission(prompt_tokens=100, image_tokens=64)
    record.cached_tokens = 16
    return record


def build_generation(record: RequestRecord, *items: EngineOutput | Exception) -> Generation:
    """Return a generation of these outputs."""
    return Generation(play_outputs(*items), record)


async def stream_events(
    record: RequestRecord, *items: EngineOutput | Exception, include_usage: bool = False
) -> list[bytes]:
    """Return all events of a stream."""
    generation = build_generation(record, *items)
    return [
        event
        async for event in stream_chat_completion(
            generation, "m", record, include_usage=include_usage
        )
    ]


def parse_payload(event: bytes) -> Any:
    """Return an event's JSON. It must be one line, as server-sent events require."""
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert b"\n" not in event[:-2]
    assert b"\r" not in event
    return json.loads(event[6:])


def parse_chunks(events: list[bytes]) -> list[ChatCompletionChunk]:
    """Return the chunks of a complete stream, each valid for OpenAI's schema and ours."""
    assert events[-1] == DONE == b"data: [DONE]\n\n"
    parsed = []
    for event in events[:-1]:
        response.ChatCompletionChunk.model_validate(parse_payload(event), extra="forbid")
        parsed.append(ChatCompletionChunk.model_validate(parse_payload(event)))
    return parsed


async def test_a_stream_starts_with_the_role_and_ends_with_the_finish_reason(
    record: RequestRecord,
) -> None:
    parsed = parse_chunks(
        await stream_events(
            record, build_output("It "), build_output("is"), build_output(" red.", "stop")
        )
    )
    deltas = [chunk.choices[0].delta for chunk in parsed]
    assert [delta.role for delta in deltas] == ["assistant", None, None, None, None]
    assert [delta.content for delta in deltas] == ["", "It ", "is", " red.", None]
    reasons = [chunk.choices[0].finish_reason for chunk in parsed]
    assert reasons == [None, None, None, None, "stop"]
    for chunk in parsed:
        assert (chunk.id, chunk.model, chunk.object) == ("chatcmpl-1", "m", "chat.completion.chunk")
        assert chunk.created == parsed[0].created
        assert [choice.index for choice in chunk.choices] == [0]


async def test_fields_of_chunks(record: RequestRecord) -> None:
    events = await stream_events(record, build_output("a"), build_output("", "length"))
    first, text, last = (parse_payload(event) for event in events[:-1])
    assert first["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
    ]
    assert text["choices"][0]["delta"] == {"content": "a"}
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "length"
    for chunk in (first, text, last):
        assert set(chunk) == {"id", "object", "created", "model", "choices"}


async def test_outputs_without_text_have_no_chunk(record: RequestRecord) -> None:
    events = await stream_events(
        record, build_output(""), build_output("a"), build_output(""), build_output("", "stop")
    )
    assert [chunk.choices[0].delta.content for chunk in parse_chunks(events)] == ["", "a", None]


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_any_text_is_escaped(text: str, record: RequestRecord) -> None:
    events = await stream_events(record, build_output(text), build_output(text, "stop"))
    contents = [chunk.choices[0].delta.content for chunk in parse_chunks(events)]
    assert contents == ["", text, text, None]


@pytest.mark.parametrize("name", ['a"b', "models/llava\n", "模型"])
async def test_any_name_is_escaped(name: str, record: RequestRecord) -> None:
    record.request_id = name
    generation = build_generation(record, build_output("a", "stop"))
    events = [
        event
        async for event in stream_chat_completion(generation, name, record, include_usage=True)
    ]
    assert {(chunk.model, chunk.id) for chunk in parse_chunks(events)} == {(name, name)}


async def test_the_last_chunk_has_the_usage_and_no_choices(record: RequestRecord) -> None:
    events = await stream_events(
        record, build_output("a", tokens=2), build_output("b", "stop", tokens=3), include_usage=True
    )
    *others, last = parse_chunks(events)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "total_tokens": 105,
        "prompt_tokens_details": {
            "cached_tokens": 16,
            "image_tokens": 64,
            "video_tokens": 0,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    assert [chunk.usage for chunk in others] == [None] * len(others)
    # OpenAI sends the null only if usage is requested.
    assert all("usage" in parse_payload(event) for event in events[:-1])
    assert not any(
        "usage" in parse_payload(event)
        for event in (await stream_events(record, build_output("a", "stop")))[:-1]
    )


async def test_an_error_while_streaming_is_the_last_event(
    record: RequestRecord, metrics: Metrics
) -> None:
    error = EngineUnavailable("The engine failed while it worked on the request.")
    with record:
        events = await stream_events(record, build_output("a"), error, include_usage=True)
    assert parse_payload(events[-1]) == build_error_body(error)
    assert parse_payload(events[-1])["error"] == {
        "message": "The engine failed while it worked on the request.",
        "type": "service_unavailable_error",
        "param": None,
        "code": "engine_unavailable",
    }
    assert [parse_payload(event)["choices"][0]["finish_reason"] for event in events[:-1]] == [
        None
    ] * 2
    assert sample(metrics, "requests_total", outcome="engine_unavailable") == 1


async def test_an_engine_that_ends_without_a_finish_reason(record: RequestRecord) -> None:
    with record:
        events = await stream_events(record, build_output("a"))
    assert parse_payload(events[-1])["error"]["code"] == "engine_unavailable"


async def test_a_complete_stream_counts_as_ok_and_an_abandoned_one_as_cancelled(
    metrics: Metrics,
) -> None:
    with RequestRecord("1", metrics, ANYBODY) as complete:
        await stream_events(complete, build_output("a", "stop"))
    assert sample(metrics, "requests_total", outcome="ok") == 1
    with RequestRecord("2", metrics, ANYBODY) as abandoned:
        generation = build_generation(abandoned, build_output("a"), build_output("b", "stop"))
        stream = stream_chat_completion(generation, "m", abandoned, include_usage=False)
        assert parse_payload(await anext(stream))
        assert parse_payload(await anext(stream))
    assert sample(metrics, "requests_total", outcome="cancelled") == 1
    await generation.aclose()


async def test_the_record_is_complete_before_the_last_event(metrics: Metrics) -> None:
    """A client may disconnect as soon as it has read `[DONE]`."""
    with RequestRecord("1", metrics, ANYBODY) as record:
        stream = stream_chat_completion(
            build_generation(record, build_output("a", "stop")), "m", record, include_usage=False
        )
        while await anext(stream) != DONE:
            pass
    assert sample(metrics, "requests_total", outcome="ok") == 1


async def test_a_completion(record: RequestRecord, metrics: Metrics) -> None:
    with record:
        completion = await collect_chat_completion(
            build_generation(
                record, build_output("It ", tokens=2), build_output("is red.", "stop", 3)
            ),
            "m",
            record,
        )
    parsed = ChatCompletion.model_validate(json.loads(completion.model_dump_json()))
    assert (parsed.id, parsed.object, parsed.model) == ("chatcmpl-1", "chat.completion", "m")
    (choice,) = parsed.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.content) == ("assistant", "It is red.")
    assert parsed.usage is not None
    assert (parsed.usage.prompt_tokens, parsed.usage.completion_tokens) == (100, 5)
    assert parsed.usage.total_tokens == 105
    assert parsed.usage.prompt_tokens_details is not None
    assert parsed.usage.prompt_tokens_details.cached_tokens == 16
    assert sample(metrics, "requests_total", outcome="ok") == 1


async def test_a_completion_has_the_fields_that_openais_schema_requires(
    record: RequestRecord,
) -> None:
    completion = json.loads(
        (
            await collect_chat_completion(
                build_generation(record, build_output("a", "length")), "m", record
            )
        ).model_dump_json()
    )
    assert completion["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "a", "refusal": None},
            "logprobs": None,
            "finish_reason": "length",
        }
    ]
    assert set(completion) == {"id", "object", "created", "model", "choices", "usage"}


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_a_completion_keeps_any_text(text: str, record: RequestRecord) -> None:
    completion = await collect_chat_completion(
        build_generation(record, build_output(text, "stop")), "m", record
    )
    assert json.loads(completion.model_dump_json())["choices"][0]["message"]["content"] == text


async def test_a_completion_without_a_finish_reason_is_an_error(
    record: RequestRecord, metrics: Metrics
) -> None:
    with pytest.raises(EngineUnavailable), record:
        await collect_chat_completion(build_generation(record, build_output("a")), "m", record)
    assert sample(metrics, "requests_total", outcome="engine_unavailable") == 1


async def test_a_completion_raises_the_engines_error(record: RequestRecord) -> None:
    with pytest.raises(EngineUnavailable, match="gone"):
        await collect_chat_completion(
            build_generation(record, build_output("a"), EngineUnavailable("gone")), "m", record
        )


async def test_an_unknown_error_while_streaming_is_the_last_event() -> None:
    async def broken() -> AsyncGenerator[EngineOutput, None]:
        yield EngineOutput("a", 1, None, 0.1, 0)
        raise ValueError("internal detail")

    record = RequestRecord("1", Metrics(), ANYBODY)
    generation = Generation(broken(), record)
    events = [e async for e in stream_chat_completion(generation, "m", record, include_usage=False)]
    assert b'"internal_error"' in events[-1]
    assert b"internal detail" not in b"".join(events)

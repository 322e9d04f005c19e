"""Anthropic's Python client: messages, streams, tools, token counts and errors."""

import base64
import json
from typing import Any, Literal

import anthropic
from anthropic.types import Message
from pydantic import BaseModel

from tests.clients.programs.harness import (
    BROKEN_URL,
    IMAGE,
    MAX_TOKENS,
    MODEL,
    PROMPTS,
    RETRY_URL,
    URL,
    cancelled,
    cancelled_more_than,
    failure,
    main,
    scenario,
    user,
)

BASE_URL = URL.removesuffix("/v1")
CLIENT = anthropic.Anthropic(base_url=BASE_URL, api_key="none", max_retries=0, timeout=60)
HELLO = [user(PROMPTS["hello"])]
REQUEST = [user(PROMPTS["report"])]
REPORT, PAINT = (
    {"name": name, "description": description, "input_schema": PROMPTS["schema"]}
    for name, description in PROMPTS["tools"].items()
)
ENDLESS: Any = {
    "type": "json_schema",
    "schema": {"type": "array", "items": {"enum": [0]}, "minItems": 4000},
}
NAMED = {"type": "tool", "name": "report_shape"}


def create(messages: list[Any], client: anthropic.Anthropic = CLIENT, **options: Any) -> Message:
    wishes = {"model": MODEL, "max_tokens": MAX_TOKENS, **options}
    answer: Message = client.messages.create(messages=messages, **wishes)
    return answer


def with_helper(messages: list[Any], **options: Any) -> Message:
    wishes = {"model": MODEL, "max_tokens": MAX_TOKENS, **options}
    with CLIENT.messages.stream(messages=messages, **wishes) as stream:
        said = "".join(stream.text_stream)
        final: Message = stream.get_final_message()
    assert said == read_text(final)
    return final


def read_text(answer: Message) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def told(answer: Message) -> dict[str, Any]:
    assert answer.id.startswith("msg_")
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", MODEL)
    return {
        "text": read_text(answer),
        "reason": answer.stop_reason,
        "sequence": answer.stop_sequence,
        "prompt_tokens": answer.usage.input_tokens,
        "completion_tokens": answer.usage.output_tokens,
    }


def called(answer: Message) -> dict[str, Any]:
    calls = [block for block in answer.content if block.type == "tool_use"]
    return {
        "calls": [{"name": call.name, "arguments": call.input} for call in calls],
        "reason": answer.stop_reason,
        "ids": [call.id for call in calls],
    }


def image(data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    source = {"type": "base64", "media_type": "image/png", "data": encoded}
    return {"type": "image", "source": source}


def shown(text: str, data: bytes | None = None) -> dict[str, Any]:
    blocks = [image(data or IMAGE.read_bytes()), {"type": "text", "text": text}]
    return {"role": "user", "content": blocks}


@scenario
def message() -> Any:
    return told(create(HELLO))


@scenario
def message_streamed() -> Any:
    return told(with_helper(HELLO))


@scenario
def message_events() -> Any:
    events = CLIENT.messages.create(messages=HELLO, model=MODEL, max_tokens=MAX_TOKENS, stream=True)
    kinds = [event.type for event in events]
    return [kind for at, kind in enumerate(kinds) if kinds[at - 1 : at] != [kind]]


@scenario
async def message_asynchronous() -> Any:
    async with anthropic.AsyncAnthropic(base_url=BASE_URL, api_key="none") as client:
        wishes: dict[str, Any] = {"model": MODEL, "max_tokens": MAX_TOKENS}
        return told(await client.messages.create(messages=HELLO, **wishes))


@scenario
def message_retried() -> Any:
    url = RETRY_URL.removesuffix("/v1")
    return told(create(HELLO, anthropic.Anthropic(base_url=url, api_key="none", timeout=60)))


@scenario
def message_image() -> Any:
    return told(create([shown(PROMPTS["describe"])]))


@scenario
def message_image_streamed() -> Any:
    return told(with_helper([shown(PROMPTS["describe"])]))


@scenario
def message_system() -> Any:
    return told(create(HELLO, system=[{"type": "text", "text": PROMPTS["system"]}]))


@scenario
def message_turns() -> Any:
    first = create([shown(PROMPTS["circle"])])
    answered = {"role": "assistant", "content": first.content}
    return told(create([shown(PROMPTS["circle"]), answered, user(PROMPTS["star"])]))


@scenario
def message_stop() -> Any:
    return told(create(HELLO, stop_sequences=["nothing of the kind", PROMPTS["stop"]]))


@scenario
def message_length() -> Any:
    return told(create(HELLO, max_tokens=3))


@scenario
def message_tool() -> Any:
    choice = {"type": "any", "disable_parallel_tool_use": True}
    return called(create(REQUEST, tools=[REPORT], tool_choice=choice))


@scenario
def message_tool_named() -> Any:
    return called(create(REQUEST, tools=[REPORT, PAINT], tool_choice=NAMED))


@scenario
def message_tool_streamed() -> Any:
    return called(with_helper(REQUEST, tools=[REPORT, PAINT], tool_choice=NAMED))


@scenario
def message_round_trip() -> Any:
    first = create(REQUEST, tools=[REPORT], tool_choice=NAMED)
    [call] = first.content
    assert call.type == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": PROMPTS["said"]}
    history = [
        *REQUEST,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    return told(create(history, tools=[REPORT], tool_choice={"type": "none"}))


class Seen(BaseModel):
    """A schema without bounds, which this client takes out."""

    shape: Literal["circle", "square", "triangle", "star"]
    sure: bool


@scenario
def message_parsed() -> Any:
    answer = CLIENT.messages.parse(
        messages=REQUEST, model=MODEL, max_tokens=MAX_TOKENS, output_format=Seen
    )
    assert isinstance(answer.parsed_output, Seen)
    return told(answer)


@scenario
def message_structured() -> Any:
    config = {"format": {"type": "json_schema", "schema": PROMPTS["schema"]}}
    return json.loads(read_text(create(REQUEST, output_config=config)))


@scenario
def message_count() -> Any:
    counted = CLIENT.messages.count_tokens(messages=[shown(PROMPTS["describe"])], model=MODEL)
    used = create([shown(PROMPTS["describe"])]).usage.input_tokens
    return [counted.input_tokens, used]


@scenario
def message_aborted() -> Any:
    before = cancelled()
    with CLIENT.messages.stream(
        messages=HELLO, model=MODEL, max_tokens=1500, output_config={"format": ENDLESS}
    ) as stream:
        for event in stream:
            if event.type == "text":
                break
    return cancelled_more_than(before)


@scenario
def message_model_not_found() -> Any:
    return fail(lambda: create(HELLO, model="nothing"))


@scenario
def message_bad_parameter() -> Any:
    return fail(lambda: create(HELLO, max_tokens=0))


@scenario
def message_broken_image() -> Any:
    return fail(lambda: create([shown(PROMPTS["describe"], base64.b64decode(BROKEN_URL[22:]))]))


def fail(ask: Any) -> dict[str, Any]:
    """Return what the client raises, which has the request's id."""

    def message(error: Exception) -> str:
        assert isinstance(error, anthropic.APIStatusError)
        assert error.request_id
        return str(error.api_message)

    return failure(ask, message)


main()

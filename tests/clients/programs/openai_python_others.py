"""OpenAI's Python client, synchronous: the Responses API and the older completions."""

import json
from typing import Any

import openai
from openai.types import Completion
from openai.types.responses import Response

from tests.clients.programs.harness import (
    BROKEN_URL,
    IMAGE_URL,
    MAX_TOKENS,
    MODEL,
    PROMPTS,
    URL,
    Shape,
    failure,
    main,
    scenario,
)

CLIENT = openai.OpenAI(base_url=URL, api_key="none", max_retries=0, timeout=60)
REQUEST_OPTIONS: dict[str, Any] = {
    "model": MODEL,
    "temperature": 0,
    "max_output_tokens": MAX_TOKENS,
}
TOOL = {
    "type": "function",
    "name": "report_shape",
    "description": PROMPTS["tools"]["report_shape"],
    "parameters": PROMPTS["schema"],
    "strict": True,
}


def respond(asked: Any, **options: Any) -> Response:
    answer: Response = CLIENT.responses.create(input=asked, **(REQUEST_OPTIONS | options))
    return answer


def told(answer: Response) -> dict[str, Any]:
    assert answer.usage
    return {
        "text": answer.output_text,
        "status": answer.status,
        "prompt_tokens": answer.usage.input_tokens,
        "completion_tokens": answer.usage.output_tokens,
    }


def called(answer: Response) -> dict[str, Any]:
    calls = [item for item in answer.output if item.type == "function_call"]
    return {
        "calls": [{"name": c.name, "arguments": json.loads(c.arguments)} for c in calls],
        "ids": [call.call_id for call in calls],
    }


def with_image(text: str, image_url: str = IMAGE_URL) -> list[Any]:
    parts = [
        {"type": "input_image", "image_url": image_url, "detail": "auto"},
        {"type": "input_text", "text": text},
    ]
    return [{"role": "user", "content": parts}]


@scenario
def response() -> Any:
    return told(respond(PROMPTS["hello"]))


@scenario
def response_streamed() -> Any:
    with CLIENT.responses.stream(input=PROMPTS["hello"], **REQUEST_OPTIONS) as stream:
        events = list(stream)
        final = stream.get_final_response()
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said == final.output_text
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(numbers)))
    return told(final)


@scenario
def response_events() -> Any:
    events = list(CLIENT.responses.create(input=PROMPTS["hello"], stream=True, **REQUEST_OPTIONS))
    kinds = [event.type for event in events]
    return [kind for at, kind in enumerate(kinds) if kinds[at - 1 : at] != [kind]]


@scenario
def response_image() -> Any:
    return told(respond(with_image(PROMPTS["describe"])))


@scenario
def response_instructions() -> Any:
    return told(respond(PROMPTS["hello"], instructions=PROMPTS["system"]))


@scenario
def response_turns() -> Any:
    first = respond(with_image(PROMPTS["circle"]))
    history = [*with_image(PROMPTS["circle"]), *[item.model_dump() for item in first.output]]
    return told(respond([*history, {"role": "user", "content": PROMPTS["star"]}]))


@scenario
def response_tool() -> Any:
    return called(
        respond(PROMPTS["report"], tools=[TOOL], tool_choice="required", parallel_tool_calls=False)
    )


@scenario
def response_tool_streamed() -> Any:
    named = {"type": "function", "name": "report_shape"}
    with CLIENT.responses.stream(
        input=PROMPTS["report"],
        tools=[TOOL],
        tool_choice=named,
        **REQUEST_OPTIONS,
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    result = called(final)
    assert json.loads("".join(deltas)) == result["calls"][0]["arguments"]
    return result


@scenario
def response_round_trip() -> Any:
    asked = [
        {"role": "user", "content": PROMPTS["report"]},
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "report_shape",
            "arguments": '{"shape": "star", "count": 1}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": PROMPTS["said"]},
    ]
    return told(respond(asked, tools=[TOOL]))


@scenario
def response_structured() -> Any:
    answer = CLIENT.responses.parse(input=PROMPTS["report"], text_format=Shape, **REQUEST_OPTIONS)
    assert isinstance(answer.output_parsed, Shape)
    return answer.output_parsed.model_dump()


@scenario
def response_length() -> Any:
    answer = respond(with_image(PROMPTS["detail"]), max_output_tokens=16)
    assert answer.incomplete_details
    return {**told(answer), "reason": answer.incomplete_details.reason}


@scenario
def response_model_not_found() -> Any:
    return failure(lambda: respond(PROMPTS["hello"], model="nothing"))


@scenario
def response_broken_image() -> Any:
    return failure(lambda: respond(with_image(PROMPTS["describe"], BROKEN_URL)))


def complete(**options: Any) -> Completion:
    wishes = {"model": MODEL, "temperature": 0, "max_tokens": 8, **options}
    answer: Completion = CLIENT.completions.create(prompt=PROMPTS["hello"], **wishes)
    return answer


def completed(answer: Completion) -> dict[str, Any]:
    [choice] = answer.choices
    assert answer.usage
    return {
        "text": choice.text,
        "finish": choice.finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


@scenario
def completion() -> Any:
    return completed(complete())


@scenario
def completion_streamed() -> Any:
    chunks = list(
        CLIENT.completions.create(
            model=MODEL,
            prompt=PROMPTS["hello"],
            temperature=0,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    [usage] = [chunk.usage for chunk in chunks if chunk.usage]
    return {
        "text": "".join(choice.text for choice in choices),
        "finish": choices[-1].finish_reason,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


@scenario
def completion_logprobs() -> Any:
    [choice] = complete(logprobs=2).choices
    assert choice.logprobs
    return {
        "text": choice.text,
        "tokens": choice.logprobs.tokens,
        "offsets": choice.logprobs.text_offset,
        "top": choice.logprobs.top_logprobs,
    }


@scenario
def completion_echo() -> Any:
    [choice] = complete(echo=True).choices
    return {"text": choice.text}


main()

"""LiteLLM: its completion function with the provider `openai/…`."""

import json
from typing import Any

import litellm

from tests.clients.programs.harness import (
    BROKEN_URL,
    IMAGE_URL,
    MAX_TOKENS,
    MODEL,
    NAMED,
    PAINT,
    PROMPTS,
    REPORT,
    RETRY_URL,
    URL,
    Shape,
    after_a_call,
    failure,
    main,
    scenario,
    turns,
    user,
)

litellm.suppress_debug_info = True
HELLO = [user(PROMPTS["hello"])]
REQUEST = [user(PROMPTS["report"])]
REQUEST_OPTIONS: dict[str, Any] = {
    "model": f"openai/{MODEL}",
    "api_base": URL,
    "api_key": "none",
    "temperature": 0,
    "max_tokens": MAX_TOKENS,
    "max_retries": 0,
}


def create(messages: list[Any], **options: Any) -> Any:
    return litellm.completion(messages=messages, **(REQUEST_OPTIONS | options))


def told(answer: Any) -> dict[str, Any]:
    [choice] = answer.choices
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


def called(answer: Any) -> dict[str, Any]:
    [choice] = answer.choices
    calls = choice.message.tool_calls or []
    functions = [call.function for call in calls]
    return {
        "calls": [{"name": f.name, "arguments": json.loads(f.arguments)} for f in functions],
        "finish": choice.finish_reason,
        "ids": [call.id for call in calls],
    }


def rebuilt(messages: list[Any], **options: Any) -> Any:
    chunks = list(create(messages, stream=True, **options))
    return litellm.stream_chunk_builder(chunks, messages=messages)


def streamed_answer(messages: list[Any]) -> dict[str, Any]:
    chunks = list(create(messages, stream=True, stream_options={"include_usage": True}))
    [usage] = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None)]
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    [finish] = [choice.finish_reason for choice in choices if choice.finish_reason]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "finish": finish,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


@scenario
def plain() -> Any:
    return told(create(HELLO))


@scenario
def streamed() -> Any:
    return streamed_answer(HELLO)


@scenario
async def asynchronous() -> Any:
    return told(await litellm.acompletion(messages=HELLO, **REQUEST_OPTIONS))


@scenario
def image() -> Any:
    return told(create([user(PROMPTS["describe"], IMAGE_URL)]))


@scenario
def image_streamed() -> Any:
    return streamed_answer([user(PROMPTS["describe"], IMAGE_URL)])


@scenario
def several_turns() -> Any:
    return told(create(turns()))


@scenario
def system() -> Any:
    return told(create([{"role": "system", "content": PROMPTS["system"]}, *HELLO]))


@scenario
def system_parts() -> Any:
    parts = [{"type": "text", "text": PROMPTS["system"]}]
    return told(create([{"role": "system", "content": parts}, *HELLO]))


@scenario
def tool_required() -> Any:
    return called(
        create(REQUEST, tools=[REPORT], tool_choice="required", parallel_tool_calls=False)
    )


@scenario
def tool_named() -> Any:
    return called(create(REQUEST, tools=[REPORT, PAINT], tool_choice=NAMED))


@scenario
def tool_streamed() -> Any:
    return called(rebuilt(REQUEST, tools=[REPORT, PAINT], tool_choice=NAMED))


@scenario
def tool_two() -> Any:
    return called(
        create(REQUEST, tools=[REPORT, PAINT], tool_choice="required", parallel_tool_calls=False)
    )


@scenario
def tool_auto() -> Any:
    return told(create(HELLO, tools=[REPORT], tool_choice="auto"))


@scenario
def tool_round_trip() -> Any:
    return told(create(after_a_call(), tools=[REPORT]))


@scenario
def structured() -> Any:
    answer = create(REQUEST, response_format=Shape)
    return Shape.model_validate_json(answer.choices[0].message.content).model_dump()


@scenario
def json_object() -> Any:
    return told(create(REQUEST, response_format={"type": "json_object"}))


@scenario
def logprobs() -> Any:
    answer = create(HELLO, logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    return {
        **told(answer),
        "tokens": [token.token for token in tokens],
        "bytes": [token.bytes for token in tokens],
        "logprobs": [token.logprob for token in tokens],
        "top": [[(top.token, top.logprob) for top in token.top_logprobs] for token in tokens],
    }


@scenario
def several() -> Any:
    answer = create(HELLO, n=2)
    return {
        "texts": [choice.message.content for choice in answer.choices],
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


@scenario
def stop() -> Any:
    return told(create(HELLO, stop=[PROMPTS["stop"]]))


@scenario
def seed() -> Any:
    return [told(create(HELLO, temperature=2, seed=seed))["text"] for seed in (1, 1, 2)]


@scenario
def length() -> Any:
    return told(create(HELLO, max_tokens=3))


@scenario
def model_not_found() -> Any:
    return failure(lambda: create(HELLO, model="openai/nothing"))


@scenario
def bad_parameter() -> Any:
    return failure(lambda: create(HELLO, temperature=9))


@scenario
def broken_image() -> Any:
    return failure(lambda: create([user(PROMPTS["describe"], BROKEN_URL)]))


@scenario
def retried() -> Any:
    return told(create(HELLO, api_base=RETRY_URL, max_retries=2))


@scenario
def response() -> Any:
    wishes = {key: value for key, value in REQUEST_OPTIONS.items() if key != "max_tokens"}
    answer = litellm.responses(input=PROMPTS["hello"], max_output_tokens=MAX_TOKENS, **wishes)
    return {
        "text": answer.output_text,
        "status": answer.status,
        "prompt_tokens": answer.usage.input_tokens,
        "completion_tokens": answer.usage.output_tokens,
    }


@scenario
def completion() -> Any:
    wishes = REQUEST_OPTIONS | {"model": f"text-completion-openai/{MODEL}", "max_tokens": 8}
    answer = litellm.text_completion(prompt=PROMPTS["hello"], **wishes)
    return {
        "text": answer.choices[0].text,
        "finish": answer.choices[0].finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


main()

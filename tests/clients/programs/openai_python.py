"""OpenAI's Python client, synchronous: chat completions."""

import json
from typing import Any

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall

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
    cancelled,
    cancelled_more_than,
    failure,
    main,
    scenario,
    turns,
    user,
)

CLIENT = openai.OpenAI(base_url=URL, api_key="none", max_retries=0, timeout=60)
HELLO = [user(PROMPTS["hello"])]
REQUEST = [user(PROMPTS["report"])]


def create(messages: list[Any], client: openai.OpenAI = CLIENT, **options: Any) -> ChatCompletion:
    wishes = {"model": MODEL, "temperature": 0, "max_tokens": MAX_TOKENS, **options}
    answer: ChatCompletion = client.chat.completions.create(messages=messages, **wishes)
    return answer


def told(answer: ChatCompletion) -> dict[str, Any]:
    [choice] = answer.choices
    assert answer.usage
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


def called(answer: ChatCompletion) -> dict[str, Any]:
    [choice] = answer.choices
    calls = choice.message.tool_calls or []
    assert all(isinstance(call, ChatCompletionMessageFunctionToolCall) for call in calls)
    functions = [call.function for call in calls if call.type == "function"]
    return {
        "calls": [{"name": f.name, "arguments": json.loads(f.arguments)} for f in functions],
        "finish": choice.finish_reason,
        "ids": [call.id for call in calls],
    }


def streamed_answer(messages: list[Any], **options: Any) -> dict[str, Any]:
    chunks = list(
        CLIENT.chat.completions.create(
            model=MODEL,
            messages=messages,
            temperature=0,
            max_tokens=MAX_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
            **options,
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    [usage] = [chunk.usage for chunk in chunks if chunk.usage]
    [finish] = [choice.finish_reason for choice in choices if choice.finish_reason]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "finish": finish,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


def with_helper(messages: list[Any], **options: Any) -> ChatCompletion:
    with CLIENT.chat.completions.stream(
        model=MODEL,
        messages=messages,
        temperature=0,
        max_tokens=MAX_TOKENS,
        stream_options={"include_usage": True},
        **options,
    ) as stream:
        said = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert said == (final.choices[0].message.content or "")
    return final


@scenario
def plain() -> Any:
    return told(create(HELLO))


@scenario
def streamed() -> Any:
    return streamed_answer(HELLO)


@scenario
def stream_helper() -> Any:
    return told(with_helper(HELLO))


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
def developer() -> Any:
    return told(create([{"role": "developer", "content": PROMPTS["system"]}, *HELLO]))


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
    chunks = CLIENT.chat.completions.create(
        model=MODEL,
        messages=REQUEST,
        temperature=0,
        max_tokens=MAX_TOKENS,
        tools=[REPORT, PAINT],
        tool_choice=NAMED,
        stream=True,
    )
    ids, names, arguments, finish = [], [], "", None
    for chunk in chunks:
        [choice] = chunk.choices
        finish = choice.finish_reason or finish
        for delta in choice.delta.tool_calls or []:
            assert delta.index == 0
            assert delta.function
            ids += [delta.id] if delta.id else []
            names += [delta.function.name] if delta.function.name else []
            arguments += delta.function.arguments or ""
    [name] = names
    return {
        "calls": [{"name": name, "arguments": json.loads(arguments)}],
        "finish": finish,
        "ids": ids,
    }


@scenario
def tool_stream_helper() -> Any:
    return called(with_helper(REQUEST, tools=[REPORT, PAINT], tool_choice=NAMED))


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
    answer = CLIENT.chat.completions.parse(
        model=MODEL,
        messages=REQUEST,
        temperature=0,
        max_tokens=MAX_TOKENS,
        response_format=Shape,
    )
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Shape)
    return parsed.model_dump()


@scenario
def structured_streamed() -> Any:
    parsed = with_helper(REQUEST, response_format=Shape).choices[0].message.parsed
    assert isinstance(parsed, Shape)
    return parsed.model_dump()


@scenario
def structured_image() -> Any:
    answer = CLIENT.chat.completions.parse(
        model=MODEL,
        messages=[user(PROMPTS["describe"], IMAGE_URL)],
        temperature=0,
        max_tokens=MAX_TOKENS,
        response_format=Shape,
    )
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Shape)
    return parsed.model_dump()


@scenario
def json_object() -> Any:
    return told(create(REQUEST, response_format={"type": "json_object"}))


@scenario
def logprobs() -> Any:
    answer = create(HELLO, logprobs=True, top_logprobs=3)
    [choice] = answer.choices
    assert choice.logprobs
    assert choice.logprobs.content
    tokens = choice.logprobs.content
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
    assert answer.usage
    return {
        "texts": [choice.message.content for choice in answer.choices],
        "indices": [choice.index for choice in answer.choices],
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


@scenario
def several_streamed() -> Any:
    texts = {0: "", 1: ""}
    for chunk in CLIENT.chat.completions.create(
        model=MODEL, messages=HELLO, temperature=0, max_tokens=MAX_TOKENS, n=2, stream=True
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    return {"texts": list(texts.values()), "indices": list(texts)}


@scenario
def stop() -> Any:
    return told(create(HELLO, stop=PROMPTS["stop"]))


@scenario
def seed() -> Any:
    return [told(create(HELLO, temperature=2, seed=seed))["text"] for seed in (1, 1, 2)]


@scenario
def length() -> Any:
    return told(create(HELLO, max_tokens=3))


@scenario
def length_in_completion_tokens() -> Any:
    return told(create(HELLO, max_tokens=openai.omit, max_completion_tokens=3))


@scenario
def model_not_found() -> Any:
    return failure(lambda: create(HELLO, model="nothing"))


@scenario
def bad_parameter() -> Any:
    return failure(lambda: create(HELLO, temperature=9))


@scenario
def broken_image() -> Any:
    return failure(lambda: create([user(PROMPTS["describe"], BROKEN_URL)]))


@scenario
def retried() -> Any:
    client = openai.OpenAI(base_url=RETRY_URL, api_key="none", timeout=60)
    return told(create(HELLO, client))


@scenario
def aborted() -> Any:
    before = cancelled()
    with CLIENT.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=1500, extra_body={"ignore_eos": True}, stream=True
    ) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
    return cancelled_more_than(before)


@scenario
def models() -> Any:
    return [model.id for model in CLIENT.models.list()]


@scenario
def model() -> Any:
    return CLIENT.models.retrieve(MODEL).id


@scenario
def no_such_model() -> Any:
    return failure(lambda: CLIENT.models.retrieve("nothing"))


main()

"""OpenAI's Python client, asynchronous."""

import asyncio
from typing import Any

import openai

from tests.clients.programs.harness import (
    IMAGE_URL,
    MAX_TOKENS,
    MODEL,
    PROMPTS,
    RETRY_URL,
    URL,
    Shape,
    cancelled,
    cancelled_more_than,
    main,
    scenario,
    user,
)

CLIENT = openai.AsyncOpenAI(base_url=URL, api_key="none", max_retries=0, timeout=60)
HELLO: list[Any] = [user(PROMPTS["hello"])]
IMAGE: list[Any] = [user(PROMPTS["describe"], IMAGE_URL)]


async def answer(messages: list[Any], client: openai.AsyncOpenAI = CLIENT) -> dict[str, Any]:
    answer = await client.chat.completions.create(
        model=MODEL, messages=messages, temperature=0, max_tokens=MAX_TOKENS
    )
    [choice] = answer.choices
    assert answer.usage
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


async def streamed_answer(messages: list[Any]) -> dict[str, Any]:
    text, finish, usage = "", None, None
    async for chunk in await CLIENT.chat.completions.create(
        model=MODEL,
        messages=messages,
        temperature=0,
        max_tokens=MAX_TOKENS,
        stream=True,
        stream_options={"include_usage": True},
    ):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
        assert not (usage and chunk.usage)
        usage = chunk.usage or usage
    assert usage
    return {
        "text": text,
        "finish": finish,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


@scenario
async def plain() -> Any:
    return await answer(HELLO)


@scenario
async def streamed() -> Any:
    return await streamed_answer(HELLO)


@scenario
async def image() -> Any:
    return await answer(IMAGE)


@scenario
async def image_streamed() -> Any:
    return await streamed_answer(IMAGE)


@scenario
async def at_once() -> Any:
    return await asyncio.gather(*[answer(HELLO if at % 2 else IMAGE) for at in range(8)])


@scenario
async def structured() -> Any:
    answer = await CLIENT.chat.completions.parse(
        model=MODEL,
        messages=[user(PROMPTS["report"])],
        temperature=0,
        max_tokens=MAX_TOKENS,
        response_format=Shape,
    )
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Shape)
    return parsed.model_dump()


@scenario
async def response_streamed() -> Any:
    async with CLIENT.responses.stream(
        model=MODEL, input=PROMPTS["hello"], temperature=0, max_output_tokens=MAX_TOKENS
    ) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said == final.output_text
    assert final.usage
    return {
        "text": said,
        "status": final.status,
        "prompt_tokens": final.usage.input_tokens,
        "completion_tokens": final.usage.output_tokens,
    }


@scenario
async def retried() -> Any:
    client = openai.AsyncOpenAI(base_url=RETRY_URL, api_key="none", timeout=60)
    return await answer(HELLO, client)


@scenario
async def aborted() -> Any:
    before = cancelled()
    stream = await CLIENT.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=1500, extra_body={"ignore_eos": True}, stream=True
    )
    async with stream:
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
    return await asyncio.to_thread(cancelled_more_than, before)


main()

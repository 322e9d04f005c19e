"""langchain-openai: ChatOpenAI with tools, structured output and streams."""

from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import LengthFinishReasonError
from openai.types.chat import ChatCompletion

from tests.clients.programs.harness import (
    BROKEN_URL,
    IMAGE_URL,
    MAX_TOKENS,
    MODEL,
    PROMPTS,
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


def model(**options: Any) -> ChatOpenAI:
    wishes: dict[str, Any] = {
        "base_url": URL,
        "api_key": "none",
        "model": MODEL,
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "max_retries": 0,
        "timeout": 60,
    }
    return ChatOpenAI(**(wishes | options))


MODEL_CLIENT = model(stream_usage=True)
HELLO = [user(PROMPTS["hello"])]
REQUEST = [user(PROMPTS["report"])]


@tool("report_shape", args_schema=Shape, description=PROMPTS["tools"]["report_shape"])
def report_shape(shape: str, count: int) -> str:
    return f"{count} {shape}"


@tool("paint_shape", args_schema=Shape, description=PROMPTS["tools"]["paint_shape"])
def paint_shape(shape: str, count: int) -> str:
    return f"{count} {shape}"


def told(message: AIMessage) -> dict[str, Any]:
    assert message.usage_metadata
    return {
        "text": message.text,
        "finish": message.response_metadata["finish_reason"],
        "prompt_tokens": message.usage_metadata["input_tokens"],
        "completion_tokens": message.usage_metadata["output_tokens"],
    }


def called(message: AIMessage) -> dict[str, Any]:
    assert not message.invalid_tool_calls
    return {
        "calls": [{"name": c["name"], "arguments": c["args"]} for c in message.tool_calls],
        "finish": message.response_metadata["finish_reason"],
        "ids": [call["id"] for call in message.tool_calls],
    }


def joined(client: Any, messages: list[Any]) -> AIMessageChunk:
    first, *rest = client.stream(messages)
    for chunk in rest:
        first += chunk
    assert isinstance(first, AIMessageChunk)
    return first


@scenario
def plain() -> Any:
    return told(MODEL_CLIENT.invoke(HELLO))


@scenario
def streamed() -> Any:
    return told(joined(MODEL_CLIENT, HELLO))


@scenario
def image() -> Any:
    return told(MODEL_CLIENT.invoke([user(PROMPTS["describe"], IMAGE_URL)]))


@scenario
def image_streamed() -> Any:
    return told(joined(MODEL_CLIENT, [user(PROMPTS["describe"], IMAGE_URL)]))


@scenario
def image_of_its_own() -> Any:
    base64 = IMAGE_URL.partition(",")[2]
    image = {"type": "image", "base64": base64, "mime_type": "image/png"}
    text = {"type": "text", "text": PROMPTS["describe"]}
    return told(MODEL_CLIENT.invoke([HumanMessage(content=[image, text])]))


@scenario
async def asynchronous() -> Any:
    return told(await MODEL_CLIENT.ainvoke(HELLO))


@scenario
def several_turns() -> Any:
    return told(MODEL_CLIENT.invoke(turns()))


@scenario
def system() -> Any:
    return told(MODEL_CLIENT.invoke([("system", PROMPTS["system"]), ("user", PROMPTS["hello"])]))


@scenario
def tool_required() -> Any:
    client = MODEL_CLIENT.bind_tools(
        [report_shape], tool_choice="required", parallel_tool_calls=False
    )
    return called(client.invoke(REQUEST))


@scenario
def tool_named() -> Any:
    client = MODEL_CLIENT.bind_tools([report_shape, paint_shape], tool_choice="report_shape")
    return called(client.invoke(REQUEST))


@scenario
def tool_streamed() -> Any:
    client = MODEL_CLIENT.bind_tools([report_shape, paint_shape], tool_choice="report_shape")
    return called(joined(client, REQUEST))


@scenario
def tool_two() -> Any:
    client = MODEL_CLIENT.bind_tools(
        [report_shape, paint_shape], tool_choice="required", parallel_tool_calls=False
    )
    return called(client.invoke(REQUEST))


@scenario
def tool_auto() -> Any:
    return told(MODEL_CLIENT.bind_tools([report_shape], tool_choice="auto").invoke(HELLO))


@scenario
def tool_round_trip() -> Any:
    return told(MODEL_CLIENT.bind_tools([report_shape]).invoke(after_a_call()))


@scenario
def tool_loop() -> Any:
    messages: list[Any] = [HumanMessage(PROMPTS["report"])]
    call = MODEL_CLIENT.bind_tools(
        [report_shape], tool_choice="required", parallel_tool_calls=False
    ).invoke(messages)
    results = [report_shape.invoke(call) for call in call.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    final = MODEL_CLIENT.bind_tools([report_shape], tool_choice="none").invoke(
        [*messages, call, *results]
    )
    return {**called(call), "results": [result.content for result in results], **told(final)}


def structured_by(method: str, **options: Any) -> dict[str, Any]:
    client = MODEL_CLIENT.with_structured_output(Shape, method=method, **options)
    shape = client.invoke(REQUEST)
    assert isinstance(shape, Shape)
    return shape.model_dump()


@scenario
def structured() -> Any:
    return structured_by("json_schema")


@scenario
def structured_strict() -> Any:
    return structured_by("json_schema", strict=True)


@scenario
def structured_by_tool() -> Any:
    return structured_by("function_calling")


@scenario
def structured_streamed() -> Any:
    client = MODEL_CLIENT.with_structured_output(Shape, method="json_schema")
    *_, shape = client.stream(REQUEST)
    assert isinstance(shape, Shape)
    return shape.model_dump()


@scenario
def json_object() -> Any:
    """Ask for any object; LangChain raises OpenAI's error where it does not end in time."""
    client = MODEL_CLIENT.bind(response_format={"type": "json_object"})
    try:
        return told(client.invoke(REQUEST))
    except LengthFinishReasonError as error:
        return cut_off(error.completion)


def cut_off(answer: ChatCompletion) -> dict[str, Any]:
    [choice] = answer.choices
    assert answer.usage
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


@scenario
def logprobs() -> Any:
    message = MODEL_CLIENT.bind(logprobs=True, top_logprobs=3).invoke(HELLO)
    tokens = message.response_metadata["logprobs"]["content"]
    return {
        **told(message),
        "tokens": [token["token"] for token in tokens],
        "bytes": [token["bytes"] for token in tokens],
        "logprobs": [token["logprob"] for token in tokens],
        "top": [[(t["token"], t["logprob"]) for t in token["top_logprobs"]] for token in tokens],
    }


@scenario
def several() -> Any:
    result = model(n=2).generate([[HumanMessage(PROMPTS["hello"])]])
    assert result.llm_output
    usage = result.llm_output["token_usage"]
    return {
        "texts": [generation.text for generation in result.generations[0]],
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
    }


@scenario
def stop() -> Any:
    return told(MODEL_CLIENT.invoke(HELLO, stop=[PROMPTS["stop"]]))


@scenario
def seed() -> Any:
    return [model(temperature=2, seed=seed).invoke(HELLO).text for seed in (1, 1, 2)]


@scenario
def length() -> Any:
    return told(model(max_tokens=3).invoke(HELLO))


@scenario
def model_not_found() -> Any:
    return failure(lambda: model(model="nothing").invoke(HELLO))


@scenario
def bad_parameter() -> Any:
    return failure(lambda: model(temperature=9).invoke(HELLO))


@scenario
def broken_image() -> Any:
    return failure(lambda: MODEL_CLIENT.invoke([user(PROMPTS["describe"], BROKEN_URL)]))


@scenario
def retried() -> Any:
    return told(model(base_url=RETRY_URL, max_retries=2).invoke(HELLO))


@scenario
def response() -> Any:
    message = model(use_responses_api=True).invoke(HELLO)
    assert message.usage_metadata
    return {
        "text": message.text,
        "status": message.response_metadata["status"],
        "prompt_tokens": message.usage_metadata["input_tokens"],
        "completion_tokens": message.usage_metadata["output_tokens"],
    }


main()

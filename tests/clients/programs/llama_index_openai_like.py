"""llama-index-llms-openai-like: chats, streams, tools and structured predictions."""

from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ImageBlock,
    MessageRole,
    TextBlock,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from tests.clients.programs.harness import (
    IMAGE,
    MAX_TOKENS,
    MODEL,
    PROMPTS,
    RETRY_URL,
    URL,
    Shape,
    failure,
    main,
    scenario,
)


def model(**options: Any) -> OpenAILike:
    wishes: dict[str, Any] = {
        "model": MODEL,
        "api_base": URL,
        "api_key": "none",
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "max_retries": 0,
        "context_window": 2048,
        "is_chat_model": True,
        "is_function_calling_model": True,
        "should_use_structured_outputs": True,
    }
    return OpenAILike(**(wishes | options))


CLIENT = model()
USAGE = {"stream_options": {"include_usage": True}}


def said(text: str, role: MessageRole = MessageRole.USER) -> ChatMessage:
    return ChatMessage(role=role, content=text)


def shown(text: str) -> ChatMessage:
    blocks = [ImageBlock(path=IMAGE, image_mimetype="image/png"), TextBlock(text=text)]
    return ChatMessage(role=MessageRole.USER, blocks=blocks)


HELLO = [said(PROMPTS["hello"])]


def told(response: ChatResponse) -> dict[str, Any]:
    usage = response.raw.usage
    return {
        "text": response.message.content,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


def streamed_answer(messages: list[ChatMessage]) -> dict[str, Any]:
    responses = list(CLIENT.stream_chat(messages, **USAGE))
    text = "".join(response.delta or "" for response in responses)
    assert text == responses[-1].message.content
    return told(responses[-1])


def report_shape(shape: str, count: int) -> str:
    return f"{count} {shape}"


def a_tool(name: str) -> FunctionTool:
    description = PROMPTS["tools"][name]
    return FunctionTool.from_defaults(
        report_shape, name=name, description=description, fn_schema=Shape
    )


REPORT, PAINT = (a_tool(name) for name in PROMPTS["tools"])


def called(response: ChatResponse) -> dict[str, Any]:
    calls = CLIENT.get_tool_calls_from_response(response)
    return {
        "calls": [{"name": c.tool_name, "arguments": c.tool_kwargs} for c in calls],
        "ids": [call.tool_id for call in calls],
    }


@scenario
def plain() -> Any:
    return told(CLIENT.chat(HELLO))


@scenario
def streamed() -> Any:
    return streamed_answer(HELLO)


@scenario
async def asynchronous() -> Any:
    return told(await CLIENT.achat(HELLO))


@scenario
def image() -> Any:
    return told(CLIENT.chat([shown(PROMPTS["describe"])]))


@scenario
def image_streamed() -> Any:
    return streamed_answer([shown(PROMPTS["describe"])])


@scenario
def several_turns() -> Any:
    answered = said(PROMPTS["red"], MessageRole.ASSISTANT)
    return told(CLIENT.chat([shown(PROMPTS["circle"]), answered, said(PROMPTS["star"])]))


@scenario
def system() -> Any:
    return told(CLIENT.chat([said(PROMPTS["system"], MessageRole.SYSTEM), *HELLO]))


@scenario
def tool_required() -> Any:
    return called(CLIENT.chat_with_tools([REPORT], PROMPTS["report"], tool_required=True))


@scenario
def tool_named() -> Any:
    return called(
        CLIENT.chat_with_tools([REPORT, PAINT], PROMPTS["report"], tool_choice="report_shape")
    )


@scenario
def tool_streamed() -> Any:
    *_, last = CLIENT.stream_chat_with_tools(
        [REPORT, PAINT], PROMPTS["report"], tool_choice="report_shape"
    )
    return called(last)


@scenario
def tool_two() -> Any:
    return called(CLIENT.chat_with_tools([REPORT, PAINT], PROMPTS["report"], tool_required=True))


@scenario
def tool_auto() -> Any:
    return told(CLIENT.chat_with_tools([REPORT], PROMPTS["hello"]))


@scenario
def tool_loop() -> Any:
    response = CLIENT.chat_with_tools([REPORT], PROMPTS["report"], tool_required=True)
    [call] = CLIENT.get_tool_calls_from_response(response)
    output = REPORT.call(**call.tool_kwargs)
    answer = ChatMessage(
        role=MessageRole.TOOL,
        content=str(output),
        additional_kwargs={"tool_call_id": call.tool_id},
    )
    final = CLIENT.chat([said(PROMPTS["report"]), response.message, answer])
    return {**called(response), "results": [str(output)], **told(final)}


@scenario
def structured() -> Any:
    shape = CLIENT.structured_predict(Shape, PromptTemplate(PROMPTS["report"]))
    assert isinstance(shape, Shape)
    return shape.model_dump()


@scenario
def structured_by_tool() -> Any:
    client = model(should_use_structured_outputs=False)
    shape = client.structured_predict(
        Shape, PromptTemplate(PROMPTS["report"]), llm_kwargs={"tool_required": True}
    )
    assert isinstance(shape, Shape)
    return shape.model_dump()


@scenario
def stop() -> Any:
    return told(CLIENT.chat(HELLO, stop=[PROMPTS["stop"]]))


@scenario
def seed() -> Any:
    return [
        model(temperature=2, additional_kwargs={"seed": seed}).chat(HELLO).message.content
        for seed in (1, 1, 2)
    ]


@scenario
def length() -> Any:
    return told(model(max_tokens=3).chat(HELLO))


@scenario
def model_not_found() -> Any:
    return failure(lambda: model(model="nothing").chat(HELLO))


@scenario
def bad_parameter() -> Any:
    return failure(lambda: model(additional_kwargs={"top_p": 9}).chat(HELLO))


@scenario
def retried() -> Any:
    return told(model(api_base=RETRY_URL, max_retries=2).chat(HELLO))


@scenario
def completion() -> Any:
    client = model(is_chat_model=False, max_tokens=8)
    response = client.complete(PROMPTS["hello"])
    usage = response.raw.usage
    return {
        "text": response.text,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


main()

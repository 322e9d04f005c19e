"""pydantic-ai: agents with tools, outputs of a type, images and streams."""

from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent, BinaryContent, ModelSettings, NativeOutput, RunContext, ToolOutput
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse, ToolReturnPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

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


def provider(url: str = URL, retries: int = 0) -> OpenAIProvider:
    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=retries, timeout=60)
    return OpenAIProvider(openai_client=client)


def model(name: str = MODEL, url: str = URL, retries: int = 0) -> OpenAIChatModel:
    return OpenAIChatModel(name, provider=provider(url, retries))


def agent(chosen: Any = None, settings: dict[str, Any] | None = None, **options: Any) -> Agent:
    usual = {"temperature": 0, "max_tokens": MAX_TOKENS, "parallel_tool_calls": False}
    wishes = ModelSettings(**(usual | (settings or {})))
    return Agent(chosen or model(), model_settings=wishes, retries=0, **options)


def counted(text: Any, usage: Any) -> dict[str, Any]:
    return {
        "text": text,
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
    }


def used(result: Any) -> Any:
    return result.usage() if callable(result.usage) else result.usage


async def told(asked: Any, chosen: Agent | None = None) -> dict[str, Any]:
    result = await (chosen or agent()).run(asked)
    return {**counted(result.output, used(result)), "finish": result.response.finish_reason}


async def streamed_answer(asked: Any) -> dict[str, Any]:
    async with agent().run_stream(asked) as result:
        text = "".join([delta async for delta in result.stream_text(delta=True)])
        return counted(text, used(result))


SHOWN = [PROMPTS["describe"], BinaryContent(IMAGE.read_bytes(), media_type="image/png")]


@scenario
async def plain() -> Any:
    return await told(PROMPTS["hello"])


@scenario
async def streamed() -> Any:
    return await streamed_answer(PROMPTS["hello"])


@scenario
async def image() -> Any:
    return await told(SHOWN)


@scenario
async def image_streamed() -> Any:
    return await streamed_answer(SHOWN)


@scenario
async def several_turns() -> Any:
    first = await agent().run([PROMPTS["circle"], SHOWN[1]])
    result = await agent().run(PROMPTS["star"], message_history=first.all_messages())
    return counted(result.output, used(result))


@scenario
async def system() -> Any:
    return await told(PROMPTS["hello"], agent(instructions=PROMPTS["system"]))


class CallFirst(AbstractCapability[None]):
    """Asks for a call in an agent's first step and for text after it."""

    def get_model_settings(self) -> Any:
        def settings(context: RunContext[None]) -> ModelSettings:
            choice: Any = "required" if context.run_step == 1 else "none"
            return ModelSettings(tool_choice=choice)

        return settings


@scenario
async def tool_loop() -> Any:
    ran: list[dict[str, Any]] = []

    async def report_shape(shape: Shape) -> str:
        ran.append(shape.model_dump())
        return f"{shape.count} {shape.shape}"

    chosen = agent(tools=[report_shape], capabilities=[CallFirst()])
    result = await chosen.run(PROMPTS["report"])
    results = [
        part.content
        for message in result.all_messages()
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    ]
    return {"calls": ran, "results": results, **counted(result.output, used(result))}


@scenario
async def structured_by_tool() -> Any:
    result = await agent(output_type=ToolOutput(Shape, name="report_shape")).run(PROMPTS["report"])
    assert isinstance(result.output, Shape)
    return result.output.model_dump()


@scenario
async def tool_two() -> Any:
    outputs = [
        ToolOutput(Shape, name=name, description=said) for name, said in PROMPTS["tools"].items()
    ]
    result = await agent(output_type=outputs).run(PROMPTS["report"])
    [call] = [
        call
        for message in result.all_messages()
        if isinstance(message, ModelResponse)
        for call in message.tool_calls
    ]
    return {
        "calls": [{"name": call.tool_name, "arguments": call.args_as_dict()}],
        "ids": [call.tool_call_id],
    }


@scenario
async def structured() -> Any:
    result = await agent(output_type=NativeOutput(Shape)).run(PROMPTS["report"])
    assert isinstance(result.output, Shape)
    return result.output.model_dump()


@scenario
async def structured_streamed() -> Any:
    chosen = agent(output_type=NativeOutput(Shape))
    async with chosen.run_stream(PROMPTS["report"]) as result:
        outputs = [output async for output in result.stream_output()]
    assert isinstance(outputs[-1], Shape)
    return outputs[-1].model_dump()


@scenario
async def structured_image() -> Any:
    result = await agent(output_type=NativeOutput(Shape)).run(SHOWN)
    assert isinstance(result.output, Shape)
    return result.output.model_dump()


@scenario
async def stop() -> Any:
    return await told(PROMPTS["hello"], agent(settings={"stop_sequences": [PROMPTS["stop"]]}))


@scenario
async def seed() -> Any:
    answers = [
        await agent(settings={"temperature": 2, "seed": seed}).run(PROMPTS["hello"])
        for seed in (1, 1, 2)
    ]
    return [answer.output for answer in answers]


@scenario
async def length() -> Any:
    return await told(PROMPTS["hello"], agent(settings={"max_tokens": 3}))


@scenario
def model_not_found() -> Any:
    return failure(lambda: agent(model("nothing")).run_sync(PROMPTS["hello"]))


@scenario
def bad_parameter() -> Any:
    return failure(lambda: agent(settings={"temperature": 9}).run_sync(PROMPTS["hello"]))


@scenario
async def retried() -> Any:
    return await told(PROMPTS["hello"], agent(model(url=RETRY_URL, retries=2)))


@scenario
async def response() -> Any:
    result = await agent(OpenAIResponsesModel(MODEL, provider=provider())).run(PROMPTS["hello"])
    return {**counted(result.output, used(result)), "status": "completed"}


main()

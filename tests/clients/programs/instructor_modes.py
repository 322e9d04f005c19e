"""instructor: structured answers in the modes that OpenAI-compatible servers are used with."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import instructor
import openai
from instructor.core import IncompleteOutputException, InstructorRetryException

from tests.clients.programs.harness import (
    IMAGE_URL,
    MAX_TOKENS,
    MODEL,
    PROMPTS,
    RETRY_URL,
    URL,
    Shape,
    failure,
    main,
    scenario,
    user,
)

REQUEST: list[Any] = [user(PROMPTS["report"])]
REQUEST_OPTIONS: dict[str, Any] = {
    "model": MODEL,
    "temperature": 0,
    "max_tokens": MAX_TOKENS,
    "max_retries": 0,
}


def client(mode: instructor.Mode, url: str = URL, retries: int = 0) -> instructor.Instructor:
    plain = openai.OpenAI(base_url=url, api_key="none", max_retries=retries, timeout=60)
    return instructor.from_openai(plain, mode=mode)


def structured_in(mode: instructor.Mode, messages: list[Any] = REQUEST) -> dict[str, Any]:
    shape = client(mode).create(response_model=Shape, messages=messages, **REQUEST_OPTIONS)
    assert isinstance(shape, Shape)
    return shape.model_dump(include={"shape", "count"})


@scenario
def structured() -> Any:
    return structured_in(instructor.Mode.JSON_SCHEMA)


@scenario
def structured_by_tool() -> Any:
    return structured_in(instructor.Mode.TOOLS)


@scenario
def structured_strict() -> Any:
    return structured_in(instructor.Mode.TOOLS_STRICT)


@scenario
def structured_image() -> Any:
    return structured_in(instructor.Mode.JSON_SCHEMA, [user(PROMPTS["describe"], IMAGE_URL)])


@scenario
def structured_streamed() -> Any:
    partial = client(instructor.Mode.JSON_SCHEMA).create_partial(
        response_model=Shape, messages=REQUEST, **REQUEST_OPTIONS
    )
    *_, last = partial
    return Shape.model_validate(last.model_dump(include={"shape", "count"})).model_dump()


@scenario
def structured_list() -> Any:
    shapes: Iterable[Shape] = client(instructor.Mode.TOOLS).create_iterable(
        response_model=Shape, messages=[user(PROMPTS["describe"], IMAGE_URL)], **REQUEST_OPTIONS
    )
    return [shape.model_dump() for shape in shapes]


@scenario
def json_object() -> Any:
    """Ask in JSON mode, where nothing but the prompt tells the model the schema."""
    raw: list[Any] = []
    asked = client(instructor.Mode.JSON)
    asked.on("completion:response", raw.append)
    messages = [{"role": "system", "content": PROMPTS["system"]}, *REQUEST]
    with suppress(IncompleteOutputException, InstructorRetryException):
        asked.create(response_model=Shape, messages=messages, **REQUEST_OPTIONS)
    return told(raw[0])


def told(answer: Any) -> dict[str, Any]:
    return {
        "text": answer.choices[0].message.content,
        "finish": answer.choices[0].finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


def said(asked: instructor.Instructor) -> dict[str, Any]:
    answer = asked.create(response_model=None, messages=[user(PROMPTS["hello"])], **REQUEST_OPTIONS)
    return told(answer)


@scenario
def plain() -> Any:
    return said(client(instructor.Mode.TOOLS))


@scenario
def model_not_found() -> Any:
    asked = client(instructor.Mode.JSON_SCHEMA)
    wishes = REQUEST_OPTIONS | {"model": "nothing"}
    return failure(lambda: asked.create(response_model=Shape, messages=REQUEST, **wishes))


@scenario
def retried() -> Any:
    return said(client(instructor.Mode.TOOLS, RETRY_URL, 2))


main()

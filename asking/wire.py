"""OpenAI's chat completions: the part of their wire format that asking needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
from pydantic import BaseModel, Field, ValidationError, model_validator

Message = dict[str, Any]
_EXCERPT = 300
# Ends after which there may be no text, and would be none at another attempt either.
_MAY_BE_SILENT: Final = {"length", "content_filter"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said and why it stopped: OpenAI's `finish_reason`, or `refusal`."""

    text: str
    finish_reason: str = ""


class _Reply(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Reply
    finish_reason: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        silent = self.message.content is None and self.message.refusal is None
        if silent and self.finish_reason not in _MAY_BE_SILENT:
            raise ValueError("message.content is missing")
        return self


class Completion(BaseModel):
    """An answer to a chat completion request."""

    choices: list[_Choice] = Field(min_length=1)

    @property
    def answer(self) -> Answer:
        choice = self.choices[0]
        if choice.message.content is None and choice.message.refusal is not None:
            return Answer(choice.message.refusal, "refusal")
        return Answer(choice.message.content or "", choice.finish_reason or "")


class _Model(BaseModel):
    id: str


class ModelList(BaseModel):
    """An answer to `GET /models`."""

    data: list[_Model]


def chat(
    prompt: str,
    system: str = "",
    image_url: str | None = None,
    earlier: Sequence[tuple[str, str]] = (),
) -> list[Message]:
    """A user turn, the image before the text.

    Before it come a system message, where there is one, and `earlier` turns of user and assistant.
    """
    content: Any = prompt
    if image_url is not None:
        image = {"type": "image_url", "image_url": {"url": image_url}}
        content = [image, {"type": "text", "text": prompt}]
    turns: list[Message] = [{"role": "system", "content": system}] if system else []
    for said, answered in earlier:
        turns.append({"role": "user", "content": said})
        turns.append({"role": "assistant", "content": answered})
    return [*turns, {"role": "user", "content": content}]


def request_body(model: str, messages: list[Message], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A request; of `fields` those that are None are left out."""
    sent = {name: value for name, value in fields.items() if value is not None}
    return {"model": model, "messages": messages, **sent}


def error_message(response: httpx.Response) -> str:
    """What an endpoint says went wrong: OpenAI's `error.message`, or the body's beginning."""
    try:
        error = response.json()["error"]
        said = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        said = response.text
    return f"status {response.status_code}: {str(said).strip()[:_EXCERPT]}"


def parsed(response: httpx.Response, model: type[BaseModel]) -> Any:
    """Check a successful answer. Raises `ValueError` with the reason where it is malformed."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"malformed answer: {place or 'body'}: {first['msg']}") from None

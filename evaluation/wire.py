"""OpenAI's chat completions: the part of their wire format that an evaluation needs."""

from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import BaseModel, Field, ValidationError

Message = dict[str, Any]
_EXCERPT = 300


class _Reply(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Reply


class Completion(BaseModel):
    """An answer to a chat completion request."""

    choices: list[_Choice] = Field(min_length=1)

    @property
    def text(self) -> str:
        return self.choices[0].message.content


class _Model(BaseModel):
    id: str


class ModelList(BaseModel):
    """An answer to `GET /models`."""

    data: list[_Model]


def chat(prompt: str, system: str = "", image_url: str | None = None) -> list[Message]:
    """One user turn, the image before the text, after a system message where there is one."""
    content: Any = prompt
    if image_url is not None:
        image = {"type": "image_url", "image_url": {"url": image_url}}
        content = [image, {"type": "text", "text": prompt}]
    turns: list[Message] = [{"role": "system", "content": system}] if system else []
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

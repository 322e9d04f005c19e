"""The part of OpenAI's chat completions wire format that this client uses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
from pydantic import BaseModel, Field, ValidationError, model_validator

Message = dict[str, Any]
_EXCERPT_CHARS = 300
# With these an answer may lack text, and a retry would not add any.
_FINISH_REASONS_WITHOUT_TEXT: Final = {"length", "content_filter"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's text and OpenAI's `finish_reason`, or `refusal`."""

    text: str
    finish_reason: str = ""


class _ChatMessage(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _ChatMessage
    finish_reason: str | None = None

    @model_validator(mode="after")
    def _require_content(self) -> Self:
        has_no_text = self.message.content is None and self.message.refusal is None
        if has_no_text and self.finish_reason not in _FINISH_REASONS_WITHOUT_TEXT:
            raise ValueError("message.content is missing")
        return self


class ChatCompletion(BaseModel):
    """The response to a chat completion request."""

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
    """The response to `GET /models`."""

    data: list[_Model]


def build_messages(
    prompt: str,
    system: str = "",
    image_url: str | None = None,
    history: Sequence[tuple[str, str]] = (),
) -> list[Message]:
    """Build a user message, the image before the text.

    A system message, if any, and the `history` of (user, assistant) turns come first.
    """
    content: Any = prompt
    if image_url is not None:
        image = {"type": "image_url", "image_url": {"url": image_url}}
        content = [image, {"type": "text", "text": prompt}]
    turns: list[Message] = [{"role": "system", "content": system}] if system else []
    for user, assistant in history:
        turns.append({"role": "user", "content": user})
        turns.append({"role": "assistant", "content": assistant})
    return [*turns, {"role": "user", "content": content}]


def build_request_body(
    model: str, messages: list[Message], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Build a request; `fields` that are None are left out."""
    sent = {name: value for name, value in fields.items() if value is not None}
    return {"model": model, "messages": messages, **sent}


def hide_userinfo(url: str) -> str:
    """Return a URL to print, without its user and password.

    Of what is no URL, all that could belong to a password is left out.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        parsed = httpx.URL()
    if not parsed.host:
        return re.sub(r"^([\w+.-]*://)?.*@", r"\1", url, flags=re.DOTALL)
    return str(parsed.copy_with(userinfo=b"")) if parsed.userinfo else url


def parse_error_message(response: httpx.Response) -> str:
    """Return OpenAI's `error.message`, or else the beginning of the body."""
    try:
        error = response.json()["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        message = response.text
    return f"status {response.status_code}: {str(message).strip()[:_EXCERPT_CHARS]}"


def parse_response(response: httpx.Response, model: type[BaseModel]) -> Any:
    """Parse a successful response. Raises `ValueError` with the reason if it is malformed."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"malformed answer: {place or 'body'}: {first['msg']}") from None

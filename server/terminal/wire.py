"""The part of OpenAI's chat completions wire format that the chat reads."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

import httpx
from pydantic import BaseModel, ValidationError

from server.terminal.errors import APIError

_EXCERPT_CHARS: Final = 300
_DONE: Final = b"[DONE]"


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class CompletionChunk(BaseModel):
    """A chunk of a streamed completion, or a complete one."""

    model: str = ""
    choices: list[_Choice] = []
    usage: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The text of the first choice: its content or its refusal."""
        messages = [choice.delta or choice.message or _Message() for choice in self.choices[:1]]
        return "".join(message.content or message.refusal or "" for message in messages)

    @property
    def finish_reason(self) -> str | None:
        """OpenAI's `finish_reason` of the first choice, or None."""
        return self.choices[0].finish_reason if self.choices else None


class _Model(BaseModel):
    id: str


class _ModelList(BaseModel):
    data: list[_Model]


class _Error(BaseModel):
    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _ErrorBody(BaseModel):
    error: _Error | str


def parse_model_names(body: bytes) -> list[str]:
    """Parse the response to `GET /v1/models`. Raises `APIError`."""
    try:
        return [model.id for model in _ModelList.model_validate_json(body).data]
    except ValidationError:
        _raise_malformed(body)


def parse_chunk(body: bytes) -> CompletionChunk:
    """Parse a completion or a chunk. Raises `APIError`, also for an error object."""
    _raise_if_error(body)
    try:
        return CompletionChunk.model_validate_json(body)
    except ValidationError:
        _raise_malformed(body)


def parse_sse_data(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the data of server-sent events up to `[DONE]`.

    Each event is one line of JSON. Lines are split as bytes, since `str.splitlines` would also
    split at characters that JSON may hold unescaped.
    """
    rest = b""
    for data_received in stream:
        *lines, rest = (rest + data_received).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if data == _DONE:
                return
            if data and line.startswith(b"data:"):
                yield data


def parse_error_response(response: httpx.Response) -> APIError:
    """Parse an unsuccessful response, in OpenAI's shape or any other."""
    try:
        _raise_if_error(response.content, response.status_code)
    except APIError as error:
        return error
    text = response.text.strip()[:_EXCERPT_CHARS] or response.reason_phrase
    return APIError(f"status {response.status_code}: {text}", status=response.status_code)


def _raise_if_error(body: bytes, status: int | None = None) -> None:
    try:
        error = _ErrorBody.model_validate_json(body).error
    except ValidationError:
        return
    if isinstance(error, str):
        raise APIError(error, status=status)
    code = None if error.code is None else str(error.code)
    raise APIError(error.message, status=status, code=code, param=error.param, kind=error.type)


def _raise_malformed(body: bytes) -> NoReturn:
    excerpt = body[:_EXCERPT_CHARS].decode("utf-8", "replace")
    raise APIError(f"the response is not an OpenAI chat completion: {excerpt}") from None

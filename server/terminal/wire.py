"""OpenAI's chat completions: the part of their wire format that a chat reads."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

import httpx
from pydantic import BaseModel, ValidationError

from server.terminal.errors import AnswerError

_EXCERPT: Final = 300
_DONE: Final = b"[DONE]"


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class Piece(BaseModel):
    """A chunk of a streamed answer, or a whole answer."""

    model: str = ""
    choices: list[_Choice] = []
    usage: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """What it adds to the answer."""
        said = [choice.delta or choice.message or _Said() for choice in self.choices[:1]]
        return "".join(part.content or part.refusal or "" for part in said)

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended, once it has."""
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


def model_names(body: bytes) -> list[str]:
    """Read an answer to `GET /v1/models`. Raises `AnswerError`."""
    try:
        return [model.id for model in _ModelList.model_validate_json(body).data]
    except ValidationError:
        _malformed(body)


def read_piece(body: bytes) -> Piece:
    """Read an answer or a chunk of one. Raises `AnswerError`, also one that the server sent."""
    _raise_error(body)
    try:
        return Piece.model_validate_json(body)
    except ValidationError:
        _malformed(body)


def events(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the data of server-sent events up to `[DONE]`.

    Each is one line of JSON. Lines are split as bytes: as text they would be split at characters,
    too, that JSON may hold unescaped.
    """
    rest = b""
    for received in stream:
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if data == _DONE:
                return
            if data and line.startswith(b"data:"):
                yield data


def refusal(response: httpx.Response) -> AnswerError:
    """Return what a response that is no success says, in OpenAI's shape or another."""
    try:
        _raise_error(response.content, response.status_code)
    except AnswerError as error:
        return error
    text = response.text.strip()[:_EXCERPT] or response.reason_phrase
    return AnswerError(f"status {response.status_code}: {text}", status=response.status_code)


def _raise_error(body: bytes, status: int | None = None) -> None:
    try:
        error = _ErrorBody.model_validate_json(body).error
    except ValidationError:
        return
    if isinstance(error, str):
        raise AnswerError(error, status=status)
    code = None if error.code is None else str(error.code)
    raise AnswerError(error.message, status=status, code=code, param=error.param, kind=error.type)


def _malformed(body: bytes) -> NoReturn:
    excerpt = body[:_EXCERPT].decode("utf-8", "replace")
    raise AnswerError(f"the answer is none of OpenAI's chat completions: {excerpt}") from None

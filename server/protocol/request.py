"""The body of `POST /v1/chat/completions`, parsed from bytes and checked."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from server.errors import InvalidJson, InvalidValue, UnsupportedParameter
from server.protocol.messages import ImageUrl, Message, WireModel

# Fields that clients send by habit. With these values they change nothing, so they are accepted;
# with any other value they ask for something this server would not do, which is an error.
# `...` accepts every value.
HARMLESS: Final[dict[str, tuple[Any, ...]]] = {
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "metadata": (...,),
    "min_p": (0,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (...,),
    "presence_penalty": (0,),
    "prompt_cache_key": (...,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "safety_identifier": (...,),
    "service_tier": (...,),
    "stop_token_ids": ([],),
    "store": (...,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_k": (0, -1),
    "top_logprobs": (0,),
}

StopString = Annotated[str, Field(min_length=1)]
StopStrings = Annotated[
    list[StopString],
    Field(max_length=4),
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=str | list[str],
    ),
]


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image of a request, the path of the field that names it, and whether little will do."""

    url: str
    param: str
    low_detail: bool = False


class StreamOptions(WireModel):
    """`stream_options`; other keys are ignored."""

    include_usage: bool | None = None


class ChatCompletionRequest(WireModel):
    """A chat completion request as OpenAI's API reference describes it.

    https://platform.openai.com/docs/api-reference/chat/create
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1, description="deprecated by OpenAI, still honoured")
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: StopStrings | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    ignore_eos: bool | None = Field(None, description="vLLM's: go on to the token limit")
    min_tokens: int | None = Field(None, ge=0, description="vLLM's: let nothing end it before")

    @property
    def token_limit(self) -> int | None:
        """Most tokens to generate; the newer field wins."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stop_strings(self) -> list[str]:
        """The stop strings; none where the client sent null."""
        return self.stop or []

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def images(self) -> list[ImageReference]:
        """All images in the order of the messages."""
        return [
            ImageReference(image.url, image_param(turn, part), image.detail == "low")
            for turn, message in enumerate(self.messages)
            for part, image in message.images
        ]


def image_param(message: int, part: int) -> str:
    """Return the path of an image part's URL in the body."""
    return f"messages[{message}].content[{part}].image_url.url"


def parse_request(body: bytes) -> ChatCompletionRequest:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    try:
        request = ChatCompletionRequest.model_validate_json(body)
    except ValidationError as error:
        raise _first_error(error) from None
    if request.stream_options is not None and not request.stream:
        raise InvalidValue(
            "'stream_options' is only allowed when 'stream' is true.", "stream_options"
        )
    if request.min_tokens and request.min_tokens > (request.token_limit or request.min_tokens):
        raise InvalidValue("'min_tokens' must not exceed the token limit.", "min_tokens")
    for name, value in (request.model_extra or {}).items():
        _check_harmless(name, value)
    return request


def _check_harmless(name: str, value: Any) -> None:
    allowed = HARMLESS.get(name)
    if allowed is None:
        raise UnsupportedParameter(f"Unknown or unsupported parameter: '{name}'.", name)
    if value is not None and allowed != (...,) and not any(_same(value, a) for a in allowed):
        raise UnsupportedParameter(f"This value of '{name}' is not supported.", name)


def _same(value: Any, allowed: Any) -> bool:
    """Compare as JSON does: there, true is not 1."""
    return bool(value == allowed) and isinstance(value, bool) == isinstance(allowed, bool)


def _first_error(error: ValidationError) -> InvalidJson | InvalidValue:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return InvalidJson("The body is not valid JSON.")
    param = field_path(first["loc"])
    reason = first["msg"]
    return InvalidValue(f"{reason} ('{param}')." if param else f"{reason}.", param)


def field_path(location: tuple[int | str, ...]) -> str | None:
    """Write pydantic's error location as a path, e.g. `messages[0].content[1].type`."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("#") and step.isidentifier():
            path += f".{step}" if path else step
    return path or None


__all__ = ["ChatCompletionRequest", "ImageReference", "ImageUrl", "Message", "parse_request"]

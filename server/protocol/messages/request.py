"""The request bodies of `POST /v1/messages` and `POST /v1/messages/count_tokens`."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.chat.messages import MAX_MESSAGES
from server.protocol.json_size import JsonObject
from server.protocol.messages.content import Content, TextBlock
from server.protocol.messages.messages import InputMessage
from server.protocol.messages.tools import AnthropicToolChoice, CustomTool
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.sampling import StopString
from server.protocol.tools import MAX_TOOLS
from server.protocol.wire import ModelName, RequestBody, WireModel, parse_body

MAX_STOP_SEQUENCES: Final = 32


class ThinkingConfig(WireModel):
    """`thinking`, which LLaVA models do not support."""

    type: Literal["disabled"]

    @field_validator("type", mode="before")
    @classmethod
    def _check_disabled(cls, value: Any) -> Any:
        if value != "disabled":
            raise PydanticCustomError(
                "thinking", "LLaVA models do not think: leave 'thinking' out, or send 'disabled'"
            )
        return value


class JsonOutputFormat(WireModel):
    """A schema that the answer must fit."""

    type: Literal["json_schema"]
    schema_: JsonObject = Field(alias="schema")


class OutputConfig(WireModel):
    """`output_config`: the format, and the effort, of which only the default is supported."""

    format: JsonOutputFormat | None = None
    effort: Literal["high"] | None = None


class TokenCountRequest(RequestBody):
    """A request whose tokens are counted; the fields that only shape an answer change nothing."""

    model: ModelName
    messages: list[InputMessage] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    system: Content[TextBlock] | None = None
    tools: Annotated[list[CustomTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    max_tokens: int | None = Field(None, ge=1)
    stop_sequences: (
        Annotated[list[StopString], Field(max_length=MAX_STOP_SEQUENCES, fail_fast=True)] | None
    ) = None
    temperature: float | None = Field(None, ge=0, le=1)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, lt=2**31)
    stream: bool | None = None


class MessagesRequest(TokenCountRequest):
    """A request for an answer, as in Anthropic's API reference.

    https://platform.claude.com/docs/en/api/messages/create
    """

    max_tokens: int = Field(ge=1)


def parse_messages_request(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> MessagesRequest:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    return parse_body(MessagesRequest, body, policy)


def parse_token_count_request(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> TokenCountRequest:
    """Parse and check a request body, as `parse_messages_request` does."""
    return parse_body(TokenCountRequest, body, policy)

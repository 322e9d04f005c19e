"""The request body of `POST /v1/responses`."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from server.errors import InvalidValue
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.responses.content import InputImage, InputPart
from server.protocol.responses.items import (
    FunctionCallOutput,
    Input,
    InputItem,
    InputMessage,
)
from server.protocol.responses.text import ResponseTextConfig
from server.protocol.responses.tools import FlatToolChoice, FunctionTool
from server.protocol.sampling import SamplingFields, TokenLimit
from server.protocol.tools import MAX_TOOLS
from server.protocol.wire import Identifier, ModelName, WireModel, parse_body

LOGPROBS: Final = "message.output_text.logprobs"

MAX_METADATA: Final = 16
MAX_METADATA_KEY: Final = 64

Include = Literal[
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]


def _check_metadata_size(value: Any) -> Any:
    """Check the keys before pydantic validates them: it copies them into its errors."""
    if isinstance(value, dict) and len(value) > MAX_METADATA:
        raise PydanticCustomError("metadata", f"At most {MAX_METADATA} keys are allowed")
    if isinstance(value, dict) and any(len(key) > MAX_METADATA_KEY for key in value):
        raise PydanticCustomError("metadata", f"A key has at most {MAX_METADATA_KEY} characters")
    return value


Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=MAX_METADATA_KEY)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=MAX_METADATA),
    BeforeValidator(_check_metadata_size),
]


class ResponseStreamOptions(WireModel):
    """`stream_options`; streams are never obfuscated."""

    include_obfuscation: bool | None = None


class ReasoningOptions(WireModel):
    """`reasoning`, which LLaVA models do not support."""

    effort: Literal["none", "medium"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ResponsesRequest(SamplingFields):
    """A Responses request as in OpenAI's API reference, with vLLM's additions.

    https://platform.openai.com/docs/api-reference/responses/create
    """

    model: ModelName
    input: Input
    instructions: str | None = None
    max_output_tokens: TokenLimit = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    include: Annotated[list[Include], Field(max_length=64, fail_fast=True)] | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    text: ResponseTextConfig | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: FlatToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningOptions | None = None
    metadata: Metadata | None = None
    user: Identifier | None = None
    safety_identifier: Identifier | None = None
    prompt_cache_key: Identifier | None = None
    n: Literal[1] | None = Field(None, description="a request has one response")

    def drop_media(self) -> None:
        """Forget image data, which is of no use once the images are encoded."""
        for item in self.input if isinstance(self.input, list) else ():
            for part in _get_content(item):
                if isinstance(part, InputImage):
                    # A frozen model keeps its fields here; nothing reads this one any more.
                    part.__dict__["image_url"] = ""

    @property
    def include_logprobs(self) -> bool:
        """Whether to report log probabilities."""
        return LOGPROBS in (self.include or ())


def _get_content(item: InputItem) -> str | Sequence[InputPart]:
    if isinstance(item, InputMessage):
        return item.content or ()
    return item.output if isinstance(item, FunctionCallOutput) else ()


def parse_responses_request(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> ResponsesRequest:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    request = parse_body(ResponsesRequest, body, policy)
    if request.stream_options is not None and not request.stream:
        raise InvalidValue(
            "'stream_options' is only allowed when 'stream' is true.", "stream_options"
        )
    if request.top_logprobs and not request.include_logprobs:
        raise InvalidValue(f"'top_logprobs' needs 'include' to hold '{LOGPROBS}'.", "top_logprobs")
    return request

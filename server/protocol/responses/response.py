"""The response body of `POST /v1/responses` and its output items."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from server.protocol.chat.response import ChatTokenLogprob
from server.protocol.responses.text import ResponseTextConfig
from server.protocol.responses.tools import FlatToolChoice, FunctionTool

ItemStatus = Literal["in_progress", "completed", "incomplete"]

# OpenAI's schema allows these fields to be absent, but not null.
NOT_NULL: Final = Field(exclude_if=lambda value: value is None)


class OutputText(BaseModel):
    """The text of a message, always without annotations."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Any] = []
    logprobs: list[ChatTokenLogprob] = []


class OutputMessage(BaseModel):
    """A message of the model."""

    id: str
    type: Literal["message"] = "message"
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputText]


class OutputFunctionCall(BaseModel):
    """A function call for the client to execute; `arguments` is JSON text."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


OutputItem = Annotated[OutputMessage | OutputFunctionCall, Field(discriminator="type")]


class InputTokensDetails(BaseModel):
    """Numbers of input tokens from the prefix cache, and of image tokens."""

    cached_tokens: int
    cache_write_tokens: int = 0
    image_tokens: int


class OutputTokensDetails(BaseModel):
    """Kinds of tokens that LLaVA models do not generate."""

    reasoning_tokens: int = 0


class ResponseUsage(BaseModel):
    """Tokens of the input, image tokens included, and of the output, EOS tokens included."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class IncompleteDetails(BaseModel):
    """The reason that a response is incomplete."""

    reason: Literal["max_output_tokens"]


class ResponseFailure(BaseModel):
    """The error of a response that failed while it streamed."""

    code: Literal["server_error"]
    message: str


class Reasoning(BaseModel):
    """Always empty: LLaVA models do not reason."""

    effort: None = None
    summary: None = None


class ResponseObject(BaseModel):
    """A response, complete or in progress."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: Literal[False] = False
    completed_at: int | None = None
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: None = None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: None = None
    prompt_cache_key: Annotated[str | None, NOT_NULL] = None
    reasoning: Reasoning = Reasoning()
    safety_identifier: Annotated[str | None, NOT_NULL] = None
    service_tier: Literal["default"] = "default"
    store: Literal[False] = False
    temperature: float
    text: ResponseTextConfig
    tool_choice: FlatToolChoice
    tools: list[FunctionTool]
    top_logprobs: int
    top_p: float
    truncation: Literal["disabled"] = "disabled"
    usage: Annotated[ResponseUsage | None, NOT_NULL] = None
    user: Annotated[str | None, NOT_NULL] = None
    metadata: dict[str, str]

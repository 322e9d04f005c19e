"""Items of a request's `input`: messages, function calls and their outputs."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from server.protocol.chat.messages import MAX_MESSAGES
from server.protocol.responses.content import InputContent, InputImage
from server.protocol.wire import (
    MAX_NAME_LENGTH,
    PARTS,
    STRING,
    CallId,
    WireModel,
    select_content_branch,
)

ITEM_TYPES: Final = (
    *("message", "function_call", "function_call_output", "reasoning", "item_reference"),
)


class InputMessage(WireModel):
    """`{"role": …, "content": …}`, with or without `"type": "message"`."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: InputContent | None = None

    @model_validator(mode="after")
    def _check_content_of_role(self) -> Self:
        if self.content in (None, []) and self.role != "assistant":
            raise PydanticCustomError(
                "content_missing", "The message has no content", {"field": "content"}
            )
        has_images = not isinstance(self.content, str) and any(
            isinstance(part, InputImage) for part in self.content or ()
        )
        if has_images and self.role != "user":
            raise PydanticCustomError("image_role", "Only user messages may hold images")
        return self


class InputFunctionCall(WireModel):
    """A call by the model in an earlier response; `arguments` is JSON text."""

    type: Literal["function_call"]
    call_id: CallId
    name: str = Field(max_length=MAX_NAME_LENGTH)
    arguments: str


class FunctionCallOutput(WireModel):
    """The output of a function for the call `call_id`."""

    type: Literal["function_call_output"]
    call_id: CallId
    output: InputContent


class InputReasoning(WireModel):
    """Reasoning of another model, which clients send back; it is dropped."""

    type: Literal["reasoning"]


class ItemReference(WireModel):
    """A reference to a stored item: always an error."""

    type: Literal["item_reference"] = "item_reference"

    @model_validator(mode="after")
    def _reject_reference(self) -> Self:
        raise PydanticCustomError(
            "item_reference",
            "This server keeps no items: send the item itself, as clients do with store: false",
        )


def _select_item_branch(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind is None:
        kind = "message" if "role" in value else "item_reference" if "id" in value else None
    return f"#{kind}" if kind in ITEM_TYPES else None


InputItem = Annotated[
    Annotated[InputMessage, Tag("#message")]
    | Annotated[InputFunctionCall, Tag("#function_call")]
    | Annotated[FunctionCallOutput, Tag("#function_call_output")]
    | Annotated[InputReasoning, Tag("#reasoning")]
    | Annotated[ItemReference, Tag("#item_reference")],
    Discriminator(
        _select_item_branch,
        custom_error_type="input_item",
        custom_error_message=(
            "An item must be a message, or of type 'function_call' or 'function_call_output'"
        ),
    ),
]
Input = Annotated[
    Annotated[str, Tag(STRING)]
    | Annotated[
        list[InputItem], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True), Tag(PARTS)
    ],
    Discriminator(
        select_content_branch,
        custom_error_type="input",
        custom_error_message="The input must be a string or a list of items",
    ),
]

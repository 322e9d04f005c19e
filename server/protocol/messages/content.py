"""Content blocks of a request's messages: text, images, tool calls and their results."""

from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.chat.messages import MAX_PARTS
from server.protocol.json_size import JsonObject
from server.protocol.wire import (
    MAX_NAME_LENGTH,
    PARTS,
    STRING,
    CallId,
    WireModel,
    select_content_branch,
    select_type_branch,
)

# Names of union branches: see `server.protocol.wire.format_field_path`.
UNSUPPORTED: Final = "#unsupported"
REMEDIES: Final = {
    "document": "send its text as a text block, or its pages as image blocks",
    "search_result": "send its text as a text block",
    "container_upload": "this server keeps no files",
    "server_tool_use": "this server has no tools of its own",
}


class TextBlock(WireModel):
    """`{"type": "text", "text": …}`."""

    type: Literal["text"]
    text: str


class Base64Source(WireModel):
    """The bytes of an image."""

    type: Literal["base64"]
    media_type: str = Field(max_length=64, pattern=r"^image/[\w.+-]+$")
    data: str = Field(min_length=1)


class UrlSource(WireModel):
    """An image's http(s) URL."""

    type: Literal["url"]
    url: str = Field(min_length=1)


ImageBlockSource = Annotated[
    Annotated[Base64Source, Tag("#base64")] | Annotated[UrlSource, Tag("#url")],
    Discriminator(
        select_type_branch,
        custom_error_type="image_source",
        custom_error_message="An image's source must be an object of type 'base64' or 'url'",
    ),
]


class ImageBlock(WireModel):
    """`{"type": "image", "source": …}`."""

    type: Literal["image"]
    source: ImageBlockSource


class ThinkingBlock(WireModel):
    """Reasoning of another model, which clients send back; it is dropped."""

    type: Literal["thinking", "redacted_thinking"]


class ToolUseBlock(WireModel):
    """A call by the model in an earlier turn; `input` holds its arguments."""

    type: Literal["tool_use"]
    id: CallId
    name: str = Field(max_length=MAX_NAME_LENGTH)
    input: JsonObject


class UnsupportedBlock(WireModel):
    """A block that only other servers support: always an error."""

    type: str

    @field_validator("type")
    @classmethod
    def _reject(cls, value: str) -> NoReturn:
        raise PydanticCustomError(
            "content_block",
            "'{kind}' blocks are not supported: {remedy}",
            {"kind": value, "remedy": REMEDIES[value]},
        )


def _select_block_branch(value: Any) -> str | None:
    """Return the union branch of a block; a type that is none of the union's is an error."""
    branch = select_type_branch(value)
    return UNSUPPORTED if branch is not None and branch[1:] in REMEDIES else branch


ToolResultPart = Annotated[
    Annotated[TextBlock, Tag("#text")]
    | Annotated[ImageBlock, Tag("#image")]
    | Annotated[UnsupportedBlock, Tag(UNSUPPORTED)],
    Discriminator(
        _select_block_branch,
        custom_error_type="content_block",
        custom_error_message="A result's content block must be an object of type 'text' or 'image'",
    ),
]

BlockT = TypeVar("BlockT")
Content = Annotated[
    Annotated[str, Tag(STRING)]
    | Annotated[list[BlockT], Field(max_length=MAX_PARTS, fail_fast=True), Tag(PARTS)],
    Discriminator(
        select_content_branch,
        custom_error_type="content",
        custom_error_message="Content must be a string or a list of content blocks",
    ),
]


class ToolResultBlock(WireModel):
    """The result of the call `tool_use_id`; it may hold images."""

    type: Literal["tool_result"]
    tool_use_id: CallId
    content: Content[ToolResultPart] | None = None
    is_error: bool | None = None


UserBlock = Annotated[
    Annotated[TextBlock, Tag("#text")]
    | Annotated[ImageBlock, Tag("#image")]
    | Annotated[ToolResultBlock, Tag("#tool_result")]
    | Annotated[UnsupportedBlock, Tag(UNSUPPORTED)],
    Discriminator(
        _select_block_branch,
        custom_error_type="content_block",
        custom_error_message=(
            "A user's content block must be an object of type 'text', 'image' or 'tool_result'"
        ),
    ),
]
AssistantBlock = Annotated[
    Annotated[TextBlock, Tag("#text")]
    | Annotated[ToolUseBlock, Tag("#tool_use")]
    | Annotated[ThinkingBlock, Tag("#thinking")]
    | Annotated[ThinkingBlock, Tag("#redacted_thinking")]
    | Annotated[UnsupportedBlock, Tag(UNSUPPORTED)],
    Discriminator(
        _select_block_branch,
        custom_error_type="content_block",
        custom_error_message=(
            "An assistant's content block must be an object of type 'text' or 'tool_use'"
        ),
    ),
]

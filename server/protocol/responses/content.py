"""Content parts of an input message: text, images and refusals."""

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.chat.messages import MAX_PARTS
from server.protocol.wire import WireModel, get_type

# Names of union branches: see `server.protocol.wire.format_field_path`.
STRING, PARTS = "#string", "#parts"
PART_TYPES: Final = ("input_text", "output_text", "input_image", "refusal")


class InputText(WireModel):
    """`{"type": "input_text", "text": …}`; the text of an earlier answer is an `output_text`."""

    type: Literal["input_text", "output_text"]
    text: str


class InputRefusal(WireModel):
    """`{"type": "refusal", "refusal": …}`: an assistant's refusal in an earlier turn."""

    type: Literal["refusal"]
    refusal: str


class InputImage(WireModel):
    """`{"type": "input_image", "image_url": …}`: an http(s) URL or a base64 `data:` URL."""

    type: Literal["input_image"]
    file_id: None = Field(None, description="this server keeps no files")
    image_url: str = Field(min_length=1)
    detail: Literal["auto", "low", "high"] | None = None

    @field_validator("file_id", mode="before")
    @classmethod
    def _reject_file_id(cls, value: Any) -> None:
        if value is not None:
            raise PydanticCustomError("file_id", "This server keeps no files: send an image_url")


def _select_part_branch(value: Any) -> str | None:
    kind = get_type(value)
    return f"#{kind}" if kind in PART_TYPES else None


def select_content_branch(value: Any) -> str | None:
    """Return the union branch of content: a string or a list of parts."""
    return STRING if isinstance(value, str) else PARTS if isinstance(value, list) else None


InputPart = Annotated[
    Annotated[InputText, Tag("#input_text")]
    | Annotated[InputText, Tag("#output_text")]
    | Annotated[InputImage, Tag("#input_image")]
    | Annotated[InputRefusal, Tag("#refusal")],
    Discriminator(
        _select_part_branch,
        custom_error_type="content_part",
        custom_error_message=(
            "A content part must be an object of type 'input_text', 'input_image' or 'output_text'"
        ),
    ),
]
InputContent = Annotated[
    Annotated[str, Tag(STRING)]
    | Annotated[list[InputPart], Field(max_length=MAX_PARTS, fail_fast=True), Tag(PARTS)],
    Discriminator(
        select_content_branch,
        custom_error_type="content",
        custom_error_message="Content must be a string or a list of content parts",
    ),
]

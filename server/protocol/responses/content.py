"""Content parts of an input message: text, images and refusals."""

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from server.protocol.chat.messages import MAX_PARTS
from server.protocol.image_part import LocatedImage
from server.protocol.image_source import IMAGE_TYPES, Detail, ImageSource
from server.protocol.wire import PARTS, STRING, WireModel, get_type, select_content_branch

# Names of union branches: see `server.protocol.wire.format_field_path`.
TEXT, IMAGE, REFUSAL = "#input_text", "#input_image", "#refusal"
PART_BRANCHES: Final = {
    **dict.fromkeys(("input_text", "output_text", "text"), TEXT),
    **dict.fromkeys(IMAGE_TYPES, IMAGE),
    "refusal": REFUSAL,
}


class InputText(WireModel):
    """`{"type": "input_text", "text": …}`; the text of an earlier answer is an `output_text`.

    The chat API's name of the type is taken, too.
    """

    type: Literal["input_text", "output_text", "text"]
    text: str


class InputRefusal(WireModel):
    """`{"type": "refusal", "refusal": …}`: an assistant's refusal in an earlier turn."""

    type: Literal["refusal"]
    refusal: str


class InputImage(LocatedImage):
    """`{"type": "input_image", "image_url": …}`, or another API's image part.

    `image_url` is an http(s) URL or a base64 `data:` URL.
    """

    type: Literal["input_image"]
    image_url: str = Field(min_length=1)
    detail: Detail | None = None

    @classmethod
    def _translate(cls, source: ImageSource) -> dict[str, Any]:
        return {"type": "input_image", "image_url": source.url, "detail": source.detail}


def _select_part_branch(value: Any) -> str | None:
    kind = get_type(value)
    return PART_BRANCHES.get(kind) if isinstance(kind, str) else None


InputPart = Annotated[
    Annotated[InputText, Tag(TEXT)]
    | Annotated[InputImage, Tag(IMAGE)]
    | Annotated[InputRefusal, Tag(REFUSAL)],
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

"""Messages of a chat request: roles, and parts of text, images and videos."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from server.protocol.image_part import LocatedImage
from server.protocol.image_source import IMAGE_TYPES, Detail, ImageSource
from server.protocol.tools import MAX_TOOL_CALLS, ToolCall
from server.protocol.video import VIDEO_TYPE, VideoPart
from server.protocol.wire import (
    PARTS,
    STRING,
    CallId,
    WireModel,
    get_type,
    select_content_branch,
)

MAX_MESSAGES: Final = 4096
# Content parts in one message.
MAX_PARTS: Final = 1024

# Names of union branches: see `server.protocol.wire.format_field_path`.
TEXT, IMAGE, VIDEO, REFUSAL = "#text", "#image_url", "#video_url", "#refusal"
PART_BRANCHES: Final = {
    **dict.fromkeys(("text", "input_text", "output_text"), TEXT),
    **dict.fromkeys(IMAGE_TYPES, IMAGE),
    VIDEO_TYPE: VIDEO,
    "refusal": REFUSAL,
}


class TextPart(WireModel):
    """`{"type": "text", "text": …}`; the Responses API's names of the type are taken, too."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class ImageUrl(WireModel):
    """An http(s) URL or a base64 `data:` URL."""

    url: str = Field(min_length=1)
    detail: Detail | None = None


class ImagePart(LocatedImage):
    """`{"type": "image_url", "image_url": {"url": …}}`, or another API's image part."""

    type: Literal["image_url"]
    image_url: ImageUrl

    @classmethod
    def _translate(cls, source: ImageSource) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": source.url, "detail": source.detail}}


class RefusalPart(WireModel):
    """`{"type": "refusal", "refusal": …}`: an assistant's refusal in an earlier turn."""

    type: Literal["refusal"]
    refusal: str


def _select_part_branch(value: Any) -> str | None:
    kind = get_type(value)
    return PART_BRANCHES.get(kind) if isinstance(kind, str) else None


ContentPart = Annotated[
    Annotated[TextPart, Tag(TEXT)]
    | Annotated[ImagePart, Tag(IMAGE)]
    | Annotated[VideoPart, Tag(VIDEO)]
    | Annotated[RefusalPart, Tag(REFUSAL)],
    Discriminator(
        _select_part_branch,
        custom_error_type="content_part",
        custom_error_message=(
            "A content part must be an object of type 'text', 'image_url' or 'video_url'; of audio"
            " and files, send words as text and pages as images"
        ),
    ),
]
Content = Annotated[
    Annotated[str, Tag(STRING)]
    | Annotated[list[ContentPart], Field(max_length=MAX_PARTS, fail_fast=True), Tag(PARTS)],
    Discriminator(
        select_content_branch,
        custom_error_type="content",
        custom_error_message="Content must be a string or a list of content parts",
    ),
]


class Message(WireModel):
    """One message. `developer` is OpenAI's newer name of the role `system`."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    tool_calls: (
        Annotated[list[ToolCall], Field(max_length=MAX_TOOL_CALLS, fail_fast=True)] | None
    ) = None
    tool_call_id: CallId | None = None

    @property
    def text(self) -> str:
        """The text of the message, its parts joined by newlines."""
        if isinstance(self.content, str):
            return self.content
        parts = self.content or ()
        return "\n".join(
            part.text if isinstance(part, TextPart) else part.refusal
            for part in parts
            if not isinstance(part, ImagePart | VideoPart)
        )

    @property
    def images(self) -> list[tuple[int, ImagePart]]:
        """The image parts of the message, each with its index."""
        if self.content is None or isinstance(self.content, str):
            return []
        return [
            (index, part) for index, part in enumerate(self.content) if isinstance(part, ImagePart)
        ]

    @property
    def videos(self) -> list[tuple[int, VideoPart]]:
        """The video parts of the message, each with its index."""
        if self.content is None or isinstance(self.content, str):
            return []
        return [
            (index, part) for index, part in enumerate(self.content) if isinstance(part, VideoPart)
        ]

    @model_validator(mode="after")
    def _check_content_of_role(self) -> Self:
        if self.tool_calls and self.role != "assistant":
            raise PydanticCustomError("tool_calls", "Only assistant messages may hold tool calls")
        if self.role == "tool" and self.tool_call_id is None:
            raise PydanticCustomError("tool_call_id", "A tool message needs a tool_call_id")
        if self.content is None and self.role != "assistant":
            raise PydanticCustomError("content_missing", "The message has no content")
        if self.content == [] and self.role not in ("assistant", "tool"):
            raise PydanticCustomError(
                "content_missing", "The message has no content", {"field": "content"}
            )
        if self.role not in ("user", "tool"):
            self._check_has_no_media()
        return self

    def _check_has_no_media(self) -> None:
        for modality, parts in (("images", self.images), ("videos", self.videos)):
            if parts:
                message = f"Only user and tool messages may hold {modality}"
                raise PydanticCustomError("media_role", message)

"""Structured outputs in the flat shape of the Responses API."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from server.protocol.formats import JsonObjectFormat, TextFormat
from server.protocol.json_size import JsonObject
from server.protocol.wire import WireModel, select_type_branch


class ResponseJsonSchema(WireModel):
    """A named schema, which is enforced whether `strict` or not."""

    type: Literal["json_schema"]
    name: str = Field(min_length=1, max_length=64)
    description: Annotated[str | None, Field(exclude_if=lambda text: text is None)] = None
    schema_: JsonObject = Field(alias="schema")
    strict: bool | None = None


OutputFormat = Annotated[
    Annotated[TextFormat, Tag("#text")]
    | Annotated[JsonObjectFormat, Tag("#json_object")]
    | Annotated[ResponseJsonSchema, Tag("#json_schema")],
    Discriminator(
        select_type_branch,
        custom_error_type="text_format",
        custom_error_message="Must be an object of type 'text', 'json_object' or 'json_schema'",
    ),
]


class ResponseTextConfig(WireModel):
    """`text`: the format, and the verbosity, of which only `medium` is supported."""

    format: OutputFormat | None = None
    verbosity: Literal["medium"] | None = None

"""Structured outputs: OpenAI's `response_format` and vLLM's `structured_outputs`."""

from typing import Annotated, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from server.protocol.json_size import MAX_JSON_CHARACTERS, JsonObject
from server.protocol.wire import WireModel, select_type_branch

MAX_GRAMMAR_CHOICES: Final = 4096

GrammarText = Annotated[str, Field(max_length=MAX_JSON_CHARACTERS)]
GrammarChoices = Annotated[
    list[GrammarText], Field(min_length=1, max_length=MAX_GRAMMAR_CHOICES, fail_fast=True)
]


class TextFormat(WireModel):
    """`{"type": "text"}`: no constraint."""

    type: Literal["text"]


class JsonObjectFormat(WireModel):
    """`{"type": "json_object"}`: any JSON object; `schema` (llama.cpp's) constrains it."""

    type: Literal["json_object"]
    schema_: Annotated[
        JsonObject | None, Field(alias="schema", exclude_if=lambda schema: schema is None)
    ] = None


class JsonSchema(WireModel):
    """A named schema, which is enforced whether `strict` or not."""

    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    schema_: JsonObject | None = Field(None, alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(WireModel):
    """`{"type": "json_schema", "json_schema": {"name": …, "schema": …}}`."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[
    Annotated[TextFormat, Tag("#text")]
    | Annotated[JsonObjectFormat, Tag("#json_object")]
    | Annotated[JsonSchemaFormat, Tag("#json_schema")],
    Discriminator(
        select_type_branch,
        custom_error_type="response_format",
        custom_error_message="Must be an object of type 'text', 'json_object' or 'json_schema'",
    ),
]


class StructuredOutputs(WireModel):
    """Exactly one constraint of the answer, by vLLM's name for it."""

    json_: JsonObject | GrammarText | None = Field(None, alias="json")
    json_object: bool | None = None
    regex: GrammarText | None = None
    choice: GrammarChoices | None = None
    grammar: GrammarText | None = None

    @model_validator(mode="after")
    def _check_exactly_one(self) -> Self:
        constraints = [self.json_, self.regex, self.choice, self.grammar, self.json_object or None]
        if sum(each is not None for each in constraints) != 1:
            raise PydanticCustomError(
                "structured_outputs",
                "Must hold one of 'json', 'json_object', 'regex', 'choice' and 'grammar'",
            )
        if sum(map(len, self.choice or ())) > MAX_JSON_CHARACTERS:
            raise PydanticCustomError("choice", "The choices are too large")
        return self

"""The format of message content: JSON, or other text that a request constrains."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.errors import InvalidValue
from server.protocol.formats import JsonObjectFormat, JsonSchemaFormat, StructuredOutputs
from server.protocol.generation_fields import GenerationFields
from server.structured_outputs.request_schema import PrunedRules, RequestSchema
from server.structured_outputs.schema import check_schema
from server.structured_outputs.subschemas import Schema

# By default, llguidance forces text that can continue in one way only, tokenized to its end. If
# that text contains a special token's name, it would force the special token.
HEADER: Final = '%llguidance {"no_forcing": true}\n'
# LLaVA models begin with a space, which clients do not get; without it, their output degrades.
SPACE: Final = '" "?'
# Matches characters that end a regular expression within a rule, and escapes, which are kept.
UNSAFE: Final = re.compile(r"\\?[/\n\r]|\\.")
ESCAPES: Final = {"/": r"\/", "\n": r"\n", "\r": r"\r"}
ANY_OBJECT: Final[Schema] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class ContentFormat:
    """The format of message content: the right side of a grammar rule, or a complete grammar.

    `param` is the request field that asks for it. `schemas` holds the JSON schema, if any.
    """

    source: str
    param: str
    is_rule: bool = True
    schemas: Sequence[RequestSchema] = ()

    def build_grammar(self) -> str:
        """Return the complete grammar."""
        return f"{HEADER}start: {SPACE} ({self.source})\n" if self.is_rule else self.source


def resolve_content_format(request: GenerationFields, pruned: PrunedRules) -> ContentFormat | None:
    """Return the format of content that the request asks for, None for any text.

    Raises `InvalidValue`.
    """
    if request.constraint is not None:
        text_format = _build_text_format(request, request.constraint)
        if text_format is not None:
            return text_format
    schema = _find_json_schema(request)
    if schema is None:
        return None
    check_schema(schema.schema, schema.param)
    return ContentFormat(schema.build_rule(pruned), schema.param, schemas=[schema])


def _build_text_format(
    request: GenerationFields, options: StructuredOutputs
) -> ContentFormat | None:
    """Return the format of text that is not JSON, None if JSON is requested."""
    if options.regex is not None:
        return ContentFormat(build_regex_rule(options.regex), request.name_constraint("regex"))
    if options.choice is not None:
        return ContentFormat(build_choice_rule(options.choice), request.name_constraint("choice"))
    if options.grammar is not None:
        is_lark = "::=" not in options.grammar and "%llguidance" not in options.grammar
        source = HEADER + options.grammar if is_lark else options.grammar
        return ContentFormat(source, request.name_constraint("grammar"), is_rule=False)
    return None


def _find_json_schema(request: GenerationFields) -> RequestSchema | None:
    """Return the requested schema."""
    options, response_format = request.constraint, request.response_format
    if options is not None:
        if options.json_ is None:
            return RequestSchema(ANY_OBJECT, "structured_outputs.json_object")
        param = request.name_constraint("json")
        return RequestSchema(_parse_schema(options.json_, param), param)
    if isinstance(response_format, JsonObjectFormat):
        if response_format.schema_ is None:
            return RequestSchema(ANY_OBJECT, "response_format")
        return RequestSchema(response_format.schema_, "response_format.schema")
    if isinstance(response_format, JsonSchemaFormat):
        schema = response_format.json_schema.schema_
        return RequestSchema(
            ANY_OBJECT if schema is None else schema, "response_format.json_schema.schema"
        )
    return None


def _parse_schema(schema: Schema | str, param: str) -> Schema:
    if isinstance(schema, dict):
        return schema
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError):
        raise InvalidValue("The schema is not valid JSON.", param) from None
    if not isinstance(parsed, dict):
        raise InvalidValue("The schema must be a JSON object.", param)
    return parsed


def build_regex_rule(pattern: str) -> str:
    """Return the rule of text that fully matches a regular expression."""
    escaped = UNSAFE.sub(lambda match: ESCAPES.get(match[0][-1], match[0]), pattern)
    return f"/{escaped}/"


def build_choice_rule(choices: Sequence[str]) -> str:
    """Return the rule of one of several texts."""
    return " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)

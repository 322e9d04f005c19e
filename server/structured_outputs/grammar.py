"""The grammar of a request's response format, structured outputs and tools, if it has any.

Rules are in llguidance's Lark: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.checkpoint.vocabulary import Vocabulary
from server.concurrency import run_in_thread_if_large
from server.errors import InvalidValue
from server.protocol.formats import JsonObjectFormat, JsonSchemaFormat, StructuredOutputs
from server.protocol.generation_fields import GenerationFields
from server.protocol.json_size import count_json_characters
from server.structured_outputs.schema import build_json_rule
from server.structured_outputs.tool_rules import build_tool_rules
from server.structured_outputs.validator import GrammarConstraint, GrammarValidator
from server.tools.callable_tools import CallableTools
from server.tools.format import CALL_BEGIN

# By default llguidance tokenizes text that can only continue in one way to its end at each step.
# Where that text contains a special token, it would force that token.
HEADER: Final = '%llguidance {"no_forcing": true}\n'
# LLaVA's models begin with a space, which clients do not get. Their output degrades without it.
# Smaller schemas become a grammar on the event loop.
MAX_INLINE_CHARACTERS: Final = 8192
SPACE: Final = '" "?'
# Characters that end a regular expression within a rule, and escapes, which stay as they are.
UNSAFE: Final = re.compile(r"\\?[/\n\r]|\\.")
ESCAPES: Final = {"/": r"\/", "\n": r"\n", "\r": r"\r"}
ANY_TEXT: Final = r"/(.|\n)*/"


class GrammarBuilder:
    """Builds the grammars of requests and validates them."""

    def __init__(self, vocabulary: Vocabulary, validator: GrammarValidator) -> None:
        self._vocabulary = vocabulary
        self._validator = validator

    async def build_and_validate(
        self, request: GenerationFields, tools: CallableTools | None, max_tokens: int
    ) -> str | None:
        """Return the validated grammar of formats and tools, None if output may be any text.

        Raises `InvalidValue`.
        """
        char_budget = self._vocabulary.estimate_chars(max_tokens)
        constraint = await run_in_thread_if_large(
            count_schema_characters(request),
            MAX_INLINE_CHARACTERS,
            lambda: build_constraint(request, tools, char_budget),
        )
        if constraint is None:
            return None
        if request.min_tokens:
            raise InvalidValue(
                "'min_tokens' cannot be combined with tools or structured outputs.", "min_tokens"
            )
        await self._validator.validate(constraint)
        return constraint.grammar


def count_schema_characters(request: GenerationFields) -> int:
    """Return about the size of a request's schemas: building its grammar is linear in it."""
    schemas: list[Any] = [
        tool.function.parameters for tool in getattr(request, "tools", None) or ()
    ]
    if isinstance(request.response_format, JsonSchemaFormat):
        schemas.append(request.response_format.json_schema.schema_)
    options = request.constraint
    if options is not None:
        schemas += [options.json_, options.regex, options.choice]
    return sum(map(count_json_characters, schemas))


def build_constraint(
    request: GenerationFields, tools: CallableTools | None, char_budget: int
) -> GrammarConstraint | None:
    """Return the constraint on the model's output, None if it may be any text.

    Calls in a checkpoint's native format are parsed, not enforced. `char_budget` is the approximate
    length of the output in characters. Raises `InvalidValue`.
    """
    content = _resolve_format(request, char_budget)
    if tools is None or tools.is_native:
        if content is None:
            return None
        return GrammarConstraint(content.build_grammar(), content.param)
    rules = build_tool_rules(tools, char_budget)
    begin = json.dumps(CALL_BEGIN)
    if tools.required:
        start = f"start: {SPACE} {begin} calls\n"
    elif content is None:
        # `text` ends with the first `CALL_BEGIN`, so text contains one only in front of calls.
        start = f"start: text calls | tail\ntext[suffix={begin}]: {ANY_TEXT}\ntail: {ANY_TEXT}\n"
    elif content.is_rule:
        start = f"start: {SPACE} ({begin} calls | answer)\nanswer: {content.source}\n"
    else:
        raise InvalidValue("A grammar cannot be combined with tools.", content.param)
    return GrammarConstraint(HEADER + start + rules, "tools")


@dataclass(frozen=True, slots=True)
class _ContentFormat:
    """The format of message content: the right side of a grammar rule, or a complete grammar."""

    source: str
    param: str
    is_rule: bool = True

    def build_grammar(self) -> str:
        """Return the complete grammar."""
        return f"{HEADER}start: {SPACE} ({self.source})\n" if self.is_rule else self.source


def _resolve_format(request: GenerationFields, char_budget: int) -> _ContentFormat | None:
    """Return the format of content that the request asks for, None for any text."""
    if request.constraint is not None:
        text_format = _build_text_format(request, request.constraint)
        if text_format is not None:
            return text_format
    json_format = _find_json_format(request)
    if json_format is None:
        return None
    schema, param = json_format
    return _ContentFormat(build_json_rule(schema, param, char_budget), param)


def _build_text_format(
    request: GenerationFields, options: StructuredOutputs
) -> _ContentFormat | None:
    """Return the format of text that is not JSON, None if JSON is requested."""
    if options.regex is not None:
        return _ContentFormat(build_regex_rule(options.regex), request.name_constraint("regex"))
    if options.choice is not None:
        return _ContentFormat(build_choice_rule(options.choice), request.name_constraint("choice"))
    if options.grammar is not None:
        is_lark = "::=" not in options.grammar and "%llguidance" not in options.grammar
        source = HEADER + options.grammar if is_lark else options.grammar
        return _ContentFormat(source, request.name_constraint("grammar"), is_rule=False)
    return None


def _find_json_format(request: GenerationFields) -> tuple[dict[str, Any] | None, str] | None:
    """Return the requested schema and its field; the schema is None for any JSON object."""
    options, response_format = request.constraint, request.response_format
    if options is not None:
        if options.json_ is None:
            return None, "structured_outputs.json_object"
        param = request.name_constraint("json")
        return _parse_schema(options.json_, param), param
    if isinstance(response_format, JsonObjectFormat):
        return None, "response_format"
    if isinstance(response_format, JsonSchemaFormat):
        return response_format.json_schema.schema_, "response_format.json_schema.schema"
    return None


def _parse_schema(schema: dict[str, Any] | str, param: str) -> dict[str, Any]:
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
    """Return the rule of text that a regular expression matches from beginning to end."""
    escaped = UNSAFE.sub(lambda match: ESCAPES.get(match[0][-1], match[0]), pattern)
    return f"/{escaped}/"


def build_choice_rule(choices: Sequence[str]) -> str:
    """Return the rule of one of several texts."""
    return " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)

"""The grammar of a request's response format, structured outputs and tools, if it has any."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.errors import InvalidValue
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.formats import JsonObjectFormat, JsonSchemaFormat, StructuredOutputs
from server.protocol.generation_fields import GenerationFields
from server.protocol.json_size import count_json_characters
from server.protocol.tools import AllowedTools, Function, NamedTool, Tool
from server.structured_outputs.rules import (
    ANY_TEXT,
    build_choice_rule,
    build_json_rule,
    build_regex_rule,
    build_tool_rules,
)
from server.structured_outputs.schema import check_nesting
from server.tools.format import CALL_BEGIN, describe_tools

# By default llguidance tokenizes text that can only continue in one way to its end at each step.
# Where that text contains a special token, it would force that token.
HEADER: Final = '%llguidance {"no_forcing": true}\n'
# LLaVA's models begin with a space, which clients do not get. Their output degrades without it.
SPACE: Final = '" "?'


@dataclass(frozen=True, slots=True)
class GrammarConstraint:
    """A grammar that constrains the generated text, in llguidance's Lark or in GBNF.

    `param` is the request field that an error of the grammar names.
    """

    grammar: str
    param: str


@dataclass(frozen=True, slots=True)
class CallableTools:
    """The tools that the model may call under the request's `tool_choice`.

    `required`: it must call at least one. `parallel`: it may make several calls. `named`: the
    client named the one function to call, so the model has no choice.
    """

    tools: Sequence[Tool]
    required: bool
    parallel: bool
    named: bool

    @property
    def functions(self) -> list[Function]:
        """The tools' functions."""
        return [tool.function for tool in self.tools]

    @property
    def num_characters(self) -> int:
        """The number of characters of the tools' names, descriptions and parameters."""
        return sum(
            len(each.name) + len(each.description or "") + count_json_characters(each.parameters)
            for each in self.functions
        )

    @property
    def description(self) -> str:
        """The system text about the tools, for models without a tool format of their own."""
        return describe_tools(self.functions, required=self.required, parallel=self.parallel)


def resolve_callable_tools(request: ChatCompletionRequest) -> CallableTools | None:
    """Return the tools that the model may call, None if there are none."""
    choice = request.tool_choice
    tools = list(request.tools or ())
    if not tools or choice == "none":
        return None
    required = choice == "required"
    if isinstance(choice, NamedTool):
        required = True
        tools = [each for each in tools if each.function.name == choice.function.name]
    elif isinstance(choice, AllowedTools):
        required = choice.allowed_tools.mode == "required"
        allowed = {tool.function.name for tool in choice.allowed_tools.tools}
        tools = [each for each in tools if each.function.name in allowed]
    named = isinstance(choice, NamedTool)
    parallel = request.parallel_tool_calls is not False and not named
    return CallableTools(tools, required, parallel, named)


def build_constraint(
    request: ChatCompletionRequest, calls: CallableTools | None, char_budget: int
) -> GrammarConstraint | None:
    """Return the constraint on the model's output, None if it may be any text.

    `char_budget` is the approximate length of the output in characters. Raises `InvalidValue`.
    """
    if calls is None:
        return build_format_constraint(request, char_budget)
    content = _resolve_format(request, char_budget)
    for index, tool in enumerate(request.tools or ()):
        check_nesting(tool.function.parameters or {}, f"tools[{index}].function.parameters")
    begin = json.dumps(CALL_BEGIN)
    if calls.required:
        start = f"start: {SPACE} {begin} calls\n"
    elif content is None:
        # `text` ends with the first `CALL_BEGIN`, so text contains one only in front of calls.
        start = f"start: text calls | tail\ntext[suffix={begin}]: {ANY_TEXT}\ntail: {ANY_TEXT}\n"
    elif content.is_rule:
        start = f"start: {SPACE} ({begin} calls | answer)\nanswer: {content.source}\n"
    else:
        raise InvalidValue("A grammar cannot be combined with tools.", content.param)
    rules = build_tool_rules(calls.functions, char_budget, parallel=calls.parallel)
    return GrammarConstraint(HEADER + start + rules, "tools")


def build_format_constraint(
    request: GenerationFields, char_budget: int
) -> GrammarConstraint | None:
    """Return the constraint on output without tool calls, None if it may be any text.

    `char_budget` is the approximate length of the output in characters. Raises `InvalidValue`.
    """
    content = _resolve_format(request, char_budget)
    return None if content is None else GrammarConstraint(content.build_grammar(), content.param)


def count_schema_characters(request: GenerationFields) -> int:
    """Return about the size of the schemas in a request: building its grammar takes that long."""
    schemas: list[Any] = [
        tool.function.parameters for tool in getattr(request, "tools", None) or ()
    ]
    if isinstance(request.response_format, JsonSchemaFormat):
        schemas.append(request.response_format.json_schema.schema_)
    if request.structured_outputs is not None:
        options = request.structured_outputs
        schemas += [options.json_, options.regex, options.choice]
    return sum(map(count_json_characters, schemas))


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
    response_format = request.response_format
    if request.structured_outputs is not None:
        return _resolve_structured_outputs(request.structured_outputs, char_budget)
    if isinstance(response_format, JsonObjectFormat):
        return _build_json_format(None, "response_format", char_budget)
    if isinstance(response_format, JsonSchemaFormat):
        schema = response_format.json_schema.schema_
        return _build_json_format(schema, "response_format.json_schema.schema", char_budget)
    return None


def _resolve_structured_outputs(options: StructuredOutputs, char_budget: int) -> _ContentFormat:
    if options.regex is not None:
        return _ContentFormat(build_regex_rule(options.regex), "structured_outputs.regex")
    if options.choice is not None:
        return _ContentFormat(build_choice_rule(options.choice), "structured_outputs.choice")
    if options.grammar is not None:
        is_lark = "::=" not in options.grammar and "%llguidance" not in options.grammar
        source = HEADER + options.grammar if is_lark else options.grammar
        return _ContentFormat(source, "structured_outputs.grammar", is_rule=False)
    if options.json_ is not None:
        schema = _parse_schema(options.json_, "structured_outputs.json")
        return _build_json_format(schema, "structured_outputs.json", char_budget)
    return _build_json_format(None, "structured_outputs.json_object", char_budget)


def _build_json_format(
    schema: dict[str, Any] | None, param: str, char_budget: int
) -> _ContentFormat:
    """Return the format of JSON that satisfies a schema, or of any JSON object if it is None."""
    if schema is not None:
        check_nesting(schema, param)
    return _ContentFormat(build_json_rule(schema, char_budget), param)


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

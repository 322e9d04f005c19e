"""The grammar that a request asks for by its formats and tools, if any."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.errors import InvalidValue
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.formats import JsonObjectFormat, JsonSchemaFormat, StructuredOutputs
from server.protocol.generation_fields import GenerationFields
from server.protocol.tools import AllowedTools, Function, NamedTool, Tool
from server.structured_outputs.narrowing import build_any_object_schema
from server.structured_outputs.nesting import check_nesting
from server.structured_outputs.rules import (
    ANYTHING,
    build_choice_rule,
    build_json_rule,
    build_regex_rule,
    build_tool_rules,
)
from server.tools.format import CALL_BEGIN, describe_tools

# Without it, text that can only go on in one way would be tokenised to its end at each step, and
# where it spells a special token that token would be asked for.
HEADER: Final = '%llguidance {"no_forcing": true}\n'
# LLaVA's models begin with a space, which is not shown: without it they are thrown off course.
SPACE: Final = '" "?'


@dataclass(frozen=True, slots=True)
class GrammarConstraint:
    """A grammar, and the field to blame where it does not work."""

    grammar: str
    param: str


@dataclass(frozen=True, slots=True)
class CallableTools:
    """The functions that an answer may call, or must, and whether more than one."""

    tools: Sequence[Tool]
    required: bool
    parallel: bool
    named: bool  # by the client, so that there is nothing to choose

    @property
    def functions(self) -> list[Function]:
        """What each tool is a wrapper of."""
        return [tool.function for tool in self.tools]

    @property
    def description(self) -> str:
        """What a model without a format of its own is told."""
        return describe_tools(self.functions, required=self.required, parallel=self.parallel)


def resolve_callable_tools(request: ChatCompletionRequest) -> CallableTools | None:
    """Return what the request's answer may call, None if nothing."""
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
    request: ChatCompletionRequest, calls: CallableTools | None, room: int
) -> GrammarConstraint | None:
    """Return what an answer has to be, None if it may be anything.

    `room` is how many characters it may have, about.
    Raises `InvalidValue`.
    """
    if calls is None:
        return build_format_constraint(request, room)
    answer = _answer(request, room)
    for index, tool in enumerate(request.tools or ()):
        check_nesting(tool.function.parameters or {}, f"tools[{index}].function.parameters")
    begin = json.dumps(CALL_BEGIN)
    if calls.required:
        start = f"start: {SPACE} {begin} calls\n"
    elif answer is None:
        # The first rule ends where the mark does, so that no text holds it but in front of calls.
        start = f"start: text calls | tail\ntext[suffix={begin}]: {ANYTHING}\ntail: {ANYTHING}\n"
    elif answer.is_rule:
        start = f"start: {SPACE} ({begin} calls | answer)\nanswer: {answer.source}\n"
    else:
        raise InvalidValue("A grammar cannot be combined with tools.", answer.param)
    rules = build_tool_rules(calls.functions, room, parallel=calls.parallel)
    return GrammarConstraint(HEADER + start + rules, "tools")


def build_format_constraint(request: GenerationFields, room: int) -> GrammarConstraint | None:
    """Return what an answer without calls has to be, None if it may be anything.

    Raises `InvalidValue`.
    """
    answer = _answer(request, room)
    return None if answer is None else GrammarConstraint(_whole(answer), answer.param)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The right side of a rule, or else a whole grammar."""

    source: str
    param: str
    is_rule: bool = True


def _whole(answer: _Answer) -> str:
    return f"{HEADER}start: {SPACE} ({answer.source})\n" if answer.is_rule else answer.source


def _answer(request: GenerationFields, room: int) -> _Answer | None:
    response_format = request.response_format
    if request.structured_outputs is not None:
        return _structured(request.structured_outputs, room)
    if isinstance(response_format, JsonObjectFormat):
        return _json(None, "response_format", room)
    if isinstance(response_format, JsonSchemaFormat):
        schema = response_format.json_schema.schema_
        return _json(schema, "response_format.json_schema.schema", room)
    return None


def _structured(wanted: StructuredOutputs, room: int) -> _Answer:
    if wanted.regex is not None:
        return _Answer(build_regex_rule(wanted.regex), "structured_outputs.regex")
    if wanted.choice is not None:
        return _Answer(build_choice_rule(wanted.choice), "structured_outputs.choice")
    if wanted.grammar is not None:
        is_lark = "::=" not in wanted.grammar and "%llguidance" not in wanted.grammar
        source = HEADER + wanted.grammar if is_lark else wanted.grammar
        return _Answer(source, "structured_outputs.grammar", is_rule=False)
    if wanted.json_ is not None:
        return _json(_parsed(wanted.json_), "structured_outputs.json", room)
    return _json(None, "structured_outputs.json_object", room)


def _json(schema: dict[str, Any] | None, param: str, room: int) -> _Answer:
    """Return the rule of a schema, or of any object."""
    if schema is None:
        schema = build_any_object_schema(room)
    check_nesting(schema, param)
    return _Answer(build_json_rule(schema, room), param)


def _parsed(schema: dict[str, Any] | str) -> dict[str, Any]:
    if isinstance(schema, dict):
        return schema
    param = "structured_outputs.json"
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError):
        raise InvalidValue("The schema is not valid JSON.", param) from None
    if not isinstance(parsed, dict):
        raise InvalidValue("The schema must be a JSON object.", param)
    return parsed

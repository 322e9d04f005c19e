"""The grammar of a request's response format, structured outputs and tools, if it has any.

Rules are in llguidance's Lark: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

import json
from typing import Any, Final

from server.concurrency import run_in_thread_if_large
from server.errors import InvalidValue
from server.protocol.formats import JsonObjectFormat, JsonSchemaFormat
from server.protocol.generation_fields import GenerationFields
from server.protocol.json_size import count_json_characters
from server.structured_outputs.content_format import (
    HEADER,
    SPACE,
    ContentFormat,
    resolve_content_format,
)
from server.structured_outputs.request_schema import PrunedRules
from server.structured_outputs.schema import MAX_INLINE_SCHEMA_CHARACTERS
from server.structured_outputs.tool_rules import build_tool_rules, resolve_tool_schemas
from server.structured_outputs.validator import GrammarConstraint, GrammarValidator
from server.telemetry.metrics import Metrics
from server.tools.callable_tools import CallableTools
from server.tools.format import CALL_BEGIN

ANY_TEXT: Final = r"/(.|\n)*/"


class GrammarBuilder:
    """Builds the grammars of requests and validates them."""

    def __init__(self, validator: GrammarValidator, metrics: Metrics) -> None:
        self._validator = validator
        self._metrics = metrics

    async def build_and_validate(
        self, request: GenerationFields, tools: CallableTools | None, cache_partition: str
    ) -> str | None:
        """Return the validated grammar of formats and tools, None if output may be any text.

        Raises `InvalidValue`.
        """
        constraint = await _build(request, tools, {})
        if constraint is None:
            return None
        if request.min_tokens:
            raise InvalidValue(
                "'min_tokens' cannot be combined with tools or structured outputs.", "min_tokens"
            )
        with self._metrics.stage("grammar"):
            return await self._validate(request, tools, constraint, cache_partition)

    async def _validate(
        self,
        request: GenerationFields,
        tools: CallableTools | None,
        constraint: GrammarConstraint,
        cache_partition: str,
    ) -> str:
        """Return the grammar. Drops unenforceable keywords of schemas that are not strict."""
        try:
            await self._validator.validate(constraint, cache_partition)
        except InvalidValue:
            if not constraint.schemas:
                raise
            pruned = await self._validator.prune(constraint, cache_partition)
            constraint = await _build(request, tools, pruned) or constraint
            await self._validator.validate(constraint, cache_partition)
        return constraint.grammar


async def _build(
    request: GenerationFields, tools: CallableTools | None, pruned: PrunedRules
) -> GrammarConstraint | None:
    return await run_in_thread_if_large(
        count_schema_characters(request),
        MAX_INLINE_SCHEMA_CHARACTERS,
        lambda: build_constraint(request, tools, pruned),
    )


def count_schema_characters(request: GenerationFields) -> int:
    """Return the approximate size of a request's schemas: its grammar builds in linear time."""
    schemas: list[Any] = [
        tool.function.parameters for tool in getattr(request, "tools", None) or ()
    ]
    if isinstance(request.response_format, JsonSchemaFormat):
        schemas.append(request.response_format.json_schema.schema_)
    if isinstance(request.response_format, JsonObjectFormat):
        schemas.append(request.response_format.schema_)
    options = request.constraint
    if options is not None:
        schemas += [options.json_, options.regex, options.choice]
    return sum(map(count_json_characters, schemas))


def build_constraint(
    request: GenerationFields, tools: CallableTools | None, pruned: PrunedRules
) -> GrammarConstraint | None:
    """Return the constraint on the model's output, None if it may be any text.

    Calls in a checkpoint's native format are parsed, not enforced. Raises `InvalidValue`.
    """
    content = resolve_content_format(request, pruned)
    if tools is None or tools.is_native:
        if content is None:
            return None
        return GrammarConstraint(content.build_grammar(), content.param, content.schemas)
    schemas = resolve_tool_schemas(tools)
    rules = build_tool_rules(schemas, pruned, parallel=tools.parallel)
    start = _build_start(tools, content)
    return GrammarConstraint(
        HEADER + start + rules,
        "tools",
        [*schemas.values(), *(content.schemas if content and not tools.required else ())],
    )


def _build_start(tools: CallableTools, content: ContentFormat | None) -> str:
    """Return the rules above those of the calls."""
    begin = json.dumps(CALL_BEGIN)
    if tools.required:
        return f"start: {SPACE} {begin} calls\n"
    if content is None:
        # `text` ends with the first `CALL_BEGIN`, so text contains one only in front of calls.
        return f"start: text calls | tail\ntext[suffix={begin}]: {ANY_TEXT}\ntail: {ANY_TEXT}\n"
    if content.is_rule:
        return f"start: {SPACE} ({begin} calls | answer)\nanswer: {content.source}\n"
    raise InvalidValue("A grammar cannot be combined with tools.", content.param)

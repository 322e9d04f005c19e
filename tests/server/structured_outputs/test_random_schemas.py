"""For each schema that compiles, all sentences of its grammar are JSON that satisfies it."""

import json
import random
from collections import Counter
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from server.generation.tool_call_parser import ToolCallParser
from server.protocol.tools import Function, Tool
from server.structured_outputs.content_format import HEADER
from server.structured_outputs.schema import build_json_rule
from server.structured_outputs.tool_rules import build_tool_rules, resolve_tool_schemas
from server.tools.callable_tools import CallableTools
from server.tools.format import CALL_BEGIN
from tests.server.generation.reading import join_content, parse_parts
from tests.server.structured_outputs.schemas import SchemaGenerator
from tests.server.structured_outputs.sentences import compile_grammar, draw_sentence

FORMATS = FormatChecker(["date", "ipv4", "uuid", "email"])


def check(value: Any, schema: dict[str, Any]) -> None:
    """Fail where a value does not satisfy its schema."""
    errors = [error.message for error in validator(schema).iter_errors(value)]
    assert not errors, (schema, value, errors)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Return the reference validator of a schema."""
    return Draft202012Validator(schema, format_checker=FORMATS)


def test_sentences_satisfy_their_schema() -> None:
    rng = random.Random(7)
    schemas = SchemaGenerator(rng)
    count: Counter[str] = Counter()
    for _ in range(150):
        schema = schemas.generate()
        grammar = f"{HEADER}start: {build_json_rule(schema)}\n"
        if compile_grammar(grammar).is_error():
            count["refused"] += 1
            continue
        Draft202012Validator.check_schema(schema)
        for _ in range(2):
            text = draw_sentence(grammar, rng)
            if text is None:
                count["endless"] += 1
                continue
            check(json.loads(text), schema)
            count["satisfied"] += 1
    # Most schemas compile and most sentences end; otherwise the test would show nothing.
    assert count["refused"] < 75, count
    assert count["satisfied"] > 120, count


def test_calls_are_parsed_back() -> None:
    rng = random.Random(8)
    schemas = SchemaGenerator(rng)
    calls = 0
    for _ in range(60):
        schema_by_name = {name: schemas.generate_parameters() for name in ("f", "get-it.now")}
        tools = [
            Tool(type="function", function=Function(name=name, parameters=schema))
            for name, schema in schema_by_name.items()
        ]
        callable_tools = CallableTools(
            tools, required=False, parallel=True, named=False, declared=tools
        )
        rules = build_tool_rules(resolve_tool_schemas(callable_tools), {}, parallel=True)
        grammar = f"{HEADER}start: {json.dumps(CALL_BEGIN)} calls\n{rules}"
        if compile_grammar(grammar).is_error():
            continue
        text = draw_sentence(grammar, rng, limit=400)
        if text is None:
            continue
        content, found = join_content(parse_parts(ToolCallParser(), list(text)))
        assert content == ""
        assert found
        for name, arguments in found:
            check(json.loads(arguments), schema_by_name[name])
        calls += len(found)
    assert calls > 30

"""Whatever schema is accepted, each sentence of its grammar is JSON that satisfies the schema."""

import json
import random
from collections import Counter
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from server.generation.tool_call_parser import ToolCallParser
from server.protocol.tools import Function
from server.structured_outputs.grammar import HEADER
from server.structured_outputs.rules import build_json_rule, build_tool_rules
from server.tools.format import CALL_BEGIN
from tests.server.generation.reading import join_content, parse_parts
from tests.server.structured_outputs.schemas import Schemas
from tests.server.structured_outputs.sentences import matcher, sentence

ROOM = 200
FORMATS = FormatChecker(["date", "ipv4", "uuid", "email"])


def check(value: Any, schema: dict[str, Any]) -> None:
    """Fail where a value does not satisfy its schema."""
    errors = [error.message for error in validator(schema).iter_errors(value)]
    assert not errors, (schema, value, errors)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Return what knows the schema best."""
    return Draft202012Validator(schema, format_checker=FORMATS)


def test_schemas_hold() -> None:
    draw = random.Random(7)
    schemas = Schemas(draw)
    count: Counter[str] = Counter()
    for _ in range(150):
        schema = schemas.schema()
        grammar = f"{HEADER}start: {build_json_rule(schema, ROOM)}\n"
        if matcher(grammar).is_error():
            count["refused"] += 1
            continue
        Draft202012Validator.check_schema(schema)
        for _ in range(2):
            spelt = sentence(grammar, draw)
            if spelt is None:
                count["endless"] += 1
                continue
            check(json.loads(spelt), schema)
            count["held"] += 1
    # What most schemas are like; a test that draws nothing else would show nothing.
    assert count["refused"] < 75, count
    assert count["held"] > 120, count


def test_calls_are_read_back() -> None:
    draw = random.Random(8)
    schemas = Schemas(draw)
    calls = 0
    for _ in range(60):
        schemas_of = {name: schemas.parameters() for name in ("f", "get-it.now")}
        functions = [Function(name=name, parameters=s) for name, s in schemas_of.items()]
        rules = build_tool_rules(functions, ROOM, parallel=True)
        grammar = f"{HEADER}start: {json.dumps(CALL_BEGIN)} calls\n{rules}"
        if matcher(grammar).is_error():
            continue
        spelt = sentence(grammar, draw, limit=400)
        if spelt is None:
            continue
        text, found = join_content(parse_parts(ToolCallParser(), list(spelt)))
        assert text == ""
        assert found
        for name, arguments in found:
            check(json.loads(arguments), schemas_of[name])
        calls += len(found)
    assert calls > 30

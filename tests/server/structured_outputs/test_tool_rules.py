"""The calls that the rules of tools admit."""

import json

import pytest

from server.protocol.tools import Function, Tool
from server.structured_outputs.content_format import HEADER
from server.structured_outputs.tool_rules import build_tool_rules, resolve_tool_schemas
from server.tools.callable_tools import CallableTools
from server.tools.format import CALL_BEGIN, format_tool_call
from tests.server.structured_outputs.sentences import accepts

POINT = Function(
    name="point", parameters={"type": "object", "properties": {"x": {"type": "integer"}}}
)
NOTHING = Function(name="do.nothing-1")


def admits_calls(*calls: tuple[str, str], parallel: bool = True) -> bool:
    """Whether the rules of two functions admit some calls."""
    declared = [Tool(type="function", function=function) for function in (POINT, NOTHING)]
    tools = CallableTools(
        declared, required=False, parallel=parallel, named=False, declared=declared
    )
    rules = build_tool_rules(resolve_tool_schemas(tools), {}, parallel=parallel)
    text = "".join(format_tool_call(name, arguments) for name, arguments in calls)
    return accepts(f"{HEADER}start: {json.dumps(CALL_BEGIN)} calls\n{rules}", text)


@pytest.mark.parametrize(
    ("name", "arguments", "fits"),
    [
        ("point", '{"x": 5}', True),
        ("point", "{}", True),
        ("point", '{"x": "5"}', False),
        ("point", '{"y": 5}', False),
        ("do.nothing-1", "{}", True),
        ("do.nothing-1", '{"x": 5}', False),
        ("unheard-of", "{}", False),
    ],
)
def test_calls(name: str, arguments: str, fits: bool) -> None:
    assert admits_calls((name, arguments)) == fits
    assert admits_calls((name, arguments), parallel=False) == fits


def test_several_calls() -> None:
    calls = [("point", '{"x": 1}'), ("do.nothing-1", "{}"), ("point", '{"x": 2}')]
    assert admits_calls(*calls)
    assert not admits_calls(*calls, parallel=False)
    assert not admits_calls()
